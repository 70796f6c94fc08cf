//! Histograms of tokens and distances between them. Ids have no order, so no measure here uses one.

use serde::Serialize;

use super::{jaccard, top_ids};
use crate::data::Codes;

/// Ids in the sets of most common tokens whose Jaccard index is taken.
pub const TOP: usize = 20;

/// How often each id occurs in one codebook, `[vocab]`; ids past `vocab` are not counted.
pub fn counts(codes: &Codes, codebook: usize, vocab: usize) -> Vec<u64> {
    let mut counts = vec![0; vocab];
    for id in codes.column(codebook) {
        if let Some(count) = counts.get_mut(id as usize) {
            *count += 1;
        }
    }
    counts
}

/// The histograms of all codebooks one after the other, `[K * vocab]`: each codebook's ids are its own.
pub fn joint_counts(codes: &Codes, vocab: usize) -> Vec<u64> {
    (0..codes.codebooks()).flat_map(|codebook| counts(codes, codebook, vocab)).collect()
}

/// Distances of two histograms. With p and q the shares of the ids:
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Distances {
    /// `sum min(p, q)`, 0 (nothing in common) to 1 (equal).
    pub overlap: f64,
    /// Total variation `1/2 sum |p - q|` = 1 - overlap, 0 to 1.
    pub total_variation: f64,
    /// Jensen-Shannon divergence `H((p + q) / 2) - (H(p) + H(q)) / 2`, bits, 0 to 1 (Lin 1991).
    pub jensen_shannon: f64,
    /// `KL(p || q)` in bits over the ids that occur in both, both shares made to sum to 1 there; 0 if nothing is shared.
    pub kl_shared: f64,
    /// Share of the first histogram's tokens on the shared ids, 0 to 1.
    pub shared_mass: f64,
    /// Jaccard index of the sets of the [`TOP`] most common ids.
    pub jaccard_top: f64,
}

impl Distances {
    /// Measures two histograms `[vocab]` that are not empty.
    pub fn measure(a: &[u64], b: &[u64]) -> Self {
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
            shared_mass: mass_p,
            jaccard_top: jaccard(&most_common(a), &most_common(b)),
        }
    }

    pub(super) fn mean(of: &[Self]) -> Option<Self> {
        let mean = |f: fn(&Self) -> f64| of.iter().map(f).sum::<f64>() / of.len() as f64;
        (!of.is_empty()).then(|| Self {
            overlap: mean(|d| d.overlap),
            total_variation: mean(|d| d.total_variation),
            jensen_shannon: mean(|d| d.jensen_shannon),
            kl_shared: mean(|d| d.kl_shared),
            shared_mass: mean(|d| d.shared_mass),
            jaccard_top: mean(|d| d.jaccard_top),
        })
    }
}

pub(super) fn total(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64
}

fn most_common(counts: &[u64]) -> Vec<usize> {
    let values: Vec<f32> = counts.iter().map(|n| *n as f32).collect();
    top_ids(&values, TOP).into_iter().filter(|id| counts[*id] > 0).collect()
}

/// Entropy of a histogram, bits; 0 for an empty one.
pub fn histogram_entropy(counts: &[u64]) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RepeatableRandom;

    #[test]
    fn distances_keep_their_bounds_and_symmetries() {
        let mut random = RepeatableRandom::new(1);
        for _ in 0..200 {
            let mut histogram = || (0..12).map(|_| random.below(9) as u64).chain([1]).collect::<Vec<u64>>();
            let (a, b) = (histogram(), histogram());
            let (ab, reverse, aa) =
                (Distances::measure(&a, &b), Distances::measure(&b, &a), Distances::measure(&a, &a));
            assert!((aa.overlap - 1.0).abs() < 1e-12 && aa.jensen_shannon < 1e-12 && aa.kl_shared < 1e-12);
            assert_eq!((aa.total_variation, aa.jaccard_top), (0.0, 1.0));
            assert!(
                (ab.overlap - reverse.overlap).abs() < 1e-12
                    && (ab.jensen_shannon - reverse.jensen_shannon).abs() < 1e-12
            );
            assert!((ab.overlap + ab.total_variation - 1.0).abs() < 1e-12);
            for share in [ab.overlap, ab.jensen_shannon, ab.shared_mass, ab.jaccard_top] {
                assert!((0.0..=1.0 + 1e-12).contains(&share), "{ab:?}");
            }
            // Pinsker's inequality, and JS <= TV (Lin 1991), both in bits.
            assert!(ab.jensen_shannon <= ab.total_variation + 1e-12);
            assert!(ab.jensen_shannon >= ab.total_variation.powi(2) / (2.0 * std::f64::consts::LN_2) - 1e-12);
        }
        let apart = Distances::measure(&[3, 0], &[0, 5]);
        assert_eq!((apart.overlap, apart.jensen_shannon, apart.shared_mass), (0.0, 1.0, 0.0));
    }
}
