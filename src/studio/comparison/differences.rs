//! How pinned clips differ.

use std::sync::Arc;

use super::PinnedClip;
use super::pins::with_tokens;
use crate::analysis::divergence::{Divergence, DivergenceCause, explain};
use crate::analysis::histogram::{Distances, joint_counts};
use crate::data::ModelInfo;
use crate::report::{self, ClipReport, Report, StepsUnavailable, Table};

/// For each pinned clip, how it differs from the first, in a line.
pub(super) fn describe_differences(pinned: &[Arc<PinnedClip>], info: &ModelInfo) -> Vec<String> {
    let Some((first, others)) = pinned.split_first() else { return Vec::new() };
    let rows = others.iter().map(|other| describe_difference(first, other, info));
    std::iter::once("reference".to_owned()).chain(rows).collect()
}

fn describe_difference(first: &PinnedClip, other: &PinnedClip, info: &ModelInfo) -> String {
    let (a, b) = (&first.clip.codes, &other.clip.codes);
    if a.codebooks() != b.codebooks() {
        return "made by another model: only its sound can be compared".into();
    }
    let Some(divergence) = Divergence::between(a, b) else { return "the same tokens".into() };
    let codebook = divergence.codebook.map_or("one of them ends".into(), |k| format!("codebook {k}"));
    let at = format!("first difference at {:.2} s, {codebook}", info.dims.seconds(divergence.frame));
    let cause = cause_of(first, other, divergence).map_or(String::new(), |c| {
        let verdict = if c.is_explained() { "explained" } else { "not explained" };
        format!(" (margin {:.1e}, change {:.1e}: {verdict})", c.margin, c.change)
    });
    let d = Distances::measure(&joint_counts(a, info.dims.vocab), &joint_counts(b, info.dims.vocab));
    let tokens = (a.ids().len(), b.ids().len());
    format!(
        "{at}{cause}; overlap {:.2}, TV {:.2}, JSD {:.3} bits (n = {} and {} tokens)",
        d.overlap, d.total_variation, d.jensen_shannon, tokens.0, tokens.1
    )
}

/// Why two clips of the same noise diverge, if the steps of both are known.
fn cause_of(first: &PinnedClip, other: &PinnedClip, divergence: Divergence) -> Option<DivergenceCause> {
    let (a, b) = (first.clip.origin.sampling?, other.clip.origin.sampling?);
    let (t, k) = (divergence.frame, divergence.codebook?);
    let (reference, ours) = (first.steps.get(t)?, other.steps.get(t)?);
    let tokens = (other.clip.codes.frame(t)[k], first.clip.codes.frame(t)[k]);
    a.shares_noise_with(&b).then(|| explain(&a, (t, k), &reference.logits, &ours.logits, tokens))
}

/// The pinned clips' modes against each other; no tables unless there are two modes.
pub(in crate::studio) fn mode_tables(pinned: &[Arc<PinnedClip>], info: &ModelInfo) -> Vec<(String, Table)> {
    let report_of = |pinned: &Arc<PinnedClip>| {
        ClipReport::new(pinned.name.clone(), &pinned.clip, Err(StepsUnavailable::NotRequested), info)
    };
    let clips = with_tokens(pinned, info.dims.codebooks).map(report_of).collect();
    // Only the comparison is wanted here.
    let report = Report { clips: Vec::new(), ranking: Vec::new(), ..Report::new(info.clone(), clips) };
    report::tables(&report)
}
