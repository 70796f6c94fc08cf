//! CSM on MLX: a backbone over time, a depth decoder over the codebooks of a frame. One lazy graph and one synchronisation per
//! frame, sampling included.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::concatenate;
use mlx_rs::ops::indexing::TryIndexOp;

use super::evaluate;
use super::llama::Llama;
use super::nn::{Embedding, KvCache, Linear, Result as MlxResult, id_array, to_f32};
use super::sampling::{DrawNoise, native_key, sample_token};
use super::weights::ArraySource;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::CsmWeights;
use crate::data::{Codes, Dtype, Logits, ModelDims, NoiseSource, Position, Prompt};
use crate::engine::{Engine, FrameOutput, FrameRequest, check_finite};
use crate::error::Result;
use crate::sampling::prefetch::NoisePrefetcher;

/// Positions by which the backbone's cache grows.
const CACHE_BLOCK: usize = 256;

/// The language model.
pub struct MlxCsm {
    dims: ModelDims,
    text_vocab: usize,
    text_embeddings: Embedding,  // (text ids, d)
    audio_embeddings: Embedding, // (K * V, d), row = id + codebook * V
    backbone: Llama,
    codebook0_head: Linear,      // d -> V
    depth_embeddings: Embedding, // (K * V, d): audio_embeddings where the checkpoint shares them
    projection: Linear,          // d -> e
    depth_decoder: Llama,
    depth_heads: Vec<Array>, // K - 1 times (e, V)
    caches: Vec<KvCache>,
    depth_caches: Vec<KvCache>,
    /// Input that the backbone has not seen yet, (1, T, d).
    next_input: Option<Array>,
    noise: Option<NoisePrefetcher>,
}

impl MlxCsm {
    /// Loads the language model of `checkpoint` in `precision`.
    ///
    /// # Errors
    /// What reading the weights or MLX reports.
    pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Self> {
        let c = &checkpoint.config;
        let weights = CsmWeights::load(&mut ArraySource::new(&checkpoint.tensors, precision), c)?;
        let heads = weights.audio_head; // (K - 1, e, V)
        let depth_embeddings = Embedding(weights.depth_embeddings);
        let backbone = Llama::new(weights.backbone, &c.backbone)?;
        let depth_decoder = Llama::new(weights.depth_decoder, &c.depth_decoder_config.llama)?;
        Ok(Self {
            dims: checkpoint.dims(),
            text_vocab: c.text_vocab_size,
            text_embeddings: Embedding(weights.text_embeddings),
            audio_embeddings: weights.audio_embeddings.map_or_else(|| depth_embeddings.clone(), Embedding),
            codebook0_head: Linear::new(weights.codebook0_head),
            depth_embeddings,
            projection: Linear::new(weights.projection),
            depth_heads: (0..heads.dim(0)).map(|i| heads.try_index(i)).collect::<MlxResult<_>>()?,
            caches: backbone.caches(CACHE_BLOCK),
            depth_caches: depth_decoder.caches(c.num_codebooks),
            backbone,
            depth_decoder,
            next_input: None,
            noise: None,
        })
    }

    /// Prompt positions as the backbone's input, (1, T, d): runs of text and runs of audio.
    fn embed_positions(&self, positions: &[Position]) -> MlxResult<Array> {
        let mut parts = Vec::new();
        let same_kind = |a: &Position, b: &Position| matches!(a, Position::Text(_)) == matches!(b, Position::Text(_));
        for run in positions.chunk_by(same_kind) {
            let (mut text, mut audio) = (Vec::new(), Vec::new());
            for position in run {
                match position {
                    Position::Text(id) => text.push(*id),
                    Position::Audio(frame) => audio.extend_from_slice(frame),
                }
            }
            parts.push(if audio.is_empty() {
                self.text_embeddings.forward(&id_array(text))?.expand_dims_axes(&[0])?
            } else {
                self.embed_codes(&id_array(audio))?
            });
        }
        concatenate(&parts, 1)
    }

    /// Codes (T * K,) as the backbone's input: the sum of their embeddings, (1, T, d).
    fn embed_codes(&self, codes: &Array) -> MlxResult<Array> {
        let (k, v) = (self.dims.codebooks as i32, self.dims.vocab as u32);
        let offsets = Array::from_iter((0..k as u32).map(|codebook| codebook * v), &[1, k]);
        let rows = codes.reshape(&[-1, k])?.add(offsets)?; // (T, K)
        self.audio_embeddings.forward(&rows)?.sum_axis(1, false)?.expand_dims_axes(&[0])
    }

