//! Checkpoint formats. A format is one file with a table of names, and one line in a list here; a tensor's format is recognised by
//! its name, never by a file's name. mlx-audio reads the original names tensor by tensor, so one file may hold several formats.

mod kyutai;
mod mlx;
mod sesame;
mod torchtune;
mod transformers;

/// Where a stored tensor goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is the tensor that `weights` asks for by this name.
    Tensor(TensorSlot),
    /// Its rows are those of these tensors, one after another, an equal number of rows each.
    Stacked(Vec<TensorSlot>),
    /// It is known and not used.
    Ignored,
}

/// A tensor that `weights` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorSlot {
    pub(super) name: String,
    /// Row order of queries and keys: a head's rows come as the pairs (2i, 2i + 1) that RoPE turns, where `weights` wants the two
    /// halves (i, i + D/2).
    pub(super) paired_rows: bool,
}

impl TensorSlot {
    fn new(name: impl Into<String>, paired_rows: bool) -> Self {
        Self { name: name.into(), paired_rows }
    }
}

/// A way of naming a model's tensors.
pub(super) trait Format: Sync {
    /// Its name for people.
    fn name(&self) -> &'static str;

    /// Where the tensor `name` goes; `None` for a name that is not of this format.
    fn place(&self, name: &str) -> Option<Placement>;

    /// Parts that its checkpoints keep elsewhere or leave out.
    fn layout(&self) -> FormatLayout {
        FormatLayout::SELF_CONTAINED
    }
}

/// Parts that the checkpoints of a format keep elsewhere or leave out.
#[derive(Clone, Copy, Debug)]
pub(super) struct FormatLayout {
    /// Names of the file with the weights, besides `model.safetensors` and its shards.
    pub(super) weight_files: &'static [&'static str],
    /// Sizes of models whose `config.json` may be missing or name a flavour; empty if the config has the sizes.
    pub(super) flavours: &'static [Flavour],
    /// Whether the codec is in a separate file, or borrowed from another repository.
    pub(super) separate_codec: bool,
    /// Whether the tokenizer may be borrowed from another repository and completed.
    pub(super) separate_tokenizer: bool,
}

impl FormatLayout {
    /// One folder with everything, and all sizes in `config.json`.
    const SELF_CONTAINED: Self =
        Self { weight_files: &["pytorch_model.bin"], flavours: &[], separate_codec: false, separate_tokenizer: false };
}

/// A Llama of known sizes.
#[derive(Debug)]
pub(super) struct Flavour {
    pub(super) name: &'static str,
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) ffn: usize,
}

/// Names of weight files in any format of whole models.
pub(super) fn weight_files() -> impl Iterator<Item = &'static str> {
    MODEL_FORMATS.iter().flat_map(|format| format.layout().weight_files).copied()
}

/// Formats of whole models and language models.
pub(super) static MODEL_FORMATS: &[&dyn Format] = &[&transformers::Transformers, &torchtune::Torchtune, &mlx::Mlx];

/// Formats of the codec in a separate file.
pub(super) static CODEC_FORMATS: &[&dyn Format] =
    &[&transformers::Transformers, &kyutai::Kyutai, &transformers::TransformersMimi];

/// Formats that are recognised and cannot be read: the ending of a tensor that gives them away, and what they are.
const UNREADABLE: &[(&str, &str)] = &[
    (".SCB", "a bitsandbytes int8 checkpoint"),
    (".absmax", "a bitsandbytes 4-bit checkpoint"),
    (".qzeros", "a GPTQ or AWQ checkpoint"),
    (".weight_scale", "an FP8 checkpoint"),
];

/// The unsupported format that has this tensor, if any.
pub(super) fn unreadable(name: &str) -> Option<&'static str> {
    UNREADABLE.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, what)| *what)
}

/// `name` without what training adds: `_orig_mod.` of a compiled module, `module.` of a parallel one.
pub(super) fn without_wrappers(name: &str) -> String {
    let name = name.replace("_orig_mod.", "");
    name.strip_prefix("module.").unwrap_or(&name).to_owned()
}

