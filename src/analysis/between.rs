//! Clips against clips: histograms of their tokens, distances between those, and what distance chance alone would give.
//!
//! Ids have no order, so no measure here uses one.

use serde::Serialize;

use super::chi_square::{ChiSquare, homogeneity};
use super::clip::counts;
use super::{jaccard, top};
use crate::prompt::Frame;

/// Ids in the sets of most common tokens whose Jaccard index is taken.
pub const TOP: usize = 20;
/// Relabellings of the permutation test; the smallest p-value is one over this plus one.
pub const PERMUTATIONS: usize = 999;

/// Distances of two histograms. With p and q the shares of the ids:
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Distances {
    /// `sum min(p, q)`, 0 (nothing in common) to 1 (equal).
    pub overlap: f64,
    /// Total variation `1/2 sum |p - q|` = 1 - overlap, 0 to 1.
    pub total_variation: f64,
    /// Jensen-Shannon divergence `H((p + q) / 2) - (H(p) + H(q)) / 2`, bits, 0 to 1 (Lin 1991).
    pub jensen_shannon: f64,
    /// `KL(p || q)` in bits over the ids that occur in both, both shares made to sum to 1 there; 0 where nothing is shared.
    pub kl_shared: f64,
    /// Share of the first histogram's tokens on those ids, 0 to 1: what `kl_shared` speaks of.
    pub kl_support: f64,
    /// Jaccard index of the sets of the [`TOP`] most common ids.
    pub jaccard_top: f64,
}

impl Distances {
    /// Of two histograms `[vocab]` that are not empty.
    pub fn of(a: &[u64], b: &[u64]) -> Self {
        let (n_a, n_b) = (total(a), total(b));
        let pairs = || a.iter().zip(b).map(|(a, b)| (*a as f64 / n_a, *b as f64 / n_b));
        let overlap: f64 = pairs().map(|(p, q)| p.min(q)).sum();
        let shared = || pairs().filter(|(p, q)| *p > 0.0 && *q > 0.0);
        let (mass_p, mass_q) = shared().fold((0.0, 0.0), |(x, y), (p, q)| (x + p, y + q));
        let kl: f64 = shared().map(|(p, q)| p / mass_p * ((p / mass_p) / (q / mass_q)).log2()).sum();
        Self {
            overlap,
            total_variation: pairs().map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0,
            jensen_shannon: jensen_shannon(a, b),
            kl_shared: kl.max(0.0),
            kl_support: mass_p,
            jaccard_top: jaccard(&most_common(a), &most_common(b)),
        }
    }

    fn mean(of: &[Self]) -> Option<Self> {
        let mean = |f: fn(&Self) -> f64| of.iter().map(f).sum::<f64>() / of.len() as f64;
        (!of.is_empty()).then(|| Self {
            overlap: mean(|d| d.overlap),
            total_variation: mean(|d| d.total_variation),
            jensen_shannon: mean(|d| d.jensen_shannon),
            kl_shared: mean(|d| d.kl_shared),
            kl_support: mean(|d| d.kl_support),
            jaccard_top: mean(|d| d.jaccard_top),
        })
    }
}

fn total(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64
}

fn most_common(counts: &[u64]) -> Vec<usize> {
    let values: Vec<f32> = counts.iter().map(|n| *n as f32).collect();
    top(&values, TOP).into_iter().filter(|id| counts[*id] > 0).collect()
}

/// Entropy of a histogram, bits; 0 for an empty one.
pub fn entropy_of(counts: &[u64]) -> f64 {
    let n = total(counts);
    let terms = counts.iter().filter(|c| **c > 0).map(|c| *c as f64 / n);
    terms.map(|p| -p * p.log2()).sum::<f64>().max(0.0)
}

/// Jensen-Shannon divergence of two histograms, bits, 0 to 1.
pub fn jensen_shannon(a: &[u64], b: &[u64]) -> f64 {
    let (n_a, n_b) = (total(a), total(b));
    let half = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    let terms = a.iter().zip(b).filter(|(a, b)| **a + **b > 0).map(|(a, b)| {
        let (p, q) = (*a as f64 / n_a, *b as f64 / n_b);
        half(p, (p + q) / 2.0) + half(q, (p + q) / 2.0)
    });
    (terms.sum::<f64>() / 2.0).clamp(0.0, 1.0)
}

