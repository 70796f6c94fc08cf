//! *teacher-forced*: both engines' logits on the same tokens, step by step.

use super::{Line, Plan, Results, clip_prompt, clip_sampling};
use crate::analysis::engines::Gap;
use crate::checkpoint::{Checkpoint, Dtype};
use crate::engine::{Engine, Request};
use crate::error::Result;
use crate::mlx::Csm;
use crate::prompt::Frame;
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::draw;
use crate::sampling::{Mode, Sampling};
use crate::torch::TorchCsm;

/// Clips; their steps are many.
const CLIPS: usize = 10;
/// Float32 in another order of summation: logits are of size 10, unit 6e-8, some 10^5 products deep.
const LOGIT_BOUND: f32 = 2e-4;

pub(super) fn check(checkpoint: &Checkpoint, plan: &Plan, results: &mut Results) -> Result<()> {
    let mut mlx = Csm::load(checkpoint, Dtype::Float32)?;
    let mut torch = TorchCsm::load(checkpoint, Dtype::Float32)?;
    let (k, v) = (checkpoint.config.num_codebooks, checkpoint.config.vocab_size);
    let (mut steps, mut first, mut tokens) = (0, 0, 0);
    let (mut worst_kl, mut sets) = (0.0f64, 0.0);
    for n in 0..plan.clips.min(CLIPS) {
        let prompt = clip_prompt(checkpoint, plan, n)?;
        let sampling = clip_sampling(Mode::Exact, n, v);
        mlx.start(&prompt, &[])?;
        torch.start(&prompt, &[])?;
        let mut noise = TorchNoise::new(sampling.seed);
        let mut q = vec![0.0; v];
        for frame in 0..plan.max_frames.min(60) {
            let (codes, ours) = observed(&mut mlx, frame, &sampling, &[])?;
            if codes.iter().all(|c| *c == 0) {
                break;
            }
            let forced: Vec<Option<u32>> = codes.iter().copied().map(Some).collect();
            let (_, theirs) = observed(&mut torch, frame, &sampling, &forced)?;
            for codebook in 0..k {
                let row = codebook * v..(codebook + 1) * v;
                let (a, b) = (&ours[row.clone()], &theirs[row]);
                let how = sampling.draw(codebook);
                let gap = Gap::of(b, a, how.top_k);
                results.logit_differences.push(gap.difference);
                worst_kl = worst_kl.max(gap.kl);
                first += usize::from(gap.same_best);
                sets += gap.top_k_agreement;
                noise.fill(&mut q);
                tokens += usize::from(draw(a, how, None, &q) == draw(b, how, None, &q));
                steps += 1;
            }
        }
    }
    let worst = results.logit_differences.iter().copied().fold(0.0, f32::max);
    let share = |n: f64| 100.0 * n / steps as f64;
    results.lines.push(Line {
        check: "teacher-forced",
        what: format!("{}: MLX's logits, PyTorch's, on the same tokens", checkpoint.name),
        count: format!("{steps} steps"),
        result: format!(
            "largest difference {worst:.1e}, KL at most {worst_kl:.1e} bits; agree: top-1 {:.3} %, top-k {:.3} %, token with the same noise {:.4} %",
            share(first as f64), share(sets), share(tokens as f64)
        ),
        passed: steps > 0 && worst <= LOGIT_BOUND,
    });
    Ok(())
}

/// A frame and the logits it was drawn from.
pub(super) fn observed(
    engine: &mut dyn Engine,
    frame: usize,
    sampling: &Sampling,
    forced: &[Option<u32>],
) -> Result<(Frame, Vec<f32>)> {
    let step = engine.step(&Request { frame, sampling, forced, observe: true })?;
    Ok((step.codes, step.logits.expect("observed")))
}