    /// The next frame as a graph.
    fn frame_graph(&mut self, request: &FrameRequest<'_>) -> MlxResult<FrameGraph> {
        let Some(x) = self.next_input.take() else {
            return Err(Exception::custom("a frame was asked for before the prompt"));
        };
        let noise = self.noise_for(request);
        let hidden = self.backbone.forward(&x, &mut self.caches)?; // (1, T, d)
        let hidden = hidden.try_index((.., -1.., ..))?; // (1, 1, d)
        let mut graph = FrameGraph::default();
        let mut logits = self.codebook0_head.forward(&hidden)?.reshape(&[-1])?; // (V,)
        let mut token = graph.sample_codebook(request, 0, logits, &noise)?;
        self.depth_caches.iter_mut().for_each(KvCache::reset);
        let mut input = hidden;
        for codebook in 1..self.dims.codebooks {
            let row = token.add(id_array([((codebook - 1) * self.dims.vocab) as u32]))?;
            let code = self.depth_embeddings.forward(&row)?.expand_dims_axes(&[0])?; // (1, 1, d)
            // The first step takes two inputs, at positions 0 and 1.
            input = if codebook == 1 { concatenate(&[input, code], 1)? } else { code };
            let y = self.depth_decoder.forward(&self.projection.forward(&input)?, &mut self.depth_caches)?;
            let y = y.try_index((0, -1.., ..))?; // (1, e)
            logits = y.matmul(&self.depth_heads[codebook - 1])?.reshape(&[-1])?; // (V,)
            token = graph.sample_codebook(request, codebook, logits, &noise)?;
        }
        Ok(graph)
    }

    /// The randomness of a frame.
    fn noise_for(&mut self, request: &FrameRequest<'_>) -> FrameNoise {
        let (seed, frame) = (request.sampling.seed, request.frame);
        match request.sampling.mode.info().noise {
            NoiseSource::MlxKey => FrameNoise::Keys { seed, frame },
            NoiseSource::TorchStream => {
                let prefetcher = match self.noise.take() {
                    Some(running) if running.is_next(seed, frame) => running,
                    _ => NoisePrefetcher::start(seed, frame, self.dims.codebooks, self.dims.vocab),
                };
                FrameNoise::Stream(self.noise.insert(prefetcher).next_frame())
            }
        }
    }
}

enum FrameNoise {
    Keys { seed: u64, frame: usize },
    Stream(Vec<f32>), // [K][V]
}

impl FrameNoise {
    /// The noise of one draw over `vocab` ids.
    fn draw(&self, codebook: usize, vocab: i32) -> MlxResult<DrawNoise> {
        match self {
            Self::Keys { seed, frame } => native_key(*seed, *frame, codebook).map(DrawNoise::Key),
            Self::Stream(values) => {
                let first = codebook * vocab as usize;
                Ok(DrawNoise::Exponential(Array::from_slice(&values[first..first + vocab as usize], &[vocab])))
            }
        }
    }
}

#[derive(Default)]
struct FrameGraph {
    tokens: Vec<Array>,    // K times (1,)
    logits: Vec<Array>,    // K times (V,) float32
    unguarded: Vec<Array>, // K times (1,) where the guard is on: the tokens without it
}

impl FrameGraph {
    /// Draws (or takes the forced) token of `codebook` and keeps what led to it.
    fn sample_codebook(
        &mut self,
        request: &FrameRequest<'_>,
        codebook: usize,
        logits: Array,
        noise: &FrameNoise,
    ) -> MlxResult<Array> {
        let logits = to_f32(&logits)?;
        let (params, guard) = (request.sampling.params_for(codebook), request.sampling.guard);
        let token = match request.forced.get(codebook).copied().flatten() {
            Some(id) => {
                let token = id_array([id]);
                self.unguarded.extend(guard.map(|_| token.clone()));
                token
            }
            None => {
                let noise = noise.draw(codebook, logits.dim(0))?;
                if guard.is_some() {
                    self.unguarded.push(sample_token(&logits, params, None, &noise)?);
                }
                sample_token(&logits, params, guard, &noise)?
            }
        };
        self.tokens.push(token.clone());
        self.logits.push(logits);
        Ok(token)
    }
}

impl Engine for MlxCsm {
    fn prefill(&mut self, prompt: &Prompt, history: &Codes) -> Result<()> {
        prompt.check_ids(self.text_vocab, &self.dims)?;
        self.caches.iter_mut().for_each(KvCache::reset);
        self.noise = None;
        let mut positions = prompt.positions.clone();
        positions.extend(history.frames().map(|frame| Position::Audio(frame.to_vec())));
        self.next_input = Some(self.embed_positions(&positions)?);
        Ok(())
    }

    fn next_frame(&mut self, request: &FrameRequest<'_>) -> Result<FrameOutput> {
        let FrameGraph { tokens, logits, unguarded } = self.frame_graph(request)?;
        let codes = concatenate(&tokens, 0)?; // (K,)
        let unguarded = (!unguarded.is_empty()).then(|| concatenate(&unguarded, 0)).transpose()?;
        let logits = concatenate(&logits, 0)?; // (K * V,)
        let total = logits.sum(None)?; // not finite where one of them is not
        let observed = request.observe.then_some(&logits);
        let wanted = [Some(&codes), Some(&total), unguarded.as_ref(), observed];
        evaluate(wanted.into_iter().flatten().chain(self.caches.iter().flat_map(KvCache::arrays)))?;
        if !total.as_slice::<f32>()[0].is_finite() {
            evaluate([&logits])?;
            check_finite(logits.as_slice::<f32>(), self.dims.vocab, request.frame, 0)?;
        }
        self.next_input = Some(self.embed_codes(&codes)?);
        let codes = codes.as_slice::<u32>().to_vec();
        let guarded = unguarded.map(|u| u.as_slice::<u32>().iter().zip(&codes).map(|(a, b)| a != b).collect());
        let logits = request.observe.then(|| Logits::new(self.dims.vocab, logits.as_slice::<f32>().to_vec()));
        Ok(FrameOutput { codes, logits, guarded: guarded.unwrap_or_default() })
    }
}
