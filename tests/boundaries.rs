//! The architecture, enforced: who may use what.

use std::path::{Path, PathBuf};

use crate::support::repository;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let root = repository("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    assert!(paths.len() > 20, "the sources were not found");
    let named = |p: PathBuf| (p.strip_prefix(&root).unwrap().to_owned(), std::fs::read_to_string(&p).unwrap());
    paths.into_iter().map(named).collect()
}

/// `word`, and not as the end of a longer name.
fn contains(line: &str, word: &str) -> bool {
    let name = word.starts_with(char::is_alphabetic);
    line.match_indices(word).any(|(at, _)| !(name && line[..at].ends_with(char::is_alphanumeric)))
}

/// Lines of code (not of comment) with `word` in files that are not below one of `allowed`.
fn found_outside(word: &str, allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if allowed.iter().any(|a| path.starts_with(a)) {
            continue;
        }
        for (n, line) in text.lines().enumerate() {
            if !line.trim_start().starts_with("//") && contains(line, word) {
                found.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
            }
        }
    }
    found
}

#[track_caller]
fn only_in(word: &str, allowed: &[&str]) {
    assert_eq!(found_outside(word, allowed), Vec::<String>::new(), "{word} belongs into {allowed:?} only");
    assert!(!found_outside(word, &[]).is_empty(), "{word} is nowhere: this rule guards nothing");
}

#[test]
fn mlx_lives_in_one_folder() {
    only_in("mlx_rs", &["mlx"]);
}

#[test]
fn only_one_place_waits_for_the_device() {
    only_in("transforms::eval(", &["mlx/mod.rs"]);
    for waiting in [".eval()", ".item::<", ".item()", "item_exact", "item_cast", "to_vec_exact", "to_vec_cast"] {
        assert_eq!(found_outside(waiting, &[]), Vec::<String>::new(), "{waiting} waits uncounted");
    }
}

#[test]
fn torch_lives_in_one_folder() {
    only_in("tch::", &["torch"]);
}

#[test]
fn sound_devices_live_in_one_folder() {
    only_in("cpal::", &["audio"]);
}

/// Sampling, prompts, tokens and configs are pure: they know no engine, no thread of ours, no command line.
#[test]
fn pure_modules_know_no_engine() {
    let pure = [
        "analysis",
        "report",
        "sampling",
        "prompt.rs",
        "recipe.rs",
        "takes.rs",
        "tokens.rs",
        "config.rs",
        "termination.rs",
        "text.rs",
        "checkpoint",
    ];
    for (path, text) in sources() {
        if pure.iter().any(|p| path.starts_with(p)) {
            for other in
                ["crate::mlx", "crate::torch", "crate::pipeline", "crate::worker", "crate::cli", "crate::audio"]
            {
                assert!(!text.contains(other), "{} uses {other}", path.display());
            }
        }
    }
}

/// The window shows plain data. What it wants of the model it asks the worker for.
#[test]
fn the_window_touches_no_model() {
    for (path, text) in sources() {
        if path.starts_with("studio") {
            for other in ["crate::mlx", "crate::torch", "crate::engine", "crate::cli", "Pipeline"] {
                assert!(!text.contains(other), "{} uses {other}", path.display());
            }
        }
    }
    only_in("egui", &["studio"]);
}

/// The model knows nothing of what uses it.
#[test]
fn engines_know_no_front_end() {
    for (path, text) in sources() {
        if path.starts_with("mlx") || path.starts_with("torch") {
            for other in ["crate::cli", "crate::audio", "crate::worker", "crate::pipeline", "println!", "eprintln!"] {
                assert!(!text.contains(other), "{} uses {other}", path.display());
            }
        }
    }
}
