//! transformers' format. Its names are the ones that `weights` uses, so that only aliases need a table.

use super::{Format, Placement, TensorSlot};

/// Beginnings of names that are spelled otherwise by an early conversion script and by transformers 5's modules (which adapters
/// are named after), and what they are called on disk.
const ALIASES: &[(&str, &str)] = &[
    ("backbone_model.embed_tokens.embed_text_tokens.", "embed_text_tokens."),
    ("depth_decoder.model.embed_tokens.embed_audio_tokens.", "depth_decoder.model.embed_tokens."),
    ("codec_model.encoder.encoder_seanet.", "codec_model.encoder."),
    ("codec_model.encoder.encoder_transformer.", "codec_model.encoder_transformer."),
    ("codec_model.encoder.downsample.", "codec_model.downsample."),
    ("codec_model.decoder.decoder_seanet.", "codec_model.decoder."),
    ("codec_model.decoder.decoder_transformer.", "codec_model.decoder_transformer."),
    ("codec_model.decoder.upsample.", "codec_model.upsample."),
];

/// Beginnings of the names of a whole model.
const MODULES: &[&str] = &["backbone_model.", "depth_decoder.", "codec_model.", "embed_text_tokens.", "lm_head."];

/// Last parts of the names of buffers, which hold no weights: constants that are computed from the config, and the flag that says
/// whether a codebook's k-means has run.
const BUFFERS: &[&str] = &["inv_freq", "position_ids", "audio_tokens_offsets", "initialized", "padding_total"];

fn is_buffer(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| BUFFERS.contains(&last))
}

pub(super) struct Transformers;

impl Format for Transformers {
    fn name(&self) -> &'static str {
        "transformers"
    }

    fn place(&self, name: &str) -> Option<Placement> {
        if is_buffer(name) {
            return Some(Placement::Ignored);
        }
        MODULES.iter().find(|module| name.starts_with(**module))?;
        let alias = ALIASES.iter().find_map(|(old, new)| Some(format!("{new}{}", name.strip_prefix(old)?)));
        Some(Placement::Tensor(TensorSlot::new(alias.unwrap_or_else(|| name.to_owned()), false)))
    }
}

/// The codec alone (`MimiModel`, as in kyutai/mimi).
pub(super) struct TransformersMimi;

/// Beginnings of its names.
const MIMI_MODULES: &[&str] = &[
    "encoder.layers.",
    "decoder.layers.",
    "encoder_transformer.layers.",
    "decoder_transformer.layers.",
    "downsample.conv.",
    "upsample.conv.",
    "quantizer.semantic_residual_vector_quantizer.",
    "quantizer.acoustic_residual_vector_quantizer.",
];

impl Format for TransformersMimi {
    fn name(&self) -> &'static str {
        "transformers' Mimi"
    }

    fn place(&self, name: &str) -> Option<Placement> {
        if is_buffer(name) {
            return Some(Placement::Ignored);
        }
        MIMI_MODULES.iter().find(|module| name.starts_with(**module))?;
        Some(Placement::Tensor(TensorSlot::new(format!("codec_model.{name}"), false)))
    }
}
