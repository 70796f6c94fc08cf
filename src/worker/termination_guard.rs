//! The termination guard: notices clips that do not run or end as speech does. It only reports; trying again is the caller's choice.

use crate::data::{Codes, Finding, SILENCE_LEVEL};

/// Equal frames in a row that are reported: 1.2 s of one sound is not speech.
const REPEATING_FRAMES: usize = 15;
/// Silent frames in a row that are reported: 2.4 s, longer than a speaker's pauses.
const SILENT_FRAMES: usize = 30;

/// Watches a clip as it grows.
pub(super) struct TerminationGuard {
    frame_samples: usize,
    heard: usize,
    silent: usize,
    longest: Option<(usize, usize)>,
}

impl TerminationGuard {
    /// For frames of `frame_samples` samples.
    pub(super) fn new(frame_samples: usize) -> Self {
        Self { frame_samples, heard: 0, silent: 0, longest: None }
    }

    /// Appends whole frames of the waveform.
    pub(super) fn push_audio(&mut self, samples: &[f32]) {
        for frame in samples.chunks(self.frame_samples) {
            self.heard += 1;
            self.silent = if frame.iter().all(|s| s.abs() < SILENCE_LEVEL) { self.silent + 1 } else { 0 };
            if self.silent >= SILENT_FRAMES && self.longest.is_none_or(|(_, n)| self.silent > n) {
                self.longest = Some((self.heard - self.silent, self.silent));
            }
        }
    }

    /// What is wrong with `frames` and the waveform so far.
    pub(super) fn findings(&self, frames: &Codes) -> Vec<Finding> {
        let silence = self.longest.map(|(from, frames)| Finding::Silence { from, frames });
        repeating(frames).into_iter().chain(silence).collect()
    }
}

fn repeating(frames: &Codes) -> Option<Finding> {
    let (mut from, mut length) = (0, 0);
    for t in 0..frames.len() {
        if t > 0 && frames.frame(t) == frames.frame(t - 1) {
            length += 1;
        } else if length >= REPEATING_FRAMES {
            break;
        } else {
            (from, length) = (t, 1);
        }
    }
    (length >= REPEATING_FRAMES).then_some(Finding::Repeating { from, frames: length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_silence_are_found_where_they_begin() {
        let mut frames = Codes::from_frames((0..4).map(|n| [n, n])).unwrap();
        let mut guard = TerminationGuard::new(2);
        guard.push_audio(&[0.5; 8]);
        assert_eq!(guard.findings(&frames), []);
        (0..REPEATING_FRAMES).for_each(|_| frames.push(&[9, 9]));
        guard.push_audio(&vec![0.0; 2 * SILENT_FRAMES]);
        guard.push_audio(&[0.5; 2]);
        let expected = [
            Finding::Repeating { from: 4, frames: REPEATING_FRAMES },
            Finding::Silence { from: 4, frames: SILENT_FRAMES },
        ];
        assert_eq!(guard.findings(&frames), expected);
    }
}
