//! Affine quantisation of a checkpoint into the form that mlx-audio reads and writes, and what it costs.

mod cost;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use regex::Regex;
use safetensors::tensor::View;
use serde_json::{Value, json};

pub use self::cost::{CodebookCost, Cost, measure};
use crate::checkpoint::{Checkpoint, TensorData, mlx_layout};
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::files::{PART, leftovers, name_with_room, open_regular, sync_folder, write_atomically};
use crate::mlx::{QuantisedBytes, quantise};

/// Bits, group sizes and matrices to quantise.
#[derive(Debug)]
pub struct QuantizeSpec {
    /// Bits a number: 4 or 8 (2, 3 and 6 work too).
    pub bits: usize,
    /// Numbers a group, 32 or 64.
    pub group: usize,
    /// Modules that stay as they are, by their MLX names such as `model.decoder.layers.0.mlp.down_proj`.
    pub keep: Vec<Regex>,
}

/// Summary of a quantised checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Number of quantised matrices.
    pub quantised: usize,
    /// Matrices and other tensors that stayed as they are.
    pub kept: usize,
    /// Bytes of the language model before.
    pub bytes_before: usize,
    /// Bytes of the language model now.
    pub bytes: usize,
}

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// The file in a folder that is being made, locked meanwhile.
const LOCK: &str = ".lock";

/// Writes `checkpoint` quantised into `folder`, which must not exist yet or be empty: weights in MLX's names, config, tokenizer, and
/// the codec in its own folder, which mlx-audio passes over.
///
/// # Errors
/// Errors of reading, [`Error::InvalidValue`] for a folder that holds something, [`Error::Write`], [`Error::Cancelled`]. Nothing
/// is left in the folder then.
pub fn quantize(
    checkpoint: &Checkpoint,
    folder: &Path,
    spec: &QuantizeSpec,
    cancelled: &dyn Fn() -> bool,
) -> Result<Written> {
    if !checkpoint.config.tie_codebooks_embeddings {
        let problem =
            "has two tables of audio embeddings (tie_codebooks_embeddings false), which MLX's layout cannot hold";
        return Err(Error::weights(&checkpoint.info.name, problem));
    }
    let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || folder.is_file() {
        return Err(Error::invalid("OUT", "a folder that does not exist yet, or an empty one", folder.display()));
    }
    // Complete or absent, even if the program is killed: made beside its place, then moved there. A folder that is there already may be
    // another disk's, or the current one, which nothing can take the place of: its files move there, the config last.
    let there = folder.is_dir();
    let parent = place_of_parts(folder);
    fs::create_dir_all(parent).map_err(|e| Error::write(parent, e))?;
    let mut builder = tempfile::Builder::new();
    let prefix = prefix_of_parts(folder);
    builder.prefix(&prefix).suffix(PART);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)); // reduced by the umask
    let made = builder.tempdir_in(parent).map_err(|e| Error::write(parent, e))?;
    let lock = made.path().join(LOCK);
    let locked = File::create(&lock).map_err(|e| Error::write(&lock, e))?;
    drop(locked.try_lock()); // without locks on this disk, nobody calls the folder unfinished
    let written = write_all(checkpoint, made.path(), spec, cancelled)?;
    let place = || {
        fs::remove_file(&lock)?;
        drop(locked);
        if !there {
            return fs::rename(made.path(), folder);
        }
        let mut names =
            fs::read_dir(made.path())?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort_by_key(|name| name == CONFIG);
        names.iter().try_for_each(|name| fs::rename(made.path().join(name), folder.join(name)))
    };
    place().and_then(|()| sync_folder(parent)).map_err(|e| Error::write(folder, e))?;
    Ok(written)
}

/// Where the folder is made that becomes `folder`: in it if it is there, else beside it.
fn place_of_parts(folder: &Path) -> &Path {
    let beside = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() { folder } else { beside }
}

fn prefix_of_parts(folder: &Path) -> String {
    format!(".{}.", name_with_room(&folder.file_name().unwrap_or_default().to_string_lossy()))
}

