//! The folder of takes. A take folder is always complete: it is written under a temporary name, synced and renamed.

use std::fs;
use std::path::{Path, PathBuf};

use super::Take;
use crate::data::TokenFile;
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file, sync_folder, write_atomically, write_new};

/// Folder of deleted takes, emptied at the next start.
const TRASH: &str = ".deleted";
/// Prefix of folders that are being written.
const UNFINISHED: &str = ".unfinished-";

/// All takes, newest first.
pub struct Store {
    folder: PathBuf,
    takes: Vec<Take>,
    search_texts: Vec<String>,
    deleted: Vec<Take>,
    /// Why some folders could not be read as takes. They are reported and left alone.
    pub damaged: Vec<Error>,
}

impl Store {
    /// Reads the takes in `folder`, which is created if need be. Folders left unfinished by a killed program are removed, and so
    /// are deleted takes: undo reaches back to the start of the program.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Write`] where the folder itself cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        let (mut takes, mut damaged) = (Vec::new(), Vec::new());
        let entries = fs::read_dir(folder).map_err(|e| Error::read(folder, e))?;
        for path in entries.flatten().map(|e| e.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(UNFINISHED) || name == TRASH {
                if let Err(e) = fs::remove_dir_all(&path) {
                    tracing::warn!("{} cannot be removed: {e}", path.display()); // it does no harm
                }
            } else if !name.starts_with('.') {
                match read_take(&path) {
                    Ok(take) => takes.push(take),
                    Err(e) => damaged.push(e),
                }
            }
        }
        takes.sort_by(|a: &Take, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        let search_texts = takes.iter().map(search_text).collect();
        Ok(Self { folder: folder.to_owned(), takes, search_texts, deleted: Vec::new(), damaged })
    }

    /// The takes, newest first.
    pub fn takes(&self) -> &[Take] {
        &self.takes
    }

    /// The take `id`.
    pub fn get(&self, id: &str) -> Option<&Take> {
        self.takes.iter().find(|t| t.id == id)
    }

    /// Indices of the takes whose name, text or settings have every word of `words`, in any case.
    pub fn search(&self, words: &str) -> Vec<usize> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let fits = |text: &String| words.iter().all(|w| text.contains(w));
        self.search_texts.iter().enumerate().filter(|(_, text)| fits(text)).map(|(n, _)| n).collect()
    }

    /// Adds a take; its id is chosen here. `wav` is the content of its WAV file.
    ///
    /// # Errors
    /// [`Error::Write`]; nothing is left behind then.
    pub fn add(&mut self, mut take: Take, tokens: &TokenFile, wav: &[u8]) -> Result<String> {
        let mut n = 0;
        take.id = loop {
            let id = format!("{:010}-{n:03}", take.created);
            if !self.path(&id).exists() {
                break id;
            }
            n += 1;
        };
        let temporary = self.folder.join(format!("{UNFINISHED}{}", take.id));
        let write = || {
            fs::create_dir(&temporary)?;
            write_new(&temporary.join("audio.wav"), wav)?;
            write_new(&temporary.join("tokens.json"), tokens.to_json().as_bytes())?;
            write_new(&temporary.join("take.json"), &json(&take))?;
            fs::rename(&temporary, self.path(&take.id))?;
            sync_folder(&self.folder)
        };
        if let Err(e) = write() {
            fs::remove_dir_all(&temporary).ok(); // it may not exist; the error to report is the first
            return Err(Error::write(self.path(&take.id), e));
        }
        let id = take.id.clone();
        self.insert(take);
        Ok(id)
    }

    fn insert(&mut self, take: Take) {
        let key = |t: &Take| (t.created, t.id.clone());
        let at = self.takes.partition_point(|t| key(t) > key(&take));
        self.search_texts.insert(at, search_text(&take));
        self.takes.insert(at, take);
    }

    /// Changes a take's name or favourite mark.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where there is no such take; [`Error::Write`], and then it stays as it was.
    pub fn update(&mut self, id: &str, change: impl FnOnce(&mut Take)) -> Result<()> {
        let at = self.index_of(id)?;
        let mut take = self.takes[at].clone();
        change(&mut take);
        write_atomically(&self.path(id).join("take.json"), &json(&take))?;
        self.search_texts[at] = search_text(&take);
        self.takes[at] = take;
        Ok(())
    }

    /// Deletes a take; [`Store::undo`] brings it back until the program ends.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn delete(&mut self, id: &str) -> Result<()> {
        let at = self.index_of(id)?;
        let trash = self.folder.join(TRASH);
        let moved = fs::create_dir_all(&trash).and_then(|()| fs::rename(self.path(id), trash.join(id)));
        moved.map_err(|e| Error::write(self.path(id), e))?;
        self.search_texts.remove(at);
        self.deleted.push(self.takes.remove(at));
        Ok(())
    }

    /// Restores the take that was deleted last; returns its id.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn undo(&mut self) -> Result<Option<String>> {
        let Some(take) = self.deleted.last() else { return Ok(None) };
        let path = self.path(&take.id);
        fs::rename(self.folder.join(TRASH).join(&take.id), &path).map_err(|e| Error::write(&path, e))?;
        let id = take.id.clone();
        self.deleted.pop().into_iter().for_each(|take| self.insert(take));
        Ok(Some(id))
    }

    /// Whether there is a deleted take to restore.
    pub fn can_undo(&self) -> bool {
        !self.deleted.is_empty()
    }

    /// The folder of take `id`.
    pub fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn index_of(&self, id: &str) -> Result<usize> {
        let at = self.takes.iter().position(|t| t.id == id);
        at.ok_or_else(|| Error::invalid("take", "the id of a take", format!("{id:?}")))
    }
}

