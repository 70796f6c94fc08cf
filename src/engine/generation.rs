//! The generation loop. Clips of users, `csm verify` and the goldens all come from here.

use super::{EngineKey, EngineProvider, FrameOutput, FrameRequest, engine_key};
use crate::data::{
    Backend, Clip, ClipSpec, Codes, Edit, FinishReason, LONGEST_WINDOW, Logits, ModelDims, Prompt, Sampling,
    WordRetake, WordTracking, is_end_frame,
};
use crate::error::{Error, Result};

/// A clip to generate.
#[derive(Clone, Debug)]
pub struct GenerationRequest {
    /// Text, settings and edits.
    pub spec: ClipSpec,
    /// The tokenised prompt of `spec`.
    pub prompt: Prompt,
    /// Maximum length in frames, `history` included.
    pub max_frames: usize,
    /// Frames that exist already; generation continues after them.
    pub history: Codes,
    /// Tokens taken instead of drawn (teacher forcing), from frame 0; the clip ends with them.
    pub forced: Option<Codes>,
    /// Whether frames carry their logits.
    pub observe: bool,
    /// Whether the codec decodes the frames; without, the clip has no waveform.
    pub sound: bool,
    /// Heads whose attention frames carry, and the words that they are about.
    pub tracking: Option<WordTracking>,
    /// A word of another clip of the spec to speak again. The worker finds its frames; seeds are those of the word.
    pub retake: Option<WordRetake>,
}

impl GenerationRequest {
    /// The clip of `spec` from its first frame; `prompt` is the spec's.
    pub fn new(spec: &ClipSpec, prompt: Prompt, max_frames: usize) -> Self {
        Self {
            spec: spec.clone(),
            prompt,
            max_frames,
            history: Codes::default(),
            forced: None,
            observe: false,
            sound: true,
            tracking: None,
            retake: None,
        }
    }

    /// Returns logits with every frame.
    pub fn observed(self) -> Self {
        Self { observe: true, ..self }
    }

    /// Leaves the waveform out, which takes most of the time of a small model.
    pub fn without_sound(self) -> Self {
        Self { sound: false, ..self }
    }

    /// Returns attention to the text's words with every frame.
    pub fn tracked(self, tracking: Option<WordTracking>) -> Self {
        Self { tracking, ..self }
    }

    /// Teacher forcing: computes the logits from which `codes` were drawn, without the draw that ended the clip.
    pub fn teacher_forced(spec: &ClipSpec, prompt: Prompt, codes: &Codes) -> Self {
        Self { forced: Some(codes.clone()), ..Self::new(spec, prompt, codes.len()) }.observed()
    }

    /// Teacher forcing of a whole clip: if the model ended it, the end-of-speech frame is forced as well, so that its
    /// logits are known too.
    pub fn teacher_forced_clip(spec: &ClipSpec, prompt: Prompt, clip: &Clip) -> Self {
        let mut codes = clip.codes.clone();
        if clip.stop == Some(FinishReason::Eos) {
            codes.push(&vec![0; codes.codebooks()]);
        }
        Self::teacher_forced(spec, prompt, &codes)
    }

    /// Whether several clips of this request can be generated side by side: one engine makes all of each, and makes several at once.
    pub fn can_batch(&self) -> bool {
        let forces = |edit: &Edit| matches!(edit, Edit::Token { .. } | Edit::Frames { .. });
        self.spec.sampling.mode.info().backend == Backend::Mlx
            && self.spec.edits.iter().all(forces)
            && self.retake.is_none()
    }

    /// Settings of `frame` in a clip that starts with `start`: those of the last edit at or before it; likewise its seed.
    fn sampling_at(&self, start: Sampling, frame: usize) -> Sampling {
        let mut edits: Vec<&Edit> = self.spec.edits.iter().filter(|edit| edit.frame() <= frame).collect();
        edits.sort_by_key(|edit| edit.frame());
        let change = |now: Sampling, edit: &&Edit| match edit {
            Edit::Sampling { sampling, .. } => Sampling { seed: now.seed, ..*sampling },
            Edit::Seed { seed, .. } => Sampling { seed: *seed, ..now },
            Edit::Token { .. } | Edit::Frames { .. } => now,
        };
        edits.iter().fold(start, change)
    }

    /// Tokens of `frame` that are taken instead of drawn, per codebook; empty if all are drawn.
    fn forced_at(&self, frame: usize, codebooks: usize) -> Vec<Option<u32>> {
        if let Some(tokens) = self.forced.as_ref().and_then(|f| f.get(frame)) {
            return tokens.iter().copied().map(Some).collect();
        }
        let mut forced = Vec::new();
        for edit in &self.spec.edits {
            match edit {
                Edit::Token { frame: at, codebook, token } if *at == frame => {
                    forced.resize(codebooks, None);
                    forced[*codebook] = Some(*token);
                }
                Edit::Frames { frame: at, frames, .. } => {
                    if let Some(tokens) = frame.checked_sub(*at).and_then(|n| frames.get(n)) {
                        forced = tokens.iter().copied().map(Some).collect();
                    }
                }
                Edit::Token { .. } | Edit::Sampling { .. } | Edit::Seed { .. } => {}
            }
        }
        forced
    }
}

