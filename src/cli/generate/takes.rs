//! One text with several seeds, one file per seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::GenerateArgs;
use super::plan::GeneratePlan;
use super::speaker::{Speaker, SpokenClips, marked};
use crate::checkpoint::Checkpoint;
use crate::cli::Outcome;
use crate::cli::output::{is_stdout, message};
use crate::cli::values::Seeds;
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
    let mut speaker = Speaker::start(args, checkpoint)?;
    let context = speaker.context(&plan)?;
    let Some(next) = speaker.next_piece(&mut plan.narration(&context))? else { return Ok(Outcome::Done) };
    let next = speaker.with_retake(&plan, next)?;
    let mut outcome = Outcome::Done;
    // Written batch by batch: a failure loses nothing that was made before it.
    for part in seeds.chunks(BATCH) {
        let clips = speaker.speak_batch(next.clone(), part)?;
        if save_clips(args, &mut speaker, &mut plan, part, clips)? {
            outcome = Outcome::Cancelled;
            break;
        }
    }
    Ok(outcome)
}

/// Writes the clips of `seeds`; whether one of them was cancelled.
fn save_clips(
    args: &GenerateArgs,
    speaker: &mut Speaker<'_>,
    plan: &mut GeneratePlan,
    seeds: &[u64],
    clips: Vec<GeneratedClip>,
) -> Result<bool> {
    let (mut cancelled, mut failure) = (false, None);
    let mut succeeds = |result: Result<()>| match (result, &failure) {
        (Ok(()), _) => true,
        (Err(e), None) => {
            failure = Some(e);
            false
        }
        (Err(e), Some(_)) => {
            message!("error: {e}");
            false
        }
    };
    // Every seed's sound is written before anything else, whatever fails: what its file cannot take goes to the temporary folder.
    let spoken = |made: &GeneratedClip| !made.clip.codes.is_empty();
    let written: Vec<bool> = seeds
        .iter()
        .zip(&clips)
        .map(|(seed, made)| spoken(made) && succeeds(speaker.save_audio(&of_seed(&args.output, *seed), &made.clip)))
        .collect();
    for ((seed, made), written) in seeds.iter().zip(clips).zip(written) {
        let mut clips = SpokenClips::default();
        if spoken(&made) {
            if let Some(tokens) = &args.dump_tokens {
                succeeds(speaker.save_tokens(&of_seed(tokens, *seed), &made.clip));
            }
            succeeds(speaker.keep_take(&made));
            plan.sampling = made.clip.origin.sampling.unwrap_or(plan.sampling);
            clips.add(made);
            if written {
                speaker.print_summary(&of_seed(&args.output, *seed), plan, &clips)?;
            }
        } else {
            message!("warning: seed {seed}: no audio was generated and no file was written");
            clips.add(made);
        }
        cancelled |= clips.was_cancelled();
    }
    failure.map_or(Ok(cancelled), Err)
}
