//! The termination guard: notices clips that do not end as speech does. It reports; whether to try again is the caller's.

use serde::{Deserialize, Serialize};

use crate::prompt::Frame;

/// Frames in a row that are the same: 1.2 s of one sound is no speech.
pub const REPEATING_FRAMES: usize = 15;
/// Frames in a row that are silent: 2.4 s, longer than any pause a speaker makes.
pub const SILENT_FRAMES: usize = 30;
/// Loudest sample of a silent frame: -60 dB below full scale.
pub const SILENCE: f32 = 1e-3;

/// Something wrong with how a clip ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Finding {
    /// The same frame over and over.
    Repeating {
        /// First of them.
        from: usize,
        /// How many.
        frames: usize,
    },
    /// Silence that goes on.
    Silence {
        /// First silent frame.
        from: usize,
        /// How many.
        frames: usize,
    },
    /// The longest length that was asked for.
    Cap {
        /// That many frames.
        frames: usize,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repeating { from, frames } => write!(f, "the same frame {frames} times from frame {from} on"),
            Self::Silence { from, frames } => write!(f, "{frames} silent frames from frame {from} on"),
            Self::Cap { frames } => write!(f, "no end after {frames} frames, the longest that was allowed"),
        }
    }
}

/// Watches a clip as it grows.
pub struct Watch {
    frame_size: usize,
    heard: usize,
    silent: usize,
    longest: Option<(usize, usize)>,
}

impl Watch {
    /// For frames of `frame_size` samples.
    pub fn new(frame_size: usize) -> Self {
        Self { frame_size, heard: 0, silent: 0, longest: None }
    }

    /// The next whole frames of the waveform.
    pub fn hear(&mut self, samples: &[f32]) {
        for frame in samples.chunks(self.frame_size) {
            self.heard += 1;
            self.silent = if frame.iter().all(|s| s.abs() < SILENCE) { self.silent + 1 } else { 0 };
            if self.silent >= SILENT_FRAMES && self.longest.is_none_or(|(_, n)| self.silent > n) {
                self.longest = Some((self.heard - self.silent, self.silent));
            }
        }
    }

    /// What is wrong with `frames` and the sound heard so far.
    pub fn findings(&self, frames: &[Frame]) -> Vec<Finding> {
        let silence = self.longest.map(|(from, frames)| Finding::Silence { from, frames });
        repeating(frames).into_iter().chain(silence).collect()
    }
}

fn repeating(frames: &[Frame]) -> Option<Finding> {
    let mut from = 0;
    frames
        .chunk_by(|a, b| a == b)
        .map(|run| {
            from += run.len();
            Finding::Repeating { from: from - run.len(), frames: run.len() }
        })
        .find(|f| matches!(f, Finding::Repeating { frames, .. } if *frames >= REPEATING_FRAMES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_and_silence_are_found_where_they_begin() {
        let mut frames: Vec<Frame> = (0..4).map(|n| vec![n, n]).collect();
        let mut watch = Watch::new(2);
        watch.hear(&[0.5; 8]);
        assert_eq!(watch.findings(&frames), []);
        frames.extend(vec![vec![9, 9]; REPEATING_FRAMES]);
        watch.hear(&vec![0.0; 2 * SILENT_FRAMES]);
        watch.hear(&[0.5; 2]);
        let expected = [
            Finding::Repeating { from: 4, frames: REPEATING_FRAMES },
            Finding::Silence { from: 4, frames: SILENT_FRAMES },
        ];
        assert_eq!(watch.findings(&frames), expected);
    }
}
