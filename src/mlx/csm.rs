//! CSM on MLX: a backbone over time, a depth decoder over the codebooks of a frame. One lazy graph and one synchronisation per
//! frame, sampling included, for one clip or several as a batch.

use std::time::Instant;

use mlx_rs::error::Exception;
use mlx_rs::ops::{broadcast_to, concatenate, stack};
use mlx_rs::transforms::async_eval;
use mlx_rs::{Array, Stream, with_stream};

use super::cpu::HostNetwork;
use super::device::stream_for;
use super::evaluate;
use super::network::{Embeddings, GraphNetwork, Network, ReadAttention};
use super::nn::{Result as MlxResult, id_array};
use super::sampling::{DrawNoise, native_key, penalise, sample_tokens};
use super::weights::mlx_dtype;
use crate::checkpoint::Checkpoint;
use crate::data::{AttentionHead, Codes, Dtype, Logits, ModelDims, NoiseSource, Position, Prompt, Sampling};
use crate::engine::{Engine, FrameOutput, FrameProfile, FrameRequest, FrameStage, check_finite, check_heads};
use crate::error::Result;
use crate::machine;
use crate::sampling::prefetch::NoisePrefetcher;

/// The language model on MLX.
pub struct MlxCsm {
    dims: ModelDims,
    text_vocab: usize,
    /// Layers of the backbone, and heads of each.
    backbone_heads: (usize, usize),
    precision: mlx_rs::Dtype,
    embeddings: Embeddings,
    network: Box<dyn Network>,
    /// Where everything is computed.
    stream: Stream,
    /// Input that the backbone has not seen yet, (B, T, d).
    next_input: Option<Array>,
    /// Whether the next frame is submitted before the tokens of this one are read, so that the device does not wait for its graph.
    looks_ahead: bool,
    /// The frame that was submitted before it was asked for.
    ahead: Option<Ahead>,
    /// Noise streams of the sequences whose mode uses PyTorch's noise.
    noise: Vec<NoisePrefetcher>,
}

impl MlxCsm {
    /// Loads the language model of `checkpoint` in `precision`. Float32 is computed on the processor, by operations of our own, also
    /// where there is a GPU: it reads weights as they are stored, and GPUs have faster and less exact ways to compute in float32.
    ///
    /// # Errors
    /// Errors of reading the weights, and of MLX.
    pub fn load(checkpoint: &Checkpoint, precision: Dtype) -> Result<Self> {
        if precision == Dtype::Float32
            && !machine::graph_wanted()
            && let Some((network, embeddings)) = with_stream(&stream_for(precision), || HostNetwork::load(checkpoint))?
        {
            return Ok(Self::new(checkpoint, precision, embeddings, Box::new(network), false));
        }
        Self::load_graph(checkpoint, precision)
    }

    /// Loads the model as MLX's graph, which computes on every device.
    ///
    /// # Errors
    /// Returns the errors of [`MlxCsm::load`].
    pub fn load_graph(checkpoint: &Checkpoint, precision: Dtype) -> Result<Self> {
        let load = || GraphNetwork::load(checkpoint, precision);
        let (network, embeddings) = with_stream(&stream_for(precision), load)?;
        // The processor would compute the frame on the cores that build its graph: no gain (assets/docs/speed.md).
        let looks_ahead = *machine::device_for(precision) != machine::Device::Cpu;
        Ok(Self::new(checkpoint, precision, embeddings, Box::new(network), looks_ahead))
    }

