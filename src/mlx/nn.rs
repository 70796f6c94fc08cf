//! Layers that CSM and Mimi share.

use mlx_rs::error::Exception;
use mlx_rs::fast::{rms_norm, rope};
use mlx_rs::ops::indexing::{TryIndexMutOp, TryIndexOp};
use mlx_rs::ops::{concatenate, dequantize, quantized_matmul, zeros_dtype};
use mlx_rs::{Array, Dtype};

use crate::checkpoint::config::Rope;
use crate::checkpoint::weights::{LinearWeights, Weight};

pub(super) type Result<T> = std::result::Result<T, Exception>;

/// `x W^T + b`.
pub(super) struct Linear {
    weight: Weight<Array>, // dense: (in, out), a transposed view
    bias: Option<Array>,
}

impl Linear {
    pub(super) fn new(weights: LinearWeights<Array>) -> Self {
        let weight = match weights.weight {
            Weight::Dense(matrix) => Weight::Dense(matrix.t()),
            affine => affine,
        };
        Self { weight, bias: weights.bias }
    }

    pub(super) fn forward(&self, x: &Array) -> Result<Array> {
        let y = match &self.weight {
            Weight::Dense(matrix) => x.matmul(matrix)?,
            Weight::Affine { packed, scales, biases, bits, group } => {
                quantized_matmul(x, packed, scales, biases, true, *group as i32, *bits as i32)?
            }
        };
        add_bias(y, self.bias.as_ref())
    }
}

pub(super) fn add_bias(y: Array, bias: Option<&Array>) -> Result<Array> {
    match bias {
        Some(bias) => y.add(bias),
        None => Ok(y),
    }
}

/// A table of embeddings, (rows, d).
#[derive(Clone)]
pub(super) struct Embedding(pub(super) Weight<Array>);

impl Embedding {
    /// Rows `ids` of any shape: (…, d).
    pub(super) fn forward(&self, ids: &Array) -> Result<Array> {
        match &self.0 {
            Weight::Dense(table) => table.take_axis(ids, 0),
            Weight::Affine { packed, scales, biases, bits, group } => {
                let rows = |of: &Array| of.take_axis(ids, 0);
                dequantize(rows(packed)?, rows(scales)?, &rows(biases)?, *group as i32, *bits as i32)
            }
        }
    }
}

pub(super) struct RmsNorm {
    weight: Array,
    eps: f32,
}

impl RmsNorm {
    pub(super) fn new(weight: Array, eps: f64) -> Self {
        Self { weight, eps: eps as f32 }
    }

    pub(super) fn forward(&self, x: &Array) -> Result<Array> {
        rms_norm(x, Some(&self.weight), self.eps)
    }
}

/// Rotation of queries and keys by their position, half-split.
pub(super) struct Rotary {
    wavelengths: Array, // (head_dim / 2,): positions a radian, which is what MLX's rope takes
    head_dim: i32,
}

impl Rotary {
    pub(super) fn new(rope: &Rope, head_dim: usize) -> Self {
        let wavelengths: Vec<f32> = rope.inverse_frequencies(head_dim).iter().map(|f| 1.0 / f).collect();
        Self { wavelengths: Array::from_slice(&wavelengths, &[wavelengths.len() as i32]), head_dim: head_dim as i32 }
    }

    /// `x`: (1, heads, T, head_dim), its first step at `position`.
    pub(super) fn forward(&self, x: &Array, position: i32) -> Result<Array> {
        rope(x, self.head_dim, false, None, 1.0, position, &self.wavelengths)
    }
}

/// Keys and values of the positions so far, in buffers that grow by blocks.
pub(super) struct KvCache {
    buffers: Option<(Array, Array)>, // each (1, kv heads, capacity, head_dim)
    block: i32,
    length: i32,
}

impl KvCache {
    pub(super) fn new(block: usize) -> Self {
        Self { buffers: None, block: block as i32, length: 0 }
    }

    /// Positions in the cache.
    pub(super) fn length(&self) -> i32 {
        self.length
    }

    /// Forgets all positions and keeps the buffers.
    pub(super) fn reset(&mut self) {
        self.length = 0;
    }

    /// The buffers, for evaluation.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.buffers.iter().flat_map(|(k, v)| [k, v])
    }

    /// Appends `keys` and `values`, (1, kv heads, T, head_dim); returns all so far, (1, kv heads, length, head_dim).
    pub(super) fn append(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)> {
        let end = self.length + keys.dim(2);
        let (mut k, mut v) = match self.buffers.take() {
            Some((k, v)) if k.dim(2) >= end => (k, v),
            held => {
                let (held_k, held_v) = held.unzip();
                (self.grow(held_k, keys, end)?, self.grow(held_v, values, end)?)
            }
        };
        k.try_index_mut((.., .., self.length..end, ..), keys)?;
        v.try_index_mut((.., .., self.length..end, ..), values)?;
        self.length = end;
        let all = (k.try_index((.., .., ..end, ..))?, v.try_index((.., .., ..end, ..))?);
        self.buffers = Some((k, v));
        Ok(all)
    }

    fn grow(&self, held: Option<Array>, like: &Array, end: i32) -> Result<Array> {
        let capacity = (end / self.block + 1) * self.block;
        let fresh = capacity - held.as_ref().map_or(0, |a| a.dim(2));
        let fresh = zeros_dtype(&[1, like.dim(1), fresh, like.dim(3)], like.dtype())?;
        match held {
            Some(held) => concatenate(&[held, fresh], 2),
            None => Ok(fresh),
        }
    }
}

/// Ids as an MLX array, (n,).
pub(super) fn id_array(ids: impl IntoIterator<Item = u32>) -> Array {
    let ids: Vec<u32> = ids.into_iter().collect();
    Array::from_slice(&ids, &[ids.len() as i32])
}

/// Float32 for the sampler, whatever the model computes in.
pub(super) fn to_f32(x: &Array) -> Result<Array> {
    x.as_dtype(Dtype::Float32)
}
