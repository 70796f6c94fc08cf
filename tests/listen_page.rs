//! The page of a listening test in a real browser: tests/listen_page/page.mjs drives it, through Playwright.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::repository;

/// The browser that listeners are played in.
fn chromium() -> PathBuf {
    let known = [
        "/usr/bin/chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ];
    let found = known.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("Chromium is not installed; run bundle/setup --test")
}

/// The folder of Playwright, as bundle/setup wrote it down.
fn playwright() -> PathBuf {
    let settings = std::fs::read_to_string(repository(".cargo/local.toml")).expect("run bundle/setup --test");
    let path = settings.lines().find_map(|line| line.strip_prefix("# playwright: "));
    path.expect("no Playwright; run bundle/setup --test").into()
}

#[test]
fn listeners_answer_in_a_browser_and_nothing_is_lost() {
    let playwright = playwright();
    let folder = TempDir::new().unwrap();
    let output = Command::new(playwright.join("node"))
        .arg(repository("tests/listen_page/page.mjs"))
        .args([playwright.as_path(), &chromium(), Path::new(env!("CARGO_BIN_EXE_csm")), folder.path()])
        .output()
        .expect("node of Playwright; run bundle/setup --test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
