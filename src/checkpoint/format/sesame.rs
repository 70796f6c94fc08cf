//! Common parts of torchtune's and MLX's names: the tensors outside the layers, the stacks' names, and RoPE on pairs of rows.

use super::{Flavour, FormatLayout, Placement, TensorSlot, rename};

/// The layout of Sesame's own code: tokenizer and codec come from elsewhere, and the config may only name a flavour.
pub(super) fn layout(weight_files: &'static [&'static str]) -> FormatLayout {
    FormatLayout { weight_files, flavours: FLAVOURS, separate_codec: true, separate_tokenizer: true }
}

/// Sesame's, Marvis' and MisoTTS' flavours.
static FLAVOURS: &[Flavour] = &[
    flavour("llama-1B", 16, 2_048, 32, 8, 8_192),
    flavour("llama-100M", 4, 1_024, 8, 2, 8_192),
    flavour("llama-250M", 6, 1_536, 12, 3, 8_192),
    flavour("llama-60M", 4, 1_024, 8, 2, 4_096),
    flavour("llama-8B", 32, 4_096, 32, 8, 14_336),
    flavour("llama-300M", 8, 1_536, 24, 6, 6_912),
];

const fn flavour(
    name: &'static str,
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    ffn: usize,
) -> Flavour {
    Flavour { name, layers, width, heads, kv_heads, ffn }
}

/// Tensors outside the layers.
const OUTSIDE: &[(&str, &str)] = &[
    ("text_embeddings.weight", "embed_text_tokens.weight"),
    ("audio_embeddings.weight", "depth_decoder.model.embed_tokens.weight"),
    ("projection.weight", "depth_decoder.model.inputs_embeds_projector.weight"),
    ("codebook0_head.weight", "lm_head.weight"),
    ("audio_head", "depth_decoder.codebooks_head.weight"),
];

const STACKS: [(&str, &str); 2] = [("backbone.", "backbone_model."), ("decoder.", "depth_decoder.model.")];

/// Where the tensor `name` goes, by the names inside a stack; the prefix `model.` may be missing.
pub(super) fn place(stack_names: &[(&str, &str)], name: &str) -> Option<Placement> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    if let Some(new) = rename(OUTSIDE, name) {
        return Some(Placement::Tensor(TensorSlot::new(new, false)));
    }
    let (stack, inside) = STACKS.iter().find_map(|(old, new)| Some((new, name.strip_prefix(old)?)))?;
    let new = rename(stack_names, inside)?;
    let paired_rows = is_paired(&new);
    Some(Placement::Tensor(TensorSlot::new(format!("{stack}{new}"), paired_rows)))
}

/// The name that the model's tensor `name` has in MLX's layout, whose names inside a layer are the model's own.
pub(super) fn mlx_name(name: &str) -> Option<(String, bool)> {
    if let Some((old, _)) = OUTSIDE.iter().find(|(_, new)| *new == name) {
        return Some((format!("model.{old}"), false));
    }
    let (stack, inside) = STACKS.iter().find_map(|(old, new)| Some((old, name.strip_prefix(new)?)))?;
    Some((format!("model.{stack}{inside}"), is_paired(inside)))
}

fn is_paired(inside: &str) -> bool {
    inside.contains("self_attn.q_proj.") || inside.contains("self_attn.k_proj.")
}
