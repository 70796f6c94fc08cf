//! Finds every tensor in a checkpoint's files and compares them with what the model asks for. No weights are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::adapter::{Adapter, Change};
use super::config::CsmConfig;
use super::file::{HeaderEntry, Numbers, WeightFile};
use super::format::{self, Flavour, Format, FormatLayout, Placement, TensorSlot};
use super::numbers::Affine;
use super::store::{Quantisation, StoredTensor, TensorStore};
use super::tensor::TensorPiece;
use super::weights::{CsmWeights, ShapeRecorder, codec_weights};
use crate::error::{Error, Result};

/// Disagreements that a message lists.
const LISTED: usize = 8;
/// The table of audio embeddings that both stacks may share, under the names of both.
const DEPTH_TABLE: &str = "depth_decoder.model.embed_tokens.weight";
const BACKBONE_TABLE: &str = "backbone_model.embed_tokens.embed_audio_tokens.weight";

/// Data in the files for one tensor of the model.
#[derive(Default)]
struct Gathered {
    /// Name in the file.
    stored_name: String,
    weight: Option<TensorPiece>,
    scales: Option<TensorPiece>,
    biases: Option<TensorPiece>,
    low_rank: [Option<TensorPiece>; 2],
    paired_rows: bool,
    changes: Vec<Change>,
}

/// The role of a tensor, by the last part of its name.
#[derive(Clone, Copy)]
enum AdapterPart {
    Weight,
    Scales,
    Biases,
    /// csm-streaming's adapter inside the weights: A (0) or B (1).
    LowRank(usize),
}

/// Endings, and the part that they name; the module's own tensor ends in `.weight`.
const PARTS: &[(&str, AdapterPart)] = &[
    (".scales", AdapterPart::Scales),
    (".biases", AdapterPart::Biases),
    (".lora_A", AdapterPart::LowRank(0)),
    (".lora_B", AdapterPart::LowRank(1)),
];

fn split_part(name: &str) -> (String, AdapterPart) {
    let found = PARTS.iter().find_map(|(ending, part)| Some((format!("{}.weight", name.strip_suffix(ending)?), *part)));
    found.unwrap_or_else(|| (name.to_owned(), AdapterPart::Weight))
}

/// Tensors by the model's names, as they are found.
#[derive(Default)]
pub(super) struct Gatherer {
    files: Vec<WeightFile>,
    tensors: BTreeMap<String, Gathered>,
    /// Names that no format knows.
    pub(super) unknown: Vec<String>,
    /// Formats by which names were known.
    pub(super) formats: BTreeSet<&'static str>,
    /// Sizes that these formats know by name.
    pub(super) flavours: Vec<&'static Flavour>,
    /// Whether one of them keeps the codec in a separate file.
    pub(super) separate_codec: bool,
    /// Whether one of them lets the tokenizer be borrowed.
    pub(super) separate_tokenizer: bool,
    /// Strengths of the adapters, which identify them in addition to their files.
    strengths: Vec<f32>,
}

