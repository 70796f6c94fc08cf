//! Takes on disk: a folder each, written under a temporary name, synced, renamed. What is there is whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sampling::Sampling;
use crate::termination::Finding;
use crate::tokens::{ModelId, Stop, TokenFile};

/// Name of the folder that deleted takes wait in.
const TRASH: &str = ".deleted";
/// Beginning of the names of folders that are being written.
const UNFINISHED: &str = ".unfinished-";

/// What can be said about a clip in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Frames.
    pub frames: usize,
    /// Length in seconds.
    pub seconds: f64,
    /// Time of computing over length.
    pub real_time_factor: f64,
    /// What the termination guard saw.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Tokens that the range guard changed.
    #[serde(default)]
    pub guarded: usize,
    /// Ids past the codec's size.
    #[serde(default)]
    pub beyond_codec: usize,
}

/// `take.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Take {
    /// The folder's name.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether it is marked.
    #[serde(default)]
    pub favourite: bool,
    /// The take that it was made from.
    #[serde(default)]
    pub parent: Option<String>,
    /// Numbers.
    #[serde(default)]
    pub measures: Measures,
    /// What was said.
    pub text: String,
    /// By whom.
    pub speaker: u32,
    /// By which model.
    pub model: Option<ModelId>,
    /// With which settings.
    pub sampling: Option<Sampling>,
    /// Why it ended.
    pub stop: Option<Stop>,
    /// Whether tokens or settings were changed in its course.
    #[serde(default)]
    pub edited: bool,
}

/// All takes, newest first.
pub struct Store {
    folder: PathBuf,
    takes: Vec<Take>,
    searchable: Vec<String>,
    deleted: Vec<Take>,
    /// Folders that hold no readable take, and why: shown once, never touched.
    pub damaged: Vec<Error>,
}

impl Store {
    /// Reads the takes in `folder`, which is made if need be. Unfinished folders of a program that was killed are removed, and
    /// so are takes that were deleted before: undo reaches back to the start of the program.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Write`] where the folder itself cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        let (mut takes, mut damaged) = (Vec::new(), Vec::new());
        let entries = fs::read_dir(folder).map_err(|e| Error::file(folder, format!("cannot be read: {e}")))?;
        for path in entries.flatten().map(|e| e.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(UNFINISHED) || name == TRASH {
                // Nothing refers to it; what cannot be removed does no harm.
                let _ = fs::remove_dir_all(&path);
            } else if !name.starts_with('.') {
                match read(&path) {
                    Ok(take) => takes.push(take),
                    Err(e) => damaged.push(e),
                }
            }
        }
        takes.sort_by(|a: &Take, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        let searchable = takes.iter().map(haystack).collect();
        Ok(Self { folder: folder.to_owned(), takes, searchable, deleted: Vec::new(), damaged })
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
        self.searchable.iter().enumerate().filter(|(_, text)| fits(text)).map(|(n, _)| n).collect()
    }

