//! UI-independent application state: the conversation, the running task, the inspected clip, the takes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use super::settings::Settings;
use crate::analysis::statistics::TokenStats;
use crate::audio::player::{Player, Sink};
use crate::audio::recording;
use crate::audio::wav::{self, WavInfo};
use crate::checkpoint::{Checkpoint, CheckpointSpec};
use crate::data::command_line::generate_line;
use crate::data::{
    ClipSpec, Codes, Dtype, Edit, FinishReason, Logits, Mode, ModelDims, ModelInfo, Sampling, TokenFile, Turn,
};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::report::{self, ClipReport, Report, StepsUnavailable};
use crate::takes::{ClipSummary, Store, Take};
use crate::text::{Script, expected_seconds};
use crate::worker::{CancelToken, Event, FrameEvent, GeneratedClip, Task, Update, WorkerHandle};

/// Identifies a turn, whatever happens to its place in the conversation.
pub type TurnId = u64;

/// A turn of the conversation as it is edited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnDraft {
    /// Identifies it; [`Session::add_turn`] chooses it.
    pub id: TurnId,
    /// Who speaks.
    pub speaker: u32,
    /// What is said.
    pub text: String,
    /// The take that was made of it, if there is one.
    pub take: Option<String>,
}

/// A notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its text.
    pub text: String,
    /// Whether something failed.
    pub error: bool,
}

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
    /// Time of computing over duration.
    pub real_time_factor: f64,
    /// Why it ended; `None` while it runs.
    pub stop: Option<FinishReason>,
    /// Counts changes, so that pictures of it are drawn again only then.
    pub version: u64,
}

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
    /// Speak; the turn it belongs to, the take it was made from.
    Speak { spec: Box<ClipSpec>, turn: Option<TurnId>, parent: Option<String> },
    /// Compute the draws of the inspected take again.
    TeacherForce { take: String },
    /// Encode the voice prompt.
    Encode { samples: Vec<f32> },
}

/// Pieces of a longer text.
#[derive(Default)]
struct PiecesToSpeak {
    /// What stands before all of them.
    context: Vec<Turn>,
    /// Their turns, those that are still to be spoken.
    turns: VecDeque<TurnId>,
    /// The piece before the next one, once it is made. It may still be heard: the next one begins after that.
    before: Option<Option<Turn>>,
}

/// The task that the worker runs.
enum ActiveTask {
    Speak { spec: Box<ClipSpec>, turn: Option<TurnId>, parent: Option<String>, task: Task<GeneratedClip> },
    TeacherForce { task: Task<GeneratedClip> },
    Encode { task: Task<Codes> },
}

/// A voice prompt: a recording that stands before the conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoicePrompt {
    /// The file.
    pub path: PathBuf,
    /// What is said in it.
    pub text: String,
    /// By whom.
    pub speaker: u32,
    /// Its codes; `None` until it is encoded.
    pub frames: Option<Codes>,
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
}

/// The model: being read, failed, or in use.
enum ModelState {
    Reading(Receiver<Result<Arc<Checkpoint>>>),
    Failed,
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
    /// Pieces of a longer text that are still to be spoken.
    pieces: PiecesToSpeak,
    /// A recording that is being read for the voice prompt.
    recording: Option<(PathBuf, Receiver<Result<recording::Recording>>)>,
    active: Option<ActiveTask>,
    /// The conversation.
    pub turns: Vec<TurnDraft>,
    next_turn: TurnId,
    /// The recording before it.
    pub prompt: Option<VoicePrompt>,
    /// Settings of the next take.
    pub sampling: Sampling,
    /// The clip on view.
    pub inspected: InspectedClip,
    /// The takes.
    pub store: Store,
    /// The player.
    pub player: Player,
    /// Notifications, oldest first.
    pub messages: VecDeque<Message>,
}

