//! The Llama-shaped transformer with transformers' own sequence of PyTorch operations.

use tch::{Kind, Tensor};

use super::TorchResult;
use super::weights::dense;
use crate::checkpoint::config::LlamaConfig;
use crate::checkpoint::weights::{LinearWeights, LlamaLayerWeights, LlamaWeights};
use crate::data::AttentionHead;
use crate::error::Result;

/// `x W^T + b`.
pub(super) struct Linear {
    weight: Tensor, // (out, in)
    bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn new(weights: LinearWeights<Tensor>) -> Result<Self> {
        Ok(Self { weight: dense(weights.weight)?, bias: weights.bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> TorchResult<Tensor> {
        x.f_linear(&self.weight, self.bias.as_ref())
    }
}

struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// In float32, as transformers' `CsmRMSNorm`.
    fn forward(&self, x: &Tensor) -> TorchResult<Tensor> {
        let full = x.f_to_kind(Kind::Float)?;
        let variance = full.f_pow_tensor_scalar(2)?.f_mean_dim(&[-1i64][..], true, Kind::Float)?;
        let normed = full.f_mul(&variance.f_add_scalar(self.eps)?.f_rsqrt()?)?;
        self.weight.f_mul(&normed.f_to_kind(x.kind())?)
    }
}

/// Keys and values so far, each (1, kv heads, length, head_dim).
#[derive(Default)]
pub(super) struct KvCache(Option<(Tensor, Tensor)>);

impl KvCache {
    fn length(&self) -> i64 {
        self.0.as_ref().map_or(0, |(k, _)| k.size()[2])
    }

    pub(super) fn reset(&mut self) {
        self.0 = None;
    }

    fn append(&mut self, k: Tensor, v: Tensor) -> TorchResult<(&Tensor, &Tensor)> {
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
pub(super) struct Llama {
    layers: Vec<Layer>,
    norm: RmsNorm,
    frequencies: Tensor, // (head_dim / 2,) float32
    heads: i64,
    kv_heads: i64,
    head_dim: i64,
}

impl Llama {
    pub(super) fn new(weights: LlamaWeights<Tensor>, c: &LlamaConfig) -> Result<Self> {
        let norm = |weight| RmsNorm { weight, eps: c.rms_norm_eps };
        let layer = |w: LlamaLayerWeights<Tensor>| {
            Ok(Layer {
                input_norm: norm(w.input_norm),
                q: Linear::new(w.q)?,
                k: Linear::new(w.k)?,
                v: Linear::new(w.v)?,
                o: Linear::new(w.o)?,
                post_norm: norm(w.post_norm),
                gate: Linear::new(w.gate)?,
                up: Linear::new(w.up)?,
                down: Linear::new(w.down)?,
            })
        };
        Ok(Self {
            layers: weights.layers.into_iter().map(layer).collect::<Result<_>>()?,
            norm: norm(weights.norm),
            frequencies: Tensor::from_slice(&c.rope.inverse_frequencies(c.head_dim())),
            heads: c.num_attention_heads as i64,
            kv_heads: c.num_key_value_heads as i64,
            head_dim: c.head_dim() as i64,
        })
    }

    /// Empty caches, one per layer.
    pub(super) fn caches(&self) -> Vec<KvCache> {
        self.layers.iter().map(|_| KvCache::default()).collect()
    }

    /// `x`: (1, T, d), the next T positions. Returns the normed hidden states, (1, T, d). `recorded`: heads, and where the attention of
    /// the last position goes for each of them, (length,) float32.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        caches: &mut [KvCache],
        mut recorded: Option<(&[AttentionHead], &mut Vec<Tensor>)>,
    ) -> TorchResult<Tensor> {
        let (cos, sin) = self.rotation(caches[0].length(), x.size()[1], x.kind())?;
        let mut x = x.shallow_clone();
        for (n, (layer, cache)) in self.layers.iter().zip(caches).enumerate() {
            let (y, q) = self.attention(layer, &layer.input_norm.forward(&x)?, (&cos, &sin), cache)?;
            if let (Some((heads, weights)), Some((k, _))) = (&mut recorded, &cache.0) {
                for at in heads.iter().filter(|at| at.layer == n) {
                    weights.push(self.attention_weights(&q, k, at.head as i64)?);
                }
            }
            x = x.f_add(&y)?;
            x = x.f_add(&layer.feed_forward(&layer.post_norm.forward(&x)?)?)?;
        }
        self.norm.forward(&x)
    }

    /// cos and sin of every position's angles, (T, head_dim).
    fn rotation(&self, first: i64, t: i64, kind: Kind) -> TorchResult<(Tensor, Tensor)> {
        let positions = Tensor::f_arange_start(first, first + t, (Kind::Float, self.frequencies.device()))?;
        let angles = positions.f_unsqueeze(1)?.f_mul(&self.frequencies.f_unsqueeze(0)?)?; // (T, head_dim / 2)
        let angles = Tensor::f_cat(&[&angles, &angles], -1)?;
        Ok((angles.f_cos()?.f_to_kind(kind)?, angles.f_sin()?.f_to_kind(kind)?))
    }

    /// `x`: (1, heads, T, head_dim), halves rotated against each other.
    fn rotate(&self, x: &Tensor, (cos, sin): (&Tensor, &Tensor)) -> TorchResult<Tensor> {
        let half = self.head_dim / 2;
        let turned = Tensor::f_cat(&[x.f_narrow(3, half, half)?.f_neg()?, x.f_narrow(3, 0, half)?], -1)?;
        x.f_mul(cos)?.f_add(&turned.f_mul(sin)?)
    }

    /// Weights of the last position of one head, (length,) float32, from `q` (1, heads, T, head_dim) and `k` (1, kv heads, length,
    /// head_dim).
    fn attention_weights(&self, q: &Tensor, k: &Tensor, head: i64) -> TorchResult<Tensor> {
        let query = q.f_select(0, 0)?.f_select(0, head)?.f_select(0, q.size()[2] - 1)?.f_to_kind(Kind::Float)?;
        let keys = k.f_select(0, 0)?.f_select(0, head * self.kv_heads / self.heads)?.f_to_kind(Kind::Float)?;
        let scores = keys.f_mv(&query)?.f_mul_scalar((self.head_dim as f64).powf(-0.5))?;
        scores.f_softmax(0, Kind::Float)
    }

    /// The attention layer's output and its queries.
    fn attention(
        &self,
        layer: &Layer,
        x: &Tensor,
        rotation: (&Tensor, &Tensor),
        cache: &mut KvCache,
    ) -> TorchResult<(Tensor, Tensor)> {
        let (t, past) = (x.size()[1], cache.length());
        let split = |y: Tensor, heads: i64| y.f_view([1, t, heads, self.head_dim])?.f_transpose(1, 2);
        let q = self.rotate(&split(layer.q.forward(x)?, self.heads)?, rotation)?;
        let k = self.rotate(&split(layer.k.forward(x)?, self.kv_heads)?, rotation)?;
        let (k, v) = cache.append(k, split(layer.v.forward(x)?, self.kv_heads)?)?;
        let (mask, causal) = match (t, past) {
            (1, _) => (None, false),
            (_, 0) => (None, true),
            // Several new positions after others: each sees all before it and itself.
            _ => (Some(Tensor::f_ones([t, past + t], (Kind::Bool, x.device()))?.f_tril(past)?), false),
        };
        let grouped = self.heads != self.kv_heads;
        let y = Tensor::f_scaled_dot_product_attention(&q, k, v, mask.as_ref(), 0.0, causal, None, grouped)?;
        let y = y.f_transpose(1, 2)?.f_reshape([1, t, self.heads * self.head_dim])?;
        Ok((layer.o.forward(&y)?, q))
    }
}

impl Layer {
    /// SwiGLU: `w_down(silu(w_gate x) * w_up x)`.
    fn feed_forward(&self, x: &Tensor) -> TorchResult<Tensor> {
        self.down.forward(&self.gate.forward(x)?.f_silu()?.f_mul(&self.up.forward(x)?)?)
    }
}
