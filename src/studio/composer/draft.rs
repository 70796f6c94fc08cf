//! The draft of the conversation, which survives a restart.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::conversation::TurnDraft;
use crate::error::{Error, Result};
use crate::files::{read_own_json, write_own_json};

/// The draft of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub turns: Vec<TurnDraft>,
}

impl Draft {
    /// Reads `path`; an empty draft if there is none. An unreadable file is renamed and reported.
    pub fn read(path: &Path) -> (Self, Option<Error>) {
        read_own_json(path, "a draft")
    }

    /// Writes `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_own_json(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_read_back_and_a_broken_one_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/draft.json");
        assert_eq!(Draft::read(&path).0, Draft::default());
        let draft = Draft { turns: vec![TurnDraft { text: "Hello.".into(), ..TurnDraft::default() }] };
        draft.write(&path).unwrap();
        assert_eq!(Draft::read(&path).0, draft);
        std::fs::write(&path, "{").unwrap();
        let (read, problem) = Draft::read(&path);
        assert!(read == Draft::default() && problem.unwrap().to_string().contains("kept as"));
        assert!(path.with_extension("json.unreadable").exists());
    }
}
