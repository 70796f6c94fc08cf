//! Stored numbers: their types, the order of a head's rows, and affine quantisation.

use std::borrow::Cow;

use half::{bf16, f16};

use super::tensor::QuantisedData;
use crate::data::Dtype;

/// Whether all numbers are finite.
pub(super) fn is_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    match dtype {
        Dtype::Float32 => bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite()),
        Dtype::Float16 => bytes.chunks_exact(2).all(|b| f16::from_le_bytes([b[0], b[1]]).is_finite()),
        Dtype::Bfloat16 => bytes.chunks_exact(2).all(|b| bf16::from_le_bytes([b[0], b[1]]).is_finite()),
    }
}

/// The numbers as float32.
pub(super) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Cow<'_, [f32]> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match dtype {
        Dtype::Float32 => match bytemuck::try_cast_slice(bytes) {
            Ok(values) => Cow::Borrowed(values),
            Err(_) => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        },
        Dtype::Float16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::Bfloat16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
    }
}

/// Puts the rows of heads of width `head` from pairs (2i, 2i + 1) into halves (i, i + head/2):
/// `half[h D + p D/2 + i] = pair[h D + 2 i + p]`. Rows stay as they are without `head`.
pub(super) fn reorder_rows(bytes: Cow<'_, [u8]>, rows: usize, head: Option<usize>) -> Cow<'_, [u8]> {
    let Some(head) = head.filter(|head| *head >= 2 && rows > 0 && rows.is_multiple_of(*head)) else { return bytes };
    let row = bytes.len() / rows;
    let mut reordered = Vec::with_capacity(bytes.len());
    for n in 0..rows {
        let (h, within) = (n / head, n % head);
        let (p, i) = (within / (head / 2), within % (head / 2));
        let from = h * head + 2 * i + p;
        reordered.extend_from_slice(&bytes[from * row..(from + 1) * row]);
    }
    reordered.into()
}

/// Affine quantisation of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Affine {
    pub(super) bits: usize,
    pub(super) group: usize,
}

impl Affine {
    /// What the shapes of a matrix `[out, in]`, its packed words and its scales say; `None` if they contradict each other.
    pub(super) fn infer(shape: &[usize], packed: &[usize], scales: &[usize]) -> Option<Self> {
        let ([out, inputs], [packed_rows, words], [scale_rows, groups]) = (shape, packed, scales) else { return None };
        if packed_rows != out || scale_rows != out || *inputs == 0 || *groups == 0 {
            return None;
        }
        let exact = |n: usize, d: usize| n.is_multiple_of(d).then(|| n / d);
        let bits = exact(words.checked_mul(32)?, *inputs).filter(|bits| [2, 3, 4, 5, 6, 8].contains(bits))?;
        let group = exact(*inputs, *groups).filter(|group| [32, 64, 128].contains(group))?;
        Some(Self { bits, group })
    }
}

/// The float32 numbers of a quantised matrix. A row is one little-endian stream of bits: number j is bits [j b, (j + 1) b).
pub(super) fn dequantise(q: &QuantisedData<'_>) -> Vec<f32> {
    let scales = to_f32(q.scales.dtype, &q.scales.bytes);
    let biases = to_f32(q.biases.dtype, &q.biases.bytes);
    let (rows, words) = (q.packed.0[0], q.packed.0[1]);
    let (inputs, groups) = (words * 32 / q.bits, q.scales.shape[1]);
    let mut values = Vec::with_capacity(rows * inputs);
    let mask = (1u32 << q.bits) - 1;
    for row in 0..rows {
        let bytes = &q.packed.1[row * words * 4..(row + 1) * words * 4];
        for j in 0..inputs {
            let first = j * q.bits;
            let low = u32::from(bytes[first / 8]);
            let high = bytes.get(first / 8 + 1).copied().map_or(0, u32::from);
            let integer = ((low | (high << 8)) >> (first % 8)) & mask;
            let group = row * groups + j / q.group;
            values.push(scales[group] * integer as f32 + biases[group]);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::TensorData;

    #[test]
    fn rows_in_pairs_become_halves() {
        let bytes: Vec<u8> = (0..8).collect();
        let reordered = reorder_rows(bytes.clone().into(), 8, Some(4));
        assert_eq!(&*reordered, [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(&*reorder_rows(bytes.clone().into(), 8, None), bytes);
    }

    #[test]
    fn quantisation_is_told_by_shapes() {
        assert_eq!(Affine::infer(&[8, 64], &[8, 16], &[8, 1]), Some(Affine { bits: 8, group: 64 }));
        assert_eq!(Affine::infer(&[8, 64], &[8, 12], &[8, 2]), Some(Affine { bits: 6, group: 32 }));
        assert_eq!(Affine::infer(&[8, 64], &[8, 16], &[8, 3]), None);
        assert_eq!(Affine::infer(&[8, 64], &[7, 16], &[8, 1]), None);
    }

    #[test]
    fn six_bit_numbers_cross_bytes_and_words() {
        let integers: Vec<u32> = (0..16).map(|n| (n * 37 + 5) % 64).collect();
        let mut bytes = vec![0u8; 12];
        for (j, integer) in integers.iter().enumerate() {
            (0..6)
                .filter(|bit| integer >> bit & 1 == 1)
                .for_each(|bit| bytes[(j * 6 + bit) / 8] |= 1 << ((j * 6 + bit) % 8));
        }
        let floats = |values: &[f32]| TensorData {
            dtype: Dtype::Float32,
            shape: vec![1, values.len()],
            bytes: bytemuck::cast_slice::<f32, u8>(values).to_vec().into(),
        };
        let q = QuantisedData {
            packed: (vec![1, 3], bytes.into()),
            scales: floats(&[0.5]),
            biases: floats(&[-3.0]),
            bits: 6,
            group: 16,
        };
        let expected: Vec<f32> = integers.iter().map(|n| 0.5 * *n as f32 - 3.0).collect();
        assert_eq!(dequantise(&q), expected);
    }
}
