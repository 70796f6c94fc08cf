//! CSM with PyTorch's operations: the same steps as `mlx::Csm`.

use tch::{Kind, Tensor};

use super::llama::{KvCache, Linear, Llama};
use super::sampling::{draw, seed, skip};
use super::{Torch, Weights, kind};
use crate::checkpoint::{Checkpoint, Dtype, names};
use crate::engine::{Engine, Request, Shape, Step};
use crate::error::Result;
use crate::prompt::{Frame, Prompt, Row};

/// Width from which a product is worth sharing out among threads: below it they mostly wait for each other.
const SHARED_FROM_WIDTH: usize = 1_024;

/// The language model.
pub struct TorchCsm {
    shape: Shape,
    text_table: Tensor,  // (text ids, d)
    code_table: Tensor,  // (K * V, d)
    depth_table: Tensor, // (K * V, d)
    backbone: Llama,
    head: Linear,
    projection: Linear,
    depth: Llama,
    depth_heads: Tensor, // (K - 1, e, V)
    caches: Vec<KvCache>,
    depth_caches: Vec<KvCache>,
    prompt_length: usize,
    pending: Option<Tensor>, // (1, T, d)
    /// Seed and frame that the generator stands at.
    position: Option<(u64, usize)>,
}

impl TorchCsm {
    /// Loads the language model of `checkpoint` in `precision`.
    ///
    /// # Errors
    /// What PyTorch reports.
    pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Self> {
        let c = &checkpoint.config;
        if c.backbone.hidden_size < SHARED_FROM_WIDTH {
            tch::set_num_threads(1);
        }
        let w = Weights { tensors: &checkpoint.tensors, kind: kind(precision) };
        let depth_table = w.get(names::DEPTH_CODES)?;
        let code_table = w.optional(names::BACKBONE_CODES)?.unwrap_or_else(|| depth_table.shallow_clone());
        let backbone = Llama::load(&w, "backbone_model", &c.backbone)?;
        let depth = Llama::load(&w, "depth_decoder.model", &c.depth_decoder_config.llama)?;
        Ok(Self {
            shape: Shape {
                codebooks: c.num_codebooks,
                vocab: c.vocab_size,
                positions: c.backbone.max_position_embeddings,
            },
            text_table: w.get("embed_text_tokens.weight")?,
            code_table,
            depth_table,
            head: Linear::load(&w, "lm_head")?,
            projection: Linear::load(&w, "depth_decoder.model.inputs_embeds_projector")?,
            depth_heads: w.get("depth_decoder.codebooks_head.weight")?,
            caches: backbone.caches(),
            depth_caches: depth.caches(),
            backbone,
            depth,
            prompt_length: 0,
            pending: None,
            position: None,
        })
    }

    fn embed_rows(&self, rows: &[Row]) -> Torch<Tensor> {
        let embed = |row: &Row| match row {
            Row::Text(id) => self.text_table.f_index_select(0, &Tensor::from_slice(&[i64::from(*id)])),
            Row::Audio(frame) => self.embed_frame(&ids(frame)),
        };
        let rows = rows.iter().map(embed).collect::<Torch<Vec<_>>>()?; // (1, d) each
        Tensor::f_cat(&rows, 0)?.f_unsqueeze(0)
    }

    /// The sum of a frame's embeddings: codes (K,) int64 to (1, d).
    fn embed_frame(&self, codes: &Tensor) -> Torch<Tensor> {
        let (k, v) = (self.shape.codebooks as i64, self.shape.vocab as i64);
        let rows = codes.f_add(&Tensor::f_arange_start_step(0, k * v, v, (Kind::Int64, codes.device()))?)?;
        self.code_table.f_index_select(0, &rows)?.f_sum_dim_intlist(&[0i64][..], true, self.code_table.kind())
    }

    /// Sets the generator to the beginning of frame `frame` of the stream of `of`.
    fn seek(&mut self, of: u64, frame: usize) -> Torch<()> {
        if self.position != Some((of, frame)) {
            seed(of);
            skip(frame * self.shape.codebooks * self.shape.vocab)?;
        }
        self.position = Some((of, frame + 1));
        Ok(())
    }

