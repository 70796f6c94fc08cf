use serde::{Deserialize, Serialize};

use super::ModelDims;
use crate::error::{Error, Result};

/// Identifies the weights that a clip was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Name of the checkpoint, from its folder or config.
    pub name: String,
    /// SHA-256 of its weights, hexadecimal.
    pub sha256: String,
}

/// A named speaker (an entry of `voices.json`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Voice {
    /// The name that `--voice` takes.
    pub name: String,
    /// The speaker's number in the prompt.
    pub speaker: u32,
    /// One line for people.
    pub description: String,
}

/// The label of each code: K lists of strings, "" if nothing is known (`code_labels.json`).
pub type Labels = Vec<Vec<String>>;

/// A model, as front ends and reports know it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Name of the checkpoint, from its folder or config.
    pub name: String,
    /// Sizes of model and codec.
    #[serde(flatten)]
    pub dims: ModelDims,
    /// Its named speakers; empty if the checkpoint names none.
    #[serde(skip)]
    pub voices: Vec<Voice>,
    /// The label of each code, if known.
    #[serde(skip)]
    pub labels: Option<Labels>,
}

impl ModelInfo {
    /// The label of `id` in `codebook`, or "".
    pub fn label(&self, codebook: usize, id: u32) -> &str {
        self.labels.as_ref().and_then(|l| l.get(codebook)?.get(id as usize)).map_or("", String::as_str)
    }

    /// `id` followed by its label, if it has one.
    pub fn describe_token(&self, codebook: usize, id: u32) -> String {
        match self.label(codebook, id) {
            "" => id.to_string(),
            label => format!("{id} {label}"),
        }
    }

    /// Speaker number of the voice called `name`.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] with the names of the voices.
    pub fn speaker_named(&self, name: &str) -> Result<u32> {
        let found = self.voices.iter().find(|v| v.name == name);
        found.map(|v| v.speaker).ok_or_else(|| {
            let names: Vec<&str> = self.voices.iter().map(|v| v.name.as_str()).collect();
            let expected = if names.is_empty() {
                format!("a speaker number instead ({} names no voices)", self.name)
            } else {
                format!("one of {}", names.join(", "))
            };
            Error::invalid("voice", expected, format!("{name:?}"))
        })
    }

    /// Checks that the model knows `speaker`. A checkpoint that names no voices may know any.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for `field` with the speakers.
    pub fn check_speaker(&self, field: &'static str, speaker: u32) -> Result<()> {
        if self.voices.is_empty() || self.voices.iter().any(|v| v.speaker == speaker) {
            return Ok(());
        }
        let known: Vec<String> = self.voices.iter().map(|v| format!("{} ({})", v.speaker, v.name)).collect();
        Err(Error::invalid(field, format!("a speaker of {}: {}", self.name, known.join(", ")), speaker))
    }

    /// Whether a recording as voice prompt can tell this model anything. Labelled codes say what is spoken and when, which an
    /// encoder cannot hear (the demo voice's model card has more).
    pub fn supports_voice_prompt(&self) -> bool {
        self.labels.is_none()
    }
}
