//! Format and problems of a checkpoint: the examination behind `csm doctor`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::config::LlamaConfig;
use super::source::{Source, foreign_content};
use super::{Checkpoint, CheckpointSpec, locate, open_files};
use crate::data::Dtype;
use crate::error::Result;
use crate::files::open_regular;
use crate::machine::{self, Device};

/// The findings of `csm doctor`.
#[derive(Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the fields of `csm doctor --json`, which say what they are")]
pub struct Examination {
    pub name: String,
    pub folder: PathBuf,
    pub usable: bool,
    pub formats: Vec<String>,
    /// The device of MLX.
    pub device: String,
    /// Bytes that the GPU can use without paging, if it reports them.
    pub gpu_working_set_bytes: Option<u64>,
    /// The operating system and its version.
    pub operating_system: Option<String>,
    /// MLX's version.
    pub mlx_version: Option<String>,
    /// Order of the rows that RoPE turns, as stored.
    pub rope_rows: Option<&'static str>,
    pub stored_as: Option<String>,
    pub quantisation: Vec<Quantised>,
    pub codebooks: Option<usize>,
    pub vocab: Option<usize>,
    pub text_vocab: Option<usize>,
    pub backbone: Option<StackInfo>,
    pub depth_decoder: Option<StackInfo>,
    pub sample_rate: Option<usize>,
    pub frame_rate: Option<f64>,
    pub positions: Option<usize>,
    pub parameters: Option<Parameters>,
    pub memory: Vec<MemoryNeed>,
    pub machine_memory_bytes: Option<u64>,
    pub available_memory_bytes: Option<u64>,
    /// Ids of `[0]Hello.`, with both marks.
    pub example_ids: Option<Vec<u32>>,
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
    pub problems: Vec<String>,
    pub advice: Vec<String>,
}

/// Matrices with one bit width and group size.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "named by the fields")]
pub struct Quantised {
    pub bits: usize,
    pub group: usize,
    pub matrices: usize,
}

/// Sizes of a transformer.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "named by the fields")]
pub struct StackInfo {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub feed_forward: usize,
    pub rope_theta: f64,
}

/// Numbers in the weights.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "named by the fields")]
pub struct Parameters {
    pub language_model: usize,
    pub codec: usize,
}

/// Bytes that a precision takes.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "named by the fields")]
pub struct MemoryNeed {
    pub precision: &'static str,
    pub language_model_bytes: usize,
    pub codec_bytes: usize,
    /// Keys and values of a full context.
    pub context_bytes: usize,
}

impl MemoryNeed {
    /// Memory of all parts, in bytes.
    pub fn total(&self) -> usize {
        self.language_model_bytes + self.codec_bytes + self.context_bytes
    }
}

/// Examines what `spec` names. A checkpoint that cannot be used is a finding, not an error.
///
/// # Errors
/// Where there is nothing of that name.
pub fn examine(spec: &CheckpointSpec) -> Result<Examination> {
    let (name, source, file) = locate(spec.path.as_deref())?;
    let mut found = Examination { name, folder: source.path(""), ..Examination::default() };
    if let Source::Folder(folder) = &source {
        found.problems.extend(file_problems(folder));
    }
    match Checkpoint::resolve(spec) {
        Ok(checkpoint) => {
            found.usable = true;
            found.describe(&checkpoint);
        }
        Err(e) => {
            // All disagreements of weights and config, where the error lists the first.
            let all = open_files(&source, file.as_deref(), None).map(|opened| opened.found.problems(&opened.config));
            match all {
                Ok(all) if !all.is_empty() => found.problems.extend(all),
                // A file that is not what its name says is found by the look at the folder and by the opening.
                _ if found.problems.iter().any(|known| e.to_string().ends_with(known)) => {}
                _ => found.problems.push(e.to_string()),
            }
        }
    }
    found.advise();
    Ok(found)
}

/// Files of the folder that are not what their names say.
fn file_problems(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut problems = Vec::new();
    for path in entries.map(|e| e.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "incomplete" | "part" | "crdownload" | "tmp" | "aria2" => {
                problems.push(format!("{name}: an unfinished download; download it again"));
            }
            "gguf" => problems.push(format!("{name}: a GGUF file (llama.cpp), which is not read")),
            "safetensors" | "pt" | "bin" | "json" | "pth" => problems.extend(content_problem(&path, &name)),
            _ => {}
        }
    }
    problems.sort();
    problems
}

