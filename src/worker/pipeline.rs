//! Engines and codec of one checkpoint, and clips made with them. It belongs to the thread that owns MLX.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use super::exact_check::check_exact;
use super::protocol::{Event, FrameEvent, GenerateJob, GeneratedClip};
use super::termination_guard::TerminationGuard;
use super::word_retake::retake_word;
use crate::analysis::alignment::WordTracker;
use crate::checkpoint::Checkpoint;
use crate::data::{
    Backend, Clip, ClipSpec, CodebookMask, Codes, Dtype, FinishReason, Issue, Mode, ModelDims, Sampling,
};
use crate::engine::{Engine, EngineKey, EngineProvider, GeneratedFrame, Generation, LoopEvent, engine_key};
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
        if sampling.mode == Mode::Exact && sampling.precision == Dtype::Float32 {
            check_exact()?;
        }
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
    /// Loads the codec; engines load when needed.
    ///
    /// # Errors
    /// Errors of reading the weights, and of MLX.
    pub fn new(checkpoint: Arc<Checkpoint>) -> Result<Self> {
        let mimi = Mimi::load(&checkpoint)?;
        let engines = Engines { checkpoint: checkpoint.clone(), loaded: HashMap::new() };
        Ok(Self { checkpoint, mimi, engines })
    }

    /// The engine that `sampling` asks for, loaded if need be.
    ///
    /// # Errors
    /// Returns the errors of loading the model.
    pub fn engine(&mut self, sampling: &Sampling) -> Result<&mut dyn Engine> {
        self.engines.engine(sampling)
    }

    /// Codes of a mono waveform at the codec's rate.
    ///
    /// # Errors
    /// Returns the errors of [`Mimi::encode`].
    pub fn encode(&self, samples: &[f32], cancelled: &dyn Fn() -> bool) -> Result<Codes> {
        Ok(self.mimi.encode(samples, cancelled)?.codes)
    }

    /// The waveform of `codes`.
    ///
    /// # Errors
    /// Errors of MLX, and [`Error::Cancelled`].
    pub fn decode(&self, codes: &Codes, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        self.decode_in_chunks(codes, DECODE_CHUNK, cancelled)
    }

    /// The waveform of the codebooks of `codes` that `mask` keeps.
    ///
    /// # Errors
    /// As [`Pipeline::decode`], and [`Error::InvalidValue`] for a mask of another number of codebooks.
    pub fn decode_codebooks(
        &self,
        codes: &Codes,
        mask: &CodebookMask,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>> {
        self.decode_stream(self.mimi.stream_with(mask)?, codes, DECODE_CHUNK, cancelled)
    }

    /// Like [`Pipeline::decode`], `chunk` frames at once.
    ///
    /// # Errors
    /// Returns the errors of [`Pipeline::decode`].
    pub fn decode_in_chunks(&self, codes: &Codes, chunk: usize, cancelled: &dyn Fn() -> bool) -> Result<Vec<f32>> {
        self.decode_stream(self.mimi.stream(), codes, chunk, cancelled)
    }

    fn decode_stream(
        &self,
        mut stream: DecoderStream,
        codes: &Codes,
        chunk: usize,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>> {
        let mut audio = Vec::with_capacity(codes.len() * self.mimi.frame_samples());
        for chunk in codes.ids().chunks(chunk.max(1) * codes.codebooks().max(1)) {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let Ok(chunk) = Codes::from_ids(codes.codebooks(), chunk.to_vec()) else { break };
            audio.extend(self.mimi.decode(&mut stream, &chunk)?);
        }
        Ok(audio)
    }

    /// Generates the clip of `job`. `cancelled` is asked before every frame; what was made until then is kept.
    ///
    /// # Errors
    /// Errors of the backends, and settings or edits that do not fit the model.
    pub fn generate(
        &mut self,
        job: &GenerateJob,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<GeneratedClip> {
        let seeds = [job.request.retake.as_ref().map_or(job.request.spec.sampling.seed, |retake| retake.seed)];
        let clip = self.generate_batch(job, &seeds, cancelled, &mut |_, event| observer(event))?.pop();
        clip.ok_or_else(|| Error::Engine { backend: "the model", source: "it gave no clip".into() })
    }

    /// Generates one clip for each of `seeds`, which replace the job's seed: side by side if that is possible, else one after
    /// another. `observer` receives the clip's number from 0 with each event.
    ///
    /// # Errors
    /// Returns the errors of [`Pipeline::generate`].
    pub fn generate_batch(
        &mut self,
        job: &GenerateJob,
        seeds: &[u64],
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(usize, Event),
    ) -> Result<Vec<GeneratedClip>> {
        let batch = if job.request.can_batch() { BATCH } else { 1 };
        let mut clips = Vec::new();
        for (n, part) in seeds.chunks(batch).enumerate() {
            let mut observer = |clip: usize, event| observer(n * batch + clip, event);
            clips.extend(self.attempt(job, part, job.retries == 0, cancelled, &mut observer)?);
        }
        for (n, clip) in clips.iter_mut().enumerate() {
            let (mut retries, mut seed) = (job.retries, seeds[n]);
            while let Some(issue) = clip.issues.first().copied().filter(|_| retries > 0 && !cancelled()) {
                retries -= 1;
                seed = seed.wrapping_add(1);
                while seeds.contains(&seed) {
                    seed = seed.wrapping_add(1); // another clip has it
                }
                observer(n, Event::Retry { issue, seed });
                let again = self.attempt(job, &[seed], retries == 0, cancelled, &mut |_, event| observer(n, event))?;
                again.into_iter().for_each(|again| *clip = again);
            }
        }
        crate::mlx::release_cache()?;
        Ok(clips)
    }

    /// Generates one clip for each of `seeds`, side by side. Unless this is the `last` attempt, a clip stops as soon as it has an issue.
    fn attempt(
        &mut self,
        job: &GenerateJob,
        seeds: &[u64],
        last: bool,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(usize, Event),
    ) -> Result<Vec<GeneratedClip>> {
        let dims = self.checkpoint.dims();
        let started = Instant::now();
        let (retaken, mut seam) = match (&job.request.retake, seeds) {
            (Some(retake), [seed]) => {
                let engines = &mut self.engines;
                let (made, seam) = retake_word(&job.request, retake, *seed, &dims, engines, cancelled)?;
                (Some(made), seam)
            }
            _ => (None, None),
        };
        let request = retaken.as_ref().unwrap_or(&job.request);
        let own_seed = [request.spec.sampling.seed];
        let seeds = if retaken.is_some() { &own_seed } else { seeds };
        let mut generation = Generation::new(request, seeds, &dims)?;
        generation.load(&mut self.engines)?;
        let started = if retaken.is_some() { started } else { Instant::now() };
        // Only of a single clip does somebody wait for the first sound.
        let chunk = if seeds.len() == 1 { 1 } else { DECODE_CHUNK };
        let mut clips = Vec::new();
        for n in 0..seeds.len() {
            let tracking = request.tracking.as_ref().filter(|_| request.history.is_empty());
            let tracker = tracking.map(WordTracker::new);
            let mut clip = ClipInProgress::new(&self.mimi, &dims, chunk, request.sound, tracker);
            clip.begin(generation.codes(n), &mut |event| observer(n, event))?;
            clips.push(clip);
        }
        loop {
            for (n, clip) in clips.iter_mut().enumerate().filter(|(_, clip)| clip.stop.is_none()) {
                if cancelled() {
                    clip.stop = Some(FinishReason::Cancelled);
                } else if !last && clip.should_retry(generation.codes(n)) {
                    clip.stop = Some(FinishReason::Length);
                }
                if clip.stop.is_some() {
                    generation.stop(n);
                }
            }
            let events = generation.next_frames(&mut self.engines)?;
            if events.is_empty() {
                break;
            }
            for (n, event) in events {
                match event {
                    LoopEvent::Frame(frame) => clips[n].push(frame, started, &mut |event| observer(n, event))?,
                    LoopEvent::EndOfSpeech(frame) => {
                        (clips[n].stop, clips[n].end_frame) = (Some(FinishReason::Eos), Some(frame));
                    }
                    LoopEvent::Finished(reason) => clips[n].stop = Some(reason),
                }
            }
        }
        let mut finished = Vec::new();
        for (n, clip) in clips.into_iter().enumerate() {
            finished.push(clip.finish(generation.spec(n), generation.codes(n), &mut |event| observer(n, event))?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let frames: usize = finished.iter().map(|made| made.clip.codes.len()).sum();
        for made in &mut finished {
            let share = if seeds.len() == 1 { 1.0 } else { made.clip.codes.len() as f64 / frames.max(1) as f64 };
            made.seconds = share * seconds;
            made.seam = seam.take();
        }
        Ok(finished)
    }
}

fn issues(guard: &TerminationGuard, stop: FinishReason, codes: &Codes) -> Vec<Issue> {
    let mut issues = guard.issues(codes);
    match stop {
        FinishReason::Length if issues.is_empty() => issues.extend(Issue::of_stop(stop, codes.len())),
        FinishReason::Eos => issues.extend(Issue::of_stop(stop, codes.len())),
        FinishReason::Length | FinishReason::Cancelled | FinishReason::Forced => {}
    }
    issues
}

/// A clip whose frames are being decoded as they come.
struct ClipInProgress<'a> {
    mimi: &'a Mimi,
    dims: ModelDims,
    stream: DecoderStream,
    /// Frames that are decoded at once.
    chunk: usize,
    /// Whether frames are decoded.
    sound: bool,
    /// Frames that wait to be decoded.
    waiting: Codes,
    history: usize,
    samples: Vec<f32>,
    guard: TerminationGuard,
    guarded: usize,
    stop: Option<FinishReason>,
    end_frame: Option<GeneratedFrame>,
    /// If words are tracked from the first frame on.
    tracker: Option<WordTracker>,
}

impl<'a> ClipInProgress<'a> {
    fn new(mimi: &'a Mimi, dims: &ModelDims, chunk: usize, sound: bool, tracker: Option<WordTracker>) -> Self {
        Self {
            sound,
            mimi,
            dims: *dims,
            stream: mimi.stream(),
            chunk,
            waiting: Codes::new(dims.codebooks),
            history: 0,
            samples: Vec::new(),
            guard: TerminationGuard::new(mimi.frame_samples()),
            guarded: 0,
            stop: None,
            end_frame: None,
            tracker,
        }
    }

    /// Decodes frames that exist already.
    fn begin(&mut self, history: &Codes, observer: &mut dyn FnMut(Event)) -> Result<()> {
        self.history = history.len();
        if self.history > 0 && self.sound {
            let samples = self.mimi.decode(&mut self.stream, history)?;
            self.push_audio(samples, observer);
        }
        Ok(())
    }

    /// Whether another attempt should replace this one.
    fn should_retry(&self, codes: &Codes) -> bool {
        !self.guard.issues(codes).is_empty()
    }

    /// Takes in the next frame.
    fn push(&mut self, frame: GeneratedFrame, started: Instant, observer: &mut dyn FnMut(Event)) -> Result<()> {
        if self.sound {
            self.waiting.push(&frame.codes);
        }
        if self.waiting.len() >= self.chunk {
            self.decode_waiting()?;
        }
        self.tracker.iter_mut().for_each(|tracker| tracker.push(&frame.attention));
        self.guarded += frame.guarded.iter().filter(|g| **g).count();
        let frames = frame.frame + 1;
        observer(Event::Frame(Box::new(FrameEvent {
            frame,
            audio_seconds: self.dims.seconds(frames),
            real_time_factor: started.elapsed().as_secs_f64() / self.dims.seconds(frames - self.history),
        })));
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

    /// Decodes the remaining frames. The clip's time is not known yet.
    fn finish(mut self, spec: ClipSpec, codes: &Codes, observer: &mut dyn FnMut(Event)) -> Result<GeneratedClip> {
        self.decode_waiting()?;
        while let Some(samples) = self.mimi.poll(&mut self.stream)? {
            self.push_audio(samples, observer);
        }
        let stop = self.stop.unwrap_or(FinishReason::Length);
        let clip = Clip {
            origin: spec.into(),
            codes: codes.clone(),
            audio: self.samples,
            sample_rate: self.dims.sample_rate,
            stop: Some(stop),
        };
        Ok(GeneratedClip {
            beyond_codec: codes.beyond_codec(self.dims.codec_size),
            issues: issues(&self.guard, stop, codes),
            clip,
            guarded: self.guarded,
            words: self.tracker.and_then(|tracker| tracker.words(self.dims.seconds(1))),
            seam: None,
            end_frame: self.end_frame,
            seconds: 0.0,
        })
    }
}
