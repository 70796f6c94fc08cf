//! Answers of the server: a repository's files, and reasons of refusal.

use std::path::{Component, Path};
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, StatusCode, Uri};

use super::{DownloadSpec, Progress};
use crate::error::{Error, Result};

const LISTING_LIMIT: u64 = 32 << 20;
/// Bytes of a file that is fetched, at most: the sum of all that a listing can name fits in 64 bits.
const LARGEST: u64 = 1 << 42;

/// Repositories without a gate that hold the same weights as gated ones.
const MIRRORS: &[(&str, &str)] =
    &[("sesame/csm-1b", "unsloth/csm-1b"), ("meta-llama/Llama-3.2-1B", "unsloth/Llama-3.2-1B")];

/// A server of repositories.
pub(super) struct Hub<'a> {
    spec: &'a DownloadSpec,
    agent: Agent,
}

/// The files of a repository at one commit.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<RepositoryFile>,
}

/// A file in a repository.
#[derive(Clone, Debug)]
pub(super) struct RepositoryFile {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// The hash that a file is checked against; it is the blob's name in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    /// SHA-256 of a large file.
    Sha256(String),
    /// git's object id of a small one.
    Git(String),
}

impl Listing {
    /// Reads a server's answer.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json: ListingJson = serde_json::from_str(text)
            .map_err(|e| format!("the list of files is not what a Hugging Face server sends: {e}"))?;
        if !is_hex(&json.sha) {
            return Err(format!("the list of files names the commit {:?}", json.sha));
        }
        let file = |sibling: Sibling| {
            let (size, digest) = match (sibling.lfs, sibling.size, sibling.blob_id) {
                (Some(lfs), ..) => (lfs.size, Digest::Sha256(lfs.sha256)),
                (None, Some(size), Some(id)) => (size, Digest::Git(id)),
                _ => return None,
            };
            (is_hex(digest.name()) && size <= LARGEST).then_some(RepositoryFile {
                name: sibling.rfilename,
                size,
                digest,
            })
        };
        Ok(Self { commit: json.sha, files: json.siblings.into_iter().filter_map(file).collect() })
    }
}

impl RepositoryFile {
    /// Its path below a snapshot; `None` if the name leads out of it.
    pub(super) fn relative(&self) -> Option<&Path> {
        let path = Path::new(&self.name);
        let mut parts = path.components().peekable();
        (parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))).then_some(path)
    }
}

impl Digest {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::Git(hex) => hex,
        }
    }
}

/// How a request failed.
pub(super) enum Failure {
    /// A retry may succeed, after this wait if the server names one.
    Transient { problem: String, wait: Option<Duration> },
    /// A retry would fail, too.
    Final(Error),
}

