//! The sign-flip test: whether units that differ favour one side.

use super::binomial::{Sides, binomial_p};
use crate::data::RepeatableRandom;

/// Units up to which every pattern of signs is tried.
const EXACT_UNITS: usize = 20;
/// Patterns that are drawn for more units.
const DRAWN: usize = 19_999;

/// Two-sided p-value of the sum of `values` (Fisher's randomisation test; Good 2005, 3.2): the share of patterns of signs whose sum is
/// at least as far from 0, the observed one included. Of equal sums the one with the larger sum of signed square roots is farther,
/// without which the few sums of coarse values would make the test needlessly careful. Exact for up to 20 units other than 0, and if
/// all are equally far from 0 (the sign test); else from 19,999 drawn patterns. 1 without a value.
pub fn sign_flip_p(values: &[f64]) -> f64 {
    let sizes: Vec<f64> = values.iter().filter(|x| **x != 0.0).map(|x| x.abs()).collect();
    let Some(first) = sizes.first() else { return 1.0 };
    if sizes.iter().all(|x| (x - first).abs() <= 1e-12 * first) {
        let above = values.iter().filter(|x| **x > 0.0).count();
        return binomial_p(sizes.len() as u64, above as u64, Sides::Two);
    }
    let roots: Vec<f64> = sizes.iter().map(|x| x.sqrt()).collect();
    let observed = Distance {
        sum: values.iter().sum(),
        roots: values.iter().map(|x| x.signum() * x.abs().sqrt()).sum(),
        tolerance: 1e-9 * sizes.iter().sum::<f64>(),
    };
    if sizes.len() <= EXACT_UNITS {
        exact_share(&sizes, &roots, &observed)
    } else {
        let mut random = RepeatableRandom::new(0x5eed);
        let as_far = (0..DRAWN).filter(|_| {
            let (sum, of_roots) = sizes.iter().zip(&roots).fold((0.0, 0.0), |(sum, of_roots), (x, root)| {
                if random.below(2) == 0 { (sum + x, of_roots + root) } else { (sum - x, of_roots - root) }
            });
            observed.is_reached(sum, of_roots)
        });
        (1 + as_far.count()) as f64 / (1 + DRAWN) as f64
    }
}

/// How far a pattern of signs is from 0.
struct Distance {
    sum: f64,
    roots: f64,
    /// Sums this close are equal: the same pattern summed in another order must count as equal.
    tolerance: f64,
}

impl Distance {
    fn is_reached(&self, sum: f64, roots: f64) -> bool {
        let farther = sum.abs() - self.sum.abs();
        farther > self.tolerance
            || farther >= -self.tolerance && {
                // Mirror images change the signs of both sums together.
                let turned = |sum: f64, roots: f64| if sum < 0.0 { -roots } else { roots };
                let (own, other) = (turned(self.sum, self.roots), turned(sum, roots));
                if self.sum.abs() <= self.tolerance { true } else { other >= own - self.tolerance }
            }
    }
}

/// The smallest p-value that the test can give with a number of units.
pub fn smallest_sign_flip_p(units: usize) -> f64 {
    2f64.powi(1 - i32::try_from(units.min(1_000)).unwrap_or(1_000)).min(1.0)
}

/// Share of the patterns of signs of `sizes` that are at least as far from 0 as `observed`.
fn exact_share(sizes: &[f64], roots: &[f64], observed: &Distance) -> f64 {
    // A pattern and its mirror image have one distance, so that the last sign stays. Each step turns one sign (a Gray code).
    let free = sizes.len() - 1;
    let mut signs = vec![1.0; free];
    let (mut sum, mut of_roots): (f64, f64) = (sizes.iter().sum(), roots.iter().sum());
    let mut as_far = u64::from(observed.is_reached(sum, of_roots));
    for step in 1u64..1 << free {
        let n = step.trailing_zeros() as usize;
        signs[n] = -signs[n];
        sum += 2.0 * signs[n] * sizes[n];
        of_roots += 2.0 * signs[n] * roots[n];
        as_far += u64::from(observed.is_reached(sum, of_roots));
    }
    as_far as f64 / (1u64 << free) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17: `permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue`.
    #[test]
    fn p_values_are_the_published_ones() {
        let close = |values: &[f64], p: f64| assert!((sign_flip_p(values) - p).abs() < 1e-9, "{}", sign_flip_p(values));
        close(&[1.0, 1.0, 1.0, 1.0, 1.0, -1.0], 0.21875);
        close(&[0.4, 1.2, -0.3, 0.8, 0.5, 0.9, -0.1], 0.078125);
        close(&[2.5, 1.5, 3.0, 0.5, 1.0], 0.0625);
        close(&[0.0, 0.0, 3.0, -1.0], 1.0);
        // Sums of 4 with ones and twos: more units on one side are farther.
        assert!(sign_flip_p(&[1.0, 1.0, 1.0, 1.0, 2.0, -2.0]) < sign_flip_p(&[2.0, 2.0, 1.0, 1.0, -1.0, -1.0]));
        assert_eq!((sign_flip_p(&[]), sign_flip_p(&[0.0; 4])), (1.0, 1.0));
        assert_eq!((smallest_sign_flip_p(5), smallest_sign_flip_p(6), smallest_sign_flip_p(1)), (0.0625, 0.03125, 1.0));
    }

    #[test]
    fn drawn_patterns_agree_with_all_of_them() {
        let values: Vec<f64> = (0..20).map(|n| ((n * 37 % 11) as f64 - 3.6) / 3.0).collect();
        let exact = sign_flip_p(&values);
        let padded: Vec<f64> = values.iter().copied().chain([1e-7, 1.1e-7]).collect();
        assert!((sign_flip_p(&padded) - exact).abs() < 0.01, "{} {exact}", sign_flip_p(&padded));
    }
}
