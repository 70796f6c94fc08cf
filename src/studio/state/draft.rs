//! What is being written, kept over a restart: the turns and what they were spoken as.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TurnDraft;
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file, write_atomically};

/// The draft of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// The turns.
    pub turns: Vec<TurnDraft>,
}

impl Draft {
    /// Reads `path`; an empty draft where there is none, or none that can be read.
    pub fn read(path: &Path) -> Self {
        if !path.exists() {
            return Self::default();
        }
        let read = read_file(path, JSON_LIMIT);
        let draft =
            read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| Error::parse(path, "is no draft", e)));
        draft.unwrap_or_else(|e| {
            tracing::warn!("{e}");
            Self::default()
        })
    }

    /// Writes `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::write(path, e))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::write(path, e))?;
        }
        write_atomically(path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_read_back_and_a_broken_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/draft.json");
        assert_eq!(Draft::read(&path), Draft::default());
        let draft = Draft { turns: vec![TurnDraft { id: 3, text: "Hello.".into(), ..TurnDraft::default() }] };
        draft.write(&path).unwrap();
        assert_eq!(Draft::read(&path), draft);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Draft::read(&path), Draft::default());
    }
}
