//! Checkpoint formats. A format is one file with a rename table, and one line in [`FORMATS`]; it is recognised by its tensors'
//! names, never by a file's name.

mod transformers;

use std::collections::BTreeSet;

/// Where a stored tensor goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is the tensor that `weights` asks for by this name.
    Tensor(String),
    /// It is known and not used.
    Ignored,
}

/// A way of naming a model's tensors.
pub(super) trait Format: Sync {
    /// Whether a checkpoint with these tensors is in this format.
    fn detect(&self, names: &BTreeSet<&str>) -> bool;

    /// Where the tensor `name` goes.
    fn place(&self, name: &str) -> Placement;
}

/// Formats that can be read.
pub(super) static FORMATS: &[&dyn Format] = &[&transformers::Transformers];

/// Formats that are recognised and cannot be read: a tensor that gives them away, and what they are.
const UNREADABLE: &[(&str, &str)] = &[
    (".scales", "a quantised MLX checkpoint"),
    (".SCB", "a bitsandbytes int8 checkpoint"),
    (".absmax", "a bitsandbytes 4-bit checkpoint"),
    ("text_embeddings.weight", "the original (torchtune) CSM checkpoint or its MLX form"),
    ("codebook0_head.weight", "the original (torchtune) CSM checkpoint or its MLX form"),
];

/// The format of a checkpoint with these tensors.
///
/// # Errors
/// What the checkpoint seems to be instead.
pub(super) fn detect(names: &BTreeSet<&str>) -> Result<&'static dyn Format, &'static str> {
    if let Some((_, what)) = UNREADABLE.iter().find(|(ending, _)| names.iter().any(|n| n.ends_with(ending))) {
        return Err(what);
    }
    let found = FORMATS.iter().find(|format| format.detect(names));
    found.copied().ok_or("nothing this program knows")
}
