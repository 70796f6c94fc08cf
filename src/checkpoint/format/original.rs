//! What torchtune's and MLX's names have in common: the tensors outside the layers, the stacks' names, and RoPE on pairs of rows.

use super::{Placement, Slot, rename};

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
        return Some(Placement::Tensor(Slot::new(new, false)));
    }
    let (stack, inside) = STACKS.iter().find_map(|(old, new)| Some((new, name.strip_prefix(old)?)))?;
    let new = rename(stack_names, inside)?;
    let paired_rows = is_paired(&new);
    Some(Placement::Tensor(Slot::new(format!("{stack}{new}"), paired_rows)))
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
