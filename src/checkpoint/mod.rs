//! A checkpoint: config, weights, tokenizer and what else lies beside them. Plain data; no engine is touched here.

pub mod names;
mod source;
mod tensors;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::Tokenizer;

pub use source::{Bytes, Source};
pub use tensors::{Dtype, Tensors};

use crate::config::{CsmConfig, GenerationConfig};
use crate::error::{Error, Result};

/// A name for one of the model's speakers (`voices.json`, an optional list beside the weights).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Voice {
    /// What `--voice` takes.
    pub name: String,
    /// The speaker's number in the prompt.
    pub speaker: u32,
    /// For people.
    pub description: String,
}

/// Everything a checkpoint's folder says.
pub struct Checkpoint {
    /// The folder's name, or that of the embedded voice.
    pub name: String,
    /// Sizes.
    pub config: CsmConfig,
    /// Suggested sampling.
    pub generation: GenerationConfig,
    /// Named speakers; empty where the checkpoint names none.
    pub voices: Vec<Voice>,
    /// What each code says (`code_labels.json`): K lists of strings, "" where nothing is known.
    pub labels: Option<Vec<Vec<String>>>,
    /// Weights, checked.
    pub tensors: Tensors,
    tokenizer: Tokenizer,
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
    /// [`Error::File`] or [`Error::Weights`], naming the file, field or tensor.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::file(
                folder,
                "expected a checkpoint's folder (config.json, model.safetensors, tokenizer.json), and there is none",
            ));
        }
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = absolute.file_name().map_or_else(|| "checkpoint".into(), |n| n.to_string_lossy().into_owned());
        Self::read(name, &Source::Folder(folder.to_owned()))
    }

    /// What `--model-path` names: nothing is the embedded voice, `csm-1B` is sesame/csm-1b in Hugging Face's cache, all else
    /// a folder.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn resolve(path: Option<&Path>) -> Result<Self> {
        match path {
            None => Self::demo(),
            Some(p) if p == Path::new("csm-1B") && !p.exists() => Self::open(&sesame_in_cache()?),
            Some(p) => Self::open(p),
        }
    }

    fn read(name: String, source: &Source) -> Result<Self> {
        let config = source.read("config.json", "the model's sizes")?;
        let config = CsmConfig::parse(&config, &source.path("config.json"))?;
        let tokenizer = source.read("tokenizer.json", "the text tokenizer")?;
        let tokenizer = Tokenizer::from_bytes(&tokenizer[..])
            .map_err(|e| Error::file(source.path("tokenizer.json"), format!("is not a tokenizer: {e}")))?;
        if tokenizer.get_vocab_size(true) > config.text_vocab_size {
            return Err(Error::file(
                source.path("tokenizer.json"),
                format!(
                    "expected at most {} ids (text_vocab_size), got {}",
                    config.text_vocab_size,
                    tokenizer.get_vocab_size(true)
                ),
            ));
        }
        let labels: Option<Vec<Vec<String>>> = json(source, "code_labels.json")?;
        if let Some(books) = &labels
            && (books.len() != config.num_codebooks || books.iter().any(|b| b.len() > config.vocab_size))
        {
            return Err(Error::file(
                source.path("code_labels.json"),
                format!("expected {} lists of up to {} strings", config.num_codebooks, config.vocab_size),
            ));
        }
        Ok(Self {
            name,
            generation: json(source, "generation_config.json")?.unwrap_or_default(),
            voices: json(source, "voices.json")?.unwrap_or_default(),
            labels,
            tensors: Tensors::open(source, &config)?,
            tokenizer,
            config,
            sha256: OnceLock::new(),
        })
    }

    /// Ids of one text segment: `[{speaker}]{text}` with the ids that the tokenizer puts before and after.
    ///
    /// # Errors
    /// [`Error::Value`] where the tokenizer refuses the text.
    pub fn text_ids(&self, speaker: u32, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode(format!("[{speaker}]{text}"), true)
            .map_err(|e| Error::value("text", "text that the tokenizer can encode", e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// SHA-256 of the weights (see [`Tensors::sha256`]), computed on first use.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| self.tensors.sha256())
    }

    /// Speaker number of voice `name`.
    ///
    /// # Errors
    /// [`Error::Value`] that lists the voices there are.
    pub fn speaker_of(&self, name: &str) -> Result<u32> {
        let found = self.voices.iter().find(|v| v.name == name);
        found.map(|v| v.speaker).ok_or_else(|| {
            let names: Vec<&str> = self.voices.iter().map(|v| v.name.as_str()).collect();
            let expected = if names.is_empty() {
                format!("--speaker N ({} names no voices)", self.name)
            } else {
                format!("one of {}", names.join(", "))
            };
            Error::value("--voice", expected, format!("{name:?}"))
        })
    }

    /// Whether `speaker` is one that this checkpoint knows. A checkpoint without `voices.json` does not say, so any is.
    ///
    /// # Errors
    /// [`Error::Value`] that lists the speakers there are.
    pub fn check_speaker(&self, name: &str, speaker: u32) -> Result<()> {
        if self.voices.is_empty() || self.voices.iter().any(|v| v.speaker == speaker) {
            return Ok(());
        }
        let known: Vec<String> = self.voices.iter().map(|v| format!("{} ({})", v.speaker, v.name)).collect();
        Err(Error::value(name, format!("a speaker of {}: {}", self.name, known.join(", ")), speaker))
    }

    /// Whether a recording as voice prompt tells this model anything. Codes with labels are of a kind that an encoder
    /// cannot hear (the demo voice's model card says more).
    pub fn hears_recordings(&self) -> bool {
        self.labels.is_none()
    }
}

fn json<T: DeserializeOwned>(source: &Source, name: &str) -> Result<Option<T>> {
    let Some(bytes) = source.read_optional(name)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::file(source.path(name), format!("cannot be read: {e}")))
}

/// Newest snapshot of sesame/csm-1b in Hugging Face's cache.
fn sesame_in_cache() -> Result<PathBuf> {
    let home = std::env::var_os("HF_HOME")
        .map(PathBuf::from)
        .or_else(|| directories::BaseDirs::new().map(|d| d.home_dir().join(".cache/huggingface")));
    let snapshots = home.unwrap_or_default().join("hub/models--sesame--csm-1b/snapshots");
    let newest = std::fs::read_dir(&snapshots)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .max();
    newest.map(|(_, path)| path).ok_or_else(|| {
        Error::file(snapshots, "expected a snapshot of sesame/csm-1b; download it with Hugging Face's tools, or name a folder with --model-path")
    })
}
