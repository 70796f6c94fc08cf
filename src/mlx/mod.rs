//! The model on MLX. Everything here belongs to the one thread that owns MLX's streams.

mod cpu;
mod csm;
mod device;
mod fast;
mod llama;
pub mod mimi;
mod network;
mod nn;
mod sampling;
mod weights;

use std::sync::atomic::{AtomicU64, Ordering};

use mlx_rs::error::Exception;
use mlx_rs::{Array, with_stream};

pub use csm::MlxCsm;
pub use device::find_device;
pub(crate) use device::release_cache;

use self::device::stream_for;
use self::sampling::{DrawNoise, native_key, sample_tokens};
use crate::checkpoint::TensorData;
use crate::data::{Dtype, SamplingParams};
use crate::error::{Error, Result};

impl From<Exception> for Error {
    fn from(e: Exception) -> Self {
        // The exception's place in our code belongs to the log.
        tracing::debug!("{e}");
        Self::Engine { backend: "MLX", source: e.what().to_owned().into() }
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
    let evaluated = mlx_rs::transforms::eval(arrays);
    match cpu::take_panic() {
        Some(words) => Err(Exception::custom(format!("an operation on the processor failed: {words}"))),
        None => evaluated,
    }
}

/// Tokens of *exact* draws as the graph makes them, from (logits, settings, PyTorch's noise).
///
/// # Errors
/// [`Error::Engine`] with the error of MLX.
pub fn exact_draws(cases: &[(&[f32], SamplingParams, &[f32])]) -> Result<Vec<u32>> {
    let array = |x: &[f32]| Array::from_slice(x, &[1, x.len() as i32]);
    let draw = |(logits, params, noise): &(&[f32], SamplingParams, &[f32])| {
        sample_tokens(&array(logits), *params, None, &DrawNoise::Exponential(array(noise)))
    };
    let draws = || read_tokens(cases.iter().map(draw).collect::<Result<_, Exception>>()?);
    Ok(with_stream(&stream_for(Dtype::Float32), draws)?)
}

/// `n` tokens of *native* draws from the same logits, with the keys of frames 0 to n - 1 of a clip with this seed.
///
/// # Errors
/// [`Error::Engine`] with the error of MLX.
pub fn native_draws(logits: &[f32], params: SamplingParams, seed: u64, n: usize) -> Result<Vec<u32>> {
    let logits = Array::from_slice(logits, &[1, logits.len() as i32]);
    let draw = |frame| sample_tokens(&logits, params, None, &DrawNoise::Keys(vec![native_key(seed, frame, 0)?]));
    Ok(read_tokens((0..n).map(draw).collect::<Result<_, Exception>>()?)?)
}

fn read_tokens(tokens: Vec<Array>) -> Result<Vec<u32>, Exception> {
    let all = mlx_rs::ops::concatenate(&tokens, 0)?;
    evaluate([&all])?;
    Ok(all.as_slice::<u32>().to_vec())
}

/// A quantised matrix as bytes, little-endian.
pub struct QuantisedBytes {
    /// 32-bit words, `[out, in * bits / 32]`.
    pub packed: Vec<u8>,
    /// `[out, in / group]`, in the matrix' number type.
    pub scales: Vec<u8>,
    /// Biases, of the same shape.
    pub biases: Vec<u8>,
}

/// MLX's affine quantisation of a matrix `[out, in]`.
///
/// # Errors
/// [`Error::Engine`] with the error of MLX.
pub fn quantise(matrix: &TensorData<'_>, bits: usize, group: usize) -> Result<QuantisedBytes> {
    let array = weights::array(&matrix.bytes, &matrix.shape, weights::mlx_dtype(matrix.dtype));
    let (packed, scales, biases) = mlx_rs::ops::quantize(&array, group as i32, bits as i32)?;
    evaluate([&packed, &scales, &biases])?;
    let floats = |array: &Array| match matrix.dtype {
        Dtype::Float32 => bytemuck::cast_slice(array.as_slice::<f32>()).to_vec(),
        Dtype::Float16 => array.as_slice::<half::f16>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        Dtype::Bfloat16 => array.as_slice::<half::bf16>().iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    Ok(QuantisedBytes {
        packed: bytemuck::cast_slice(packed.as_slice::<u32>()).to_vec(),
        scales: floats(&scales),
        biases: floats(&biases),
    })
}

/// Bytes that MLX holds now, and the most it has held.
///
/// # Errors
/// [`Error::Engine`] with the error of MLX.
pub fn memory() -> Result<(usize, usize)> {
    Ok((mlx_rs::memory::active_memory()?, mlx_rs::memory::peak_memory()?))
}

#[cfg(test)]
mod tests {
    use super::fast::pretended_gpu;
    use super::mimi::Mimi;
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::data::{ClipSpec, Codes, Mode};
    use crate::engine::{Engine, FrameRequest};

    /// On a GPU every operation is a kernel that has to be launched, and those bound a frame (assets/docs/speed.md). Before they
    /// were fused, a frame of the demo voice took 2,678 operations of the language model and 1,021 of Mimi, counted on a CPU.
    #[test]
    fn a_frame_is_few_operations_for_a_gpu() {
        let checkpoint = Checkpoint::demo().unwrap();
        let mut csm = MlxCsm::load_graph(&checkpoint, Dtype::Float32).unwrap();
        let mimi = Mimi::load(&checkpoint).unwrap();
        for mode in [Mode::Native, Mode::Exact] {
            let sampling = checkpoint.suggested_sampling(mode, 1);
            let prompt = checkpoint.prompt(&ClipSpec::new("Hello.", 0, sampling)).unwrap();
            csm.prefill(&prompt, &Codes::default()).unwrap();
            let model = pretended_gpu::with(|| {
                csm.operations_of_a_frame(&FrameRequest {
                    frame: 0,
                    sampling: &sampling,
                    forced: &[],
                    recent: &[],
                    observe: false,
                })
            })
            .unwrap();
            assert!(model <= 2_678 / 2, "{}: {model} operations", mode.name());
        }
        let codec = pretended_gpu::with(|| mimi.operations_of_a_frame()).unwrap();
        // 32 of them turn queries and keys by a table, as the kernel is not exact enough for float32.
        assert!(codec <= 1_021 / 2 + 32, "{codec}");
    }
}
