//! Engines and codec of one checkpoint, and clips made with them. It belongs to the thread that owns MLX.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::protocol::{Event, FrameEvent, GenerateJob, GeneratedClip};
use super::termination_guard::TerminationGuard;
use crate::checkpoint::Checkpoint;
use crate::data::{Backend, Codes, Finding, FinishReason, Sampling};
use crate::engine::{Engine, EngineKey, EngineProvider, Generation, Step, engine_key};
use crate::error::{Error, Result};
use crate::mlx::MlxCsm;
use crate::mlx::mimi::Mimi;

/// Frames that are decoded at once where nobody waits for the first sound.
const DECODE_CHUNK: usize = 25;

/// Engines and codec of one checkpoint.
pub struct Pipeline {
    checkpoint: Arc<Checkpoint>,
    mimi: Mimi,
    engines: Engines,
}

/// Engines by backend and precision, loaded when they are first asked for.
struct Engines {
    checkpoint: Arc<Checkpoint>,
    loaded: HashMap<EngineKey, Box<dyn Engine>>,
}

impl EngineProvider for Engines {
    fn engine(&mut self, sampling: &Sampling) -> Result<&mut dyn Engine> {
        let key = engine_key(sampling);
        match self.loaded.entry(key) {
            Entry::Occupied(loaded) => Ok(loaded.into_mut().as_mut()),
            Entry::Vacant(place) => {
                let (backend, precision) = key;
                self.checkpoint.check_memory(precision, backend == Backend::Torch)?;
                tracing::info!("loading {backend:?} in {}", precision.name());
                let engine: Box<dyn Engine> = match backend {
                    Backend::Mlx => Box::new(MlxCsm::load(&self.checkpoint, precision)?),
                    Backend::Torch => crate::torch::load(&self.checkpoint, precision)?,
                };
                Ok(place.insert(engine).as_mut())
            }
        }
    }
}

impl Pipeline {
    /// Loads the codec.
    ///
    /// # Errors
    /// What reading the weights or MLX reports.
    pub fn new(checkpoint: Arc<Checkpoint>) -> Result<Self> {
        let mimi = Mimi::load(&checkpoint)?;
        let engines = Engines { checkpoint: checkpoint.clone(), loaded: HashMap::new() };
        Ok(Self { checkpoint, mimi, engines })
    }

    /// The engine that `sampling` asks for, loaded if need be.
    ///
    /// # Errors
    /// What loading reports.
    pub fn engine(&mut self, sampling: &Sampling) -> Result<&mut dyn Engine> {
        self.engines.engine(sampling)
    }

    /// Codes of a mono waveform at the codec's rate.
    ///
    /// # Errors
    /// As [`Mimi::encode`].
    pub fn encode(&self, samples: &[f32], cancelled: &dyn Fn() -> bool) -> Result<Codes> {
        Ok(self.mimi.encode(samples, cancelled)?.codes)
    }

    /// The waveform of `frames`.
    ///
    /// # Errors
    /// What MLX reports, and [`Error::Cancelled`].
    pub fn decode(&self, frames: &Codes, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        self.decode_in_chunks(frames, DECODE_CHUNK, cancelled)
    }

    /// The same, so many frames at once.
    ///
    /// # Errors
    /// As [`Pipeline::decode`].
    pub fn decode_in_chunks(&self, frames: &Codes, chunk: usize, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        let mut stream = self.mimi.stream();
        let mut audio = Vec::with_capacity(frames.len() * self.mimi.frame_samples());
        for chunk in frames.ids().chunks(chunk.max(1) * frames.codebooks().max(1)) {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let Ok(chunk) = Codes::from_ids(frames.codebooks(), chunk.to_vec()) else { break };
            audio.extend(self.mimi.decode(&mut stream, &chunk)?);
        }
        Ok(audio)
    }

