//! The memory that a checkpoint takes.

use super::Checkpoint;
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::machine::{self, Device};

impl Checkpoint {
    /// Bytes of the tensors whose names begin with `prefix` in MLX's engine when it computes in `precision`. Float32 arithmetic on
    /// a processor reads weights as they are stored.
    pub fn weight_bytes(&self, prefix: &str, precision: Dtype) -> usize {
        match precision {
            Dtype::Float32 if !machine::graph_wanted() => self.tensors.stored_size(prefix),
            _ => self.tensors.size(prefix, precision).1,
        }
    }

    /// Bytes of the language model in MLX's engine when it computes in `precision`.
    pub(super) fn language_model_bytes(&self, precision: Dtype) -> usize {
        self.weight_bytes("", precision) - self.weight_bytes("codec_model.", precision)
    }

    /// Checks that the language model fits into free memory, unless it is to be loaded anyway. `unpacked`: the
    /// engine expands quantised weights.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with both numbers.
    pub fn check_memory(&self, precision: Dtype, unpacked: bool) -> Result<()> {
        let unpacked_bytes = |prefix| self.tensors.size(prefix, precision).0 * precision.size();
        let needed = match unpacked {
            true => unpacked_bytes("") - unpacked_bytes("codec_model."),
            false => self.language_model_bytes(precision),
        };
        check_address_space(needed as u64)?;
        let Some(memory) = machine::memory().filter(|_| !self.load_anyway) else { return Ok(()) };
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        if let Device::Gpu { working_set: Some(limit), .. } = machine::device_for(precision)
            && needed as u64 > *limit
        {
            let what = format!(
                "too little memory: the language model takes {:.1} GB in {}, and the GPU can work with {:.1} GB",
                gigabytes(needed as u64),
                precision.name(),
                gigabytes(*limit)
            );
            return Err(Error::unavailable(
                what,
                "choose another precision, quantise the checkpoint, or load it anyway",
            ));
        }
        if needed as u64 <= memory.available {
            return Ok(());
        }
        let what = format!(
            "too little memory: the language model takes {:.1} GB in {}, and {:.1} GB of {:.1} are free",
            gigabytes(needed as u64),
            precision.name(),
            gigabytes(memory.available),
            gigabytes(memory.total)
        );
        Err(Error::unavailable(
            what,
            "close other programs, choose another precision, quantise the checkpoint, or load it anyway",
        ))
    }
}

/// Checks that a limit of the address space leaves room for `bytes` of weights and for computing. OpenBLAS asks for its 128 MB a thread
/// again and again until it gets them, and so waits for ever under a limit.
fn check_address_space(bytes: u64) -> Result<()> {
    const COMPUTING: u64 = 512 << 20;
    let needed = bytes + COMPUTING;
    match machine::address_space_left() {
        Some(left) if left < needed => Err(Error::unavailable(
            format!(
                "too little memory: the model takes {} MB of address space with what it computes in, and the limit of this process leaves \
                 {} MB",
                needed >> 20,
                left >> 20
            ),
            "raise the limit (ulimit -v)",
        )),
        _ => Ok(()),
    }
}
