//! A report as one self-contained page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html as markup};

use super::clip::ClipReport;
use super::model::Report;
use super::page::{SCRIPT, STYLE, clip_player, palette};
use super::plots::{Plot, PlotResult, plots};
use super::sound_tables::sound_tables;
use super::table::{Table, checkpoint_facts, describe_groups, describe_pair};
use crate::data::ModelInfo;
use crate::page::page;

/// Most common ids in a row of a page.
const COMMON: usize = 5;

/// HTML with every plot inside: opening it fetches nothing.
///
/// # Errors
/// Errors of drawing the plots.
pub fn html(report: &Report) -> PlotResult<String> {
    let title = format!("Token report: {}", report.model.name);
    let figures = plots(report).iter().map(figure).collect::<PlotResult<Vec<_>>>()?;
    let compared = !report.groups.is_empty()
        || !report.not_compared.is_empty()
        || !report.pairs.is_empty()
        || report.checkpoints.is_some();
    let body = markup! {
        h1 { (title) }
        p class="weak keys" {
            kbd { "Space" } " plays, " kbd { "←" } " " kbd { "→" } " " kbd { "↑" } " " kbd { "↓" } " go from draw to draw"
            @if report.clips.len() > 1 { ", " kbd { "1" } " to " kbd { "9" } " switch to that clip at the same moment" }
        }
        @for clip in &report.clips { (clip_section(clip, &report.model)) }
        @if compared { h2 { "Comparisons" } }
        @for note in &report.not_compared { p { (note) } }
        @for groups in &report.groups {
            h3 { (describe_groups(groups)) }
            (table(&Table::modes(groups)))
        }
        @if !report.pairs.is_empty() {
            h3 { "The same seed in two modes" }
            ul { @for pair in &report.pairs { li { (describe_pair(pair)) } } }
        }
        @if let Some(comparison) = &report.checkpoints {
            h3 { (comparison.a) " against " (comparison.b) " on the same tokens" }
            table class="facts" {
                @for (name, value) in checkpoint_facts(comparison) { tr { td { (name) } td { (value) } } }
            }
        }
        @for (caption, measured) in sound_tables(report) { h3 { (caption) } (table(&measured)) }
        h2 { "Plots" }
        @for figure in figures { (figure) }
        (palette())
    };
    Ok(page(&title, STYLE, SCRIPT, &body))
}

fn clip_section(clip: &ClipReport, model: &ModelInfo) -> Markup {
    markup! {
        h2 { (clip.name) }
        p {
            (clip.headline(model))
            @if let (Some(text), Some(speaker)) = (&clip.text, clip.speaker) { br; "Speaker " (speaker) ": “" (text) "”" }
            @if let Some(reason) = &clip.steps_unavailable { br; "No statistics of draws: " (reason.to_string()) }
        }
        (clip_player(clip, model))
        @if !clip.words.is_empty() { (table(&Table::words(clip))) }
        @if !clip.codes.is_empty() { (table(&Table::codebooks(clip, model, COMMON))) }
    }
}

fn table(table: &Table) -> Markup {
    markup! {
        div class="wide" {
            table {
                tr { @for column in &table.columns { th { (column) } } }
                @for row in &table.rows {
                    tr {
                        @for (n, cell) in row.iter().enumerate() {
                            @if n + 1 == row.len() { td class="common" title=(cell) { (cell) } } @else { td { (cell) } }
                        }
                    }
                }
            }
        }
        @if !table.legend.is_empty() {
            p class="legend weak" { @for (n, line) in table.legend.iter().enumerate() { @if n > 0 { br; } (line) } }
        }
    }
}

fn figure(plot: &Plot<'_>) -> PlotResult<Markup> {
    let picture = if plot.has_many_cells() {
        let source = format!("data:image/png;base64,{}", STANDARD.encode(plot.png()?));
        markup! { img alt=(plot.name) src=(source); }
    } else {
        PreEscaped(plot.svg()?) // drawn by plotters, which escapes its texts
    };
    Ok(markup! { figure id=(plot.name) { (picture) } })
}
