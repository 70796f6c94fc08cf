//! The shell: dialogs of the system, its file manager and clipboard, and requests to the panels.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::{Duration, Instant};

use super::command::Command;
use super::composer::{Composer, ComposerCommand};
use super::effects::Effects;
use super::library::{Export, LibraryCommand};
use super::models::ModelsCommand;
use super::session::{Owner, Session};
use super::tasks::{Key, Tasks};
use super::test_bench::{TestBenchCommand, TestRequest};
use super::voices::VoicesCommand;
use crate::audio::recording::EXTENSIONS;
use crate::checkpoint::{AdapterSpec, CheckpointSpec};
use crate::data::TOKEN_FILE_EXTENSIONS;
use crate::voices::file_name;

const REVEAL: Key = Key("reveal");

/// A dialog that ends sooner was not closed by a person.
const TOO_SOON: Duration = Duration::from_millis(200);

/// The purpose of a dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// A recording for the voice prompt.
    VoicePrompt,
    /// A recording, or a voice from elsewhere, for the user's voices.
    ImportVoice,
    /// Where to write a voice.
    ExportVoice(PathBuf),
    /// The folder of a checkpoint.
    Model,
    /// The folder of an adapter for the open model.
    Adapter,
    /// A file to open.
    Open,
    /// Where to write an export.
    Export(Export),
    /// Where to write a listening test.
    Test(TestRequest),
    /// A folder for takes that could not be written.
    FolderOfTakes,
}

impl Dialog {
    /// The key of its work: each kind of dialog is open once.
    fn key(&self) -> Key {
        Key(match self {
            Self::VoicePrompt => "choose voice prompt",
            Self::ImportVoice => "choose voice",
            Self::ExportVoice(_) => "choose voice file",
            Self::Model => "choose model",
            Self::Adapter => "choose adapter",
            Self::Open => "choose file",
            Self::Export(_) => "choose export file",
            Self::Test(_) => "choose test file",
            Self::FolderOfTakes => "choose folder of takes",
        })
    }

    /// Action for the chosen path.
    fn command(self, path: PathBuf) -> Command {
        match self {
            Self::VoicePrompt => ComposerCommand::SetVoicePrompt(path).into(),
            Self::Model => ModelsCommand::Open(CheckpointSpec { path: Some(path), ..CheckpointSpec::default() }).into(),
            Self::ImportVoice => VoicesCommand::Import(path).into(),
            Self::ExportVoice(voice) => VoicesCommand::Export { voice, to: with_extension(&path, "wav") }.into(),
            Self::Adapter => ModelsCommand::SetAdapter(Some(AdapterSpec { folder: path, strength: 1.0 })).into(),
            Self::Open => LibraryCommand::Open(path).into(),
            Self::FolderOfTakes => LibraryCommand::WriteElsewhere(path).into(),
            Self::Export(export) => {
                let to = with_extension(&path, export.extension());
                LibraryCommand::Export { export, to }.into()
            }
            Self::Test(request) => TestBenchCommand::Make { request, to: with_extension(&path, "json") }.into(),
        }
    }
}

/// Something that panels do when they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanelRequest {
    /// Show a panel of the clip in its tab.
    ShowTab(&'static str),
    /// Show it instead of the clip if the window is low.
    OpenTab(&'static str),
    /// Focus the next panel, or the one before.
    FocusPanel(i32),
    /// Focus the search field.
    SearchTakes,
    /// Rename the current take.
    RenameTake,
    /// Delete the selected takes.
    DeleteTakes,
    /// Show the next take in the list.
    NextTake,
    /// Show the previous take in the list.
    PreviousTake,
    /// Show or hide the list of keys.
    ToggleKeys,
    /// Open or close the settings.
    ToggleSettings,
    /// Show or hide the models.
    ToggleModels,
    /// Show or hide the licences.
    ToggleLicences,
    /// Show or hide the command palette.
    TogglePalette,
}

/// Commands of the shell.
#[derive(Clone, Debug, PartialEq)]
pub enum ShellCommand {
    Ask(Dialog),
    /// Show a folder in the file manager.
    Reveal(PathBuf),
    /// Copy a text to the clipboard.
    Copy {
        text: String,
        /// The notification.
        message: String,
    },
    /// Ask something of the panels.
    Request(PanelRequest),
}

#[derive(Default)]
pub struct Shell {
    requests: VecDeque<PanelRequest>,
    copied: Option<String>,
    /// Whether the clipboard does not have the copied text yet.
    to_copy: bool,
}

/// Data that [`Shell`] may read.
pub struct ShellContext<'a> {
    composer: &'a Composer,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Shell {
    type Command = ShellCommand;
    type Context<'a> = ShellContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, ShellContext<'_>) {
        let Session { shell, composer, tasks, effects, .. } = session;
        (shell, ShellContext { composer, tasks, effects })
    }

    fn handle(&mut self, command: ShellCommand, cx: &mut ShellContext<'_>) {
        match command {
            ShellCommand::Ask(dialog) => ask(dialog, cx),
            ShellCommand::Reveal(folder) => {
                cx.tasks.run(
                    REVEAL,
                    move |_| reveal(&folder),
                    |_: &mut Self, cx, shown: Result<(), String>| {
                        if let Err(problem) = shown {
                            cx.effects.notify_error(problem);
                        }
                    },
                );
            }
            ShellCommand::Copy { text, message } => {
                (self.copied, self.to_copy) = (Some(text), true);
                cx.effects.notify(message);
            }
            ShellCommand::Request(request) => self.requests.push_back(request),
        }
    }
}

