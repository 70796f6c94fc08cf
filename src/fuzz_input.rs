//! Inputs of the fuzzer on their way to a reader.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A folder in memory, if the system has one, for one harness at a time.
pub(crate) fn in_folder<T>(work: impl FnOnce(&Path) -> T) -> T {
    static FOLDER: LazyLock<Option<(tempfile::TempDir, Mutex<()>)>> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        folder.ok().map(|folder| (folder, Mutex::new(())))
    });
    let Some((folder, lock)) = &*FOLDER else { panic!("no temporary folder") };
    let _one = lock.lock().unwrap_or_else(PoisonError::into_inner);
    work(folder.path())
}

/// Writes an input where a reader will read it.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    assert!(std::fs::write(&path, bytes).is_ok(), "{} cannot be written", path.display());
    path
}

/// `input` in two at its first NUL byte.
pub(crate) fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    (&input[..at], input.get(at + 1..).unwrap_or_default())
}
