//! The language model's parts between embeddings and sampling: as MLX's graph, or as operations on the processor.

use mlx_rs::Array;
use mlx_rs::ops::indexing::TryIndexOp;

use super::llama::Llama;
use super::nn::{Embedding, KvCache, Linear, Result};
use super::weights::ArraySource;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::CsmWeights;
use crate::data::{AttentionHead, Dtype};
use crate::error;

/// Positions by which the backbone's cache grows.
const CACHE_BLOCK: usize = 256;

/// Backbone, depth decoder and heads, for one sequence or a batch of B.
pub(super) trait Network {
    /// Forgets all positions; what comes next is one sequence.
    fn reset(&mut self);
    /// Goes on with these of the sequences, in this order; one that is named twice is copied.
    fn select(&mut self, rows: &[usize]) -> Result<()>;
    /// The backbone on its next positions, (B, T, d): the last one's hidden state, (B, 1, d).
    fn backbone(&mut self, x: &Array) -> Result<Array>;
    /// Logits of codebook 0 from a hidden state: (B, V).
    fn codebook0(&self, hidden: &Array) -> Result<Array>;
    /// Logits of `codebook`, from 1, in this order: (B, V). `input`: the hidden state and the code before at codebook 1,
    /// (B, 2, d); else the code before, (B, 1, d).
    fn depth_step(&mut self, codebook: usize, input: &Array) -> Result<Array>;
    /// Records the attention of these heads of the backbone from now on.
    fn record_attention(&mut self, heads: &[AttentionHead]);
    /// Reads the attention that the last call of [`Network::backbone`] recorded, once the frame is evaluated.
    fn attention(&self) -> ReadAttention;
    /// Arrays to evaluate with a frame, besides those that its tokens depend on.
    fn arrays(&self) -> Vec<Array>;
    /// Takes the last position back, as if [`Network::backbone`] had not seen it.
    ///
    /// # Errors
    /// A network whose steps cannot be taken back.
    fn rewind(&mut self) -> Result<()>;
}

/// For the number of a sequence, its weights of all positions so far, by head.
pub(super) type ReadAttention = Box<dyn Fn(usize) -> Vec<Vec<f32>>>;

/// The tables of embeddings.
pub(super) struct Embeddings {
    pub(super) text: Embedding,  // (text ids, d)
    pub(super) audio: Embedding, // (K * V, d), row = id + codebook * V
    pub(super) depth: Embedding, // (K * V, d)
}

impl Embeddings {
    /// Without a table for audio if the checkpoint shares the depth decoder's.
    pub(super) fn new(text: Embedding, audio: Option<Embedding>, depth: Embedding) -> Self {
        Self { text, audio: audio.unwrap_or_else(|| depth.clone()), depth }
    }
}

/// All as MLX's graph.
pub(super) struct GraphNetwork {
    backbone: Llama,
    codebook0_head: Linear, // d -> V
    projection: Linear,     // d -> e
    depth_decoder: Llama,
    depth_heads: Vec<Array>, // K - 1 times (e, V)
    caches: Vec<KvCache>,
    depth_caches: Vec<KvCache>,
    recorded: Vec<AttentionHead>,
    /// Attention of the recorded heads, (B, positions) float32 each.
    attention: Vec<Array>,
}

impl GraphNetwork {
    /// The language model of `checkpoint` in `precision`.
    ///
    /// # Errors
    /// Errors of reading the weights, and of MLX.
    pub(super) fn load(checkpoint: &Checkpoint, precision: Dtype) -> error::Result<(Self, Embeddings)> {
        let c = &checkpoint.config;
        let weights = CsmWeights::load(&mut ArraySource::new(&checkpoint.tensors, precision), c)?;
        let heads = weights.audio_head; // (K - 1, e, V)
        let embeddings = Embeddings::new(
            Embedding(weights.text_embeddings),
            weights.audio_embeddings.map(Embedding),
            Embedding(weights.depth_embeddings),
        );
        let backbone = Llama::new(weights.backbone, &c.backbone)?;
        let depth_decoder = Llama::new(weights.depth_decoder, &c.depth_decoder_config.llama)?;
        let network = Self {
            codebook0_head: Linear::new(weights.codebook0_head),
            projection: Linear::new(weights.projection),
            depth_heads: (0..heads.dim(0)).map(|i| heads.try_index(i)).collect::<Result<_>>()?,
            caches: backbone.caches(CACHE_BLOCK),
            depth_caches: depth_decoder.caches(c.num_codebooks),
            recorded: Vec::new(),
            attention: Vec::new(),
            backbone,
            depth_decoder,
        };
        Ok((network, embeddings))
    }
}

impl Network for GraphNetwork {
    fn reset(&mut self) {
        self.caches.iter_mut().for_each(KvCache::reset);
    }

    fn select(&mut self, rows: &[usize]) -> Result<()> {
        self.caches.iter_mut().try_for_each(|cache| cache.select(rows))
    }

    fn backbone(&mut self, x: &Array) -> Result<Array> {
        self.attention.clear();
        let recorded = Some((self.recorded.as_slice(), &mut self.attention));
        self.backbone.forward(x, &mut self.caches, recorded)?.try_index((.., -1.., ..))
    }

    fn codebook0(&self, hidden: &Array) -> Result<Array> {
        self.codebook0_head.forward(hidden)?.squeeze_axes(&[1])
    }

    fn depth_step(&mut self, codebook: usize, input: &Array) -> Result<Array> {
        if codebook == 1 {
            self.depth_caches.iter_mut().for_each(KvCache::reset);
        }
        let y = self.depth_decoder.forward(&self.projection.forward(input)?, &mut self.depth_caches, None)?;
        y.try_index((.., -1, ..))?.matmul(&self.depth_heads[codebook - 1])
    }

    fn record_attention(&mut self, heads: &[AttentionHead]) {
        self.recorded = heads.to_vec();
    }

    fn attention(&self) -> ReadAttention {
        let attention = self.attention.clone();
        Box::new(move |row| {
            let of_row = |weights: &Array| {
                let (rows, positions) = (weights.dim(0) as usize, weights.dim(1) as usize);
                let row = row.min(rows - 1); // the prompt is one sequence for all
                weights.as_slice::<f32>()[row * positions..(row + 1) * positions].to_vec()
            };
            attention.iter().map(of_row).collect()
        })
    }

    fn arrays(&self) -> Vec<Array> {
        self.caches.iter().flat_map(KvCache::arrays).chain(&self.attention).cloned().collect()
    }

    fn rewind(&mut self) -> Result<()> {
        self.caches.iter_mut().for_each(KvCache::rewind);
        Ok(())
    }
}
