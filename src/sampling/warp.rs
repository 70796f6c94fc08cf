//! The warpers: temperature, guard and cuts, applied to logits before a draw. The sequence is written once, over the few tensor
//! operations it takes; the reference sampler, MLX and PyTorch each implement the operations with their own arithmetic.

use crate::data::{RangeGuard, SamplingParams};

/// The operations on one row of float32 logits `[V]`.
pub trait LogitOps {
    /// A row of logits.
    type Row;
    /// A single logit.
    type Scalar;
    /// Errors of the backend.
    type Error;

    /// `logits / divisor`.
    fn divide(&self, logits: Self::Row, divisor: f64) -> Result<Self::Row, Self::Error>;
    /// -inf where `mask` `[V]` is true.
    fn mask(&self, logits: Self::Row, mask: Vec<bool>) -> Result<Self::Row, Self::Error>;
    /// The k-th largest logit, 1 being the largest.
    fn kth_largest(&self, logits: &Self::Row, k: usize) -> Result<Self::Scalar, Self::Error>;
    /// The smallest logit that top-p keeps: transformers' `TopPLogitsWarper` removes tokens from the least likely up while their
    /// probabilities sum to at most `1 - top_p`, but never the most likely one.
    fn top_p_floor(&self, logits: &Self::Row, top_p: f64) -> Result<Self::Scalar, Self::Error>;
    /// The smallest logit whose probability is at least `min_p` times the largest (transformers' `MinPLogitsWarper`).
    fn min_p_floor(&self, logits: &Self::Row, min_p: f64) -> Result<Self::Scalar, Self::Error>;
    /// -inf where a logit is strictly below `floor`.
    fn mask_below(&self, logits: Self::Row, floor: Self::Scalar) -> Result<Self::Row, Self::Error>;
}

/// A warper that cuts tokens: those whose logit is below its floor cannot be drawn. A new one is a variant here; [`warp`] applies it,
/// and `analysis::divergence` explains tokens that it cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Keeps the `top_k` largest logits; ties at the last place stay (transformers' `TopKLogitsWarper`).
    TopK,
    /// Keeps the most likely tokens whose probabilities first sum to `top_p` (Holtzman et al. 2020). Tokens as likely as the last one
    /// stay; transformers keeps some of them, by the order of its sort.
    TopP,
    /// Keeps tokens of at least `min_p` times the probability of the most likely one (Nguyen et al. 2024).
    MinP,
}

impl Cut {
    /// Every cut, in the order in which they apply: transformers'.
    pub const ALL: [Self; 3] = [Self::TopK, Self::TopP, Self::MinP];

    /// Whether these settings cut anything of `vocab` tokens. A greedy draw cuts nothing.
    pub fn is_active(self, params: SamplingParams, vocab: usize) -> bool {
        let cuts = match self {
            Self::TopK => params.top_k < vocab,
            Self::TopP => params.top_p < 1.0,
            Self::MinP => params.min_p > 0.0,
        };
        cuts && !params.is_greedy()
    }

    /// The smallest logit that is kept, for logits that are divided by the temperature and cut by all cuts before.
    ///
    /// # Errors
    /// Errors of the backend.
    pub fn floor<O: LogitOps>(self, ops: &O, logits: &O::Row, params: SamplingParams) -> Result<O::Scalar, O::Error> {
        match self {
            Self::TopK => ops.kth_largest(logits, params.top_k),
            Self::TopP => ops.top_p_floor(logits, params.top_p),
            Self::MinP => ops.min_p_floor(logits, params.min_p),
        }
    }
}

/// Logits as the draw sees them, in transformers' order: divided by the temperature, then cut. The guard comes before the cuts, so that
/// top-k keeps k allowed ids. For a greedy draw only the guard applies.
///
/// # Errors
/// Errors of the backend.
pub fn warp<O: LogitOps>(
    ops: &O,
    logits: O::Row,
    vocab: usize,
    params: SamplingParams,
    guard: Option<RangeGuard>,
) -> Result<O::Row, O::Error> {
    let mut warped = if params.is_greedy() { logits } else { ops.divide(logits, params.temperature)? };
    if let Some(guard) = guard {
        warped = ops.mask(warped, guard.mask(vocab))?;
    }
    for cut in Cut::ALL.into_iter().filter(|cut| cut.is_active(params, vocab)) {
        let floor = cut.floor(ops, &warped, params)?;
        warped = ops.mask_below(warped, floor)?;
    }
    Ok(warped)
}