impl ShellCommand {
    pub(super) fn copy_seed(seed: u64) -> Self {
        Self::Copy { text: seed.to_string(), message: format!("Copied {seed}") }
    }
}

impl Shell {
    /// The next request to the panels.
    pub(super) fn next_request(&mut self) -> Option<PanelRequest> {
        self.requests.pop_front()
    }

    /// The text that was copied last.
    pub fn copied(&self) -> Option<&str> {
        self.copied.as_deref()
    }

    /// The text that was copied last, if the clipboard does not have it yet.
    pub(super) fn text_to_copy(&mut self) -> Option<String> {
        self.copied.clone().filter(|_| std::mem::take(&mut self.to_copy))
    }
}

/// How a dialog ended.
#[derive(Debug, PartialEq)]
enum DialogEnd {
    Chosen(PathBuf),
    Cancelled,
    /// The system has no dialogs.
    NotShown,
}

/// Opens a dialog: here, because macOS creates dialogs on the main thread only; another thread waits for its end.
fn ask(dialog: Dialog, cx: &mut ShellContext<'_>) {
    if dialog == Dialog::Export(Export::Conversation)
        && let Err(e) = cx.composer.conversation.all_takes()
    {
        return cx.effects.notify_error(e);
    }
    let window = rfd::AsyncFileDialog::new();
    let chosen: std::pin::Pin<Box<dyn Future<Output = Option<rfd::FileHandle>> + Send>> = match &dialog {
        Dialog::VoicePrompt => {
            let window = window.set_title("Voice prompt: a recording");
            Box::pin(window.add_filter("Recordings", EXTENSIONS).pick_file())
        }
        Dialog::Model => Box::pin(window.set_title("Checkpoint folder").pick_folder()),
        Dialog::ImportVoice => {
            let window = window.set_title("Voice: a recording, or a voice that was exported");
            Box::pin(window.add_filter("Recordings", EXTENSIONS).pick_file())
        }
        Dialog::ExportVoice(voice) => {
            Box::pin(window.set_title("Export the voice").set_file_name(file_name(voice)).save_file())
        }
        Dialog::Adapter => Box::pin(window.set_title("Adapter folder").pick_folder()),
        Dialog::FolderOfTakes => Box::pin(window.set_title("Folder for the takes").pick_folder()),
        Dialog::Open => {
            let extensions = [TOKEN_FILE_EXTENSIONS, EXTENSIONS].concat();
            Box::pin(window.set_title("Open").add_filter("Tokens and sound", &extensions).pick_file())
        }
        Dialog::Export(export) => Box::pin(window.set_title("Export").set_file_name(export.file_name()).save_file()),
        Dialog::Test(_) => {
            Box::pin(window.set_title("Listening test").set_file_name("listening-test.json").save_file())
        }
    };
    let wait = move |_: &_| wait_for(async move { chosen.await.map(|file| file.path().to_owned()) });
    cx.tasks.run(dialog.key(), wait, |_: &mut Shell, cx, end| match end {
        DialogEnd::Chosen(path) => cx.effects.send(dialog.command(path)),
        DialogEnd::Cancelled => {}
        DialogEnd::NotShown => cx.effects.notify_error(
            "This system showed no file dialog. On Linux it needs a desktop portal (xdg-desktop-portal) or zenity. \
             Recordings can be dropped on the window, and `csm` opens and exports by path",
        ),
    });
}

fn wait_for(dialog: impl Future<Output = Option<PathBuf>>) -> DialogEnd {
    let started = Instant::now();
    match pollster::block_on(dialog) {
        Some(path) => DialogEnd::Chosen(path),
        // rfd returns the same if a user cancels and if there is neither a portal nor zenity.
        None if started.elapsed() < TOO_SOON => DialogEnd::NotShown,
        None => DialogEnd::Cancelled,
    }
}

/// `path`, with `extension` if it has none.
fn with_extension(path: &Path, extension: &str) -> PathBuf {
    if path.extension().is_some() { path.to_owned() } else { path.with_extension(extension) }
}

/// Shows a folder in the system's file manager.
fn reveal(folder: &Path) -> Result<(), String> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let problem = |why: String| format!("Cannot show {} ({program}: {why})", folder.display());
    let status = Process::new(program).arg(folder).status().map_err(|e| problem(e.to_string()))?;
    if status.success() { Ok(()) } else { Err(problem(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_extension_gets_one() {
        assert_eq!(with_extension(Path::new("a/take"), "wav"), Path::new("a/take.wav"));
        assert_eq!(with_extension(Path::new("a/take.WAV"), "wav"), Path::new("a/take.WAV"));
    }

    #[test]
    fn a_dialog_that_ends_at_once_without_a_path_was_not_shown() {
        assert_eq!(wait_for(async { None }), DialogEnd::NotShown);
        let cancelled = async {
            std::thread::sleep(TOO_SOON);
            None
        };
        assert_eq!(wait_for(cancelled), DialogEnd::Cancelled);
        assert_eq!(wait_for(async { Some("a".into()) }), DialogEnd::Chosen("a".into()));
    }
}
