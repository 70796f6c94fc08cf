//! `csm generate`, alias `csm-generate-mlx`: [`plan`] makes usable values of the flags, [`speaker`] runs them, [`takes`] for
//! several seeds.

mod plan;
mod speaker;
mod takes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgGroup;

use self::plan::GeneratePlan;
use self::speaker::{Speaker, SpokenClips, save_wav};
use super::align::format_of;
use super::output::{check_apart, check_folders, check_wav_name, is_stdout, print_line};
use super::param_args::ParamArgs;
use super::values::{
    Seeds, WordChoice, dtype_parser, mode_parser, parse_guard, parse_seconds, parse_seeds, style_parser,
};
use super::{ModelArgs, Outcome};
use crate::audio::wav::WavInfo;
use crate::audio::wav_stream::{WavStream, unfinished};
use crate::checkpoint::Checkpoint;
use crate::cli::output::message;
use crate::data::{Dtype, Mode, PromptStyle, RangeGuard, TokenFile, Turn};
use crate::error::Result;

/// Flags of `csm generate`.
#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["text", "stdin", "decode_tokens", "again"]))]
pub struct GenerateArgs {
    /// Text to speak. A longer text is spoken in pieces into one file, sentence by sentence, each with the one before it as
    /// context. `[1]` at the start of a line is its speaker if the text begins with one. Marks of Markdown, HTML, quoted mail and
    /// subtitles are not spoken
    #[arg(long, allow_hyphen_values = true)]
    text: Option<String>,
    /// Read the text from standard input
    #[arg(long)]
    stdin: bool,
    /// Words that are spoken as this list says: a line for each, `written = spoken`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["decode_tokens", "again"])]
    pronunciations: Option<PathBuf>,
    /// Speak the text at once, as it is, not in pieces
    #[arg(long)]
    whole: bool,
    #[command(flatten)]
    model: ModelArgs,
    /// Speaker number [default: 0]
    #[arg(long, value_name = "N", conflicts_with = "voice")]
    speaker: Option<u32>,
    /// Speaker by name (see `csm voices`)
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// The WAV file to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "audio.wav")]
    output: PathBuf,
    /// Turns before this one: a recording (WAV, FLAC, MP3, M4A, Ogg, AIFF), or a token file whose codes are used unchanged
    #[arg(long, value_name = "FILE", num_args = 1..)]
    context_audio: Vec<PathBuf>,
    /// Text of each recording; voices that the window saved, and takes, carry their text and speaker
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    context_text: Vec<String>,
    /// Speaker number of each recording
    #[arg(long, value_name = "N", num_args = 1..)]
    context_speaker: Vec<u32>,
    /// Take only the first seconds of longer recordings
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    context_trim: Option<f64>,
    /// How text and context become a prompt: segments (Sesame's), or voice-match (mlx-audio's: the text follows the text of the
    /// one context turn, and the speech its audio) [default: segments]
    #[arg(long, value_name = "STYLE", value_parser = style_parser())]
    prompt_style: Option<PromptStyle>,
    /// Longest duration of each piece
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    max_audio_length_ms: u64,
    #[command(flatten)]
    params: ParamArgs,
    /// Seed of the random stream [default: random, printed with the result]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Speak the text once with each of these seeds, side by side: `0..9` (both ends included), or `3,5,8`. Files get the seed
    /// before their extension: audio-seed3.wav
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    #[arg(conflicts_with_all = ["seed", "play", "decode_tokens", "force_tokens", "dump_logits"])]
    seeds: Option<Seeds>,
    /// Sampling mode [default: native]
    #[arg(long, value_parser = mode_parser(), value_name = "MODE")]
    sampling: Option<Mode>,
    /// Shorthand for --sampling exact
    #[arg(long)]
    use_exact_sampling: bool,
    /// Shorthand for --sampling hybrid
    #[arg(long)]
    pytorch_tokens: bool,
    /// Never draw the ids A to B, in any codebook [default: off]
    #[arg(long, value_name = "A-B", value_parser = parse_guard)]
    guard_range: Option<RangeGuard>,
    /// Number type of the language model [default: float32 for exact and hybrid, the checkpoint's for native]
    #[arg(long, value_parser = dtype_parser(), value_name = "TYPE")]
    precision: Option<Dtype>,
    /// Try again with the next seed, up to N times, if a clip repeats itself, falls silent, ends at once or does not end
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Check that every word is spoken once and in its place, and try again with the next seed, up to --retries times. Takes about four
    /// times as long per word as speaking
    #[arg(long, conflicts_with_all = ["seeds", "play", "decode_tokens", "force_tokens", "dump_logits", "retake_word"])]
    check_words: bool,
    /// Play the sound while it is being made
    #[arg(long)]
    play: bool,
    /// Write the tokens to this file (numbered if the text has several pieces)
    #[arg(long, value_name = "FILE")]
    dump_tokens: Option<PathBuf>,
    /// Write the logits to this safetensors file: `logits`, float32 [frames, K, V]
    #[arg(long, value_name = "FILE")]
    dump_logits: Option<PathBuf>,
    /// Write the word times to this file, in the format of its extension: .json, .srt, .vtt or .TextGrid (Praat)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "decode_tokens"])]
    words: Option<PathBuf>,
    /// Also keep each clip as a take, with its tokens: in this folder, or in the one that the window shows
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true, conflicts_with = "decode_tokens")]
    take: Option<Option<PathBuf>>,
    /// Only decode the tokens of this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["context_audio", "force_tokens", "edits", "dump_logits"])]
    decode_tokens: Option<PathBuf>,
    /// Make the clip of this token file again: its text, speaker, context, settings and edits; setting flags override
    #[arg(long, value_name = "FILE", conflicts_with_all = ["context_audio", "edits", "speaker", "voice"])]
    again: Option<PathBuf>,
    /// With --again: speak one word of the clip again with the seed (or each of the seeds), and keep everything around it. The word as it is
    /// written; `WORD:2` is its second occurrence
    #[arg(long, value_name = "WORD[:N]", requires = "again", conflicts_with_all = ["force_tokens", "text", "stdin", "whole", "retries"])]
    retake_word: Option<WordChoice>,
    /// Teacher forcing: take the tokens of this file; logits are still computed
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    force_tokens: Option<PathBuf>,
    /// Apply the `edits` of this token file: tokens that are set, settings that change at a frame
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    edits: Option<PathBuf>,
    /// Print details: sampler, shapes, codes, memory
    #[arg(long)]
    debug: bool,
    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

