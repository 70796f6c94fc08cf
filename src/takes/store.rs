//! The takes of a folder, in memory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::{FolderChanges, FolderScan, begin_session, modified, remove_leftovers};
use super::{Take, TakeFolder, TakeId};
use crate::data::TokenFile;
use crate::error::{Error, Result};
use crate::files::create_private_folder;

/// All takes, newest first. Reading and changing the list touches no file, except in methods that say so.
pub struct Store {
    folder: TakeFolder,
    takes: Vec<Take>,
    search_texts: Vec<String>,
    /// Incremented with every change of the takes.
    version: u64,
    /// When each take's own file was last changed, as far as it has been read.
    modified: HashMap<TakeId, SystemTime>,
    /// Takes that were deleted together, the last ones last.
    deleted: Vec<Vec<Take>>,
    /// The lock on this program's own folder lasts as long as the store.
    _lock: File,
    /// Why some folders could not be read as takes. They are reported and left alone.
    pub damaged: Vec<Error>,
    /// Whether a program that used the folder before ended early: it was killed, or ended by a fault.
    pub ended_early: bool,
}

impl Store {
    /// Reads the takes in `folder`, which is created if need be. Leftovers of programs that have ended are removed, and so are the
    /// takes that they deleted: undo reaches back to the start of a program.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Write`] if the folder itself cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        create_private_folder(folder).map_err(|e| Error::write(folder, e))?;
        let (session, lock) = begin_session(folder)?;
        let ended_early = remove_leftovers(folder, &session);
        let mut store = Self {
            folder: TakeFolder::new(folder.to_owned(), session),
            takes: Vec::new(),
            search_texts: Vec::new(),
            version: 0,
            modified: HashMap::new(),
            deleted: Vec::new(),
            _lock: lock,
            damaged: Vec::new(),
            ended_early,
        };
        let mut changes = store.start_scan().changes()?;
        store.damaged = std::mem::take(&mut changes.damaged);
        changes.read.sort_by(|(a, _), (b, _)| (b.created, &b.id).cmp(&(a.created, &a.id)));
        store.search_texts = changes.read.iter().map(|(take, _)| search_text(take)).collect();
        store.modified = changes.read.iter().map(|(take, time)| (take.id.clone(), *time)).collect();
        store.takes = changes.read.into_iter().map(|(take, _)| take).collect();
        Ok(store)
    }

    /// The folder, for file operations on another thread.
    pub fn folder(&self) -> &TakeFolder {
        &self.folder
    }

    /// The folder of take `id`.
    pub fn path(&self, id: &TakeId) -> PathBuf {
        self.folder.path(id)
    }

    /// A scan for takes that other programs have added, changed or deleted; another thread can run it.
    pub fn start_scan(&self) -> FolderScan {
        FolderScan::new(self.folder.root().to_owned(), self.modified.clone())
    }

    /// Applies changes by other programs; whether there were any. Takes that have changed again since the scan are left for the next
    /// one, and unreadable takes for the next start to report: another program may be writing them.
    pub fn apply(&mut self, changes: FolderChanges) -> bool {
        let mut changed = false;
        for id in changes.removed {
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

    /// A number that changes with the takes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The take `id`, if there is one.
    pub fn get(&self, id: &TakeId) -> Option<&Take> {
        self.takes.iter().find(|t| t.id == *id)
    }

    /// Indices of the takes whose name, text or settings contain every word of `words`, in any case.
    pub fn search(&self, words: &str) -> Vec<usize> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let fits = |text: &String| words.iter().all(|w| text.contains(w));
        self.search_texts.iter().enumerate().filter(|(_, text)| fits(text)).map(|(n, _)| n).collect()
    }

    /// Writes a take and adds it; its id is chosen here. `wav` is the content of its WAV file.
    ///
    /// # Errors
    /// Returns the errors of [`TakeFolder::write`].
    pub fn add(&mut self, take: Take, tokens: &TokenFile, wav: &[u8]) -> Result<TakeId> {
        let take = self.folder.write(take, tokens, wav)?;
        Ok(self.add_written(take))
    }

    /// Adds a take that [`TakeFolder::write`] has written; its id.
    pub fn add_written(&mut self, take: Take) -> TakeId {
        let id = take.id.clone();
        self.modified.extend(modified(&self.path(&id)).map(|time| (id.clone(), time)));
        if self.index_of(&id).is_err() {
            self.insert(take); // else a scan has found it already
        }
        id
    }

    /// Changes a take in its folder and in the list.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if there is no such take, and as [`TakeFolder::update`].
    pub fn update(&mut self, id: &TakeId, change: impl FnOnce(&mut Take)) -> Result<()> {
        self.index_of(id)?;
        let take = self.folder.update(id, change)?;
        self.replace_updated(take);
        Ok(())
    }

    /// Replaces a take by what [`TakeFolder::update`] has written.
    pub fn replace_updated(&mut self, take: Take) {
        if let Ok(at) = self.index_of(&take.id) {
            self.replace(at, take);
        }
    }

    /// Deletes a take; [`Store::undo`] restores it until the program ends.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if there is no such take, and as [`TakeFolder::delete`].
    pub fn delete(&mut self, id: &TakeId) -> Result<()> {
        self.delete_all(std::slice::from_ref(id))
    }

    /// Deletes takes, which [`Store::undo`] restores together.
    ///
    /// # Errors
    /// As [`Store::delete`], with the first that could not be deleted; the others are.
    pub fn delete_all(&mut self, ids: &[TakeId]) -> Result<()> {
        let (mut deleted, mut failed) = (Vec::new(), Ok(()));
        for id in ids {
            match self.index_of(id).and_then(|_| self.folder.delete(id)) {
                Ok(()) => deleted.push(id.clone()),
                Err(e) => failed = failed.and(Err(e)),
            }
        }
        self.remove_deleted(&deleted);
        failed
    }

    /// Removes takes that [`TakeFolder::delete`] has deleted together.
    pub fn remove_deleted(&mut self, ids: &[TakeId]) {
        let deleted: Vec<Take> = ids.iter().filter_map(|id| self.index_of(id).ok().map(|at| self.remove(at))).collect();
        if !deleted.is_empty() {
            self.deleted.push(deleted);
        }
    }

    /// Ids of the takes that were deleted last.
    pub fn last_deleted(&self) -> Vec<TakeId> {
        self.deleted.last().into_iter().flatten().map(|take| take.id.clone()).collect()
    }

    /// Restores the takes that were deleted last; returns their ids.
    ///
    /// # Errors
    /// [`Error::Write`]; takes that could not be restored can be tried again.
    pub fn undo(&mut self) -> Result<Vec<TakeId>> {
        let (mut restored, mut failed) = (Vec::new(), Ok(()));
        for id in self.last_deleted() {
            match self.folder.restore(&id) {
                Ok(()) => restored.push(id),
                Err(e) => failed = failed.and(Err(e)),
            }
        }
        self.insert_restored(&restored);
        failed.map(|()| restored)
    }

    /// Adds takes that [`TakeFolder::restore`] has restored.
    pub fn insert_restored(&mut self, ids: &[TakeId]) {
        let (restored, left): (Vec<Take>, Vec<Take>) =
            self.deleted.pop().unwrap_or_default().into_iter().partition(|take| ids.contains(&take.id));
        if !left.is_empty() {
            self.deleted.push(left);
        }
        restored.into_iter().for_each(|take| self.insert(take));
    }

    /// Whether there is a deleted take to restore.
    pub fn can_undo(&self) -> bool {
        !self.deleted.is_empty()
    }

    fn insert(&mut self, take: Take) {
        let key = |t: &Take| (t.created, t.id.clone());
        let at = self.takes.partition_point(|t| key(t) > key(&take));
        self.version += 1;
        self.search_texts.insert(at, search_text(&take));
        self.takes.insert(at, take);
    }

    fn replace(&mut self, at: usize, take: Take) {
        self.version += 1;
        self.search_texts[at] = search_text(&take);
        self.takes[at] = take;
    }

    fn remove(&mut self, at: usize) -> Take {
        self.version += 1;
        self.search_texts.remove(at);
        self.takes.remove(at)
    }

    fn index_of(&self, id: &TakeId) -> Result<usize> {
        let at = self.takes.iter().position(|t| t.id == *id);
        at.ok_or_else(|| Error::invalid("take", "the id of a take", format!("{:?}", id.as_str())))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder.session).ok(); // otherwise the next start does it
    }
}

