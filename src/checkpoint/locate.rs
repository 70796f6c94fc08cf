//! From what a user names to a checkpoint's files.

use std::path::Path;

use super::format::MODEL_FORMATS;
use super::gather::Gatherer;
use super::source::Source;
use super::{DEMO, DEMO_NAME, adapter, hub_cache, layout, text_of, tokenizer};
use crate::error::{Error, Result};
use crate::files::with_home;

/// Name and files of the checkpoint at `path`, and the name of its weight file if `path` is one.
pub(super) fn locate(path: Option<&Path>) -> Result<(String, Source, Option<String>)> {
    let Some(path) = path else { return Ok((DEMO_NAME.into(), Source::Embedded(DEMO), None)) };
    let path = &*with_home(path);
    if path.is_dir() {
        return Ok((name_of(path), Source::Folder(path.to_owned()), None));
    }
    if path.exists() {
        let folder = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
        let file = path.file_name().map(|n| n.to_string_lossy().into_owned());
        return Ok((name_of(path), Source::Folder(folder.to_owned()), file));
    }
    match hub_cache::find(path)? {
        Some(folder) => {
            let id = path.to_string_lossy();
            let name = hub_cache::repository(&id).map(|(owner, name)| format!("{owner}/{name}"));
            Ok((name.unwrap_or_else(|| id.into_owned()), Source::Folder(folder), None))
        }
        None => {
            let problem = "expected a checkpoint's folder (config.json, model.safetensors, tokenizer.json), a weight file, or the id of \
                           a repository in Hugging Face's cache; there is no such folder or file";
            Err(Error::file(path, problem))
        }
    }
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    absolute.file_name().map_or_else(|| "checkpoint".into(), |n| n.to_string_lossy().into_owned())
}

/// Repositories that the checkpoint in `folder` needs and that are not on this machine: a codec, a tokenizer, or the
/// base of an adapter.
///
/// # Errors
/// As [`super::Checkpoint::open`], except for the missing parts.
pub(crate) fn needed_repositories(folder: &Path) -> Result<Vec<String>> {
    let source = Source::Folder(folder.to_owned());
    if adapter::is_adapter(folder) {
        let base = adapter::base_of(folder)?;
        let is_missing = hub_cache::repository(&base).is_some() && hub_cache::find(Path::new(&base)).is_err();
        return Ok(if is_missing { vec![base] } else { Vec::new() });
    }
    let (config, _) = layout::config(&source)?;
    let mut found = Gatherer::default();
    found.add(layout::weight_files(&source, config.as_ref())?, MODEL_FORMATS)?;
    let mut needed = Vec::new();
    if found.separate_codec && !found.has_codec() && layout::codec_file(&source).is_err() {
        needed.push(layout::CODEC_REPOSITORIES[0].0.to_owned());
    }
    if found.separate_tokenizer && !source.contains("tokenizer.json")? {
        let named = config.as_ref().and_then(|c| text_of(c, "text_tokenizer"));
        let repositories: Vec<&str> = named.map_or_else(|| tokenizer::REPOSITORIES.to_vec(), |named| vec![named]);
        if repositories.iter().all(|id| hub_cache::file(id, "tokenizer.json").is_none()) {
            needed.push(repositories[0].to_owned());
        }
    }
    Ok(needed)
}
