//! A checkpoint: config, weights, tokenizer and what else lies beside them. No engine is touched here.

pub mod config;
mod format;
mod generation_config;
mod hub_cache;
mod source;
mod store;
pub mod weights;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokenizers::Tokenizer;

use self::config::CsmConfig;
use self::generation_config::GenerationConfig;
use self::source::Source;
pub use self::store::{TensorData, TensorStore};
use crate::data::{
    ClipSpec, Labels, Mode, ModelDims, ModelId, ModelInfo, Position, Prompt, Sampling, Turn, Voice, is_speakable,
};
use crate::error::{Error, Result};

/// Everything a checkpoint's folder says.
pub struct Checkpoint {
    /// Name, sizes, voices and labels.
    pub info: Arc<ModelInfo>,
    /// The config.
    pub config: CsmConfig,
    /// The weights, checked and not yet read.
    pub tensors: TensorStore,
    /// What the user should know about the checkpoint's files.
    pub warnings: Vec<String>,
    generation: GenerationConfig,
    tokenizer: Tokenizer,
    tokenizer_path: PathBuf,
    sha256: OnceLock<String>,
}

/// The voice inside the program, trained for it (`assets/voice/MODEL_CARD.md`).
const DEMO: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../assets/voice/config.json")),
    ("generation_config.json", include_bytes!("../../assets/voice/generation_config.json")),
    ("model.safetensors", include_bytes!("../../assets/voice/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../assets/voice/tokenizer.json")),
    ("code_labels.json", include_bytes!("../../assets/voice/code_labels.json")),
    ("voices.json", include_bytes!("../../assets/voice/voices.json")),
];

/// Name of the embedded voice.
pub const DEMO_NAME: &str = "csm-studio-demo-voice";

impl Checkpoint {
    /// The embedded demo voice.
    ///
    /// # Errors
    /// None unless the program's own data are damaged.
    pub fn demo() -> Result<Self> {
        Self::read(DEMO_NAME.into(), &Source::Embedded(DEMO))
    }

