//! The way to the PyTorch engine, and what to say where the program was built without it.

use crate::checkpoint::{Checkpoint, Dtype};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Whether this program can run *hybrid* mode.
pub const AVAILABLE: bool = false;

/// The PyTorch engine for `checkpoint`.
///
/// # Errors
/// [`Error::Unavailable`] without the `torch` feature.
pub fn load(_checkpoint: &Checkpoint, _precision: Dtype) -> Result<Box<dyn Engine>> {
    Err(Error::Unavailable {
        what: "hybrid sampling needs PyTorch, and this program was built without it".into(),
        mend: "build with the cargo feature `torch` (on by default)".into(),
    })
}
