//! A checkpoint's tensors as PyTorch tensors.

use tch::{Kind, Tensor};

use crate::checkpoint::TensorStore;
use crate::checkpoint::weights::{Weight, WeightSource};
use crate::data::Dtype;
use crate::error::{Error, Result};

fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::Float32 => Kind::Float,
        Dtype::Float16 => Kind::Half,
        Dtype::Bfloat16 => Kind::BFloat16,
    }
}

/// Reads weights in one number type.
pub(super) struct TorchSource<'a> {
    store: &'a TensorStore,
    kind: Kind,
}

impl<'a> TorchSource<'a> {
    pub(super) fn new(store: &'a TensorStore, precision: Dtype) -> Self {
        Self { store, kind: kind(precision) }
    }
}

impl WeightSource for TorchSource<'_> {
    type Tensor = Tensor;
    type Error = Error;

    fn tensor(&mut self, name: &str, _shape: &[usize]) -> Result<Tensor> {
        let tensor = self.store.read(name)?;
        let shape: Vec<i64> = tensor.shape.iter().map(|n| *n as i64).collect();
        let stored = Tensor::f_from_data_size(&tensor.bytes, &shape, kind(tensor.dtype))?;
        Ok(stored.f_to_kind(self.kind)?)
    }
}

/// The numbers of a matrix.
pub(super) fn dense(weight: Weight<Tensor>) -> Result<Tensor> {
    match weight {
        Weight::Dense(matrix) => Ok(matrix),
        Weight::Affine { .. } => Err(Error::unavailable(
            "PyTorch cannot compute with this checkpoint's quantised weights",
            "use native or exact sampling",
        )),
    }
}