/// A generated frame and what it was drawn from.
#[derive(Clone, Debug)]
pub struct GeneratedFrame {
    /// Number of the frame in the clip, from 0.
    pub frame: usize,
    /// Tokens of the frame, `[K]`.
    pub codes: Vec<u32>,
    /// The logits they were drawn from, if the request is observed.
    pub logits: Option<Logits>,
    /// Per codebook, whether the range guard changed the token; empty without a guard.
    pub guarded: Vec<bool>,
    /// For each tracked head, the weights of the positions of the text.
    pub attention: Vec<Vec<f32>>,
    /// Settings of the draws.
    pub sampling: Sampling,
}

/// The result of one turn of the loop for one clip.
#[derive(Clone, Debug)]
pub enum LoopEvent {
    /// A frame was generated and appended to the clip.
    Frame(GeneratedFrame),
    /// The model ended the clip with the end-of-speech frame, which is not part of it.
    EndOfSpeech(GeneratedFrame),
    /// The clip is complete for another reason.
    Finished(FinishReason),
}

/// The clips of one request, one for each seed, generated side by side: the prompt is computed once, and then a frame of each clip at
/// a time. A request that cannot be batched takes one seed; then the engine may change in the course of the clip.
pub struct Generation<'a> {
    request: &'a GenerationRequest,
    clips: Vec<ClipState>,
    codebooks: usize,
    /// Frames after which a clip is complete.
    end: usize,
    /// The engine that was prefilled last.
    prefilled: Option<EngineKey>,
    /// The clip of each of the engine's sequences.
    sequences: Vec<usize>,
}

struct ClipState {
    start: Sampling,
    codes: Codes,
    running: bool,
}

impl<'a> Generation<'a> {
    /// Checks `request` against the model. `seeds` replace the request's seed.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for settings, tokens or edits that do not fit the model, and for several seeds if the request
    /// cannot be batched; [`Error::ContextTooLong`].
    pub fn new(request: &'a GenerationRequest, seeds: &[u64], dims: &ModelDims) -> Result<Self> {
        request.spec.sampling.check(dims)?;
        request.history.check("history", dims)?;
        if let Some(forced) = &request.forced {
            forced.check("force_tokens", dims)?;
        }
        for edit in &request.spec.edits {
            check_edit(edit, dims)?;
        }
        if seeds.len() > 1 && !request.can_batch() {
            return Err(Error::invalid("seeds", "one seed for a clip that MLX cannot batch", seeds.len()));
        }
        let end = request.forced.as_ref().map_or(request.max_frames, |f| f.len().min(request.max_frames));
        request.prompt.check_fits(end, dims)?;
        let clip = |seed: &u64| {
            let mut codes = Codes::new(dims.codebooks);
            request.history.frames().for_each(|frame| codes.push(frame));
            ClipState { start: Sampling { seed: *seed, ..request.spec.sampling }, codes, running: true }
        };
        let clips = seeds.iter().map(clip).collect();
        Ok(Self { request, clips, codebooks: dims.codebooks, end, prefilled: None, sequences: Vec::new() })
    }

    /// The frames of clip `n` so far, the history included.
    pub fn codes(&self, n: usize) -> &Codes {
        &self.clips[n].codes
    }

    /// The spec of clip `n`, with its own seed.
    pub fn spec(&self, n: usize) -> ClipSpec {
        ClipSpec { sampling: self.clips[n].start, ..self.request.spec.clone() }
    }

    /// Generates no further frames of clip `n`.
    pub fn stop(&mut self, n: usize) {
        self.clips[n].running = false;
    }

    /// Loads the engine of the next frame, so that loading is not timed as generating.
    ///
    /// # Errors
    /// Returns the errors of loading the model.
    pub fn load(&self, engines: &mut dyn EngineProvider) -> Result<()> {
        let Some(first) = self.clips.first() else { return Ok(()) };
        engines.engine(&self.request.sampling_at(first.start, first.codes.len())).map(|_| ())
    }

