//! Takes: clips that are kept, a folder each.

use std::path::PathBuf;

use crate::error::{Error, Result};

mod folder;
mod logits_cache;
mod new_take;
mod store;
mod take;

pub use folder::{FolderChanges, FolderScan, TakeFolder, read_take_clip, read_take_words};
pub use logits_cache::LogitsCache;
pub use new_take::NewTake;
pub use store::Store;
pub use take::{ClipSummary, Take, TakeId};

/// The user's folder of takes, which the window shows.
///
/// # Errors
/// [`Error::Unavailable`] if there is no home folder.
pub fn users_folder() -> Result<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "csm-studio")
        .ok_or_else(|| Error::unavailable("there is no home folder", "set HOME"))?;
    Ok(folders.data_dir().join("takes"))
}
