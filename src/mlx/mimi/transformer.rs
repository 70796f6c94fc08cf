//! Mimi's transformer: causal, with a sliding window, pre-norm, layer scale. Piece by piece; a whole clip is one piece.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::{ScaledDotProductAttentionMask, layer_norm, scaled_dot_product_attention};
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::{concatenate, erf};

use super::state::{Slot, Slots, State};
use crate::config::MimiConfig;
use crate::mlx::llama::{Linear, Rotary};
use crate::mlx::weights::Weights;

type Result<T> = std::result::Result<T, Exception>;

struct LayerNorm {
    weight: Array,
    bias: Array,
    eps: f32,
}

impl LayerNorm {
    fn load(w: &mut Weights<'_>, name: &str, eps: f64) -> Result<Self> {
        Ok(Self { weight: w.get(&format!("{name}.weight"))?, bias: w.get(&format!("{name}.bias"))?, eps: eps as f32 })
    }

    fn forward(&self, x: &Array) -> Result<Array> {
        layer_norm(x, Some(&self.weight), Some(&self.bias), self.eps)
    }
}

struct Layer {
    input_norm: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    attention_scale: Array, // (d,)
    post_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    mlp_scale: Array, // (d,)
    keys: Slot,
    values: Slot,
}

/// The transformer of encoder or decoder.
pub struct Transformer {
    layers: Vec<Layer>,
    rotary: Rotary,
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
    window: i32,
}

impl Transformer {
    pub fn load(w: &mut Weights<'_>, prefix: &str, c: &MimiConfig, slots: &mut Slots) -> Result<Self> {
        let mut layer = |n: usize| {
            let name = |part: &str| format!("{prefix}.layers.{n}.{part}");
            Ok(Layer {
                input_norm: LayerNorm::load(w, &name("input_layernorm"), c.norm_eps)?,
                q: Linear::load(w, &name("self_attn.q_proj"))?,
                k: Linear::load(w, &name("self_attn.k_proj"))?,
                v: Linear::load(w, &name("self_attn.v_proj"))?,
                o: Linear::load(w, &name("self_attn.o_proj"))?,
                attention_scale: w.get(&name("self_attn_layer_scale.scale"))?,
                post_norm: LayerNorm::load(w, &name("post_attention_layernorm"), c.norm_eps)?,
                fc1: Linear::load(w, &name("mlp.fc1"))?,
                fc2: Linear::load(w, &name("mlp.fc2"))?,
                mlp_scale: w.get(&name("mlp_layer_scale.scale"))?,
                keys: slots.next(),
                values: slots.next(),
            })
        };
        Ok(Self {
            layers: (0..c.num_hidden_layers).map(&mut layer).collect::<Result<_>>()?,
            rotary: Rotary::new(c.rope(), c.head_dim()),
            heads: c.num_attention_heads as i32,
            kv_heads: c.num_key_value_heads as i32,
            head_dim: c.head_dim() as i32,
            window: c.sliding_window as i32,
        })
    }

    /// `x`: (1, T, d), the next T steps.
    pub fn forward(&self, x: &Array, state: &mut State) -> Result<Array> {
        let mut x = x.clone();
        let (first, t) = (state.steps, x.dim(1));
        let mask = self.mask(first, t);
        for layer in &self.layers {
            let y = self.attention(layer, &layer.input_norm.forward(&x)?, &mask, state)?;
            x = x.add(y.multiply(&layer.attention_scale)?)?;
            let y = layer.fc2.forward(&gelu(&layer.fc1.forward(&layer.post_norm.forward(&x)?)?)?)?;
            x = x.add(y.multiply(&layer.mlp_scale)?)?;
        }
        state.steps = first + t;
        Ok(x)
    }

    /// Who sees whom, (T, kept + T): each step itself and the `window - 1` before it.
    fn mask(&self, first: i32, t: i32) -> Array {
        let oldest = first - self.kept(first);
        let seen = (first..first + t).flat_map(|q| (oldest..first + t).map(move |k| k <= q && k > q - self.window));
        Array::from_slice(&seen.collect::<Vec<bool>>(), &[t, first + t - oldest])
    }

    /// Steps remembered once `steps` have been seen.
    fn kept(&self, steps: i32) -> i32 {
        steps.min(self.window - 1)
    }

    fn attention(&self, layer: &Layer, x: &Array, mask: &Array, state: &mut State) -> Result<Array> {
        let (t, first) = (x.dim(1), state.steps);
        let split = |y: Array, heads: i32| {
            y.reshape(&[1, t, heads, self.head_dim])?.transpose_axes(&[0, 2, 1, 3]) // (1, heads, T, head_dim)
        };
        let q = self.rotary.forward(&split(layer.q.forward(x)?, self.heads)?, first)?;
        let k = self.rotary.forward(&split(layer.k.forward(x)?, self.kv_heads)?, first)?;
        let v = split(layer.v.forward(x)?, self.kv_heads)?;
        let k = self.remember(layer.keys, k, first + t, state)?;
        let v = self.remember(layer.values, v, first + t, state)?;
        let scale = (self.head_dim as f32).powf(-0.5);
        let y = scaled_dot_product_attention(q, k, v, scale, ScaledDotProductAttentionMask::Array(mask), None)?;
        let y = y.transpose_axes(&[0, 2, 1, 3])?.reshape(&[1, t, self.heads * self.head_dim])?;
        layer.o.forward(&y)
    }

    /// Joins `new` to what was remembered, and remembers as much of it as the next step will see.
    fn remember(&self, slot: Slot, new: Array, steps: i32, state: &mut State) -> Result<Array> {
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
