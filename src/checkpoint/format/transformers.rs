//! transformers' format. Its names are the ones that `weights` uses, so that only aliases need a table.

use std::collections::BTreeSet;

use super::{Format, Placement};

/// Names of an early conversion script, and what they are called now.
const ALIASES: &[(&str, &str)] = &[
    ("backbone_model.embed_tokens.embed_text_tokens.weight", "embed_text_tokens.weight"),
    ("depth_decoder.model.embed_tokens.embed_audio_tokens.weight", "depth_decoder.model.embed_tokens.weight"),
];

/// Last parts of the names of buffers, which hold no weights: constants that are computed from the config, and the flag that says
/// whether a codebook's k-means has run.
const BUFFERS: &[&str] = &["inv_freq", "position_ids", "audio_tokens_offsets", "initialized", "padding_total"];

pub(super) struct Transformers;

impl Format for Transformers {
    fn detect(&self, names: &BTreeSet<&str>) -> bool {
        names.iter().any(|n| n.starts_with("backbone_model.") || n.starts_with("depth_decoder."))
    }

    fn place(&self, name: &str) -> Placement {
        let last = name.rsplit('.').next().unwrap_or(name);
        if BUFFERS.contains(&last) {
            return Placement::Ignored;
        }
        let alias = ALIASES.iter().find(|(old, _)| *old == name);
        Placement::Tensor(alias.map_or(name, |(_, new)| new).to_owned())
    }
}
