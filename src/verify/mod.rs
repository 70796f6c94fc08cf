//! The checks of `csm verify`: that *exact* reproduces PyTorch, and that *native* draws from the right distribution. They compare
//! with libtorch.

mod distribution;
mod free_running;
mod noise;
mod plots;
mod sampler;
mod teacher_forced;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::data::{Backend, ClipSpec, Dtype, Mode, NoiseSource, Sampling, SamplingParams};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::machine;

pub use free_running::ClipDivergence;

/// Texts of the whole-clip checks, fixed so that results can be compared. The demo voice takes about 40 frames for each.
pub const TEXTS: &str = include_str!("texts.txt");

/// Scope of the checks.
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
    /// Number of draws of check *sampler*.
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
    /// The configuration of the full verification.
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
    /// Name of the check.
    pub check: &'static str,
    /// The two sides of the comparison.
    pub what: String,
    /// Number of comparisons, with their unit.
    pub count: String,
    /// Result of the check in words.
    pub result: String,
    /// Whether the check passed.
    pub passed: bool,
}

/// VerifyResults of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyResults {
    /// One line per check.
    pub lines: Vec<CheckLine>,
    /// Every disagreement of *sampler*, in words.
    pub disagreements: Vec<String>,
    /// Every divergence of *free-running*.
    pub divergences: Vec<ClipDivergence>,
    /// p-values of the check *distribution*.
    pub p_values: Vec<f64>,
    /// Largest logit difference of each teacher-forced draw.
    pub logit_differences: Vec<f32>,
}

impl VerifyResults {
    /// Whether every line passed.
    pub fn passed(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|l| l.passed)
    }

    /// The table as Markdown, then every disagreement.
    pub fn table(&self) -> String {
        let device = machine::device_name(machine::device_for(Dtype::Float32));
        let mlx = machine::mlx_version().unwrap_or("of unknown version");
        let mut out = format!("MLX {mlx} on {device}; PyTorch {} on the processor\n\n", crate::torch::VERSION);
        out.push_str("| check | compared | on | result | |\n|---|---|---|---|---|\n");
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
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::write(folder, e))?;
        write_atomically(&folder.join("table.md"), (self.table() + "\n").as_bytes())?;
        write_atomically(&folder.join("results.json"), &json)?;
        plots::write(self, folder)
    }
}

/// The checks, in the order in which they run. A new one is a file, a variant, and its place in [`Check::of`] and [`Check::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Noise,
    Sampler,
    Distribution,
    TeacherForced,
    FreeRunning,
}

impl Check {
    /// The checks that concern clips of `mode`.
    fn of(mode: Mode) -> &'static [Self] {
        let info = mode.info();
        match (info.noise, info.backend) {
            (NoiseSource::TorchStream, Backend::Mlx) => {
                &[Self::Noise, Self::Sampler, Self::TeacherForced, Self::FreeRunning]
            }
            (NoiseSource::TorchStream, Backend::Torch) => &[Self::TeacherForced, Self::FreeRunning],
            (NoiseSource::MlxKey, Backend::Mlx | Backend::Torch) => &[Self::Distribution],
        }
    }

    fn run(self, checkpoint: &Checkpoint, config: &VerifyConfig, results: &mut VerifyResults) -> Result<()> {
        match self {
            Self::Noise => noise::check(config, results),
            Self::Sampler => sampler::check(config, checkpoint.dims().vocab, results),
            Self::Distribution => distribution::check(config, results),
            Self::TeacherForced => teacher_forced::check(checkpoint, config, results),
            Self::FreeRunning => free_running::check(checkpoint, config, results),
        }
    }
}

/// Runs the checks of `config` on `checkpoint`; `on_line` receives each line as it is known.
///
/// # Errors
/// Errors of the engines; a failed check is not an error but a line.
pub fn run(
    checkpoint: &Checkpoint,
    config: &VerifyConfig,
    on_line: &mut dyn FnMut(&CheckLine),
) -> Result<VerifyResults> {
    let mut results = VerifyResults::default();
    let modes = Mode::all().iter().map(|info| info.mode).filter(|mode| config.mode.is_none_or(|only| only == *mode));
    let checks: BTreeSet<Check> = modes.flat_map(Check::of).copied().collect();
    for check in checks {
        if config.is_cancelled() {
            break;
        }
        let known = results.lines.len();
        check.run(checkpoint, config, &mut results)?;
        results.lines[known..].iter().for_each(&mut *on_line);
    }
    Ok(results)
}

/// Whole clip `n`, observed.
fn clip_request(checkpoint: &Checkpoint, config: &VerifyConfig, mode: Mode, n: usize) -> Result<GenerationRequest> {
    let (temperature, top_k) = SETTINGS;
    let params = SamplingParams::new(temperature, top_k.min(checkpoint.dims().vocab));
    let sampling = Sampling::new(mode, params, n as u64, Dtype::Float32);
    let spec = ClipSpec::new(config.texts[n % config.texts.len()].as_str(), n as u32 % 2, sampling);
    let prompt = checkpoint.prompt(&spec)?;
    Ok(GenerationRequest::new(&spec, prompt, config.max_frames).observed())
}

fn describe_equal(equal: usize, all: usize) -> String {
    if equal == all { "all equal".into() } else { format!("{} differ", all - equal) }
}
