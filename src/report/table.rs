//! The tables of a report, made once for text and HTML.

use super::clip::{ClipReport, WordReport};
use super::model::{CheckpointComparison, ModeComparison, SeedPair};
use crate::analysis::clip::CODEBOOK_STATISTICS;
use crate::analysis::divergence::Divergence;
use crate::analysis::groups::GroupComparison;
use crate::analysis::histogram::TOP;
use crate::analysis::statistics::STEP_STATISTICS;
use crate::data::ModelInfo;

/// Headings and rows of text; the last column is prose and reads from the left.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// The meaning of each column, one line each.
    pub(super) legend: Vec<String>,
}

impl Table {
    /// Headings of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Its rows, each with a cell a column.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// The meaning of each column, one line each; empty if their headings say all.
    pub fn legend(&self) -> &[String] {
        &self.legend
    }

    /// A clip's codebooks: counts, means over draws if they were computed, and the `common` most common ids.
    pub(super) fn codebooks(clip: &ClipReport, model: &ModelInfo, common: usize) -> Self {
        let shown = || STEP_STATISTICS.iter().filter(|s| s.in_tables);
        let mut columns: Vec<String> = CODEBOOK_STATISTICS.iter().map(|s| s.title.to_owned()).collect();
        if clip.means.is_some() {
            columns.extend(shown().map(|s| s.heading()));
        }
        columns.push("most common".into());
        let row = |codebook: &crate::analysis::clip::CodebookStats| {
            let mut row: Vec<String> = CODEBOOK_STATISTICS.iter().map(|s| (s.value)(codebook)).collect();
            if let Some(means) = clip.means.as_ref().map(|m| &m[codebook.codebook]) {
                row.extend(means.iter().zip(shown()).map(|((_, mean), s)| format!("{mean:.*}", s.digits)));
            }
            let ids = codebook.most_common.iter().take(common);
            let ids = ids.map(|(id, n)| format!("{} ×{n}", model.describe_token(codebook.codebook, *id)));
            row.push(ids.collect::<Vec<_>>().join(", "));
            row
        };
        Self { columns, rows: clip.codebooks.iter().map(row).collect(), legend: Vec::new() }
    }

    /// A clip's words: times, means over their draws, and the word itself.
    pub(super) fn words(clip: &ClipReport) -> Self {
        let columns = ["start, s", "end, s", "confidence", "surprisal, bits", "entropy, bits", "word"];
        let optional = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
        let row = |word: &WordReport| {
            vec![
                format!("{:.2}", word.start),
                format!("{:.2}", word.end),
                format!("{:.2}", word.confidence),
                optional(word.surprisal_bits),
                optional(word.entropy_bits),
                word.word.clone(),
            ]
        };
        let legend = "surprisal and entropy: means over the tokens of the word, all codebooks";
        let columns = columns.map(str::to_owned).into();
        Self { columns, rows: clip.words.iter().map(row).collect(), legend: vec![legend.into()] }
    }

    /// Two modes as groups, a row per codebook and one for all.
    pub(super) fn modes(comparison: &ModeComparison) -> Self {
        let columns = [
            "codebook".to_owned(),
            "overlap".into(),
            "TV".into(),
            "JSD, bits".into(),
            "KL, bits".into(),
            "shared mass".into(),
            format!("top-{TOP} Jaccard"),
            "JSD between".into(),
            "JSD within".into(),
            "p (permutation)".into(),
            "corrected".into(),
            "p (chi-square)".into(),
        ];
        let rows = comparison.codebooks.iter().chain([&comparison.all]).map(group_row);
        Self { columns: columns.into(), rows: rows.collect(), legend: vec![MODES_LEGEND.into()] }
    }
}

/// The meaning of the columns of [`Table::modes`].
const MODES_LEGEND: &str = "between: pairs of clips from both modes; within: pairs of one mode with different seeds, the \
                                       baseline of chance. Use the permutation p-value, corrected for the number of codebooks by \
                                       Holm's method: tokens of one clip are not independent, which chi-square assumes.";

fn group_row(c: &GroupComparison) -> Vec<String> {
    let d = &c.pooled;
    let optional = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.3}"));
    vec![
        c.codebook.map_or("all".into(), |k| k.to_string()),
        format!("{:.3}", d.overlap),
        format!("{:.3}", d.total_variation),
        format!("{:.4}", d.jensen_shannon),
        format!("{:.3}", d.kl_shared),
        format!("{:.2}", d.shared_mass),
        format!("{:.3}", d.jaccard_top),
        optional(c.between_group.map(|d| d.jensen_shannon)),
        optional(c.within_group.map(|d| d.jensen_shannon)),
        optional(c.p),
        optional(c.p_corrected),
        optional(c.chi_square.map(|t| t.p)),
    ]
}

/// One group comparison's caption.
pub(super) fn describe_groups(comparison: &ModeComparison) -> String {
    let ((clips_a, clips_b), (tokens_a, tokens_b)) = (comparison.all.clips, comparison.all.tokens);
    let smallest = match comparison.all.smallest_p {
        Some(p) if p > 0.05 => {
            format!(
                "; the smallest p that so few clips can give is {p:.4}, so that more seeds are needed to find anything"
            )
        }
        Some(p) => format!("; the smallest possible p is {p:.4}"),
        None => "; no p-value from a single clip: more seeds are needed".into(),
    };
    format!(
        "{} ({clips_a} clips, {tokens_a} tokens) against {} ({clips_b} clips, {tokens_b} tokens){smallest}",
        comparison.a, comparison.b
    )
}

/// One pair of clips in words.
pub(super) fn describe_pair(pair: &SeedPair) -> String {
    let (a, b) = (pair.a.name(), pair.b.name());
    let mut out = format!("seed {}: {a} and {b} {}", pair.seed, describe_divergence(pair.divergence));
    if let Some(c) = &pair.cause {
        let verdict = if c.is_explained() { "explained by the difference of the logits" } else { "NOT explained" };
        out +=
            &format!(" (margin {:.1e}, change {:.1e}, rounding bound {:.1e}: {verdict})", c.margin, c.change, c.bound);
    }
    out
}

/// A comparison of checkpoints, a fact a line.
pub(super) fn checkpoint_facts(c: &CheckpointComparison) -> [(&'static str, String); 8] {
    [
        ("draws", c.steps.to_string()),
        ("largest logit difference", format!("{:.2e}", c.max_difference)),
        ("mean KL", format!("{:.2e} bits", c.mean_kl)),
        ("largest KL", format!("{:.2e} bits", c.largest_kl)),
        ("top-1 agreement", format!("{:.2} %", 100.0 * c.top1_agreement)),
        ("top-k agreement", format!("{:.2} %", 100.0 * c.top_k_agreement)),
        ("smallest margin of the most likely id", format!("{:.1e}", c.least_margin)),
        ("clips of the same seed", describe_divergence(c.divergence)),
    ]
}

fn describe_divergence(divergence: Option<Divergence>) -> String {
    match divergence {
        None => "are identical".into(),
        Some(Divergence { frame, codebook: Some(k) }) => format!("diverge at frame {frame}, codebook {k}"),
        Some(Divergence { frame, codebook: None }) => format!("diverge at frame {frame}, where one of them ends"),
    }
}
