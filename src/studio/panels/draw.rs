//! The draw: what a token was drawn from, live. It follows the newest frame, the playhead or the selection.

use egui::{Align, Button, ComboBox, Label, Layout, RichText, Sense, Ui, Vec2, vec2};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, Line, LineStyle, Plot, Points, VLine};

use super::{Panel, Slot};
use crate::analysis::draw::{DrawDistribution, draw_distribution};
use crate::analysis::statistics::{STEP_STATISTICS, Stat};
use crate::analysis::steps::candidates;
use crate::data::{Logits, ModelInfo, Sampling};
use crate::studio::command::Commands;
use crate::studio::inspector::{Followed, InspectorCommand};
use crate::studio::memo::{ByAddress, Memo};
use crate::studio::monitor::MonitorCommand;
use crate::studio::session::Session;
use crate::studio::theme::{Palette, icon};

/// Fewest and most tokens that are listed.
const ROWS: (usize, usize) = (5, 12);
/// Height of a row of a token.
const ROW: f32 = 22.0;
/// Widths of the columns: label and id, probability and buttons, mass and codebooks (where room is short, else), numbers.
const LABEL: f32 = 136.0;
/// Width of the first column if the model has no labels.
const ID: f32 = 84.0;
const FIGURES: f32 = 134.0;
/// Width of the bars below which other columns go, and their least width.
const LEAST_BARS: f32 = 112.0;
const NARROWEST_BARS: f32 = 40.0;
const MASS: (f32, f32) = (120.0, 176.0);
const CODEBOOKS: (f32, f32) = (112.0, 150.0);
const NUMBERS: f32 = 148.0;
/// Smallest probability that a logarithmic scale shows.
const LEAST_PROBABILITY: f64 = 1e-4;
/// Width from which position and codebook are in one line.
const ONE_LINE: f32 = 600.0;
/// Codebooks that have a button each; more are a menu.
const BUTTONS: usize = 8;

#[derive(Default)]
pub(super) struct DrawPanel {
    picture: Memo<PictureKey, Picture>,
    logarithmic: bool,
}

/// Inputs of a picture.
#[derive(PartialEq)]
struct PictureKey {
    logits: ByAddress<Logits>,
    codebook: usize,
    taken: u32,
    rows: usize,
    /// Settings of the next take.
    next: Sampling,
}

struct Picture {
    draw: DrawDistribution,
    /// Probabilities of the candidates with the settings of the next take, if those differ.
    next: Option<Vec<f32>>,
}

impl Panel for DrawPanel {
    fn title(&self) -> &'static str {
        "Draw"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(model) = session.models.info() else { return };
        let followed = session.draw();
        header_ui(ui, session, model, followed, &mut self.logarithmic, commands);
        let Some((_, (t, k))) = followed else {
            ui.weak("Speak a line: the probabilities of every token appear here while it is drawn.");
            return;
        };
        let current = &session.inspector.current;
        let (step, taken) = (&current.steps[t], current.clip.codes.frame(t)[k]);
        let rows = ((ui.available_height() / ROW) as usize).saturating_sub(1).clamp(ROWS.0, ROWS.1);
        let next = session.composer.sampling;
        let key = PictureKey { logits: ByAddress(step.logits.clone()), codebook: k, taken, rows, next };
        let picture = self.picture.get(key, || {
            let differs = (next.params_for(k), next.guard) != (step.sampling.params_for(k), step.sampling.guard);
            let ghosts = || candidates(&step.logits, k, &next, taken, rows).iter().map(|c| c.sampler).collect();
            Picture {
                draw: draw_distribution(&step.logits, k, &step.sampling, taken, rows),
                next: differs.then(ghosts),
            }
        });
        let columns = Columns::new(ui.available_width(), label_width(model));
        let height = (rows + 1) as f32 * ROW;
        egui::ScrollArea::vertical().id_salt("draw").auto_shrink(false).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing = vec2(8.0, 0.0);
                tokens_ui(ui, session, model, (t, k), picture, columns.bars, self.logarithmic, commands);
                if let Some(width) = columns.mass {
                    ui.add_space(8.0);
                    mass_ui(ui, &picture.draw, vec2(width, height));
                }
                if let Some(width) = columns.codebooks {
                    ui.add_space(8.0);
                    codebooks_ui(ui, session, (t, k), vec2(width, height), commands);
                }
                if columns.numbers {
                    ui.add_space(8.0);
                    numbers_ui(ui, session, (t, k));
                }
            });
        });
    }
}

