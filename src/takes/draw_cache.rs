//! Draws that were computed, kept on disk with a bound: they take as long as speaking to compute again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::data::{Logits, Sampling};
use crate::error::{Error, Result};
use crate::files::{read_file, write_atomically};

/// Largest file that is read: two minutes of CSM-1B.
const LARGEST: u64 = 1 << 30;

/// The draws of a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipDraws {
    /// Logits of each frame.
    pub logits: Vec<std::sync::Arc<Logits>>,
    /// Settings of each frame.
    pub samplings: Vec<Sampling>,
    /// Per frame and codebook, whether the range guard changed the token; `[]` for a frame without a guard.
    pub guarded: Vec<Vec<bool>>,
    /// The probability of the end where the model ended the clip; `None` where it did not.
    pub end: Option<f32>,
}

/// A folder of draws.
#[derive(Clone, Debug)]
pub struct DrawCache {
    folder: PathBuf,
    bound: u64,
}

impl DrawCache {
    /// Keeps at most `bound` bytes in `folder`, which is made when something is kept.
    pub fn new(folder: &Path, bound: u64) -> Self {
        Self { folder: folder.to_owned(), bound }
    }

    /// What the draws of a take are found by: the model, and the token file, which says everything else about how they come about.
    pub fn key(model_sha256: &str, token_file: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update(model_sha256);
        hash.update(token_file);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether there are draws with this key.
    pub fn has(&self, key: &str) -> bool {
        self.path(key).exists()
    }

    /// The draws with this key; `None` where there are none that can be read.
    pub fn read(&self, key: &str) -> Option<ClipDraws> {
        let path = self.path(key);
        let draws = parse(&read_file(&path, LARGEST).ok()?);
        match &draws {
            // What was used last is dropped last.
            Some(_) => drop(std::fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()))),
            None => {
                tracing::warn!("{}: not usable, removed", path.display());
                std::fs::remove_file(&path).unwrap_or_default();
            }
        }
        draws
    }

    /// Keeps draws; those that were used longest ago give way.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, key: &str, draws: &ClipDraws) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(|e| Error::write(&self.folder, e))?;
        let path = self.path(key);
        let bytes = serialise(draws).map_err(|e| Error::write(&path, e))?;
        if bytes.len() as u64 > self.bound {
            return Ok(());
        }
        write_atomically(&path, &bytes)?;
        self.shrink(&path);
        Ok(())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.safetensors"))
    }

    /// Removes the files that were used longest ago until the rest is within the bound; not `newest`.
    fn shrink(&self, newest: &Path) {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        });
        let mut files: Vec<(SystemTime, u64, PathBuf)> = files.collect();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        files.sort();
        for (_, bytes, path) in files.into_iter().filter(|(.., path)| path != newest) {
            if total <= self.bound {
                break;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => total -= bytes,
                Err(e) => tracing::warn!("{}: cannot be removed: {e}", path.display()),
            }
        }
    }
}

fn serialise(draws: &ClipDraws) -> std::result::Result<Vec<u8>, crate::error::BoxError> {
    let frames = draws.logits.len();
    let (codebooks, vocab) = draws.logits.first().map_or((0, 0), |frame| {
        let codebooks = frame.rows().len();
        (codebooks, frame.values().len() / codebooks.max(1))
    });
    let values: Vec<u8> = draws.logits.iter().flat_map(|l| l.values()).flat_map(|v| v.to_le_bytes()).collect();
    let logits = TensorView::new(Dtype::F32, vec![frames, codebooks, vocab], &values)?;
    let metadata = HashMap::from([
        ("samplings".to_owned(), serde_json::to_string(&draws.samplings)?),
        ("guarded".to_owned(), serde_json::to_string(&draws.guarded)?),
        ("end".to_owned(), serde_json::to_string(&draws.end)?),
    ]);
    Ok(safetensors::serialize([("logits", logits)], Some(metadata))?)
}

fn parse(bytes: &[u8]) -> Option<ClipDraws> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let metadata = header.metadata().as_ref()?;
    let samplings: Vec<Sampling> = serde_json::from_str(metadata.get("samplings")?).ok()?;
    let guarded: Vec<Vec<bool>> = serde_json::from_str(metadata.get("guarded")?).ok()?;
    let end: Option<f32> = serde_json::from_str(metadata.get("end")?).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let logits = tensors.tensor("logits").ok().filter(|logits| logits.dtype() == Dtype::F32)?;
    let &[frames, codebooks, vocab] = logits.shape() else { return None };
    let whole = frames > 0 && codebooks > 0 && vocab > 0 && samplings.len() == frames && guarded.len() == frames;
    if !whole {
        return None;
    }
    let frame = |bytes: &[u8]| {
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        std::sync::Arc::new(Logits::new(vocab, values))
    };
    let logits = logits.data().chunks_exact(4 * codebooks * vocab).map(frame).collect();
    Some(ClipDraws { logits, samplings, guarded, end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype as Precision, Mode, SamplingParams};

    fn draws(frames: usize) -> ClipDraws {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 7, Precision::Float32);
        let frame = |n: usize| std::sync::Arc::new(Logits::new(100, (0..200).map(|i| (i * n) as f32).collect()));
        ClipDraws {
            logits: (0..frames).map(frame).collect(),
            samplings: vec![sampling; frames],
            guarded: vec![vec![true, false]; frames],
            end: Some(0.25),
        }
    }

    #[test]
    fn draws_are_found_again_and_a_damaged_file_is_not_used() {
        let folder = tempfile::TempDir::new().unwrap();
        let cache = DrawCache::new(&folder.path().join("draws"), 1 << 20);
        let key = DrawCache::key("model", b"tokens");
        assert_ne!(key, DrawCache::key("another model", b"tokens"));
        assert_eq!(cache.read(&key), None);
        cache.write(&key, &draws(3)).unwrap();
        assert_eq!(cache.read(&key), Some(draws(3)));
        let path = cache.path(&key);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
        assert_eq!(cache.read(&key), None);
        assert!(!cache.has(&key), "it is computed and kept again");
    }

    #[test]
    fn the_bound_is_kept_and_what_was_used_longest_ago_gives_way() {
        let folder = tempfile::TempDir::new().unwrap();
        let cache = DrawCache::new(folder.path(), 6_000);
        let age = |key: &str, seconds: u64| {
            let file = std::fs::File::options().append(true).open(cache.path(key)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
        };
        for (key, age_of) in [("a", 300), ("b", 200)] {
            cache.write(key, &draws(2)).unwrap();
            age(key, age_of);
        }
        assert!(cache.read("a").is_some(), "now it is the one that was used last");
        cache.write("c", &draws(2)).unwrap();
        assert_eq!([cache.has("a"), cache.has("b"), cache.has("c")], [true, false, true]);
        cache.write("too large", &draws(20)).unwrap();
        assert!(!cache.has("too large") && cache.has("c"));
    }
}
