//! A checkpoint's tensors as MLX arrays.

use std::ffi::c_void;

use mlx_rs::{Array, Dtype};

use super::evaluate;
use crate::checkpoint::TensorStore;
use crate::checkpoint::weights::WeightSource;
use crate::data;
use crate::error::{Error, Result};

fn mlx_dtype(dtype: data::Dtype) -> Dtype {
    match dtype {
        data::Dtype::Float32 => Dtype::Float32,
        data::Dtype::Float16 => Dtype::Float16,
        data::Dtype::Bfloat16 => Dtype::Bfloat16,
    }
}

/// Reads weights in one number type. Each is materialised before the next is read, so that the peak is the weights in use and
/// one tensor.
pub(super) struct ArraySource<'a> {
    store: &'a TensorStore,
    dtype: Dtype,
}

impl<'a> ArraySource<'a> {
    pub(super) fn new(store: &'a TensorStore, precision: data::Dtype) -> Self {
        Self { store, dtype: mlx_dtype(precision) }
    }
}

impl WeightSource for ArraySource<'_> {
    type Tensor = Array;
    type Error = Error;

    fn tensor(&mut self, name: &str, _shape: &[usize]) -> Result<Array> {
        let tensor = self.store.read(name)?;
        let shape: Vec<i32> = tensor.shape.iter().map(|n| *n as i32).collect();
        // SAFETY: the store has checked that `bytes` holds as many numbers of this type as the shape says; MLX copies them.
        let stored =
            unsafe { Array::from_raw_data(tensor.bytes.as_ptr().cast::<c_void>(), &shape, mlx_dtype(tensor.dtype)) };
        let array = stored.as_dtype(self.dtype)?;
        if mlx_dtype(tensor.dtype) != self.dtype {
            evaluate([&array])?;
        }
        Ok(array)
    }
}
