//! From flags to usable values.

use std::path::{Path, PathBuf};

use super::GenerateArgs;
use crate::checkpoint::Checkpoint;
use crate::cli::output::message;
use crate::cli::{read_stdin, warn_of_other_model};
use crate::data::{
    Clip, ClipSpec, Codes, Edit, Mode, PromptStyle, Sampling, TokenFile, Turn, is_speakable, random_seed,
};
use crate::engine::Narration;
use crate::error::{Error, Result};
use crate::text::{Piece, Pronunciations};
use crate::voices::VoiceNotes;

/// A recording or token file to be used as context.
pub(super) struct ContextFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) speaker: u32,
}

/// Longest text on the command line, characters.
const LONGEST_ARGUMENT: usize = 2_000;
/// Usable values, made of the flags and checked.
pub(super) struct GeneratePlan {
    pub(super) pieces: Vec<Piece>,
    /// Whether a piece that does not fit may be cut.
    pub(super) can_be_cut: bool,
    pub(super) sampling: Sampling,
    pub(super) max_frames: usize,
    pub(super) context: Vec<ContextFile>,
    /// Turns whose codes are known, before those of `context`.
    pub(super) turns: Vec<Turn>,
    pub(super) forced: Option<Codes>,
    pub(super) edits: Vec<Edit>,
    pub(super) prompt_style: PromptStyle,
    /// The clip of which a word is spoken again, without its sound, and the seed of the word.
    pub(super) retaken: Option<(Clip, u64)>,
}

impl GeneratePlan {
    pub(super) fn new(args: &GenerateArgs, checkpoint: &Checkpoint) -> Result<Self> {
        let dims = checkpoint.dims();
        let read = |path: &Option<PathBuf>| path.as_ref().map(|f| TokenFile::read(f, &dims)).transpose();
        let again = read_again(args, checkpoint)?;
        let speaker = match (&args.voice, &again) {
            (Some(name), _) => Some(checkpoint.info.speaker_named(name)?),
            (None, Some(again)) => Some(again.speaker),
            (None, None) => args.speaker,
        };
        // Teacher forcing, edits and seeds are about one clip.
        let whole = args.whole
            || args.seeds.is_some()
            || again.is_some()
            || args.force_tokens.is_some()
            || args.edits.is_some();
        let text = match (&args.text, &again) {
            (Some(text), _) => text.clone(),
            (None, Some(again)) => again.text.clone(),
            (None, None) => read_stdin()?,
        };
        let characters = text.chars().count();
        if args.text.is_some() && characters > LONGEST_ARGUMENT {
            let expected =
                format!("at most {LONGEST_ARGUMENT} characters (--stdin speaks longer texts, also from a file)");
            return Err(Error::invalid("text", expected, format!("{characters} characters")));
        }
        let pronunciations = match &args.pronunciations {
            Some(path) => Pronunciations::read(path)?,
            None => Pronunciations::default(),
        };
        let script = match whole {
            true => checkpoint.verbatim_script(&text, speaker.unwrap_or(0), &pronunciations),
            false => checkpoint.script(&text, speaker.unwrap_or(0), speaker.is_some(), &pronunciations),
        }?;
        for text in &script.messages {
            message!("warning: {text}");
        }
        let pieces = &script.pieces;
        if !pieces.iter().any(|piece| is_speakable(&piece.text)) {
            let field = if args.stdin { "stdin" } else { "text" };
            return Err(Error::invalid(field, "something to say (at least a letter or digit)", "nothing"));
        }
        for piece in pieces {
            checkpoint.info.check_speaker("speaker", piece.speaker)?;
            checkpoint.check_text("text", &piece.text)?;
        }
        if pieces.len() > 1 {
            message!(
                "note: spoken in {} pieces, each with the one before it as context; --whole speaks a text at once",
                pieces.len()
            );
        }
        let max_frames = dims.frames_in(args.max_audio_length_ms as f64 / 1_000.0);
        if max_frames == 0 {
            let expected = format!("at least {:.0} (one frame)", 1_000.0 * dims.seconds(1));
            return Err(Error::invalid("max_audio_length_ms", expected, args.max_audio_length_ms));
        }
        let before = again.as_ref().map(|a| a.sampling);
        let mut sampling = sampling(args, checkpoint, before)?;
        let retaken = match (&args.retake_word, &args.again, before) {
            // The seed of the command is the word's; the clip keeps its own.
            (Some(_), Some(path), Some(before)) => {
                let seed = if args.seed.is_some() { sampling.seed } else { random_seed()? };
                sampling.seed = before.seed;
                Some((TokenFile::read(path, &dims)?.into_clip(Vec::new(), dims.sample_rate), seed))
            }
            _ => None,
        };
        let prompt_style = args.prompt_style.or(again.as_ref().map(|a| a.prompt_style)).unwrap_or_default();
        let (turns, edits) = again.map(|a| (a.context, a.edits)).unwrap_or_default();
        Ok(Self {
            pieces: script.pieces,
            can_be_cut: !whole,
            sampling,
            max_frames,
            context: context_files(args, checkpoint)?,
            turns,
            forced: read(&args.force_tokens)?.map(|f| f.frames),
            edits: read(&args.edits)?.map_or(edits, |f| f.edits),
            prompt_style,
            retaken,
        })
    }

