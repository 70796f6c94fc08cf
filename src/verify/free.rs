//! *free-running*: whole clips in *exact* and *hybrid* mode with the same seeds; where they part, why.

use serde::Serialize;

use super::forced::observed;
use super::{Line, Plan, Results, clip_prompt, clip_sampling};
use crate::analysis::engines::Cause;
use crate::checkpoint::{Checkpoint, Dtype};
use crate::engine::Engine;
use crate::error::Result;
use crate::mlx::Csm;
use crate::sampling::Mode;
use crate::sampling::noise::TorchNoise;
use crate::torch::TorchCsm;

/// Share of clips that have to be identical.
const IDENTICAL: f64 = 0.95;

/// Where two clips part.
#[derive(Clone, Debug, Serialize)]
pub struct Divergence {
    /// Number of the clip, also its seed.
    pub clip: usize,
    /// First frame that differs.
    pub frame: usize,
    /// First codebook that differs in it.
    pub codebook: usize,
    /// Exact's token there.
    pub exact: u32,
    /// Hybrid's token there.
    pub hybrid: u32,
    /// Why, seen from PyTorch's logits.
    #[serde(flatten)]
    pub cause: Cause,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "clip {} parts at frame {}, codebook {}: exact {}, hybrid {}; margin {:.1e}, measured change {:.1e}, bound {:.1e}: {}",
            self.clip,
            self.frame,
            self.codebook,
            self.exact,
            self.hybrid,
            self.cause.margin,
            self.cause.change,
            self.cause.bound,
            if self.cause.explains() { "explained" } else { "UNEXPLAINED" }
        )
    }
}

pub(super) fn check(checkpoint: &Checkpoint, plan: &Plan, results: &mut Results) -> Result<()> {
    let mut mlx = Csm::load(checkpoint, Dtype::Float32)?;
    let mut torch = TorchCsm::load(checkpoint, Dtype::Float32)?;
    let k = checkpoint.config.num_codebooks;
    let (mut identical, mut frames, mut ended) = (0, 0, 0);
    for n in 0..plan.clips {
        let run = clip(checkpoint, plan, n, &mut mlx, &mut torch)?;
        frames += run.frames;
        ended += usize::from(run.ended);
        match run.divergence {
            None => identical += 1,
            Some(d) => results.divergences.push(d),
        }
    }
    let unexplained = results.divergences.iter().filter(|d| !d.cause.explains()).count();
    let draws = frames * k;
    results.lines.push(Line {
        check: "free-running",
        what: format!(
            "{}: exact, hybrid, whole clips, T {}, k {}",
            checkpoint.name,
            super::SETTINGS.0,
            super::SETTINGS.1
        ),
        count: format!(
            "{} clips of {:.1} frames on average, {ended} ended by themselves",
            plan.clips,
            frames as f64 / plan.clips as f64
        ),
        result: format!(
            "{identical} identical; {:.2} divergences per 100,000 draws, {unexplained} unexplained",
            1e5 * results.divergences.len() as f64 / draws.max(1) as f64
        ),
        passed: unexplained == 0 && identical as f64 >= IDENTICAL * plan.clips as f64,
    });
    Ok(())
}

struct Run {
    frames: usize,
    ended: bool,
    divergence: Option<Divergence>,
}

/// Clip `n` from both engines, up to where they part.
fn clip(checkpoint: &Checkpoint, plan: &Plan, n: usize, mlx: &mut Csm, torch: &mut TorchCsm) -> Result<Run> {
    let v = checkpoint.config.vocab_size;
    let prompt = clip_prompt(checkpoint, plan, n)?;
    let (exact, hybrid) = (clip_sampling(Mode::Exact, n, v), clip_sampling(Mode::Hybrid, n, v));
    mlx.start(&prompt, &[])?;
    torch.start(&prompt, &[])?;
    for frame in 0..plan.max_frames {
        let (ours, our_logits) = observed(mlx, frame, &exact, &[])?;
        let (theirs, their_logits) = observed(torch, frame, &hybrid, &[])?;
        if let Some(codebook) = (0..ours.len()).find(|c| ours[*c] != theirs[*c]) {
            let row = codebook * v..(codebook + 1) * v;
            let mut noise = TorchNoise::at_frame(exact.seed, frame, ours.len(), v);
            let mut q = vec![0.0; v];
            (0..=codebook).for_each(|_| noise.fill(&mut q));
            let pair = (ours[codebook], theirs[codebook]);
            let cause = Cause::of(&their_logits[row.clone()], &our_logits[row], exact.draw(codebook), pair, &q);
            let divergence = Divergence { clip: n, frame, codebook, exact: pair.0, hybrid: pair.1, cause };
            return Ok(Run { frames: frame + 1, ended: false, divergence: Some(divergence) });
        }
        if ours.iter().all(|c| *c == 0) {
            return Ok(Run { frames: frame, ended: true, divergence: None });
        }
    }
    Ok(Run { frames: plan.max_frames, ended: false, divergence: None })
}
