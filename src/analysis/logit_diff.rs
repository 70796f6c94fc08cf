//! Two computations of the same logits: two engines, or two checkpoints, given the same tokens before.

use serde::Serialize;

use super::{agreement, kl, top_ids};
use crate::sampling::reference::softmax;

/// The difference between two computations of one draw's logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LogitDiff {
    /// Largest difference of two logits, 0 and up.
    pub max_difference: f32,
    /// `KL(softmax(reference) || softmax(other))`, bits.
    pub kl: f64,
    /// How far the reference's best logit is above its second best, 0 and up: a difference below half of it cannot
    /// change a greedy choice.
    pub margin: f32,
    /// Whether both have the same best id.
    pub top1_agreement: bool,
    /// Share of the reference's top-k ids that are among the other's.
    pub top_k_agreement: f64,
}

impl LogitDiff {
    /// Measures two rows of logits `[V]`, V at least 2.
    pub fn measure(reference: &[f32], other: &[f32], top_k: usize) -> Self {
        let (ours, theirs) = (top_ids(reference, top_k.max(2)), top_ids(other, top_k.max(2)));
        let k = top_k.min(reference.len());
        Self {
            max_difference: reference.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max),
            kl: kl(&softmax(reference), &softmax(other)),
            margin: reference[ours[0]] - reference[ours[1]],
            top1_agreement: ours[0] == theirs[0],
            top_k_agreement: agreement(&ours[..k], &theirs[..k]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_do_not_differ() {
        let logits = [3.0, 1.0, 2.0];
        let same = LogitDiff::measure(&logits, &logits, 1);
        let expected =
            LogitDiff { max_difference: 0.0, kl: 0.0, margin: 1.0, top1_agreement: true, top_k_agreement: 1.0 };
        assert_eq!(same, expected);
        let other = LogitDiff::measure(&logits, &[1.0, 3.0, 2.0], 2);
        assert_eq!((other.max_difference, other.top1_agreement, other.top_k_agreement), (2.0, false, 0.5));
    }
}
