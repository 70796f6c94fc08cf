//! The composer: the conversation, its voice prompt, the settings of the next take, and what waits to be spoken.

mod conversation;
mod draft;
mod queue;
mod voice_prompt;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use self::conversation::{Conversation, SpokenTurn, TurnDraft, TurnId, VoicePrompt};
use self::draft::SavedPrompt;
pub use self::draft::{Draft, DraftFile};
pub use self::queue::{GroupId, TakeOfTurn, TakePurpose, TakeRequest};
use self::queue::{PieceQueue, QueuedTurn, TurnText};
use super::effects::Effects;
use super::inspector::{Inspector, InspectorCommand};
use super::library::{Library, LibraryCommand, NewTakes, WRITE_TAKES};
use super::models::Models;
use super::monitor::{Monitor, MonitorCommand};
use super::notifications::Cause;
use super::session::{Owner, Session, StudioPaths};
use super::settings::Settings;
use super::tasks::{Key, QueuePosition, RECOMPUTE, SPEAK, Tasks};
use crate::audio::microphone::{MicrophoneRecording, MicrophoneSource};
use crate::audio::recording;
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Dtype, FinishReason, Mode, ModelDims, Sampling, Turn, is_speakable, random_seed};
use crate::engine::{GenerationRequest, Narration};
use crate::error::{Error, Result};
use crate::takes::{TakeFolder, TakeId};
use crate::text::{Pronunciations, Script, expected_seconds};
use crate::worker::{CancelToken, Event, GeneratedClip, Task};

const READ_CONTEXT: Key = Key("read context");
const READ_CONVERSATION: Key = Key("read conversation");
const WRITE_DRAFT: Key = Key("write draft");

/// Time between writes of the draft while it is edited.
pub(super) const DRAFT_SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// A task that makes takes side by side.
type TakesTask = Task<Vec<GeneratedClip>, (usize, Event)>;