impl Session {
    /// Starts loading the model in the background. `wake` is called when there is news.
    ///
    /// # Errors
    /// Where the takes' folder cannot be used or no thread can be started.
    pub fn new(paths: StudioPaths, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let (settings, problem) = Settings::read(&paths.settings);
        let mut store = Store::open(&paths.takes)?;
        let damaged = std::mem::take(&mut store.damaged);
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let mut player = Player::new(paths.sink.clone().unwrap_or(Sink::Device(settings.device.clone())));
        player.set_volume(settings.volume);
        let model = ModelState::Reading(read_in_background(paths.model.clone(), wake.clone())?);
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
            paths,
            model,
            wake,
            queue: VecDeque::new(),
            pieces: PiecesToSpeak::default(),
            recording: None,
            active: None,
            turns: Vec::new(),
            next_turn: 0,
            prompt: None,
            inspected: InspectedClip::default(),
            store,
            player,
            messages: VecDeque::new(),
        };
        session.add_turn(0, "");
        problem.into_iter().for_each(|e| session.notify_error(e));
        damaged.iter().for_each(|e| session.notify_error(e));
        Ok(session)
    }

    /// Shows that something failed.
    pub fn notify_error(&mut self, error: impl ToString) {
        let text = error.to_string();
        tracing::warn!("{text}");
        self.messages.push_back(Message { text, error: true });
    }

    /// Shows a message.
    pub fn notify(&mut self, text: impl ToString) {
        self.messages.push_back(Message { text: text.to_string(), error: false });
    }

    /// The model, once its files are read.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        match &self.model {
            ModelState::Reading(_) | ModelState::Failed => None,
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
    pub fn model_status(&self) -> Option<&'static str> {
        match self.model {
            ModelState::Reading(_) | ModelState::Loading { .. } => Some("loading the model…"),
            ModelState::Failed => Some("no model: it could not be loaded"),
            ModelState::Ready { .. } => None,
        }
    }

    /// Whether a take is being made.
    pub fn is_speaking(&self) -> bool {
        matches!(self.active, Some(ActiveTask::Speak { .. }))
    }

    /// Whether draws of the inspected take are being computed again.
    pub fn is_recomputing(&self) -> bool {
        matches!(self.active, Some(ActiveTask::TeacherForce { .. }))
    }

    /// Takes that wait to be made.
    pub fn queued_takes(&self) -> usize {
        self.queue.iter().filter(|t| matches!(t, QueuedTask::Speak { .. })).count()
    }

    /// Appends a turn.
    pub fn add_turn(&mut self, speaker: u32, text: &str) -> TurnId {
        self.next_turn += 1;
        self.turns.push(TurnDraft { id: self.next_turn, speaker, text: text.into(), take: None });
        self.next_turn
    }

    /// Removes the turn in place `n`; a conversation always has one.
    pub fn remove_turn(&mut self, n: usize) {
        self.turns.remove(n);
        if self.turns.is_empty() {
            self.add_turn(0, "");
        }
    }

    /// Processes what the threads report. Never waits.
    pub fn poll(&mut self) {
        self.poll_model();
        self.poll_recording();
        self.poll_task();
        self.poll_pieces();
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
            ModelState::Failed | ModelState::Ready { .. } => return,
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
        self.model = match std::mem::replace(&mut self.model, ModelState::Failed) {
            ModelState::Loading { checkpoint, worker, .. } => ModelState::Ready { checkpoint, worker },
            other => other,
        };
    }

    fn on_model_failed(&mut self, error: Error) {
        self.model = ModelState::Failed;
        self.queue.clear();
        self.pieces = PiecesToSpeak::default();
        self.notify_error(error);
    }

    fn poll_task(&mut self) {
        while let Some(active) = self.active.take() {
            match active {
                ActiveTask::Speak { spec, turn, parent, task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::Speak { spec, turn, parent, task }),
                    Some(Update::Event(event)) => {
                        self.active = Some(ActiveTask::Speak { spec, turn, parent, task });
                        self.on_speak_event(event);
                    }
                    Some(Update::Done(Ok(clip))) => self.on_clip_finished(*spec, turn, parent, clip),
                    Some(Update::Done(Err(e))) => {
                        self.player.finish();
                        self.pieces = PiecesToSpeak::default();
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
                ActiveTask::Encode { task } => match task.try_next() {
                    None => return self.active = Some(ActiveTask::Encode { task }),
                    Some(Update::Event(_)) => self.active = Some(ActiveTask::Encode { task }),
                    Some(Update::Done(Ok(frames))) => {
                        self.prompt.iter_mut().for_each(|p| p.frames = Some(frames.clone()));
                    }
                    Some(Update::Done(Err(e))) => {
                        self.prompt = None;
                        self.notify_error(e);
                    }
                },
            }
        }
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

    /// Speaks turn `n`, after the turns before it where `with_context`. A longer text becomes several turns, a piece each, which are
    /// spoken one after another.
    pub fn speak_turn(&mut self, n: usize, with_context: bool) {
        let context = match self.context_of(n, with_context) {
            Ok(context) => context,
            Err(e) => return self.notify_error(e),
        };
        let Some(turns) = self.cut_turn(n) else { return };
        self.pieces = PiecesToSpeak { context, turns: turns.into(), before: None };
        self.speak_next_piece(None);
    }

    /// Cuts the text of turn `n` into pieces, each a turn of its own; their ids.
    fn cut_turn(&mut self, n: usize) -> Option<Vec<TurnId>> {
        let turn = self.turns.get(n)?.clone();
        let Some(checkpoint) = self.checkpoint() else { return Some(vec![turn.id]) };
        let script = Script::new(&turn.text, turn.speaker, false, &checkpoint.text_profile);
        let messages = script.messages(&checkpoint.text_profile, &checkpoint.info.name);
        messages.into_iter().for_each(|text| self.notify(text));
        let whole = script.pieces.len() == 1 && script.tag.is_none();
        if whole || script.pieces.is_empty() {
            return Some(vec![turn.id]);
        }
        if script.pieces.len() > 1 {
            self.notify(format!("the text is spoken in {} pieces, each a turn of its own", script.pieces.len()));
        }
        let mut ids = Vec::new();
        for (m, piece) in script.pieces.into_iter().enumerate() {
            if m > 0 {
                self.add_turn(piece.speaker, "");
                let added = self.turns.pop()?;
                self.turns.insert(n + m, added);
            }
            let turn = self.turns.get_mut(n + m)?;
            (turn.speaker, turn.text, turn.take) = (piece.speaker, piece.text, None);
            ids.push(turn.id);
        }
        Some(ids)
    }

    fn poll_pieces(&mut self) {
        let heard = !(self.settings.autoplay && self.player.is_playing());
        if self.active.is_none()
            && heard
            && let Some(before) = self.pieces.before.take()
        {
            self.speak_next_piece(before);
        }
    }

    /// Speaks the next piece of a longer text, after `before`, the piece before it.
    fn speak_next_piece(&mut self, before: Option<Turn>) {
        let Some(id) = self.pieces.turns.pop_front() else { return };
        let Some(turn) = self.turns.iter().find(|t| t.id == id).cloned() else { return };
        let sampling = self.next_sampling();
        let spec = |before: Option<Turn>| {
            let context = self.pieces.context.iter().cloned().chain(before).collect();
            ClipSpec { context, ..ClipSpec::new(turn.text.clone(), turn.speaker, sampling) }
        };
        let after = spec(before);
        // Where the piece before it leaves no room, it is spoken without it.
        let fits =
            self.checkpoint().is_none_or(|c| !matches!(self.request(&after, c), Err(Error::ContextTooLong { .. })));
        let spec = if fits { after } else { spec(None) };
        self.speak(spec, Some(id), None);
    }

    fn context_of(&self, n: usize, with_context: bool) -> Result<Vec<Turn>> {
        let mut context: Vec<Turn> = self.prompt.iter().filter_map(prompt_turn).collect();
        let before = if with_context { &self.turns[..n] } else { &[] };
        for (m, turn) in before.iter().enumerate().filter(|(_, t)| !t.text.trim().is_empty()) {
            let Some(id) = &turn.take else {
                let expected = format!("turn {} to be spoken before turn {} can answer it", m + 1, n + 1);
                return Err(Error::invalid("conversation", expected, "no take of it"));
            };
            let frames = self.read_tokens(id)?.frames;
            context.push(Turn { speaker: turn.speaker, text: turn.text.clone(), frames });
        }
        Ok(context)
    }

    /// Queues a take. What cannot be spoken is reported at once.
    pub fn speak(&mut self, spec: ClipSpec, turn: Option<TurnId>, parent: Option<String>) {
        match self.checkpoint().map(|checkpoint| self.request(&spec, checkpoint)) {
            None => self.notify(self.model_status().unwrap_or_default()),
            Some(Ok(_)) => self.queue.push_back(QueuedTask::Speak { spec: Box::new(spec), turn, parent }),
            Some(Err(e)) => self.notify_error(e),
        }
        self.dispatch_next();
    }

    /// The request for `spec`, with everything checked that can be checked before it runs.
    fn request(&self, spec: &ClipSpec, checkpoint: &Checkpoint) -> Result<GenerationRequest> {
        let dims = checkpoint.dims();
        spec.sampling.check(&dims)?;
        checkpoint.info.check_speaker("speaker", spec.speaker)?;
        let max_frames = dims.frames_in(self.settings.max_seconds).max(1);
        let request = GenerationRequest::new(spec, checkpoint.prompt_of(spec)?, max_frames);
        request.prompt.check_fits(max_frames, &dims)?;
        Ok(GenerationRequest { observe: true, ..request })
    }

    /// Positions that the conversation up to turn `n` and the longest speech take, and those of the model.
    pub fn context_meter(&self, n: usize) -> Option<(usize, usize)> {
        let checkpoint = self.checkpoint()?;
        let dims = checkpoint.dims();
        let text = |speaker, text: &str| checkpoint.text_ids(speaker, text).map_or(0, |ids| ids.len());
        let mut used = dims.frames_in(self.settings.max_seconds);
        if let Some(prompt) = &self.prompt {
            used += text(prompt.speaker, &prompt.text) + prompt.frames.as_ref().map_or(0, |f| f.len() + 1);
        }
        for (m, turn) in self.turns.iter().enumerate().take(n + 1) {
            used += text(turn.speaker, &turn.text);
            if m < n {
                let take = turn.take.as_ref().and_then(|id| self.store.get(id));
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
        self.speak(spec, None, Some(id.to_owned()));
    }

    /// Makes the inspected take again with the current settings from `frame` on: an edited take whose frames before that stay
    /// unchanged. The seed is the take's.
    pub fn resume(&mut self, frame: usize) {
        let (Some(mut spec), Some(parent)) = (self.inspected.spec.clone(), self.inspected.take.clone()) else { return };
        spec.edits.retain(|edit| edit.frame() < frame);
        let sampling = Sampling { seed: spec.sampling.seed, ..self.sampling };
        spec.edits.push(Edit::Sampling { frame, sampling });
        self.speak(spec, None, Some(parent));
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
            self.speak(ClipSpec { sampling, ..spec.clone() }, None, Some(id.to_owned()));
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

    /// Stops the running take before its next frame and empties the queue; what was made is kept.
    pub fn cancel(&mut self) {
        self.queue.clear();
        self.pieces = PiecesToSpeak::default();
        match &self.active {
            Some(ActiveTask::Speak { task, .. } | ActiveTask::TeacherForce { task }) => task.cancel(),
            Some(ActiveTask::Encode { task }) => task.cancel(),
            None => {}
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
                self.prompt = Some(VoicePrompt { path, ..VoicePrompt::default() });
                self.queue.push_back(QueuedTask::Encode { samples: recording.samples });
                self.dispatch_next();
            }
            Err(e) => self.notify_error(e),
        }
    }

    /// Loads take `id` into view and player, and has its draws computed again.
    pub fn inspect(&mut self, id: &str) {
        if self.is_speaking() {
            return self.notify("a take is being made; Escape cancels it");
        }
        let Some(checkpoint) = self.checkpoint().cloned() else { return };
        let rate = checkpoint.dims().sample_rate;
        let read = self.read_tokens(id).and_then(|file| {
            let audio = wav::read(&self.store.path(id).join("audio.wav"), rate)?;
            Ok((file, audio, checkpoint.id()?))
        });
        let (file, audio, model) = match read {
            Ok(read) => read,
            Err(e) => return self.notify_error(e),
        };
        let same_model = file.model.as_ref().is_none_or(|m| m.sha256 == model.sha256);
        self.inspected = InspectedClip {
            take: Some(id.to_owned()),
            spec: file.clip_spec(&self.tokens_path(id)).ok(),
            stop: file.stop,
            real_time_factor: self.store.get(id).map_or(0.0, |t| t.measures.real_time_factor),
            frames: file.frames,
            version: self.inspected.version + 1,
            ..InspectedClip::default()
        };
        self.inspected.push_audio(&audio);
        self.player.load(&audio, rate);
        self.queue.retain(|t| !matches!(t, QueuedTask::TeacherForce { .. }));
        if self.is_recomputing() {
            self.active = None; // dropping the task cancels it
        }
        if same_model && self.inspected.spec.is_some() {
            self.queue.push_back(QueuedTask::TeacherForce { take: id.to_owned() });
        } else {
            self.notify("this take was made by another model: its draws cannot be computed here");
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
            QueuedTask::Encode { samples } => {
                worker.encode(samples, cancel).map(|task| Some(ActiveTask::Encode { task }))
            }
            QueuedTask::Speak { spec, turn, parent } => self
                .request(&spec, checkpoint)
                .and_then(|request| worker.generate(request, cancel))
                .map(|task| Some(ActiveTask::Speak { spec, turn, parent, task })),
            QueuedTask::TeacherForce { take } => match &self.inspected.spec {
                Some(spec) if self.inspected.take.as_ref() == Some(&take) => checkpoint
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
        if let Some(ActiveTask::Speak { spec, .. }) = &self.active {
            let version = self.inspected.version + 1;
            self.inspected = InspectedClip { spec: Some((**spec).clone()), version, ..InspectedClip::default() };
            let rate = self.checkpoint().map_or(0, |c| c.dims().sample_rate);
            let expected = expected_seconds(&spec.text).min(self.settings.max_seconds);
            self.player.begin(rate);
            self.player.expect(expected);
            if self.settings.autoplay
                && let Err(e) = self.player.play_when_buffered()
            {
                self.notify_error(e);
            }
        }
    }

    fn on_clip_finished(&mut self, spec: ClipSpec, turn: Option<TurnId>, parent: Option<String>, clip: GeneratedClip) {
        self.player.finish();
        self.inspected.stop = Some(clip.stop);
        self.inspected.version += 1;
        clip.findings.iter().for_each(|finding| self.notify(finding));
        if clip.frames.is_empty() {
            self.pieces.before = turn.map(|_| None);
            return;
        }
        let piece = Turn { speaker: spec.speaker, text: spec.text.clone(), frames: clip.frames.clone() };
        // The text may have been edited meanwhile; then the take says something else.
        let spoken = spec.text.clone();
        match self.store_take(spec, parent, &clip) {
            Ok(id) => {
                self.inspected.take = Some(id.clone());
                let of_turn = |t: &&mut TurnDraft| Some(t.id) == turn && t.text == spoken;
                if let Some(turn) = self.turns.iter_mut().find(of_turn) {
                    turn.take = Some(id);
                }
            }
            Err(e) => self.notify_error(e),
        }
        if clip.stop != FinishReason::Cancelled && turn.is_some() {
            self.pieces.before = Some(Some(piece));
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

/// Reads a checkpoint on a thread of its own, with the SHA-256 of its weights, which every take needs.
fn read_in_background(
    model: CheckpointSpec,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> Result<Receiver<Result<Arc<Checkpoint>>>> {
    let (sender, receiver) = channel();
    let read = move || {
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

fn prompt_turn(prompt: &VoicePrompt) -> Option<Turn> {
    let frames = prompt.frames.clone()?;
    Some(Turn { speaker: prompt.speaker, text: prompt.text.clone(), frames })
}
