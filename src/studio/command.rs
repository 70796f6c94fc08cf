//! What the window can be asked to do. Panels return commands, which run after everything is drawn; keys and the command palette
//! come from one table.

use std::path::PathBuf;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::session::{RegenerateSeed, Session};
use super::settings::{Settings, Theme};
use super::state::{Alignment, Codebooks, ExportKind, MapContent, TestRequest, TimeAxis, TurnId};
use crate::checkpoint::CheckpointSpec;
use crate::data::Sampling;
use crate::listen::{Choice, Template, TestKind};

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Speak the turn in this place; whether the turns before it are context.
    Speak(usize, bool),
    /// Speak the turn in this place as several takes, with a seed each.
    SpeakOften(usize),
    /// Speak the turns that have not been spoken, or that heard something else.
    SpeakConversation,
    /// Play the takes of all turns one after another.
    PlayConversation,
    /// Write the takes of all turns into one WAV file.
    ExportConversation,
    /// Write the pinned takes into a page that plays them.
    ExportPinned,
    /// Add a turn.
    AddTurn,
    /// Who says what in this place.
    EditTurn(usize, u32, String),
    /// The turn whose text is being edited.
    FocusTurn(TurnId),
    /// Remove the turn in this place.
    RemoveTurn(usize),
    /// Move the turn in this place up.
    MoveTurnUp(usize),
    /// Stop speaking; what was made is kept.
    StopSpeaking,
    /// Open a checkpoint.
    OpenModel(CheckpointSpec),
    /// Ask for a checkpoint's folder.
    ChooseModel,
    /// Ask for files to open.
    ChooseFile,
    /// Open a take's folder, a token file or a WAV file.
    OpenFile(PathBuf),
    /// Dismiss the notification in this place.
    Dismiss(usize),
    /// Show a take.
    Inspect(String),
    /// Show a take and play it.
    PlayTake(String),
    /// Make a take again.
    Regenerate(String, RegenerateSeed),
    /// Make several takes of the same with new seeds.
    RegenerateOften(String),
    /// Make a take in every mode.
    GenerateInAllModes(String),
    /// Make the clip on view again with the current settings from this frame on.
    Resume(usize),
    /// Make the clip on view again with these settings from this frame on.
    ResumeWith(usize, Sampling),
    /// Make the clip on view again with another seed from this frame on.
    Reseed(usize),
    /// Mark a take as a favourite, or no longer.
    ToggleFavourite(String),
    /// Give a take a name.
    Rename(String, String),
    /// Delete takes.
    Delete(Vec<String>),
    /// Restore what was deleted last.
    UndoDelete,
    /// Show a folder in the file manager.
    Reveal(PathBuf),
    /// Copy a command line that makes a take again.
    CopyCommand(String),
    /// Copy a text.
    Copy(String),
    /// Export a take.
    Export(String, ExportKind),
    /// Take over the settings that made a take.
    UseSettings(String),
    /// Settings of the next take.
    SetSampling(Sampling),
    /// Settings of the window.
    SetSettings(Box<Settings>),
    /// Ask for a recording as voice prompt.
    ChooseVoicePrompt,
    /// Record a voice prompt from the microphone, or end that.
    Record(bool),
    /// Use no voice prompt.
    RemoveVoicePrompt,
    /// What the voice prompt says, and who says it.
    EditVoicePrompt(String, u32),
    /// Use only these seconds of the voice prompt.
    TrimVoicePrompt(f64, f64),
    /// Play the voice prompt.
    PlayVoicePrompt,
    /// Start or stop playing.
    Play(bool),
    /// Move the position, seconds.
    Seek(f64),
    /// Select a part, seconds.
    SelectRegion(f64, f64),
    /// Play these seconds, over and over or once.
    PlayRegion(f64, f64, bool),
    /// Play the selected part over and over, or no longer.
    ToggleLoop,
    /// Select no part.
    ClearRegion,
    /// Gain of the player, 0 to 1.
    SetVolume(f32),
    /// Output device; `None` for the default one.
    SetDevice(Option<String>),
    /// Hear these codebooks of the clip on view.
    HearCodebooks(Codebooks),
    /// Hear the clip on view.
    HearClip,
    /// Hear the pinned clip in this place.
    HearPinned(usize),
    /// Stop measuring sounds, the recogniser included.
    StopMeasuring,
    /// Read the outlines of takes that have come into view.
    ReadOutlines(Vec<String>),
    /// Pin a take to be compared, or no longer.
    TogglePin(String),
    /// Pin what is heard of the clip on view: the take, a file that is no take, some codebooks; or no longer.
    PinHeard,
    /// Take all pinned takes away.
    UnpinAll,
    /// How a position in one pinned clip is found in another one.
    SetAlignment(Alignment),
    /// Whether pinned clips are heard as loud as they are.
    SetOwnLoudness(bool),
    /// Measure the sounds on view.
    MeasureSound,
    /// The command that recognises speech.
    SetRecogniser(String),
    /// Ask it what it hears in the sounds on view.
    Recognise,
    /// Ask for a file and write a listening test.
    MakeTest(TestRequest),
    /// Hear a button of the listening test's open trial.
    HearButton(usize),
    /// Values that are being given in the open trial.
    RateTrial(Vec<f64>),
    /// Answer the open trial.
    AnswerTrial(Choice),
    /// Take the last answer back.
    UndoAnswer,
    /// Who listens.
    NameListener(String),
    /// Close the listening test; the answers are kept.
    CloseTest,
    /// Hear this token in this place (frame, codebook) without keeping it.
    Audition(usize, usize, u32),
    /// Make a new take with this token in this place.
    UseToken(usize, usize, u32),
    /// Select frame and codebook; `None` follows the newest frame.
    Select(Option<(usize, usize)>),
    /// Codebook of the plots.
    SelectCodebook(usize),
    /// The part of the clip that is on view.
    View(TimeAxis),
    /// What the token map shows.
    ShowMap(MapContent),
    /// Whether lanes of sound show mel spectrograms.
    ShowSpectrograms(bool),
    /// Ask what these settings would have drawn; `None` asks nothing.
    AskWhatIf(Option<Sampling>),
    /// Select and hear the next problem of the clip, or the one before.
    NextProblem(bool),
    /// Ask something of the panels.
    Ask(Ask),
}

