use rayon::prelude::*;
use serde::Serialize;

use super::clip::ClipReport;
use super::ranking;
use super::word_distances::{WordDistance, word_distances};
use crate::acoustics::distances::{SoundDistance, distance};
use crate::analysis::divergence::{Divergence, DivergenceCause};
use crate::analysis::groups::{GroupComparison, GroupedClip, compare_in_all_codebooks};
use crate::analysis::histogram::{jensen_shannon, joint_counts};
use crate::analysis::logit_diff::LogitDiff;
use crate::data::{Mode, ModelInfo};

/// Two modes' clips as groups, overall and by codebook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeComparison {
    /// Name of the first mode.
    pub a: String,
    /// Name of the second mode.
    pub b: String,
    /// Comparison over all codebooks together.
    pub all: GroupComparison,
    /// Comparison of each codebook.
    pub codebooks: Vec<GroupComparison>,
}

/// Two clips of one seed in two modes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeedPair {
    /// Seed that both clips have.
    pub seed: u64,
    /// Mode of the first clip.
    pub a: Mode,
    /// Mode of the second clip.
    pub b: Mode,
    /// Where they diverge; `None` if they are identical.
    pub divergence: Option<Divergence>,
    /// Why, where both modes draw from the same noise.
    pub cause: Option<DivergenceCause>,
}

/// Two clips by their sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoundPair {
    /// Place of the first one in the report.
    pub a: usize,
    /// Place of the second one.
    pub b: usize,
    /// How far apart they are.
    #[serde(flatten)]
    pub distance: SoundDistance,
}

/// Two checkpoints on the same tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckpointComparison {
    /// Name of the reference checkpoint.
    pub a: String,
    /// Name of the other checkpoint.
    pub b: String,
    /// Number of frames that were compared.
    pub steps: usize,
    /// Largest difference of two logits.
    pub max_difference: f32,
    /// Mean of `KL(a || b)`, bits.
    pub mean_kl: f64,
    /// Largest divergence of a draw, in bits.
    pub largest_kl: f64,
    /// Share of draws with the same most likely id.
    pub top1_agreement: f64,
    /// Mean share of common top-k ids.
    pub top_k_agreement: f64,
    /// Smallest margin of the reference between the best and the second best logit.
    pub least_margin: f32,
    /// Where clips of the same seed diverge; `None` if they are identical.
    pub divergence: Option<Divergence>,
    /// Differences of each draw, `[T][K]`.
    #[serde(skip)]
    pub diffs: Vec<Vec<LogitDiff>>,
}

impl CheckpointComparison {
    /// Summarises the differences of every draw, `[T][K]`, at least one.
    pub fn new(a: &str, b: &str, diffs: Vec<Vec<LogitDiff>>, divergence: Option<Divergence>) -> Self {
        let all: Vec<&LogitDiff> = diffs.iter().flatten().collect();
        let mean = |f: fn(&LogitDiff) -> f64| all.iter().map(|d| f(d)).sum::<f64>() / all.len() as f64;
        Self {
            a: a.into(),
            b: b.into(),
            steps: all.len(),
            max_difference: all.iter().map(|d| d.max_difference).fold(0.0, f32::max),
            mean_kl: mean(|d| d.kl),
            largest_kl: all.iter().map(|d| d.kl).fold(0.0, f64::max),
            top1_agreement: mean(|d| f64::from(u8::from(d.top1_agreement))),
            top_k_agreement: mean(|d| d.top_k_agreement),
            least_margin: all.iter().map(|d| d.margin).fold(f32::INFINITY, f32::min),
            divergence,
            diffs,
        }
    }
}

/// Results of an analysis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The model that the clips are from.
    pub model: ModelInfo,
    /// Reports of the clips.
    pub clips: Vec<ClipReport>,
    /// Comparisons of modes with each other, of clips that are alike in everything but mode and seed.
    pub groups: Vec<ModeComparison>,
    /// Clips and modes that are not compared, and why.
    pub not_compared: Vec<String>,
    /// Same seed, two modes.
    pub pairs: Vec<SeedPair>,
    /// Jensen-Shannon divergence, bits, of every clip from every other (all codebooks together), with two clips or more.
    pub distances: Vec<Vec<f64>>,
    /// Clips whose sound was measured against each other.
    pub sound_distances: Vec<SoundPair>,
    /// The first clip's words against the same words of the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub word_distances: Vec<WordDistance>,
    /// Places in `clips`, best first by what can be measured; empty for one clip.
    pub ranking: Vec<usize>,
    /// Comparison of two checkpoints, if requested.
    pub checkpoints: Option<CheckpointComparison>,
}

