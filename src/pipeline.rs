//! The one generation loop: prompt in; frames, sound and events out. It belongs to the thread that owns MLX.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::checkpoint::{Checkpoint, Dtype};
use crate::engine::{Engine, Request};
use crate::error::Result;
use crate::mlx::Csm;
use crate::mlx::mimi::{Encoded, Mimi};
use crate::prompt::{Frame, Prompt};
use crate::recipe::Recipe;
use crate::sampling::{Mode, Sampling};
use crate::termination::{Finding, Watch};
use crate::tokens::{Edit, Stop};

/// What to generate.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the model is told.
    pub prompt: Prompt,
    /// Settings at the start.
    pub sampling: Sampling,
    /// Longest clip, in frames; `history` counts.
    pub max_frames: usize,
    /// Frames that are there already; generation goes on after them.
    pub history: Vec<Frame>,
    /// Frames whose tokens are taken instead of drawn (teacher forcing), from frame 0; the clip ends with them.
    pub forced: Option<Vec<Frame>>,
    /// Tokens and settings that change on the way.
    pub edits: Vec<Edit>,
    /// How often a clip that does not end well is tried again with the next seed.
    pub retries: u32,
    /// Whether [`Event::Frame`] carries logits.
    pub observe: bool,
}

impl Job {
    /// `recipe` from its first frame, at most `max_frames` long: not observed, not tried again.
    ///
    /// # Errors
    /// As [`Recipe::prompt`].
    pub fn of(recipe: &Recipe, checkpoint: &Checkpoint, max_frames: usize) -> Result<Self> {
        Ok(Self {
            prompt: recipe.prompt(checkpoint)?,
            sampling: recipe.sampling,
            max_frames,
            history: Vec::new(),
            forced: None,
            edits: recipe.edits.clone(),
            retries: 0,
            observe: false,
        })
    }

    /// `frames` once more by teacher forcing, observed: the logits they were drawn from.
    ///
    /// # Errors
    /// As [`Recipe::prompt`].
    pub fn forced(recipe: &Recipe, checkpoint: &Checkpoint, frames: &[Frame]) -> Result<Self> {
        let job = Self::of(recipe, checkpoint, frames.len())?;
        Ok(Self { forced: Some(frames.to_vec()), observe: true, ..job })
    }
}

/// What happens while a job runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// A frame of tokens is there.
    Frame(FrameEvent),
    /// The next piece of the waveform: mono, -1 to 1, at the codec's rate.
    Audio(Vec<f32>),
    /// The clip did not end well and is begun again with this seed; all frames and sound so far are void.
    Retry {
        /// Why.
        finding: Finding,
        /// The next attempt's seed.
        seed: u64,
    },
}

/// A new frame.
#[derive(Clone, Debug)]
pub struct FrameEvent {
    /// Its number.
    pub frame: usize,
    /// Its tokens.
    pub codes: Frame,
    /// Raw logits `[K][V]`, where the job is observed.
    pub logits: Option<Vec<f32>>,
    /// Codebooks where the range guard changed the token.
    pub guarded: Vec<bool>,
    /// Settings it was drawn with.
    pub sampling: Sampling,
    /// Sound so far, seconds.
    pub audio_seconds: f64,
    /// Time spent on the new frames over their sound; below 1 is faster than real time.
    pub real_time_factor: f64,
}

/// A finished clip.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Tokens, `[T][K]`, without the end frame.
    pub frames: Vec<Frame>,
    /// Waveform, mono, at the codec's rate.
    pub audio: Vec<f32>,
    /// Why it ended.
    pub stop: Stop,
    /// Settings at the start, with the seed of the attempt that was kept.
    pub sampling: Sampling,
    /// What the termination guard saw.
    pub findings: Vec<Finding>,
    /// Tokens that the range guard changed.
    pub guarded: usize,
    /// Ids past the codec's size, decoded as 0.
    pub beyond_codec: usize,
    /// Seconds of computing.
    pub seconds: f64,
}

/// Engines and codec of one checkpoint.
pub struct Pipeline {
    checkpoint: Arc<Checkpoint>,
    mimi: Mimi,
    engines: HashMap<(bool, Dtype), Box<dyn Engine>>,
}

