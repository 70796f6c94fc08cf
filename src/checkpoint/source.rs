//! Where a checkpoint's files come from: a folder, or the program itself.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file};

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

    /// Content of the small file `name`, or `None` if there is none.
    pub(super) fn read_optional(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        if !self.contains(name)? {
            return Ok(None);
        }
        match self {
            Self::Embedded(files) => Ok(files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| Cow::Borrowed(*bytes))),
            Self::Folder(folder) => {
                let bytes = read_file(&folder.join(name), JSON_LIMIT)?;
                if let Some(problem) = foreign_content(&bytes) {
                    return Err(Error::file(folder.join(name), problem));
                }
                Ok(Some(Cow::Owned(bytes)))
            }
        }
    }

    /// The JSON file `name`, or `None` if there is none.
    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.read_optional(name)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|e| Error::parse(self.path(name), "its content is not as expected", e))
    }

    /// Whether a download into the folder, or into the cache that it is a snapshot of, was broken off.
    pub(super) fn has_unfinished_download(&self) -> bool {
        let Self::Folder(folder) = self else { return false };
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        let blobs = folder.parent().and_then(Path::parent).map(|repository| repository.join("blobs"));
        let downloads = folder.join(".cache/huggingface/download");
        let entries =
            [Some(folder), blobs, Some(downloads)].into_iter().flatten().filter_map(|f| std::fs::read_dir(f).ok());
        let mut names = entries.flatten().flatten().map(|entry| entry.path());
        names.any(|path| path.extension().is_some_and(|e| e == "incomplete" || e == "part" || e == "crdownload"))
    }

    pub(super) fn missing(&self, name: &str, what: &str) -> Error {
        Error::file(self.path(name), format!("missing; expected {what}"))
    }
}

/// The type of a file without readable weights that begins with these bytes.
pub(super) fn foreign_content(start: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&start[..start.len().min(256)]).trim_start().to_lowercase();
    let saved_page = "is a web page saved as weights, not the weights: the download was answered by a log-in or error page; \
                      download the file again (`csm download ID`)";
    if text.starts_with("version https://git-lfs") {
        return Some(
            "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull` or download it again".into(),
        );
    }
    if text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml") {
        return Some(saved_page.into());
    }
    if text.starts_with("{\"error\"") || text.starts_with("entry not found") || text.starts_with("access to model") {
        return Some(format!(
            "holds a server's error message, not weights: {:?}; download the file again",
            first_line(&text)
        ));
    }
    if start.starts_with(b"GGUF") {
        return Some(
            "is a GGUF file (llama.cpp); expected safetensors or ckpt.pt: take the checkpoint it was made from".into(),
        );
    }
    if start.starts_with(b"\x80\x02") || start.starts_with(b"\x80\x03") || start.starts_with(b"\x80\x04") {
        let problem = "is a pickle of PyTorch before 1.6 or of another program, which cannot be read without running its code; save \
                       it again with torch.save, or as safetensors";
        return Some(problem.into());
    }
    (!start.is_empty() && start.iter().all(|b| *b == 0)).then(|| {
        "begins with zeros only: space was kept for it and the download never filled it; download it again".into()
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(100).collect()
}
