//! What the worker is asked and what it answers: plain data.

use crate::data::{Codes, Finding, FinishReason, Sampling};
use crate::engine::{GeneratedFrame, GenerationRequest};

/// A clip to generate, with its retries.
#[derive(Clone, Debug)]
pub struct GenerateJob {
    /// The clip.
    pub request: GenerationRequest,
    /// How often a clip that does not end well is tried again with the next seed.
    pub retries: u32,
}

impl From<GenerationRequest> for GenerateJob {
    fn from(request: GenerationRequest) -> Self {
        Self { request, retries: 0 }
    }
}

/// What happens while a task runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// A frame was generated.
    Frame(FrameEvent),
    /// The next part of the waveform: mono, -1 to 1, at the codec's rate.
    Audio(Vec<f32>),
    /// The clip did not end well and starts again with `seed`: discard every event received so far.
    Retry {
        /// What was wrong.
        finding: Finding,
        /// The next attempt's seed.
        seed: u64,
    },
}

/// What happens to one of several clips: its number from 0, and the event.
pub type ClipEvent = (usize, Event);

/// A new frame and how far the clip is.
#[derive(Clone, Debug)]
pub struct FrameEvent {
    /// The frame.
    pub frame: GeneratedFrame,
    /// Seconds of sound so far.
    pub audio_seconds: f64,
    /// Time spent on the new frames over their duration; below 1 is faster than real time.
    pub real_time_factor: f64,
}

/// A finished clip.
#[derive(Clone, Debug)]
pub struct GeneratedClip {
    /// Its codes, without the end frame.
    pub frames: Codes,
    /// Its waveform, mono, at the codec's rate.
    pub audio: Vec<f32>,
    /// Why it ended.
    pub stop: FinishReason,
    /// Settings at the start, with the seed of the attempt that was kept.
    pub sampling: Sampling,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// Tokens that the range guard changed.
    pub guarded: usize,
    /// Ids past the codec's size, decoded as 0.
    pub beyond_codec: usize,
    /// The frame with which the model ended it, where it did.
    pub end_frame: Option<GeneratedFrame>,
    /// Seconds of computing.
    pub seconds: f64,
}
