//! UI-independent application state: the conversation, the running task, the inspected clip, the takes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::settings::Settings;
use super::state::{Conversation, Draft, Notifications, SpokenTurn, TurnId, VoicePrompt};
use crate::analysis::statistics::TokenStats;
use crate::audio::player::{Player, Sink};
use crate::audio::recording;
use crate::audio::wav::{self, WavInfo};
use crate::checkpoint::{Checkpoint, CheckpointSpec};
use crate::data::command_line::generate_line;
use crate::data::{
    ClipSpec, Codes, Dtype, Edit, FinishReason, Logits, Mode, ModelDims, ModelInfo, Sampling, TokenFile, Turn,
    is_speakable,
};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::report::{self, ClipReport, Report, StepsUnavailable};
use crate::takes::{ClipSummary, Store, Take};
use crate::text::{Script, expected_seconds};
use crate::worker::{CancelToken, ClipEvent, Event, FrameEvent, GeneratedClip, Task, Update, WorkerHandle};

/// The clip on view with everything known of its draws.
#[derive(Default)]
pub struct InspectedClip {
    /// The take, once it is kept.
    pub take: Option<String>,
    /// What made it.
    pub spec: Option<ClipSpec>,
    /// Its codes.
    pub frames: Codes,
    /// Statistics of its draws, `[T][K]`; fewer frames while they are being computed.
    pub steps: Vec<Vec<TokenStats>>,
    /// Logits of its draws; as many frames as `steps`.
    pub logits: Vec<Logits>,
    /// Settings of its draws, per frame.
    pub samplings: Vec<Sampling>,
    /// Smallest and largest sample of every [`PEAK`] samples.
    pub peaks: Vec<(f32, f32)>,
    /// Its waveform.
    pub audio: Vec<f32>,
    /// Samples a second.
    pub rate: usize,
    /// Time of computing over duration.
    pub real_time_factor: f64,
    /// Why it ended; `None` while it runs.
    pub stop: Option<FinishReason>,
    /// Counts changes, so that pictures of it are drawn again only then.
    pub version: u64,
}

/// Frames that are heard before and after a token that is auditioned.
const AUDITION_BEFORE: usize = 4;
const AUDITION_AFTER: usize = 4;

/// Checkpoints that are remembered.
const RECENT_MODELS: usize = 8;

/// Samples a second where no model says.
const DEFAULT_RATE: usize = 24_000;

/// Samples in one peak of the waveform: 10 ms at 24 kHz.
pub const PEAK: usize = 240;

impl InspectedClip {
    fn push_audio(&mut self, samples: &[f32]) {
        self.audio.extend_from_slice(samples);
        self.peaks.truncate(self.audio.len().saturating_sub(samples.len()) / PEAK);
        let from = self.peaks.len() * PEAK;
        let peak = |c: &[f32]| c.iter().fold((0f32, 0f32), |(low, high), s| (low.min(*s), high.max(*s)));
        self.peaks.extend(self.audio[from..].chunks(PEAK).map(peak));
        self.version += 1;
    }

    fn push_frame(&mut self, event: FrameEvent) {
        let frame = event.frame;
        if let Some(logits) = frame.logits {
            self.steps.push(TokenStats::measure_frame(&logits, &frame.codes, &frame.sampling));
            self.logits.push(logits);
            self.samplings.push(frame.sampling);
        }
        self.version += 1;
    }
}

/// A task that waits for the worker.
enum QueuedTask {
    /// Speak.
    Speak(Box<ClipToSpeak>),
    /// Compute the draws of the inspected take again.
    TeacherForce { take: Option<String> },
    /// Encode the voice prompt from this file.
    Encode { path: PathBuf, samples: Vec<f32> },
    /// Decode a token file and show it.
    Decode { path: PathBuf, file: Box<TokenFile> },
    /// Decode codes to be heard from `from` to `to` seconds.
    Audition { frames: Codes, from: f64, to: f64 },
}

/// A clip to speak, and what it is for.
struct ClipToSpeak {
    spec: ClipSpec,
    /// The turn it belongs to, and the takes that it hears.
    turn: Option<(TurnId, Option<Vec<String>>)>,
    /// The take it is made from.
    parent: Option<String>,
    /// Longest speech.
    max_frames: usize,
    /// Seeds of further takes of the same, made beside it.
    more_seeds: Vec<u64>,
}

/// A turn to be spoken, as one clip or in pieces. What it hears is looked up when its time has come.
struct TurnToSpeak {
    turn: TurnId,
    with_context: bool,
    /// Takes that are made of it, each with a seed of its own.
    takes: usize,
    /// The pieces that are still to be spoken, once the turn has been cut: turns of their own.
    pieces: Option<VecDeque<TurnId>>,
    /// The piece before the next one, once it is made. It may still be heard: the next one begins after that.
    before: Option<Turn>,
}

/// The task that the worker runs.
enum ActiveTask {
    Speak { clip: Box<ClipToSpeak>, task: Task<GeneratedClip> },
    SpeakSeeds { clip: Box<ClipToSpeak>, task: Task<Vec<GeneratedClip>, ClipEvent> },
    TeacherForce { task: Task<GeneratedClip> },
    Encode { path: PathBuf, task: Task<Codes> },
    Audition { from: f64, to: f64, task: Task<Vec<f32>> },
    Decode { path: PathBuf, file: Box<TokenFile>, task: Task<Vec<f32>> },
}

/// Files of the window, and its sound.
pub struct StudioPaths {
    /// The takes' folder.
    pub takes: PathBuf,
    /// The settings file.
    pub settings: PathBuf,
    /// Where the sound goes; `None` for the device of the settings.
    pub sink: Option<Sink>,
    /// The checkpoint's folder or id; `None` for the embedded voice.
    pub model: CheckpointSpec,
    /// Files to open: folders of takes, token files, WAV files.
    pub open: Vec<PathBuf>,
}

impl StudioPaths {
    /// The draft's file.
    fn draft(&self) -> PathBuf {
        self.settings.with_file_name("draft.json")
    }
}

/// The model: being read, failed, or in use.
enum ModelState {
    Reading(Receiver<Result<Arc<Checkpoint>>>),
    Failed(String),
    Loading { checkpoint: Arc<Checkpoint>, worker: WorkerHandle, codec: Task<()> },
    Ready { checkpoint: Arc<Checkpoint>, worker: WorkerHandle },
}

