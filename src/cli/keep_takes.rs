//! Takes that the command line keeps, as the window does.

use std::path::{Path, PathBuf};

use super::output::message;
use crate::checkpoint::Checkpoint;
use crate::data::{ModelDims, ModelId};
use crate::error::Result;
use crate::takes::{Store, users_folder};
use crate::worker::GeneratedClip;

/// A folder of takes that clips are kept in.
pub(super) struct TakeKeeper {
    store: Store,
    model: ModelId,
    dims: ModelDims,
}

impl TakeKeeper {
    /// Opens `folder`, or the user's folder of takes, which the window shows, if none is named. `None` if takes are not kept.
    pub(super) fn open(folder: Option<&Option<PathBuf>>, checkpoint: &Checkpoint) -> Result<Option<Self>> {
        let Some(folder) = folder else { return Ok(None) };
        let folder = folder.as_deref().map(Path::to_owned).map_or_else(users_folder, Ok)?;
        Ok(Some(Self { store: Store::open(&folder)?, model: checkpoint.id()?, dims: checkpoint.dims() }))
    }

    /// Stores a clip and prints the folder. A clip without frames is not kept.
    pub(super) fn keep(&mut self, made: &GeneratedClip) -> Result<()> {
        if made.clip.codes.is_empty() {
            return Ok(());
        }
        let (take, _) = self.store.folder().write_clip(&made.as_take(&self.model, &self.dims, None))?;
        let id = self.store.add_written(take);
        message!("take: {}", self.store.path(&id).display());
        Ok(())
    }
}
