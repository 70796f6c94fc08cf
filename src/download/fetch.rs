//! Files into the cache: `blobs/DIGEST`, and links to them in `snapshots/COMMIT`, as Hugging Face's own tools lay it out.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs4::FileExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Progress;
use super::hub::{Digest, Failure, Hub, RepositoryFile};
use crate::error::{Error, Result};
use crate::files::sync;
use crate::machine;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Fetches the files of one repository.
pub(super) struct Fetcher<'a> {
    hub: &'a Hub<'a>,
    pub(super) id: &'a str,
    commit: &'a str,
    root: PathBuf,
    /// Bytes that came over the network.
    pub(super) received: u64,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(hub: &'a Hub<'a>, id: &'a str, commit: &'a str, root: PathBuf) -> Self {
        Self { hub, id, commit, root, received: 0 }
    }

    fn blob(&self, file: &RepositoryFile) -> PathBuf {
        self.root.join("blobs").join(file.digest.name())
    }

    /// The folder of the snapshot.
    pub(super) fn snapshot(&self) -> PathBuf {
        self.root.join("snapshots").join(self.commit)
    }

    /// Where `file` is while it is being fetched.
    pub(super) fn unfinished(&self, file: &RepositoryFile) -> PathBuf {
        self.root.join("blobs").join(format!("{}.incomplete", file.digest.name()))
    }

    /// Bytes of `file` that are on disk.
    pub(super) fn present(&self, file: &RepositoryFile) -> u64 {
        let length = |path: PathBuf| fs::metadata(path).map(|m| m.len()).ok();
        length(self.blob(file)).or_else(|| length(self.unfinished(file))).unwrap_or(0).min(file.size)
    }

    /// Refuses what the disk has no room for.
    pub(super) fn check_disk(&self, files: &[&RepositoryFile]) -> Result<()> {
        let missing: u64 = files.iter().map(|f| f.size - self.present(f)).sum();
        match machine::free_disk(&self.root) {
            Some(free) if free < missing => {
                let gigabytes = |bytes: u64| bytes as f64 / 1e9;
                let problem = format!(
                    "the disk has no room: {:.2} GB are missing, {:.2} GB are free; free some space, or set HF_HUB_CACHE to a folder on \
                     another disk",
                    gigabytes(missing),
                    gigabytes(free)
                );
                Err(Error::write(&self.root, problem))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fetch_all(
        &mut self,
        files: &[&RepositoryFile],
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let mut done = 0;
        for file in files {
            self.fetch(file, done, cancelled, observer)?;
            self.link(file)?;
            done += file.size;
        }
        Ok(())
    }

    fn fetch(
        &mut self,
        file: &RepositoryFile,
        before: u64,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let blob = self.blob(file);
        if fs::metadata(&blob).is_ok_and(|m| m.is_file() && m.len() == file.size) {
            let mut present = File::open(&blob).map_err(|e| Error::read(&blob, e))?;
            if matches(&mut present, file, cancelled).map_err(|e| Error::read(&blob, e))? {
                observer(Progress::Bytes { file: file.name.clone(), done: before + file.size });
                return Ok(());
            }
            if cancelled() {
                return Err(Error::Cancelled);
            }
            tracing::warn!("{}: its checksum is wrong; {} is fetched again", blob.display(), file.name);
        }
        let path = self.unfinished(file);
        let write_error = |e| Error::write(&path, e);
        fs::create_dir_all(self.root.join("blobs")).map_err(|e| Error::write(&self.root, e))?;
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        // A link that somebody has put there leads to a file of the user's.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut part = options.open(&path).map_err(write_error)?;
        if !part.metadata().map_err(write_error)?.is_file() {
            return Err(Error::write(&path, "expected a regular file; remove it"));
        }
        if FileExt::try_lock(&part).is_err() {
            let problem = format!("{}: another program is fetching it; wait for that one", file.name);
            return Err(Error::Download { what: self.id.to_owned(), problem });
        }
        let hub = self.hub;
        let resolve = format!("{}/resolve/{}/{}", self.id, self.commit, percent_encoded(&file.name));
        let mut received = 0;
        let mut restarts = 0;
        // Retries are reported by `with_retries`, bytes from inside an attempt.
        let observer = std::cell::RefCell::new(observer);
        let mut report = |progress: Progress| (observer.borrow_mut())(progress);
        // The fetched file was wrong and is deleted: that is not progress, and not worth a third attempt.
        let mut restart = |problem: String, progress: &mut bool| {
            restarts += 1;
            *progress = false;
            match restarts {
                1 => Failure::Transient { problem, wait: None },
                _ => Failure::Final(Error::Download { what: self.id.to_owned(), problem: format!("{problem}, twice") }),
            }
        };
        hub.with_retries(self.id, &file.name, cancelled, &mut report, |progress| {
            let fatal = |e: std::io::Error| Failure::Final(Error::write(&path, e));
            let mut start = part.metadata().map_err(fatal)?.len();
            if start > file.size {
                part.set_len(0).map_err(fatal)?;
                start = 0;
            }
            if start < file.size {
                let response = hub.get(self.id, &resolve, start)?;
                if start > 0 && !continues_at(&response, start) {
                    // The server sends the whole file instead of the rest.
                    start = 0;
                }
                part.set_len(start).map_err(fatal)?;
                part.seek(SeekFrom::Start(start)).map_err(fatal)?;
                let mut body = response.into_body().into_reader();
                let mut buffer = vec![0; CHUNK];
                loop {
                    if cancelled() {
                        return Err(Failure::Final(Error::Cancelled));
                    }
                    let n = body
                        .read(&mut buffer)
                        .map_err(|e| Failure::Transient { problem: e.to_string(), wait: None })?;
                    if n == 0 {
                        break;
                    }
                    if start + n as u64 > file.size {
                        part.set_len(0).map_err(fatal)?;
                        let problem =
                            format!("{}: the server sends more than the {} bytes that it lists", file.name, file.size);
                        return Err(restart(problem, progress));
                    }
                    part.write_all(&buffer[..n]).map_err(fatal)?;
                    start += n as u64;
                    received += n as u64;
                    *progress = true;
                    (observer.borrow_mut())(Progress::Bytes { file: file.name.clone(), done: before + start });
                }
                if start < file.size {
                    let problem = format!("the connection ended after {start} of {} bytes", file.size);
                    return Err(Failure::Transient { problem, wait: None });
                }
            }
            sync(&part).map_err(fatal)?;
            if matches(&mut part, file, cancelled).map_err(fatal)? {
                return Ok(());
            }
            if cancelled() {
                return Err(Failure::Final(Error::Cancelled));
            }
            part.set_len(0).map_err(fatal)?;
            let problem = format!("{}: its checksum is wrong: not the bytes that the repository lists", file.name);
            Err(restart(problem, progress))
        })?;
        self.received += received;
        fs::rename(&path, &blob).map_err(|e| Error::write(&blob, e))
    }

    /// Puts a link to the blob into the snapshot.
    fn link(&self, file: &RepositoryFile) -> Result<()> {
        let Some(relative) = file.relative() else {
            let problem = format!("{:?}: expected a file's name inside the repository", file.name);
            return Err(Error::Download { what: self.id.to_owned(), problem });
        };
        let link = self.snapshot().join(relative);
        let error = |e| Error::write(&link, e);
        if let Some(folder) = link.parent() {
            fs::create_dir_all(folder).map_err(error)?;
        }
        let up = "../".repeat(relative.components().count() + 1);
        let target = format!("{up}blobs/{}", file.digest.name());
        if fs::read_link(&link).is_ok_and(|found| found == Path::new(&target)) {
            return Ok(());
        }
        if link.symlink_metadata().is_ok() {
            fs::remove_file(&link).map_err(error)?;
        }
        // A disk without links gets a copy.
        if std::os::unix::fs::symlink(&target, &link).is_err() {
            fs::copy(self.blob(file), &link).map_err(error)?;
        }
        Ok(())
    }
}

/// A file's name as part of an address.
fn percent_encoded(name: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(name, KEPT).to_string()
}

/// Whether the response holds the bytes from `start` on.
fn continues_at(response: &ureq::http::Response<ureq::Body>, start: u64) -> bool {
    let range = response.headers().get("Content-Range").and_then(|v| v.to_str().ok());
    response.status().as_u16() == 206 && range.is_some_and(|r| r.starts_with(&format!("bytes {start}-")))
}

/// Whether the file has the hash that the repository lists; not if it is cancelled before that is known.
fn matches(part: &mut File, file: &RepositoryFile, cancelled: &dyn Fn() -> bool) -> std::io::Result<bool> {
    part.seek(SeekFrom::Start(0))?;
    let found = match &file.digest {
        Digest::Sha256(_) => hash_of(Sha256::new(), part, cancelled)?,
        Digest::Git(_) => hash_of(Sha1::new_with_prefix(format!("blob {}\0", file.size)), part, cancelled)?,
    };
    Ok(found.is_some_and(|found| found.eq_ignore_ascii_case(file.digest.name())))
}

/// The hash of all that can be read, hexadecimal; `None` if it is cancelled.
fn hash_of(
    mut hash: impl sha2::Digest,
    from: &mut File,
    cancelled: &dyn Fn() -> bool,
) -> std::io::Result<Option<String>> {
    let mut buffer = vec![0; CHUNK];
    while !cancelled() {
        match from.read(&mut buffer)? {
            0 => return Ok(Some(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())),
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(None)
}
