//! Problems of a clip: one list, with the limits from which each issue counts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Codes, FinishReason};

/// Loudest sample of silence: -60 dB of full scale.
pub const SILENCE_LEVEL: f32 = 1e-3;

/// How much an issue matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a second listen.
    Listen,
    /// Counts against the clip when clips are ranked.
    Rank,
    /// Not speech: generation stops, and may be retried with another seed.
    Retry,
}

/// The lengths from which a run of frames has each [`Severity`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames from which it is [`Severity::Listen`].
    pub listen: usize,
    /// Frames from which it is [`Severity::Rank`].
    pub rank: usize,
    /// Frames from which it is [`Severity::Retry`].
    pub retry: usize,
}

/// Equal frames in a row; 1.2 s of one sound is not speech.
pub const REPEATED_FRAMES: Limits = Limits { listen: 3, rank: 3, retry: 15 };
/// Silent frames in a row: half a second, a second, and 2.4 s, which is longer than a speaker's pauses.
pub const SILENT_FRAMES: Limits = Limits { listen: 6, rank: 13, retry: 30 };
/// A pause, or silence at the end, that counts against a clip, in seconds.
pub const LONG_SILENCE: f64 = 1.0;
/// Lowest surprisal of a surprising token, bits: a probability of one in sixteen.
pub const LEAST_SURPRISAL: f64 = 4.0;
/// Standard deviations above the mean of its codebook from which a token is surprising.
pub const SURPRISAL_DEVIATIONS: f64 = 3.0;
/// Probability of the end-of-speech token from which speech that continues has passed its end.
pub const PROBABLE_END: f32 = 0.5;
/// Probability of the end-of-speech token below which an end is improbable: one in sixteen.
pub const IMPROBABLE_END: f32 = 1.0 / 16.0;
/// Lengths over the expected length outside of which an end is early or late.
pub const EXPECTED_LENGTH: Range<f64> = 0.4..2.5;

/// Something that is wrong with a clip, or at least worth a second listen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Issue {
    /// One frame is repeated ([`REPEATED_FRAMES`]).
    Repeating {
        /// First frame of the run.
        from: usize,
        /// Length of the run.
        frames: usize,
    },
    /// Every sample of several frames is below [`SILENCE_LEVEL`] ([`SILENT_FRAMES`]).
    Silence {
        /// Index of the first silent frame.
        from: usize,
        /// Length of the silence.
        frames: usize,
    },
    /// The model ended the clip before the first frame.
    Empty,
    /// The clip reached the maximum length.
    #[serde(rename = "cap")]
    Length {
        /// Maximum length of the clip in frames.
        frames: usize,
    },
    /// The user stopped the clip.
    Cancelled,
    /// The tokens were given, not drawn.
    Forced,
    /// The model thought a token improbable.
    Surprising {
        /// Frame of the token.
        from: usize,
        /// Codebook of the token.
        codebook: usize,
        /// Surprisal of the token.
        bits: f64,
    },
    /// The sampler cannot draw per token: it was chosen by hand, or the settings have changed.
    NotDrawable {
        /// Frame of the token.
        from: usize,
        /// Codebook of the token.
        codebook: usize,
    },
    /// The range guard replaced a token.
    Guarded {
        /// Frame of the token.
        from: usize,
        /// Codebook of the token.
        codebook: usize,
    },
    /// Speech continued although the end was probable.
    PassedEnd {
        /// Frame at which it could have ended.
        from: usize,
        /// Probability of the end there.
        probability: f32,
    },
    /// The model ended the clip although the end was improbable.
    ImprobableEnd {
        /// Index of the last frame.
        from: usize,
        /// Probability of the end.
        probability: f32,
    },
    /// The clip is much shorter than its text.
    EarlyEnd {
        /// Index of the last frame.
        from: usize,
        /// Length over expected length.
        share: f64,
    },
    /// The clip is much longer than its text.
    LateEnd {
        /// Index of the last frame.
        from: usize,
        /// Length over expected length.
        share: f64,
    },
    /// A pause of [`LONG_SILENCE`] or more.
    Pause {
        /// Length of the clip in seconds.
        seconds: f64,
    },
    /// Silence of [`LONG_SILENCE`] or more at the end.
    TrailingSilence {
        /// Length of the clip in seconds.
        seconds: f64,
    },
    /// Samples at full scale.
    Clipping {
        /// Number of samples beyond full scale.
        samples: usize,
    },
}

