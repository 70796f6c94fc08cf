//! Commands: everything that the window can do. Panels, keys and the command palette all give commands; each owner runs its own.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::catalogue::CatalogueCommand;
use super::comparison::ComparisonCommand;
use super::composer::{ComposerCommand, TurnId};
use super::inspector::{InspectorCommand, TimeAxis};
use super::library::{Export, ExportKind, LibraryCommand};
use super::models::ModelsCommand;
use super::monitor::{CodebookMixer, MonitorCommand, PlaybackSource};
use super::preferences::PreferencesCommand;
use super::session::Session;
use super::settings::{Settings, Theme};
use super::shell::{Dialog, PanelRequest, ShellCommand};
use super::test_bench::{TestBenchCommand, TestRequest};
use super::voices::VoicesCommand;
use crate::checkpoint::CheckpointSpec;
use crate::listen::{Template, TestKind};

/// Takes that one command makes with different seeds.
pub(super) const VARIANTS: usize = 3;

/// A command, by the owner that runs it.
#[derive(Debug)]
pub enum Command {
    Composer(ComposerCommand),
    Inspector(InspectorCommand),
    Monitor(MonitorCommand),
    Comparison(ComparisonCommand),
    Library(LibraryCommand),
    /// To the test bench.
    TestBench(TestBenchCommand),
    Models(ModelsCommand),
    Catalogue(CatalogueCommand),
    Voices(VoicesCommand),
    Preferences(PreferencesCommand),
    Shell(ShellCommand),
    /// Dismiss the notification with this index.
    Dismiss(usize),
}

macro_rules! from_owner_commands {
    ($($owner:ident: $command:ident),* $(,)?) => {
        $(impl From<$command> for Command {
            fn from(command: $command) -> Self {
                Self::$owner(command)
            }
        })*
    };
}

from_owner_commands!(
    Composer: ComposerCommand,
    Inspector: InspectorCommand,
    Monitor: MonitorCommand,
    Comparison: ComparisonCommand,
    Library: LibraryCommand,
    TestBench: TestBenchCommand,
    Models: ModelsCommand,
    Catalogue: CatalogueCommand,
    Voices: VoicesCommand,
    Preferences: PreferencesCommand,
    Shell: ShellCommand,
);

/// Commands that a panel gives while it is drawn; they run once everything is drawn.
#[derive(Default)]
pub struct Commands(Vec<Command>);

impl Commands {
    pub(super) fn push(&mut self, command: impl Into<Command>) {
        self.0.push(command.into());
    }

    /// The commands in order.
    pub(super) fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.0)
    }
}

/// A command with a title, for the palette, and perhaps a key.
pub struct NamedCommand {
    pub title: &'static str,
    /// Its key. Keys without Ctrl or Cmd, function keys aside, do not work in text fields.
    pub key: Option<KeyboardShortcut>,
    /// The command; `None` if there is nothing to do it with.
    pub command: fn(&Session) -> Option<Command>,
}

const fn key(modifiers: Modifiers, key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(modifiers, key))
}

const fn named(
    title: &'static str,
    key: Option<KeyboardShortcut>,
    command: fn(&Session) -> Option<Command>,
) -> NamedCommand {
    NamedCommand { title, key, command }
}

const NONE: Modifiers = Modifiers::NONE;
const ALT: Modifiers = Modifiers::ALT;
const SHIFT: Modifiers = Modifiers::SHIFT;
const COMMAND: Modifiers = Modifiers::COMMAND;
const COMMAND_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

