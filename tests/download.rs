//! `csm download` against a local server that cuts, stalls, lies about lengths, sends wrong bytes, and refuses.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use csm_studio::checkpoint::{Checkpoint, CheckpointSpec};
use csm_studio::download::{DownloadSpec, Downloaded, Progress, download, plan};
use csm_studio::error::Error;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::golden::Golden;

/// What the server does with a request for a file, the first time or ever.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// Sends this many bytes and closes the connection, as often as it is asked before there is more.
    Cut(usize),
    /// Sends this many bytes and then nothing, once.
    Stall(usize),
    /// Changes a byte, once.
    WrongByteOnce,
    /// Changes a byte, ever.
    WrongByte,
    /// Sends a hundred bytes more than announced, ever.
    TooLong,
    /// Answers with the whole file whatever the range, and cuts it once.
    IgnoresRange,
    /// Answers with this status, the given number of times.
    Status(u16, usize),
}

pub struct Server {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

pub type Files = HashMap<String, Vec<u8>>;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The listing as the hub's API gives it; files of more than 10 kB are kept as LFS.
fn listing(files: &Files) -> String {
    let sibling = |(name, bytes): (&String, &Vec<u8>)| {
        let mut git = Sha1::new();
        git.update(format!("blob {}\0", bytes.len()));
        git.update(bytes);
        let mut json = serde_json::json!({"rfilename": name, "size": bytes.len(), "blobId": hex(&git.finalize())});
        if bytes.len() > 10_000 {
            json["lfs"] =
                serde_json::json!({"sha256": hex(&Sha256::digest(bytes)), "size": bytes.len(), "pointerSize": 134});
        }
        json
    };
    let siblings: Vec<_> = files.iter().map(sibling).collect();
    serde_json::json!({"sha": COMMIT, "siblings": siblings}).to_string()
}

pub fn serve(files: Files, troubles: HashMap<&'static str, Trouble>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = requests.clone();
    std::thread::spawn(move || {
        let counts = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
        let (files, troubles) = (Arc::new(files), Arc::new(troubles));
        for stream in listener.incoming().flatten() {
            let (files, troubles, counts, log) = (files.clone(), troubles.clone(), counts.clone(), log.clone());
            std::thread::spawn(move || answer(stream, &files, &troubles, &counts, &log));
        }
    });
    Server { endpoint, requests }
}

fn answer(
    mut stream: TcpStream,
    files: &Files,
    troubles: &HashMap<&'static str, Trouble>,
    counts: &Mutex<HashMap<String, usize>>,
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut first, mut start, mut token) = (String::new(), 0usize, false);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let lower = line.trim().to_lowercase();
        if let Some(range) = lower.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().ok()?;
        }
        token |= lower == "authorization: bearer secret";
        if lower.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1)?.to_owned();
    log.lock().ok()?.push(format!("{path} from {start}{}", if token { " with token" } else { "" }));
    let (name, bytes) = match path.split_once(&format!("/resolve/{COMMIT}/")) {
        Some((_, name)) => (name.to_owned(), files.get(name).cloned()),
        None => ("(listing)".to_owned(), Some(listing(files).into_bytes())),
    };
    let times = {
        let mut counts = counts.lock().ok()?;
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        *count
    };
    let trouble = troubles.get(name.as_str()).copied();
    let status = |stream: &mut TcpStream, code: u16| {
        let retry = if code == 429 { "Retry-After: 0\r\n" } else { "" };
        write!(stream, "HTTP/1.1 {code} No\r\n{retry}Content-Length: 0\r\nConnection: close\r\n\r\n").ok()
    };
    if let Some(Trouble::Status(code, n)) = trouble
        && times <= n
    {
        return status(&mut stream, code);
    }
    let Some(mut bytes) = bytes else { return status(&mut stream, 404) };
    if trouble == Some(Trouble::WrongByte) || (trouble == Some(Trouble::WrongByteOnce) && times == 1) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    if trouble == Some(Trouble::TooLong) {
        bytes.extend([0; 100]);
    }
    if trouble == Some(Trouble::IgnoresRange) {
        start = 0;
    }
    let whole = bytes.len();
    let body = &bytes[start.min(whole)..];
    let head = if start > 0 {
        format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{whole}\r\n", whole - 1)
    } else {
        "HTTP/1.1 200 OK\r\n".into()
    };
    write!(stream, "{head}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).ok()?;
    let sent = match trouble {
        Some(Trouble::Cut(n)) => n.min(body.len()),
        Some(Trouble::Stall(n)) if times == 1 => n.min(body.len()),
        Some(Trouble::IgnoresRange) if times == 1 => body.len() / 2,
        _ => body.len(),
    };
    stream.write_all(&body[..sent]).ok()?;
    if matches!(trouble, Some(Trouble::Stall(_))) && times == 1 {
        std::thread::sleep(Duration::from_secs(20));
    }
    Some(())
}

