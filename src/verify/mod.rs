//! The proof that *exact* is exact, and that *native* draws from the right distribution (`csm verify`). Runs against libtorch.

mod distribution;
mod forced;
mod free;
mod noise;
mod plots;
mod sampler;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};
use crate::prompt::Prompt;
use crate::sampling::{Mode, Sampling};

pub use free::Divergence;

/// Texts that the whole-clip checks speak, fixed so that results can be compared: the demo voice takes some 40 frames for each.
pub const TEXTS: &str = include_str!("texts.txt");

/// What to check, and how much.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only what concerns this mode; `None` for everything.
    pub mode: Option<Mode>,
    /// Texts of the whole-clip checks; clip n speaks text n modulo their number, with seed n.
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
}

/// Temperature and top-k of the whole-clip checks.
pub const SETTINGS: (f64, usize) = (0.9, 50);

impl Plan {
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
        }
    }

    /// The same checks on a hundredth of the material, for a look or a test.
    pub fn quick() -> Self {
        Self { clips: 3, noise_values: 200_000, draws: 4_000, logit_sets: 60, ..Self::full() }
    }
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Which check.
    pub check: &'static str,
    /// What was compared.
    pub what: String,
    /// On how much.
    pub count: String,
    /// What came out.
    pub result: String,
    /// Whether it is as it must be.
    pub passed: bool,
}

/// All results.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Results {
    /// The table.
    pub lines: Vec<Line>,
    /// Every disagreement of *sampler*, in words.
    pub disagreements: Vec<String>,
    /// Every divergence of *free-running*.
    pub divergences: Vec<Divergence>,
    /// p-values of *distribution*.
    pub p_values: Vec<f64>,
    /// Largest logit difference of each teacher-forced step.
    pub logit_differences: Vec<f32>,
}

impl Results {
    /// Whether every line passed.
    pub fn passed(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|l| l.passed)
    }

    /// The table as Markdown, then whatever disagreed.
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
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|e| Error::write(&path, e))
        };
        put("table.md", self.table() + "\n")?;
        put("results.json", serde_json::to_string_pretty(self).expect("plain data"))?;
        plots::write(self, folder)
    }
}

/// Runs the checks of `plan` on `checkpoint`; `say` hears each line as it is there.
///
/// # Errors
/// What the engines report; a failed check is no error but a line.
pub fn run(checkpoint: &Arc<Checkpoint>, plan: &Plan, say: &mut dyn FnMut(&Line)) -> Result<Results> {
    let mut results = Results::default();
    let concerns = |modes: &[Mode]| plan.mode.is_none_or(|m| modes.contains(&m));
    let mut told = 0;
    let mut tell = |results: &Results| {
        results.lines[told..].iter().for_each(&mut *say);
        told = results.lines.len();
    };
    if concerns(&[Mode::Exact]) {
        noise::check(plan, &mut results)?;
        tell(&results);
        sampler::check(plan, checkpoint.config.vocab_size, &mut results)?;
        tell(&results);
    }
    if concerns(&[Mode::Native]) {
        distribution::check(plan, &mut results)?;
        tell(&results);
    }
    if concerns(&[Mode::Exact, Mode::Hybrid]) {
        forced::check(checkpoint, plan, &mut results)?;
        tell(&results);
        free::check(checkpoint, plan, &mut results)?;
        tell(&results);
    }
    Ok(results)
}

/// Settings of whole clip `n`.
fn clip_sampling(mode: Mode, n: usize, vocab: usize) -> Sampling {
    let (temperature, top_k) = SETTINGS;
    Sampling {
        mode,
        temperature,
        topk: top_k.min(vocab),
        depth_temperature: temperature,
        depth_topk: top_k.min(vocab),
        seed: n as u64,
        guard: None,
        precision: Dtype::Float32,
    }
}

/// Prompt of whole clip `n`.
fn clip_prompt(checkpoint: &Checkpoint, plan: &Plan, n: usize) -> Result<Prompt> {
    Prompt::new(checkpoint, &[], n as u32 % 2, &plan.texts[n % plan.texts.len()])
}

fn all_of(same: usize, of: usize) -> String {
    if same == of { "all equal".into() } else { format!("{} differ", of - same) }
}
