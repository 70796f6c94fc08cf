//! Hugging Face's cache on this machine. Our own few lines, because `hf-hub` knows neither `HF_HUB_CACHE` nor `XDG_CACHE_HOME`.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::read_file;

/// The cache's folder: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
pub(crate) fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(directories::BaseDirs::new()?.home_dir().join(".cache/huggingface/hub")))
        .unwrap_or_default()
}

/// `owner/name` of an address that was copied from a browser, such as `https://huggingface.co/sesame/csm-1b/tree/main`.
fn address(text: &str) -> Option<&str> {
    let text = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let host = ["www.huggingface.co/", "huggingface.co/", "hf.co/", "hf://models/", "hf://"];
    let path = host.iter().find_map(|host| text.strip_prefix(host))?;
    let path = path.split(['?', '#']).next()?.trim_end_matches('/');
    let end = path.match_indices('/').nth(1).map_or(path.len(), |(at, _)| at);
    Some(&path[..end])
}

/// Owner and name of the repository that `id` means: `owner/name`, its address on Hugging Face, or the bare name of sesame/csm-1b in any case. `None` where
/// `id` cannot be a repository's.
pub(crate) fn repository(id: &str) -> Option<(&str, &str)> {
    let id = if id.eq_ignore_ascii_case("csm-1b") { "sesame/csm-1b" } else { id };
    let (owner, name) = address(id).unwrap_or(id).split_once('/')?;
    let valid = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    (valid(owner) && valid(name)).then_some((owner, name))
}

/// Ids of all repositories in the cache.
pub(super) fn ids() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten();
    let id = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (owner, repository) = name.strip_prefix("models--")?.split_once("--")?;
        Some(format!("{owner}/{repository}"))
    };
    entries.filter_map(id).collect()
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

/// The file `name` in the current snapshot of the repository `id`, if it exists.
pub(super) fn file(id: &str, name: &str) -> Option<PathBuf> {
    let (owner, repository) = repository(id)?;
    let path = current_snapshot(&cached(owner, repository)?)?.join(name);
    path.symlink_metadata().is_ok().then_some(path)
}

/// `refs/main` says which snapshot is current. Without it a single snapshot is unambiguous.
pub(crate) fn current_snapshot(repository: &Path) -> Option<PathBuf> {
    let snapshots = repository.join("snapshots");
    let reference = repository.join("refs/main");
    if reference.symlink_metadata().is_ok() {
        const LONGEST: u64 = 256; // a commit's hash is 40
        let revision = String::from_utf8(read_file(&reference, LONGEST).ok()?).ok()?;
        let mut parts = Path::new(revision.trim()).components();
        let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else { return None };
        let path = snapshots.join(name);
        return path.is_dir().then_some(path);
    }
    let mut all = std::fs::read_dir(snapshots).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_dir());
    let only = all.next()?;
    all.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn the_current_snapshot_is_inside_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for made in ["snapshots/abc", "snapshots/def", "refs", "elsewhere"] {
            std::fs::create_dir_all(root.join(made)).unwrap();
        }
        let main = root.join("refs/main");
        for (reference, found) in [("abc\n", true), ("../elsewhere", false), ("abc/../def", false), ("", false)] {
            std::fs::write(&main, reference).unwrap();
            assert_eq!(current_snapshot(root).is_some(), found, "{reference:?}");
        }
        // Neither waited for nor read without end.
        std::fs::remove_file(&main).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&main).status().unwrap().success());
        assert_eq!(current_snapshot(root), None);
        std::fs::remove_file(&main).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &main).unwrap();
        assert_eq!(current_snapshot(root), None);
    }

    #[test]
    fn an_address_is_its_repository() {
        for id in [
            "sesame/csm-1b",
            "csm-1b",
            "CSM-1B",
            "https://huggingface.co/sesame/csm-1b",
            "https://huggingface.co/sesame/csm-1b/",
            "http://huggingface.co/sesame/csm-1b/tree/main",
            "https://huggingface.co/sesame/csm-1b?library=transformers#usage",
            "https://huggingface.co/sesame/csm-1b/blob/main/config.json",
            "huggingface.co/sesame/csm-1b",
            "www.huggingface.co/sesame/csm-1b",
            "hf.co/sesame/csm-1b",
            "hf://sesame/csm-1b",
        ] {
            assert_eq!(repository(id), Some(("sesame", "csm-1b")), "{id}");
        }
        for id in ["https://example.com/sesame/csm-1b", "a", "./a", "a/b/c", "https://huggingface.co/sesame", ""] {
            assert_eq!(repository(id), None, "{id}");
        }
    }
}
