//! The transformer of [`crate::mlx::llama`] as one operation, float32 in and out.

use rayon::prelude::*;

use super::dot::{add_scaled, multiply_rows};
use super::matrix::Matrix;
use super::source::HostTensor;
use crate::checkpoint::config::LlamaConfig;
use crate::checkpoint::weights::{LlamaLayerWeights, LlamaWeights};
use crate::data::AttentionHead;

/// Multiplications below which attention is not shared among threads.
const WORTH_SHARING: usize = 1 << 20;

struct Layer {
    input_norm: Vec<f32>,
    /// Queries, keys and values.
    qkv: [Matrix; 3],
    o: [Matrix; 1],
    post_norm: Vec<f32>,
    gate_up: [Matrix; 2],
    down: [Matrix; 1],
}

/// Layers and final norm.
pub(super) struct Llama {
    layers: Vec<Layer>,
    norm: Vec<f32>,
    eps: f32,
    /// Cosines and sines of the rotation, each `[positions][head_dim / 2]`.
    rotation: (Vec<f32>, Vec<f32>),
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

/// Keys and values of one sequence.
#[derive(Clone, Default)]
pub(super) struct KvCache {
    /// `[layer][kv head]`, each `[length][head_dim]`.
    layers: Vec<Vec<HeadCache>>,
    length: usize,
}

#[derive(Clone, Default)]
struct HeadCache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Heads whose attention is recorded, and the weights of each sequence's last position, `[sequence][recorded head][position]`.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) heads: Vec<AttentionHead>,
    pub(super) weights: Vec<Vec<Vec<f32>>>,
}

/// Buffers of a step, kept for the next one.
#[derive(Default)]
pub(super) struct Buffers {
    normed: Vec<f32>,
    wide: Vec<f32>,
    turned: Vec<f32>,
    inner: Vec<f32>,
}

impl KvCache {
    /// Forgets all positions and keeps the memory.
    pub(super) fn reset(&mut self) {
        for head in self.layers.iter_mut().flatten() {
            head.keys.clear();
            head.values.clear();
        }
        self.length = 0;
    }
}

impl Llama {
    /// `None` if a matrix is stored in a way that [`Matrix`] does not know.
    pub(super) fn new(weights: LlamaWeights<HostTensor>, c: &LlamaConfig) -> Option<Self> {
        let layer = |w: LlamaLayerWeights<HostTensor>| {
            Some(Layer {
                input_norm: w.input_norm.into_f32(),
                qkv: [Matrix::new(w.q)?, Matrix::new(w.k)?, Matrix::new(w.v)?],
                o: [Matrix::new(w.o)?],
                post_norm: w.post_norm.into_f32(),
                gate_up: [Matrix::new(w.gate)?, Matrix::new(w.up)?],
                down: [Matrix::new(w.down)?],
            })
        };
        let frequencies = c.rope.inverse_frequencies(c.head_dim());
        let angles = (0..c.max_position_embeddings).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        Some(Self {
            layers: weights.layers.into_iter().map(layer).collect::<Option<_>>()?,
            norm: weights.norm.into_f32(),
            eps: c.rms_norm_eps as f32,
            rotation: angles.map(|angle| (angle.cos(), angle.sin())).unzip(),
            heads: c.num_attention_heads,
            kv_heads: c.num_key_value_heads,
            head_dim: c.head_dim(),
        })
    }

    pub(super) fn cache(&self) -> KvCache {
        KvCache { layers: vec![vec![HeadCache::default(); self.kv_heads]; self.layers.len()], length: 0 }
    }

    /// The next positions of several sequences: `x` `[sequences][T][d]` becomes the normed hidden states.
    /// `recorder` takes the attention of its heads.
    pub(super) fn forward(
        &self,
        x: &mut [f32],
        caches: &mut [KvCache],
        buffers: &mut Buffers,
        recorder: &mut Recorder,
    ) {
        recorder.weights.clear();
        recorder.weights.resize(caches.len(), vec![Vec::new(); recorder.heads.len()]);
        let rows = x.len() / self.norm.len();
        for (n, layer) in self.layers.iter().enumerate() {
            self.normalise(x, &layer.input_norm, &mut buffers.normed);
            multiply_all(&layer.qkv, &buffers.normed, rows, &mut buffers.wide, &mut buffers.turned);
            self.attend(n, &mut buffers.wide, caches, &mut buffers.inner);
            self.record(n, &buffers.wide, caches, recorder);
            multiply_all(&layer.o, &buffers.inner, rows, &mut buffers.wide, &mut buffers.turned);
            add_scaled(x, &buffers.wide, 1.0);
            self.normalise(x, &layer.post_norm, &mut buffers.normed);
            multiply_all(&layer.gate_up, &buffers.normed, rows, &mut buffers.wide, &mut buffers.turned);
            swiglu(&buffers.wide, rows, &mut buffers.inner);
            multiply_all(&layer.down, &buffers.inner, rows, &mut buffers.wide, &mut buffers.turned);
            add_scaled(x, &buffers.wide, 1.0);
        }
        let steps = rows / caches.len().max(1);
        caches.iter_mut().for_each(|cache| cache.length += steps);
        self.normalise(x, &self.norm, &mut buffers.normed);
        x.copy_from_slice(&buffers.normed);
    }

    /// RMSNorm of every row.
    fn normalise(&self, x: &[f32], weight: &[f32], normed: &mut Vec<f32>) {
        normed.clear();
        for row in x.chunks_exact(weight.len()) {
            let mut square = [0.0];
            multiply_rows(row, row, 1, &mut square);
            let scale = (square[0] / row.len() as f32 + self.eps).sqrt().recip();
            normed.extend(row.iter().zip(weight).map(|(x, weight)| x * scale * weight));
        }
    }

