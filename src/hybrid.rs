//! The way to the PyTorch engine, and what to say where the program was built without it.

use crate::checkpoint::{Checkpoint, Dtype};
use crate::engine::Engine;
use crate::error::Result;

/// Whether this program can run *hybrid* mode.
pub const AVAILABLE: bool = cfg!(feature = "torch");

/// The PyTorch engine for `checkpoint`.
///
/// # Errors
/// What PyTorch reports; without the cargo feature `torch`, how to get it.
#[cfg(feature = "torch")]
pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Box<dyn Engine>> {
    Ok(Box::new(crate::torch::TorchCsm::load(checkpoint, precision)?))
}

/// The PyTorch engine for `checkpoint`.
///
/// # Errors
/// Always: this program was built without the cargo feature `torch`.
#[cfg(not(feature = "torch"))]
pub fn load(_checkpoint: &Checkpoint, _precision: Dtype) -> Result<Box<dyn Engine>> {
    Err(crate::error::Error::Unavailable {
        what: "hybrid sampling needs PyTorch, and this program was built without it".into(),
        mend: "build with the cargo feature `torch` (cargo build --release --features torch; it is on by default)"
            .into(),
    })
}
