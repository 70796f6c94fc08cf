//! Sizes and constants of a checkpoint, as transformers writes them in `config.json`. No silent defaults: a missing field is an
//! error that names it.

use std::path::Path;

use serde::Deserialize;

use crate::data::ModelDims;
use crate::error::{Error, Result};

/// A whole CSM: backbone, depth decoder, codec (`CsmConfig` in transformers).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "fields as in config.json")]
pub struct CsmConfig {
    pub num_codebooks: usize,
    /// The codec's ids plus three special ones.
    pub vocab_size: usize,
    pub text_vocab_size: usize,
    pub bos_token_id: Option<u32>,
    /// Backbone and depth decoder share one table of audio embeddings.
    #[serde(default = "default_true")]
    pub tie_codebooks_embeddings: bool,
    /// The backbone's transformer, written into the same object.
    #[serde(flatten)]
    pub backbone: LlamaConfig,
    pub depth_decoder_config: DepthConfig,
    pub codec_config: MimiConfig,
}

/// The depth decoder (`CsmDepthDecoderConfig`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "fields as in config.json")]
pub struct DepthConfig {
    pub backbone_hidden_size: usize,
    pub num_codebooks: usize,
    pub vocab_size: usize,
    /// Its transformer, written into the same object.
    #[serde(flatten)]
    pub llama: LlamaConfig,
}

/// Sizes of a transformer of Llama's architecture.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "fields as in config.json")]
pub struct LlamaConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    head_dim: Option<usize>,
    pub rms_norm_eps: f64,
    pub max_position_embeddings: usize,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub mlp_bias: bool,
    pub hidden_act: String,
    #[serde(flatten)]
    pub rope: Rope,
}

impl LlamaConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        head_dim(self.head_dim, self.hidden_size, self.num_attention_heads)
    }
}

fn head_dim(given: Option<usize>, width: usize, heads: usize) -> usize {
    given.unwrap_or_else(|| width.checked_div(heads).unwrap_or(0))
}

/// Parameters of the rotary position embedding.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RopeFields")]
pub struct Rope {
    /// Base of the geometric series of frequencies.
    pub theta: f64,
    /// Rescaling of the frequencies.
    pub scaling: RopeScaling,
}

/// Newer configs write `rope_parameters`, older ones `rope_scaling` and `rope_theta`.
#[derive(Deserialize)]
struct RopeFields {
    rope_parameters: Option<RopeParameters>,
    rope_theta: Option<f64>,
    rope_scaling: Option<RopeScaling>,
}

#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: f64,
    #[serde(flatten)]
    scaling: RopeScaling,
}

impl TryFrom<RopeFields> for Rope {
    type Error = String;
    fn try_from(fields: RopeFields) -> Result<Self, String> {
        match (fields.rope_parameters, fields.rope_theta) {
            (Some(p), _) => Ok(Self { theta: p.rope_theta, scaling: p.scaling }),
            (None, Some(theta)) => Ok(Self { theta, scaling: fields.rope_scaling.unwrap_or(RopeScaling::Default) }),
            (None, None) => Err("expected rope_parameters or rope_theta, found neither".into()),
        }
    }
}

/// Rescaling of RoPE's frequencies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
#[expect(missing_docs, reason = "fields as in config.json")]
pub enum RopeScaling {
    /// Frequencies without any scaling.
    Default,
    /// Llama 3.1's: wavelengths above `original / low_freq_factor` are stretched by `factor`, those below
    /// `original / high_freq_factor` are kept, those between are interpolated.
    Llama3 { factor: f64, low_freq_factor: f64, high_freq_factor: f64, original_max_position_embeddings: f64 },
}