/// Two groups of clips (two modes, two settings), in one codebook or in all of them together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The codebook; `None` for all, each with ids of its own.
    pub codebook: Option<usize>,
    /// Clips of the two groups.
    pub clips: (usize, usize),
    /// Tokens of the two groups.
    pub tokens: (u64, u64),
    /// All tokens of one group against all of the other.
    pub pooled: Distances,
    /// Mean over pairs of clips from different groups and with different seeds.
    pub across: Option<Distances>,
    /// The baseline: mean over pairs of clips of the same group, with different seeds. A difference between the groups is one
    /// that `across` shows beyond this.
    pub within: Option<Distances>,
    /// Chi-square of the pooled counts, rare ids pooled. It takes tokens as independent, which those of one clip are not; so
    /// its p is too small, and the one to go by is `p`.
    pub chi_square: Option<ChiSquare>,
    /// p-value of the pooled Jensen-Shannon divergence by a permutation test over clips (Good 2005): how often clips dealt
    /// to the groups at random are as far apart or further. `None` with fewer than two clips a group.
    pub p: Option<f64>,
}

/// One group of clips: `(seed, frames)`.
pub type Group<'a> = [(u64, &'a [Frame])];

/// Compares two groups in `codebook`, or in all codebooks.
///
/// Clips of the same seed in both groups are dealt together (both stay or both change sides), and are not among the pairs of
/// `across`: *exact* and *hybrid* give the same clip for a seed, and that is no sign of two alike distributions.
pub fn compare(a: &Group<'_>, b: &Group<'_>, codebook: Option<usize>, vocab: usize) -> Comparison {
    let histogram = |frames: &[Frame]| match codebook {
        Some(k) => counts(frames, k, vocab),
        None => {
            let books = frames.first().map_or(0, Vec::len);
            (0..books).flat_map(|k| counts(frames, k, vocab)).collect()
        }
    };
    let histograms = |group: &Group<'_>| group.iter().map(|(s, f)| (*s, histogram(f))).collect::<Vec<_>>();
    let (mut a, mut b) = (histograms(a), histograms(b));
    let occurs: Vec<bool> = sum(&a).iter().zip(sum(&b)).map(|(a, b)| a + b > 0).collect();
    for (_, histogram) in a.iter_mut().chain(&mut b) {
        let mut keep = occurs.iter();
        histogram.retain(|_| *keep.next().expect("as long"));
    }
    let (sum_a, sum_b) = (sum(&a), sum(&b));
    let pair = |x: &(u64, Vec<u64>), y: &(u64, Vec<u64>)| (x.0 != y.0).then(|| Distances::of(&x.1, &y.1));
    let across: Vec<_> = a.iter().flat_map(|x| b.iter().filter_map(move |y| pair(x, y))).collect();
    let within: Vec<_> = [&a, &b]
        .into_iter()
        .flat_map(|g| g.iter().enumerate().flat_map(move |(i, x)| g[..i].iter().filter_map(move |y| pair(y, x))))
        .collect();
    Comparison {
        codebook,
        clips: (a.len(), b.len()),
        tokens: (total(&sum_a) as u64, total(&sum_b) as u64),
        pooled: Distances::of(&sum_a, &sum_b),
        across: Distances::mean(&across),
        within: Distances::mean(&within),
        chi_square: homogeneity(&sum_a, &sum_b),
        p: permutation(&a, &b, &sum_a, &sum_b),
    }
}

fn sum(group: &[(u64, Vec<u64>)]) -> Vec<u64> {
    let mut out = vec![0; group.first().map_or(0, |(_, h)| h.len())];
    for (_, histogram) in group {
        out.iter_mut().zip(histogram).for_each(|(o, n)| *o += n);
    }
    out
}

/// Share of relabellings that are as far apart as the real labels, the real one counted in (so never 0).
fn permutation(a: &[(u64, Vec<u64>)], b: &[(u64, Vec<u64>)], sum_a: &[u64], sum_b: &[u64]) -> Option<f64> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let observed = jensen_shannon(sum_a, sum_b);
    let mut random = SplitMix(0x5eed);
    // Equal seeds on both sides and in order: deal pair by pair. Else deal all clips anew.
    let paired = a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.0 == y.0);
    let all: Vec<&(u64, Vec<u64>)> = a.iter().chain(b).collect();
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
            (1..order.len()).rev().for_each(|i| order.swap(i, random.below(i + 1)));
        }
        let mut first = vec![0u64; sum_a.len()];
        for i in &order[..a.len()] {
            first.iter_mut().zip(&all[*i].1).for_each(|(o, n)| *o += n);
        }
        let second: Vec<u64> = first.iter().zip(sum_a.iter().zip(sum_b)).map(|(f, (a, b))| a + b - f).collect();
        // The comparison forgives rounding: the same split summed in another order must count as equal.
        as_far += usize::from(jensen_shannon(&first, &second) >= observed - 1e-12);
    }
    Some(as_far as f64 / (PERMUTATIONS + 1) as f64)
}

