use super::{LinearWeights, WeightSource};
use crate::checkpoint::config::MimiConfig;

/// Kernel and stride of the convolutions between SEANet's rate and the frame rate.
const RESAMPLE: (usize, usize) = (4, 2);

/// Weights of the codec Mimi.
#[expect(missing_docs, reason = "the parts of the paper's figure, each with a type that says what it is")]
pub struct MimiWeights<T> {
    pub encoder: SeanetEncoderWeights<T>,
    pub encoder_transformer: Vec<MimiLayerWeights<T>>,
    pub downsample: ConvWeights<T>,
    pub quantizer: QuantizerWeights<T>,
    pub upsample: ConvWeights<T>,
    pub decoder_transformer: Vec<MimiLayerWeights<T>>,
    pub decoder: SeanetDecoderWeights<T>,
}

/// A convolution. PyTorch's layouts: weight `[out, in, kernel]`, transposed `[in, out / groups, kernel]`, bias `[out]`.
#[expect(missing_docs, reason = "the usual parameters of a convolution")]
pub struct ConvWeights<T> {
    pub weight: T,
    pub bias: Option<T>,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
}

/// A residual unit: `x + conv2(elu(conv1(elu(x))))`.
#[expect(missing_docs, reason = "named in the formula")]
pub struct ResidualUnitWeights<T> {
    pub conv1: ConvWeights<T>,
    pub conv2: ConvWeights<T>,
}

/// Residual units, then a strided convolution that doubles the width.
#[expect(missing_docs, reason = "named in the sentence above")]
pub struct EncoderStageWeights<T> {
    pub units: Vec<ResidualUnitWeights<T>>,
    pub downsample: ConvWeights<T>,
}

/// SEANet's encoder: waveform to latent.
#[expect(missing_docs, reason = "first convolution, stages, last convolution")]
pub struct SeanetEncoderWeights<T> {
    pub input: ConvWeights<T>,
    pub stages: Vec<EncoderStageWeights<T>>,
    pub output: ConvWeights<T>,
}

/// A transposed convolution that halves the width, then residual units.
#[expect(missing_docs, reason = "named in the sentence above")]
pub struct DecoderStageWeights<T> {
    pub upsample: ConvWeights<T>,
    pub units: Vec<ResidualUnitWeights<T>>,
}

/// SEANet's decoder: latent to waveform.
#[expect(missing_docs, reason = "first convolution, stages, last convolution")]
pub struct SeanetDecoderWeights<T> {
    pub input: ConvWeights<T>,
    pub stages: Vec<DecoderStageWeights<T>>,
    pub output: ConvWeights<T>,
}

/// LayerNorm, weight and bias `[d]`.
#[expect(missing_docs, reason = "named in the sentence above")]
pub struct NormWeights<T> {
    pub weight: T,
    pub bias: T,
}

/// A transformer layer, pre-norm with layer scale.
#[expect(missing_docs, reason = "the usual parts of a transformer layer")]
pub struct MimiLayerWeights<T> {
    pub input_norm: NormWeights<T>,
    pub q: LinearWeights<T>,
    pub k: LinearWeights<T>,
    pub v: LinearWeights<T>,
    pub o: LinearWeights<T>,
    /// Scale of the branch, `[d]`.
    pub attention_scale: T,
    pub post_norm: NormWeights<T>,
    pub fc1: LinearWeights<T>,
    pub fc2: LinearWeights<T>,
    /// Scale of the branch, `[d]`.
    pub mlp_scale: T,
}

/// Two residual vector quantisers side by side on one latent.
#[expect(missing_docs, reason = "named in the paper")]
pub struct QuantizerWeights<T> {
    pub semantic: ResidualQuantizerWeights<T>,
    pub acoustic: ResidualQuantizerWeights<T>,
}

/// A residual vector quantiser.
pub struct ResidualQuantizerWeights<T> {
    /// Projection to the codebooks' space, `[inner, d, 1]`.
    pub input: T,
    /// Projection back, of shape `[d, inner, 1]`.
    pub output: T,
    /// The codebooks in their order.
    pub codebooks: Vec<CodebookWeights<T>>,
}

/// A codebook; its vectors are `embed_sum / max(cluster_usage, 1e-5)`.
pub struct CodebookWeights<T> {
    /// Sums of the vectors, `[ids, inner]`.
    pub embed_sum: T,
    /// Numbers of vectors summed, `[ids]`.
    pub cluster_usage: T,
}