fn label_width(model: &ModelInfo) -> f32 {
    if model.labels.is_some() { LABEL } else { ID }
}

/// Which columns there is room for. The bars always stay.
struct Columns {
    bars: f32,
    /// Width of the curve of the mass.
    mass: Option<f32>,
    /// Width of the entropies by codebook.
    codebooks: Option<f32>,
    numbers: bool,
}

impl Columns {
    /// `label` is the width of the column of labels.
    fn new(width: f32, label: f32) -> Self {
        let mut left = width - label - FIGURES - 24.0 - LEAST_BARS;
        let wide = left >= CODEBOOKS.1 + MASS.1 + 32.0;
        let mut fits = |column: f32| {
            let fits = left >= column + 16.0;
            if fits {
                left -= column + 16.0;
            }
            fits
        };
        let of = |(least, most)| if wide { most } else { least };
        let mut column = |width| fits(width).then_some(width);
        let (codebooks, mass) = (column(of(CODEBOOKS)), column(of(MASS)));
        let numbers = fits(NUMBERS);
        Self { bars: (LEAST_BARS + left).max(NARROWEST_BARS), mass, codebooks, numbers }
    }
}

/// The followed position, the codebook, and actions from here.
fn header_ui(
    ui: &mut Ui,
    session: &Session,
    model: &ModelInfo,
    followed: Option<(Followed, (usize, usize))>,
    logarithmic: &mut bool,
    commands: &mut Commands,
) {
    let palette = Palette::of(ui.visuals());
    let wide = ui.available_width() >= ONE_LINE;
    ui.horizontal(|ui| {
        if let Some((followed, (t, _))) = followed {
            let at = format!("frame {t} · {:.2} s", model.dims.seconds(t));
            match followed {
                Followed::Newest => {
                    ui.label(RichText::new("● Live").color(palette.ok)).on_hover_text("The newest draw");
                    ui.monospace(at);
                }
                Followed::Playhead => {
                    ui.label(RichText::new(format!("{} Following", icon::PLAY)).color(palette.accent))
                        .on_hover_text("The draw under the playhead");
                    ui.monospace(at);
                }
                Followed::Selected => {
                    let text = RichText::new(format!("{} {at} {}", icon::SELECTED, icon::CLOSE)).monospace();
                    let chip = ui.button(text).on_hover_text("Follow the playhead again (F)");
                    if chip.accessible_name("Follow the playhead").clicked() {
                        commands.push(InspectorCommand::Select(None));
                    }
                }
            }
        }
        if wide {
            codebook_ui(ui, session, model, commands);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some((_, (t, _))) = followed {
                let can = session.inspector.current.take.is_some() && session.models.is_ready();
                let name = if wide { "Regenerate from here" } else { "Regenerate" };
                ui.add_enabled_ui(can, |ui| from_here_ui(ui, name, t, commands));
            }
            if wide {
                scale_ui(ui, logarithmic);
            }
        });
    });
    if !wide {
        ui.horizontal(|ui| {
            codebook_ui(ui, session, model, commands);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| scale_ui(ui, logarithmic));
        });
    }
}

fn scale_ui(ui: &mut Ui, logarithmic: &mut bool) {
    ui.toggle_value(logarithmic, "log").on_hover_text("Logarithmic scale, from 0.01 %");
}

