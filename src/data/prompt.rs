use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Codes, ModelDims};
use crate::error::{Error, Result};

/// One position of the backbone's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// An id of the text vocabulary.
    Text(u32),
    /// A frame of K codes; the all-zero frame ends a segment's audio.
    Audio(Vec<u32>),
}

/// The tokenised prompt: context turns (text, audio, end frame), then the text to speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// All positions in order.
    pub positions: Vec<Position>,
    /// Positions of each segment, the text to speak last.
    pub segment_lengths: Vec<usize>,
}

impl Prompt {
    /// Sesame's prompt: each turn is a segment of text, audio and an all-zero end frame; `text` is the last segment. Turns are
    /// (text ids, codes of K codebooks).
    pub fn of_segments(turns: &[(Vec<u32>, &Codes)], text: Vec<u32>, codebooks: usize) -> Self {
        let mut prompt = Self::default();
        for (ids, codes) in turns {
            let end = Position::Audio(vec![0; codebooks]);
            prompt.push_segment(text_positions(ids).chain(audio_positions(codes)).chain([end]).collect());
        }
        prompt.push_segment(text_positions(&text).collect());
        prompt
    }

    /// mlx-audio's voice match: one segment of `text`, which is the text of the turn before and the text to speak, and the turn's
    /// codes, after which the speech continues.
    pub fn of_voice_match(text: &[u32], codes: &Codes) -> Self {
        let mut prompt = Self::default();
        prompt.push_segment(text_positions(text).chain(audio_positions(codes)).collect());
        prompt
    }

    /// Appends the positions of a segment.
    pub fn push_segment(&mut self, positions: Vec<Position>) {
        self.segment_lengths.push(positions.len());
        self.positions.extend(positions);
    }

    /// Checks that every id has an embedding. Engines ask for it once more, because MLX reads past the end of a table in silence.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] with the position.
    pub fn check_ids(&self, text_vocab: usize, dims: &ModelDims) -> Result<()> {
        for (n, position) in self.positions.iter().enumerate() {
            let (largest, limit) = match position {
                Position::Text(id) => (Some(*id), text_vocab),
                Position::Audio(frame) => (frame.iter().max().copied(), dims.vocab),
            };
            if let Some(id) = largest.filter(|id| *id as usize >= limit) {
                return Err(Error::invalid("prompt", format!("ids below {limit}"), format!("{id} at position {n}")));
            }
        }
        Ok(())
    }

    /// Checks that the prompt leaves room for `frames` frames of speech: it must be strictly shorter than what they leave
    /// of the model's positions.
    ///
    /// # Errors
    /// [`Error::ContextTooLong`] with the positions of each segment.
    pub fn check_fits(&self, frames: usize, dims: &ModelDims) -> Result<()> {
        let used = self.positions.len();
        if used + frames < dims.max_positions {
            return Ok(());
        }
        let last = self.segment_lengths.len().saturating_sub(1);
        let segments = self.segment_lengths.iter().enumerate().map(|(n, length)| match n {
            n if n == last => format!("the text {length}"),
            n => format!("context segment {} {length}", n + 1),
        });
        let segments = segments.collect();
        Err(Error::ContextTooLong { used, wanted: frames, limit: dims.max_positions, segments })
    }
}

fn text_positions(ids: &[u32]) -> impl Iterator<Item = Position> {
    ids.iter().copied().map(Position::Text)
}

fn audio_positions(codes: &Codes) -> impl Iterator<Item = Position> {
    codes.frames().map(|frame| Position::Audio(frame.to_vec()))
}

/// How text and context become a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptStyle {
    /// Sesame's: each turn is a segment of text, audio and end frame; the text to speak is the last segment.
    #[default]
    Segments,
    /// mlx-audio's voice match: one segment, in which the text to speak follows the text of the one turn before it, and the speech
    /// that turn's audio, without an end frame between.
    VoiceMatch,
}

impl PromptStyle {
    /// Every style, the usual one first.
    pub const ALL: [Self; 2] = [Self::Segments, Self::VoiceMatch];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::VoiceMatch => "voice-match",
        }
    }

    /// Whether it is the default, which files do not spell out.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for PromptStyle {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|style| style.name() == name);
        found.ok_or_else(|| Error::invalid("prompt_style", Self::ALL.map(Self::name).join(", "), format!("{name:?}")))
    }
}

/// Whether `text` contains a letter or digit.
pub fn is_speakable(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}
