//! Statistics of the current clip's codebooks, and of the pinned modes.

use std::ops::RangeInclusive;

use egui::{Grid, Label, RichText, ScrollArea, Ui};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, Line, LineStyle, Points};

use super::draw::still_plot;
use super::{Panel, Slot};
use crate::analysis::calibration::{Calibration, RankHistogram};
use crate::report::Table;
use crate::studio::command::Commands;
use crate::studio::inspector::InspectorCommand;
use crate::studio::memo::Memo;
use crate::studio::session::Session;
use crate::studio::theme::Palette;

#[derive(Default)]
pub(super) struct Statistics {
    /// By the version of the clip and the steps that are known.
    plots: Memo<(u64, usize), Plots>,
}

/// Data of the plots.
struct Plots {
    ranks: RankHistogram,
    /// By codebook.
    calibration: Vec<Option<Calibration>>,
}

impl Panel for Statistics {
    fn title(&self) -> &'static str {
        "Statistics"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let inspector = &session.inspector;
        if inspector.current.clip.codes.is_empty() {
            ui.weak("Statistics of the current clip appear here");
            return;
        }
        if inspector.statistics.is_outdated(&inspector.statistics_key(&session.comparison)) {
            commands.push(InspectorCommand::ComputeStatistics);
        }
        ScrollArea::both().id_salt("statistics").auto_shrink(false).show(ui, |ui| {
            let steps = &inspector.current.steps;
            if !steps.is_empty() {
                let measure =
                    || Plots { ranks: RankHistogram::measure(steps), calibration: Calibration::measure(steps) };
                let Plots { ranks, calibration } = self.plots.get((inspector.current.version, steps.len()), measure);
                ui.horizontal_top(|ui| {
                    ranks_ui(ui, ranks);
                    ui.add_space(16.0);
                    calibration_ui(ui, calibration);
                });
                ui.add_space(8.0);
            }
            tables_ui(ui, inspector.statistics.value());
        });
    }
}

/// Width and height of a plot.
const PLOT: [f32; 2] = [300.0, 150.0];

/// How often a token of each rank was drawn.
fn ranks_ui(ui: &mut Ui, ranks: &RankHistogram) {
    let palette = Palette::of(ui.visuals());
    ui.vertical(|ui| {
        ui.label(RichText::new("Rank of the drawn tokens, % of the draws").small())
            .on_hover_text("In the model's distribution: 1 is its most likely token. All codebooks");
        let bar = |class: usize| {
            let bar = Bar::new(class as f64, 100.0 * ranks.share(class)).width(0.7).fill(palette.accent);
            bar.name(RankHistogram::label(class))
        };
        let bars: Vec<Bar> = (0..ranks.counts.len()).map(bar).collect();
        let label = |mark: GridMark, _: &RangeInclusive<f64>| match mark.value {
            v if v < 0.0 || v.fract() != 0.0 => String::new(),
            v => RankHistogram::label(v as usize),
        };
        still_plot("ranks")
            .width(PLOT[0])
            .height(PLOT[1])
            .show_grid([false, true])
            .x_grid_spacer(|input| {
                let visible = |value: &f64| (input.bounds.0..=input.bounds.1).contains(value);
                let values = (0..16).map(f64::from).filter(visible);
                values.map(|value| GridMark { value, step_size: 1.0 }).collect()
            })
            .custom_x_axes(vec![AxisHints::new_x().label_spacing(8.0..=12.0).formatter(label)])
            .include_x(-0.5)
            .include_x(4.5)
            .include_y(0.0)
            .show(ui, |plot| plot.bar_chart(BarChart::new("ranks", bars)));
    });
}

/// Whether tokens are as surprising as the distributions that they were drawn from: a point for each codebook, on the diagonal if so.
fn calibration_ui(ui: &mut Ui, calibration: &[Option<Calibration>]) {
    let palette = Palette::of(ui.visuals());
    ui.vertical(|ui| {
        ui.label(RichText::new("Calibration: surprisal against entropy, bits").small()).on_hover_text(
            "After sampling, a point for each codebook with its 95 % interval. Tokens that were drawn from the distribution are on the \
             diagonal; below it, they are more likely than chance makes them",
        );
        let known = || calibration.iter().enumerate().filter_map(|(k, c)| Some((k, (*c)?)));
        let end = known().map(|(_, c)| c.expected.max(c.found + c.interval)).fold(1.0, f64::max);
        let formatter = |mark: GridMark, _: &RangeInclusive<f64>| format!("{:.1}", mark.value);
        let plot = still_plot("calibration").width(PLOT[0]).height(PLOT[1]).include_x(0.0).include_y(0.0);
        plot.x_axis_formatter(formatter).y_axis_formatter(formatter).show(ui, |plot| {
            let diagonal = Line::new("expected", vec![[0.0, 0.0], [end, end]]).color(palette.before);
            plot.line(diagonal.style(LineStyle::dashed_loose()));
            for (k, c) in known() {
                let interval = vec![[c.expected, c.found - c.interval], [c.expected, c.found + c.interval]];
                plot.line(Line::new(format!("codebook {k}"), interval).color(palette.accent).width(1.0));
                let point = Points::new(format!("codebook {k}"), vec![[c.expected, c.found]]);
                plot.points(point.radius(3.5).color(palette.accent));
            }
        });
    });
}

/// Tables of a report, with their captions.
pub(super) fn tables_ui(ui: &mut Ui, tables: &[(String, Table)]) {
    for (n, (caption, table)) in tables.iter().enumerate() {
        let caption = ui.add(Label::new(RichText::new(caption).strong()).extend());
        if !table.legend().is_empty() {
            caption.on_hover_text(table.legend().join("\n"));
        }
        table_ui(ui, n, table);
        ui.add_space(8.0);
    }
}

/// A table of a report.
fn table_ui(ui: &mut Ui, id: usize, table: &Table) {
    Grid::new(("table", id)).striped(true).spacing([14.0, 2.0]).show(ui, |ui| {
        for column in table.columns() {
            ui.small(column);
        }
        ui.end_row();
        for row in table.rows() {
            for cell in row {
                ui.add(Label::new(RichText::new(cell).small()).extend());
            }
            ui.end_row();
        }
    });
}
