//! `csm generate`, alias `csm-generate-mlx`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::ArgGroup;

use super::show::Progress;
use super::{Model, Outcome, read_stdin};
use crate::audio::player::Player;
use crate::audio::wav::{self, Info};
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};
use crate::pipeline::{Clip, Event, Job};
use crate::prompt::{Frame, Prompt, Segment};
use crate::sampling::{Guard, Mode, Sampling};
use crate::text::sentences;
use crate::tokens::{self, ContextTurn, Edit, ModelId, Stop, TokenFile};
use crate::worker::{Command, Report, Worker};

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
    for (n, text) in plan.texts.iter().enumerate() {
        let mut turns = context.clone();
        turns.extend(before.take());
        let clip = session.speak(&plan, &turns, text, n)?;
        session.dump(&plan, &turns, text, &clip, n)?;
        before = Some(Segment { speaker: plan.speaker, text: text.clone(), frames: clip.frames.clone() });
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

/// Usable values, made of the flags and checked.
struct Plan {
    texts: Vec<String>,
    speaker: u32,
    sampling: Sampling,
    max_frames: usize,
    context: Vec<(PathBuf, String, u32)>,
    /// Turns whose codes are known, before those of `context`.
    turns: Vec<Segment>,
    forced: Option<Vec<Frame>>,
    edits: Vec<Edit>,
}

impl Plan {
    fn new(args: &Args, checkpoint: &Checkpoint) -> Result<Self> {
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

/// All clips of one call.
#[derive(Default)]
struct Spoken {
    clips: Vec<Clip>,
    audio: Vec<f32>,
    frames: usize,
    seconds: f64,
}

impl Spoken {
    fn add(&mut self, mut clip: Clip) {
        self.audio.append(&mut clip.audio);
        self.frames += clip.frames.len();
        self.seconds += clip.seconds;
        self.clips.push(clip);
    }
}

/// The worker and what goes with it.
struct Session<'a> {
    args: &'a Args,
    checkpoint: Arc<Checkpoint>,
    worker: Worker,
    player: Option<Player>,
}

impl<'a> Session<'a> {
    fn start(args: &'a Args, checkpoint: Arc<Checkpoint>) -> Result<Self> {
        let rate = checkpoint.config.codec_config.sampling_rate;
        let worker = Worker::start(checkpoint.clone(), || {});
        match worker.next()? {
            Report::Ready(loaded) => loaded?,
            _ => unreachable!("ready comes first"),
        }
        let cancel = worker.cancel_handle();
        // Without the handler Ctrl-C would throw the sound away; the program can do without it.
        if let Err(e) = ctrlc::set_handler(move || cancel.store(true, Ordering::Relaxed)) {
            eprintln!("warning: Ctrl-C will not keep what was made: {e}");
        }
        let player = match args.play.then(|| Player::open(rate)) {
            None => None,
            Some(Ok(player)) => Some(player),
            Some(Err(e)) => {
                eprintln!("warning: {e}");
                None
            }
        };
        Ok(Self { args, checkpoint, worker, player })
    }

    /// Context turns with their codes.
    fn context(&self, plan: &Plan) -> Result<Vec<Segment>> {
        let mut turns = plan.turns.clone();
        for (path, text, speaker) in &plan.context {
            turns.push(self.segment(path, text, *speaker)?);
        }
        Ok(turns)
    }

    fn segment(&self, path: &Path, text: &str, speaker: u32) -> Result<Segment> {
        let c = &self.checkpoint.config;
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        let frames = if ["json", "npy", "safetensors"].contains(&kind.as_str()) {
            TokenFile::read(path, c.num_codebooks, c.vocab_size)?.frames
        } else {
            if !self.checkpoint.hears_recordings() {
                eprintln!(
                    "warning: {} takes no voice from a recording: its codes say what is spoken and when, and its encoder cannot \
                     tell that from sound; {} will do nothing useful",
                    self.checkpoint.name,
                    path.display()
                );
            }
            let samples = wav::read(path, c.codec_config.sampling_rate)?;
            self.worker.send(Command::Encode(0, samples))?;
            match self.worker.next()? {
                Report::Encoded(_, frames) => frames?,
                _ => unreachable!("nothing else was asked for"),
            }
        };
        Ok(Segment { speaker, text: text.into(), frames })
    }

    /// One clip. `n` counts the sentences.
    fn speak(&mut self, plan: &Plan, turns: &[Segment], text: &str, n: usize) -> Result<Clip> {
        let prompt = Prompt::new(&self.checkpoint, turns, plan.speaker, text)?;
        let mut sampling = plan.sampling;
        sampling.seed = sampling.seed.wrapping_add(n as u64);
        let job = Job {
            prompt,
            sampling,
            max_frames: plan.max_frames,
            history: Vec::new(),
            forced: plan.forced.clone(),
            edits: plan.edits.clone(),
            retries: self.args.retries,
            observe: self.args.dump_logits.is_some(),
        };
        if self.args.debug {
            self.describe(&job, text);
        }
        let progress = Progress::new(plan.max_frames);
        let mut logits = Vec::new();
        self.worker.send(Command::Generate(0, Box::new(job)))?;
        let clip = loop {
            match self.worker.next()? {
                Report::Event(_, event) => {
                    progress.show(&event);
                    self.take(event, &mut logits, &progress);
                }
                Report::Clip(_, clip) => break clip,
                _ => unreachable!("nothing else was asked for"),
            }
        };
        progress.finish();
        let clip = clip?;
        if let Some(path) = &self.args.dump_logits {
            self.write_logits(&numbered(path, plan, n), &logits, clip.frames.len())?;
        }
        Ok(clip)
    }

    fn take(&mut self, event: Event, logits: &mut Vec<f32>, progress: &Progress) {
        match event {
            Event::Frame(f) => {
                if self.args.debug {
                    progress.line(&format!("frame {}: {:?}", f.frame, f.codes));
                }
                logits.extend(f.logits.unwrap_or_default());
            }
            Event::Audio(samples) => {
                if let Some(player) = &mut self.player
                    && let Err(e) = player.push(&samples)
                {
                    progress.line(&format!("warning: {e}"));
                    self.player = None;
                }
            }
            Event::Retry { .. } => logits.clear(),
        }
    }

    fn describe(&self, job: &Job, text: &str) {
        let (c, s) = (&self.checkpoint.config, &job.sampling);
        eprintln!(
            "model {}: {} codebooks of {} ids, {} positions",
            self.checkpoint.name, c.num_codebooks, c.vocab_size, c.backbone.max_position_embeddings
        );
        let sampler = match s.mode {
            Mode::Native => "MLX's categorical sampling",
            Mode::Exact => "argmax(p / q) in MLX with PyTorch's noise",
            Mode::Hybrid => "PyTorch's multinomial",
        };
        eprintln!("sampler {} ({sampler}), {s:?}", s.mode.name());
        eprintln!("prompt {} rows {:?} for {text:?}", job.prompt.rows.len(), job.prompt.lengths);
    }

    fn write_logits(&self, path: &Path, logits: &[f32], frames: usize) -> Result<()> {
        let c = &self.checkpoint.config;
        let (k, v) = (c.num_codebooks, c.vocab_size);
        // The end frame's logits were seen by nobody; a clip's are those of its frames.
        let bytes: Vec<u8> = logits[..frames * k * v].iter().flat_map(|l| l.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![frames, k, v], &bytes)
            .map_err(|e| Error::write(path, e))?;
        safetensors::serialize_to_file([("logits", view)], None, path).map_err(|e| Error::write(path, e))
    }

    fn dump(&self, plan: &Plan, turns: &[Segment], text: &str, clip: &Clip, n: usize) -> Result<()> {
        let Some(path) = &self.args.dump_tokens else {
            return Ok(());
        };
        let c = &self.checkpoint.config;
        let turn = |s: &Segment| ContextTurn { speaker: s.speaker, text: s.text.clone(), frames: s.frames.clone() };
        let file = TokenFile {
            format: Some(tokens::FORMAT.into()),
            version: Some(tokens::VERSION),
            model: Some(ModelId { name: self.checkpoint.name.clone(), sha256: self.checkpoint.sha256().into() }),
            codebooks: Some(c.num_codebooks),
            vocab: Some(c.vocab_size),
            frame_rate: Some(c.codec_config.frame_rate()),
            sampling: Some(clip.sampling),
            text: Some(text.into()),
            speaker: Some(plan.speaker),
            context: turns.iter().map(turn).collect(),
            stop: Some(clip.stop),
            edits: plan.edits.clone(),
            frames: clip.frames.clone(),
        };
        file.write(&numbered(path, plan, n))
    }

    fn write(&self, plan: &Plan, spoken: &Spoken) -> Result<()> {
        let s = &plan.sampling;
        let settings = serde_json::to_string(s).expect("plain data");
        let info = Info {
            title: plan.texts.join(" "),
            artist: format!("{} speaker {}", self.checkpoint.name, plan.speaker),
            comment: format!(
                "Synthetic speech. Model {}, sha256 {}. Settings {settings}",
                self.checkpoint.name,
                self.checkpoint.sha256()
            ),
        };
        let rate = self.checkpoint.config.codec_config.sampling_rate;
        save(&self.args.output, &spoken.audio, rate, &info)
    }

    fn finish_playing(&mut self) {
        match self.player.take().map(Player::finish) {
            Some(Ok(missing)) if missing > 0 => {
                eprintln!("warning: the sound was interrupted: {missing} samples came too late");
            }
            Some(Err(e)) => eprintln!("warning: {e}"),
            _ => {}
        }
    }

    /// What came out.
    fn tell(&self, plan: &Plan, spoken: &Spoken) -> Result<()> {
        let rate = self.checkpoint.config.codec_config.sampling_rate as f64;
        let seconds = spoken.audio.len() as f64 / rate;
        let last = spoken.clips.last().expect("there is a text");
        let factor = spoken.seconds / seconds;
        let beyond: usize = spoken.clips.iter().map(|c| c.beyond_codec).sum();
        let guarded: usize = spoken.clips.iter().map(|c| c.guarded).sum();
        let findings: Vec<_> = spoken.clips.iter().flat_map(|c| &c.findings).collect();
        if self.args.json {
            let result = serde_json::json!({
                "output": self.args.output, "text": plan.texts.join(" "), "speaker": plan.speaker,
                "frames": spoken.frames, "seconds": seconds, "stop": last.stop, "seed": last.sampling.seed,
                "sampling": plan.sampling, "real_time_factor": factor, "beyond_codec": beyond, "guarded": guarded,
                "findings": findings, "model": self.checkpoint.name,
            });
            println!("{result}");
        } else {
            println!(
                "{}: {seconds:.2} s, {} frames, {} sampling, seed {}, ended by {}, real-time factor {factor:.2}",
                self.args.output.display(),
                spoken.frames,
                plan.sampling.mode.name(),
                plan.sampling.seed,
                stop_name(last.stop),
            );
        }
        for finding in findings {
            eprintln!("warning: {finding}");
        }
        if beyond > 0 {
            eprintln!("warning: {beyond} tokens are no codes of the codec; code 0 was decoded in their place");
        }
        if let Some(guard) = plan.sampling.guard {
            eprintln!("range guard {guard}: {guarded} tokens changed");
        }
        if self.args.debug {
            let (now, most) = crate::mlx::memory()?;
            eprintln!("MLX memory: {} MB now, {} MB at most", now >> 20, most >> 20);
        }
        Ok(())
    }
}

fn stop_name(stop: Stop) -> &'static str {
    match stop {
        Stop::Eos => "itself",
        Stop::Cap => "the longest length",
        Stop::Cancelled => "being cancelled",
        Stop::Forced => "the given tokens' end",
    }
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

fn save(path: &Path, audio: &[f32], rate: usize, info: &Info) -> Result<()> {
    let (bytes, clipped) = wav::encode(audio, rate, info)?;
    if clipped > 0 {
        eprintln!("warning: {clipped} samples were louder than full scale and are clipped");
    }
    wav::save(path, &bytes)
}

/// `path` for one text; `path` with a number before its ending for several.
fn numbered(path: &Path, plan: &Plan, n: usize) -> PathBuf {
    if plan.texts.len() == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{:03}{ending}", n + 1))
}
