//! Exact statistics of votes: tests, intervals, and how many trials find an effect. Nothing here is an
//! approximation.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF};

/// How a test counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Only more successes than chance are evidence: an ABX test.
    One,
    /// More and fewer are: a preference.
    Two,
}

/// `P(X >= k)` of `n` trials with probability `p` each.
fn upper_tail(n: u64, k: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    Binomial::new(p, n).map_or(f64::NAN, |binomial| binomial.sf(k - 1))
}

/// p-value of `k` successes in `n` trials against even chances: exact binomial test, one-sided, or two-sided as twice the smaller
/// tail (at most 1), which is the sign test (Conover 1999, 3.4). 1 without a trial.
pub fn binomial_p(n: u64, k: u64, sides: Sides) -> f64 {
    let upper = upper_tail(n, k, 0.5);
    match sides {
        Sides::One => upper,
        Sides::Two => (2.0 * upper.min(upper_tail(n, n - k.min(n), 0.5))).min(1.0),
    }
}

/// Clopper-Pearson interval of a probability from `k` successes in `n` trials: it holds the true one at least as often as
/// `confidence` says (Clopper and Pearson 1934). 0 to 1 without a trial.
pub fn clopper_pearson(n: u64, k: u64, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let quantile = |a: u64, b: u64, q: f64| Beta::new(a as f64, b as f64).map_or(f64::NAN, |beta| beta.inverse_cdf(q));
    let low = if k == 0 { 0.0 } else { quantile(k, n - k + 1, tail) };
    let high = if k >= n { 1.0 } else { quantile(k + 1, n - k, 1.0 - tail) };
    (low, high)
}

/// Probability that `n` trials give a p-value of at most `alpha` where each succeeds with probability `p`. With `p` = 0.5 it is
/// the test's real rate of false positives, which is below `alpha` as votes come in whole numbers.
pub fn power(n: u64, p: f64, alpha: f64, sides: Sides) -> f64 {
    // The smallest count that is significant; p-values fall as the count rises above the half.
    let least = (n / 2 + 1..=n).find(|k| binomial_p(n, *k, sides) <= alpha);
    let Some(least) = least else { return 0.0 };
    let upper = upper_tail(n, least, p);
    match sides {
        Sides::One => upper,
        Sides::Two => upper + upper_tail(n, least, 1.0 - p),
    }
}

/// Trials from which on the test finds a true probability of `p` with at least `wanted` power: also with any larger number, up to
/// twice as many. `None` if 2,000 are not enough.
pub fn trials_needed(p: f64, wanted: f64, alpha: f64, sides: Sides) -> Option<u64> {
    const MOST: u64 = 2_000;
    let mut needed = None;
    for n in 1..=MOST {
        if power(n, p, alpha, sides) < wanted {
            needed = None;
        } else if needed.is_none() {
            needed = Some(n);
        }
        // Power goes up and down from one number to the next, but not for ever.
        if needed.is_some_and(|first| n >= 2 * first) {
            break;
        }
    }
    needed
}

/// Holm's correction of several p-values (Holm 1979), in the same order. It bounds the rate of false positives over all of them.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![1.0; p.len()];
    let mut largest = 0.0f64;
    for (rank, at) in order.into_iter().enumerate() {
        largest = largest.max(p[at] * (p.len() - rank) as f64).min(1.0);
        corrected[at] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17's `binomtest(k, n, alternative="greater").pvalue`, `binomtest(k, n).pvalue`, and `proportion_ci`.
    #[test]
    fn tests_and_intervals_are_the_published_ones() {
        for (k, n, p) in [(9, 10, 0.010742), (12, 16, 0.038406), (15, 20, 0.020695), (8, 10, 0.054688)] {
            assert!((binomial_p(n, k, Sides::One) - p).abs() < 1e-6, "{k} of {n}: {}", binomial_p(n, k, Sides::One));
            assert!((binomial_p(n, k, Sides::Two) - 2.0 * p).abs() < 2e-6);
            assert_eq!(binomial_p(n, k, Sides::Two), binomial_p(n, n - k, Sides::Two));
        }
        assert_eq!((binomial_p(0, 0, Sides::One), binomial_p(10, 5, Sides::Two)), (1.0, 1.0));
        let close = |(a, b): (f64, f64), (x, y): (f64, f64)| (a - x).abs() < 1e-4 && (b - y).abs() < 1e-4;
        assert!(close(clopper_pearson(20, 15, 0.95), (0.5090, 0.9134)), "{:?}", clopper_pearson(20, 15, 0.95));
        assert!(close(clopper_pearson(10, 0, 0.95), (0.0, 0.3085)));
        assert_eq!(clopper_pearson(0, 0, 0.95), (0.0, 1.0));
    }

    #[test]
    fn power_is_what_it_promises() {
        // 16 trials need 12 (p = 0.038); P(X >= 12 | 0.8) = 0.7982.
        assert!((power(16, 0.8, 0.05, Sides::One) - 0.7982).abs() < 1e-4);
        assert!((power(16, 0.5, 0.05, Sides::One) - 0.0384).abs() < 1e-4, "the real rate of false positives");
        assert_eq!(power(3, 0.99, 0.05, Sides::One), 0.0, "three trials prove nothing");
        for (p, sides) in [(0.8, Sides::One), (0.7, Sides::Two), (0.6, Sides::Two)] {
            let n = trials_needed(p, 0.8, 0.05, sides).unwrap();
            assert!((n..2 * n).all(|n| power(n, p, 0.05, sides) >= 0.8), "{n}");
            assert!(power(n - 1, p, 0.05, sides) < 0.8);
        }
        assert_eq!(trials_needed(0.5, 0.8, 0.05, Sides::One), None);
    }

    #[test]
    fn many_tests_are_corrected() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