/// The first of `formats` that knows `name`, and where the tensor goes.
pub(super) fn place(formats: &[&'static dyn Format], name: &str) -> Option<(&'static dyn Format, Placement)> {
    formats.iter().find_map(|format| Some((*format, format.place(name)?)))
}

/// The name that the model's tensor `name` has in MLX's layout, and whether its rows come in pairs there; `None` for the codec's.
pub(super) fn mlx_name(name: &str) -> Option<(String, bool)> {
    sesame::mlx_name(name)
}

/// Renames by a table of patterns, in which `*` matches one part between dots; the match replaces `*`
/// in the new name.
fn rename(table: &[(&str, &str)], name: &str) -> Option<String> {
    table.iter().find_map(|(pattern, new)| substitute(pattern, new, name))
}

fn substitute(pattern: &str, new: &str, name: &str) -> Option<String> {
    if pattern.split('.').count() != name.split('.').count() {
        return None;
    }
    let mut matched = Vec::new();
    for (wanted, part) in pattern.split('.').zip(name.split('.')) {
        match wanted {
            "*" => matched.push(part),
            wanted if wanted == part => {}
            _ => return None,
        }
    }
    let mut matched = matched.into_iter();
    let fill = |part| if part == "*" { matched.next().unwrap_or(part) } else { part };
    Some(new.split('.').map(fill).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(formats: &[&'static dyn Format], name: &str) -> Option<(String, bool)> {
        match place(formats, name)?.1 {
            Placement::Tensor(slot) => Some((slot.name, slot.paired_rows)),
            _ => None,
        }
    }

    #[test]
    fn names_of_every_format_lead_to_the_same_tensor() {
        let q = "backbone_model.layers.3.self_attn.q_proj.weight".to_owned();
        assert_eq!(slot(MODEL_FORMATS, &q), Some((q.clone(), false)));
        for name in [
            "backbone.layers.3.attn.q_proj.weight",
            "model.backbone.layers.3.attn.q_proj.weight",
            "backbone.layers.3.self_attn.q_proj.weight",
            "model.backbone.layers.3.self_attn.q_proj.weight",
        ] {
            assert_eq!(slot(MODEL_FORMATS, name), Some((q.clone(), true)), "{name}");
        }
        let head = Some(("depth_decoder.codebooks_head.weight".to_owned(), false));
        assert_eq!(slot(MODEL_FORMATS, "audio_head"), head);
        assert_eq!(slot(MODEL_FORMATS, "model.audio_head"), head);
        assert_eq!(slot(MODEL_FORMATS, "decoder.norm.scale").unwrap().0, "depth_decoder.model.norm.weight");
        assert_eq!(slot(MODEL_FORMATS, "encoder.model.0.conv.conv.weight"), None);
        assert!(place(MODEL_FORMATS, "something.else").is_none());
    }

    #[test]
    fn prefixes_of_training_are_taken_off() {
        for name in [
            "backbone_model.norm.weight",
            "module.backbone_model.norm.weight",
            "_orig_mod.backbone_model.norm.weight",
            "module._orig_mod.backbone_model.norm.weight",
            "_orig_mod.module.backbone_model.norm.weight",
            "backbone_model._orig_mod.norm.weight",
        ] {
            assert_eq!(without_wrappers(name), "backbone_model.norm.weight", "{name}");
        }
    }

    #[test]
    fn the_codecs_names_lead_to_the_same_tensor() {
        let conv = Some(("codec_model.decoder.layers.2.conv.weight".to_owned(), false));
        for name in [
            "decoder.model.2.convtr.convtr.weight",
            "decoder.layers.2.conv.weight",
            "codec_model.decoder.layers.2.conv.weight",
        ] {
            assert_eq!(slot(CODEC_FORMATS, name), conv, "{name}");
        }
        let stacked =
            place(CODEC_FORMATS, "encoder_transformer.transformer.layers.1.self_attn.in_proj_weight").unwrap().1;
        let Placement::Stacked(slots) = stacked else { panic!("{stacked:?}") };
        let name = |part: &str| format!("codec_model.encoder_transformer.layers.1.self_attn.{part}_proj.weight");
        assert_eq!(
            slots,
            [TensorSlot::new(name("q"), true), TensorSlot::new(name("k"), true), TensorSlot::new(name("v"), false)]
        );
    }
}
