use serde::{Deserialize, Serialize};

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
            Self::Eos => "ended naturally",
            Self::Length => "stopped at the maximum length",
            Self::Cancelled => "cancelled",
            Self::Forced => "made from given tokens",
        }
    }
}
