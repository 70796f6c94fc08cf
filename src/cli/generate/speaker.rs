//! Runs a plan on the worker: context, clips, files, and messages about them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plan::{ContextFile, GeneratePlan};
use super::{GenerateArgs, warn_beyond_codec};
use crate::alignment::{WordProblem, check_words, known_heads, tracking, word_times};
use crate::audio::player::{Player, Sink};
use crate::audio::recording::Length;
use crate::audio::wav::{self, WavInfo};
use crate::audio::wav_stream::WavStream;
use crate::checkpoint::Checkpoint;
use crate::cli::align::{self, format_of};
use crate::cli::keep_takes::TakeKeeper;
use crate::cli::output;
use crate::cli::output::message;
use crate::cli::read_recording;
use crate::cli::run_job::{cancel_on_signals, run_batch, run_job, start_worker};
use crate::data::{
    AttentionHead, Clip, ClipOrigin, Codes, FinishReason, Issue, Mode, Sampling, Seam, TOKEN_FILE_EXTENSIONS,
    TokenFile, Turn, WordRetake, WordTime,
};
use crate::engine::{GenerationRequest, Narration};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::text::{expected_seconds, length_mismatch};
use crate::worker::{CancelToken, Event, ExactCheck, GenerateJob, GeneratedClip, WorkerHandle, exact_check};

/// All clips of one call.
#[derive(Default)]
pub(super) struct SpokenClips {
    pub(super) frames: usize,
    samples: usize,
    /// Time that generation took.
    seconds: f64,
    beyond_codec: usize,
    guarded: usize,
    issues: Vec<Issue>,
    seam: Option<Seam>,
    /// Word times of all clips, in seconds from the start of the first.
    words: Vec<WordTime>,
    /// Texts whose words have no known times.
    unaligned: usize,
    last: Option<(FinishReason, Sampling)>,
}

impl SpokenClips {
    pub(super) fn add(&mut self, made: GeneratedClip) {
        let before = self.samples as f64 / made.clip.sample_rate.max(1) as f64;
        self.unaligned += usize::from(made.words.is_none());
        for word in made.words.into_iter().flatten() {
            self.words.push(WordTime { start: before + word.start, end: before + word.end, ..word });
        }
        self.frames += made.clip.codes.len();
        self.samples += made.clip.audio.len();
        self.seconds += made.seconds;
        self.beyond_codec += made.beyond_codec;
        self.guarded += made.guarded;
        self.issues.extend(made.issues);
        self.seam = made.seam.or(self.seam);
        self.last = made.clip.stop.zip(made.clip.origin.sampling);
    }

    pub(super) fn was_cancelled(&self) -> bool {
        self.last.is_some_and(|(stop, _)| stop == FinishReason::Cancelled)
    }
}

/// The worker and what goes with it.
pub(super) struct Speaker<'a> {
    args: &'a GenerateArgs,
    checkpoint: Arc<Checkpoint>,
    worker: WorkerHandle,
    cancel: CancelToken,
    player: Option<Player>,
    takes: Option<TakeKeeper>,
    /// Underruns of what was played.
    underruns: usize,
    /// Heads that follow the text, if word times are wanted.
    heads: Vec<AttentionHead>,
}

impl<'a> Speaker<'a> {
    pub(super) fn start(args: &'a GenerateArgs, checkpoint: Arc<Checkpoint>) -> Result<Self> {
        let takes = TakeKeeper::open(args.take.as_ref(), &checkpoint)?;
        let worker = start_worker(&checkpoint)?;
        let cancel = cancel_on_signals();
        let heads = match (args.words.is_some() || args.retake_word.is_some(), &args.take) {
            (true, _) => match align::heads(&checkpoint, &worker, &cancel)? {
                none if none.is_empty() => return Err(align::no_heads(&checkpoint)),
                heads => heads,
            },
            (false, Some(_)) => known_heads(&checkpoint)?.unwrap_or_default(),
            (false, None) => Vec::new(),
        };
        let player = args.play.then(|| open_player(checkpoint.dims().sample_rate)).flatten();
        Ok(Self { args, checkpoint, worker, cancel, player, takes, underruns: 0, heads })
    }

    /// Says what will be spoken, for the player.
    pub(super) fn expect(&mut self, plan: &GeneratePlan) {
        let longest = self.checkpoint.dims().seconds(plan.max_frames) * plan.pieces.len() as f64;
        let seconds = expected_seconds(&plan.text()).min(longest);
        self.player.iter_mut().for_each(|player| player.expect(seconds));
    }

    /// Context turns with their codes.
    pub(super) fn context(&self, plan: &GeneratePlan) -> Result<Vec<Turn>> {
        let mut turns = plan.turns.clone();
        for file in &plan.context {
            let frames = self.context_frames(file, plan)?;
            turns.push(Turn { speaker: file.speaker, text: file.text.clone(), frames });
        }
        Ok(turns)
    }

