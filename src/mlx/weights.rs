//! A checkpoint's bytes as MLX arrays.

use std::ffi::c_void;

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype};

use super::evaluate;
use crate::checkpoint::{self, Tensors};

type Result<T> = std::result::Result<T, Exception>;

/// MLX's name for a number type.
pub fn dtype(of: checkpoint::Dtype) -> Dtype {
    match of {
        checkpoint::Dtype::Float32 => Dtype::Float32,
        checkpoint::Dtype::Float16 => Dtype::Float16,
        checkpoint::Dtype::Bfloat16 => Dtype::Bfloat16,
    }
}

/// Hands out weights by name, in one number type. Remembers what it gave, to compute it all at the end of loading.
pub struct Weights<'a> {
    tensors: &'a Tensors,
    dtype: Dtype,
    given: Vec<Array>,
}

impl<'a> Weights<'a> {
    /// Weights of `tensors` in `precision`.
    pub fn new(tensors: &'a Tensors, precision: checkpoint::Dtype) -> Self {
        Self { tensors, dtype: dtype(precision), given: Vec::new() }
    }

    /// Weight `name` as stored.
    ///
    /// # Panics
    /// Where the checkpoint has no such tensor; opening it has checked that it has.
    pub fn get(&mut self, name: &str) -> Result<Array> {
        self.optional(name)?.map_or_else(|| panic!("{name} was checked on opening"), Ok)
    }

    /// Weight `name` with its axes in another order, laid out anew.
    pub fn transposed(&mut self, name: &str, axes: &[i32]) -> Result<Array> {
        let array = self.get(name)?.transpose_axes(axes)?.contiguous()?;
        self.given.push(array.clone());
        Ok(array)
    }

    /// Weight `name`, or `None`.
    pub fn optional(&mut self, name: &str) -> Result<Option<Array>> {
        let Some((stored, shape, bytes)) = self.tensors.get(name) else {
            return Ok(None);
        };
        let shape: Vec<i32> = shape.iter().map(|n| *n as i32).collect();
        // SAFETY: `Tensors` has checked that `bytes` holds as many numbers of this type as the shape says; MLX copies them.
        let array = unsafe { Array::from_raw_data(bytes.as_ptr().cast::<c_void>(), &shape, dtype(stored)) };
        let array = array.as_dtype(self.dtype)?;
        self.given.push(array.clone());
        Ok(Some(array))
    }

    /// Computes all that was handed out, so that nothing refers to the file any more.
    pub fn finish(self) -> Result<()> {
        evaluate(&self.given)
    }
}
