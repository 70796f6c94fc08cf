//! A checkpoint: config, weights, tokenizer and the other files next to them. No engine is touched here.

mod adapter;
pub mod config;
pub mod doctor;
mod file;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gather;
mod generation_config;
pub(crate) mod hub_cache;
mod installed;
mod layout;
mod locate;
mod memory;
mod numbers;
mod prompts;
mod sizes;
mod source;
mod store;
mod tensor;
mod tokenizer;
pub mod weights;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;

use self::adapter::Adapter;
pub use self::adapter::AdapterSpec;
use self::config::CsmConfig;
use self::format::{CODEC_FORMATS, MODEL_FORMATS};
use self::gather::Gatherer;
use self::generation_config::GenerationConfig;
pub use self::installed::{Installed, InstalledKind, cached};
pub(crate) use self::layout::{CODEC_FILES, CODEC_FOLDER, files_of_borrowed};
pub(crate) use self::locate::needed_repositories;
use self::locate::{locate, name_of};
use self::source::Source;
pub use self::store::TensorStore;
pub use self::tensor::{QuantisedData, TensorData};
use self::tokenizer::{TextTokenizer, TokenizerRules};
use crate::data::{AttentionHead, Dtype, Labels, Mode, ModelDims, ModelId, ModelInfo, Sampling, Voice};
use crate::error::{Error, Result, shortened};
use crate::files::{JSON_LIMIT, read_file};
use crate::machine::{self, Device};
use crate::text::TextProfile;

/// Everything a checkpoint's folder says.
pub struct Checkpoint {
    /// Name, sizes, voices and labels.
    pub info: Arc<ModelInfo>,
    /// Config of language model and codec.
    pub config: CsmConfig,
    /// The config as transformers would have written it.
    pub(crate) config_json: Value,
    /// The weights, checked and not yet read.
    pub tensors: TensorStore,
    /// Warnings for the user: settings that are not followed.
    pub warnings: Vec<String>,
    /// Parts that were borrowed or completed.
    pub notes: Vec<String>,
    /// The characters that the voice can read.
    pub text_profile: TextProfile,
    /// Names of the formats that its files are in.
    pub formats: Vec<&'static str>,
    generation: GenerationConfig,
    tokenizer: TextTokenizer,
    /// The space after `[speaker]` that some checkpoints were trained with.
    speaker_space: bool,
    source: Source,
    load_anyway: bool,
    alignment: Option<Vec<AttentionHead>>,
    sha256: OnceLock<String>,
}

/// The user's choice: a checkpoint, and an adapter for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointSpec {
    /// A folder, a weight file, the id of a repository in Hugging Face's cache, or a LoRA adapter's folder; nothing
    /// is the demo voice.
    pub path: Option<PathBuf>,
    /// An adapter that changes its weights.
    pub adapter: Option<AdapterSpec>,
    /// Load the checkpoint even if memory seems too small for it.
    pub load_anyway: bool,
}

/// The voice inside the program, trained for it (`assets/voice/MODEL_CARD.md`).
const DEMO: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../assets/voice/config.json")),
    ("generation_config.json", include_bytes!("../../assets/voice/generation_config.json")),
    ("model.safetensors", include_bytes!("../../assets/voice/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../assets/voice/tokenizer.json")),
    ("code_labels.json", include_bytes!("../../assets/voice/code_labels.json")),
    ("voices.json", include_bytes!("../../assets/voice/voices.json")),
    ("text_profile.json", include_bytes!("../../assets/voice/text_profile.json")),
    ("alignment.json", include_bytes!("../../assets/voice/alignment.json")),
];

/// Name of the embedded voice.
pub const DEMO_NAME: &str = "csm-studio-demo-voice";

impl Checkpoint {
    /// The embedded demo voice.
    ///
    /// # Errors
    /// None unless the program's own data are damaged.
    pub fn demo() -> Result<Self> {
        Self::read(DEMO_NAME.into(), &Source::Embedded(DEMO), None, None)
    }

