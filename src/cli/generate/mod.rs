//! `csm generate`, alias `csm-generate-mlx`: [`plan`] makes usable values of the flags, [`session`] runs them.

mod plan;
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgGroup;

use self::plan::Plan;
use self::session::{Session, Spoken, save};
use super::{Model, Outcome};
use crate::audio::wav::Info;
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::Result;
use crate::prompt::Segment;
use crate::sampling::{Guard, Mode};
use crate::tokens::{Stop, TokenFile};
use crate::worker::{Command, Report};

/// Flags of `csm generate`.
#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["text", "stdin", "decode_tokens", "again"]))]
pub struct Args {
    /// What to say
    #[arg(long)]
    text: Option<String>,
    /// Read the text from standard input; a longer one is spoken sentence by sentence into one file, each sentence with the
    /// one before it as context
    #[arg(long)]
    stdin: bool,
    #[command(flatten)]
    model: Model,
    /// Who speaks: the speaker's number
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "voice")]
    speaker: u32,
    /// Who speaks, by name (see `csm voices`)
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// The WAV file to write
    #[arg(long, value_name = "FILE", default_value = "audio.wav")]
    output: PathBuf,
    /// Turns before this one: a WAV file, or a token file whose codes are taken as they are
    #[arg(long, value_name = "FILE", num_args = 1..)]
    context_audio: Vec<PathBuf>,
    /// What is said in each of them
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    context_text: Vec<String>,
    /// Who speaks in each of them
    #[arg(long, value_name = "N", num_args = 1..)]
    context_speaker: Vec<u32>,
    /// Longest clip (of each sentence, with --stdin)
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    max_audio_length_ms: u64,
    /// 0 is greedy [default: the checkpoint's, else 0.9]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Draw from the k most likely tokens [default: the checkpoint's, else 50]
    #[arg(long, value_name = "K")]
    topk: Option<usize>,
    /// Temperature of the codebooks after the first [default: as --temperature]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    depth_temperature: Option<f64>,
    /// Top-k of the codebooks after the first [default: as --topk]
    #[arg(long, value_name = "K")]
    depth_topk: Option<usize>,
    /// Seed of the random stream [default: drawn, and printed]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// native: MLX computes and draws. exact: MLX computes, the draw is PyTorch's to the token. hybrid: PyTorch computes and
    /// draws, MLX decodes
    #[arg(long, value_enum, value_name = "MODE")]
    sampling: Option<Mode>,
    /// The same as --sampling exact
    #[arg(long)]
    use_exact_sampling: bool,
    /// The same as --sampling hybrid
    #[arg(long)]
    pytorch_tokens: bool,
    /// Never draw the ids A to B, in any codebook [default: off]
    #[arg(long, value_name = "A-B")]
    guard_range: Option<Guard>,
    /// Number type of the language model [default: float32 for exact and hybrid, the checkpoint's for native]
    #[arg(long, value_enum)]
    precision: Option<Dtype>,
    /// Try again with the next seed, up to N times, where a clip repeats itself, falls silent or does not end
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Play the sound while it is being made
    #[arg(long)]
    play: bool,
    /// Write the tokens to this file (numbered, where --stdin gives several sentences)
    #[arg(long, value_name = "FILE")]
    dump_tokens: Option<PathBuf>,
    /// Write the logits to this safetensors file: `logits`, float32 [frames, K, V]
    #[arg(long, value_name = "FILE")]
    dump_logits: Option<PathBuf>,
    /// Only decode the tokens of this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["context_audio", "force_tokens", "edits", "dump_logits"])]
    decode_tokens: Option<PathBuf>,
    /// Make the clip of this token file again: its text, speaker, context, settings and edits (flags for settings win)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["context_audio", "edits", "speaker", "voice"])]
    again: Option<PathBuf>,
    /// Teacher forcing: take the tokens of this file; logits are computed all the same
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    force_tokens: Option<PathBuf>,
    /// Apply the `edits` of this token file: tokens that are set, settings that change at a frame
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    edits: Option<PathBuf>,
    /// Say what runs: sampler, shapes, timings, codes, memory
    #[arg(long)]
    debug: bool,
    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Speaks.
///
/// # Errors
/// Whatever is wrong with flags, files or machine.
pub fn run(args: &Args) -> Result<Outcome> {
    let checkpoint = Arc::new(args.model.open()?);
    if let Some(path) = &args.decode_tokens {
        return decode(args, &checkpoint, path);
    }
    let plan = Plan::new(args, &checkpoint)?;
    let mut session = Session::start(args, checkpoint)?;
    let context = session.context(&plan)?;
    let mut spoken = Spoken::default();
    let mut before: Option<Segment> = None;
    for n in 0..plan.texts.len() {
        let mut turns = context.clone();
        turns.extend(before.take());
        let recipe = plan.recipe(&turns, n);
        let clip = session.speak(&plan, &recipe, n)?;
        session.dump(&plan, &recipe, &clip, n)?;
        before = Some(Segment { speaker: plan.speaker, text: recipe.text, frames: clip.frames.clone() });
        let cancelled = clip.stop == Stop::Cancelled;
        spoken.add(clip);
        if cancelled {
            break;
        }
    }
    if spoken.frames == 0 {
        eprintln!("error: the model ended at once (seed {}): nothing was said, nothing is written", plan.sampling.seed);
        return Ok(Outcome::Failed);
    }
    let output = session.write(&plan, &spoken);
    session.finish_playing();
    output?;
    session.tell(&plan, &spoken)?;
    Ok(Outcome::Done)
}

fn decode(args: &Args, checkpoint: &Arc<Checkpoint>, path: &Path) -> Result<Outcome> {
    let c = &checkpoint.config;
    let file = TokenFile::read(path, c.num_codebooks, c.vocab_size)?;
    let beyond = file.frames.iter().flatten().filter(|id| **id as usize >= c.codec_config.codebook_size).count();
    let mut session = Session::start(args, checkpoint.clone())?;
    session.worker.send(Command::Decode(0, file.frames.clone()))?;
    let audio = match session.worker.next()? {
        Report::Decoded(_, audio) => audio?,
        _ => unreachable!("nothing else was asked for"),
    };
    let info = Info {
        title: file.text.unwrap_or_default(),
        artist: checkpoint.name.clone(),
        comment: format!("Synthetic speech. Decoded from {} by {}", path.display(), checkpoint.name),
    };
    save(&args.output, &audio, c.codec_config.sampling_rate, &info)?;
    if let Some(player) = &mut session.player {
        player.push(&audio)?;
    }
    session.finish_playing();
    let seconds = audio.len() as f64 / c.codec_config.sampling_rate as f64;
    if args.json {
        let result = serde_json::json!({"output": args.output, "frames": file.frames.len(), "seconds": seconds, "beyond_codec": beyond});
        println!("{result}");
    } else {
        println!("{}: {seconds:.2} s, {} frames decoded", args.output.display(), file.frames.len());
    }
    if beyond > 0 {
        eprintln!("warning: {beyond} tokens are no codes of the codec; code 0 was decoded in their place");
    }
    Ok(Outcome::Done)
}
