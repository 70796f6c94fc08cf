//! The language model on PyTorch, through tch: *hybrid* mode, and the other side of every comparison. CPU only: on other
//! devices PyTorch's generator is another one.

mod csm;
mod llama;
pub mod sampling;

use tch::{Kind, TchError, Tensor};

pub use csm::TorchCsm;

use crate::checkpoint::{Dtype, Tensors};
use crate::error::Error;

type Torch<T> = std::result::Result<T, TchError>;

impl From<TchError> for Error {
    fn from(e: TchError) -> Self {
        Self::Torch(e.to_string().lines().next().unwrap_or_default().to_owned())
    }
}

fn kind(of: Dtype) -> Kind {
    match of {
        Dtype::Float32 => Kind::Float,
        Dtype::Float16 => Kind::Half,
        Dtype::Bfloat16 => Kind::BFloat16,
    }
}

/// Weights by name, in one number type.
struct Weights<'a> {
    tensors: &'a Tensors,
    kind: Kind,
}

impl Weights<'_> {
    /// Weight `name`.
    ///
    /// # Panics
    /// Where the checkpoint has no such tensor; opening it has checked that it has.
    fn get(&self, name: &str) -> Torch<Tensor> {
        self.optional(name)?.map_or_else(|| panic!("{name} was checked on opening"), Ok)
    }

    fn optional(&self, name: &str) -> Torch<Option<Tensor>> {
        let Some((stored, shape, bytes)) = self.tensors.get(name) else {
            return Ok(None);
        };
        let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        Tensor::f_from_data_size(bytes, &shape, kind(stored))?.f_to_kind(self.kind).map(Some)
    }
}
