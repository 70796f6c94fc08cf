//! Which files of a folder hold what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value;

use super::file::WeightFile;
use super::format;
use super::hub_cache;
use super::source::Source;
use crate::error::{Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Kyutai's file of Mimi, under its published name and common other ones.
pub(crate) const CODEC_FILES: [&str; 3] = [MIMI_FILE, "mimi.safetensors", "codec.safetensors"];
const MIMI_FILE: &str = "tokenizer-e351c8d8-checkpoint125.safetensors";
/// A folder next to the weights with nothing but the codec, where mlx-audio does not look.
pub(crate) const CODEC_FOLDER: &str = "mimi";
/// Where Mimi is borrowed from, and under which name.
pub(super) const CODEC_REPOSITORIES: [(&str, &str); 2] =
    [("kyutai/moshiko-pytorch-bf16", MIMI_FILE), ("kyutai/mimi", SINGLE)];

/// The weight files to take from a repository that parts are borrowed from; `None` for any other repository.
pub(crate) fn files_of_borrowed(id: &str) -> Option<Vec<&'static str>> {
    if super::tokenizer::REPOSITORIES[..2].contains(&id) {
        return Some(Vec::new());
    }
    CODEC_REPOSITORIES.iter().find(|(repository, _)| *repository == id).map(|(_, file)| vec![*file])
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// `config.json`, here or, for an epoch of csm-streaming's training, a folder up; and where it was found.
pub(super) fn config(source: &Source) -> Result<(Option<Value>, Source)> {
    if let Some(value) = source.read_json("config.json")? {
        return Ok((Some(value), source.clone()));
    }
    if let Source::Folder(folder) = source
        && folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("checkpoint-"))
        && let Some(up) = folder.canonicalize().ok().as_deref().and_then(Path::parent)
    {
        let up = Source::Folder(up.to_owned());
        if let Some(value) = up.read_json("config.json")? {
            return Ok((Some(value), up));
        }
    }
    Ok((None, source.clone()))
}

/// The files with the model's weights: the ones that `transformers_weights` of config.json names, else `model.safetensors`, else the
/// shards of its index, else another weight file. Their tensors identify their content.
pub(super) fn weight_files(source: &Source, config: Option<&Value>) -> Result<Vec<WeightFile>> {
    if let Some(named) = config.and_then(|c| c.get("transformers_weights")).filter(|named| !named.is_null()) {
        let Some(name) = named.as_str() else {
            let problem = format!("transformers_weights: expected the name of a file, got {named}");
            return Err(Error::file(source.path("config.json"), problem));
        };
        check_plain_name(source, "config.json", "transformers_weights", name)?;
        if name.ends_with(".json") {
            return shards(source, name);
        }
        return Ok(vec![WeightFile::open(source, name, "the weights that config.json names")?]);
    }
    if source.contains(SINGLE)? {
        return Ok(vec![WeightFile::open(source, SINGLE, "the weights")?]);
    }
    if source.contains(INDEX)? {
        return shards(source, INDEX);
    }
    for name in format::weight_files() {
        if source.contains(name)? {
            return Ok(vec![WeightFile::open(source, name, "the weights")?]);
        }
    }
    let names = format::weight_files().collect::<Vec<_>>().join(", ");
    let unfinished = if source.has_unfinished_download() {
        "; its download is unfinished, and `csm download` completes it"
    } else {
        ""
    };
    Err(source
        .missing(SINGLE, &format!("the weights ({SINGLE}, or shards with {INDEX}, or one of {names}){unfinished}")))
}

fn shards(source: &Source, index_name: &str) -> Result<Vec<WeightFile>> {
    let Some(index) = source.read_json::<Index>(index_name)? else {
        return Err(source.missing(index_name, "the index of the weights' shards"));
    };
    let mut files = Vec::new();
    for name in index.weight_map.values().collect::<BTreeSet<_>>() {
        check_plain_name(source, index_name, "weight_map", name)?;
        let file = WeightFile::open(source, name, &format!("a shard that {index_name} lists"))?;
        let inside: BTreeSet<String> = file.header()?.into_iter().map(|entry| entry.name).collect();
        let listed = index.weight_map.iter().filter(|(_, shard)| *shard == name);
        if let Some((tensor, _)) = listed.into_iter().find(|(tensor, _)| !inside.contains(*tensor)) {
            let problem = format!("{tensor}: expected in this shard by {index_name}, not found there");
            return Err(Error::weights(file.path(), problem));
        }
        files.push(file);
    }
    Ok(files)
}

fn check_plain_name(source: &Source, file: &str, field: &str, name: &str) -> Result<()> {
    let mut components = Path::new(name).components();
    let plain = matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
    if plain {
        Ok(())
    } else {
        let problem = format!("{field}: expected the name of a file in the same folder, got {name:?}");
        Err(Error::file(source.path(file), problem))
    }
}

/// The file with Mimi, if the model's own files lack it: next to the weights, or borrowed from the cache; with a note
/// on what was borrowed.
pub(super) fn codec_file(source: &Source) -> Result<(WeightFile, Option<String>)> {
    for name in CODEC_FILES {
        if source.contains(name)? {
            return Ok((WeightFile::open(source, name, "Mimi's weights")?, None));
        }
    }
    if let Source::Folder(folder) = source
        && folder.join(CODEC_FOLDER).join(SINGLE).exists()
    {
        return Ok((WeightFile::open_path(&folder.join(CODEC_FOLDER).join(SINGLE))?, None));
    }
    for (repository, name) in CODEC_REPOSITORIES {
        if let Some(path) = hub_cache::file(repository, name) {
            let note = format!("Mimi is taken from {repository} in Hugging Face's cache ({})", path.display());
            return Ok((WeightFile::open_path(&path)?, Some(note)));
        }
    }
    let problem = format!(
        "missing: the checkpoint has no codec; expected Mimi in {MIMI_FILE} next to the weights, or {} in Hugging Face's cache \
         (`csm download {}` fetches it)",
        CODEC_REPOSITORIES.map(|(repository, _)| repository).join(" or "),
        CODEC_REPOSITORIES[0].0
    );
    Err(Error::file(source.path(MIMI_FILE), problem))
}