impl Issue {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        let of_run = |frames: usize, limits: Limits| match frames {
            n if n >= limits.retry => Severity::Retry,
            n if n >= limits.rank => Severity::Rank,
            _ => Severity::Listen,
        };
        match self {
            Self::Repeating { frames, .. } => of_run(*frames, REPEATED_FRAMES),
            Self::Silence { frames, .. } => of_run(*frames, SILENT_FRAMES),
            Self::Empty | Self::Length { .. } => Severity::Retry,
            Self::Cancelled
            | Self::Forced
            | Self::Pause { .. }
            | Self::TrailingSilence { .. }
            | Self::Clipping { .. } => Severity::Rank,
            Self::Surprising { .. }
            | Self::NotDrawable { .. }
            | Self::Guarded { .. }
            | Self::PassedEnd { .. }
            | Self::ImprobableEnd { .. }
            | Self::EarlyEnd { .. }
            | Self::LateEnd { .. } => Severity::Listen,
        }
    }

    /// The frames concerned; empty for an issue of the whole clip.
    pub fn frames(&self) -> Range<usize> {
        match *self {
            Self::Repeating { from, frames } | Self::Silence { from, frames } => from..from + frames,
            Self::Surprising { from, .. }
            | Self::NotDrawable { from, .. }
            | Self::Guarded { from, .. }
            | Self::PassedEnd { from, .. }
            | Self::ImprobableEnd { from, .. }
            | Self::EarlyEnd { from, .. }
            | Self::LateEnd { from, .. } => from..from + 1,
            Self::Empty
            | Self::Length { .. }
            | Self::Cancelled
            | Self::Forced
            | Self::Pause { .. }
            | Self::TrailingSilence { .. }
            | Self::Clipping { .. } => 0..0,
        }
    }

    /// The codebook concerned; 0 if all are.
    pub fn codebook(&self) -> usize {
        match self {
            Self::Surprising { codebook, .. } | Self::NotDrawable { codebook, .. } | Self::Guarded { codebook, .. } => {
                *codebook
            }
            _ => 0,
        }
    }

    /// The issue and its place in a sentence.
    pub fn describe(&self) -> String {
        match self {
            Self::Repeating { from, .. } | Self::Silence { from, .. } => format!("{self}, from frame {from}"),
            Self::Empty => format!("{self}; try another seed, a final full stop or a longer text"),
            Self::Length { frames } => format!("no end within {frames} frames, the maximum length"),
            _ => self.to_string(),
        }
    }

    /// The problem that `stop` implies for a clip of `frames` frames.
    pub fn of_stop(stop: FinishReason, frames: usize) -> Option<Self> {
        match stop {
            FinishReason::Eos => (frames == 0).then_some(Self::Empty),
            FinishReason::Length => Some(Self::Length { frames }),
            FinishReason::Cancelled => Some(Self::Cancelled),
            FinishReason::Forced => Some(Self::Forced),
        }
    }
}

impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repeating { frames, .. } => write!(f, "the same frame {frames} times in a row"),
            Self::Silence { frames, .. } => write!(f, "{frames} silent frames in a row"),
            Self::Empty => write!(f, "the model stopped before the first frame"),
            Self::Length { .. } => write!(f, "{}", FinishReason::Length.badge()),
            Self::Cancelled => write!(f, "{}", FinishReason::Cancelled.badge()),
            Self::Forced => write!(f, "{}", FinishReason::Forced.badge()),
            Self::Surprising { bits, .. } => write!(f, "unlikely token ({bits:.1} bits)"),
            Self::NotDrawable { .. } => write!(f, "token that the sampler cannot draw"),
            Self::Guarded { .. } => write!(f, "token replaced by the range guard"),
            Self::PassedEnd { probability, .. } => {
                write!(f, "continued although the end had a probability of {:.0} %", 100.0 * probability)
            }
            Self::ImprobableEnd { probability, .. } => {
                write!(f, "ended although the end had a probability of {:.1} %", 100.0 * probability)
            }
            Self::EarlyEnd { share, .. } => write!(f, "early end: {:.0} % of the expected length", 100.0 * share),
            Self::LateEnd { share, .. } => write!(f, "late end: {:.0} % of the expected length", 100.0 * share),
            Self::Pause { seconds } => write!(f, "a pause of {seconds:.1} s"),
            Self::TrailingSilence { seconds } => write!(f, "{seconds:.1} s of silence at the end"),
            Self::Clipping { samples: 1 } => write!(f, "1 sample at full scale"),
            Self::Clipping { samples } => write!(f, "{samples} samples at full scale"),
        }
    }
}

/// Runs of at least `least` equal frames.
pub fn repetitions(codes: &Codes, least: usize) -> Vec<Issue> {
    let equal = runs(codes.len(), |t| t > 0 && codes.frame(t) == codes.frame(t - 1));
    let issue = |run: Range<usize>| Issue::Repeating { from: run.start - 1, frames: run.len() + 1 };
    equal.into_iter().filter(|run| run.len() + 1 >= least.max(2)).map(issue).collect()
}

/// Runs of at least `least` silent frames; `levels` are the loudest samples of all frames.
pub fn silences(levels: &[f32], least: usize) -> Vec<Issue> {
    let silent = runs(levels.len(), |t| levels[t] < SILENCE_LEVEL);
    let issue = |run: Range<usize>| Issue::Silence { from: run.start, frames: run.len() };
    silent.into_iter().filter(|run| run.len() >= least.max(1)).map(issue).collect()
}

/// The runs of numbers below `n` of which `is` holds.
fn runs(n: usize, is: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for t in (0..n).filter(|t| is(*t)) {
        match runs.last_mut() {
            Some(run) if run.end == t => run.end += 1,
            _ => runs.push(t..t + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_where_they_begin_and_weighed_by_their_length() {
        let codes = Codes::from_frames([[1, 1], [2, 2], [2, 2], [2, 2], [3, 3]]).unwrap();
        assert_eq!(repetitions(&codes, 3), [Issue::Repeating { from: 1, frames: 3 }]);
        assert!(repetitions(&codes, 4).is_empty());
        assert_eq!(silences(&[0.5, 0.0, 0.0, 0.5], 2), [Issue::Silence { from: 1, frames: 2 }]);
        let severities = [2, 12, 14, 40].map(|frames| Issue::Silence { from: 0, frames }.severity());
        assert_eq!(severities, [Severity::Listen, Severity::Listen, Severity::Rank, Severity::Retry]);
    }

    #[test]
    fn files_of_earlier_versions_are_read() {
        let text = r#"[{"kind":"repeating","from":4,"frames":15},{"kind":"silence","from":1,"frames":30},{"kind":"empty"},{"kind":"cap","frames":125}]"#;
        let issues: Vec<Issue> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&issues).unwrap(), text);
    }
}