impl GenerateArgs {
    /// Whether details are to be printed.
    pub(super) fn debug(&self) -> bool {
        self.debug
    }

    /// Prints the result, as JSON or in words; not where standard output is the WAV file.
    fn print_result(&self, json: &serde_json::Value, words: &str) -> Result<()> {
        let line = if self.json { json.to_string() } else { words.to_owned() };
        // Standard output is the sound; whoever redirects both streams into one file must find sound only.
        if is_stdout(&self.output) { Ok(()) } else { print_line(&line) }
    }
}

/// Speaks. A failing piece ends the job; what was spoken before it is written first.
pub(super) fn run(args: &GenerateArgs) -> Result<Outcome> {
    check_wav_name(&args.output)?;
    let checkpoint = Arc::new(args.model.open()?);
    let inputs =
        [&args.decode_tokens, &args.again, &args.force_tokens, &args.edits, &args.pronunciations].into_iter().flatten();
    args.words.as_ref().map(|path| format_of("words", path)).transpose()?;
    let outputs = [Some(&args.output), args.dump_tokens.as_ref(), args.dump_logits.as_ref(), args.words.as_ref()];
    let outputs = outputs.into_iter().flatten();
    let outputs = outputs.flat_map(|path| takes::paths(path, args.seeds.as_ref()));
    let outputs: Vec<PathBuf> = outputs.collect();
    let inputs = inputs.chain(&args.context_audio).map(PathBuf::as_path).chain(checkpoint.tensors.paths());
    check_apart(outputs.iter().map(PathBuf::as_path), inputs)?;
    check_folders(&outputs)?;
    if let Some(path) = &args.decode_tokens {
        return decode(args, &checkpoint, path);
    }
    let plan = GeneratePlan::new(args, &checkpoint)?;
    if let Some(seeds) = &args.seeds {
        return takes::speak(args, plan, checkpoint, &seeds.0);
    }
    for left in unfinished(&args.output) {
        let file = left.display();
        message!(
            "note: {file} is the sound of an earlier run that ended early; rename it to .wav to play it, or delete it"
        );
    }
    let mut output = WavStream::create(&args.output, checkpoint.dims().sample_rate)?;
    let mut speaker = Speaker::start(args, checkpoint)?;
    let context = speaker.context(&plan)?;
    speaker.expect(&plan);
    let mut spoken = SpokenClips::default();
    let failure = speak_all(&mut speaker, &plan, &context, &mut output, &mut spoken).err();
    if spoken.frames == 0 {
        return failure.map_or_else(|| Ok(no_audio(&plan, &spoken)), Err);
    }
    let written = speaker.finish(output, &plan).and(speaker.write_words(&spoken));
    speaker.finish_playing();
    written?;
    speaker.print_summary(&args.output, &plan, &spoken)?;
    match failure {
        Some(e) => Err(e),
        None if spoken.was_cancelled() => Ok(Outcome::Cancelled),
        None => Ok(Outcome::Done),
    }
}

