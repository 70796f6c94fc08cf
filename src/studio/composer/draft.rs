//! The draft of the conversation, which survives a restart. Each window has its own.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::conversation::{TurnDraft, VoicePrompt};
use crate::error::{Error, Result};
use crate::files::{read_own_json, write_own_json};
use crate::takes::TakeId;

/// The draft of a conversation, and the current take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub turns: Vec<TurnDraft>,
    /// The voice prompt before them.
    #[serde(default)]
    pub prompt: Option<SavedPrompt>,
    /// The current take.
    #[serde(default)]
    pub viewed: Option<TakeId>,
}

/// A voice prompt without its sound, which is read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPrompt {
    pub path: PathBuf,
    pub text: String,
    pub speaker: u32,
    /// The part that is used, in seconds.
    pub part: (f64, f64),
}

impl SavedPrompt {
    pub(super) fn of(prompt: &VoicePrompt) -> Self {
        let VoicePrompt { path, text, speaker, part, .. } = prompt;
        Self { path: path.clone(), text: text.clone(), speaker: *speaker, part: *part }
    }
}

/// The file of a window's draft, which no other window writes as long as this lives.
#[derive(Debug)]
pub struct DraftFile {
    path: PathBuf,
    /// Held open: the lock of the file lasts as long.
    _lock: Option<File>,
}

impl DraftFile {
    /// Windows at one time that have a file each; further ones share the last one's.
    const MOST: usize = 64;

    /// The file `path`, or the first of `path` with 2, 3 … after its name that no other window has.
    pub fn choose(path: &Path) -> Self {
        for n in 1..=Self::MOST {
            let path = Self::numbered(path, n);
            if let Some(lock) = lock(&path.with_extension("lock")) {
                return Self { path, _lock: Some(lock) };
            }
        }
        Self { path: path.to_owned(), _lock: None }
    }

    fn numbered(path: &Path, n: usize) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if n == 1 { path.to_owned() } else { path.with_file_name(format!("{stem}-{n}.json")) }
    }

    /// Where the draft is written.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The locked file `path`; `None` if another window has it, or it cannot be written.
fn lock(path: &Path) -> Option<File> {
    std::fs::create_dir_all(path.parent()?).ok()?;
    let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

impl Draft {
    /// Reads `path`; an empty draft if there is none. An unreadable file is renamed and reported.
    pub fn read(path: &Path) -> (Self, Option<Error>) {
        read_own_json(path, "a draft")
    }

    /// Writes `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_own_json(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_read_back_and_a_broken_one_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/draft.json");
        assert_eq!(Draft::read(&path).0, Draft::default());
        let turns = vec![TurnDraft { text: "Hello.".into(), ..TurnDraft::default() }];
        let draft = Draft { turns, ..Draft::default() };
        draft.write(&path).unwrap();
        assert_eq!(Draft::read(&path).0, draft);
        std::fs::write(&path, "{").unwrap();
        let (read, problem) = Draft::read(&path);
        assert!(read == Draft::default() && problem.unwrap().to_string().contains("kept as"));
        assert!(path.with_extension("json.unreadable").exists());
    }

    #[test]
    fn each_window_has_a_draft_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/draft.json");
        let first = DraftFile::choose(&path);
        let second = DraftFile::choose(&path);
        assert_eq!((first.path(), second.path()), (path.as_path(), path.with_file_name("draft-2.json").as_path()));
        drop(first);
        assert_eq!(DraftFile::choose(&path).path(), path);
    }
}
