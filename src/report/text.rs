//! A report for a terminal.

use super::clip::ClipReport;
use super::model::{CheckpointComparison, Report};
use super::sound_tables::sound_tables;
use super::table::{Table, checkpoint_facts, describe_groups, describe_pair};
use crate::data::ModelInfo;

/// Most common ids in a row of a terminal.
const COMMON: usize = 3;

/// The report as text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for clip in &report.clips {
        out += &render_clip(clip, &report.model);
    }
    for note in &report.not_compared {
        out += &format!("{note}\n");
    }
    for groups in &report.groups {
        out += &format!("{}\n{}\n", describe_groups(groups), render_table(&Table::modes(groups)));
    }
    for (caption, table) in sound_tables(report) {
        out += &format!("{caption}\n{}\n", render_table(&table));
    }
    if !report.pairs.is_empty() {
        let pairs: Vec<String> = report.pairs.iter().map(|p| format!("  {}\n", describe_pair(p))).collect();
        out += &format!("the same seed in two modes\n{}\n", pairs.concat());
    }
    if let Some(comparison) = &report.checkpoints {
        out += &(render_checkpoints(comparison) + "\n\n");
    }
    out
}

fn render_clip(clip: &ClipReport, model: &ModelInfo) -> String {
    let mut out = format!("{}: {}\n", clip.name, clip.headline(model));
    if clip.codes.is_empty() {
        return out + "\n";
    }
    out += &render_table(&Table::codebooks(clip, model, COMMON));
    if !clip.words.is_empty() {
        out += &render_table(&Table::words(clip));
    }
    if let Some(reason) = &clip.steps_unavailable {
        out += &format!("  no statistics of draws: {reason}\n");
    }
    out + "\n"
}

/// Columns as wide as their widest cell, numbers to the right; the legend below.
fn render_table(table: &Table) -> String {
    let lines: Vec<&Vec<String>> = std::iter::once(&table.columns).chain(&table.rows).collect();
    let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0);
    let last = table.columns.len() - 1;
    let widths: Vec<usize> = (0..last).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            out += &format!("  {cell:>width$}");
        }
        out += &format!("  {}\n", line[last]);
    }
    out + &table.legend.iter().map(|line| format!("  {line}\n")).collect::<String>()
}

fn render_checkpoints(c: &CheckpointComparison) -> String {
    let facts = checkpoint_facts(c).into_iter().map(|(name, value)| format!("  {name}: {value}"));
    let lines: Vec<String> =
        std::iter::once(format!("{} against {} on the same tokens", c.a, c.b)).chain(facts).collect();
    lines.join("\n")
}