/// Folders that runs which were ended early have left for the output `folder`, which nobody needs. Sorted by name.
pub fn unfinished(folder: &Path) -> Vec<PathBuf> {
    leftovers(place_of_parts(folder), &prefix_of_parts(folder), |found| {
        found.is_dir() && open_regular(&found.join(LOCK)).map_or(true, |lock| lock.try_lock().is_ok())
    })
}

fn write_all(
    checkpoint: &Checkpoint,
    folder: &Path,
    spec: &QuantizeSpec,
    cancelled: &dyn Fn() -> bool,
) -> Result<Written> {
    let plan = Plan::new(checkpoint, spec);
    let failure = RefCell::new(None);
    let view = |entry: &Entry| LazyTensor { checkpoint, spec, entry: entry.clone(), failure: &failure, cancelled };
    let path = folder.join(WEIGHTS);
    write_tensors(&path, plan.model.iter().map(|entry| (entry.stored_name.clone(), view(entry))).collect(), &failure)?;
    let codec_folder = folder.join(crate::checkpoint::CODEC_FOLDER);
    fs::create_dir_all(&codec_folder).map_err(|e| Error::write(&codec_folder, e))?;
    let codec = plan.codec.iter().map(|entry| (entry.stored_name.clone(), view(entry))).collect();
    write_tensors(&codec_folder.join(WEIGHTS), codec, &failure)?;
    let map: serde_json::Map<String, Value> =
        plan.model.iter().map(|entry| (entry.stored_name.clone(), WEIGHTS.into())).collect();
    let index = json!({"metadata": {"total_size": plan.written.bytes}, "weight_map": map});
    write_json(&folder.join("model.safetensors.index.json"), &index)?;
    write_json(&folder.join(CONFIG), &config(checkpoint, spec))?;
    for (name, bytes) in checkpoint.small_files()? {
        write_atomically(&folder.join(name), &bytes)?;
    }
    sync_folder(folder).map_err(|e| Error::write(folder, e))?;
    Ok(plan.written)
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::write(path, e))?;
    write_atomically(path, text.as_bytes())
}

fn write_tensors(path: &Path, tensors: Vec<(String, LazyTensor<'_>)>, failure: &RefCell<Option<Error>>) -> Result<()> {
    let metadata = Some([("format".to_owned(), "mlx".to_owned())].into());
    let written = safetensors::serialize_to_file(tensors, metadata, path);
    match failure.borrow_mut().take() {
        Some(e) => Err(e),
        None => written.map_err(|e| Error::write(path, e)),
    }
}

/// The config as mlx-audio wants it: transformers' fields, torchtune's names for the sizes, and how it is quantised.
fn config(checkpoint: &Checkpoint, spec: &QuantizeSpec) -> Value {
    let mut config = checkpoint.config_json.clone();
    for part in ["", "/depth_decoder_config"] {
        // mlx-audio knows the older spelling of RoPE's parameters only.
        let Some(fields) = config.pointer_mut(part).and_then(Value::as_object_mut) else { continue };
        if let Some(mut rope) = fields.get("rope_parameters").cloned() {
            let theta = rope.as_object_mut().and_then(|r| r.remove("rope_theta")).unwrap_or(Value::Null);
            fields.insert("rope_theta".into(), theta);
            fields.insert("rope_scaling".into(), rope);
        }
    }
    let dims = checkpoint.dims();
    if let Some(fields) = config.as_object_mut() {
        fields.remove("transformers_weights");
        fields.insert("model_type".into(), "csm".into());
        fields.insert("audio_vocab_size".into(), dims.vocab.into());
        fields.insert("audio_num_codebooks".into(), dims.codebooks.into());
        let quantisation = json!({"group_size": spec.group, "bits": spec.bits, "mode": "affine"});
        fields.insert("quantization".into(), quantisation.clone());
        fields.insert("quantization_config".into(), quantisation);
    }
    config
}

/// Which part of a tensor a stored tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatrixPart {
    Whole,
    Packed,
    Scales,
    Biases,
}

/// A tensor to be written.
#[derive(Clone, Debug)]
struct Entry {
    stored_name: String,
    name: String,
    part: MatrixPart,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Width of the heads whose rows are stored in pairs.
    paired_head: Option<usize>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let size = if self.part == MatrixPart::Packed { 4 } else { self.dtype.size() };
        self.shape.iter().product::<usize>() * size
    }
}

