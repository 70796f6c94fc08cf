//! Weight files: opened, their headers read, their tensors read one by one.

mod safetensors;
mod torch;

use std::borrow::Cow;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::source::{Source, foreign_content};
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::files::open_regular;

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(super) struct HeaderEntry {
    pub(super) name: String,
    pub(super) numbers: Numbers,
    pub(super) shape: Vec<usize>,
    /// First byte in the file.
    pub(super) start: u64,
    pub(super) length: usize,
}

/// Number type of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Floats that weights can be made of.
    Float(Dtype),
    /// 32-bit words, into which quantised weights are packed.
    Word,
    /// Anything else, by its name.
    Other(String),
}

/// A weight file that stays open, so that replacing it on disk changes nothing here.
pub(super) struct WeightFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    Embedded(&'static [u8]),
    Disk { file: File, opened: Metadata },
}

impl WeightFile {
    /// Opens the file `name` of `source`; `what` says what it is for.
    pub(super) fn open(source: &Source, name: &str, what: &str) -> Result<Self> {
        if !source.contains(name)? {
            return Err(source.missing(name, what));
        }
        match source {
            Source::Embedded(files) => {
                let bytes = files.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, bytes)| bytes);
                Ok(Self { path: source.path(name), content: Content::Embedded(bytes) })
            }
            Source::Folder(folder) => Self::open_path(&folder.join(name)),
        }
    }

    /// Opens the file at `path`.
    pub(super) fn open_path(path: &Path) -> Result<Self> {
        let file = open_regular(path)?;
        let metadata = file.metadata().map_err(|e| Error::read(path, e))?;
        Ok(Self { path: path.to_owned(), content: Content::Disk { file, opened: metadata } })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        match &self.content {
            Content::Embedded(bytes) => bytes.len() as u64,
            Content::Disk { opened, .. } => opened.len(),
        }
    }

    /// Bytes as they were when the file was opened: one that another program has changed since is an error, where a memory
    /// map would end the process with SIGBUS or mix old weights and new.
    pub(super) fn read_at(&self, start: u64, length: usize) -> Result<Cow<'_, [u8]>> {
        match &self.content {
            Content::Embedded(bytes) => {
                let range = start as usize..(start as usize).saturating_add(length);
                bytes.get(range).map(Cow::Borrowed).ok_or_else(|| self.damaged("it ends too early"))
            }
            Content::Disk { file, .. } => {
                self.check_unchanged(file)?;
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start).map_err(|e| Error::read(&self.path, e))?;
                self.check_unchanged(file)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    fn check_unchanged(&self, file: &File) -> Result<()> {
        let Content::Disk { opened, .. } = &self.content else { return Ok(()) };
        let now = file.metadata().map_err(|e| Error::read(&self.path, e))?;
        let written = |m: &Metadata| (m.len(), m.mtime(), m.mtime_nsec());
        // Whoever writes into the file and puts the old time back still changes the time of its status. So does renaming or deleting
        // it, after which its name is no longer this file's.
        let status = |m: &Metadata| (m.ctime(), m.ctime_nsec());
        let is_named = || fs::metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == (now.dev(), now.ino()));
        if written(&now) == written(opened) && (status(&now) == status(opened) || !is_named()) {
            return Ok(());
        }
        Err(Error::weights(&self.path, "changed on disk while it was open; open the checkpoint again"))
    }

    fn damaged(&self, problem: impl std::fmt::Display) -> Error {
        Error::weights(&self.path, format!("is damaged or not a weight file: {problem}"))
    }

    /// Name and place of every tensor, checked to lie within the file.
    pub(super) fn header(&self) -> Result<Vec<HeaderEntry>> {
        let start = self.read_at(0, self.length().min(512) as usize)?;
        if let Some(problem) = foreign_content(&start) {
            return Err(Error::weights(&self.path, problem));
        }
        if start.starts_with(b"PK\x03\x04") { torch::header(self) } else { safetensors::header(self) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn opened(folder: &Path) -> (PathBuf, WeightFile) {
        let path = folder.join("model.safetensors");
        fs::write(&path, "old numbers").unwrap();
        let file = WeightFile::open_path(&path).unwrap();
        // The times of a file advance in ticks.
        std::thread::sleep(Duration::from_millis(20));
        (path, file)
    }

    #[test]
    fn a_file_that_was_moved_deleted_or_replaced_is_read_as_it_was_opened() {
        let changes: [fn(&Path); 3] = [
            |path| fs::rename(path, path.with_extension("moved")).unwrap(),
            |path| fs::remove_file(path).unwrap(),
            |path| {
                fs::write(path.with_extension("new"), "new numbers").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
        ];
        for change in changes {
            let folder = tempfile::tempdir().unwrap();
            let (path, file) = opened(folder.path());
            change(&path);
            assert_eq!(*file.read_at(0, 11).unwrap(), *b"old numbers");
        }
    }

    #[test]
    fn a_file_that_was_written_to_is_an_error_even_with_its_old_time() {
        for keeps_time in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (path, file) = opened(folder.path());
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            let mut written = File::options().write(true).open(&path).unwrap();
            written.write_all(b"new").unwrap();
            if keeps_time {
                written.set_modified(time).unwrap();
            }
            let error = file.read_at(0, 11).unwrap_err().to_string();
            assert!(error.contains("changed on disk"), "{error}");
        }
    }
}