    /// The narration of the pieces after `context`.
    pub(super) fn narration(&self, context: &[Turn]) -> Narration {
        let spec = ClipSpec {
            text: String::new(),
            speaker: 0,
            context: context.to_vec(),
            prompt_style: self.prompt_style,
            sampling: self.sampling,
            edits: self.edits.clone(),
        };
        Narration::new(spec, self.pieces.clone(), self.max_frames, self.can_be_cut)
    }

    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// The clip of the token file to make again.
fn read_again(args: &GenerateArgs, checkpoint: &Checkpoint) -> Result<Option<ClipSpec>> {
    let Some(path) = &args.again else { return Ok(None) };
    let file = TokenFile::read(path, &checkpoint.dims())?;
    warn_of_other_model(path, &file, checkpoint)?;
    file.clip_spec(path).map(Some)
}

/// Settings: the flags', else those of `before`, else what the checkpoint suggests.
fn sampling(args: &GenerateArgs, checkpoint: &Checkpoint, before: Option<Sampling>) -> Result<Sampling> {
    let mode = mode(args)?.or(before.map(|s| s.mode)).unwrap_or_default();
    let first = args.seeds.as_ref().and_then(|seeds| seeds.0.first().copied());
    let seed = args.seed.or(first).or(before.map(|s| s.seed)).map_or_else(random_seed, Ok)?;
    let suggested = checkpoint.suggested_sampling(mode, seed);
    let mut sampling = match before {
        Some(before) if before.mode == mode => Sampling { seed, ..before },
        Some(before) => Sampling { mode, seed, precision: suggested.precision, ..before },
        None => suggested,
    };
    args.params.apply(&mut sampling);
    sampling.precision = args.precision.unwrap_or(sampling.precision);
    sampling.guard = args.guard_range.or(sampling.guard);
    sampling.check(&checkpoint.dims())?;
    Ok(sampling)
}

/// The mode, from the flag or its ancestors; two different choices are an error.
fn mode(args: &GenerateArgs) -> Result<Option<Mode>> {
    let choices =
        [args.sampling, args.use_exact_sampling.then_some(Mode::Exact), args.pytorch_tokens.then_some(Mode::Hybrid)];
    let mut chosen = choices.into_iter().flatten();
    let first = chosen.next();
    match (first, chosen.find(|m| Some(*m) != first)) {
        (Some(first), Some(other)) => {
            Err(Error::invalid("sampling", "one mode", format!("{} and {}", first.name(), other.name())))
        }
        _ => Ok(first),
    }
}

fn context_files(args: &GenerateArgs, checkpoint: &Checkpoint) -> Result<Vec<ContextFile>> {
    let (audio, text, speaker) = (&args.context_audio, &args.context_text, &args.context_speaker);
    if text.is_empty() && speaker.is_empty() {
        return audio.iter().map(|path| context_of_voice(path, checkpoint)).collect();
    }
    if audio.len() != text.len() || text.len() != speaker.len() {
        let got = format!("{} files, {} texts, {} speakers", audio.len(), text.len(), speaker.len());
        return Err(Error::invalid(
            "--context-audio, --context-text, --context-speaker",
            "an equal number of each",
            got,
        ));
    }
    for n in speaker {
        checkpoint.info.check_speaker("context_speaker", *n)?;
    }
    let file = |((path, text), speaker): ((&PathBuf, &String), &u32)| ContextFile {
        path: path.clone(),
        text: text.clone(),
        speaker: *speaker,
    };
    Ok(audio.iter().zip(text).zip(speaker).map(file).collect())
}

/// A recording that carries its text and speaker.
fn context_of_voice(path: &Path, checkpoint: &Checkpoint) -> Result<ContextFile> {
    let Some(notes) = VoiceNotes::read(path).filter(|notes| !notes.text.is_empty()) else {
        let expected = "both for each file, unless the file is a voice saved by the window, or a take";
        let got = format!("none for {}", path.display());
        return Err(Error::invalid("--context-text and --context-speaker", expected, got));
    };
    checkpoint.info.check_speaker("context_speaker", notes.speaker)?;
    Ok(ContextFile { path: path.to_owned(), text: notes.text, speaker: notes.speaker })
}
