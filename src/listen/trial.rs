//! A trial of a listening test and its answer.

use serde::{Deserialize, Serialize};

/// A trial: the sounds of one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Sounds in the order of their buttons, X not counted.
    pub stimuli: Vec<usize>,
    /// The place in `stimuli` of the sound that is X, if the trial has an X.
    #[serde(default)]
    pub x: Option<usize>,
    /// The trial that this one repeats, to see whether the listener gives the same answer again.
    #[serde(default)]
    pub repeats: Option<usize>,
}

impl Trial {
    /// The first place of the sound at `place`, if a rating has it twice and this is the second place.
    pub fn first_place(&self, place: usize) -> Option<usize> {
        self.stimuli[..place].iter().position(|n| *n == self.stimuli[place])
    }

    /// The sounds in the order of the buttons: those of the trial, then X.
    pub fn buttons(&self) -> Vec<usize> {
        let x = self.x.map(|x| self.stimuli[x]);
        self.stimuli.iter().copied().chain(x).collect()
    }

    /// The name on a button: A, B, C and so on; X on the one after the sounds.
    pub fn button_name(&self, button: usize) -> String {
        if button == self.stimuli.len() { "X".into() } else { letter(button) }
    }
}

/// The letter of a place: A, B, C and so on.
pub(super) fn letter(place: usize) -> String {
    char::from(b'A' + (place % 26) as u8).to_string()
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
    /// One value per sound, in the order of the buttons.
    Values(Vec<f64>),
}