    /// Attention of rows of queries, keys and values `qkv` `[rows][(heads + 2 kv heads) head_dim]` over all positions of their
    /// sequences: `y` `[rows][heads head_dim]`.
    fn attend(&self, layer: usize, qkv: &mut [f32], caches: &mut [KvCache], y: &mut Vec<f32>) {
        let d = self.head_dim;
        let (queries, keys) = (self.heads * d, self.kv_heads * d);
        let width = queries + 2 * keys;
        let steps = qkv.len() / width / caches.len().max(1);
        for (n, row) in qkv.chunks_exact_mut(width).enumerate() {
            let cache = &mut caches[n / steps];
            let position = cache.length + n % steps;
            row[..queries + keys].chunks_exact_mut(d).for_each(|head| self.rotate(head, position));
            for (g, head) in cache.layers[layer].iter_mut().enumerate() {
                head.keys.extend_from_slice(&row[queries + g * d..queries + (g + 1) * d]);
                head.values.extend_from_slice(&row[queries + keys + g * d..queries + keys + (g + 1) * d]);
            }
        }
        let (caches, qkv) = (&*caches, &*qkv);
        y.clear();
        y.resize(qkv.len() / width * queries, 0.0);
        let head = |(n, y): (usize, &mut [f32])| {
            let (row, head) = (n / self.heads, n % self.heads);
            let cache = &caches[row / steps];
            let seen = cache.length + row % steps + 1;
            let kv = &cache.layers[layer][head * self.kv_heads / self.heads];
            let query = &qkv[row * width + head * d..][..d];
            attend_one(query, &kv.keys[..seen * d], &kv.values[..seen * d], y);
        };
        let longest = caches.iter().map(|cache| cache.length + steps).max().unwrap_or(0);
        if y.len() * longest < WORTH_SHARING {
            y.chunks_exact_mut(d).enumerate().for_each(head);
        } else {
            y.par_chunks_exact_mut(d).enumerate().with_min_len(4).for_each(head);
        }
    }

    /// Records the attention of layer `layer`; `qkv` and `caches` as [`Llama::attend`] left them.
    fn record(&self, layer: usize, qkv: &[f32], caches: &[KvCache], recorder: &mut Recorder) {
        let (d, of_sequence) = (self.head_dim, qkv.len() / caches.len().max(1));
        let width = (self.heads + 2 * self.kv_heads) * d;
        for (n, at) in recorder.heads.iter().enumerate().filter(|(_, at)| at.layer == layer) {
            for ((cache, rows), weights) in caches.iter().zip(qkv.chunks_exact(of_sequence)).zip(&mut recorder.weights)
            {
                let query = &rows[of_sequence - width + at.head * d..][..d];
                let keys = &cache.layers[layer][at.head * self.kv_heads / self.heads].keys;
                let (mut exponentials, total) = exponentials(query, keys);
                exponentials.iter_mut().for_each(|weight| *weight /= total);
                weights[n] = exponentials;
            }
        }
    }

    /// Half-split rotation of a head by its position.
    fn rotate(&self, head: &mut [f32], position: usize) {
        let half = self.head_dim / 2;
        let at = |table: &'_ [f32]| -> Vec<f32> { table[position * half..(position + 1) * half].to_vec() };
        let (cos, sin) = (at(&self.rotation.0), at(&self.rotation.1));
        let (first, second) = head.split_at_mut(half);
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

/// Softmax attention of one query `[d]` over `keys` and `values` `[positions][d]`.
fn attend_one(query: &[f32], keys: &[f32], values: &[f32], y: &mut [f32]) {
    let (weights, total) = exponentials(query, keys);
    y.fill(0.0);
    for (value, weight) in values.chunks_exact(query.len()).zip(&weights) {
        add_scaled(y, value, weight / total);
    }
}

/// Attention weights of one query `[d]` for `keys` `[positions][d]` before they are divided by their sum, and that sum.
fn exponentials(query: &[f32], keys: &[f32]) -> (Vec<f32>, f32) {
    let d = query.len();
    let mut weights = vec![0.0; keys.len() / d];
    multiply_rows(keys, query, 1, &mut weights);
    let scale = (d as f32).sqrt().recip();
    let largest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for weight in &mut weights {
        *weight = ((*weight - largest) * scale).exp();
        total += *weight;
    }
    (weights, total)
}

/// `silu(gate) * up` of rows `[gate, up]`.
fn swiglu(gate_up: &[f32], rows: usize, inner: &mut Vec<f32>) {
    inner.clear();
    for row in gate_up.chunks_exact(gate_up.len() / rows) {
        let (gate, up) = row.split_at(row.len() / 2);
        inner.extend(gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up));
    }
}

/// Products of `rows` activations `x` with several matrices, side by side: `y` `[rows][sum of outputs]`.
pub(super) fn multiply_all(matrices: &[Matrix], x: &[f32], rows: usize, y: &mut Vec<f32>, turned: &mut Vec<f32>) {
    let outputs: usize = matrices.iter().map(Matrix::outputs).sum();
    let target = if rows == 1 { &mut *y } else { &mut *turned };
    target.resize(outputs * rows, 0.0);
    let mut rest = target.as_mut_slice();
    for matrix in matrices {
        let (own, others) = rest.split_at_mut(matrix.outputs() * rows);
        matrix.multiply(x, rows, own);
        rest = others;
    }
    if rows > 1 {
        y.clear();
        y.extend((0..rows).flat_map(|row| turned.iter().skip(row).step_by(rows)));
    }
}
