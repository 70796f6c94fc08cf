//! The draw with PyTorch's own operations and generator.

use tch::{Kind, TchError, Tensor};

use super::TorchResult;
use crate::data::{RangeGuard, SamplingParams};
use crate::error::Result;
use crate::sampling::warp::{LogitOps, warp as warp_with};

/// PyTorch's arithmetic on a row of logits (V,).
struct TorchOps;

impl LogitOps for TorchOps {
    type Row = Tensor;
    type Scalar = Tensor;
    type Error = TchError;

    fn divide(&self, logits: Tensor, divisor: f64) -> TorchResult<Tensor> {
        logits.f_div_scalar(divisor)
    }

    fn mask(&self, logits: Tensor, mask: Vec<bool>) -> TorchResult<Tensor> {
        logits.f_masked_fill(&Tensor::from_slice(&mask), f64::NEG_INFINITY)
    }

    fn kth_largest(&self, logits: &Tensor, k: usize) -> TorchResult<Tensor> {
        let (largest, _) = logits.f_topk(k as i64, -1, true, true)?;
        largest.f_narrow(0, k as i64 - 1, 1)
    }

    fn top_p_floor(&self, logits: &Tensor, top_p: f64) -> TorchResult<Tensor> {
        let (sorted, _) = logits.f_sort(-1, false)?;
        let removed = sorted.f_softmax(-1, Kind::Float)?.f_cumsum(-1, Kind::Float)?.f_le(1.0 - top_p)?;
        let kept = sorted.f_masked_fill(&removed, f64::INFINITY)?;
        kept.f_amin([-1i64].as_slice(), true)?.f_minimum(&sorted.f_amax([-1i64].as_slice(), true)?)
    }

    fn min_p_floor(&self, logits: &Tensor, min_p: f64) -> TorchResult<Tensor> {
        let probabilities = logits.f_softmax(-1, Kind::Float)?;
        let least = probabilities.f_amax([-1i64].as_slice(), true)?.f_mul_scalar(min_p)?;
        logits.f_masked_fill(&probabilities.f_lt_tensor(&least)?, f64::INFINITY)?.f_amin([-1i64].as_slice(), true)
    }

    fn mask_below(&self, logits: Tensor, floor: Tensor) -> TorchResult<Tensor> {
        let below = logits.f_lt_tensor(&floor)?;
        logits.f_masked_fill(&below, f64::NEG_INFINITY)
    }
}

fn warp(logits: &Tensor, params: SamplingParams, guard: Option<RangeGuard>) -> TorchResult<Tensor> {
    warp_with(&TorchOps, logits.shallow_clone(), logits.size()[0] as usize, params, guard)
}

/// Logits (V,) after the repetition penalty, as [`crate::sampling::reference::penalise`] gives them.
pub(super) fn penalise(logits: &Tensor, params: SamplingParams, recent: &[u32]) -> TorchResult<Tensor> {
    let tokens: Vec<i64> = params.penalised(recent).iter().map(|id| i64::from(*id)).collect();
    if tokens.is_empty() {
        return Ok(logits.shallow_clone());
    }
    let tokens = Tensor::from_slice(&tokens);
    let scores = logits.f_gather(0, &tokens, false)?;
    let lower = scores.f_mul_scalar(params.repetition_penalty)?;
    let penalised = lower.f_where_self(&scores.f_lt(0.0)?, &scores.f_div_scalar(params.repetition_penalty)?)?;
    logits.f_scatter(0, &tokens, &penalised)
}