fn content_problem(path: &Path, name: &str) -> Option<String> {
    match path.symlink_metadata() {
        Ok(m) if m.is_symlink() && !path.exists() => {
            let target = fs::read_link(path).unwrap_or_default();
            return Some(format!("{name}: a link to {} that leads nowhere; download it again", target.display()));
        }
        _ => {}
    }
    let mut start = Vec::new();
    let file = open_regular(path).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 512), &mut start).ok()?;
    foreign_content(&start).map(|problem| format!("{name}: {problem}"))
}

impl Examination {
    fn describe(&mut self, checkpoint: &Checkpoint) {
        let (config, tensors) = (&checkpoint.config, &checkpoint.tensors);
        let dims = checkpoint.dims();
        self.name.clone_from(&checkpoint.info.name);
        self.formats = checkpoint.formats.iter().map(|f| (*f).to_owned()).collect();
        self.rope_rows = Some(if tensors.has_paired_rows() { "pairs (2i, 2i + 1)" } else { "halves (i, i + D/2)" });
        self.stored_as = Some(tensors.dtype().name().to_owned());
        let quantised = |(bits, group, matrices)| Quantised { bits, group, matrices };
        self.quantisation = tensors.quantisations().into_iter().map(quantised).collect();
        self.codebooks = Some(dims.codebooks);
        self.vocab = Some(dims.vocab);
        self.text_vocab = Some(config.text_vocab_size);
        self.backbone = Some(StackInfo::new(&config.backbone));
        self.depth_decoder = Some(StackInfo::new(&config.depth_decoder_config.llama));
        self.sample_rate = Some(dims.sample_rate);
        self.frame_rate = Some(dims.frame_rate);
        self.positions = Some(dims.max_positions);
        let (codec, codec_bytes) = tensors.size("codec_model.", Dtype::Float32);
        self.parameters = Some(Parameters { language_model: tensors.size("", Dtype::Float32).0 - codec, codec });
        self.memory = Dtype::ALL
            .map(|precision| MemoryNeed {
                precision: precision.name(),
                language_model_bytes: checkpoint.weight_bytes("", precision)
                    - checkpoint.weight_bytes("codec_model.", precision),
                codec_bytes,
                context_bytes: config.context_bytes(precision),
            })
            .into();
        let device = machine::device();
        self.device = machine::device_name(device);
        self.gpu_working_set_bytes = match device {
            Device::Gpu { working_set, .. } => *working_set,
            Device::Cpu => None,
        };
        self.operating_system = machine::operating_system();
        self.mlx_version = machine::mlx_version().map(str::to_owned);
        let memory = machine::memory();
        self.machine_memory_bytes = memory.map(|m| m.total);
        self.available_memory_bytes = memory.map(|m| m.available);
        self.example_ids = checkpoint.text_ids(0, "Hello.").ok();
        self.notes.clone_from(&checkpoint.notes);
        self.warnings.clone_from(&checkpoint.warnings);
    }

    /// The next step.
    fn advise(&mut self) {
        let advice = match (self.usable, self.problems.is_empty()) {
            (true, true) => "it is ready: `csm generate`, `csm verify` and the window open it as it is",
            (true, false) => "it opens; the files named above are not used by it, and can be deleted",
            (false, _) => "it cannot be used before the problems above are mended",
        };
        self.advice.push(advice.into());
        let smallest = self.memory.iter().map(MemoryNeed::total).min();
        let float32 = self.memory.first().map(MemoryNeed::total);
        let fits = |need: Option<usize>| match (need, self.available_memory_bytes) {
            (Some(need), Some(available)) => (need as u64) < available,
            _ => true,
        };
        let more = match (fits(float32), fits(smallest)) {
            (true, _) => None,
            (false, true) => {
                Some("in float32 it does not fit into the free memory; use a 16-bit precision, or `csm quantize`")
            }
            (false, false) => {
                Some("it does not fit into the free memory in any precision; `csm quantize` makes it smaller")
            }
        };
        self.advice.extend(more.map(Into::into));
    }
}

impl StackInfo {
    fn new(c: &LlamaConfig) -> Self {
        Self {
            layers: c.num_hidden_layers,
            width: c.hidden_size,
            heads: c.num_attention_heads,
            kv_heads: c.num_key_value_heads,
            feed_forward: c.intermediate_size,
            rope_theta: c.rope.theta,
        }
    }
}
