//! Tables of what was measured of the sound.

use super::clip::ClipReport;
use super::model::{Report, SoundPair};
use super::table::Table;
use super::word_distances::WordDistance;
use crate::acoustics::distances::SOUND_DISTANCES;
use crate::acoustics::measures::SOUND_MEASURES;
use crate::data::{FinishReason, Mode};

/// Pairs of clips up to which each has a row; more are summed up by mode.
const MOST_PAIRS: usize = 15;

/// The tables, with their captions; none of clips whose sound was not measured.
pub fn sound_tables(report: &Report) -> Vec<(String, Table)> {
    let mut tables = Vec::new();
    if report.clips.iter().any(|clip| clip.acoustics.is_some()) {
        tables.push(("Acoustic measures".into(), measures(&report.clips)));
    }
    if !report.sound_distances.is_empty() {
        tables.push(("Acoustic distances".into(), distances(report)));
    }
    if !report.word_distances.is_empty() {
        tables.push(("Distances by word".into(), by_word(report)));
    }
    if report.ranking.len() > 1 {
        tables.push(("Ranking by objective measures".into(), ranked(report)));
    }
    let recognised = report.clips.iter().filter_map(|clip| Some(vec![clip.name.clone(), describe_recognition(clip)?]));
    let rows: Vec<Vec<String>> = recognised.collect();
    if !rows.is_empty() {
        let columns = ["clip", "transcript"].map(str::to_owned).into();
        tables.push(("Transcripts".into(), Table { columns, rows, legend: Vec::new() }));
    }
    tables
}

fn definition(title: &str, definition: &str) -> String {
    format!("{title}: {definition}")
}

fn measures(clips: &[ClipReport]) -> Table {
    let columns = std::iter::once("clip".to_owned()).chain(SOUND_MEASURES.iter().map(|m| m.heading()));
    let row = |clip: &ClipReport| {
        let values = clip.acoustics.as_ref();
        let cells = SOUND_MEASURES.iter().enumerate().map(|(n, m)| m.show(values.and_then(|values| values.0[n])));
        std::iter::once(clip.name.clone()).chain(cells).collect()
    };
    Table {
        columns: columns.collect(),
        rows: clips.iter().map(row).collect(),
        legend: SOUND_MEASURES.iter().map(|m| definition(m.title, m.definition)).collect(),
    }
}

fn distances(report: &Report) -> Table {
    let headings = SOUND_DISTANCES.iter().map(|d| d.heading());
    let legend = SOUND_DISTANCES.iter().map(|d| definition(d.title, d.definition)).collect();
    let name = |clip: usize| report.clips[clip].name.clone();
    if report.sound_distances.len() <= MOST_PAIRS {
        let row = |pair: &SoundPair| {
            let cells = SOUND_DISTANCES.iter().map(|d| d.show(d.value(&pair.distance)));
            [name(pair.a), name(pair.b)].into_iter().chain(cells).collect()
        };
        let columns = ["clip".to_owned(), "and".into()].into_iter().chain(headings).collect();
        return Table { columns, rows: report.sound_distances.iter().map(row).collect(), legend };
    }
    let mode = |clip: usize| report.clips[clip].sampling.map(|s| s.mode);
    let mut rows = Vec::new();
    for (n, a) in Mode::all().iter().enumerate() {
        for b in &Mode::all()[n..] {
            let modes = (Some(a.mode), Some(b.mode));
            let of = |pair: &&SoundPair| {
                let found = (mode(pair.a), mode(pair.b));
                found == modes || found == (modes.1, modes.0)
            };
            let pairs: Vec<&SoundPair> = report.sound_distances.iter().filter(of).collect();
            if pairs.is_empty() {
                continue;
            }
            let cells = SOUND_DISTANCES.iter().map(|d| {
                let values: Vec<f64> = pairs.iter().filter_map(|pair| d.value(&pair.distance)).collect();
                let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
                d.show(mean)
            });
            let head = [a.name.to_owned(), b.name.to_owned(), pairs.len().to_string()];
            rows.push(head.into_iter().chain(cells).collect());
        }
    }
    let columns = ["mode", "and", "pairs"].map(str::to_owned).into_iter().chain(headings).collect();
    Table { columns, rows, legend }
}

/// The words of the first clip against those of each other clip, the word last.
fn by_word(report: &Report) -> Table {
    let headings = SOUND_DISTANCES.iter().map(|d| d.heading());
    let row = |of: &WordDistance| {
        let sounds = SOUND_DISTANCES.iter().map(|d| d.show(of.distance.as_ref().and_then(|found| d.value(found))));
        let head = [
            report.clips.get(of.clip).map_or_else(String::new, |clip| clip.name.clone()),
            format!("{:.2}", of.seconds_in_first),
            format!("{:.2}", of.seconds),
            format!("{:.0}", 100.0 * of.differing_tokens),
        ];
        head.into_iter().chain(sounds).chain([of.word.clone()]).collect()
    };
    let first = ["clip", "length in the first, s", "length, s", "differing tokens, %"].map(str::to_owned);
    Table {
        columns: first.into_iter().chain(headings).chain(["word".to_owned()]).collect(),
        rows: report.word_distances.iter().map(row).collect(),
        legend: vec![
            "each clip against the first; a frame is compared with the one as far into the word, sounds are warped within it".into(),
        ],
    }
}

fn ranked(report: &Report) -> Table {
    let columns = ["", "clip", "ended", "equal frames", "longest pause, s", "WER, %", "CER, %", "issues"];
    let pause = SOUND_MEASURES.iter().position(|m| m.key == "longest_pause_s");
    let row = |(place, clip): (usize, &usize)| {
        let clip = &report.clips[*clip];
        let percent = |rate: Option<f64>| rate.map_or("–".into(), |rate| format!("{:.1}", 100.0 * rate));
        let errors = clip.word_errors.as_ref();
        let values = clip.acoustics.as_ref();
        vec![
            (place + 1).to_string(),
            clip.name.clone(),
            clip.stop.map_or("–", FinishReason::badge).to_owned(),
            clip.repetition.longest_run.to_string(),
            pause.map_or(String::new(), |n| SOUND_MEASURES[n].show(values.and_then(|values| values.0[n]))),
            percent(errors.map(|e| e.word_error_rate)),
            percent(errors.map(|e| e.character_error_rate)),
            clip.issues().iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        ]
    };
    let legend = "Clips that the model ended come first, then those with fewer issues, fewer word errors, fewer character errors.";
    Table {
        columns: columns.map(str::to_owned).into(),
        rows: report.ranking.iter().enumerate().map(row).collect(),
        legend: vec![legend.into()],
    }
}

/// The transcript of a clip in one line.
fn describe_recognition(clip: &ClipReport) -> Option<String> {
    let heard = clip.word_errors.as_ref().map(|e| {
        let rates = (100.0 * e.word_error_rate, 100.0 * e.character_error_rate);
        format!("recognised with {:.1} % of words and {:.1} % of characters wrong: {}", rates.0, rates.1, e.aligned())
    });
    heard.or_else(|| clip.recogniser_failed.as_ref().map(|problem| format!("not recognised: {problem}")))
}
