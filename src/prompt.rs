//! What the model is told before it speaks: rows of text and audio, one a position.

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// The K codes of one frame (80 ms).
pub type Frame = Vec<u32>;

/// One position of the backbone's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A text id.
    Text(u32),
    /// A frame of codes; all zero ends a segment's audio.
    Audio(Frame),
}

/// A turn that has been spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who spoke.
    pub speaker: u32,
    /// What was said.
    pub text: String,
    /// How it sounded, `[T][K]`, without the end frame.
    pub frames: Vec<Frame>,
}

/// Rows of a whole prompt, and how many each segment takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Context segments in order, then the text to speak.
    pub rows: Vec<Row>,
    /// Rows of each segment, the text to speak last.
    pub lengths: Vec<usize>,
}

impl Prompt {
    /// Context segments (text, audio, one all-zero audio frame), then the text to speak.
    ///
    /// # Errors
    /// [`Error::Value`] for text without a letter or digit, frames of another width than K, or ids past the vocabulary.
    pub fn new(checkpoint: &Checkpoint, context: &[Segment], speaker: u32, text: &str) -> Result<Self> {
        let k = checkpoint.config.num_codebooks;
        let mut prompt = Self { rows: Vec::new(), lengths: Vec::new() };
        for segment in context {
            check_text("context text", &segment.text)?;
            check_frames("context audio", &segment.frames, k, checkpoint.config.vocab_size)?;
            let mut rows = text_rows(checkpoint, segment.speaker, &segment.text)?;
            rows.extend(segment.frames.iter().cloned().map(Row::Audio));
            rows.push(Row::Audio(vec![0; k]));
            prompt.push(rows);
        }
        check_text("text", text)?;
        prompt.push(text_rows(checkpoint, speaker, text)?);
        Ok(prompt)
    }

    fn push(&mut self, rows: Vec<Row>) {
        self.lengths.push(rows.len());
        self.rows.extend(rows);
    }

    /// Checks that prompt and `frames` of speech fit `positions`: the prompt has to be strictly shorter than what the
    /// speech leaves.
    ///
    /// # Errors
    /// [`Error::ContextTooLong`], with the rows of each segment.
    pub fn check_fits(&self, frames: usize, positions: usize) -> Result<()> {
        if self.rows.len() + frames < positions {
            return Ok(());
        }
        let last = self.lengths.len() - 1;
        let list = self.lengths.iter().enumerate().map(|(n, rows)| match n {
            n if n == last => format!("the text {rows}"),
            n => format!("context segment {} {rows}", n + 1),
        });
        Err(Error::ContextTooLong { used: self.rows.len(), wanted: frames, limit: positions, list: list.collect() })
    }
}

fn text_rows(checkpoint: &Checkpoint, speaker: u32, text: &str) -> Result<Vec<Row>> {
    Ok(checkpoint.text_ids(speaker, text)?.into_iter().map(Row::Text).collect())
}

fn check_text(name: &str, text: &str) -> Result<()> {
    if text.chars().any(char::is_alphanumeric) {
        Ok(())
    } else {
        Err(Error::value(name, "something to say (a letter or digit at least)", format!("{text:?}")))
    }
}

/// Checks that every frame has `k` ids below `vocab`.
///
/// # Errors
/// [`Error::Value`] that names frame and codebook.
pub fn check_frames(name: &str, frames: &[Frame], k: usize, vocab: usize) -> Result<()> {
    for (t, frame) in frames.iter().enumerate() {
        if frame.len() != k {
            let got = format!("{} in frame {t}", frame.len());
            return Err(Error::value(name, format!("{k} codes a frame (the model's codebooks)"), got));
        }
        if let Some(c) = frame.iter().position(|id| *id as usize >= vocab) {
            let got = format!("{} in frame {t}, codebook {c}", frame[c]);
            return Err(Error::value(name, format!("ids from 0 to {}", vocab - 1), got));
        }
    }
    Ok(())
}