#[derive(Deserialize)]
struct ListingJson {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

fn is_hex(text: &str) -> bool {
    (40..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl<'a> Hub<'a> {
    /// # Errors
    /// [`Error::InvalidValue`] for an address, a revision or a token that no request can be made of, and for a token that would be sent
    /// without encryption.
    pub(super) fn new(spec: &'a DownloadSpec) -> Result<Self> {
        let uri = spec.endpoint.parse::<Uri>().ok();
        let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
        let Some(host) = uri.as_ref().and_then(Uri::host).filter(|_| ["http", "https"].contains(&scheme)) else {
            let expected = "the address of a server, such as https://huggingface.co";
            return Err(Error::invalid("HF_ENDPOINT", expected, without_password(&spec.endpoint)));
        };
        // A server on this machine is not behind the proxy of the environment.
        let local = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
        if spec.token.is_some() && scheme == "http" && !local {
            let expected =
                "an address that begins with https://, as the token would travel unencrypted, or HF_TOKEN unset";
            return Err(Error::invalid("HF_ENDPOINT", expected, without_password(&spec.endpoint)));
        }
        if spec.token.as_ref().is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::invalid("HF_TOKEN", "a token of letters, digits and signs", "other characters in it"));
        }
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains("..");
        let fits = |c: char| c.is_ascii_alphanumeric() || "/-_.+".contains(c);
        if !spec.revision.split('/').all(part) || !spec.revision.chars().all(fits) {
            return Err(Error::invalid("revision", "a branch, tag or commit", format!("{:?}", spec.revision)));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(scheme == "https")
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(spec.stall))
            .timeout_recv_response(Some(spec.stall))
            .timeout_per_read(Some(spec.stall))
            .user_agent(concat!("csm-studio/", env!("CARGO_PKG_VERSION")));
        let config = if local { config.proxy(None) } else { config }.build();
        Ok(Self { spec, agent: config.new_agent() })
    }

    /// A GET request for `path`; bytes from `from` on, if that is not 0. The token goes to the server only, also where it redirects
    /// to itself, never on to the storage that it redirects to.
    pub(super) fn get(&self, id: &str, path: &str, from: u64) -> Result<Response<ureq::Body>, Failure> {
        let url = format!("{}/{path}", self.spec.endpoint.trim_end_matches('/'));
        let mut request = self.agent.get(&url).header("Accept-Encoding", "identity");
        if let Some(token) = &self.spec.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|e| failure(id, &e))?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(self.refused(id, path, status, &response)),
        }
    }

    fn refused(&self, id: &str, path: &str, status: StatusCode, response: &Response<ureq::Body>) -> Failure {
        let endpoint = without_password(self.spec.endpoint.trim_end_matches('/'));
        let page = format!("{endpoint}/{id}");
        let mirror = MIRRORS.iter().find(|(gated, _)| *gated == id).map(|(_, mirror)| *mirror);
        let or_mirror =
            mirror.map_or_else(String::new, |m| format!("; or use {m}, which holds the same weights without a gate"));
        let final_error = |problem: String| Failure::Final(Error::Download { what: id.to_owned(), problem });
        match status.as_u16() {
            401 | 403 if self.spec.token.is_none() => final_error(format!(
                "the repository is gated or private, and no token is set (HTTP {status}); visit {page}, accept its terms, make a token \
                 at {endpoint}/settings/tokens and set HF_TOKEN{or_mirror}"
            )),
            401 => final_error(format!(
                "the token is not valid (HTTP {status}); make a new one and set HF_TOKEN{or_mirror}"
            )),
            403 => final_error(format!(
                "the token's account has no access (HTTP {status}); visit {page} and accept its terms, and see that the token may read \
                 gated repositories{or_mirror}"
            )),
            404 => final_error(format!(
                "not found on the server (HTTP {status}: {path}); expected the id of a repository, owner/name"
            )),
            408 | 425 | 429 | 500..=599 => {
                let header = response.headers().get("Retry-After").and_then(|v| v.to_str().ok());
                let wait = header.and_then(|v| v.parse::<u64>().ok()).map(|s| Duration::from_secs(s.min(300)));
                Failure::Transient { problem: format!("the server answered HTTP {status}"), wait }
            }
            _ => final_error(format!("the server answered HTTP {status} for {path}")),
        }
    }

    /// The files of `id` at the revision.
    pub(super) fn listing(
        &self,
        id: &str,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Progress),
    ) -> Result<Listing> {
        let path = format!("api/models/{id}/revision/{}?blobs=true", self.spec.revision);
        let text = self.with_retries(id, "the list of files", cancelled, observer, |_| {
            let mut response = self.get(id, &path, 0)?;
            let read = response.body_mut().with_config().limit(LISTING_LIMIT).read_to_string();
            read.map_err(|e| failure(id, &e))
        })?;
        Listing::parse(&text).map_err(|problem| Error::Download { what: id.to_owned(), problem })
    }

    /// Tries until it goes well, the attempts without progress are used up, or the user cancels. `attempt` is given whether there
    /// was progress and clears it.
    pub(super) fn with_retries<T>(
        &self,
        id: &str,
        file: &str,
        cancelled: &dyn Fn() -> bool,
        observer: &mut dyn FnMut(Progress),
        mut attempt: impl FnMut(&mut bool) -> Result<T, Failure>,
    ) -> Result<T> {
        let mut failures = 0;
        loop {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            let mut progress = false;
            let (problem, wait) = match attempt(&mut progress) {
                Ok(done) => return Ok(done),
                Err(Failure::Final(e)) => return Err(e),
                Err(Failure::Transient { problem, wait }) => (problem, wait),
            };
            failures = if progress { 1 } else { failures + 1 };
            if failures >= self.spec.attempts {
                let problem = format!(
                    "{file}: {problem} ({failures} attempts without progress); what was fetched is kept, start it again to resume"
                );
                return Err(Error::Download { what: id.to_owned(), problem });
            }
            let wait = wait.unwrap_or(self.spec.backoff * 2u32.saturating_pow(failures - 1));
            observer(Progress::Retry { file: file.to_owned(), problem, wait });
            sleep(wait, cancelled);
        }
    }
}

/// Whether another attempt may succeed after this error.
fn failure(id: &str, error: &ureq::Error) -> Failure {
    use ureq::Error::{
        BadUri, BodyExceedsLimit, Http, InvalidProxyUrl, LargeResponseHeader, RedirectFailed, RequireHttpsOnly,
        TooManyRedirects,
    };
    let problem = error.to_string();
    match error {
        BadUri(_)
        | BodyExceedsLimit(_)
        | Http(_)
        | InvalidProxyUrl
        | LargeResponseHeader(..)
        | RedirectFailed
        | RequireHttpsOnly(_)
        | TooManyRedirects => Failure::Final(Error::Download { what: id.to_owned(), problem }),
        _ => Failure::Transient { problem, wait: None },
    }
}

/// An address without the name and password that may stand before its host.
fn without_password(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => address.to_owned(),
    }
}

/// Sleeps, and wakes early if the user cancels.
fn sleep(wait: Duration, cancelled: &dyn Fn() -> bool) {
    let started = std::time::Instant::now();
    while started.elapsed() < wait && !cancelled() {
        std::thread::sleep(Duration::from_millis(50).min(wait));
    }
}
