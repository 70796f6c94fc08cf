//! A permutation test over clips. Tokens of one clip are not independent, so whole clips are relabelled.

use super::histogram::jensen_shannon;
use crate::data::RepeatableRandom;

/// Relabellings; the smallest p-value is one over this plus one.
pub const PERMUTATIONS: usize = 999;

/// A clip's seed and histogram.
pub(super) type SeededHistogram = (u64, Vec<u64>);

/// p-value of the Jensen-Shannon divergence of two groups' pooled histograms (Good 2005): the share of relabellings that are as
/// far apart as the real labels, the real one included, so never 0. `None` with fewer than two clips per group.
pub(super) fn permutation_p(a: &[SeededHistogram], b: &[SeededHistogram], sum_a: &[u64], sum_b: &[u64]) -> Option<f64> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let observed = jensen_shannon(sum_a, sum_b);
    let mut random = RepeatableRandom::new(0x5eed);
    // Equal seeds on both sides and in order: swap within pairs. Else shuffle all clips.
    let paired = a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.0 == y.0);
    let all: Vec<&SeededHistogram> = a.iter().chain(b).collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    let mut as_far = 1;
    for _ in 0..PERMUTATIONS {
        if paired {
            for i in 0..a.len() {
                if random.below(2) == 1 {
                    order.swap(i, i + a.len());
                }
            }
        } else {
            random.shuffle(&mut order);
        }
        let mut first = vec![0u64; sum_a.len()];
        for i in &order[..a.len()] {
            first.iter_mut().zip(&all[*i].1).for_each(|(o, n)| *o += n);
        }
        let second: Vec<u64> = first.iter().zip(sum_a.iter().zip(sum_b)).map(|(f, (a, b))| a + b - f).collect();
        // Tolerates rounding: the same split summed in another order must count as equal.
        as_far += usize::from(jensen_shannon(&first, &second) >= observed - 1e-12);
    }
    Some(as_far as f64 / (PERMUTATIONS + 1) as f64)
}
