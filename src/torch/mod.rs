//! The language model on PyTorch, through tch: *hybrid* mode, and the other side of every comparison. CPU only, because on other
//! devices PyTorch's generator is another one.

#[cfg(feature = "torch")]
mod csm;
#[cfg(feature = "torch")]
mod llama;
#[cfg(feature = "torch")]
pub mod sampling;
#[cfg(feature = "torch")]
mod weights;

#[cfg(feature = "torch")]
pub use csm::TorchCsm;

use crate::checkpoint::Checkpoint;
use crate::data::Dtype;
use crate::engine::Engine;
use crate::error::Result;

/// Whether this program was built with PyTorch.
pub const AVAILABLE: bool = cfg!(feature = "torch");
/// The version of libtorch that the crate `tch` is made for and `bundle/setup` fetches.
pub const VERSION: &str = "2.13.0";

/// Loads the PyTorch engine for `checkpoint`.
///
/// # Errors
/// Errors of reading the weights, and of PyTorch; without the cargo feature `torch`, how to get it.
#[cfg(feature = "torch")]
pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Box<dyn Engine>> {
    Ok(Box::new(TorchCsm::load(checkpoint, precision)?))
}

/// Loads the PyTorch engine for `checkpoint`.
///
/// # Errors
/// Always: this program was built without the cargo feature `torch`.
#[cfg(not(feature = "torch"))]
pub fn load(_checkpoint: &Checkpoint, _precision: Dtype) -> Result<Box<dyn Engine>> {
    Err(crate::error::Error::unavailable(
        "this mode needs PyTorch, and the program was built without it",
        "build with the cargo feature `torch`, which is on by default",
    ))
}

#[cfg(feature = "torch")]
type TorchResult<T> = std::result::Result<T, tch::TchError>;

#[cfg(feature = "torch")]
impl From<tch::TchError> for crate::error::Error {
    fn from(e: tch::TchError) -> Self {
        // PyTorch appends its C++ stack, which belongs to the log.
        let text = e.to_string();
        tracing::debug!("{text}");
        Self::Engine { backend: "PyTorch", source: text.lines().next().unwrap_or_default().to_owned().into() }
    }
}
