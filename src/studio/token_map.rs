//! The codebook-by-time map: one texture with a pixel per token.

use egui::{Color32, ColorImage, ComboBox, Rect, Sense, TextureHandle, TextureId, TextureOptions, Ui, pos2, vec2};

use super::session::Session;
use super::{Action, View};
use crate::analysis::statistics::{STEP_STATISTICS, StepStatistic, TokenStats};
use crate::data::ModelInfo;
use crate::report::plots::colour;

/// The texture, and what it shows: tokens, or a statistic of the draws.
#[derive(Default)]
pub(super) struct TokenMap {
    statistic: Option<&'static StepStatistic>,
    drawn: Option<(u64, Option<&'static str>)>,
    texture: Option<TextureHandle>,
}

fn title(statistic: Option<&StepStatistic>) -> &'static str {
    statistic.map_or("tokens", |s| s.title)
}

/// Share of the colour scale, 0 to 1; `None` where the draw has not been computed.
fn share(statistic: Option<&StepStatistic>, id: u32, stats: Option<&TokenStats>, vocab: usize) -> Option<f64> {
    match statistic {
        None => Some((f64::from(id) / (vocab - 1) as f64).min(1.0)),
        Some(s) => stats.map(|stats| s.share(stats[s.stat], vocab)),
    }
}

pub(super) fn token_map_ui(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    let Some(model) = session.model_info() else { return };
    ui.horizontal(|ui| {
        let selected = &mut view.map.statistic;
        let combo = ComboBox::from_id_salt("statistic").selected_text(title(*selected));
        let shown = combo.show_ui(ui, |ui| {
            let plotted = STEP_STATISTICS.iter().filter(|s| s.plotted).map(Some);
            for statistic in std::iter::once(None).chain(plotted) {
                let current = title(statistic) == title(*selected);
                if ui.selectable_label(current, title(statistic)).clicked() {
                    *selected = statistic;
                }
            }
        });
        shown.response.accessible_name("What the map shows");
        ui.small("Codebook 0 is at the top. Click a cell to select its draw and hear its frame; Space plays on.");
    });
    let height = (ui.available_height() - 4.0).clamp(60.0, 34.0 * model.dims.codebooks as f32);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Token map"));
    ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    let (t, k) = (session.inspected.frames.len(), session.inspected.frames.codebooks());
    if t == 0 {
        let text = "Tokens appear here";
        ui.painter().text(
            rect.center(),
            egui::Align2::CENTER_CENTER,
            text,
            egui::FontId::proportional(13.0),
            ui.visuals().weak_text_color(),
        );
        return;
    }
    let texture = update_texture(ui, session, &mut view.map, &model);
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter().image(texture, rect, whole, Color32::WHITE);
    let size = vec2(rect.width() / t as f32, rect.height() / k as f32);
    let at = |p: egui::Pos2| {
        let frame = ((p.x - rect.left()) / size.x).max(0.0) as usize;
        (frame.min(t - 1), (((p.y - rect.top()) / size.y).max(0.0) as usize).min(k - 1))
    };
    if let Some((frame, codebook)) = view.cell.filter(|(frame, _)| *frame < t) {
        let cell = Rect::from_min_size(rect.min + vec2(frame as f32 * size.x, codebook as f32 * size.y), size);
        ui.painter().rect_stroke(
            cell.expand(1.0),
            1.0,
            (2.0, Color32::from_rgb(230, 60, 60)),
            egui::StrokeKind::Outside,
        );
    }
    let played = session.player.position() * model.dims.frame_rate;
    let x = rect.left() + (played as f32 * size.x).min(rect.width());
    ui.painter().vline(x, rect.y_range(), (1.5, Color32::WHITE));
    if let Some(p) = response.interact_pointer_pos().filter(|_| response.clicked()) {
        let cell = at(p);
        actions.push(Action::Select(Some(cell)));
        // What is selected is what is heard: this frame and nothing else.
        actions.push(Action::PlayRegion(model.dims.seconds(cell.0), model.dims.seconds(cell.0 + 1), false));
    }
    response.on_hover_ui_at_pointer(|ui| {
        if let Some(p) = ui.ctx().pointer_hover_pos() {
            let (frame, codebook) = at(p);
            let id = session.inspected.frames.frame(frame)[codebook];
            ui.label(format!("frame {frame}, codebook {codebook}: {}", model.describe_token(codebook, id)));
            if let Some(stats) = session.inspected.steps.get(frame).map(|s| &s[codebook]) {
                for s in STEP_STATISTICS.iter().filter(|s| s.plotted) {
                    ui.label(format!("{} {:.*} {}", s.title, s.digits, stats[s.stat], s.unit));
                }
            }
        }
    });
}

fn update_texture(ui: &Ui, session: &Session, map: &mut TokenMap, model: &ModelInfo) -> TextureId {
    let clip = &session.inspected;
    let now = (clip.version, map.statistic.map(|s| s.key));
    if map.drawn == Some(now)
        && let Some(texture) = &map.texture
    {
        return texture.id();
    }
    map.drawn = Some(now);
    let (t, k) = (clip.frames.len(), clip.frames.codebooks());
    let mut pixels = vec![Color32::GRAY; t * k];
    for (frame, ids) in clip.frames.frames().enumerate() {
        for (codebook, id) in ids.iter().enumerate() {
            let stats = clip.steps.get(frame).map(|s| &s[codebook]);
            if let Some(share) = share(map.statistic, *id, stats, model.dims.vocab) {
                let [r, g, b] = colour(share);
                pixels[codebook * t + frame] = Color32::from_rgb(r, g, b);
            }
        }
    }
    let image = ColorImage::new([t, k], pixels);
    match &mut map.texture {
        Some(texture) => {
            texture.set(image, TextureOptions::NEAREST);
            texture.id()
        }
        None => map.texture.insert(ui.ctx().load_texture("tokens", image, TextureOptions::NEAREST)).id(),
    }
}
