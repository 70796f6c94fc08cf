//! Plots of a verification, as SVG: drawn without a window.

use std::path::Path;

use plotters::prelude::*;

use super::VerifyResults;
use crate::colours::LIGHT;
use crate::error::{Error, Result};
use crate::report::plots::{PlotResult, ink};

pub(super) fn write(results: &VerifyResults, folder: &Path) -> Result<()> {
    crate::report::plots::font();
    if !results.p_values.is_empty() {
        let path = folder.join("p-values.svg");
        p_values(&results.p_values, &path).map_err(|e| Error::write(&path, e))?;
    }
    if !results.logit_differences.is_empty() {
        let path = folder.join("logit-differences.svg");
        differences(&results.logit_differences, &path).map_err(|e| Error::write(&path, e))?;
    }
    Ok(())
}

/// Histogram of p-values over ten bins; flat if the sampler is right.
fn p_values(values: &[f64], path: &Path) -> PlotResult {
    let mut counts = [0u32; 10];
    values.iter().for_each(|p| counts[((p * 10.0) as usize).min(9)] += 1);
    let top = counts.iter().max().copied().unwrap_or(1) + 2;
    let area = SVGBackend::new(path, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("native against the exact probabilities: p-values", ("sans-serif", 20))
        .margin(20)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..1.0, 0..top)?;
    chart.configure_mesh().x_desc("p").y_desc("logit sets").draw()?;
    chart.draw_series(counts.iter().enumerate().map(|(i, n)| {
        Rectangle::new([(i as f64 / 10.0, 0), ((i + 1) as f64 / 10.0, *n)], ink(LIGHT.accent).mix(0.5).filled())
    }))?;
    area.present()?;
    Ok(())
}

/// Largest logit difference of every teacher-forced draw.
fn differences(values: &[f32], path: &Path) -> PlotResult {
    let top = values.iter().copied().fold(1e-9, f32::max) * 1.1;
    let area = SVGBackend::new(path, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("MLX's logits against PyTorch's on the same tokens: max |difference|", ("sans-serif", 20))
        .margin(20)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..values.len(), 0f32..top)?;
    chart
        .configure_mesh()
        .x_desc("draw")
        .y_desc("max |difference|")
        .y_label_formatter(&|v| format!("{v:.1e}"))
        .draw()?;
    chart.draw_series(values.iter().enumerate().map(|(i, v)| Circle::new((i, *v), 1, ink(LIGHT.accent).filled())))?;
    area.present()?;
    Ok(())
}
