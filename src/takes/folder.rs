//! File operations on a folder of takes. A take folder is always complete: it is written elsewhere in the folder, synced and renamed.
//!
//! Several programs may use the folder at once. Each has its own folder in it for takes that it is writing and takes that it
//! has deleted, and holds a lock on it; the next program removes what a program that has ended left there.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rayon::iter::{Either, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::{Take, TakeId};
use crate::audio::recording;
use crate::data::{Clip, ModelDims, TokenFile, WordTime};
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, open_regular, read_file, sync_folder, write_atomically, write_new};

/// Prefix of the folders that programs have for themselves.
pub(super) const SESSION: &str = ".session-";
/// In it: the file that is locked, deleted takes, and takes that are being written.
const LOCK: &str = "lock";
const TRASH: &str = "deleted";
pub(super) const UNFINISHED: &str = "unfinished";
/// Leftovers of earlier versions: deleted takes, and the prefix of unfinished ones.
const OLD_TRASH: &str = ".deleted";
const OLD_UNFINISHED: &str = ".unfinished-";

/// A folder of takes. Clones refer to the same folder and may be used on any thread.
#[derive(Clone, Debug)]
pub struct TakeFolder {
    folder: PathBuf,
    /// This program's own folder.
    pub(super) session: PathBuf,
    /// Locked while a take is written: two takes of one second would choose the same id.
    writing: Arc<Mutex<()>>,
}

impl TakeFolder {
    pub(super) fn new(folder: PathBuf, session: PathBuf) -> Self {
        Self { folder, session, writing: Arc::default() }
    }

    /// The folder of take `id`.
    pub fn path(&self, id: &TakeId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// The token file of take `id`.
    pub fn tokens_path(&self, id: &TakeId) -> PathBuf {
        self.path(id).join("tokens.json")
    }

    /// The WAV file of take `id`.
    pub fn audio_path(&self, id: &TakeId) -> PathBuf {
        self.path(id).join("audio.wav")
    }

    /// Tokens of take `id`, which have to fit a model of these sizes.
    ///
    /// # Errors
    /// If they cannot be read or do not fit.
    pub fn read_tokens(&self, id: &TakeId, dims: &ModelDims) -> Result<TokenFile> {
        TokenFile::read(&self.tokens_path(id), dims)
    }

    /// Tokens and waveform of take `id`, whatever model made it, at `rate` samples per second.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn read_clip(&self, id: &TakeId, rate: usize) -> Result<Clip> {
        read_take_clip(&self.path(id), rate)
    }

    /// Writes a take; its id is chosen here. `wav` is the content of its WAV file.
    ///
    /// # Errors
    /// [`Error::Write`]; nothing is left behind then.
    pub fn write(&self, mut take: Take, tokens: &TokenFile, wav: &[u8]) -> Result<Take> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for n in 0.. {
            take.id = TakeId::from(format!("{:010}-{n:03}", take.created));
            let folder = self.path(&take.id);
            if folder.exists() {
                continue;
            }
            let temporary = self.session.join(UNFINISHED).join(take.id.as_str());
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

    /// Changes a take's name or favourite mark as it is in the folder: another program may have changed it too.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InvalidFile`], or [`Error::Write`]; the take stays as it was then.
    pub fn update(&self, id: &TakeId, change: impl FnOnce(&mut Take)) -> Result<Take> {
        let mut take = read_take(&self.path(id))?;
        change(&mut take);
        write_atomically(&self.path(id).join("take.json"), &json(&take))?;
        Ok(take)
    }

    /// Moves a take to this program's trash.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn delete(&self, id: &TakeId) -> Result<()> {
        let trash = self.session.join(TRASH);
        let moved = fs::create_dir_all(&trash).and_then(|()| fs::rename(self.path(id), trash.join(id.as_str())));
        moved.map_err(|e| Error::write(self.path(id), e))
    }

    /// Moves a take back from the trash.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn restore(&self, id: &TakeId) -> Result<()> {
        let path = self.path(id);
        fs::rename(self.session.join(TRASH).join(id.as_str()), &path).map_err(|e| Error::write(path, e))
    }

    pub(super) fn root(&self) -> &Path {
        &self.folder
    }
}

/// Tokens and waveform of the take in `folder`, whatever model made it, at `rate` samples per second.
///
/// # Errors
/// If one of them cannot be read.
pub fn read_take_clip(folder: &Path, rate: usize) -> Result<Clip> {
    let tokens = TokenFile::read_own(&folder.join("tokens.json"))?;
    Ok(tokens.into_clip(recording::samples(&folder.join("audio.wav"), rate)?, rate))
}

/// When the words of the take in `folder` are spoken; none if that is not known.
///
/// # Errors
/// If the folder does not hold a take.
pub fn read_take_words(folder: &Path) -> Result<Vec<WordTime>> {
    Ok(read_take(folder)?.words)
}