    /// Generates the next frame of each running clip; no events if all are complete. An engine is prefilled when it makes its first
    /// frame or takes over from another.
    ///
    /// # Errors
    /// Errors of the engine.
    pub fn next_frames(&mut self, engines: &mut dyn EngineProvider) -> Result<Vec<(usize, LoopEvent)>> {
        let mut events = Vec::new();
        for n in 0..self.clips.len() {
            if self.clips[n].running
                && let Some(reason) = self.finished(n)
            {
                self.stop(n);
                events.push((n, LoopEvent::Finished(reason)));
            }
        }
        let running: Vec<usize> = (0..self.clips.len()).filter(|n| self.clips[*n].running).collect();
        let Some(first) = running.first().map(|n| &self.clips[*n]) else { return Ok(events) };
        let settings: Vec<Sampling> = running
            .iter()
            .map(|n| self.request.sampling_at(self.clips[*n].start, self.clips[*n].codes.len()))
            .collect();
        let key = engine_key(&settings[0]);
        let engine = engines.engine(&settings[0])?;
        if self.prefilled != Some(key) {
            engine.record_attention(self.request.tracking.as_ref().map_or(&[], |tracking| &tracking.heads))?;
            engine.prefill(&self.request.prompt, &first.codes)?;
            self.prefilled = Some(key);
        } else if self.sequences != running {
            let kept = self.sequences.iter().enumerate().filter(|(_, clip)| running.contains(clip));
            engine.select(&kept.map(|(sequence, _)| sequence).collect::<Vec<_>>())?;
        }
        let frame = |n: &usize| self.clips[*n].codes.len();
        let forced: Vec<_> = running.iter().map(|n| self.request.forced_at(frame(n), self.codebooks)).collect();
        // The analysis asks for them whatever the settings.
        let wanted = self.request.observe || settings.iter().any(Sampling::penalises_repetition);
        let count = if wanted { LONGEST_WINDOW } else { 0 };
        let recent: Vec<_> = running.iter().map(|n| self.clips[*n].codes.recent(frame(n), count)).collect();
        let all = running.iter().zip(&settings).zip(&forced).zip(&recent);
        let requests = all.map(|(((n, sampling), forced), recent)| FrameRequest {
            frame: frame(n),
            sampling,
            forced,
            recent,
            observe: self.request.observe,
        });
        let outputs = engine.next_frames(&requests.collect::<Vec<_>>())?;
        for (((n, output), sampling), recent) in running.iter().zip(outputs).zip(settings).zip(recent) {
            let output = FrameOutput { logits: output.logits.map(|logits| logits.with_recent(recent)), ..output };
            events.push((*n, self.accept(*n, output, sampling)));
        }
        self.sequences = running;
        Ok(events)
    }

    /// Generates the next frame of the only clip.
    ///
    /// # Errors
    /// Returns the errors of [`Generation::next_frames`].
    pub fn next_frame(&mut self, engines: &mut dyn EngineProvider) -> Result<LoopEvent> {
        let event = self.next_frames(engines)?.pop().map(|(_, event)| event);
        Ok(event.unwrap_or(LoopEvent::Finished(FinishReason::Length)))
    }

    /// Why clip `n` is complete, if it is.
    fn finished(&self, n: usize) -> Option<FinishReason> {
        if self.clips[n].codes.len() < self.end {
            return None;
        }
        let all_forced = self.request.forced.as_ref().is_some_and(|f| f.len() == self.end);
        Some(if all_forced { FinishReason::Forced } else { FinishReason::Length })
    }

    /// Appends a frame that an engine made with `sampling` to clip `n`.
    fn accept(&mut self, n: usize, output: FrameOutput, sampling: Sampling) -> LoopEvent {
        let FrameOutput { codes, logits, guarded, mut attention } = output;
        if let Some(tracking) = &self.request.tracking {
            let text = &tracking.prompt.text;
            attention.iter_mut().for_each(|weights| *weights = weights.get(text.clone()).unwrap_or_default().to_vec());
        }
        let clip = &mut self.clips[n];
        let generated = GeneratedFrame { frame: clip.codes.len(), codes, logits, guarded, attention, sampling };
        if is_end_frame(&generated.codes) {
            clip.running = false;
            return LoopEvent::EndOfSpeech(generated);
        }
        clip.codes.push(&generated.codes);
        LoopEvent::Frame(generated)
    }
}

fn check_edit(edit: &Edit, dims: &ModelDims) -> Result<()> {
    match edit {
        Edit::Sampling { sampling, .. } => sampling.check(dims),
        Edit::Token { codebook, token, .. } if *codebook >= dims.codebooks || *token as usize >= dims.vocab => {
            let expected = format!("codebook below {}, token below {}", dims.codebooks, dims.vocab);
            Err(Error::invalid("edits", expected, format!("{codebook}, {token}")))
        }
        Edit::Frames { frames, .. } => frames.check("edits", dims),
        Edit::Token { .. } | Edit::Seed { .. } => Ok(()),
    }
}

/// A whole clip: its frames and, if the request is observed, the logits they were drawn from.
///
/// # Errors
/// Errors of the engine.
pub fn observed_clip(
    request: &GenerationRequest,
    dims: &ModelDims,
    engines: &mut dyn EngineProvider,
) -> Result<(Codes, Vec<Logits>)> {
    let mut generation = Generation::new(request, &[request.spec.sampling.seed], dims)?;
    let mut logits = Vec::new();
    while let LoopEvent::Frame(frame) = generation.next_frame(engines)? {
        logits.extend(frame.logits);
    }
    Ok((generation.codes(0).clone(), logits))
}
