//! `csm analyze`: the tokens of clips, and how certain the model was of them. See [`crate::report`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::message;
use super::report_args::ReportArgs;
use super::run_job::{cancel_on_signals, run_observed, start_worker};
use super::{ModelArgs, Outcome, read_recording};
use crate::alignment::{known_heads, tracking};
use crate::analysis::divergence::Divergence;
use crate::analysis::logit_diff::LogitDiff;
use crate::analysis::statistics::TokenStats;
use crate::analysis::steps::Steps;
use crate::audio::recording::{EXTENSIONS, Length};
use crate::checkpoint::Checkpoint;
use crate::data::{Clip, ClipOrigin, ClipSpec, Codes, Dtype, Mode, Sampling, TokenFile, WordTime};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::files::read_text;
use crate::report::{CheckpointComparison, FrameCandidates, Report, StepsUnavailable, frame_candidates};
use crate::worker::{CancelToken, WorkerHandle};

/// Seconds of the clip on which two checkpoints are compared: long enough to see a drift.
const COMPARED_SECONDS: f64 = 10.0;

/// Flags of `csm analyze`.
#[derive(clap::Args, Debug)]
pub struct AnalyzeArgs {
    /// Token files (.json, .npy, .safetensors), takes (folders), or recordings (WAV, FLAC …) whose sound is measured; the text of a
    /// recording is read from a .txt file of the same name
    #[arg(value_name = "FILE", required_unless_present = "against", conflicts_with = "against")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Compare with this checkpoint: both compute the same clip of --text, draw by draw
    #[arg(long, value_name = "DIR|ID", requires = "text")]
    against: Option<PathBuf>,
    /// Text to speak, with --against
    #[arg(long, requires = "against", allow_hyphen_values = true)]
    text: Option<String>,
    /// Speaker number of the text
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
    let tokens: Vec<PathBuf> = args.files.iter().map(|path| tokens_of(path)).collect();
    args.output.check(tokens.iter().map(PathBuf::as_path).chain(checkpoint.tensors.paths()))?;
    let report = match (&args.against, &args.text) {
        (Some(other), Some(text)) => compare_checkpoints(args, &checkpoint, other, text)?,
        _ => analyze_files(args, &checkpoint)?,
    };
    args.output.write_report(&report)
}

fn analyze_files(args: &AnalyzeArgs, checkpoint: &Arc<Checkpoint>) -> Result<Report> {
    let mut files = Vec::new();
    for path in &args.files {
        let clip = match is_recording(path) {
            true => read_sound(path, checkpoint)?,
            false => {
                let tokens = TokenFile::read(&tokens_of(path), &checkpoint.dims())?;
                tokens.into_clip(Vec::new(), checkpoint.dims().sample_rate)
            }
        };
        files.push((path, clip));
    }
    let needs_worker = !args.no_steps && files.iter().any(|(_, clip)| !clip.codes.is_empty());
    let worker = if needs_worker { Some(start_worker(checkpoint)?) } else { None };
    let (mut clips, cancel) = (Vec::new(), cancel_on_signals());
    let names = distinct_names(&args.files);
    for ((path, clip), name) in files.into_iter().zip(names) {
        let Computed { clip, stats, candidates, words } = match &worker {
            _ if is_recording(path) => Computed::nothing(clip, StepsUnavailable::NoTokens),
            None => Computed::nothing(clip, StepsUnavailable::NotRequested),
            Some(worker) => teacher_force(worker, checkpoint, clip, path, &cancel)?,
        };
        let report = args.output.clip_report(name, &clip, stats, candidates, &checkpoint.info, &cancel)?;
        clips.push(report.with_words(&words, checkpoint.dims().seconds(1)));
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
    Ok(Report::new((*checkpoint.info).clone(), clips))
}

/// Whether `path` names a recording.
fn is_recording(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    EXTENSIONS.contains(&ending.as_str()) && !path.is_dir()
}

/// A recording as a clip without tokens, with the text of a .txt file of the same name, if one exists.
fn read_sound(path: &Path, checkpoint: &Checkpoint) -> Result<Clip> {
    let dims = checkpoint.dims();
    let recording = read_recording(path, dims.sample_rate, Length::Whole)?;
    recording.warnings.iter().for_each(|text| message!("warning: {text}"));
    let beside = path.with_extension("txt");
    let text = beside.exists().then(|| read_text(&beside)).transpose()?;
    let text = text.map(|text| text.trim().to_owned());
    Ok(Clip {
        codes: Codes::new(dims.codebooks),
        audio: recording.samples,
        sample_rate: dims.sample_rate,
        stop: None,
        origin: ClipOrigin { text, ..ClipOrigin::default() },
    })
}

/// The token file of a take, or `path` itself.
fn tokens_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("tokens.json") } else { path.to_owned() }
}

/// The shortest tails of the paths for which all names differ; a repeated path gets a number.
fn distinct_names(paths: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths
        .iter()
        .map(|path| path.components().rev().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect())
        .collect();
    let name = |n: usize, count: usize| {
        let parts = &parts[n];
        parts[..count.min(parts.len())].iter().rev().cloned().collect::<Vec<_>>().join("/").replace("//", "/")
    };
    let deepest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let is_alone =
        |n: usize, count: usize| (0..paths.len()).all(|other| other == n || name(other, count) != name(n, count));
    let shortest = |n: usize| (1..=deepest).find(|count| is_alone(n, *count));
    let named = (0..paths.len()).map(|n| match shortest(n) {
        Some(count) => name(n, count),
        None => {
            let before = paths[..n].iter().filter(|path| **path == paths[n]).count();
            if before == 0 { name(n, 1) } else { format!("{} ({})", name(n, 1), before + 1) }
        }
    });
    named.collect()
}

