//! Kinds of listening tests as a table. Terminal, window, report and page draw everything that differs from one kind to another from
//! here: a new kind is a variant and an entry.

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::trial::{Choice, Trial, letter};
use crate::analysis::binomial::Sides;
use crate::error::{Error, Result};

/// A kind of listening test. Its properties are in [`TestKind::info`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestKind {
    /// Is X the same as A or as B?
    Abx,
    /// Which of two is better, or are they equally good?
    Preference,
    /// How good is each of several, 0 to 100, without a reference (ITU-R BS.2132)?
    Rating,
    /// How good is one sound, 1 to 5 (ITU-T P.800's absolute category rating)?
    Opinion,
    /// How much better or worse is the second sound than the first, -3 to 3 (ITU-T P.800's comparison category rating)?
    Comparison,
}

/// How a listener answers.
#[derive(Clone, Copy, Debug)]
pub enum AnswerForm {
    /// One of several buttons.
    Buttons(&'static [AnswerButton]),
    /// A slider per sound, from `min` to `max`; it has no value until it is moved.
    Sliders {
        /// Lowest value of a slider.
        min: f64,
        /// Highest value of a slider.
        max: f64,
        /// Words of the scale, from the lowest fifth to the highest.
        labels: [&'static str; 5],
    },
}

/// A button that answers a trial.
#[derive(Clone, Copy, Debug)]
pub struct AnswerButton {
    /// The text on it.
    pub label: &'static str,
    /// Its key, a lower-case letter, digit or sign.
    pub key: char,
    answer: ButtonAnswer,
}

#[derive(Clone, Copy, Debug)]
enum ButtonAnswer {
    First,
    Second,
    Tie,
    Value(f64),
}

impl AnswerButton {
    /// The answer that the button gives.
    pub fn choice(&self) -> Choice {
        match self.answer {
            ButtonAnswer::First => Choice::First,
            ButtonAnswer::Second => Choice::Second,
            ButtonAnswer::Tie => Choice::Tie,
            ButtonAnswer::Value(value) => Choice::Values(vec![value]),
        }
    }
}

/// Most conditions of a rating: BS.1534 stops at 12 with the reference and the anchors.
const MOST_RATED: usize = 12;

/// Properties of a kind of test.
#[derive(Debug)]
pub struct TestKindInfo {
    /// The kind that this entry describes.
    pub kind: TestKind,
    /// Name on the command line and in the window.
    pub name: &'static str,
    /// The question that a listener reads, unless the test has its own.
    pub question: &'static str,
    /// How a listener answers.
    pub form: AnswerForm,
    /// Numbers of conditions that a test may have.
    pub conditions: RangeInclusive<usize>,
    /// Numbers of sounds that a trial may have, X not counted.
    pub sounds: RangeInclusive<usize>,
    /// Whether a trial has an X, which is one of its sounds.
    pub has_x: bool,
    /// Whether trials are made of pairs of conditions.
    pub in_pairs: bool,
    /// Trials of a pair of conditions, or of all conditions, that a listener has unless the maker says otherwise.
    usual_trials: usize,
    /// Whether a trial may have one sound twice, to see whether the listener rates both alike.
    pub can_repeat_sounds: bool,
    /// Alternative of the test of a pair of conditions against even chances.
    pub sides: Sides,
    /// The words between the names of two conditions in a vote.
    pub(super) relation: &'static str,
}

const fn button(label: &'static str, key: char, answer: ButtonAnswer) -> AnswerButton {
    AnswerButton { label, key, answer }
}

static KINDS: [TestKindInfo; 5] = [
    TestKindInfo {
        kind: TestKind::Abx,
        name: "abx",
        question: "Is X the same as A or as B?",
        form: AnswerForm::Buttons(&[
            button("X is A", 'a', ButtonAnswer::First),
            button("X is B", 'b', ButtonAnswer::Second),
        ]),
        conditions: 2..=2,
        sounds: 2..=2,
        has_x: true,
        in_pairs: true,
        usual_trials: 16,
        can_repeat_sounds: false,
        sides: Sides::One,
        relation: "told from",
    },
    TestKindInfo {
        kind: TestKind::Preference,
        name: "preference",
        question: "Which of the two sounds better?",
        form: AnswerForm::Buttons(&[
            button("A is better", 'a', ButtonAnswer::First),
            button("Equally good", '=', ButtonAnswer::Tie),
            button("B is better", 'b', ButtonAnswer::Second),
        ]),
        conditions: 2..=usize::MAX,
        sounds: 2..=2,
        has_x: false,
        in_pairs: true,
        usual_trials: 16,
        can_repeat_sounds: false,
        sides: Sides::Two,
        relation: "better than",
    },
    TestKindInfo {
        kind: TestKind::Rating,
        name: "rating",
        question: "How good does each of them sound, from 0 (bad) to 100 (excellent)?",
        form: AnswerForm::Sliders { min: 0.0, max: 100.0, labels: ["bad", "poor", "fair", "good", "excellent"] },
        conditions: 2..=MOST_RATED,
        sounds: 2..=MOST_RATED + 1,
        has_x: false,
        in_pairs: false,
        usual_trials: 1,
        can_repeat_sounds: true,
        sides: Sides::Two,
        relation: "against",
    },
    TestKindInfo {
        kind: TestKind::Opinion,
        name: "opinion",
        question: "How good does it sound: 1 bad, 2 poor, 3 fair, 4 good, 5 excellent?",
        form: AnswerForm::Buttons(&[
            button("1 bad", '1', ButtonAnswer::Value(1.0)),
            button("2 poor", '2', ButtonAnswer::Value(2.0)),
            button("3 fair", '3', ButtonAnswer::Value(3.0)),
            button("4 good", '4', ButtonAnswer::Value(4.0)),
            button("5 excellent", '5', ButtonAnswer::Value(5.0)),
        ]),
        conditions: 1..=usize::MAX,
        sounds: 1..=1,
        has_x: false,
        in_pairs: false,
        usual_trials: 1,
        can_repeat_sounds: false,
        sides: Sides::Two,
        relation: "against",
    },
    TestKindInfo {
        kind: TestKind::Comparison,
        name: "comparison",
        question: "How does B sound compared with A?",
        form: AnswerForm::Buttons(&[
            button("Much worse", '1', ButtonAnswer::Value(-3.0)),
            button("Worse", '2', ButtonAnswer::Value(-2.0)),
            button("Slightly worse", '3', ButtonAnswer::Value(-1.0)),
            button("About the same", '4', ButtonAnswer::Value(0.0)),
            button("Slightly better", '5', ButtonAnswer::Value(1.0)),
            button("Better", '6', ButtonAnswer::Value(2.0)),
            button("Much better", '7', ButtonAnswer::Value(3.0)),
        ]),
        conditions: 2..=usize::MAX,
        sounds: 2..=2,
        has_x: false,
        in_pairs: true,
        usual_trials: 4,
        can_repeat_sounds: false,
        sides: Sides::Two,
        relation: "against",
    },
];

impl TestKind {
    /// Every kind, in the order in which front ends list them.
    pub fn all() -> &'static [TestKindInfo] {
        &KINDS
    }

    /// Properties of the kind.
    pub fn info(self) -> &'static TestKindInfo {
        &KINDS[self as usize]
    }
}

