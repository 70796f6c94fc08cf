//! Every tensor of a transformers-format CSM checkpoint with its shape, derived from the config.

use crate::config::{CsmConfig, LlamaConfig, MimiConfig};

/// Name and shape of a tensor that has to be there.
pub type Expected = (String, Vec<usize>);

/// Name of the backbone's table of code embeddings, absent where the depth decoder's is shared.
pub const BACKBONE_CODES: &str = "backbone_model.embed_tokens.embed_audio_tokens.weight";
/// Name of the depth decoder's table of code embeddings.
pub const DEPTH_CODES: &str = "depth_decoder.model.embed_tokens.weight";

/// All tensors that the model reads.
pub fn expected(config: &CsmConfig) -> Vec<Expected> {
    let mut list = List(Vec::new());
    let (k, v) = (config.num_codebooks, config.vocab_size);
    let (backbone, depth) = (&config.backbone, &config.depth_decoder_config.llama);
    let (d, e) = (backbone.hidden_size, depth.hidden_size);

    list.add("embed_text_tokens.weight", &[config.text_vocab_size, d]);
    if !config.tie_codebooks_embeddings {
        list.add(BACKBONE_CODES, &[k * v, d]);
    }
    list.llama("backbone_model", backbone);
    list.add("lm_head.weight", &[v, d]);

    list.add(DEPTH_CODES, &[k * v, d]);
    list.add("depth_decoder.model.inputs_embeds_projector.weight", &[e, d]);
    list.llama("depth_decoder.model", depth);
    list.add("depth_decoder.codebooks_head.weight", &[k - 1, e, v]);

    list.mimi("codec_model", &config.codec_config);
    list.0
}

/// Tensors that may be in a file and are not read, each for a known reason.
pub fn harmless(name: &str) -> bool {
    // A flag of the codebooks' training (k-means done or not).
    name.starts_with("codec_model.quantizer.") && name.ends_with(".codebook.initialized")
}

struct List(Vec<Expected>);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) {
        self.add(format!("{name}.weight"), &[outputs, inputs]);
        if bias {
            self.add(format!("{name}.bias"), &[outputs]);
        }
    }

    fn llama(&mut self, prefix: &str, c: &LlamaConfig) {
        let (d, ffn) = (c.hidden_size, c.intermediate_size);
        let (q, kv) = (c.num_attention_heads * c.head_dim(), c.num_key_value_heads * c.head_dim());
        for n in 0..c.num_hidden_layers {
            let layer = format!("{prefix}.layers.{n}");
            self.add(format!("{layer}.input_layernorm.weight"), &[d]);
            for (name, outputs) in [("q_proj", q), ("k_proj", kv), ("v_proj", kv)] {
                self.linear(&format!("{layer}.self_attn.{name}"), outputs, d, c.attention_bias);
            }
            self.linear(&format!("{layer}.self_attn.o_proj"), d, q, c.attention_bias);
            self.add(format!("{layer}.post_attention_layernorm.weight"), &[d]);
            self.linear(&format!("{layer}.mlp.gate_proj"), ffn, d, c.mlp_bias);
            self.linear(&format!("{layer}.mlp.up_proj"), ffn, d, c.mlp_bias);
            self.linear(&format!("{layer}.mlp.down_proj"), d, ffn, c.mlp_bias);
        }
        self.add(format!("{prefix}.norm.weight"), &[d]);
    }

    fn mimi(&mut self, prefix: &str, c: &MimiConfig) {
        for (side, convs) in [("encoder", encoder_convs(c)), ("decoder", decoder_convs(c))] {
            for conv in convs {
                let name = format!("{prefix}.{side}.layers.{}.conv", conv.name);
                let shape = if conv.transposed {
                    [conv.inputs, conv.outputs, conv.kernel]
                } else {
                    [conv.outputs, conv.inputs, conv.kernel]
                };
                self.add(format!("{name}.weight"), &shape);
                self.add(format!("{name}.bias"), &[conv.outputs]);
            }
            self.mimi_transformer(&format!("{prefix}.{side}_transformer"), c);
        }
        let d = c.hidden_size;
        self.add(format!("{prefix}.downsample.conv.weight"), &[d, d, 4]);
        self.add(format!("{prefix}.upsample.conv.weight"), &[d, d / c.upsample_groups, 4]);
        let acoustic = c.num_quantizers - c.num_semantic_quantizers;
        for (kind, layers) in [("semantic", c.num_semantic_quantizers), ("acoustic", acoustic)] {
            let name = format!("{prefix}.quantizer.{kind}_residual_vector_quantizer");
            let inner = c.vector_quantization_hidden_dimension;
            self.add(format!("{name}.input_proj.weight"), &[inner, d, 1]);
            self.add(format!("{name}.output_proj.weight"), &[d, inner, 1]);
            for n in 0..layers {
                let book = format!("{name}.layers.{n}.codebook");
                self.add(format!("{book}.embed_sum"), &[c.codebook_size, inner]);
                self.add(format!("{book}.cluster_usage"), &[c.codebook_size]);
            }
        }
    }

    fn mimi_transformer(&mut self, prefix: &str, c: &MimiConfig) {
        let (d, ffn) = (c.hidden_size, c.intermediate_size);
        let (q, kv) = (c.num_attention_heads * c.head_dim(), c.num_key_value_heads * c.head_dim());
        for n in 0..c.num_hidden_layers {
            let layer = format!("{prefix}.layers.{n}");
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                self.add(format!("{layer}.{norm}.weight"), &[d]);
                self.add(format!("{layer}.{norm}.bias"), &[d]);
            }
            for (name, outputs) in [("q_proj", q), ("k_proj", kv), ("v_proj", kv)] {
                self.linear(&format!("{layer}.self_attn.{name}"), outputs, d, false);
            }
            self.linear(&format!("{layer}.self_attn.o_proj"), d, q, false);
            self.linear(&format!("{layer}.mlp.fc1"), ffn, d, false);
            self.linear(&format!("{layer}.mlp.fc2"), d, ffn, false);
            self.add(format!("{layer}.self_attn_layer_scale.scale"), &[d]);
            self.add(format!("{layer}.mlp_layer_scale.scale"), &[d]);
        }
    }
}