/// SplitMix64 (Steele, Lea, Flood 2014): the dealer of the permutation test, fixed so that a report says the same again.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) as u128 * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clips(from: u64, n: u64, ids: u32) -> Vec<(u64, Vec<Frame>)> {
        let mut random = SplitMix(from);
        let mut frame = || vec![random.below(ids as usize) as u32, random.below(ids as usize) as u32];
        (0..n).map(|seed| (seed, (0..60).map(|_| frame()).collect())).collect()
    }

    fn group(clips: &[(u64, Vec<Frame>)]) -> Vec<(u64, &[Frame])> {
        clips.iter().map(|(s, f)| (*s, f.as_slice())).collect()
    }

    #[test]
    fn distances_keep_their_bounds_and_symmetries() {
        let mut random = SplitMix(1);
        for _ in 0..200 {
            let mut histogram = || (0..12).map(|_| random.below(9) as u64).chain([1]).collect::<Vec<u64>>();
            let (a, b) = (histogram(), histogram());
            let (ab, ba, aa) = (Distances::of(&a, &b), Distances::of(&b, &a), Distances::of(&a, &a));
            assert!((aa.overlap - 1.0).abs() < 1e-12 && aa.jensen_shannon < 1e-12 && aa.kl_shared < 1e-12);
            assert_eq!((aa.total_variation, aa.jaccard_top), (0.0, 1.0));
            assert!((ab.overlap - ba.overlap).abs() < 1e-12 && (ab.jensen_shannon - ba.jensen_shannon).abs() < 1e-12);
            assert!((ab.overlap + ab.total_variation - 1.0).abs() < 1e-12);
            for share in [ab.overlap, ab.jensen_shannon, ab.kl_support, ab.jaccard_top] {
                assert!((0.0..=1.0 + 1e-12).contains(&share), "{ab:?}");
            }
            // Pinsker's inequality, and JS <= TV (Lin 1991), both in bits.
            assert!(ab.jensen_shannon <= ab.total_variation + 1e-12);
            assert!(ab.jensen_shannon >= ab.total_variation.powi(2) / (2.0 * std::f64::consts::LN_2) - 1e-12);
        }
        let apart = Distances::of(&[3, 0], &[0, 5]);
        assert_eq!((apart.overlap, apart.jensen_shannon, apart.kl_support), (0.0, 1.0, 0.0));
    }

    #[test]
    fn two_draws_are_no_difference_and_a_difference_is_one() {
        let (a, b, c) = (clips(1, 10, 20), clips(2, 10, 20), clips(3, 10, 14));
        let same = compare(&group(&a), &group(&b), None, 24);
        assert_eq!((same.clips, same.tokens), ((10, 10), (1_200, 1_200)));
        assert!(same.p.unwrap() > 0.05, "{same:?}");
        let (across, within) = (same.across.unwrap(), same.within.unwrap());
        assert!((across.jensen_shannon - within.jensen_shannon).abs() < 0.03, "{across:?} {within:?}");
        let other = compare(&group(&a), &group(&c), Some(1), 24);
        assert!(other.p.unwrap() < 0.01, "{other:?}");
        assert!(other.across.unwrap().jensen_shannon > other.within.unwrap().jensen_shannon + 0.05);
    }

    #[test]
    fn the_same_clips_are_not_taken_for_alike_distributions() {
        let a = clips(4, 3, 20);
        let c = compare(&group(&a), &group(&a), None, 24);
        assert_eq!((c.pooled.total_variation, c.p), (0.0, Some(1.0)));
        assert!(c.across.unwrap().overlap < 0.9, "pairs of one seed are not counted");
        assert!(compare(&group(&a[..1]), &group(&a[..1]), None, 24).across.is_none());
    }
}
