//! `csm analyze`: what was drawn, and how sure the model was. See [`crate::report`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::report_args::ReportArgs;
use super::run_job::{run_observed, start_worker};
use super::{ModelArgs, Outcome};
use crate::analysis::divergence::Divergence;
use crate::analysis::logit_diff::LogitDiff;
use crate::analysis::statistics::TokenStats;
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Dtype, Mode, Sampling, TokenFile};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::report::{CheckpointComparison, ClipReport, FrameCandidates, Report, StepsUnavailable, frame_candidates};
use crate::worker::{CancelToken, GeneratedClip, WorkerHandle};

/// Seconds of the clip on which two checkpoints are compared: long enough to see a drift.
const COMPARED_SECONDS: f64 = 10.0;

/// Flags of `csm analyze`.
#[derive(clap::Args, Debug)]
pub struct AnalyzeArgs {
    /// Token files (.json, .npy, .safetensors) or takes (folders)
    #[arg(value_name = "FILE", required_unless_present = "against", conflicts_with = "against")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Compare with this checkpoint: both compute the same clip of --text, draw by draw
    #[arg(long, value_name = "DIR|ID", requires = "text")]
    against: Option<PathBuf>,
    /// What to say, with --against
    #[arg(long, requires = "against", allow_hyphen_values = true)]
    text: Option<String>,
    /// Who says it
    #[arg(long, value_name = "N", default_value_t = 0, requires = "against")]
    speaker: u32,
    /// Seed of that clip
    #[arg(long, value_name = "N", default_value_t = 0, requires = "against")]
    seed: u64,
    /// Only count tokens. Statistics of draws need the model and take as long as speaking
    #[arg(long, conflicts_with = "against")]
    no_steps: bool,
    #[command(flatten)]
    output: ReportArgs,
}

/// Analyses token files or compares two checkpoints.
pub(super) fn run(args: &AnalyzeArgs) -> Result<Outcome> {
    let checkpoint = Arc::new(args.model.open()?);
    let report = match (&args.against, &args.text) {
        (Some(other), Some(text)) => compare_checkpoints(args, &checkpoint, other, text)?,
        _ => analyze_files(args, &checkpoint)?,
    };
    args.output.write_report(&report)
}

fn analyze_files(args: &AnalyzeArgs, checkpoint: &Arc<Checkpoint>) -> Result<Report> {
    let mut files = Vec::new();
    for path in &args.files {
        let tokens = if path.is_dir() { path.join("tokens.json") } else { path.clone() };
        files.push((path, TokenFile::read(&tokens, &checkpoint.dims())?));
    }
    let worker = if args.no_steps { None } else { Some(start_worker(checkpoint)?) };
    let (mut clips, cancel) = (Vec::new(), CancelToken::default());
    for (path, file) in files {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let Computed { steps, audio, candidates } = match &worker {
            None => Computed::nothing(StepsUnavailable::NotRequested),
            Some(worker) => teacher_force(worker, checkpoint, &file, path)?,
        };
        clips.push(match audio {
            Some(audio) => args.output.clip_report(name, file, steps, candidates, &audio, &checkpoint.info, &cancel)?,
            None => ClipReport::new(name, file, steps, None, &checkpoint.info),
        });
    }
    Ok(Report::new((*checkpoint.info).clone(), clips))
}

/// What the model computed of a clip: its draws or why there are none, its waveform, and the candidates of its draws.
struct Computed {
    steps: Result<Vec<Vec<TokenStats>>, StepsUnavailable>,
    audio: Option<Vec<f32>>,
    candidates: Vec<FrameCandidates>,
}

impl Computed {
    fn nothing(reason: StepsUnavailable) -> Self {
        Self { steps: Err(reason), audio: None, candidates: Vec::new() }
    }
}