/// The state.
pub struct Session {
    /// Remembered settings.
    pub settings: Settings,
    saved: Settings,
    paths: StudioPaths,
    model: ModelState,
    wake: Arc<dyn Fn() + Send + Sync>,
    queue: VecDeque<QueuedTask>,
    /// Turns that are still to be spoken, the next one first.
    to_speak: VecDeque<TurnToSpeak>,
    /// A recording that is being read for the voice prompt.
    recording: Option<(PathBuf, Receiver<Result<recording::Recording>>)>,
    active: Option<ActiveTask>,
    auditioning: bool,
    /// The model to open when the running take is kept.
    next_model: Option<CheckpointSpec>,
    /// Files that are opened as soon as it is known whether there is a model.
    to_open: VecDeque<PathBuf>,
    /// The conversation.
    pub conversation: Conversation,
    saved_draft: Draft,
    /// Settings of the next take.
    pub sampling: Sampling,
    /// The clip on view.
    pub inspected: InspectedClip,
    /// The takes.
    pub store: Store,
    /// The player.
    pub player: Player,
    /// What happened.
    pub notifications: Notifications,
}

impl Session {
    /// Starts loading the model in the background. `wake` is called when there is news.
    ///
    /// # Errors
    /// Where the takes' folder cannot be used or no thread can be started.
    pub fn new(paths: StudioPaths, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let (settings, problem) = Settings::read(&paths.settings);
        let (draft, unreadable) = Draft::read(&paths.draft());
        let mut store = Store::open(&paths.takes)?;
        let damaged = std::mem::take(&mut store.damaged);
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let mut player = Player::new(paths.sink.clone().unwrap_or(Sink::Device(settings.device.clone())));
        player.set_volume(settings.volume);
        let model = ModelState::Reading(read_in_background(paths.model.clone(), None, wake.clone())?);
        let fallback = || {
            // Replaced as soon as the model is known.
            let dims = ModelDims {
                codebooks: 2,
                vocab: usize::MAX,
                codec_size: 1,
                frame_rate: 12.5,
                sample_rate: 24_000,
                max_positions: 1,
            };
            Sampling::suggested(Mode::default(), 0, Dtype::Float32, &dims, |_| None)
        };
        let mut session = Self {
            sampling: settings.sampling.unwrap_or_else(fallback),
            saved: settings.clone(),
            settings,
            to_open: paths.open.iter().cloned().collect(),
            paths,
            model,
            wake,
            queue: VecDeque::new(),
            to_speak: VecDeque::new(),
            recording: None,
            active: None,
            auditioning: false,
            next_model: None,
            conversation: Conversation::new(draft.turns.clone()),
            saved_draft: draft,
            inspected: InspectedClip::default(),
            store,
            player,
            notifications: Notifications::default(),
        };
        problem.into_iter().chain(unreadable).for_each(|e| session.notify_error(e));
        damaged.iter().for_each(|e| session.notify_error(e));
        Ok(session)
    }

    /// Shows that something failed.
    pub fn notify_error(&mut self, error: impl ToString) {
        let text = error.to_string();
        tracing::warn!("{text}");
        self.notifications.add(text, true, Instant::now());
    }

    /// Shows a message.
    pub fn notify(&mut self, text: impl ToString) {
        self.notifications.add(text.to_string(), false, Instant::now());
    }

