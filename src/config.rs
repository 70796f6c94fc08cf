//! Sizes and constants of a checkpoint, as transformers writes them in `config.json`. Nothing here has a default that a
//! published config leaves out silently: a missing field is an error that names it.

use serde::Deserialize;

use crate::error::{Error, Result};

/// A whole CSM: backbone, depth decoder, codec (`CsmConfig` in transformers).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct CsmConfig {
    /// Codebooks of a frame, K.
    pub num_codebooks: usize,
    /// Ids a codebook's head can give, V: the codec's size plus three that are no codes.
    pub vocab_size: usize,
    /// Ids of the text tokenizer.
    pub text_vocab_size: usize,
    /// Backbone and depth decoder read the same table of code embeddings.
    #[serde(default = "yes")]
    pub tie_codebooks_embeddings: bool,
    /// The backbone's transformer, written into the same object.
    #[serde(flatten)]
    pub backbone: LlamaConfig,
    /// The depth decoder.
    pub depth_decoder_config: DepthConfig,
    /// The codec, Mimi.
    pub codec_config: MimiConfig,
}

/// The depth decoder (`CsmDepthDecoderConfig`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DepthConfig {
    /// Width of the backbone, whose hidden state is the first input.
    pub backbone_hidden_size: usize,
    /// Codebooks of a frame.
    pub num_codebooks: usize,
    /// Ids a head can give.
    pub vocab_size: usize,
    /// The transformer itself.
    #[serde(flatten)]
    pub llama: LlamaConfig,
}

/// A Llama-shaped transformer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LlamaConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the SwiGLU's inner layer.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries.
    pub num_attention_heads: usize,
    /// Heads of keys and values; divides the heads of the queries.
    pub num_key_value_heads: usize,
    /// Width of a head; `hidden_size / num_attention_heads` where absent.
    head_dim: Option<usize>,
    /// Added to the mean square in every RMSNorm.
    pub rms_norm_eps: f64,
    /// Positions the model was made for.
    pub max_position_embeddings: usize,
    /// Biases in the attention's projections.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases in the feed-forward's projections.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Non-linearity of the feed-forward; only `silu` is supported.
    pub hidden_act: String,
    #[serde(flatten)]
    rope: RopeFields,
}

impl LlamaConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// How positions are rotated.
    pub fn rope(&self) -> &Rope {
        self.rope.parameters.as_ref().expect("filled by CsmConfig::parse")
    }

    /// Replaces how positions are rotated.
    pub fn set_rope(&mut self, rope: Rope) {
        self.rope.parameters = Some(rope);
    }
}

/// Where configs of different ages write their RoPE: `rope_parameters`, or `rope_scaling` beside `rope_theta`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct RopeFields {
    #[serde(rename = "rope_parameters")]
    parameters: Option<Rope>,
    rope_theta: Option<f64>,
    rope_scaling: Option<serde_json::Value>,
}

impl RopeFields {
    /// Brings the older writing into the newer one.
    fn fill(&mut self, whose: &str) -> Result<(), String> {
        if self.parameters.is_some() {
            return Ok(());
        }
        let theta = self.rope_theta.ok_or_else(|| format!("{whose}: neither rope_parameters nor rope_theta"))?;
        let mut fields = match self.rope_scaling.take() {
            None | Some(serde_json::Value::Null) => serde_json::json!({ "rope_type": "default" }),
            Some(v) => v,
        };
        fields["rope_theta"] = theta.into();
        self.parameters = Some(serde_json::from_value(fields).map_err(|e| format!("{whose}: rope_scaling: {e}"))?);
        Ok(())
    }
}

/// Rotary position embedding: which angle a position turns each pair of a head by.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rope {
    /// Base of the geometric series of frequencies.
    pub rope_theta: f64,
    /// Rescaling of the frequencies.
    #[serde(flatten)]
    pub kind: RopeKind,
    /// Pairs are neighbours (2i, 2i+1) rather than (i, i + half). The transformers format is half-split; the original
    /// checkpoint's layout is interleaved.
    #[serde(skip)]
    pub interleaved: bool,
}

