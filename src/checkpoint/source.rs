//! Where a checkpoint's files come from: a folder, or the program itself.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file};

/// A checkpoint's files.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A folder on disk.
    Folder(PathBuf),
    /// Files inside the program: (name, content).
    Embedded(&'static [(&'static str, &'static [u8])]),
}

impl Source {
    /// The path of `name`, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.join(name),
            Self::Embedded(_) => Path::new("(embedded voice)").join(name),
        }
    }

    /// Whether there is a file called `name`. A link that leads nowhere counts: opening it reports the damage.
    pub(super) fn contains(&self, name: &str) -> Result<bool> {
        match self {
            Self::Embedded(files) => Ok(files.iter().any(|(n, _)| *n == name)),
            Self::Folder(folder) => match folder.join(name).symlink_metadata() {
                Ok(_) => Ok(true),
                Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
                Err(e) => Err(Error::read(folder.join(name), e)),
            },
        }
    }

    /// Content of the small file `name`, or `None` where there is none.
    pub(super) fn read_optional(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        if !self.contains(name)? {
            return Ok(None);
        }
        match self {
            Self::Embedded(files) => Ok(files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| Cow::Borrowed(*bytes))),
            Self::Folder(folder) => {
                let bytes = read_file(&folder.join(name), JSON_LIMIT)?;
                refuse_lfs_pointer(&folder.join(name), &bytes)?;
                Ok(Some(Cow::Owned(bytes)))
            }
        }
    }

    /// Content of the small file `name`; `what` says what it is for.
    pub(super) fn read(&self, name: &str, what: &str) -> Result<Cow<'static, [u8]>> {
        self.read_optional(name)?.ok_or_else(|| self.missing(name, what))
    }

    /// The JSON file `name`, or `None` where there is none.
    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.read_optional(name)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|e| Error::parse(self.path(name), "its content is not as expected", e))
    }

    pub(super) fn missing(&self, name: &str, what: &str) -> Error {
        Error::file(self.path(name), format!("missing; expected {what}"))
    }
}

/// Refuses the stand-in that git leaves where git-lfs has not fetched the file.
pub(super) fn refuse_lfs_pointer(path: &Path, start: &[u8]) -> Result<()> {
    if start.starts_with(b"version https://git-lfs") {
        let problem = "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull` or download it again";
        return Err(Error::file(path, problem));
    }
    Ok(())
}
