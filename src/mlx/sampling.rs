//! The draw as part of the graph: the tensor form of [`crate::sampling::reference`].

use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::indexing::{argmax_axis, topk_axis};
use mlx_rs::ops::{concatenate, select, softmax_axis};
use mlx_rs::{Array, random};

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
struct MlxOps;

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

    fn mask_below(&self, logits: Array, floor: Array) -> Result<Array> {
        select(logits.lt(floor)?, minus_infinity(), &logits)
    }
}

fn minus_infinity() -> Array {
    Array::from_f32(f32::NEG_INFINITY)
}

/// Draws one token a sequence from float32 logits (B, V): (B,) uint32.
pub(super) fn sample_tokens(
    logits: &Array,
    params: SamplingParams,
    guard: Option<RangeGuard>,
    noise: &DrawNoise,
) -> Result<Array> {
    let warped = warp(&MlxOps, logits.clone(), logits.dim(1) as usize, params, guard)?;
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