impl<T> MimiWeights<T> {
    pub(super) fn load<S: WeightSource<Tensor = T>>(
        source: &mut S,
        prefix: &str,
        c: &MimiConfig,
    ) -> Result<Self, S::Error> {
        let d = c.hidden_size;
        let (kernel, stride) = RESAMPLE;
        let name = |part: &str| format!("{prefix}.{part}");
        let resample = |weight: T| ConvWeights { weight, bias: None, kernel, stride, dilation: 1 };
        Ok(Self {
            encoder: SeanetEncoderWeights::load(source, &name("encoder"), c)?,
            encoder_transformer: transformer(source, &name("encoder_transformer"), c)?,
            downsample: resample(source.tensor(&name("downsample.conv.weight"), &[d, d, kernel])?),
            quantizer: QuantizerWeights::load(source, &name("quantizer"), c)?,
            upsample: resample(source.tensor(&name("upsample.conv.weight"), &[d, d / c.upsample_groups, kernel])?),
            decoder_transformer: transformer(source, &name("decoder_transformer"), c)?,
            decoder: SeanetDecoderWeights::load(source, &name("decoder"), c)?,
        })
    }
}

/// Sizes of a convolution.
struct ConvShape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    transposed: bool,
}

impl ConvShape {
    fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, dilation: 1, transposed: false }
    }

    fn load<S: WeightSource>(self, source: &mut S, name: &str) -> Result<ConvWeights<S::Tensor>, S::Error> {
        let Self { inputs, outputs, kernel, stride, dilation, transposed } = self;
        let shape = if transposed { [inputs, outputs, kernel] } else { [outputs, inputs, kernel] };
        Ok(ConvWeights {
            weight: source.tensor(&format!("{name}.conv.weight"), &shape)?,
            bias: Some(source.tensor(&format!("{name}.conv.bias"), &[outputs])?),
            kernel,
            stride,
            dilation,
        })
    }
}

/// Counts SEANet's layers as the checkpoint does: ELUs are layers too, without weights.
struct LayerNames<'a> {
    prefix: &'a str,
    next: usize,
}

impl<'a> LayerNames<'a> {
    fn new(prefix: &'a str) -> Self {
        Self { prefix, next: 0 }
    }

    fn layer(&mut self) -> String {
        self.next += 1;
        format!("{}.layers.{}", self.prefix, self.next - 1)
    }

    fn layer_after_elu(&mut self) -> String {
        self.next += 1;
        self.layer()
    }
}

fn residual_units<S: WeightSource>(
    source: &mut S,
    names: &mut LayerNames<'_>,
    c: &MimiConfig,
    width: usize,
) -> Result<Vec<ResidualUnitWeights<S::Tensor>>, S::Error> {
    let inner = width / c.compress;
    let mut unit = |j: usize| {
        let name = names.layer();
        let dilation = c.dilation_growth_rate.pow(j as u32);
        let conv1 = ConvShape { dilation, ..ConvShape::new(width, inner, c.residual_kernel_size) };
        Ok(ResidualUnitWeights {
            conv1: conv1.load(source, &format!("{name}.block.1"))?,
            conv2: ConvShape::new(inner, width, 1).load(source, &format!("{name}.block.3"))?,
        })
    };
    (0..c.num_residual_layers).map(&mut unit).collect()
}

impl<T> SeanetEncoderWeights<T> {
    fn load<S: WeightSource<Tensor = T>>(source: &mut S, prefix: &str, c: &MimiConfig) -> Result<Self, S::Error> {
        let mut names = LayerNames::new(prefix);
        let mut width = c.num_filters;
        let input = ConvShape::new(c.audio_channels, width, c.kernel_size).load(source, &names.layer())?;
        let mut stages = Vec::new();
        for &ratio in c.upsampling_ratios.iter().rev() {
            let units = residual_units(source, &mut names, c, width)?;
            let conv = ConvShape { stride: ratio, ..ConvShape::new(width, 2 * width, 2 * ratio) };
            stages.push(EncoderStageWeights { units, downsample: conv.load(source, &names.layer_after_elu())? });
            width *= 2;
        }
        let output = ConvShape::new(width, c.hidden_size, c.last_kernel_size);
        Ok(Self { input, stages, output: output.load(source, &names.layer_after_elu())? })
    }
}

