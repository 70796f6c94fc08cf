//! `csm compare`: one text in several modes with several seeds. See [`crate::report`].

use std::path::PathBuf;
use std::sync::Arc;

use super::keep_takes::TakeKeeper;
use super::output::message;
use super::param_args::ParamArgs;
use super::report_args::ReportArgs;
use super::run_job::{cancel_on_signals, observed_step, run_batch, start_worker};
use super::values::{Seeds, mode_parser, parse_seeds};
use super::{ModelArgs, Outcome};
use crate::analysis::divergence::{Divergence, explain};
use crate::analysis::steps::Steps;
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Codes, FinishReason, Mode, Sampling};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::report::{ClipReport, Report, SeedPair, frame_candidates};

/// Seeds whose clips are made side by side; their logits are held until all modes are through.
const SEEDS_AT_ONCE: usize = 4;

/// Flags of `csm compare`.
#[derive(clap::Args, Debug)]
pub struct CompareArgs {
    /// Text to speak in every mode
    #[arg(long, allow_hyphen_values = true)]
    text: String,
    #[command(flatten)]
    model: ModelArgs,
    /// Speaker number of the text
    #[arg(long, value_name = "N", default_value_t = 0)]
    speaker: u32,
    /// Modes to compare [default: all]
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
    /// Keep the clips as takes, for listening tests: in this folder, or in the one that the window shows
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true)]
    takes: Option<Option<PathBuf>>,
    #[command(flatten)]
    output: ReportArgs,
}

/// Generates the clips and compares them.
pub(super) fn run(args: &CompareArgs) -> Result<Outcome> {
    let checkpoint = Arc::new(args.model.open()?);
    args.output.check(checkpoint.tensors.paths())?;
    let model = &checkpoint.info;
    model.check_speaker("speaker", args.speaker)?;
    let all = || Mode::all().iter().map(|m| m.mode).collect();
    let mut modes = if args.modes.is_empty() { all() } else { args.modes.clone() };
    modes.dedup();
    let max_frames = model.dims.frames_in(args.max_audio_length_ms as f64 / 1_000.0);
    if max_frames == 0 {
        return Err(Error::invalid("max_audio_length_ms", "at least one frame", args.max_audio_length_ms));
    }
    let mut takes = TakeKeeper::open(args.takes.as_ref(), &checkpoint)?;
    let worker = start_worker(&checkpoint)?;
    let (mut clips, mut pairs) = (Vec::new(), Vec::new());
    let cancel = cancel_on_signals();
    for seeds in args.seeds.0.chunks(SEEDS_AT_ONCE) {
        let mut of_seeds: Vec<SeedClips> = seeds.iter().map(|_| SeedClips::default()).collect();
        for mode in &modes {
            let spec = clip_spec(args, &checkpoint, *mode, seeds[0])?;
            let request = GenerationRequest::new(&spec, checkpoint.prompt(&spec)?, max_frames).observed();
            let mut steps = vec![Steps::default(); seeds.len()];
            let made = run_batch(&worker, request, seeds, cancel.clone(), |n, event| {
                observed_step(event).into_iter().for_each(|step| steps[n].push(step));
            })?;
            for ((made, steps), of_seed) in made.into_iter().zip(steps).zip(&mut of_seeds) {
                if let Some(takes) = &mut takes {
                    takes.keep(&made)?;
                }
                let mut clip = made.clip;
                clip.origin.model = Some(checkpoint.id()?);
                let Some(sampling) = clip.origin.sampling.filter(|_| clip.stop != Some(FinishReason::Cancelled)) else {
                    continue; // a part of a clip cannot be compared with whole ones
                };
                let name = format!("{}, seed {}", mode.name(), sampling.seed);
                let frames = clip.codes.frames().zip(steps.iter());
                let candidates =
                    frames.map(|(codes, step)| frame_candidates(&step.logits, codes, &step.sampling)).collect();
                let stats = Ok(steps.stats());
                of_seed.reports.push(args.output.clip_report(name, &clip, stats, candidates, model, &cancel)?);
                let observed = ObservedClip { sampling, codes: clip.codes, steps };
                of_seed.pairs.extend(of_seed.clips.iter().map(|before| compare_pair(before, &observed)));
                of_seed.clips.push(observed);
            }
            if cancel.is_cancelled() {
                break;
            }
        }
        for of_seed in of_seeds {
            clips.extend(of_seed.reports);
            pairs.extend(of_seed.pairs);
        }
        if cancel.is_cancelled() {
            break;
        }
    }
    clips.retain(|c| !c.codes.is_empty());
    if clips.is_empty() && cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    if clips.is_empty() {
        return Err(Error::invalid(
            "text",
            "a text that the model speaks",
            "the model stopped before the first frame with every seed",
        ));
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

/// The clips of one seed.
#[derive(Default)]
struct SeedClips {
    clips: Vec<ObservedClip>,
    reports: Vec<ClipReport>,
    pairs: Vec<SeedPair>,
}

/// A clip with its steps.
struct ObservedClip {
    sampling: Sampling,
    codes: Codes,
    steps: Steps,
}

fn compare_pair(a: &ObservedClip, b: &ObservedClip) -> SeedPair {
    let divergence = Divergence::between(&a.codes, &b.codes);
    let draw = divergence.and_then(|d| Some((d.frame, d.codebook?)));
    let draw = draw.filter(|_| a.sampling.shares_noise_with(&b.sampling));
    let cause = draw.map(|(t, k)| {
        let tokens = (a.codes.frame(t)[k], b.codes.frame(t)[k]);
        explain(&a.sampling, (t, k), &b.steps[t].logits, &a.steps[t].logits, tokens)
    });
    SeedPair { seed: a.sampling.seed, a: a.sampling.mode, b: b.sampling.mode, divergence, cause }
}
