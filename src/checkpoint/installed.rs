//! Checkpoints and adapters on this machine, described without loading them.

use std::path::{Path, PathBuf};

use super::{Checkpoint, CheckpointSpec, adapter, hub_cache};
use crate::data::Mode;
use crate::error::Result;

/// A checkpoint or an adapter that can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// `owner/name`, the name of a folder, or the demo voice's.
    pub name: String,
    /// How it is named to open it; `None` is the demo voice.
    pub path: Option<PathBuf>,
    /// Its kind and size.
    pub kind: InstalledKind,
}

/// What can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstalledKind {
    /// A checkpoint with all weights.
    Checkpoint {
        /// Number of codebooks of a frame.
        codebooks: usize,
        /// Bytes that its language model takes in memory, in the default precision of *native*.
        memory: u64,
    },
    /// A LoRA adapter, which changes a checkpoint.
    Adapter {
        /// The checkpoint that it changes, if it names one.
        base: Option<String>,
    },
}

impl Installed {
    /// Describes what `path` names. Only headers are read.
    ///
    /// # Errors
    /// As [`Checkpoint::resolve`].
    pub fn describe(path: Option<PathBuf>) -> Result<Self> {
        let path = path.map(by_one_name);
        if let Some(folder) = path.as_deref().and_then(adapter_folder) {
            let base = adapter::base_of(&folder).ok();
            let name = path.as_deref().map_or_else(String::new, name_of);
            return Ok(Self { name, path: Some(folder), kind: InstalledKind::Adapter { base } });
        }
        let checkpoint = Checkpoint::resolve(&CheckpointSpec { path: path.clone(), ..CheckpointSpec::default() })?;
        let kind = InstalledKind::Checkpoint {
            codebooks: checkpoint.dims().codebooks,
            memory: checkpoint.language_model_bytes(checkpoint.default_precision(Mode::Native)) as u64,
        };
        Ok(Self { name: checkpoint.info.name.clone(), path, kind })
    }
}

/// The checkpoints and adapters in Hugging Face's cache, by name.
pub fn cached() -> Vec<Installed> {
    // Most repositories of the cache are other programs'.
    let described = hub_cache::ids().into_iter().filter_map(|id| Installed::describe(Some(id.into())).ok());
    let mut found: Vec<Installed> = described.collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// A repository in the cache has one name here, however it was spelled.
fn by_one_name(path: PathBuf) -> PathBuf {
    let repository = path.to_str().filter(|_| !path.exists()).and_then(hub_cache::repository);
    repository.map(|(owner, name)| PathBuf::from(format!("{owner}/{name}"))).unwrap_or(path)
}

/// The folder of the adapter that `path` names, if it names one.
fn adapter_folder(path: &Path) -> Option<PathBuf> {
    let folder = if path.is_dir() { path.to_owned() } else { hub_cache::find(path).ok()?? };
    adapter::is_adapter(&folder).then_some(folder)
}

fn name_of(path: &Path) -> String {
    match path.is_dir() {
        true => super::locate::name_of(path),
        false => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_voice_is_described() {
        let demo = Installed::describe(None).unwrap();
        assert_eq!((demo.name.as_str(), demo.path), (super::super::DEMO_NAME, None));
        assert!(matches!(demo.kind, InstalledKind::Checkpoint { codebooks: 6, memory: 1_000_000..20_000_000 }));
    }

    #[test]
    fn an_adapter_names_its_base() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("adapter_config.json"), r#"{"base_model_name_or_path": "sesame/csm-1b"}"#)
            .unwrap();
        std::fs::write(folder.path().join("adapter_model.safetensors"), "").unwrap();
        let found = Installed::describe(Some(folder.path().to_owned())).unwrap();
        assert_eq!(found.kind, InstalledKind::Adapter { base: Some("sesame/csm-1b".into()) });
        let empty = tempfile::tempdir().unwrap();
        assert!(Installed::describe(Some(empty.path().to_owned())).is_err());
    }
}
