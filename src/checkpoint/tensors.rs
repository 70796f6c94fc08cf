//! A checkpoint's weights as bytes, checked against the config before anything reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::names::{self, Expected};
use super::source::{Bytes, Source};
use crate::config::CsmConfig;
use crate::error::{Error, Result};

/// Number type of stored weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    Float32,
    /// IEEE half precision.
    Float16,
    /// The upper half of a float32.
    Bfloat16,
}

impl Dtype {
    /// Its name, as the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
        }
    }

    fn of(stored: safetensors::Dtype) -> Option<Self> {
        match stored {
            safetensors::Dtype::F32 => Some(Self::Float32),
            safetensors::Dtype::F16 => Some(Self::Float16),
            safetensors::Dtype::BF16 => Some(Self::Bfloat16),
            _ => None,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 | Self::Bfloat16 => 2,
        }
    }
}

/// One stored tensor: row-major little-endian bytes.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Number type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Vec<usize>,
    file: usize,
    range: std::ops::Range<usize>,
}

/// All weights of a checkpoint.
pub struct Tensors {
    files: Vec<(PathBuf, Bytes)>,
    map: BTreeMap<String, Tensor>,
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Tensors {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists, and checks names, shapes, number
    /// types, lengths and that every number is finite.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Weights`], naming file and tensors.
    pub fn open(source: &Source, config: &CsmConfig) -> Result<Self> {
        let mut tensors = Self { files: Vec::new(), map: BTreeMap::new() };
        match source.read_optional(INDEX)? {
            Some(index) if source.read_optional(SINGLE)?.is_none() => tensors.add_shards(source, &index)?,
            _ => {
                let what = format!("the weights ({SINGLE}, or shards with {INDEX})");
                let bytes = source.read(SINGLE, &what)?;
                tensors.add(source.path(SINGLE), bytes)?;
            }
        }
        tensors.check_names(&source.path(""), &names::expected(config), config)?;
        tensors.check_finite()?;
        Ok(tensors)
    }

    fn add_shards(&mut self, source: &Source, index: &Bytes) -> Result<()> {
        let index: Index = serde_json::from_slice(index)
            .map_err(|e| Error::file(source.path(INDEX), format!("is not a shard index: {e}")))?;
        let mut shards: Vec<&String> = index.weight_map.values().collect();
        shards.sort();
        shards.dedup();
        for name in shards {
            if Path::new(name).components().count() != 1 {
                return Err(Error::file(
                    source.path(INDEX),
                    format!("weight_map: expected file names without folders, got {name:?}"),
                ));
            }
            let bytes = source.read(name, &format!("a shard that {INDEX} lists"))?;
            self.add(source.path(name), bytes)?;
        }
        for (tensor, file) in &index.weight_map {
            let holder = self.map.get(tensor).map(|t| &self.files[t.file].0);
            if holder != Some(&source.path(file)) {
                return Err(Error::weights(
                    source.path(file),
                    format!("{tensor}: expected in this shard by {INDEX}, not found there"),
                ));
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, bytes: Bytes) -> Result<()> {
        let file = self.files.len();
        // The header says where each tensor lies; `deserialize` refuses ranges that overlap, leave gaps or pass the end.
        let parsed = SafeTensors::deserialize(&bytes)
            .map_err(|e| Error::weights(&path, format!("is damaged or no safetensors file ({e})")))?;
        for (name, view) in parsed.tensors() {
            let Some(dtype) = Dtype::of(view.dtype()) else {
                return Err(Error::weights(
                    &path,
                    format!("{name}: expected float32, float16 or bfloat16, got {:?}", view.dtype()),
                ));
            };
            let first = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let tensor = Tensor { dtype, shape: view.shape().to_vec(), file, range: first..first + view.data().len() };
            if self.map.insert(name.clone(), tensor).is_some() {
                return Err(Error::weights(&path, format!("{name}: is also in another shard")));
            }
        }
        self.files.push((path, bytes));
        Ok(())
    }

    fn check_names(&mut self, path: &Path, expected: &[Expected], config: &CsmConfig) -> Result<()> {
        if let Some(other) = self.other_format() {
            return Err(Error::weights(
                path,
                format!("the tensors are named as in {other}; expected transformers' names, such as {}", expected[0].0),
            ));
        }
        if config.tie_codebooks_embeddings {
            self.untie(path)?;
        }
        let mut wrong = Vec::new();
        for (name, shape) in expected {
            match self.map.get(name) {
                None => wrong.push(format!("{name}: missing, expected shape {shape:?}")),
                Some(t) if t.shape != *shape => {
                    wrong.push(format!("{name}: expected shape {shape:?}, got {:?}", t.shape));
                }
                Some(_) => {}
            }
        }
        let known: std::collections::HashSet<&str> = expected.iter().map(|(n, _)| n.as_str()).collect();
        for name in self.map.keys() {
            if !known.contains(name.as_str()) && !names::harmless(name) {
                wrong.push(format!("{name}: surplus, the config has no place for it"));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let more = match wrong.len() {
            0..=8 => String::new(),
            n => format!("; and {} more", n - 8),
        };
        Err(Error::weights(
            path,
            format!("weights and config disagree: {}{more}", wrong[..wrong.len().min(8)].join("; ")),
        ))
    }

    /// A shared table may be stored under the backbone's name as well: then both must be the same.
    fn untie(&mut self, path: &Path) -> Result<()> {
        let Some(copy) = self.map.get(names::BACKBONE_CODES) else {
            return Ok(());
        };
        match self.map.get(names::DEPTH_CODES) {
            None => {
                let table = copy.clone();
                self.map.insert(names::DEPTH_CODES.into(), table);
            }
            Some(table) if self.bytes(table) != self.bytes(copy) => {
                return Err(Error::weights(
                    path,
                    format!(
                        "{} and {} differ, expected one table for both: the config says tie_codebooks_embeddings",
                        names::BACKBONE_CODES,
                        names::DEPTH_CODES
                    ),
                ));
            }
            Some(_) => {}
        }
        self.map.remove(names::BACKBONE_CODES);
        Ok(())
    }

    fn other_format(&self) -> Option<&'static str> {
        let has = |name: &str| self.map.contains_key(name);
        if self.map.keys().any(|n| n.ends_with(".scales")) {
            Some("a quantised MLX checkpoint")
        } else if has("text_embeddings.weight") || has("codebook0_head.weight") || has("model.text_embeddings.weight") {
            Some("the original (torchtune) CSM checkpoint")
        } else {
            None
        }
    }

    fn check_finite(&self) -> Result<()> {
        for (name, t) in &self.map {
            let bytes = self.bytes(t);
            let finite = match t.dtype {
                Dtype::Float32 => {
                    bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite())
                }
                Dtype::Float16 => bytes.chunks_exact(2).all(|b| f16::from_le_bytes([b[0], b[1]]).is_finite()),
                Dtype::Bfloat16 => bytes.chunks_exact(2).all(|b| bf16::from_le_bytes([b[0], b[1]]).is_finite()),
            };
            if !finite {
                return Err(Error::weights(
                    &self.files[t.file].0,
                    format!("{name}: expected finite numbers, got NaN or infinity"),
                ));
            }
        }
        Ok(())
    }

    fn bytes(&self, tensor: &Tensor) -> &[u8] {
        &self.files[tensor.file].1[tensor.range.clone()]
    }

    /// Tensor `name`: number type, shape and row-major little-endian bytes. `None` where the checkpoint has none.
    pub fn get(&self, name: &str) -> Option<(Dtype, &[usize], &[u8])> {
        let t = self.map.get(name)?;
        Some((t.dtype, &t.shape, self.bytes(t)))
    }

    /// Tensor `name` as float32, row-major.
    pub fn to_f32(&self, name: &str) -> Option<Vec<f32>> {
        let (dtype, _, bytes) = self.get(name)?;
        Some(match dtype {
            Dtype::Float32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::Float16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::Bfloat16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// The type most weights are stored in.
    pub fn dtype(&self) -> Dtype {
        let size = |d: Dtype| {
            let of_type = self.map.values().filter(|t| t.dtype == d);
            of_type.map(|t| t.range.len() / d.size()).sum::<usize>()
        };
        [Dtype::Float32, Dtype::Float16, Dtype::Bfloat16].into_iter().max_by_key(|d| size(*d)).expect("three types")
    }

    /// SHA-256 over the weight files' bytes in order of their names, hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for (_, bytes) in &self.files {
            hash.update(&bytes[..]);
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}
