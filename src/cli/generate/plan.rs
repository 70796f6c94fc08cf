//! From flags to usable values.

use std::path::{Path, PathBuf};

use super::Args;
use crate::checkpoint::{Checkpoint, Dtype};
use crate::cli::read_stdin;
use crate::error::{Error, Result};
use crate::prompt::{Frame, Segment};
use crate::sampling::{Mode, Sampling};
use crate::text::sentences;
use crate::tokens::{ContextTurn, Edit, TokenFile};

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
        let again = read(&args.again)?.map(|file| Again::new(file, args, checkpoint)).transpose()?;
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
}

/// What a token file says about how its clip was made.
struct Again {
    text: String,
    speaker: u32,
    sampling: Sampling,
    context: Vec<Segment>,
    edits: Vec<Edit>,
}

impl Again {
    fn new(file: TokenFile, args: &Args, checkpoint: &Checkpoint) -> Result<Self> {
        let path = args.again.as_deref().unwrap_or(Path::new(""));
        let lacks =
            |what: &str| Error::file(path, format!("expected a token file with {what}, as --dump-tokens writes it"));
        if let Some(model) = &file.model
            && model.sha256 != checkpoint.sha256()
        {
            eprintln!(
                "warning: {} was made by another model ({}): its clip will not be the same",
                path.display(),
                model.name
            );
        }
        let turn = |t: ContextTurn| Segment { speaker: t.speaker, text: t.text, frames: t.frames };
        Ok(Self {
            text: file.text.ok_or_else(|| lacks("text"))?,
            speaker: file.speaker.ok_or_else(|| lacks("speaker"))?,
            sampling: file.sampling.ok_or_else(|| lacks("sampling"))?,
            context: file.context.into_iter().map(turn).collect(),
            edits: file.edits,
        })
    }
}

/// Settings: the flags, where there are none those of `before`, else what the checkpoint suggests.
fn sampling(args: &Args, checkpoint: &Checkpoint, before: Option<Sampling>) -> Result<Sampling> {
    let mode = mode(args)?.or(before.map(|s| s.mode)).unwrap_or_default();
    let precision = match (args.precision, before) {
        (Some(precision), _) => precision,
        (None, Some(s)) if s.mode == mode => s.precision,
        _ if mode == Mode::Native => checkpoint.tensors.dtype(),
        _ => Dtype::Float32,
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