    /// The model, once its files are read.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        match &self.model {
            ModelState::Reading(_) | ModelState::Failed(_) => None,
            ModelState::Loading { checkpoint, .. } | ModelState::Ready { checkpoint, .. } => Some(checkpoint),
        }
    }

    /// Sizes, voices and labels of the model, once its files are read.
    pub fn model_info(&self) -> Option<Arc<ModelInfo>> {
        self.checkpoint().map(|c| c.info.clone())
    }

    /// Whether takes can be made.
    pub fn is_ready(&self) -> bool {
        matches!(self.model, ModelState::Ready { .. })
    }

    /// The model's state in words, where it is not ready.
    pub fn model_status(&self) -> Option<String> {
        match &self.model {
            ModelState::Reading(_) | ModelState::Loading { .. } => Some("loading the model…".into()),
            ModelState::Failed(why) => Some(format!("no model: {why}")),
            ModelState::Ready { .. } => None,
        }
    }

    /// Why there is no model, if that is so.
    pub fn model_failure(&self) -> Option<&str> {
        if let ModelState::Failed(why) = &self.model { Some(why) } else { None }
    }

    /// What was asked for as the model.
    pub fn model_spec(&self) -> &CheckpointSpec {
        &self.paths.model
    }

    /// Loads another model in the place of this one. A take that is being made is kept as far as it is.
    pub fn open_model(&mut self, spec: CheckpointSpec) {
        self.stop_speaking();
        self.next_model = Some(spec);
        self.open_next_model();
    }

    /// Opens the model that was asked for, once the take that was being made is kept.
    fn open_next_model(&mut self) {
        if self.is_speaking() {
            return;
        }
        let Some(spec) = self.next_model.take() else { return };
        self.queue.clear();
        self.active = None; // dropping a task cancels it; none of these makes anything that is kept
        // Its codes are the other model's; it is encoded again by the new one.
        self.conversation.prompt.iter_mut().for_each(|prompt| prompt.frames = None);
        let before = std::mem::replace(&mut self.model, ModelState::Failed("another one is being opened".into()));
        self.paths.model = spec.clone();
        match read_in_background(spec, Some(before), self.wake.clone()) {
            Ok(receiver) => self.model = ModelState::Reading(receiver),
            Err(e) => self.on_model_failed(e),
        }
    }

    /// Whether a take is being made.
    pub fn is_speaking(&self) -> bool {
        matches!(self.active, Some(ActiveTask::Speak { .. } | ActiveTask::SpeakSeeds { .. }))
    }

    /// Whether draws of the inspected take are being computed again.
    pub fn is_recomputing(&self) -> bool {
        matches!(self.active, Some(ActiveTask::TeacherForce { .. }))
    }

    /// Takes that wait to be made.
    pub fn queued_takes(&self) -> usize {
        let takes = self.queue.iter().filter(|t| matches!(t, QueuedTask::Speak(_))).count();
        takes + self.to_speak.iter().map(|turn| turn.pieces.as_ref().map_or(1, VecDeque::len)).sum::<usize>()
    }

    /// Processes what the threads report. Never waits.
    pub fn poll(&mut self) {
        self.poll_model();
        self.poll_recording();
        self.poll_task();
        self.open_next_model();
        self.open_waiting_files();
        self.speak_next_turn();
        self.dispatch_next();
        if let Err(e) = self.player.recover_device() {
            self.notify_error(e);
        }
    }

    fn poll_model(&mut self) {
        let read = match &self.model {
            ModelState::Reading(receiver) => match receiver.try_recv() {
                Ok(read) => read,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => Err(Error::WorkerDied {
                    reason: "reading the model ended without a result; the log has more".into(),
                }),
            },
            ModelState::Loading { codec, .. } => {
                match codec.try_next() {
                    Some(Update::Done(Ok(()))) => self.on_codec_loaded(),
                    Some(Update::Done(Err(e))) => self.on_model_failed(e),
                    Some(Update::Event(_)) | None => {}
                }
                return;
            }
            ModelState::Failed(_) | ModelState::Ready { .. } => return,
        };
        match read.and_then(|checkpoint| self.on_checkpoint_read(checkpoint)) {
            Ok(model) => self.model = model,
            Err(e) => self.on_model_failed(e),
        }
    }

    fn on_checkpoint_read(&mut self, checkpoint: Arc<Checkpoint>) -> Result<ModelState> {
        let dims = checkpoint.dims();
        let suggested = checkpoint.suggested_sampling(self.sampling.mode, 0);
        self.sampling = self.settings.sampling.filter(|s| s.check(&dims).is_ok()).unwrap_or(suggested);
        checkpoint.notes.iter().chain(&checkpoint.warnings).for_each(|text| self.notify(text));
        let wake = self.wake.clone();
        let worker = WorkerHandle::start(checkpoint.clone(), move || wake())?;
        let codec = worker.load()?;
        Ok(ModelState::Loading { checkpoint, worker, codec })
    }

    fn on_codec_loaded(&mut self) {
        if let Some(path) = self.paths.model.path.clone() {
            let recent = &mut self.settings.recent_models;
            recent.retain(|known| *known != path);
            recent.insert(0, path);
            recent.truncate(RECENT_MODELS);
        }
        self.model = match std::mem::replace(&mut self.model, ModelState::Failed(String::new())) {
            ModelState::Loading { checkpoint, worker, .. } => ModelState::Ready { checkpoint, worker },
            other => other,
        };
        if self.conversation.waits_for_prompt()
            && let Some(prompt) = self.conversation.prompt.clone()
        {
            self.set_prompt(prompt.path);
        }
    }

    fn on_model_failed(&mut self, error: Error) {
        self.model = ModelState::Failed(error.to_string());
        self.queue.clear();
        self.to_speak.clear();
        self.notify_error(error);
    }

    fn poll_task(&mut self) {
        while let Some(active) = self.active.take() {
            match active {
                ActiveTask::Speak { clip, task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::Speak { clip, task }),
                    Some(Update::Event(event)) => {
                        self.active = Some(ActiveTask::Speak { clip, task });
                        self.on_speak_event(event);
                    }
                    Some(Update::Done(Ok(made))) => self.on_clip_finished(*clip, made),
                    Some(Update::Done(Err(e))) => {
                        self.player.finish();
                        self.to_speak.clear();
                        self.notify_error(e);
                    }
                },
                ActiveTask::SpeakSeeds { clip, task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::SpeakSeeds { clip, task }),
                    Some(Update::Event((n, event))) => {
                        self.active = Some(ActiveTask::SpeakSeeds { clip, task });
                        if n == 0 {
                            self.on_speak_event(event); // the first is on view
                        }
                    }
                    Some(Update::Done(Ok(made))) => self.on_clips_finished(*clip, made),
                    Some(Update::Done(Err(e))) => {
                        self.player.finish();
                        self.to_speak.clear();
                        self.notify_error(e);
                    }
                },
                ActiveTask::TeacherForce { task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::TeacherForce { task }),
                    Some(Update::Event(event)) => {
                        self.active = Some(ActiveTask::TeacherForce { task });
                        if let Event::Frame(frame) = event {
                            self.inspected.push_frame(frame);
                        }
                    }
                    Some(Update::Done(Ok(_))) => {}
                    Some(Update::Done(Err(e))) => self.notify_error(e),
                },
                ActiveTask::Decode { path, file, task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::Decode { path, file, task }),
                    Some(Update::Event(_)) => self.active = Some(ActiveTask::Decode { path, file, task }),
                    Some(Update::Done(Ok(audio))) => {
                        let rate = self.checkpoint().map_or(DEFAULT_RATE, |c| c.dims().sample_rate);
                        self.view_clip(None, &path, *file, &audio, rate);
                    }
                    Some(Update::Done(Err(e))) => self.notify_error(e),
                },
                ActiveTask::Audition { from, to, task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::Audition { from, to, task }),
                    Some(Update::Event(_)) => self.active = Some(ActiveTask::Audition { from, to, task }),
                    Some(Update::Done(Ok(audio))) => self.on_audition_decoded(&audio, from, to),
                    Some(Update::Done(Err(e))) => self.notify_error(e),
                },
                ActiveTask::Encode { path, task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::Encode { path, task }),
                    Some(Update::Event(_)) => self.active = Some(ActiveTask::Encode { path, task }),
                    Some(Update::Done(Ok(frames))) => {
                        // Another recording may have taken its place meanwhile.
                        let prompt = self.conversation.prompt.iter_mut().filter(|prompt| prompt.path == path);
                        prompt.for_each(|prompt| prompt.frames = Some(frames.clone()));
                    }
                    Some(Update::Done(Err(e))) => {
                        self.conversation.prompt = None;
                        self.to_speak.clear(); // they were to be heard after it
                        self.notify_error(e);
                    }
                },
            }
        }
    }

    /// Has the inspected clip decoded with another token in one place and plays what is around it, without keeping it.
    pub fn audition(&mut self, frame: usize, codebook: usize, token: u32) {
        if self.is_speaking() {
            return self.notify("a take is being made; stop it first");
        }
        let Some(dims) = self.checkpoint().map(|c| c.dims()) else {
            return self.notify(self.model_status().unwrap_or_default());
        };
        let clip = &self.inspected.frames;
        let end = (frame + 1 + AUDITION_AFTER).min(clip.len());
        let mut frames = Codes::new(clip.codebooks());
        for (n, ids) in clip.frames().take(end).enumerate() {
            let mut ids = ids.to_vec();
            if n == frame {
                ids[codebook] = token;
            }
            frames.push(&ids);
        }
        let from = dims.seconds(frame.saturating_sub(AUDITION_BEFORE));
        self.queue.push_back(QueuedTask::Audition { frames, from, to: dims.seconds(end) });
        self.dispatch_next();
    }

    fn on_audition_decoded(&mut self, audio: &[f32], from: f64, to: f64) {
        let rate = self.checkpoint().map_or(DEFAULT_RATE, |c| c.dims().sample_rate);
        self.player.load(audio, rate);
        self.auditioning = true;
        if let Err(e) = self.player.play_region(from, to, false) {
            self.notify_error(e);
        }
    }

    /// Whether the player has something that is not the inspected clip.
    pub fn is_auditioning(&self) -> bool {
        self.auditioning
    }

    /// Gives the player the inspected clip again, at the same position.
    pub fn end_audition(&mut self) {
        if std::mem::take(&mut self.auditioning) {
            let position = self.player.position();
            self.player.load(&self.inspected.audio, self.inspected.rate);
            self.player.seek(position);
        }
    }

    /// Makes the inspected take again with `token` in this place, and its own seed: what was before stays, what comes after is
    /// drawn anew with the same noise.
    pub fn use_token(&mut self, frame: usize, codebook: usize, token: u32) {
        let (Some(mut spec), Some(parent)) = (self.inspected.spec.clone(), self.inspected.take.clone()) else { return };
        let before = |edit: &Edit| match edit {
            Edit::Token { frame: at, codebook: k, .. } => (*at, *k) < (frame, codebook),
            Edit::Sampling { frame: at, .. } => *at <= frame,
        };
        spec.edits.retain(before);
        spec.edits.push(Edit::Token { frame, codebook, token });
        self.speak_again(spec, &parent);
    }

    fn on_speak_event(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => {
                if self.inspected.frames.codebooks() == 0 {
                    self.inspected.frames = Codes::new(frame.frame.codes.len());
                }
                self.inspected.frames.push(&frame.frame.codes);
                self.inspected.real_time_factor = frame.real_time_factor;
                self.inspected.push_frame(frame);
            }
            Event::Audio(samples) => {
                self.inspected.push_audio(&samples);
                self.player.push(&samples);
            }
            Event::Retry { .. } => {} // the window's jobs have no retries
        }
    }

    /// Settings of the next take, with a new seed where random seeds are on.
    fn next_sampling(&mut self) -> Sampling {
        if self.settings.random_seed
            && let Some(seed) = self.random_seed()
        {
            self.sampling.seed = seed;
        }
        self.sampling
    }

    /// A random seed of 32 bits, which is easier to copy than one of 64.
    fn random_seed(&mut self) -> Option<u64> {
        match getrandom::u64() {
            Ok(seed) => Some(seed >> 32),
            Err(e) => {
                self.notify_error(format!("the system gives no random number: {e}"));
                None
            }
        }
    }

    /// Speaks turn `n`, after the turns before it where `with_context`; those of them that have not been spoken are spoken first. A
    /// longer text becomes several turns, a piece each, which are spoken one after another.
    pub fn speak_turn(&mut self, n: usize, with_context: bool) {
        self.speak_turn_often(n, with_context, 1);
    }

    /// The same, as so many takes with a seed each, side by side.
    pub fn speak_turn_often(&mut self, n: usize, with_context: bool, takes: usize) {
        let Some(checkpoint) = self.checkpoint() else {
            return self.notify(self.model_status().unwrap_or_default());
        };
        let Some(turn) = self.conversation.turns().get(n) else { return };
        let script = Script::new(&turn.text, turn.speaker, false, &checkpoint.text_profile);
        if !script.pieces.iter().any(|piece| is_speakable(&piece.text)) {
            return self.notify_error(Error::invalid(
                "text",
                "something to say (at least a letter or digit)",
                "nothing",
            ));
        }
        let id = turn.id;
        let first: Vec<TurnId> = match with_context {
            true => self.conversation.before(n).filter(|turn| turn.take.is_none()).map(|turn| turn.id).collect(),
            false => Vec::new(),
        };
        let waits =
            |session: &Self, id| session.to_speak.iter().any(|turn| turn.turn == id) || session.is_being_spoken(id);
        let first: Vec<TurnId> = first.into_iter().filter(|id| !waits(self, *id)).collect();
        if !first.is_empty() {
            self.notify(format!("{} of the turns before it are spoken first", first.len()));
        }
        for turn in first {
            self.to_speak.push_back(TurnToSpeak { turn, with_context, takes: 1, pieces: None, before: None });
        }
        self.to_speak.push_back(TurnToSpeak { turn: id, with_context, takes, pieces: None, before: None });
        self.speak_next_turn();
    }

    /// Speaks all turns that have no take, or one that heard something else, in order.
    pub fn speak_conversation(&mut self) {
        let turns = self.conversation.turns().iter().enumerate();
        let wanted = turns.filter(|(n, turn)| {
            !turn.text.trim().is_empty() && (turn.take.is_none() || self.conversation.is_stale(*n))
        });
        let wanted: Vec<TurnId> = wanted.map(|(_, turn)| turn.id).collect();
        if wanted.is_empty() {
            return self.notify("every turn has been spoken");
        }
        for turn in wanted {
            self.to_speak.push_back(TurnToSpeak { turn, with_context: true, takes: 1, pieces: None, before: None });
        }
        self.speak_next_turn();
    }

    fn is_being_spoken(&self, id: TurnId) -> bool {
        let Some(ActiveTask::Speak { clip, .. } | ActiveTask::SpeakSeeds { clip, .. }) = &self.active else {
            return false;
        };
        clip.turn.as_ref().is_some_and(|(turn, _)| *turn == id)
    }

    /// Cuts the text of a turn into pieces, each a turn of its own; their ids.
    fn cut_turn(&mut self, id: TurnId) -> VecDeque<TurnId> {
        let (Some(n), Some(checkpoint)) = (self.conversation.place(id), self.checkpoint()) else {
            return VecDeque::new();
        };
        let turn = &self.conversation.turns()[n];
        let script = Script::new(&turn.text, turn.speaker, false, &checkpoint.text_profile);
        let messages = script.messages(&checkpoint.text_profile, &checkpoint.info.name);
        messages.into_iter().for_each(|text| self.notify(text));
        if (script.pieces.len() == 1 && script.tag.is_none()) || script.pieces.is_empty() {
            return [id].into();
        }
        if script.pieces.len() > 1 {
            self.notify(format!("the text is spoken in {} pieces, each a turn of its own", script.pieces.len()));
        }
        let mut ids = VecDeque::new();
        for (m, piece) in script.pieces.into_iter().enumerate() {
            if m > 0 {
                ids.push_back(self.conversation.insert(n + m, piece.speaker, &piece.text));
            } else {
                self.conversation.edit(n, piece.speaker, &piece.text);
                ids.push_back(id);
            }
        }
        ids
    }

    /// Begins the next turn, or the next piece of one, when its time has come.
    fn speak_next_turn(&mut self) {
        let busy = self.active.is_some() || !self.queue.is_empty() || !self.is_ready();
        if busy || self.recording.is_some() || self.conversation.waits_for_prompt() {
            return;
        }
        let Some(mut next) = self.to_speak.pop_front() else { return };
        let between_pieces = next.pieces.is_some();
        if between_pieces && self.settings.autoplay && self.player.is_playing() {
            return self.to_speak.push_front(next);
        }
        let mut pieces = next.pieces.take().unwrap_or_else(|| self.cut_turn(next.turn));
        let Some(piece) = pieces.pop_front() else { return };
        // The context of the first piece is the conversation's; each further piece hears that and the piece before it.
        let context = self.context_of(next.turn, next.with_context);
        let (place, turn) = (self.conversation.place(piece), self.conversation.turn(piece).cloned());
        let (Some(place), Some(turn)) = (place, turn) else { return };
        let context = match context {
            Ok(context) => context,
            Err(e) => return self.notify_error(e),
        };
        let sampling = self.next_sampling();
        let spec = |before: Option<Turn>| {
            let context = context.iter().cloned().chain(before).collect();
            ClipSpec { context, ..ClipSpec::new(turn.text.clone(), turn.speaker, sampling) }
        };
        let max_frames = self.longest_frames();
        let after = spec(next.before.take());
        // Where the piece before it leaves no room, it is spoken without it.
        let too_long = |checkpoint: &Arc<Checkpoint>| {
            matches!(request(&after, checkpoint, max_frames), Err(Error::ContextTooLong { .. }))
        };
        let spec = if self.checkpoint().is_some_and(too_long) { spec(None) } else { after };
        let heard = next.with_context.then(|| self.conversation.takes_before(place).unwrap_or_default());
        let mut more_seeds = Vec::new();
        if next.takes > 1 {
            if between_pieces || !pieces.is_empty() {
                self.notify("a text in several pieces is spoken with one seed a piece");
                next.takes = 1;
            } else {
                more_seeds.extend((1..next.takes).filter_map(|_| self.random_seed()));
            }
        }
        if !pieces.is_empty() {
            self.to_speak.push_front(TurnToSpeak { pieces: Some(pieces), ..next });
        }
        self.queue_clip(ClipToSpeak { spec, turn: Some((piece, heard)), parent: None, max_frames, more_seeds });
    }

    /// What the turn `id` hears: the voice prompt and, where asked for, the turns before it.
    fn context_of(&self, id: TurnId, with_context: bool) -> Result<Vec<Turn>> {
        let mut context: Vec<Turn> = self.conversation.prompt_turn().into_iter().collect();
        let n = self.conversation.place(id).filter(|_| with_context).unwrap_or(0);
        for turn in self.conversation.before(n) {
            let Some(take) = &turn.take else {
                let expected = format!("the turn {:?} to be spoken before the one that answers it", turn.text);
                return Err(Error::invalid("conversation", expected, "no take of it"));
            };
            let frames = self.read_tokens(&take.id)?.frames;
            context.push(Turn { speaker: turn.speaker, text: turn.text.clone(), frames });
        }
        Ok(context)
    }

    /// Frames of the longest speech that the settings allow.
    fn longest_frames(&self) -> usize {
        self.checkpoint().map_or(1, |c| c.dims().frames_in(self.settings.max_seconds).max(1))
    }

    /// Queues a take that is made from the take `parent`. It may become as long as that one.
    fn speak_again(&mut self, spec: ClipSpec, parent: &str) {
        self.speak_again_often(spec, parent, Vec::new());
    }

    /// The same, and as many takes more with these seeds.
    fn speak_again_often(&mut self, spec: ClipSpec, parent: &str, more_seeds: Vec<u64>) {
        // One frame more, so that a clip that ended by itself can end again.
        let frames = self.store.get(parent).map_or(0, |take| take.measures.frames + 1);
        let max_frames = self.longest_frames().max(frames);
        let parent = Some(parent.to_owned());
        self.queue_clip(ClipToSpeak { spec, turn: None, parent, max_frames, more_seeds });
    }

    /// Queues a clip. What cannot be spoken is reported at once.
    fn queue_clip(&mut self, clip: ClipToSpeak) {
        match self.checkpoint().map(|checkpoint| request(&clip.spec, checkpoint, clip.max_frames)) {
            None => self.notify(self.model_status().unwrap_or_default()),
            Some(Ok(_)) => self.queue.push_back(QueuedTask::Speak(Box::new(clip))),
            Some(Err(e)) => {
                self.to_speak.clear();
                self.notify_error(e);
            }
        }
        self.dispatch_next();
    }

    /// Positions that the conversation up to turn `n` and the longest speech take, and those of the model.
    pub fn context_meter(&self, n: usize) -> Option<(usize, usize)> {
        let checkpoint = self.checkpoint()?;
        let dims = checkpoint.dims();
        let text = |speaker, text: &str| checkpoint.text_ids(speaker, text).map_or(0, |ids| ids.len());
        let mut used = dims.frames_in(self.settings.max_seconds);
        if let Some(prompt) = &self.conversation.prompt {
            used += text(prompt.speaker, &prompt.text) + prompt.frames.as_ref().map_or(0, |f| f.len() + 1);
        }
        for (m, turn) in self.conversation.turns().iter().enumerate().take(n + 1) {
            used += text(turn.speaker, &turn.text);
            if m < n {
                let take = turn.take.as_ref().and_then(|take| self.store.get(&take.id));
                used += take.map_or(0, |t| t.measures.frames + 1);
            }
        }
        Some((used, dims.max_positions))
    }

    /// Makes take `id` again, with its seed or a new one.
    pub fn regenerate(&mut self, id: &str, seed: RegenerateSeed) {
        let mut spec = match self.read_spec(id) {
            Ok(spec) => spec,
            Err(e) => return self.notify_error(e),
        };
        if seed == RegenerateSeed::New
            && let Some(seed) = self.random_seed()
        {
            spec.sampling.seed = seed;
        }
        self.speak_again(spec, id);
    }

    /// Makes several takes of what take `id` says, with its settings and new seeds, side by side.
    pub fn regenerate_often(&mut self, id: &str, takes: usize) {
        let mut spec = match self.read_spec(id) {
            Ok(spec) => spec,
            Err(e) => return self.notify_error(e),
        };
        let mut seeds: Vec<u64> = (0..takes).filter_map(|_| self.random_seed()).collect();
        let Some(first) = seeds.pop() else { return };
        spec.sampling.seed = first;
        self.speak_again_often(spec, id, seeds);
    }

    /// Makes the inspected take again with the current settings from `frame` on: an edited take whose frames before that stay
    /// unchanged. The seed is the take's.
    pub fn resume(&mut self, frame: usize) {
        let (Some(mut spec), Some(parent)) = (self.inspected.spec.clone(), self.inspected.take.clone()) else { return };
        spec.edits.retain(|edit| edit.frame() < frame);
        let sampling = Sampling { seed: spec.sampling.seed, ..self.sampling };
        spec.edits.push(Edit::Sampling { frame, sampling });
        self.speak_again(spec, &parent);
    }

    /// Makes take `id` in every mode, with its seed.
    pub fn generate_in_all_modes(&mut self, id: &str) {
        let spec = match self.read_spec(id) {
            Ok(spec) => spec,
            Err(e) => return self.notify_error(e),
        };
        let Some(stored) = self.checkpoint().map(|c| c.tensors.dtype()) else { return };
        for info in Mode::all() {
            let precision = info.mode.default_precision(stored);
            let sampling = Sampling { mode: info.mode, precision, ..spec.sampling };
            self.speak_again(ClipSpec { sampling, ..spec.clone() }, id);
        }
    }

    fn read_spec(&self, id: &str) -> Result<ClipSpec> {
        self.read_tokens(id)?.clip_spec(&self.tokens_path(id))
    }

    fn tokens_path(&self, id: &str) -> PathBuf {
        self.store.path(id).join("tokens.json")
    }

    fn read_tokens(&self, id: &str) -> Result<TokenFile> {
        let info = self.model_info().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        TokenFile::read(&self.tokens_path(id), &info.dims)
    }

    /// Stops the running take before its next frame, and takes that wait; what was made is kept. A voice prompt is encoded all the
    /// same.
    pub fn stop_speaking(&mut self) {
        self.queue.retain(|task| matches!(task, QueuedTask::Encode { .. }));
        self.to_speak.clear();
        match &self.active {
            Some(ActiveTask::Speak { task, .. } | ActiveTask::TeacherForce { task }) => task.cancel(),
            Some(ActiveTask::SpeakSeeds { task, .. }) => task.cancel(),
            _ => {}
        }
    }

    /// Uses a recording as voice prompt.
    pub fn set_prompt(&mut self, path: PathBuf) {
        let Some(info) = self.model_info() else {
            return self.notify(self.model_status().unwrap_or_default());
        };
        let max_seconds = info.dims.seconds(info.dims.max_positions);
        let (sender, receiver) = channel();
        let (wake, rate, file) = (self.wake.clone(), info.dims.sample_rate, path.clone());
        let read = move || {
            sender.send(recording::read(&file, rate, recording::Length::AtMost(max_seconds))).ok(); // the window may be closed by now
            wake();
        };
        match std::thread::Builder::new().name("csm-recording".into()).spawn(read) {
            // A recording that is still being read gives way.
            Ok(_) => self.recording = Some((path, receiver)),
            Err(e) => self.notify_error(format!("no thread for reading the recording: {e}")),
        }
    }

    fn poll_recording(&mut self) {
        let Some((_, receiver)) = &self.recording else { return };
        let read = match receiver.try_recv() {
            Ok(read) => read,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                self.recording = None;
                return self.notify_error("the recording could not be read");
            }
        };
        let Some((path, _)) = self.recording.take() else { return };
        match read {
            Ok(recording) => {
                recording.warnings.iter().for_each(|w| self.notify(w));
                if let Some(info) = self.model_info().filter(|info| !info.supports_voice_prompt()) {
                    self.notify(format!(
                        "{} takes no voice from a recording; it will have no useful effect",
                        info.name
                    ));
                }
                // What was written about the same recording stays.
                let known = self.conversation.prompt.take().filter(|prompt| prompt.path == path);
                let (text, speaker) = known.map(|prompt| (prompt.text, prompt.speaker)).unwrap_or_default();
                self.conversation.prompt = Some(VoicePrompt { path: path.clone(), text, speaker, frames: None });
                self.queue.push_back(QueuedTask::Encode { path, samples: recording.samples });
                self.dispatch_next();
            }
            Err(e) => {
                self.to_speak.clear(); // they were to be heard after it
                self.notify_error(e);
            }
        }
    }

    /// Loads take `id` into view and player, and has its draws computed again.
    pub fn inspect(&mut self, id: &str) {
        if self.is_speaking() {
            return self.notify("a take is being made; Escape cancels it");
        }
        // A take of another checkpoint can be heard, whatever its sizes.
        let (folder, rate) = (self.store.path(id), self.rate());
        match read_take_folder(&folder, rate) {
            Ok((file, audio)) => self.view_clip(Some(id.to_owned()), &folder.join("tokens.json"), file, &audio, rate),
            Err(e) => self.notify_error(e),
        }
    }

    /// Samples a second of the model, or the usual ones.
    fn rate(&self) -> usize {
        self.checkpoint().map_or(DEFAULT_RATE, |c| c.dims().sample_rate)
    }

    /// Shows a clip that is in no list: a take's folder, a token file, a WAV file.
    pub fn open_file(&mut self, path: &Path) {
        self.to_open.push_back(path.to_owned());
        self.open_waiting_files();
    }

    fn open_waiting_files(&mut self) {
        let known = self.is_ready() || self.model_failure().is_some();
        while known
            && !self.is_speaking()
            && let Some(path) = self.to_open.pop_front()
        {
            if let Err(e) = self.open_now(&path) {
                self.notify_error(e);
            }
        }
    }

    fn open_now(&mut self, path: &Path) -> Result<()> {
        let rate = self.rate();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        match extension.as_str() {
            _ if path.is_dir() => {
                let (file, audio) = read_take_folder(path, rate)?;
                self.view_clip(None, &path.join("tokens.json"), file, &audio, rate);
            }
            "wav" => {
                let audio = wav::read(path, rate)?;
                self.view_clip(None, path, TokenFile::default(), &audio, rate);
            }
            "json" | "npy" | "safetensors" => {
                let Some(info) = self.model_info() else {
                    return Err(Error::file(path, "its tokens cannot be heard without a model"));
                };
                let file = Box::new(TokenFile::read(path, &info.dims)?);
                self.queue.push_back(QueuedTask::Decode { path: path.to_owned(), file });
                self.dispatch_next();
            }
            _ => {
                let expected = "expected a take's folder, a token file (.json, .npy, .safetensors) or a WAV file";
                return Err(Error::file(path, expected));
            }
        }
        Ok(())
    }

    /// Loads a clip into view and player, and has its draws computed again where this model made it.
    fn view_clip(&mut self, take: Option<String>, path: &Path, file: TokenFile, audio: &[f32], rate: usize) {
        let own = match self.checkpoint().map(|c| c.id()).transpose() {
            Ok(own) => own,
            Err(e) => return self.notify_error(e),
        };
        let same_model = own.is_some_and(|own| file.model.as_ref().is_none_or(|m| m.sha256 == own.sha256));
        let has_tokens = !file.frames.is_empty();
        self.inspected = InspectedClip {
            spec: file.clip_spec(path).ok(),
            stop: file.stop,
            real_time_factor: take
                .as_ref()
                .and_then(|id| self.store.get(id))
                .map_or(0.0, |t| t.measures.real_time_factor),
            take: take.clone(),
            frames: file.frames,
            version: self.inspected.version + 1,
            rate,
            ..InspectedClip::default()
        };
        self.inspected.push_audio(audio);
        self.player.load(audio, rate);
        self.auditioning = false;
        self.queue.retain(|t| !matches!(t, QueuedTask::TeacherForce { .. }));
        if self.is_recomputing() {
            self.active = None; // dropping the task cancels it
        }
        if same_model && self.inspected.spec.is_some() {
            self.queue.push_back(QueuedTask::TeacherForce { take });
        } else if has_tokens {
            self.notify("its draws cannot be computed here: another model made it, or it does not say what made it");
        }
        self.dispatch_next();
    }

    /// Gives the worker its next task.
    fn dispatch_next(&mut self) {
        let ModelState::Ready { checkpoint, worker } = &self.model else { return };
        if self.active.is_some() {
            return;
        }
        let Some(next) = self.queue.pop_front() else { return };
        let cancel = CancelToken::default();
        let started = match next {
            QueuedTask::Encode { path, samples } => {
                worker.encode(samples, cancel).map(|task| Some(ActiveTask::Encode { path, task }))
            }
            QueuedTask::Decode { path, file } => {
                worker.decode(file.frames.clone(), cancel).map(|task| Some(ActiveTask::Decode { path, file, task }))
            }
            QueuedTask::Audition { frames, from, to } => {
                worker.decode(frames, cancel).map(|task| Some(ActiveTask::Audition { from, to, task }))
            }
            QueuedTask::Speak(clip) if !clip.more_seeds.is_empty() => {
                let seeds = std::iter::once(clip.spec.sampling.seed).chain(clip.more_seeds.iter().copied()).collect();
                request(&clip.spec, checkpoint, clip.max_frames)
                    .and_then(|request| worker.generate_batch(request, seeds, cancel))
                    .map(|task| Some(ActiveTask::SpeakSeeds { clip, task }))
            }
            QueuedTask::Speak(clip) => request(&clip.spec, checkpoint, clip.max_frames)
                .and_then(|request| worker.generate(request, cancel))
                .map(|task| Some(ActiveTask::Speak { clip, task })),
            QueuedTask::TeacherForce { take } => match &self.inspected.spec {
                Some(spec) if self.inspected.take == take => checkpoint
                    .prompt_of(spec)
                    .map(|prompt| GenerationRequest::teacher_forced(spec, prompt, &self.inspected.frames))
                    .and_then(|request| worker.generate(request, cancel))
                    .map(|task| Some(ActiveTask::TeacherForce { task })),
                _ => Ok(None),
            },
        };
        match started {
            Ok(active) => self.active = active,
            Err(e) => return self.notify_error(e),
        }
        if let Some(ActiveTask::Speak { clip, .. } | ActiveTask::SpeakSeeds { clip, .. }) = &self.active {
            let (version, spec) = (self.inspected.version + 1, Some(clip.spec.clone()));
            let expected = expected_seconds(&clip.spec.text).min(self.settings.max_seconds);
            let rate = self.checkpoint().map_or(DEFAULT_RATE, |c| c.dims().sample_rate);
            self.inspected = InspectedClip { spec, version, rate, ..InspectedClip::default() };
            self.auditioning = false;
            self.player.begin(rate);
            self.player.expect(expected);
            if self.settings.autoplay
                && let Err(e) = self.player.play_when_buffered()
            {
                self.notify_error(e);
            }
        }
    }

    /// Several takes of the same: the first is the turn's and on view, the others stand beside it in the list.
    fn on_clips_finished(&mut self, made_for: ClipToSpeak, made: Vec<GeneratedClip>) {
        let mut made = made.into_iter();
        let (spec, parent) = (made_for.spec.clone(), made_for.parent.clone());
        if let Some(first) = made.next() {
            self.on_clip_finished(made_for, first);
        }
        for clip in made.filter(|clip| !clip.frames.is_empty()) {
            if let Err(e) = self.store_take(spec.clone(), parent.clone(), &clip) {
                self.notify_error(e);
            }
        }
    }

    fn on_clip_finished(&mut self, made_for: ClipToSpeak, clip: GeneratedClip) {
        let ClipToSpeak { spec, turn, parent, .. } = made_for;
        self.player.finish();
        self.inspected.stop = Some(clip.stop);
        self.inspected.version += 1;
        clip.findings.iter().for_each(|finding| self.notify(finding));
        // A piece of which nothing was said cannot be context.
        if clip.frames.is_empty() {
            return;
        }
        // Only a piece is what the next piece hears; a take may have been made again between two of them.
        if turn.is_some()
            && clip.stop != FinishReason::Cancelled
            && let Some(next) = self.to_speak.front_mut().filter(|next| next.pieces.is_some())
        {
            let frames = clip.frames.clone();
            next.before = Some(Turn { speaker: spec.speaker, text: spec.text.clone(), frames });
        }
        let (speaker, text) = (spec.speaker, spec.text.clone());
        match self.store_take(spec, parent, &clip) {
            Ok(id) => {
                self.inspected.take = Some(id.clone());
                if let Some((turn, after)) = turn {
                    self.conversation.spoken(turn, speaker, &text, SpokenTurn { id, after });
                }
            }
            Err(e) => self.notify_error(e),
        }
    }

    fn store_take(&mut self, spec: ClipSpec, parent: Option<String>, clip: &GeneratedClip) -> Result<String> {
        let checkpoint = self.checkpoint().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let (model, dims) = (checkpoint.id()?, checkpoint.dims());
        let seconds = clip.audio.len() as f64 / dims.sample_rate as f64;
        let info = WavInfo::for_clip(&model, &spec.text, spec.speaker, &clip.sampling);
        let tokens = TokenFile::new(&spec, model, &dims, clip.sampling, clip.stop, clip.frames.clone());
        let (bytes, clipped) = wav::encode(&clip.audio, dims.sample_rate, &info)?;
        let take = Take {
            id: String::new(),
            name: spec.text.chars().take(60).collect(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            favourite: false,
            parent,
            measures: ClipSummary {
                frames: clip.frames.len(),
                seconds,
                real_time_factor: clip.seconds / seconds,
                findings: clip.findings.clone(),
                guarded: clip.guarded,
                beyond_codec: clip.beyond_codec,
            },
            text: spec.text,
            speaker: spec.speaker,
            model: tokens.model.clone(),
            sampling: Some(clip.sampling),
            stop: Some(clip.stop),
            edited: !spec.edits.is_empty(),
        };
        let id = self.store.add(take, &tokens, &bytes)?;
        if clipped > 0 {
            self.notify(format!("{clipped} samples were louder than full scale and are clipped"));
        }
        Ok(id)
    }

    /// Changes the store; an error becomes a notification.
    pub fn try_update_store(&mut self, change: impl FnOnce(&mut Store) -> Result<()>) {
        if let Err(e) = change(&mut self.store) {
            self.notify_error(e);
        }
    }

    /// The content of an export of take `id`.
    ///
    /// # Errors
    /// Where the take cannot be read.
    pub fn export(&self, id: &str, kind: ExportKind) -> Result<Vec<u8>> {
        let read = |name: &str| {
            let path = self.store.path(id).join(name);
            crate::files::read_file(&path, crate::files::MEDIA_LIMIT)
        };
        match kind {
            ExportKind::Wav => read("audio.wav"),
            ExportKind::Tokens => read("tokens.json"),
            ExportKind::Table => report::csv(&self.take_report(id)?, &self.store.path(id)),
            ExportKind::TokenMap => {
                let report = self.take_report(id)?;
                let plots = report::plots::plots(&report);
                let map = plots.iter().find(|p| p.name.ends_with("tokens"));
                let png = map.map_or_else(|| Ok(Vec::new()), |p| p.png());
                png.map_err(|e| Error::write(self.store.path(id), e))
            }
        }
    }

    fn take_report(&self, id: &str) -> Result<Report> {
        let file = self.read_tokens(id)?;
        let info = self.model_info().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let computed = self.inspected.take.as_deref() == Some(id) && self.inspected.steps.len() == file.frames.len();
        let steps = if computed { Ok(self.inspected.steps.clone()) } else { Err(StepsUnavailable::NotComputed) };
        let name = self.store.get(id).map_or(id.to_owned(), |t| t.name.clone());
        Ok(Report::new((*info).clone(), vec![ClipReport::new(name, file, steps, None, &info)]))
    }

    /// A command line that makes take `id` again.
    ///
    /// # Errors
    /// Where its token file cannot be read.
    pub fn cli_command(&self, id: &str) -> Result<String> {
        let file = self.read_tokens(id)?;
        let path = self.tokens_path(id);
        let spec = file.clip_spec(&path)?;
        // A clip that ended by itself has to have room for its end frame.
        let margin = if file.stop == Some(FinishReason::Eos) { 1.0 } else { 0.0 };
        let seconds = self.store.get(id).map_or(0.0, |t| t.measures.seconds) + margin;
        let model = &self.paths.model;
        let adapter = model.adapter.as_ref().map(ToString::to_string);
        let max_ms = (seconds * 1_000.0).round() as u64;
        Ok(generate_line(&spec, max_ms, &path, model.path.as_deref(), adapter.as_deref()))
    }

    /// Writes the turns if they have changed, so that they are there after a restart.
    pub fn save_draft(&mut self) {
        let draft = Draft { turns: self.conversation.turns().to_vec() };
        if draft != self.saved_draft {
            if let Err(e) = draft.write(&self.paths.draft()) {
                self.notify_error(e);
            }
            self.saved_draft = draft;
        }
    }

    /// Whether there are turns that have not been written yet.
    pub fn has_unsaved_draft(&self) -> bool {
        self.saved_draft.turns != self.conversation.turns()
    }

    /// Takes over what other windows have done with the takes.
    pub fn refresh_takes(&mut self) {
        if let Err(e) = self.store.refresh() {
            self.notify_error(e);
        }
    }

    /// Writes the settings file if they have changed.
    pub fn save_settings(&mut self) {
        if self.checkpoint().is_some() {
            // Before that they are only a guess at what the checkpoint suggests.
            self.settings.sampling = Some(self.sampling);
        }
        if self.settings != self.saved {
            self.saved = self.settings.clone();
            if let Err(e) = self.settings.write(&self.paths.settings) {
                self.notify_error(e);
            }
        }
    }
}

