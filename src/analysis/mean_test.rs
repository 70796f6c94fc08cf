//! Tests and intervals of the mean of votes. Votes of one listener, or on one item, are not independent, so that the units are the
//! listeners and the items, and never the votes.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::sign_flip::{sign_flip_p, smallest_sign_flip_p};

/// Listeners, items or trials that an interval needs at least.
pub const LEAST_UNITS: usize = 5;
/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.95;

/// A value that a listener gave to an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    /// The listener, from 0.
    pub listener: usize,
    /// The item, from 0.
    pub item: usize,
    /// The value, above 0 for one answer and below 0 for the other.
    pub value: f64,
}

/// The population that the conclusion of a test holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Other listeners, and other items, like those of the test.
    ListenersAndItems,
    /// Other listeners; only the items of the test.
    Listeners,
    /// Only the listener of the test; other items.
    Items,
    /// Only the listener and the item of the test.
    Trials,
}

impl Scope {
    /// The widest scope that `votes` allow: two units at least of everything that it generalises to.
    pub fn widest(votes: &[Vote]) -> Self {
        match (units(votes, |vote| vote.listener).len() > 1, units(votes, |vote| vote.item).len() > 1) {
            (true, true) => Self::ListenersAndItems,
            (true, false) => Self::Listeners,
            (false, true) => Self::Items,
            (false, false) => Self::Trials,
        }
    }
}

/// A mean, tested against 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanTest {
    /// The population of the conclusion.
    pub scope: Scope,
    /// Listeners who voted.
    pub listeners: usize,
    /// Items that were voted on.
    pub items: usize,
    /// Number of votes.
    pub votes: usize,
    /// The mean of the units: listeners' means (of their items' means), items' means or trials; over listeners and items that of every pair
    /// of a listener and an item.
    pub mean: f64,
    /// 95 % confidence interval; `None` with fewer than [`LEAST_UNITS`] listeners or items, whichever the scope generalises to.
    pub interval: Option<(f64, f64)>,
    /// Cohen's d: the mean in standard deviations of the units' means (listeners', or, of one listener, items' or trials'). `None` if
    /// they do not differ.
    pub effect_size: Option<f64>,
    /// Two-sided p-value.
    pub p: f64,
    /// The smallest p-value that this number of units can give, whatever they vote.
    pub smallest_p: f64,
}

/// Tests the mean of `votes` against 0. `None` without a vote.
///
/// Over listeners, items or trials alone: a sign-flip test of the units' means, and a t interval (Fisher 1935; Good 2005). Over
/// listeners and items: the quasi-F test of two crossed random effects (Clark 1973, after Cornfield and Tukey 1956) in its t form,
/// with variance components by the method of moments, which also fits incomplete designs. Its p-value is never below the smallest one of
/// a sign-flip test over that number of listeners or items, which bounds what few units can prove.
pub fn test_mean(votes: &[Vote], scope: Scope) -> Option<MeanTest> {
    if votes.is_empty() {
        return None;
    }
    let cells = cells(votes);
    let by_listener = means(cells.iter().map(|(listener, _, value)| (*listener, *value)));
    let by_item = means(cells.iter().map(|(_, item, value)| (*item, *value)));
    let single = |units: &[f64]| {
        let (mean, half) = t_interval(units);
        (mean, half.map(|half| (mean - half, mean + half)), sign_flip_p(units), smallest_sign_flip_p(units.len()))
    };
    let trials: Vec<f64> = votes.iter().map(|vote| vote.value).collect();
    let ((mean, interval, p, smallest_p), units) = match scope {
        Scope::ListenersAndItems => (crossed(&cells, &by_listener, &by_item), &by_listener),
        Scope::Listeners => (single(&by_listener), &by_listener),
        Scope::Items => (single(&by_item), &by_item),
        Scope::Trials => (single(&trials), &trials),
    };
    let deviation = variance(units).sqrt();
    Some(MeanTest {
        scope,
        listeners: by_listener.len(),
        items: by_item.len(),
        votes: votes.len(),
        mean,
        interval,
        effect_size: (deviation > 1e-9).then(|| self::mean(units) / deviation),
        p,
        smallest_p,
    })
}

/// Listener, item and mean value of each pair of a listener and an item.
fn cells(votes: &[Vote]) -> Vec<(usize, usize, f64)> {
    let mut sums: BTreeMap<(usize, usize), (f64, f64)> = BTreeMap::new();
    for vote in votes {
        let (sum, count) = sums.entry((vote.listener, vote.item)).or_default();
        (*sum, *count) = (*sum + vote.value, *count + 1.0);
    }
    sums.into_iter().map(|((listener, item), (sum, count))| (listener, item, sum / count)).collect()
}

fn units(votes: &[Vote], of: fn(&Vote) -> usize) -> std::collections::BTreeSet<usize> {
    votes.iter().map(of).collect()
}

fn means(values: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    values.for_each(|(unit, value)| groups.entry(unit).or_default().push(value));
    groups.values().map(|values| mean(values)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample variance; 0 of one value.
fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len().max(2) - 1) as f64
}

/// The mean of independent units and half the length of its interval.
fn t_interval(units: &[f64]) -> (f64, Option<f64>) {
    let enough = units.len() >= LEAST_UNITS;
    let half = || t_quantile(units.len() as f64 - 1.0) * (variance(units) / units.len() as f64).sqrt();
    (mean(units), enough.then(half))
}

