//! Token files: the codes of a clip with everything that reproduces it (`csm-tokens`, version 1).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::token_array::IntArray;
use super::{Clip, ClipOrigin, ClipSpec, Codes, Edit, FinishReason, ModelDims, ModelId, PromptStyle, Sampling, Turn};
use crate::error::{BoxError, Error, Result};
use crate::files::{MEDIA_LIMIT, read_file, write_atomically};

/// Value of the `format` field.
pub const FORMAT: &str = "csm-tokens";
/// Endings of token files and of arrays of codes, for file dialogs.
pub const TOKEN_FILE_EXTENSIONS: &[&str] = &["json", "npy", "npz", "safetensors", "pt", "pth"];
/// Value of the `version` field.
pub const VERSION: u32 = 1;

/// A token file. Only `frames` is required on reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the file format, which the README documents")]
pub struct TokenFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebooks: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Turn>,
    #[serde(default, skip_serializing_if = "PromptStyle::is_default")]
    pub prompt_style: PromptStyle,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<FinishReason>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    pub frames: Codes,
}

impl TokenFile {
    /// The file of `clip`, which a model of these sizes made.
    pub fn new(clip: &Clip, model: ModelId, dims: &ModelDims) -> Self {
        let origin = clip.origin.clone();
        Self {
            format: Some(FORMAT.into()),
            version: Some(VERSION),
            model: Some(model),
            codebooks: Some(dims.codebooks),
            vocab: Some(dims.vocab),
            frame_rate: Some(dims.frame_rate),
            sampling: origin.sampling,
            text: origin.text,
            speaker: origin.speaker,
            context: origin.context,
            prompt_style: origin.prompt_style,
            stop: clip.stop,
            edits: origin.edits,
            frames: clip.codes.clone(),
        }
    }

    /// The clip of the file, with the waveform `audio` at `sample_rate` samples per second.
    pub fn into_clip(self, audio: Vec<f32>, sample_rate: usize) -> Clip {
        let origin = ClipOrigin {
            text: self.text,
            speaker: self.speaker,
            context: self.context,
            prompt_style: self.prompt_style,
            sampling: self.sampling,
            edits: self.edits,
            model: self.model,
        };
        Clip { origin, codes: self.frames, audio, sample_rate, stop: self.stop }
    }

    /// How the clip was made. `path` is the file's, for the message.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] if text, speaker or settings are missing.
    pub fn clip_spec(&self, path: &Path) -> Result<ClipSpec> {
        self.clone().into_clip(Vec::new(), 0).origin.spec_of_file(path)
    }

