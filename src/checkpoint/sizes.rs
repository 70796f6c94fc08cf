//! A model's sizes where `config.json` does not spell them out as transformers does: from torchtune's flavours, or from the shapes
//! of the weights. The result is what transformers would have written, so that one reader serves all.

use serde_json::{Value, json};

use super::format::Flavour;
use super::gather::Gatherer;

/// Positions of the backbone of every published model without sizes in its config.
const MAX_POSITIONS: usize = 2_048;

/// `config.json` as transformers writes it, from what the file says and the weights show.
///
/// # Errors
/// The missing setting, in words.
pub(super) fn complete(given: Option<Value>, found: &Gatherer) -> Result<Value, String> {
    let mut config = given.unwrap_or_else(|| json!({}));
    let Some(fields) = config.as_object_mut() else { return Err("expected an object".into()) };
    if !fields.contains_key("depth_decoder_config") {
        if !found.knows_sizes() && found.shape("lm_head.weight").is_some() && fields.contains_key("hidden_size") {
            return Err("depth_decoder_config: missing, expected the depth decoder's sizes".into());
        }
        let backbone = stack(fields.get("backbone_flavor"), found, "backbone_model", "backbone_flavor")?;
        let depth = stack(fields.get("decoder_flavor"), found, "depth_decoder.model", "decoder_flavor")?;
        let rows = |name: &str| found.shape(name).and_then(|shape| shape.first().copied());
        let size = |field: &str, from: Option<usize>| {
            let given = fields.get(field).and_then(Value::as_u64).map(|n| n as usize);
            given.or(from).ok_or_else(|| format!("{field}: missing, and the weights do not tell it"))
        };
        let vocab = size("audio_vocab_size", rows("lm_head.weight"))?;
        let table = rows("depth_decoder.model.embed_tokens.weight").map(|rows| rows / vocab.max(1));
        let codebooks = size("audio_num_codebooks", table)?;
        let text_vocab = size("text_vocab_size", rows("embed_text_tokens.weight"))?;
        let mut depth = llama(depth, codebooks.saturating_add(1));
        depth["backbone_hidden_size"] = backbone.width.into();
        depth["num_codebooks"] = codebooks.into();
        depth["vocab_size"] = vocab.into();
        let known = llama(backbone, MAX_POSITIONS);
        fields.extend(known.as_object().cloned().unwrap_or_default());
        fields.insert("num_codebooks".into(), codebooks.into());
        fields.insert("vocab_size".into(), vocab.into());
        fields.insert("text_vocab_size".into(), text_vocab.into());
        fields.insert("tie_codebooks_embeddings".into(), true.into());
        fields.insert("depth_decoder_config".into(), depth);
        fields.remove("model_type");
    }
    for part in ["", "/depth_decoder_config"] {
        // An older spelling of the kind of scaling.
        let scaling = config.pointer_mut(&format!("{part}/rope_scaling")).and_then(Value::as_object_mut);
        if let Some(scaling) = scaling
            && !scaling.contains_key("rope_type")
            && let Some(kind) = scaling.remove("type")
        {
            scaling.insert("rope_type".into(), kind);
        }
    }
    let Some(fields) = config.as_object_mut() else { return Err("expected an object".into()) };
    if found.knows_sizes() {
        // mlx-audio's configs may have their own model type, and one table is all these layouts can hold.
        fields.remove("model_type");
        fields.insert("tie_codebooks_embeddings".into(), true.into());
    }
    if !fields.contains_key("codec_config") {
        fields.insert("codec_config".into(), published_codec());
    }
    Ok(config)
}

/// The flavour that the config names, else the one that the shapes fit.
fn stack(named: Option<&Value>, found: &Gatherer, prefix: &str, field: &str) -> Result<&'static Flavour, String> {
    let names = || found.flavours.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = named.and_then(Value::as_str) {
        let known = found.flavours.iter().copied().find(|f| f.name == name);
        return known.ok_or_else(|| format!("{field}: expected one of {}, got {name:?}", names()));
    }
    let beginning = format!("{prefix}.layers.");
    let number = |name: &str| name.strip_prefix(&beginning)?.split('.').next()?.parse::<usize>().ok();
    let layers = found.names().filter_map(number).max().map_or(0, |last| last + 1);
    let rows =
        |name: &str| found.shape(&format!("{prefix}.{name}")).and_then(|shape| shape.first().copied()).unwrap_or(0);
    let (width, ffn) = (rows("norm.weight"), rows("layers.0.mlp.gate_proj.weight"));
    let fits = |f: &&'static Flavour| (f.layers, f.width, f.ffn) == (layers, width, ffn);
    found.flavours.iter().copied().find(fits).ok_or_else(|| {
        format!(
            "config.json does not say the sizes, and {prefix} with {layers} layers of width {width} and feed-forward {ffn} is none of {}; \
             put the checkpoint's config.json next to its weights",
            names()
        )
    })
}

/// A stack as transformers describes it. All flavours scale RoPE alike, in both stacks.
fn llama(f: &Flavour, max_positions: usize) -> Value {
    json!({
        "hidden_size": f.width, "intermediate_size": f.ffn, "num_hidden_layers": f.layers, "num_attention_heads": f.heads,
        "num_key_value_heads": f.kv_heads, "head_dim": f.width / f.heads, "rms_norm_eps": 1e-5,
        "max_position_embeddings": max_positions, "hidden_act": "silu",
        "rope_theta": 500_000.0,
        "rope_scaling": {
            "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8_192.0
        },
    })
}

/// Mimi as published (kyutai/moshiko-pytorch-bf16, sesame/csm-1b).
fn published_codec() -> Value {
    json!({
        "sampling_rate": 24_000, "audio_channels": 1, "hidden_size": 512, "num_filters": 64, "num_residual_layers": 1,
        "upsampling_ratios": [8, 6, 5, 4], "kernel_size": 7, "last_kernel_size": 3, "residual_kernel_size": 3,
        "dilation_growth_rate": 2, "compress": 2, "pad_mode": "constant", "use_causal_conv": true, "use_conv_shortcut": false,
        "trim_right_ratio": 1.0, "num_quantizers": 32, "num_semantic_quantizers": 1, "codebook_size": 2_048,
        "vector_quantization_hidden_dimension": 256, "num_hidden_layers": 8, "num_attention_heads": 8,
        "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2_048, "norm_eps": 1e-5, "sliding_window": 250,
        "hidden_act": "gelu", "upsample_groups": 512, "rope_theta": 10_000.0,
    })
}
