//! The original names: Sesame's code on torchtune's layers.

use super::{Format, FormatLayout, Placement, sesame};

const STACK: &[(&str, &str)] = &[
    ("layers.*.attn.q_proj.weight", "layers.*.self_attn.q_proj.weight"),
    ("layers.*.attn.k_proj.weight", "layers.*.self_attn.k_proj.weight"),
    ("layers.*.attn.v_proj.weight", "layers.*.self_attn.v_proj.weight"),
    ("layers.*.attn.output_proj.weight", "layers.*.self_attn.o_proj.weight"),
    ("layers.*.mlp.w1.weight", "layers.*.mlp.gate_proj.weight"),
    ("layers.*.mlp.w2.weight", "layers.*.mlp.down_proj.weight"),
    ("layers.*.mlp.w3.weight", "layers.*.mlp.up_proj.weight"),
    ("layers.*.sa_norm.scale", "layers.*.input_layernorm.weight"),
    ("layers.*.mlp_norm.scale", "layers.*.post_attention_layernorm.weight"),
    ("norm.scale", "norm.weight"),
];

/// Masks that are saved after `setup_caches`, and what csm-streaming's training adds and its own merge drops.
const IGNORED: &[&str] =
    &["backbone_causal_mask", "decoder_causal_mask", "bridge.weight", "bridge.bias", "codebook_embedding.weight"];

pub(super) struct Torchtune;

impl Format for Torchtune {
    fn name(&self) -> &'static str {
        "torchtune (original)"
    }

    fn place(&self, name: &str) -> Option<Placement> {
        if IGNORED.contains(&name.strip_prefix("model.").unwrap_or(name)) {
            return Some(Placement::Ignored);
        }
        sesame::place(STACK, name)
    }

    fn layout(&self) -> FormatLayout {
        sesame::layout(&["ckpt.pt"])
    }
}
