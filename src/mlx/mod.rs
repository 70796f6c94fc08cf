//! The model on MLX. Everything here belongs to the one thread that owns MLX's streams.

#[cfg(not(target_os = "macos"))]
mod cpu;
mod csm;
mod llama;
pub mod mimi;
mod network;
mod nn;
mod sampling;
mod weights;

use std::sync::atomic::{AtomicU64, Ordering};

use mlx_rs::Array;
use mlx_rs::error::Exception;

pub use csm::MlxCsm;

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
    mlx_rs::transforms::eval(arrays)
}

/// Tokens of *exact* draws as the graph makes them, from (logits, settings, PyTorch's noise).
///
/// # Errors
/// What MLX reports.
pub fn exact_draws(cases: &[(&[f32], SamplingParams, &[f32])]) -> Result<Vec<u32>> {
    let array = |x: &[f32]| Array::from_slice(x, &[1, x.len() as i32]);
    let draw = |(logits, params, noise): &(&[f32], SamplingParams, &[f32])| {
        sample_tokens(&array(logits), *params, None, &DrawNoise::Exponential(array(noise)))
    };
    Ok(read_tokens(cases.iter().map(draw).collect::<Result<_, Exception>>()?)?)
}

/// `n` tokens of *native* draws from the same logits, with the keys of frames 0 to n - 1 of a clip with this seed.
///
/// # Errors
/// What MLX reports.
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
    /// The same shape.
    pub biases: Vec<u8>,
}

/// MLX's affine quantisation of a matrix `[out, in]`.
///
/// # Errors
/// What MLX reports.
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
/// What MLX reports.
pub fn memory() -> Result<(usize, usize)> {
    Ok((mlx_rs::memory::active_memory()?, mlx_rs::memory::peak_memory()?))
}
