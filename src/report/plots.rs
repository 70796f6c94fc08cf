//! Plots of a report, drawn without a window: SVG for pages, PNG for files.

use std::sync::Once;

use ecolor::Color32;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::page::swatches;
use super::{ClipReport, Report};
use crate::analysis::histogram::counts;
use crate::analysis::logit_diff::LogitDiff;
use crate::analysis::statistics::{STEP_STATISTICS, StepStatistic};
use crate::colours::LIGHT;
use crate::data::ModelInfo;
use crate::error::BoxError;

/// A result of the plotting library.
pub type PlotResult<T = ()> = Result<T, BoxError>;

/// A plot of a report.
pub struct Plot<'a> {
    /// File name without extension.
    pub name: String,
    /// Width and height, pixels.
    pub size: (u32, u32),
    kind: PlotKind<'a>,
}

enum PlotKind<'a> {
    Histograms(&'a ClipReport, &'a ModelInfo),
    Tokens(&'a ClipReport, &'a ModelInfo),
    Steps(&'a ClipReport, &'static StepStatistic),
    Distances(&'a Report),
    LogitDiffs(&'a [Vec<LogitDiff>]),
}

/// All plots of `report`.
pub fn plots(report: &Report) -> Vec<Plot<'_>> {
    let mut out = Vec::new();
    for (n, clip) in report.clips.iter().enumerate() {
        let name = |what: &str| format!("clip-{:02}-{what}", n + 1);
        let books = report.model.dims.codebooks as u32;
        let tall = 60 * books.div_ceil(COLUMNS as u32).max(3) + 120;
        out.push(Plot {
            name: name("histograms"),
            size: (1_000, tall),
            kind: PlotKind::Histograms(clip, &report.model),
        });
        let size = (1_000, (14 * books).clamp(120, 500) + 100);
        out.push(Plot { name: name("tokens"), size, kind: PlotKind::Tokens(clip, &report.model) });
        if clip.steps.is_some() {
            for statistic in STEP_STATISTICS.iter().filter(|s| s.plotted) {
                let kind = PlotKind::Steps(clip, statistic);
                out.push(Plot { name: name(statistic.title), size: (1_000, 320), kind });
            }
        }
    }
    if report.distances.len() > 1 {
        let side = (30 * report.distances.len() as u32).clamp(300, 900) + 160;
        out.push(Plot { name: "distances".into(), size: (side, side), kind: PlotKind::Distances(report) });
    }
    if let Some(c) = &report.checkpoints {
        out.push(Plot { name: "logit-differences".into(), size: (1_000, 320), kind: PlotKind::LogitDiffs(&c.diffs) });
    }
    out
}

impl Plot<'_> {
    /// Renders the plot as SVG.
    ///
    /// # Errors
    /// Errors of the plotting library.
    pub fn svg(&self) -> PlotResult<String> {
        font();
        let mut out = String::new();
        {
            let area = SVGBackend::with_string(&mut out, self.size).into_drawing_area();
            self.draw(&area)?;
            area.present()?;
        }
        Ok(out)
    }

    /// As a PNG file's bytes.
    ///
    /// # Errors
    /// Errors of the plotting library.
    pub fn png(&self) -> PlotResult<Vec<u8>> {
        font();
        let (w, h) = self.size;
        let mut pixels = vec![0; (w * h * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, self.size).into_drawing_area();
            self.draw(&area)?;
            area.present()?;
        }
        let mut out = Vec::new();
        PngEncoder::new(&mut out).write_image(&pixels, w, h, ExtendedColorType::Rgb8)?;
        Ok(out)
    }

    /// Whether a page is smaller with its PNG than with its SVG: it has many cells.
    pub fn has_many_cells(&self) -> bool {
        matches!(self.kind, PlotKind::Tokens(..) | PlotKind::Distances(_))
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> PlotResult
    where
        B::ErrorType: Send + Sync + 'static,
    {
        area.fill(&WHITE)?;
        match self.kind {
            PlotKind::Histograms(clip, model) => histograms(area, clip, model),
            PlotKind::Tokens(clip, model) => tokens(area, clip, model),
            PlotKind::Steps(clip, statistic) => steps(area, clip, statistic),
            PlotKind::Distances(report) => distances(area, report),
            PlotKind::LogitDiffs(diffs) => {
                let values = |k: usize| diffs.iter().map(|d| f64::from(d[k].max_difference)).collect::<Vec<_>>();
                let lines: Vec<_> = (0..diffs.first().map_or(0, Vec::len)).map(values).collect();
                lines_over_time(area, "largest logit difference per draw", "logits", &lines)
            }
        }
    }
}

/// Registers the embedded font: the plotting library brings none.
pub(crate) fn font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if plotters::style::register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).is_err() {
            tracing::error!("the embedded font cannot be read; plots have no text");
        }
    });
}

/// Histograms side by side.
const COLUMNS: usize = 4;

/// A colour of the light palette: plots are printed on white.
pub(crate) fn ink(colour: Color32) -> RGBColor {
    let [r, g, b, _] = colour.to_array();
    RGBColor(r, g, b)
}

