//! A checkpoint's tensors: found in its files, compared with what the model asks for, and read one by one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use half::{bf16, f16};
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config::CsmConfig;
use super::format::{self, Placement};
use super::source::{Source, refuse_lfs_pointer};
use super::weights::{CsmWeights, ShapeRecorder, codec_weights};
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::files::open_regular;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Largest header of a safetensors file.
const HEADER_LIMIT: u64 = 100 << 20;
/// Disagreements that a message lists.
const LISTED: usize = 8;

/// A tensor as it was read.
pub struct TensorData<'a> {
    /// Number type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: &'a [usize],
    /// Row-major, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

struct StoredTensor {
    dtype: Dtype,
    shape: Vec<usize>,
    file: usize,
    start: u64,
    length: usize,
}

/// A weight file that stays open, so that replacing it on disk changes nothing here.
struct WeightFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    Embedded(&'static [u8]),
    Disk { file: File, length: u64, modified: Option<SystemTime> },
}

/// All weights of a checkpoint.
pub struct TensorStore {
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, StoredTensor>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl TensorStore {
    /// Opens the weights that `transformers_weights` of config.json names, else `model.safetensors`, else the shards of its
    /// index, and compares names, shapes and number types with what the model asks for. No weights are read yet.
    pub(super) fn open(source: &Source, config: &CsmConfig, named: Option<&str>) -> Result<Self> {
        let files = weight_files(source, named)?;
        let mut headers = Vec::new();
        for file in &files {
            headers.push(file.header()?);
        }
        let names = headers.iter().flatten().map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>();
        let folder = source.path("");
        let format = format::detect(&names).map_err(|what| {
            let expected =
                "expected a checkpoint in transformers' format, with tensors such as embed_text_tokens.weight";
            Error::weights(&folder, format!("its tensors are those of {what}; {expected}"))
        })?;
        let mut store = Self { files, tensors: BTreeMap::new() };
        for (file, header) in headers.into_iter().enumerate() {
            for (name, tensor) in header {
                match format.place(&name) {
                    Placement::Ignored => {}
                    Placement::Tensor(canonical) => store.insert(file, &name, canonical, tensor)?,
                }
            }
        }
        if config.tie_codebooks_embeddings {
            store.merge_tied(&folder)?;
        }
        store.compare(&folder, config)?;
        Ok(store)
    }

    fn insert(&mut self, file: usize, name: &str, canonical: String, tensor: HeaderEntry) -> Result<()> {
        let path = &self.files[file].path;
        let dtype = match tensor.info.dtype {
            safetensors::Dtype::F32 => Dtype::Float32,
            safetensors::Dtype::F16 => Dtype::Float16,
            safetensors::Dtype::BF16 => Dtype::Bfloat16,
            other => {
                return Err(Error::weights(
                    path,
                    format!("{name}: expected float32, float16 or bfloat16, got {other:?}"),
                ));
            }
        };
        let (start, length) = (tensor.start, tensor.info.data_offsets.1 - tensor.info.data_offsets.0);
        let stored = StoredTensor { dtype, shape: tensor.info.shape, file, start, length };
        if self.tensors.insert(canonical, stored).is_some() {
            return Err(Error::weights(
                path,
                format!("{name}: stored twice, also in another shard or under another name"),
            ));
        }
        Ok(())
    }

    /// A table that both stacks share may be stored under both names; then both must be the same.
    fn merge_tied(&mut self, folder: &Path) -> Result<()> {
        const BACKBONE: &str = "backbone_model.embed_tokens.embed_audio_tokens.weight";
        const DEPTH: &str = "depth_decoder.model.embed_tokens.weight";
        let Some(copy) = self.tensors.remove(BACKBONE) else { return Ok(()) };
        let Some(table) = self.tensors.get(DEPTH) else {
            self.tensors.insert(DEPTH.into(), copy);
            return Ok(());
        };
        if (table.dtype, &table.shape) != (copy.dtype, &copy.shape) || self.bytes(table)? != self.bytes(&copy)? {
            let problem =
                format!("{BACKBONE} and {DEPTH} differ, expected one table: the config has tie_codebooks_embeddings");
            return Err(Error::weights(folder, problem));
        }
        Ok(())
    }

    fn compare(&self, folder: &Path, config: &CsmConfig) -> Result<()> {
        let mut recorder = ShapeRecorder::default();
        let Ok(_) = CsmWeights::load(&mut recorder, config);
        let Ok(_) = codec_weights(&mut recorder, config);
        let mut wrong = Vec::new();
        for (name, shape) in &recorder.tensors {
            match self.tensors.get(name) {
                None => wrong.push(format!("{name}: missing, expected shape {shape:?}")),
                Some(t) if t.shape != *shape => {
                    wrong.push(format!("{name}: expected shape {shape:?}, got {:?}", t.shape));
                }
                Some(_) => {}
            }
        }
        let known: BTreeSet<&str> = recorder.tensors.iter().map(|(name, _)| name.as_str()).collect();
        let surplus = self.tensors.keys().filter(|name| !known.contains(name.as_str()));
        wrong.extend(surplus.map(|name| format!("{name}: surplus, the config has no place for it")));
        if wrong.is_empty() {
            return Ok(());
        }
        let more = if wrong.len() > LISTED { format!("; and {} more", wrong.len() - LISTED) } else { String::new() };
        wrong.truncate(LISTED);
        Err(Error::weights(folder, format!("weights and config disagree: {}{more}", wrong.join("; "))))
    }

    /// Reads the tensor `name`, whose presence and shape were checked on opening.
    ///
    /// # Errors
    /// [`Error::Weights`] where its numbers are not finite or its file has changed, [`Error::Read`].
    pub fn read(&self, name: &str) -> Result<TensorData<'_>> {
        let Some(stored) = self.tensors.get(name) else {
            return Err(Error::weights("(checkpoint)", format!("{name}: asked for and not in the checkpoint")));
        };
        let bytes = self.bytes(stored)?;
        if !is_finite(stored.dtype, &bytes) {
            let path = &self.files[stored.file].path;
            return Err(Error::weights(path, format!("{name}: expected finite numbers, got NaN or infinity")));
        }
        Ok(TensorData { dtype: stored.dtype, shape: &stored.shape, bytes })
    }

