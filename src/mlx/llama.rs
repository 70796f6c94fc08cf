//! The Llama-shaped transformer that backbone and depth decoder share.

use mlx_rs::error::Exception;
use mlx_rs::fast::{ScaledDotProductAttentionMask, rms_norm, rope, scaled_dot_product_attention};
use mlx_rs::ops::indexing::{TryIndexMutOp, TryIndexOp};
use mlx_rs::ops::{concatenate, sigmoid, zeros_dtype};
use mlx_rs::{Array, Dtype};

use super::weights::Weights;
use crate::config::{LlamaConfig, Rope};

type Result<T> = std::result::Result<T, Exception>;

/// `x W^T + b`.
pub struct Linear {
    weight: Array, // (in, out): a transposed view
    bias: Option<Array>,
}

impl Linear {
    pub fn load(w: &mut Weights<'_>, name: &str) -> Result<Self> {
        Ok(Self { weight: w.get(&format!("{name}.weight"))?.t(), bias: w.optional(&format!("{name}.bias"))? })
    }

    pub fn forward(&self, x: &Array) -> Result<Array> {
        let y = x.matmul(&self.weight)?;
        match &self.bias {
            Some(bias) => y.add(bias),
            None => Ok(y),
        }
    }
}

struct RmsNorm {
    weight: Array,
    eps: f32,
}

impl RmsNorm {
    fn load(w: &mut Weights<'_>, name: &str, eps: f64) -> Result<Self> {
        Ok(Self { weight: w.get(&format!("{name}.weight"))?, eps: eps as f32 })
    }

    fn forward(&self, x: &Array) -> Result<Array> {
        rms_norm(x, Some(&self.weight), self.eps)
    }
}

/// Rotation of queries and keys by their position.
pub struct Rotary {
    wavelengths: Array, // (head_dim / 2,): positions a radian, which is what MLX's rope takes
    head_dim: i32,
    interleaved: bool,
}

impl Rotary {
    pub fn new(rope: &Rope, head_dim: usize) -> Self {
        let wavelengths: Vec<f32> = rope.inverse_frequencies(head_dim).iter().map(|f| 1.0 / f).collect();
        Self {
            wavelengths: Array::from_slice(&wavelengths, &[wavelengths.len() as i32]),
            head_dim: head_dim as i32,
            interleaved: rope.interleaved,
        }
    }

    /// `x`: (1, heads, T, head_dim), its first step at `position`.
    pub fn forward(&self, x: &Array, position: i32) -> Result<Array> {
        rope(x, self.head_dim, self.interleaved, None, 1.0, position, &self.wavelengths)
    }
}

/// Keys and values of the positions so far, in buffers that grow by blocks. Going back only moves the end.
pub struct KvCache {
    buffers: Option<(Array, Array)>, // each (1, kv heads, room, head_dim)
    block: i32,
    length: i32,
}

impl KvCache {
    pub fn new(block: usize) -> Self {
        Self { buffers: None, block: block as i32, length: 0 }
    }

    /// Forgets all after the first `length` positions.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length as i32);
    }

    /// Arrays that hold the cache.
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.buffers.iter().flat_map(|(k, v)| [k, v])
    }

    /// Adds `keys` and `values`, (1, kv heads, T, head_dim); gives all so far, (1, kv heads, length, head_dim).
    fn extend(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)> {
        let end = self.length + keys.dim(2);
        let (k, v) = match self.buffers.take() {
            Some((k, v)) if k.dim(2) >= end => (k, v),
            held => {
                let (kept_k, kept_v) = held.unzip();
                let grow = |kept: Option<Array>, like: &Array| {
                    let room =
                        end.div_euclid(self.block) * self.block + self.block - kept.as_ref().map_or(0, |a| a.dim(2));
                    let fresh = zeros_dtype(&[1, like.dim(1), room, like.dim(3)], like.dtype())?;
                    match kept {
                        Some(kept) => concatenate(&[kept, fresh], 2),
                        None => Ok(fresh),
                    }
                };
                (grow(kept_k, keys)?, grow(kept_v, values)?)
            }
        };
        let (mut k, mut v) = (k, v);
        k.try_index_mut((.., .., self.length..end, ..), keys)?;
        v.try_index_mut((.., .., self.length..end, ..), values)?;
        self.length = end;
        let all = (k.try_index((.., .., ..end, ..))?, v.try_index((.., .., ..end, ..))?);
        self.buffers = Some((k, v));
        Ok(all)
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

/// Layers and final norm. Token embeddings and heads are the caller's.
pub struct Llama {
    layers: Vec<Layer>,
    norm: RmsNorm,
    rotary: Rotary,
    heads: i32,
    kv_heads: i32,
    head_dim: i32,
}

impl Llama {
    pub fn load(w: &mut Weights<'_>, prefix: &str, c: &LlamaConfig) -> Result<Self> {
        let layer = |w: &mut Weights<'_>, n: usize| {
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
            layers: (0..c.num_hidden_layers).map(|n| layer(w, n)).collect::<Result<_>>()?,
            norm: RmsNorm::load(w, &format!("{prefix}.norm"), c.rms_norm_eps)?,
            rotary: Rotary::new(c.rope(), c.head_dim()),
            heads: c.num_attention_heads as i32,
            kv_heads: c.num_key_value_heads as i32,
            head_dim: c.head_dim() as i32,
        })
    }

    /// Empty caches, one a layer.
    pub fn caches(&self, block: usize) -> Vec<KvCache> {
        self.layers.iter().map(|_| KvCache::new(block)).collect()
    }

    /// `x`: (1, T, d), the next T positions. Gives the normed hidden states, (1, T, d).
    pub fn forward(&self, x: &Array, caches: &mut [KvCache]) -> Result<Array> {
        let mut x = x.clone();
        for (layer, cache) in self.layers.iter().zip(caches) {
            x = x.add(self.attention(layer, &layer.input_norm.forward(&x)?, cache)?)?;
            x = x.add(layer.feed_forward(&layer.post_norm.forward(&x)?)?)?;
        }
        self.norm.forward(&x)
    }

    fn attention(&self, layer: &Layer, x: &Array, cache: &mut KvCache) -> Result<Array> {
        let (t, position) = (x.dim(1), cache.length);
        let split = |y: Array, heads: i32| {
            y.reshape(&[1, t, heads, self.head_dim])?.transpose_axes(&[0, 2, 1, 3]) // (1, heads, T, head_dim)
        };
        let q = self.rotary.forward(&split(layer.q.forward(x)?, self.heads)?, position)?;
        let k = self.rotary.forward(&split(layer.k.forward(x)?, self.kv_heads)?, position)?;
        let v = split(layer.v.forward(x)?, self.kv_heads)?;
        let (k, v) = cache.extend(&k, &v)?;
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

/// Rows `ids` (n,) of `table` (rows, d): (1, n, d).
pub fn embed(table: &Array, ids: &Array) -> Result<Array> {
    table.take_axis(ids, 0)?.expand_dims_axes(&[0])
}

/// Ids as an MLX array, (n,).
pub fn ids(of: impl IntoIterator<Item = u32>) -> Array {
    let ids: Vec<u32> = of.into_iter().collect();
    debug_assert!(!ids.is_empty());
    Array::from_slice(&ids, &[ids.len() as i32])
}

/// Float32 for the samplers, whatever the model computes in.
pub fn to_f32(x: &Array) -> Result<Array> {
    x.as_dtype(Dtype::Float32)
}