/// Rescaling of the frequencies.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
pub enum RopeKind {
    /// None.
    Default,
    /// Llama 3.1's: wavelengths above `original / low` are stretched by `factor`, those below `original / high` are kept,
    /// between them it is interpolated.
    Llama3 {
        /// Stretch of the long wavelengths.
        factor: f64,
        /// `original_max_position_embeddings / low_freq_factor` is the wavelength above which all is stretched.
        low_freq_factor: f64,
        /// `original_max_position_embeddings / high_freq_factor` is the wavelength below which all is kept.
        high_freq_factor: f64,
        /// Context that the wavelengths are measured against.
        original_max_position_embeddings: f64,
    },
}

impl Rope {
    /// Angular frequency of each of the `head_dim / 2` pairs, radians a position, in float32 as PyTorch computes them
    /// (transformers' `modeling_rope_utils`).
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|i| {
                let exponent = (2 * i) as f32 / head_dim as f32;
                self.scale(1.0 / (self.rope_theta as f32).powf(exponent))
            })
            .collect()
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.kind {
            RopeKind::Default => frequency,
            RopeKind::Llama3 {
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

/// The codec (`MimiConfig`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MimiConfig {
    /// Samples a second.
    pub sampling_rate: usize,
    /// Channels; only mono is supported.
    pub audio_channels: usize,
    /// Width of the latent between SEANet and transformer.
    pub hidden_size: usize,
    /// Filters of SEANet's outermost layer.
    pub num_filters: usize,
    /// Residual units a stage.
    pub num_residual_layers: usize,
    /// Strides of the decoder's stages, first to last; the encoder has them backwards.
    pub upsampling_ratios: Vec<usize>,
    /// Kernel of the first and the innermost convolution.
    pub kernel_size: usize,
    /// Kernel of the last convolution.
    pub last_kernel_size: usize,
    /// Kernel of a residual unit.
    pub residual_kernel_size: usize,
    /// Dilation of residual unit j is this to the power of j.
    pub dilation_growth_rate: usize,
    /// A residual unit's inner width is its outer one over this.
    pub compress: usize,
    /// Padding of the convolutions: only `constant` (zeros) is supported.
    pub pad_mode: String,
    /// Convolutions see the past only; nothing else is supported.
    pub use_causal_conv: bool,
    /// Residual units have a convolution on the shortcut; not supported.
    pub use_conv_shortcut: bool,
    /// Share of a transposed convolution's surplus that is cut on the right; only 1 is supported.
    pub trim_right_ratio: f64,
    /// Quantisers in all, K.
    pub num_quantizers: usize,
    /// Of them in the first (semantic) chain; the rest form the acoustic chain on the same latent.
    pub num_semantic_quantizers: usize,
    /// Ids a codebook.
    pub codebook_size: usize,
    /// Width of a codebook's vectors.
    pub vector_quantization_hidden_dimension: usize,
    /// Layers of each transformer.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Heads of keys and values.
    pub num_key_value_heads: usize,
    head_dim: Option<usize>,
    /// Inner width of the feed-forward.
    pub intermediate_size: usize,
    /// Added to the variance in LayerNorm.
    pub norm_eps: f64,
    /// Steps (two a frame) that attention sees, the current one included.
    pub sliding_window: usize,
    /// Non-linearity of the feed-forward; only `gelu` is supported.
    pub hidden_act: String,
    /// Groups of the transposed convolution to twice the frame rate.
    pub upsample_groups: usize,
    #[serde(flatten)]
    rope: RopeFields,
    /// How the first samples of the downsampling convolution are padded.
    #[serde(skip)]
    pub downsample_padding: Padding,
}

/// What stands before the first sample of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Zeros.
    Zeros,
    /// The first sample again (Mimi's downsampling, in every published version).
    #[default]
    Replicate,
}