    /// Opens a folder in any format that is known.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InvalidFile`] or [`Error::Weights`], with the file, field or tensor.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::resolve(&CheckpointSpec { path: Some(folder.to_owned()), ..CheckpointSpec::default() })
    }

    /// Opens what a user names. A path that exists is that folder or file; `owner/name` is the repository in Hugging Face's cache,
    /// and `csm-1b` short for `sesame/csm-1b`.
    ///
    /// # Errors
    /// Returns the errors of [`Checkpoint::open`].
    pub fn resolve(spec: &CheckpointSpec) -> Result<Self> {
        let (name, source, file) = locate(spec.path.as_deref())?;
        match &source {
            Source::Folder(folder) if spec.adapter.is_none() && adapter::is_adapter(folder) => {
                let adapter = AdapterSpec { folder: folder.clone(), strength: 1.0 };
                let base = PathBuf::from(adapter::base_of(folder)?);
                Self::resolve(&CheckpointSpec { path: Some(base), adapter: Some(adapter), ..*spec })
            }
            _ => {
                let opened = Self::read(name, &source, file.as_deref(), spec.adapter.as_ref())?;
                Ok(Self { load_anyway: spec.load_anyway, ..opened })
            }
        }
    }

    fn read(name: String, source: &Source, file: Option<&str>, adapter: Option<&AdapterSpec>) -> Result<Self> {
        let OpenedFiles { found, config, config_source, json, mut notes } = open_files(source, file, adapter)?;
        let rules = TokenizerRules { separate: found.separate_tokenizer, named: text_of(&json, "text_tokenizer") };
        let tokenizer_source = if source.contains("tokenizer.json")? { source } else { &config_source };
        let (tokenizer, tokenizer_notes) = TextTokenizer::read(tokenizer_source, &config, &rules)?;
        notes.extend(tokenizer_notes);
        let generation = GenerationConfig::new(config_source.read_json("generation_config.json")?);
        let dims = config.dims();
        let warnings = generation.warnings(&dims);
        let name = match adapter {
            None => name,
            Some(adapter) => format!("{name} + {}", name_of(&adapter.folder)),
        };
        let info = ModelInfo {
            name,
            dims,
            voices: source.read_json::<Vec<Voice>>("voices.json")?.unwrap_or_default(),
            labels: read_labels(source, &dims)?,
        };
        Ok(Self {
            info: Arc::new(info),
            text_profile: source.read_json("text_profile.json")?.unwrap_or_default(),
            alignment: alignment(source, &config)?,
            formats: found.formats.iter().copied().collect(),
            tensors: found.finish(&source.path(""), &config)?,
            config,
            warnings,
            notes,
            generation,
            tokenizer,
            speaker_space: json.get("speaker_prefix_space") == Some(&Value::Bool(true)),
            config_json: json,
            source: source.clone(),
            load_anyway: false,
            sha256: OnceLock::new(),
        })
    }

    /// Sizes of the model.
    pub fn dims(&self) -> ModelDims {
        self.info.dims
    }

    /// Precision in which `mode` computes the language model on this machine unless told otherwise.
    pub fn default_precision(&self, mode: Mode) -> Dtype {
        mode.default_precision(self.tensors.dtype(), matches!(machine::device(), Device::Gpu { .. }))
    }

    /// Settings that the checkpoint suggests, in the precision that `mode` computes in unless told otherwise.
    pub fn suggested_sampling(&self, mode: Mode, seed: u64) -> Sampling {
        let precision = self.default_precision(mode);
        Sampling::suggested(mode, seed, precision, &self.dims(), |key| self.generation.suggestion(key))
    }

    /// Name and content of the small files next to the weights that another copy of the checkpoint needs.
    pub(crate) fn small_files(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let tokenizer = match self.source.read_optional("tokenizer.json")? {
            Some(own) => own.into_owned(),
            None => read_file(self.tokenizer.path(), JSON_LIMIT)?,
        };
        let mut files = vec![("tokenizer.json", tokenizer)];
        for name in [
            "generation_config.json",
            "voices.json",
            "code_labels.json",
            "tokenizer_config.json",
            "text_profile.json",
            "alignment.json",
        ] {
            files.extend(self.source.read_optional(name)?.map(|bytes| (name, bytes.into_owned())));
        }
        Ok(files)
    }

    /// Heads of the backbone that follow the text, in ascending order, if the checkpoint names them (`alignment.json`); none follow it if
    /// the list is empty.
    pub fn alignment_heads(&self) -> Option<&[AttentionHead]> {
        self.alignment.as_deref()
    }

    /// Layers of the backbone, and attention heads of each.
    pub fn backbone_heads(&self) -> (usize, usize) {
        (self.config.backbone.num_hidden_layers, self.config.backbone.num_attention_heads)
    }

    /// Identifies the weights. Their SHA-256 is computed on first use.
    ///
    /// # Errors
    /// Where the weights cannot be read.
    pub fn id(&self) -> Result<ModelId> {
        self.id_with_progress(|_, _| {})
    }

    /// Like [`Checkpoint::id`], and calls `progress` with the bytes read so far and all bytes.
    ///
    /// # Errors
    /// Returns the errors of [`Checkpoint::id`].
    pub fn id_with_progress(&self, progress: impl FnMut(u64, u64)) -> Result<ModelId> {
        let sha256 = match self.sha256.get() {
            Some(known) => known.clone(),
            None => {
                let computed = self.tensors.sha256(progress)?;
                self.sha256.get_or_init(|| computed).clone()
            }
        };
        Ok(ModelId { name: self.info.name.clone(), sha256 })
    }
}

/// Where a tensor goes in MLX's layout.
pub(crate) struct MlxPlace {
    pub(crate) name: String,
    /// Width of the heads whose rows come in pairs there.
    pub(crate) paired_head: Option<usize>,
}

