//! CSM on MLX: a backbone over time, a depth decoder over the codebooks of a frame. One lazy graph and one synchronisation a
//! frame: sampling is inside the graph.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::concatenate;
use mlx_rs::ops::indexing::TryIndexOp;

use super::evaluate;
use super::llama::{KvCache, Linear, Llama, embed, ids, to_f32};
use super::sampling::{Noise, draw, native_key};
use super::weights::Weights;
use crate::checkpoint::{Checkpoint, Dtype, names};
use crate::engine::{Engine, Request, Shape, Step};
use crate::error::Result;
use crate::prompt::{Frame, Prompt, Row};
use crate::sampling::Mode;
use crate::sampling::ahead::NoiseAhead;

type Mlx<T> = std::result::Result<T, Exception>;

/// Positions a cache grows by.
const CACHE_BLOCK: usize = 256;

/// The language model.
pub struct Csm {
    shape: Shape,
    text_table: Array, // (text ids, d)
    code_table: Array, // (K * V, d), row = id + codebook * V
    backbone: Llama,
    head: Linear,       // d -> V, codebook 0
    depth_table: Array, // (K * V, d): the same as code_table where the checkpoint shares them
    projection: Linear, // d -> e
    depth: Llama,
    depth_heads: Vec<Array>, // K - 1 times (e, V)
    caches: Vec<KvCache>,
    depth_caches: Vec<KvCache>,
    /// Positions before the first generated frame.
    prompt_length: usize,
    /// Embedded input that the backbone has not seen yet, (1, T, d).
    pending: Option<Array>,
    noise: Option<NoiseAhead>,
}

impl Csm {
    /// Loads the language model of `checkpoint` in `precision`; all weights are computed before it returns.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Self> {
        let c = &checkpoint.config;
        let (k, v) = (c.num_codebooks, c.vocab_size);
        let mut w = Weights::new(&checkpoint.tensors, precision);
        let depth_table = w.get(names::DEPTH_CODES)?;
        let code_table = match w.optional(names::BACKBONE_CODES)? {
            Some(own) => own,
            None => depth_table.clone(),
        };
        let heads = w.get("depth_decoder.codebooks_head.weight")?; // (K - 1, e, V)
        let backbone = Llama::load(&mut w, "backbone_model", &c.backbone)?;
        let depth = Llama::load(&mut w, "depth_decoder.model", &c.depth_decoder_config.llama)?;
        let model = Self {
            shape: Shape { codebooks: k, vocab: v, positions: c.backbone.max_position_embeddings },
            text_table: w.get("embed_text_tokens.weight")?,
            code_table,
            head: Linear::load(&mut w, "lm_head")?,
            depth_table,
            projection: Linear::load(&mut w, "depth_decoder.model.inputs_embeds_projector")?,
            depth_heads: (0..k as i32 - 1).map(|i| heads.try_index(i)).collect::<Mlx<_>>()?,
            caches: backbone.caches(CACHE_BLOCK),
            depth_caches: depth.caches(k),
            backbone,
            depth,
            prompt_length: 0,
            pending: None,
            noise: None,
        };
        w.finish()?;
        Ok(model)
    }

    /// Rows of a prompt as the backbone's input, (1, T, d): runs of text and runs of audio.
    fn embed_rows(&self, rows: &[Row]) -> Mlx<Array> {
        let runs =
            rows.chunk_by(|a, b| matches!((a, b), (Row::Text(_), Row::Text(_)) | (Row::Audio(_), Row::Audio(_))));
        let parts: Vec<Array> = runs
            .map(|run| match &run[0] {
                Row::Text(_) => embed(
                    &self.text_table,
                    &ids(run.iter().map(|r| match r {
                        Row::Text(id) => *id,
                        Row::Audio(_) => unreachable!("a run is of one kind"),
                    })),
                ),
                Row::Audio(_) => self.embed_codes(&ids(run.iter().flat_map(|r| match r {
                    Row::Audio(frame) => frame.iter().copied(),
                    Row::Text(_) => unreachable!("a run is of one kind"),
                }))),
            })
            .collect::<Mlx<_>>()?;
        concatenate(&parts, 1)
    }

    /// Codes (T * K,) as the backbone's input: the sum of their embeddings, (1, T, d).
    fn embed_codes(&self, codes: &Array) -> Mlx<Array> {
        let (k, v) = (self.shape.codebooks as i32, self.shape.vocab as u32);
        let offsets = Array::from_iter((0..k as u32).map(|codebook| codebook * v), &[1, k]);
        let rows = codes.reshape(&[-1, k])?.add(offsets)?; // (T, K)
        self.code_table.take_axis(rows, 0)?.sum_axis(1, false)?.expand_dims_axes(&[0])
    }

    /// The next frame as a graph: tokens of each codebook, (1,) each; raw logits of each, (V,); and where the guard is
    /// on, what would have been drawn without it.
    fn frame(&mut self, request: &Request<'_>) -> Mlx<Lazy> {
        let x = self.pending.take().expect("start comes before step");
        let noise = self.noise_of(request);
        let hidden = self.backbone.forward(&x, &mut self.caches)?; // (1, T, d)
        let hidden = hidden.try_index((.., -1.., ..))?; // (1, 1, d)
        let mut lazy = Lazy::default();
        let mut logits = self.head.forward(&hidden)?.reshape(&[-1])?; // (V,)
        let mut token = lazy.take(request, 0, logits, &noise)?;
        self.depth_caches.iter_mut().for_each(|c| c.truncate(0));
        let mut input = hidden;
        for codebook in 1..self.shape.codebooks {
            let row = token.add(Array::from_slice(&[((codebook - 1) * self.shape.vocab) as u32], &[1]))?;
            let code = embed(&self.depth_table, &row)?; // (1, 1, d)
            // The first step takes two inputs, at positions 0 and 1.
            input = if codebook == 1 { concatenate(&[input, code], 1)? } else { code };
            let y = self.depth.forward(&self.projection.forward(&input)?, &mut self.depth_caches)?;
            let y = y.try_index((0, -1.., ..))?; // (1, e)
            logits = y.matmul(&self.depth_heads[codebook - 1])?.reshape(&[-1])?; // (V,)
            token = lazy.take(request, codebook, logits, &noise)?;
        }
        Ok(lazy)
    }

    /// The noise of a frame in *exact* mode, [K][V]: made ahead on its own thread.
    fn noise_of(&mut self, request: &Request<'_>) -> Option<Vec<f32>> {
        if request.sampling.mode != Mode::Exact {
            return None;
        }
        let Shape { codebooks, vocab, .. } = self.shape;
        let seed = request.sampling.seed;
        if !self.noise.as_ref().is_some_and(|n| n.is_next(seed, request.frame)) {
            self.noise = Some(NoiseAhead::start(seed, request.frame, codebooks, vocab));
        }
        self.noise.as_mut().map(NoiseAhead::next_frame)
    }
}

