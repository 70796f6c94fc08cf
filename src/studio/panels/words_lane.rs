//! The lane of words.

use egui::{FontId, Rect, Sense, Ui, vec2};

use super::lane::Lane;
use crate::analysis::statistics::Stat;
use crate::data::ModelInfo;
use crate::studio::command::{Commands, VARIANTS};
use crate::studio::inspector::{CurrentClip, InspectorCommand, TimeAxis};
use crate::studio::monitor::MonitorCommand;
use crate::studio::session::Session;
use crate::studio::theme::Palette;

/// Height of the line under a word that shows its surprisal, and the mean surprisal in bits per token at the end of the ramp.
const SURPRISAL_LINE: f32 = 3.0;
const BRIGHTEST_WORD: f64 = 5.0;

/// Mean surprisal in bits of the tokens of `frames`, over all codebooks, if their draws are known.
fn mean_surprisal(current: &CurrentClip, frames: &std::ops::Range<usize>) -> Option<f64> {
    let steps = frames.clone().filter_map(|t| current.steps.get(t));
    let values = steps.flat_map(|step| step.stats.iter().map(|draw| draw[Stat::Surprisal])).filter(|v| v.is_finite());
    let (n, sum) = values.fold((0usize, 0.0), |(n, sum), value| (n + 1, sum + value));
    (n > 0).then(|| sum / n as f64)
}

/// The words of the clip: a click plays one, a double click selects it. Those that the attention passes over are faint; the line below a word
/// is its surprisal.
pub(super) fn words_ui(ui: &Ui, lane: Lane, session: &Session, model: &ModelInfo, commands: &mut Commands) {
    const CERTAIN: f64 = 0.3;
    let (palette, painter) = (Palette::of(ui.visuals()), ui.painter().with_clip_rect(lane.rect));
    let (current, position) = (&session.inspector.current, session.monitor.player.position());
    lane.name(ui, "words", ui.visuals().text_color());
    let frame_of = |seconds: f64| (seconds * model.dims.frame_rate).round() as usize;
    for (n, word) in current.words.iter().enumerate() {
        let rect = Rect::from_x_y_ranges(lane.x(word.start)..=lane.x(word.end), lane.rect.y_range());
        let visible = rect.intersect(lane.rect);
        if visible.width() < 2.0 {
            continue;
        }
        let response = ui.interact(visible, ui.scope_id().with(("word", n)), Sense::click());
        let certain = word.confidence >= CERTAIN;
        let name = format!("{} at {:.2} s", word.word, word.start);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        let is_spoken = (word.start..word.end).contains(&position) && !session.is_speaking();
        let inner = visible.shrink2(vec2(0.5, 1.0));
        if is_spoken || response.hovered() || response.has_focus() {
            let strength = if is_spoken { 0.55 } else { 0.3 };
            painter.rect_filled(inner, 2.0, ui.visuals().selection.bg_fill.gamma_multiply(strength));
        }
        painter.vline(rect.left(), lane.rect.y_range(), (1.0, palette.tertiary));
        let colour = if certain { ui.visuals().text_color() } else { palette.tertiary };
        let text = painter.layout_no_wrap(word.word.clone(), FontId::proportional(11.0), colour);
        let bits = mean_surprisal(current, &(frame_of(word.start)..frame_of(word.end)));
        if let Some(bits) = bits {
            let line = Rect::from_x_y_ranges(inner.x_range(), inner.bottom() - SURPRISAL_LINE..=inner.bottom());
            painter.rect_filled(line, 1.0, palette.ramp(bits / BRIGHTEST_WORD));
        }
        // A word that does not fit is left out rather than cut.
        if text.size().x + 6.0 <= visible.width() {
            painter.galley(visible.left_center() + vec2(4.0, -0.5 * text.size().y), text, colour);
        }
        let bits = bits.map_or(String::new(), |bits| format!(", surprisal {bits:.1} bits per token"));
        let tip = match certain {
            true => format!("{name}{bits}. Click plays it, double click selects it"),
            false => format!("{name}: not certain. The model's attention passes over it"),
        };
        let response = response.on_hover_text(tip);
        let frame =
            ((word.start * model.dims.frame_rate + 1e-9) as usize).min(current.clip.codes.len().saturating_sub(1));
        response.context_menu(|ui| {
            if ui.button("Zoom to this word").clicked() {
                let mut axis = TimeAxis::default();
                axis.show(word.start - 0.2, word.end + 0.2);
                commands.push(InspectorCommand::SetAxis(axis));
            }
            if ui.button("Loop this word").clicked() {
                commands.push(MonitorCommand::PlayRegion { from: word.start, to: word.end, looping: true });
            }
            let again = current.reproducible().is_some() && session.models.is_ready();
            let again = ui.add_enabled(again, egui::Button::new("Regenerate from this word"));
            if again.on_hover_text("A new take: unchanged up to this word, then another seed").clicked() {
                commands.push(InspectorCommand::Reseed(frame));
            }
            let can_retake = session.can_retake_words();
            let retake =
                ui.add_enabled(can_retake, egui::Button::new(format!("Say this word again ({VARIANTS} takes)")));
            if retake.on_hover_text("New takes with this word from other seeds; everything around it stays").clicked() {
                commands.push(InspectorCommand::RetakeWord { word: n, takes: VARIANTS });
            }
            take_words_ui(ui, session, n, commands);
        });
        if response.double_clicked() {
            commands.push(MonitorCommand::SelectRegion { from: word.start, to: word.end });
        } else if response.clicked() {
            commands.push(InspectorCommand::Select(Some((frame, session.inspector.view.codebook))));
            commands.push(MonitorCommand::PlayRegion { from: word.start, to: word.end, looping: false });
        }
    }
}

/// The pinned takes from which word `n`, or all selected words with it, can be taken.
fn take_words_ui(ui: &mut Ui, session: &Session, n: usize, commands: &mut Commands) {
    let words = session.words_with(n);
    let what = if words.len() == 1 { "this word".to_owned() } else { format!("these {} words", words.len()) };
    for (number, pinned) in session.word_sources() {
        let button = ui.button(format!("Take {what} from pinned {number}"));
        let tip = format!("A new take, with the sound of “{}” there and everything around it unchanged", pinned.name);
        if button.on_hover_text(tip).clicked() {
            commands.push(InspectorCommand::TakeWords { words: words.clone(), from: pinned.key.clone() });
            ui.close();
        }
    }
}
