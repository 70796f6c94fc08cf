//! The termination guard: notices clips that do not run or end as speech does. It only reports; retrying is the caller's choice.

use crate::data::issue::{REPEATED_FRAMES, SILENT_FRAMES, repetitions, silences};
use crate::data::{Codes, Issue};

/// Watches a clip as it grows.
pub(super) struct TerminationGuard {
    frame_samples: usize,
    /// Loudest sample of every frame.
    levels: Vec<f32>,
}

impl TerminationGuard {
    /// Watches a clip with frames of `frame_samples` samples.
    pub(super) fn new(frame_samples: usize) -> Self {
        Self { frame_samples, levels: Vec::new() }
    }

    /// Appends whole frames of the waveform.
    pub(super) fn push_audio(&mut self, samples: &[f32]) {
        let loudest = |frame: &[f32]| frame.iter().fold(0f32, |level, s| level.max(s.abs()));
        self.levels.extend(samples.chunks(self.frame_samples).map(loudest));
    }

    /// The first long repetition in `codes`, and the longest silence so far.
    pub(super) fn issues(&self, codes: &Codes) -> Vec<Issue> {
        let repeated = repetitions(codes, REPEATED_FRAMES.retry).into_iter().next();
        let silence = silences(&self.levels, SILENT_FRAMES.retry).into_iter().max_by_key(|issue| issue.frames().len());
        repeated.into_iter().chain(silence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_silence_are_found_where_they_begin() {
        let mut codes = Codes::from_frames((0..4).map(|n| [n, n])).unwrap();
        let mut guard = TerminationGuard::new(2);
        guard.push_audio(&[0.5; 8]);
        assert_eq!(guard.issues(&codes), []);
        (0..REPEATED_FRAMES.retry).for_each(|_| codes.push(&[9, 9]));
        guard.push_audio(&vec![0.0; 2 * SILENT_FRAMES.retry]);
        guard.push_audio(&[0.5; 2]);
        let expected = [
            Issue::Repeating { from: 4, frames: REPEATED_FRAMES.retry },
            Issue::Silence { from: 4, frames: SILENT_FRAMES.retry },
        ];
        assert_eq!(guard.issues(&codes), expected);
    }
}