/// One convolution of SEANet as it stands in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Place among the layers: `3`, or `4.block.1` inside a residual unit.
    pub name: String,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Dilation.
    pub dilation: usize,
    /// Transposed convolution (upsampling).
    pub transposed: bool,
}

impl Conv {
    fn new(name: impl ToString, inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { name: name.to_string(), inputs, outputs, kernel, stride: 1, dilation: 1, transposed: false }
    }
}

/// Both convolutions of residual unit `j` of a stage (layer `n` of the net, `width` channels).
fn residual_unit(c: &MimiConfig, n: usize, j: usize, width: usize) -> [Conv; 2] {
    let inner = width / c.compress;
    [
        Conv {
            dilation: c.dilation_growth_rate.pow(j as u32),
            ..Conv::new(format!("{n}.block.1"), width, inner, c.residual_kernel_size)
        },
        Conv::new(format!("{n}.block.3"), inner, width, 1),
    ]
}

/// SEANet's encoder: a convolution, then for each stride residual units, ELU and a strided convolution, then ELU and a
/// convolution to the latent. Indices count the ELUs, which have no weights.
pub fn encoder_convs(c: &MimiConfig) -> Vec<Conv> {
    let mut width = c.num_filters;
    let mut out = vec![Conv::new(0, c.audio_channels, width, c.kernel_size)];
    let mut n = 1;
    for &ratio in c.upsampling_ratios.iter().rev() {
        for j in 0..c.num_residual_layers {
            out.extend(residual_unit(c, n, j, width));
            n += 1;
        }
        out.push(Conv { stride: ratio, ..Conv::new(n + 1, width, 2 * width, 2 * ratio) });
        n += 2;
        width *= 2;
    }
    out.push(Conv::new(n + 1, width, c.hidden_size, c.last_kernel_size));
    out
}

/// SEANet's decoder: the encoder's mirror, with transposed convolutions.
pub fn decoder_convs(c: &MimiConfig) -> Vec<Conv> {
    let mut width = c.num_filters << c.upsampling_ratios.len();
    let mut out = vec![Conv::new(0, c.hidden_size, width, c.kernel_size)];
    let mut n = 1;
    for &ratio in &c.upsampling_ratios {
        out.push(Conv { stride: ratio, transposed: true, ..Conv::new(n + 1, width, width / 2, 2 * ratio) });
        n += 2;
        width /= 2;
        for j in 0..c.num_residual_layers {
            out.extend(residual_unit(c, n, j, width));
            n += 1;
        }
    }
    out.push(Conv::new(n + 1, width, c.audio_channels, c.last_kernel_size));
    out
}
