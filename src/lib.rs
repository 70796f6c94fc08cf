//! CSM Studio: conversational speech synthesis with Sesame's CSM on MLX.

pub mod analysis;
pub mod audio;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod diagnostics;
pub mod engine;
pub mod error;
pub mod files;
pub mod mlx;
pub mod report;
pub mod sampling;
pub mod studio;
pub mod takes;
pub mod text;
pub mod torch;
#[cfg(feature = "torch")]
pub mod verify;
pub mod worker;