/// The golden `mini` as sesame/csm-1b is published: weights named by the config, and unneeded copies next to them.
pub fn repository() -> Files {
    let folder = Golden::read("mini").build();
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&read("config.json")).unwrap();
    config["transformers_weights"] = "transformers.safetensors".into();
    Files::from([
        ("config.json".to_owned(), config.to_string().into_bytes()),
        ("tokenizer.json".to_owned(), read("tokenizer.json")),
        ("transformers.safetensors".to_owned(), read("model.safetensors")),
        ("model.safetensors".to_owned(), vec![7; 300_000]),
        ("ckpt.pt".to_owned(), vec![7; 300_000]),
        ("README.md".to_owned(), b"# mini".to_vec()),
    ])
}

fn spec(server: &Server, cache: &Path) -> DownloadSpec {
    DownloadSpec {
        offline: false,
        id: "sesame/csm-1b".into(),
        revision: "main".into(),
        endpoint: server.endpoint.clone(),
        token: Some("secret".into()),
        cache: cache.to_owned(),
        stall: Duration::from_millis(400),
        backoff: Duration::from_millis(5),
        attempts: 4,
    }
}

fn run(server: &Server, cache: &Path) -> (Result<Downloaded, Error>, Vec<Progress>) {
    let mut seen = Vec::new();
    let result = download(&spec(server, cache), &|| false, &mut |progress| seen.push(progress));
    (result, seen)
}

pub const WEIGHTS: &str = "transformers.safetensors";

fn assert_complete(server: &Server, cache: &Path) -> Vec<Progress> {
    let (result, seen) = run(server, cache);
    let folder = result.unwrap().folder;
    for (name, bytes) in
        repository().iter().filter(|(name, _)| ["config.json", "tokenizer.json", WEIGHTS].contains(&name.as_str()))
    {
        assert!(std::fs::read(folder.join(name)).unwrap() == *bytes, "{name}");
    }
    assert!(!folder.join("model.safetensors").exists() && !folder.join("ckpt.pt").exists());
    Checkpoint::open(&folder).unwrap();
    let Some(Progress::Planned { bytes, files, .. }) = seen.iter().find(|p| matches!(p, Progress::Planned { .. }))
    else {
        panic!("{seen:?}")
    };
    let done: Vec<u64> =
        seen.iter().filter_map(|p| if let Progress::Bytes { done, .. } = p { Some(*done) } else { None }).collect();
    assert_eq!((done.last(), *files), (Some(bytes), 3), "progress is true to the byte");
    seen
}

#[test]
fn only_what_is_needed_is_fetched_and_found_offline() {
    let (server, cache) = (serve(repository(), HashMap::new()), TempDir::new().unwrap());
    assert_complete(&server, cache.path());
    let requests = server.requests.lock().unwrap().clone();
    assert!(requests.iter().all(|r| r.ends_with("with token")), "{requests:?}");
    assert_eq!(requests.len(), 4, "{requests:?}");
    // A second call fetches nothing, and one without the server finds what is there.
    let (again, _) = run(&server, cache.path());
    assert_eq!(again.unwrap().received, 0);
    let gone = Server { endpoint: "http://127.0.0.1:9".into(), requests: Arc::default() };
    assert_eq!(run(&gone, cache.path()).0.unwrap().received, 0);
    // SAFETY: nextest gives this test its own process.
    unsafe { std::env::set_var("HF_HUB_CACHE", cache.path()) };
    Checkpoint::resolve(&CheckpointSpec { path: Some("csm-1b".into()), ..CheckpointSpec::default() }).unwrap();
}

