//! Matrices in the numbers of the checkpoint, and products with them in float32.

use half::{bf16, f16};
use rayon::prelude::*;

use super::dot::{QuantisedRow, Stored, multiply_quantised_row, multiply_rows};
use super::source::{DenseNumbers, HostTensor};
use crate::checkpoint::weights::{LinearWeights, Weight};

/// Multiplications below which a product is not shared among threads: a twentieth of a millisecond.
const WORTH_SHARING: usize = 1 << 20;

/// Multiplications of one share: small enough that a thread which comes late, or has its core taken, is not waited for long.
const SHARE: usize = 1 << 19;

/// A matrix `[out, in]` and the bias `[out]`.
pub(super) struct Matrix {
    rows: MatrixRows,
    outputs: usize,
    inputs: usize,
    bias: Option<Vec<f32>>,
}

enum MatrixRows {
    Float32(Vec<f32>),
    Bfloat16(Vec<bf16>),
    Float16(Vec<f16>),
    Affine(Affine),
}

/// Quantised rows: `w = scale * q + bias` in groups, `q` little-endian in whole bytes or halves of bytes.
struct Affine {
    packed: Vec<u8>,
    scales: Vec<f32>,
    biases: Vec<f32>,
    bits: usize,
    group: usize,
}

impl Matrix {
    /// `None` if the matrix is quantised otherwise than to 8 or 4 bits.
    pub(super) fn new(weights: LinearWeights<HostTensor>) -> Option<Self> {
        let bias = weights.bias.map(HostTensor::into_f32);
        match weights.weight {
            Weight::Dense(tensor) => {
                let &[outputs, inputs] = tensor.shape.as_slice() else { return None };
                Self::dense(tensor.numbers, outputs, inputs).map(|matrix| Self { bias, ..matrix })
            }
            Weight::Affine { packed, scales, biases, bits: bits @ (4 | 8), group } => {
                let (&[outputs, words], DenseNumbers::Packed(packed)) = (packed.shape.as_slice(), packed.numbers)
                else {
                    return None;
                };
                let (scales, biases) = (scales.into_f32(), biases.into_f32());
                let rows = MatrixRows::Affine(Affine { packed, scales, biases, bits, group });
                Some(Self { rows, outputs, inputs: words * 32 / bits, bias })
            }
            Weight::Affine { .. } => None,
        }
    }

    /// Row-major numbers `[outputs, inputs]`, without a bias.
    pub(super) fn dense(numbers: DenseNumbers, outputs: usize, inputs: usize) -> Option<Self> {
        let rows = match numbers {
            DenseNumbers::Float32(rows) => MatrixRows::Float32(rows),
            DenseNumbers::Bfloat16(rows) => MatrixRows::Bfloat16(rows),
            DenseNumbers::Float16(rows) => MatrixRows::Float16(rows),
            DenseNumbers::Packed(_) | DenseNumbers::Mlx(_) => return None,
        };
        Some(Self { rows, outputs, inputs, bias: None })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Products with `n` activations `x` `[n][in]`: `y` `[out][n]`.
    pub(super) fn multiply(&self, x: &[f32], n: usize, y: &mut [f32]) {
        match &self.rows {
            MatrixRows::Float32(rows) => self.share(n, y, |first, y| multiply_rows(self.part(rows, first), x, n, y)),
            MatrixRows::Bfloat16(rows) => self.share(n, y, |first, y| multiply_rows(self.part(rows, first), x, n, y)),
            MatrixRows::Float16(rows) => self.share(n, y, |first, y| multiply_rows(self.part(rows, first), x, n, y)),
            MatrixRows::Affine(affine) => self.share(n, y, |first, y| {
                for (row, y) in (first..).zip(y.chunks_exact_mut(n)) {
                    multiply_quantised_row(affine.row(row, self.inputs), x, y);
                }
            }),
        }
        if let Some(bias) = &self.bias {
            for (y, bias) in y.chunks_exact_mut(n).zip(bias) {
                y.iter_mut().for_each(|y| *y += bias);
            }
        }
    }

    /// The rows from `first` on.
    fn part<'a, W: Stored>(&self, rows: &'a [W], first: usize) -> &'a [W] {
        &rows[first * self.inputs..]
    }

    /// Has `multiply` fill `y` from its first row, or in shares from several threads: from the row that it is given.
    fn share(&self, n: usize, y: &mut [f32], multiply: impl Fn(usize, &mut [f32]) + Sync) {
        let work = self.inputs * n; // of a row
        if work * self.outputs < WORTH_SHARING {
            return multiply(0, y);
        }
        // Activations pass by four at a time; each four should meet many rows of weights while they are in the cache.
        let rows = (SHARE / (self.inputs * n.min(4)).max(1)).max(8);
        y.par_chunks_mut(rows * n).enumerate().for_each(|(share, y)| multiply(share * rows, y));
    }
}

impl Affine {
    fn row(&self, row: usize, inputs: usize) -> QuantisedRow<'_> {
        let (bits, group) = (self.bits, self.group);
        let (groups, bytes) = (inputs / group, inputs * bits / 8);
        QuantisedRow {
            packed: &self.packed[row * bytes..(row + 1) * bytes],
            scales: &self.scales[row * groups..(row + 1) * groups],
            biases: &self.biases[row * groups..(row + 1) * groups],
            bits,
            group,
        }
    }
}
