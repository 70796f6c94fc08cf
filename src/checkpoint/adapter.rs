//! LoRA adapters: PEFT's and Unsloth's, csm-mlx's, and csm-streaming's inside the weights. They are merged in float32 when a tensor
//! is read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fancy_regex::Regex;
use matrixmultiply::sgemm;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::file::WeightFile;
use super::format::{MODEL_FORMATS, Placement, TensorSlot, place};
use super::numbers::{reorder_rows, to_f32};
use super::tensor::TensorPiece;
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file};

const CONFIG: &str = "adapter_config.json";
/// Files with an adapter's weights, in order of preference: PEFT's, then csm-mlx's.
const WEIGHTS: [&str; 4] =
    ["adapter_model.safetensors", "adapter_model.bin", "adapters.safetensors", "latest.safetensors"];

/// An adapter's folder and how strongly it acts: 1 as it was trained, 0 not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSpec {
    /// The folder of the adapter.
    pub folder: PathBuf,
    /// Factor of the difference that it makes.
    pub strength: f32,
}

impl fmt::Display for AdapterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.folder.display(), self.strength)
    }
}

impl FromStr for AdapterSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let whole = Self { folder: text.into(), strength: 1.0 };
        let Some((folder, strength)) = text.rsplit_once(':') else { return Ok(whole) };
        match strength.parse::<f32>() {
            Ok(strength) if strength.is_finite() => Ok(Self { folder: folder.into(), strength }),
            _ if Path::new(text).exists() => Ok(whole),
            _ => Err(Error::invalid("adapter", "DIR or DIR:STRENGTH with a number such as 0.5", format!("{text:?}"))),
        }
    }
}

/// The change of one tensor by an adapter.
#[derive(Clone, Debug)]
pub(super) struct Change {
    kind: AdapterKind,
    paired_rows: bool,
    strength: f32,
}

#[derive(Clone, Debug)]
enum AdapterKind {
    /// `W += scale * B A`.
    LowRank { a: Factor, b: Factor, scale: f32 },
    /// Rows of W are scaled to these norms, `[out]` (DoRA).
    RowNorms(TensorPiece),
    /// Replaces W by a matrix of the adapter.
    Replace(TensorPiece),
}

/// A factor of a low-rank product, `[rows, columns]`, or stored the other way round.
#[derive(Clone, Debug)]
struct Factor {
    piece: TensorPiece,
    transposed: bool,
}

impl Factor {
    /// Rows and columns as the product needs them.
    fn shape(&self) -> Option<(usize, usize)> {
        match (self.piece.shape.as_slice(), self.transposed) {
            ([rows, columns], false) | ([columns, rows], true) => Some((*rows, *columns)),
            _ => None,
        }
    }
}

impl Change {
    /// `W += scale * B A`; A is `[r, in]`, B `[out, r]`, or both `transposed`.
    pub(super) fn low_rank(a: TensorPiece, b: TensorPiece, transposed: bool, scale: f32, paired_rows: bool) -> Self {
        let factor = |piece| Factor { piece, transposed };
        Self { kind: AdapterKind::LowRank { a: factor(a), b: factor(b), scale }, paired_rows, strength: 1.0 }
    }

    /// Checks that it fits the tensor `name` of this shape.
    ///
    /// # Errors
    /// Which target does not fit, in words.
    pub(super) fn check(&self, name: &str, shape: &[usize]) -> Result<(), String> {
        let problem = |got: String| {
            Err(format!("the adapter does not fit {name} of shape {shape:?}: {got}; choose the base it was made for"))
        };
        match &self.kind {
            AdapterKind::LowRank { a, b, .. } => match (shape, a.shape(), b.shape()) {
                ([out, inputs], Some((r, a_in)), Some((b_out, b_r)))
                    if r == b_r && *out == b_out && *inputs == a_in =>
                {
                    Ok(())
                }
                _ => problem(format!("its factors have the shapes {:?} and {:?}", a.piece.shape, b.piece.shape)),
            },
            AdapterKind::RowNorms(norms) => match shape {
                [out, _] if norms.count() == *out => Ok(()),
                _ => problem(format!("its row norms have the shape {:?}", norms.shape)),
            },
            AdapterKind::Replace(new) if new.shape == shape => Ok(()),
            AdapterKind::Replace(new) => problem(format!("it would be replaced by the shape {:?}", new.shape)),
        }
    }