impl Rope {
    /// Angular frequency of each of the `head_dim / 2` pairs, radians per position, in float32 as PyTorch
    /// computes them (transformers' `modeling_rope_utils`).
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|i| {
                let exponent = (2 * i) as f32 / head_dim as f32;
                self.scale(1.0 / (self.theta as f32).powf(exponent))
            })
            .collect()
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.scaling {
            RopeScaling::Default => frequency,
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings: original,
            } => {
                let wavelength = 2.0 * std::f32::consts::PI / frequency;
                if wavelength > (original / low_freq_factor) as f32 {
                    return frequency / factor as f32;
                }
                if wavelength < (original / high_freq_factor) as f32 {
                    return frequency;
                }
                let smooth = (original as f32 / wavelength - low_freq_factor as f32)
                    / (high_freq_factor - low_freq_factor) as f32;
                (1.0 - smooth) * frequency / factor as f32 + smooth * frequency
            }
        }
    }
}

/// Config of the codec, `MimiConfig` in transformers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "fields as in config.json")]
pub struct MimiConfig {
    pub sampling_rate: usize,
    pub audio_channels: usize,
    pub hidden_size: usize,
    pub num_filters: usize,
    pub num_residual_layers: usize,
    pub upsampling_ratios: Vec<usize>,
    pub kernel_size: usize,
    pub last_kernel_size: usize,
    pub residual_kernel_size: usize,
    pub dilation_growth_rate: usize,
    pub compress: usize,
    pub pad_mode: String,
    pub use_causal_conv: bool,
    pub use_conv_shortcut: bool,
    pub trim_right_ratio: f64,
    pub num_quantizers: usize,
    pub num_semantic_quantizers: usize,
    pub codebook_size: usize,
    pub vector_quantization_hidden_dimension: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    head_dim: Option<usize>,
    pub intermediate_size: usize,
    pub norm_eps: f64,
    pub sliding_window: usize,
    pub hidden_act: String,
    pub upsample_groups: usize,
    #[serde(flatten)]
    pub rope: Rope,
    /// Not in any config: every published Mimi replicates the first sample.
    #[serde(skip)]
    pub downsample_padding: Padding,
}

/// Padding before the first sample of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Pads with zero samples.
    Zeros,
    /// The first sample, repeated (Mimi's downsampling).
    #[default]
    Replicate,
}

/// The first field with a value of another type, and what is wrong with it.
fn wrong_field(config: &serde_json::Value) -> Option<(String, serde_json::Error)> {
    fn of<T: serde::de::DeserializeOwned>(
        part: &serde_json::Value,
        place: &str,
    ) -> Option<(String, serde_json::Error)> {
        let e = serde_path_to_error::deserialize::<_, T>(part).err()?;
        let field = e.path().to_string();
        // "." is the whole part, of which a field is missing: the error names it.
        (field != ".").then(|| (format!("{place}{field}"), e.into_inner()))
    }
    let depth = || of::<LlamaConfig>(config.get("depth_decoder_config")?, "depth_decoder_config.");
    let codec = || of::<MimiConfig>(config.get("codec_config")?, "codec_config.");
    of::<LlamaConfig>(config, "").or_else(depth).or_else(codec)
}

impl MimiConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        head_dim(self.head_dim, self.hidden_size, self.num_attention_heads)
    }

    /// Samples of a frame: SEANet's strides times the two of the down-sampling (1,920 in Mimi).
    pub fn frame_size(&self) -> usize {
        2 * self.upsampling_ratios.iter().product::<usize>()
    }

    /// Frames a second (12.5 in Mimi).
    pub fn frame_rate(&self) -> f64 {
        self.sampling_rate as f64 / self.frame_size() as f64
    }
}

impl CsmConfig {
    /// Reads the content of `config.json` and checks that its parts fit each other. `path` is for messages.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] that names the field.
    pub fn parse(value: serde_json::Value, path: &Path) -> Result<Self> {
        if let Some(kind) = value.get("model_type").and_then(|t| t.as_str())
            && kind != "csm"
        {
            return Err(Error::file(path, format!("model_type: expected \"csm\", got {kind:?}")));
        }
        let config = Self::deserialize(&value).map_err(|e| match wrong_field(&value) {
            Some((field, e)) => Error::parse(path, format!("{field}: not as transformers writes it"), e),
            None => Error::parse(path, "expected a CSM config as transformers writes it", e),
        })?;
        config.check(path)?;
        Ok(config)
    }

