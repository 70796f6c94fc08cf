//! The cost of quantisation: a float checkpoint's logits and a quantised one's on the same tokens, and clips from the same noise.

use serde::Serialize;

use crate::analysis::divergence::Divergence;
use crate::analysis::logit_diff::LogitDiff;
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Codes, Dtype, Logits, Mode, Sampling};
use crate::engine::{GenerationRequest, SingleEngine, observed_clip};
use crate::error::Result;
use crate::mlx::MlxCsm;
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::sample_token;

/// Longest clip that is measured, seconds.
const SECONDS: f64 = 5.0;

/// Seeds of the clips, one a text.
const FIRST_SEED: u64 = 1;

/// The cost in one codebook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CodebookCost {
    /// Number of draws that were compared.
    pub draws: usize,
    /// Mean of `KL(softmax(float) || softmax(quantised))`, bits.
    pub mean_kl: f64,
    /// Largest of them, bits.
    pub largest_kl: f64,
    /// Tokens that the same noise draws otherwise.
    pub flips: usize,
}

/// The cost of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Costs of each codebook.
    pub codebooks: Vec<CodebookCost>,
    /// First frame of each clip that differs when both speak freely from the same noise; `None` if none does.
    pub first_divergences: Vec<Option<usize>>,
    /// Frames of each clip of the float checkpoint.
    pub frames: Vec<usize>,
}

/// Measures `quantised` against `float` on `texts`, in *exact* mode. One model is in memory at a time.
///
/// # Errors
/// Errors of loading and of the engines.
pub fn measure(float: &Checkpoint, quantised: &Checkpoint, texts: &[&str]) -> Result<Cost> {
    let spec = |n: usize, text: &&str| {
        let sampling = float.suggested_sampling(Mode::Exact, FIRST_SEED + n as u64);
        ClipSpec::new(*text, 0, Sampling { precision: Dtype::Float32, ..sampling })
    };
    let specs: Vec<ClipSpec> = texts.iter().enumerate().map(|(n, text)| spec(n, text)).collect();
    let dims = float.dims();
    let max_frames = dims.frames_in(SECONDS);
    let mut clips: Vec<(Codes, Vec<Logits>)> = Vec::new();
    {
        let mut engine = MlxCsm::load(float, Dtype::Float32)?;
        for spec in &specs {
            let request = GenerationRequest::new(spec, float.prompt(spec)?, max_frames).observed();
            clips.push(observed_clip(&request, &dims, &mut SingleEngine(&mut engine))?);
        }
    }
    let mut engine = MlxCsm::load(quantised, Dtype::Float32)?;
    let mut cost = Cost { codebooks: vec![CodebookCost::default(); dims.codebooks], ..Cost::default() };
    for (spec, (codes, logits)) in specs.iter().zip(&clips) {
        let prompt = quantised.prompt(spec)?;
        let forced = GenerationRequest::teacher_forced(spec, prompt.clone(), codes);
        let (_, others) = observed_clip(&forced, &dims, &mut SingleEngine(&mut engine))?;
        cost.add_draws(&spec.sampling, logits, &others);
        let free = GenerationRequest::new(spec, prompt, max_frames);
        let (free, _) = observed_clip(&free, &dims, &mut SingleEngine(&mut engine))?;
        cost.first_divergences.push(Divergence::between(codes, &free).map(|d| d.frame));
        cost.frames.push(codes.len());
    }
    for codebook in &mut cost.codebooks {
        codebook.mean_kl /= codebook.draws.max(1) as f64;
    }
    Ok(cost)
}

impl Cost {
    fn add_draws(&mut self, sampling: &Sampling, float: &[Logits], quantised: &[Logits]) {
        let mut noise = TorchNoise::new(sampling.seed);
        for (a, b) in float.iter().zip(quantised) {
            for (codebook, (a, b)) in a.rows().zip(b.rows()).enumerate() {
                let params = sampling.params_for(codebook);
                let kl = LogitDiff::measure(a, b, params.top_k).kl;
                let mut q = vec![0.0; a.len()];
                noise.fill(&mut q);
                let cost = &mut self.codebooks[codebook];
                cost.draws += 1;
                cost.mean_kl += kl;
                cost.largest_kl = cost.largest_kl.max(kl);
                cost.flips += usize::from(sample_token(a, params, None, &q) != sample_token(b, params, None, &q));
            }
        }
    }
}
