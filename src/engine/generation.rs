//! The generation loop. Clips of users, `csm verify` and the goldens all come from here.

use super::{EngineKey, EngineProvider, FrameOutput, FrameRequest, engine_key};
use crate::data::{Backend, ClipSpec, Codes, Edit, FinishReason, Logits, ModelDims, Prompt, Sampling, is_end_frame};
use crate::error::{Error, Result};

/// A clip to generate.
#[derive(Clone, Debug)]
pub struct GenerationRequest {
    /// The tokenised prompt.
    pub prompt: Prompt,
    /// Settings at the start.
    pub sampling: Sampling,
    /// Maximum length in frames, `history` included.
    pub max_frames: usize,
    /// Frames that exist already; generation continues after them.
    pub history: Codes,
    /// Tokens taken instead of drawn (teacher forcing), from frame 0; the clip ends with them.
    pub forced: Option<Codes>,
    /// Changes in its course.
    pub edits: Vec<Edit>,
    /// Whether frames carry their logits.
    pub observe: bool,
}

impl GenerationRequest {
    /// The clip of `spec` from its first frame; `prompt` is the spec's.
    pub fn new(spec: &ClipSpec, prompt: Prompt, max_frames: usize) -> Self {
        Self {
            prompt,
            sampling: spec.sampling,
            max_frames,
            history: Codes::default(),
            forced: None,
            edits: spec.edits.clone(),
            observe: false,
        }
    }

    /// Teacher forcing: computes the logits from which `frames` were drawn.
    pub fn teacher_forced(spec: &ClipSpec, prompt: Prompt, frames: &Codes) -> Self {
        Self { forced: Some(frames.clone()), observe: true, ..Self::new(spec, prompt, frames.len()) }
    }

    /// The same of frames after which the model ended the clip: the end frame is forced, too.
    pub fn with_forced_end(mut self) -> Self {
        if let Some(forced) = &mut self.forced {
            forced.push(&vec![0; forced.codebooks()]);
            self.max_frames = forced.len();
        }
        self
    }
}

/// A frame as the loop made it.
#[derive(Clone, Debug)]
pub struct GeneratedFrame {
    /// Its number in the clip, from 0.
    pub frame: usize,
    /// Its K tokens.
    pub codes: Vec<u32>,
    /// The logits they were drawn from, if the request is observed.
    pub logits: Option<Logits>,
    /// Per codebook, whether the range guard changed the token; empty without a guard.
    pub guarded: Vec<bool>,
    /// Settings it was drawn with.
    pub sampling: Sampling,
}

/// What one turn of the loop gave.
#[derive(Clone, Debug)]
pub enum Step {
    /// A frame, now part of [`Generation::frames`].
    Frame(GeneratedFrame),
    /// The end-of-speech frame, which is not part of the clip: the model ended it.
    Eos(GeneratedFrame),
    /// The clip is complete for another reason.
    Finished(FinishReason),
}

/// A clip being generated.
pub struct Generation<'a> {
    request: &'a GenerationRequest,
    start: Sampling,
    end: usize,
    codebooks: usize,
    frames: Codes,
    prefilled: Option<EngineKey>,
}

impl<'a> Generation<'a> {
    /// Checks `request` against the model. `seed` replaces the request's, for retries.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for settings, tokens or edits that do not fit the model, [`Error::ContextTooLong`].
    pub fn new(request: &'a GenerationRequest, seed: u64, dims: &ModelDims) -> Result<Self> {
        let start = Sampling { seed, ..request.sampling };
        start.check(dims)?;
        request.history.check("history", dims)?;
        if let Some(forced) = &request.forced {
            forced.check("force_tokens", dims)?;
        }
        for edit in &request.edits {
            check_edit(edit, dims)?;
        }
        let end = request.forced.as_ref().map_or(request.max_frames, |f| f.len().min(request.max_frames));
        request.prompt.check_fits(end, dims)?;
        let mut frames = Codes::new(dims.codebooks);
        request.history.frames().for_each(|frame| frames.push(frame));
        Ok(Self { request, start, end, codebooks: dims.codebooks, frames, prefilled: None })
    }

