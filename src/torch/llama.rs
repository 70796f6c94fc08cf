//! The Llama-shaped transformer with transformers' own sequence of PyTorch operations.

use tch::{Kind, Tensor};

use super::{Torch, Weights};
use crate::config::LlamaConfig;

/// `x W^T + b`.
pub struct Linear {
    weight: Tensor, // (out, in)
    bias: Option<Tensor>,
}

impl Linear {
    pub fn load(w: &Weights<'_>, name: &str) -> Torch<Self> {
        Ok(Self { weight: w.get(&format!("{name}.weight"))?, bias: w.optional(&format!("{name}.bias"))? })
    }

    pub fn forward(&self, x: &Tensor) -> Torch<Tensor> {
        x.f_linear(&self.weight, self.bias.as_ref())
    }
}

struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    fn load(w: &Weights<'_>, name: &str, eps: f64) -> Torch<Self> {
        Ok(Self { weight: w.get(&format!("{name}.weight"))?, eps })
    }

    /// In float32, as transformers' `CsmRMSNorm`.
    fn forward(&self, x: &Tensor) -> Torch<Tensor> {
        let full = x.f_to_kind(Kind::Float)?;
        let variance = full.f_pow_tensor_scalar(2)?.f_mean_dim(&[-1i64][..], true, Kind::Float)?;
        let normed = full.f_mul(&variance.f_add_scalar(self.eps)?.f_rsqrt()?)?;
        self.weight.f_mul(&normed.f_to_kind(x.kind())?)
    }
}

/// Keys and values so far, each (1, kv heads, length, head_dim).
#[derive(Default)]
pub struct KvCache(Option<(Tensor, Tensor)>);

impl KvCache {
    pub fn length(&self) -> i64 {
        self.0.as_ref().map_or(0, |(k, _)| k.size()[2])
    }

    /// Forgets all after the first `length` positions.
    pub fn truncate(&mut self, length: i64) -> Torch<()> {
        if length == 0 {
            self.0 = None;
        } else if let Some((k, v)) = &mut self.0 {
            let length = length.min(k.size()[2]);
            (*k, *v) = (k.f_narrow(2, 0, length)?, v.f_narrow(2, 0, length)?);
        }
        Ok(())
    }

    fn extend(&mut self, k: Tensor, v: Tensor) -> Torch<(&Tensor, &Tensor)> {
        let all = match self.0.take() {
            None => (k, v),
            Some((past_k, past_v)) => (Tensor::f_cat(&[past_k, k], 2)?, Tensor::f_cat(&[past_v, v], 2)?),
        };
        let (k, v) = self.0.insert(all);
        Ok((k, v))
    }
}

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

/// Layers and final norm.
pub struct Llama {
    layers: Vec<Layer>,
    norm: RmsNorm,
    frequencies: Tensor, // (head_dim / 2,) float32
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
}

impl Llama {
    pub fn load(w: &Weights<'_>, prefix: &str, c: &LlamaConfig) -> Torch<Self> {
        let layer = |n: usize| {
            let name = |part: &str| format!("{prefix}.layers.{n}.{part}");
            Ok(Layer {
                input_norm: RmsNorm::load(w, &name("input_layernorm"), c.rms_norm_eps)?,
                q: Linear::load(w, &name("self_attn.q_proj"))?,
                k: Linear::load(w, &name("self_attn.k_proj"))?,
                v: Linear::load(w, &name("self_attn.v_proj"))?,
                o: Linear::load(w, &name("self_attn.o_proj"))?,
                post_norm: RmsNorm::load(w, &name("post_attention_layernorm"), c.rms_norm_eps)?,
                gate: Linear::load(w, &name("mlp.gate_proj"))?,
                up: Linear::load(w, &name("mlp.up_proj"))?,
                down: Linear::load(w, &name("mlp.down_proj"))?,
            })
        };
        Ok(Self {
            layers: (0..c.num_hidden_layers).map(layer).collect::<Torch<_>>()?,
            norm: RmsNorm::load(w, &format!("{prefix}.norm"), c.rms_norm_eps)?,
            frequencies: Tensor::from_slice(&c.rope().inverse_frequencies(c.head_dim())),
            heads: c.num_attention_heads as i64,
            kv_heads: c.num_key_value_heads as i64,
            head_dim: c.head_dim() as i64,
        })
    }

