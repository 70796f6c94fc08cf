//! The worker at work: context, clips, files, and what is said about them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Args;
use super::plan::Plan;
use crate::audio::player::Player;
use crate::audio::wav::{self, Info};
use crate::checkpoint::Checkpoint;
use crate::cli::replay;
use crate::cli::show::Progress;
use crate::error::{Error, Result};
use crate::pipeline::{Clip, Event, Job};
use crate::prompt::Segment;
use crate::recipe::Recipe;
use crate::sampling::Mode;
use crate::tokens::{Stop, TokenFile};
use crate::worker::{Command, Report, Worker};

/// All clips of one call.
#[derive(Default)]
pub(super) struct Spoken {
    clips: Vec<Clip>,
    audio: Vec<f32>,
    pub(super) frames: usize,
    seconds: f64,
}

impl Spoken {
    pub(super) fn add(&mut self, mut clip: Clip) {
        self.audio.append(&mut clip.audio);
        self.frames += clip.frames.len();
        self.seconds += clip.seconds;
        self.clips.push(clip);
    }
}

/// The worker and what goes with it.
pub(super) struct Session<'a> {
    args: &'a Args,
    checkpoint: Arc<Checkpoint>,
    pub(super) worker: Worker,
    pub(super) player: Option<Player>,
}

impl<'a> Session<'a> {
    pub(super) fn start(args: &'a Args, checkpoint: Arc<Checkpoint>) -> Result<Self> {
        let rate = checkpoint.config.codec_config.sampling_rate;
        let worker = replay::start(&checkpoint)?;
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
    pub(super) fn context(&self, plan: &Plan) -> Result<Vec<Segment>> {
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
    pub(super) fn speak(&mut self, plan: &Plan, recipe: &Recipe, n: usize) -> Result<Clip> {
        let job = Job {
            forced: plan.forced.clone(),
            retries: self.args.retries,
            observe: self.args.dump_logits.is_some(),
            ..Job::of(recipe, &self.checkpoint, plan.max_frames)?
        };
        if self.args.debug {
            self.describe(&job, &recipe.text);
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

    pub(super) fn dump(&self, plan: &Plan, recipe: &Recipe, clip: &Clip, n: usize) -> Result<()> {
        let Some(path) = &self.args.dump_tokens else {
            return Ok(());
        };
        let file = recipe.file(&self.checkpoint, clip.sampling, clip.stop, clip.frames.clone());
        file.write(&numbered(path, plan, n))
    }

    pub(super) fn write(&self, plan: &Plan, spoken: &Spoken) -> Result<()> {
        let info = Info::of(&self.checkpoint, &plan.texts.join(" "), plan.speaker, &plan.sampling);
        let rate = self.checkpoint.config.codec_config.sampling_rate;
        save(&self.args.output, &spoken.audio, rate, &info)
    }

    pub(super) fn finish_playing(&mut self) {
        match self.player.take().map(Player::finish) {
            Some(Ok(missing)) if missing > 0 => {
                eprintln!("warning: the sound was interrupted: {missing} samples came too late");
            }
            Some(Err(e)) => eprintln!("warning: {e}"),
            _ => {}
        }
    }

    /// What came out.
    pub(super) fn tell(&self, plan: &Plan, spoken: &Spoken) -> Result<()> {
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

pub(super) fn save(path: &Path, audio: &[f32], rate: usize, info: &Info) -> Result<()> {
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