    /// Opens a folder in transformers' CSM format.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InvalidFile`] or [`Error::Weights`], with the file, field or tensor.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            let problem = "expected a checkpoint's folder (config.json, model.safetensors, tokenizer.json) or the id of a \
                           repository in Hugging Face's cache; there is no such folder";
            return Err(Error::file(folder, problem));
        }
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = absolute.file_name().map_or_else(|| "checkpoint".into(), |n| n.to_string_lossy().into_owned());
        Self::read(name, &Source::Folder(folder.to_owned()))
    }

    /// Opens what a user names: nothing is the embedded voice; a path that is a folder is that folder; `owner/name` is the
    /// repository in Hugging Face's cache, and `csm-1b` short for `sesame/csm-1b`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn resolve(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Self::demo() };
        if path.exists() {
            return Self::open(path);
        }
        match hub_cache::find(path)? {
            Some(folder) => Self::read(path.to_string_lossy().into_owned(), &Source::Folder(folder)),
            None => Self::open(path),
        }
    }

    fn read(name: String, source: &Source) -> Result<Self> {
        let config_path = source.path("config.json");
        let json = source.read("config.json", "the model's sizes")?;
        let config = CsmConfig::parse(&json, &config_path)?;
        let tokenizer = read_tokenizer(source, &config)?;
        let generation = GenerationConfig(source.read_json("generation_config.json")?.unwrap_or_default());
        let warnings = generation.warnings();
        let dims = config.dims();
        let info = ModelInfo {
            name,
            dims,
            voices: source.read_json::<Vec<Voice>>("voices.json")?.unwrap_or_default(),
            labels: read_labels(source, &dims)?,
        };
        let checkpoint = Self {
            info: Arc::new(info),
            tensors: TensorStore::open(source, &config, config.transformers_weights.as_deref())?,
            config,
            warnings,
            generation,
            tokenizer,
            tokenizer_path: source.path("tokenizer.json"),
            sha256: OnceLock::new(),
        };
        checkpoint.check_marks()?;
        Ok(checkpoint)
    }

    /// Sizes of the model.
    pub fn dims(&self) -> ModelDims {
        self.info.dims
    }

    /// Settings that the checkpoint suggests, in the precision that `mode` computes in unless told otherwise.
    pub fn suggested_sampling(&self, mode: Mode, seed: u64) -> Sampling {
        let precision = mode.default_precision(self.tensors.dtype());
        Sampling::suggested(mode, seed, precision, &self.dims(), |key| self.generation.suggestion(key))
    }

    /// Ids of one text segment: `[{speaker}]{text}` between the begin and end marks that the tokenizer adds.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where the tokenizer refuses the text, [`Error::InvalidFile`] where it gives an id that the model
    /// does not have.
    pub fn text_ids(&self, speaker: u32, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode(format!("[{speaker}]{text}"), true)
            .map_err(|e| Error::invalid("text", "text that the tokenizer can encode", e))?;
        let ids = encoding.get_ids().to_vec();
        match ids.iter().find(|id| **id as usize >= self.config.text_vocab_size) {
            None => Ok(ids),
            Some(id) => {
                let problem =
                    format!("expected ids below text_vocab_size {}, it gave {id}", self.config.text_vocab_size);
                Err(Error::file(&self.tokenizer_path, problem))
            }
        }
    }

    /// The prompt of `spec`.
    ///
    /// # Errors
    /// As [`Checkpoint::prompt`].
    pub fn prompt_of(&self, spec: &ClipSpec) -> Result<Prompt> {
        self.prompt(&spec.context, spec.speaker, &spec.text)
    }

    /// Context turns (text, audio, end frame), then the text to speak.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for text without a letter or digit and for codes that do not fit the model.
    pub fn prompt(&self, context: &[Turn], speaker: u32, text: &str) -> Result<Prompt> {
        let dims = self.dims();
        let mut prompt = Prompt::default();
        for turn in context {
            turn.frames.check("context_audio", &dims)?;
            let mut positions = self.text_positions("context_text", turn.speaker, &turn.text)?;
            positions.extend(turn.frames.frames().map(|frame| Position::Audio(frame.to_vec())));
            positions.push(Position::Audio(vec![0; dims.codebooks]));
            prompt.push_segment(positions);
        }
        prompt.push_segment(self.text_positions("text", speaker, text)?);
        Ok(prompt)
    }

    fn text_positions(&self, field: &'static str, speaker: u32, text: &str) -> Result<Vec<Position>> {
        if !is_speakable(text) {
            return Err(Error::invalid(field, "something to say (at least a letter or digit)", format!("{text:?}")));
        }
        Ok(self.text_ids(speaker, text)?.into_iter().map(Position::Text).collect())
    }

    /// Identifies the weights. Their SHA-256 is computed on first use.
    ///
    /// # Errors
    /// Where the weights cannot be read.
    pub fn id(&self) -> Result<ModelId> {
        let sha256 = match self.sha256.get() {
            Some(known) => known.clone(),
            None => {
                let computed = self.tensors.sha256()?;
                self.sha256.get_or_init(|| computed).clone()
            }
        };
        Ok(ModelId { name: self.info.name.clone(), sha256 })
    }

    /// Checks that the tokenizer adds a begin mark and an end mark. Without the end mark the very first token would differ from
    /// what the model was trained on.
    fn check_marks(&self) -> Result<()> {
        let encoding = self
            .tokenizer
            .encode("[0]a", true)
            .map_err(|e| Error::parse(&self.tokenizer_path, "cannot encode \"[0]a\"", e))?;
        let (ids, special) = (encoding.get_ids(), encoding.get_special_tokens_mask());
        let begins = special.first() == Some(&1) && self.config.bos_token_id.is_none_or(|id| ids.first() == Some(&id));
        let problem = match (begins, special.last() == Some(&1)) {
            (true, true) => return Ok(()),
            (false, _) => "begin with the mark bos_token_id of config.json",
            (true, false) => "end with the end-of-text mark",
        };
        let advice = "its post_processor must add a begin mark and an end mark";
        Err(Error::file(&self.tokenizer_path, format!("expected text to {problem}, got the ids {ids:?}; {advice}")))
    }
}

fn read_tokenizer(source: &Source, config: &CsmConfig) -> Result<Tokenizer> {
    let path = source.path("tokenizer.json");
    let bytes = source.read("tokenizer.json", "the text tokenizer")?;
    let mut tokenizer = Tokenizer::from_bytes(&bytes[..]).map_err(|e| Error::parse(&path, "is not a tokenizer", e))?;
    // Speech wants the text whole and nothing else.
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|e| Error::parse(&path, "is not a tokenizer", e))?;
    let ids = tokenizer.get_vocab_size(true);
    if ids > config.text_vocab_size {
        let problem = format!("expected at most {} ids (text_vocab_size), got {ids}", config.text_vocab_size);
        return Err(Error::file(path, problem));
    }
    Ok(tokenizer)
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