impl FromStr for TestKind {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        let names = || KINDS.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
        let found = KINDS.iter().find(|info| info.name == name);
        found.map(|info| info.kind).ok_or_else(|| Error::invalid("kind", names(), format!("{name:?}")))
    }
}

impl TestKindInfo {
    /// How often each of `items` is asked about unless the maker says otherwise: often enough for the usual number of trials.
    pub fn usual_repetitions(&self, items: usize) -> usize {
        self.usual_trials.div_ceil(items.max(1)).min(8)
    }

    /// Whether a test may have `conditions` conditions.
    pub fn allows(&self, conditions: usize) -> bool {
        self.conditions.contains(&conditions)
    }

    /// Whether `trial` is one of this kind's.
    pub(super) fn fits(&self, trial: &Trial) -> bool {
        let sounds = trial.stimuli.len();
        let x_fits = match trial.x {
            Some(x) => (self.has_x || self.can_have_reference()) && x < sounds,
            None => !self.has_x,
        };
        let expected_fits = trial.expected.as_ref().is_none_or(|choice| self.check(choice, sounds).is_ok());
        self.sounds.contains(&sounds) && x_fits && expected_fits
    }

    /// Whether a trial may have an open reference, with the same sound hidden among the others.
    pub fn can_have_reference(&self) -> bool {
        self.form_has_sliders()
    }

