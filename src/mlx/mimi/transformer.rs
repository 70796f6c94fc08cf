//! Mimi's transformer: causal with a sliding window, pre-norm, layer scale. Chunk by chunk; a whole clip is one chunk.

use mlx_rs::Array;
use mlx_rs::fast::ScaledDotProductAttentionMask;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::{concatenate, erf};

use super::state::{SlotAllocator, StateSlot, StreamState};
use crate::checkpoint::config::MimiConfig;
use crate::checkpoint::weights::{MimiLayerWeights, NormWeights};
use crate::mlx::fast::{attention, layer_norm};
use crate::mlx::nn::{Linear, Parallel, Result, Rotary, Rotation};

/// Steps of RoPE's table: nearly three minutes of Mimi; later ones are computed.
const TABLE_STEPS: usize = 4_096;

struct LayerNorm {
    weight: Array,
    bias: Array,
    eps: f32,
}

impl LayerNorm {
    fn new(w: NormWeights<Array>, eps: f64) -> Self {
        Self { weight: w.weight, bias: w.bias, eps: eps as f32 }
    }

    fn forward(&self, x: &Array) -> Result<Array> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

struct Layer {
    input_norm: LayerNorm,
    /// Queries, keys and values.
    qkv: Parallel,
    o: Linear,
    attention_scale: Array, // (d,)
    post_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    mlp_scale: Array, // (d,)
    keys: StateSlot,
    values: StateSlot,
}

/// The transformer of encoder or decoder.
pub(super) struct Transformer {
    layers: Vec<Layer>,
    rotary: Rotary,
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
    window: i32,
}

impl Transformer {
    pub(super) fn new(layers: Vec<MimiLayerWeights<Array>>, c: &MimiConfig, slots: &mut SlotAllocator) -> Result<Self> {
        let layer = |w: MimiLayerWeights<Array>| {
            Ok(Layer {
                input_norm: LayerNorm::new(w.input_norm, c.norm_eps),
                qkv: Parallel::new(vec![w.q, w.k, w.v])?,
                o: Linear::new(w.o),
                attention_scale: w.attention_scale,
                post_norm: LayerNorm::new(w.post_norm, c.norm_eps),
                fc1: Linear::new(w.fc1),
                fc2: Linear::new(w.fc2),
                mlp_scale: w.mlp_scale,
                keys: slots.allocate(),
                values: slots.allocate(),
            })
        };
        Ok(Self {
            layers: layers.into_iter().map(layer).collect::<Result<_>>()?,
            rotary: Rotary::with_table(&c.rope, c.head_dim(), TABLE_STEPS)?,
            heads: c.num_attention_heads as i32,
            kv_heads: c.num_key_value_heads as i32,
            head_dim: c.head_dim() as i32,
            window: c.sliding_window as i32,
        })
    }

    /// `x`: (1, T, d), the next T steps.
    pub(super) fn forward(&self, x: &Array, state: &mut StreamState) -> Result<Array> {
        let mut x = x.clone();
        let (offset, t) = (state.offset, x.dim(1));
        let mask = self.mask(offset, t);
        let rotation = self.rotary.at(offset, t, x.dtype())?;
        for layer in &self.layers {
            let y = self.attention(layer, &layer.input_norm.forward(&x)?, &mask, &rotation, state)?;
            x = x.add(y.multiply(&layer.attention_scale)?)?;
            let y = layer.fc2.forward(&gelu(&layer.fc1.forward(&layer.post_norm.forward(&x)?)?)?)?;
            x = x.add(y.multiply(&layer.mlp_scale)?)?;
        }
        state.offset = offset + t;
        Ok(x)
    }

    /// Sliding-window causal mask, (T, kept + T): each step sees itself and the `window - 1` steps before it.
    fn mask(&self, offset: i32, t: i32) -> Array {
        let oldest = offset - self.kept(offset);
        let seen = (offset..offset + t).flat_map(|q| (oldest..offset + t).map(move |k| k <= q && k > q - self.window));
        Array::from_slice(&seen.collect::<Vec<bool>>(), &[t, offset + t - oldest])
    }

    /// Steps kept in the cache after `steps` steps.
    fn kept(&self, steps: i32) -> i32 {
        steps.min(self.window - 1)
    }

    fn attention(
        &self,
        layer: &Layer,
        x: &Array,
        mask: &Array,
        rotation: &Rotation,
        state: &mut StreamState,
    ) -> Result<Array> {
        let (t, offset, rotated) = (x.dim(1), state.offset, self.heads + self.kv_heads);
        let all = layer.qkv.forward(x)?.reshape(&[1, t, rotated + self.kv_heads, self.head_dim])?;
        let all = all.transpose_axes(&[0, 2, 1, 3])?; // (1, heads + 2 kv heads, T, head_dim)
        let qk = self.rotary.rotate(&all.try_index((.., ..rotated, .., ..))?, rotation)?;
        let q = qk.try_index((.., ..self.heads, .., ..))?;
        let k = qk.try_index((.., self.heads.., .., ..))?;
        let v = all.try_index((.., rotated.., .., ..))?;
        let k = self.append_kv(layer.keys, k, offset + t, state)?;
        let v = self.append_kv(layer.values, v, offset + t, state)?;
        let scale = (self.head_dim as f32).powf(-0.5);
        let y = attention(&q, &k, &v, scale, Some(ScaledDotProductAttentionMask::Array(mask)))?;
        let y = y.transpose_axes(&[0, 2, 1, 3])?.reshape(&[1, t, self.heads * self.head_dim])?;
        layer.o.forward(&y)
    }

    /// Appends to the rolling KV cache and trims it to `window - 1` steps.
    fn append_kv(&self, slot: StateSlot, new: Array, steps: i32, state: &mut StreamState) -> Result<Array> {
        let all = match state.take(slot) {
            Some(past) => concatenate(&[past, new], 2)?,
            None => new,
        };
        let kept = self.kept(steps);
        if kept > 0 {
            state.put(slot, all.try_index((.., .., all.dim(2) - kept.., ..))?);
        }
        Ok(all)
    }
}

/// `x (1 + erf(x / sqrt 2)) / 2`, exactly. Not mlx-rs' own: that one is compiled (see `elu`).
fn gelu(x: &Array) -> Result<Array> {
    let half = x.multiply(Array::from_f32(0.5))?;
    let tail = erf(x.multiply(Array::from_f32(std::f32::consts::FRAC_1_SQRT_2))?)?;
    half.multiply(tail.add(Array::from_f32(1.0))?)
}
