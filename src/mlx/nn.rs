//! Layers that CSM and Mimi share.

use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::{TryIndexMutOp, TryIndexOp};
use mlx_rs::ops::{concatenate, dequantize, quantized_matmul, zeros_dtype};
use mlx_rs::{Array, Dtype};

use super::device::on_cpu;
use super::evaluate;
use super::fast::{rms_norm, rope};
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

/// Linear layers of one input, computed as one product if they are stored alike.
pub(super) struct Parallel {
    linears: Vec<Linear>, // one for all, or one for each
    /// Number of outputs of each matrix.
    widths: Vec<i32>,
}

impl Parallel {
    pub(super) fn new(weights: Vec<LinearWeights<Array>>) -> Result<Self> {
        let rows = |w: &LinearWeights<Array>| match &w.weight {
            Weight::Dense(matrix) => matrix.dim(0),
            Weight::Affine { packed, .. } => packed.dim(0),
        };
        let widths = weights.iter().map(rows).collect();
        let linears = match stack(&weights)? {
            Some(stacked) => {
                // Evaluated here, so that the parts are freed layer by layer.
                evaluate(arrays_of(&stacked))?;
                vec![Linear::new(stacked)]
            }
            None => weights.into_iter().map(Linear::new).collect(),
        };
        Ok(Self { linears, widths })
    }

    /// All outputs side by side, (…, sum of the widths).
    pub(super) fn forward(&self, x: &Array) -> Result<Array> {
        match self.linears.as_slice() {
            [one] => one.forward(x),
            each => concatenate(&each.iter().map(|linear| linear.forward(x)).collect::<Result<Vec<_>>>()?, -1),
        }
    }

    /// Each output separately, (B, T, width).
    pub(super) fn forward_each(&self, x: &Array) -> Result<Vec<Array>> {
        let all = self.forward(x)?;
        let mut start = 0;
        let part = |width: &i32| {
            start += width;
            all.try_index((.., .., start - width..start))
        };
        self.widths.iter().map(part).collect()
    }
}

fn arrays_of(weights: &LinearWeights<Array>) -> Vec<&Array> {
    let matrix = match &weights.weight {
        Weight::Dense(matrix) => vec![matrix],
        Weight::Affine { packed, scales, biases, .. } => vec![packed, scales, biases],
    };
    matrix.into_iter().chain(&weights.bias).collect()
}

/// The rows of all matrices, one after another; `None` if some are stored otherwise than the first.
fn stack(weights: &[LinearWeights<Array>]) -> Result<Option<LinearWeights<Array>>> {
    let Some(first) = weights.first() else { return Ok(None) };
    let rows = |of: &dyn Fn(&LinearWeights<Array>) -> Option<Array>| -> Result<Option<Array>> {
        let parts: Option<Vec<Array>> = weights.iter().map(of).collect();
        parts.map(|parts| concatenate(&parts, 0)).transpose()
    };
    let weight = match &first.weight {
        Weight::Dense(_) => rows(&|w| match &w.weight {
            Weight::Dense(matrix) => Some(matrix.clone()),
            Weight::Affine { .. } => None,
        })?
        .map(Weight::Dense),
        Weight::Affine { bits, group, .. } => {
            let alike = |w: &&LinearWeights<Array>| matches!(&w.weight, Weight::Affine { bits: b, group: g, .. } if (b, g) == (bits, group));
            let affine = |part: fn(&Weight<Array>) -> Option<Array>| rows(&|w| part(&w.weight));
            match weights.iter().filter(alike).count() == weights.len() {
                false => None,
                true => {
                    let packed =
                        affine(|w| if let Weight::Affine { packed, .. } = w { Some(packed.clone()) } else { None })?;
                    let scales =
                        affine(|w| if let Weight::Affine { scales, .. } = w { Some(scales.clone()) } else { None })?;
                    let biases =
                        affine(|w| if let Weight::Affine { biases, .. } = w { Some(biases.clone()) } else { None })?;
                    match (packed, scales, biases) {
                        (Some(packed), Some(scales), Some(biases)) => {
                            Some(Weight::Affine { packed, scales, biases, bits: *bits, group: *group })
                        }
                        _ => None,
                    }
                }
            }
        }
    };
    let with_bias = weights.iter().filter(|w| w.bias.is_some()).count();
    if with_bias != 0 && with_bias != weights.len() {
        return Ok(None);
    }
    let bias = if with_bias == 0 { None } else { rows(&|w| w.bias.clone())? };
    Ok(weight.map(|weight| LinearWeights { weight, bias }))
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
        rms_norm(x, &self.weight, self.eps)
    }
}

/// Rotation of queries and keys by their position, half-split.
pub(super) struct Rotary {
    wavelengths: Array, // (head_dim / 2,): positions a radian, which is what MLX's rope takes
    head_dim: i32,
    /// Cosines and sines of all positions, each (positions, head_dim), the first half of the sines negative, for float32. On the CPU a
    /// table is three products where MLX's rope is a dozen operations, with the same result to the bit. On Metal the kernel takes
    /// `metal::fast::cos` of angles of up to the number of positions, which is wrong by 2e-4 at 2,000: too much for *exact*.
    table: Option<(Array, Array)>,
}

/// The rotation of some positions.
pub(super) enum Rotation {
    /// Cosines and sines, each (T, head_dim).
    Table(Array, Array),
    /// Positions from this one on.
    From(i32),
}