fn from_here_ui(ui: &mut Ui, name: &str, t: usize, commands: &mut Commands) {
    let menu = ui.menu_button(format!("{name} {}", icon::MENU), |ui| {
        for (text, tip, command) in [
            ("New seed", "A new take: unchanged up to here, then another seed (R)", InspectorCommand::Reseed(t)),
            (
                "Current settings",
                "A new take: unchanged up to here, then with the settings on the left and the same noise",
                InspectorCommand::Resume(t),
            ),
        ] {
            if ui.button(text).on_hover_text(tip).clicked() {
                commands.push(command);
                ui.close();
            }
        }
    });
    menu.response.accessible_name("Regenerate from here");
}

fn codebook_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, commands: &mut Commands) {
    let mut codebook = session.inspector.view.codebook.min(model.dims.codebooks - 1);
    let before = codebook;
    ui.weak("codebook");
    if model.dims.codebooks <= BUTTONS {
        ui.spacing_mut().item_spacing.x = 2.0;
        for k in 0..model.dims.codebooks {
            ui.selectable_value(&mut codebook, k, k.to_string()).accessible_name(format!("Codebook {k}"));
        }
    } else {
        let combo = ComboBox::from_id_salt("codebook").width(48.0).selected_text(codebook.to_string());
        let shown = combo.show_ui(ui, |ui| {
            for k in 0..model.dims.codebooks {
                ui.selectable_value(&mut codebook, k, k.to_string());
            }
        });
        shown.response.accessible_name("Codebook");
    }
    if codebook != before {
        commands.push(InspectorCommand::SelectCodebook(codebook));
    }
}

/// Rows of tokens with their bars: outlined before sampling, filled after it.
fn tokens_ui(
    ui: &mut Ui,
    session: &Session,
    model: &ModelInfo,
    (t, k): (usize, usize),
    picture: &Picture,
    width: f32,
    logarithmic: bool,
    commands: &mut Commands,
) {
    let palette = Palette::of(ui.visuals());
    let (draw, label) = (&picture.draw, label_width(model));
    let word = session.inspector.current.word_at(model.dims.seconds(t));
    let word = word.map_or(String::new(), |word| format!(", in “{}”", word.word));
    let describe = |id: u32| format!("{}{word}", model.describe_token(k, id));
    ui.vertical(|ui| {
        for c in &draw.candidates {
            ui.allocate_ui_with_layout(vec2(label, ROW), Layout::right_to_left(Align::Center), |ui| {
                ui.set_min_size(vec2(label, ROW));
                let colour = if c.taken { palette.chosen } else { palette.tertiary };
                ui.label(RichText::new(c.id.to_string()).monospace().color(colour)).on_hover_text(describe(c.id));
                if model.labels.is_none() {
                    return;
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let label = model.label(k, c.id);
                    let text = RichText::new(if label.is_empty() { "–" } else { label });
                    let text = if c.taken { text.color(palette.chosen) } else { text };
                    ui.add(Label::new(text).truncate()).on_hover_text(describe(c.id));
                });
            });
        }
        ui.allocate_ui_with_layout(vec2(label, ROW), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_size(vec2(label, ROW));
            ui.weak(format!("{} others", draw.others));
        });
    });
    bars_ui(ui, picture, width, logarithmic);
    ui.vertical(|ui| {
        let can_use = session.inspector.current.take.is_some() && session.models.is_ready();
        for c in &draw.candidates {
            ui.allocate_ui_with_layout(vec2(FIGURES, ROW), Layout::right_to_left(Align::Center), |ui| {
                ui.set_min_size(vec2(FIGURES, ROW));
                ui.spacing_mut().item_spacing.x = 4.0;
                let text = if c.taken { "drawn" } else { "Use" };
                let button = ui.add_enabled(can_use && !c.taken, Button::new(text).small().min_size(vec2(44.0, 18.0)));
                let button = button.on_hover_text("A new take with this token here, and the same seed from there on");
                if button.accessible_name(format!("Use token {}", c.id)).clicked() {
                    commands.push(InspectorCommand::UseToken { frame: t, codebook: k, token: c.id });
                }
                let play = ui.add_enabled(session.models.is_ready(), Button::new(icon::PLAY).small());
                let play = play.on_hover_text("Play the clip around this frame with this token; nothing is kept");
                if play.accessible_name(format!("Play token {}", c.id)).clicked() {
                    commands.push(MonitorCommand::Audition { frame: t, codebook: k, token: c.id });
                }
                let share = RichText::new(percent(c.sampler)).monospace();
                let share = if c.taken { share.color(palette.chosen) } else { share };
                ui.label(share).on_hover_text(format!("{} before sampling", percent(c.model)));
            });
        }
        ui.allocate_ui_with_layout(vec2(FIGURES - 78.0, ROW), Layout::right_to_left(Align::Center), |ui| {
            ui.set_min_size(vec2(FIGURES - 78.0, ROW));
            ui.label(RichText::new(percent(draw.others_mass.1)).monospace().color(palette.tertiary))
                .on_hover_text(format!("{} before sampling", percent(draw.others_mass.0)));
        });
    });
}