/// Every command that needs no further choice. A key with Shift precedes the same key without it: egui takes the first that fits,
/// and ignores additional modifiers.
pub static COMMANDS: &[NamedCommand] = &[
    named("Speak as a reply to the turns before", key(COMMAND_SHIFT, Key::Enter), |s| {
        to(ComposerCommand::Speak { turn: edited(s), with_context: true })
    }),
    named("Speak", key(COMMAND, Key::Enter), |s| to(ComposerCommand::Speak { turn: edited(s), with_context: false })),
    named("Speak with three seeds", None, |s| to(ComposerCommand::SpeakVariants { turn: edited(s), takes: VARIANTS })),
    named("Speak all turns", None, |_| to(ComposerCommand::SpeakConversation)),
    named("Play the conversation", None, |_| to(ComposerCommand::PlayConversation)),
    named("Export the conversation as WAV…", None, |_| to(export(Export::Conversation))),
    named("Add a turn", key(COMMAND, Key::T), |_| to(ComposerCommand::AddTurn)),
    named("Show the draw", None, |_| request(PanelRequest::OpenTab("Draw"))),
    named("Show statistics", None, |_| request(PanelRequest::OpenTab("Statistics"))),
    named("Show problems", None, |_| request(PanelRequest::OpenTab("Problems"))),
    named("Show acoustic measures", None, |_| request(PanelRequest::OpenTab("Sound"))),
    named("Show what if", None, |_| request(PanelRequest::OpenTab("What if"))),
    named("Show the comparison", None, |_| request(PanelRequest::OpenTab("Compare"))),
    named("Play or pause", key(NONE, Key::Space), |_| to(MonitorCommand::TogglePlay)),
    named("Loop the selection", key(NONE, Key::L), |_| to(MonitorCommand::ToggleLoop)),
    named("Select the token to the left", key(ALT, Key::ArrowLeft), |s| move_selection(s, -1, 0)),
    named("Select the token to the right", key(ALT, Key::ArrowRight), |s| move_selection(s, 1, 0)),
    named("Select the codebook above", key(ALT, Key::ArrowUp), |s| move_selection(s, 0, -1)),
    named("Select the codebook below", key(ALT, Key::ArrowDown), |s| move_selection(s, 0, 1)),
    named("One frame back", key(NONE, Key::ArrowLeft), |_| to(MonitorCommand::StepFrames(-1))),
    named("One frame forward", key(NONE, Key::ArrowRight), |_| to(MonitorCommand::StepFrames(1))),
    named("To the start", key(NONE, Key::Home), |_| to(MonitorCommand::Seek(0.0))),
    named("Play all codebooks", None, |_| to(MonitorCommand::SetMixer(CodebookMixer::default()))),
    named("Previous problem", key(SHIFT, Key::N), |_| to(InspectorCommand::PreviousIssue)),
    named("Next problem", key(NONE, Key::N), |_| to(InspectorCommand::NextIssue)),
    named("Say the selected word again", key(SHIFT, Key::R), |s| {
        to(InspectorCommand::RetakeWord { word: selected_word(s)?, takes: VARIANTS })
    }),
    named("Take the selected words from the first other pinned take", None, |s| {
        let words = s.words_with(selected_word(s)?);
        let from = s.word_sources().first()?.1.key.clone();
        to(InspectorCommand::TakeWords { words, from })
    }),
    named("Regenerate from the selected frame with a new seed", key(NONE, Key::R), |s| {
        to(InspectorCommand::Reseed(selected_frame(s)?))
    }),
    named("Regenerate from the selected frame with the current settings", None, |s| {
        to(InspectorCommand::Resume(selected_frame(s)?))
    }),
    named("Check the words", None, |s| {
        to(InspectorCommand::CheckWords).filter(|_| s.models.is_ready() && s.inspector.current.reproducible().is_some())
    }),
    named("Follow the newest frame", key(NONE, Key::F), |_| to(InspectorCommand::Select(None))),
    named("Show the whole clip", key(COMMAND, Key::Num0), |_| to(InspectorCommand::SetAxis(TimeAxis::default()))),
    named("Waveforms or mel spectrograms", key(NONE, Key::M), |_| to(InspectorCommand::ToggleSpectrograms)),
    named("Pitch and level", key(NONE, Key::C), |_| to(InspectorCommand::ToggleCurves)),
    named("Switch to the current clip", key(NONE, Key::Num0), |_| {
        to(MonitorCommand::SwitchTo(PlaybackSource::CurrentClip))
    }),
    named("Pin or unpin the current clip", key(NONE, Key::P), |_| to(ComparisonCommand::TogglePinCurrent)),
    named("Export the pinned takes as a page (HTML)…", None, |s| to(export(Export::Pinned)).filter(|_| pins(s) > 0)),
    named("Make an ABX test of the two pinned takes…", None, |s| test_of_pinned(s, TestKind::Abx)),
    named("Make a preference test of the pinned takes…", None, |s| test_of_pinned(s, TestKind::Preference)),
    named("Make a rating test of the pinned takes…", None, |s| test_of_pinned(s, TestKind::Rating)),
    named("Unpin all takes", None, |_| to(ComparisonCommand::UnpinAll)),
    named("Regenerate the take in all modes", None, |s| to(LibraryCommand::RegenerateInAllModes(take(s)?))),
    named("Regenerate the take with three new seeds", None, |s| {
        to(LibraryCommand::RegenerateVariants { take: take(s)?, takes: VARIANTS })
    }),
    named("Use the settings of the take", None, |s| to(LibraryCommand::UseSettings(take(s)?))),
    named("Save the take as a voice", None, |s| to(VoicesCommand::SaveTake(take(s)?))),
    named("Copy the seed of the take", None, |s| {
        to(ShellCommand::copy_seed(s.inspector.current.clip.origin.sampling?.seed))
    }),
    named("Copy a command that makes the take again", None, |s| to(LibraryCommand::CopyCommand(take(s)?))),
    named("Write the unwritten takes again", None, |s| unwritten(s, LibraryCommand::WriteAgain)),
    named("Write the unwritten takes elsewhere…", None, |s| unwritten(s, ShellCommand::Ask(Dialog::FolderOfTakes))),
    named("Export WAV…", None, |s| to(export(Export::Take(take(s)?, ExportKind::Wav)))),
    named("Export page with sound (HTML)…", None, |s| to(export(Export::Take(take(s)?, ExportKind::Page)))),
    named("Show the folder of the take", None, |s| to(ShellCommand::Reveal(s.library.store.path(&take(s)?)))),
    named("Next take", key(NONE, Key::ArrowDown), |_| request(PanelRequest::NextTake)),
    named("Previous take", key(NONE, Key::ArrowUp), |_| request(PanelRequest::PreviousTake)),
    named("Search takes", key(COMMAND, Key::F), |_| request(PanelRequest::SearchTakes)),
    named("Rename the take", key(NONE, Key::F2), |_| request(PanelRequest::RenameTake)),
    named("Delete the selected takes", key(NONE, Key::Delete), |_| request(PanelRequest::DeleteTakes)),
    named("Undo delete", key(COMMAND_SHIFT, Key::Z), |_| to(LibraryCommand::UndoDelete)),
    named("Open files…", key(COMMAND, Key::O), |_| to(ShellCommand::Ask(Dialog::Open))),
    named("Choose a voice prompt…", None, |_| to(ShellCommand::Ask(Dialog::VoicePrompt))),
    named("Import a voice…", None, |_| to(ShellCommand::Ask(Dialog::ImportVoice))),
    named("Record a voice prompt, or stop recording", None, |s| match s.composer.microphone {
        None => to(ComposerCommand::StartRecording),
        Some(_) => to(ComposerCommand::StopRecording),
    }),
    named("Open a checkpoint folder…", None, |_| to(ShellCommand::Ask(Dialog::Model))),
    named("Choose an adapter folder…", None, |s| {
        to(ShellCommand::Ask(Dialog::Adapter)).filter(|_| s.models.is_ready())
    }),
    named("Models…", None, |_| request(PanelRequest::ToggleModels)),
    named("Use the demo voice", None, |_| to(ModelsCommand::Open(CheckpointSpec::default()))),
    named("Louder", key(COMMAND, Key::ArrowUp), |s| change_volume(s, 0.1)),
    named("Quieter", key(COMMAND, Key::ArrowDown), |s| change_volume(s, -0.1)),
    named("Light theme", None, |s| settings(s, |s| s.theme = Theme::Light)),
    named("Dark theme", None, |s| settings(s, |s| s.theme = Theme::Dark)),
    named("System theme", None, |s| settings(s, |s| s.theme = Theme::System)),
    named("Larger text", key(COMMAND, Key::Plus), |s| settings(s, |s| s.scale = (s.scale + 0.1).min(2.0))),
    named("Smaller text", key(COMMAND, Key::Minus), |s| settings(s, |s| s.scale = (s.scale - 0.1).max(0.7))),
    named("Show the folder of the log file", None, |_| to(ShellCommand::Reveal(crate::diagnostics::log_folder()?))),
    named("Commands", key(COMMAND, Key::K), |_| request(PanelRequest::TogglePalette)),
    named("Previous panel", key(SHIFT, Key::F6), |_| request(PanelRequest::FocusPanel(-1))),
    named("Next panel", key(NONE, Key::F6), |_| request(PanelRequest::FocusPanel(1))),
    named("Keys", key(NONE, Key::F1), |_| request(PanelRequest::ToggleKeys)),
    named("Settings…", key(COMMAND, Key::Comma), |_| request(PanelRequest::ToggleSettings)),
    named("Licences", None, |_| request(PanelRequest::ToggleLicences)),
];