impl Gatherer {
    /// Adds the tensors of `files`, whose names `formats` know.
    pub(super) fn add(&mut self, files: Vec<WeightFile>, formats: &[&'static dyn Format]) -> Result<()> {
        for file in files {
            let header = file.header()?;
            let number = self.files.len();
            self.files.push(file);
            for entry in header {
                self.insert(number, entry, formats)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, file: usize, entry: HeaderEntry, formats: &[&'static dyn Format]) -> Result<()> {
        let path = self.files[file].path().to_owned();
        if let Some(what) = format::unreadable(&entry.name) {
            let problem = format!(
                "{}: a tensor of {what}, which cannot be read; take the checkpoint it was made from",
                entry.name
            );
            return Err(Error::weights(path, problem));
        }
        let entry = HeaderEntry { name: format::without_wrappers(&entry.name), ..entry };
        let name = entry.name.clone();
        let piece = TensorPiece::new(file, entry);
        let (base, part) = split_part(&name);
        let Some((format, placement)) = format::place(formats, &base) else {
            self.unknown.push(name);
            return Ok(());
        };
        let slots = match placement {
            Placement::Ignored => return Ok(()),
            Placement::Tensor(slot) => vec![slot],
            Placement::Stacked(slots) => slots,
        };
        // torchtune's and MLX's names differ inside the layers only.
        if formats.iter().filter(|other| other.place(&base).is_some()).count() == 1 {
            self.formats.insert(format.name());
        }
        self.add_layout(format.layout());
        let pieces = piece.split(slots.len()).ok_or_else(|| {
            let problem = format!("{name}: expected {} parts of equal size, got shape {:?}", slots.len(), piece.shape);
            Error::weights(&path, problem)
        })?;
        for (TensorSlot { name: canonical, paired_rows }, piece) in slots.into_iter().zip(pieces) {
            let tensor = self.tensors.entry(canonical).or_default();
            tensor.paired_rows |= paired_rows;
            let place = match part {
                AdapterPart::Weight => {
                    tensor.stored_name.clone_from(&name);
                    &mut tensor.weight
                }
                AdapterPart::Scales => &mut tensor.scales,
                AdapterPart::Biases => &mut tensor.biases,
                AdapterPart::LowRank(n) => &mut tensor.low_rank[n],
            };
            if place.replace(piece).is_some() {
                let problem = format!("{name}: stored twice, also in another file or under another name");
                return Err(Error::weights(path, problem));
            }
        }
        Ok(())
    }

    fn add_layout(&mut self, layout: FormatLayout) {
        self.separate_codec |= layout.separate_codec;
        self.separate_tokenizer |= layout.separate_tokenizer;
        if self.flavours.is_empty() {
            self.flavours = layout.flavours.iter().collect();
        }
    }

    /// Whether the sizes follow from the weights if `config.json` lacks them.
    pub(super) fn knows_sizes(&self) -> bool {
        !self.flavours.is_empty()
    }

    /// Shape of a tensor as it is stored, by the model's name.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name)?.weight.as_ref().map(|piece| piece.shape.as_slice())
    }

    /// The model's names of all tensors found.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether the codec's weights are among them.
    pub(super) fn has_codec(&self) -> bool {
        self.names().any(|name| name.starts_with("codec_model."))
    }

    /// Adds what an adapter changes.
    pub(super) fn add_adapter(&mut self, adapter: Adapter, tied: bool) -> Result<()> {
        let first_file = self.files.len();
        let folder = adapter.folder.clone();
        self.strengths.push(adapter.strength);
        let changes = adapter.changes(first_file)?;
        self.files.extend(adapter.files);
        for (mut target, change) in changes {
            if tied && target == BACKBONE_TABLE {
                target = DEPTH_TABLE.into();
            }
            match self.tensors.get_mut(&target) {
                Some(tensor) => tensor.changes.push(change),
                None => {
                    let problem =
                        format!("its target {target} is not in the base checkpoint; choose the base it was made for");
                    return Err(Error::weights(folder, problem));
                }
            }
        }
        Ok(())
    }

    /// Everything that is wrong with the tensors, in words, for a model of this config; and the store, if nothing is.
    pub(super) fn finish(mut self, folder: &Path, config: &CsmConfig) -> Result<TensorStore> {
        let problems = self.problems(config);
        if !problems.is_empty() {
            let shown = problems.iter().take(LISTED).cloned().collect::<Vec<_>>().join("; ");
            let more = match problems.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            return Err(Error::weights(folder, format!("weights and config disagree: {shown}{more}")));
        }
        let copy = if config.tie_codebooks_embeddings { self.tensors.remove(BACKBONE_TABLE) } else { None };
        if let Some(copy) = &copy
            && !self.tensors.contains_key(DEPTH_TABLE)
        {
            let only =
                Gathered { weight: copy.weight.clone(), stored_name: copy.stored_name.clone(), ..Gathered::default() };
            self.tensors.insert(DEPTH_TABLE.into(), only);
        }
        let mut tensors = BTreeMap::new();
        for (name, shape) in expected(config) {
            let Some(found) = self.tensors.remove(&name) else { continue };
            let Some(weight) = found.weight else { continue };
            let quantisation = match (found.scales, found.biases) {
                (Some(scales), Some(biases)) => Affine::infer(&shape, &weight.shape, &scales.shape)
                    .map(|affine| Quantisation { scales, biases, affine }),
                _ => None,
            };
            let mut changes = found.changes;
            if let [Some(a), Some(b)] = found.low_rank {
                // csm-streaming trains with alpha / r = 1; only its script has the number.
                changes.insert(0, Change::low_rank(a, b, false, 1.0, found.paired_rows));
            }
            for change in &changes {
                change.check(&name, &shape).map_err(|problem| Error::weights(folder, problem))?;
            }
            let (head, paired_rows) = (config.head_dim_of(&name), found.paired_rows);
            tensors.insert(name, StoredTensor { weight, shape, head, paired_rows, quantisation, changes });
        }
        let store = TensorStore::new(self.files, tensors, self.strengths);
        if let Some(copy) = copy.and_then(|c| c.weight)
            && !store.equals(DEPTH_TABLE, &copy)?
        {
            let problem = format!(
                "{BACKBONE_TABLE} and {DEPTH_TABLE} differ, expected one table: the config has tie_codebooks_embeddings"
            );
            return Err(Error::weights(folder, problem));
        }
        Ok(store)
    }

    /// Missing and surplus tensors, and those of another shape or number type.
    pub(super) fn problems(&self, config: &CsmConfig) -> Vec<String> {
        let expected = expected(config);
        let mut problems = Vec::new();
        for (name, shape) in &expected {
            let tied_copy = config.tie_codebooks_embeddings && name == DEPTH_TABLE;
            let found = self.tensors.get(name).or_else(|| self.tensors.get(BACKBONE_TABLE).filter(|_| tied_copy));
            problems.extend(match found {
                None => Some(format!("{name}: missing, expected shape {shape:?}")),
                Some(found) => found.problem(name, shape),
            });
        }
        let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        let surplus = self.tensors.iter().filter(|(name, found)| {
            let tied_copy = config.tie_codebooks_embeddings && *name == BACKBONE_TABLE;
            !known.contains(name.as_str()) && !tied_copy && !found.stored_name.is_empty()
        });
        problems.extend(
            surplus.map(|(_, found)| format!("{}: surplus, the config has no place for it", found.stored_name)),
        );
        problems.extend(
            self.unknown
                .iter()
                .filter(|name| !self.is_adapters_bias(name))
                .map(|name| format!("{name}: surplus, no part of a CSM")),
        );
        problems
    }

    /// csm-streaming's adapted modules have a bias that its own merge drops.
    fn is_adapters_bias(&self, name: &str) -> bool {
        let Some(module) = name.strip_suffix(".bias") else { return false };
        let placed = format::place(format::MODEL_FORMATS, &format!("{module}.weight"));
        let Some((_, Placement::Tensor(slot))) = placed else { return false };
        self.tensors.get(&slot.name).is_some_and(|found| found.low_rank.iter().all(Option::is_some))
    }
}

/// Names and shapes that the model asks for.
pub(super) fn expected(config: &CsmConfig) -> Vec<(String, Vec<usize>)> {
    let mut recorder = ShapeRecorder::default();
    let Ok(_) = CsmWeights::load(&mut recorder, config);
    let Ok(_) = codec_weights(&mut recorder, config);
    recorder.tensors
}

impl Gathered {
    /// Its problem as the tensor `name` of this shape.
    fn problem(&self, name: &str, shape: &[usize]) -> Option<String> {
        let Some(weight) = &self.weight else {
            return Some(format!("{name}: missing, only its scales or an adapter's factors are stored"));
        };
        let stored = &self.stored_name;
        match (&self.scales, &self.biases) {
            (None, None) => match &weight.numbers {
                Numbers::Float(_) if weight.shape == shape => None,
                Numbers::Float(_) => Some(format!("{name}: expected shape {shape:?}, got {:?}", weight.shape)),
                Numbers::Word => Some(format!("{stored}: packed integers without scales and biases")),
                Numbers::Other(other) => {
                    Some(format!("{stored}: expected float32, float16, bfloat16 or MLX's packed integers, got {other}"))
                }
            },
            (Some(scales), None) => Some(format!(
                "{stored}: quantised without biases (scales {:?}), as in MLX's mxfp4, mxfp8 and nvfp4; expected affine",
                scales.shape
            )),
            (None, Some(_)) => Some(format!("{stored}: quantised without scales")),
            (Some(scales), Some(biases)) => {
                let floats = [scales, biases].iter().all(|p| matches!(p.numbers, Numbers::Float(_)));
                let fits = Affine::infer(shape, &weight.shape, &scales.shape).is_some();
                let ok = floats && fits && weight.numbers == Numbers::Word && scales.shape == biases.shape;
                (!ok).then(|| {
                    format!(
                        "{stored}: expected affine quantisation of shape {shape:?}, got weight {:?}, scales {:?}, biases {:?}",
                        weight.shape, scales.shape, biases.shape
                    )
                })
            }
        }
    }
}