fn percent(share: f32) -> String {
    match f64::from(share) * 100.0 {
        0.0 => "0 %".into(),
        tiny if tiny < 0.05 => "<0.1 %".into(),
        percent => format!("{percent:.1} %"),
    }
}

/// A plot that neither scrolls nor zooms.
pub(super) fn still_plot<'a>(name: &'static str) -> Plot<'a> {
    Plot::new(name).allow_scroll(false).allow_drag(false).allow_zoom(false).allow_boxed_zoom(false)
}

/// The bars, row by row next to the labels.
fn bars_ui(ui: &mut Ui, picture: &Picture, width: f32, logarithmic: bool) {
    let palette = Palette::of(ui.visuals());
    let draw = &picture.draw;
    let rows = draw.candidates.len() + 1;
    let place = move |share: f32| match logarithmic {
        true => 1.0 - f64::from(share).max(LEAST_PROBABILITY).log10() / LEAST_PROBABILITY.log10(),
        false => f64::from(share),
    };
    let marks: Vec<f64> = match logarithmic {
        true => (0..=4).map(|n| f64::from(n) / 4.0).collect(),
        false => (0..=5).map(|n| f64::from(n) / 5.0).collect(),
    };
    let of_others = |share: f32| (draw.candidates.len(), share, false);
    let shares = |of: fn(&crate::analysis::steps::Candidate) -> f32| {
        draw.candidates.iter().enumerate().map(move |(n, c)| (n, of(c), c.taken))
    };
    let bar = move |n: usize, share: f32, shift: f64, thick: f64| Bar::new(shift - n as f64, place(share)).width(thick);
    let before = shares(|c| c.model)
        .chain([of_others(draw.others_mass.0)])
        .map(|(n, share, _)| bar(n, share, 0.22, 0.26).fill(egui::Color32::TRANSPARENT).stroke((1.0, palette.before)));
    let after = shares(|c| c.sampler).chain([of_others(draw.others_mass.1)]).map(|(n, share, taken)| {
        let colour = if taken { palette.chosen } else { palette.accent };
        bar(n, share, -0.16, 0.4).fill(colour).stroke((0.0, colour))
    });
    let ghosts = picture
        .next
        .iter()
        .flatten()
        .enumerate()
        .map(|(n, share)| bar(n, *share, -0.16, 0.52).fill(egui::Color32::TRANSPARENT).stroke((1.5, palette.text)));
    let (before, after, ghosts) = (before.collect::<Vec<_>>(), after.collect::<Vec<_>>(), ghosts.collect::<Vec<_>>());
    let names: Vec<String> = draw.candidates.iter().map(|c| c.id.to_string()).chain(["others".into()]).collect();
    let plot = still_plot("probabilities")
        .width(width)
        .height(rows as f32 * ROW)
        .show_axes(false)
        .show_grid([true, false])
        .grid_color(palette.line)
        .x_grid_spacer(move |_| marks.iter().map(|value| GridMark { value: *value, step_size: 0.25 }).collect())
        .allow_double_click_reset(false)
        .set_margin_fraction(Vec2::ZERO)
        .show_x(false)
        .show_y(false)
        .cursor_color(egui::Color32::TRANSPARENT)
        .sense(Sense::hover())
        .default_x_bounds(0.0, 1.02)
        .default_y_bounds(0.5 - rows as f64, 0.5);
    let response = plot.show(ui, |plot| {
        plot.set_plot_bounds_x(0.0..=1.02);
        plot.set_plot_bounds_y(0.5 - rows as f64..=0.5);
        plot.bar_chart(BarChart::new("before sampling", before).horizontal().allow_hover(false));
        plot.bar_chart(BarChart::new("after sampling", after).horizontal().allow_hover(false));
        plot.bar_chart(BarChart::new("with the settings of the next take", ghosts).horizontal().allow_hover(false));
        plot.pointer_coordinate().map(|p| (-p.y).round().max(0.0) as usize)
    });
    let over = response.inner.filter(|n| *n < names.len());
    let scale = if logarithmic { "logarithmic, 0.01 % to 100 %" } else { "0 to 100 %" };
    response.response.on_hover_ui_at_pointer(|ui| {
        let Some(n) = over else { return };
        ui.strong(&names[n]);
        let (p, q) = draw.candidates.get(n).map_or(draw.others_mass, |c| (c.model, c.sampler));
        ui.label(format!("{} before sampling (outline)", percent(p)));
        ui.label(format!("{} after sampling (filled)", percent(q)));
        if let Some(next) = picture.next.as_ref().and_then(|next| next.get(n)) {
            ui.label(format!("{} with the settings on the left (white outline)", percent(*next)));
        }
        ui.small(scale);
    });
}