    /// Changes `values`, a tensor of this shape whose rows are in halves; `head` is the width of a head, for factors whose rows
    /// come in pairs. `read` gives a piece's numbers.
    pub(super) fn apply(
        &self,
        values: &mut [f32],
        shape: &[usize],
        head: usize,
        read: impl Fn(&TensorPiece) -> Result<Vec<f32>>,
    ) -> Result<()> {
        let head = self.paired_rows.then_some(head);
        let rows_in_order = |numbers: Vec<f32>, rows: usize| {
            let bytes = bytemuck::cast_slice::<f32, u8>(&numbers).to_vec();
            to_f32(Dtype::Float32, &reorder_rows(bytes.into(), rows, head)).into_owned()
        };
        match &self.kind {
            AdapterKind::LowRank { a, b, scale } => {
                let ([out, inputs], Some((r, _))) = (shape, a.shape()) else { return Ok(()) };
                let a_values = read(&a.piece)?;
                let mut b_values = read(&b.piece)?;
                let mut b_transposed = b.transposed;
                if head.is_some() {
                    b_values = rows_in_order(if b.transposed { transpose(&b_values, r, *out) } else { b_values }, *out);
                    b_transposed = false;
                }
                multiply_add(
                    values,
                    self.strength * scale,
                    (&b_values, b_transposed),
                    (&a_values, a.transposed),
                    (*out, r, *inputs),
                );
            }
            AdapterKind::RowNorms(norms) => {
                let norms = rows_in_order(read(norms)?, shape[0]);
                for (row, norm) in values.chunks_exact_mut(shape[1]).zip(norms) {
                    let length = row.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>().sqrt() as f32;
                    row.iter_mut().for_each(|w| *w *= norm / length);
                }
            }
            AdapterKind::Replace(new) => {
                let new = rows_in_order(read(new)?, shape[0]);
                values.iter_mut().zip(new).for_each(|(old, new)| *old += self.strength * (new - *old));
            }
        }
        Ok(())
    }
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

/// `w += scale * b a` for w (out, in), b (out, r) and a (r, in), each row-major or transposed.
fn multiply_add(
    w: &mut [f32],
    scale: f32,
    b: (&[f32], bool),
    a: (&[f32], bool),
    (out, r, inputs): (usize, usize, usize),
) {
    let strides = |transposed: bool, rows: usize, columns: usize| {
        if transposed { (1, rows as isize) } else { (columns as isize, 1) }
    };
    let (b_row, b_column) = strides(b.1, out, r);
    let (a_row, a_column) = strides(a.1, r, inputs);
    assert!(w.len() == out * inputs && b.0.len() == out * r && a.0.len() == r * inputs, "shapes were checked");
    // SAFETY: the lengths are those of the matrices with these strides, as just asserted.
    unsafe {
        sgemm(
            out,
            r,
            inputs,
            scale,
            b.0.as_ptr(),
            b_row,
            b_column,
            a.0.as_ptr(),
            a_row,
            a_column,
            1.0,
            w.as_mut_ptr(),
            inputs as isize,
            1,
        );
    }
}

pub(super) struct Adapter {
    pub(super) folder: PathBuf,
    pub(super) strength: f32,
    pub(super) files: Vec<WeightFile>,
    config: AdapterConfig,
    config_path: PathBuf,
}

/// `adapter_config.json` of PEFT and of csm-mlx.
#[derive(Default, Deserialize)]
struct AdapterConfig {
    base_model_name_or_path: Option<String>,
    r: Option<f32>,
    lora_alpha: Option<f32>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    rank_pattern: Patterns,
    #[serde(default)]
    alpha_pattern: Patterns,
    lora_parameters: Option<LoraParameters>,
}

/// PEFT's numbers by patterns of modules: Python's expressions, the first that fits in the order of the file.
#[derive(Default)]
struct Patterns(Vec<(Regex, f32)>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Patterns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers by patterns of modules")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Patterns, A::Error> {
                /// Real adapters have a pattern for each kind of module or for each module.
                const MOST: usize = 4_096;
                let mut patterns = Vec::new();
                while let Some((key, value)) = entries.next_entry::<String, f32>()? {
                    let pattern = Regex::new(&format!("^(?:.*\\.)?(?:{key})$"))
                        .map_err(|e| A::Error::custom(format!("the pattern {key:?} cannot be used: {e}")))?;
                    patterns.push((pattern, value));
                    if patterns.len() > MOST {
                        return Err(A::Error::custom(format!("expected at most {MOST} patterns")));
                    }
                }
                Ok(Patterns(patterns))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Patterns {
    /// The number of the first pattern that fits `module`.
    fn value(&self, module: &str) -> Result<Option<f32>, fancy_regex::Error> {
        for (pattern, value) in &self.0 {
            if pattern.is_match(module)? {
                return Ok(Some(*value));
            }
        }
        Ok(None)
    }
}

#[derive(Deserialize)]
struct LoraParameters {
    scale: Option<f32>,
}

/// Whether the folder holds an adapter and no model.
pub(super) fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).is_file() && WEIGHTS.iter().any(|name| folder.join(name).is_file())
}

