//! The examples, compiled with the tests and run as their first lines say.

use std::path::PathBuf;
use std::process::Command;

use crate::support::test_dir::{TestDir, assert_success};

/// cargo puts examples next to the `deps` folder of the test binary.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program: PathBuf = profile.join("examples").join(name);
    assert!(program.exists(), "{} was not built; nextest builds examples with the tests", program.display());
    Command::new(program)
}

#[test]
fn speak() {
    let dir = TestDir::new();
    let out = assert_success(&example("speak").arg(dir.at("a.wav")).output().unwrap());
    assert!(out.contains("ended naturally"), "{out}");
    assert!(csm_studio::audio::recording::samples(&dir.at("a.wav"), 24_000).unwrap().len() > 24_000);
}

#[test]
fn own_sampler() {
    let out = assert_success(&example("own_sampler").output().unwrap());
    assert!(out.contains("frames by min-p"), "{out}");
}

#[test]
fn read_tokens() {
    let file = crate::support::repository("tests/goldens/files-v1/tokens.json");
    let out = assert_success(&example("read_tokens").arg(file).output().unwrap());
    assert!(out.contains("\"Good morning.\": 14 frames, 1.12 s") && out.contains("codebook 5:"), "{out}");
}
