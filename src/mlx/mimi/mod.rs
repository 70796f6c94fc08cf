//! Mimi, the codec (Défossez et al. 2024): waveform to codes, and codes to waveform frame by frame.

mod conv;
mod quantization;
mod seanet;
mod state;
mod transformer;

use std::collections::VecDeque;

use mlx_rs::Array;
use mlx_rs::error::Exception;

use self::conv::{CausalConv, CausalConvTranspose};
use self::quantization::SplitQuantizer;
use self::seanet::{SeanetDecoder, SeanetEncoder};
use self::state::{SlotAllocator, StreamState};
use self::transformer::Transformer;
use super::evaluate;
use super::weights::ArraySource;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::codec_weights;
use crate::data::{CodebookMask, Codes, Dtype};
use crate::error::{Error, Result};

/// Frames that are encoded at once: ten seconds of Mimi, which bounds memory and the time until a cancellation is noticed.
const ENCODE_CHUNK: usize = 125;

/// Encoder and decoder, in float32. Immutable: a clip's state is in its [`DecoderStream`].
pub struct Mimi {
    encoder: SeanetEncoder,
    encoder_transformer: Transformer,
    downsample: CausalConv,
    quantizer: SplitQuantizer,
    upsample: CausalConvTranspose,
    decoder_transformer: Transformer,
    decoder: SeanetDecoder,
    encoder_slots: SlotAllocator,
    decoder_slots: SlotAllocator,
    codebooks: usize,
    codebook_size: u32,
    frame_samples: usize,
}

/// One clip being decoded chunk by chunk.
pub struct DecoderStream {
    state: StreamState,
    mask: CodebookMask,
    /// Waveforms that the device is computing, oldest first.
    in_flight: VecDeque<Array>,
}

/// Codes of a waveform and the latent they came from, for comparison with other implementations.
pub struct Encoded {
    /// Codes of the waveform, `[T][K]`.
    pub codes: Codes,
    /// The latent before quantisation, row-major `[T][d]`.
    pub latent: Vec<f32>,
}

/// The decoder's stages, row-major, for comparison with other implementations.
pub struct DecoderStages {
    /// After the quantiser, `[T][d]`.
    pub quantized: Vec<f32>,
    /// At twice the frame rate, `[2 T][d]`.
    pub upsampled: Vec<f32>,
    /// After the transformer, `[2 T][d]`.
    pub transformed: Vec<f32>,
    /// The waveform of the codes.
    pub audio: Vec<f32>,
}

impl DecoderStream {
    /// Chunks submitted and not yet received.
    pub fn pending(&self) -> usize {
        self.in_flight.len()
    }
}

struct StageGraph {
    quantized: Array,
    upsampled: Array,
    transformed: Array,
    audio: Array,
}