impl Rotary {
    pub(super) fn new(rope: &Rope, head_dim: usize) -> Self {
        let wavelengths: Vec<f32> = rope.inverse_frequencies(head_dim).iter().map(|f| 1.0 / f).collect();
        let wavelengths = Array::from_slice(&wavelengths, &[wavelengths.len() as i32]);
        Self { wavelengths, head_dim: head_dim as i32, table: None }
    }

    /// Adds a table for `positions` positions.
    pub(super) fn with_table(rope: &Rope, head_dim: usize, positions: usize) -> Result<Self> {
        let plain = Self::new(rope, head_dim);
        let (cos, sin) = plain.cosines(0, positions as i32)?;
        evaluate([&cos, &sin])?;
        Ok(Self { table: Some((cos, sin)), ..plain })
    }

    /// Cosines and sines of `count` positions from `first` on.
    fn cosines(&self, first: i32, count: i32) -> Result<(Array, Array)> {
        // As MLX's rope computes them: position times the reciprocal of the wavelength.
        let rows = Array::from_iter((first..first + count).map(|p| p as f32), &[count, 1]);
        let angles = rows.multiply(self.wavelengths.reciprocal()?)?;
        let (cos, sin) = (angles.cos()?, angles.sin()?);
        Ok((concatenate(&[&cos, &cos], 1)?, concatenate(&[&sin.negative()?, &sin], 1)?))
    }

    /// The rotation of `count` positions from `position` on in numbers of this type.
    pub(super) fn at(&self, position: i32, count: i32, dtype: Dtype) -> Result<Rotation> {
        match &self.table {
            Some((cos, sin)) if dtype == Dtype::Float32 && position + count <= cos.dim(0) => {
                let rows = |table: &Array| table.try_index((position..position + count, ..));
                Ok(Rotation::Table(rows(cos)?, rows(sin)?))
            }
            Some(_) if dtype == Dtype::Float32 && !on_cpu() => {
                let (cos, sin) = self.cosines(position, count)?;
                Ok(Rotation::Table(cos, sin))
            }
            _ => Ok(Rotation::From(position)),
        }
    }

    /// `x`: (B, heads, T, head_dim).
    pub(super) fn rotate(&self, x: &Array, rotation: &Rotation) -> Result<Array> {
        match rotation {
            Rotation::From(position) => self.forward(x, *position),
            Rotation::Table(cos, sin) => {
                let half = self.head_dim / 2;
                let swapped =
                    concatenate(&[x.try_index((.., .., .., half..))?, x.try_index((.., .., .., ..half))?], -1)?;
                x.multiply(cos)?.add(swapped.multiply(sin)?)
            }
        }
    }

    /// `x`: (B, heads, T, head_dim), its first step at `position`.
    pub(super) fn forward(&self, x: &Array, position: i32) -> Result<Array> {
        rope(x, self.head_dim, position, &self.wavelengths)
    }
}

/// Keys and values of the positions so far, in buffers that grow by blocks.
pub(super) struct KvCache {
    buffers: Option<(Array, Array)>, // each (B, kv heads, capacity, head_dim)
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

    /// Forgets the last position.
    pub(super) fn rewind(&mut self) {
        self.length -= 1;
    }

    /// The buffers, for evaluation.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.buffers.iter().flat_map(|(k, v)| [k, v])
    }

    /// Goes on with these of the sequences.
    pub(super) fn select(&mut self, rows: &[usize]) -> Result<()> {
        if let Some((k, v)) = &self.buffers {
            let rows = id_array(rows.iter().map(|row| *row as u32));
            self.buffers = Some((k.take_axis(&rows, 0)?, v.take_axis(&rows, 0)?));
        }
        Ok(())
    }

    /// Appends `keys` and `values`, (B, kv heads, T, head_dim); returns all so far, (B, kv heads, length, head_dim).
    pub(super) fn append(&mut self, keys: &Array, values: &Array) -> Result<(Array, Array)> {
        let end = self.length + keys.dim(2);
        // Buffers of another number of sequences hold nothing any more.
        let held = self.buffers.take().filter(|(k, _)| k.dim(0) == keys.dim(0));
        let (mut k, mut v) = match held {
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
        let fresh = zeros_dtype(&[like.dim(0), like.dim(1), fresh, like.dim(3)], like.dtype())?;
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

/// Attention of one query a head over all keys: what `scaled_dot_product_attention` computes on the CPU, in fewer operations.
/// `q`: (B, heads, 1, head_dim); `k`, `v`: (B, kv heads, length, head_dim). Returns (B, 1, heads * head_dim).
pub(super) fn attend_one(q: &Array, k: &Array, v: &Array, scale: f32) -> Result<Array> {
    let (rows, heads, groups, head_dim) = (q.dim(0), q.dim(1), k.dim(1), q.dim(3));
    let q = q.multiply(Array::from_f32(scale))?.reshape(&[rows, groups, heads / groups, head_dim])?;
    let scores = q.matmul(k.swap_axes(2, 3)?)?; // (B, kv heads, heads / kv heads, length)
    let weights = mlx_rs::ops::softmax_axis(&scores, -1, true)?;
    weights.matmul(v)?.reshape(&[rows, 1, heads * head_dim])
}

/// Whether [`attend_one`] is to be used for numbers of this type.
pub(super) fn attends_by_hand(dtype: Dtype) -> bool {
    on_cpu() && dtype == Dtype::Float32
}
