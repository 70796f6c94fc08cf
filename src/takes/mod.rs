//! Takes: clips that are kept, a folder each.

mod draw_cache;
mod store;
mod take;

pub use draw_cache::{ClipDraws, DrawCache};
pub use store::Store;
pub use take::{ClipSummary, Take};