impl Mimi {
    /// Loads the codec of `checkpoint`.
    ///
    /// # Errors
    /// Errors of reading the weights, and of MLX.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self> {
        let c = &checkpoint.config.codec_config;
        let w = codec_weights(&mut ArraySource::new(&checkpoint.tensors, Dtype::Float32), &checkpoint.config)?;
        let (mut encoder_slots, mut decoder_slots) = (SlotAllocator::default(), SlotAllocator::default());
        let (down, up) = (&mut encoder_slots, &mut decoder_slots);
        Ok(Self {
            encoder: SeanetEncoder::new(w.encoder, down)?,
            encoder_transformer: Transformer::new(w.encoder_transformer, c, down)?,
            downsample: CausalConv::new(w.downsample, c.downsample_padding, down)?,
            quantizer: SplitQuantizer::new(w.quantizer)?,
            upsample: CausalConvTranspose::new(w.upsample, c.upsample_groups, up)?,
            decoder_transformer: Transformer::new(w.decoder_transformer, c, up)?,
            decoder: SeanetDecoder::new(w.decoder, up)?,
            encoder_slots,
            decoder_slots,
            codebooks: checkpoint.config.num_codebooks,
            codebook_size: c.codebook_size as u32,
            frame_samples: c.frame_size(),
        })
    }

    /// Number of samples per frame.
    pub fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    /// Starts decoding a clip.
    pub fn stream(&self) -> DecoderStream {
        self.new_stream(&CodebookMask::all(self.codebooks))
    }

    /// Starts decoding the codebooks of a clip that `mask` keeps.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] unless the mask has one entry per codebook.
    pub fn stream_with(&self, mask: &CodebookMask) -> Result<DecoderStream> {
        if mask.entries().len() == self.codebooks {
            return Ok(self.new_stream(mask));
        }
        Err(Error::invalid("codebooks", format!("{} codebooks", self.codebooks), mask.entries().len()))
    }

    fn new_stream(&self, mask: &CodebookMask) -> DecoderStream {
        DecoderStream { state: self.decoder_slots.initial_state(), mask: mask.clone(), in_flight: VecDeque::new() }
    }

    /// Codes of a mono waveform at the codec's rate. A last partial frame is filled with silence: padding the waveform makes
    /// transformers and Kyutai agree, padding every convolution does not.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for an empty waveform, else what MLX reports.
    pub fn encode(&self, samples: &[f32], cancelled: &dyn Fn() -> bool) -> Result<Encoded> {
        self.encode_in_chunks(samples, ENCODE_CHUNK, cancelled)
    }

    fn encode_in_chunks(&self, samples: &[f32], frames: usize, cancelled: &dyn Fn() -> bool) -> Result<Encoded> {
        if samples.is_empty() {
            return Err(Error::invalid("audio", "at least one sample", 0));
        }
        let mut state = self.encoder_slots.initial_state();
        let (mut ids, mut latents) = (Vec::new(), Vec::new());
        for chunk in samples.chunks(frames * self.frame_samples) {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let mut padded = chunk.to_vec();
            padded.resize(chunk.len().div_ceil(self.frame_samples) * self.frame_samples, 0.0);
            let (codes, latent) = self.encoder_graph(&padded, &mut state)?;
            evaluate([&codes, &latent].into_iter().chain(state.arrays()))?;
            ids.extend_from_slice(codes.as_slice::<u32>());
            latents.extend_from_slice(latent.as_slice::<f32>());
        }
        let codes = Codes::from_ids(self.codebooks, ids);
        let codes = codes.map_err(|rest| Exception::custom(format!("the encoder gave {rest} codes too many")))?;
        Ok(Encoded { codes, latent: latents })
    }

    fn encoder_graph(&self, samples: &[f32], state: &mut StreamState) -> Result<(Array, Array), Exception> {
        let x = Array::from_slice(samples, &[1, samples.len() as i32, 1]);
        let x = self.encoder.forward(&x, state)?; // (1, 2 T, d)
        let x = self.encoder_transformer.forward(&x, state)?;
        let latent = self.downsample.forward(&x, state)?; // (1, T, d)
        let codes = self.quantizer.encode(&latent, self.codebooks)?; // (K, T)
        Ok((codes.t().contiguous()?, latent))
    }

    /// Submits `frames`, the clip's next, to the device without waiting; [`Mimi::poll`] returns their waveform.
    ///
    /// # Errors
    /// [`Error::Engine`] with the error of MLX.
    pub fn decode_async(&self, stream: &mut DecoderStream, frames: &Codes) -> Result<()> {
        let audio = self.decoder_graph(frames, &stream.mask, &mut stream.state)?.audio;
        mlx_rs::transforms::async_eval(std::iter::once(&audio).chain(stream.state.arrays()))?;
        stream.in_flight.push_back(audio);
        Ok(())
    }

    /// The waveform of the oldest chunk in flight, or `None` if there is none. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Engine`] with the error of MLX.
    pub fn poll(&self, stream: &mut DecoderStream) -> Result<Option<Vec<f32>>> {
        let Some(audio) = stream.in_flight.pop_front() else { return Ok(None) };
        evaluate([&audio])?;
        Ok(Some(audio.as_slice::<f32>().to_vec()))
    }

    /// The waveform of `frames`, the clip's next: [`Mimi::frame_samples`] samples per frame.
    ///
    /// # Errors
    /// [`Error::Engine`] with the error of MLX.
    pub fn decode(&self, stream: &mut DecoderStream, frames: &Codes) -> Result<Vec<f32>> {
        if !frames.is_empty() {
            self.decode_async(stream, frames)?;
        }
        Ok(self.poll(stream)?.unwrap_or_default())
    }

    /// The waveform of a whole clip with everything that leads to it.
    ///
    /// # Errors
    /// [`Error::Engine`] with the error of MLX.
    pub fn stages(&self, frames: &Codes) -> Result<DecoderStages> {
        let mut stream = self.stream();
        let s = self.decoder_graph(frames, &stream.mask, &mut stream.state)?;
        evaluate([&s.quantized, &s.upsampled, &s.transformed, &s.audio])?;
        let flat = |a: &Array| a.as_slice::<f32>().to_vec();
        Ok(DecoderStages {
            quantized: flat(&s.quantized),
            upsampled: flat(&s.upsampled),
            transformed: flat(&s.transformed),
            audio: flat(&s.audio),
        })
    }

    /// Operations that a frame after the first adds to MLX's graph. Nothing is computed.
    #[cfg(test)]
    pub(super) fn operations_of_a_frame(&self) -> Result<usize, Exception> {
        let mut stream = self.stream();
        let mut counts = Vec::new();
        let mut audio = Vec::new();
        for _ in [0, 1] {
            let mut codes = Codes::new(self.codebooks);
            codes.push(&vec![1; self.codebooks]);
            audio.push(self.decoder_graph(&codes, &stream.mask, &mut stream.state)?.audio);
            counts.push(super::cpu::count_operations(audio.iter().chain(stream.state.arrays())));
        }
        Ok(counts[1] - counts[0])
    }

    fn decoder_graph(
        &self,
        frames: &Codes,
        mask: &CodebookMask,
        state: &mut StreamState,
    ) -> Result<StageGraph, Exception> {
        let (k, t) = (frames.codebooks(), frames.len());
        // Ids past the codec's size are not codes: 0 replaces them (the caller counts them).
        let codes = (0..k).flat_map(|codebook| frames.column(codebook));
        let codes = codes.map(|id| if id < self.codebook_size { id } else { 0 });
        let codes = Array::from_slice(&codes.collect::<Vec<u32>>(), &[k as i32, t as i32]); // (K, T)
        let quantized = self.quantizer.decode(&codes, mask.entries())?; // (1, T, d)
        let upsampled = self.upsample.forward(&quantized, state)?; // (1, 2 T, d)
        let transformed = self.decoder_transformer.forward(&upsampled, state)?; // (1, 2 T, d)
        let audio = self.decoder.forward(&transformed, state)?; // (1, samples, 1)
        Ok(StageGraph { quantized, upsampled, transformed, audio: audio.reshape(&[-1])? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Residual vector quantisation is a sum over codebooks: the latents of two halves add up to the whole one's, and none at all
    /// is the codec's silence.
    #[test]
    fn masked_codebooks_add_nothing() {
        let mimi = Mimi::load(&Checkpoint::demo().unwrap()).unwrap();
        let k = mimi.codebooks;
        let frames =
            Codes::from_frames((0..12u32).map(|t| (0..k as u32).map(|k| (t * 31 + k * 7) % 500).collect::<Vec<_>>()));
        let frames = frames.unwrap();
        let latent = |keeps: &[bool]| {
            let mask = CodebookMask::new(keeps.to_vec());
            let mut stream = mimi.stream_with(&mask).unwrap();
            let quantized = mimi.decoder_graph(&frames, &mask, &mut stream.state).unwrap().quantized;
            evaluate([&quantized]).unwrap();
            quantized.as_slice::<f32>().to_vec()
        };
        let even: Vec<bool> = (0..k).map(|k| k % 2 == 0).collect();
        let odd: Vec<bool> = even.iter().map(|keep| !keep).collect();
        let (all, even, odd) = (latent(&vec![true; k]), latent(&even), latent(&odd));
        let worst = all.iter().zip(even.iter().zip(&odd)).map(|(all, (a, b))| (all - a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4 && even.iter().any(|x| x.abs() > 0.01), "{worst}");
        assert!(latent(&vec![false; k]).iter().all(|x| *x == 0.0));
        let error = mimi.stream_with(&CodebookMask::all(1)).err().unwrap().to_string();
        assert!(error.contains("codebooks"), "{error}");
    }

    /// Chunk by chunk the encoder gives the codes that it gives at once, and asks in between.
    #[test]
    fn a_recording_is_encoded_in_chunks() {
        let mimi = Mimi::load(&Checkpoint::demo().unwrap()).unwrap();
        let wave: Vec<f32> =
            (0..1_920 * 40).map(|i| (i as f32 * 0.05).sin() * (i as f32 * 0.0007).cos() * 0.5).collect();
        let whole = mimi.encode_in_chunks(&wave, 1_000, &|| false).unwrap();
        let chunks = mimi.encode_in_chunks(&wave, 7, &|| false).unwrap();
        assert_eq!(whole.codes.len(), 40);
        let worst = whole.latent.iter().zip(&chunks.latent).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
        assert_eq!(whole.codes, chunks.codes);
        assert!(matches!(mimi.encode(&wave, &|| true), Err(Error::Cancelled)));
    }
}