    /// All frames so far, the history included.
    pub fn frames(&self) -> &Codes {
        &self.frames
    }

    /// Settings at the start.
    pub fn sampling(&self) -> Sampling {
        self.start
    }

    /// Loads the engine of the next frame, so that loading is not timed as generating.
    ///
    /// # Errors
    /// What loading reports.
    pub fn load(&self, engines: &mut dyn EngineProvider) -> Result<()> {
        engines.engine(&self.sampling_at(self.frames.len())).map(|_| ())
    }

    /// Generates one frame. An engine is prefilled when it makes its first frame or takes over from another.
    ///
    /// # Errors
    /// What the engine reports.
    pub fn next_frame(&mut self, engines: &mut dyn EngineProvider) -> Result<Step> {
        if let Some(reason) = self.complete() {
            return Ok(Step::Finished(reason));
        }
        let frame = self.frames.len();
        let sampling = self.sampling_at(frame);
        let engine = engines.engine(&sampling)?;
        let key = engine_key(&sampling);
        if self.prefilled != Some(key) {
            engine.prefill(&self.request.prompt, &self.frames)?;
            self.prefilled = Some(key);
        }
        let forced = self.forced_at(frame);
        let request = FrameRequest { frame, sampling: &sampling, forced: &forced, observe: self.request.observe };
        let output = engine.next_frame(&request)?;
        Ok(self.accept(output, sampling))
    }

    /// Why there is no further frame to generate, if so.
    fn complete(&self) -> Option<FinishReason> {
        if self.frames.len() < self.end {
            return None;
        }
        let all_forced = self.request.forced.as_ref().is_some_and(|f| f.len() == self.end);
        Some(if all_forced { FinishReason::Forced } else { FinishReason::Length })
    }

    /// The frame that an engine gave, drawn with `sampling`.
    fn accept(&mut self, output: FrameOutput, sampling: Sampling) -> Step {
        let FrameOutput { codes, logits, guarded } = output;
        let generated = GeneratedFrame { frame: self.frames.len(), codes, logits, guarded, sampling };
        if is_end_frame(&generated.codes) {
            return Step::Eos(generated);
        }
        self.frames.push(&generated.codes);
        Step::Frame(generated)
    }

    /// Settings of `frame`: those of the last edit at or before it, else the start's; so for the seed.
    fn sampling_at(&self, frame: usize) -> Sampling {
        let mut edits: Vec<&Edit> = self.request.edits.iter().filter(|edit| edit.frame() <= frame).collect();
        edits.sort_by_key(|edit| edit.frame());
        let change = |now: Sampling, edit: &&Edit| match edit {
            Edit::Sampling { sampling, .. } => Sampling { seed: now.seed, ..*sampling },
            Edit::Seed { seed, .. } => Sampling { seed: *seed, ..now },
            Edit::Token { .. } => now,
        };
        edits.iter().fold(self.start, change)
    }