fn speak_all(
    speaker: &mut Speaker<'_>,
    plan: &GeneratePlan,
    context: &[Turn],
    output: &mut WavStream,
    spoken: &mut SpokenClips,
) -> Result<()> {
    let mut narration = plan.narration(context);
    let mut n = 0;
    while let Some(next) = speaker.next_piece(&mut narration)? {
        let made = speaker.speak(plan, next, n)?;
        output.push(&made.clip.audio)?;
        narration.spoken(&made.clip.codes);
        let written = speaker.write_tokens(plan, &made.clip, n).and(speaker.keep_take(&made));
        spoken.add(made);
        written?;
        if spoken.was_cancelled() {
            break;
        }
        n += 1;
    }
    Ok(())
}

fn no_audio(plan: &GeneratePlan, spoken: &SpokenClips) -> Outcome {
    if spoken.was_cancelled() {
        message!("cancelled before the first frame; no file was written");
        return Outcome::Cancelled;
    }
    message!(
        "error: no audio was generated and no file was written: the model stopped before the first frame (seed {}); try another \
         seed, --retries, a final full stop or a longer text",
        plan.sampling.seed
    );
    Outcome::CheckFailed
}

fn decode(args: &GenerateArgs, checkpoint: &Arc<Checkpoint>, path: &Path) -> Result<Outcome> {
    let dims = checkpoint.dims();
    let file = TokenFile::read(path, &dims)?;
    let beyond = file.frames.beyond_codec(dims.codec_size);
    let mut speaker = Speaker::start(args, checkpoint.clone())?;
    let audio = speaker.decode(file.frames.clone())?;
    let name = &checkpoint.info.name;
    let info = WavInfo {
        title: file.text.unwrap_or_default(),
        artist: name.clone(),
        comment: format!("Synthetic speech. Decoded from {} by {name}", path.display()),
    };
    save_wav(&args.output, &audio, dims.sample_rate, &info)?;
    speaker.play(&audio);
    speaker.finish_playing();
    let (frames, seconds) = (file.frames.len(), audio.len() as f64 / dims.sample_rate as f64);
    let result = serde_json::json!({"output": args.output.display().to_string(), "frames": frames, "seconds": seconds, "beyond_codec": beyond});
    args.print_result(&result, &format!("{}: {seconds:.2} s, {frames} frames decoded", args.output.display()))?;
    warn_beyond_codec(beyond);
    Ok(Outcome::Done)
}

fn warn_beyond_codec(tokens: usize) {
    if tokens > 0 {
        message!("warning: {tokens} tokens are special ids, not codes of the codec; code 0 was decoded in their place");
    }
}
