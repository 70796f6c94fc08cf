//! Frames of a clip that are worth a second listen: what was improbable, repeated, silent, masked, or ended strangely.

use super::statistics::{Stat, TokenStats};
use crate::data::{Codes, SILENCE_LEVEL};

/// Surprisal from which a draw can count as surprising, bits: one in sixteen.
const LEAST_SURPRISAL: f64 = 4.0;
/// Standard deviations above its codebook's mean from which it does.
const DEVIATIONS: f64 = 3.0;
/// Equal frames in a row from which they count as a repetition.
const REPEATED: usize = 3;
/// Silent frames in a row from which they count: half a second of Mimi.
const SILENT: usize = 6;
/// Probability of the end from which the speech could have ended.
const PROBABLE_END: f32 = 0.5;
/// Probability of the end below which it was improbable where the model ended: one in sixteen.
const IMPROBABLE_END: f32 = 1.0 / 16.0;
/// Shares of the expected length outside of which an end is early or late.
const EXPECTED: (f64, f64) = (0.4, 2.5);

/// What is the matter with a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProblemKind {
    /// The model thought the token improbable: its surprisal, bits.
    Surprising(f64),
    /// The sampler could not have drawn the token: it was chosen by hand, or the settings have changed.
    NotDrawable,
    /// The range guard kept the model from a token.
    Guarded,
    /// The same frame so many times.
    Repeating(usize),
    /// So many silent frames.
    Silent(usize),
    /// The speech went on although its end had this probability.
    PassedEnd(f32),
    /// The model drew the end although it had this probability.
    ImprobableEnd(f32),
    /// The clip is this share of what its text was expected to take.
    EarlyEnd(f64),
    /// The same, and too long.
    LateEnd(f64),
}

impl std::fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Surprising(bits) => write!(f, "improbable token ({bits:.1} bits)"),
            Self::NotDrawable => write!(f, "token that the sampler could not draw"),
            Self::Guarded => write!(f, "token changed by the range guard"),
            Self::Repeating(n) => write!(f, "the same frame {n} times"),
            Self::Silent(n) => write!(f, "{n} silent frames"),
            Self::PassedEnd(p) => write!(f, "went on though the end had {:.0} %", 100.0 * p),
            Self::ImprobableEnd(p) => write!(f, "ended though the end had {:.1} %", 100.0 * p),
            Self::EarlyEnd(share) => write!(f, "early end: {:.0} % of the expected length", 100.0 * share),
            Self::LateEnd(share) => write!(f, "late end: {:.0} % of the expected length", 100.0 * share),
        }
    }
}

/// A frame that is worth a second listen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// The frame.
    pub frame: usize,
    /// How many frames it concerns.
    pub frames: usize,
    /// The codebook; 0 where all are concerned.
    pub codebook: usize,
    /// What is the matter.
    pub kind: ProblemKind,
}

/// What is known of a clip. What is not known yet is empty.
#[derive(Clone, Copy)]
pub struct ClipFacts<'a> {
    /// Its codes.
    pub codes: &'a Codes,
    /// Statistics of its draws, `[T][K]`.
    pub steps: &'a [Vec<TokenStats>],
    /// Whether the range guard changed a token, `[T][K]`; `[]` for a frame without a guard.
    pub guarded: &'a [Vec<bool>],
    /// The model's probability of the end, per frame; one more where the model ended the clip and that draw is known.
    pub end_probability: &'a [f32],
    /// Loudest sample of every frame, full scale 1.
    pub levels: &'a [f32],
    /// Length that its text was expected to take over its own; `None` where that is not known, or it is not complete.
    pub length_share: Option<f64>,
}

/// Problems of a clip, in the order of their frames.
pub fn find_problems(clip: ClipFacts<'_>) -> Vec<Problem> {
    let mut found = improbable(clip.steps);
    let one = |frame, codebook, kind| Problem { frame, frames: 1, codebook, kind };
    for (frame, guarded) in clip.guarded.iter().enumerate() {
        found.extend(guarded.iter().position(|guarded| *guarded).map(|k| one(frame, k, ProblemKind::Guarded)));
    }
    for (frame, frames) in runs(clip.codes.len(), |t| t > 0 && clip.codes.frame(t) == clip.codes.frame(t - 1)) {
        if frames + 1 >= REPEATED {
            let kind = ProblemKind::Repeating(frames + 1);
            found.push(Problem { frame: frame - 1, frames: frames + 1, codebook: 0, kind });
        }
    }
    for (frame, frames) in runs(clip.levels.len(), |t| clip.levels[t] < SILENCE_LEVEL) {
        if frames >= SILENT {
            found.push(Problem { frame, frames, codebook: 0, kind: ProblemKind::Silent(frames) });
        }
    }
    let last = clip.codes.len().saturating_sub(1);
    let (passed, ended) = clip.end_probability.split_at(clip.codes.len().min(clip.end_probability.len()));
    let ends = passed.iter().enumerate().filter(|(_, p)| **p >= PROBABLE_END);
    found.extend(ends.map(|(frame, p)| one(frame, 0, ProblemKind::PassedEnd(*p))));
    let improbable = ended.first().filter(|p| **p < IMPROBABLE_END);
    found.extend(improbable.map(|p| one(last, 0, ProblemKind::ImprobableEnd(*p))));
    match clip.length_share {
        Some(share) if share < EXPECTED.0 => found.push(one(last, 0, ProblemKind::EarlyEnd(share))),
        Some(share) if share > EXPECTED.1 => found.push(one(last, 0, ProblemKind::LateEnd(share))),
        _ => {}
    }
    found.sort_by_key(|problem| (problem.frame, problem.codebook));
    found
}