fn t_quantile(df: f64) -> f64 {
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |t| t.inverse_cdf(0.5 + CONFIDENCE / 2.0))
}

/// Mean, interval, p and smallest p over listeners and items.
fn crossed(cells: &[(usize, usize, f64)], by_listener: &[f64], by_item: &[f64]) -> (f64, Option<(f64, f64)>, f64, f64) {
    let mean = cells.iter().map(|(_, _, value)| value).sum::<f64>() / cells.len() as f64;
    let (variance, df) = crossed_variance(cells, mean);
    // Equal values in all cells have no variance; what sign flips can give bounds the p-value.
    let t = mean.abs() / variance.sqrt();
    let tail = StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |distribution| 2.0 * distribution.sf(t));
    let p = if t.is_finite() { tail } else { 0.0 };
    let smallest = smallest_sign_flip_p(by_listener.len()).max(smallest_sign_flip_p(by_item.len()));
    let p = if mean == 0.0 { 1.0 } else { p.max(smallest) };
    let enough = by_listener.len().min(by_item.len()) >= LEAST_UNITS;
    let half = t_quantile(df) * variance.sqrt();
    (mean, enough.then_some((mean - half, mean + half)), p, smallest)
}

/// Variance of the mean of cells of listeners crossed with items, both drawn from populations, and its degrees of freedom.
///
/// `value = mean + listener + item + rest`. The variance of the rest comes from the residuals of the fit of both effects; those of the
/// effects from the sums of squares of listeners' and items' means, whose expectations are solved for them (Henderson's first method,
/// Searle 1971, 11.2). Neither effect counts as less than nothing. Degrees of freedom are Satterthwaite's, at least those of the rarer
/// unit.
fn crossed_variance(cells: &[(usize, usize, f64)], mean: f64) -> (f64, f64) {
    let total = cells.len() as f64;
    let index = |of: fn(&(usize, usize, f64)) -> usize| {
        let mut known: Vec<usize> = cells.iter().map(of).collect();
        known.sort_unstable();
        known.dedup();
        let at: Vec<usize> = cells.iter().map(|cell| known.partition_point(|unit| *unit < of(cell))).collect();
        let mut counts = vec![0.0; known.len()];
        at.iter().for_each(|n| counts[*n] += 1.0);
        (at, counts)
    };
    let ((l, l_counts), (i, i_counts)) = (index(|cell| cell.0), index(|cell| cell.1));
    let centred: Vec<f64> = cells.iter().map(|cell| cell.2 - mean).collect();
    let unit_means = |values: &[f64], at: &[usize], counts: &[f64]| {
        let mut sums = vec![0.0; counts.len()];
        at.iter().zip(values).for_each(|(n, value)| sums[*n] += value);
        sums.iter().zip(counts).map(|(sum, count)| sum / count).collect::<Vec<f64>>()
    };
    let squares = |means: &[f64], counts: &[f64]| means.iter().zip(counts).map(|(m, n)| n * m * m).sum::<f64>();
    // The fit of both effects, by turns; a complete design needs one.
    let mut rest = centred.clone();
    for _ in 0..200 {
        let before: f64 = rest.iter().map(|x| x * x).sum();
        for (at, counts) in [(&l, &l_counts), (&i, &i_counts)] {
            let means = unit_means(&rest, at, counts);
            rest.iter_mut().zip(at).for_each(|(x, n)| *x -= means[*n]);
        }
        let after: f64 = rest.iter().map(|x| x * x).sum();
        if before - after <= 1e-12 * before {
            break;
        }
    }
    let (listeners, items) = (l_counts.len() as f64, i_counts.len() as f64);
    let rest_df = (total - listeners - items + 1.0).max(1.0);
    let rest_variance = rest.iter().map(|x| x * x).sum::<f64>() / rest_df;
    let squared = |counts: &[f64]| counts.iter().map(|n| n * n).sum::<f64>();
    let (l_squared, i_squared) = (squared(&l_counts), squared(&i_counts));
    let l_sum = squares(&unit_means(&centred, &l, &l_counts), &l_counts) - (listeners - 1.0) * rest_variance;
    let i_sum = squares(&unit_means(&centred, &i, &i_counts), &i_counts) - (items - 1.0) * rest_variance;
    // E[l_sum] = a * listener + b * item, E[i_sum] = c * listener + d * item
    let (a, b) = (total - l_squared / total, listeners - i_squared / total);
    let (c, d) = (items - l_squared / total, total - i_squared / total);
    let determinant = a * d - b * c;
    let (of_listeners, of_items) = match determinant.abs() > 1e-9 {
        true => ((l_sum * d - i_sum * b) / determinant, (i_sum * a - l_sum * c) / determinant),
        false => (l_sum / a.max(1e-9), 0.0), // every listener has their own items
    };
    let of_rest = rest_variance / total;
    let by_listener = (of_listeners * l_squared / (total * total) + of_rest).max(0.0);
    let by_item = (of_items * i_squared / (total * total) + of_rest).max(0.0);
    let variance = (by_listener + by_item - of_rest).max(by_listener).max(by_item);
    let satterthwaite = variance.powi(2)
        / (by_listener.powi(2) / (listeners - 1.0) + by_item.powi(2) / (items - 1.0) + of_rest.powi(2) / rest_df);
    let least = listeners.min(items) - 1.0;
    (variance, if satterthwaite.is_finite() { satterthwaite.max(least) } else { least })
}