/// Data that the model computed for a clip: its waveform, its draws or why there are none, their candidates, and its words.
struct Computed {
    clip: Clip,
    stats: Result<Vec<Vec<TokenStats>>, StepsUnavailable>,
    candidates: Vec<FrameCandidates>,
    words: Vec<WordTime>,
}

impl Computed {
    fn nothing(clip: Clip, reason: StepsUnavailable) -> Self {
        Self { clip, stats: Err(reason), candidates: Vec::new(), words: Vec::new() }
    }
}

/// Computes draws and waveform of a clip again. `path` is its file, for messages.
fn teacher_force(
    worker: &WorkerHandle,
    checkpoint: &Checkpoint,
    clip: Clip,
    path: &Path,
    cancel: &CancelToken,
) -> Result<Computed> {
    let sha256 = checkpoint.id()?.sha256;
    if let Some(other) = clip.origin.model.as_ref().filter(|m| m.sha256 != sha256) {
        let reason = StepsUnavailable::OtherModel(other.clone());
        return Ok(Computed::nothing(clip, reason));
    }
    let spec = match clip.origin.spec_of_file(path) {
        Ok(spec) => spec,
        Err(e) => return Ok(Computed::nothing(clip, StepsUnavailable::NotReproducible(e.to_string()))),
    };
    let prompt = checkpoint.prompt(&spec)?;
    let tracking = tracking(checkpoint, &known_heads(checkpoint)?.unwrap_or_default(), &spec, &prompt)?;
    let request = GenerationRequest::teacher_forced_clip(&spec, prompt, &clip).tracked(tracking);
    let (mut stats, mut candidates) = (Vec::new(), Vec::new());
    let mut codes = clip.codes.frames();
    let computed = run_observed(worker, request, cancel.clone(), |step| {
        if let Some(codes) = codes.next() {
            candidates.push(frame_candidates(&step.logits, codes, &step.sampling));
        }
        stats.push(step.stats);
    })?;
    let frame = stats.len();
    let stats = if frame == clip.codes.len() { Ok(stats) } else { Err(StepsUnavailable::Incomplete { frame }) };
    let words = computed.words.unwrap_or_default();
    Ok(Computed { clip: Clip { audio: computed.clip.audio, ..clip }, stats, candidates, words })
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
    let observed =
        |c: &Checkpoint| Ok::<_, Error>(GenerationRequest::new(&spec, c.prompt(&spec)?, max_frames).observed());
    let mut steps = Steps::default();
    let (worker, cancel) = (start_worker(a)?, cancel_on_signals());
    let mut ours = run_observed(&worker, observed(a)?, cancel.clone(), |step| steps.push(step))?.clip;
    drop(worker); // one thread at a time may own MLX
    let worker = start_worker(&b)?;
    let mut diffs = Vec::new();
    let forced = GenerationRequest::teacher_forced(&spec, b.prompt(&spec)?, &ours.codes);
    run_observed(&worker, forced, cancel.clone(), |step| {
        let rows = steps[diffs.len()].logits.rows().zip(step.logits.rows()).enumerate();
        let diff = |(k, (ours, theirs))| LogitDiff::measure(ours, theirs, spec.sampling.params_for(k).top_k);
        diffs.push(rows.map(diff).collect::<Vec<_>>());
    })?;
    let mut free = run_observed(&worker, observed(&b)?, cancel.clone(), |_| {})?.clip;
    (ours.origin.model, free.origin.model) = (Some(a.id()?), Some(b.id()?));
    if diffs.is_empty() {
        return Err(Error::invalid("text", "a text that the model speaks", "the model stopped before the first frame"));
    }
    let (first, second) = (&a.info.name, &b.info.name);
    let same = Err(StepsUnavailable::SameAsFirst);
    let frames = steps.iter().zip(ours.codes.frames());
    let candidates = frames.map(|(step, codes)| frame_candidates(&step.logits, codes, &step.sampling)).collect();
    let mut clips = vec![
        args.output.clip_report(first.clone(), &ours, Ok(steps.stats()), candidates, &a.info, &cancel)?,
        args.output.clip_report(second.clone(), &free, same, Vec::new(), &a.info, &cancel)?,
    ];
    clips.retain(|c| !c.codes.is_empty()); // an empty clip has no histogram
    let divergence = Divergence::between(&ours.codes, &free.codes);
    let comparison = CheckpointComparison::new(first, second, diffs, divergence);
    Ok(Report { checkpoints: Some(comparison), ..Report::new((*a.info).clone(), clips) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_it_takes_to_differ() {
        let names = |paths: &[&str]| distinct_names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["a/x.npy", "b/y.npy"]), ["x.npy", "y.npy"]);
        assert_eq!(
            names(&["seed1/codes.npy", "seed2/codes.npy", "z.npy"]),
            ["seed1/codes.npy", "seed2/codes.npy", "z.npy"]
        );
        assert_eq!(names(&["a/1/c.npy", "b/1/c.npy"]), ["a/1/c.npy", "b/1/c.npy"]);
        assert_eq!(names(&["c.npy", "a/c.npy"]), ["c.npy", "a/c.npy"]);
        assert_eq!(names(&["/a/c.npy", "/b/c.npy"]), ["a/c.npy", "b/c.npy"]);
        assert_eq!(names(&["c.npy", "c.npy"]), ["c.npy", "c.npy (2)"]);
        assert!(names(&[]).is_empty());
    }
}