/// The command, if there are takes that could not be written.
fn unwritten(session: &Session, command: impl Into<Command>) -> Option<Command> {
    (session.library.unwritten() > 0).then(|| command.into())
}

fn to(command: impl Into<Command>) -> Option<Command> {
    Some(command.into())
}

fn request(request: PanelRequest) -> Option<Command> {
    to(ShellCommand::Request(request))
}

fn export(export: Export) -> ShellCommand {
    ShellCommand::Ask(Dialog::Export(export))
}

/// Selects a token next to the one whose draw is shown.
fn move_selection(session: &Session, frames: i32, codebooks: i32) -> Option<Command> {
    let (_, from) = session.draw()?;
    to(InspectorCommand::MoveSelection { frames, codebooks, from })
}

/// The turn that is being edited, or the last one.
fn edited(session: &Session) -> TurnId {
    session.composer.conversation.edited()
}

fn take(session: &Session) -> Option<crate::takes::TakeId> {
    session.inspector.current.take.clone()
}

fn selected_frame(session: &Session) -> Option<usize> {
    session.inspector.view.cell.map(|(frame, _)| frame)
}

/// Number of the word at the selected frame, or at the playhead, in a take whose words can be spoken again.
fn selected_word(session: &Session) -> Option<usize> {
    let seconds = match selected_frame(session) {
        Some(frame) => (frame as f64 + 0.5) * session.models.frame_seconds(),
        None => session.monitor.player.position(),
    };
    let words = session.inspector.current.words.iter();
    words
        .enumerate()
        .find(|(_, word)| (word.start..word.end).contains(&seconds))
        .map(|(n, _)| n)
        .filter(|_| session.can_retake_words())
}