    fn new(
        checkpoint: &Checkpoint,
        precision: Dtype,
        embeddings: Embeddings,
        network: Box<dyn Network>,
        looks_ahead: bool,
    ) -> Self {
        Self {
            stream: stream_for(precision),
            dims: checkpoint.dims(),
            text_vocab: checkpoint.config.text_vocab_size,
            backbone_heads: checkpoint.backbone_heads(),
            precision: mlx_dtype(precision),
            embeddings,
            network,
            next_input: None,
            looks_ahead,
            ahead: None,
            noise: Vec::new(),
        }
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
                self.embeddings.text.forward(&id_array(text))?.as_dtype(self.precision)?
            } else {
                self.embed_codes(&id_array(audio))?
            });
        }
        concatenate(&parts, 0)?.expand_dims_axes(&[0])
    }

    /// Codes (n, K) as the backbone's input: the sum of their embeddings, (n, d).
    fn embed_codes(&self, codes: &Array) -> MlxResult<Array> {
        let (k, v) = (self.dims.codebooks as i32, self.dims.vocab as u32);
        let offsets = Array::from_iter((0..k as u32).map(|codebook| codebook * v), &[1, k]);
        let rows = codes.reshape(&[-1, k])?.add(offsets)?; // (n, K)
        self.embeddings.audio.forward(&rows)?.as_dtype(self.precision)?.sum_axis(1, false)
    }

    /// The next frame of each sequence as a graph. `after` receives the output of each stage.
    fn frame_graph(
        &mut self,
        requests: &[FrameRequest<'_>],
        after: &mut dyn FnMut(FrameStage, &Array) -> MlxResult<()>,
    ) -> MlxResult<FrameGraph> {
        let Some(x) = self.next_input.take() else {
            return Err(Exception::custom("a frame was asked for before the prompt"));
        };
        let rows = requests.len();
        let noise = self.noise_for(requests);
        let mut hidden = self.network.backbone(&x)?; // (B, 1, d)
        if hidden.dim(0) == 1 && rows > 1 {
            // The prompt is computed once for all.
            hidden = broadcast_to(&hidden, &[rows as i32, 1, hidden.dim(2)])?;
            self.network.select(&vec![0; rows])?;
        }
        let mut graph = FrameGraph::default();
        let mut logits = self.network.codebook0(&hidden)?; // (B, V)
        after(FrameStage::Backbone, &logits)?;
        let mut tokens = graph.sample_codebook(requests, 0, logits, &noise)?; // (B,)
        after(FrameStage::Sampling, &tokens)?;
        let mut input = hidden;
        for codebook in 1..self.dims.codebooks {
            let ids = tokens.add(id_array([((codebook - 1) * self.dims.vocab) as u32]))?;
            let code = self.embeddings.depth.forward(&ids)?.as_dtype(self.precision)?.expand_dims_axes(&[1])?; // (B, 1, d)
            // The first step takes two inputs, at positions 0 and 1.
            input = if codebook == 1 { concatenate(&[input, code], 1)? } else { code };
            logits = self.network.depth_step(codebook, &input)?;
            after(FrameStage::DepthDecoder, &logits)?;
            tokens = graph.sample_codebook(requests, codebook, logits, &noise)?;
            after(FrameStage::Sampling, &tokens)?;
        }
        Ok(graph)
    }

    /// Submits a frame and prepares the next one's input, which depends on nothing that has to be read.
    fn submit(&mut self, graph: FrameGraph) -> MlxResult<SubmittedFrame> {
        let FrameGraph { tokens, logits, unguarded } = graph;
        let codes = stack(&tokens, 1)?; // (B, K)
        let unguarded = (!unguarded.is_empty()).then(|| stack(&unguarded, 1)).transpose()?;
        // The arrays of the network are not kept: a cache that is referred to elsewhere is copied when a position is added.
        async_eval(logits.iter().chain([&codes]).chain(&unguarded).chain(&self.network.arrays()))?;
        self.next_input = Some(self.embed_codes(&codes)?.expand_dims_axes(&[1])?); // (B, 1, d)
        Ok(SubmittedFrame { codes, logits, unguarded, attention: self.network.attention() })
    }

    /// Waits for a frame.
    fn read(&self, frame: &SubmittedFrame, requests: &[FrameRequest<'_>]) -> Result<Vec<FrameOutput>> {
        evaluate(frame.logits.iter().chain([&frame.codes]).chain(&frame.unguarded))?;
        let (k, v) = (self.dims.codebooks, self.dims.vocab);
        let mut outputs = Vec::new();
        for (row, request) in requests.iter().enumerate() {
            let logits = || frame.logits.iter().map(|logits| &logits.as_slice::<f32>()[row * v..(row + 1) * v]);
            for (codebook, logits) in logits().enumerate() {
                check_finite(logits, v, request.frame, codebook)?;
            }
            let of_row = |all: &Array| all.as_slice::<u32>()[row * k..(row + 1) * k].to_vec();
            let codes = of_row(&frame.codes);
            let unguarded = frame.unguarded.as_ref().map(of_row);
            let guarded = unguarded.map(|u| u.iter().zip(&codes).map(|(a, b)| a != b).collect());
            outputs.push(FrameOutput {
                codes,
                logits: request.observe.then(|| Logits::new(v, logits().flatten().copied().collect())),
                guarded: guarded.unwrap_or_default(),
                attention: (frame.attention)(row),
            });
        }
        Ok(outputs)
    }

    /// Submits the frame after those of `requests`, if it will probably be asked for with the same settings and depends on nothing
    /// but the frame before. Not after the first frame, whose sound is waited for.
    fn look_ahead(&mut self, requests: &[FrameRequest<'_>]) -> MlxResult<()> {
        let depends_on_more = |r: &FrameRequest<'_>| r.sampling.penalises_repetition() || !r.forced.is_empty();
        if !self.looks_ahead || requests.iter().any(|r| r.frame == 0 || depends_on_more(r)) {
            return Ok(());
        }
        let Some(input) = self.next_input.clone() else { return Ok(()) };
        let expected: Vec<_> = requests.iter().map(|request| (request.frame + 1, *request.sampling)).collect();
        let next: Vec<_> = requests.iter().map(|r| FrameRequest { frame: r.frame + 1, recent: &[], ..*r }).collect();
        let graph = self.frame_graph(&next, &mut |_, _| Ok(()))?;
        let frame = self.submit(graph)?;
        self.ahead = Some(Ahead { frame, expected, input });
        Ok(())
    }

    /// Takes back the frame that was submitted before it was asked for. What is computed of it is dropped.
    fn drop_ahead(&mut self) -> MlxResult<()> {
        if let Some(ahead) = self.ahead.take() {
            self.network.rewind()?;
            self.next_input = Some(ahead.input);
        }
        Ok(())
    }

    /// Times of the stages of the frame after `request`'s.
    fn profile_frame(&mut self, request: &FrameRequest<'_>) -> Result<FrameProfile> {
        self.drop_ahead()?;
        let graph = self.frame_graph(&[*request], &mut |_, _| Ok(()))?;
        let operations = super::cpu::count_operations(graph.tokens.iter().chain(&graph.logits));
        let frame = self.submit(graph)?;
        self.read(&frame, &[*request])?;
        let request = FrameRequest { frame: request.frame + 1, ..*request };
        let mut profile = FrameProfile { operations, ..FrameProfile::default() };
        let mut started = Instant::now();
        let graph = self.frame_graph(&[request], &mut |stage, array| {
            evaluate([array])?;
            *profile.time(stage) += started.elapsed();
            started = Instant::now();
            Ok(())
        })?;
        let frame = self.submit(graph)?;
        self.read(&frame, &[request])?;
        Ok(profile)
    }

    /// Has `build` add its operations to this model's stream.
    fn on_stream<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let stream = self.stream.clone();
        with_stream(&stream, || build(self))
    }

    /// Operations that a frame after the first adds to MLX's graph. Nothing is computed.
    #[cfg(test)]
    pub(super) fn operations_of_a_frame(&mut self, request: &FrameRequest<'_>) -> MlxResult<usize> {
        let mut counts = Vec::new();
        for frame in [0, 1] {
            let graph = self.frame_graph(&[FrameRequest { frame, ..*request }], &mut |_, _| Ok(()))?;
            let codes = stack(&graph.tokens, 1)?;
            self.next_input = Some(self.embed_codes(&codes)?.expand_dims_axes(&[1])?);
            counts.push(super::cpu::count_operations(self.next_input.iter().chain(&graph.logits)));
        }
        Ok(counts[1] - counts[0])
    }

    /// The randomness of a frame.
    fn noise_for(&mut self, requests: &[FrameRequest<'_>]) -> FrameNoise {
        let mut running = std::mem::take(&mut self.noise);
        let mut stream = |seed: u64, frame: usize| {
            let known = running.iter().position(|noise| noise.is_next(seed, frame));
            let mut noise = match known {
                Some(place) => running.swap_remove(place),
                None => NoisePrefetcher::start(seed, frame, self.dims.codebooks, self.dims.vocab),
            };
            let values = noise.next_frame();
            self.noise.push(noise);
            values
        };
        let Some(first) = requests.first() else { return FrameNoise::Keys(Vec::new()) };
        match first.sampling.mode.info().noise {
            NoiseSource::TorchStream => {
                FrameNoise::Streams(requests.iter().map(|r| stream(r.sampling.seed, r.frame)).collect())
            }
            NoiseSource::MlxKey => FrameNoise::Keys(requests.iter().map(|r| (r.sampling.seed, r.frame)).collect()),
        }
    }
}

/// The randomness of a frame of each sequence.
enum FrameNoise {
    Keys(Vec<(u64, usize)>),
    Streams(Vec<Vec<f32>>), // B times [K][V]
}

impl FrameNoise {
    /// The noise of one draw over `vocab` ids.
    fn draw(&self, codebook: usize, vocab: i32) -> MlxResult<DrawNoise> {
        match self {
            Self::Keys(rows) => {
                let key = |(seed, frame): &(u64, usize)| native_key(*seed, *frame, codebook);
                Ok(DrawNoise::Keys(rows.iter().map(key).collect::<MlxResult<_>>()?))
            }
            Self::Streams(rows) => {
                let first = codebook * vocab as usize;
                let values: Vec<f32> =
                    rows.iter().flat_map(|row| &row[first..first + vocab as usize]).copied().collect();
                Ok(DrawNoise::Exponential(Array::from_slice(&values, &[rows.len() as i32, vocab])))
            }
        }
    }
}

/// A frame of each sequence that is being computed.
struct SubmittedFrame {
    codes: Array,             // (B, K)
    logits: Vec<Array>,       // K times (B, V) float32
    unguarded: Option<Array>, // (B, K) where the guard is on: the tokens without it
    attention: ReadAttention,
}

/// A frame that was submitted before it was asked for.
struct Ahead {
    frame: SubmittedFrame,
    /// Number of the frame and settings of each sequence.
    expected: Vec<(usize, Sampling)>,
    /// What the backbone had not seen before it.
    input: Array,
}

impl Ahead {
    fn is_for(&self, requests: &[FrameRequest<'_>]) -> bool {
        let asked = requests.iter().map(|request| (request.frame, *request.sampling));
        self.expected.iter().copied().eq(asked) && requests.iter().all(|request| request.forced.is_empty())
    }
}

#[derive(Default)]
struct FrameGraph {
    tokens: Vec<Array>,    // K times (B,)
    logits: Vec<Array>,    // K times (B, V) float32
    unguarded: Vec<Array>, // K times (B,) where the guard is on: the tokens without it
}

impl FrameGraph {
    /// Draws (or takes the forced) tokens of `codebook` and keeps what led to them. Sequences differ in seed and forced tokens only.
    fn sample_codebook(
        &mut self,
        requests: &[FrameRequest<'_>],
        codebook: usize,
        logits: Array,
        noise: &FrameNoise,
    ) -> MlxResult<Array> {
        let logits = logits.as_dtype(mlx_rs::Dtype::Float32)?;
        let Some(first) = requests.first() else { return Err(Exception::custom("a frame of no sequence")) };
        let (params, guard) = (first.sampling.params_for(codebook), first.sampling.guard);
        let forced = requests.iter().map(|request| request.forced.get(codebook).copied().flatten());
        let forced: Vec<Option<u32>> = forced.collect();
        let given = id_array(forced.iter().map(|id| id.unwrap_or_default()));
        let tokens = if forced.iter().all(Option::is_some) {
            self.unguarded.extend(guard.map(|_| given.clone()));
            given
        } else {
            let noise = noise.draw(codebook, logits.dim(1))?;
            let recent = requests.iter().map(|request| request.recent_of(codebook));
            let drawn_from = penalise(&logits, params, &recent.collect::<Vec<_>>())?;
            let or_given = |tokens: Array| match forced.iter().any(Option::is_some) {
                true => {
                    let drawn: Vec<bool> = forced.iter().map(Option::is_none).collect();
                    mlx_rs::ops::select(Array::from_slice(&drawn, &[drawn.len() as i32]), tokens, &given)
                }
                false => Ok(tokens),
            };
            if guard.is_some() {
                self.unguarded.push(or_given(sample_tokens(&drawn_from, params, None, &noise)?)?);
            }
            or_given(sample_tokens(&drawn_from, params, guard, &noise)?)?
        };
        self.tokens.push(tokens.clone());
        self.logits.push(logits);
        Ok(tokens)
    }
}

impl Engine for MlxCsm {
    fn record_attention(&mut self, heads: &[AttentionHead]) -> Result<()> {
        check_heads(heads, self.backbone_heads.0, self.backbone_heads.1)?;
        self.drop_ahead()?;
        self.network.record_attention(heads);
        Ok(())
    }

    fn prefill(&mut self, prompt: &Prompt, history: &Codes) -> Result<()> {
        prompt.check_ids(self.text_vocab, &self.dims)?;
        self.ahead = None;
        self.network.reset();
        self.noise.clear();
        let mut positions = prompt.positions.clone();
        positions.extend(history.frames().map(|frame| Position::Audio(frame.to_vec())));
        self.next_input = Some(self.on_stream(|csm| csm.embed_positions(&positions))?);
        Ok(())
    }

    fn next_frames(&mut self, requests: &[FrameRequest<'_>]) -> Result<Vec<FrameOutput>> {
        self.on_stream(|csm| {
            let frame = match csm.ahead.take_if(|ahead| ahead.is_for(requests)) {
                Some(ahead) => ahead.frame,
                None => {
                    csm.drop_ahead()?;
                    let graph = csm.frame_graph(requests, &mut |_, _| Ok(()))?;
                    csm.submit(graph)?
                }
            };
            csm.look_ahead(requests)?;
            csm.read(&frame, requests)
        })
    }

    fn profile(&mut self, request: &FrameRequest<'_>) -> Result<Option<FrameProfile>> {
        self.on_stream(|csm| csm.profile_frame(request)).map(Some)
    }

    fn select(&mut self, sequences: &[usize]) -> Result<()> {
        self.drop_ahead()?;
        if let Some(input) = self.next_input.take() {
            self.on_stream(|csm| {
                let rows = id_array(sequences.iter().map(|row| *row as u32));
                csm.next_input = Some(input.take_axis(rows, 0)?);
                csm.network.select(sequences)
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ClipSpec, Mode};

    /// Two sequences for some frames, then one, with a change of settings and forced tokens on the way: the tokens of each frame, and whether it had been
    /// submitted before it was asked for.
    fn generate(csm: &mut MlxCsm, checkpoint: &Checkpoint) -> (Vec<Vec<u32>>, Vec<bool>) {
        let sampling = checkpoint.suggested_sampling(Mode::Native, 7);
        let mut warmer = sampling;
        warmer.depth.temperature = 1.1;
        let prompt = checkpoint.prompt(&ClipSpec::new("Two of us were there.", 0, sampling)).unwrap();
        csm.record_attention(&[]).unwrap();
        csm.prefill(&prompt, &Codes::default()).unwrap();
        let (mut codes, mut was_ahead) = (Vec::new(), Vec::new());
        for frame in 0..12 {
            if frame == 8 {
                csm.select(&[1]).unwrap();
            }
            let seeds = if frame < 8 { vec![7, 8] } else { vec![8] };
            let settings = if (4..7).contains(&frame) { warmer } else { sampling };
            let settings: Vec<_> = seeds.into_iter().map(|seed| Sampling { seed, ..settings }).collect();
            let forced = if frame == 10 { vec![Some(5); checkpoint.dims().codebooks] } else { Vec::new() };
            let request = |sampling| FrameRequest { frame, sampling, forced: &forced, recent: &[], observe: true };
            let requests: Vec<_> = settings.iter().map(request).collect();
            was_ahead.push(csm.ahead.as_ref().is_some_and(|ahead| ahead.is_for(&requests)));
            codes.extend(csm.next_frames(&requests).unwrap().into_iter().map(|output| output.codes));
        }
        (codes, was_ahead)
    }

    #[test]
    fn frames_submitted_ahead_are_those_that_would_be_made_and_are_dropped_where_another_is_asked_for() {
        let checkpoint = Checkpoint::demo().unwrap();
        let mut csm = MlxCsm::load_graph(&checkpoint, Dtype::Float32).unwrap();
        csm.looks_ahead = true;
        let (codes, was_ahead) = generate(&mut csm, &checkpoint);
        // Frames 0 and 1 follow no look ahead; settings change at 4 and 7, the number of sequences at 8, and 10 and 11 are forced
        // or follow such a frame.
        let expected = [false, false, true, true, false, true, true, false, false, true, false, false];
        assert_eq!(was_ahead, expected);
        csm.looks_ahead = false;
        let (plain, was_ahead) = generate(&mut csm, &checkpoint);
        assert!(was_ahead.iter().all(|ahead| !ahead));
        assert_eq!(codes, plain);
    }
}
