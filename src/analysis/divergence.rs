//! Where two clips of the same seed diverge, and why.

use serde::Serialize;

use crate::data::{Codes, Logits, Sampling, SamplingParams};
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::{floor, penalise};
use crate::sampling::warp::Cut;

/// The first difference between two clips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// First frame that differs.
    pub frame: usize,
    /// First codebook that differs in it; `None` if one clip ends there.
    pub codebook: Option<usize>,
}

impl Divergence {
    /// The first difference, or `None` if the clips are identical.
    pub fn between(a: &Codes, b: &Codes) -> Option<Self> {
        let differs = a.frames().zip(b.frames()).position(|(a, b)| a != b);
        if let Some(frame) = differs {
            let codebook = a.frame(frame).iter().zip(b.frame(frame)).position(|(a, b)| a != b);
            return Some(Self { frame, codebook });
        }
        (a.len() != b.len()).then(|| Self { frame: a.len().min(b.len()), codebook: None })
    }
}

/// Why two engines drew different tokens from the same noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DivergenceCause {
    /// How much one candidate beats the other by in the reference's log-score, ln(p / q), 0 and up.
    pub margin: f64,
    /// How much the difference of the two log-scores changes from the reference's logits to the other's.
    pub change: f64,
    /// How much rounding inside the draw can add to that.
    pub bound: f64,
}

impl DivergenceCause {
    /// Whether the measured change of the logits, with rounding, suffices to change the token.
    pub fn is_explained(&self) -> bool {
        self.margin <= self.change + self.bound
    }

    /// Compares candidate `a` (the other's token) with `b` (the reference's), given the shared `noise` `[V]`. If top-k keeps a
    /// candidate in one computation only, the floor of the cut replaces the second candidate.
    pub fn measure(
        reference: &[f32],
        other: &[f32],
        params: SamplingParams,
        (a, b): (u32, u32),
        noise: &[f32],
    ) -> Self {
        let t = params.temperature;
        let at = |logits: &[f32], id: u32| f64::from(logits[id as usize]) / t;
        let unit = f64::from(f32::EPSILON) / 2.0;
        for cut in Cut::ALL {
            let (Some(floor_reference), Some(floor_other)) = (floor(cut, reference, params), floor(cut, other, params))
            else {
                continue;
            };
            let above = |logits: &[f32], floor: f32, id: u32| at(logits, id) - f64::from(floor);
            let kept = |logits: &[f32], floor: f32, id: u32| logits[id as usize] / t as f32 >= floor;
            let differs = |id: &u32| kept(reference, floor_reference, *id) != kept(other, floor_other, *id);
            if let Some(id) = [a, b].into_iter().find(differs) {
                let (ours, theirs) = (above(other, floor_other, id), above(reference, floor_reference, id));
                let bound = 4.0 * unit * at(reference, id).abs();
                return Self { margin: theirs.abs(), change: (ours - theirs).abs(), bound };
            }
        }
        let log_noise_diff = f64::from(noise[a as usize]).ln() - f64::from(noise[b as usize]).ln();
        let score_diff = |logits: &[f32]| at(logits, b) - at(logits, a) + log_noise_diff;
        let (ours, theirs) = (score_diff(other), score_diff(reference));
        let best = reference.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let depth = [a, b].map(|id| f64::from(best) / t - at(reference, id)).into_iter().fold(0.0, f64::max);
        Self { margin: theirs.abs(), change: (ours - theirs).abs(), bound: 4.0 * (depth + 6.0) * unit }
    }
}

/// Why `codebook` of `frame` differs: the draw's noise in PyTorch's stream, the reference's and the other's logits of the frame,
/// and both tokens (the other's first).
pub fn explain(
    sampling: &Sampling,
    (frame, codebook): (usize, usize),
    reference: &Logits,
    other: &Logits,
    tokens: (u32, u32),
) -> DivergenceCause {
    let params = sampling.params_for(codebook);
    // Both have drawn the same tokens so far.
    let penalised =
        |logits: &'_ Logits| penalise(logits.row(codebook), params, reference.recent(codebook)).into_owned();
    let (theirs, ours) = (penalised(reference), penalised(other));
    let noise = TorchNoise::for_draw(sampling.seed, frame, codebook, reference.rows().len(), theirs.len());
    DivergenceCause::measure(&theirs, &ours, params, tokens, &noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_diverge_at_a_token_or_an_end() {
        let a = Codes::from_frames([[1, 2], [3, 4]]).unwrap();
        assert_eq!(Divergence::between(&a, &a), None);
        assert_eq!(Divergence::between(&a, &a.prefix(1)), Some(Divergence { frame: 1, codebook: None }));
        let b = Codes::from_frames([[1, 2], [3, 5]]).unwrap();
        assert_eq!(Divergence::between(&a, &b), Some(Divergence { frame: 1, codebook: Some(1) }));
    }

    #[test]
    fn a_close_race_is_explained_and_a_clear_one_is_not() {
        let params = SamplingParams::new(1.0, 3);
        let noise = [1.0, 1.0, 1.0];
        let close = DivergenceCause::measure(&[1.0, 1.00001, -3.0], &[1.00002, 1.0, -3.0], params, (0, 1), &noise);
        assert!(close.is_explained(), "{close:?}");
        let clear = DivergenceCause::measure(&[1.0, 2.0, -3.0], &[1.00002, 2.0, -3.0], params, (0, 1), &noise);
        assert!(!clear.is_explained(), "{clear:?}");
    }
}
