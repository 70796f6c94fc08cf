//! A checkpoint's tensors, read one by one.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::adapter::Change;
use super::file::{Numbers, WeightFile};
use super::numbers::{Affine, dequantise, is_finite, reorder_rows, to_f32};
use super::tensor::{QuantisedData, TensorData, TensorPiece};
use crate::data::Dtype;
use crate::error::{Error, Result};

/// A tensor that the model asks for.
#[derive(Debug)]
pub(super) struct StoredTensor {
    pub(super) weight: TensorPiece,
    /// Shape that the model asks for.
    pub(super) shape: Vec<usize>,
    /// Width of a head.
    pub(super) head: usize,
    /// Whether a head's rows come in pairs.
    pub(super) paired_rows: bool,
    pub(super) quantisation: Option<Quantisation>,
    /// Changes by adapters, in order.
    pub(super) changes: Vec<Change>,
}

/// How a matrix is quantised.
#[derive(Debug)]
pub(super) struct Quantisation {
    pub(super) scales: TensorPiece,
    pub(super) biases: TensorPiece,
    pub(super) affine: Affine,
}

impl StoredTensor {
    /// The type of its numbers, or of its scales.
    fn dtype(&self) -> Option<Dtype> {
        match self.quantisation.as_ref().map_or(&self.weight.numbers, |q| &q.scales.numbers) {
            Numbers::Float(dtype) => Some(*dtype),
            _ => None,
        }
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Width of a head whose rows are to be put in order.
    fn paired_head(&self) -> Option<usize> {
        self.paired_rows.then_some(self.head)
    }
}

/// All weights of a checkpoint: present, of the right shape, and not yet read.
pub struct TensorStore {
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, StoredTensor>,
    strengths: Vec<f32>,
    /// Bytes of tensors that have been read.
    read: AtomicU64,
}

impl TensorStore {
    pub(super) fn new(files: Vec<WeightFile>, tensors: BTreeMap<String, StoredTensor>, strengths: Vec<f32>) -> Self {
        Self { files, tensors, strengths, read: AtomicU64::new(0) }
    }

    /// Paths of the weight files, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(WeightFile::path)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number type and shape that [`TensorStore::read`] gives of the tensor `name`.
    pub(crate) fn kind(&self, name: &str) -> Option<(Dtype, Vec<usize>)> {
        let tensor = self.tensors.get(name)?;
        let plain = tensor.quantisation.is_none() && tensor.changes.is_empty();
        Some((if plain { tensor.dtype()? } else { Dtype::Float32 }, tensor.shape.clone()))
    }

    /// Reads the tensor `name`, whose presence and shape were checked on opening; a quantised one as float32 numbers.
    ///
    /// # Errors
    /// [`Error::Weights`] if its numbers are not finite or its file has changed, [`Error::Read`].
    pub fn read(&self, name: &str) -> Result<TensorData<'_>> {
        let tensor = self.tensor(name)?;
        if tensor.quantisation.is_none() && tensor.changes.is_empty() {
            return self.read_floats(name, &tensor.weight, &tensor.shape, tensor.paired_head());
        }
        let mut values = match self.read_quantised(name, tensor)? {
            Some(q) => dequantise(&q),
            None => {
                let data = self.read_floats(name, &tensor.weight, &tensor.shape, tensor.paired_head())?;
                to_f32(data.dtype, &data.bytes).into_owned()
            }
        };
        for change in &tensor.changes {
            change.apply(&mut values, &tensor.shape, tensor.head, |piece| {
                let data = self.read_floats(name, piece, &piece.shape, None)?;
                Ok(to_f32(data.dtype, &data.bytes).into_owned())
            })?;
        }
        if !values.iter().all(|value| value.is_finite()) {
            let path = self.files[tensor.weight.file].path();
            let problem =
                format!("{name}: expected finite numbers, its scales or an adapter make NaN or infinity of them");
            return Err(Error::weights(path, problem));
        }
        let bytes = bytemuck::cast_slice::<f32, u8>(&values).to_vec();
        Ok(TensorData { dtype: Dtype::Float32, shape: tensor.shape.clone(), bytes: bytes.into() })
    }

