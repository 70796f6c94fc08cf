//! Jobs and results of the worker: plain data.

use crate::data::{Clip, Issue, ModelDims, ModelId, Seam, WordTime};
use crate::engine::{GeneratedFrame, GenerationRequest};
use crate::machine;
use crate::takes::{NewTake, TakeId};

/// A clip to generate, with its retries.
#[derive(Clone, Debug)]
pub struct GenerateJob {
    /// The clip to generate.
    pub request: GenerationRequest,
    /// Further attempts, each with the next seed, for a clip with an issue of [`crate::data::Severity::Retry`].
    pub retries: u32,
}

impl From<GenerationRequest> for GenerateJob {
    fn from(request: GenerationRequest) -> Self {
        Self { request, retries: 0 }
    }
}

/// An event of a running task.
#[derive(Clone, Debug)]
pub enum Event {
    /// A frame was generated.
    Frame(Box<FrameEvent>),
    /// The next part of the waveform: mono, -1 to 1, at the codec's rate.
    Audio(Vec<f32>),
    /// The clip did not end well and starts again with `seed`: discard every event received so far.
    Retry {
        /// Problems of the clip.
        issue: Issue,
        /// The next attempt's seed.
        seed: u64,
    },
}

/// An event of one of several clips: the clip's number from 0, and the event.
pub type ClipEvent = (usize, Event);

/// A new frame and how far the clip is.
#[derive(Clone, Debug)]
pub struct FrameEvent {
    /// The frame with its codes.
    pub frame: GeneratedFrame,
    /// Seconds of sound so far.
    pub audio_seconds: f64,
    /// Time spent on the new frames over their duration; below 1 is faster than real time.
    pub real_time_factor: f64,
}

/// A generated clip and what happened on the way.
#[derive(Clone, Debug)]
pub struct GeneratedClip {
    /// The clip. The seed in its origin is that of the attempt that was kept.
    pub clip: Clip,
    /// Its problems.
    pub issues: Vec<Issue>,
    /// Tokens that the range guard changed.
    pub guarded: usize,
    /// Ids past the codec's size, decoded as 0.
    pub beyond_codec: usize,
    /// When its words are spoken, if they are tracked and the attention follows the text.
    pub words: Option<Vec<WordTime>>,
    /// The joint after a word that was spoken again.
    pub seam: Option<Seam>,
    /// The end-of-speech frame, if the model ended the clip.
    pub end_frame: Option<GeneratedFrame>,
    /// Time of generating it, in seconds. Clips that are generated side by side share the time by their frames.
    pub seconds: f64,
}

impl GeneratedClip {
    /// The clip as a take of the model that made it, from the take `parent`.
    pub fn as_take<'a>(&'a self, model: &'a ModelId, dims: &'a ModelDims, parent: Option<TakeId>) -> NewTake<'a> {
        let sampling = self.clip.origin.sampling;
        NewTake {
            clip: &self.clip,
            seconds: self.seconds,
            issues: &self.issues,
            words: self.words.as_deref().unwrap_or_default(),
            guarded: self.guarded,
            beyond_codec: self.beyond_codec,
            seam: self.seam,
            parent,
            device: sampling.map(|s| machine::device_name(machine::device_of(s.mode, s.precision))),
            model,
            dims,
        }
    }
}
