//! The folder of takes. A take folder is always complete: it is written elsewhere in the folder, synced and renamed.
//!
//! Several programs may use the folder at once. Each has a folder of its own in it for takes that it is writing and takes that it
//! has deleted, and holds a lock on it; what a program that has ended left there is removed by the next one.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rayon::iter::{Either, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::Take;
use crate::data::TokenFile;
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file, sync_folder, write_atomically, write_new};

/// Prefix of the folders that programs have for themselves.
const SESSION: &str = ".session-";
/// In it: the file that is locked, deleted takes, and takes that are being written.
const LOCK: &str = "lock";
const TRASH: &str = "deleted";
const UNFINISHED: &str = "unfinished";
/// What earlier versions left: deleted takes, and the prefix of unfinished ones.
const OLD_TRASH: &str = ".deleted";
const OLD_UNFINISHED: &str = ".unfinished-";

/// All takes, newest first.
pub struct Store {
    folder: PathBuf,
    takes: Vec<Take>,
    search_texts: Vec<String>,
    /// Counts changes of the takes.
    version: u64,
    /// When each take's own file was changed last, as far as it has been read.
    modified: HashMap<String, SystemTime>,
    /// Takes that were deleted together, the last ones last.
    deleted: Vec<Vec<Take>>,
    /// This program's own folder; the lock on it lasts as long as the store.
    session: PathBuf,
    _lock: File,
    /// Held while a take is written.
    writing: Arc<Mutex<()>>,
    /// Why some folders could not be read as takes. They are reported and left alone.
    pub damaged: Vec<Error>,
}

