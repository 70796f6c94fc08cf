//! A trial of a listening test and its answer.

use serde::{Deserialize, Serialize};

/// A trial: the sounds of one question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Sounds in the order of their buttons, X not counted.
    pub stimuli: Vec<usize>,
    /// The place in `stimuli` of the sound that another button repeats: X of an ABX trial, the open reference of a rating.
    #[serde(default)]
    pub x: Option<usize>,
    /// The trial that this one repeats, to see whether the listener gives the same answer again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<usize>,
    /// Whether it is for practice: its answer is kept and not counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub training: bool,
    /// The only right answer, if the trial checks whether the listener pays attention. It is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Choice>,
}

impl Trial {
    /// Whether its answer counts: neither a repeat, nor practice, nor a check of attention.
    pub fn counts(&self) -> bool {
        self.repeats.is_none() && !self.training && self.expected.is_none()
    }

    /// The first place of the sound at `place`, if a rating has it twice and this is the second place.
    pub fn first_place(&self, place: usize) -> Option<usize> {
        self.stimuli[..place].iter().position(|n| *n == self.stimuli[place])
    }

    /// The sounds in the order of the buttons: those of the trial, then X or the reference.
    pub fn buttons(&self) -> Vec<usize> {
        let x = self.x.map(|x| self.stimuli[x]);
        self.stimuli.iter().copied().chain(x).collect()
    }

    /// This trial with its sounds in the order `stimuli`, and X at the place `x`.
    pub(super) fn presented(&self, stimuli: &[usize], x: Option<usize>) -> Self {
        Self { stimuli: stimuli.to_vec(), x, ..self.clone() }
    }

    /// Whether `stimuli` and `x` are this trial in another order.
    pub(super) fn has_presentation(&self, stimuli: &[usize], x: Option<usize>) -> bool {
        let sorted = |stimuli: &[usize]| {
            let mut sorted = stimuli.to_vec();
            sorted.sort_unstable();
            sorted
        };
        sorted(stimuli) == sorted(&self.stimuli)
            && x.is_some() == self.x.is_some()
            && x.is_none_or(|x| x < stimuli.len())
    }
}

/// The letter of a place: A, B, C and so on.
pub(super) fn letter(place: usize) -> String {
    char::from(b'A' + (place % 26) as u8).to_string()
}

/// A trial as one listener gets it: its index, and the order of its sounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presentation {
    /// The trial, from 0.
    pub trial: usize,
    /// Its sounds in the order of the buttons.
    pub stimuli: Vec<usize>,
    /// As [`Trial::x`], of this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<usize>,
}

/// A listener's answer to a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The first sound; "X is A" if the trial has an X.
    First,
    /// The second sound; "X is B" if the trial has an X.
    Second,
    /// Both sounds are equally good.
    Tie,
    /// One value per sound, in the order of the buttons; of a comparison, one value for the second sound against the first.
    Values(Vec<f64>),
}

impl Choice {
    /// The answer as a listener would say it.
    pub(super) fn words(&self) -> String {
        let value = |value: &f64| value.to_string();
        match self {
            Self::First => "the first".into(),
            Self::Second => "the second".into(),
            Self::Tie => "a tie".into(),
            Self::Values(values) => values.iter().map(value).collect::<Vec<_>>().join(" "),
        }
    }
}
