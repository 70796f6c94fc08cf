//! Systems that ask nothing.

use std::path::Path;

use super::SystemRequest;
use crate::error::Error;

pub(in crate::studio) struct Platform;

impl Platform {
    pub(in crate::studio) fn new(_ctx: &egui::Context) -> Self {
        Self
    }

    pub(in crate::studio) fn requests(&self) -> Vec<SystemRequest> {
        Vec::new()
    }

    #[expect(clippy::needless_pass_by_ref_mut, reason = "macOS keeps an activity in it")]
    pub(in crate::studio) fn set_working(&mut self, _working: bool) {}
}

pub(in crate::studio) fn before_run() {}

pub(in crate::studio) fn note_recent(_path: &Path) {}

/// A program that is started from a desktop has no terminal either, but its desktop shows no box for it: the log has the error.
pub(in crate::studio) fn show_failure(_error: &Error) {}
