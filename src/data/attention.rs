use std::ops::Range;

use serde::{Deserialize, Serialize};

/// An attention head of the backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttentionHead {
    /// Number of the layer, from 0.
    pub layer: usize,
    /// Number of the head in its layer, from 0.
    pub head: usize,
}

/// Where the words of a text are in its prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptWords {
    /// The positions of the text to speak.
    pub text: Range<usize>,
    /// Its words, in order, without those that the voice leaves out.
    pub words: Vec<PromptWord>,
}

/// A word of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptWord {
    /// The word as the user wrote it.
    pub text: String,
    /// Its bytes in the written text.
    pub written: Range<usize>,
    /// Its positions in the prompt.
    pub positions: Range<usize>,
}

/// The words that a clip is to be aligned with, and the heads that follow them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WordTracking {
    /// Heads in ascending order.
    pub heads: Vec<AttentionHead>,
    /// The words of the prompt.
    pub prompt: PromptWords,
}

/// When a word is spoken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WordTime {
    /// The word as the user wrote it.
    pub word: String,
    /// Its bytes in the written text.
    pub written: Range<usize>,
    /// Where it begins, in seconds of the clip.
    pub start: f64,
    /// Where it ends, in seconds of the clip.
    pub end: f64,
    /// How much of the attention is near the word while it is spoken, 0 to 1; 0 if the attention passes over it.
    pub confidence: f64,
}
