//! MLX's names: mlx-audio and mlx-community (after `model.`), csm-mlx (without it).

use super::{Format, FormatLayout, Placement, sesame};

const STACK: &[(&str, &str)] = &[
    ("layers.*.self_attn.q_proj.*", "layers.*.self_attn.q_proj.*"),
    ("layers.*.self_attn.k_proj.*", "layers.*.self_attn.k_proj.*"),
    ("layers.*.self_attn.v_proj.*", "layers.*.self_attn.v_proj.*"),
    ("layers.*.self_attn.o_proj.*", "layers.*.self_attn.o_proj.*"),
    ("layers.*.mlp.gate_proj.*", "layers.*.mlp.gate_proj.*"),
    ("layers.*.mlp.down_proj.*", "layers.*.mlp.down_proj.*"),
    ("layers.*.mlp.up_proj.*", "layers.*.mlp.up_proj.*"),
    ("layers.*.input_layernorm.weight", "layers.*.input_layernorm.weight"),
    ("layers.*.post_attention_layernorm.weight", "layers.*.post_attention_layernorm.weight"),
    ("norm.weight", "norm.weight"),
];

pub(super) struct Mlx;

impl Format for Mlx {
    fn name(&self) -> &'static str {
        "MLX"
    }

    fn place(&self, name: &str) -> Option<Placement> {
        sesame::place(STACK, name)
    }

    fn layout(&self) -> FormatLayout {
        sesame::layout(&["weights.safetensors", "ckpt.safetensors"])
    }
}
