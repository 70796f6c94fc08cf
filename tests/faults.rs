//! Kills, limits, links, changed models, a machine without a network and hostile input, by `tests/faults.py`, which runs more of them by hand,
//! and `tests/hostile.py`.

use std::path::Path;
use std::process::Command;

use crate::support::repository;

fn faults(arguments: &[&str]) {
    run("tests/faults.py", arguments);
}

fn run(file: &str, arguments: &[&str]) {
    let programs = Path::new(env!("CARGO_BIN_EXE_csm")).parent().unwrap();
    let mut script = Command::new("python3");
    let output = script
        .arg(repository(file))
        .args(arguments)
        .current_dir(repository(""))
        .env("PROGRAMS", programs)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\n0 problems"), "{said}");
}

#[test]
fn a_dozen_kills_lose_nothing() {
    for program in ["generate", "takes", "listen", "quantize", "download"] {
        faults(&["kills", "--only", program, "--count", "3", "--seed", "3"]);
    }
}

#[test]
fn limits_end_in_words() {
    faults(&["limits", "--quick"]);
}

#[test]
fn limits_of_threads_end_in_words() {
    faults(&["processes"]);
}

#[test]
fn a_model_whose_files_change_speaks_or_is_an_error() {
    faults(&["replaced", "--quick"]);
}

#[test]
fn links_and_pipes_end_in_words() {
    faults(&["links", "--quick"]);
}

#[test]
fn hostile_files_and_arguments_end_in_words() {
    run("tests/hostile.py", &[]);
}

#[test]
fn nothing_needs_a_network() {
    faults(&["offline", "--quick"]);
}
