//! The Llama-shaped transformer that backbone and depth decoder share.

use mlx_rs::Array;
use mlx_rs::fast::{ScaledDotProductAttentionMask, scaled_dot_product_attention};
use mlx_rs::ops::sigmoid;

use super::nn::{KvCache, Linear, Result, RmsNorm, Rotary};
use crate::checkpoint::config::LlamaConfig;
use crate::checkpoint::weights::{LlamaLayerWeights, LlamaWeights};

struct Layer {
    input_norm: RmsNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    post_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// Layers and final norm; token embeddings and heads are the caller's.
pub(super) struct Llama {
    layers: Vec<Layer>,
    norm: RmsNorm,
    rotary: Rotary,
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
}

impl Llama {
    pub(super) fn new(weights: LlamaWeights<Array>, c: &LlamaConfig) -> Self {
        let layer = |w: LlamaLayerWeights<Array>| Layer {
            input_norm: RmsNorm::new(w.input_norm, c.rms_norm_eps),
            q: Linear::new(w.q),
            k: Linear::new(w.k),
            v: Linear::new(w.v),
            o: Linear::new(w.o),
            post_norm: RmsNorm::new(w.post_norm, c.rms_norm_eps),
            gate: Linear::new(w.gate),
            up: Linear::new(w.up),
            down: Linear::new(w.down),
        };
        Self {
            layers: weights.layers.into_iter().map(layer).collect(),
            norm: RmsNorm::new(weights.norm, c.rms_norm_eps),
            rotary: Rotary::new(&c.rope, c.head_dim()),
            heads: c.num_attention_heads as i32,
            kv_heads: c.num_key_value_heads as i32,
            head_dim: c.head_dim() as i32,
        }
    }

    /// Empty caches, one per layer.
    pub(super) fn caches(&self, block: usize) -> Vec<KvCache> {
        self.layers.iter().map(|_| KvCache::new(block)).collect()
    }

    /// `x`: (1, T, d), the next T positions. Returns the normed hidden states, (1, T, d).
    pub(super) fn forward(&self, x: &Array, caches: &mut [KvCache]) -> Result<Array> {
        let mut x = x.clone();
        for (layer, cache) in self.layers.iter().zip(caches) {
            x = x.add(self.attention(layer, &layer.input_norm.forward(&x)?, cache)?)?;
            x = x.add(layer.feed_forward(&layer.post_norm.forward(&x)?)?)?;
        }
        self.norm.forward(&x)
    }

    fn attention(&self, layer: &Layer, x: &Array, cache: &mut KvCache) -> Result<Array> {
        let (t, position) = (x.dim(1), cache.length());
        let split = |y: Array, heads: i32| {
            y.reshape(&[1, t, heads, self.head_dim])?.transpose_axes(&[0, 2, 1, 3]) // (1, heads, T, head_dim)
        };
        let q = self.rotary.forward(&split(layer.q.forward(x)?, self.heads)?, position)?;
        let k = self.rotary.forward(&split(layer.k.forward(x)?, self.kv_heads)?, position)?;
        let v = split(layer.v.forward(x)?, self.kv_heads)?;
        let (k, v) = cache.append(&k, &v)?;
        let mask = (t > 1).then_some(ScaledDotProductAttentionMask::Causal);
        let scale = (self.head_dim as f32).powf(-0.5);
        let y = scaled_dot_product_attention(q, k, v, scale, mask, None)?; // (1, heads, T, head_dim)
        let y = y.transpose_axes(&[0, 2, 1, 3])?.reshape(&[1, t, self.heads * self.head_dim])?;
        layer.o.forward(&y)
    }
}

impl Layer {
    /// SwiGLU: `w_down(silu(w_gate x) * w_up x)`.
    fn feed_forward(&self, x: &Array) -> Result<Array> {
        let gate = self.gate.forward(x)?;
        let inner = gate.multiply(sigmoid(&gate)?)?.multiply(self.up.forward(x)?)?;
        self.down.forward(&inner)
    }
}