impl MimiConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// How positions are rotated.
    pub fn rope(&self) -> &Rope {
        self.rope.parameters.as_ref().expect("filled by CsmConfig::parse")
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
    /// Reads `config.json` and checks that its parts fit each other.
    ///
    /// # Errors
    /// [`Error::File`] with `path` that names the field.
    pub fn parse(json: &[u8], path: &std::path::Path) -> Result<Self> {
        let wrong = |problem: String| Error::file(path, problem);
        let kind: serde_json::Value = serde_json::from_slice(json).map_err(|e| wrong(format!("is not JSON: {e}")))?;
        if let Some(t) = kind.get("model_type").and_then(|t| t.as_str())
            && t != "csm"
        {
            return Err(wrong(format!("model_type: expected \"csm\", got {t:?}")));
        }
        let mut config: Self = serde_json::from_value(kind)
            .map_err(|e| wrong(format!("is not a CSM config as transformers writes it: {e}")))?;
        config.backbone.rope.fill("config").map_err(wrong)?;
        config.depth_decoder_config.llama.rope.fill("depth_decoder_config").map_err(wrong)?;
        config.codec_config.rope.fill("codec_config").map_err(wrong)?;
        config.check().map_err(wrong)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let (depth, codec) = (&self.depth_decoder_config, &self.codec_config);
        let equal = |name: &str, got: usize, other: &str, want: usize| {
            if got == want { Ok(()) } else { Err(format!("{name}: expected {want} as in {other}, got {got}")) }
        };
        let k = self.num_codebooks;
        equal("depth_decoder_config.num_codebooks", depth.num_codebooks, "num_codebooks", k)?;
        equal("depth_decoder_config.vocab_size", depth.vocab_size, "vocab_size", self.vocab_size)?;
        equal(
            "depth_decoder_config.backbone_hidden_size",
            depth.backbone_hidden_size,
            "hidden_size",
            self.backbone.hidden_size,
        )?;
        let holds = |name: &str, fine: bool, want: &str| {
            if fine { Ok(()) } else { Err(format!("{name}: expected {want}")) }
        };
        holds("num_codebooks", k >= 2, "at least 2")?;
        holds("codec_config.num_quantizers", codec.num_quantizers >= k, "at least num_codebooks")?;
        holds(
            "codec_config.num_semantic_quantizers",
            (1..codec.num_quantizers).contains(&codec.num_semantic_quantizers),
            "at least 1 and below num_quantizers",
        )?;
        holds("vocab_size", self.vocab_size > codec.codebook_size, "more than codec_config.codebook_size")?;
        for (name, c) in [("config", &self.backbone), ("depth_decoder_config", &depth.llama)] {
            let fine = c.num_key_value_heads > 0 && c.num_attention_heads.is_multiple_of(c.num_key_value_heads);
            holds(&format!("{name}.num_key_value_heads"), fine, "a divisor of num_attention_heads")?;
            holds(&format!("{name}.hidden_act"), c.hidden_act == "silu", "\"silu\"")?;
            holds(&format!("{name}.head_dim"), c.head_dim() >= 2 && c.head_dim() % 2 == 0, "an even number")?;
        }
        holds("codec_config.audio_channels", codec.audio_channels == 1, "1")?;
        holds("codec_config.use_causal_conv", codec.use_causal_conv, "true")?;
        holds("codec_config.use_conv_shortcut", !codec.use_conv_shortcut, "false")?;
        holds("codec_config.pad_mode", codec.pad_mode == "constant", "\"constant\"")?;
        holds("codec_config.trim_right_ratio", codec.trim_right_ratio == 1.0, "1")?;
        holds("codec_config.hidden_act", codec.hidden_act == "gelu", "\"gelu\"")?;
        holds("codec_config.compress", codec.compress > 0, "at least 1")?;
        holds("codec_config.sliding_window", codec.sliding_window > 0, "at least 1")?;
        holds(
            "codec_config.upsample_groups",
            codec.upsample_groups == codec.hidden_size,
            "hidden_size (a depthwise convolution)",
        )
    }
}

/// Sampling that a checkpoint suggests (`generation_config.json`); absent fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct GenerationConfig {
    /// Temperature of codebook 0.
    pub temperature: Option<f64>,
    /// Top-k of codebook 0.
    pub top_k: Option<usize>,
    /// Temperature of the other codebooks.
    pub depth_decoder_temperature: Option<f64>,
    /// Top-k of the other codebooks.
    pub depth_decoder_top_k: Option<usize>,
}

fn yes() -> bool {
    true
}
