use serde::{Deserialize, Serialize};

use crate::data::{Finding, FinishReason, ModelId, Sampling};

/// A clip in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClipSummary {
    /// Frames.
    pub frames: usize,
    /// Seconds of sound.
    pub seconds: f64,
    /// Time of computing over duration.
    pub real_time_factor: f64,
    /// What is wrong with it.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Tokens that the range guard changed.
    #[serde(default)]
    pub guarded: usize,
    /// Ids past the codec's size.
    #[serde(default)]
    pub beyond_codec: usize,
}

/// A clip that is kept: the content of `take.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Take {
    /// The folder's name.
    pub id: String,
    /// The user's name for it.
    pub name: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether the user marked it.
    #[serde(default)]
    pub favourite: bool,
    /// The take it was made from.
    #[serde(default)]
    pub parent: Option<String>,
    /// The clip in numbers.
    #[serde(default)]
    pub measures: ClipSummary,
    /// What was said.
    pub text: String,
    /// Who said it.
    pub speaker: u32,
    /// The model that made it.
    pub model: Option<ModelId>,
    /// Settings at the start.
    pub sampling: Option<Sampling>,
    /// Why it ended.
    pub stop: Option<FinishReason>,
    /// Whether tokens or settings were changed in its course.
    #[serde(default)]
    pub edited: bool,
}
