//! The question what other settings would have drawn, answered on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::{InspectedClip, Wake};
use crate::analysis::what_if::{WhatIf, what_if};
use crate::data::Sampling;

/// Settings that are asked about, and what they would have drawn.
#[derive(Default)]
pub struct WhatIfQuestion {
    asked: Option<Sampling>,
    answer: Option<WhatIf>,
    running: Option<Running>,
    version: u64,
}

struct Running {
    answer: Receiver<Option<WhatIf>>,
    cancel: Arc<AtomicBool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

impl WhatIfQuestion {
    /// Asks what `sampling` would have drawn of `clip`; `None` asks nothing. Its seed is not used: the noise is the clip's.
    pub fn ask(&mut self, sampling: Option<Sampling>, clip: &InspectedClip, wake: Wake) {
        self.running = None;
        self.version += 1;
        self.asked = sampling;
        let Some(asked) = sampling else {
            self.answer = None;
            return;
        };
        let (sender, answer) = channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let (frames, logits, samplings) = (clip.frames.clone(), clip.logits.clone(), clip.samplings.clone());
        let cancelled = cancel.clone();
        let compute = move || {
            let settings = |t: usize| Sampling { seed: samplings[t].seed, ..asked };
            sender.send(what_if(&frames, &logits, settings, || cancelled.load(Ordering::Relaxed))).ok(); // nobody may wait
            wake();
        };
        match std::thread::Builder::new().name("csm-what-if".into()).spawn(compute) {
            Ok(_) => self.running = Some(Running { answer, cancel }),
            Err(e) => tracing::warn!("no thread for another set of settings: {e}"),
        }
    }

    /// Takes in the answer, if there is one. Never waits.
    pub fn poll(&mut self) {
        let Some(running) = &self.running else { return };
        match running.answer.try_recv() {
            Ok(answer) => {
                self.answer = answer;
                self.running = None;
                self.version += 1;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => self.running = None,
        }
    }

    /// The settings that are asked about.
    pub fn asked(&self) -> Option<Sampling> {
        self.asked
    }

    /// The answer; the one before until a new one is there.
    pub fn answer(&self) -> Option<&WhatIf> {
        self.answer.as_ref()
    }

    /// Whether an answer is being computed.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Counts changes.
    pub fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::data::{Codes, Dtype, Logits, Mode, SamplingParams};

    #[test]
    fn the_newest_question_is_answered() {
        let sampling = |temperature| Sampling::new(Mode::Exact, SamplingParams::new(temperature, 9), 4, Dtype::Float32);
        let row: Vec<f32> = (0..18).map(|i| (i * 7 % 9) as f32 / 3.0).collect();
        let clip = InspectedClip {
            frames: Codes::from_frames(vec![vec![3, 3]; 30]).unwrap(),
            logits: (0..30).map(|_| Arc::new(Logits::new(9, row.clone()))).collect(),
            samplings: vec![sampling(1.0); 30],
            ..InspectedClip::default()
        };
        let mut question = WhatIfQuestion::default();
        question.ask(Some(sampling(1.0)), &clip, Arc::new(|| {}));
        question.ask(Some(sampling(0.0)), &clip, Arc::new(|| {}));
        let begun = Instant::now();
        while question.is_running() && begun.elapsed() < Duration::from_secs(20) {
            question.poll();
        }
        let best = row[..9].iter().position(|l| *l == 8.0 / 3.0).unwrap() as u32;
        assert!(question.answer().unwrap().tokens.column(0).all(|id| id == best), "greedy is the most likely one");
        question.ask(Some(Sampling { mode: Mode::Native, ..sampling(1.0) }), &clip, Arc::new(|| {}));
        while question.is_running() && begun.elapsed() < Duration::from_secs(20) {
            question.poll();
        }
        let tokens = &question.answer().unwrap().tokens;
        assert!(tokens.column(0).any(|id| id != best), "MLX's noise is another draw each frame");
    }
}
