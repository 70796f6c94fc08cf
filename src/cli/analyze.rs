//! `csm analyze`: what was drawn, and how sure the model was. See [`crate::report`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::replay::{run as replay, start, steps};
use super::{Model, Outcome, reports};
use crate::analysis::engines::{Gap, parting};
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};
use crate::pipeline::Job;
use crate::recipe::Recipe;
use crate::report::{Checkpoints, Clip, Report};
use crate::sampling::{Mode, Sampling};
use crate::tokens::TokenFile;
use crate::worker::Worker;

/// Flags of `csm analyze`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Token files (.json, .npy, .safetensors) or takes (folders)
    #[arg(value_name = "FILE", required_unless_present = "against", conflicts_with = "against")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: Model,
    /// Compare with this checkpoint: both compute the same clip of --text, step by step
    #[arg(long, value_name = "DIR", requires = "text")]
    against: Option<PathBuf>,
    /// What to say, with --against
    #[arg(long, requires = "against")]
    text: Option<String>,
    /// Who says it
    #[arg(long, value_name = "N", default_value_t = 0, requires = "against")]
    speaker: u32,
    /// Seed of that clip
    #[arg(long, value_name = "N", default_value_t = 0, requires = "against")]
    seed: u64,
    /// Only count: do not compute the draws again (that needs the model, and takes as long as speaking)
    #[arg(long, conflicts_with = "against")]
    no_steps: bool,
    #[command(flatten)]
    output: reports::Args,
}

/// Analyses.
///
/// # Errors
/// Whatever is wrong with flags, files or machine.
pub fn run(args: &Args) -> Result<Outcome> {
    let checkpoint = Arc::new(args.model.open()?);
    let report = match &args.against {
        Some(other) => against(args, &checkpoint, other)?,
        None => files(args, &checkpoint)?,
    };
    args.output.give(&report)
}

fn files(args: &Args, checkpoint: &Arc<Checkpoint>) -> Result<Report> {
    let (k, v) = (checkpoint.config.num_codebooks, checkpoint.config.vocab_size);
    let mut read = Vec::new();
    for path in &args.files {
        let tokens = if path.is_dir() { path.join("tokens.json") } else { path.clone() };
        read.push((path, TokenFile::read(&tokens, k, v)?));
    }
    let model = crate::report::Model::of(checkpoint);
    let worker = if args.no_steps { None } else { Some(start(checkpoint)?) };
    let mut clips = Vec::new();
    for (path, file) in read {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (steps, audio) = match &worker {
            None => (Err("--no-steps".into()), None),
            Some(worker) => again(worker, checkpoint, &file, path)?,
        };
        clips.push(Clip::new(name, file, steps, audio.as_deref(), &model));
    }
    Ok(Report::new(model, clips))
}

type Steps = Result<Vec<Vec<crate::analysis::step::Step>>, String>;

/// The draws of a token file's clip and its sound, computed again; or why the draws cannot be.
fn again(worker: &Worker, checkpoint: &Checkpoint, file: &TokenFile, path: &Path) -> Result<(Steps, Option<Vec<f32>>)> {
    let other = file.model.as_ref().filter(|m| m.sha256 != checkpoint.sha256());
    let recipe = match (other, Recipe::of(file, path)) {
        (Some(m), _) => Err(format!("made by another model ({}); name it with --model-path", m.name)),
        (None, recipe) => recipe.map_err(|e| e.to_string()),
    };
    let recipe = match recipe {
        Ok(recipe) => recipe,
        Err(why) => return Ok((Err(why), None)),
    };
    let mut all = Vec::new();
    let clip = replay(worker, Job::forced(&recipe, checkpoint, &file.frames)?, |frame| all.push(steps(&frame)))?;
    // A frame of zeros in a file's middle would end the clip there.
    let complete = all.len() == file.frames.len();
    let why = || format!("frame {} is all zeros, which ends the speech", all.len());
    Ok((if complete { Ok(all) } else { Err(why()) }, Some(clip.audio)))
}

fn against(args: &Args, a: &Arc<Checkpoint>, other: &Path) -> Result<Report> {
    let b = Arc::new(Checkpoint::open(other)?);
    let sizes = |c: &Checkpoint| (c.config.num_codebooks, c.config.vocab_size);
    if sizes(a) != sizes(&b) {
        let ((k, v), (k_b, v_b)) = (sizes(a), sizes(&b));
        return Err(Error::file(other, format!("expected {k} codebooks of {v} ids as {}, got {k_b} of {v_b}", a.name)));
    }
    let recipe = Recipe {
        text: args.text.clone().expect("required"),
        speaker: args.speaker,
        context: Vec::new(),
        sampling: Sampling::suggested(&a.generation, Mode::Exact, args.seed, Dtype::Float32, a.config.vocab_size),
        edits: Vec::new(),
    };
    // Ten seconds: long enough to see a drift.
    let frames = (10.0 * a.config.codec_config.frame_rate()) as usize;
    let observed = |c: &Checkpoint| Ok::<_, Error>(Job { observe: true, ..Job::of(&recipe, c, frames)? });
    let (mut reference, mut draws) = (Vec::new(), Vec::new());
    let worker = start(a)?;
    let clip = replay(&worker, observed(a)?, |frame| {
        draws.push(steps(&frame));
        reference.push(frame.logits.expect("observed"));
    })?;
    // One thread at a time may own MLX.
    drop(worker);
    let worker = start(&b)?;
    let mut gaps = Vec::new();
    let v = a.config.vocab_size;
    replay(&worker, Job::forced(&recipe, &b, &clip.frames)?, |frame| {
        let theirs = frame.logits.expect("observed");
        let rows = reference[frame.frame].chunks_exact(v).zip(theirs.chunks_exact(v));
        let top_k = |k| recipe.sampling.draw(k).top_k;
        gaps.push(rows.enumerate().map(|(k, (ours, theirs))| Gap::of(ours, theirs, top_k(k))).collect::<Vec<_>>());
    })?;
    let free = replay(&worker, observed(&b)?, |_| {})?;
    if gaps.is_empty() {
        return Err(Error::value("--text", "a text that the model speaks", "an end at once"));
    }
    let model = crate::report::Model::of(a);
    let file =
        |c: &Checkpoint, clip: &crate::pipeline::Clip| recipe.file(c, clip.sampling, clip.stop, clip.frames.clone());
    let mut clips = vec![
        Clip::new(a.name.clone(), file(a, &clip), Ok(draws), Some(&clip.audio), &model),
        Clip::new(b.name.clone(), file(&b, &free), Err("see the first clip".into()), Some(&free.audio), &model),
    ];
    // The other checkpoint may end at once; an empty clip has no histogram.
    clips.retain(|c| !c.frames.is_empty());
    let checkpoints = Checkpoints::new(&a.name, &b.name, gaps, parting(&clip.frames, &free.frames));
    Ok(Report { checkpoints: Some(checkpoints), ..Report::new(model, clips) })
}
