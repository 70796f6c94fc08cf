//! What makes a clip: text, speaker, turns before it, settings and edits. A token file holds one beside the codes.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::prompt::{Frame, Prompt, Segment};
use crate::sampling::Sampling;
use crate::tokens::{ContextTurn, Edit, FORMAT, ModelId, Stop, TokenFile, VERSION};

/// All that a clip follows from, beside the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// What is said.
    pub text: String,
    /// By whom.
    pub speaker: u32,
    /// Turns before it.
    pub context: Vec<Segment>,
    /// Settings at the start.
    pub sampling: Sampling,
    /// Changes in its course.
    pub edits: Vec<Edit>,
}

impl Recipe {
    /// What the token file `path` says about how its clip was made.
    ///
    /// # Errors
    /// [`Error::File`] where text, speaker or settings are missing.
    pub fn of(file: &TokenFile, path: &Path) -> Result<Self> {
        let lacks =
            |what: &str| Error::file(path, format!("expected a token file with {what}, as --dump-tokens writes it"));
        let turn = |t: &ContextTurn| Segment { speaker: t.speaker, text: t.text.clone(), frames: t.frames.clone() };
        Ok(Self {
            text: file.text.clone().ok_or_else(|| lacks("text"))?,
            speaker: file.speaker.ok_or_else(|| lacks("speaker"))?,
            context: file.context.iter().map(turn).collect(),
            sampling: file.sampling.ok_or_else(|| lacks("sampling"))?,
            edits: file.edits.clone(),
        })
    }

    /// The prompt for `checkpoint`.
    ///
    /// # Errors
    /// As [`Prompt::new`].
    pub fn prompt(&self, checkpoint: &Checkpoint) -> Result<Prompt> {
        Prompt::new(checkpoint, &self.context, self.speaker, &self.text)
    }

    /// The token file of the clip that came out. `sampling` has the seed of the attempt that was kept.
    pub fn file(&self, checkpoint: &Checkpoint, sampling: Sampling, stop: Stop, frames: Vec<Frame>) -> TokenFile {
        let c = &checkpoint.config;
        let turn = |s: &Segment| ContextTurn { speaker: s.speaker, text: s.text.clone(), frames: s.frames.clone() };
        TokenFile {
            format: Some(FORMAT.into()),
            version: Some(VERSION),
            model: Some(ModelId { name: checkpoint.name.clone(), sha256: checkpoint.sha256().into() }),
            codebooks: Some(c.num_codebooks),
            vocab: Some(c.vocab_size),
            frame_rate: Some(c.codec_config.frame_rate()),
            sampling: Some(sampling),
            text: Some(self.text.clone()),
            speaker: Some(self.speaker),
            context: self.context.iter().map(turn).collect(),
            stop: Some(stop),
            edits: self.edits.clone(),
            frames,
        }
    }
}