#[test]
fn cut_and_stalled_connections_are_resumed() {
    for trouble in [Trouble::Cut(100_000), Trouble::Stall(70_000), Trouble::IgnoresRange] {
        let (server, cache) = (serve(repository(), HashMap::from([(WEIGHTS, trouble)])), TempDir::new().unwrap());
        let seen = assert_complete(&server, cache.path());
        assert!(seen.iter().any(|p| matches!(p, Progress::Retry { .. })), "{trouble:?}");
        let requests = server.requests.lock().unwrap().clone();
        let resumed = requests.iter().any(|r| r.contains(WEIGHTS) && !r.contains("from 0"));
        assert!(resumed, "{trouble:?}: {requests:?}");
    }
}

#[test]
fn wrong_bytes_are_noticed() {
    let (server, cache) =
        (serve(repository(), HashMap::from([(WEIGHTS, Trouble::WrongByteOnce)])), TempDir::new().unwrap());
    assert_complete(&server, cache.path());
    for (file, trouble, word) in [
        (WEIGHTS, Trouble::WrongByte, "checksum"),
        ("config.json", Trouble::WrongByte, "checksum"),
        (WEIGHTS, Trouble::TooLong, "more than"),
    ] {
        let (server, cache) = (serve(repository(), HashMap::from([(file, trouble)])), TempDir::new().unwrap());
        let error = run(&server, cache.path()).0.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(word) && error.to_string().contains(file), "{error}");
        assert!(
            !cache.path().join("models--sesame--csm-1b/refs/main").exists(),
            "an incomplete snapshot is not the current one"
        );
    }
}

#[test]
fn a_plan_says_what_would_be_fetched_and_removes_what_is_unfinished() {
    let (server, cache) =
        (serve(repository(), HashMap::from([(WEIGHTS, Trouble::Cut(100_000))])), TempDir::new().unwrap());
    let spec = spec(&server, cache.path());
    let before = plan(&spec, &|| false).unwrap();
    let sizes = |names: &[&str]| names.iter().map(|name| repository()[*name].len() as u64).sum::<u64>();
    let small = sizes(&["config.json", "tokenizer.json"]);
    assert_eq!((before.repository.as_str(), before.files), ("sesame/csm-1b", 3));
    assert_eq!((before.bytes, before.present), (small + sizes(&[WEIGHTS]), small));
    // It is cancelled after the first bytes of the weights.
    let began = std::cell::Cell::new(false);
    let result = download(&spec, &|| began.get(), &mut |progress| {
        began.set(matches!(progress, Progress::Bytes { file, .. } if file == WEIGHTS));
    });
    assert!(matches!(result, Err(Error::Cancelled)));
    let paused = plan(&spec, &|| false).unwrap();
    assert!(paused.present > small && paused.present < paused.bytes);
    paused.discard_unfinished().unwrap();
    assert_eq!(plan(&spec, &|| false).unwrap().present, small);
}

/// A file that was damaged on the disk and kept its length.
#[test]
fn a_damaged_file_in_the_cache_is_fetched_again() {
    let (server, cache) = (serve(repository(), HashMap::new()), TempDir::new().unwrap());
    assert_complete(&server, cache.path());
    let blobs = cache.path().join("models--sesame--csm-1b/blobs");
    let largest = std::fs::read_dir(blobs).unwrap().map(|e| e.unwrap().path());
    let largest = largest.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let right = std::fs::read(&largest).unwrap();
    let mut wrong = right.clone();
    wrong[right.len() / 2] ^= 1;
    std::fs::write(&largest, wrong).unwrap();
    assert_complete(&server, cache.path());
    assert!(std::fs::read(&largest).unwrap() == right);
}

#[test]
fn refusals_are_explained() {
    let cases = [
        (401, "HF_TOKEN", "unsloth/csm-1b"),
        (403, "accept its terms", "/sesame/csm-1b"),
        (404, "not found", "owner/name"),
    ];
    for (status, first, second) in cases {
        let troubles = HashMap::from([("(listing)", Trouble::Status(status, 99))]);
        let (server, cache) = (serve(repository(), troubles), TempDir::new().unwrap());
        let error = run(&server, cache.path()).0.unwrap_err().to_string();
        assert!(error.contains(first) && error.contains(second), "{error}");
        assert_eq!(server.requests.lock().unwrap().len(), 1, "a refusal is not asked again");
    }
    let without_token = serve(repository(), HashMap::from([("(listing)", Trouble::Status(401, 99))]));
    let cache = TempDir::new().unwrap();
    let spec = DownloadSpec { token: None, ..spec(&without_token, cache.path()) };
    let error = download(&spec, &|| false, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("gated") && error.contains("/settings/tokens"), "{error}");
    // Overload and failures of the server pass.
    for status in [429, 500, 503] {
        let troubles =
            HashMap::from([("(listing)", Trouble::Status(status, 2)), (WEIGHTS, Trouble::Status(status, 3))]);
        let (server, cache) = (serve(repository(), troubles), TempDir::new().unwrap());
        assert_complete(&server, cache.path());
    }
    let (server, cache) =
        (serve(repository(), HashMap::from([(WEIGHTS, Trouble::Status(500, 99))])), TempDir::new().unwrap());
    let error = run(&server, cache.path()).0.unwrap_err().to_string();
    assert!(error.contains("500") && error.contains("4 attempts"), "{error}");
}

