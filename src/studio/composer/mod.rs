//! The composer: the conversation, its voice prompt, the settings of the next take, and what waits to be spoken.

mod conversation;
mod draft;
mod queue;
mod speaking;
mod voice_prompt;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use self::conversation::{Conversation, SpokenTurn, TurnDraft, TurnId, VoicePrompt};
use self::draft::SavedPrompt;
pub use self::draft::{Draft, DraftFile};
use self::queue::QueuedTurn;
pub use self::queue::{GroupId, TakeOfTurn, TakePurpose, TakeRequest};
use self::speaking::script_of;
use super::effects::Effects;
use super::inspector::{Inspector, InspectorCommand};
use super::library::Library;
use super::models::Models;
use super::monitor::{Monitor, MonitorCommand};
use super::session::{Owner, Session, StudioPaths};
use super::settings::Settings;
use super::tasks::{Key, Tasks};
use crate::audio::microphone::{MicrophoneRecording, MicrophoneSource};
use crate::audio::recording;
use crate::data::{Dtype, Mode, ModelDims, Sampling};
use crate::error::Result;
use crate::takes::{TakeFolder, TakeId};

const READ_CONTEXT: Key = Key("read context");
const READ_CONVERSATION: Key = Key("read conversation");
const WRITE_DRAFT: Key = Key("write draft");

/// Time between writes of the draft while it is edited.
pub(super) const DRAFT_SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Silence between the turns of a conversation that is played or exported, in seconds.
const PAUSE: f64 = 0.3;

pub struct Composer {
    pub conversation: Conversation,
    /// Settings of the next take.
    pub sampling: Sampling,
    /// Turns that wait to be spoken, the next one first.
    queue: VecDeque<QueuedTurn>,
    /// The turn of the take that is being made.
    speaking: Option<TurnId>,
    /// Bytes of the model that had been read when the running take was started.
    bytes_read_before: u64,
    /// A recording that is being made for the voice prompt.
    pub microphone: Option<MicrophoneRecording>,
    microphone_source: MicrophoneSource,
    recordings: PathBuf,
    saved_draft: Draft,
    draft_file: DraftFile,
    /// The last session's draft, until a model is ready to restore it.
    to_restore: Option<Draft>,
    /// The entries of a voice prompt that is being read again.
    restored_prompt: Option<SavedPrompt>,
    /// The current take.
    viewed: Option<TakeId>,
    draft_saved_at: Instant,
}

/// Commands of the composer, and what other owners tell it.
#[derive(Clone, Debug, PartialEq)]
pub enum ComposerCommand {
    /// Speak a turn, with the turns before it as context or without. Those of them that have not been spoken are spoken first. A
    /// longer text becomes several turns, a piece each, which are spoken one after another.
    Speak {
        turn: TurnId,
        /// Whether the turns before it are context.
        with_context: bool,
    },
    /// Speak a turn as several takes, each with its own seed, side by side.
    SpeakVariants {
        turn: TurnId,
        takes: usize,
    },
    /// Speak all turns that have no take, or one after other takes, in order.
    SpeakConversation,
    /// Play the takes of all turns one after another.
    PlayConversation,
    /// Stop making takes; what was made is kept.
    Stop,
    /// Add a turn of the other speaker.
    AddTurn,
    /// Change speaker and text of a turn.
    EditTurn {
        turn: TurnId,
        speaker: u32,
        text: String,
    },
    FocusTurn(TurnId),
    RemoveTurn(TurnId),
    /// Swap a turn with the one before it.
    MoveTurnUp(TurnId),
    /// Settings of the next take.
    SetSampling(Sampling),
    /// Use a recording as voice prompt.
    SetVoicePrompt(PathBuf),
    /// Record a voice prompt from the microphone.
    StartRecording,
    /// End the recording and use it.
    StopRecording,
    /// Use no voice prompt.
    RemoveVoicePrompt,
    /// Change text and speaker of the voice prompt.
    EditVoicePrompt {
        /// The transcript of the recording.
        text: String,
        speaker: u32,
    },
    /// Use only these seconds of the voice prompt.
    TrimVoicePrompt {
        from: f64,
        to: f64,
    },
    /// Play the part of the voice prompt that is used.
    PlayVoicePrompt,
    /// Make takes from another take.
    MakeTakes(Box<TakeRequest>),
    /// A take of a turn is stored.
    TurnSpoken {
        of: TakeOfTurn,
        take: TakeId,
    },
    /// Play the takes of a turn.
    PlayTurn(TurnId),
    /// The files of a model are read.
    ModelRead,
    /// Takes can be made.
    ModelReady,
    /// Another model is being opened: the codes of the voice prompt are not its codes.
    ForgetPromptCodes,
    /// Speak nothing of what waits.
    ClearQueue,
}

