//! Tensors as they lie in files, and as they were read.

use std::borrow::Cow;

use super::file::{HeaderEntry, Numbers};
use crate::data::Dtype;

/// A tensor as it was read.
pub struct TensorData<'a> {
    /// Number type of the elements.
    pub dtype: Dtype,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// Elements, row-major and little-endian.
    pub bytes: Cow<'a, [u8]>,
}

impl TensorData<'_> {
    /// Puts the rows of heads of width `head` in pairs, as MLX's layout has them.
    pub(crate) fn with_rows_in_pairs(self, head: Option<usize>) -> Self {
        let Some(head) = head else { return self };
        let rows = self.shape[0];
        let row = self.bytes.len() / rows.max(1);
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for n in 0..rows {
            let (first, within) = (n - n % head, n % head);
            let from = first + within % 2 * (head / 2) + within / 2;
            bytes.extend_from_slice(&self.bytes[from * row..(from + 1) * row]);
        }
        Self { bytes: bytes.into(), ..self }
    }
}

/// A matrix that is stored quantised, as it was read: `w = scale * q + bias`, group by group along a row.
pub struct QuantisedData<'a> {
    /// Integers packed into 32-bit words: shape, and the words, little-endian.
    pub packed: (Vec<usize>, Cow<'a, [u8]>),
    /// One scale per group.
    pub scales: TensorData<'a>,
    /// One offset a group.
    pub biases: TensorData<'a>,
    /// Bits per quantised number.
    pub bits: usize,
    /// Numbers per group, which share a scale.
    pub group: usize,
}

/// A part of a file: the whole of a stored tensor, or some of its rows.
#[derive(Clone, Debug)]
pub(super) struct TensorPiece {
    pub(super) file: usize,
    pub(super) numbers: Numbers,
    pub(super) shape: Vec<usize>,
    pub(super) start: u64,
    pub(super) length: usize,
}

impl TensorPiece {
    pub(super) fn new(file: usize, entry: HeaderEntry) -> Self {
        let HeaderEntry { numbers, shape, start, length, .. } = entry;
        Self { file, numbers, shape, start, length }
    }

    /// Its rows in `parts` parts of equal size; `None` if they cannot be divided so.
    pub(super) fn split(&self, parts: usize) -> Option<Vec<Self>> {
        if parts == 1 {
            return Some(vec![self.clone()]);
        }
        let rows = *self.shape.first()?;
        if rows == 0 || !rows.is_multiple_of(parts) {
            return None;
        }
        let length = self.length / parts;
        let part = |n: usize| {
            let mut piece = self.clone();
            piece.shape[0] = rows / parts;
            piece.start += (n * length) as u64;
            piece.length = length;
            piece
        };
        Some((0..parts).map(part).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }
}
