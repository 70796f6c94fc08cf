//! Dialogs of the system. A dialog is created on the main thread, as macOS demands; another thread waits for what is chosen.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use egui::Context;

use super::state::{ExportKind, TestRequest};

/// A dialog that ends so soon was not closed by a person.
const TOO_SOON: Duration = Duration::from_millis(200);

/// What a dialog was opened for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// A recording as voice prompt.
    VoicePrompt,
    /// A checkpoint's folder.
    Model,
    /// A file to open.
    Open,
    /// Where to write an export of a take.
    Export(String, ExportKind),
    /// Where to write the conversation.
    Conversation,
    /// Where to write a page of the pinned takes.
    Pinned,
    /// Where to write a listening test.
    Test(TestRequest),
}

/// What became of a dialog.
pub(super) enum Outcome {
    /// The user chose this.
    Chosen(Purpose, PathBuf),
    /// The system has no dialogs.
    NotShown,
}

/// Open dialogs.
pub(super) struct Dialogs {
    outcomes: (Sender<Outcome>, Receiver<Outcome>),
}

impl Default for Dialogs {
    fn default() -> Self {
        Self { outcomes: channel() }
    }
}

impl Dialogs {
    /// Opens a dialog.
    pub(super) fn open(&self, ctx: &Context, purpose: Purpose) {
        let dialog = rfd::AsyncFileDialog::new();
        let path = |file: Option<rfd::FileHandle>| file.map(|file| file.path().to_owned());
        match &purpose {
            Purpose::VoicePrompt => {
                let dialog = dialog.set_title("A recording as voice prompt");
                let dialog = dialog.add_filter("Recordings", &["wav", "flac", "mp3", "m4a", "ogg", "aiff", "aif"]);
                let future = dialog.pick_file();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
            Purpose::Model => {
                let future = dialog.set_title("A checkpoint's folder").pick_folder();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
            Purpose::Open => {
                let dialog =
                    dialog.set_title("Open").add_filter("Tokens and sound", &["json", "npy", "safetensors", "wav"]);
                let future = dialog.pick_file();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
            Purpose::Export(id, kind) => {
                let name = format!("{id}.{}", kind.extension());
                let future = dialog.set_title("Export").set_file_name(name).save_file();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
            Purpose::Pinned => {
                let future = dialog.set_title("Export").set_file_name("comparison.html").save_file();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
            Purpose::Test(_) => {
                let future = dialog.set_title("Listening test").set_file_name("listening-test.json").save_file();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
            Purpose::Conversation => {
                let future = dialog.set_title("Export").set_file_name("conversation.wav").save_file();
                self.wait(ctx, purpose, async move { path(future.await) });
            }
        }
    }

    fn wait(&self, ctx: &Context, purpose: Purpose, dialog: impl Future<Output = Option<PathBuf>> + Send + 'static) {
        let (ctx, outcomes) = (ctx.clone(), self.outcomes.0.clone());
        std::thread::spawn(move || {
            let begun = Instant::now();
            let outcome = match pollster::block_on(dialog) {
                Some(path) => Outcome::Chosen(purpose, path),
                // rfd says the same where a user cancels and where neither portal nor zenity is there.
                None if begun.elapsed() < TOO_SOON => Outcome::NotShown,
                None => return,
            };
            outcomes.send(outcome).ok(); // the window may be closed by now
            ctx.request_repaint();
        });
    }

    /// What became of a dialog, if one has ended.
    pub(super) fn poll(&self) -> Option<Outcome> {
        self.outcomes.1.try_recv().ok()
    }
}

/// `path` with the extension of its content, where it has none.
pub(super) fn with_extension(path: &Path, extension: &str) -> PathBuf {
    if path.extension().is_some() { path.to_owned() } else { path.with_extension(extension) }
}

/// Shows a folder in the system's file manager, or says why it cannot.
pub(super) fn reveal(folder: &Path) -> Result<(), String> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let problem =
        |why: String| format!("{} cannot be shown: {why}. The folder is there all the same", folder.display());
    let child = std::process::Command::new(program).arg(folder).spawn();
    let mut child = child.map_err(|e| problem(format!("{program}: {e}")))?;
    // The file manager is none of our children's concern, but an ended process has to be taken in.
    std::thread::spawn(move || child.wait());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_ending_gets_one() {
        assert_eq!(with_extension(Path::new("a/take"), "wav"), Path::new("a/take.wav"));
        assert_eq!(with_extension(Path::new("a/take.WAV"), "wav"), Path::new("a/take.WAV"));
    }

    /// Where a dialog cannot be shown, that is told (it ends at once and gives nothing).
    #[test]
    fn a_dialog_that_is_not_shown_is_told() {
        let (dialogs, ctx) = (Dialogs::default(), Context::default());
        dialogs.wait(&ctx, Purpose::Model, async { None });
        let begun = Instant::now();
        let outcome = loop {
            if let Some(outcome) = dialogs.poll() {
                break outcome;
            }
            assert!(begun.elapsed() < Duration::from_secs(20));
        };
        assert!(matches!(outcome, Outcome::NotShown));
    }
}
