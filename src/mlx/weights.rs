//! A checkpoint's tensors as MLX arrays.

use std::ffi::c_void;

use mlx_rs::{Array, Dtype};

use super::evaluate;
use crate::checkpoint::weights::{Weight, WeightSource};
use crate::checkpoint::{TensorData, TensorStore};
use crate::data;
use crate::error::{Error, Result};

pub(super) fn mlx_dtype(dtype: data::Dtype) -> Dtype {
    match dtype {
        data::Dtype::Float32 => Dtype::Float32,
        data::Dtype::Float16 => Dtype::Float16,
        data::Dtype::Bfloat16 => Dtype::Bfloat16,
    }
}

/// Reads weights in one number type. Each is materialised before the next is read, so that the peak is the weights in
/// use and one tensor.
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
        self.floats(&self.store.read(name)?)
    }

    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Weight<Array>> {
        let Some(q) = self.store.quantised(name)? else { return self.tensor(name, &shape).map(Weight::Dense) };
        Ok(Weight::Affine {
            packed: array(&q.packed.1, &q.packed.0, Dtype::Uint32),
            scales: self.floats(&q.scales)?,
            biases: self.floats(&q.biases)?,
            bits: q.bits,
            group: q.group,
        })
    }
}

impl ArraySource<'_> {
    fn floats(&self, tensor: &TensorData<'_>) -> Result<Array> {
        let stored = array(&tensor.bytes, &tensor.shape, mlx_dtype(tensor.dtype));
        let array = stored.as_dtype(self.dtype)?;
        if mlx_dtype(tensor.dtype) != self.dtype {
            evaluate([&array])?;
        }
        Ok(array)
    }
}

/// An array of these bytes, whose number the store has checked.
pub(super) fn array(bytes: &[u8], shape: &[usize], dtype: Dtype) -> Array {
    let shape: Vec<i32> = shape.iter().map(|n| *n as i32).collect();
    // SAFETY: the store has checked that the length of `bytes` fits the shape and type; MLX copies them.
    unsafe { Array::from_raw_data(bytes.as_ptr().cast::<c_void>(), &shape, dtype) }
}
