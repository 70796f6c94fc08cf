//! The model on MLX. Everything here belongs to one thread: MLX's streams do.

mod csm;
mod llama;
pub mod mimi;
mod sampling;
mod weights;

use std::sync::atomic::{AtomicU64, Ordering};

use mlx_rs::Array;
use mlx_rs::error::Exception;

pub use csm::Csm;

use crate::error::Error;

impl From<Exception> for Error {
    fn from(e: Exception) -> Self {
        Self::Mlx(e.what().to_owned())
    }
}

static SYNCHRONISATIONS: AtomicU64 = AtomicU64::new(0);

/// How often this process has waited for the device.
pub fn synchronisations() -> u64 {
    SYNCHRONISATIONS.load(Ordering::Relaxed)
}

/// Computes `arrays` and waits for them. The only place that waits, so that it can be counted.
fn evaluate<'a>(arrays: impl IntoIterator<Item = &'a Array>) -> Result<(), Exception> {
    SYNCHRONISATIONS.fetch_add(1, Ordering::Relaxed);
    mlx_rs::transforms::eval(arrays)
}

/// Bytes MLX holds now, and the most it has held.
///
/// # Errors
/// What MLX reports.
pub fn memory() -> crate::error::Result<(usize, usize)> {
    Ok((mlx_rs::memory::active_memory()?, mlx_rs::memory::peak_memory()?))
}