/// The draws and the waveform of a token file's clip, computed again; or why the draws cannot be.
fn teacher_force(worker: &WorkerHandle, checkpoint: &Checkpoint, file: &TokenFile, path: &Path) -> Result<Computed> {
    let sha256 = checkpoint.id()?.sha256;
    if let Some(other) = file.model.as_ref().filter(|m| m.sha256 != sha256) {
        return Ok(Computed::nothing(StepsUnavailable::OtherModel(other.clone())));
    }
    let spec = match file.clip_spec(path) {
        Ok(spec) => spec,
        Err(e) => return Ok(Computed::nothing(StepsUnavailable::NotReproducible(e.to_string()))),
    };
    let request = GenerationRequest::teacher_forced(&spec, checkpoint.prompt_of(&spec)?, &file.frames);
    let (mut steps, mut candidates) = (Vec::new(), Vec::new());
    let clip = run_observed(worker, request, CancelToken::default(), |frame, stats, logits| {
        candidates.push(frame_candidates(&logits, &frame.codes, &frame.sampling));
        steps.push(stats);
    })?;
    let frame = steps.len();
    let complete = frame == file.frames.len();
    let steps = if complete { Ok(steps) } else { Err(StepsUnavailable::Incomplete { frame }) };
    Ok(Computed { steps, audio: Some(clip.audio), candidates })
}

fn compare_checkpoints(args: &AnalyzeArgs, a: &Arc<Checkpoint>, other: &Path, text: &str) -> Result<Report> {
    let b = Arc::new(Checkpoint::open(other)?);
    let sizes = |c: &Checkpoint| (c.dims().codebooks, c.dims().vocab);
    if sizes(a) != sizes(&b) {
        let ((k, v), (k_b, v_b)) = (sizes(a), sizes(&b));
        let problem = format!("expected {k} codebooks of {v} ids as {}, got {k_b} of {v_b}", a.info.name);
        return Err(Error::file(other, problem));
    }
    let suggested = a.suggested_sampling(Mode::Exact, args.seed);
    let sampling = Sampling { precision: Dtype::Float32, ..suggested };
    let spec = ClipSpec::new(text, args.speaker, sampling);
    let max_frames = a.dims().frames_in(COMPARED_SECONDS);
    let observed = |c: &Checkpoint| {
        let request = GenerationRequest::new(&spec, c.prompt_of(&spec)?, max_frames);
        Ok::<_, Error>(GenerationRequest { observe: true, ..request })
    };
    let (mut reference, mut steps, mut candidates) = (Vec::new(), Vec::new(), Vec::new());
    let worker = start_worker(a)?;
    let clip = run_observed(&worker, observed(a)?, CancelToken::default(), |frame, stats, logits| {
        candidates.push(frame_candidates(&logits, &frame.codes, &frame.sampling));
        steps.push(stats);
        reference.push(logits);
    })?;
    drop(worker); // one thread at a time may own MLX
    let worker = start_worker(&b)?;
    let mut diffs = Vec::new();
    let forced = GenerationRequest::teacher_forced(&spec, b.prompt_of(&spec)?, &clip.frames);
    run_observed(&worker, forced, CancelToken::default(), |frame, _, logits| {
        let rows = reference[frame.frame].rows().zip(logits.rows()).enumerate();
        let diff = |(k, (ours, theirs))| LogitDiff::measure(ours, theirs, spec.sampling.params_for(k).top_k);
        diffs.push(rows.map(diff).collect::<Vec<_>>());
    })?;
    let free = run_observed(&worker, observed(&b)?, CancelToken::default(), |_, _, _| {})?;
    if diffs.is_empty() {
        return Err(Error::invalid("text", "a text that the model speaks", "an end at once"));
    }
    let file = |c: &Checkpoint, clip: &GeneratedClip| {
        Ok::<_, Error>(TokenFile::new(&spec, c.id()?, &c.dims(), clip.sampling, clip.stop, clip.frames.clone()))
    };
    let (first, second) = (&a.info.name, &b.info.name);
    let same = Err(StepsUnavailable::SameAsFirst);
    let cancel = CancelToken::default();
    let mut clips = vec![
        args.output.clip_report(
            first.clone(),
            file(a, &clip)?,
            Ok(steps),
            candidates,
            &clip.audio,
            &a.info,
            &cancel,
        )?,
        args.output.clip_report(second.clone(), file(&b, &free)?, same, Vec::new(), &free.audio, &a.info, &cancel)?,
    ];
    clips.retain(|c| !c.codes.is_empty()); // an empty clip has no histogram
    let divergence = Divergence::between(&clip.frames, &free.frames);
    let comparison = CheckpointComparison::new(first, second, diffs, divergence);
    Ok(Report { checkpoints: Some(comparison), ..Report::new((*a.info).clone(), clips) })
}
