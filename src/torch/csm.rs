//! CSM with PyTorch's operations: the same steps as `mlx::MlxCsm`.

use tch::{Kind, TchError, Tensor};

use super::TorchResult;
use super::llama::{KvCache, Linear, Llama};
use super::sampling::{penalise, sample_token, seed, skip};
use super::weights::{TorchSource, dense};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::CsmWeights;
use crate::data::{AttentionHead, Codes, Dtype, Logits, ModelDims, NoiseSource, Position, Prompt};
use crate::engine::{Engine, FrameOutput, FrameProfile, FrameRequest, check_finite, check_heads};
use crate::error::{Error, Result};

/// Width from which a product is worth sharing among threads: below it they mostly wait for each other.
const SHARED_FROM_WIDTH: usize = 1_024;

/// The language model on PyTorch.
pub struct TorchCsm {
    dims: ModelDims,
    text_vocab: usize,
    /// Layers of the backbone, and heads of each.
    backbone_heads: (usize, usize),
    recorded: Vec<AttentionHead>,
    text_embeddings: Tensor,  // (text ids, d)
    audio_embeddings: Tensor, // (K * V, d)
    depth_embeddings: Tensor, // (K * V, d)
    backbone: Llama,
    codebook0_head: Linear,
    projection: Linear,
    depth_decoder: Llama,
    depth_heads: Tensor, // (K - 1, e, V)
    caches: Vec<KvCache>,
    depth_caches: Vec<KvCache>,
    next_input: Option<Tensor>, // (1, T, d)
    /// Seed and frame of PyTorch's generator.
    position: Option<(u64, usize)>,
}

impl TorchCsm {
    /// Loads the language model of `checkpoint` in `precision`.
    ///
    /// # Errors
    /// Errors of reading the weights, and of PyTorch.
    pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Self> {
        let c = &checkpoint.config;
        if c.backbone.hidden_size < SHARED_FROM_WIDTH {
            tch::set_num_threads(1);
        }
        let weights = CsmWeights::load(&mut TorchSource::new(&checkpoint.tensors, precision), c)?;
        let depth_embeddings = dense(weights.depth_embeddings)?;
        let audio_embeddings = match weights.audio_embeddings {
            Some(own) => dense(own)?,
            None => depth_embeddings.shallow_clone(),
        };
        let backbone = Llama::new(weights.backbone, &c.backbone)?;
        let depth_decoder = Llama::new(weights.depth_decoder, &c.depth_decoder_config.llama)?;
        Ok(Self {
            dims: checkpoint.dims(),
            text_vocab: c.text_vocab_size,
            backbone_heads: checkpoint.backbone_heads(),
            recorded: Vec::new(),
            text_embeddings: dense(weights.text_embeddings)?,
            audio_embeddings,
            depth_embeddings,
            codebook0_head: Linear::new(weights.codebook0_head)?,
            projection: Linear::new(weights.projection)?,
            depth_heads: weights.audio_head,
            caches: backbone.caches(),
            depth_caches: depth_decoder.caches(),
            backbone,
            depth_decoder,
            next_input: None,
            position: None,
        })
    }

    fn embed_positions(&self, positions: &[Position]) -> TorchResult<Tensor> {
        let embed = |position: &Position| match position {
            Position::Text(id) => self.text_embeddings.f_index_select(0, &id_tensor(&[*id])),
            Position::Audio(frame) => self.embed_frame(&id_tensor(frame)),
        };
        let rows = positions.iter().map(embed).collect::<TorchResult<Vec<_>>>()?; // (1, d) each
        Tensor::f_cat(&rows, 0)?.f_unsqueeze(0)
    }

    /// The sum of a frame's embeddings: codes (K,) int64 to (1, d).
    fn embed_frame(&self, codes: &Tensor) -> TorchResult<Tensor> {
        let (k, v) = (self.dims.codebooks as i64, self.dims.vocab as i64);
        let rows = codes.f_add(&Tensor::f_arange_start_step(0, k * v, v, (Kind::Int64, codes.device()))?)?;
        self.audio_embeddings.f_index_select(0, &rows)?.f_sum_dim_intlist(
            &[0i64][..],
            true,
            self.audio_embeddings.kind(),
        )
    }

    /// Moves PyTorch's generator to the start of frame `frame` of the stream of `stream_seed`.
    fn seek(&mut self, stream_seed: u64, frame: usize) -> TorchResult<()> {
        if self.position != Some((stream_seed, frame)) {
            seed(stream_seed);
            skip(frame * self.dims.codebooks * self.dims.vocab)?;
        }
        self.position = Some((stream_seed, frame + 1));
        Ok(())
    }