/// The model's mass by rank, and where sampling cuts it.
fn mass_ui(ui: &mut Ui, draw: &DrawDistribution, size: Vec2) {
    let palette = Palette::of(ui.visuals());
    ui.vertical(|ui| {
        ui.set_width(size.x);
        let all = draw.cumulative.len();
        // Every rank at first, then ever fewer: the axis is logarithmic.
        let mut ranks = vec![];
        let mut rank = 1;
        while rank <= all {
            ranks.push(rank);
            rank += (rank / 12).max(1);
        }
        let points: Vec<[f64; 2]> =
            ranks.iter().map(|rank| [(*rank as f64).log10(), f64::from(draw.cumulative[rank - 1])]).collect();
        let text = format!("keeps {} · {}", draw.kept, percent(draw.kept_mass));
        let tip = format!("Tokens of {all} that could be drawn, and the model's probability of all of them");
        ui.small(text).on_hover_text(tip);
        let taken = draw.candidates.iter().find(|c| c.taken).map(|c| {
            let rank = draw.cumulative.iter().take_while(|mass| **mass < c.cumulative - 1e-6).count() + 1;
            [(rank as f64).log10(), f64::from(c.cumulative)]
        });
        let kept = (draw.kept as f64).log10();
        still_plot("mass")
            .width(size.x)
            .height(size.y - 18.0)
            .include_y(0.0)
            .include_y(1.0)
            .include_x(0.0)
            .grid_color(palette.line)
            .x_grid_spacer(|_| (0..5).map(|n| GridMark { value: f64::from(n), step_size: 1.0 }).collect())
            .y_grid_spacer(|_| [0.0, 0.5, 1.0].map(|value| GridMark { value, step_size: 0.5 }).to_vec())
            .x_axis_formatter(|mark, _| format!("{:.0}", 10f64.powf(mark.value)))
            .y_axis_formatter(|mark, _| format!("{:.0} %", 100.0 * mark.value))
            .label_formatter(|hover| {
                let p = match hover {
                    egui_plot::HoverPosition::NearDataPoint { position, .. } => position,
                    egui_plot::HoverPosition::Elsewhere { position } => position,
                };
                Some(format!("the {:.0} likeliest: {:.1} %", 10f64.powf(p.x), 100.0 * p.y))
            })
            .show(ui, |plot| {
                plot.line(Line::new("mass by rank", points).color(palette.before).width(1.5));
                plot.vline(VLine::new("cut", kept).color(palette.accent).style(LineStyle::dashed_dense()));
                plot.points(
                    Points::new("drawn", taken.into_iter().collect::<Vec<_>>()).color(palette.chosen).radius(4.0),
                );
            });
    });
}