    fn context_frames(&self, file: &ContextFile, plan: &GeneratePlan) -> Result<Codes> {
        let (path, info) = (&file.path, &self.checkpoint.info);
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        if TOKEN_FILE_EXTENSIONS.contains(&extension.as_str()) {
            return Ok(TokenFile::read(path, &info.dims)?.frames);
        }
        if !info.supports_voice_prompt() {
            message!(
                "warning: {} takes no voice from a recording: its codes say what is spoken and when, which its encoder cannot \
                 hear; {} will have no useful effect",
                info.name,
                path.display()
            );
        }
        // Positions that the speech leaves free; the text takes some of it too.
        let room = info.dims.seconds(info.dims.max_positions.saturating_sub(plan.max_frames));
        let length = self.args.context_trim.map_or(Length::AtMost(room), |seconds| Length::First(seconds.min(room)));
        let recording = read_recording(path, info.dims.sample_rate, length)?.of_speech(path)?;
        let seconds = recording.samples.len() as f64 / info.dims.sample_rate as f64;
        if let Some(mismatch) = length_mismatch(&file.text, seconds) {
            message!("warning: {}: {mismatch}", path.display());
        }
        recording.warnings.iter().for_each(|w| message!("warning: {w}"));
        self.worker.encode(recording.samples, self.cancel.clone())?.wait(|_| {})
    }

    /// The next piece of a narration.
    pub(super) fn next_piece(&self, narration: &mut Narration) -> Result<Option<GenerationRequest>> {
        narration.next(&self.checkpoint.dims(), |spec| self.checkpoint.prompt(spec))
    }

    pub(super) fn speak(&mut self, plan: &GeneratePlan, request: GenerationRequest, n: usize) -> Result<GeneratedClip> {
        let observe = self.args.dump_logits.is_some();
        let request = self.with_retake(plan, request)?;
        let tracking = tracking(&self.checkpoint, &self.heads, &request.spec, &request.prompt)?;
        let request = GenerationRequest { forced: plan.forced.clone(), observe, tracking, ..request };
        self.log_request(&request);
        let job = GenerateJob { request, retries: self.args.retries };
        if self.args.check_words {
            return self.speak_checked(job);
        }
        let mut logits: Vec<f32> = Vec::new();
        let player = &mut self.player;
        let made = run_job(&self.worker, job, self.cancel.clone(), |event| match event {
            Event::Frame(event) => {
                tracing::debug!("frame {}: {:?}", event.frame.frame, event.frame.codes);
                logits.extend(event.frame.logits.iter().flat_map(|l| l.values()));
            }
            Event::Audio(samples) => player.iter_mut().for_each(|player| player.push(&samples)),
            Event::Retry { .. } => logits.clear(),
        })?;
        if let Some(path) = &self.args.dump_logits {
            self.write_logits(&numbered(path, plan, n), &logits, made.clip.codes.len())?;
        }
        Ok(made)
    }

    /// Speaks with the next seed, up to the number of retries, until every word is spoken once and in its place; else the attempt with the
    /// fewest problems is kept, and they are reported.
    fn speak_checked(&self, mut job: GenerateJob) -> Result<GeneratedClip> {
        let mut best: Option<(Vec<WordProblem>, GeneratedClip)> = None;
        for attempt in 0..=self.args.retries {
            let made = run_job(&self.worker, job.clone(), self.cancel.clone(), |_| {})?;
            if self.cancel.is_cancelled() {
                return Ok(made);
            }
            let seed = made.clip.origin.sampling.map_or(job.request.spec.sampling.seed, |sampling| sampling.seed);
            let spec = &job.request.spec;
            let problems = check_words(&self.checkpoint, &self.worker, spec, &made.clip, &self.cancel, |_, _| {})?;
            if !problems.is_empty() && attempt < self.args.retries {
                message!("seed {seed}: {}; trying again", described(&problems));
            }
            let is_right = problems.is_empty();
            if best.as_ref().is_none_or(|(fewest, _)| problems.len() < fewest.len()) {
                best = Some((problems, made));
            }
            if is_right {
                break;
            }
            job.request.spec.sampling.seed = seed.wrapping_add(1);
        }
        let nothing = || Error::Engine { backend: "the model", source: "it gave no clip".into() };
        let (problems, made) = best.ok_or_else(nothing)?;
        if !problems.is_empty() {
            message!("warning: {}", described(&problems));
        }
        Ok(made)
    }

