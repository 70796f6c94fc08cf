//! The power of a test, in words.

use std::collections::BTreeSet;

use super::report::{p_number, plural as count};
use super::{ListeningTest, TestKind};
use crate::analysis::binomial::{Sides, power, trials_needed};
use crate::analysis::sign_flip::smallest_sign_flip_p;
use crate::analysis::simulate::{Effect, StudyDesign, Truth, simulated_power};

const ALPHA: f64 = 0.05;
/// Power that is asked for.
const POWER: f64 = 0.8;
/// True shares of votes whose detection is stated.
const SHARES: [f64; 3] = [0.6, 0.7, 0.8];
/// True differences, in standard deviations of one answer: small, medium, large (Cohen 1988).
const DIFFERENCES: [f64; 3] = [0.2, 0.5, 0.8];

/// A test as far as its power goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerPlan {
    /// Kind of the test.
    pub kind: TestKind,
    /// Listeners, items, and answers of a listener about a pair of conditions and an item.
    pub design: StudyDesign,
    /// Whether the number of listeners was planned; else the plan is about one.
    pub listeners_planned: bool,
    /// How much listeners and items differ: standard deviations of the logit of a share, or in standard deviations of one answer.
    pub spread: f64,
}

impl PowerPlan {
    /// The power of the test, in words.
    pub fn describe(&self) -> String {
        let (design, spread) = (self.design, self.spread);
        if self.kind.info().sides == Sides::One {
            let answers = design.listeners * design.items_per_listener * design.repetitions;
            return describe_guessing(answers, design.listeners);
        }
        let effects: Vec<(String, Effect)> = match self.kind.info().scale() {
            None => SHARES
                .map(|p| (format!("a split of {:.0}/{:.0}", 100.0 * p, 100.0 * (1.0 - p)), Effect::Share(p)))
                .into(),
            Some(_) => DIFFERENCES.map(|d| (format!("a difference of {d} SD"), Effect::Difference(d))).into(),
        };
        let found = effects.into_iter().map(|(name, effect)| {
            // With one listener or one item the conclusion is about that one: how others differ plays no part.
            let of = |units: usize| if units > 1 { spread } else { 0.0 };
            let truth = Truth { effect, listener_spread: of(design.listeners), item_spread: of(design.items) };
            format!("{:.0} % for {name}", 100.0 * simulated_power(design, truth))
        });
        format!(
            "Power with {}{} and {}: {} (alpha {ALPHA}; listeners and items differ by {spread} SD)",
            count(design.listeners, "listener"),
            if self.listeners_planned { "" } else { " (no number is planned)" },
            count(design.items_per_listener, "item"),
            found.collect::<Vec<_>>().join(", ")
        )
    }

    /// The limit of the design, whatever the answers are; `None` if it can be significant.
    pub fn warning(&self) -> Option<String> {
        let design = self.design;
        if self.kind.info().sides == Sides::One {
            return None;
        }
        let mut problems = Vec::new();
        let smallest = smallest_sign_flip_p(design.listeners);
        if self.listeners_planned && smallest > ALPHA {
            problems.push(format!(
                "{} can never give a p-value below {ALPHA} (the smallest possible is {}); plan at least 6",
                count(design.listeners, "listener"),
                p_number(smallest)
            ));
        }
        let smallest = smallest_sign_flip_p(design.items);
        if design.items > 1 && smallest > ALPHA {
            problems.push(format!(
                "{} cannot show that other texts would give the same result (the smallest possible p is {}); the report will say so \
                 of these texts only. Take at least 6",
                count(design.items, "item"),
                p_number(smallest)
            ));
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

impl ListeningTest {
    /// The test as far as its power goes; `spread` as in [`PowerPlan`].
    pub fn power_plan(&self, spread: f64) -> PowerPlan {
        let counted = |trial: usize| self.trials[trial].counts();
        let list: BTreeSet<usize> =
            self.list(0).iter().filter(|p| counted(p.trial)).map(|p| self.stimuli[p.stimuli[0]].item).collect();
        let items_per_listener = list.len().max(1);
        let design = StudyDesign {
            listeners: self.study.listeners.max(1),
            items: self.counted_items().max(1),
            repetitions: (self.votes_of_a_pair() / items_per_listener).max(1),
            items_per_listener,
        };
        PowerPlan { kind: self.kind, design, listeners_planned: self.study.listeners > 0, spread }
    }

    /// Votes of one listener on a pair of conditions.
    fn votes_of_a_pair(&self) -> usize {
        let conditions = self.compared().len();
        let pairs = conditions * conditions.saturating_sub(1) / 2;
        let counted = self.list(0).iter().filter(|p| self.trials[p.trial].counts()).count();
        match (self.kind.info().in_pairs, *self.kind.info().sounds.end()) {
            (true, _) => counted / pairs.max(1),
            (false, 1) => counted / conditions.max(1),
            (false, _) => counted,
        }
    }
}

/// The power of an ABX test of `answers` in all.
fn describe_guessing(answers: usize, listeners: usize) -> String {
    let n = answers as u64;
    let effect = |p: f64| {
        let needed = trials_needed(p, POWER, ALPHA, Sides::One).map_or("more than 2,000".into(), |n| n.to_string());
        format!(
            "{:.0} % for a listener who is right in {:.0} % (80 % needs {needed} answers)",
            100.0 * power(n, p, ALPHA, Sides::One),
            100.0 * p
        )
    };
    let found: Vec<String> = SHARES.iter().map(|p| effect(*p)).collect();
    format!(
        "Power with {} from {}: {}; false positives: {:.1} %",
        count(answers, "answer"),
        count(listeners, "listener"),
        found.join(", "),
        100.0 * power(n, 0.5, ALPHA, Sides::One)
    )
}