fn pins(session: &Session) -> usize {
    session.comparison.pins.clips().len()
}

/// A test in which each pinned clip is a condition, if the kind allows their number.
fn test_of_pinned(session: &Session, kind: TestKind) -> Option<Command> {
    let clips = session.comparison.pins.keys();
    let allows = kind.info().allows(clips.len());
    to(TestBenchCommand::Plan(TestRequest::new(kind, Template::Takes, clips))).filter(|_| allows)
}

fn change_volume(session: &Session, by: f32) -> Option<Command> {
    to(MonitorCommand::SetVolume((session.preferences.settings.volume + by).clamp(0.0, 1.0)))
}

fn settings(session: &Session, change: fn(&mut Settings)) -> Option<Command> {
    let mut settings = session.preferences.settings.clone();
    change(&mut settings);
    to(PreferencesCommand::Set(Box::new(settings)))
}

fn is_arrow(key: Key) -> bool {
    matches!(key, Key::ArrowUp | Key::ArrowDown | Key::ArrowLeft | Key::ArrowRight)
}

/// The key of the command with this title as the system writes it, such as `⌘K`; empty if it has none.
pub(super) fn key_of(title: &str, ctx: &egui::Context) -> String {
    let key = COMMANDS.iter().find(|command| command.title == title).and_then(|command| command.key);
    key.map_or_else(String::new, |key| ctx.format_shortcut(&key))
}

impl NamedCommand {
    /// Whether its key operates a focused button or slider.
    pub fn operates_widgets(&self) -> bool {
        let works = |key| matches!(key, Key::Space | Key::Enter | Key::Home | Key::End);
        self.key.is_some_and(|k| k.modifiers.is_none() && (works(k.logical_key) || is_arrow(k.logical_key)))
    }

    /// Whether its key works while a text is being edited.
    pub fn works_in_text(&self) -> bool {
        // Ctrl or Cmd with an arrow moves the caret.
        self.key.is_some_and(|k| (k.modifiers.command && !is_arrow(k.logical_key)) || is_function_key(k.logical_key))
    }
}

/// Whether it is F1, F2 and so on.
pub(super) fn is_function_key(key: Key) -> bool {
    key.name().strip_prefix('F').is_some_and(|number| number.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_keys_are_not_letters() {
        assert_eq!(
            [Key::F1, Key::F6, Key::F35, Key::F, Key::Num1].map(is_function_key),
            [true, true, true, false, false]
        );
    }

    #[test]
    fn titles_and_keys_are_used_once_and_those_with_shift_come_first() {
        for (n, command) in COMMANDS.iter().enumerate() {
            for other in &COMMANDS[n + 1..] {
                assert_ne!(command.title, other.title);
                let (Some(a), Some(b)) = (command.key, other.key) else { continue };
                let both = format!("{} and {}", command.title, other.title);
                assert_ne!(a, b, "{both}");
                let alike = a.logical_key == b.logical_key && a.modifiers.command == b.modifiers.command;
                assert!(!alike || !b.modifiers.contains(a.modifiers), "{both}");
            }
        }
    }
}
