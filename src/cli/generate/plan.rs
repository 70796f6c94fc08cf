//! From flags to usable values.

use std::path::PathBuf;

use super::Args;
use crate::checkpoint::Checkpoint;
use crate::cli::{read_stdin, warn_of_other_model};
use crate::error::{Error, Result};
use crate::prompt::{Frame, Segment};
use crate::recipe::Recipe;
use crate::sampling::{Mode, Sampling};
use crate::text::sentences;
use crate::tokens::{Edit, TokenFile};

/// Usable values, made of the flags and checked.
pub(super) struct Plan {
    pub(super) texts: Vec<String>,
    pub(super) speaker: u32,
    pub(super) sampling: Sampling,
    pub(super) max_frames: usize,
    pub(super) context: Vec<(PathBuf, String, u32)>,
    /// Turns whose codes are known, before those of `context`.
    pub(super) turns: Vec<Segment>,
    pub(super) forced: Option<Vec<Frame>>,
    pub(super) edits: Vec<Edit>,
}

impl Plan {
    pub(super) fn new(args: &Args, checkpoint: &Checkpoint) -> Result<Self> {
        let (k, v) = (checkpoint.config.num_codebooks, checkpoint.config.vocab_size);
        let read = |path: &Option<PathBuf>| path.as_ref().map(|f| TokenFile::read(f, k, v)).transpose();
        let again = again(args, checkpoint)?;
        let texts = match (&args.text, &again) {
            (Some(text), _) => vec![text.clone()],
            (None, Some(again)) => vec![again.text.clone()],
            (None, None) => sentences(&read_stdin()?),
        };
        if texts.iter().all(|t| !t.chars().any(char::is_alphanumeric)) {
            let name = if args.stdin { "--stdin" } else { "--text" };
            return Err(Error::value(name, "something to say (a letter or digit at least)", "nothing"));
        }
        let speaker = match (&args.voice, &again) {
            (Some(name), _) => checkpoint.speaker_of(name)?,
            (None, Some(again)) => again.speaker,
            (None, None) => args.speaker,
        };
        checkpoint.check_speaker("--speaker", speaker)?;
        let frame_ms = 1_000.0 / checkpoint.config.codec_config.frame_rate();
        let max_frames = (args.max_audio_length_ms as f64 / frame_ms) as usize;
        if max_frames == 0 {
            let expected = format!("at least {frame_ms:.0} (one frame)");
            return Err(Error::value("--max-audio-length-ms", expected, args.max_audio_length_ms));
        }
        let sampling = sampling(args, checkpoint, again.as_ref().map(|a| a.sampling))?;
        let (turns, edits) = again.map(|a| (a.context, a.edits)).unwrap_or_default();
        Ok(Self {
            texts,
            speaker,
            sampling,
            max_frames,
            context: context(args, checkpoint)?,
            turns,
            forced: read(&args.force_tokens)?.map(|f| f.frames),
            edits: read(&args.edits)?.map_or(edits, |f| f.edits),
        })
    }

    /// Text `n` after `context`; every text has a seed of its own.
    pub(super) fn recipe(&self, context: &[Segment], n: usize) -> Recipe {
        let seed = self.sampling.seed.wrapping_add(n as u64);
        Recipe {
            text: self.texts[n].clone(),
            speaker: self.speaker,
            context: context.to_vec(),
            sampling: Sampling { seed, ..self.sampling },
            edits: self.edits.clone(),
        }
    }
}

/// The recipe in the token file of `--again`.
fn again(args: &Args, checkpoint: &Checkpoint) -> Result<Option<Recipe>> {
    let Some(path) = &args.again else { return Ok(None) };
    let file = TokenFile::read(path, checkpoint.config.num_codebooks, checkpoint.config.vocab_size)?;
    warn_of_other_model(path, &file, checkpoint);
    Recipe::of(&file, path).map(Some)
}

/// Settings: the flags, where there are none those of `before`, else what the checkpoint suggests.
fn sampling(args: &Args, checkpoint: &Checkpoint, before: Option<Sampling>) -> Result<Sampling> {
    let mode = mode(args)?.or(before.map(|s| s.mode)).unwrap_or_default();
    let precision = match (args.precision, before) {
        (Some(precision), _) => precision,
        (None, Some(s)) if s.mode == mode => s.precision,
        _ => mode.precision(checkpoint.tensors.dtype()),
    };
    let seed = args.seed.or(before.map(|s| s.seed)).map_or_else(drawn_seed, Ok)?;
    let vocab = checkpoint.config.vocab_size;
    let mut s = match before {
        Some(before) => Sampling { mode, seed, precision, ..before },
        None => Sampling::suggested(&checkpoint.generation, mode, seed, precision, vocab),
    };
    if let Some(t) = args.temperature {
        (s.temperature, s.depth_temperature) = (t, t);
    }
    if let Some(k) = args.topk {
        (s.topk, s.depth_topk) = (k, k);
    }
    s.depth_temperature = args.depth_temperature.unwrap_or(s.depth_temperature);
    s.depth_topk = args.depth_topk.unwrap_or(s.depth_topk);
    s.guard = args.guard_range.or(s.guard);
    s.check(vocab)?;
    Ok(s)
}

/// The mode, from the flag or its ancestors; two different choices are an error.
fn mode(args: &Args) -> Result<Option<Mode>> {
    let choices =
        [args.sampling, args.use_exact_sampling.then_some(Mode::Exact), args.pytorch_tokens.then_some(Mode::Hybrid)];
    let mut chosen = choices.into_iter().flatten();
    let first = chosen.next();
    match (first, chosen.find(|m| Some(*m) != first)) {
        (Some(first), Some(other)) => {
            Err(Error::value("--sampling", "one mode", format!("{} and {}", first.name(), other.name())))
        }
        _ => Ok(first),
    }
}

fn drawn_seed() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::Unavailable {
        what: format!("the system gives no random number ({e})"),
        mend: "name one with --seed".into(),
    })
}

fn context(args: &Args, checkpoint: &Checkpoint) -> Result<Vec<(PathBuf, String, u32)>> {
    let (audio, text, speaker) = (&args.context_audio, &args.context_text, &args.context_speaker);
    if audio.len() != text.len() || text.len() != speaker.len() {
        let got = format!("{} files, {} texts, {} speakers", audio.len(), text.len(), speaker.len());
        return Err(Error::value("--context-audio, --context-text, --context-speaker", "as many of each", got));
    }
    for n in speaker {
        checkpoint.check_speaker("--context-speaker", *n)?;
    }
    Ok(audio.iter().zip(text).zip(speaker).map(|((a, t), s)| (a.clone(), t.clone(), *s)).collect())
}
