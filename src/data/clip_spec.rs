use serde::{Deserialize, Serialize};

use super::{Codes, PromptStyle, Sampling};

/// A turn that has been spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Speaker number in the prompt.
    pub speaker: u32,
    /// Text that the turn speaks.
    pub text: String,
    /// How it was said.
    pub frames: Codes,
}

/// A change in the course of a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Edit {
    /// New settings from a frame on. The seed stays as it is: the clip's, or that of an [`Edit::Seed`].
    Sampling {
        /// First frame with the new settings.
        frame: usize,
        /// Settings from that frame on; their seed is not used.
        sampling: Sampling,
    },
    /// A token taken instead of the drawn one.
    Token {
        /// Frame of the token.
        frame: usize,
        /// Codebook of the token.
        codebook: usize,
        /// Token that is taken instead of a drawn one.
        token: u32,
    },
    /// Noise from another seed's stream from a frame on: what comes before stays, what comes after is another attempt.
    Seed {
        /// First frame that is drawn with it.
        frame: usize,
        /// Seed of the noise from that frame on.
        seed: u64,
    },
    /// Frames taken instead of drawn ones from a frame on. A last frame of zeros ends the clip.
    Frames {
        /// First frame that is taken.
        frame: usize,
        /// The frames.
        frames: Codes,
        /// The clip that they come from; empty if it is the parent.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        source: String,
    },
}

impl Edit {
    /// The frame at which the edit takes effect.
    pub fn frame(&self) -> usize {
        match self {
            Self::Sampling { frame, .. }
            | Self::Token { frame, .. }
            | Self::Seed { frame, .. }
            | Self::Frames { frame, .. } => *frame,
        }
    }
}

/// Everything that reproduces a clip on a given model. A token file holds it together with the codes.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipSpec {
    /// Text of the clip to generate.
    pub text: String,
    /// Speaker number in the prompt.
    pub speaker: u32,
    /// Turns before the text, oldest first.
    pub context: Vec<Turn>,
    /// How text and turns become a prompt.
    pub prompt_style: PromptStyle,
    /// Settings at the start.
    pub sampling: Sampling,
    /// Changes in its course.
    pub edits: Vec<Edit>,
}

impl ClipSpec {
    /// A text without context and edits.
    pub fn new(text: impl Into<String>, speaker: u32, sampling: Sampling) -> Self {
        let prompt_style = PromptStyle::default();
        Self { text: text.into(), speaker, context: Vec::new(), prompt_style, sampling, edits: Vec::new() }
    }

    /// Frames that are taken from elsewhere end before `frame`, so that a change at `frame` has an effect. Returns the tokens that were taken
    /// in `frame`; none if it was drawn.
    pub fn cut_taken_frames(&mut self, frame: usize) -> Vec<u32> {
        let mut cut = Vec::new();
        self.edits.retain_mut(|edit| match edit {
            Edit::Frames { frame: at, frames, .. } => {
                let n = frame.saturating_sub(*at);
                if let Some(tokens) = frames.get(n).filter(|_| frame >= *at) {
                    cut = tokens.to_vec();
                }
                *frames = frames.prefix(n);
                !frames.is_empty()
            }
            Edit::Sampling { .. } | Edit::Token { .. } | Edit::Seed { .. } => true,
        });
        cut
    }
}
