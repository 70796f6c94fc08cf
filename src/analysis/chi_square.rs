//! Pearson's chi-square tests (Pearson 1900), with rare bins pooled.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Result of a chi-square test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ChiSquare {
    /// `sum (observed - expected)^2 / expected`, 0 and up.
    pub statistic: f64,
    /// Bins after pooling, less one.
    pub degrees_of_freedom: usize,
    /// Probability of a statistic as large or larger if there is no difference, 0 to 1.
    pub p: f64,
}

impl ChiSquare {
    fn new(statistic: f64, degrees_of_freedom: usize) -> Self {
        // The distribution exists for every positive number of degrees of freedom.
        let p = ChiSquared::new(degrees_of_freedom as f64).map_or(f64::NAN, |d| d.sf(statistic));
        Self { statistic, degrees_of_freedom, p }
    }
}

/// Least expected count of a bin (Cochran 1954); rarer ones are pooled.
pub const LEAST_EXPECTED: f64 = 5.0;

/// Goodness of fit of `counts` to `probabilities`. Bins that expect fewer than [`LEAST_EXPECTED`] are pooled. A count where the
/// probability is 0 gives p = 0. `None` with fewer than two bins after pooling.
pub fn fit(counts: &[u64], probabilities: &[f64]) -> Option<ChiSquare> {
    let n = counts.iter().sum::<u64>() as f64;
    if counts.iter().zip(probabilities).any(|(count, p)| *p == 0.0 && *count > 0) {
        return Some(ChiSquare { statistic: f64::INFINITY, degrees_of_freedom: 1, p: 0.0 });
    }
    let bins = counts.iter().zip(probabilities).map(|(count, p)| ([*count as f64], n * p));
    let bins = pooled(bins);
    let statistic = bins.iter().map(|([observed], expected)| (observed - expected).powi(2) / expected).sum();
    (bins.len() >= 2).then(|| ChiSquare::new(statistic, bins.len() - 1))
}

/// Homogeneity of two lists of counts (a 2 x bins table). Bins where the smaller sample expects fewer than
/// [`LEAST_EXPECTED`] are pooled. `None` with fewer than two bins after pooling.
///
/// The test assumes independent counts. Tokens of one clip are not: see [`super::groups::compare_groups`] for a p-value over clips.
pub fn homogeneity(a: &[u64], b: &[u64]) -> Option<ChiSquare> {
    let (n_a, n_b) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    let n = n_a + n_b;
    let bins = a.iter().zip(b).filter(|(a, b)| **a + **b > 0).map(|(a, b)| {
        let (a, b) = (*a as f64, *b as f64);
        ([a, b], (a + b) * n_a.min(n_b) / n)
    });
    let bins = pooled(bins);
    let part = |observed: f64, expected: f64| (observed - expected).powi(2) / expected;
    let statistic = bins.iter().map(|([a, b], _)| part(*a, (a + b) * n_a / n) + part(*b, (a + b) * n_b / n)).sum();
    (bins.len() >= 2).then(|| ChiSquare::new(statistic, bins.len() - 1))
}

/// Bins of observed counts and one expected count. Bins that expect too few are added up, and added to the last good bin if
/// even their sum expects too few.
fn pooled<const N: usize>(bins: impl Iterator<Item = ([f64; N], f64)>) -> Vec<([f64; N], f64)> {
    let add = |a: ([f64; N], f64), b: ([f64; N], f64)| (std::array::from_fn(|i| a.0[i] + b.0[i]), a.1 + b.1);
    let (mut good, rare): (Vec<_>, Vec<_>) = bins.partition(|(_, expected)| *expected >= LEAST_EXPECTED);
    let rare = rare.into_iter().fold(([0.0; N], 0.0), add);
    if rare.1 >= LEAST_EXPECTED {
        good.push(rare);
    } else if let Some(last) = good.last_mut() {
        *last = add(*last, rare);
    }
    good
}

/// Uniformity of p-values: chi-square over ten bins.
pub fn uniform(p_values: &[f64]) -> Option<ChiSquare> {
    let mut counts = [0u64; 10];
    for p in p_values {
        counts[((p * 10.0) as usize).min(9)] += 1;
    }
    fit(&counts, &[0.1; 10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_bins_are_pooled_and_impossible_counts_are_noticed() {
        let t = fit(&[90, 4, 3, 3], &[0.9, 0.04, 0.03, 0.03]).unwrap();
        assert_eq!((t.degrees_of_freedom, t.statistic), (1, 0.0));
        assert_eq!(fit(&[9, 1], &[1.0, 0.0]).unwrap().p, 0.0);
        assert_eq!(fit(&[3, 1], &[0.5, 0.5]), None);
    }

    #[test]
    fn equal_counts_do_not_differ() {
        let t = homogeneity(&[40, 60, 1], &[40, 60, 1]).unwrap();
        assert_eq!((t.statistic, t.degrees_of_freedom, t.p), (0.0, 1, 1.0));
    }
}