    /// Reads a token file, or codes as an array of integers: JSON lists, .npy, .npz, safetensors or `torch.save`. The content says which
    /// it is. Of several arrays the one called `frames` or `codes` is taken. In an array of shape `[T, K]` or `[K, T]` the axis of length
    /// K is the model's codebooks.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::InvalidFile`] with the shape or id that was found.
    pub fn read(path: &Path, dims: &ModelDims) -> Result<Self> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        let file = Self::from_bytes(&bytes, dims.codebooks).and_then(Self::with_frames).and_then(Self::without_padding);
        let file = file.map_err(|problem| Error::parse(path, "is not usable as tokens", problem))?;
        let checked = file
            .frames
            .check("frames", dims)
            .and_then(|()| file.context.iter().try_for_each(|turn| turn.frames.check("context_frames", dims)));
        checked.map_err(|e| Error::file(path, e.to_string()))?;
        Ok(file)
    }

    fn from_bytes(bytes: &[u8], codebooks: usize) -> Result<Self, BoxError> {
        if let Some(array) = IntArray::read(bytes)? {
            return Ok(Self { frames: array.codes(codebooks, false)?, ..Self::default() });
        }
        if bytes.trim_ascii_start().starts_with(b"[") {
            let value = serde_json::from_slice(bytes).map_err(|e| format!("expected lists of tokens: {e}"))?;
            if let Some(array) = IntArray::from_json(&value)? {
                return Ok(Self { frames: array.codes(codebooks, true)?, ..Self::default() });
            }
        }
        Self::from_json(bytes)
    }

    /// Reads a `.json` file of any model: a take's own, which is checked against no model's sizes.
    ///
    /// # Errors
    /// Returns the errors of [`TokenFile::read`].
    pub fn read_own(path: &Path) -> Result<Self> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        Self::from_json(&bytes)
            .and_then(Self::with_frames)
            .map_err(|problem| Error::parse(path, "is not usable as tokens", problem))
    }

    fn from_json(bytes: &[u8]) -> Result<Self, BoxError> {
        let file: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("expected a token file ({{\"frames\": [[…]]}}): {e}"))?;
        if let Some(format) = &file.format
            && format != FORMAT
        {
            return Err(format!("format: expected {FORMAT:?}, got {format:?}").into());
        }
        if let Some(version) = file.version
            && version != VERSION
        {
            return Err(format!("version: expected {VERSION}, got {version}").into());
        }
        Ok(file)
    }

    fn with_frames(self) -> Result<Self, BoxError> {
        if self.frames.is_empty() { Err("frames: expected at least one".into()) } else { Ok(self) }
    }

    /// A clip of a batch is padded with end-of-speech frames: it ends before the first.
    fn without_padding(mut self) -> Result<Self, BoxError> {
        match self.frames.frames().position(super::is_end_frame) {
            Some(0) => return Err("frames: expected at least one before the end-of-speech frame".into()),
            Some(end) => self.frames = self.frames.prefix(end),
            None => {}
        }
        Ok(self)
    }

    /// The file as JSON with one line per frame, to be compared line by line.
    pub fn to_json(&self) -> String {
        let head = Self { frames: Codes::default(), ..self.clone() };
        let head = serde_json::to_string_pretty(&head).unwrap_or_default();
        let head = head.strip_suffix("\"frames\": []\n}").unwrap_or("{\n  ");
        let rows: Vec<String> = self.frames.frames().map(|f| format!("    {f:?}")).collect();
        format!("{head}\"frames\": [\n{}\n  ]\n}}\n", rows.join(",\n"))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.to_json().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype, Mode, RangeGuard, SamplingParams};

    #[test]
    fn a_written_file_is_read_back() {
        let mut sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), u64::MAX, Dtype::Float32);
        sampling.depth = SamplingParams::new(0.7, 3);
        sampling.guard = Some(RangeGuard::new(1, 31).unwrap());
        let file = TokenFile {
            format: Some(FORMAT.into()),
            version: Some(VERSION),
            sampling: Some(sampling),
            stop: Some(FinishReason::Eos),
            edits: vec![Edit::Token { frame: 1, codebook: 0, token: 4 }, Edit::Sampling { frame: 2, sampling }],
            frames: Codes::from_frames([[1, 2], [3, 4]]).unwrap(),
            ..TokenFile::default()
        };
        assert_eq!(TokenFile::from_json(file.to_json().as_bytes()).unwrap(), file);
        assert!(TokenFile::default().with_frames().is_err(), "an array may have none");
        let bare = TokenFile::from_json(br#"{"frames": [[1, 2]]}"#).unwrap();
        assert_eq!(bare.frames, Codes::from_frames([[1, 2]]).unwrap());
    }

    #[test]
    fn padding_after_the_end_frame_is_dropped() {
        let read = |ids: [u32; 6]| {
            let frames = Codes::from_ids(2, ids.to_vec()).unwrap();
            TokenFile { frames, ..TokenFile::default() }.without_padding()
        };
        assert_eq!(read([1, 2, 0, 0, 7, 7]).unwrap().frames, Codes::from_frames([[1, 2]]).unwrap());
        assert!(read([0; 6]).is_err());
    }

    #[test]
    fn what_a_file_is_its_content_says() {
        let read = |bytes: &[u8]| TokenFile::from_bytes(bytes, 2).map(|file| file.frames).map_err(|e| e.to_string());
        let two = Codes::from_frames([[1, 2], [3, 4]]).unwrap();
        assert_eq!(read(b" [[1, 2], [3, 4]]").unwrap(), two);
        assert_eq!(read(b"{\"frames\": [[1, 2], [3, 4]]}").unwrap(), two);
        for (bytes, why) in [
            (&b"\x80\x02}q\x00."[..], "pickle"),
            (b"PK\x03\x04...", "zip"),
            (b"hello", "token file"),
            (b"", "token file"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