    fn bytes(&self, tensor: &StoredTensor) -> Result<Cow<'_, [u8]>> {
        self.files[tensor.file].read_at(tensor.start, tensor.length)
    }

    /// The type in which most weights are stored.
    pub fn dtype(&self) -> Dtype {
        let mut numbers: HashMap<Dtype, usize> = HashMap::new();
        for tensor in self.tensors.values() {
            *numbers.entry(tensor.dtype).or_default() += tensor.length / tensor.dtype.size();
        }
        let most = Dtype::ALL.into_iter().max_by_key(|d| numbers.get(d).copied().unwrap_or(0));
        most.unwrap_or(Dtype::Float32)
    }

    /// SHA-256 over the weight files' bytes in order of their names, hexadecimal.
    ///
    /// # Errors
    /// As [`TensorStore::read`].
    pub fn sha256(&self) -> Result<String> {
        const CHUNK: u64 = 8 << 20;
        let mut hash = Sha256::new();
        for file in &self.files {
            let length = file.length();
            for start in (0..length).step_by(CHUNK as usize) {
                hash.update(file.read_at(start, CHUNK.min(length - start) as usize)?);
            }
        }
        Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}

/// A tensor in a file's header.
struct HeaderEntry {
    info: TensorInfo,
    start: u64,
}