    /// Keeps a take: `take.id` is chosen here. `wav` is the bytes of its WAV file.
    ///
    /// # Errors
    /// [`Error::Write`]; then nothing is there.
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
        let written = (|| {
            fs::create_dir_all(&temporary)?;
            synced(&temporary.join("audio.wav"), wav)?;
            synced(&temporary.join("tokens.json"), tokens.to_json().as_bytes())?;
            synced(&temporary.join("take.json"), &json(&take))?;
            fs::rename(&temporary, self.path(&take.id))?;
            File::open(&self.folder)?.sync_all()
        })();
        written.map_err(|e: std::io::Error| Error::write(self.path(&take.id), e))?;
        let id = take.id.clone();
        self.insert(take);
        Ok(id)
    }

    fn insert(&mut self, take: Take) {
        let key = |t: &Take| (t.created, t.id.clone());
        let at = self.takes.partition_point(|t| key(t) > key(&take));
        self.searchable.insert(at, haystack(&take));
        self.takes.insert(at, take);
    }

    /// Changes a take's name or mark.
    ///
    /// # Errors
    /// [`Error::Value`] where there is no such take; [`Error::Write`], and then it stays as it was.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Take)) -> Result<()> {
        let at = self.find(id)?;
        let mut take = self.takes[at].clone();
        change(&mut take);
        let path = self.path(id).join("take.json");
        let temporary = self.path(id).join("take.json.new");
        let written = synced(&temporary, &json(&take)).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|e| Error::write(&path, e))?;
        self.searchable[at] = haystack(&take);
        self.takes[at] = take;
        Ok(())
    }

    /// Deletes a take; [`Store::undo`] brings it back until the program ends.
    ///
    /// # Errors
    /// As [`Store::change`].
    pub fn delete(&mut self, id: &str) -> Result<()> {
        let at = self.find(id)?;
        let trash = self.folder.join(TRASH);
        let moved = fs::create_dir_all(&trash).and_then(|()| fs::rename(self.path(id), trash.join(id)));
        moved.map_err(|e| Error::write(self.path(id), e))?;
        self.searchable.remove(at);
        self.deleted.push(self.takes.remove(at));
        Ok(())
    }

    /// Brings the take back that was deleted last; gives its id.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn undo(&mut self) -> Result<Option<String>> {
        let Some(take) = self.deleted.last() else { return Ok(None) };
        let path = self.path(&take.id);
        fs::rename(self.folder.join(TRASH).join(&take.id), &path).map_err(|e| Error::write(&path, e))?;
        let take = self.deleted.pop().expect("just seen");
        let id = take.id.clone();
        self.insert(take);
        Ok(Some(id))
    }

    /// Whether there is something to bring back.
    pub fn can_undo(&self) -> bool {
        !self.deleted.is_empty()
    }

    /// The folder of take `id`.
    pub fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn find(&self, id: &str) -> Result<usize> {
        let at = self.takes.iter().position(|t| t.id == id);
        at.ok_or_else(|| Error::value("take", "one of the takes there are", id))
    }
}

fn read(path: &Path) -> Result<Take> {
    let file = path.join("take.json");
    let bytes = fs::read(&file).map_err(|e| Error::file(&file, format!("cannot be read: {e}")))?;
    let take: Take = serde_json::from_slice(&bytes).map_err(|e| Error::file(&file, format!("is no take: {e}")))?;
    if path.file_name().is_some_and(|n| n.to_string_lossy() == take.id) {
        Ok(take)
    } else {
        Err(Error::file(&file, format!("expected the folder's name as id, got {:?}", take.id)))
    }
}

/// What a search looks through, in lower case.
fn haystack(take: &Take) -> String {
    let mode = take.sampling.map(|s| format!("{} {}", s.mode.name(), s.seed)).unwrap_or_default();
    format!("{} {} {mode}", take.name, take.text).to_lowercase()
}

fn json(take: &Take) -> Vec<u8> {
    serde_json::to_vec_pretty(take).expect("plain data")
}

fn synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(text: &str, created: u64) -> Take {
        Take {
            id: String::new(),
            name: text.into(),
            created,
            favourite: false,
            parent: None,
            measures: Measures::default(),
            text: text.into(),
            speaker: 0,
            model: None,
            sampling: None,
            stop: Some(Stop::Eos),
            edited: false,
        }
    }

    fn texts(store: &Store) -> Vec<&str> {
        store.takes().iter().map(|t| t.text.as_str()).collect()
    }

    #[test]
    fn takes_are_kept_changed_deleted_and_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFile { frames: vec![vec![1, 2]], ..TokenFile::default() };
        let mut store = Store::open(folder.path()).unwrap();
        let old = store.add(take("An old one", 5), &tokens, b"wav").unwrap();
        let new = store.add(take("A new one", 7), &tokens, b"wav").unwrap();
        store.add(take("Another of the same second", 7), &tokens, b"wav").unwrap();
        store.change(&old, |t| (t.favourite, t.name) = (true, "Mine".into())).unwrap();
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
        assert_eq!(again.damaged.len(), 1, "said, and left alone");
        assert!(!folder.path().join(".unfinished-x").exists() && folder.path().join("strange").exists());
        assert_eq!(fs::read(again.path(&new).join("audio.wav")).unwrap(), b"wav");
        assert!(again.get(&old).is_none() && !folder.path().join(TRASH).exists(), "deleted for good");
    }
}
