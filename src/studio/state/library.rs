//! The takes and what is made of them.

use std::path::PathBuf;

use super::Outlines;
use crate::checkpoint::CheckpointSpec;
use crate::data::command_line::generate_line;
use crate::data::{ClipSpec, FinishReason, ModelDims, TokenFile};
use crate::error::Result;
use crate::takes::Store;

/// What can be exported of a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// The sound.
    Wav,
    /// The token file.
    Tokens,
    /// A row per token.
    Table,
    /// The token map as a picture.
    TokenMap,
    /// A page that plays the sound and shows each draw.
    Page,
}

impl ExportKind {
    /// All of them, with what they are called.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Wav, "WAV"),
        (Self::Page, "page with sound (HTML)"),
        (Self::Tokens, "tokens (JSON)"),
        (Self::Table, "tokens (CSV)"),
        (Self::TokenMap, "token map (PNG)"),
    ];

    /// Extension of its file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Tokens => "json",
            Self::Table => "csv",
            Self::TokenMap => "png",
            Self::Page => "html",
        }
    }
}

/// The takes.
pub struct Library {
    /// Their folder.
    pub store: Store,
    /// Small pictures of their sounds.
    pub outlines: Outlines,
}

impl Library {
    /// The token file of take `id`.
    pub fn tokens_path(&self, id: &str) -> PathBuf {
        self.store.path(id).join("tokens.json")
    }

    /// Tokens of take `id`, which have to fit a model of these sizes.
    ///
    /// # Errors
    /// Where they cannot be read or do not fit.
    pub fn read_tokens(&self, id: &str, dims: &ModelDims) -> Result<TokenFile> {
        TokenFile::read(&self.tokens_path(id), dims)
    }

    /// What makes take `id` again.
    ///
    /// # Errors
    /// As [`Library::read_tokens`], and where its token file does not say.
    pub fn read_spec(&self, id: &str, dims: &ModelDims) -> Result<ClipSpec> {
        self.read_tokens(id, dims)?.clip_spec(&self.tokens_path(id))
    }

    /// A command line that makes take `id` again.
    ///
    /// # Errors
    /// As [`Library::read_spec`].
    pub fn command_line(&self, id: &str, model: &CheckpointSpec, dims: &ModelDims) -> Result<String> {
        let file = self.read_tokens(id, dims)?;
        let path = self.tokens_path(id);
        let spec = file.clip_spec(&path)?;
        // A clip that ended by itself has to have room for its end frame.
        let margin = if file.stop == Some(FinishReason::Eos) { 1.0 } else { 0.0 };
        let seconds = self.store.get(id).map_or(0.0, |t| t.measures.seconds) + margin;
        let adapter = model.adapter.as_ref().map(ToString::to_string);
        let max_ms = (seconds * 1_000.0).round() as u64;
        Ok(generate_line(&spec, max_ms, &path, model.path.as_deref(), adapter.as_deref()))
    }
}