impl<T> SeanetDecoderWeights<T> {
    fn load<S: WeightSource<Tensor = T>>(source: &mut S, prefix: &str, c: &MimiConfig) -> Result<Self, S::Error> {
        let mut names = LayerNames::new(prefix);
        let mut width = c.num_filters << c.upsampling_ratios.len();
        let input = ConvShape::new(c.hidden_size, width, c.kernel_size).load(source, &names.layer())?;
        let mut stages = Vec::new();
        for &ratio in &c.upsampling_ratios {
            let conv = ConvShape { stride: ratio, transposed: true, ..ConvShape::new(width, width / 2, 2 * ratio) };
            let upsample = conv.load(source, &names.layer_after_elu())?;
            width /= 2;
            stages.push(DecoderStageWeights { upsample, units: residual_units(source, &mut names, c, width)? });
        }
        let output = ConvShape::new(width, c.audio_channels, c.last_kernel_size);
        Ok(Self { input, stages, output: output.load(source, &names.layer_after_elu())? })
    }
}

impl<T> NormWeights<T> {
    fn load<S: WeightSource<Tensor = T>>(source: &mut S, name: &str, width: usize) -> Result<Self, S::Error> {
        Ok(Self {
            weight: source.tensor(&format!("{name}.weight"), &[width])?,
            bias: source.tensor(&format!("{name}.bias"), &[width])?,
        })
    }
}

fn transformer<S: WeightSource>(
    source: &mut S,
    prefix: &str,
    c: &MimiConfig,
) -> Result<Vec<MimiLayerWeights<S::Tensor>>, S::Error> {
    let (d, ffn) = (c.hidden_size, c.intermediate_size);
    let (q, kv) = (c.num_attention_heads * c.head_dim(), c.num_key_value_heads * c.head_dim());
    let mut layer = |n: usize| {
        let name = |part: &str| format!("{prefix}.layers.{n}.{part}");
        Ok(MimiLayerWeights {
            input_norm: NormWeights::load(source, &name("input_layernorm"), d)?,
            q: LinearWeights::load(source, &name("self_attn.q_proj"), q, d, false)?,
            k: LinearWeights::load(source, &name("self_attn.k_proj"), kv, d, false)?,
            v: LinearWeights::load(source, &name("self_attn.v_proj"), kv, d, false)?,
            o: LinearWeights::load(source, &name("self_attn.o_proj"), d, q, false)?,
            attention_scale: source.tensor(&name("self_attn_layer_scale.scale"), &[d])?,
            post_norm: NormWeights::load(source, &name("post_attention_layernorm"), d)?,
            fc1: LinearWeights::load(source, &name("mlp.fc1"), ffn, d, false)?,
            fc2: LinearWeights::load(source, &name("mlp.fc2"), d, ffn, false)?,
            mlp_scale: source.tensor(&name("mlp_layer_scale.scale"), &[d])?,
        })
    };
    (0..c.num_hidden_layers).map(&mut layer).collect()
}

impl<T> QuantizerWeights<T> {
    fn load<S: WeightSource<Tensor = T>>(source: &mut S, prefix: &str, c: &MimiConfig) -> Result<Self, S::Error> {
        let semantic = c.num_semantic_quantizers;
        let name = |kind: &str| format!("{prefix}.{kind}_residual_vector_quantizer");
        Ok(Self {
            semantic: ResidualQuantizerWeights::load(source, &name("semantic"), semantic, c)?,
            acoustic: ResidualQuantizerWeights::load(source, &name("acoustic"), c.num_quantizers - semantic, c)?,
        })
    }
}

impl<T> ResidualQuantizerWeights<T> {
    fn load<S: WeightSource<Tensor = T>>(
        source: &mut S,
        name: &str,
        codebooks: usize,
        c: &MimiConfig,
    ) -> Result<Self, S::Error> {
        let (d, inner) = (c.hidden_size, c.vector_quantization_hidden_dimension);
        let input = source.tensor(&format!("{name}.input_proj.weight"), &[inner, d, 1])?;
        let output = source.tensor(&format!("{name}.output_proj.weight"), &[d, inner, 1])?;
        let mut codebook = |n: usize| {
            let name = format!("{name}.layers.{n}.codebook");
            Ok(CodebookWeights {
                embed_sum: source.tensor(&format!("{name}.embed_sum"), &[c.codebook_size, inner])?,
                cluster_usage: source.tensor(&format!("{name}.cluster_usage"), &[c.codebook_size])?,
            })
        };
        Ok(Self { input, output, codebooks: (0..codebooks).map(&mut codebook).collect::<Result<_, S::Error>>()? })
    }
}