/// The base that the adapter in `folder` names.
pub(super) fn base_of(folder: &Path) -> Result<String> {
    let (config, path) = read_config(folder)?;
    config.base_model_name_or_path.ok_or_else(|| {
        Error::file(
            path,
            "names no base (base_model_name_or_path); name the base as the checkpoint, and this folder as its adapter",
        )
    })
}

fn read_config(folder: &Path) -> Result<(AdapterConfig, PathBuf)> {
    let path = folder.join(CONFIG);
    let bytes = read_file(&path, JSON_LIMIT)?;
    let config = serde_json::from_slice(&bytes).map_err(|e| Error::parse(&path, "expected an adapter's config", e))?;
    Ok((config, path))
}

impl Adapter {
    pub(super) fn open(spec: &AdapterSpec) -> Result<Self> {
        let folder = spec.folder.clone();
        let Some(name) = WEIGHTS.iter().find(|name| folder.join(name).exists()) else {
            let problem = format!("expected an adapter's folder with {CONFIG} and one of {}", WEIGHTS.join(", "));
            return Err(Error::file(folder, problem));
        };
        let (config, config_path) = read_config(&folder)?;
        let files = vec![WeightFile::open_path(&folder.join(name))?];
        Ok(Self { folder, strength: spec.strength, files, config, config_path })
    }

    /// Its changes, by the model's names of the tensors; its files will be numbered from `first_file`.
    pub(super) fn changes(&self, first_file: usize) -> Result<Vec<(String, Change)>> {
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        for (n, file) in self.files.iter().enumerate() {
            for entry in file.header()? {
                let name = entry.name.clone();
                let piece = TensorPiece::new(first_file + n, entry);
                let (module, part) = split_name(&name);
                modules.entry(module).or_default().0.push((part, piece, name));
            }
        }
        let mut changes = Vec::new();
        for (module, parts) in modules {
            changes.extend(self.module_changes(&module, parts)?);
        }
        Ok(changes)
    }