    /// `request` with the word that is to be spoken again, if the user asked for one.
    pub(super) fn with_retake(&self, plan: &GeneratePlan, request: GenerationRequest) -> Result<GenerationRequest> {
        let (Some(choice), Some((clip, seed))) = (&self.args.retake_word, &plan.retaken) else { return Ok(request) };
        let words = word_times(&self.checkpoint, &self.worker, &self.heads, &request.spec, &clip.codes, &self.cancel)?;
        let words =
            words.ok_or_else(|| Error::invalid("retake_word", "a clip whose attention follows its text", "another"))?;
        let word = choice.find(&words)?;
        let retake = WordRetake {
            codes: clip.codes.clone(),
            ended: clip.stop == Some(FinishReason::Eos),
            word,
            time: words[word].start..words[word].end,
            seed: *seed,
            taken: None,
        };
        let max_frames = request.max_frames.max(2 * clip.codes.len());
        Ok(GenerationRequest { retake: Some(retake), max_frames, ..request })
    }

    /// Generates a piece once with each of `seeds`.
    pub(super) fn speak_batch(&self, request: GenerationRequest, seeds: &[u64]) -> Result<Vec<GeneratedClip>> {
        self.log_request(&request);
        let tracking = tracking(&self.checkpoint, &self.heads, &request.spec, &request.prompt)?;
        let job = GenerateJob { request: request.tracked(tracking), retries: self.args.retries };
        run_batch(&self.worker, job, seeds, self.cancel.clone(), |_, _| {})
    }

    /// Writes the token file of a clip to `path`.
    pub(super) fn save_tokens(&self, path: &Path, clip: &Clip) -> Result<()> {
        TokenFile::new(clip, self.checkpoint.id()?, &self.checkpoint.dims()).write(path)
    }

    /// Writes the WAV file of a clip to `path`.
    pub(super) fn save_audio(&self, path: &Path, clip: &Clip) -> Result<()> {
        save_wav(path, &clip.audio, clip.sample_rate, &WavInfo::for_clip(&self.checkpoint.id()?, &clip.origin))
    }

    fn log_request(&self, request: &GenerationRequest) {
        let (dims, sampling, text) = (self.checkpoint.dims(), &request.spec.sampling, &request.spec.text);
        tracing::debug!(
            "model {}: {} codebooks of {} ids, {} positions",
            self.checkpoint.info.name,
            dims.codebooks,
            dims.vocab,
            dims.max_positions
        );
        tracing::debug!("sampler {} ({}), {sampling:?}", sampling.mode.name(), sampling.mode.info().sampler);
        let prompt = &request.prompt;
        tracing::debug!("prompt {} positions {:?} for {text:?}", prompt.positions.len(), prompt.segment_lengths);
    }

    /// The waveform of `frames`.
    pub(super) fn decode(&self, frames: Codes) -> Result<Vec<f32>> {
        self.worker.decode(frames, self.cancel.clone())?.wait(|_| {})
    }