    /// Reads the matrix `name` as it is quantised; `None` if it is stored as numbers or changed by an adapter.
    ///
    /// # Errors
    /// Returns the errors of [`TensorStore::read`].
    pub fn quantised(&self, name: &str) -> Result<Option<QuantisedData<'_>>> {
        let tensor = self.tensor(name)?;
        if tensor.changes.is_empty() { self.read_quantised(name, tensor) } else { Ok(None) }
    }

    fn tensor(&self, name: &str) -> Result<&StoredTensor> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::weights("(checkpoint)", format!("{name}: asked for and not in the checkpoint")))
    }

    fn read_quantised(&self, name: &str, tensor: &StoredTensor) -> Result<Option<QuantisedData<'_>>> {
        let Some(Quantisation { scales, biases, affine }) = &tensor.quantisation else { return Ok(None) };
        let words = reorder_rows(self.bytes(&tensor.weight)?, tensor.shape[0], tensor.paired_head());
        let floats = |piece: &TensorPiece| self.read_floats(name, piece, &piece.shape, tensor.paired_head());
        Ok(Some(QuantisedData {
            packed: (tensor.weight.shape.clone(), words),
            scales: floats(scales)?,
            biases: floats(biases)?,
            bits: affine.bits,
            group: affine.group,
        }))
    }

    fn read_floats(
        &self,
        name: &str,
        piece: &TensorPiece,
        shape: &[usize],
        head: Option<usize>,
    ) -> Result<TensorData<'_>> {
        let bytes = self.bytes(piece)?;
        let wrong = |problem: &str| {
            let path = self.files[piece.file].path();
            Error::weights(path, format!("{name}: expected {problem}"))
        };
        let Numbers::Float(dtype) = piece.numbers else { return Err(wrong("floating-point numbers")) };
        if !is_finite(dtype, &bytes) {
            return Err(wrong("finite numbers, got NaN or infinity"));
        }
        let rows = shape.first().copied().unwrap_or(1);
        Ok(TensorData { dtype, shape: shape.to_vec(), bytes: reorder_rows(bytes, rows, head) })
    }

    /// Whether the tensor `name` is stored with the same bytes as `other`.
    pub(super) fn equals(&self, name: &str, other: &TensorPiece) -> Result<bool> {
        let piece = &self.tensor(name)?.weight;
        let same_place = (piece.file, piece.start) == (other.file, other.start);
        let same_kind = piece.numbers == other.numbers && piece.shape == other.shape;
        Ok(same_place || (same_kind && self.bytes(piece)? == self.bytes(other)?))
    }

    /// Bytes of tensors that have been read so far, by any engine.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn bytes(&self, piece: &TensorPiece) -> Result<Cow<'_, [u8]>> {
        self.read.fetch_add(piece.length as u64, Ordering::Relaxed);
        self.files[piece.file].read_at(piece.start, piece.length)
    }

    /// The type in which most weights are stored; of quantised ones, that of their scales.
    pub fn dtype(&self) -> Dtype {
        let mut numbers: HashMap<Dtype, usize> = HashMap::new();
        for tensor in self.tensors.values() {
            if let Some(dtype) = tensor.dtype() {
                *numbers.entry(dtype).or_default() += tensor.count();
            }
        }
        let most = Dtype::ALL.into_iter().max_by_key(|d| numbers.get(d).copied().unwrap_or(0));
        most.unwrap_or(Dtype::Float32)
    }

    /// Whether rows of queries and keys are stored in pairs.
    pub(super) fn has_paired_rows(&self) -> bool {
        self.tensors.iter().any(|(name, t)| t.paired_rows && !name.starts_with("codec_model."))
    }

    /// Bits and group size by which matrices are quantised, with their number, most frequent first.
    pub fn quantisations(&self) -> Vec<(usize, usize, usize)> {
        let mut found: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for q in self.tensors.values().filter_map(|t| t.quantisation.as_ref()) {
            *found.entry((q.affine.bits, q.affine.group)).or_default() += 1;
        }
        let mut found: Vec<_> = found.into_iter().map(|((bits, group), n)| (bits, group, n)).collect();
        found.sort_by_key(|(.., n)| std::cmp::Reverse(*n));
        found
    }

    /// Numbers in the tensors whose name begins with `prefix`, and the bytes that they take when loaded in `precision`;
    /// quantised matrices stay packed.
    pub fn size(&self, prefix: &str, precision: Dtype) -> (usize, usize) {
        let sizes = self.tensors.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, tensor)| {
            let bytes = match &tensor.quantisation {
                Some(q) if tensor.changes.is_empty() => tensor.weight.length + 2 * q.scales.count() * precision.size(),
                _ => tensor.count() * precision.size(),
            };
            (tensor.count(), bytes)
        });
        sizes.fold((0, 0), |(n, bytes), (more, more_bytes)| (n + more, bytes + more_bytes))
    }

    /// Bytes of the tensors whose name begins with `prefix`, in the numbers in which they are stored.
    pub fn stored_size(&self, prefix: &str) -> usize {
        let sizes = self.tensors.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, tensor)| {
            let number = tensor.dtype().filter(|_| tensor.changes.is_empty()).unwrap_or(Dtype::Float32).size();
            match &tensor.quantisation {
                Some(q) if tensor.changes.is_empty() => tensor.weight.length + 2 * q.scales.count() * number,
                _ => tensor.count() * number,
            }
        });
        sizes.sum()
    }

    /// SHA-256 over the weight files' bytes in the order of opening, and over the adapters' strengths; hexadecimal. `progress` receives how
    /// many bytes have been read, and of how many.
    ///
    /// # Errors
    /// Returns the errors of [`TensorStore::read`].
    pub fn sha256(&self, mut progress: impl FnMut(u64, u64)) -> Result<String> {
        const CHUNK: u64 = 8 << 20;
        let mut hash = Sha256::new();
        let (mut read, all) = (0, self.files.iter().map(WeightFile::length).sum());
        for file in &self.files {
            let length = file.length();
            for start in (0..length).step_by(CHUNK as usize) {
                let part = CHUNK.min(length - start);
                hash.update(file.read_at(start, part as usize)?);
                read += part;
                progress(read, all);
            }
        }
        self.strengths.iter().for_each(|strength| hash.update(strength.to_le_bytes()));
        Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}