    /// Width of a head of the stack that the tensor `name` belongs to.
    pub(super) fn head_dim_of(&self, name: &str) -> usize {
        if name.starts_with("codec_model.") {
            self.codec_config.head_dim()
        } else if name.starts_with("depth_decoder.") {
            self.depth_decoder_config.llama.head_dim()
        } else {
            self.backbone.head_dim()
        }
    }

    /// Bytes of all keys and values of a full context, in both stacks.
    pub fn context_bytes(&self, precision: crate::data::Dtype) -> usize {
        let depth = &self.depth_decoder_config.llama;
        let bytes = |c: &LlamaConfig, positions: usize| {
            2 * c.num_hidden_layers * c.num_key_value_heads * c.head_dim() * positions * precision.size()
        };
        bytes(&self.backbone, self.backbone.max_position_embeddings) + bytes(depth, self.num_codebooks)
    }

    /// Sizes for the rest of the program.
    pub fn dims(&self) -> ModelDims {
        ModelDims {
            codebooks: self.num_codebooks,
            vocab: self.vocab_size,
            codec_size: self.codec_config.codebook_size,
            frame_rate: self.codec_config.frame_rate(),
            sample_rate: self.codec_config.sampling_rate,
            max_positions: self.backbone.max_position_embeddings,
        }
    }

    fn check(&self, path: &Path) -> Result<()> {
        let (depth, codec) = (&self.depth_decoder_config, &self.codec_config);
        self.check_bounds(path)?;
        let k = self.num_codebooks;
        let equal = |name: &str, got: usize, other: &str, want: usize| {
            let problem = || Error::file(path, format!("{name}: expected {want} as in {other}, got {got}"));
            if got == want { Ok(()) } else { Err(problem()) }
        };
        equal("depth_decoder_config.num_codebooks", depth.num_codebooks, "num_codebooks", k)?;
        equal("depth_decoder_config.vocab_size", depth.vocab_size, "vocab_size", self.vocab_size)?;
        let width = self.backbone.hidden_size;
        equal("depth_decoder_config.backbone_hidden_size", depth.backbone_hidden_size, "hidden_size", width)?;
        let require = |name: &str, ok: bool, expected: &str| {
            if ok { Ok(()) } else { Err(Error::file(path, format!("{name}: expected {expected}"))) }
        };
        require("codec_config.num_quantizers", codec.num_quantizers >= k, "at least num_codebooks")?;
        require(
            "codec_config.num_semantic_quantizers",
            (1..codec.num_quantizers).contains(&codec.num_semantic_quantizers),
            "at least 1 and below num_quantizers",
        )?;
        // Position 0 is the backbone's state; the codebooks but the last follow it.
        require(
            "depth_decoder_config.max_position_embeddings",
            depth.llama.max_position_embeddings >= k,
            "at least num_codebooks",
        )?;
        require("vocab_size", self.vocab_size > codec.codebook_size, "more than codec_config.codebook_size")?;
        for (name, c) in [("config", &self.backbone), ("depth_decoder_config", &depth.llama)] {
            let ok = c.num_attention_heads.is_multiple_of(c.num_key_value_heads);
            require(&format!("{name}.num_key_value_heads"), ok, "a divisor of num_attention_heads")?;
            require(&format!("{name}.hidden_act"), c.hidden_act == "silu", "\"silu\"")?;
            require(&format!("{name}.head_dim"), c.head_dim() >= 2 && c.head_dim() % 2 == 0, "an even number")?;
            require(&format!("{name}.rms_norm_eps"), c.rms_norm_eps > 0.0, "a positive number")?;
            require(&format!("{name}.rope_theta"), c.rope.theta > 0.0, "a positive number")?;
        }
        require("codec_config.norm_eps", codec.norm_eps > 0.0, "a positive number")?;
        require("codec_config.rope_theta", codec.rope.theta > 0.0, "a positive number")?;
        require("codec_config.head_dim", codec.head_dim() >= 2 && codec.head_dim() % 2 == 0, "an even number")?;
        require("codec_config.audio_channels", codec.audio_channels == 1, "1")?;
        require("codec_config.use_causal_conv", codec.use_causal_conv, "true")?;
        require("codec_config.use_conv_shortcut", !codec.use_conv_shortcut, "false")?;
        require("codec_config.pad_mode", codec.pad_mode == "constant", "\"constant\"")?;
        require("codec_config.trim_right_ratio", codec.trim_right_ratio == 1.0, "1")?;
        require("codec_config.hidden_act", codec.hidden_act == "gelu", "\"gelu\"")?;
        require(
            "codec_config.upsample_groups",
            codec.upsample_groups == codec.hidden_size,
            "hidden_size (a depthwise convolution)",
        )
    }