impl Store {
    /// Reads the takes in `folder`, which is created if need be. What programs that have ended left unfinished is removed, and so
    /// are the takes that they deleted: undo reaches back to the start of a program.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Write`] where the folder itself cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        let (session, lock) = begin_session(folder)?;
        remove_leftovers(folder, &session);
        let mut store = Self {
            folder: folder.to_owned(),
            takes: Vec::new(),
            search_texts: Vec::new(),
            version: 0,
            modified: HashMap::new(),
            deleted: Vec::new(),
            session,
            _lock: lock,
            writing: Arc::default(),
            damaged: Vec::new(),
        };
        let mut changes = store.look().changes()?;
        store.damaged = std::mem::take(&mut changes.damaged);
        changes.read.sort_by(|(a, _), (b, _)| (b.created, &b.id).cmp(&(a.created, &a.id)));
        store.search_texts = changes.read.iter().map(|(take, _)| search_text(take)).collect();
        store.modified = changes.read.iter().map(|(take, time)| (take.id.clone(), *time)).collect();
        store.takes = changes.read.into_iter().map(|(take, _)| take).collect();
        Ok(store)
    }

    /// What is needed to see what other programs have added, changed or deleted; a thread of its own can do that.
    pub fn look(&self) -> Look {
        Look { folder: self.folder.clone(), known: self.modified.clone() }
    }

    /// Takes over what other programs had done when the store was looked through; whether anything was. What has changed since then is
    /// left for the next look, and what cannot be read for the next start to report: another program may be at work on it.
    pub fn apply(&mut self, changes: Changes) -> bool {
        let mut changed = false;
        for id in changes.gone {
            if !self.path(&id).is_dir() {
                self.modified.remove(&id);
                changed |= self.index_of(&id).map(|at| self.remove(at)).is_ok();
            }
        }
        for (take, time) in changes.read {
            if modified(&self.path(&take.id)) != Some(time) {
                continue;
            }
            self.modified.insert(take.id.clone(), time);
            match self.index_of(&take.id) {
                Ok(at) if self.takes[at] == take => {}
                Ok(at) => {
                    self.replace(at, take);
                    changed = true;
                }
                Err(_) => {
                    self.insert(take);
                    changed = true;
                }
            }
        }
        changed
    }

    /// The takes, newest first.
    pub fn takes(&self) -> &[Take] {
        &self.takes
    }

    /// Another number after every change of the takes.
    pub fn version(&self) -> u64 {
        self.version
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
    /// As [`TakeWriter::write`].
    pub fn add(&mut self, take: Take, tokens: &TokenFile, wav: &[u8]) -> Result<String> {
        let take = self.writer().write(take, tokens, wav)?;
        Ok(self.add_written(take))
    }

    /// What writes a take into the folder; a thread of its own can do that.
    pub fn writer(&self) -> TakeWriter {
        let (folder, unfinished) = (self.folder.clone(), self.session.join(UNFINISHED));
        TakeWriter { folder, unfinished, writing: self.writing.clone() }
    }

    /// Adds a take that was written; its id.
    pub fn add_written(&mut self, take: Take) -> String {
        let id = take.id.clone();
        self.modified.extend(modified(&self.path(&id)).map(|time| (id.clone(), time)));
        if self.index_of(&id).is_err() {
            self.insert(take); // else it was found in the folder already
        }
        id
    }

    fn insert(&mut self, take: Take) {
        let key = |t: &Take| (t.created, t.id.clone());
        let at = self.takes.partition_point(|t| key(t) > key(&take));
        self.version += 1;
        self.search_texts.insert(at, search_text(&take));
        self.takes.insert(at, take);
    }

    /// Changes a take's name or favourite mark, as it stands in the folder: another program may have changed it too.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] where there is no such take; [`Error::Write`], and then it stays as it was.
    pub fn update(&mut self, id: &str, change: impl FnOnce(&mut Take)) -> Result<()> {
        let at = self.index_of(id)?;
        let mut take = read_take(&self.path(id))?;
        change(&mut take);
        write_atomically(&self.path(id).join("take.json"), &json(&take))?;
        self.replace(at, take);
        Ok(())
    }

    fn replace(&mut self, at: usize, take: Take) {
        self.version += 1;
        self.search_texts[at] = search_text(&take);
        self.takes[at] = take;
    }

    /// Deletes a take; [`Store::undo`] brings it back until the program ends.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn delete(&mut self, id: &str) -> Result<()> {
        self.delete_all(&[id.to_owned()])
    }

    /// Deletes takes, which [`Store::undo`] brings back together.
    ///
    /// # Errors
    /// As [`Store::update`], with the first that could not be deleted; the others are.
    pub fn delete_all(&mut self, ids: &[String]) -> Result<()> {
        let (mut deleted, mut failed) = (Vec::new(), Ok(()));
        for id in ids {
            match self.move_to_trash(id) {
                Ok(take) => deleted.push(take),
                Err(e) => failed = failed.and(Err(e)),
            }
        }
        if !deleted.is_empty() {
            self.deleted.push(deleted);
        }
        failed
    }

    fn move_to_trash(&mut self, id: &str) -> Result<Take> {
        let at = self.index_of(id)?;
        let trash = self.session.join(TRASH);
        let moved = fs::create_dir_all(&trash).and_then(|()| fs::rename(self.path(id), trash.join(id)));
        moved.map_err(|e| Error::write(self.path(id), e))?;
        Ok(self.remove(at))
    }

    fn remove(&mut self, at: usize) -> Take {
        self.version += 1;
        self.search_texts.remove(at);
        self.takes.remove(at)
    }

    /// Restores the takes that were deleted last; returns their ids.
    ///
    /// # Errors
    /// [`Error::Write`]; those that could not be restored can be tried again.
    pub fn undo(&mut self) -> Result<Vec<String>> {
        let (mut restored, mut failed, mut left) = (Vec::new(), Ok(()), Vec::new());
        for take in self.deleted.pop().unwrap_or_default() {
            let path = self.path(&take.id);
            match fs::rename(self.session.join(TRASH).join(&take.id), &path).map_err(|e| Error::write(&path, e)) {
                Ok(()) => {
                    restored.push(take.id.clone());
                    self.insert(take);
                }
                Err(e) => {
                    failed = failed.and(Err(e));
                    left.push(take);
                }
            }
        }
        if !left.is_empty() {
            self.deleted.push(left);
        }
        failed.map(|()| restored)
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

/// What writes takes into a store's folder.
pub struct TakeWriter {
    folder: PathBuf,
    unfinished: PathBuf,
    /// One take is written at a time: two of one second would choose the same id.
    writing: Arc<Mutex<()>>,
}

impl TakeWriter {
    /// Writes a take; its id is chosen here. `wav` is the content of its WAV file.
    ///
    /// # Errors
    /// [`Error::Write`]; nothing is left behind then.
    pub fn write(&self, mut take: Take, tokens: &TokenFile, wav: &[u8]) -> Result<Take> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for n in 0.. {
            take.id = format!("{:010}-{n:03}", take.created);
            let folder = self.folder.join(&take.id);
            if folder.exists() {
                continue;
            }
            let temporary = self.unfinished.join(&take.id);
            let write = || {
                fs::create_dir_all(&temporary)?;
                write_new(&temporary.join("audio.wav"), wav)?;
                write_new(&temporary.join("tokens.json"), tokens.to_json().as_bytes())?;
                write_new(&temporary.join("take.json"), &json(&take))?;
                fs::rename(&temporary, &folder)?;
                sync_folder(&self.folder)
            };
            let Err(e) = write() else { break };
            fs::remove_dir_all(&temporary).ok(); // it may not exist; the error to report is the first
            // Another program may have written a take of the same second meanwhile.
            if e.kind() != ErrorKind::DirectoryNotEmpty {
                return Err(Error::write(folder, e));
            }
        }
        Ok(take)
    }
}

