//! The codebook-by-time map: one texture with a pixel per token, and what the tokens say where there is room.

use egui::{
    Align2, Color32, ColorImage, ComboBox, FontId, Rect, TextureHandle, TextureId, TextureOptions, Ui, pos2, vec2,
};

use super::View;
use super::lane::Lane;
use super::session::{InspectedClip, Session};
use crate::analysis::statistics::{STEP_STATISTICS, StepStatistic};
use crate::data::ModelInfo;
use crate::report::plots::colour;

/// Size of a cell from which it has room for its token.
const LABELLED: (f32, f32) = (30.0, 11.0);
/// Share of the draws that the colours of a statistic tell apart; the rest have the brightest.
const SCALED_TO: f64 = 0.99;

/// The texture, and what it shows: tokens, or a statistic of the draws.
#[derive(Default)]
pub(super) struct TokenMap {
    statistic: Option<&'static StepStatistic>,
    drawn: Option<(u64, Option<&'static str>)>,
    texture: Option<TextureHandle>,
    /// What the brightest colour stands for.
    brightest: f64,
}

fn title(statistic: Option<&StepStatistic>) -> &'static str {
    statistic.map_or("tokens", |s| s.title)
}

/// What the map shows, to be chosen.
pub(super) fn statistic_ui(ui: &mut Ui, map: &mut TokenMap) {
    let combo = ComboBox::from_id_salt("statistic").width(90.0).selected_text(title(map.statistic));
    let shown = combo.show_ui(ui, |ui| {
        let plotted = STEP_STATISTICS.iter().filter(|s| s.plotted).map(Some);
        for statistic in std::iter::once(None).chain(plotted) {
            let current = title(statistic) == title(map.statistic);
            if ui.selectable_label(current, title(statistic)).clicked() {
                map.statistic = statistic;
            }
        }
    });
    shown.response.on_hover_text("What the map shows").accessible_name("What the map shows");
    if let Some(statistic) = map.statistic {
        ui.small(format!("bright: {:.*} {}", statistic.digits, map.brightest, statistic.unit));
    }
}

pub(super) fn token_map_ui(ui: &Ui, lane: Lane, session: &Session, view: &mut View, model: &ModelInfo) {
    let clip = &session.inspected;
    let (t, k) = (clip.frames.len(), clip.frames.codebooks());
    if t == 0 {
        let at = lane.rect.center();
        let font = FontId::proportional(13.0);
        ui.painter().text(at, Align2::CENTER_CENTER, "Tokens appear here", font, ui.visuals().weak_text_color());
        return;
    }
    let texture = update_texture(ui, clip, &mut view.map, model);
    let painter = ui.painter().with_clip_rect(lane.rect);
    let image = Rect::from_x_y_ranges(lane.x(0.0)..=lane.x(model.dims.seconds(t)), lane.rect.y_range());
    painter.image(texture, image, Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)), Color32::WHITE);
    let size = vec2(image.width() / t as f32, image.height() / k as f32);
    let cell = |frame: usize, codebook: usize| {
        Rect::from_min_size(image.min + vec2(frame as f32 * size.x, codebook as f32 * size.y), size)
    };
    let visible = |frame: &usize| cell(*frame, 0).intersects(lane.rect);
    if size.x >= LABELLED.0 && size.y >= LABELLED.1 {
        for frame in (0..t).filter(visible) {
            for (codebook, id) in clip.frames.frame(frame).iter().enumerate() {
                let rect = cell(frame, codebook);
                let label = match model.label(codebook, *id) {
                    "" => id.to_string(),
                    label => label.split([',', ';']).next().unwrap_or(label).to_owned(),
                };
                let background = pixel(clip, &view.map, frame, codebook, model);
                let text = ui.painter().layout_no_wrap(label, FontId::proportional(10.0), contrast(background));
                let clipped = painter.with_clip_rect(rect.intersect(lane.rect));
                clipped.galley(rect.left_center() + vec2(3.0, -0.5 * text.size().y), text, Color32::BLACK);
            }
        }
    }
    let every = (14.0 / size.y).ceil().max(1.0) as usize;
    for codebook in (0..k).step_by(every) {
        let at = pos2(lane.rect.left() - 6.0, cell(0, codebook).center().y);
        let chosen = codebook == view.codebook;
        let colour = if chosen { ui.visuals().strong_text_color() } else { ui.visuals().weak_text_color() };
        ui.painter().text(at, Align2::RIGHT_CENTER, codebook.to_string(), FontId::proportional(10.0), colour);
    }
    if let Some((frame, codebook)) = view.cell.filter(|(frame, codebook)| *frame < t && *codebook < k) {
        let colour = Color32::from_rgb(230, 60, 60);
        painter.rect_stroke(cell(frame, codebook).expand(1.0), 1.0, (2.0, colour), egui::StrokeKind::Outside);
    }
    if let Some(p) =
        ui.ctx().pointer_hover_pos().filter(|p| lane.rect.contains(*p) && ui.rect_contains_pointer(lane.rect))
    {
        let frame = (((p.x - image.left()) / size.x).max(0.0) as usize).min(t - 1);
        let codebook = (((p.y - image.top()) / size.y).max(0.0) as usize).min(k - 1);
        egui::Tooltip::always_open(
            ui.ctx().clone(),
            ui.layer_id(),
            ui.scope_id().with("cell"),
            egui::PopupAnchor::Pointer,
        )
        .show(|ui| {
            let id = clip.frames.frame(frame)[codebook];
            ui.label(format!("frame {frame}, codebook {codebook}: {}", model.describe_token(codebook, id)));
            if let Some(stats) = clip.steps.get(frame).map(|s| &s[codebook]) {
                for s in STEP_STATISTICS.iter().filter(|s| s.plotted) {
                    ui.label(format!("{} {:.*} {}", s.title, s.digits, stats[s.stat], s.unit));
                }
            }
        });
    }
}