/// The most improbable token of each frame that has one.
fn improbable(steps: &[Vec<TokenStats>]) -> Vec<Problem> {
    let codebooks = steps.first().map_or(0, Vec::len);
    let bounds: Vec<f64> = (0..codebooks)
        .map(|k| {
            let values: Vec<f64> = steps.iter().map(|s| s[k][Stat::Surprisal]).filter(|v| v.is_finite()).collect();
            let n = values.len().max(1) as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (mean + DEVIATIONS * variance.sqrt()).max(LEAST_SURPRISAL)
        })
        .collect();
    let of_frame = |(frame, steps): (usize, &Vec<TokenStats>)| {
        if let Some(codebook) = steps.iter().position(|s| s[Stat::SampledProbability] == 0.0) {
            return Some(Problem { frame, frames: 1, codebook, kind: ProblemKind::NotDrawable });
        }
        let surprising =
            steps.iter().enumerate().map(|(k, s)| (k, s[Stat::Surprisal])).filter(|(k, v)| *v >= bounds[*k]);
        let (codebook, bits) = surprising.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Problem { frame, frames: 1, codebook, kind: ProblemKind::Surprising(bits) })
    };
    steps.iter().enumerate().filter_map(of_frame).collect()
}

/// First frame and length of every run of frames of which `is` holds.
fn runs(frames: usize, is: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for t in (0..frames).filter(|t| is(*t)) {
        match runs.last_mut() {
            Some((from, length)) if *from + *length == t => *length += 1,
            _ => runs.push((t, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Logits, SamplingParams};

    /// Draws from sixteen equally likely ids, four bits each, but one of a frame.
    fn steps(frames: usize, improbable: usize) -> Vec<Vec<TokenStats>> {
        let params = SamplingParams::new(1.0, 16);
        let draw = |t: usize| {
            let mut logits = vec![0.0; 16];
            let token = if t == improbable { 3 } else { 0 };
            logits[0] = 5.0;
            TokenStats::measure(Logits::new(16, logits).row(0), token, params, None)
        };
        (0..frames).map(|t| vec![draw(t), draw(usize::MAX)]).collect()
    }

    #[test]
    fn each_kind_is_found_where_it_is() {
        let mut frames: Vec<[u32; 2]> = (0..40).map(|t| [t + 1, 2 * t + 1]).collect();
        (frames[11], frames[12]) = (frames[10], frames[10]);
        let codes = Codes::from_frames(frames).unwrap();
        let steps = steps(40, 7);
        let mut levels = vec![0.3; 40];
        levels[20..27].fill(1e-4);
        levels[30..33].fill(1e-4);
        let mut end = vec![0.01; 40];
        end[35] = 0.8;
        let mut guarded = vec![Vec::new(); 40];
        guarded[5] = vec![false, true];
        let facts = ClipFacts {
            codes: &codes,
            steps: &steps,
            guarded: &guarded,
            end_probability: &end,
            levels: &levels,
            length_share: Some(0.2),
        };
        let found = find_problems(facts);
        let seen: Vec<(usize, usize, usize)> = found.iter().map(|p| (p.frame, p.frames, p.codebook)).collect();
        assert_eq!(seen, [(5, 1, 1), (7, 1, 0), (10, 3, 0), (20, 7, 0), (35, 1, 0), (39, 1, 0)], "{found:?}");
        assert!(matches!(found[1].kind, ProblemKind::Surprising(bits) if bits > 7.0));
        assert_eq!(found[2].kind, ProblemKind::Repeating(3));
        assert_eq!(found[5].kind, ProblemKind::EarlyEnd(0.2));
        let ended = |p: f32| {
            let end: Vec<f32> = end.iter().copied().chain([p]).collect();
            find_problems(ClipFacts { end_probability: &end, length_share: None, ..facts }).last().unwrap().kind
        };
        assert_eq!(ended(0.02), ProblemKind::ImprobableEnd(0.02));
        assert_eq!(ended(0.9), ProblemKind::PassedEnd(0.8), "where it ended it has not passed its end");
        // Without anything there is nothing, and nothing to divide by.
        let empty = ClipFacts {
            codes: &Codes::default(),
            steps: &[],
            guarded: &[],
            end_probability: &[],
            levels: &[],
            length_share: None,
        };
        assert!(find_problems(empty).is_empty());
    }

    #[test]
    fn a_token_that_the_sampler_had_cut_is_told() {
        let draw = TokenStats::measure(&[3.0, 2.0, 1.0], 2, SamplingParams::new(1.0, 1), None);
        let found = improbable(&[vec![draw]]);
        assert_eq!(found[0].kind, ProblemKind::NotDrawable);
    }
}
