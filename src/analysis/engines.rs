//! Two computations of the same step: two engines, or two checkpoints, on one prefix.

use serde::Serialize;

use super::{agreement, kl, top};
use crate::prompt::Frame;
use crate::sampling::Draw;
use crate::sampling::reference::{kth_largest, softmax, warp};

/// How far two computations of one step's logits are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gap {
    /// Largest difference of two logits, 0 and up.
    pub difference: f32,
    /// `KL(softmax(reference) || softmax(other))`, bits.
    pub kl: f64,
    /// How far the reference's best logit is above its second best, 0 and up: a difference below half of it cannot change a
    /// greedy choice.
    pub margin: f32,
    /// Whether both have the same best id.
    pub same_best: bool,
    /// Share of the reference's top-k ids that are among the other's.
    pub top_k_agreement: f64,
}

impl Gap {
    /// Of `reference` and `other`, both `[V]`, V at least 2.
    pub fn of(reference: &[f32], other: &[f32], top_k: usize) -> Self {
        let (ours, theirs) = (top(reference, top_k.max(2)), top(other, top_k.max(2)));
        let k = top_k.min(reference.len());
        Self {
            difference: reference.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max),
            kl: kl(&softmax(reference), &softmax(other)),
            margin: reference[ours[0]] - reference[ours[1]],
            same_best: ours[0] == theirs[0],
            top_k_agreement: agreement(&ours[..k], &theirs[..k]),
        }
    }
}

/// Where two clips part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// First frame that differs.
    pub frame: usize,
    /// First codebook that differs in it; `None` where one clip ends there.
    pub codebook: Option<usize>,
}

/// Where `a` and `b` part; `None` where they are the same.
pub fn parting(a: &[Frame], b: &[Frame]) -> Option<Parting> {
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    if let Some(frame) = differs {
        let codebook = a[frame].iter().zip(&b[frame]).position(|(a, b)| a != b);
        return Some(Parting { frame, codebook });
    }
    (a.len() != b.len()).then(|| Parting { frame: a.len().min(b.len()), codebook: None })
}

/// Why two engines drew different tokens with one noise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// How much one candidate beats the other by in the reference's log-score, ln(p / q), 0 and up.
    pub margin: f64,
    /// How far the difference of the two log-scores is moved by going from the reference's logits to the other's.
    pub change: f64,
    /// What rounding inside the draw can add to that.
    pub bound: f64,
}

impl Cause {
    /// Whether the measured change of the logits, with rounding, is enough to turn the draw.
    pub fn explains(&self) -> bool {
        self.margin <= self.change + self.bound
    }

    /// Of the candidates `a` (the other's token) and `b` (the reference's), with `noise` `[V]` shared. Where a candidate is kept by
    /// top-k in one computation and not in the other, the k-th largest logit takes the second candidate's place.
    pub fn of(reference: &[f32], other: &[f32], how: Draw, (a, b): (u32, u32), noise: &[f32]) -> Self {
        let t = how.temperature;
        let at = |logits: &[f32], id: u32| f64::from(logits[id as usize]) / t;
        let unit = f64::from(f32::EPSILON) / 2.0;
        let (kept_reference, kept_other) = (warp(reference, how, None), warp(other, how, None));
        let kept = |warped: &[f32], id: u32| warped[id as usize].is_finite();
        if let Some(id) = [a, b].into_iter().find(|id| kept(&kept_reference, *id) != kept(&kept_other, *id)) {
            let over = |logits: &[f32]| at(logits, id) - f64::from(kth_largest(logits, how.top_k)) / t;
            let (ours, theirs) = (over(other), over(reference));
            let bound = 4.0 * unit * at(reference, id).abs();
            return Self { margin: theirs.abs(), change: (ours - theirs).abs(), bound };
        }
        let coin = f64::from(noise[a as usize]).ln() - f64::from(noise[b as usize]).ln();
        let ahead = |logits: &[f32]| at(logits, b) - at(logits, a) + coin;
        let (ours, theirs) = (ahead(other), ahead(reference));
        let best = reference.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let depth = [a, b].map(|id| f64::from(best) / t - at(reference, id)).into_iter().fold(0.0, f64::max);
        Self { margin: theirs.abs(), change: (ours - theirs).abs(), bound: 4.0 * (depth + 6.0) * unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_zero_of_itself() {
        let logits = [3.0, 1.0, 2.0];
        let gap = Gap::of(&logits, &logits, 1);
        assert_eq!(gap, Gap { difference: 0.0, kl: 0.0, margin: 1.0, same_best: true, top_k_agreement: 1.0 });
        let other = Gap::of(&logits, &[1.0, 3.0, 2.0], 2);
        assert_eq!((other.difference, other.same_best, other.top_k_agreement), (2.0, false, 0.5));
    }

    #[test]
    fn clips_part_at_a_token_or_an_end() {
        let a = vec![vec![1, 2], vec![3, 4]];
        assert_eq!(parting(&a, &a), None);
        assert_eq!(parting(&a, &a[..1]), Some(Parting { frame: 1, codebook: None }));
        assert_eq!(parting(&a, &[vec![1, 2], vec![3, 5]]), Some(Parting { frame: 1, codebook: Some(1) }));
    }

    #[test]
    fn a_close_race_is_explained_and_a_clear_one_is_not() {
        let how = Draw { temperature: 1.0, top_k: 3 };
        let noise = [1.0, 1.0, 1.0];
        let close = Cause::of(&[1.0, 1.00001, -3.0], &[1.00002, 1.0, -3.0], how, (0, 1), &noise);
        assert!(close.explains(), "{close:?}");
        let clear = Cause::of(&[1.0, 2.0, -3.0], &[1.00002, 2.0, -3.0], how, (0, 1), &noise);
        assert!(!clear.explains(), "{clear:?}");
    }
}