    pub fn caches(&self) -> Vec<KvCache> {
        self.layers.iter().map(|_| KvCache::default()).collect()
    }

    /// `x`: (1, T, d), the next T positions. Gives the normed hidden states, (1, T, d).
    pub fn forward(&self, x: &Tensor, caches: &mut [KvCache]) -> Torch<Tensor> {
        let (cos, sin) = self.rotation(caches[0].length(), x.size()[1], x.kind())?;
        let mut x = x.shallow_clone();
        for (layer, cache) in self.layers.iter().zip(caches) {
            x = x.f_add(&self.attention(layer, &layer.input_norm.forward(&x)?, (&cos, &sin), cache)?)?;
            x = x.f_add(&layer.feed_forward(&layer.post_norm.forward(&x)?)?)?;
        }
        self.norm.forward(&x)
    }

    /// cos and sin of every position's angles, (T, head_dim).
    fn rotation(&self, first: i64, t: i64, kind: Kind) -> Torch<(Tensor, Tensor)> {
        let positions = Tensor::f_arange_start(first, first + t, (Kind::Float, self.frequencies.device()))?;
        let angles = positions.f_unsqueeze(1)?.f_mul(&self.frequencies.f_unsqueeze(0)?)?; // (T, head_dim / 2)
        let angles = Tensor::f_cat(&[&angles, &angles], -1)?;
        Ok((angles.f_cos()?.f_to_kind(kind)?, angles.f_sin()?.f_to_kind(kind)?))
    }

    /// `x`: (1, heads, T, head_dim), halves rotated against each other.
    fn rotate(&self, x: &Tensor, (cos, sin): (&Tensor, &Tensor)) -> Torch<Tensor> {
        let half = self.head_dim / 2;
        let turned = Tensor::f_cat(&[x.f_narrow(3, half, half)?.f_neg()?, x.f_narrow(3, 0, half)?], -1)?;
        x.f_mul(cos)?.f_add(&turned.f_mul(sin)?)
    }

    fn attention(&self, layer: &Layer, x: &Tensor, rotation: (&Tensor, &Tensor), cache: &mut KvCache) -> Torch<Tensor> {
        let (t, past) = (x.size()[1], cache.length());
        let split = |y: Tensor, heads: i64| y.f_view([1, t, heads, self.head_dim])?.f_transpose(1, 2);
        let q = self.rotate(&split(layer.q.forward(x)?, self.heads)?, rotation)?;
        let k = self.rotate(&split(layer.k.forward(x)?, self.kv_heads)?, rotation)?;
        let (k, v) = cache.extend(k, split(layer.v.forward(x)?, self.kv_heads)?)?;
        let (mask, causal) = match (t, past) {
            (1, _) => (None, false),
            (_, 0) => (None, true),
            // Several new positions after others: each sees all before it and itself.
            _ => (Some(Tensor::f_ones([t, past + t], (Kind::Bool, x.device()))?.f_tril(past)?), false),
        };
        let grouped = self.heads != self.kv_heads;
        let y = Tensor::f_scaled_dot_product_attention(&q, k, v, mask.as_ref(), 0.0, causal, None, grouped)?;
        layer.o.forward(&y.f_transpose(1, 2)?.f_reshape([1, t, self.heads * self.head_dim])?)
    }
}

impl Layer {
    /// SwiGLU: `w_down(silu(w_gate x) * w_up x)`.
    fn feed_forward(&self, x: &Tensor) -> Torch<Tensor> {
        self.down.forward(&self.gate.forward(x)?.f_silu()?.f_mul(&self.up.forward(x)?)?)
    }
}
