//! Measures on plain slices: distributions, distances between them, and tests.

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Kullback-Leibler divergence of `q` from `p`, `sum p ln(p / q)`, in nats, 0 and up. The sum runs over the support of `p`;
/// it is infinite where `p` has mass and `q` has none.
pub fn kl(p: &[f32], q: &[f32]) -> f64 {
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, q)| f64::from(*p) * (f64::from(*p) / f64::from(*q)).ln()).sum::<f64>().max(0.0)
}

/// Ids of the `k` largest values, in no order. Ties at the k-th place are cut by id.
pub fn top(values: &[f32], k: usize) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..values.len()).collect();
    ids.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    ids.truncate(k);
    ids
}

/// Share of the ids that two sets of the same size have in common, 0 to 1.
pub fn agreement(a: &[usize], b: &[usize]) -> f64 {
    let set: std::collections::HashSet<&usize> = a.iter().collect();
    b.iter().filter(|id| set.contains(id)).count() as f64 / a.len().max(1) as f64
}

/// Outcome of a chi-square test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// `sum (observed - expected)^2 / expected`.
    pub statistic: f64,
    /// Bins that were left after pooling, less one.
    pub degrees: usize,
    /// Probability of a statistic as large or larger if the counts come from the probabilities.
    pub p: f64,
}

/// Least expected count of a bin (Cochran's rule); rarer ones are pooled.
pub const LEAST_EXPECTED: f64 = 5.0;

/// Pearson's chi-square test of `counts` against `probabilities`. Bins that expect fewer than [`LEAST_EXPECTED`] are pooled.
/// A count where the probability is 0 gives p = 0. `None` where fewer than two bins are left.
pub fn chi_square(counts: &[u64], probabilities: &[f64]) -> Option<ChiSquare> {
    let n = counts.iter().sum::<u64>() as f64;
    let (mut bins, mut rare) = (Vec::new(), (0.0, 0.0));
    for (count, p) in counts.iter().zip(probabilities) {
        let (observed, expected) = (*count as f64, n * p);
        if *p == 0.0 && *count > 0 {
            return Some(ChiSquare { statistic: f64::INFINITY, degrees: 1, p: 0.0 });
        }
        if expected >= LEAST_EXPECTED {
            bins.push((observed, expected));
        } else {
            rare = (rare.0 + observed, rare.1 + expected);
        }
    }
    if rare.1 >= LEAST_EXPECTED {
        bins.push(rare);
    } else if let Some(last) = bins.last_mut() {
        *last = (last.0 + rare.0, last.1 + rare.1);
    }
    if bins.len() < 2 {
        return None;
    }
    let statistic: f64 = bins.iter().map(|(o, e)| (o - e).powi(2) / e).sum();
    let degrees = bins.len() - 1;
    let p = ChiSquared::new(degrees as f64).expect("positive").sf(statistic);
    Some(ChiSquare { statistic, degrees, p })
}

/// Whether p-values look drawn from 0 to 1 evenly: chi-square over ten bins.
pub fn uniform(p_values: &[f64]) -> Option<ChiSquare> {
    let mut counts = [0u64; 10];
    for p in p_values {
        counts[((p * 10.0) as usize).min(9)] += 1;
    }
    chi_square(&counts, &[0.1; 10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chi_square_is_scipys() {
        // scipy.stats.chisquare([44, 56, 100], [50, 50, 100]): statistic 1.44, p 0.4867522559599717
        let t = chi_square(&[44, 56, 100], &[0.25, 0.25, 0.5]).unwrap();
        assert!((t.statistic - 1.44).abs() < 1e-12 && (t.p - 0.486_752_255_959_971_7).abs() < 1e-10, "{t:?}");
        assert_eq!(t.degrees, 2);
    }

    #[test]
    fn rare_bins_are_pooled_and_impossible_counts_are_noticed() {
        let t = chi_square(&[90, 4, 3, 3], &[0.9, 0.04, 0.03, 0.03]).unwrap();
        assert_eq!((t.degrees, t.statistic), (1, 0.0));
        assert_eq!(chi_square(&[9, 1], &[1.0, 0.0]).unwrap().p, 0.0);
    }

    #[test]
    fn divergence_is_zero_of_itself_and_infinite_off_the_support() {
        let (p, q) = ([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]);
        assert_eq!(kl(&p, &p), 0.0);
        assert!((kl(&p, &q) - 0.5 * (2.0f64.ln() + (2.0f64 / 3.0).ln())).abs() < 1e-9);
        assert_eq!(kl(&p, &[1.0, 0.0, 0.0]), f64::INFINITY);
    }
}
