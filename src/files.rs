//! Reading and writing of whole files.

use std::borrow::Cow;
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

/// Reads a pipe or device to its end, of at most `limit` bytes; waits for whoever writes it.
///
/// # Errors
/// [`Error::Read`] if it cannot be read, [`Error::InvalidFile`] if there is more.
pub(crate) fn read_stream(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::read(path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::file(path, format!("expected at most {} MB from a pipe, got more", limit >> 20)));
    }
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
        create_private_folder(folder).map_err(|e| Error::write(path, e))?;
    }
    write_atomically(path, &bytes)
}

/// Creates a folder of the user's own data with all folders above it, which nobody else may read: takes, recordings, drafts and logs say what
/// somebody has said. An existing folder keeps its permissions.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens a regular file without waiting for a FIFO's writer.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(&*with_home(path)).map_err(|e| match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() && e.kind() == io::ErrorKind::NotFound => {
            let problem =
                "is a link to a file that is not there: an unfinished download, perhaps; `csm download` completes it";
            Error::file(path, problem)
        }
        _ => Error::read(path, e),
    })?;
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
    builder.prefix(".csm-").suffix(PART);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // reduced by the umask
    let mut file = builder.tempfile_in(&folder)?;
    file.write_all(bytes)?;
    sync(file.as_file())?;
    file.persist(&target).map_err(|e| e.error)?;
    sync_folder(&folder)
}

/// `name` with room for a suffix, as names of files have 255 bytes at most.
pub(crate) fn name_with_room(name: &str) -> &str {
    const LONGEST: usize = 200;
    let end = (0..=LONGEST.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    &name[..end]
}

/// What programs that ended early have left in `folder` under names that begin with `prefix` and end with ".part", as far as `is_left` says
/// so. Sorted by name.
pub(crate) fn leftovers(folder: &Path, prefix: &str, is_left: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let named = |found: &PathBuf| {
        let name = found.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(PART)
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut left: Vec<PathBuf> = entries.filter(|found| named(found) && is_left(found)).collect();
    left.sort_unstable();
    left
}

/// End of the name of what is not complete yet.
pub(crate) const PART: &str = ".part";

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

/// `path` with the home folder for a `~` that no shell has replaced (`--output=~/a.wav`), unless there is a folder of that name.
pub(crate) fn with_home(path: &Path) -> Cow<'_, Path> {
    let rest = path.strip_prefix("~").ok().filter(|_| !Path::new("~").exists());
    match (rest, std::env::home_dir()) {
        (Some(rest), Some(home)) => Cow::Owned(home.join(rest)),
        _ => Cow::Borrowed(path),
    }
}

/// The kind of output that `path` is.
pub(crate) fn destination(path: &Path) -> io::Result<Destination> {
    let path = &*with_home(path);
    if path == Path::new(STANDARD_OUTPUT) {
        return Ok(Destination::Stream);
    }
    let target = match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(found) if !found.is_file() => return Ok(Destination::Stream),
        Ok(_) => fs::canonicalize(path)?,
        Err(_) => link_target(path)?,
    };
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Destination::File { target, folder })
}

/// Where a link leads that has no file at its end yet; `path` itself if it is no link.
fn link_target(path: &Path) -> io::Result<PathBuf> {
    const LONGEST_CHAIN: usize = 40; // as the system's own
    let mut target = path.to_owned();
    for _ in 0..LONGEST_CHAIN {
        let Ok(next) = fs::read_link(&target) else { return Ok(target) };
        target = target.parent().unwrap_or(Path::new("")).join(next);
    }
    Err(io::Error::other("too many links lead to one another"))
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
            // The file is written; a folder that cannot be synced matters only after a power cut.
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

/// Makes what was written to `file` durable, as far as its file system can: some that are mounted over a network or in user space know no
/// such call, and the file is whole without it.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, Unsupported};
    match file.sync_all() {
        Err(e) if matches!(e.kind(), InvalidInput | Unsupported) => Ok(()),
        result => result,
    }
}

/// Makes a rename in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    sync(&File::open(folder)?)
}

/// Reads a text file in UTF-8 of at most 64 MiB.
///
/// # Errors
/// [`Error::Read`], and [`Error::InvalidFile`] if it is not text.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_file(path, JSON_LIMIT)?;
    String::from_utf8(bytes).map_err(|e| Error::parse(path, "expected text in UTF-8", e))
}

/// Creates a file that must not exist yet, writes and syncs it.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    sync(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_the_user_reads_their_own_folders() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("data/takes");
        create_private_folder(&own).unwrap();
        create_private_folder(&own).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&own), mode(own.parent().unwrap())), (0o700, 0o700));
    }

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
    fn a_tilde_is_the_home_folder() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(with_home(Path::new("~/a/b.wav")), home.join("a/b.wav"));
        for same in ["a/~/b", "~a/b", "/~/b", "a"] {
            assert_eq!(with_home(Path::new(same)), Path::new(same));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_nothing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("blob", folder.path().join("link")).unwrap();
        let error = read_file(&folder.path().join("link"), 10).unwrap_err().to_string();
        assert!(error.contains("csm download"), "{error}");
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
        // One that leads to a file that is not there yet, by way of another link.
        let (new, first, second) = ("new", folder.path().join("first"), folder.path().join("second"));
        std::os::unix::fs::symlink(new, &second).unwrap();
        std::os::unix::fs::symlink("second", &first).unwrap();
        write_atomically(&first, b"made").unwrap();
        assert_eq!(fs::read(folder.path().join(new)).unwrap(), b"made");
        assert!(fs::symlink_metadata(&first).unwrap().is_symlink());
        let circle = folder.path().join("circle");
        std::os::unix::fs::symlink("circle", &circle).unwrap();
        assert!(write_atomically(&circle, b"x").is_err());
    }
}
