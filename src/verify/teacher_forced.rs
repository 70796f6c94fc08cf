//! *teacher-forced*: both engines' logits on the same tokens, draw by draw.

use super::{CheckLine, VerifyConfig, VerifyResults, clip_request};
use crate::analysis::logit_diff::LogitDiff;
use crate::checkpoint::Checkpoint;
use crate::data::{Dtype, Mode};
use crate::engine::{GenerationRequest, SingleEngine, observed_clip};
use crate::error::Result;
use crate::mlx::MlxCsm;
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::sample_token;
use crate::torch::TorchCsm;

/// Clips; their draws are many.
const CLIPS: usize = 10;
/// Frames of a clip that are compared.
const FRAMES: usize = 60;
/// Float32 summed in another order: logits are of size 10, the unit is 6e-8, some 10^5 products deep.
const LOGIT_BOUND: f32 = 2e-4;

pub(super) fn check(checkpoint: &Checkpoint, config: &VerifyConfig, results: &mut VerifyResults) -> Result<()> {
    let mut mlx = MlxCsm::load(checkpoint, Dtype::Float32)?;
    let mut torch = TorchCsm::load(checkpoint, Dtype::Float32)?;
    let (mut draws, mut top1, mut same_token) = (0, 0, 0);
    let (mut largest_kl, mut top_k) = (0.0f64, 0.0);
    for n in (0..config.clips.min(CLIPS)).take_while(|_| !config.is_cancelled()) {
        let request = clip_request(checkpoint, config, Mode::Exact, n)?;
        let request = GenerationRequest { max_frames: config.max_frames.min(FRAMES), ..request };
        let dims = checkpoint.dims();
        let (codes, ours) = observed_clip(&request, &dims, &mut SingleEngine(&mut mlx))?;
        let forced = GenerationRequest { forced: Some(codes), ..request };
        let (_, theirs) = observed_clip(&forced, &dims, &mut SingleEngine(&mut torch))?;
        let sampling = forced.spec.sampling;
        let mut noise = TorchNoise::new(sampling.seed);
        let mut q = vec![0.0; dims.vocab];
        for (ours, theirs) in ours.iter().zip(&theirs) {
            for (codebook, (a, b)) in ours.rows().zip(theirs.rows()).enumerate() {
                let params = sampling.params_for(codebook);
                let diff = LogitDiff::measure(b, a, params.top_k);
                results.logit_differences.push(diff.max_difference);
                largest_kl = largest_kl.max(diff.kl);
                top1 += usize::from(diff.top1_agreement);
                top_k += diff.top_k_agreement;
                noise.fill(&mut q);
                same_token += usize::from(sample_token(a, params, None, &q) == sample_token(b, params, None, &q));
                draws += 1;
            }
        }
    }
    let largest = results.logit_differences.iter().copied().fold(0.0, f32::max);
    let percent = |n: f64| 100.0 * n / draws as f64;
    results.lines.push(CheckLine {
        check: "teacher-forced",
        what: format!("{}: MLX's logits, PyTorch's, on the same tokens", checkpoint.info.name),
        count: format!("{draws} draws"),
        result: format!(
            "largest difference {largest:.1e}, largest KL {largest_kl:.1e} bits; agreement: top-1 {:.3} %, top-k {:.3} %, token \
             from the same noise {:.4} %",
            percent(top1 as f64),
            percent(top_k),
            percent(same_token as f64)
        ),
        passed: draws > 0 && largest <= LOGIT_BOUND,
    });
    Ok(())
}
