//! Content of a page besides a clip's statistics.

use crate::analysis::steps::{Candidate, candidates};
use crate::audio::peaks::{Peaks, peaks};
use crate::data::{Logits, Sampling};

/// Candidates of a draw that a page lists.
const CANDIDATES: usize = 6;

/// A clip's sound, for a page that plays it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipSound {
    /// The content of a WAV file.
    pub wav: Vec<u8>,
    pub(super) peaks: Peaks,
}

impl ClipSound {
    /// The sound of a WAV file's content, which has these samples.
    pub fn new(wav: Vec<u8>, samples: &[f32], rate: usize) -> Self {
        Self { wav, peaks: peaks(samples, rate) }
    }
}

/// The candidates of a frame's draws, for a page: `[K]` lists, most likely first.
pub type FrameCandidates = Vec<Vec<Candidate>>;

/// The candidates of the draws of `codes` `[K]`.
pub fn frame_candidates(logits: &Logits, codes: &[u32], sampling: &Sampling) -> FrameCandidates {
    codes.iter().enumerate().map(|(k, taken)| candidates(logits, k, sampling, *taken, CANDIDATES)).collect()
}
