//! `csm compare`: one text in several modes with several seeds. See [`crate::report`].

use std::sync::Arc;

use super::output::message;
use super::param_args::ParamArgs;
use super::report_args::ReportArgs;
use super::run_job::{cancel_on_signals, run_observed, start_worker};
use super::values::mode_parser;
use super::{ModelArgs, Outcome};
use crate::analysis::divergence::{Divergence, explain};
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Codes, FinishReason, Logits, Mode, Sampling, TokenFile};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::report::{ClipReport, Report, SeedPair};

/// Flags of `csm compare`.
#[derive(clap::Args, Debug)]
pub struct CompareArgs {
    /// What to say
    #[arg(long, allow_hyphen_values = true)]
    text: String,
    #[command(flatten)]
    model: ModelArgs,
    /// Who says it
    #[arg(long, value_name = "N", default_value_t = 0)]
    speaker: u32,
    /// Modes [default: all]
    #[arg(long, value_parser = mode_parser(), value_name = "MODE,…", value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Seeds: `0..9` (both ends included), or `3,5,8`
    #[arg(long, value_name = "A..B", default_value = "0..9", value_parser = parse_seeds)]
    seeds: Seeds,
    #[command(flatten)]
    params: ParamArgs,
    /// Maximum length of a clip
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    max_audio_length_ms: u64,
    #[command(flatten)]
    output: ReportArgs,
}

#[derive(Clone, Debug)]
struct Seeds(Vec<u64>);

fn parse_seeds(text: &str) -> Result<Seeds, String> {
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

/// Generates the clips and compares them.
pub(super) fn run(args: &CompareArgs) -> Result<Outcome> {
    let checkpoint = Arc::new(args.model.open()?);
    let model = &checkpoint.info;
    model.check_speaker("speaker", args.speaker)?;
    let all = || Mode::all().iter().map(|m| m.mode).collect();
    let mut modes = if args.modes.is_empty() { all() } else { args.modes.clone() };
    modes.dedup();
    let max_frames = model.dims.frames_in(args.max_audio_length_ms as f64 / 1_000.0);
    if max_frames == 0 {
        return Err(Error::invalid("max_audio_length_ms", "at least one frame", args.max_audio_length_ms));
    }
    let worker = start_worker(&checkpoint)?;
    let (mut clips, mut pairs) = (Vec::new(), Vec::new());
    let cancel = cancel_on_signals();
    'all: for seed in &args.seeds.0 {
        let mut of_seed: Vec<ObservedClip> = Vec::new();
        for mode in &modes {
            let spec = clip_spec(args, &checkpoint, *mode, *seed)?;
            let request = GenerationRequest::new(&spec, checkpoint.prompt_of(&spec)?, max_frames);
            let (mut steps, mut logits) = (Vec::new(), Vec::new());
            let clip = run_observed(
                &worker,
                GenerationRequest { observe: true, ..request },
                cancel.clone(),
                |_, stats, frame| {
                    steps.push(stats);
                    logits.push(frame);
                },
            )?;
            if clip.stop == FinishReason::Cancelled {
                // A part of a clip cannot be compared with whole ones.
                break 'all;
            }
            let frames = clip.frames.clone();
            let file = TokenFile::new(&spec, checkpoint.id()?, &model.dims, clip.sampling, clip.stop, frames);
            let name = format!("{}, seed {seed}", mode.name());
            clips.push(ClipReport::new(name, file, Ok(steps), Some(&clip.audio), model));
            let observed = ObservedClip { sampling: spec.sampling, frames: clip.frames, logits };
            pairs.extend(of_seed.iter().map(|before| compare_pair(before, &observed)));
            of_seed.push(observed);
        }
    }
    clips.retain(|c| !c.codes.is_empty());
    if clips.is_empty() && cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    if clips.is_empty() {
        return Err(Error::invalid("text", "a text that the model speaks", "an end at once with every seed"));
    }
    let outcome = args.output.write_report(&Report { pairs, ..Report::new((**model).clone(), clips) })?;
    if !cancel.is_cancelled() {
        return Ok(outcome);
    }
    message!("cancelled; the report has the clips that were made until then");
    Ok(Outcome::Cancelled)
}

fn clip_spec(args: &CompareArgs, checkpoint: &Checkpoint, mode: Mode, seed: u64) -> Result<ClipSpec> {
    let mut sampling = checkpoint.suggested_sampling(mode, seed);
    args.params.apply(&mut sampling);
    sampling.check(&checkpoint.dims())?;
    Ok(ClipSpec::new(&*args.text, args.speaker, sampling))
}

/// A clip with the logits of each frame.
struct ObservedClip {
    sampling: Sampling,
    frames: Codes,
    logits: Vec<Logits>,
}

fn compare_pair(a: &ObservedClip, b: &ObservedClip) -> SeedPair {
    let divergence = Divergence::between(&a.frames, &b.frames);
    let draw = divergence.and_then(|d| Some((d.frame, d.codebook?)));
    let draw = draw.filter(|_| a.sampling.shares_noise_with(&b.sampling));
    let cause = draw.map(|(t, k)| {
        let tokens = (a.frames.frame(t)[k], b.frames.frame(t)[k]);
        explain(&a.sampling, (t, k), &b.logits[t], &a.logits[t], tokens)
    });
    SeedPair { seed: a.sampling.seed, a: a.sampling.mode, b: b.sampling.mode, divergence, cause }
}
