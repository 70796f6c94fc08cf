//! A sound of a listening test, as its file has it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::{Sampling, WordTime};

/// A sound of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stimulus {
    /// Index of the item, from 0: the same text in every condition.
    pub item: usize,
    /// Its condition, from 0.
    pub condition: usize,
    /// Where it came from.
    pub source: String,
    /// SHA-256 of the sound in this file, hexadecimal.
    pub sha256: String,
    /// Gain that was applied to match its loudness, decibels.
    pub gain_db: f64,
    /// Integrated loudness before that, LUFS, if it has one.
    pub loudness: Option<f64>,
    /// Length of the sound in seconds.
    pub seconds: f64,
    /// Settings that made it, if known.
    pub sampling: Option<Sampling>,
    /// When its words are spoken, if listeners may loop a word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordTime>,
    /// The sound: a WAV file in base64.
    pub wav: String,
}

/// Seconds that are heard before and after a word that is looped, so that its first and last sounds are whole.
const AROUND: f64 = 0.06;

impl Stimulus {
    /// The part that is played where word `n` is looped, in seconds.
    pub fn word(&self, n: usize) -> Option<(f64, f64)> {
        let word = self.words.get(n)?;
        let from = (word.start - AROUND).clamp(0.0, self.seconds);
        let to = (word.end + AROUND).clamp(0.0, self.seconds);
        (from < to).then_some((from, to))
    }
}

/// SHA-256, hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
