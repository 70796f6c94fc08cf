//! Where a checkpoint's files come from: a folder, or the program itself.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A checkpoint's files.
#[derive(Clone, Debug)]
pub enum Source {
    /// A folder.
    Folder(PathBuf),
    /// Files inside the program: (name, content).
    Embedded(&'static [(&'static str, &'static [u8])]),
}

/// A file's content.
pub enum Bytes {
    /// Mapped from disk.
    Mapped(Mmap),
    /// Inside the program.
    Static(&'static [u8]),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(m) => m,
            Self::Static(s) => s,
        }
    }
}

impl Source {
    /// The path of `name`, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(name),
            Self::Embedded(_) => Path::new("(embedded voice)").join(name),
        }
    }

    /// Content of `name`, or `None` where there is no such file.
    ///
    /// # Errors
    /// [`Error::File`] where it exists and cannot be read.
    pub fn read_optional(&self, name: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Embedded(files) => Ok(files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| Bytes::Static(bytes))),
            Self::Folder(folder) => {
                let path = folder.join(name);
                if !path.exists() {
                    return Ok(None);
                }
                map(&path).map(|m| Some(Bytes::Mapped(m)))
            }
        }
    }

    /// Content of `name`.
    ///
    /// # Errors
    /// [`Error::File`] where it is missing or cannot be read; `what` tells what it is for.
    pub fn read(&self, name: &str, what: &str) -> Result<Bytes> {
        self.read_optional(name)?.ok_or_else(|| Error::file(self.path(name), format!("missing; expected {what}")))
    }
}

fn map(path: &Path) -> Result<Mmap> {
    let cannot = |e: std::io::Error| Error::file(path, format!("cannot be read: {e}"));
    let file = File::open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(Error::file(path, "is not a file"));
    }
    // SAFETY: the map is read only while a checkpoint is opened. A file that another process cuts short in that time would
    // raise SIGBUS; reading into memory instead would double the peak of a 6 GB checkpoint.
    unsafe { Mmap::map(&file) }.map_err(cannot)
}
