//! MLX's fused operations. On a GPU each is one kernel; MLX's CPU backend makes a dozen operations of each.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::{self, ScaledDotProductAttentionMask};

type Result<T> = std::result::Result<T, Exception>;

/// `x / rms(x) * weight` along the last axis.
pub(super) fn rms_norm(x: &Array, weight: &Array, eps: f32) -> Result<Array> {
    #[cfg(test)]
    if pretended_gpu::is_on() {
        return pretended_gpu::kernel(&[x, weight], x.shape());
    }
    fast::rms_norm(x, Some(weight), eps)
}

/// LayerNorm along the last axis.
pub(super) fn layer_norm(x: &Array, weight: &Array, bias: &Array, eps: f32) -> Result<Array> {
    #[cfg(test)]
    if pretended_gpu::is_on() {
        return pretended_gpu::kernel(&[x, weight, bias], x.shape());
    }
    fast::layer_norm(x, Some(weight), Some(bias), eps)
}

/// Half-split rotation of `x` (B, heads, T, head_dim), its first step at `position`.
pub(super) fn rope(x: &Array, head_dim: i32, position: i32, wavelengths: &Array) -> Result<Array> {
    #[cfg(test)]
    if pretended_gpu::is_on() {
        return pretended_gpu::kernel(&[x, wavelengths], x.shape());
    }
    fast::rope(x, head_dim, false, None, 1.0, position, wavelengths)
}

/// Attention of `q` (B, heads, T, head_dim) over `k` and `v` (B, kv heads, length, head_dim).
pub(super) fn attention<'a>(
    q: &Array,
    k: &Array,
    v: &Array,
    scale: f32,
    mask: Option<ScaledDotProductAttentionMask<'a>>,
) -> Result<Array> {
    #[cfg(test)]
    if pretended_gpu::is_on() {
        return pretended_gpu::kernel(&[q, k, v], q.shape());
    }
    fast::scaled_dot_product_attention(q, k, v, scale, mask, None)
}

/// The graph that a GPU would get, to be counted if there is none: a fused operation is one operation that cannot be computed.
#[cfg(test)]
pub(super) mod pretended_gpu {
    use std::cell::Cell;

    use mlx_rs::Array;

    use super::Result;
    use crate::mlx::cpu::host_op;

    thread_local! {
        static ON: Cell<bool> = const { Cell::new(false) };
    }

    pub(in crate::mlx) fn is_on() -> bool {
        ON.get()
    }

    pub(super) fn kernel(inputs: &[&Array], shape: &[i32]) -> Result<Array> {
        host_op(inputs, shape, |_, _| unreachable!("the graph for a GPU is only counted"))
    }

    /// Runs `build` as if MLX computed on a GPU.
    pub(in crate::mlx) fn with<T>(build: impl FnOnce() -> T) -> T {
        ON.set(true);
        let built = build();
        ON.set(false);
        built
    }
}
