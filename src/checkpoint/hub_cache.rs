//! Hugging Face's cache on this machine. Our own few lines, because `hf-hub` knows neither `HF_HUB_CACHE` nor `XDG_CACHE_HOME`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The cache's folder: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(directories::BaseDirs::new()?.home_dir().join(".cache/huggingface/hub")))
        .unwrap_or_default()
}

/// The current snapshot of the repository `id`: `owner/name`, or the bare name of sesame/csm-1b in any case. `None` where `id`
/// cannot be a repository's.
pub(super) fn find(id: &Path) -> Result<Option<PathBuf>> {
    let Some(id) = id.to_str() else { return Ok(None) };
    let id = if id.eq_ignore_ascii_case("csm-1b") { "sesame/csm-1b" } else { id };
    let parts: Vec<&str> = id.split('/').collect();
    let [owner, name] = parts.as_slice() else { return Ok(None) };
    let valid = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !valid(owner) || !valid(name) {
        return Ok(None);
    }
    let hub = folder();
    let wanted = format!("models--{owner}--{name}");
    let entries = std::fs::read_dir(&hub).into_iter().flatten().flatten();
    let repository = entries
        .map(|e| e.path())
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().eq_ignore_ascii_case(&wanted)));
    let missing = |what: &str| {
        Error::file(
            hub.join(&wanted),
            format!("{what}; download {owner}/{name} with Hugging Face's tools, or name a folder"),
        )
    };
    let repository = repository.ok_or_else(|| missing("not in Hugging Face's cache"))?;
    current_snapshot(&repository).map(Some).ok_or_else(|| missing("has no complete snapshot (refs/main leads nowhere)"))
}

/// `refs/main` says which snapshot is current. Without it a single snapshot is unambiguous.
fn current_snapshot(repository: &Path) -> Option<PathBuf> {
    let snapshots = repository.join("snapshots");
    if let Ok(revision) = std::fs::read_to_string(repository.join("refs/main")) {
        let path = snapshots.join(revision.trim());
        return path.is_dir().then_some(path);
    }
    let mut all = std::fs::read_dir(snapshots).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_dir());
    let only = all.next()?;
    all.next().is_none().then_some(only)
}
