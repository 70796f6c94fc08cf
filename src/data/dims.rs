use serde::Serialize;

/// Samples per second of Mimi, the codec of every published CSM checkpoint.
pub const MIMI_SAMPLE_RATE: usize = 24_000;

/// Sizes of a model, as every layer needs them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ModelDims {
    /// Codebooks K, codes per frame.
    pub codebooks: usize,
    /// Vocabulary V: ids that a codebook's head can produce, the codec's plus three special ones.
    pub vocab: usize,
    /// Ids that the codec can decode, at most V.
    pub codec_size: usize,
    /// Frames per second (12.5 for Mimi).
    pub frame_rate: f64,
    /// Samples per second of the codec's waveform (24,000 for Mimi).
    pub sample_rate: usize,
    /// Positions of the backbone, shared by prompt and speech.
    pub max_positions: usize,
}

impl ModelDims {
    /// Samples per frame (1,920 for Mimi).
    pub fn frame_samples(&self) -> usize {
        (self.sample_rate as f64 / self.frame_rate).round() as usize
    }

    /// Seconds that `frames` frames last.
    pub fn seconds(&self, frames: usize) -> f64 {
        frames as f64 / self.frame_rate
    }

    /// Whole frames in `seconds`.
    pub fn frames_in(&self, seconds: f64) -> usize {
        (seconds * self.frame_rate) as usize
    }
}