/// What a store knew when it was asked.
pub struct Look {
    folder: PathBuf,
    known: HashMap<String, SystemTime>,
}

/// What other programs have done to a store's folder.
pub struct Changes {
    /// Ids of the takes that are no longer there.
    gone: Vec<String>,
    /// Takes that are new or have changed, with the time of that.
    read: Vec<(Take, SystemTime)>,
    /// Why some could not be read.
    damaged: Vec<Error>,
}

impl Look {
    /// Looks through the folder; slow where it has many takes that are not known yet.
    ///
    /// # Errors
    /// [`Error::Read`] where the folder cannot be read.
    pub fn changes(self) -> Result<Changes> {
        let entries = fs::read_dir(&self.folder).map_err(|e| Error::read(&self.folder, e))?;
        let entries: Vec<_> = entries.flatten().collect();
        let folders: Vec<(String, PathBuf)> = entries
            .into_par_iter()
            // A file beside the takes is none of them, and nobody's concern.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink()))
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
            .filter(|(name, _)| !name.starts_with('.'))
            .collect();
        let there: HashSet<&String> = folders.iter().map(|(name, _)| name).collect();
        let gone = self.known.keys().filter(|id| !there.contains(id)).cloned().collect();
        let (read, damaged): (Vec<_>, Vec<_>) = folders
            .par_iter()
            .filter_map(|(name, path)| {
                let before = modified(path);
                let is_known = before.is_some() && before.as_ref() == self.known.get(name);
                // The time from before the reading: what changes meanwhile is read again.
                (!is_known).then(|| Ok((read_take(path)?, before.unwrap_or(SystemTime::UNIX_EPOCH))))
            })
            .partition_map(|read| match read {
                Ok(take) => Either::Left(take),
                Err(e) => Either::Right(e),
            });
        Ok(Changes { gone, read, damaged })
    }
}

/// When the file of the take in `path` was changed last.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path.join("take.json")).and_then(|found| found.modified()).ok()
}

impl Drop for Store {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.session).ok(); // else the next start does it
    }
}

/// Makes this program's own folder in `folder`, and locks it.
fn begin_session(folder: &Path) -> Result<(PathBuf, File)> {
    let mut n = 0;
    loop {
        let session = folder.join(format!("{SESSION}{}-{n}", std::process::id()));
        let lock = session.join(LOCK);
        let begun = fs::create_dir_all(&session)
            .and_then(|()| File::options().create(true).truncate(false).write(true).open(&lock))
            .map_err(|e| Error::write(&lock, e))?;
        if begun.try_lock().is_ok() {
            return Ok((session, begun));
        }
        n += 1; // another store of this process, or another machine's process of the same number
    }
}

