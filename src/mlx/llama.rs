//! The Llama-shaped transformer that backbone and depth decoder share.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::ScaledDotProductAttentionMask;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::sigmoid;

use super::fast::attention;
use super::nn::{KvCache, Linear, Parallel, Result, RmsNorm, Rotary, Rotation, attend_one, attends_by_hand};
use crate::checkpoint::config::LlamaConfig;
use crate::checkpoint::weights::{LlamaLayerWeights, LlamaWeights};
use crate::data::AttentionHead;

struct Layer {
    input_norm: RmsNorm,
    /// Queries, keys and values.
    qkv: Parallel,
    o: Linear,
    post_norm: RmsNorm,
    gate_up: Parallel,
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
    pub(super) fn new(weights: LlamaWeights<Array>, c: &LlamaConfig) -> Result<Self> {
        let layer = |w: LlamaLayerWeights<Array>| {
            Ok(Layer {
                input_norm: RmsNorm::new(w.input_norm, c.rms_norm_eps),
                qkv: Parallel::new(vec![w.q, w.k, w.v])?,
                o: Linear::new(w.o),
                post_norm: RmsNorm::new(w.post_norm, c.rms_norm_eps),
                gate_up: Parallel::new(vec![w.gate, w.up])?,
                down: Linear::new(w.down),
            })
        };
        Ok(Self {
            layers: weights.layers.into_iter().map(layer).collect::<Result<_>>()?,
            norm: RmsNorm::new(weights.norm, c.rms_norm_eps),
            rotary: Rotary::with_table(&c.rope, c.head_dim(), c.max_position_embeddings)?,
            heads: c.num_attention_heads as i32,
            kv_heads: c.num_key_value_heads as i32,
            head_dim: c.head_dim() as i32,
        })
    }

    /// Empty caches, one per layer.
    pub(super) fn caches(&self, block: usize) -> Vec<KvCache> {
        self.layers.iter().map(|_| KvCache::new(block)).collect()
    }

    /// `x`: (B, T, d), the next T positions. Returns the normed hidden states, (B, T, d). `recorded`: heads, and where the attention of
    /// the last position goes for each of them, (B, length) float32.
    pub(super) fn forward(
        &self,
        x: &Array,
        caches: &mut [KvCache],
        mut recorded: Option<(&[AttentionHead], &mut Vec<Array>)>,
    ) -> Result<Array> {
        let position = caches.first().map_or(0, KvCache::length);
        let rotation = self.rotary.at(position, x.dim(1), x.dtype())?;
        let mut x = x.clone();
        for (n, (layer, cache)) in self.layers.iter().zip(caches).enumerate() {
            let (y, q, k) = self.attention(layer, &layer.input_norm.forward(&x)?, &rotation, cache)?;
            if let Some((heads, weights)) = &mut recorded {
                for at in heads.iter().filter(|at| at.layer == n) {
                    weights.push(self.attention_weights(&q, &k, at.head as i32)?);
                }
            }
            x = x.add(y)?;
            x = x.add(layer.feed_forward(&layer.post_norm.forward(&x)?)?)?;
        }
        self.norm.forward(&x)
    }

    /// Weights of the last position of one head, (B, length) float32. `q`: (B, heads, T, head_dim); `k`: (B, kv heads, length, head_dim).
    fn attention_weights(&self, q: &Array, k: &Array, head: i32) -> Result<Array> {
        let float = mlx_rs::Dtype::Float32;
        let group = head * self.kv_heads / self.heads;
        let query = q.try_index((.., head, -1.., ..))?.as_dtype(float)?; // (B, 1, head_dim)
        let keys = k.try_index((.., group, .., ..))?.as_dtype(float)?; // (B, length, head_dim)
        let scale = Array::from_f32((self.head_dim as f32).powf(-0.5));
        let scores = query.multiply(scale)?.matmul(keys.swap_axes(1, 2)?)?; // (B, 1, length)
        mlx_rs::ops::softmax_axis(&scores, -1, true)?.squeeze_axes(&[1])
    }

    /// The attention layer's output, its queries, and all keys.
    fn attention(
        &self,
        layer: &Layer,
        x: &Array,
        rotation: &Rotation,
        cache: &mut KvCache,
    ) -> Result<(Array, Array, Array)> {
        let (b, t, rotated) = (x.dim(0), x.dim(1), self.heads + self.kv_heads);
        let all = layer.qkv.forward(x)?.reshape(&[b, t, rotated + self.kv_heads, self.head_dim])?;
        let all = all.transpose_axes(&[0, 2, 1, 3])?; // (B, heads + 2 kv heads, T, head_dim)
        let qk = self.rotary.rotate(&all.try_index((.., ..rotated, .., ..))?, rotation)?;
        let q = qk.try_index((.., ..self.heads, .., ..))?;
        let k = qk.try_index((.., self.heads.., .., ..))?;
        let v = all.try_index((.., rotated.., .., ..))?;
        let (k, v) = cache.append(&k, &v)?;
        let scale = (self.head_dim as f32).powf(-0.5);
        if t == 1 && attends_by_hand(q.dtype()) {
            let y = layer.o.forward(&attend_one(&q, &k, &v, scale)?)?;
            return Ok((y, q, k));
        }
        let mask = (t > 1).then_some(ScaledDotProductAttentionMask::Causal);
        let y = attention(&q, &k, &v, scale, mask)?; // (B, heads, T, head_dim)
        let y = y.transpose_axes(&[0, 2, 1, 3])?.reshape(&[b, t, self.heads * self.head_dim])?;
        Ok((layer.o.forward(&y)?, q, k))
    }
}

impl Layer {
    /// SwiGLU: `w_down(silu(w_gate x) * w_up x)`.
    fn feed_forward(&self, x: &Array) -> Result<Array> {
        let parts = self.gate_up.forward_each(x)?;
        let [gate, up] = parts.as_slice() else { return Err(Exception::custom("gate and up are two layers")) };
        let inner = gate.multiply(sigmoid(gate)?)?.multiply(up)?;
        self.down.forward(&inner)
    }
}
