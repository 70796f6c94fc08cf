//! CSM Studio: conversational speech synthesis with Sesame's CSM on MLX.
//!
//! Data flows one way: text, tokens, frames, codes, PCM, player. [`checkpoint`] reads a model's files, [`prompt`] lays out
//! what it is told, an [`engine`] makes frames, [`mlx::mimi`] turns them into sound.

pub mod analysis;
pub mod audio;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod engine;
pub mod error;
pub mod hybrid;
pub mod mlx;
pub mod pipeline;
pub mod prompt;
pub mod recipe;
pub mod report;
pub mod sampling;
pub mod studio;
pub mod takes;
pub mod termination;
pub mod text;
pub mod tokens;
#[cfg(feature = "torch")]
pub mod torch;
#[cfg(feature = "torch")]
pub mod verify;
pub mod worker;
