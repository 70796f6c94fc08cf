//! The system's expectations of a program beyond its window: a menu bar, files that are opened elsewhere, a question before it quits,
//! no naps while it works. On Linux all of this is the window's own.

#[cfg(target_os = "macos")]
mod macos;
#[cfg(not(target_os = "macos"))]
mod other;

#[cfg(target_os = "macos")]
pub(super) use macos::{Platform, before_run, note_recent, show_failure};
#[cfg(not(target_os = "macos"))]
pub(super) use other::{Platform, before_run, note_recent, show_failure};

/// A request of the system to the window.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "macos"), expect(dead_code, reason = "Linux asks nothing"))]
pub(super) enum SystemRequest {
    /// Run the command with this title.
    Command(&'static str),
    /// Open what was opened in Finder or the Dock.
    Open(std::path::PathBuf),
    /// The user wants to quit, and something is being made.
    Quit,
}
