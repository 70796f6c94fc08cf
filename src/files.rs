//! Reading and writing of whole files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Largest JSON file that is read.
pub(crate) const JSON_LIMIT: u64 = 64 << 20;
/// Largest token file or recording that is read.
pub(crate) const MEDIA_LIMIT: u64 = 2 << 30;

/// Reads a regular file of at most `limit` bytes. A FIFO or device is refused rather than waited for.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read, [`Error::InvalidFile`] if it is malformed.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata().map_err(|e| Error::read(path, e))?.len();
    if length > limit {
        return Err(Error::file(path, format!("expected at most {} MB, got {} MB", limit >> 20, length >> 20)));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
    Ok(bytes)
}

/// Reads a JSON file that the program keeps for itself; a missing one means the default. One that cannot be used is renamed, so
/// that the next write does not replace it, and reported.
pub(crate) fn read_own_json<T: Default + DeserializeOwned>(path: &Path, what: &str) -> (T, Option<Error>) {
    let bytes = match read_file(path, JSON_LIMIT) {
        Ok(bytes) => bytes,
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return (T::default(), None),
        Err(e) => return (T::default(), Some(e)),
    };
    serde_json::from_slice(&bytes).map_or_else(
        |e| {
            let quarantine_path = path.with_extension("json.unreadable");
            let kept = match fs::rename(path, &quarantine_path) {
                Ok(()) => format!("it is kept as {}", quarantine_path.display()),
                Err(_) => "it stays where it is".into(),
            };
            (T::default(), Some(Error::parse(path, format!("is not usable as {what} ({kept})"), e)))
        },
        |value| (value, None),
    )
}

/// Writes such a file, whole or not at all, and its folder if need be.
///
/// # Errors
/// [`Error::Write`] if the file cannot be written.
pub(crate) fn write_own_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::write(path, e))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::write(path, e))?;
    }
    write_atomically(path, &bytes)
}

/// Opens a regular file without waiting for a FIFO's writer.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path).map_err(|e| Error::read(path, e))?;
    if !file.metadata().map_err(|e| Error::read(path, e))?.is_file() {
        return Err(Error::file(path, "expected a regular file"));
    }
    Ok(file)
}

/// Writes `bytes` to `path` so that a reader finds the old file or the new one and never a part: a temporary file in the same
/// folder, synced and renamed. Links are followed; a FIFO or device is written directly.
///
/// # Errors
/// [`Error::Write`]; the old file is untouched then.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes).map_err(|e| Error::write(path, e))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let Destination::File { target, folder } = destination(path)? else {
        return File::options().write(true).open(path)?.write_all(bytes);
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".csm-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // reduced by the umask
    let mut file = builder.tempfile_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|e| e.error)?;
    sync_folder(&folder)
}

/// The name of standard output in arguments.
pub(crate) const STANDARD_OUTPUT: &str = "-";

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A file, with links followed, and its folder.
    File {
        /// The file that will be replaced or made.
        target: PathBuf,
        /// The folder that contains the file.
        folder: PathBuf,
    },
    /// Standard output, a FIFO or a device: written from the start, not replaced.
    Stream,
}

/// What `path` is as an output.
pub(crate) fn destination(path: &Path) -> io::Result<Destination> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Destination::Stream);
    }
    let target = match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(found) if !found.is_file() => return Ok(Destination::Stream),
        Ok(_) => fs::canonicalize(path)?,
        Err(_) => path.to_owned(),
    };
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Destination::File { target, folder })
}

/// Puts a finished temporary file into its place. A closed standard output is not an error: its reader has seen enough.
///
/// # Errors
/// The system's error, with the file as it is.
pub(crate) fn persist(
    file: tempfile::NamedTempFile,
    destination: &Destination,
    path: &Path,
) -> std::result::Result<(), (io::Error, tempfile::NamedTempFile)> {
    match destination {
        Destination::File { target, folder } => {
            file.persist(target).map_err(|e| (e.error, e.file))?;
            // The file is there; that the folder cannot be synced harms after a power cut only.
            sync_folder(folder).ok();
            Ok(())
        }
        Destination::Stream => match copy_to_stream(file.path(), path) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err((e, file)),
            Ok(()) => Ok(()),
        },
    }
}

fn copy_to_stream(from: &Path, path: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    if path == Path::new(STANDARD_OUTPUT) {
        let mut out = io::stdout().lock();
        io::copy(&mut source, &mut out)?;
        return out.flush();
    }
    let mut out = File::options().write(true).open(path)?;
    io::copy(&mut source, &mut out)?;
    out.flush()
}

/// Makes a rename in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates a file that must not exist yet, writes and syncs it.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(read_file(&path, 10).unwrap(), b"new");
        assert!(write_atomically(&folder.path().join("none/a.txt"), b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(read_file(&path, 2).unwrap_err().to_string().contains("at most"));
        assert!(read_file(folder.path(), 2).unwrap_err().to_string().contains("regular file"));
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        write_atomically(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