/// The text that a search looks through, in lower case.
fn search_text(take: &Take) -> String {
    let mode = take.sampling.map(|s| format!("{} {}", s.mode.name(), s.seed)).unwrap_or_default();
    format!("{} {} {mode}", take.name, take.text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::folder::{SESSION, UNFINISHED};
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

    #[test]
    fn a_program_that_ended_early_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!("{SESSION}1-0"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("lock"), "").unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.ended_early && !left.exists());
        let other = Store::open(folder.path()).unwrap();
        assert!(!other.ended_early, "the first is still running");
        drop((store, other));
        assert!(!Store::open(folder.path()).unwrap().ended_early, "both ended in good order");
    }

    fn refresh(store: &mut Store) -> bool {
        store.apply(store.start_scan().changes().unwrap())
    }

    /// Changes that the store made during the scan stay.
    #[test]
    fn changes_that_are_older_than_the_store_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = TokenFile { frames: Codes::from_frames([[1, 2]]).unwrap(), ..TokenFile::default() };
        let mut other = Store::open(folder.path()).unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let renamed = other.add(take("renamed", 1), &tokens, b"wav").unwrap();
        let deleted = other.add(take("deleted", 2), &tokens, b"wav").unwrap();
        let changes = store.start_scan().changes().unwrap();
        assert!(refresh(&mut store));
        std::thread::sleep(std::time::Duration::from_millis(20)); // a file system's time is not finer than a tick
        store.update(&renamed, |t| t.name = "mine".into()).unwrap();
        store.delete(&deleted).unwrap();
        let own = store.add(take("own", 3), &tokens, b"wav").unwrap();
        assert!(!store.apply(changes));
        assert_eq!((store.get(&renamed).unwrap().name.as_str(), store.get(&deleted)), ("mine", None));
        let changes = store.start_scan().changes().unwrap();
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
                let (writer, tokens) = (stores[n % 2].folder().clone(), &tokens);
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
        fs::create_dir_all(one.folder().session.join(UNFINISHED).join("x")).unwrap();
        let mut two = Store::open(folder.path()).unwrap();
        assert!(one.folder().session.join(UNFINISHED).join("x").exists(), "it is being written");
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
