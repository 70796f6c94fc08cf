//! The trait through which both engines (MLX, PyTorch) are driven, and the generation loop. Plain data in, plain data out.

mod generation;
mod narration;

use std::time::Duration;

pub use generation::{GeneratedFrame, Generation, GenerationRequest, LoopEvent, observed_clip};
pub use narration::Narration;

use crate::data::{AttentionHead, Backend, Codes, Dtype, Logits, Prompt, Sampling};
use crate::error::{Error, Result};

/// One frame to generate.
#[derive(Clone, Copy, Debug)]
pub struct FrameRequest<'a> {
    /// Number of the frame in the clip, from 0; the position in the random stream follows from it.
    pub frame: usize,
    /// Settings of the draws.
    pub sampling: &'a Sampling,
    /// Tokens taken instead of drawn, per codebook; empty if all are drawn.
    pub forced: &'a [Option<u32>],
    /// Per codebook, its tokens in the frames before, the last one first; empty if no setting depends on them.
    pub recent: &'a [Vec<u32>],
    /// Whether to return the logits.
    pub observe: bool,
}

impl FrameRequest<'_> {
    /// Tokens of `codebook` in the frames before, the last one first.
    pub(crate) fn recent_of(&self, codebook: usize) -> &[u32] {
        self.recent.get(codebook).map_or(&[], Vec::as_slice)
    }
}

/// A frame that an engine has generated.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameOutput {
    /// Tokens of the frame, `[K]`.
    pub codes: Vec<u32>,
    /// The logits they were drawn from, if they were asked for.
    pub logits: Option<Logits>,
    /// Per codebook, whether the range guard changed the token (the same noise without the guard gives a forbidden id);
    /// empty without a guard.
    pub guarded: Vec<bool>,
    /// For each recorded head, the weights with which the backbone's last position attended to all positions so far, which sum to 1.
    pub attention: Vec<Vec<f32>>,
}

/// A stage of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameStage {
    /// The backbone and codebook 0's logits.
    Backbone,
    /// The depth decoder and the other codebooks' logits.
    DepthDecoder,
    /// Sampling of all codebooks.
    Sampling,
}

/// Where a frame's time goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameProfile {
    /// Operations of the frame's graph, if they can be counted.
    pub operations: usize,
    /// Time of the backbone.
    pub backbone: Duration,
    /// Time of the depth decoder.
    pub depth_decoder: Duration,
    /// Time of the draws.
    pub sampling: Duration,
}

impl FrameProfile {
    /// The time of a stage.
    pub fn time(&mut self, stage: FrameStage) -> &mut Duration {
        match stage {
            FrameStage::Backbone => &mut self.backbone,
            FrameStage::DepthDecoder => &mut self.depth_decoder,
            FrameStage::Sampling => &mut self.sampling,
        }
    }
}

/// A language model that generates frame after frame.
pub trait Engine {
    /// Has frames carry the attention of these heads, in ascending order, from now on; of none to begin with.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a head that the backbone does not have, and for another order.
    fn record_attention(&mut self, heads: &[AttentionHead]) -> Result<()>;

    /// Resets the KV cache and prefills it with `prompt`, then `history` as if it had been generated.
    ///
    /// # Errors
    /// [`crate::error::Error::Engine`] with the error of MLX or PyTorch.
    fn prefill(&mut self, prompt: &Prompt, history: &Codes) -> Result<()>;

    /// Generates the next frame of each sequence. After [`Engine::prefill`] their number is free, all with the same
    /// prompt; later it is the number before, or the one that [`Engine::select`] left. They may differ in seed and forced tokens.
    ///
    /// # Errors
    /// [`crate::error::Error::Engine`] with the error of MLX or PyTorch.
    fn next_frames(&mut self, requests: &[FrameRequest<'_>]) -> Result<Vec<FrameOutput>>;

    /// Goes on with these of the sequences.
    ///
    /// # Errors
    /// [`crate::error::Error::Engine`] with the error of MLX or PyTorch.
    fn select(&mut self, sequences: &[usize]) -> Result<()>;

    /// Generates two frames and says where the second one's time goes when each stage is waited for; `None` if the stages
    /// cannot be separated.
    ///
    /// # Errors
    /// Returns the errors of [`Engine::next_frames`].
    fn profile(&mut self, request: &FrameRequest<'_>) -> Result<Option<FrameProfile>>;

    /// Generates the next frame of the only sequence.
    ///
    /// # Errors
    /// Returns the errors of [`Engine::next_frames`].
    fn next_frame(&mut self, request: &FrameRequest<'_>) -> Result<FrameOutput> {
        let frame = self.next_frames(std::slice::from_ref(request))?.pop();
        frame.ok_or_else(|| Error::Engine { backend: "the model", source: "it gave no frame".into() })
    }
}

/// The settings in which loaded engines of one checkpoint differ.
pub type EngineKey = (Backend, Dtype);

/// The engine that `sampling` asks for.
pub fn engine_key(sampling: &Sampling) -> EngineKey {
    (sampling.mode.info().backend, sampling.precision)
}

/// Gives out the engines of one checkpoint.
pub trait EngineProvider {
    /// The engine that `sampling` asks for, loaded if need be.
    ///
    /// # Errors
    /// Errors of loading it.
    fn engine(&mut self, sampling: &Sampling) -> Result<&mut dyn Engine>;
}

/// A single engine for all settings, if the caller knows which one is meant.
pub struct SingleEngine<'a>(pub &'a mut dyn Engine);

impl EngineProvider for SingleEngine<'_> {
    fn engine(&mut self, _sampling: &Sampling) -> Result<&mut dyn Engine> {
        Ok(self.0)
    }
}

/// Checks that a backbone has these heads, and their order.
///
/// # Errors
/// [`Error::InvalidValue`] for a head that it does not have, and for another order.
pub(crate) fn check_heads(heads: &[AttentionHead], layers: usize, heads_of_layer: usize) -> Result<()> {
    if !heads.is_sorted() {
        return Err(Error::invalid("attention", "heads in ascending order", "another order"));
    }
    match heads.iter().find(|at| at.layer >= layers || at.head >= heads_of_layer) {
        None => Ok(()),
        Some(at) => {
            let expected = format!("a head of {layers} layers with {heads_of_layer} heads each");
            Err(Error::invalid("attention", expected, format!("layer {}, head {}", at.layer, at.head)))
        }
    }
}

/// Checks that logits `[…][V]` of a frame are numbers; the first row is `codebook`'s.
///
/// # Errors
/// [`Error::Engine`] with the codebook. A sum that overflowed although every logit is finite is not an error.
pub(crate) fn check_finite(logits: &[f32], vocab: usize, frame: usize, codebook: usize) -> Result<()> {
    let Some(at) = logits.iter().position(|l| !l.is_finite()) else { return Ok(()) };
    let codebook = codebook + at / vocab;
    let advice = "compute in float32, or check the checkpoint";
    let problem = format!("its logits are not finite at frame {frame}, codebook {codebook}; {advice}");
    Err(Error::Engine { backend: "the model", source: problem.into() })
}