    fn frame(&mut self, request: &Request<'_>) -> Torch<Drawn> {
        self.seek(request.sampling.seed, request.frame)?;
        let x = self.pending.take().expect("start comes before step");
        let hidden = self.backbone.forward(&x, &mut self.caches)?;
        let hidden = hidden.f_narrow(1, hidden.size()[1] - 1, 1)?; // (1, 1, d)
        let mut drawn = Drawn::default();
        let mut token = drawn.take(request, 0, &self.head.forward(&hidden)?)?;
        for cache in &mut self.depth_caches {
            cache.truncate(0)?;
        }
        let mut input = hidden;
        for codebook in 1..self.shape.codebooks {
            let row = token.f_add_scalar(((codebook - 1) * self.shape.vocab) as i64)?;
            let code = self.depth_table.f_index_select(0, &row)?.f_unsqueeze(0)?; // (1, 1, d)
            input = if codebook == 1 { Tensor::f_cat(&[input, code], 1)? } else { code };
            let y = self.depth.forward(&self.projection.forward(&input)?, &mut self.depth_caches)?;
            let y = y.f_narrow(1, y.size()[1] - 1, 1)?; // (1, 1, e)
            let logits = y.f_matmul(&self.depth_heads.f_get(codebook as i64 - 1)?)?;
            token = drawn.take(request, codebook, &logits)?;
        }
        Ok(drawn)
    }
}

#[derive(Default)]
struct Drawn {
    tokens: Vec<Tensor>, // (1,) int64
    logits: Vec<Tensor>, // (V,) float32
    guarded: Vec<bool>,
}

impl Drawn {
    /// Draws (or takes the forced) token of `codebook`; a forced token's noise is drawn all the same.
    fn take(&mut self, request: &Request<'_>, codebook: usize, logits: &Tensor) -> Torch<Tensor> {
        let settings = request.sampling;
        let logits = logits.f_to_kind(Kind::Float)?.f_flatten(0, -1)?; // (V,)
        let (drawn, unguarded) = draw(&logits, settings.draw(codebook), settings.guard)?;
        let forced = request.forced.get(codebook).copied().flatten();
        let token = forced.map_or_else(|| drawn.shallow_clone(), |id| ids(&[id]));
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

fn ids(of: &[u32]) -> Tensor {
    let ids: Vec<i64> = of.iter().map(|id| i64::from(*id)).collect();
    Tensor::from_slice(&ids)
}

impl Engine for TorchCsm {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn start(&mut self, prompt: &Prompt, history: &[Frame]) -> Result<()> {
        for cache in &mut self.caches {
            cache.truncate(0)?;
        }
        self.position = None;
        self.prompt_length = prompt.rows.len();
        let mut rows = prompt.rows.clone();
        rows.extend(history.iter().cloned().map(Row::Audio));
        self.pending = Some(self.embed_rows(&rows)?);
        Ok(())
    }

    fn step(&mut self, request: &Request<'_>) -> Result<Step> {
        let drawn = self.frame(request)?;
        let codes = Tensor::f_cat(&drawn.tokens, 0)?; // (K,)
        self.pending = Some(self.embed_frame(&codes)?.f_unsqueeze(0)?);
        let logits = request.observe.then(|| Vec::<f32>::try_from(Tensor::f_cat(&drawn.logits, 0)?)).transpose()?;
        let codes = Vec::<i64>::try_from(codes)?;
        Ok(Step { codes: codes.into_iter().map(|id| id as u32).collect(), logits, guarded: drawn.guarded })
    }

    fn rewind(&mut self, history: &[Frame]) -> Result<()> {
        let Some((last, before)) = history.split_last() else {
            return Err(crate::error::Error::Torch("rewinding to the very beginning takes `start`".into()));
        };
        for cache in &mut self.caches {
            cache.truncate((self.prompt_length + before.len()) as i64)?;
        }
        self.pending = Some(self.embed_frame(&ids(last))?.f_unsqueeze(0)?);
        Ok(())
    }
}