/// Data that [`Composer`] may read.
pub struct ComposerContext<'a> {
    settings: &'a Settings,
    models: &'a Models,
    inspector: &'a Inspector,
    library: &'a Library,
    monitor: &'a Monitor,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Composer {
    type Command = ComposerCommand;
    type Context<'a> = ComposerContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, ComposerContext<'_>) {
        let Session { composer, preferences, models, inspector, library, monitor, tasks, effects, .. } = session;
        let settings = &preferences.settings;
        (composer, ComposerContext { settings, models, inspector, library, monitor, tasks, effects })
    }

    fn handle(&mut self, command: ComposerCommand, cx: &mut ComposerContext<'_>) {
        match command {
            ComposerCommand::Speak { turn, with_context } => self.speak(turn, with_context, 1, cx),
            ComposerCommand::SpeakVariants { turn, takes } => self.speak(turn, false, takes, cx),
            ComposerCommand::SpeakConversation => self.speak_conversation(cx),
            ComposerCommand::PlayConversation => self.play_conversation(cx),
            ComposerCommand::Stop => self.stop(cx),
            ComposerCommand::AddTurn => {
                let speaker = self.conversation.turns().last().map_or(0, |t| 1 - t.speaker.min(1));
                let turn = self.conversation.add(speaker, "");
                self.conversation.focus(turn);
            }
            ComposerCommand::EditTurn { turn, speaker, text } => self.conversation.edit(turn, speaker, &text),
            ComposerCommand::FocusTurn(turn) => self.conversation.focus(turn),
            ComposerCommand::RemoveTurn(turn) => self.conversation.remove(turn),
            ComposerCommand::MoveTurnUp(turn) => self.conversation.move_up(turn),
            ComposerCommand::SetSampling(sampling) => self.sampling = sampling,
            ComposerCommand::SetVoicePrompt(path) => self.set_voice_prompt(path, cx),
            ComposerCommand::StartRecording => self.start_recording(cx),
            ComposerCommand::StopRecording => self.microphone.iter().for_each(MicrophoneRecording::stop),
            ComposerCommand::RemoveVoicePrompt => self.remove_voice_prompt(cx),
            ComposerCommand::EditVoicePrompt { text, speaker } => {
                self.conversation.prompt.iter_mut().for_each(|p| (p.text, p.speaker) = (text.clone(), speaker));
            }
            ComposerCommand::TrimVoicePrompt { from, to } => self.trim_voice_prompt(from, to, cx),
            ComposerCommand::PlayVoicePrompt => self.play_voice_prompt(cx),
            ComposerCommand::MakeTakes(request) => self.make_takes(*request, cx),
            ComposerCommand::TurnSpoken { of, take } => self.conversation.add_take(&of, take),
            ComposerCommand::PlayTurn(turn) => {
                let takes = self.conversation.turn(turn).and_then(TurnDraft::takes).map(<[_]>::to_vec);
                takes.into_iter().for_each(|takes| Self::play_takes(takes, cx));
            }
            ComposerCommand::ModelRead => self.suggest_sampling(cx),
            ComposerCommand::ModelReady => {
                if self.conversation.waits_for_prompt()
                    && let Some(path) = self.conversation.prompt.as_ref().map(|prompt| prompt.path.clone())
                {
                    self.set_voice_prompt(path, cx);
                }
            }
            ComposerCommand::ForgetPromptCodes => {
                self.conversation.prompt.iter_mut().for_each(|prompt| prompt.codes = None);
            }
            ComposerCommand::ClearQueue => self.clear_queue(cx),
        }
    }
}

