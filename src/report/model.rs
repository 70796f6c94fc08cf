use rayon::prelude::*;
use serde::Serialize;

use super::clip::ClipReport;
use super::ranking;
use crate::acoustics::distances::{SoundDistance, distance};
use crate::analysis::divergence::{Divergence, DivergenceCause};
use crate::analysis::groups::{GroupComparison, compare_groups};
use crate::analysis::histogram::{jensen_shannon, joint_counts};
use crate::analysis::logit_diff::LogitDiff;
use crate::data::{Codes, Mode, ModelInfo};

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
    /// Comparisons of modes with each other.
    pub groups: Vec<ModeComparison>,
    /// Same seed, two modes.
    pub pairs: Vec<SeedPair>,
    /// Jensen-Shannon divergence, bits, of every clip from every other (all codebooks together), with two clips or more.
    pub distances: Vec<Vec<f64>>,
    /// Clips whose sound was measured against each other.
    pub sound_distances: Vec<SoundPair>,
    /// Places in `clips`, best first by what can be measured; empty for one clip.
    pub ranking: Vec<usize>,
    /// Comparison of two checkpoints, if requested.
    pub checkpoints: Option<CheckpointComparison>,
}

impl Report {
    /// Reports `clips`. Clips of different modes are compared as groups.
    pub fn new(model: ModelInfo, clips: Vec<ClipReport>) -> Self {
        let (distances, groups) = (distances(&clips, &model), compare_modes(&clips, &model));
        let sound_distances = sound_distances(&clips);
        let ranking = if clips.len() > 1 { ranking::rank(&clips) } else { Vec::new() };
        Self { model, clips, groups, pairs: Vec::new(), distances, sound_distances, ranking, checkpoints: None }
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

fn compare_modes(clips: &[ClipReport], model: &ModelInfo) -> Vec<ModeComparison> {
    let vocab = model.dims.vocab;
    let group = |mode: Mode| -> Vec<(u64, &Codes)> {
        let of_mode = clips.iter().filter_map(|c| Some((c.sampling?, c))).filter(|(s, _)| s.mode == mode);
        of_mode.map(|(s, c)| (s.seed, &c.codes)).collect()
    };
    let mut out = Vec::new();
    for (i, a) in Mode::all().iter().enumerate() {
        for b in &Mode::all()[i + 1..] {
            let (x, y) = (group(a.mode), group(b.mode));
            if !x.is_empty() && !y.is_empty() {
                out.push(ModeComparison {
                    a: a.name.into(),
                    b: b.name.into(),
                    all: compare_groups(&x, &y, None, vocab),
                    codebooks: (0..model.dims.codebooks).map(|k| compare_groups(&x, &y, Some(k), vocab)).collect(),
                });
            }
        }
    }
    out
}
