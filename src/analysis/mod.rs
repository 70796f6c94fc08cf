//! Statistics on plain data. Every function states its formula, range and unit; probabilities are `f32` as in the samplers, sums
//! are `f64`. Entropies and divergences are in bits.
//!
//! [`alignment`]: words in time. [`statistics`], [`steps`], [`calibration`], [`draw`], [`what_if`]: draws. [`clip`], [`issues`], [`word_errors`]: one clip. [`histogram`], [`groups`]: clips
//! against clips. [`logit_diff`], [`divergence`]: two computations of the same clip. [`binomial`], [`sign_flip`], [`mean_test`], [`simulate`]: votes of listeners.

pub mod alignment;
pub mod binomial;
pub mod calibration;
pub mod chi_square;
pub mod clip;
pub mod divergence;
pub mod draw;
pub mod groups;
pub mod histogram;
pub mod issues;
pub mod logit_diff;
pub mod mean_test;
pub mod permutation;
pub mod sign_flip;
pub mod simulate;
pub mod statistics;
pub mod steps;
pub mod what_if;
pub mod word_errors;

/// Kullback-Leibler divergence of `q` from `p`, `sum p log2(p / q)`, in bits, 0 and up (Kullback and Leibler 1951). The sum runs
/// over the support of `p`; it is infinite if `q` has no mass where `p` has some.
pub fn kl(p: &[f32], q: &[f32]) -> f64 {
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, q)| f64::from(*p) * (f64::from(*p) / f64::from(*q)).log2()).sum::<f64>().max(0.0)
}

/// Shannon entropy `-sum p log2 p`, in bits, 0 to log2 of the number of ids (Shannon 1948).
pub fn entropy(p: &[f32]) -> f64 {
    let terms = p.iter().filter(|p| **p > 0.0).map(|p| f64::from(*p));
    (-terms.map(|p| p * p.log2()).sum::<f64>()).max(0.0)
}

/// Ids of the `k` largest values, largest first, at most k; of equal values the smaller id comes first.
pub fn top_ids(values: &[f32], k: usize) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..values.len()).collect();
    let larger = |a: &usize, b: &usize| values[*b].total_cmp(&values[*a]).then(a.cmp(b));
    if k < ids.len() {
        ids.select_nth_unstable_by(k, larger);
        ids.truncate(k);
    }
    ids.sort_unstable_by(larger);
    ids
}

/// Share of the ids that two sets of the same size have in common, 0 to 1.
pub fn agreement(a: &[usize], b: &[usize]) -> f64 {
    common(a, b) as f64 / a.len().max(1) as f64
}

/// Jaccard index of two sets of distinct ids: common ids over all ids, 0 to 1; 1 for two empty sets (Jaccard 1901).
pub fn jaccard(a: &[usize], b: &[usize]) -> f64 {
    let common = common(a, b);
    let all = a.len() + b.len() - common;
    if all == 0 { 1.0 } else { common as f64 / all as f64 }
}

fn common(a: &[usize], b: &[usize]) -> usize {
    let set: std::collections::HashSet<&usize> = a.iter().collect();
    b.iter().filter(|id| set.contains(id)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_zero_of_itself_and_infinite_off_the_support() {
        let (p, q) = ([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]);
        assert_eq!(kl(&p, &p), 0.0);
        assert!((kl(&p, &q) - 0.5 * (2.0f64.log2() + (2.0f64 / 3.0).log2())).abs() < 1e-9);
        assert_eq!(kl(&p, &[1.0, 0.0, 0.0]), f64::INFINITY);
    }

    #[test]
    fn the_largest_come_first_and_ties_go_by_id() {
        assert_eq!(top_ids(&[1.0, 3.0, 2.0, 3.0], 3), [1, 3, 2]);
        assert_eq!(top_ids(&[1.0, 1.0, 1.0], 2), [0, 1]);
        assert_eq!(top_ids(&[2.0, 1.0], 9), [0, 1]);
    }

    #[test]
    fn sets_are_compared_by_what_they_share() {
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(jaccard(&[], &[]), 1.0);
        assert_eq!(agreement(&[1, 2, 3, 4], &[2, 3, 4, 5]), 0.75);
    }
}