impl Composer {
    /// The composer with the draft of the last session.
    pub(super) fn new(paths: &StudioPaths, settings: &Settings, draft: Draft, draft_file: DraftFile) -> Self {
        Self {
            to_restore: Some(draft.clone()),
            restored_prompt: None,
            viewed: draft.viewed.clone(),
            conversation: Conversation::new(draft.turns.clone()),
            sampling: settings.sampling.unwrap_or_else(provisional_sampling),
            queue: VecDeque::new(),
            speaking: None,
            bytes_read_before: 0,
            microphone: None,
            microphone_source: paths.source.clone(),
            recordings: paths.recordings(),
            saved_draft: draft,
            draft_file,
            draft_saved_at: Instant::now(),
        }
    }

    /// Takes in a finished recording, starts the next turn, and saves the draft.
    pub(super) fn poll(&mut self, cx: &mut ComposerContext<'_>) {
        self.restore(cx);
        if self.to_restore.is_none() {
            self.viewed = cx.inspector.current.take.clone();
        }
        self.poll_microphone(cx);
        self.speak_next(cx);
        if self.draft_saved_at.elapsed() >= DRAFT_SAVE_INTERVAL {
            self.save_draft(cx);
        }
    }

    /// Writes the turns if they have changed.
    pub(super) fn save_draft(&mut self, cx: &mut ComposerContext<'_>) {
        if !self.has_unsaved_draft() {
            return;
        }
        self.draft_saved_at = Instant::now();
        self.saved_draft = self.draft();
        let (draft, path) = (self.saved_draft.clone(), self.draft_file.path().to_owned());
        let report = |_: &mut Self, cx: &mut ComposerContext<'_>, written: Result<()>| {
            cx.effects.or_notify(written);
        };
        cx.tasks.run_in_turn(WRITE_DRAFT, move || draft.write(&path), report);
    }

    /// Whether there are turns that have not been written yet, and the time until they are.
    pub fn has_unsaved_draft(&self) -> bool {
        let Draft { turns, prompt, viewed } = &self.saved_draft;
        turns != self.conversation.turns() || *viewed != self.viewed || *prompt != self.draft_prompt()
    }

    /// The draft for the next session.
    fn draft(&self) -> Draft {
        let turns = self.conversation.turns().to_vec();
        Draft { turns, prompt: self.draft_prompt(), viewed: self.viewed.clone() }
    }

    /// The voice prompt that the next session begins with.
    fn draft_prompt(&self) -> Option<SavedPrompt> {
        match &self.to_restore {
            // The prompt of the last session waits for a model.
            Some(draft) => draft.prompt.clone(),
            None => self.conversation.prompt.as_ref().map(SavedPrompt::of).or(self.restored_prompt.clone()),
        }
    }

    /// Reads the voice prompt of the last session again and shows the take that it showed, once there is a model.
    fn restore(&mut self, cx: &mut ComposerContext<'_>) {
        if !cx.models.is_ready() {
            return;
        }
        let Some(draft) = self.to_restore.take() else { return };
        if let Some(prompt) = draft.prompt.filter(|_| self.conversation.prompt.is_none()) {
            self.restored_prompt = Some(prompt.clone());
            self.set_voice_prompt(prompt.path, cx);
        }
        let is_empty = cx.inspector.current.take.is_none() && cx.inspector.current.clip.codes.is_empty();
        if let Some(take) = draft.viewed.filter(|take| is_empty && cx.library.store.get(take).is_some()) {
            cx.effects.send(InspectorCommand::View(take));
        }
    }

    /// Number of waiting takes, given the number that waits for the worker.
    pub(super) fn waiting_takes(&self, for_worker: usize) -> usize {
        for_worker + self.queue.iter().map(QueuedTurn::remaining).sum::<usize>()
    }

    /// Bytes of the model that had been read when the running take was started.
    pub(super) fn bytes_read_before(&self) -> u64 {
        self.bytes_read_before
    }

    /// Pieces in which the text of `turn` would be spoken; 0 without a model, or if it cannot be.
    pub fn pieces_of(turn: &TurnDraft, models: &Models, settings: &Settings) -> usize {
        let script = models.checkpoint().map(|checkpoint| script_of(turn, checkpoint, settings));
        script.and_then(Result::ok).map_or(0, |script| script.pieces.len())
    }

    /// Positions that the conversation up to `turn` and the longest speech take, and those of the model.
    pub fn context_meter(
        &self,
        turn: TurnId,
        models: &Models,
        library: &Library,
        settings: &Settings,
    ) -> Option<(usize, usize)> {
        let checkpoint = models.checkpoint()?;
        let dims = checkpoint.dims();
        let text = |speaker, text: &str| checkpoint.text_ids(speaker, text).map_or(0, |ids| ids.len());
        let mut used = dims.frames_in(settings.max_seconds);
        if let Some(prompt) = &self.conversation.prompt {
            used += text(prompt.speaker, &prompt.text) + prompt.codes.as_ref().map_or(0, |codes| codes.len() + 1);
        }
        for before in self.conversation.before(turn) {
            used += text(before.speaker, &before.text);
            let takes = before.takes().unwrap_or_default().iter().filter_map(|take| library.store.get(take));
            used += takes.map(|take| take.measures.frames + 1).sum::<usize>();
        }
        used += self.conversation.turn(turn).map_or(0, |turn| text(turn.speaker, &turn.text));
        Some((used, dims.max_positions))
    }

    fn suggest_sampling(&mut self, cx: &ComposerContext<'_>) {
        let Some(checkpoint) = cx.models.checkpoint() else { return };
        let suggested = checkpoint.suggested_sampling(self.sampling.mode, 0);
        let remembered = cx.settings.sampling.filter(|s| s.check(&checkpoint.dims()).is_ok());
        self.sampling = remembered.unwrap_or(suggested);
    }

    fn play_conversation(&self, cx: &mut ComposerContext<'_>) {
        if let Some(takes) = cx.effects.or_notify(self.conversation.all_takes()) {
            Self::play_takes(takes, cx);
        }
    }

    fn play_takes(takes: Vec<TakeId>, cx: &mut ComposerContext<'_>) {
        let rate = cx.models.sample_rate();
        let folder = cx.library.store.folder().clone();
        let read = move |_: &_| conversation_audio(&folder, &takes, rate);
        cx.tasks.run(READ_CONVERSATION, read, move |_: &mut Self, cx, samples: Result<Vec<f32>>| {
            if let Some(samples) = cx.effects.or_notify(samples) {
                cx.effects.send(MonitorCommand::PlaySound { samples, rate });
            }
        });
    }
}

/// Settings until the model is known.
fn provisional_sampling() -> Sampling {
    let dims = ModelDims {
        codebooks: 2,
        vocab: usize::MAX,
        codec_size: 1,
        frame_rate: 12.5,
        sample_rate: crate::data::MIMI_SAMPLE_RATE,
        max_positions: 1,
    };
    Sampling::suggested(Mode::default(), 0, Dtype::Float32, &dims, |_| None)
}

/// The sound of takes, one after another, with a pause between.
pub(super) fn conversation_audio(folder: &TakeFolder, takes: &[TakeId], rate: usize) -> Result<Vec<f32>> {
    let mut audio = Vec::new();
    for (n, take) in takes.iter().enumerate() {
        if n > 0 {
            audio.resize(audio.len() + (PAUSE * rate as f64) as usize, 0.0);
        }
        audio.extend(recording::samples(&folder.audio_path(take), rate)?);
    }
    Ok(audio)
}
