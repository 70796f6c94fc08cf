//! PyTorch's noise made ahead on a thread of its own, a frame at a time.

use std::sync::mpsc::{Receiver, sync_channel};

use super::noise::TorchNoise;

/// Frames made ahead: enough that the model never waits, few enough to throw away.
const FRAMES_AHEAD: usize = 4;

/// A stream of noise frames, each row-major `[K][V]` float32.
pub struct NoiseAhead {
    seed: u64,
    next: usize,
    frames: Receiver<Vec<f32>>,
}

impl NoiseAhead {
    /// Begins at frame `frame` of the stream of `seed`.
    pub fn start(seed: u64, frame: usize, codebooks: usize, vocab: usize) -> Self {
        let (sender, frames) = sync_channel(FRAMES_AHEAD);
        std::thread::Builder::new()
            .name("csm-noise".into())
            .spawn(move || {
                let mut noise = TorchNoise::at_frame(seed, frame, codebooks, vocab);
                loop {
                    let mut values = vec![0.0; codebooks * vocab];
                    noise.fill(&mut values);
                    if sender.send(values).is_err() {
                        return; // nobody listens any more
                    }
                }
            })
            .expect("a thread can be started");
        Self { seed, next: frame, frames }
    }

    /// Whether the next frame is frame `frame` of the stream of `seed`.
    pub fn is_next(&self, seed: u64, frame: usize) -> bool {
        (self.seed, self.next) == (seed, frame)
    }

    /// The next frame.
    pub fn next_frame(&mut self) -> Vec<f32> {
        self.next += 1;
        self.frames.recv().expect("the noise thread runs until it is dropped")
    }
}
