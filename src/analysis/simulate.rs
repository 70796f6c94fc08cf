//! Simulated listening studies whose truth is known: for the power of a test, and to check that its tests and intervals hold what they
//! promise.

use super::mean_test::{Scope, Vote, test_mean};
use crate::data::RepeatableRandom;

/// Studies that a power is estimated from: its standard error is at most 2.3 percentage points.
const STUDIES: usize = 500;
/// p-values up to this count as found.
const ALPHA: f64 = 0.05;

/// Who answers about what, how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StudyDesign {
    /// Listeners.
    pub listeners: usize,
    /// Items.
    pub items: usize,
    /// Answers of each listener about each item.
    pub repetitions: usize,
    /// Items that each listener hears; all, if more than there are.
    pub items_per_listener: usize,
}

/// The true difference of two conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// How an answer comes about.
    pub effect: Effect,
    /// Standard deviation of the listeners' effects: of the logit of a share, or in standard deviations of one answer.
    pub listener_spread: f64,
    /// Standard deviation of the items' effects, likewise.
    pub item_spread: f64,
}

/// The true effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The share of votes for the first condition of the median listener and item, 0 to 1.
    Share(f64),
    /// The mean difference in standard deviations of one answer.
    Difference(f64),
}

/// The votes of a simulated study: 1 and -1, or differences.
pub fn simulate(design: StudyDesign, truth: Truth, random: &mut RepeatableRandom) -> Vec<Vote> {
    let of_items: Vec<f64> = (0..design.items).map(|_| truth.item_spread * normal(random)).collect();
    let mut votes = Vec::new();
    let mut turn = 0;
    for listener in 0..design.listeners {
        let of_listener = truth.listener_spread * normal(random);
        for _ in 0..design.items_per_listener.min(design.items) {
            let item = turn % design.items;
            turn += 1;
            for _ in 0..design.repetitions {
                let shift = of_listener + of_items[item];
                let value = match truth.effect {
                    Effect::Share(share) => {
                        let logit = (share / (1.0 - share)).ln() + shift;
                        if uniform(random) < 1.0 / (1.0 + (-logit).exp()) { 1.0 } else { -1.0 }
                    }
                    Effect::Difference(difference) => difference + shift + normal(random),
                };
                votes.push(Vote { listener, item, value });
            }
        }
    }
    votes
}

/// How often a study of `design` finds what is true, by the widest test that it allows: the share of 500 simulated studies with a p-value
/// of at most 0.05.
pub fn simulated_power(design: StudyDesign, truth: Truth) -> f64 {
    let mut random = RepeatableRandom::new(0x5eed);
    let found = (0..STUDIES).filter(|_| {
        let votes = simulate(design, truth, &mut random);
        test_mean(&votes, Scope::widest(&votes)).is_some_and(|test| test.p <= ALPHA)
    });
    found.count() as f64 / STUDIES as f64
}

fn uniform(random: &mut RepeatableRandom) -> f64 {
    (random.below(1 << 53) as f64 + 0.5) / (1u64 << 53) as f64
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut RepeatableRandom) -> f64 {
    (-2.0 * uniform(random).ln()).sqrt() * (std::f64::consts::TAU * uniform(random)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Studies of nothing are significant in 5 % of cases whatever listeners and items are like, and intervals hold the truth in 95 %.
    /// Where neither differs, the tests, which allow for both, are careful: 1 to 5 %. assets/docs/calibration.md has all kinds and
    /// spreads.
    #[test]
    fn tests_and_intervals_hold_what_they_promise() {
        const STUDIES: usize = 2_000;
        let mut random = RepeatableRandom::new(17);
        let crossed = StudyDesign { listeners: 12, items: 10, repetitions: 1, items_per_listener: 10 };
        let one_item = StudyDesign { listeners: 12, items: 1, repetitions: 8, items_per_listener: 1 };
        for (design, spreads) in [
            (crossed, vec![(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (2.0, 2.0)]),
            (one_item, vec![(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]),
        ] {
            for (listener_spread, item_spread) in spreads {
                for effect in [Effect::Share(0.5), Effect::Difference(0.0)] {
                    let (mut significant, mut covered) = (0, 0);
                    for _ in 0..STUDIES {
                        let votes = simulate(design, Truth { effect, listener_spread, item_spread }, &mut random);
                        let test = test_mean(&votes, Scope::widest(&votes)).unwrap();
                        significant += usize::from(test.p <= ALPHA);
                        covered += usize::from(test.interval.is_some_and(|(low, high)| low <= 0.0 && 0.0 <= high));
                    }
                    let share = |n: usize| n as f64 / STUDIES as f64;
                    let least = if (listener_spread, item_spread) == (0.0, 0.0) { 0.01 } else { 0.035 };
                    let what = format!("{effect:?} {listener_spread} {item_spread}, {} items", design.items);
                    assert!((least..=0.065).contains(&share(significant)), "{what}: {}", share(significant));
                    assert!((0.93..=0.99).contains(&share(covered)), "{what}: {}", share(covered));
                }
            }
        }
    }

    #[test]
    fn power_grows_and_few_units_prove_nothing() {
        let design = |listeners| StudyDesign { listeners, items: 8, repetitions: 1, items_per_listener: 8 };
        let truth = Truth { effect: Effect::Share(0.8), listener_spread: 0.5, item_spread: 0.5 };
        assert_eq!(simulated_power(design(4), truth), 0.0, "the smallest p of four listeners is 0.125");
        let (some, more) = (simulated_power(design(8), truth), simulated_power(design(16), truth));
        assert!(some > 0.3 && more > some, "{some} {more}");
    }
}