impl WeightFile {
    fn open(source: &Source, name: &str, what: &str) -> Result<Self> {
        if !source.contains(name)? {
            return Err(source.missing(name, what));
        }
        let path = source.path(name);
        let content = match source {
            Source::Embedded(files) => {
                Content::Embedded(files.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, bytes)| bytes))
            }
            Source::Folder(_) => {
                let file = open_regular(&path)?;
                let metadata = file.metadata().map_err(|e| Error::read(&path, e))?;
                Content::Disk { file, length: metadata.len(), modified: metadata.modified().ok() }
            }
        };
        Ok(Self { path, content })
    }

    fn length(&self) -> u64 {
        match &self.content {
            Content::Embedded(bytes) => bytes.len() as u64,
            Content::Disk { length, .. } => *length,
        }
    }

    /// Bytes as they were when the file was opened: one that another program has changed since is an error, where a memory
    /// map would end the process with SIGBUS or mix old weights and new.
    fn read_at(&self, start: u64, length: usize) -> Result<Cow<'_, [u8]>> {
        match &self.content {
            Content::Embedded(bytes) => Ok(Cow::Borrowed(&bytes[start as usize..start as usize + length])),
            Content::Disk { file, .. } => {
                let mut bytes = vec![0; length];
                self.check_unchanged(file)?;
                file.read_exact_at(&mut bytes, start).map_err(|e| Error::read(&self.path, e))?;
                self.check_unchanged(file)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    fn check_unchanged(&self, file: &File) -> Result<()> {
        let Content::Disk { length, modified, .. } = &self.content else { return Ok(()) };
        let now = file.metadata().map_err(|e| Error::read(&self.path, e))?;
        if (now.len(), now.modified().ok()) == (*length, *modified) {
            return Ok(());
        }
        Err(Error::weights(&self.path, "changed on disk while it was open; open the checkpoint again"))
    }

    /// Name and place of every tensor, checked to lie within the file without gap or overlap.
    fn header(&self) -> Result<Vec<(String, HeaderEntry)>> {
        let damaged =
            |problem: String| Error::weights(&self.path, format!("is damaged or not a safetensors file: {problem}"));
        let length = self.length();
        refuse_lfs_pointer(&self.path, &self.read_at(0, length.min(64) as usize)?)?;
        if length < 8 {
            return Err(damaged(format!("it has {length} bytes")));
        }
        let size = self.read_at(0, 8)?.iter().rev().fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
        if size > HEADER_LIMIT || size + 8 > length {
            return Err(damaged(format!("its header would take {size} bytes of {length}")));
        }
        let header: Metadata = serde_json::from_slice(&self.read_at(8, size as usize)?)
            .map_err(|e| damaged(format!("its header: {e}")))?;
        let found = header.tensors();
        let mut tensors: Vec<(String, TensorInfo)> =
            found.into_iter().map(|(name, info)| (name, info.clone())).collect();
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let end = tensors.last().map_or(0, |(_, info)| info.data_offsets.1) as u64;
        Metadata::new(None, tensors.clone()).map_err(|e| damaged(e.to_string()))?;
        if size + 8 + end != length {
            return Err(damaged(format!("its tensors end at byte {}, the file at {length}", size + 8 + end)));
        }
        let entry = |(name, info): (String, TensorInfo)| {
            let start = size + 8 + info.data_offsets.0 as u64;
            (name, HeaderEntry { info, start })
        };
        Ok(tensors.into_iter().map(entry).collect())
    }
}

fn weight_files(source: &Source, named: Option<&str>) -> Result<Vec<WeightFile>> {
    if let Some(name) = named {
        check_plain_name(source, "config.json", "transformers_weights", name)?;
        if name.ends_with(".json") {
            return shards(source, name);
        }
        return Ok(vec![WeightFile::open(source, name, "the weights that config.json names")?]);
    }
    if !source.contains(SINGLE)? && source.contains(INDEX)? {
        return shards(source, INDEX);
    }
    let what = format!("the weights ({SINGLE}, or shards with {INDEX})");
    Ok(vec![WeightFile::open(source, SINGLE, &what)?])
}

fn shards(source: &Source, index_name: &str) -> Result<Vec<WeightFile>> {
    let Some(index) = source.read_json::<Index>(index_name)? else {
        return Err(source.missing(index_name, "the index of the weights' shards"));
    };
    let mut files = Vec::new();
    for name in index.weight_map.values().collect::<BTreeSet<_>>() {
        check_plain_name(source, index_name, "weight_map", name)?;
        let file = WeightFile::open(source, name, &format!("a shard that {index_name} lists"))?;
        let inside: BTreeSet<String> = file.header()?.into_iter().map(|(tensor, _)| tensor).collect();
        let listed = index.weight_map.iter().filter(|(_, shard)| *shard == name);
        if let Some((tensor, _)) = listed.into_iter().find(|(tensor, _)| !inside.contains(*tensor)) {
            let problem = format!("{tensor}: expected in this shard by {index_name}, not found there");
            return Err(Error::weights(&file.path, problem));
        }
        files.push(file);
    }
    Ok(files)
}

fn check_plain_name(source: &Source, file: &str, field: &str, name: &str) -> Result<()> {
    let mut components = Path::new(name).components();
    let plain = matches!((components.next(), components.next()), (Some(std::path::Component::Normal(_)), None));
    if plain {
        Ok(())
    } else {
        let problem = format!("{field}: expected the name of a file in the same folder, got {name:?}");
        Err(Error::file(source.path(file), problem))
    }
}

fn is_finite(dtype: Dtype, bytes: &[u8]) -> bool {
    match dtype {
        Dtype::Float32 => bytes.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite()),
        Dtype::Float16 => bytes.chunks_exact(2).all(|b| f16::from_le_bytes([b[0], b[1]]).is_finite()),
        Dtype::Bfloat16 => bytes.chunks_exact(2).all(|b| bf16::from_le_bytes([b[0], b[1]]).is_finite()),
    }
}