/// Which seed a take is made again with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegenerateSeed {
    /// The take's own.
    Same,
    /// A random one.
    New,
}

/// What can be exported of a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// The sound.
    Wav,
    /// The token file.
    Tokens,
    /// A row per token.
    Table,
    /// The token map as a picture.
    TokenMap,
}

impl ExportKind {
    /// Extension of its file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Tokens => "json",
            Self::Table => "csv",
            Self::TokenMap => "png",
        }
    }
}

/// Reads a checkpoint on a thread of its own, once the model before it is gone, with the SHA-256 of its weights, which every take needs.
fn read_in_background(
    model: CheckpointSpec,
    before: Option<ModelState>,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> Result<Receiver<Result<Arc<Checkpoint>>>> {
    let (sender, receiver) = channel();
    let read = move || {
        drop(before); // its worker ends first: one thread at a time may own MLX, and memory is for one model
        let checkpoint = Checkpoint::resolve(&model).and_then(|c| c.id().map(|_| Arc::new(c)));
        sender.send(checkpoint).ok(); // the window may be closed by now
        wake();
    };
    std::thread::Builder::new().name("csm-load".into()).spawn(read).map_err(|e| Error::Unavailable {
        what: "no thread for reading the model".into(),
        hint: "close other programs and try again".into(),
        source: Some(e.into()),
    })?;
    Ok(receiver)
}

/// The request for `spec`, with everything checked that can be checked before it runs.
fn request(spec: &ClipSpec, checkpoint: &Checkpoint, max_frames: usize) -> Result<GenerationRequest> {
    let dims = checkpoint.dims();
    spec.sampling.check(&dims)?;
    checkpoint.info.check_speaker("speaker", spec.speaker)?;
    let request = GenerationRequest::new(spec, checkpoint.prompt_of(spec)?, max_frames);
    request.prompt.check_fits(max_frames, &dims)?;
    Ok(GenerationRequest { observe: true, ..request })
}

/// Tokens and sound of a take.
fn read_take_folder(folder: &Path, rate: usize) -> Result<(TokenFile, Vec<f32>)> {
    Ok((TokenFile::read_own(&folder.join("tokens.json"))?, wav::read(&folder.join("audio.wav"), rate)?))
}
