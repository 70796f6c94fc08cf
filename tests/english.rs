//! Phrases that read as a translation are refused: CONTRIBUTING.md has the rules.

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

#[test]
fn sources_have_no_refused_phrases() {
    let files = walkdir::WalkDir::new(repository("src")).into_iter().map(Result::unwrap);
    let files: Vec<_> = files.filter(|file| file.path().extension().is_some_and(|e| e == "rs")).collect();
    assert!(files.len() > 50, "the sources were not found");
    let mut problems = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let found = refused(&text).into_iter();
        problems
            .extend(found.map(|(n, phrase, instead)| format!("{}:{n}: {phrase}: {instead}", file.path().display())));
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
        for (n, line) in text.lines().enumerate() {
            let Some(doc) = line.trim_start().strip_prefix("/// ").filter(|doc| !doc.starts_with(['#', '`'])) else {
                continue;
            };
            if doc.split_whitespace().count() <= 3 {
                short.push(format!("{}:{}: {doc}", file.path().display(), n + 1));
            }
        }
    }
    assert!(short.len() < 60, "{} docs of three words or fewer:\n{}", short.len(), short.join("\n"));
}