    /// Generates the clip of `job`. `cancelled` is asked before every frame; what was made until then is kept.
    ///
    /// # Errors
    /// What the backends report, and settings or edits that do not fit the model.
    pub fn generate(
        &mut self,
        job: &GenerateJob,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<GeneratedClip> {
        let mut seed = job.request.sampling.seed;
        let mut retries = job.retries;
        loop {
            let clip = self.attempt(job, seed, retries == 0, cancelled, observer)?;
            let Some(finding) = clip.findings.first().filter(|_| retries > 0 && clip.stop != FinishReason::Cancelled)
            else {
                return Ok(clip);
            };
            retries -= 1;
            seed = seed.wrapping_add(1);
            observer(Event::Retry { finding: *finding, seed });
        }
    }

    fn attempt(
        &mut self,
        job: &GenerateJob,
        seed: u64,
        last: bool,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<GeneratedClip> {
        let dims = self.checkpoint.dims();
        let mut generation = Generation::new(&job.request, seed, &dims)?;
        generation.load(&mut self.engines)?;
        let started = Instant::now();
        let mut collector = AudioCollector::new(self.mimi.frame_samples(), observer);
        let mut stream = self.mimi.stream();
        let history = generation.frames().len();
        if history > 0 {
            collector.push(self.mimi.decode(&mut stream, generation.frames())?);
        }
        let mut guarded = 0;
        let stop = loop {
            if cancelled() {
                break FinishReason::Cancelled;
            }
            if !last && !collector.guard.findings(generation.frames()).is_empty() {
                break FinishReason::Length;
            }
            let frame = match generation.next_frame(&mut self.engines)? {
                Step::Eos(_) => break FinishReason::Eos,
                Step::Finished(reason) => break reason,
                Step::Frame(frame) => frame,
            };
            let mut codes = Codes::new(dims.codebooks);
            codes.push(&frame.codes);
            self.mimi.decode_async(&mut stream, &codes)?;
            guarded += frame.guarded.iter().filter(|g| **g).count();
            let frames = generation.frames().len();
            (collector.observer)(Event::Frame(FrameEvent {
                frame,
                audio_seconds: dims.seconds(frames),
                real_time_factor: started.elapsed().as_secs_f64() / dims.seconds(frames - history),
            }));
            // The frame before is decoded by now: the device worked on it before this frame's tokens.
            while stream.pending() > 1
                && let Some(samples) = self.mimi.poll(&mut stream)?
            {
                collector.push(samples);
            }
        };
        while let Some(samples) = self.mimi.poll(&mut stream)? {
            collector.push(samples);
        }
        let frames = generation.frames().clone();
        Ok(GeneratedClip {
            beyond_codec: frames.beyond_codec(dims.codec_size),
            findings: findings(&collector.guard, stop, &frames),
            audio: collector.samples,
            frames,
            stop,
            sampling: generation.sampling(),
            guarded,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

fn findings(guard: &TerminationGuard, stop: FinishReason, frames: &Codes) -> Vec<Finding> {
    let mut findings = guard.findings(frames);
    match stop {
        FinishReason::Length if findings.is_empty() => findings.push(Finding::Length { frames: frames.len() }),
        FinishReason::Eos if frames.is_empty() => findings.push(Finding::Empty),
        _ => {}
    }
    findings
}

/// Gathers the waveform and passes it on.
struct AudioCollector<'a> {
    samples: Vec<f32>,
    guard: TerminationGuard,
    observer: &'a mut dyn FnMut(Event),
}

impl<'a> AudioCollector<'a> {
    fn new(frame_samples: usize, observer: &'a mut dyn FnMut(Event)) -> Self {
        Self { samples: Vec::new(), guard: TerminationGuard::new(frame_samples), observer }
    }

    fn push(&mut self, samples: Vec<f32>) {
        self.guard.push_audio(&samples);
        self.samples.extend_from_slice(&samples);
        (self.observer)(Event::Audio(samples));
    }
}
