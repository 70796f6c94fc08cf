//! The next-token distribution of the selected draw: its candidates as a table and as a plot.

use egui::{Button, Color32, ComboBox, Frame, RichText, Sense, Ui, vec2};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, Plot};

use super::{Panel, Slot};
use crate::analysis::statistics::{STEP_STATISTICS, distributions};
use crate::analysis::top_ids;
use crate::data::ModelInfo;
use crate::studio::command::Command;
use crate::studio::session::Session;

/// Candidates shown.
const CANDIDATES: usize = 9;
/// Width of the table.
const TABLE: f32 = 480.0;
/// Width from which the plot is worth its place.
const LEAST_PLOT: f32 = 110.0;
/// Width of the column that says what a token means.
const SAYS: f32 = 96.0;
/// Bars of the model's distribution and of that after sampling, and the mark of the token that was chosen.
const MODEL: Color32 = Color32::from_rgb(125, 160, 200);
const SAMPLER: Color32 = Color32::from_rgb(50, 110, 190);
const CHOSEN: Color32 = Color32::from_rgb(205, 60, 60);

/// A token that could have been drawn.
struct Candidate {
    id: u32,
    label: String,
    model: f32,
    sampler: f32,
    /// The model's probability of this one and all more likely ones.
    cumulative: f32,
    chosen: bool,
}

/// The panel.
pub(super) struct Candidates;

impl Panel for Candidates {
    fn title(&self) -> &'static str {
        "Candidates"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        let Some(model) = session.model_info() else { return };
        let draw = session.view.draw(&session.inspected);
        draw_ui(ui, session, &model, draw, commands);
        let candidates = draw.map(|draw| candidates(session, &model, draw)).unwrap_or_default();
        ui.horizontal_top(|ui| {
            let plot =
                Some(ui.available_width() - TABLE).filter(|left| *left >= LEAST_PLOT).map(|left| left.min(460.0));
            let table = vec2(ui.available_width() - plot.map_or(0.0, |plot| plot + 8.0), ui.available_height());
            ui.allocate_ui(table, |ui| table_ui(ui, session, draw, &candidates, commands));
            if plot.is_some() {
                plot_ui(ui, &candidates);
            }
        });
    }
}

/// The selected draw in numbers, and what can be done from there. One line, so that nothing moves.
fn draw_ui(
    ui: &mut Ui,
    session: &Session,
    model: &ModelInfo,
    draw: Option<(usize, usize)>,
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        let mut codebook = session.view.codebook;
        let combo = ComboBox::from_id_salt("codebook").width(90.0).selected_text(format!("codebook {codebook}"));
        let shown = combo.show_ui(ui, |ui| {
            for k in 0..model.dims.codebooks {
                ui.selectable_value(&mut codebook, k, format!("codebook {k}"));
            }
        });
        if codebook != session.view.codebook {
            commands.push(Command::SelectCodebook(codebook));
        }
        shown.response.accessible_name("Codebook of the plots");
        let Some((t, k)) = draw else { return };
        if session.view.cell.is_some() && session.inspected.take.is_some() && session.is_ready() {
            ui.menu_button("From here ▼", |ui| {
                let mut entry = |ui: &mut Ui, text: &str, tip: &str, command: Command| {
                    if ui.button(text).on_hover_text(tip).clicked() {
                        commands.push(command);
                        ui.close();
                    }
                };
                entry(ui, "New seed", "A new take: unchanged up to here, then other noise (R)", Command::Reseed(t));
                let tip = "A new take: unchanged up to here, then with the settings on the left and the same noise";
                entry(ui, "Current settings", tip, Command::Resume(t));
            });
        }
        let shown = STEP_STATISTICS.iter().filter(|x| x.in_tables);
        let steps = &session.inspected.steps[t][k];
        let values: Vec<String> =
            shown.map(|x| format!("{} {:.*} {}", x.title, x.digits, steps[x.stat], x.unit).trim().to_owned()).collect();
        let text = format!("frame {t} · {}", values.join(" · "));
        ui.add(egui::Label::new(RichText::new(text).small()).truncate());
    });
}

fn candidates(session: &Session, model: &ModelInfo, (t, k): (usize, usize)) -> Vec<Candidate> {
    let clip = &session.inspected;
    let sampling = &clip.samplings[t];
    let (p, q) = distributions(clip.logits[t].row(k), sampling.params_for(k), sampling.guard);
    let chosen = clip.frames.frame(t)[k];
    let mut ids = top_ids(&p, CANDIDATES.min(model.dims.vocab));
    if !ids.contains(&(chosen as usize)) {
        ids.pop();
        ids.push(chosen as usize);
    }
    let candidate = |id: usize| Candidate {
        id: id as u32,
        label: model.label(k, id as u32).to_owned(),
        model: p[id],
        sampler: q[id],
        cumulative: p.iter().filter(|other| **other >= p[id]).sum(),
        chosen: id as u32 == chosen,
    };
    ids.into_iter().map(candidate).collect()
}

fn table_ui(
    ui: &mut Ui,
    session: &Session,
    draw: Option<(usize, usize)>,
    candidates: &[Candidate],
    commands: &mut Vec<Command>,
) {
    let can_use = session.inspected.take.is_some() && session.is_ready();
    egui::ScrollArea::both().id_salt("candidates").auto_shrink(false).show(ui, |ui| {
        let grid = egui::Grid::new("candidates").num_columns(8).min_col_width(8.0).spacing([8.0, 2.0]).striped(true);
        grid.show(ui, |ui| {
            for heading in ["", "says", "id", "model", "after sampling", "cumulative", "", ""] {
                ui.small(heading);
            }
            ui.end_row();
            for c in candidates {
                ui.small(RichText::new(if c.chosen { "●" } else { "" }).color(CHOSEN));
                let label = if c.label.is_empty() { "–" } else { &c.label };
                ui.allocate_ui(vec2(SAYS, ui.spacing().interact_size.y), |ui| {
                    ui.set_min_width(SAYS);
                    ui.add(egui::Label::new(label).truncate());
                });
                ui.label(c.id.to_string());
                share_ui(ui, c.model, MODEL);
                share_ui(ui, c.sampler, SAMPLER);
                ui.label(percent(c.cumulative));
                let play = ui.add_enabled(session.is_ready(), Button::new("▶").small());
                let play = play.on_hover_text("Hear this token in its place, without keeping it");
                if play.accessible_name(format!("Play token {}", c.id)).clicked()
                    && let Some((t, k)) = draw
                {
                    commands.push(Command::Audition(t, k, c.id));
                }
                let text = if c.chosen { "chosen" } else { "Use" };
                let button = ui.add_enabled(can_use && !c.chosen, Button::new(text).small());
                let button = button.on_hover_text("A new take with this token here, and the same seed from there on");
                if button.accessible_name(format!("Use token {}", c.id)).clicked()
                    && let Some((t, k)) = draw
                {
                    commands.push(Command::UseToken(t, k, c.id));
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
            if c.chosen { bar.stroke((1.5, CHOSEN)) } else { bar }
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
