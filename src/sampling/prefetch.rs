//! PyTorch's noise, computed ahead of the model on a separate thread.

use std::sync::mpsc::{Receiver, sync_channel};

use super::noise::TorchNoise;

/// Frames computed ahead: enough that the model never waits, few enough to discard.
const FRAMES_AHEAD: usize = 4;

/// A stream of noise frames, each row-major `[K][V]` float32.
pub struct NoisePrefetcher {
    seed: u64,
    next: usize,
    codebooks: usize,
    vocab: usize,
    frames: Receiver<Vec<f32>>,
}

impl NoisePrefetcher {
    /// Starts at frame `frame` of the stream of `seed`. Where no thread can be started, noise is computed when it is needed.
    pub fn start(seed: u64, frame: usize, codebooks: usize, vocab: usize) -> Self {
        let (sender, frames) = sync_channel(FRAMES_AHEAD);
        let compute = move || {
            let mut noise = TorchNoise::at_frame(seed, frame, codebooks, vocab);
            loop {
                let mut values = vec![0.0; codebooks * vocab];
                noise.fill(&mut values);
                if sender.send(values).is_err() {
                    return; // the receiver was dropped
                }
            }
        };
        if let Err(e) = std::thread::Builder::new().name("csm-noise".into()).spawn(compute) {
            tracing::warn!("noise is computed on the model's thread: {e}");
        }
        Self { seed, next: frame, codebooks, vocab, frames }
    }

    /// Whether the next frame is frame `frame` of the stream of `seed`.
    pub fn is_next(&self, seed: u64, frame: usize) -> bool {
        (self.seed, self.next) == (seed, frame)
    }

    /// Noise of the next frame.
    pub fn next_frame(&mut self) -> Vec<f32> {
        let frame = self.next;
        self.next += 1;
        self.frames.recv().unwrap_or_else(|_| {
            let mut values = vec![0.0; self.codebooks * self.vocab];
            TorchNoise::at_frame(self.seed, frame, self.codebooks, self.vocab).fill(&mut values);
            values
        })
    }
}
