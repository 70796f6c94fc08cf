//! A cache of logits on disk, bounded in size: computing them again takes as long as speaking.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::analysis::steps::{Step, Steps};
use crate::data::{Codes, LONGEST_WINDOW, Logits, Sampling};
use crate::error::{Error, Result};
use crate::files::{create_private_folder, read_file, write_atomically};

/// Largest file that is read: two minutes of CSM-1B.
const LARGEST: u64 = 1 << 30;

/// A folder of logits.
#[derive(Clone, Debug)]
pub struct LogitsCache {
    folder: PathBuf,
    bound: u64,
}

impl LogitsCache {
    /// Stores at most `bound` bytes in `folder`, which is created with the first file.
    pub fn new(folder: &Path, bound: u64) -> Self {
        Self { folder: folder.to_owned(), bound }
    }

    /// The key of a take's logits: they follow from the model and the token file.
    pub fn key(model_sha256: &str, token_file: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update(model_sha256);
        hash.update(token_file);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether logits are stored under `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.path(key).exists()
    }

    /// The steps that drew `codes`, from the logits under `key`; `None` if none are stored, or they cannot be read or do not fit.
    pub fn read(&self, key: &str, codes: &Codes) -> Option<Steps> {
        let path = self.path(key);
        let steps = parse(&read_file(&path, LARGEST).ok()?, codes);
        match &steps {
            // The file that was used last is evicted last.
            Some(_) => drop(std::fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()))),
            None => {
                tracing::warn!("{}: not usable, removed", path.display());
                std::fs::remove_file(&path).unwrap_or_default();
            }
        }
        steps
    }

    /// Stores the logits of `steps` and evicts the least recently used ones.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, key: &str, steps: &Steps) -> Result<()> {
        create_private_folder(&self.folder).map_err(|e| Error::write(&self.folder, e))?;
        let path = self.path(key);
        let bytes = serialise(steps).map_err(|e| Error::write(&path, e))?;
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

fn serialise(steps: &Steps) -> std::result::Result<Vec<u8>, crate::error::BoxError> {
    let (codebooks, vocab) = steps.get(0).map_or((0, 0), |step| {
        let codebooks = step.logits.rows().len();
        (codebooks, step.logits.values().len() / codebooks.max(1))
    });
    let values = steps.iter().flat_map(|step| step.logits.values()).flat_map(|v| v.to_le_bytes());
    let values: Vec<u8> = values.collect();
    let logits = TensorView::new(Dtype::F32, vec![steps.len(), codebooks, vocab], &values)?;
    let samplings: Vec<Sampling> = steps.iter().map(|step| step.sampling).collect();
    let guarded: Vec<&Vec<bool>> = steps.iter().map(|step| &step.guarded).collect();
    let metadata = HashMap::from([
        ("samplings".to_owned(), serde_json::to_string(&samplings)?),
        ("guarded".to_owned(), serde_json::to_string(&guarded)?),
        ("end".to_owned(), serde_json::to_string(&steps.end)?),
    ]);
    Ok(safetensors::serialize([("logits", logits)], Some(metadata))?)
}

fn parse(bytes: &[u8], codes: &Codes) -> Option<Steps> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let metadata = header.metadata().as_ref()?;
    let samplings: Vec<Sampling> = serde_json::from_str(metadata.get("samplings")?).ok()?;
    let guarded: Vec<Vec<bool>> = serde_json::from_str(metadata.get("guarded")?).ok()?;
    let end: Option<f32> = serde_json::from_str(metadata.get("end")?).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let logits = tensors.tensor("logits").ok().filter(|logits| logits.dtype() == Dtype::F32)?;
    let &[frames, codebooks, vocab] = logits.shape() else { return None };
    let fits = frames > 0
        && (frames, codebooks) == (codes.len(), codes.codebooks())
        && codes.ids().iter().all(|id| (*id as usize) < vocab)
        && (samplings.len(), guarded.len()) == (frames, frames);
    if !fits {
        return None;
    }
    let frame = |(t, bytes): (usize, &[u8])| {
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Arc::new(Logits::new(vocab, values).with_recent(codes.recent(t, LONGEST_WINDOW)))
    };
    let logits = logits.data().chunks_exact(4 * codebooks * vocab).enumerate().map(frame);
    let steps = logits.zip(samplings).zip(guarded).zip(codes.frames());
    let mut steps: Steps = steps.map(|(((l, s), g), codes)| Step::new(l, s, g, codes)).collect();
    steps.end = end;
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype as Precision, Mode, SamplingParams};

    fn codes(frames: usize) -> Codes {
        Codes::from_frames(vec![[1, 2]; frames]).unwrap()
    }

    fn steps(frames: usize) -> Steps {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 7, Precision::Float32);
        let step = |n: usize| {
            let logits = Logits::new(100, (0..200).map(|i| (i * n) as f32).collect());
            let logits = Arc::new(logits.with_recent(codes(frames).recent(n, LONGEST_WINDOW)));
            Step::new(logits, sampling, vec![true, false], &[1, 2])
        };
        let mut steps: Steps = (0..frames).map(step).collect();
        steps.end = Some(0.25);
        steps
    }

    #[test]
    fn logits_are_found_again_and_a_damaged_file_is_not_used() {
        let folder = tempfile::TempDir::new().unwrap();
        let cache = LogitsCache::new(&folder.path().join("draws"), 1 << 20);
        let key = LogitsCache::key("model", b"tokens");
        assert_ne!(key, LogitsCache::key("another model", b"tokens"));
        assert_eq!(cache.read(&key, &codes(3)), None);
        cache.write(&key, &steps(3)).unwrap();
        assert_eq!(cache.read(&key, &codes(3)), Some(steps(3)));
        let path = cache.path(&key);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
        assert_eq!(cache.read(&key, &codes(3)), None);
        assert!(!cache.contains(&key), "it is computed and stored again");
        cache.write(&key, &steps(3)).unwrap();
        assert_eq!(cache.read(&key, &codes(2)), None, "the logits of another clip");
    }

    #[test]
    fn the_bound_is_kept_and_the_file_used_longest_ago_is_evicted() {
        let folder = tempfile::TempDir::new().unwrap();
        let cache = LogitsCache::new(folder.path(), 6_000);
        let age = |key: &str, seconds: u64| {
            let file = std::fs::File::options().append(true).open(cache.path(key)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(seconds)).unwrap();
        };
        for (key, age_of) in [("a", 300), ("b", 200)] {
            cache.write(key, &steps(2)).unwrap();
            age(key, age_of);
        }
        assert!(cache.read("a", &codes(2)).is_some(), "now it is the one that was used last");
        cache.write("c", &steps(2)).unwrap();
        assert_eq!([cache.contains("a"), cache.contains("b"), cache.contains("c")], [true, false, true]);
        cache.write("too large", &steps(20)).unwrap();
        assert!(!cache.contains("too large") && cache.contains("c"));
    }
}