    /// The name on a button of `trial`: A, B, C and so on; X or Reference on the one after the sounds.
    pub fn button_name(&self, trial: &Trial, button: usize) -> String {
        match (button == trial.stimuli.len(), self.has_x) {
            (true, true) => "X".into(),
            (true, false) => "Reference".into(),
            (false, _) => letter(button),
        }
    }

    /// Checks that `choice` answers a trial with `sounds` sounds.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] with the answers that are allowed.
    pub(super) fn check(&self, choice: &Choice, sounds: usize) -> Result<()> {
        let (fits, expected) = match (self.form, choice) {
            (AnswerForm::Buttons(buttons), _) => {
                let labels: Vec<&str> = buttons.iter().map(|button| button.label).collect();
                // Any value of a scale of categories is allowed: earlier versions had finer ones.
                let within = |value: f64| self.scale().is_some_and(|(min, max)| (min..=max).contains(&value));
                let fits = match choice {
                    Choice::Values(values) => matches!(values.as_slice(), [value] if within(*value)),
                    Choice::First | Choice::Second | Choice::Tie => {
                        buttons.iter().any(|button| button.choice() == *choice)
                    }
                };
                (fits, format!("one of {}", labels.join(", ")))
            }
            (AnswerForm::Sliders { min, max, .. }, Choice::Values(values)) => {
                let within = values.iter().all(|value| (min..=max).contains(value));
                (values.len() == sounds && within, format!("{sounds} values from {min} to {max}"))
            }
            (AnswerForm::Sliders { min, max, .. }, Choice::First | Choice::Second | Choice::Tie) => {
                (false, format!("{sounds} values from {min} to {max}"))
            }
        };
        if fits { Ok(()) } else { Err(Error::invalid("answer", expected, choice.words())) }
    }

    /// Lowest and highest value of an answer; `None` if answers have no values.
    pub fn scale(&self) -> Option<(f64, f64)> {
        match self.form {
            AnswerForm::Sliders { min, max, .. } => Some((min, max)),
            AnswerForm::Buttons(buttons) => {
                let value = |button: &AnswerButton| match button.answer {
                    ButtonAnswer::Value(value) => Some(value),
                    ButtonAnswer::First | ButtonAnswer::Second | ButtonAnswer::Tie => None,
                };
                let values: Vec<f64> = buttons.iter().filter_map(value).collect();
                let (min, max) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
                Some((min, max))
            }
        }
    }

    /// Whether the answer is a value per sound.
    pub fn form_has_sliders(&self) -> bool {
        matches!(self.form, AnswerForm::Sliders { .. })
    }

    /// Whether a digit is an answer, so that it cannot play a sound.
    pub fn answers_by_digit(&self) -> bool {
        match self.form {
            AnswerForm::Buttons(buttons) => buttons.iter().any(|button| button.key.is_ascii_digit()),
            AnswerForm::Sliders { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_in_order() {
        for (n, info) in KINDS.iter().enumerate() {
            assert_eq!((info.kind as usize, info.kind.info().name), (n, info.name));
            assert_eq!(info.name.parse::<TestKind>().unwrap(), info.kind);
            assert_eq!(serde_json::to_string(&info.kind).unwrap(), format!("{:?}", info.name));
            if let AnswerForm::Buttons(buttons) = info.form {
                let keys: std::collections::BTreeSet<char> = buttons.iter().map(|button| button.key).collect();
                assert!(keys.len() == buttons.len() && !keys.contains(&'u') && !keys.contains(&'q'));
                assert!(buttons.iter().all(|button| info.check(&button.choice(), 1).is_ok()));
            }
        }
    }
}