impl Pipeline {
    /// Loads the codec; engines load when they are first needed.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn new(checkpoint: Arc<Checkpoint>) -> Result<Self> {
        let mimi = Mimi::load(&checkpoint)?;
        Ok(Self { checkpoint, mimi, engines: HashMap::new() })
    }

    /// The codec.
    pub fn mimi(&self) -> &Mimi {
        &self.mimi
    }

    /// Codes of a waveform at the codec's rate.
    ///
    /// # Errors
    /// As [`Mimi::encode`].
    pub fn encode(&self, samples: &[f32]) -> Result<Encoded> {
        self.mimi.encode(samples)
    }

    /// The engine for `sampling`, loaded if need be.
    ///
    /// # Errors
    /// What the backend reports; for *hybrid* in a program built without PyTorch, how to get it.
    pub fn engine(&mut self, sampling: &Sampling) -> Result<&mut dyn Engine> {
        let key = (sampling.mode == Mode::Hybrid, sampling.precision);
        if !self.engines.contains_key(&key) {
            let engine: Box<dyn Engine> = match sampling.mode {
                Mode::Hybrid => crate::hybrid::load(&self.checkpoint, sampling.precision)?,
                Mode::Native | Mode::Exact => Box::new(Csm::load(&self.checkpoint, sampling.precision)?),
            };
            self.engines.insert(key, engine);
        }
        Ok(self.engines.get_mut(&key).expect("just inserted").as_mut())
    }

    /// Runs `job`. `cancelled` is asked before every frame; what was made until then is kept.
    ///
    /// # Errors
    /// What the backends report, and settings or edits that do not fit the model.
    pub fn generate(
        &mut self,
        job: &Job,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<Clip> {
        let mut sampling = job.sampling;
        for attempt in 0.. {
            let last = attempt == job.retries;
            let clip = self.attempt(job, sampling, last, cancelled, observer)?;
            match clip.findings.first() {
                Some(finding) if !last && clip.stop != Stop::Cancelled => {
                    sampling.seed = sampling.seed.wrapping_add(1);
                    observer(Event::Retry { finding: *finding, seed: sampling.seed });
                }
                _ => return Ok(clip),
            }
        }
        unreachable!("the last attempt returns")
    }

    fn attempt(
        &mut self,
        job: &Job,
        start: Sampling,
        last: bool,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Event),
    ) -> Result<Clip> {
        let plan = Plan::new(job, start, &self.checkpoint)?;
        self.engine(&plan.sampling_at(job.history.len()))?; // loading is not counted as generating
        let begun = Instant::now();
        let frame_seconds = 1.0 / self.checkpoint.config.codec_config.frame_rate();
        let codec_size = self.checkpoint.config.codec_config.codebook_size as u32;
        let mut sound = Sound::new(self.mimi.frame_size());
        let mut stream = self.mimi.stream();
        let mut frames = job.history.clone();
        if !frames.is_empty() {
            sound.take(self.mimi.decode(&mut stream, &frames)?, observer);
        }
        let mut current: Option<Sampling> = None;
        let mut guarded = 0;
        let stop = loop {
            let frame = frames.len();
            if frame >= plan.end {
                break if plan.forced { Stop::Forced } else { Stop::Cap };
            }
            if cancelled() {
                break Stop::Cancelled;
            }
            if !last && !sound.watch.findings(&frames).is_empty() {
                break Stop::Cap;
            }
            let sampling = plan.sampling_at(frame);
            let engine = self.engine(&sampling)?;
            if !current.is_some_and(|c| same_engine(&c, &sampling)) {
                engine.start(&job.prompt, &frames)?;
            }
            current = Some(sampling);
            let forced = plan.forced_at(frame);
            let step = engine.step(&Request { frame, sampling: &sampling, forced: &forced, observe: job.observe })?;
            if step.codes.iter().all(|id| *id == 0) {
                break Stop::Eos;
            }
            guarded += step.guarded.iter().filter(|g| **g).count();
            self.mimi.send(&mut stream, std::slice::from_ref(&step.codes))?;
            frames.push(step.codes.clone());
            let audio_seconds = frames.len() as f64 * frame_seconds;
            let new_seconds = (frames.len() - job.history.len()) as f64 * frame_seconds;
            observer(Event::Frame(FrameEvent {
                frame,
                codes: step.codes,
                logits: step.logits,
                guarded: step.guarded,
                sampling,
                audio_seconds,
                real_time_factor: begun.elapsed().as_secs_f64() / new_seconds,
            }));
            // The frame before is decoded by now: the device worked on it before this frame's tokens.
            while stream.waiting() > 1 {
                sound.take(self.mimi.receive(&mut stream)?.expect("one is waiting"), observer);
            }
        };
        while let Some(samples) = self.mimi.receive(&mut stream)? {
            sound.take(samples, observer);
        }
        let mut findings = sound.watch.findings(&frames);
        if stop == Stop::Cap && findings.is_empty() {
            findings.push(Finding::Cap { frames: frames.len() });
        }
        Ok(Clip {
            beyond_codec: frames.iter().flatten().filter(|id| **id >= codec_size).count(),
            frames,
            audio: sound.samples,
            stop,
            sampling: start,
            findings,
            guarded,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

/// Settings that the same loaded engine serves without starting anew.
fn same_engine(a: &Sampling, b: &Sampling) -> bool {
    (a.mode == Mode::Hybrid, a.precision) == (b.mode == Mode::Hybrid, b.precision)
}

/// The waveform as it arrives.
struct Sound {
    samples: Vec<f32>,
    watch: Watch,
}

impl Sound {
    fn new(frame_size: usize) -> Self {
        Self { samples: Vec::new(), watch: Watch::new(frame_size) }
    }

    fn take(&mut self, samples: Vec<f32>, observer: &mut dyn FnMut(Event)) {
        self.watch.hear(&samples);
        self.samples.extend_from_slice(&samples);
        observer(Event::Audio(samples));
    }
}

/// What is fixed beforehand about each frame: settings, forced tokens, the end.
struct Plan<'a> {
    job: &'a Job,
    start: Sampling,
    end: usize,
    forced: bool,
    codebooks: usize,
}

impl<'a> Plan<'a> {
    fn new(job: &'a Job, start: Sampling, checkpoint: &Checkpoint) -> Result<Self> {
        use crate::error::Error;
        use crate::prompt::check_frames;
        let (codebooks, vocab) = (checkpoint.config.num_codebooks, checkpoint.config.vocab_size);
        start.check(vocab)?;
        check_frames("history", &job.history, codebooks, vocab)?;
        if let Some(forced) = &job.forced {
            check_frames("--force-tokens", forced, codebooks, vocab)?;
        }
        for edit in &job.edits {
            match edit {
                Edit::Sampling { sampling, .. } => sampling.check(vocab)?,
                Edit::Token { codebook, token, .. } => {
                    if *codebook >= codebooks || *token as usize >= vocab {
                        let expected = format!("codebook below {codebooks}, token below {vocab}");
                        return Err(Error::value("edits", expected, format!("{codebook}, {token}")));
                    }
                }
            }
        }
        let end = job.forced.as_ref().map_or(job.max_frames, |f| f.len().min(job.max_frames));
        job.prompt.check_fits(end, checkpoint.config.backbone.max_position_embeddings)?;
        let forced = job.forced.as_ref().is_some_and(|f| f.len() <= job.max_frames);
        Ok(Self { job, start, end, forced, codebooks })
    }

    /// Settings of `frame`: the start's, or the last edit's at or before it. The seed is the attempt's throughout.
    fn sampling_at(&self, frame: usize) -> Sampling {
        let edits = self.job.edits.iter().filter_map(|e| match e {
            Edit::Sampling { frame: from, sampling } if *from <= frame => Some((*from, *sampling)),
            _ => None,
        });
        edits.max_by_key(|(from, _)| *from).map_or(self.start, |(_, s)| Sampling { seed: self.start.seed, ..s })
    }

    fn forced_at(&self, frame: usize) -> Vec<Option<u32>> {
        if let Some(tokens) = self.job.forced.as_ref().and_then(|f| f.get(frame)) {
            return tokens.iter().copied().map(Some).collect();
        }
        let mut forced = Vec::new();
        for edit in &self.job.edits {
            if let Edit::Token { frame: at, codebook, token } = edit
                && *at == frame
            {
                forced.resize(self.codebooks, None);
                forced[*codebook] = Some(*token);
            }
        }
        forced
    }
}
