//! The warpers: what temperature, guard and top-k do to logits before a draw. The sequence is written once, over the few tensor
//! operations it takes; the reference sampler, MLX and PyTorch each implement the operations with their own arithmetic.

use crate::data::{RangeGuard, SamplingParams};

/// The operations on one row of float32 logits `[V]`.
pub trait LogitOps {
    /// A row of logits.
    type Row;
    /// A single logit.
    type Scalar;
    /// What the backend reports.
    type Error;

    /// `logits / divisor`.
    fn divide(&self, logits: Self::Row, divisor: f64) -> Result<Self::Row, Self::Error>;
    /// -inf where `mask` `[V]` is true.
    fn mask(&self, logits: Self::Row, mask: Vec<bool>) -> Result<Self::Row, Self::Error>;
    /// The k-th largest logit, 1 being the largest.
    fn kth_largest(&self, logits: &Self::Row, k: usize) -> Result<Self::Scalar, Self::Error>;
    /// -inf where a logit is strictly below `floor + offset`.
    fn mask_below(&self, logits: Self::Row, floor: Self::Scalar, offset: f64) -> Result<Self::Row, Self::Error>;
}

/// Logits as the draw sees them, in transformers' order: divided by the temperature, then top-k, where ties at the k-th place
/// stay (`TopKLogitsWarper`). The guard comes before top-k, so that k allowed ids remain. For a greedy draw only the guard applies.
///
/// # Errors
/// What the backend reports.
pub fn warp<O: LogitOps>(
    ops: &O,
    logits: O::Row,
    vocab: usize,
    params: SamplingParams,
    guard: Option<RangeGuard>,
) -> Result<O::Row, O::Error> {
    let greedy = params.is_greedy();
    let mut warped = if greedy { logits } else { ops.divide(logits, params.temperature)? };
    if let Some(guard) = guard {
        warped = ops.mask(warped, guard.mask(vocab))?;
    }
    if !greedy && params.top_k < vocab {
        let kth = ops.kth_largest(&warped, params.top_k)?;
        warped = ops.mask_below(warped, kth, 0.0)?;
    }
    Ok(warped)
}