    fn sample_frame(&mut self, request: &FrameRequest<'_>) -> Result<SampledFrame> {
        match request.sampling.mode.info().noise {
            NoiseSource::TorchStream => self.seek(request.sampling.seed, request.frame)?,
            NoiseSource::MlxKey => {
                return Err(Error::invalid("sampling", "a mode with PyTorch's noise", request.sampling.mode.name()));
            }
        }
        let Some(x) = self.next_input.take() else {
            return Err(TchError::Torch("a frame was asked for before the prompt".into()).into());
        };
        let mut frame = SampledFrame::default();
        let recorded = Some((self.recorded.as_slice(), &mut frame.attention));
        let hidden = self.backbone.forward(&x, &mut self.caches, recorded)?;
        let hidden = hidden.f_narrow(1, hidden.size()[1] - 1, 1)?; // (1, 1, d)
        let mut token = frame.sample_codebook(request, 0, &self.codebook0_head.forward(&hidden)?)?;
        self.depth_caches.iter_mut().for_each(KvCache::reset);
        let mut input = hidden;
        for codebook in 1..self.dims.codebooks {
            let row = token.f_add_scalar(((codebook - 1) * self.dims.vocab) as i64)?;
            let code = self.depth_embeddings.f_index_select(0, &row)?.f_unsqueeze(0)?; // (1, 1, d)
            input = if codebook == 1 { Tensor::f_cat(&[input, code], 1)? } else { code };
            let y = self.depth_decoder.forward(&self.projection.forward(&input)?, &mut self.depth_caches, None)?;
            let y = y.f_narrow(1, y.size()[1] - 1, 1)?; // (1, 1, e)
            let logits = y.f_matmul(&self.depth_heads.f_get(codebook as i64 - 1)?)?;
            token = frame.sample_codebook(request, codebook, &logits)?;
        }
        Ok(frame)
    }
}

#[derive(Default)]
struct SampledFrame {
    tokens: Vec<Tensor>, // K times (1,) int64
    logits: Vec<Tensor>, // K times (V,) float32, if they are observed
    guarded: Vec<bool>,
    attention: Vec<Tensor>, // of each recorded head (length,) float32
}

impl SampledFrame {
    /// Draws (or takes the forced) token of `codebook`. The noise of a forced token is drawn too, to keep the position.
    fn sample_codebook(&mut self, request: &FrameRequest<'_>, codebook: usize, logits: &Tensor) -> Result<Tensor> {
        let sampling = request.sampling;
        let logits = logits.f_to_kind(Kind::Float)?.f_flatten(0, -1)?; // (V,)
        if !logits.f_sum(Kind::Float)?.f_double_value(&[])?.is_finite() {
            let row = Vec::<f32>::try_from(&logits)?;
            check_finite(&row, row.len(), request.frame, codebook)?;
        }
        let drawn_from = penalise(&logits, sampling.params_for(codebook), request.recent_of(codebook))?;
        let (drawn, unguarded) = sample_token(&drawn_from, sampling.params_for(codebook), sampling.guard)?;
        let forced = request.forced.get(codebook).copied().flatten();
        let token = forced.map_or_else(|| drawn.shallow_clone(), |id| id_tensor(&[id]));
        if let Some(unguarded) = unguarded {
            let changed = unguarded.f_int64_value(&[0])? != drawn.f_int64_value(&[0])?;
            self.guarded.push(forced.is_none() && changed);
        }
        if request.observe {
            self.logits.push(logits);
        }
        self.tokens.push(token.shallow_clone());
        Ok(token)
    }
}

fn id_tensor(ids: &[u32]) -> Tensor {
    let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    Tensor::from_slice(&ids)
}

impl Engine for TorchCsm {
    fn record_attention(&mut self, heads: &[AttentionHead]) -> Result<()> {
        check_heads(heads, self.backbone_heads.0, self.backbone_heads.1)?;
        self.recorded = heads.to_vec();
        Ok(())
    }

    fn prefill(&mut self, prompt: &Prompt, history: &Codes) -> Result<()> {
        prompt.check_ids(self.text_vocab, &self.dims)?;
        self.caches.iter_mut().for_each(KvCache::reset);
        self.position = None;
        let mut positions = prompt.positions.clone();
        positions.extend(history.frames().map(|frame| Position::Audio(frame.to_vec())));
        self.next_input = Some(self.embed_positions(&positions)?);
        Ok(())
    }

    fn next_frames(&mut self, requests: &[FrameRequest<'_>]) -> Result<Vec<FrameOutput>> {
        let [request] = requests else {
            return Err(TchError::Torch(format!("{} clips at once, where it makes one", requests.len())).into());
        };
        let frame = self.sample_frame(request)?;
        let codes = Tensor::f_cat(&frame.tokens, 0)?; // (K,)
        self.next_input = Some(self.embed_frame(&codes)?.f_unsqueeze(0)?);
        let logits = request.observe.then(|| Vec::<f32>::try_from(Tensor::f_cat(&frame.logits, 0)?)).transpose()?;
        let codes = Vec::<i64>::try_from(codes)?;
        Ok(vec![FrameOutput {
            codes: codes.into_iter().map(|id| id as u32).collect(),
            logits: logits.map(|values| Logits::new(self.dims.vocab, values)),
            guarded: frame.guarded,
            attention: frame.attention.into_iter().map(Vec::<f32>::try_from).collect::<Result<_, _>>()?,
        }])
    }

    fn profile(&mut self, _request: &FrameRequest<'_>) -> Result<Option<FrameProfile>> {
        Ok(None)
    }

    fn select(&mut self, _sequences: &[usize]) -> Result<()> {
        Ok(())
    }
}
