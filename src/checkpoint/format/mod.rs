//! Checkpoint formats. A format is one file with a table of names, and one line in a list here; a tensor's format is recognised by
//! its name, never by a file's name. mlx-audio reads the original names tensor by tensor, so one file may hold several formats.

mod kyutai;
mod mlx;
mod original;
mod torchtune;
mod transformers;

/// Where a stored tensor goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is the tensor that `weights` asks for by this name.
    Tensor(Slot),
    /// Its rows are those of these tensors, one after another, as many of each.
    Stacked(Vec<Slot>),
    /// It is known and not used.
    Ignored,
}

/// A tensor that `weights` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its name there.
    pub(super) name: String,
    /// Row order of queries and keys: a head's rows come as the pairs (2i, 2i + 1) that RoPE turns, where `weights` wants the two
    /// halves (i, i + D/2).
    pub(super) paired_rows: bool,
}

impl Slot {
    fn new(name: impl Into<String>, paired_rows: bool) -> Self {
        Self { name: name.into(), paired_rows }
    }
}

/// A way of naming a model's tensors.
pub(super) trait Format: Sync {
    /// What it is called, for people.
    fn name(&self) -> &'static str;

    /// Where the tensor `name` goes; `None` for a name that is not of this format.
    fn place(&self, name: &str) -> Option<Placement>;

    /// Whether the format belongs to the original code, which keeps tokenizer and codec apart and pairs RoPE's rows.
    fn is_original(&self) -> bool {
        false
    }
}

/// Formats of whole models and language models.
pub(super) static MODEL_FORMATS: &[&dyn Format] = &[&transformers::Transformers, &torchtune::Torchtune, &mlx::Mlx];

/// Formats of the codec in a file of its own.
pub(super) static CODEC_FORMATS: &[&dyn Format] =
    &[&transformers::Transformers, &kyutai::Kyutai, &transformers::TransformersMimi];

/// Formats that are recognised and cannot be read: the ending of a tensor that gives them away, and what they are.
const UNREADABLE: &[(&str, &str)] = &[
    (".SCB", "a bitsandbytes int8 checkpoint"),
    (".absmax", "a bitsandbytes 4-bit checkpoint"),
    (".qzeros", "a GPTQ or AWQ checkpoint"),
    (".weight_scale", "an FP8 checkpoint"),
];

/// What a checkpoint with this tensor is, where it cannot be read.
pub(super) fn unreadable(name: &str) -> Option<&'static str> {
    UNREADABLE.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, what)| *what)
}

/// The first of `formats` that knows `name`, and where the tensor goes.
pub(super) fn place(formats: &[&'static dyn Format], name: &str) -> Option<(&'static dyn Format, Placement)> {
    formats.iter().find_map(|format| Some((*format, format.place(name)?)))
}

/// The name that the model's tensor `name` has in MLX's layout, and whether its rows come in pairs there; `None` for the codec's.
pub(super) fn mlx_name(name: &str) -> Option<(String, bool)> {
    original::mlx_name(name)
}

/// Renames by a table of patterns, in which `*` stands for one part between dots; what it matched is put where `*` stands in the
/// new name.
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
        assert_eq!(slots, [Slot::new(name("q"), true), Slot::new(name("k"), true), Slot::new(name("v"), false)]);
    }
}
