//! `csm compare`: one text, several modes and seeds, compared. See [`crate::report`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::replay::{run as replay, start, steps};
use super::{Model, Outcome, reports};
use crate::analysis::engines::{Cause, parting};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::pipeline::Job;
use crate::prompt::Frame;
use crate::recipe::Recipe;
use crate::report::{Clip, Pair, Report};
use crate::sampling::noise::TorchNoise;
use crate::sampling::{Mode, Sampling};

/// Flags of `csm compare`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to say
    #[arg(long)]
    text: String,
    #[command(flatten)]
    model: Model,
    /// Who says it
    #[arg(long, value_name = "N", default_value_t = 0)]
    speaker: u32,
    /// Modes
    #[arg(long, value_enum, value_name = "MODE,…", value_delimiter = ',', default_values = ["native", "exact", "hybrid"])]
    modes: Vec<Mode>,
    /// Seeds: `0..9` (both ends included), or `3,5,8`
    #[arg(long, value_name = "A..B", default_value = "0..9", value_parser = seeds)]
    seeds: Seeds,
    /// Temperature of every codebook [default: the checkpoint's, else 0.9]
    #[arg(long, value_name = "X")]
    temperature: Option<f64>,
    /// Top-k of every codebook [default: the checkpoint's, else 50]
    #[arg(long, value_name = "K")]
    topk: Option<usize>,
    /// Longest clip
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    max_audio_length_ms: u64,
    #[command(flatten)]
    output: reports::Args,
}

#[derive(Clone, Debug)]
struct Seeds(Vec<u64>);

fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |t: &str| t.trim().parse::<u64>().map_err(|e| format!("{t:?}: {e}"));
    let list: Vec<u64> = match text.split_once("..") {
        Some((a, b)) => (number(a)?..=number(b)?).take(10_001).collect(),
        None => text.split(',').map(number).collect::<Result<_, _>>()?,
    };
    match list.len() {
        1..=10_000 => Ok(Seeds(list)),
        n => Err(format!("expected 1 to 10000 seeds, got {}", if n == 0 { "none" } else { "more" })),
    }
}

/// Generates and compares.
///
/// # Errors
/// Whatever is wrong with flags, files or machine.
pub fn run(args: &Args) -> Result<Outcome> {
    let checkpoint = Arc::new(args.model.open()?);
    checkpoint.check_speaker("--speaker", args.speaker)?;
    let mut modes = args.modes.clone();
    modes.dedup();
    let model = crate::report::Model::of(&checkpoint);
    let frames = (args.max_audio_length_ms as f64 / 1_000.0 * model.frame_rate) as usize;
    if frames == 0 {
        return Err(Error::value("--max-audio-length-ms", "at least one frame", args.max_audio_length_ms));
    }
    let worker = start(&checkpoint)?;
    let (mut clips, mut pairs) = (Vec::new(), Vec::new());
    for seed in &args.seeds.0 {
        let mut of_seed: BTreeMap<usize, Observed> = BTreeMap::new();
        for (n, mode) in modes.iter().enumerate() {
            let recipe = recipe(args, &checkpoint, *mode, *seed)?;
            let job = Job { observe: true, ..Job::of(&recipe, &checkpoint, frames)? };
            let (mut draws, mut logits) = (Vec::new(), Vec::new());
            let clip = replay(&worker, job, |frame| {
                draws.push(steps(&frame));
                logits.push(frame.logits.expect("observed"));
            })?;
            let file = recipe.file(&checkpoint, clip.sampling, clip.stop, clip.frames.clone());
            let name = format!("{}, seed {seed}", mode.name());
            clips.push(Clip::new(name, file, Ok(draws), Some(&clip.audio), &model));
            let seen = Observed { sampling: recipe.sampling, frames: clip.frames, logits };
            pairs.extend(of_seed.values().map(|before| pair(before, &seen)));
            of_seed.insert(n, seen);
        }
    }
    clips.retain(|c| !c.frames.is_empty());
    if clips.is_empty() {
        return Err(Error::value("--text", "a text that the model speaks", "an end at once with every seed"));
    }
    args.output.give(&Report { pairs, ..Report::new(model, clips) })
}

fn recipe(args: &Args, checkpoint: &Checkpoint, mode: Mode, seed: u64) -> Result<Recipe> {
    let precision = mode.precision(checkpoint.tensors.dtype());
    let vocab = checkpoint.config.vocab_size;
    let mut sampling = Sampling::suggested(&checkpoint.generation, mode, seed, precision, vocab);
    if let Some(t) = args.temperature {
        (sampling.temperature, sampling.depth_temperature) = (t, t);
    }
    if let Some(k) = args.topk {
        (sampling.topk, sampling.depth_topk) = (k, k);
    }
    sampling.check(vocab)?;
    Ok(Recipe { text: args.text.clone(), speaker: args.speaker, context: Vec::new(), sampling, edits: Vec::new() })
}

/// A clip with the logits `[T][K * V]` that it was drawn from.
struct Observed {
    sampling: Sampling,
    frames: Vec<Frame>,
    logits: Vec<Vec<f32>>,
}

fn pair(a: &Observed, b: &Observed) -> Pair {
    let parting = parting(&a.frames, &b.frames);
    let shared_noise = a.sampling.mode != Mode::Native && b.sampling.mode != Mode::Native;
    let at = parting.and_then(|p| Some((p.frame, p.codebook?))).filter(|_| shared_noise);
    let cause = at.map(|(t, k)| {
        let codebooks = a.frames[t].len();
        let v = a.logits[t].len() / codebooks;
        let mut noise = TorchNoise::at_frame(a.sampling.seed, t, codebooks, v);
        let mut q = vec![0.0; v];
        (0..=k).for_each(|_| noise.fill(&mut q));
        let row = k * v..(k + 1) * v;
        let tokens = (a.frames[t][k], b.frames[t][k]);
        Cause::of(&b.logits[t][row.clone()], &a.logits[t][row], a.sampling.draw(k), tokens, &q)
    });
    Pair { seed: a.sampling.seed, a: a.sampling.mode, b: b.sampling.mode, parting, cause }
}
