//! The draw with PyTorch's own operations and generator.

use tch::{Kind, Tensor};

use super::Torch;
use crate::error::Result;
use crate::sampling::{Draw, Guard};

/// transformers' warpers: `/ T`, the guard's mask, everything strictly below the k-th largest at -inf.
fn warp(logits: &Tensor, draw: Draw, guard: Option<Guard>) -> Torch<Tensor> {
    let vocab = logits.size()[0];
    let mut warped =
        if draw.temperature > 0.0 { logits.f_div_scalar(draw.temperature)? } else { logits.shallow_clone() };
    if let Some(guard) = guard {
        let forbidden: Vec<bool> = (0..vocab as u32).map(|id| guard.forbids(id)).collect();
        warped = warped.f_masked_fill(&Tensor::from_slice(&forbidden), f64::NEG_INFINITY)?;
    }
    if draw.temperature > 0.0 && (draw.top_k as i64) < vocab {
        let (largest, _) = warped.f_topk(draw.top_k as i64, -1, true, true)?;
        let below = warped.f_lt_tensor(&largest.f_narrow(0, draw.top_k as i64 - 1, 1)?)?;
        warped = warped.f_masked_fill(&below, f64::NEG_INFINITY)?;
    }
    Ok(warped)
}

/// One token of float32 logits (V,), as an int64 tensor (1,), and what it would have been without the guard. Takes V values
/// of PyTorch's noise whatever the settings, so that the random position stays that of *exact* mode.
pub(super) fn draw(logits: &Tensor, how: Draw, guard: Option<Guard>) -> Torch<(Tensor, Option<Tensor>)> {
    if how.temperature == 0.0 {
        skip(logits.size()[0] as usize)?;
        let greedy = |guard| warp(logits, how, guard)?.f_argmax(-1, true);
        return Ok((greedy(guard)?, guard.map(|_| greedy(None)).transpose()?));
    }
    let probabilities = |guard| warp(logits, how, guard)?.f_softmax(-1, Kind::Float);
    if guard.is_none() {
        return Ok((probabilities(None)?.f_multinomial(1, false)?, None));
    }
    // What multinomial does for one sample, so that both draws have the same noise.
    let noise = logits.f_empty_like()?.f_exponential_(1.0)?;
    let token = |guard| probabilities(guard)?.f_div(&noise)?.f_argmax(-1, true);
    Ok((token(guard)?, Some(token(None)?)))
}

/// Goes on by `values` values of the noise.
pub(super) fn skip(values: usize) -> Torch<()> {
    // A bounded piece at a time: a clip's whole past can be a gigabyte.
    const PIECE: usize = 1 << 20;
    let mut rest = values;
    while rest > 0 {
        let n = rest.min(PIECE);
        let _ = Tensor::f_empty([n as i64], (Kind::Float, tch::Device::Cpu))?.f_exponential_(1.0)?;
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
/// What PyTorch reports.
pub fn exponential_f32(n: usize) -> Result<Vec<f32>> {
    let values = Tensor::f_empty([n as i64], (Kind::Float, tch::Device::Cpu))?.f_exponential_(1.0)?;
    Ok(Vec::try_from(values)?)
}

/// The same for float64.
///
/// # Errors
/// What PyTorch reports.
pub fn exponential_f64(n: usize) -> Result<Vec<f64>> {
    let values = Tensor::f_empty([n as i64], (Kind::Double, tch::Device::Cpu))?.f_exponential_(1.0)?;
    Ok(Vec::try_from(values)?)
}

/// The same for bfloat16, widened.
///
/// # Errors
/// What PyTorch reports.
pub fn exponential_bf16(n: usize) -> Result<Vec<f32>> {
    let values = Tensor::f_empty([n as i64], (Kind::BFloat16, tch::Device::Cpu))?.f_exponential_(1.0)?;
    Ok(Vec::try_from(values.f_to_kind(Kind::Float)?)?)
}

/// One token by transformers' warpers and `multinomial` from PyTorch's generator as it stands.
///
/// # Errors
/// What PyTorch reports.
pub fn multinomial(logits: &[f32], how: Draw, guard: Option<Guard>) -> Result<u32> {
    let (token, _) = draw(&Tensor::from_slice(logits), how, guard)?;
    Ok(token.f_int64_value(&[0])? as u32)
}

/// One token by the original CSM's `sample_topk`: a log_softmax before the softmax, and the race written out.
///
/// # Errors
/// What PyTorch reports.
pub fn original(logits: &[f32], how: Draw) -> Result<u32> {
    let warped = warp(&Tensor::from_slice(logits), how, None)?;
    let probabilities = warped.f_log_softmax(-1, Kind::Float)?.f_softmax(-1, Kind::Float)?;
    let noise = probabilities.f_empty_like()?.f_exponential_(1.0)?;
    Ok(probabilities.f_div(&noise)?.f_argmax(-1, true)?.f_int64_value(&[0])? as u32)
}
