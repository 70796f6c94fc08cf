use std::path::Path;

use super::{ClipSpec, Codes, Edit, FinishReason, ModelId, PromptStyle, Sampling, Turn};
use crate::error::Error;

/// How a clip was made, as far as that is recorded: a token file from another program may lack any of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipOrigin {
    /// Text that the clip speaks.
    pub text: Option<String>,
    /// Speaker number in the prompt.
    pub speaker: Option<u32>,
    /// Turns before the text.
    pub context: Vec<Turn>,
    /// How text and turns became a prompt.
    pub prompt_style: PromptStyle,
    /// Settings at the start, with the seed of the attempt that was kept.
    pub sampling: Option<Sampling>,
    /// Changes in the course of the clip.
    pub edits: Vec<Edit>,
    /// The weights that made the clip.
    pub model: Option<ModelId>,
}

impl ClipOrigin {
    /// Everything needed to make the clip again.
    ///
    /// # Errors
    /// The name of the first field that is not recorded: `text`, `speaker` or `sampling`.
    pub fn spec(&self) -> Result<ClipSpec, &'static str> {
        Ok(ClipSpec {
            text: self.text.clone().ok_or("text")?,
            speaker: self.speaker.ok_or("speaker")?,
            context: self.context.clone(),
            prompt_style: self.prompt_style,
            sampling: self.sampling.ok_or("sampling")?,
            edits: self.edits.clone(),
        })
    }

    /// Everything needed to make the clip of the token file at `path` again.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] if text, speaker or settings are missing.
    pub fn spec_of_file(&self, path: &Path) -> crate::error::Result<ClipSpec> {
        self.spec().map_err(|missing| {
            let problem = format!("expected a token file with {missing}, such as `csm generate` writes; it has none");
            Error::file(path, problem)
        })
    }

    /// Whether the clip can be made again.
    pub fn is_complete(&self) -> bool {
        self.text.is_some() && self.speaker.is_some() && self.sampling.is_some()
    }

    /// Mode and seed in a few words; empty if they are not recorded.
    pub fn describe_sampling(&self) -> String {
        self.sampling.map_or(String::new(), |s| format!("{}, seed {}", s.mode.name(), s.seed))
    }
}

impl From<ClipSpec> for ClipOrigin {
    fn from(spec: ClipSpec) -> Self {
        Self {
            text: Some(spec.text),
            speaker: Some(spec.speaker),
            context: spec.context,
            prompt_style: spec.prompt_style,
            sampling: Some(spec.sampling),
            edits: spec.edits,
            model: None,
        }
    }
}

/// A clip: codes, waveform and origin. Either of codes and waveform may be empty: a WAV file has no codes, and a token file that
/// has not been decoded has no waveform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clip {
    /// How it was made.
    pub origin: ClipOrigin,
    /// Its codes, without the end-of-speech frame.
    pub codes: Codes,
    /// Its waveform: mono, -1 to 1.
    pub audio: Vec<f32>,
    /// Samples per second of `audio`.
    pub sample_rate: usize,
    /// Why it ended; `None` while it is being generated, and if it is not recorded.
    pub stop: Option<FinishReason>,
}

impl Clip {
    /// Length of the waveform in seconds.
    pub fn seconds(&self) -> f64 {
        self.audio.len() as f64 / self.sample_rate.max(1) as f64
    }
}