    fn write_logits(&self, path: &Path, logits: &[f32], frames: usize) -> Result<()> {
        let dims = self.checkpoint.dims();
        let bytes = bytemuck::cast_slice(&logits[..frames * dims.codebooks * dims.vocab]);
        let shape = vec![frames, dims.codebooks, dims.vocab];
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, bytes);
        let view = view.map_err(|e| Error::write(path, e))?;
        let file = safetensors::serialize([("logits", view)], None).map_err(|e| Error::write(path, e))?;
        write_atomically(path, &file)
    }

    /// Keeps a clip as a take if the user asked for that.
    pub(super) fn keep_take(&mut self, made: &GeneratedClip) -> Result<()> {
        self.takes.as_mut().map_or(Ok(()), |takes| takes.keep(made))
    }

    /// Writes the token file of piece `n` if the user asked for one.
    pub(super) fn write_tokens(&self, plan: &GeneratePlan, clip: &Clip, n: usize) -> Result<()> {
        let Some(path) = &self.args.dump_tokens else { return Ok(()) };
        self.save_tokens(&numbered(path, plan, n), clip)
    }

    /// Writes when the words are spoken, if the user asked for that.
    pub(super) fn write_words(&self, spoken: &SpokenClips) -> Result<()> {
        let Some(path) = &self.args.words else { return Ok(()) };
        if spoken.unaligned > 0 {
            message!(
                "warning: no alignment found for {} of the text's pieces; {} lacks their words",
                spoken.unaligned,
                path.display()
            );
        }
        let seconds = spoken.samples as f64 / self.checkpoint.dims().sample_rate as f64;
        write_atomically(path, format_of("words", path)?.text(&spoken.words, seconds).as_bytes())
    }

    /// Completes the WAV file.
    pub(super) fn finish(&self, output: WavStream, plan: &GeneratePlan) -> Result<()> {
        let origin = ClipOrigin {
            text: Some(plan.text()),
            speaker: plan.pieces.first().map(|piece| piece.speaker),
            sampling: Some(plan.sampling),
            ..ClipOrigin::default()
        };
        let written = output.finish(&WavInfo::for_clip(&self.checkpoint.id()?, &origin))?;
        if written.clipped > 0 {
            message!("warning: {} samples were louder than full scale and are clipped", written.clipped);
        }
        Ok(())
    }

    /// Plays `samples` if the user asked for that.
    pub(super) fn play(&mut self, samples: &[f32]) {
        self.player.iter_mut().for_each(|player| player.push(samples));
    }

    /// Waits until everything has been played.
    pub(super) fn finish_playing(&mut self) {
        let Some(mut player) = self.player.take() else { return };
        player.finish();
        if let Err(e) = player.wait_until_end() {
            message!("warning: {e}");
        }
        self.underruns = player.underruns();
        if self.underruns > 0 {
            message!("warning: playback had to wait for the model: {} underruns", self.underruns);
        }
    }

    /// Prints the result that is in the file `path`.
    pub(super) fn print_summary(&self, path: &Path, plan: &GeneratePlan, spoken: &SpokenClips) -> Result<()> {
        let Some((stop, sampling)) = spoken.last else { return Ok(()) };
        let seconds = spoken.samples as f64 / self.checkpoint.dims().sample_rate as f64;
        let factor = spoken.seconds / seconds;
        let checked = exact_check().filter(|_| plan.sampling.mode == Mode::Exact);
        let json = serde_json::json!({
            "output": path.display().to_string(), "text": plan.text(), "speaker": plan.pieces.first().map(|piece| piece.speaker),
            "pieces": plan.pieces.len(), "frames": spoken.frames, "seconds": seconds, "stop": stop, "seed": sampling.seed,
            "sampling": plan.sampling, "real_time_factor": factor, "beyond_codec": spoken.beyond_codec,
            "guarded": spoken.guarded, "underruns": self.args.play.then_some(self.underruns), "findings": spoken.issues, "model": self.checkpoint.info.name,
            "exact_check": checked.map(ExactCheck::summary), "seam": spoken.seam,
        });
        let words = format!(
            "{}: {seconds:.2} s, {} frames, {} sampling, seed {}, {}, real-time factor {factor:.2}",
            path.display(),
            spoken.frames,
            plan.sampling.mode.name(),
            sampling.seed,
            stop.describe(),
        );
        self.args.print_result(&json, &words)?;
        if let Some(check) = checked {
            message!("exact: {}", check.summary());
        }
        if let Some(seam) = spoken.seam {
            let at = self.checkpoint.dims().seconds(seam.frame);
            message!("the frames of the clip follow from {at:.2} s; the joint costs {:+.1} bits", seam.bits);
        }
        for issue in &spoken.issues {
            message!("warning: {}", issue.describe());
        }
        warn_beyond_codec(spoken.beyond_codec);
        if let Some(guard) = plan.sampling.guard {
            message!("range guard {guard}: {} tokens changed", spoken.guarded);
        }
        Ok(())
    }
}

impl Drop for Speaker<'_> {
    fn drop(&mut self) {
        if let Ok((now, peak)) = crate::mlx::memory() {
            tracing::debug!("MLX memory: {} MB now, {} MB at most", now >> 20, peak >> 20);
        }
    }
}

/// A player for sound that is still being made, or `None` with a warning: the file matters more.
fn open_player(rate: usize) -> Option<Player> {
    let mut player = Player::new(Sink::Device(None));
    player.begin(rate);
    match player.play_when_buffered() {
        Ok(()) => Some(player),
        Err(e) => {
            message!("warning: {e}");
            None
        }
    }
}

pub(super) fn save_wav(path: &Path, audio: &[f32], rate: usize, info: &WavInfo) -> Result<()> {
    let (bytes, clipped) = wav::encode(audio, rate, info)?;
    if clipped > 0 {
        message!("warning: {clipped} samples were louder than full scale and are clipped");
    }
    output::save_wav(path, &bytes)
}

/// Problems of words on one line.
fn described(problems: &[WordProblem]) -> String {
    let problem = |problem: &WordProblem| format!("“{}” {}", problem.word, problem.kind.describe());
    problems.iter().map(problem).collect::<Vec<_>>().join(", ")
}

/// `path` for one text; with a number before its extension for several.
fn numbered(path: &Path, plan: &GeneratePlan, n: usize) -> PathBuf {
    if plan.pieces.len() == 1 && n == 0 {
        return path.to_owned();
    }
    marked(path, &format!("-{:03}", n + 1))
}

/// `path` with `mark` before its extension.
pub(super) fn marked(path: &Path, mark: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}{mark}{extension}"))
}
