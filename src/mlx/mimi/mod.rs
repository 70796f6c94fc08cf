//! Mimi, the codec (Défossez et al. 2024): waveform to codes, and codes to waveform frame by frame.

mod conv;
mod quantizer;
mod seanet;
mod state;
mod transformer;

use mlx_rs::Array;
use mlx_rs::error::Exception;

use self::conv::{CausalConv, CausalConvTranspose};
use self::quantizer::Quantizer;
use self::seanet::SeaNet;
use self::state::{Slots, State};
use self::transformer::Transformer;
use super::evaluate;
use super::weights::Weights;
use crate::checkpoint::names::{Conv, decoder_convs, encoder_convs};
use crate::checkpoint::{Checkpoint, Dtype};
use crate::error::{Error, Result};
use crate::prompt::Frame;

/// Encoder and decoder. Immutable: what a clip needs to remember is in its [`Stream`].
pub struct Mimi {
    encoder: SeaNet,
    encoder_transformer: Transformer,
    downsample: CausalConv,
    quantizer: Quantizer,
    upsample: CausalConvTranspose,
    decoder_transformer: Transformer,
    decoder: SeaNet,
    encoder_slots: Slots,
    decoder_slots: Slots,
    codebooks: usize,
    codebook_size: u32,
    frame_size: usize,
    sample_rate: usize,
}

/// One clip being decoded piece by piece.
pub struct Stream {
    state: State,
    /// Waveforms that the device is working on, oldest first.
    under_way: std::collections::VecDeque<Array>,
}

/// What the encoder sees of a waveform on the way to its codes; for comparison with other implementations.
pub struct Encoded {
    /// Codes, `[T][K]`.
    pub codes: Vec<Frame>,
    /// The latent before quantisation, row-major `[T][d]`.
    pub latent: Vec<f32>,
}

/// The decoder's stages, row-major, for comparison with other implementations.
pub struct Stages {
    /// After the quantiser, `[T][d]`.
    pub quantized: Vec<f32>,
    /// At twice the frame rate, `[2 T][d]`.
    pub upsampled: Vec<f32>,
    /// After the transformer, `[2 T][d]`.
    pub transformed: Vec<f32>,
    /// The waveform.
    pub audio: Vec<f32>,
}

impl Stream {
    /// Pieces sent and not yet received.
    pub fn waiting(&self) -> usize {
        self.under_way.len()
    }
}

struct LazyStages {
    quantized: Array,
    upsampled: Array,
    transformed: Array,
    audio: Array,
}

