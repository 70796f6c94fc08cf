//! The next-token distribution of the selected draw: its candidates as a table and as a plot.

use egui::{Button, Color32, ComboBox, Frame, RichText, Sense, Ui, vec2};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, Plot};

use super::{Panel, Slot};
use crate::analysis::statistics::STEP_STATISTICS;
use crate::analysis::steps::Candidate;
use crate::data::ModelInfo;
use crate::studio::command::Commands;
use crate::studio::inspector::InspectorCommand;
use crate::studio::monitor::MonitorCommand;
use crate::studio::session::Session;

/// Candidates that are listed.
const CANDIDATES: usize = 9;
/// Width of the table of candidates.
const TABLE: f32 = 480.0;
/// Least width of the plot.
const LEAST_PLOT: f32 = 110.0;
/// Width of the column of labels.
const LABEL: f32 = 96.0;
/// Bars of the model's distribution and of the distribution after sampling settings, and the mark of the token that was taken.
const MODEL: Color32 = Color32::from_rgb(125, 160, 200);
const SAMPLER: Color32 = Color32::from_rgb(50, 110, 190);
const TAKEN: Color32 = Color32::from_rgb(205, 60, 60);

pub(super) struct Candidates;

impl Panel for Candidates {
    fn title(&self) -> &'static str {
        "Candidates"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(model) = session.models.info() else { return };
        let draw = session.inspector.view.draw(&session.inspector.current);
        draw_ui(ui, session, model, draw, commands);
        let candidates = draw.map(|draw| candidates(session, draw)).unwrap_or_default();
        ui.horizontal_top(|ui| {
            let plot =
                Some(ui.available_width() - TABLE).filter(|left| *left >= LEAST_PLOT).map(|left| left.min(460.0));
            let table = vec2(ui.available_width() - plot.map_or(0.0, |plot| plot + 8.0), ui.available_height());
            ui.allocate_ui(table, |ui| table_ui(ui, session, model, draw, &candidates, commands));
            if plot.is_some() {
                plot_ui(ui, &candidates);
            }
        });
    }
}

/// Statistics of the selected draw, and what can be done from its frame. One line, so that nothing moves.
fn draw_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, draw: Option<(usize, usize)>, commands: &mut Commands) {
    ui.horizontal(|ui| {
        let mut codebook = session.inspector.view.codebook;
        let combo = ComboBox::from_id_salt("codebook").width(90.0).selected_text(format!("codebook {codebook}"));
        let shown = combo.show_ui(ui, |ui| {
            for k in 0..model.dims.codebooks {
                ui.selectable_value(&mut codebook, k, format!("codebook {k}"));
            }
        });
        if codebook != session.inspector.view.codebook {
            commands.push(InspectorCommand::SelectCodebook(codebook));
        }
        shown.response.accessible_name("Codebook of the plots");
        let Some((t, k)) = draw else { return };
        if session.inspector.view.cell.is_some()
            && session.inspector.current.take.is_some()
            && session.models.is_ready()
        {
            ui.menu_button("From here ▼", |ui| {
                let mut entry = |ui: &mut Ui, text: &str, tip: &str, command: InspectorCommand| {
                    if ui.button(text).on_hover_text(tip).clicked() {
                        commands.push(command);
                        ui.close();
                    }
                };
                entry(
                    ui,
                    "New seed",
                    "A new take: unchanged up to here, then another seed (R)",
                    InspectorCommand::Reseed(t),
                );
                let tip = "A new take: unchanged up to here, then with the settings on the left and the same noise";
                entry(ui, "Current settings", tip, InspectorCommand::Resume(t));
            });
        }
        let shown = STEP_STATISTICS.iter().filter(|x| x.in_tables);
        let stats = &session.inspector.current.steps[t].stats[k];
        let values: Vec<String> =
            shown.map(|x| format!("{} {:.*} {}", x.title, x.digits, stats[x.stat], x.unit).trim().to_owned()).collect();
        let text = format!("frame {t} · {}", values.join(" · "));
        ui.add(egui::Label::new(RichText::new(text).small()).truncate());
    });
}

fn candidates(session: &Session, (t, k): (usize, usize)) -> Vec<Candidate> {
    let current = &session.inspector.current;
    current.steps[t].candidates(k, current.clip.codes.frame(t)[k], CANDIDATES)
}

