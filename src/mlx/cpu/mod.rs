//! The language model's transformers on the processor, for float32: each step of a transformer is one operation of MLX's
//! graph, in float32, with the weights in the numbers of the checkpoint. The graph in [`super::llama`] is the reference.

mod dot;
mod llama;
mod matrix;
mod op;
mod source;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mlx_rs::Array;
use mlx_rs::error::Exception;

use self::llama::{Buffers, KvCache, Llama, Recorder, multiply_all};
use self::matrix::Matrix;
pub(super) use self::op::{count_operations, host_op, take_panic};
use self::source::{DenseNumbers, HostSource, HostTensor};
use super::evaluate;
use super::network::{Embeddings, Network, ReadAttention};
use super::nn::{Embedding, Result as MlxResult};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::CsmWeights;
use crate::data::AttentionHead;
use crate::error::{Error, Result};

/// A transformer and the sequences it works on.
struct Stack {
    llama: Llama,
    sequences: Mutex<Sequences>,
}

#[derive(Default)]
struct Sequences {
    caches: Vec<KvCache>,
    buffers: Buffers,
    recorder: Recorder,
    hidden: Vec<f32>,
    last: Vec<f32>,
    logits: Vec<f32>,
}

impl Stack {
    fn new(llama: Llama) -> Self {
        let sequences = Sequences { caches: vec![llama.cache()], ..Sequences::default() };
        Self { llama, sequences: Mutex::new(sequences) }
    }

