//! The draw as part of the graph: the tensor form of [`crate::sampling::reference`].

use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::indexing::{argmax_axis, topk_axis};
use mlx_rs::ops::{concatenate, cumsum, minimum, select, softmax_axis, sort_axis};
use mlx_rs::{Array, Dtype, Stream, random, with_stream};

use super::nn::Result;
use crate::data::{RangeGuard, SamplingParams};
use crate::sampling::mlx_noise::native_seed;
use crate::sampling::warp::{LogitOps, warp};

/// The randomness of a draw for each sequence.
pub(super) enum DrawNoise {
    /// Keys for MLX's own generator.
    Keys(Vec<Array>),
    /// PyTorch's exponential noise, (B, V).
    Exponential(Array),
}

/// Key of MLX's generator for one draw.
pub(super) fn native_key(seed: u64, frame: usize, codebook: usize) -> Result<Array> {
    random::key(native_seed(seed, frame, codebook))
}

/// MLX's arithmetic on rows of logits (B, V).
struct MlxOps {
    /// Whether top-p adds as PyTorch does.
    as_torch: bool,
}

impl LogitOps for MlxOps {
    type Row = Array;
    type Scalar = Array;
    type Error = Exception;

    fn divide(&self, logits: Array, divisor: f64) -> Result<Array> {
        logits.divide(Array::from_f32(divisor as f32))
    }

    fn mask(&self, logits: Array, mask: Vec<bool>) -> Result<Array> {
        select(Array::from_slice(&mask, &[mask.len() as i32]), minus_infinity(), logits)
    }

    fn kth_largest(&self, logits: &Array, k: usize) -> Result<Array> {
        topk_axis(logits, k as i32, -1)?.min_axis(-1, true)
    }

    fn top_p_floor(&self, logits: &Array, top_p: f64) -> Result<Array> {
        let sorted = sort_axis(logits, -1)?;
        let probabilities = softmax_axis(&sorted, -1, true)?;
        // PyTorch adds in float64 and stores float32. Only MLX's CPU backend has float64.
        let in_float64 = || cumsum(probabilities.as_dtype(Dtype::Float64)?, -1, false, true)?.as_dtype(Dtype::Float32);
        let sums = match self.as_torch {
            true => with_stream(&Stream::cpu(), in_float64)?,
            false => cumsum(&probabilities, -1, false, true)?,
        };
        let removed = sums.le(Array::from_f32((1.0 - top_p) as f32))?;
        let kept = select(removed, Array::from_f32(f32::INFINITY), &sorted)?;
        minimum(kept.min_axis(-1, true)?, sorted.max_axis(-1, true)?)
    }

    fn min_p_floor(&self, logits: &Array, min_p: f64) -> Result<Array> {
        let probabilities = softmax_axis(logits, -1, true)?;
        let least = probabilities.max_axis(-1, true)?.multiply(Array::from_f32(min_p as f32))?;
        select(probabilities.lt(least)?, Array::from_f32(f32::INFINITY), logits)?.min_axis(-1, true)
    }

    fn mask_below(&self, logits: Array, floor: Array) -> Result<Array> {
        select(logits.lt(floor)?, minus_infinity(), &logits)
    }
}

fn minus_infinity() -> Array {
    Array::from_f32(f32::NEG_INFINITY)
}

/// Logits (B, V) after the repetition penalty; `recent` are the tokens of each sequence, the last one first. The tensor form of
/// [`crate::sampling::reference::penalise`].
pub(super) fn penalise(logits: &Array, params: SamplingParams, recent: &[&[u32]]) -> Result<Array> {
    if recent.iter().all(|recent| params.penalised(recent).is_empty()) {
        return Ok(logits.clone());
    }
    let vocab = logits.dim(1) as usize;
    let mut mask = vec![false; recent.len() * vocab];
    for (row, recent) in mask.chunks_exact_mut(vocab).zip(recent) {
        for id in params.penalised(recent) {
            row.get_mut(*id as usize).into_iter().for_each(|masked| *masked = true);
        }
    }
    let mask = Array::from_slice(&mask, &[recent.len() as i32, vocab as i32]);
    let penalty = Array::from_f32(params.repetition_penalty as f32);
    let is_negative = logits.lt(Array::from_f32(0.0))?;
    let penalised = select(is_negative, logits.multiply(&penalty)?, logits.divide(&penalty)?)?;
    select(mask, penalised, logits)
}

/// Draws one token a sequence from float32 logits (B, V): (B,) uint32.
pub(super) fn sample_tokens(
    logits: &Array,
    params: SamplingParams,
    guard: Option<RangeGuard>,
    noise: &DrawNoise,
) -> Result<Array> {
    let ops = MlxOps { as_torch: matches!(noise, DrawNoise::Exponential(_)) };
    let warped = warp(&ops, logits.clone(), logits.dim(1) as usize, params, guard)?;
    if params.is_greedy() {
        return argmax_axis(&warped, -1, false);
    }
    match noise {
        DrawNoise::Keys(keys) => {
            // Row by row, (V,) each: MLX's generator gives other numbers for another shape, and a seed is to give what it always gave.
            let draw = |(row, key): (usize, &Array)| {
                random::categorical(warped.try_index(row as i32)?, None, None, key)?.reshape(&[1])
            };
            match keys.iter().enumerate().map(draw).collect::<Result<Vec<_>>>()?.as_slice() {
                [one] => Ok(one.clone()),
                rows => concatenate(rows, 0),
            }
        }
        DrawNoise::Exponential(q) => argmax_axis(softmax_axis(&warped, -1, true)?.divide(q)?, -1, false),
    }
}
