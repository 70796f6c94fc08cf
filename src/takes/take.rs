use serde::{Deserialize, Serialize};

use crate::data::{FinishReason, Issue, ModelId, Sampling, Seam, WordTime};

/// Identifies a take: the name of its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TakeId(String);

impl TakeId {
    /// The name of the take's folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn starts_with(&self, c: char) -> bool {
        self.0.starts_with(c)
    }
}

impl From<String> for TakeId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<&str> for TakeId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl std::fmt::Display for TakeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A clip in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClipSummary {
    /// Number of frames of the clip.
    pub frames: usize,
    /// Length of the waveform in seconds.
    pub seconds: f64,
    /// Time of computing over duration.
    pub real_time_factor: f64,
    /// Its problems.
    #[serde(default, rename = "findings")]
    pub issues: Vec<Issue>,
    /// Tokens that the range guard changed.
    #[serde(default)]
    pub guarded: usize,
    /// Ids past the codec's size.
    #[serde(default)]
    pub beyond_codec: usize,
    /// The joint after a word that was spoken again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seam: Option<Seam>,
}

/// A clip that is kept: the content of `take.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Take {
    /// The name of its folder.
    pub id: TakeId,
    /// The user's name for it.
    pub name: String,
    /// Time of creation, in seconds since 1970.
    pub created: u64,
    /// Whether the user marked it.
    #[serde(default)]
    pub favourite: bool,
    /// The take that it was regenerated from.
    #[serde(default)]
    pub parent: Option<TakeId>,
    /// The clip in numbers.
    #[serde(default)]
    pub measures: ClipSummary,
    /// Text that the take speaks.
    pub text: String,
    /// Speaker number in the prompt.
    pub speaker: u32,
    /// The model that made it.
    pub model: Option<ModelId>,
    /// Settings at the start.
    pub sampling: Option<Sampling>,
    /// Why the clip ended, if recorded.
    pub stop: Option<FinishReason>,
    /// Whether tokens or settings were changed in its course.
    #[serde(default)]
    pub edited: bool,
    /// When its words are spoken; empty if that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordTime>,
    /// What MLX computed on: the device with its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl Take {
    /// The user's name for the take, or its whole text if the name is the beginning of that.
    pub fn title(&self) -> &str {
        match self.name.strip_suffix('…') {
            Some(beginning) if self.text.starts_with(beginning) => &self.text,
            _ => &self.name,
        }
    }
}
