//! Statistics of one codebook's draws over time.

use egui::{Color32, Ui};
use egui_plot::{Legend, Line, Plot, PlotPoints, VLine};

use super::session::Session;
use super::{View, selected_draw};
use crate::analysis::statistics::{STEP_STATISTICS, StepStatistic};
use crate::data::ModelInfo;

/// Unit of the statistics that share the plot's axis.
const UNIT: &str = "bits";
/// Colours of the lines, in the table's order.
const COLOURS: [Color32; 3] =
    [Color32::from_rgb(50, 110, 190), Color32::from_rgb(215, 120, 30), Color32::from_rgb(60, 150, 80)];

pub(super) fn timeline_ui(ui: &mut Ui, session: &Session, view: &View, model: &ModelInfo, height: f32) {
    let codebook = view.codebook.min(model.dims.codebooks - 1);
    let steps = &session.inspected.steps;
    let points = |statistic: &StepStatistic| {
        let values = steps.iter().enumerate().map(|(t, frame)| [t as f64, frame[codebook][statistic.stat]]);
        PlotPoints::from(values.filter(|p| p[1].is_finite()).collect::<Vec<_>>())
    };
    let selected = selected_draw(session, view, model).map(|(t, _)| t as f64);
    let plot = Plot::new("bits").height(height).legend(Legend::default()).allow_scroll(false);
    plot.include_y(0.0).include_y(1.0).show(ui, |plot| {
        let shown = STEP_STATISTICS.iter().filter(|s| s.plotted && s.unit == UNIT);
        for (statistic, colour) in shown.zip(COLOURS) {
            plot.line(Line::new(statistic.heading(), points(statistic)).color(colour).width(1.6));
        }
        if let Some(t) = selected {
            plot.vline(VLine::new("selected frame", t).color(Color32::GRAY));
        }
    });
}
