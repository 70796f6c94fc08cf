//! A word of a clip that is spoken again while the rest of the clip stays.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Codes;

/// A word to speak again.
#[derive(Clone, Debug, PartialEq)]
pub struct WordRetake {
    /// Codes of the clip that has the word.
    pub codes: Codes,
    /// Whether the model ended that clip.
    pub ended: bool,
    /// Number of the word among the words of the text.
    pub word: usize,
    /// When the clip speaks the word, in seconds.
    pub time: Range<f64>,
    /// Seed of the word, if a single clip is made.
    pub seed: u64,
    /// Another clip's word, or words up to this one, that are taken instead; `None` if the word is drawn.
    pub taken: Option<TakenWords>,
}

/// Words of a clip that become part of another one of the same text.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenWords {
    /// Codes of the clip.
    pub codes: Codes,
    /// Whether the model ended it.
    pub ended: bool,
    /// When it speaks the words, in seconds.
    pub time: Range<f64>,
    /// The name of the clip.
    pub source: String,
}

/// The joint after a word that was spoken again or taken from another clip: from there on the clip has the frames of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seam {
    /// First frame after the joint.
    pub frame: usize,
    /// Surprisal of the frames after the joint in bits, minus their surprisal in the parent: near 0 if the joint is as probable as the
    /// original. The joint before a taken word is counted, too.
    pub bits: f64,
}
