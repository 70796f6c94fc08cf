//! *free-running*: whole clips in *exact* and *hybrid* mode with the same seeds; where they diverge, why.

use serde::Serialize;

use super::{CheckLine, SETTINGS, VerifyConfig, VerifyResults, clip_request};
use crate::analysis::divergence::{DivergenceCause, explain};
use crate::checkpoint::Checkpoint;
use crate::data::{Dtype, Mode};
use crate::engine::{GeneratedFrame, Generation, LoopEvent, SingleEngine};
use crate::error::Result;
use crate::mlx::MlxCsm;
use crate::torch::TorchCsm;

/// Share of clips that must be identical.
const IDENTICAL: f64 = 0.95;

/// Where two whole clips diverge.
#[derive(Clone, Debug, Serialize)]
pub struct ClipDivergence {
    /// Number of the clip, also its seed.
    pub clip: usize,
    /// First frame that differs.
    pub frame: usize,
    /// First codebook that differs in it.
    pub codebook: usize,
    /// Token of *exact* at that place.
    pub exact: u32,
    /// Token of *hybrid* at that place.
    pub hybrid: u32,
    /// Why, with PyTorch's logits as the reference.
    #[serde(flatten)]
    pub cause: DivergenceCause,
}

impl std::fmt::Display for ClipDivergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { clip, frame, codebook, exact, hybrid, cause } = self;
        let DivergenceCause { margin, change, bound } = cause;
        let verdict = if cause.is_explained() { "explained" } else { "UNEXPLAINED" };
        write!(
            f,
            "clip {clip} diverges at frame {frame}, codebook {codebook}: exact {exact}, hybrid {hybrid}; margin {margin:.1e}, \
             change {change:.1e}, rounding bound {bound:.1e}: {verdict}"
        )
    }
}

pub(super) fn check(checkpoint: &Checkpoint, config: &VerifyConfig, results: &mut VerifyResults) -> Result<()> {
    let mut mlx = MlxCsm::load(checkpoint, Dtype::Float32)?;
    let mut torch = TorchCsm::load(checkpoint, Dtype::Float32)?;
    let (mut clips, mut identical, mut frames, mut ended) = (0, 0, 0, 0);
    for n in (0..config.clips).take_while(|_| !config.is_cancelled()) {
        clips += 1;
        let run = run_clip(checkpoint, config, n, &mut mlx, &mut torch)?;
        frames += run.frames;
        ended += usize::from(run.ended);
        match run.divergence {
            None => identical += 1,
            Some(d) => results.divergences.push(d),
        }
    }
    let unexplained = results.divergences.iter().filter(|d| !d.cause.is_explained()).count();
    let draws = frames * checkpoint.dims().codebooks;
    let (temperature, top_k) = SETTINGS;
    results.lines.push(CheckLine {
        check: "free-running",
        what: format!("{}: exact, hybrid, whole clips, T {temperature}, k {top_k}", checkpoint.info.name),
        count: format!(
            "{clips} clips of {:.1} frames on average, {ended} ended naturally",
            frames as f64 / f64::from(clips.max(1))
        ),
        result: format!(
            "{identical} identical; {:.2} divergences per 100,000 draws, {unexplained} unexplained",
            1e5 * results.divergences.len() as f64 / draws.max(1) as f64
        ),
        passed: unexplained == 0 && clips > 0 && identical as f64 >= IDENTICAL * f64::from(clips),
    });
    Ok(())
}

struct ClipRun {
    frames: usize,
    ended: bool,
    divergence: Option<ClipDivergence>,
}

/// Clip `n` from both engines, up to the first difference.
fn run_clip(
    checkpoint: &Checkpoint,
    config: &VerifyConfig,
    n: usize,
    mlx: &mut MlxCsm,
    torch: &mut TorchCsm,
) -> Result<ClipRun> {
    let dims = checkpoint.dims();
    let exact = clip_request(checkpoint, config, Mode::Exact, n)?;
    let hybrid = clip_request(checkpoint, config, Mode::Hybrid, n)?;
    let mut ours = Generation::new(&exact, &[n as u64], &dims)?;
    let mut theirs = Generation::new(&hybrid, &[n as u64], &dims)?;
    loop {
        let events = (ours.next_frame(&mut SingleEngine(mlx))?, theirs.next_frame(&mut SingleEngine(torch))?);
        let frames = ours.codes(0).len();
        match events {
            (LoopEvent::EndOfSpeech(_), LoopEvent::EndOfSpeech(_)) => {
                return Ok(ClipRun { frames, ended: true, divergence: None });
            }
            (LoopEvent::Frame(a) | LoopEvent::EndOfSpeech(a), LoopEvent::Frame(b) | LoopEvent::EndOfSpeech(b)) => {
                if let Some(divergence) = compare(n, &a, &b) {
                    return Ok(ClipRun { frames, ended: false, divergence: Some(divergence) });
                }
            }
            // Both have the same maximum length.
            (LoopEvent::Finished(_), _) | (_, LoopEvent::Finished(_)) => {
                return Ok(ClipRun { frames, ended: false, divergence: None });
            }
        }
    }
}

/// The first difference between *exact*'s frame and *hybrid*'s.
fn compare(clip: usize, exact: &GeneratedFrame, hybrid: &GeneratedFrame) -> Option<ClipDivergence> {
    let codebook = (0..exact.codes.len()).find(|k| exact.codes[*k] != hybrid.codes[*k])?;
    let tokens = (exact.codes[codebook], hybrid.codes[codebook]);
    let (ours, theirs) = (exact.logits.as_ref()?, hybrid.logits.as_ref()?);
    let cause = explain(&exact.sampling, (exact.frame, codebook), theirs, ours, tokens);
    Some(ClipDivergence { clip, frame: exact.frame, codebook, exact: tokens.0, hybrid: tokens.1, cause })
}