    /// Limits every count, so that a damaged file cannot ask for unbounded work before its weights are compared.
    fn check_bounds(&self, path: &Path) -> Result<()> {
        const WIDTH: usize = 1 << 20;
        const LAYERS: usize = 1_024;
        let codec = &self.codec_config;
        let mut fields = vec![
            ("num_codebooks".to_owned(), self.num_codebooks, 2, 256),
            ("vocab_size".to_owned(), self.vocab_size, 1, WIDTH),
            ("text_vocab_size".to_owned(), self.text_vocab_size, 1, 1 << 24),
        ];
        for (name, c) in [("config", &self.backbone), ("depth_decoder_config", &self.depth_decoder_config.llama)] {
            let field = |field: &str| format!("{name}.{field}");
            fields.extend([
                (field("hidden_size"), c.hidden_size, 1, WIDTH),
                (field("intermediate_size"), c.intermediate_size, 1, WIDTH),
                (field("num_hidden_layers"), c.num_hidden_layers, 1, LAYERS),
                (field("num_attention_heads"), c.num_attention_heads, 1, LAYERS),
                (field("num_key_value_heads"), c.num_key_value_heads, 1, LAYERS),
                (field("head_dim"), c.head_dim(), 1, WIDTH),
                (field("max_position_embeddings"), c.max_position_embeddings, 2, 1 << 24),
            ]);
        }
        let codec_fields = [
            ("sampling_rate", codec.sampling_rate, 1, 1 << 20),
            ("hidden_size", codec.hidden_size, 1, WIDTH),
            ("num_filters", codec.num_filters, 1, WIDTH),
            ("num_residual_layers", codec.num_residual_layers, 1, 16),
            ("upsampling_ratios (their number)", codec.upsampling_ratios.len(), 1, 16),
            ("kernel_size", codec.kernel_size, 1, 256),
            ("last_kernel_size", codec.last_kernel_size, 1, 256),
            ("residual_kernel_size", codec.residual_kernel_size, 1, 256),
            ("dilation_growth_rate", codec.dilation_growth_rate, 1, 16),
            ("compress", codec.compress, 1, codec.num_filters.max(1)),
            ("num_quantizers", codec.num_quantizers, 2, 256),
            ("codebook_size", codec.codebook_size, 1, WIDTH),
            ("vector_quantization_hidden_dimension", codec.vector_quantization_hidden_dimension, 1, WIDTH),
            ("num_hidden_layers", codec.num_hidden_layers, 1, LAYERS),
            ("num_attention_heads", codec.num_attention_heads, 1, LAYERS),
            ("num_key_value_heads", codec.num_key_value_heads, 1, LAYERS),
            ("head_dim", codec.head_dim(), 1, WIDTH),
            ("intermediate_size", codec.intermediate_size, 1, WIDTH),
            ("sliding_window", codec.sliding_window, 1, 1 << 24),
        ];
        fields.extend(
            codec_fields.map(|(name, value, least, most)| (format!("codec_config.{name}"), value, least, most)),
        );
        fields.extend(codec.upsampling_ratios.iter().map(|r| ("codec_config.upsampling_ratios".to_owned(), *r, 1, 64)));
        match fields.iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((name, value, least, most)) => {
                Err(Error::file(path, format!("{name}: expected {least} to {most}, got {value}")))
            }
            None => Ok(()),
        }
    }
}

fn default_true() -> bool {
    true
}