/// The text of a turn as the voice speaks it.
fn script_of(turn: &TurnDraft, checkpoint: &Checkpoint, settings: &Settings) -> Result<Script> {
    checkpoint.script(&turn.text, turn.speaker, false, &Pronunciations::parse(&settings.pronunciations)?)
}

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

    // --- Speaking ---

    fn speak(&mut self, id: TurnId, with_context: bool, variants: usize, cx: &mut ComposerContext<'_>) {
        let Some(turn) = self.conversation.turn(id) else { return };
        let something = match cx.models.checkpoint() {
            Some(checkpoint) => {
                let script = cx.effects.or_notify_of(Cause::Speaking, script_of(turn, checkpoint, cx.settings));
                let Some(script) = script else { return };
                // Why there is nothing to say is said here; else when it is spoken.
                if script.pieces.is_empty() {
                    script.messages.into_iter().for_each(|text| cx.effects.notify(text));
                }
                script.pieces.iter().any(|piece| is_speakable(&piece.text))
            }
            None if cx.models.is_loading() => is_speakable(&turn.text),
            None => return cx.effects.notify(cx.models.status().unwrap_or_default()),
        };
        if !something {
            let expected = "something to say (at least a letter or digit)";
            return cx.effects.notify_error_of(Cause::Speaking, Error::invalid("text", expected, "nothing"));
        }
        let unspoken = self.conversation.before(id).filter(|turn| with_context && turn.takes().is_none());
        let unspoken: Vec<TurnId> = unspoken.map(|turn| turn.id).filter(|id| !self.will_speak(*id)).collect();
        match unspoken.len() {
            0 => {}
            1 => cx.effects.notify("The turn before it is spoken first"),
            n => cx.effects.notify(format!("{n} turns before it are spoken first")),
        }
        self.queue.extend(unspoken.into_iter().map(|turn| QueuedTurn::new(turn, with_context)));
        self.queue.push_back(QueuedTurn { variants, ..QueuedTurn::new(id, with_context) });
        self.speak_next(cx);
    }

    fn speak_conversation(&mut self, cx: &mut ComposerContext<'_>) {
        let unspoken: Vec<TurnId> = self.conversation.unspoken().collect();
        if unspoken.is_empty() {
            return cx.effects.notify("Every turn has been spoken");
        }
        self.queue.extend(unspoken.into_iter().map(|turn| QueuedTurn::new(turn, true)));
        self.speak_next(cx);
    }

    fn will_speak(&self, id: TurnId) -> bool {
        self.speaking == Some(id) || self.queue.iter().any(|queued| queued.turn == id)
    }

    fn clear_queue(&mut self, cx: &mut ComposerContext<'_>) {
        self.queue.clear();
        cx.tasks.cancel_work(READ_CONTEXT);
    }

    fn stop(&mut self, cx: &mut ComposerContext<'_>) {
        self.clear_queue(cx);
        cx.tasks.cancel_task(SPEAK);
        cx.tasks.cancel_task(RECOMPUTE);
    }

    /// Starts the next turn, or the next piece of one, if nothing has to be waited for.
    fn speak_next(&mut self, cx: &mut ComposerContext<'_>) {
        // A take that is being written may be context of the next turn.
        let waits = !cx.tasks.is_idle()
            || !cx.models.is_ready()
            || [WRITE_TAKES, READ_CONTEXT, voice_prompt::READ_RECORDING].iter().any(|key| cx.tasks.is_running(*key))
            || self.conversation.waits_for_prompt();
        if waits {
            return;
        }
        let Some(mut next) = self.queue.pop_front() else { return };
        match next.pieces.take() {
            None => self.prepare(next, cx),
            // The piece before it is still playing.
            Some(pieces) if pieces.spoken > 0 && cx.settings.autoplay && cx.monitor.is_playing_current_clip() => {
                self.queue.push_front(QueuedTurn { pieces: Some(pieces), ..next });
            }
            Some(pieces) => self.speak_piece(next, pieces, cx),
        }
    }

    /// Cuts the text of a turn into pieces and reads its context.
    fn prepare(&mut self, mut queued: QueuedTurn, cx: &mut ComposerContext<'_>) {
        let (Some(turn), Some(checkpoint)) = (self.conversation.turn(queued.turn).cloned(), cx.models.checkpoint())
        else {
            return;
        };
        let dims = checkpoint.dims();
        let script = cx.effects.or_notify_of(Cause::Speaking, script_of(&turn, checkpoint, cx.settings));
        let Some(mut script) = script else { return };
        std::mem::take(&mut script.messages).into_iter().for_each(|text| cx.effects.notify(text));
        if script.pieces.len() > 1 {
            cx.effects.notify(format!("Long text: spoken in {} pieces", script.pieces.len()));
        }
        let mut context: Vec<Option<Turn>> = self.conversation.prompt_turn().map(Some).into_iter().collect();
        let mut to_read = Vec::new();
        for before in self.conversation.before(queued.turn).filter(|_| queued.with_context) {
            let Some(takes) = before.takes() else {
                let expected = format!("the turn {:?} to be spoken before the one that answers it", before.text);
                return cx
                    .effects
                    .notify_error_of(Cause::Speaking, Error::invalid("conversation", expected, "no take of it"));
            };
            for id in takes {
                let take = cx.library.store.get(id);
                let (speaker, text) = take.map_or((before.speaker, &before.text), |take| (take.speaker, &take.text));
                to_read.push((context.len(), speaker, text.clone(), id.clone()));
                context.push(None);
            }
        }
        if cx.settings.random_seed
            && let Some(seed) = cx.effects.or_notify(random_seed())
        {
            self.sampling.seed = seed;
        }
        let (sampling, max_frames) = (self.sampling, longest_frames(cx.settings, &dims));
        let spec = move |context| ClipSpec { context, ..ClipSpec::new("", 0, sampling) };
        let folder = cx.library.store.folder().clone();
        let read = move |_: &_| {
            for (at, speaker, text, take) in to_read {
                let frames = folder.read_tokens(&take, &dims)?.frames;
                context[at] = Some(Turn { speaker, text, frames });
            }
            Ok(context.into_iter().flatten().collect())
        };
        cx.tasks.run(READ_CONTEXT, read, move |composer: &mut Self, cx, context: Result<Vec<Turn>>| {
            let Some(context) = cx.effects.or_notify(context) else { return };
            let narration = Narration::new(spec(context), script.pieces, max_frames, true);
            let turn = TurnText { turn: turn.id, speaker: turn.speaker, text: turn.text };
            queued.pieces = Some(PieceQueue { narration, turn, spoken: 0 });
            composer.queue.push_front(queued);
            composer.speak_next(cx);
        });
    }

    fn speak_piece(&mut self, mut queued: QueuedTurn, mut pieces: PieceQueue, cx: &mut ComposerContext<'_>) {
        let Some(checkpoint) = cx.models.checkpoint() else { return };
        if !self.conversation.is_current(&pieces.turn) {
            if pieces.spoken > 0 && self.conversation.turn(queued.turn).is_some() {
                cx.effects.notify("The text was changed; the rest of it as it was is not spoken");
            }
            return;
        }
        let dims = checkpoint.dims();
        let request = match pieces.narration.next(&dims, |spec| checked_prompt(spec, checkpoint)) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(e) => {
                self.queue.clear();
                return cx.effects.notify_error(e);
            }
        };
        let is_last = pieces.narration.remaining() == 0;
        let after = queued.with_context.then(|| self.conversation.takes_before(queued.turn).unwrap_or_default());
        let mut purpose = TakePurpose {
            turn: Some(TakeOfTurn { turn: pieces.turn.clone(), piece: pieces.spoken, is_last, after }),
            ..TakePurpose::default()
        };
        let mut seeds = vec![request.spec.sampling.seed];
        if queued.variants > 1 {
            seeds.extend((1..queued.variants).filter_map(|_| cx.effects.or_notify(random_seed())));
            purpose.group = Some(GroupId::new());
        }
        pieces.spoken += 1;
        if !is_last {
            queued.pieces = Some(pieces);
            self.queue.push_front(queued);
        }
        self.generate(request, seeds, purpose, cx);
    }

    /// Makes takes from another take. They may become as long as that one.
    fn make_takes(&mut self, request: TakeRequest, cx: &mut ComposerContext<'_>) {
        let TakeRequest { spec, more_seeds, retake, parent, group } = request;
        let Some(checkpoint) = cx.models.checkpoint() else {
            return cx.effects.notify(cx.models.status().unwrap_or_default());
        };
        let dims = checkpoint.dims();
        // One frame more, so that a clip that the model ended can end again.
        let frames = cx.library.store.get(&parent).map_or(0, |take| take.measures.frames + 1);
        let frames = if retake.is_some() { 2 * frames } else { frames };
        let max_frames = longest_frames(cx.settings, &dims).max(frames);
        let prompt =
            checked_prompt(&spec, checkpoint).and_then(|prompt| prompt.check_fits(max_frames, &dims).map(|()| prompt));
        let Some(prompt) = cx.effects.or_notify_of(Cause::Speaking, prompt) else { return self.queue.clear() };
        cx.effects.resolve(Cause::Speaking);
        let seed = retake.as_ref().map_or(spec.sampling.seed, |retake| retake.seed);
        let seeds = std::iter::once(seed).chain(more_seeds).collect();
        let purpose = TakePurpose { turn: None, parent: Some(parent), group };
        let request = GenerationRequest { retake, ..GenerationRequest::new(&spec, prompt, max_frames) };
        self.generate(request, seeds, purpose, cx);
    }

    /// Queues takes of one request, one for each of `seeds`.
    fn generate(
        &self,
        request: GenerationRequest,
        seeds: Vec<u64>,
        purpose: TakePurpose,
        cx: &mut ComposerContext<'_>,
    ) {
        let turn = purpose.turn.as_ref().map(|of| of.turn.turn);
        let start = move |composer: &mut Self, cx: &mut ComposerContext<'_>, cancel: CancelToken| {
            composer.start_takes(request, seeds, turn, cx, cancel)
        };
        let on_event = |_: &mut Self, cx: &mut ComposerContext<'_>, (clip, event): (usize, Event)| {
            // The first clip is shown while it is made; the others are stored with it.
            if clip == 0 {
                show_event(event, cx.effects);
            }
        };
        let then = move |composer: &mut Self, cx: &mut ComposerContext<'_>, made: Result<Vec<GeneratedClip>>| {
            composer.speaking = None;
            cx.effects.send(MonitorCommand::Finish);
            match made {
                Ok(made) => composer.on_takes_made(made, purpose, cx),
                Err(e) => {
                    composer.clear_queue(cx);
                    cx.effects.notify_error(e);
                }
            }
        };
        cx.tasks.ask(SPEAK, QueuePosition::Last, start, on_event, then);
    }

    fn start_takes(
        &mut self,
        request: GenerationRequest,
        seeds: Vec<u64>,
        turn: Option<TurnId>,
        cx: &mut ComposerContext<'_>,
        cancel: CancelToken,
    ) -> Result<Option<TakesTask>> {
        let (Some(worker), Some(checkpoint)) = (cx.models.worker(), cx.models.checkpoint()) else { return Ok(None) };
        self.bytes_read_before = checkpoint.tensors.bytes_read();
        let spec = request.spec.clone();
        let tracking = cx.models.tracking(&spec, &request.prompt);
        let task = worker.generate_batch(request.observed().tracked(tracking.clone()), seeds, cancel)?;
        self.speaking = turn;
        let expected = expected_seconds(&spec.text).min(cx.settings.max_seconds);
        cx.effects.send(InspectorCommand::BeginClip { spec: Box::new(spec), tracking: tracking.map(Box::new) });
        cx.effects.send(MonitorCommand::Begin { expected });
        Ok(Some(task))
    }

    /// The first take belongs to the turn and is shown; the others are stored with it.
    fn on_takes_made(&mut self, made: Vec<GeneratedClip>, purpose: TakePurpose, cx: &mut ComposerContext<'_>) {
        for (n, generated) in made.iter().enumerate() {
            if n == 0 {
                let end_frame = generated.end_frame.clone().map(Box::new);
                let words = generated.words.clone().unwrap_or_default();
                let (stop, edits) = (generated.clip.stop, generated.clip.origin.edits.clone());
                cx.effects.send(InspectorCommand::FinishClip { stop, end_frame, words, edits });
            }
            generated.issues.iter().for_each(|issue| cx.effects.notify(issue.describe()));
        }
        // Only pieces are context of the next piece; a take may have been regenerated between two of them.
        if let Some(first) = made.first().filter(|made| made.clip.stop != Some(FinishReason::Cancelled))
            && purpose.turn.is_some()
            && let Some(pieces) = self.queue.front_mut().and_then(|queued| queued.pieces.as_mut())
        {
            pieces.narration.spoken(&first.clip.codes);
        }
        cx.effects.send(LibraryCommand::Store(Box::new(NewTakes { made, purpose })));
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

/// Shows an event of the clip that is being made.
fn show_event(event: Event, effects: &mut Effects) {
    match event {
        Event::Frame(frame) => effects.send(InspectorCommand::AppendFrame(frame)),
        Event::Audio(samples) => {
            effects.send(InspectorCommand::AppendAudio(samples.clone()));
            effects.send(MonitorCommand::Append(samples));
        }
        Event::Retry { .. } => {} // the window's jobs have no retries
    }
}

/// The prompt of `spec`, with everything checked that can be checked before it is generated.
fn checked_prompt(spec: &ClipSpec, checkpoint: &Checkpoint) -> Result<crate::data::Prompt> {
    spec.sampling.check(&checkpoint.dims())?;
    checkpoint.info.check_speaker("speaker", spec.speaker)?;
    checkpoint.prompt(spec)
}

/// Frames of the longest take that the settings allow.
fn longest_frames(settings: &Settings, dims: &ModelDims) -> usize {
    dims.frames_in(settings.max_seconds).max(1)
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
