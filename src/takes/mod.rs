//! Takes: clips that are kept, a folder each.

mod store;
mod take;

pub use store::Store;
pub use take::{ClipSummary, Take};