/// The entropy of every codebook in this frame; a click chooses the codebook.
fn codebooks_ui(ui: &mut Ui, session: &Session, (t, k): (usize, usize), size: Vec2, commands: &mut Commands) {
    let palette = Palette::of(ui.visuals());
    let stats = &session.inspector.current.steps[t].stats;
    let bars = stats.iter().enumerate().map(|(n, stats)| {
        let colour = if n == k { palette.accent } else { palette.before };
        Bar::new(n as f64, stats[Stat::Entropy]).width(0.7).fill(colour).stroke((0.0, colour)).name(n)
    });
    let bars: Vec<Bar> = bars.collect();
    let (last, every) = (stats.len() - 1, if stats.len() <= BUTTONS { 1 } else { stats.len().div_ceil(4) });
    // A scale that does not change with every frame.
    let most = stats.iter().map(|stats| stats[Stat::Entropy]).fold(0.0, f64::max);
    let top = [2.0, 4.0, 6.0, 8.0].into_iter().find(|top| *top >= most).unwrap_or(most.ceil());
    ui.vertical(|ui| {
        ui.set_width(size.x);
        ui.small("entropy, bits").on_hover_text("Entropy of each codebook's draw in this frame");
        let plot = still_plot("codebooks")
            .width(size.x)
            .height(size.y - 18.0)
            .include_y(0.0)
            .include_y(top)
            .include_x(-0.6)
            .include_x(stats.len() as f64 - 0.4)
            .show_grid([false, true])
            .grid_color(palette.line)
            .x_grid_spacer(move |_| {
                (0..=last).step_by(every).map(|n| GridMark { value: n as f64, step_size: every as f64 }).collect()
            })
            .y_grid_spacer(move |_| {
                [0.0, top / 2.0, top].map(|value| GridMark { value, step_size: top / 2.0 }).to_vec()
            })
            .custom_x_axes(vec![
                AxisHints::new_x().label_spacing(8.0..=12.0).formatter(|mark, _| format!("{:.0}", mark.value)),
            ])
            .custom_y_axes(vec![
                AxisHints::new_y().label_spacing(8.0..=12.0).formatter(|mark, _| format!("{:.0}", mark.value)),
            ])
            .sense(Sense::click())
            .label_formatter(|_| None);
        let response = plot.show(ui, |plot| {
            plot.bar_chart(
                BarChart::new("entropy", bars)
                    .element_formatter(Box::new(|bar, _| format!("codebook {}: {:.2} bits", bar.argument, bar.value))),
            );
            plot.pointer_coordinate()
        });
        if response.response.clicked()
            && let Some(p) = response.inner
        {
            commands.push(InspectorCommand::SelectCodebook((p.x.round().max(0.0) as usize).min(stats.len() - 1)));
        }
    });
}

/// The numbers of the draw.
fn numbers_ui(ui: &mut Ui, session: &Session, (t, k): (usize, usize)) {
    let stats = &session.inspector.current.steps[t].stats[k];
    egui::Grid::new("numbers of the draw").num_columns(2).spacing([12.0, 2.0]).show(ui, |ui| {
        for statistic in STEP_STATISTICS.iter().filter(|s| s.in_tables) {
            ui.weak(statistic.title);
            ui.monospace(statistic.describe(stats[statistic.stat]));
            ui.end_row();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bars_stay_and_the_other_columns_come_with_the_room() {
        let at = |width| {
            let c = Columns::new(width, LABEL);
            (c.codebooks.is_some(), c.mass.is_some(), c.numbers, c.bars >= LEAST_BARS)
        };
        assert_eq!(at(420.0), (false, false, false, true));
        assert_eq!(at(600.0), (true, false, false, true));
        assert_eq!(at(680.0), (true, true, false, true));
        assert_eq!(at(800.0), (true, true, false, true));
        assert_eq!(at(1_000.0), (true, true, true, true));
    }
}
