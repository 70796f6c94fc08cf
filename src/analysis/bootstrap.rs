//! Bootstrap over listeners and items: both are samples, and votes of one listener, or on one item, are not independent.

use crate::data::RepeatableRandom;

const RESAMPLES: usize = 2_000;

/// A value that a listener gave to an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    /// The listener, from 0.
    pub listener: usize,
    /// The item, from 0.
    pub item: usize,
    /// The statistic of the whole sample.
    pub value: f64,
}

/// Mean and its 95 % percentile interval from resampling listeners and items with replacement, each as a whole (the crossed
/// bootstrap, Owen 2007). Only items are resampled if there is one listener, and the other way round. `None` without a vote.
pub fn mean_interval(votes: &[Vote]) -> Option<(f64, (f64, f64))> {
    let mean = votes.iter().map(|vote| vote.value).sum::<f64>() / votes.len() as f64;
    if votes.is_empty() {
        return None;
    }
    let count = |of: fn(&Vote) -> usize| votes.iter().map(|vote| of(vote) + 1).max().unwrap_or(0);
    let (listeners, items) = (count(|v| v.listener), count(|v| v.item));
    let mut random = RepeatableRandom::new(0x5eed);
    let mut means = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let mut weights = |n: usize| {
            let mut weights = vec![0.0; n];
            match n {
                1 => weights[0] = 1.0,
                _ => (0..n).for_each(|_| weights[random.below(n)] += 1.0),
            }
            weights
        };
        let (of_listeners, of_items) = (weights(listeners), weights(items));
        let (sum, total) = votes.iter().fold((0.0, 0.0), |(sum, total), vote| {
            let weight: f64 = of_listeners[vote.listener] * of_items[vote.item];
            (sum + weight * vote.value, total + weight)
        });
        // A resample that has none of the votes says nothing.
        if total > 0.0 {
            means.push(sum / total);
        }
    }
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (means.len() - 1) as f64).round() as usize];
    Some((mean, (at(0.025), at(0.975))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(listeners: usize, items: usize, value: impl Fn(usize, usize) -> f64) -> Vec<Vote> {
        let of = |listener| (0..items).map(move |item| (listener, item));
        (0..listeners)
            .flat_map(of)
            .map(|(listener, item)| Vote { listener, item, value: value(listener, item) })
            .collect()
    }

    #[test]
    fn the_interval_holds_the_mean_and_knows_what_is_not_independent() {
        assert_eq!(mean_interval(&[]), None);
        let (mean, (low, high)) = mean_interval(&votes(1, 1, |_, _| 3.0)).unwrap();
        assert_eq!((mean, low, high), (3.0, 3.0, 3.0));
        // Listeners that disagree with each other, and agree with themselves: 8 opinions, not 160.
        let (mean, (low, high)) = mean_interval(&votes(8, 20, |l, _| l as f64)).unwrap();
        assert_eq!(mean, 3.5);
        assert!(low < 2.5 && high > 4.5, "{low} {high}");
        // An equal number of independent votes would be far more certain.
        let (_, (low, high)) = mean_interval(&votes(8, 20, |l, i| ((l * 7 + i * 5) % 8) as f64)).unwrap();
        assert!(high - low < 1.6, "{low} {high}");
        assert_eq!(
            mean_interval(&votes(8, 20, |l, _| l as f64)),
            mean_interval(&votes(8, 20, |l, _| l as f64)),
            "repeatable"
        );
    }
}
