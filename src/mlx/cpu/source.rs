//! A checkpoint's tensors in memory of our own, in the numbers in which they are stored.

use bytemuck::pod_collect_to_vec;
use half::{bf16, f16};
use mlx_rs::Array;

use super::dot::Stored;
use crate::checkpoint::weights::{Weight, WeightSource};
use crate::checkpoint::{TensorData, TensorStore};
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::mlx::weights::{array, mlx_dtype};

/// Part of the names of tables of embeddings.
const EMBEDDINGS: &str = "embed_";

/// A tensor as it is stored.
pub(super) struct HostTensor {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: DenseNumbers,
}

pub(super) enum DenseNumbers {
    Float32(Vec<f32>),
    Bfloat16(Vec<bf16>),
    Float16(Vec<f16>),
    /// The bits of a quantised matrix.
    Packed(Vec<u8>),
    /// A table of embeddings, which MLX looks rows up in.
    Mlx(Array),
}

impl HostTensor {
    /// A table of embeddings goes to MLX at once: a copy of our own would be memory for nothing.
    fn table(bytes: &[u8], shape: Vec<usize>, dtype: mlx_rs::Dtype) -> Self {
        Self { numbers: DenseNumbers::Mlx(array(bytes, &shape, dtype)), shape }
    }

    fn new(tensor: &TensorData<'_>) -> Self {
        let numbers = match tensor.dtype {
            Dtype::Float32 => DenseNumbers::Float32(pod_collect_to_vec(&tensor.bytes)),
            Dtype::Bfloat16 => DenseNumbers::Bfloat16(pod_collect_to_vec(&tensor.bytes)),
            Dtype::Float16 => DenseNumbers::Float16(pod_collect_to_vec(&tensor.bytes)),
        };
        Self { shape: tensor.shape.clone(), numbers }
    }

    /// In float32; empty for what is no tensor of ours: the bits of a quantised matrix, a table of embeddings.
    pub(super) fn into_f32(self) -> Vec<f32> {
        match self.numbers {
            DenseNumbers::Float32(numbers) => numbers,
            DenseNumbers::Bfloat16(numbers) => numbers.into_iter().map(Stored::widen).collect(),
            DenseNumbers::Float16(numbers) => numbers.into_iter().map(Stored::widen).collect(),
            DenseNumbers::Packed(_) | DenseNumbers::Mlx(_) => Vec::new(),
        }
    }

    /// As an array of MLX's in the stored numbers.
    fn into_array(self) -> Array {
        let of = |bytes: &[u8], dtype: Dtype| array(bytes, &self.shape, mlx_dtype(dtype));
        match &self.numbers {
            DenseNumbers::Float32(numbers) => of(bytemuck::cast_slice(numbers), Dtype::Float32),
            DenseNumbers::Bfloat16(numbers) => of(bytemuck::cast_slice(numbers), Dtype::Bfloat16),
            DenseNumbers::Float16(numbers) => of(bytemuck::cast_slice(numbers), Dtype::Float16),
            DenseNumbers::Packed(bits) => array(bits, &self.shape, mlx_rs::Dtype::Uint32),
            DenseNumbers::Mlx(table) => table.clone(),
        }
    }

    /// A matrix as MLX's arrays in the stored numbers.
    pub(super) fn arrays(weight: Weight<Self>) -> Weight<Array> {
        match weight {
            Weight::Dense(matrix) => Weight::Dense(matrix.into_array()),
            Weight::Affine { packed, scales, biases, bits, group } => Weight::Affine {
                packed: packed.into_array(),
                scales: scales.into_array(),
                biases: biases.into_array(),
                bits,
                group,
            },
        }
    }
}

/// Reads tensors as they are stored.
pub(super) struct HostSource<'a>(pub(super) &'a TensorStore);

impl WeightSource for HostSource<'_> {
    type Tensor = HostTensor;
    type Error = Error;

    fn tensor(&mut self, name: &str, _shape: &[usize]) -> Result<HostTensor> {
        Ok(HostTensor::new(&self.0.read(name)?))
    }

    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Weight<HostTensor>> {
        let is_table = name.contains(EMBEDDINGS);
        let Some(q) = self.0.quantised(name)? else {
            if is_table {
                let tensor = self.0.read(name)?;
                let dtype = mlx_dtype(tensor.dtype);
                return Ok(Weight::Dense(HostTensor::table(&tensor.bytes, tensor.shape, dtype)));
            }
            return self.tensor(name, &shape).map(Weight::Dense);
        };
        Ok(Weight::Affine {
            packed: HostTensor { shape: q.packed.0, numbers: DenseNumbers::Packed(q.packed.1.into_owned()) },
            scales: HostTensor::new(&q.scales),
            biases: HostTensor::new(&q.biases),
            bits: q.bits,
            group: q.group,
        })
    }
}
