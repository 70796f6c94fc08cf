//! The weights of a model as a typed tree, one node per layer. Each layer names its tensors and their shapes here and nowhere
//! else: both engines load from this tree, and running it against a [`ShapeRecorder`] lists what a checkpoint must contain.
//!
//! Names are transformers'; another format is a table that renames its tensors to these.

mod csm;
mod llama;
mod mimi;

use std::convert::Infallible;

pub use csm::{CsmWeights, codec_weights};
pub use llama::{LlamaLayerWeights, LlamaWeights};
pub use mimi::{
    CodebookWeights, ConvWeights, DecoderStageWeights, EncoderStageWeights, MimiLayerWeights, MimiWeights, NormWeights,
    QuantizerWeights, ResidualQuantizerWeights, ResidualUnitWeights, SeanetDecoderWeights, SeanetEncoderWeights,
};

/// Gives out tensors by name.
pub trait WeightSource {
    /// A tensor of the backend.
    type Tensor;
    /// Returns the errors of loading the model.
    type Error;

    /// The tensor `name` of the given shape.
    ///
    /// # Errors
    /// Where it is missing, has another shape or cannot be read.
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Self::Tensor, Self::Error>;

    /// The matrix `name` `[out, in]` of a linear layer or embedding, which a checkpoint may store quantised.
    ///
    /// # Errors
    /// Returns the errors of [`WeightSource::tensor`].
    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Weight<Self::Tensor>, Self::Error> {
        self.tensor(name, &shape).map(Weight::Dense)
    }
}

/// A matrix as it is stored.
#[derive(Clone, Debug)]
pub enum Weight<T> {
    /// A matrix of plain numbers.
    Dense(T),
    /// Affine quantisation in groups along a row: `w = scale * q + bias`.
    Affine {
        /// Packed integers, uint32 `[out, in * bits / 32]`.
        packed: T,
        /// One scale per group, `[out, in / group]`.
        scales: T,
        /// One offset a group, `[out, in / group]`.
        biases: T,
        /// Bits per quantised number.
        bits: usize,
        /// Numbers per group, which share a scale.
        group: usize,
    },
}

/// A linear layer: weight `[out, in]`, bias `[out]`.
pub struct LinearWeights<T> {
    /// The matrix, dense or quantised.
    pub weight: Weight<T>,
    /// The bias, if the layer has one.
    pub bias: Option<T>,
}

impl<T> LinearWeights<T> {
    fn load<S: WeightSource<Tensor = T>>(
        source: &mut S,
        name: &str,
        outputs: usize,
        inputs: usize,
        bias: bool,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            weight: source.matrix(&format!("{name}.weight"), [outputs, inputs])?,
            bias: bias.then(|| source.tensor(&format!("{name}.bias"), &[outputs])).transpose()?,
        })
    }
}

/// Records which tensors a model asks for.
#[derive(Default)]
pub struct ShapeRecorder {
    /// Name and shape, in the order of loading.
    pub tensors: Vec<(String, Vec<usize>)>,
}

impl WeightSource for ShapeRecorder {
    type Tensor = ();
    type Error = Infallible;

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<(), Infallible> {
        self.tensors.push((name.to_owned(), shape.to_vec()));
        Ok(())
    }
}