#[test]
fn a_cancelled_download_is_kept_and_resumed() {
    let (server, cache) =
        (serve(repository(), HashMap::from([(WEIGHTS, Trouble::Cut(50_000))])), TempDir::new().unwrap());
    let seen = std::cell::Cell::new(false);
    let started = Instant::now();
    let result = download(&spec(&server, cache.path()), &|| seen.get(), &mut |progress| {
        if matches!(progress, Progress::Retry { .. }) {
            seen.set(true);
        }
    });
    assert!(matches!(result, Err(Error::Cancelled)));
    assert!(started.elapsed() < Duration::from_secs(5));
    let before = server.requests.lock().unwrap().len();
    assert_complete(&server, cache.path());
    let requests = server.requests.lock().unwrap()[before..].to_vec();
    assert!(requests.iter().all(|r| !r.contains(WEIGHTS) || !r.contains("from 0")), "{requests:?}");
}

#[test]
fn ids_that_cannot_be_one_are_refused() {
    let cache = TempDir::new().unwrap();
    let server = Server { endpoint: "http://127.0.0.1:9".into(), requests: Arc::default() };
    for id in ["", "a", "a/b/c", "../x", "a/.."] {
        let spec = DownloadSpec { id: id.into(), ..spec(&server, cache.path()) };
        assert_eq!(download(&spec, &|| false, &mut |_| {}).unwrap_err().exit_code(), 2, "{id:?}");
    }
}

/// What cannot work is said at once, and nothing is written outside the cache.
#[test]
fn what_no_request_can_be_made_of_is_refused_at_once() {
    let cache = TempDir::new().unwrap();
    let server = serve(repository(), HashMap::new());
    let spec = || DownloadSpec { backoff: Duration::from_secs(60), ..spec(&server, cache.path()) };
    let refusal = |spec: DownloadSpec| download(&spec, &|| false, &mut |_| {}).unwrap_err();
    for revision in ["../../x", "/tmp/x", "a b", "", "refs/../../../x", "a/", ".git"] {
        let error = refusal(DownloadSpec { revision: revision.into(), ..spec() });
        assert!(error.to_string().contains("revision") && error.exit_code() == 2, "{revision:?}: {error}");
    }
    for endpoint in ["file:///x", "ftp://x", "x", "", "http://127.0.0.1.example.com", "http://huggingface.example"] {
        let error = refusal(DownloadSpec { endpoint: endpoint.into(), ..spec() });
        assert!(error.to_string().contains("HF_ENDPOINT") && error.exit_code() == 2, "{endpoint:?}: {error}");
    }
    let error = refusal(DownloadSpec { token: Some("a\nb".into()), ..spec() });
    assert!(error.to_string().contains("HF_TOKEN"), "{error}");
    assert!(server.requests.lock().unwrap().is_empty());
    let hidden = refusal(DownloadSpec { endpoint: "http://me:secret@example.com".into(), ..spec() }).to_string();
    assert!(!hidden.contains("secret"), "{hidden}");
}

/// A link in the cache does not lead a download to a file of the user's.
#[test]
#[cfg(unix)]
fn a_planted_link_is_not_written_through() {
    let (server, cache) = (serve(repository(), HashMap::new()), TempDir::new().unwrap());
    let precious = cache.path().join("precious");
    std::fs::write(&precious, "mine").unwrap();
    let digest = hex(&Sha256::digest(&repository()[WEIGHTS]));
    let blobs = cache.path().join("models--sesame--csm-1b/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::os::unix::fs::symlink(&precious, blobs.join(format!("{digest}.incomplete"))).unwrap();
    assert_eq!(run(&server, cache.path()).0.unwrap_err().exit_code(), 3);
    assert_eq!(std::fs::read(&precious).unwrap(), b"mine");
}
