//! The programs, run in their own folder, with their own data folder.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A temporary folder to run programs in.
pub struct TestDir(TempDir);

impl TestDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(if name == "csm" {
            env!("CARGO_BIN_EXE_csm")
        } else {
            env!("CARGO_BIN_EXE_csm-generate-mlx")
        });
        command.current_dir(self.0.path()).stdin(Stdio::null()).env("XDG_DATA_HOME", self.0.path().join("data"));
        command
    }

    pub fn csm(&self, args: &[&str]) -> Output {
        self.program("csm").args(args).output().unwrap()
    }

    /// `csm generate` with `args`: exit code 2 and an error of one line that has `parts`.
    #[track_caller]
    pub fn refused(&self, args: &[&str], parts: &[&str]) {
        let out = self.csm(&[&["generate"], args].concat());
        let text = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {text}");
        let first = text.lines().find(|l| !l.starts_with("warning")).unwrap_or_default();
        assert!(first.starts_with("error: "), "{text}");
        for part in parts {
            assert!(text.contains(part), "{args:?}: {part:?} is not in: {text}");
        }
        assert!(!self.at("audio.wav").exists());
    }
}

/// Standard output of a program that must have succeeded.
#[track_caller]
pub fn assert_success(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}
