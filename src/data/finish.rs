use serde::{Deserialize, Serialize};

/// Loudest sample of silence: -60 dB of full scale.
pub const SILENCE_LEVEL: f32 = 1e-3;

/// Why a clip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended it with an end-of-speech frame.
    Eos,
    /// It reached the maximum length.
    #[serde(rename = "cap")]
    Length,
    /// The user stopped it.
    Cancelled,
    /// The given tokens ran out (teacher forcing).
    Forced,
}

impl FinishReason {
    /// The reason in a word or two.
    pub fn badge(self) -> &'static str {
        match self {
            Self::Eos => "finished",
            Self::Length => "cut off",
            Self::Cancelled => "cancelled",
            Self::Forced => "given tokens",
        }
    }

    /// The reason in words, to follow a comma.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Eos => "ended by itself",
            Self::Length => "stopped at the maximum length",
            Self::Cancelled => "cancelled",
            Self::Forced => "made from given tokens",
        }
    }
}

/// A sign that a clip does not run or end as speech does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Finding {
    /// One frame is repeated many times.
    Repeating {
        /// First frame of the run.
        from: usize,
        /// Length of the run.
        frames: usize,
    },
    /// A long silence.
    Silence {
        /// First silent frame.
        from: usize,
        /// Length of the silence.
        frames: usize,
    },
    /// The model ended before the first frame.
    Empty,
    /// No end before the maximum length.
    #[serde(rename = "cap")]
    Length {
        /// The maximum length.
        frames: usize,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repeating { from, frames } => write!(f, "the same frame {frames} times in a row, from frame {from}"),
            Self::Silence { from, frames } => write!(f, "{frames} silent frames in a row, from frame {from}"),
            Self::Empty => write!(f, "the model ended at once; try another seed, a final full stop or a longer text"),
            Self::Length { frames } => write!(f, "no end within {frames} frames, the maximum length"),
        }
    }
}
