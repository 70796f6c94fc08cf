//! Takes: clips that are kept, a folder each.

mod folder;
mod logits_cache;
mod store;
mod take;

pub use folder::{FolderChanges, FolderScan, TakeFolder, read_take_clip};
pub use logits_cache::LogitsCache;
pub use store::Store;
pub use take::{ClipSummary, Take, TakeId};
