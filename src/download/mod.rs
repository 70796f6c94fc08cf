//! Repositories of Hugging Face, fetched into its cache: only the files that a checkpoint needs, resumed where a download broke
//! off, and checked. Ours and not `hf-hub`, which neither notices a stalled connection nor knows `HF_HUB_CACHE`.

mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hub;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use self::fetch::Fetcher;
use self::hub::{Hub, Listing, RepositoryFile};
use crate::checkpoint::{files_of_borrowed, hub_cache, needed_repositories};
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file, read_text, write_atomically};

/// Repository, revision and options of a download.
#[derive(Clone, Debug)]
pub struct DownloadSpec {
    /// Repository `owner/name`, or the short name `csm-1b`.
    pub id: String,
    /// Whether nothing may be fetched (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// A branch, tag or commit.
    pub revision: String,
    /// Address of the server.
    pub endpoint: String,
    /// A token of the user's account.
    pub token: Option<String>,
    /// Folder of Hugging Face's cache.
    pub cache: PathBuf,
    /// How long a connection may give nothing.
    pub stall: Duration,
    /// Wait before the second attempt; it doubles with each further one.
    pub backoff: Duration,
    /// Attempts a file without progress.
    pub attempts: u32,
}

impl DownloadSpec {
    /// The repository `id` with the settings of the environment: `HF_ENDPOINT`, `HF_TOKEN` (or the token that Hugging Face's tools
    /// keep), and the cache's variables.
    pub fn from_environment(id: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let stored_token = || {
            let path = variable("HF_TOKEN_PATH")
                .map(PathBuf::from)
                .or_else(|| Some(hub_cache::folder().parent()?.join("token")));
            read_text(&path?).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
        };
        let offline =
            variable("HF_HUB_OFFLINE").is_some_and(|v| ["1", "on", "yes", "true"].contains(&v.to_lowercase().as_str()));
        Self {
            id: hub_cache::repository(id).map_or_else(|| id.to_owned(), |(owner, name)| format!("{owner}/{name}")),
            offline,
            revision: "main".into(),
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()),
            token: variable("HF_TOKEN").or_else(stored_token),
            cache: hub_cache::folder(),
            stall: Duration::from_secs(20),
            backoff: Duration::from_secs(1),
            attempts: 6,
        }
    }

    fn check_online(&self) -> Result<()> {
        match self.offline {
            true => Err(Error::invalid("HF_HUB_OFFLINE", "it unset: the variable forbids all downloads", "1")),
            false => Ok(()),
        }
    }

    /// `owner/name` of the repository, and its folder in the cache.
    fn place(&self) -> Result<(String, PathBuf)> {
        let Some((owner, name)) = hub_cache::repository(&self.id) else {
            let expected = "the id of a repository, such as sesame/csm-1b";
            return Err(Error::invalid("ID", expected, format!("{:?}", self.id)));
        };
        Ok((format!("{owner}/{name}"), self.cache.join(format!("models--{owner}--{name}"))))
    }
}

/// Progress of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The files to fetch are known.
    Planned {
        /// Name of the repository.
        repository: String,
        /// Number of files to download.
        files: usize,
        /// Bytes of all of them.
        bytes: u64,
    },
    /// Bytes of this repository that are on disk.
    Bytes {
        /// The file that is being fetched.
        file: String,
        /// Bytes of all files.
        done: u64,
    },
    /// A connection broke; it is tried again.
    Retry {
        /// Path of the file in the repository.
        file: String,
        /// Why the attempt has failed.
        problem: String,
        /// Wait before the next attempt.
        wait: Duration,
    },
}

/// The result of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Folder of the downloaded snapshot.
    pub folder: PathBuf,
    /// Repositories from which parts are borrowed and were fetched too.
    pub borrowed: Vec<String>,
    /// Bytes that came over the network.
    pub received: u64,
}

/// Fetches what the repository's checkpoint needs, and the repositories that it borrows from.
///
/// # Errors
/// [`Error::InvalidValue`] for an id that cannot be one, [`Error::Download`], [`Error::Write`] if the disk is too small, and
/// [`Error::Cancelled`]. What was fetched until then is kept for the next time.
pub fn download(
    spec: &DownloadSpec,
    cancelled: &dyn Fn() -> bool,
    observer: &mut dyn FnMut(Progress),
) -> Result<Downloaded> {
    spec.check_online()?;
    let hub = Hub::new(spec)?;
    let (folder, mut received) = repository(&hub, spec, cancelled, observer)?;
    let mut borrowed = Vec::new();
    if files_of_borrowed(&spec.id).is_none() {
        for needed in needed_repositories(&folder)? {
            let main = DownloadSpec { id: needed.clone(), revision: "main".into(), ..spec.clone() };
            received += download(&main, cancelled, observer)?.received;
            borrowed.push(needed);
        }
    }
    Ok(Downloaded { folder, borrowed, received })
}

/// The files of a repository that a download would fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name of the repository.
    pub repository: String,
    /// Number of files that the checkpoint needs.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes of those that are on disk.
    pub present: u64,
    /// Files of the cache in which unfinished downloads are.
    unfinished: Vec<PathBuf>,
}

/// Asks the server what [`download`] would fetch of `spec`'s own repository. Its small files are fetched for that.
///
/// # Errors
/// As [`download`].
pub fn plan(spec: &DownloadSpec, cancelled: &dyn Fn() -> bool) -> Result<Plan> {
    spec.check_online()?;
    let hub = Hub::new(spec)?;
    let (id, root) = spec.place()?;
    let listing = hub.listing(&id, cancelled, &mut |_| {})?;
    let mut fetcher = Fetcher::new(&hub, &id, &listing.commit, root);
    let files = choose_files(&mut fetcher, &listing, cancelled, &mut |_| {})?;
    Ok(Plan {
        files: files.len(),
        bytes: files.iter().map(|f| f.size).sum(),
        present: files.iter().map(|f| fetcher.present(f)).sum(),
        unfinished: files.iter().map(|f| fetcher.unfinished(f)).collect(),
        repository: id,
    })
}