/// Removes what programs left that do not run any more.
fn remove_leftovers(folder: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()).filter(|path| path != own) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_left = if name.starts_with(SESSION) {
            File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
        } else {
            name == OLD_TRASH || name.starts_with(OLD_UNFINISHED)
        };
        if is_left && let Err(e) = fs::remove_dir_all(&path) {
            tracing::warn!("{} cannot be removed: {e}", path.display()); // it does no harm
        }
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

    fn take(text: &str, created: u64) -> Take {
        let stop = Some(FinishReason::Eos);
        Take { name: text.into(), text: text.into(), created, stop, ..Take::default() }
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
        assert_eq!(store.undo().unwrap(), std::slice::from_ref(&new));
        assert!(store.undo().unwrap().is_empty());
        let missing = store.delete_all(&[new.clone(), "none".into(), old.clone()]).unwrap_err().to_string();
        assert!(missing.contains("none") && store.takes().len() == 1, "{missing}");
        assert_eq!(store.undo().unwrap().len(), 2, "together, as they were deleted");
        assert_eq!(store.search("ONE new"), [1]);

        store.delete(&old).unwrap();
        fs::create_dir(folder.path().join(".unfinished-x")).unwrap();
        fs::create_dir(folder.path().join("strange")).unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let expected = store.takes().to_vec();
        drop(store);
        let again = Store::open(folder.path()).unwrap();
        assert_eq!(again.takes(), expected);
        assert_eq!(again.damaged.len(), 1, "a folder is reported and left alone, a file is nobody's concern");
        assert!(!folder.path().join(".unfinished-x").exists() && folder.path().join("strange").exists());
        assert_eq!(fs::read(again.path(&new).join("audio.wav")).unwrap(), b"wav");
        let sessions = fs::read_dir(folder.path()).unwrap().flatten();
        let sessions = sessions.filter(|e| e.file_name().to_string_lossy().starts_with(SESSION)).count();
        assert!(again.get(&old).is_none() && sessions == 1, "deleted for good");
    }

    fn refresh(store: &mut Store) -> bool {
        store.apply(store.look().changes().unwrap())
    }

    /// What the store itself has done while its folder was looked through stays.
    #[test]
    fn changes_that_are_older_than_the_store_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
        let mut other = Store::open(folder.path()).unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let renamed = other.add(take("renamed", 1), &tokens, b"wav").unwrap();
        let deleted = other.add(take("deleted", 2), &tokens, b"wav").unwrap();
        let changes = store.look().changes().unwrap();
        assert!(refresh(&mut store));
        std::thread::sleep(std::time::Duration::from_millis(20)); // a file system's time is not finer than a tick
        store.update(&renamed, |t| t.name = "mine".into()).unwrap();
        store.delete(&deleted).unwrap();
        let own = store.add(take("own", 3), &tokens, b"wav").unwrap();
        assert!(!store.apply(changes));
        assert_eq!((store.get(&renamed).unwrap().name.as_str(), store.get(&deleted)), ("mine", None));
        let changes = store.look().changes().unwrap();
        store.undo().unwrap();
        store.apply(changes);
        assert!(store.get(&deleted).is_some() && store.get(&own).is_some());
        assert_eq!(store.takes().len(), 3, "each once");
    }

    /// Takes of one second that are written at once each have their place.
    #[test]
    fn takes_are_written_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
        let stores = [Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap()];
        std::thread::scope(|scope| {
            for n in 0..20 {
                let (writer, tokens) = (stores[n % 2].writer(), &tokens);
                scope.spawn(move || writer.write(take(&n.to_string(), 7), tokens, b"wav").unwrap());
            }
        });
        drop(stores);
        let store = Store::open(folder.path()).unwrap();
        let mut found: Vec<usize> = texts(&store).iter().map(|text| text.parse().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, (0..20).collect::<Vec<_>>());
        assert!(store.damaged.is_empty());
    }

    /// Two programs on one folder: each sees what the other does, and neither takes the other's deleted or unfinished takes away.
    #[test]
    fn two_stores_on_one_folder_harm_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
        let mut one = Store::open(folder.path()).unwrap();
        let first = one.add(take("The first", 1), &tokens, b"wav").unwrap();
        one.delete(&first).unwrap();
        fs::create_dir_all(one.session.join(UNFINISHED).join("x")).unwrap();
        let mut two = Store::open(folder.path()).unwrap();
        assert!(one.session.join(UNFINISHED).join("x").exists(), "it is being written");
        assert_eq!(one.undo().unwrap(), std::slice::from_ref(&first));
        let second = two.add(take("The second", 2), &tokens, b"wav").unwrap();
        assert!(refresh(&mut one) && refresh(&mut two));
        assert_eq!((texts(&one), texts(&two)), (vec!["The second", "The first"], vec!["The second", "The first"]));
        one.update(&second, |t| t.name = "renamed".into()).unwrap();
        two.update(&second, |t| t.favourite = true).unwrap();
        refresh(&mut one);
        let both = one.get(&second).unwrap();
        assert_eq!((both.name.as_str(), both.favourite), ("renamed", true), "neither change is lost");
        two.delete(&second).unwrap();
        assert!(one.update(&second, |t| t.favourite = false).is_err());
        assert!(refresh(&mut one) && !refresh(&mut one));
        assert_eq!(texts(&one), ["The first"]);
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
