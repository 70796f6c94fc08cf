//! Takes: clips that are kept, a folder each.

mod draw_cache;
mod store;
mod take;

pub use draw_cache::{ClipDraws, DrawCache};
pub use store::{Changes, Look, Store, TakeWriter};
pub use take::{ClipSummary, Take};
