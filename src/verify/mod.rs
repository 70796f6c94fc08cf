//! The checks of `csm verify`: that *exact* reproduces PyTorch, and that *native* draws from the right distribution. They compare
//! with libtorch.

mod distribution;
mod free_running;
mod noise;
mod plots;
mod sampler;
mod teacher_forced;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::data::{Codes, Dtype, Mode, NoiseSource, Sampling, SamplingParams};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::files::write_atomically;

pub use free_running::ClipDivergence;

/// Texts of the whole-clip checks, fixed so that results can be compared. The demo voice takes about 40 frames for each.
pub const TEXTS: &str = include_str!("texts.txt");

/// What to check, and how much.
#[derive(Clone, Debug)]
pub struct VerifyConfig {
    /// Only the checks that concern this mode; `None` for all.
    pub mode: Option<Mode>,
    /// Texts of the whole-clip checks; clip n speaks text n modulo their number with seed n.
    pub texts: Vec<String>,
    /// Whole clips of *free-running*.
    pub clips: usize,
    /// Values of *noise*, for each number type.
    pub noise_values: usize,
    /// Draws of *sampler*.
    pub draws: usize,
    /// Logit sets of *distribution*.
    pub logit_sets: usize,
    /// Longest clip, in frames.
    pub max_frames: usize,
    /// Set to end after the clip or check that runs; the results so far are kept.
    pub cancelled: Arc<AtomicBool>,
}

/// Temperature and top-k of the whole-clip checks.
pub const SETTINGS: (f64, usize) = (0.9, 50);

impl VerifyConfig {
    /// The full check.
    pub fn full() -> Self {
        Self {
            mode: None,
            texts: TEXTS.lines().map(str::to_owned).collect(),
            clips: 100,
            noise_values: 10_000_000,
            draws: 200_000,
            logit_sets: 200,
            max_frames: 200,
            cancelled: Arc::default(),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// A smoke test: 1 % of the samples.
    pub fn quick() -> Self {
        Self { clips: 3, noise_values: 200_000, draws: 4_000, logit_sets: 60, ..Self::full() }
    }
}

/// One line of the results.
#[derive(Clone, Debug, Serialize)]
pub struct CheckLine {
    /// The check.
    pub check: &'static str,
    /// What was compared.
    pub what: String,
    /// The sample size.
    pub count: String,
    /// The result.
    pub result: String,
    /// Whether the check passed.
    pub passed: bool,
}

/// Results of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// The table.
    pub lines: Vec<CheckLine>,
    /// Every disagreement of *sampler*, in words.
    pub disagreements: Vec<String>,
    /// Every divergence of *free-running*.
    pub divergences: Vec<ClipDivergence>,
    /// p-values of *distribution*.
    pub p_values: Vec<f64>,
    /// Largest logit difference of each teacher-forced draw.
    pub logit_differences: Vec<f32>,
}

impl Results {
    /// Whether every line passed.
    pub fn passed(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|l| l.passed)
    }

    /// The table as Markdown, then every disagreement.
    pub fn table(&self) -> String {
        let mut out = String::from("| check | compared | on | result | |\n|---|---|---|---|---|\n");
        for l in &self.lines {
            let mark = if l.passed { "ok" } else { "FAILED" };
            out += &format!("| {} | {} | {} | {} | {mark} |\n", l.check, l.what, l.count, l.result);
        }
        for d in &self.disagreements {
            out += &format!("\nsampler: {d}");
        }
        for d in &self.divergences {
            out += &format!("\nfree-running: {d}");
        }
        out
    }

    /// Writes table, all numbers as JSON, and plots into `folder`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::write(folder, e))?;
        write_atomically(&folder.join("table.md"), (self.table() + "\n").as_bytes())?;
        write_atomically(&folder.join("results.json"), &json)?;
        plots::write(self, folder)
    }
}

/// A check: the noise sources of the modes that it concerns, and what runs it.
type Check = (&'static [Concern], fn(&Checkpoint, &VerifyConfig, &mut Results) -> Result<()>);

/// What a check is about: how tokens are drawn, or which tokens whole clips get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// Draws in MLX from this noise.
    MlxDraws(NoiseSource),
    /// Clips from this noise, by whatever backend.
    Clips(NoiseSource),
}

const CHECKS: &[Check] = &[
    (&[Concern::MlxDraws(NoiseSource::TorchStream)], |_, config, results| noise::check(config, results)),
    (&[Concern::MlxDraws(NoiseSource::TorchStream)], |checkpoint, config, results| {
        sampler::check(config, checkpoint.dims().vocab, results)
    }),
    (&[Concern::MlxDraws(NoiseSource::MlxKey)], |_, config, results| distribution::check(config, results)),
    (&[Concern::Clips(NoiseSource::TorchStream)], teacher_forced::check),
    (&[Concern::Clips(NoiseSource::TorchStream)], free_running::check),
];

impl Concern {
    fn includes(self, mode: Mode) -> bool {
        let info = mode.info();
        match self {
            Self::MlxDraws(noise) => info.backend == crate::data::Backend::Mlx && info.noise == noise,
            Self::Clips(noise) => info.noise == noise,
        }
    }
}

/// Runs the checks of `config` on `checkpoint`; `on_line` receives each line as it is known.
///
/// # Errors
/// What the engines report; a failed check is not an error but a line.
pub fn run(checkpoint: &Checkpoint, config: &VerifyConfig, on_line: &mut dyn FnMut(&CheckLine)) -> Result<Results> {
    let mut results = Results::default();
    for (concerns, check) in CHECKS {
        if config.is_cancelled() {
            break;
        }
        if config.mode.is_none_or(|mode| concerns.iter().any(|c| c.includes(mode))) {
            let known = results.lines.len();
            check(checkpoint, config, &mut results)?;
            results.lines[known..].iter().for_each(&mut *on_line);
        }
    }
    Ok(results)
}

/// Whole clip `n`, observed.
fn clip_request(checkpoint: &Checkpoint, config: &VerifyConfig, mode: Mode, n: usize) -> Result<GenerationRequest> {
    let (temperature, top_k) = SETTINGS;
    let params = SamplingParams::new(temperature, top_k.min(checkpoint.dims().vocab));
    Ok(GenerationRequest {
        prompt: checkpoint.prompt(&[], n as u32 % 2, &config.texts[n % config.texts.len()])?,
        sampling: Sampling::new(mode, params, n as u64, Dtype::Float32),
        max_frames: config.max_frames,
        history: Codes::default(),
        forced: None,
        edits: Vec::new(),
        observe: true,
    })
}

fn describe_equal(equal: usize, all: usize) -> String {
    if equal == all { "all equal".into() } else { format!("{} differ", all - equal) }
}