/// Draws one token from float32 logits (V,): an int64 tensor (1,), and what it would have been without the guard. Takes V values
/// of PyTorch's noise whatever the settings, so that the random position stays that of *exact* mode.
pub(super) fn sample_token(
    logits: &Tensor,
    params: SamplingParams,
    guard: Option<RangeGuard>,
) -> TorchResult<(Tensor, Option<Tensor>)> {
    if params.is_greedy() {
        skip(logits.size()[0] as usize)?;
        let greedy = |guard| warp(logits, params, guard)?.f_argmax(-1, true);
        return Ok((greedy(guard)?, guard.map(|_| greedy(None)).transpose()?));
    }
    let probabilities = |guard| warp(logits, params, guard)?.f_softmax(-1, Kind::Float);
    if guard.is_none() {
        return Ok((probabilities(None)?.f_multinomial(1, false)?, None));
    }
    // As multinomial does for one sample, so that both draws have the same noise.
    let noise = logits.f_empty_like()?.f_exponential_(1.0)?;
    let token = |guard| probabilities(guard)?.f_div(&noise)?.f_argmax(-1, true);
    Ok((token(guard)?, Some(token(None)?)))
}

/// Skips `values` draws of the generator.
pub(super) fn skip(values: usize) -> TorchResult<()> {
    // A bounded chunk at a time: a clip's whole past can be a gigabyte.
    const CHUNK: usize = 1 << 20;
    let mut rest = values;
    while rest > 0 {
        let n = rest.min(CHUNK);
        drop(Tensor::f_empty([n as i64], (Kind::Float, tch::Device::Cpu))?.f_exponential_(1.0)?);
        rest -= n;
    }
    Ok(())
}

/// Seeds PyTorch's generator of this process; a u64 seed is taken bit for bit.
pub fn seed(seed: u64) {
    tch::manual_seed(seed.cast_signed());
}

/// The next `n` values that `exponential_` puts into a float32 tensor.
///
/// # Errors
/// [`crate::error::Error::Engine`] with the error of PyTorch.
pub fn exponential_f32(n: usize) -> Result<Vec<f32>> {
    let values = Tensor::f_empty([n as i64], (Kind::Float, tch::Device::Cpu))?.f_exponential_(1.0)?;
    Ok(Vec::try_from(values)?)
}

/// Like [`exponential_f32`], in float64.
///
/// # Errors
/// [`crate::error::Error::Engine`] with the error of PyTorch.
pub fn exponential_f64(n: usize) -> Result<Vec<f64>> {
    let values = Tensor::f_empty([n as i64], (Kind::Double, tch::Device::Cpu))?.f_exponential_(1.0)?;
    Ok(Vec::try_from(values)?)
}

/// Like [`exponential_f32`], in bfloat16 and widened.
///
/// # Errors
/// [`crate::error::Error::Engine`] with the error of PyTorch.
pub fn exponential_bf16(n: usize) -> Result<Vec<f32>> {
    let values = Tensor::f_empty([n as i64], (Kind::BFloat16, tch::Device::Cpu))?.f_exponential_(1.0)?;
    Ok(Vec::try_from(values.f_to_kind(Kind::Float)?)?)
}

/// Draws one token by transformers' warpers and `multinomial` from PyTorch's generator in its current state.
///
/// # Errors
/// [`crate::error::Error::Engine`] with the error of PyTorch.
pub fn multinomial(logits: &[f32], params: SamplingParams, guard: Option<RangeGuard>) -> Result<u32> {
    let (token, _) = sample_token(&Tensor::from_slice(logits), params, guard)?;
    Ok(token.f_int64_value(&[0])? as u32)
}

/// Draws one token by the original CSM's `sample_topk`: a log_softmax before the softmax, and the race written out.
///
/// # Errors
/// [`crate::error::Error::Engine`] with the error of PyTorch.
pub fn original_sample_topk(logits: &[f32], params: SamplingParams) -> Result<u32> {
    let warped = warp(&Tensor::from_slice(logits), params, None)?;
    let probabilities = warped.f_log_softmax(-1, Kind::Float)?.f_softmax(-1, Kind::Float)?;
    let noise = probabilities.f_empty_like()?.f_exponential_(1.0)?;
    Ok(probabilities.f_div(&noise)?.f_argmax(-1, true)?.f_int64_value(&[0])? as u32)
}
