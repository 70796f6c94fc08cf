//! Phrases that read as a translation are refused: CONTRIBUTING.md has the rules.

use std::path::PathBuf;

use regex::Regex;

use crate::support::repository;

/// Refused phrases, and what to write instead.
const PHRASES: &[(&str, &str)] = &[
    (r"\bso many\b", "name the number"),
    (r"\bin the place of\b", "instead of"),
    (r"\bgo(es)? on\b", "continue, resume"),
    (r"\b(is|are) told\b", "is notified, is reported"),
    (r"\bgives? no\b", "returns none, has none"),
    (r"\ball the same\b", "anyway"),
    (r"\bof (its|their) own\b", "its own, separate"),
    (r"\banew\b", "again"),
    (r"\bon view\b", "current"),
    (r"\bgives? way\b", "is evicted, is cut"),
    (r"\btakes turns\b", "alternates"),
    (r"^\s*//[/!]? Of ", "subject first"),
    (r"\bis no (take|error|codes|reason|clip|storage|number)\b", "is not a …"),
    (r"^\s*//[/!]? The same\b", "name the thing: items are sorted in documentation"),
    (
        r"\b(samples?|codes?|frames|ms|clips|positions|numbers|values?|tokens?|bits|rows|characters|words|bytes|peaks) a (second|frame|group|trial|position|row|codebook|clip|number|minute)\b",
        "per",
    ),
];

/// Lines that a phrase is found in. Speech that is read aloud or cut is somebody else's text.
fn refused(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let found = PHRASES.iter().map(|(phrase, instead)| (Regex::new(phrase).unwrap(), *phrase, *instead));
    let found: Vec<_> = found.collect();
    let lines = text.lines().enumerate();
    let of_line = |(n, line): (usize, &str)| {
        let of_line = found.iter().filter(|(regex, ..)| regex.is_match(line));
        of_line.map(|(_, phrase, instead)| (n + 1, *phrase, *instead)).collect::<Vec<_>>()
    };
    lines.flat_map(of_line).collect()
}

/// Everything that people read: sources (whose documentation is the text of `--help`, and whose strings are the window's), tests, pages,
/// guides and scripts. CONTRIBUTING.md and this file quote what they refuse.
fn readable_files() -> Vec<(PathBuf, String)> {
    let folders = ["src", "tests", "assets/docs", "assets/listen", "assets/report", "bundle", ".github"];
    let files = folders.iter().flat_map(|folder| walkdir::WalkDir::new(repository(folder)));
    let files =
        files.map(|file| file.unwrap().into_path()).chain([repository("README.md"), repository("CHANGELOG.md")]);
    let quotes = ["CONTRIBUTING.md", "english.rs"];
    let is_readable = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_str().unwrap_or_default();
        ["rs", "md", "js", "css", "json", "yml", "sh", "py", "R", ""].contains(&extension)
            && !path
                .components()
                .any(|part| ["goldens", "snapshots", "sentences"].iter().any(|skip| part.as_os_str() == *skip))
            && !quotes.iter().any(|name| path.ends_with(name))
    };
    let files = files.filter(|path| path.is_file() && is_readable(path));
    let files: Vec<_> = files.filter_map(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?))).collect();
    assert!(files.len() > 250, "{} files", files.len());
    files
}

#[test]
fn nothing_that_people_read_has_a_refused_phrase() {
    let mut problems = Vec::new();
    for (path, text) in readable_files() {
        let found = refused(&text).into_iter();
        problems.extend(found.map(|(n, phrase, instead)| format!("{}:{n}: {phrase}: {instead}", path.display())));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// One name for a thing: the term, and names of it that are not used.
const GLOSSARY: &[(&str, &[&str])] = &[
    ("codebook", &["code book", "code-book", "quantizer level", "quantiser level"]),
    ("token file", &["tokens-file", "codes file"]),
    ("voice prompt", &["speaker prompt", "reference voice", "voice sample", "reference audio"]),
    ("demo voice", &["sample voice", "built-in voice", "default voice", "example voice"]),
    ("sampling mode", &["sampler mode", "generation mode", "inference mode"]),
    ("range guard", &["id guard", "token guard", "guard range"]),
    ("surprisal", &["negative log probability", "information content"]),
    ("kept mass", &["retained mass", "remaining mass", "mass kept"]),
    ("teacher forcing", &["forced decoding", "teacher-force ", "force-decode"]),
    ("current clip", &["clip on view", "viewed clip", "shown clip", "displayed clip"]),
    ("parent", &["ancestor take", "origin take", "source take"]),
    ("spectrogram", &["sonogram", "spectral picture"]),
    ("playhead", &["play cursor", "playback cursor", "play head"]),
    ("low anchor", &["bad anchor", "lower anchor", "quality anchor"]),
    ("hidden reference", &["concealed reference", "covert reference"]),
    ("listening test", &["hearing test", "audition test", "auditory test"]),
    ("attention check", &["catch trial", "trap question"]),
    ("end-of-speech frame", &["eos frame", "terminating frame", "stop frame"]),
    ("depth decoder", &["depth transformer", "depformer"]),
    ("word times", &["word timings", "word timestamps", "word-level timestamps"]),
    ("checkpoint", &["model snapshot", "weights snapshot", "ckpt file"]),
];

#[test]
fn a_thing_has_one_name() {
    let files = readable_files();
    let mut problems = Vec::new();
    for (term, synonyms) in GLOSSARY {
        let is_used = |(_, text): &(PathBuf, String)| text.to_lowercase().contains(term);
        assert!(files.iter().any(is_used), "{term} is in the glossary and nowhere else");
        for (path, text) in &files {
            for (n, line) in text.to_lowercase().lines().enumerate() {
                let found = synonyms.iter().filter(|synonym| line.contains(**synonym));
                problems.extend(found.map(|other| format!("{}:{}: {other}: {term}", path.display(), n + 1)));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_refused_phrase_is_found() {
    for line in [
        "so many frames",
        "in the place of the clip",
        "the queue goes on",
        "the user is told",
        "the system gives no thread",
        "it is kept all the same",
        "a closed pipe is no error",
        "    /// The same for float64.",
        "16,000 samples a second",
        "a process of its own",
        "the trial starts anew",
        "the take on view",
        "a name that gives way",
        "the conditions takes turns",
        "    // Of a clip without frames nothing is kept.",
    ] {
        assert_eq!(refused(line).len(), 1, "{line}");
    }
}

/// Docs of three words or fewer repeat a name: they say more, or the item is not public.
#[test]
fn docs_say_more_than_the_name() {
    let mut short = Vec::new();
    for file in walkdir::WalkDir::new(repository("src")).into_iter().map(Result::unwrap) {
        let Some(text) = std::fs::read_to_string(file.path()).ok().filter(|_| file.path().is_file()) else { continue };
        let doc = |line: &str| line.trim_start().strip_prefix("///").map(|doc| doc.trim().to_owned());
        let lines: Vec<&str> = text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let is_alone =
                (n == 0 || doc(lines[n - 1]).is_none()) && lines.get(n + 1).is_none_or(|next| doc(next).is_none());
            let Some(doc) = doc(line).filter(|doc| is_alone && !doc.starts_with(['#', '`'])) else { continue };
            if doc.split_whitespace().count() <= 3 {
                short.push(format!("{}:{}: {doc}", file.path().display(), n + 1));
            }
        }
    }
    assert!(short.len() < 60, "{} docs of three words or fewer:\n{}", short.len(), short.join("\n"));
}