impl Mimi {
    /// Loads the codec of `checkpoint`, in float32.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self> {
        let c = &checkpoint.config.codec_config;
        let mut w = Weights::new(&checkpoint.tensors, Dtype::Float32);
        let (mut encoder_slots, mut decoder_slots) = (Slots::default(), Slots::default());
        let resample = Conv {
            name: String::new(),
            inputs: c.hidden_size,
            outputs: c.hidden_size,
            kernel: 4,
            stride: 2,
            dilation: 1,
            transposed: false,
        };
        let (down, up) = (&mut encoder_slots, &mut decoder_slots);
        let mimi = Self {
            encoder: SeaNet::load(&mut w, "codec_model.encoder", &encoder_convs(c), down)?,
            encoder_transformer: Transformer::load(&mut w, "codec_model.encoder_transformer", c, down)?,
            downsample: CausalConv::load(&mut w, "codec_model.downsample.conv", &resample, c.downsample_padding, down)?,
            quantizer: Quantizer::load(&mut w, "codec_model.quantizer", c)?,
            upsample: CausalConvTranspose::load(&mut w, "codec_model.upsample.conv", &resample, c.upsample_groups, up)?,
            decoder_transformer: Transformer::load(&mut w, "codec_model.decoder_transformer", c, up)?,
            decoder: SeaNet::load(&mut w, "codec_model.decoder", &decoder_convs(c), up)?,
            encoder_slots,
            decoder_slots,
            codebooks: checkpoint.config.num_codebooks,
            codebook_size: c.codebook_size as u32,
            frame_size: c.frame_size(),
            sample_rate: c.sampling_rate,
        };
        w.finish()?;
        Ok(mimi)
    }

    /// Samples a frame.
    pub fn frame_size(&self) -> usize {
        self.frame_size
    }

    /// Samples a second.
    pub fn sample_rate(&self) -> usize {
        self.sample_rate
    }

    /// Begins a clip.
    pub fn stream(&self) -> Stream {
        Stream { state: self.decoder_slots.state(), under_way: Default::default() }
    }

    /// Codes of a mono waveform at the codec's rate. A last partial frame is filled with silence (padding the waveform makes
    /// transformers and Kyutai agree; padding every convolution does not).
    ///
    /// # Errors
    /// [`Error::Value`] for an empty waveform, else what MLX reports.
    pub fn encode(&self, samples: &[f32]) -> Result<Encoded> {
        if samples.is_empty() {
            return Err(Error::value("audio", "at least one sample", 0));
        }
        let mut padded = samples.to_vec();
        padded.resize(samples.len().div_ceil(self.frame_size) * self.frame_size, 0.0);
        let (codes, latent) = self.encode_graph(&padded)?;
        evaluate([&codes, &latent])?;
        let flat = codes.as_slice::<u32>();
        Ok(Encoded {
            codes: flat.chunks(self.codebooks).map(<[u32]>::to_vec).collect(),
            latent: latent.as_slice::<f32>().to_vec(),
        })
    }

    fn encode_graph(&self, samples: &[f32]) -> Result<(Array, Array), Exception> {
        let mut state = self.encoder_slots.state();
        let x = Array::from_slice(samples, &[1, samples.len() as i32, 1]);
        let x = self.encoder.forward(&x, &mut state)?; // (1, 2 T, d)
        let x = self.encoder_transformer.forward(&x, &mut state)?;
        let latent = self.downsample.forward(&x, &mut state)?; // (1, T, d)
        let codes = self.quantizer.encode(&latent, self.codebooks)?; // (K, T)
        Ok((codes.t().contiguous()?, latent))
    }

    /// Starts decoding `frames`, the clip's next; their waveform comes with a later [`Mimi::receive`]. Nothing waits here.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn send(&self, stream: &mut Stream, frames: &[Frame]) -> Result<()> {
        let audio = self.decode_graph(frames, &mut stream.state)?.audio;
        mlx_rs::transforms::async_eval(std::iter::once(&audio).chain(stream.state.arrays()))?;
        stream.under_way.push_back(audio);
        Ok(())
    }

    /// The waveform of the oldest frames sent and not yet received, or `None`. Waits for the device.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn receive(&self, stream: &mut Stream) -> Result<Option<Vec<f32>>> {
        let Some(audio) = stream.under_way.pop_front() else {
            return Ok(None);
        };
        evaluate([&audio])?;
        Ok(Some(audio.as_slice::<f32>().to_vec()))
    }

    /// The waveform of `frames`, the clip's next: 1,920 samples a frame for Mimi.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn decode(&self, stream: &mut Stream, frames: &[Frame]) -> Result<Vec<f32>> {
        if frames.is_empty() {
            return Ok(Vec::new());
        }
        self.send(stream, frames)?;
        Ok(self.receive(stream)?.expect("just sent"))
    }

    /// The waveform of a whole clip with all that leads to it.
    ///
    /// # Errors
    /// What MLX reports.
    pub fn stages(&self, frames: &[Frame]) -> Result<Stages> {
        let s = self.decode_graph(frames, &mut self.decoder_slots.state())?;
        evaluate([&s.quantized, &s.upsampled, &s.transformed, &s.audio])?;
        let flat = |a: &Array| a.as_slice::<f32>().to_vec();
        Ok(Stages {
            quantized: flat(&s.quantized),
            upsampled: flat(&s.upsampled),
            transformed: flat(&s.transformed),
            audio: flat(&s.audio),
        })
    }

    fn decode_graph(&self, frames: &[Frame], state: &mut State) -> Result<LazyStages, Exception> {
        let (k, t) = (frames[0].len(), frames.len());
        // Ids past the codec's size are no codes: 0 stands in for them (the caller counts them).
        let codes = (0..k).flat_map(|c| frames.iter().map(move |f| f[c]));
        let codes = codes.map(|id| if id < self.codebook_size { id } else { 0 });
        let codes = Array::from_slice(&codes.collect::<Vec<u32>>(), &[k as i32, t as i32]); // (K, T)
        let quantized = self.quantizer.decode(&codes)?; // (1, T, d)
        let upsampled = self.upsample.forward(&quantized, state)?; // (1, 2 T, d)
        let transformed = self.decoder_transformer.forward(&upsampled, state)?; // (1, 2 T, d)
        let audio = self.decoder.forward(&transformed, state)?; // (1, samples, 1)
        Ok(LazyStages { quantized, upsampled, transformed, audio: audio.reshape(&[-1])? })
    }
}