    /// Runs `step` on the sequences. A panic in an earlier step has been reported; a prefill starts from empty caches.
    fn with<T>(&self, step: impl FnOnce(&Llama, &mut Sequences) -> T) -> T {
        step(&self.llama, &mut self.sequences.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn reset(&self) {
        self.with(|_, sequences| {
            sequences.caches.truncate(1);
            sequences.caches.iter_mut().for_each(KvCache::reset);
        });
    }

    fn select(&self, rows: &[usize]) {
        self.with(|_, sequences| {
            sequences.caches = rows.iter().filter_map(|row| sequences.caches.get(*row)).cloned().collect();
        });
    }
}

/// The transformers and heads as operations on the processor.
pub(super) struct HostNetwork {
    backbone: Arc<Stack>,
    depth_decoder: Arc<Stack>,
    codebook0_head: Arc<Matrix>,
    projection: Arc<[Matrix; 1]>,
    depth_heads: Vec<Arc<[Matrix; 1]>>,
    /// Output of the last step. Steps append to their own caches, so each depends on the one before, also if its input does not.
    previous: Option<Array>,
}

impl HostNetwork {
    /// The language model with its weights as they are stored; `None` if a matrix is stored in a way that needs MLX.
    ///
    /// # Errors
    /// Errors of reading the weights.
    pub(super) fn load(checkpoint: &Checkpoint) -> Result<Option<(Self, Embeddings)>> {
        // Asked before anything is read: else all weights would be read twice.
        if checkpoint.tensors.quantisations().iter().any(|(bits, ..)| !matches!(bits, 4 | 8)) {
            return Ok(None);
        }
        start_threads()?;
        let c = &checkpoint.config;
        let weights = CsmWeights::load(&mut HostSource(&checkpoint.tensors), c)?;
        let embeddings = Embeddings::new(
            Embedding(HostTensor::arrays(weights.text_embeddings)),
            weights.audio_embeddings.map(|table| Embedding(HostTensor::arrays(table))),
            Embedding(HostTensor::arrays(weights.depth_embeddings)),
        );
        let (e, v) = (c.depth_decoder_config.llama.hidden_size, c.vocab_size);
        let network = || {
            Some(Self {
                backbone: Arc::new(Stack::new(Llama::new(weights.backbone, &c.backbone)?)),
                depth_decoder: Arc::new(Stack::new(Llama::new(weights.depth_decoder, &c.depth_decoder_config.llama)?)),
                codebook0_head: Arc::new(Matrix::new(weights.codebook0_head)?),
                projection: Arc::new([Matrix::new(weights.projection)?]),
                depth_heads: heads(weights.audio_head, e, v)?,
                previous: None,
            })
        };
        Ok(network().map(|network| (network, embeddings)))
    }
}

impl HostNetwork {
    /// A step of a transformer: an operation that runs after the step before it.
    fn step(
        &mut self,
        x: &Array,
        shape: &[i32],
        function: impl Fn(&[f32], &mut [f32]) + Send + Sync + 'static,
    ) -> MlxResult<Array> {
        let inputs: Vec<&Array> = std::iter::once(x).chain(&self.previous).collect();
        let output = host_op(&inputs, shape, move |inputs, output| function(inputs[0], output))?;
        self.previous = Some(output.clone());
        Ok(output)
    }
}

/// Heads `[K - 1, e, V]` as matrices `[V, e]`.
fn heads(all: HostTensor, e: usize, v: usize) -> Option<Vec<Arc<[Matrix; 1]>>> {
    fn turned<W: Copy>(head: &[W], e: usize, v: usize) -> Vec<W> {
        (0..v).flat_map(|id| (0..e).map(move |i| head[i * v + id])).collect()
    }
    let heads: Vec<DenseNumbers> = match &all.numbers {
        DenseNumbers::Float32(all) => {
            all.chunks_exact(e * v).map(|head| DenseNumbers::Float32(turned(head, e, v))).collect()
        }
        DenseNumbers::Bfloat16(all) => {
            all.chunks_exact(e * v).map(|head| DenseNumbers::Bfloat16(turned(head, e, v))).collect()
        }
        DenseNumbers::Float16(all) => {
            all.chunks_exact(e * v).map(|head| DenseNumbers::Float16(turned(head, e, v))).collect()
        }
        DenseNumbers::Packed(_) | DenseNumbers::Mlx(_) => return None,
    };
    heads.into_iter().map(|head| Some(Arc::new([Matrix::dense(head, v, e)?]))).collect()
}

impl Network for HostNetwork {
    fn reset(&mut self) {
        self.backbone.reset();
        self.depth_decoder.reset();
        self.previous = None;
    }

    fn select(&mut self, rows: &[usize]) -> MlxResult<()> {
        // Steps that are in the graph and have not been computed are steps of the sequences as they were.
        evaluate(&self.previous)?;
        self.backbone.select(rows);
        self.depth_decoder.select(&vec![0; rows.len()]);
        Ok(())
    }

    fn backbone(&mut self, x: &Array) -> MlxResult<Array> {
        let (rows, width) = (x.dim(0), x.dim(2));
        let stack = self.backbone.clone();
        self.step(x, &[rows, 1, width], move |x, output| {
            stack.with(|llama, sequences| {
                sequences.hidden.clear();
                sequences.hidden.extend_from_slice(x);
                let Sequences { hidden, caches, buffers, recorder, .. } = sequences;
                llama.forward(hidden, caches, buffers, recorder);
                copy_last(&sequences.hidden, rows as usize, output);
            });
        })
    }

    fn codebook0(&self, hidden: &Array) -> MlxResult<Array> {
        let (rows, head) = (hidden.dim(0), self.codebook0_head.clone());
        host_op(&[hidden], &[rows, head.outputs() as i32], move |inputs, output| {
            let (mut logits, mut turned) = (Vec::new(), Vec::new());
            multiply_all(std::slice::from_ref(&*head), inputs[0], rows as usize, &mut logits, &mut turned);
            output.copy_from_slice(&logits);
        })
    }

    fn depth_step(&mut self, codebook: usize, input: &Array) -> MlxResult<Array> {
        let (rows, steps) = (input.dim(0) as usize, input.dim(1) as usize);
        let (stack, projection) = (self.depth_decoder.clone(), self.projection.clone());
        let head = self.depth_heads[codebook - 1].clone();
        self.step(input, &[rows as i32, head[0].outputs() as i32], move |input, output| {
            stack.with(|llama, s| {
                if codebook == 1 {
                    s.caches.iter_mut().for_each(KvCache::reset);
                }
                multiply_all(&*projection, input, rows * steps, &mut s.hidden, &mut s.logits);
                llama.forward(&mut s.hidden, &mut s.caches, &mut s.buffers, &mut s.recorder);
                s.last.resize(s.hidden.len() / steps, 0.0);
                copy_last(&s.hidden, rows, &mut s.last);
                let mut turned = Vec::new();
                multiply_all(&*head, &s.last, rows, &mut s.logits, &mut turned);
                output.copy_from_slice(&s.logits);
            });
        })
    }

    fn record_attention(&mut self, heads: &[AttentionHead]) {
        self.backbone.with(|_, sequences| sequences.recorder.heads = heads.to_vec());
    }

    fn attention(&self) -> ReadAttention {
        let backbone = self.backbone.clone();
        Box::new(move |row| {
            backbone.with(|_, sequences| {
                let weights = &sequences.recorder.weights;
                // The prompt is one sequence for all.
                weights.get(row).or_else(|| weights.first()).cloned().unwrap_or_default()
            })
        })
    }

    fn arrays(&self) -> Vec<Array> {
        Vec::new()
    }

    fn rewind(&mut self) -> MlxResult<()> {
        Err(Exception::custom("a step on the processor cannot be taken back"))
    }
}

/// Starts the threads that share an operation's work. Else the first operation would start them, which can only panic where it cannot.
fn start_threads() -> Result<()> {
    static FAILURE: OnceLock<Option<String>> = OnceLock::new();
    let start = || rayon::ThreadPoolBuilder::new().build_global().err().map(|e| e.to_string());
    match FAILURE.get_or_init(start) {
        // Another library may have started them.
        Some(problem) if !problem.contains("already been initialized") => Err(Error::unavailable(
            format!("the threads that compute cannot be started: {problem}"),
            "close other programs and try again",
        )),
        _ => Ok(()),
    }
}

/// ELU, `x` where positive, else `exp(x) - 1`: the same numbers as MLX's operations give.
pub(super) fn elu(x: &Array) -> MlxResult<Array> {
    host_op(&[x], x.shape(), |inputs, output| {
        for (y, x) in output.iter_mut().zip(inputs[0]) {
            *y = if *x > 0.0 { *x } else { x.exp_m1() };
        }
    })
}

/// The last position's numbers of each of `rows` sequences.
fn copy_last(hidden: &[f32], rows: usize, last: &mut [f32]) {
    let width = last.len() / rows;
    for (hidden, last) in hidden.chunks_exact(hidden.len() / rows).zip(last.chunks_exact_mut(width)) {
        last.copy_from_slice(&hidden[hidden.len() - width..]);
    }
}