/// Where the language model's tensor `name` goes in MLX's layout; `None` for the codec's.
pub(crate) fn mlx_layout(config: &CsmConfig, name: &str) -> Option<MlxPlace> {
    let (name_there, paired_rows) = format::mlx_name(name)?;
    Some(MlxPlace { name: name_there, paired_head: paired_rows.then(|| config.head_dim_of(name)) })
}

/// `alignment.json`: the heads that follow the text.
#[derive(Deserialize)]
struct AlignmentJson {
    heads: Vec<AttentionHead>,
}

fn alignment(source: &Source, config: &CsmConfig) -> Result<Option<Vec<AttentionHead>>> {
    const FILE: &str = "alignment.json";
    let Some(AlignmentJson { mut heads }) = source.read_json(FILE)? else { return Ok(None) };
    heads.sort_unstable();
    heads.dedup();
    let (layers, of_layer) = (config.backbone.num_hidden_layers, config.backbone.num_attention_heads);
    match heads.iter().find(|at| at.layer >= layers || at.head >= of_layer) {
        None => Ok(Some(heads)),
        Some(at) => {
            let problem = format!(
                "expected heads of {layers} layers with {of_layer} heads each, got layer {}, head {}",
                at.layer, at.head
            );
            Err(Error::file(source.path(FILE), problem))
        }
    }
}

fn text_of<'a>(json: &'a Value, field: &str) -> Option<&'a str> {
    json.get(field).and_then(Value::as_str)
}

/// A checkpoint's weight files and config, before the weights are compared with it.
struct OpenedFiles {
    found: Gatherer,
    config: CsmConfig,
    /// Where the config was found.
    config_source: Source,
    /// The config as transformers would write it.
    json: Value,
    notes: Vec<String>,
}

fn open_files(source: &Source, file: Option<&str>, adapter: Option<&AdapterSpec>) -> Result<OpenedFiles> {
    let (given, config_source) = layout::config(source)?;
    let files = match file {
        Some(name) => vec![file::WeightFile::open(source, name, "the weights")?],
        None => layout::weight_files(source, given.as_ref())?,
    };
    let mut found = Gatherer::default();
    found.add(files, MODEL_FORMATS)?;
    if found.names().next().is_none() {
        let examples = shortened(found.unknown.iter().take(3).cloned().collect::<Vec<_>>().join(", "));
        let problem = format!(
            "its tensors ({examples}) are not those of a CSM; expected names such as embed_text_tokens.weight (transformers) or \
             text_embeddings.weight (the original, MLX)"
        );
        return Err(Error::weights(source.path(""), problem));
    }
    if given.is_none() && !found.knows_sizes() {
        return Err(source.missing("config.json", "the model's sizes"));
    }
    let mut notes = Vec::new();
    if !found.has_codec() && found.separate_codec {
        let (codec, note) = layout::codec_file(source)?;
        notes.extend(note);
        found.add(vec![codec], CODEC_FORMATS)?;
    }
    let path = config_source.path("config.json");
    let json = sizes::complete(given, &found).map_err(|problem| Error::file(&path, problem))?;
    check_quantisation(&json).map_err(|problem| Error::file(&path, problem))?;
    let config = CsmConfig::parse(json.clone(), &path)?;
    if let Some(spec) = adapter {
        found.add_adapter(Adapter::open(spec)?, config.tie_codebooks_embeddings)?;
        notes.push(format!("the adapter {} is merged, strength {}", spec.folder.display(), spec.strength));
    }
    Ok(OpenedFiles { found, config, config_source, json, notes })
}

/// Refuses quantised numbers that are not affine (scale and offset for each group): read as such they would be other weights.
fn check_quantisation(config: &Value) -> Result<(), String> {
    for field in ["quantization", "quantization_config"] {
        let settings = config.get(field).and_then(Value::as_object);
        // MLX also has settings for single modules, under their names.
        let of_modules = settings.into_iter().flat_map(|settings| settings.values()).filter_map(Value::as_object);
        for settings in settings.into_iter().chain(of_modules) {
            if let Some(mode) = settings.get("mode").and_then(Value::as_str).filter(|mode| *mode != "affine") {
                return Err(format!(
                    "{field}.mode: expected \"affine\", got {mode:?}, which cannot be read; take the checkpoint it was made from"
                ));
            }
        }
    }
    Ok(())
}

fn read_labels(source: &Source, dims: &ModelDims) -> Result<Option<Labels>> {
    let labels: Option<Labels> = source.read_json("code_labels.json")?;
    if let Some(lists) = &labels
        && (lists.len() != dims.codebooks || lists.iter().any(|list| list.len() > dims.vocab))
    {
        let problem = format!("expected {} lists of up to {} strings", dims.codebooks, dims.vocab);
        return Err(Error::file(source.path("code_labels.json"), problem));
    }
    Ok(labels)
}
