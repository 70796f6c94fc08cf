//! Engines and codec of one checkpoint, and clips made with them. It belongs to the thread that owns MLX.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::protocol::{Event, FrameEvent, GenerateJob, GeneratedClip};
use super::termination_guard::TerminationGuard;
use crate::checkpoint::Checkpoint;
use crate::data::{Backend, Codes, Finding, FinishReason, ModelDims, Sampling};
use crate::engine::{Batch, Engine, EngineKey, EngineProvider, GeneratedFrame, Generation, Step, engine_key};
use crate::error::{Error, Result};
use crate::mlx::MlxCsm;
use crate::mlx::mimi::{DecoderStream, Mimi};

/// Frames that are decoded at once where nobody waits for the first sound.
const DECODE_CHUNK: usize = 25;

/// Clips that are generated side by side at most: their caches are memory.
pub const BATCH: usize = 8;

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
        self.decode_codebooks(frames, None, cancelled)
    }

    /// The waveform of some codebooks of `frames`: `heard` says for each whether it is among them; `None` for all.
    ///
    /// # Errors
    /// As [`Pipeline::decode`], and [`Error::InvalidValue`] where `heard` does not have one entry a codebook.
    pub fn decode_codebooks(
        &self,
        frames: &Codes,
        heard: Option<&[bool]>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>> {
        self.decode_stream(self.mimi.stream_of(heard)?, frames, DECODE_CHUNK, cancelled)
    }

    /// The same, so many frames at once.
    ///
    /// # Errors
    /// As [`Pipeline::decode`].
    pub fn decode_in_chunks(&self, frames: &Codes, chunk: usize, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        self.decode_stream(self.mimi.stream(), frames, chunk, cancelled)
    }

    fn decode_stream(
        &self,
        mut stream: DecoderStream,
        frames: &Codes,
        chunk: usize,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>> {
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

    /// Generates one clip for each of `seeds`, which take the place of the job's seed: side by side where that is possible, else one
    /// after another. `observer` is told which clip an event is about.
    ///
    /// # Errors
    /// As [`Pipeline::generate`].
    pub fn generate_batch(
        &mut self,
        job: &GenerateJob,
        seeds: &[u64],
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(usize, Event),
    ) -> Result<Vec<GeneratedClip>> {
        let mut clips = Vec::new();
        if Batch::is_possible(&job.request) {
            for (n, part) in seeds.chunks(BATCH).enumerate() {
                let mut observer = |clip: usize, event| observer(n * BATCH + clip, event);
                clips.extend(self.side_by_side(job, part, cancelled, &mut observer)?);
            }
        } else {
            for (n, seed) in seeds.iter().enumerate() {
                clips.push(self.attempt(job, *seed, job.retries == 0, cancelled, &mut |event| observer(n, event))?);
            }
        }
        for (n, clip) in clips.iter_mut().enumerate() {
            let (mut retries, mut seed) = (job.retries, seeds[n]);
            while let Some(finding) = clip.findings.first().copied().filter(|_| retries > 0 && !cancelled()) {
                retries -= 1;
                seed = seed.wrapping_add(1);
                while seeds.contains(&seed) {
                    seed = seed.wrapping_add(1); // another clip has it
                }
                observer(n, Event::Retry { finding, seed });
                *clip = self.attempt(job, seed, retries == 0, cancelled, &mut |event| observer(n, event))?;
            }
        }
        Ok(clips)
    }

    fn side_by_side(
        &mut self,
        job: &GenerateJob,
        seeds: &[u64],
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(usize, Event),
    ) -> Result<Vec<GeneratedClip>> {
        let dims = self.checkpoint.dims();
        let mut batch = Batch::new(&job.request, seeds, &dims)?;
        if let Some(first) = batch.clips().first() {
            first.load(&mut self.engines)?;
        }
        let started = Instant::now();
        let mut clips = Vec::new();
        for (n, generation) in batch.clips().iter().enumerate() {
            let mut clip = ClipInProgress::new(&self.mimi, &dims, DECODE_CHUNK);
            clip.begin(generation.frames(), &mut |event| observer(n, event))?;
            clips.push(clip);
        }
        let mut stops = vec![None; seeds.len()];
        loop {
            if cancelled() {
                stops.iter_mut().for_each(|stop| *stop = stop.or(Some(FinishReason::Cancelled)));
            }
            for (n, clip) in clips.iter().enumerate() {
                if stops[n].is_none() && job.retries > 0 && clip.is_going_wrong(batch.clips()[n].frames()) {
                    stops[n] = Some(FinishReason::Length);
                }
                if stops[n].is_some() {
                    batch.stop(n);
                }
            }
            let steps = batch.next_frames(&mut self.engines)?;
            if steps.is_empty() {
                break;
            }
            for (n, step) in steps {
                match step {
                    Step::Eos(end) => {
                        clips[n].end_frame = Some(end);
                        stops[n] = Some(FinishReason::Eos);
                    }
                    Step::Finished(reason) => stops[n] = Some(reason),
                    Step::Frame(frame) => clips[n].push(frame, started, &mut |event| observer(n, event))?,
                }
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let frames: usize = batch.clips().iter().map(|clip| clip.frames().len()).sum();
        let mut finished = Vec::new();
        for (n, (clip, generation)) in clips.into_iter().zip(batch.clips()).enumerate() {
            // Computed together: each clip's time is its share of the frames.
            let share = generation.frames().len() as f64 / frames.max(1) as f64;
            let stop = stops[n].unwrap_or(FinishReason::Length);
            finished.push(clip.finish(generation, stop, share * seconds, &mut |event| observer(n, event))?);
        }
        Ok(finished)
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
        let mut clip = ClipInProgress::new(&self.mimi, &dims, 1);
        clip.begin(generation.frames(), observer)?;
        let stop = loop {
            if cancelled() {
                break FinishReason::Cancelled;
            }
            if !last && clip.is_going_wrong(generation.frames()) {
                break FinishReason::Length;
            }
            match generation.next_frame(&mut self.engines)? {
                Step::Eos(end) => {
                    clip.end_frame = Some(end);
                    break FinishReason::Eos;
                }
                Step::Finished(reason) => break reason,
                Step::Frame(frame) => clip.push(frame, started, observer)?,
            }
        };
        let clip = clip.finish(&generation, stop, 0.0, observer)?;
        Ok(GeneratedClip { seconds: started.elapsed().as_secs_f64(), ..clip })
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

/// A clip whose frames are being decoded as they come.
struct ClipInProgress<'a> {
    mimi: &'a Mimi,
    dims: ModelDims,
    stream: DecoderStream,
    /// Frames that are decoded at once.
    chunk: usize,
    /// Frames that wait to be decoded.
    waiting: Codes,
    history: usize,
    samples: Vec<f32>,
    guard: TerminationGuard,
    guarded: usize,
    end_frame: Option<GeneratedFrame>,
}

impl<'a> ClipInProgress<'a> {
    fn new(mimi: &'a Mimi, dims: &ModelDims, chunk: usize) -> Self {
        Self {
            mimi,
            dims: *dims,
            stream: mimi.stream(),
            chunk,
            waiting: Codes::new(dims.codebooks),
            history: 0,
            samples: Vec::new(),
            guard: TerminationGuard::new(mimi.frame_samples()),
            guarded: 0,
            end_frame: None,
        }
    }

    /// Takes over frames that exist already.
    fn begin(&mut self, history: &Codes, observer: &mut dyn FnMut(Event)) -> Result<()> {
        self.history = history.len();
        if self.history > 0 {
            let samples = self.mimi.decode(&mut self.stream, history)?;
            self.push_audio(samples, observer);
        }
        Ok(())
    }

    /// Whether the frames so far are such that the clip is to be tried again.
    fn is_going_wrong(&self, frames: &Codes) -> bool {
        !self.guard.findings(frames).is_empty()
    }

    /// The next frame.
    fn push(&mut self, frame: GeneratedFrame, started: Instant, observer: &mut dyn FnMut(Event)) -> Result<()> {
        self.waiting.push(&frame.codes);
        if self.waiting.len() >= self.chunk {
            self.decode_waiting()?;
        }
        self.guarded += frame.guarded.iter().filter(|g| **g).count();
        let frames = frame.frame + 1;
        observer(Event::Frame(FrameEvent {
            frame,
            audio_seconds: self.dims.seconds(frames),
            real_time_factor: started.elapsed().as_secs_f64() / self.dims.seconds(frames - self.history),
        }));
        // The frame before is decoded by now: the device worked on it before this frame's tokens.
        while self.stream.pending() > 1
            && let Some(samples) = self.mimi.poll(&mut self.stream)?
        {
            self.push_audio(samples, observer);
        }
        Ok(())
    }

    fn decode_waiting(&mut self) -> Result<()> {
        let waiting = std::mem::replace(&mut self.waiting, Codes::new(self.dims.codebooks));
        if waiting.is_empty() { Ok(()) } else { self.mimi.decode_async(&mut self.stream, &waiting) }
    }

    fn push_audio(&mut self, samples: Vec<f32>, observer: &mut dyn FnMut(Event)) {
        self.guard.push_audio(&samples);
        self.samples.extend_from_slice(&samples);
        observer(Event::Audio(samples));
    }

    /// Decodes what is left.
    fn finish(
        mut self,
        generation: &Generation<'_>,
        stop: FinishReason,
        seconds: f64,
        observer: &mut dyn FnMut(Event),
    ) -> Result<GeneratedClip> {
        self.decode_waiting()?;
        while let Some(samples) = self.mimi.poll(&mut self.stream)? {
            self.push_audio(samples, observer);
        }
        let frames = generation.frames().clone();
        Ok(GeneratedClip {
            beyond_codec: frames.beyond_codec(self.dims.codec_size),
            findings: findings(&self.guard, stop, &frames),
            audio: self.samples,
            frames,
            stop,
            sampling: generation.sampling(),
            guarded: self.guarded,
            end_frame: self.end_frame,
            seconds,
        })
    }
}