    fn module_changes(&self, module: &str, parts: Module) -> Result<Vec<(String, Change)>> {
        let path = self.files[0].path();
        let (whole, parts): (Vec<_>, Vec<_>) = parts.0.into_iter().partition(|(part, ..)| part.is_none());
        let target = |name: &str| match place(MODEL_FORMATS, name) {
            Some((_, Placement::Tensor(slot))) => Ok(slot),
            _ => Err(Error::weights(path, format!("{name}: expected a module of a CSM"))),
        };
        let mut changes = Vec::new();
        let change = |slot: TensorSlot, kind| {
            let change = Change { kind, paired_rows: slot.paired_rows, strength: self.strength };
            (slot.name, change)
        };
        for (_, piece, _) in whole {
            changes.push(change(target(module)?, AdapterKind::Replace(piece)));
        }
        if parts.is_empty() {
            return Ok(changes);
        }
        let find = |wanted: &[&str]| {
            parts
                .iter()
                .find(|(part, ..)| part.as_deref().is_some_and(|p| wanted.contains(&p)))
                .map(|(_, piece, _)| piece.clone())
        };
        let incomplete = || Error::weights(path, format!("{module}: expected both factors of a low-rank change"));
        let slot = target(&format!("{module}.weight"))?;
        let kind = if let Some(a) = find(&["lora_a"]) {
            let b = find(&["lora_b"]).ok_or_else(incomplete)?;
            let scale = self.config.lora_parameters.as_ref().and_then(|p| p.scale).ok_or_else(|| {
                Error::file(&self.config_path, "lora_parameters.scale: missing, expected the factor of the change")
            })?;
            low_rank((a, true), (b, true), scale)
        } else if let Some(a) = find(&["lora_A"]) {
            let b = find(&["lora_B"]).ok_or_else(incomplete)?;
            let scale = self.peft_scale(module, a.shape.first())?;
            low_rank((a, false), (b, false), scale)
        } else if let Some(a) = find(&["lora_embedding_A"]) {
            // For an embedding, A is [r, rows] and B [d, r]: the change is (B A)^T.
            let b = find(&["lora_embedding_B"]).ok_or_else(incomplete)?;
            let scale = self.peft_scale(module, a.shape.first())?;
            low_rank((b, true), (a, true), scale)
        } else {
            return Err(incomplete());
        };
        changes.push(change(slot.clone(), kind));
        if let Some(norms) = find(&["m", "lora_magnitude_vector"]) {
            // A strength weakens the whole: the low-rank part acts in full before its rows are scaled.
            if self.strength != 1.0 {
                let problem = format!("{module}: a DoRA adapter has no strength but 1, got {}", self.strength);
                return Err(Error::weights(path, problem));
            }
            changes.push(change(slot, AdapterKind::RowNorms(norms)));
        }
        Ok(changes)
    }

    /// alpha / r, or alpha / sqrt(r) for rsLoRA.
    fn peft_scale(&self, module: &str, rank: Option<&usize>) -> Result<f32> {
        let c = &self.config;
        let missing = |field| Error::file(&self.config_path, format!("{field}: missing, expected PEFT's setting"));
        let pattern = |field: &str, patterns: &Patterns| {
            let problem =
                |e| Error::parse(&self.config_path, format!("{field}: a pattern cannot be tried on {module}"), e);
            patterns.value(module).map_err(problem)
        };
        let r = pattern("rank_pattern", &c.rank_pattern)?.or(c.r).or(rank.map(|r| *r as f32));
        let r = r.ok_or_else(|| missing("r"))?;
        let alpha =
            pattern("alpha_pattern", &c.alpha_pattern)?.or(c.lora_alpha).ok_or_else(|| missing("lora_alpha"))?;
        if r <= 0.0 || rank.is_some_and(|rank| *rank as f32 != r) {
            let problem = format!("{module}: the config says rank {r}, the factors have rank {}", rank.unwrap_or(&0));
            return Err(Error::weights(self.files[0].path(), problem));
        }
        Ok(if c.use_rslora { alpha / r.sqrt() } else { alpha / r })
    }
}