impl Plan {
    /// Removes what an ended download of these files has left unfinished. Complete files stay.
    ///
    /// # Errors
    /// [`Error::Write`] for a file that cannot be removed.
    pub fn discard_unfinished(&self) -> Result<()> {
        for path in &self.unfinished {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::write(path, e)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Fetches one repository: its snapshot's folder, and the bytes received.
fn repository(
    hub: &Hub<'_>,
    spec: &DownloadSpec,
    cancelled: &dyn Fn() -> bool,
    observer: &mut dyn FnMut(Progress),
) -> Result<(PathBuf, u64)> {
    let (id, root) = spec.place()?;
    let listing = match hub.listing(&id, cancelled, observer) {
        Ok(listing) => listing,
        // A repository in the cache needs no network.
        Err(e @ Error::Download { .. }) => {
            return match hub_cache::current_snapshot(&root) {
                Some(snapshot) if spec.revision == "main" => {
                    tracing::warn!("{e}; using the snapshot in the cache");
                    Ok((snapshot, 0))
                }
                _ => Err(e),
            };
        }
        Err(e) => return Err(e),
    };
    let mut fetcher = Fetcher::new(hub, &id, &listing.commit, root.clone());
    let snapshot = fetcher.snapshot();
    let files = choose_files(&mut fetcher, &listing, cancelled, observer)?;
    let bytes = files.iter().map(|f| f.size).sum();
    observer(Progress::Planned { repository: id.clone(), files: files.len(), bytes });
    fetcher.check_disk(&files)?;
    fetcher.fetch_all(&files, cancelled, observer)?;
    // Only a complete snapshot becomes the current one.
    let reference = root.join("refs").join(&spec.revision); // a revision such as refs/pr/1 has its own folders
    std::fs::create_dir_all(reference.parent().unwrap_or(&root)).map_err(|e| Error::write(&root, e))?;
    write_atomically(&reference, listing.commit.as_bytes())?;
    Ok((snapshot, fetcher.received))
}

/// The files that a checkpoint of this repository needs. The small ones, which name the others, are fetched.
fn choose_files<'a>(
    fetcher: &mut Fetcher<'_>,
    listing: &'a Listing,
    cancelled: &dyn Fn() -> bool,
    observer: &mut dyn FnMut(Progress),
) -> Result<Vec<&'a RepositoryFile>> {
    let small: Vec<&RepositoryFile> = listing.files.iter().filter(|f| is_small_file(&f.name)).collect();
    fetcher.check_disk(&small)?;
    // Their bytes are part of the plan that follows.
    fetcher.fetch_all(&small, cancelled, &mut |progress| {
        if matches!(progress, Progress::Retry { .. }) {
            observer(progress);
        }
    })?;
    let names: BTreeSet<&str> = listing.files.iter().map(|f| f.name.as_str()).collect();
    let wanted = weight_names(fetcher.id, &fetcher.snapshot(), &names)?;
    Ok(listing.files.iter().filter(|f| wanted.contains(&f.name) || is_small_file(&f.name)).collect())
}

/// Small files that a checkpoint may need; all others are weights or not needed.
const SMALL_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "voices.json",
    "code_labels.json",
    "text_profile.json",
    "alignment.json",
    "adapter_config.json",
];

fn is_small_file(name: &str) -> bool {
    SMALL_FILES.contains(&name) || name.ends_with(".safetensors.index.json")
}

/// Names of the weight files that the program would open: the same choice as when a folder is opened.
fn weight_names(id: &str, snapshot: &Path, names: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    if let Some(files) = files_of_borrowed(id) {
        return Ok(files.iter().map(|f| (*f).to_owned()).collect());
    }
    let config = snapshot.join("config.json");
    let config: Option<Value> = match config.exists() {
        true => serde_json::from_slice(&read_file(&config, JSON_LIMIT)?).ok(),
        false => None,
    };
    let named = config.as_ref().and_then(|c| c.get("transformers_weights")).and_then(Value::as_str);
    let index = "model.safetensors.index.json";
    let mut chosen = match named {
        Some(name) if name.ends_with(".json") && names.contains(name) => shards(&snapshot.join(name))?,
        Some(name) => BTreeSet::from([name.to_owned()]),
        None if names.contains("model.safetensors") => BTreeSet::from(["model.safetensors".to_owned()]),
        None if names.contains(index) => shards(&snapshot.join(index))?,
        None => {
            let known = ["ckpt.safetensors", "ckpt.pt", "adapter_model.safetensors", "adapters.safetensors"];
            known.iter().find(|n| names.contains(**n)).map(|n| (*n).to_owned()).into_iter().collect()
        }
    };
    chosen.extend(crate::checkpoint::CODEC_FILES.iter().filter(|n| names.contains(**n)).map(|n| (*n).to_owned()));
    if chosen.is_empty() {
        let files = names.iter().copied().collect::<Vec<_>>().join(", ");
        return Err(Error::Download {
            what: id.to_owned(),
            problem: format!("it has no weights that can be read; its files are {files}"),
        });
    }
    Ok(chosen)
}

fn shards(index: &Path) -> Result<BTreeSet<String>> {
    let json: Value = serde_json::from_slice(&read_file(index, JSON_LIMIT)?)
        .map_err(|e| Error::parse(index, "expected the index of the weights' shards", e))?;
    let map = json.get("weight_map").and_then(Value::as_object);
    Ok(map.into_iter().flat_map(|m| m.values()).filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}