/// Something that a panel does when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Show a panel of the clip.
    Show(&'static str),
    /// Let the user type into the search field.
    Search,
    /// Rename the chosen take.
    Rename,
    /// Delete the chosen takes.
    Delete,
    /// Choose the take so many places further down.
    Step(isize),
    /// Show or hide the list of keys.
    Keys,
    /// Show or hide the command palette.
    Palette,
}

/// A command with a name, for the palette, and perhaps a key.
pub struct NamedCommand {
    /// What it does.
    pub title: &'static str,
    /// Its key. Without Ctrl, Cmd or a function key it is not for text fields.
    pub key: Option<KeyboardShortcut>,
    /// The command; `None` where there is nothing to do it with.
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
const SHIFT: Modifiers = Modifiers::SHIFT;
const COMMAND: Modifiers = Modifiers::COMMAND;
const COMMAND_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

/// Every command that needs no further choice. A key with Shift comes before the same one without: egui takes the first that fits,
/// and Shift may be one too many.
pub static COMMANDS: &[NamedCommand] = &[
    named("Speak as a reply to the turns before", key(COMMAND_SHIFT, Key::Enter), |s| {
        Some(Command::Speak(edited(s), true))
    }),
    named("Speak", key(COMMAND, Key::Enter), |s| Some(Command::Speak(edited(s), false))),
    named("Speak with three seeds", None, |s| Some(Command::SpeakOften(edited(s)))),
    named("Speak all turns", None, |_| Some(Command::SpeakConversation)),
    named("Play the conversation", None, |_| Some(Command::PlayConversation)),
    named("Export the conversation as WAV…", None, |_| Some(Command::ExportConversation)),
    named("Add a turn", key(COMMAND, Key::T), |_| Some(Command::AddTurn)),
    named("Show candidates", None, |_| Some(Command::Ask(Ask::Show("Candidates")))),
    named("Show statistics", None, |_| Some(Command::Ask(Ask::Show("Statistics")))),
    named("Show problems", None, |_| Some(Command::Ask(Ask::Show("Problems")))),
    named("Show measures of the sound", None, |_| Some(Command::Ask(Ask::Show("Sound")))),
    named("Show what if", None, |_| Some(Command::Ask(Ask::Show("What if")))),
    named("Show the comparison", None, |_| Some(Command::Ask(Ask::Show("Compare")))),
    named("Play or stop", key(NONE, Key::Space), |s| Some(Command::Play(!s.player.is_playing()))),
    named("Loop the selected part", key(NONE, Key::L), |_| Some(Command::ToggleLoop)),
    named("One frame back", key(NONE, Key::ArrowLeft), |s| Some(Command::Seek(s.player.position() - frame(s)))),
    named("One frame forward", key(NONE, Key::ArrowRight), |s| Some(Command::Seek(s.player.position() + frame(s)))),
    named("To the start", key(NONE, Key::Home), |_| Some(Command::Seek(0.0))),
    named("Hear all codebooks", None, |_| Some(Command::HearCodebooks(Codebooks::default()))),
    named("Previous problem", key(SHIFT, Key::N), |_| Some(Command::NextProblem(false))),
    named("Next problem", key(NONE, Key::N), |_| Some(Command::NextProblem(true))),
    named("Speak again from here with a new seed", key(NONE, Key::R), |s| Some(Command::Reseed(s.view.cell?.0))),
    named("Regenerate from here with the settings", None, |s| Some(Command::Resume(s.view.cell?.0))),
    named("Follow the newest frame", key(NONE, Key::F), |_| Some(Command::Select(None))),
    named("Show the whole clip", key(COMMAND, Key::Num0), |_| Some(Command::View(TimeAxis::default()))),
    named("Waveforms or mel spectrograms", key(NONE, Key::M), |s| {
        Some(Command::ShowSpectrograms(!s.view.spectrograms))
    }),
    named("Hear the clip on view", key(NONE, Key::Num0), |_| Some(Command::HearClip)),
    named("Pin or unpin what is heard of the clip on view", key(NONE, Key::P), |_| Some(Command::PinHeard)),
    named("Export the pinned takes as a page (HTML)…", None, |s| {
        (!s.pins.clips().is_empty()).then_some(Command::ExportPinned)
    }),
    named("Make an ABX test of the two pinned takes…", None, |s| {
        (s.pins.clips().len() == 2).then(|| test_of_pinned(s, TestKind::Abx))
    }),
    named("Make a preference test of the pinned takes…", None, |s| {
        (s.pins.clips().len() > 1).then(|| test_of_pinned(s, TestKind::Preference))
    }),
    named("Make a rating test of the pinned takes…", None, |s| {
        (s.pins.clips().len() > 1).then(|| test_of_pinned(s, TestKind::Rating))
    }),
    named("Unpin all takes", None, |_| Some(Command::UnpinAll)),
    named("Make the take again in all modes", None, |s| Some(Command::GenerateInAllModes(s.inspected.take.clone()?))),
    named("Make three takes with new seeds", None, |s| Some(Command::RegenerateOften(s.inspected.take.clone()?))),
    named("Use the take's settings", None, |s| Some(Command::UseSettings(s.inspected.take.clone()?))),
    named("Copy the take's seed", None, |s| Some(Command::Copy(s.inspected.spec.as_ref()?.sampling.seed.to_string()))),
    named("Copy a command that makes the take again", None, |s| Some(Command::CopyCommand(s.inspected.take.clone()?))),
    named("Export WAV…", None, |s| Some(Command::Export(s.inspected.take.clone()?, ExportKind::Wav))),
    named("Export page with sound (HTML)…", None, |s| {
        Some(Command::Export(s.inspected.take.clone()?, ExportKind::Page))
    }),
    named("Show the take's folder", None, |s| Some(Command::Reveal(s.library.store.path(s.inspected.take.as_ref()?)))),
    named("Next take", key(NONE, Key::ArrowDown), |_| Some(Command::Ask(Ask::Step(1)))),
    named("Previous take", key(NONE, Key::ArrowUp), |_| Some(Command::Ask(Ask::Step(-1)))),
    named("Search takes", key(COMMAND, Key::F), |_| Some(Command::Ask(Ask::Search))),
    named("Rename the take", key(NONE, Key::F2), |_| Some(Command::Ask(Ask::Rename))),
    named("Delete the takes that are chosen", key(NONE, Key::Delete), |_| Some(Command::Ask(Ask::Delete))),
    named("Restore what was deleted", key(COMMAND_SHIFT, Key::Z), |_| Some(Command::UndoDelete)),
    named("Open files…", key(COMMAND, Key::O), |_| Some(Command::ChooseFile)),
    named("Choose a voice prompt…", None, |_| Some(Command::ChooseVoicePrompt)),
    named("Record a voice prompt, or end that", None, |s| Some(Command::Record(s.microphone.is_none()))),
    named("Open a checkpoint's folder…", None, |_| Some(Command::ChooseModel)),
    named("Use the demo voice", None, |_| Some(Command::OpenModel(CheckpointSpec::default()))),
    named("Louder", key(COMMAND, Key::ArrowUp), |s| Some(Command::SetVolume((s.settings.volume + 0.1).min(1.0)))),
    named("Quieter", key(COMMAND, Key::ArrowDown), |s| Some(Command::SetVolume((s.settings.volume - 0.1).max(0.0)))),
    named("Light theme", None, |s| settings(s, |s| s.theme = Theme::Light)),
    named("Dark theme", None, |s| settings(s, |s| s.theme = Theme::Dark)),
    named("The system's theme", None, |s| settings(s, |s| s.theme = Theme::System)),
    named("Larger text", key(COMMAND, Key::Plus), |s| settings(s, |s| s.scale = (s.scale + 0.1).min(2.0))),
    named("Smaller text", key(COMMAND, Key::Minus), |s| settings(s, |s| s.scale = (s.scale - 0.1).max(0.7))),
    named("Show the log file's folder", None, |_| Some(Command::Reveal(crate::diagnostics::log_folder()?))),
    named("Commands", key(COMMAND, Key::K), |_| Some(Command::Ask(Ask::Palette))),
    named("Keys", key(NONE, Key::F1), |_| Some(Command::Ask(Ask::Keys))),
];

fn is_arrow(key: Key) -> bool {
    matches!(key, Key::ArrowUp | Key::ArrowDown | Key::ArrowLeft | Key::ArrowRight)
}

/// The place of the turn that is being edited, else of the last one.
fn edited(session: &Session) -> usize {
    session.conversation.edited()
}

/// A test in which each pinned take is a condition.
fn test_of_pinned(session: &Session, kind: TestKind) -> Command {
    Command::MakeTest(TestRequest {
        kind,
        template: Template::Takes,
        takes: session.pins.names(),
        low_anchor: false,
        hidden_repeat: false,
    })
}

/// Seconds of a frame.
fn frame(session: &Session) -> f64 {
    session.model_info().map_or(0.08, |m| m.dims.seconds(1))
}

fn settings(session: &Session, change: fn(&mut Settings)) -> Option<Command> {
    let mut settings = session.settings.clone();
    change(&mut settings);
    Some(Command::SetSettings(Box::new(settings)))
}

impl NamedCommand {
    /// Whether its key is one that works a button or a slider with the focus.
    pub fn works_widgets(&self) -> bool {
        let works = |key| matches!(key, Key::Space | Key::Enter | Key::Home | Key::End);
        self.key.is_some_and(|k| k.modifiers.is_none() && (works(k.logical_key) || is_arrow(k.logical_key)))
    }

    /// Whether its key works while a text is being edited.
    pub fn works_in_text(&self) -> bool {
        // Ctrl or Cmd with an arrow moves the caret.
        let works = |key| matches!(key, Key::F1 | Key::F2);
        self.key.is_some_and(|k| (k.modifiers.command && !is_arrow(k.logical_key)) || works(k.logical_key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
