//! Mimi in Kyutai's own naming (moshi's checkpoints).

use super::{Format, Placement, TensorSlot, rename};

const TABLE: &[(&str, &str)] = &[
    ("*.model.*.conv.conv.*", "*.layers.*.conv.*"),
    ("*.model.*.convtr.convtr.*", "*.layers.*.conv.*"),
    ("*.model.*.block.*.conv.conv.*", "*.layers.*.block.*.conv.*"),
    ("downsample.conv.conv.conv.weight", "downsample.conv.weight"),
    ("upsample.convtr.convtr.convtr.weight", "upsample.conv.weight"),
    ("*.transformer.layers.*.self_attn.out_proj.weight", "*.layers.*.self_attn.o_proj.weight"),
    ("*.transformer.layers.*.self_attn.out_projs.0.weight", "*.layers.*.self_attn.o_proj.weight"),
    ("*.transformer.layers.*.linear1.weight", "*.layers.*.mlp.fc1.weight"),
    ("*.transformer.layers.*.linear2.weight", "*.layers.*.mlp.fc2.weight"),
    ("*.transformer.layers.*.norm1.*", "*.layers.*.input_layernorm.*"),
    ("*.transformer.layers.*.norm2.*", "*.layers.*.post_attention_layernorm.*"),
    ("*.transformer.layers.*.layer_scale_1.scale", "*.layers.*.self_attn_layer_scale.scale"),
    ("*.transformer.layers.*.layer_scale_2.scale", "*.layers.*.mlp_layer_scale.scale"),
    ("quantizer.rvq_first.*.weight", "quantizer.semantic_residual_vector_quantizer.*.weight"),
    ("quantizer.rvq_rest.*.weight", "quantizer.acoustic_residual_vector_quantizer.*.weight"),
    (
        "quantizer.rvq_first.vq.layers.*._codebook.embedding_sum",
        "quantizer.semantic_residual_vector_quantizer.layers.*.codebook.embed_sum",
    ),
    (
        "quantizer.rvq_rest.vq.layers.*._codebook.embedding_sum",
        "quantizer.acoustic_residual_vector_quantizer.layers.*.codebook.embed_sum",
    ),
    (
        "quantizer.rvq_first.vq.layers.*._codebook.cluster_usage",
        "quantizer.semantic_residual_vector_quantizer.layers.*.codebook.cluster_usage",
    ),
    (
        "quantizer.rvq_rest.vq.layers.*._codebook.cluster_usage",
        "quantizer.acoustic_residual_vector_quantizer.layers.*.codebook.cluster_usage",
    ),
];

/// Queries, keys and values as one matrix; newer and older spelling.
const STACKED: &[(&str, &str)] = &[
    ("*.transformer.layers.*.self_attn.in_proj_weight", "*.layers.*.self_attn"),
    ("*.transformer.layers.*.self_attn.in_projs.0.weight", "*.layers.*.self_attn"),
];

pub(super) struct Kyutai;

impl Format for Kyutai {
    fn name(&self) -> &'static str {
        "Kyutai's Mimi"
    }

    fn place(&self, name: &str) -> Option<Placement> {
        if name.ends_with("._codebook._initialized") {
            return Some(Placement::Ignored);
        }
        if let Some(attention) = rename(STACKED, name) {
            let slot = |(part, paired)| TensorSlot::new(format!("codec_model.{attention}.{part}_proj.weight"), paired);
            return Some(Placement::Stacked([("q", true), ("k", true), ("v", false)].map(slot).to_vec()));
        }
        let new = rename(TABLE, name)?;
        Some(Placement::Tensor(TensorSlot::new(format!("codec_model.{new}"), false)))
    }
}
