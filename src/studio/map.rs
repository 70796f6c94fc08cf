//! The codebook-by-time map: one texture, a pixel a token.

use egui::{Color32, ColorImage, ComboBox, Rect, Sense, TextureHandle, TextureOptions, Ui, pos2, vec2};

use super::session::Session;
use super::{Action, View};
use crate::analysis::step::Step;
use crate::report::Model;
use crate::report::plots::colour;

/// What the colour says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Measure {
    #[default]
    Token,
    Entropy,
    Surprisal,
    Rank,
}

impl Measure {
    const ALL: [Self; 4] = [Self::Token, Self::Entropy, Self::Surprisal, Self::Rank];

    fn name(self) -> &'static str {
        match self {
            Self::Token => "tokens",
            Self::Entropy => "entropy",
            Self::Surprisal => "surprisal",
            Self::Rank => "rank",
        }
    }

    /// Share of the colour scale, 0 to 1.
    fn share(self, id: u32, step: Option<&Step>, model: &Model) -> Option<f64> {
        let bits = (model.vocab as f64).log2();
        match self {
            Self::Token => Some(f64::from(id) / (model.vocab - 1) as f64),
            Self::Entropy => step.map(|s| s.raw.entropy / bits),
            Self::Surprisal => step.map(|s| (s.raw.surprisal / bits).min(1.0)),
            Self::Rank => step.map(|s| (s.raw.rank as f64).log2() / bits),
        }
    }
}

/// The texture, and what it was drawn of.
#[derive(Default)]
pub(super) struct Map {
    measure: Measure,
    drawn: Option<(u64, Measure)>,
    texture: Option<TextureHandle>,
}

pub(super) fn show(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    let Some(model) = session.model.clone() else { return };
    ui.horizontal(|ui| {
        let combo = ComboBox::from_id_salt("measure").selected_text(view.map.measure.name());
        let shown = combo.show_ui(ui, |ui| {
            for measure in Measure::ALL {
                ui.selectable_value(&mut view.map.measure, measure, measure.name());
            }
        });
        shown.response.accessible_name("What the map shows");
        ui.small("codebooks (0 at the top) over time; click a cell to see its draw and to hear from there");
    });
    let height = (ui.available_height() - 4.0).clamp(60.0, 34.0 * model.codebooks as f32);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Token map"));
    ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    let (t, k) = (session.shown.frames.len(), model.codebooks);
    if t == 0 {
        let text = "tokens appear here";
        ui.painter().text(
            rect.center(),
            egui::Align2::CENTER_CENTER,
            text,
            egui::FontId::proportional(13.0),
            ui.visuals().weak_text_color(),
        );
        return;
    }
    draw(ui, session, &mut view.map, &model);
    let texture = view.map.texture.as_ref().expect("just drawn");
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter().image(texture.id(), rect, whole, Color32::WHITE);
    let size = vec2(rect.width() / t as f32, rect.height() / k as f32);
    let at = |p: egui::Pos2| {
        let frame = ((p.x - rect.left()) / size.x).max(0.0) as usize;
        (frame.min(t - 1), (((p.y - rect.top()) / size.y).max(0.0) as usize).min(k - 1))
    };
    if let Some((frame, book)) = view.cell.filter(|(frame, _)| *frame < t) {
        let cell = Rect::from_min_size(rect.min + vec2(frame as f32 * size.x, book as f32 * size.y), size);
        ui.painter().rect_stroke(
            cell.expand(1.0),
            1.0,
            (2.0, Color32::from_rgb(230, 60, 60)),
            egui::StrokeKind::Outside,
        );
    }
    let played = session.output.position() * model.frame_rate;
    let x = rect.left() + (played as f32 * size.x).min(rect.width());
    ui.painter().vline(x, rect.y_range(), (1.5, Color32::WHITE));
    if let Some(p) = response.interact_pointer_pos().filter(|_| response.clicked()) {
        let cell = at(p);
        actions.push(Action::Select(Some(cell)));
        actions.push(Action::Seek(cell.0 as f64 / model.frame_rate));
    }
    response.on_hover_ui_at_pointer(|ui| {
        if let Some(p) = ui.ctx().pointer_hover_pos() {
            let (frame, book) = at(p);
            let id = session.shown.frames[frame][book];
            ui.label(format!("frame {frame}, codebook {book}: {}", model.label(book, id)));
            if let Some(step) = session.shown.steps.get(frame).map(|s| &s[book]) {
                let (r, rank) = (&step.raw, step.raw.rank);
                ui.label(format!("entropy {:.2} bits, surprisal {:.2} bits, rank {rank}", r.entropy, r.surprisal));
            }
        }
    });
}

fn draw(ui: &Ui, session: &Session, map: &mut Map, model: &Model) {
    let now = (session.shown.version, map.measure);
    if map.drawn == Some(now) && map.texture.is_some() {
        return;
    }
    map.drawn = Some(now);
    let s = &session.shown;
    let (t, k) = (s.frames.len(), model.codebooks);
    let mut pixels = vec![Color32::GRAY; t * k];
    for (frame, ids) in s.frames.iter().enumerate() {
        for (book, id) in ids.iter().enumerate() {
            let step = s.steps.get(frame).map(|s| &s[book]);
            if let Some(share) = map.measure.share(*id, step, model) {
                let [r, g, b] = colour(share);
                pixels[book * t + frame] = Color32::from_rgb(r, g, b);
            }
        }
    }
    let image = ColorImage::new([t, k], pixels);
    match &mut map.texture {
        Some(texture) => texture.set(image, TextureOptions::NEAREST),
        None => map.texture = Some(ui.ctx().load_texture("tokens", image, TextureOptions::NEAREST)),
    }
}