    fn forced_at(&self, frame: usize) -> Vec<Option<u32>> {
        if let Some(tokens) = self.request.forced.as_ref().and_then(|f| f.get(frame)) {
            return tokens.iter().copied().map(Some).collect();
        }
        let mut forced = Vec::new();
        for edit in &self.request.edits {
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

/// Clips of one request that differ in their seeds, generated side by side: the prompt is computed once, and then a frame of each
/// clip at a time.
pub struct Batch<'a> {
    clips: Vec<Generation<'a>>,
    /// Which clip each of the engine's sequences is.
    sequences: Vec<usize>,
    /// Whether a clip goes on.
    going: Vec<bool>,
}

impl<'a> Batch<'a> {
    /// Whether one engine makes the whole of `request`, and makes several clips at once.
    pub fn is_possible(request: &GenerationRequest) -> bool {
        let changes = request.edits.iter().any(|edit| !matches!(edit, Edit::Token { .. }));
        request.sampling.mode.info().backend == Backend::Mlx && !changes
    }

    /// Checks `request` against the model.
    ///
    /// # Errors
    /// As [`Generation::new`].
    pub fn new(request: &'a GenerationRequest, seeds: &[u64], dims: &ModelDims) -> Result<Self> {
        let clips = seeds.iter().map(|seed| Generation::new(request, *seed, dims)).collect::<Result<Vec<_>>>()?;
        Ok(Self { sequences: Vec::new(), going: vec![true; clips.len()], clips })
    }

    /// The clips, in the order of their seeds.
    pub fn clips(&self) -> &[Generation<'a>] {
        &self.clips
    }

    /// Makes no further frames of a clip.
    pub fn stop(&mut self, clip: usize) {
        self.going[clip] = false;
    }

    /// Generates the next frame of each clip that goes on, in order; none where all are complete.
    ///
    /// # Errors
    /// What the engine reports.
    pub fn next_frames(&mut self, engines: &mut dyn EngineProvider) -> Result<Vec<(usize, Step)>> {
        let mut steps = Vec::new();
        for (n, clip) in self.clips.iter().enumerate().filter(|(n, _)| self.going[*n]) {
            steps.extend(clip.complete().map(|reason| (n, Step::Finished(reason))));
        }
        steps.iter().for_each(|(n, _)| self.going[*n] = false);
        let next: Vec<usize> = (0..self.clips.len()).filter(|n| self.going[*n]).collect();
        let Some(first) = next.first() else { return Ok(steps) };
        let engine = engines.engine(&self.clips[*first].start)?;
        if self.sequences.is_empty() {
            engine.prefill(&self.clips[*first].request.prompt, &self.clips[*first].frames)?;
        } else if self.sequences != next {
            let kept = self.sequences.iter().enumerate().filter(|(_, clip)| next.contains(clip));
            engine.select(&kept.map(|(sequence, _)| sequence).collect::<Vec<_>>())?;
        }
        let clips: Vec<&Generation<'_>> = next.iter().map(|n| &self.clips[*n]).collect();
        let forced: Vec<_> = clips.iter().map(|clip| clip.forced_at(clip.frames.len())).collect();
        let requests = clips.iter().zip(&forced).map(|(clip, forced)| FrameRequest {
            frame: clip.frames.len(),
            sampling: &clip.start,
            forced,
            observe: clip.request.observe,
        });
        let outputs = engine.next_frames(&requests.collect::<Vec<_>>())?;
        for (n, output) in next.iter().zip(outputs) {
            let sampling = self.clips[*n].start;
            let step = self.clips[*n].accept(output, sampling);
            self.going[*n] = matches!(step, Step::Frame(_));
            steps.push((*n, step));
        }
        self.sequences = next;
        Ok(steps)
    }
}

fn check_edit(edit: &Edit, dims: &ModelDims) -> Result<()> {
    match edit {
        Edit::Sampling { sampling, .. } => sampling.check(dims),
        Edit::Token { codebook, token, .. } if *codebook >= dims.codebooks || *token as usize >= dims.vocab => {
            let expected = format!("codebook below {}, token below {}", dims.codebooks, dims.vocab);
            Err(Error::invalid("edits", expected, format!("{codebook}, {token}")))
        }
        Edit::Token { .. } | Edit::Seed { .. } => Ok(()),
    }
}

/// A whole clip: its frames and, where the request is observed, the logits they were drawn from.
///
/// # Errors
/// What the engine reports.
pub fn observed_clip(
    request: &GenerationRequest,
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
) -> Result<(Codes, Vec<Logits>)> {
    let mut generation = Generation::new(request, request.sampling.seed, dims)?;
    let mut logits = Vec::new();
    while let Step::Frame(frame) = generation.next_frame(engines)? {
        logits.extend(frame.logits);
    }
    Ok((generation.frames().clone(), logits))
}