/// A scan of a folder of takes for changes by other programs. It can run on another thread.
pub struct FolderScan {
    folder: PathBuf,
    /// The takes that the store knew when the scan began, with the times of their files.
    known: HashMap<TakeId, SystemTime>,
}

/// Changes by other programs to a folder of takes.
pub struct FolderChanges {
    /// Ids of the takes that no longer exist.
    pub(super) removed: Vec<TakeId>,
    /// New and changed takes, with the times of their files.
    pub(super) read: Vec<(Take, SystemTime)>,
    /// Why some takes could not be read.
    pub(super) damaged: Vec<Error>,
}

impl FolderScan {
    /// Starts a scan of `folder` for takes that are not `known`.
    pub(super) fn new(folder: PathBuf, known: HashMap<TakeId, SystemTime>) -> Self {
        Self { folder, known }
    }

    /// Scans the folder; slow if it has many takes that are not known yet.
    ///
    /// # Errors
    /// [`Error::Read`] if the folder cannot be read.
    pub fn changes(self) -> Result<FolderChanges> {
        let entries = fs::read_dir(&self.folder).map_err(|e| Error::read(&self.folder, e))?;
        let entries: Vec<_> = entries.flatten().collect();
        let folders: Vec<(TakeId, PathBuf)> = entries
            .into_par_iter()
            // Files next to the takes are ignored.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink()))
            .map(|entry| (TakeId::from(entry.file_name().to_string_lossy().into_owned()), entry.path()))
            .filter(|(id, _)| !id.starts_with('.'))
            .collect();
        let present: HashSet<&TakeId> = folders.iter().map(|(id, _)| id).collect();
        let removed = self.known.keys().filter(|id| !present.contains(id)).cloned().collect();
        let (read, damaged): (Vec<_>, Vec<_>) = folders
            .par_iter()
            .filter_map(|(id, path)| {
                let before = modified(path);
                let is_known = before.is_some() && before.as_ref() == self.known.get(id);
                // The time from before reading: a take that changes meanwhile is read again.
                (!is_known).then(|| Ok((read_take(path)?, before.unwrap_or(SystemTime::UNIX_EPOCH))))
            })
            .partition_map(|read| match read {
                Ok(take) => Either::Left(take),
                Err(e) => Either::Right(e),
            });
        Ok(FolderChanges { removed, read, damaged })
    }
}

/// When the file of the take in `path` was last changed.
pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path.join("take.json")).and_then(|found| found.modified()).ok()
}

/// Creates and locks this program's own folder in `folder`.
pub(super) fn begin_session(folder: &Path) -> Result<(PathBuf, File)> {
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

/// Removes leftovers of programs that have ended; whether one of them ended early, as by a crash: others remove theirs.
pub(super) fn remove_leftovers(folder: &Path, own: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let mut ended_early = false;
    for path in entries.flatten().map(|e| e.path()).filter(|path| path != own) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_left = if name.starts_with(SESSION) {
            let free = open_regular(&path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
            ended_early |= free;
            free
        } else {
            name == OLD_TRASH || name.starts_with(OLD_UNFINISHED) && holds_a_take_only(&path)
        };
        if is_left && let Err(e) = fs::remove_dir_all(&path) {
            tracing::warn!("{} cannot be removed: {e}", path.display()); // it does no harm
        }
    }
    ended_early
}

/// Whether the folder holds nothing but a take's files: one of that name may be the user's own.
fn holds_a_take_only(path: &Path) -> bool {
    let own = ["take.json", "tokens.json", "audio.wav"];
    fs::read_dir(path)
        .is_ok_and(|entries| entries.flatten().all(|e| e.file_name().to_str().is_some_and(|name| own.contains(&name))))
}

/// Reads a take that has no links in its folder: through a link, a change of the take could change any file.
fn read_take(path: &Path) -> Result<Take> {
    let file = path.join("take.json");
    for own in [path.to_owned(), file.clone(), path.join("tokens.json"), path.join("audio.wav")] {
        if own.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Err(Error::file(own, "expected a take's own file or folder, it is a link"));
        }
    }
    let bytes = read_file(&file, JSON_LIMIT)?;
    let take: Take = serde_json::from_slice(&bytes).map_err(|e| Error::parse(&file, "expected a take", e))?;
    if path.file_name().is_some_and(|n| n.to_string_lossy() == take.id.as_str()) {
        Ok(take)
    } else {
        Err(Error::file(&file, format!("expected the folder's name as id, got {:?}", take.id)))
    }
}

fn json(take: &Take) -> Vec<u8> {
    serde_json::to_vec_pretty(take).unwrap_or_default() // plain data, which always has a JSON form
}