fn histograms<B: DrawingBackend>(area: &DrawingArea<B, Shift>, clip: &ClipReport, model: &ModelInfo) -> PlotResult
where
    B::ErrorType: Send + Sync + 'static,
{
    let area = area.titled(&format!("{}: counts by id", clip.name), ("sans-serif", 18))?;
    let columns = COLUMNS.min(model.dims.codebooks);
    let cells = area.split_evenly((model.dims.codebooks.div_ceil(columns), columns));
    for (k, cell) in cells.iter().take(model.dims.codebooks).enumerate() {
        let counts = counts(&clip.codes, k, model.dims.vocab);
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        let mut chart = ChartBuilder::on(cell)
            .caption(format!("codebook {k}"), ("sans-serif", 12))
            .margin(4)
            .x_label_area_size(16)
            .y_label_area_size(24)
            .build_cartesian_2d(0..model.dims.vocab as u32, 0..most + 1)?;
        chart.configure_mesh().disable_mesh().x_labels(4).y_labels(3).label_style(("sans-serif", 10)).draw()?;
        let bars = counts.iter().enumerate().filter(|(_, n)| **n > 0);
        chart
            .draw_series(bars.map(|(id, n)| PathElement::new([(id as u32, 0), (id as u32, *n)], ink(LIGHT.accent))))?;
    }
    Ok(())
}

fn tokens<B: DrawingBackend>(area: &DrawingArea<B, Shift>, clip: &ClipReport, model: &ModelInfo) -> PlotResult
where
    B::ErrorType: Send + Sync + 'static,
{
    let (t, k) = (clip.codes.len(), model.dims.codebooks);
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("{}: tokens (a colour for each; grey: the most frequent of its codebook)", clip.name),
            ("sans-serif", 18),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d(0..t, k as f64..0.0)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("frame")
        .y_desc("codebook")
        .y_label_formatter(&|k| format!("{k:.0}"))
        .label_style(("sans-serif", 12))
        .draw()?;
    let swatches = swatches(clip, model);
    let cells =
        swatches.iter().enumerate().flat_map(|(t, f)| f.iter().enumerate().map(move |(k, swatch)| (t, k, *swatch)));
    chart.draw_series(cells.map(|(t, k, swatch)| {
        Rectangle::new([(t, k as f64), (t + 1, (k + 1) as f64)], ink(LIGHT.swatch(swatch)).filled())
    }))?;
    Ok(())
}

fn steps<B: DrawingBackend>(area: &DrawingArea<B, Shift>, clip: &ClipReport, statistic: &StepStatistic) -> PlotResult
where
    B::ErrorType: Send + Sync + 'static,
{
    let steps = clip.steps.as_deref().unwrap_or_default();
    let codebooks = steps.first().map_or(0, Vec::len);
    let line = |k: usize| steps.iter().map(|frame| frame[k][statistic.stat]).collect();
    let lines: Vec<Vec<f64>> = (0..codebooks).map(line).collect();
    lines_over_time(area, &format!("{}: {}", clip.name, statistic.title), statistic.unit, &lines)
}

/// One line per codebook over the frames, the first emphasised. Values that are not finite are left out.
fn lines_over_time<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    unit: &str,
    lines: &[Vec<f64>],
) -> PlotResult
where
    B::ErrorType: Send + Sync + 'static,
{
    let finite = || lines.iter().flatten().copied().filter(|v| v.is_finite());
    let top = finite().fold(1e-12, f64::max) * 1.05;
    let frames = lines.first().map_or(1, Vec::len).max(1);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0..frames, 0.0..top)?;
    let small = top < 0.01;
    let number = move |v: &f64| if small { format!("{v:.1e}") } else { format!("{v:.1}") };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("frame")
        .y_desc(unit)
        .y_label_formatter(&number)
        .label_style(("sans-serif", 12))
        .draw()?;
    for (k, line) in lines.iter().enumerate().rev() {
        let style = if k == 0 {
            ink(LIGHT.chosen).stroke_width(2)
        } else {
            ink(LIGHT.ramp(0.3 + 0.7 * k as f64 / lines.len() as f64)).stroke_width(1)
        };
        let points = line.iter().enumerate().filter(|(_, v)| v.is_finite()).map(|(t, v)| (t, *v));
        let drawn = chart.draw_series(LineSeries::new(points, style))?;
        // All of a few; of many, enough to tell the order of their colours.
        if lines.len() <= 8 || k == 0 || (k + 1) % 8 == 0 {
            drawn.label(format!("codebook {k}")).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

fn distances<B: DrawingBackend>(area: &DrawingArea<B, Shift>, report: &Report) -> PlotResult
where
    B::ErrorType: Send + Sync + 'static,
{
    let n = report.distances.len();
    let mut chart = ChartBuilder::on(area)
        .caption("Jensen-Shannon divergence between clips, bits", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(40)
        .build_cartesian_2d((0..n).into_segmented(), (0..n).into_segmented())?;
    let name = |v: &SegmentValue<usize>| match v {
        SegmentValue::CenterOf(i) | SegmentValue::Exact(i) => (i + 1).to_string(),
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("clip")
        .y_desc("clip")
        .x_labels(n)
        .y_labels(n)
        .x_label_formatter(&name)
        .y_label_formatter(&name)
        .label_style(("sans-serif", 12))
        .draw()?;
    let cells =
        report.distances.iter().enumerate().flat_map(|(i, row)| row.iter().enumerate().map(move |(j, v)| (i, j, *v)));
    let edge = |i: usize| if i == n { SegmentValue::Last } else { SegmentValue::Exact(i) };
    chart.draw_series(cells.clone().map(|(i, j, v)| {
        Rectangle::new([(edge(i), edge(j)), (edge(i + 1), edge(j + 1))], ink(LIGHT.ramp(v)).filled())
    }))?;
    if n <= 12 {
        let centre = |i| SegmentValue::CenterOf(i);
        let style = |v: f64| ("sans-serif", 12).into_font().color(if v < 0.5 { &BLACK } else { &WHITE });
        chart.draw_series(cells.map(|(i, j, v)| Text::new(format!("{v:.2}"), (centre(i), centre(j)), style(v))))?;
    }
    Ok(())
}