struct Plan {
    model: Vec<Entry>,
    codec: Vec<Entry>,
    written: Written,
}

impl Plan {
    fn new(checkpoint: &Checkpoint, spec: &QuantizeSpec) -> Self {
        let mut plan = Self { model: Vec::new(), codec: Vec::new(), written: Written::default() };
        for name in checkpoint.tensors.names() {
            let Some((dtype, shape)) = checkpoint.tensors.kind(name) else { continue };
            let entry = Entry {
                stored_name: name.into(),
                name: name.into(),
                part: MatrixPart::Whole,
                dtype,
                shape,
                paired_head: None,
            };
            let Some(place) = mlx_layout(&checkpoint.config, name) else {
                plan.codec.push(entry);
                continue;
            };
            let entry = Entry { stored_name: place.name, paired_head: place.paired_head, ..entry };
            plan.written.bytes_before += entry.bytes();
            plan.add(entry, spec);
        }
        plan.written.bytes = plan.model.iter().map(Entry::bytes).sum();
        plan
    }

    fn add(&mut self, entry: Entry, spec: &QuantizeSpec) {
        // mlx-audio's rule: linear layers and embeddings whose input is a multiple of 64; not the heads of `audio_head`.
        let module = entry.stored_name.strip_suffix(".weight").map(ToOwned::to_owned);
        let fits = matches!(entry.shape.as_slice(), [_, inputs] if inputs.is_multiple_of(64));
        let kept = |module: &String| spec.keep.iter().any(|pattern| pattern.is_match(module));
        let Some(module) = module.filter(|module| fits && !kept(module)) else {
            self.written.kept += 1;
            self.model.push(entry);
            return;
        };
        self.written.quantised += 1;
        let (rows, inputs) = (entry.shape[0], entry.shape[1]);
        let parts = [
            (".weight", MatrixPart::Packed, inputs * spec.bits / 32),
            (".scales", MatrixPart::Scales, inputs / spec.group),
            (".biases", MatrixPart::Biases, inputs / spec.group),
        ];
        let part = |(ending, part, columns)| Entry {
            stored_name: format!("{module}{ending}"),
            part,
            shape: vec![rows, columns],
            ..entry.clone()
        };
        self.model.extend(parts.map(part));
    }
}

/// A tensor that is read and quantised when it is written, so that one is in memory at a time.
struct LazyTensor<'a> {
    checkpoint: &'a Checkpoint,
    spec: &'a QuantizeSpec,
    entry: Entry,
    failure: &'a RefCell<Option<Error>>,
    cancelled: &'a dyn Fn() -> bool,
}

impl LazyTensor<'_> {
    fn compute(&self) -> Result<Vec<u8>> {
        if self.failure.borrow().is_some() || (self.cancelled)() {
            return Err(Error::Cancelled);
        }
        let data: TensorData<'_> = self.checkpoint.tensors.read(&self.entry.name)?;
        let data = data.with_rows_in_pairs(self.entry.paired_head);
        if self.entry.part == MatrixPart::Whole {
            return Ok(data.bytes.into_owned());
        }
        let QuantisedBytes { packed, scales, biases } = quantise(&data, self.spec.bits, self.spec.group)?;
        Ok(match self.entry.part {
            MatrixPart::Scales => scales,
            MatrixPart::Biases => biases,
            MatrixPart::Packed | MatrixPart::Whole => packed,
        })
    }
}

impl View for LazyTensor<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        match (self.entry.part, self.entry.dtype) {
            (MatrixPart::Packed, _) => safetensors::Dtype::U32,
            (_, Dtype::Float32) => safetensors::Dtype::F32,
            (_, Dtype::Float16) => safetensors::Dtype::F16,
            (_, Dtype::Bfloat16) => safetensors::Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.compute() {
            Ok(bytes) => bytes.into(),
            Err(e) => {
                self.failure.borrow_mut().get_or_insert(e);
                vec![0; self.data_len()].into()
            }
        }
    }

    fn data_len(&self) -> usize {
        self.entry.bytes()
    }
}