impl Report {
    /// Reports `clips`. Clips of different modes are compared as groups.
    pub fn new(model: ModelInfo, clips: Vec<ClipReport>) -> Self {
        let distances = distances(&clips, &model);
        let (groups, not_compared) = compare_modes(&clips, &model);
        let sound_distances = sound_distances(&clips);
        let word_distances = word_distances(&clips, &model);
        let ranking = if clips.len() > 1 { ranking::rank(&clips) } else { Vec::new() };
        Self {
            model,
            clips,
            groups,
            not_compared,
            pairs: Vec::new(),
            distances,
            sound_distances,
            word_distances,
            ranking,
            checkpoints: None,
        }
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() // plain data, which always has a JSON form
    }
}

fn distances(clips: &[ClipReport], model: &ModelInfo) -> Vec<Vec<f64>> {
    if clips.len() < 2 {
        return Vec::new();
    }
    let histograms: Vec<Vec<u64>> = clips.iter().map(|c| joint_counts(&c.codes, model.dims.vocab)).collect();
    histograms.iter().map(|a| histograms.iter().map(|b| jensen_shannon(a, b)).collect()).collect()
}

fn sound_distances(clips: &[ClipReport]) -> Vec<SoundPair> {
    let pairs: Vec<(usize, usize)> = (0..clips.len()).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    let compare = |(a, b): (usize, usize)| {
        let distance = distance(clips[a].features.as_ref()?, clips[b].features.as_ref()?)?;
        Some(SoundPair { a, b, distance })
    };
    pairs.into_par_iter().filter_map(compare).collect()
}

/// Everything about a clip but mode, precision and seed, as named values: clips with the same ones can be compared.
fn settings(clip: &ClipReport) -> Vec<(&'static str, String)> {
    let sampling = clip.sampling;
    vec![
        ("texts", clip.text.clone().unwrap_or_default()),
        ("speakers", format!("{:?}", clip.speaker)),
        ("sampling settings", format!("{:?}", sampling.map(|s| (s.codebook0, s.depth, s.guard)))),
    ]
}

/// Each pair of modes as groups of clips that are alike in everything but mode and seed, and what that leaves out.
fn compare_modes<'a>(clips: &'a [ClipReport], model: &ModelInfo) -> (Vec<ModeComparison>, Vec<String>) {
    let of_mode = |mode: Mode| -> Vec<&'a ClipReport> {
        clips.iter().filter(|clip| clip.sampling.is_some_and(|s| s.mode == mode)).collect()
    };
    let mut items: Vec<Vec<(&str, String)>> = Vec::new();
    for clip in clips {
        let settings = settings(clip);
        if !items.contains(&settings) {
            items.push(settings);
        }
    }
    let item = |clip: &ClipReport| items.iter().position(|known| *known == settings(clip)).unwrap_or(items.len());
    let grouped = |clip: &&'a ClipReport| GroupedClip {
        item: item(clip),
        seed: clip.sampling.map_or(0, |s| s.seed),
        codes: &clip.codes,
    };
    let (mut out, mut left_out) = (Vec::new(), Vec::new());
    for (i, a) in Mode::all().iter().enumerate() {
        for b in &Mode::all()[i + 1..] {
            let (x, y) = (of_mode(a.mode), of_mode(b.mode));
            if x.is_empty() || y.is_empty() {
                continue;
            }
            let shared = |clip: &&&ClipReport| {
                [&x, &y].into_iter().all(|group| group.iter().any(|other| item(other) == item(clip)))
            };
            let (in_x, in_y): (Vec<_>, Vec<_>) =
                (x.iter().filter(shared).map(grouped).collect(), y.iter().filter(shared).map(grouped).collect());
            let unshared: Vec<&&ClipReport> = x.iter().chain(&y).filter(|clip| !shared(clip)).collect();
            if in_x.is_empty() {
                left_out.push(format!(
                    "{} and {} are not compared: their {} differ, which would be taken for a difference of the modes",
                    a.name,
                    b.name,
                    differing(&unshared).join(" and ")
                ));
                continue;
            }
            if !unshared.is_empty() {
                let names: Vec<&str> = unshared.iter().map(|clip| clip.name.as_str()).collect();
                left_out.push(format!(
                    "{} against {}: {} left out, as the other mode has no clip of the same text and settings",
                    a.name,
                    b.name,
                    names.join(", ")
                ));
            }
            let (all, codebooks) = compare_in_all_codebooks(&in_x, &in_y, model.dims.codebooks, model.dims.vocab);
            out.push(ModeComparison { a: a.name.into(), b: b.name.into(), all, codebooks });
        }
    }
    (out, left_out)
}

/// Names of the settings that clips differ in.
fn differing(clips: &[&&ClipReport]) -> Vec<&'static str> {
    let names = clips.first().map_or(Vec::new(), |clip| settings(clip));
    let differs = |name: &str| {
        let values: std::collections::BTreeSet<String> =
            clips.iter().flat_map(|clip| settings(clip)).filter(|(other, _)| *other == name).map(|(_, v)| v).collect();
        values.len() > 1
    };
    names.into_iter().map(|(name, _)| name).filter(|name| differs(name)).collect()
}
