//! One text with several seeds, a file for each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::GenerateArgs;
use super::plan::GeneratePlan;
use super::speaker::{Speaker, SpokenClips, marked};
use crate::checkpoint::Checkpoint;
use crate::cli::Outcome;
use crate::cli::output::{is_stdout, message};
use crate::cli::values::Seeds;
use crate::data::{ClipSpec, Sampling};
use crate::error::{Error, Result};
use crate::worker::{BATCH, GeneratedClip};

/// Where `path` is written: once, or once for each seed.
pub(super) fn paths(path: &Path, seeds: Option<&Seeds>) -> Vec<PathBuf> {
    match seeds {
        None => vec![path.to_owned()],
        Some(seeds) => seeds.0.iter().map(|seed| of_seed(path, *seed)).collect(),
    }
}

fn of_seed(path: &Path, seed: u64) -> PathBuf {
    marked(path, &format!("-seed{seed}"))
}

/// Speaks the text once with each of `seeds`.
pub(super) fn speak(
    args: &GenerateArgs,
    mut plan: GeneratePlan,
    checkpoint: Arc<Checkpoint>,
    seeds: &[u64],
) -> Result<Outcome> {
    if is_stdout(&args.output) {
        return Err(Error::invalid("output", "a file name, as there is a file for each seed", "-"));
    }
    let speaker = Speaker::start(args, checkpoint)?;
    let context = speaker.context(&plan)?;
    let Some(piece) = plan.pieces.first().cloned() else { return Ok(Outcome::Done) };
    let spec = plan.clip_spec(&context, &piece, 0);
    let mut outcome = Outcome::Done;
    // Written batch by batch: a failure loses nothing that was made before it.
    for part in seeds.chunks(BATCH) {
        let clips = speaker.speak_batch(&plan, &spec, part)?;
        if save_clips(args, &speaker, &mut plan, &spec, part, clips)? {
            outcome = Outcome::Cancelled;
            break;
        }
    }
    Ok(outcome)
}

/// Writes the clips of `seeds`; whether one of them was cancelled.
fn save_clips(
    args: &GenerateArgs,
    speaker: &Speaker<'_>,
    plan: &mut GeneratePlan,
    spec: &ClipSpec,
    seeds: &[u64],
    clips: Vec<GeneratedClip>,
) -> Result<bool> {
    let mut cancelled = false;
    for (seed, clip) in seeds.iter().zip(clips) {
        let mut spoken = SpokenClips::default();
        if !clip.frames.is_empty() {
            let path = of_seed(&args.output, *seed);
            speaker.save_audio(&path, spec, &clip)?;
            if let Some(tokens) = &args.dump_tokens {
                speaker.save_tokens(&of_seed(tokens, *seed), spec, &clip)?;
            }
            plan.sampling = Sampling { seed: clip.sampling.seed, ..plan.sampling };
            spoken.add(clip);
            speaker.print_summary(&path, plan, &spoken)?;
        } else {
            message!("warning: seed {seed}: nothing was said and nothing is written");
            spoken.add(clip);
        }
        cancelled |= spoken.was_cancelled();
    }
    Ok(cancelled)
}
