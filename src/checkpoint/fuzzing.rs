//! Harnesses of a checkpoint's files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::adapter::{Adapter, AdapterSpec};
use super::config::{CsmConfig, LlamaConfig};
use super::file::WeightFile;
use super::format::{CODEC_FORMATS, MODEL_FORMATS};
use super::gather::{Gatherer, expected};
use super::source::Source;
use super::tokenizer::{TextTokenizer, TokenizerRules};
use crate::data::Dtype;
use crate::fuzz_input::{halves, in_folder, put};

const CONFIG: &[u8] = include_bytes!("../../assets/voice/config.json");
const MODEL: &[u8] = include_bytes!("../../assets/voice/model.safetensors");

fn demo_config() -> CsmConfig {
    let value = serde_json::from_slice(CONFIG).unwrap_or_default();
    CsmConfig::parse(value, Path::new("config.json")).unwrap_or_else(|e| panic!("{e}"))
}

/// The header of the demo voice's weights, and its length in the file.
static HEADER: LazyLock<(Map<String, Value>, usize)> = LazyLock::new(|| {
    let length = u64::from_le_bytes(std::array::from_fn(|n| MODEL[n])) as usize;
    let mut header: Map<String, Value> = serde_json::from_slice(&MODEL[8..8 + length]).unwrap_or_default();
    header.remove("__metadata__");
    (header, length)
});

fn demo_header() -> Map<String, Value> {
    HEADER.0.clone()
}

/// A weight file of the demo voice's size with this header; all numbers are 0.
fn demo_weights(folder: &Path, header: &Map<String, Value>) -> WeightFile {
    let text = serde_json::to_string(header).unwrap_or_default();
    let head = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let path = put(folder, "model.safetensors", &head);
    let file = std::fs::File::options().write(true).open(&path);
    let grown = file.and_then(|file| file.set_len((head.len() + MODEL.len() - 8 - HEADER.1) as u64));
    assert!(grown.is_ok(), "{grown:?}");
    WeightFile::open_path(&path).unwrap_or_else(|e| panic!("{e}"))
}

/// A weight file of either format: its header.
pub(crate) fn weight_file(input: &[u8]) {
    in_folder(|folder| {
        let path = put(folder, "file", input);
        let Ok(file) = WeightFile::open_path(&path) else { return };
        for entry in file.header().unwrap_or_default() {
            let end = entry.start.checked_add(entry.length as u64);
            assert!(end.is_some_and(|end| end <= file.length()), "{} ends at {end:?}", entry.name);
            drop(file.read_at(entry.start, entry.length));
        }
    });
}

/// A change of a value: a place among many, a kind, and a number.
struct Edit {
    place: usize,
    kind: u8,
    number: u64,
}

/// `input` as edits of ten bytes.
fn edits(input: &[u8]) -> impl Iterator<Item = Edit> {
    input.chunks_exact(10).take(8).map(|bytes| {
        let number = bytes[2..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Edit { place: bytes[0].into(), kind: bytes[1], number }
    })
}

/// Pointers to all numbers, texts and flags in `value`.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| leaves(value, &format!("{at}/{n}"), found)),
        _ => found.push(at.to_owned()),
    }
}

/// The demo voice's config with some of its values changed.
pub(crate) fn config(input: &[u8]) {
    let mut value: Value = serde_json::from_slice(CONFIG).unwrap_or_default();
    let mut places = Vec::new();
    leaves(&value, "", &mut places);
    for edit in edits(input) {
        let Some(place) = value.pointer_mut(&places[edit.place % places.len()]) else { continue };
        *place = match edit.kind % 10 {
            0..=2 => json!(edit.number & 0xff),
            3 => json!(1u64 << (edit.number % 64)),
            4 => json!(edit.number),
            5 => json!(edit.number as i64),
            6 => json!(f64::from_bits(edit.number)),
            7 => Value::Null,
            8 => json!([edit.number & 0xff]),
            _ => json!("text"),
        };
    }
    let Ok(config) = CsmConfig::parse(value, Path::new("config.json")) else { return };
    assert!(config.depth_decoder_config.llama.max_position_embeddings >= config.num_codebooks, "positions of a frame");
    let dims = config.dims();
    assert!(dims.codebooks > 0 && dims.vocab > 0 && dims.frame_rate.is_finite());
    let bytes = config.context_bytes(Dtype::Float32);
    assert!(bytes > 0);
    let frequencies = |c: &LlamaConfig| drop(c.rope.inverse_frequencies(c.head_dim()));
    frequencies(&config.backbone);
    frequencies(&config.depth_decoder_config.llama);
    let layers = config.backbone.num_hidden_layers + config.depth_decoder_config.llama.num_hidden_layers;
    if layers + config.codec_config.num_hidden_layers < 100 {
        drop(expected(&config)); // takes as long as the model has layers
    }
}

