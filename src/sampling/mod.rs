//! Sampling as pure functions on plain data: PyTorch's and MLX's noise, the warpers, the reference sampler. The engines hold the tensor
//! forms of the same operations.

pub mod mlx_noise;
pub mod noise;
pub mod prefetch;
pub mod reference;
pub mod warp;