#[derive(Default)]
struct Lazy {
    tokens: Vec<Array>,    // (1,)
    logits: Vec<Array>,    // (V,) float32
    unguarded: Vec<Array>, // (1,)
}

impl Lazy {
    /// Draws (or takes the forced) token of `codebook` and keeps what was seen on the way.
    fn take(&mut self, request: &Request<'_>, codebook: usize, logits: Array, noise: &Option<Vec<f32>>) -> Mlx<Array> {
        let logits = to_f32(&logits)?;
        let settings = request.sampling;
        let how = settings.draw(codebook);
        let noise = match noise {
            None => Noise::Key(native_key(settings.seed, request.frame, codebook)?),
            Some(frame) => {
                let v = logits.dim(0);
                let first = codebook * v as usize;
                Noise::Exponential(Array::from_slice(&frame[first..first + v as usize], &[v]))
            }
        };
        let token = match request.forced.get(codebook).copied().flatten() {
            Some(id) => ids([id]),
            None => {
                if settings.guard.is_some() {
                    self.unguarded.push(draw(&logits, how, None, &noise)?);
                }
                draw(&logits, how, settings.guard, &noise)?
            }
        };
        if settings.guard.is_some() && self.unguarded.len() <= codebook {
            self.unguarded.push(token.clone());
        }
        self.tokens.push(token.clone());
        if request.observe {
            self.logits.push(logits);
        }
        Ok(token)
    }
}

impl Engine for Csm {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn start(&mut self, prompt: &Prompt, history: &[Frame]) -> Result<()> {
        self.caches.iter_mut().for_each(|c| c.truncate(0));
        self.noise = None;
        self.prompt_length = prompt.rows.len();
        let mut rows = prompt.rows.clone();
        rows.extend(history.iter().cloned().map(Row::Audio));
        self.pending = Some(self.embed_rows(&rows)?);
        Ok(())
    }

    fn step(&mut self, request: &Request<'_>) -> Result<Step> {
        let Lazy { tokens, logits, unguarded } = self.frame(request)?;
        let codes = concatenate(&tokens, 0)?; // (K,)
        let unguarded = (!unguarded.is_empty()).then(|| concatenate(&unguarded, 0)).transpose()?;
        let logits = request.observe.then(|| concatenate(&logits, 0)).transpose()?; // (K * V,)
        let wanted = [Some(&codes), unguarded.as_ref(), logits.as_ref()];
        evaluate(wanted.into_iter().flatten().chain(self.caches.iter().flat_map(KvCache::arrays)))?;
        self.pending = Some(self.embed_codes(&codes)?);
        let codes = codes.as_slice::<u32>().to_vec();
        let guarded = unguarded.map(|u| u.as_slice::<u32>().iter().zip(&codes).map(|(a, b)| a != b).collect());
        Ok(Step { codes, logits: logits.map(|l| l.as_slice::<f32>().to_vec()), guarded: guarded.unwrap_or_default() })
    }

    fn rewind(&mut self, history: &[Frame]) -> Result<()> {
        let Some((last, before)) = history.split_last() else {
            // The prompt's last position gives the first frame, so it has to be seen again; the caller starts anew.
            return Err(crate::error::Error::Mlx("rewinding to the very beginning takes `start`".into()));
        };
        self.caches.iter_mut().for_each(|c| c.truncate(self.prompt_length + before.len()));
        self.pending = Some(self.embed_codes(&ids(last.iter().copied()))?);
        Ok(())
    }
}
