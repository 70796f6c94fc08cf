//! All tables of a report.

use super::clip::ClipReport;
use super::model::Report;
use super::sound_tables::sound_tables;
use super::table::{Table, describe_groups};

/// All tables of a report, with their captions.
pub fn tables(report: &Report) -> Vec<(String, Table)> {
    let clip = |clip: &ClipReport| {
        let caption = format!("{}: {}", clip.name, clip.headline(&report.model));
        (caption, Table::codebooks(clip, &report.model, TOP_IN_TABLES))
    };
    let groups = report.groups.iter().map(|groups| (describe_groups(groups), Table::modes(groups)));
    let words = |clip: &&ClipReport| !clip.words.is_empty();
    let words = report.clips.iter().filter(words).map(|clip| (format!("{}: words", clip.name), Table::words(clip)));
    report.clips.iter().map(clip).chain(words).chain(groups).chain(sound_tables(report)).collect()
}

/// Most common ids in a row of a table.
const TOP_IN_TABLES: usize = 5;
