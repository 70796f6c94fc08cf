//! What a page needs of a clip beyond its statistics.

use crate::analysis::statistics::distributions;
use crate::analysis::top_ids;
use crate::data::{Logits, Sampling};

/// Candidates of a draw that a page lists.
const CANDIDATES: usize = 6;
/// Peaks of the waveform a second.
const PEAKS: usize = 100;

/// A clip's sound, for a page that plays it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipSound {
    /// The content of a WAV file.
    pub wav: Vec<u8>,
    /// Smallest and largest sample of every 10 ms.
    pub(super) peaks: Vec<(f32, f32)>,
}

impl ClipSound {
    /// The sound of a WAV file's content, which has these samples.
    pub fn new(wav: Vec<u8>, samples: &[f32], rate: usize) -> Self {
        let peak = |c: &[f32]| c.iter().fold((0f32, 0f32), |(low, high), s| (low.min(*s), high.max(*s)));
        Self { wav, peaks: samples.chunks((rate / PEAKS).max(1)).map(peak).collect() }
    }
}

/// The candidates of a frame's draws, for a page: `[K]`, each with the most likely tokens and the one that was taken as `(id, model's
/// probability, probability after sampling)`.
pub type FrameCandidates = Vec<Vec<(u32, f32, f32)>>;

/// The candidates of a frame's draws.
pub fn frame_candidates(logits: &Logits, codes: &[u32], sampling: &Sampling) -> FrameCandidates {
    let of_draw = |(k, (row, taken)): (usize, (&[f32], &u32))| {
        let (p, q) = distributions(row, sampling.params_for(k), sampling.guard);
        let mut ids = top_ids(&p, CANDIDATES);
        if !ids.contains(&(*taken as usize)) {
            ids.pop();
            ids.push(*taken as usize);
        }
        ids.into_iter().map(|id| (id as u32, p[id], q[id])).collect()
    };
    logits.rows().zip(codes).enumerate().map(of_draw).collect()
}