/// Reads a take's own files only: behind a link in a folder from somebody else, a change of the take would change any file.
fn read_take(path: &Path) -> Result<Take> {
    let file = path.join("take.json");
    for own in [path.to_owned(), file.clone(), path.join("tokens.json"), path.join("audio.wav")] {
        if own.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Err(Error::file(own, "expected a take's own file or folder, it is a link"));
        }
    }
    let bytes = read_file(&file, JSON_LIMIT)?;
    let take: Take = serde_json::from_slice(&bytes).map_err(|e| Error::parse(&file, "expected a take", e))?;
    if path.file_name().is_some_and(|n| n.to_string_lossy() == take.id) {
        Ok(take)
    } else {
        Err(Error::file(&file, format!("expected the folder's name as id, got {:?}", take.id)))
    }
}

/// The text that a search looks through, in lower case.
fn search_text(take: &Take) -> String {
    let mode = take.sampling.map(|s| format!("{} {}", s.mode.name(), s.seed)).unwrap_or_default();
    format!("{} {} {mode}", take.name, take.text).to_lowercase()
}

fn json(take: &Take) -> Vec<u8> {
    serde_json::to_vec_pretty(take).unwrap_or_default() // plain data, which always has a JSON form
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Codes, FinishReason};
    use crate::takes::ClipSummary;

    fn take(text: &str, created: u64) -> Take {
        Take {
            id: String::new(),
            name: text.into(),
            created,
            favourite: false,
            parent: None,
            measures: ClipSummary::default(),
            text: text.into(),
            speaker: 0,
            model: None,
            sampling: None,
            stop: Some(FinishReason::Eos),
            edited: false,
        }
    }

    fn texts(store: &Store) -> Vec<&str> {
        store.takes().iter().map(|t| t.text.as_str()).collect()
    }

    #[test]
    fn takes_are_added_changed_deleted_and_restored() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
        let mut store = Store::open(folder.path()).unwrap();
        let old = store.add(take("An old one", 5), &tokens, b"wav").unwrap();
        let new = store.add(take("A new one", 7), &tokens, b"wav").unwrap();
        store.add(take("Another of the same second", 7), &tokens, b"wav").unwrap();
        store.update(&old, |t| (t.favourite, t.name) = (true, "Mine".into())).unwrap();
        assert!(Store::open(folder.path()).unwrap().get(&old).unwrap().favourite);
        store.delete(&new).unwrap();
        assert_eq!(texts(&store), ["Another of the same second", "An old one"]);
        assert_eq!(store.undo().unwrap(), Some(new.clone()));
        assert_eq!(store.undo().unwrap(), None);
        assert_eq!(store.search("ONE new"), [1]);

        store.delete(&old).unwrap();
        fs::create_dir(folder.path().join(".unfinished-x")).unwrap();
        fs::create_dir(folder.path().join("strange")).unwrap();
        let again = Store::open(folder.path()).unwrap();
        assert_eq!(again.takes(), store.takes());
        assert_eq!(again.damaged.len(), 1, "reported and left alone");
        assert!(!folder.path().join(".unfinished-x").exists() && folder.path().join("strange").exists());
        assert_eq!(fs::read(again.path(&new).join("audio.wav")).unwrap(), b"wav");
        assert!(again.get(&old).is_none() && !folder.path().join(TRASH).exists(), "deleted for good");
    }

    #[test]
    #[cfg(unix)]
    fn links_are_no_takes() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut store = Store::open(folder.path()).unwrap();
        let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
        let id = store.add(take("one", 1), &tokens, b"wav").unwrap();
        let (own, precious) = (store.path(&id).join("take.json"), elsewhere.path().join("precious"));
        fs::rename(&own, &precious).unwrap();
        std::os::unix::fs::symlink(&precious, &own).unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.takes().is_empty());
        assert!(store.damaged[0].to_string().contains("link"), "{}", store.damaged[0]);
    }
}