/// The demo voice's weights with some entries of the header changed; all numbers are 0.
pub(crate) fn weights(input: &[u8]) {
    let mut header = demo_header();
    let names: Vec<String> = header.keys().cloned().collect();
    let mut touched = BTreeSet::new();
    for edit in edits(input) {
        let at = (edit.place | usize::from(edit.kind / 16) << 8) % names.len();
        let (name, other) = (&names[at], &names[edit.number as usize % names.len()]);
        let Some(mut entry) = header.remove(name) else { continue };
        touched.extend([name.clone(), other.clone()]);
        let mut renamed = name.clone();
        match edit.kind % 8 {
            0 => entry["dtype"] = json!((["F16", "BF16", "U32", "F64", "I64", "BOOL"])[edit.number as usize % 6]),
            1 => entry["shape"][0] = json!(edit.number),
            2 => entry["shape"] = json!(vec![edit.number & 0xf; (edit.number >> 8 & 7) as usize]),
            3 => entry["data_offsets"][1] = json!(edit.number),
            4 => entry["data_offsets"] = header.get(other).map_or(Value::Null, |other| other["data_offsets"].clone()),
            5 => continue, // is missing
            6 => renamed = other.clone(),
            _ => renamed = format!("{name}{}", [".scales", ".biases", ".lora_a", ".lora_b"][edit.number as usize % 4]),
        }
        header.insert(renamed, entry);
    }
    in_folder(|folder| {
        let (config, mut found) = (demo_config(), Gatherer::default());
        let formats: Vec<_> = MODEL_FORMATS.iter().chain(CODEC_FORMATS).copied().collect();
        if found.add(vec![demo_weights(folder, &header)], &formats).is_err() {
            return;
        }
        let Ok(store) = found.finish(folder, &config) else { return };
        for (name, shape) in expected(&config).into_iter().filter(|(name, _)| touched.contains(name)) {
            if let Ok(tensor) = store.read(&name) {
                assert_eq!(tensor.shape, shape, "{name}");
                assert_eq!(tensor.bytes.len(), shape.iter().product::<usize>() * tensor.dtype.size(), "{name}");
            }
            drop(store.quantised(&name));
        }
    });
}

/// An adapter's config and the header of its tensors, with a NUL byte between them; all numbers are 0.
pub(crate) fn adapter(input: &[u8]) {
    let (config, header) = halves(input);
    in_folder(|folder| {
        put(folder, "adapter_config.json", config);
        // As many as the header wants: a file of another length is refused before its tensors are looked at.
        let tensors: Map<String, Value> = serde_json::from_slice(header).unwrap_or_default();
        let ends = tensors.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
        let zeros = vec![0; ends.max().unwrap_or(0).min(1 << 16) as usize];
        let weights = [&(header.len() as u64).to_le_bytes()[..], header, &zeros].concat();
        put(folder, "adapter_model.safetensors", &weights);
        let spec = AdapterSpec { folder: PathBuf::from(folder), strength: 1.0 };
        let Ok(adapter) = Adapter::open(&spec) else { return };
        let Ok(changes) = adapter.changes(0) else { return };
        let targets: BTreeSet<String> = changes.into_iter().map(|(target, _)| target).collect();
        let (config, mut found) = (demo_config(), Gatherer::default());
        let model = vec![demo_weights(folder, &demo_header())];
        let formats: Vec<_> = MODEL_FORMATS.iter().chain(CODEC_FORMATS).copied().collect();
        assert!(found.add(model, &formats).is_ok());
        if found.add_adapter(adapter, config.tie_codebooks_embeddings).is_err() {
            return;
        }
        let Ok(store) = found.finish(folder, &config) else { return };
        for target in targets {
            drop(store.read(&target));
        }
    });
}

/// A tokenizer, and two texts in it.
pub(crate) fn tokenizer(input: &[u8]) {
    in_folder(|folder| {
        put(folder, "tokenizer.json", input);
        let config = demo_config();
        let source = Source::Folder(folder.to_owned());
        let rules = TokenizerRules { separate: false, named: None };
        let Ok((tokenizer, _)) = TextTokenizer::read(&source, &config, &rules) else { return };
        for text in ["[0]Hello there, 5 of us.", "\u{e9}t\u{e9} \u{1f600}"] {
            let Ok(ids) = tokenizer.ids(text) else { continue };
            assert!(ids.iter().all(|id| (*id as usize) < config.text_vocab_size));
            let spans = tokenizer.spans(text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(spans.len(), ids.len());
        }
    });
}