/// Black or white, whichever is read better on `background`.
fn contrast(background: Color32) -> Color32 {
    let [r, g, b, _] = background.to_array();
    let light = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    if light > 140.0 { Color32::BLACK } else { Color32::WHITE }
}

/// A token's colour: ids have no order, so neighbours in number are far apart in colour; an id has the same everywhere.
fn token_colour(id: u32) -> Color32 {
    let hue = (f64::from(id) * 0.618_033_988_749_895).fract() as f32;
    let (saturation, value) = (0.35 + 0.2 * ((id / 7) % 3) as f32, 0.45 + 0.2 * ((id / 3) % 3) as f32);
    egui::epaint::Hsva::new(hue, saturation, value, 1.0).into()
}

fn pixel(clip: &InspectedClip, map: &TokenMap, frame: usize, codebook: usize, model: &ModelInfo) -> Color32 {
    let id = clip.frames.frame(frame)[codebook];
    let Some(statistic) = map.statistic else { return token_colour(id) };
    let Some(stats) = clip.steps.get(frame).map(|s| &s[codebook]) else { return Color32::GRAY };
    let value = stats[statistic.stat];
    let share = if value.is_finite() { value / map.brightest.max(1e-9) } else { 1.0 };
    debug_assert!(codebook < model.dims.codebooks || clip.steps.is_empty());
    let [r, g, b] = colour(share);
    Color32::from_rgb(r, g, b)
}

fn update_texture(ui: &Ui, clip: &InspectedClip, map: &mut TokenMap, model: &ModelInfo) -> TextureId {
    let now = (clip.version, map.statistic.map(|s| s.key));
    if map.drawn == Some(now)
        && let Some(texture) = &map.texture
    {
        return texture.id();
    }
    map.drawn = Some(now);
    if let Some(statistic) = map.statistic {
        let values = clip.steps.iter().flatten().map(|stats| stats[statistic.stat]).filter(|v| v.is_finite());
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let place = (values.len().max(1) - 1) as f64 * SCALED_TO;
        map.brightest = values.get(place.round() as usize).copied().unwrap_or(1.0).max(1e-9);
    }
    let (t, k) = (clip.frames.len(), clip.frames.codebooks());
    let pixels = (0..k).flat_map(|codebook| (0..t).map(move |frame| (frame, codebook)));
    let pixels = pixels.map(|(frame, codebook)| pixel(clip, map, frame, codebook, model)).collect();
    let image = ColorImage::new([t, k], pixels);
    match &mut map.texture {
        Some(texture) => {
            texture.set(image, TextureOptions::NEAREST);
            texture.id()
        }
        None => map.texture.insert(ui.ctx().load_texture("tokens", image, TextureOptions::NEAREST)).id(),
    }
}
