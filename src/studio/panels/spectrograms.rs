//! Mel spectrograms as textures.

use std::collections::HashMap;
use std::sync::Arc;

use egui::{Color32, ColorImage, Rect, TextureHandle, TextureOptions, Ui, pos2};

use super::lane::Lane;
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::studio::theme::Palette;

/// Textures by the name of their clip. A texture that was not drawn in a frame is dropped.
#[derive(Default)]
pub(super) struct Spectrograms {
    textures: HashMap<String, DrawnSpectrogram>,
    frame: u64,
}

struct DrawnSpectrogram {
    of: Arc<MelSpectrogram>,
    dark: bool,
    texture: TextureHandle,
    frame: u64,
}

impl Spectrograms {
    /// Draws a spectrogram of `seconds` seconds.
    pub(super) fn draw(&mut self, ui: &Ui, lane: Lane, name: &str, of: &Arc<MelSpectrogram>, seconds: f64) {
        let frame = ui.ctx().cumulative_frame_nr();
        if frame != self.frame {
            let before = self.frame;
            self.textures.retain(|_, drawn| drawn.frame >= before);
            self.frame = frame;
        }
        let dark = ui.visuals().dark_mode;
        let known = self.textures.get_mut(name).filter(|drawn| Arc::ptr_eq(&drawn.of, of) && drawn.dark == dark);
        let texture = match known {
            Some(drawn) => {
                drawn.frame = frame;
                drawn.texture.id()
            }
            None => {
                let texture = ui.ctx().load_texture(
                    format!("mel {name}"),
                    picture(of, Palette::of(ui.visuals())),
                    TextureOptions::LINEAR,
                );
                let id = texture.id();
                self.textures.insert(name.to_owned(), DrawnSpectrogram { of: of.clone(), dark, texture, frame });
                id
            }
        };
        let image = Rect::from_x_y_ranges(lane.x(0.0)..=lane.x(seconds), lane.rect.y_range());
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().with_clip_rect(lane.rect).image(texture, image, whole, Color32::WHITE);
    }
}

/// The picture of a spectrogram, high bands at the top.
fn picture(of: &MelSpectrogram, palette: &Palette) -> ColorImage {
    let [columns, bands] = of.size();
    let pixels = (0..bands).rev().flat_map(|band| (0..columns).map(move |column| (column, band)));
    let pixel = |(column, band)| palette.ramp(f64::from(of.level(column, band)) / 255.0);
    ColorImage::new([columns, bands], pixels.map(pixel).collect())
}
