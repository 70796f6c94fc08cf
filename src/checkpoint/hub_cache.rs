//! Hugging Face's cache on this machine. Our own few lines, because `hf-hub` knows neither `HF_HUB_CACHE` nor `XDG_CACHE_HOME`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The cache's folder: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
pub(crate) fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(directories::BaseDirs::new()?.home_dir().join(".cache/huggingface/hub")))
        .unwrap_or_default()
}

/// Owner and name of the repository that `id` means: `owner/name`, or the bare name of sesame/csm-1b in any case. `None` where
/// `id` cannot be a repository's.
pub(crate) fn repository(id: &str) -> Option<(&str, &str)> {
    let id = if id.eq_ignore_ascii_case("csm-1b") { "sesame/csm-1b" } else { id };
    let (owner, name) = id.split_once('/')?;
    let valid = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    (valid(owner) && valid(name)).then_some((owner, name))
}

/// The folder of a repository in the cache, in whatever case it is written there.
fn cached(owner: &str, name: &str) -> Option<PathBuf> {
    let wanted = format!("models--{owner}--{name}");
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten();
    entries
        .map(|e| e.path())
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().eq_ignore_ascii_case(&wanted)))
}

/// The current snapshot of the repository `id`; `None` if `id` cannot be a repository's.
pub(super) fn find(id: &Path) -> Result<Option<PathBuf>> {
    let Some((owner, name)) = id.to_str().and_then(repository) else { return Ok(None) };
    let missing = |what: &str| {
        let advice = format!("`csm download {owner}/{name}` fetches it, or name a folder");
        Error::file(folder().join(format!("models--{owner}--{name}")), format!("{what}; {advice}"))
    };
    let repository = cached(owner, name).ok_or_else(|| missing("not in Hugging Face's cache"))?;
    current_snapshot(&repository).map(Some).ok_or_else(|| missing("has no complete snapshot (refs/main leads nowhere)"))
}

/// The file `name` in the current snapshot of the repository `id`, if it is there.
pub(super) fn file(id: &str, name: &str) -> Option<PathBuf> {
    let (owner, repository) = repository(id)?;
    let path = current_snapshot(&cached(owner, repository)?)?.join(name);
    path.symlink_metadata().is_ok().then_some(path)
}

/// `refs/main` says which snapshot is current. Without it a single snapshot is unambiguous.
pub(crate) fn current_snapshot(repository: &Path) -> Option<PathBuf> {
    let snapshots = repository.join("snapshots");
    if let Ok(revision) = std::fs::read_to_string(repository.join("refs/main")) {
        let path = snapshots.join(revision.trim());
        return path.is_dir().then_some(path);
    }
    let mut all = std::fs::read_dir(snapshots).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_dir());
    let only = all.next()?;
    all.next().is_none().then_some(only)
}