fn low_rank(a: (TensorPiece, bool), b: (TensorPiece, bool), scale: f32) -> AdapterKind {
    let factor = |(piece, transposed)| Factor { piece, transposed };
    AdapterKind::LowRank { a: factor(a), b: factor(b), scale }
}

/// The tensors of one module: part, place and whole name.
#[derive(Default)]
struct Module(Vec<(Option<String>, TensorPiece, String)>);

/// Parts of an adapted module.
const PARTS: [&str; 8] =
    ["lora_A", "lora_B", "lora_a", "lora_b", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector", "m"];

/// Module and part of an adapter's tensor; a tensor that replaces one of the model has no part and keeps its whole name.
fn split_name(name: &str) -> (String, Option<String>) {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let name = name.replace(".modules_to_save.default.", ".").replace(".modules_to_save.", ".").replace(".default", "");
    let module_name = name.strip_suffix(".weight").unwrap_or(&name);
    match module_name.rsplit_once('.') {
        Some((module, part)) if PARTS.contains(&part) => (module.replace(".base_layer", ""), Some(part.into())),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let q = "backbone_model.layers.0.self_attn.q_proj";
        assert_eq!(split_name(&format!("base_model.model.{q}.lora_A.weight")), (q.into(), Some("lora_A".into())));
        assert_eq!(split_name(&format!("{q}.lora_b")), (q.into(), Some("lora_b".into())));
        assert_eq!(
            split_name("base_model.model.lm_head.modules_to_save.default.weight"),
            ("lm_head.weight".into(), None)
        );
        assert_eq!(split_name("text_embeddings.weight"), ("text_embeddings.weight".into(), None));
    }

    #[test]
    fn patterns_are_pythons_and_the_first_in_the_file_that_fits_counts() {
        let read = |json: &str| serde_json::from_str::<Patterns>(json);
        let patterns = read(r#"{"v_proj": 2, "(?!x)layers.1.q_proj": 4, "q_proj": 8, "a_proj": 1}"#).unwrap();
        let value = |module: &str| patterns.value(module).unwrap();
        assert_eq!(value("backbone_model.layers.1.q_proj"), Some(4.0));
        assert_eq!(value("backbone_model.layers.2.q_proj"), Some(8.0));
        assert_eq!((value("backbone_model.layers.2.k_proj"), value("v_proj")), (None, Some(2.0)));
        for wrong in [r#"{"(": 1}"#.to_owned(), format!(r#"{{"{}": 1}}"#, "(".repeat(5_000))] {
            assert!(read(&wrong).is_err());
        }
    }

    #[test]
    fn a_strength_may_follow_the_folder() {
        let spec = |text: &str| text.parse::<AdapterSpec>().map(|s| (s.folder.display().to_string(), s.strength)).ok();
        assert_eq!(spec("a/b"), Some(("a/b".into(), 1.0)));
        assert_eq!(spec("a/b:0.5"), Some(("a/b".into(), 0.5)));
        assert_eq!(spec("a/b:much"), None);
    }

    #[test]
    fn a_product_is_added_whichever_way_the_factors_lie() {
        let (b, a) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 2.0, 0.0, 1.0, 1.0]); // (3, 2) and (2, 3)
        let expected = [1.0, 2.0, 4.0, 3.0, 4.0, 10.0, 5.0, 6.0, 16.0];
        for (b_turned, a_turned) in [(false, false), (true, false), (false, true), (true, true)] {
            let b_values = if b_turned { transpose(&b, 3, 2) } else { b.to_vec() };
            let a_values = if a_turned { transpose(&a, 2, 3) } else { a.to_vec() };
            let mut w = [0.0; 9];
            multiply_add(&mut w, 1.0, (&b_values, b_turned), (&a_values, a_turned), (3, 2, 3));
            assert_eq!(w, expected);
        }
    }
}