fn table_ui(
    ui: &mut Ui,
    session: &Session,
    model: &ModelInfo,
    draw: Option<(usize, usize)>,
    candidates: &[Candidate],
    commands: &mut Commands,
) {
    let can_use = session.inspector.current.take.is_some() && session.models.is_ready();
    egui::ScrollArea::both().id_salt("candidates").auto_shrink(false).show(ui, |ui| {
        let grid = egui::Grid::new("candidates").num_columns(8).min_col_width(8.0).spacing([8.0, 2.0]).striped(true);
        grid.show(ui, |ui| {
            for heading in ["", "label", "id", "model", "after sampling", "cumulative", "", ""] {
                ui.small(heading);
            }
            ui.end_row();
            for c in candidates {
                ui.small(RichText::new(if c.taken { "●" } else { "" }).color(TAKEN));
                let label = draw.map_or("", |(_, k)| model.label(k, c.id));
                let label = if label.is_empty() { "–" } else { label };
                ui.allocate_ui(vec2(LABEL, ui.spacing().interact_size.y), |ui| {
                    ui.set_min_width(LABEL);
                    ui.add(egui::Label::new(label).truncate());
                });
                ui.label(c.id.to_string());
                share_ui(ui, c.model, MODEL);
                share_ui(ui, c.sampler, SAMPLER);
                ui.label(percent(c.cumulative));
                let play = ui.add_enabled(session.models.is_ready(), Button::new("▶").small());
                let play = play.on_hover_text("Play the clip around this frame with this token; nothing is kept");
                if play.accessible_name(format!("Play token {}", c.id)).clicked()
                    && let Some((t, k)) = draw
                {
                    commands.push(MonitorCommand::Audition { frame: t, codebook: k, token: c.id });
                }
                let text = if c.taken { "taken" } else { "Use" };
                let button = ui.add_enabled(can_use && !c.taken, Button::new(text).small());
                let button = button.on_hover_text("A new take with this token here, and the same seed from there on");
                if button.accessible_name(format!("Use token {}", c.id)).clicked()
                    && let Some((t, k)) = draw
                {
                    commands.push(InspectorCommand::UseToken { frame: t, codebook: k, token: c.id });
                }
                ui.end_row();
            }
        });
    });
}

/// A share as a bar with its number.
fn share_ui(ui: &mut Ui, share: f32, colour: Color32) {
    Frame::NONE.show(ui, |ui| {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(28.0, 8.0), Sense::hover());
            ui.painter().rect_filled(rect, 1.0, ui.visuals().extreme_bg_color);
            ui.painter().rect_filled(rect.with_max_x(rect.left() + share * rect.width()), 1.0, colour);
            ui.label(percent(share));
        });
    });
}

fn percent(share: f32) -> String {
    match f64::from(share) * 100.0 {
        0.0 => "0 %".into(),
        tiny if tiny < 0.05 => "< 0.1 %".into(),
        percent => format!("{percent:.1} %"),
    }
}

fn plot_ui(ui: &mut Ui, candidates: &[Candidate]) {
    let bars = |of: fn(&Candidate) -> f32, shift: f64, colour: Color32| {
        let bar = move |(n, c): (usize, &Candidate)| {
            let bar = Bar::new(n as f64 + shift, f64::from(of(c))).width(0.38).fill(colour).name(c.id);
            if c.taken { bar.stroke((1.5, TAKEN)) } else { bar }
        };
        candidates.iter().enumerate().map(bar).collect::<Vec<_>>()
    };
    let names: Vec<String> = candidates.iter().map(|c| c.id.to_string()).collect();
    let plot = Plot::new("candidates")
        .height(ui.available_height() - 4.0)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .x_grid_spacer(|_| (0..CANDIDATES).map(|n| GridMark { value: n as f64, step_size: 1.5 }).collect())
        .include_x(-0.6)
        .include_x(CANDIDATES as f64 - 0.4)
        .include_y(0.0)
        .custom_x_axes(vec![AxisHints::new_x().label_spacing(24.0..=40.0).formatter(move |mark, _| {
            let at = mark.value.round();
            let name = if (mark.value - at).abs() < 0.01 && at >= 0.0 { names.get(at as usize) } else { None };
            name.cloned().unwrap_or_default()
        })]);
    plot.show(ui, |plot| {
        plot.bar_chart(BarChart::new("model", bars(|c| c.model, -0.2, MODEL)).color(MODEL));
        plot.bar_chart(BarChart::new("after sampling", bars(|c| c.sampler, 0.2, SAMPLER)).color(SAMPLER));
    });
}
