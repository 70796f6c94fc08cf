//! The trait that both engines (MLX, PyTorch) are driven through. Plain data in, plain data out.

use crate::error::Result;
use crate::prompt::{Frame, Prompt};
use crate::sampling::Sampling;

/// What the loop has to know about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Codes a frame, K.
    pub codebooks: usize,
    /// Ids a codebook's head gives, V.
    pub vocab: usize,
    /// Positions there are for prompt and speech.
    pub positions: usize,
}

/// One frame to generate.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Number of the frame in the take; the random position follows from it.
    pub frame: usize,
    /// How to draw.
    pub sampling: &'a Sampling,
    /// Tokens that are taken instead of drawn, by codebook; empty for none.
    pub forced: &'a [Option<u32>],
    /// Whether the logits are wanted.
    pub observe: bool,
}

/// A generated frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The K tokens.
    pub codes: Frame,
    /// Raw logits of every codebook, row-major `[K][V]`, where they were asked for.
    pub logits: Option<Vec<f32>>,
    /// Codebooks where the range guard changed the token (the same noise without guard gives a forbidden id); empty
    /// without a guard.
    pub guarded: Vec<bool>,
}

/// A language model that makes frames one after the other.
pub trait Engine {
    /// Sizes.
    fn shape(&self) -> Shape;

    /// Begins anew: `prompt`, then the frames of `history` as if they had been generated.
    ///
    /// # Errors
    /// What the backend reports.
    fn start(&mut self, prompt: &Prompt, history: &[Frame]) -> Result<()>;

    /// Makes the next frame.
    ///
    /// # Errors
    /// What the backend reports.
    fn step(&mut self, request: &Request<'_>) -> Result<Step>;

    /// Goes back to where `history`, the beginning of what has been generated, ends.
    ///
    /// # Errors
    /// What the backend reports.
    fn rewind(&mut self, history: &[Frame]) -> Result<()>;
}
