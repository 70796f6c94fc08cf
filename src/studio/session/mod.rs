//! The window's state without the window: it holds the parts of [`super::state`] together and moves news between them and the
//! worker.

mod background;
mod clips;
mod exports;
mod inspecting;
mod listening;
mod prompt;
mod speaking;
mod testing;

use self::background::{Finished, UnderWay};
pub use self::exports::Content;
use self::listening::ClipToPin;
pub use self::speaking::RegenerateSeed;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::settings::Settings;
use super::state::{
    ActiveTask, ClipView, Codebooks, Conversation, Draft, Generation, Heard, InspectedClip, Library, Measured, Model,
    ModelNews, Notifications, OpenTest, Outlines, Pins, QueuedTask, TaskNews, TestInMaking, Wake, WhatIfQuestion,
    describe_bytes,
};
use crate::audio::microphone::{MicrophoneRecording, Source};
use crate::audio::player::{Player, Sink};
use crate::checkpoint::{Checkpoint, CheckpointSpec};
use crate::data::{Dtype, FinishReason, Mode, ModelDims, ModelInfo, Sampling};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::takes::{DrawCache, Store};
use crate::worker::CancelToken;

/// Checkpoints that are remembered.
const RECENT_MODELS: usize = 8;

/// Bytes of draws that are kept on disk: some five minutes of CSM-1B, hours of the demo voice.
const DRAW_CACHE: u64 = 1 << 30;

/// Samples a second where no model says.
const DEFAULT_RATE: usize = 24_000;

/// Files of the window, and its sound.
pub struct StudioPaths {
    /// The takes' folder.
    pub takes: PathBuf,
    /// The settings file.
    pub settings: PathBuf,
    /// What can be computed again.
    pub cache: PathBuf,
    /// Where the sound goes; `None` for the device of the settings.
    pub sink: Option<Sink>,
    /// Where recordings come from.
    pub source: Source,
    /// The checkpoint's folder or id; `None` for the embedded voice.
    pub model: CheckpointSpec,
    /// Files to open: folders of takes, token files, WAV files.
    pub open: Vec<PathBuf>,
}

impl StudioPaths {
    /// The folder of recordings.
    fn recordings(&self) -> PathBuf {
        self.takes.with_file_name("recordings")
    }

    /// The draft's file.
    fn draft(&self) -> PathBuf {
        self.settings.with_file_name("draft.json")
    }
}

/// The state.
pub struct Session {
    /// Remembered settings.
    pub settings: Settings,
    saved: Settings,
    paths: StudioPaths,
    /// The model.
    pub model: Model,
    wake: Wake,
    /// What the worker does and what waits for it.
    pub generation: Generation,
    /// What threads have finished.
    finished: Finished,
    /// A recording that is being made for the voice prompt.
    pub microphone: Option<MicrophoneRecording>,
    /// A recording that is being read for the voice prompt.
    recording: Option<PathBuf>,
    /// Version of the sound whose spectrogram was asked for last.
    spectrogram_asked: Option<u64>,
    /// What was measured of the sounds on view.
    pub measured: Measured,
    /// Counts clips that were asked to come into view: one that is read gives way to a later one.
    asked_to_view: u64,
    /// Whether a file is being opened.
    opening: UnderWay,
    /// Clips that wait to be pinned, and whether one is being read and measured for that.
    to_pin: VecDeque<ClipToPin>,
    pinning: UnderWay,
    /// Whether takes are being written.
    writing_takes: UnderWay,
    /// Files that are opened as soon as it is known whether there is a model.
    to_open: VecDeque<PathBuf>,
    /// The conversation.
    pub conversation: Conversation,
    saved_draft: Draft,
    /// Settings of the next take.
    pub sampling: Sampling,
    /// The clip on view.
    pub inspected: InspectedClip,
    /// What of it is selected.
    pub view: ClipView,
    /// Which of its codebooks are heard.
    pub codebooks: Codebooks,
    /// The sound of those, where they are not all.
    limited: Vec<f32>,
    /// What other settings would have drawn.
    pub what_if: WhatIfQuestion,
    /// Clips to compare.
    pub pins: Pins,
    /// A listening test whose sounds are being decoded.
    test_in_making: Option<TestInMaking>,
    /// The listening test that is open.
    pub listening: Option<OpenTest>,
    /// What the player has.
    pub heard: Heard,
    /// The takes.
    pub library: Library,
    /// The player.
    pub player: Player,
    /// What happened.
    pub notifications: Notifications,
    /// Draws of takes, on disk.
    draw_cache: DrawCache,
    /// The take whose draws are known to be there.
    draws_kept: Option<String>,
    /// Bytes of the model that had been read when the take that is being made was begun.
    read_before: u64,
    /// Counts requests of several takes that are to be compared.
    groups: u64,
}

impl Session {
    /// Starts loading the model in the background. `store` has the takes; `wake` is called when there is news.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn new(paths: StudioPaths, mut store: Store, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let (settings, problem) = Settings::read(&paths.settings);
        let (draft, unreadable) = Draft::read(&paths.draft());
        let damaged = std::mem::take(&mut store.damaged);
        let wake: Wake = Arc::new(wake);
        let mut player =
            Player::new(paths.sink.clone().unwrap_or(Sink::Device(settings.device.clone()))).in_background();
        player.set_volume(settings.volume);
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
        let cache = paths.cache.join("draws");
        let mut session = Self {
            sampling: settings.sampling.unwrap_or_else(fallback),
            saved: settings.clone(),
            settings,
            to_open: paths.open.iter().cloned().collect(),
            model: Model::open(paths.model.clone(), wake.clone())?,
            paths,
            wake,
            generation: Generation::default(),
            finished: Finished::default(),
            microphone: None,
            recording: None,
            spectrogram_asked: None,
            asked_to_view: 0,
            opening: UnderWay::default(),
            to_pin: VecDeque::new(),
            pinning: UnderWay::default(),
            writing_takes: UnderWay::default(),
            measured: Measured::default(),
            conversation: Conversation::new(draft.turns.clone()),
            saved_draft: draft,
            inspected: InspectedClip::default(),
            view: ClipView::default(),
            codebooks: Codebooks::default(),
            limited: Vec::new(),
            what_if: WhatIfQuestion::default(),
            pins: Pins::default(),
            test_in_making: None,
            listening: None,
            heard: Heard::default(),
            library: Library { store, outlines: Outlines::default() },
            player,
            notifications: Notifications::default(),
            draw_cache: DrawCache::new(&cache, DRAW_CACHE),
            draws_kept: None,
            read_before: 0,
            groups: 0,
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

    /// Shows what failed, if something did.
    pub fn report<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|e| self.notify_error(e)).ok()
    }

    /// The model, once its files are read.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        self.model.checkpoint()
    }

    /// Sizes, voices and labels of the model, once its files are read.
    pub fn model_info(&self) -> Option<Arc<ModelInfo>> {
        self.model.info()
    }

    /// Whether takes can be made.
    pub fn is_ready(&self) -> bool {
        self.model.ready().is_some()
    }

    /// How much of the language model has been loaded for the take that is being made, in words; `None` once it speaks.
    pub fn load_progress(&self) -> Option<String> {
        let tensors = &self.checkpoint().filter(|_| self.is_speaking() && self.inspected.frames.is_empty())?.tensors;
        let read = tensors.bytes_read() - self.read_before;
        let all = (tensors.stored_size("") - tensors.stored_size("codec_model.")) as u64;
        // A few tensors are read for a prompt, too; a model is loaded where much is read.
        (read > all / 100).then(|| describe_bytes(read.min(all), all))
    }

    /// Whether something is on its way that no thread reports step by step.
    pub fn is_loading(&self) -> bool {
        self.model.is_loading() || (self.is_speaking() && self.inspected.frames.is_empty())
    }

    /// Whether a take is being made.
    pub fn is_speaking(&self) -> bool {
        self.generation.is_speaking()
    }

    /// Samples a second of the model, or the usual ones.
    fn rate(&self) -> usize {
        self.checkpoint().map_or(DEFAULT_RATE, |c| c.dims().sample_rate)
    }

    /// Sizes of the model.
    fn dims(&self) -> Result<ModelDims> {
        let found = self.checkpoint().map(|c| c.dims());
        found.ok_or_else(|| Error::invalid("model", "a loaded model", "none"))
    }

    /// Processes what the threads report. Never waits.
    pub fn poll(&mut self) {
        if let Some(news) = self.model.poll() {
            self.on_model(news);
        }
        self.what_if.poll();
        self.poll_background();
        self.poll_microphone();
        self.poll_spectrogram();
        self.keep_draws();
        self.poll_task();
        self.open_next_model();
        self.open_waiting_files();
        self.speak_next_turn();
        self.dispatch_next();
        let recovered = self.player.poll_device();
        self.report(recovered);
    }

    /// Loads another model in the place of this one. A take that is being made is kept as far as it is.
    pub fn open_model(&mut self, spec: CheckpointSpec) {
        self.generation.stop();
        self.model.ask_for(spec);
        self.open_next_model();
    }

    /// Opens the model that was asked for, once the take that was being made is kept.
    fn open_next_model(&mut self) {
        if self.is_speaking() || !self.model.will_be_replaced() {
            return;
        }
        self.generation.queue.clear();
        self.generation.active = None; // dropping a task cancels it; none of these makes anything that is kept
        // Its codes are the other model's; it is encoded again by the new one.
        self.conversation.prompt.iter_mut().for_each(|prompt| prompt.frames = None);
        if let Some(news) = self.model.replace() {
            self.on_model(news);
        }
    }

    fn on_model(&mut self, news: ModelNews) {
        match news {
            ModelNews::Read(checkpoint) => {
                let dims = checkpoint.dims();
                let suggested = checkpoint.suggested_sampling(self.sampling.mode, 0);
                self.sampling = self.settings.sampling.filter(|s| s.check(&dims).is_ok()).unwrap_or(suggested);
                checkpoint.notes.iter().chain(&checkpoint.warnings).for_each(|text| self.notify(text));
            }
            ModelNews::Ready => {
                if let Some(path) = self.model.spec().path.clone() {
                    let recent = &mut self.settings.recent_models;
                    recent.retain(|known| *known != path);
                    recent.insert(0, path);
                    recent.truncate(RECENT_MODELS);
                }
                if self.conversation.waits_for_prompt()
                    && let Some(prompt) = self.conversation.prompt.clone()
                {
                    self.set_prompt(prompt.path);
                }
            }
            ModelNews::Failed(error) => {
                self.generation.queue.clear();
                self.generation.to_speak.clear();
                self.notify_error(error);
            }
        }
    }

    fn poll_task(&mut self) {
        while let Some(news) = self.generation.poll() {
            match news {
                TaskNews::Speaking(event) => self.on_speak_event(event),
                TaskNews::Spoken(clip, made) => self.on_clips_finished(*clip, made),
                TaskNews::Draws(frame) => self.inspected.push_draws(frame),
                TaskNews::Recomputed(end) => self.inspected.push_end(end.as_ref()),
                TaskNews::Encoded(path, frames) => {
                    // Another recording may have taken its place meanwhile.
                    let prompt = self.conversation.prompt.iter_mut().filter(|prompt| prompt.path == path);
                    prompt.for_each(|prompt| prompt.frames = Some(frames.clone()));
                }
                TaskNews::Auditioned(audition, audio) => self.on_audition_decoded(&audition, audio),
                TaskNews::Decoded(path, file, audio) => {
                    let rate = self.rate();
                    self.view_clip(None, &path, *file, &audio, rate);
                }
                TaskNews::DecodedForTest(audio) => self.on_decoded_for_test(audio),
                TaskNews::NotSpoken(e) => {
                    self.finish_sound();
                    self.generation.to_speak.clear();
                    self.notify_error(e);
                }
                TaskNews::NotEncoded(e) => {
                    self.conversation.prompt = None;
                    self.generation.to_speak.clear(); // they were to be heard after it
                    self.notify_error(e);
                }
                TaskNews::Failed(e) => self.notify_error(e),
            }
        }
    }

    /// Gives the worker its next task.
    fn dispatch_next(&mut self) {
        let Some((checkpoint, worker)) = self.model.ready() else { return };
        if self.generation.active.is_some() {
            return;
        }
        let Some(next) = self.generation.queue.pop_front() else { return };
        let cancel = CancelToken::default();
        let read_before = checkpoint.tensors.bytes_read();
        let started = match next {
            QueuedTask::Encode { path, samples } => {
                worker.encode(samples, cancel).map(|task| Some(ActiveTask::Encode { path, task }))
            }
            QueuedTask::Decode { path, file } => {
                worker.decode(file.frames.clone(), cancel).map(|task| Some(ActiveTask::Decode { path, file, task }))
            }
            QueuedTask::DecodeForTest { frames, heard } => {
                worker.decode_codebooks(frames, heard, cancel).map(|task| Some(ActiveTask::DecodeForTest { task }))
            }
            QueuedTask::Audition(audition) => {
                let heard = audition.codebooks.heard(audition.frames.codebooks());
                let task = worker.decode_codebooks(audition.frames.clone(), heard, cancel);
                task.map(|task| Some(ActiveTask::Audition { audition, task }))
            }
            QueuedTask::Speak(clip) if !clip.more_seeds.is_empty() => {
                let seeds = std::iter::once(clip.spec.sampling.seed).chain(clip.more_seeds.iter().copied()).collect();
                speaking::request(&clip.spec, checkpoint, clip.max_frames)
                    .and_then(|request| worker.generate_batch(request, seeds, cancel))
                    .map(|task| Some(ActiveTask::SpeakSeeds { clip, task }))
            }
            QueuedTask::Speak(clip) => speaking::request(&clip.spec, checkpoint, clip.max_frames)
                .and_then(|request| worker.generate(request, cancel))
                .map(|task| Some(ActiveTask::Speak { clip, task })),
            QueuedTask::TeacherForce { take } => match &self.inspected.spec {
                Some(spec) if self.inspected.take == take => checkpoint
                    .prompt_of(spec)
                    .map(|prompt| {
                        let request = GenerationRequest::teacher_forced(spec, prompt, &self.inspected.frames);
                        match self.inspected.stop {
                            Some(FinishReason::Eos) => request.with_forced_end(),
                            _ => request,
                        }
                    })
                    .and_then(|request| worker.generate(request, cancel))
                    .map(|task| Some(ActiveTask::TeacherForce { task })),
                _ => Ok(None),
            },
        };
        let Some(active) = self.report(started) else { return };
        self.generation.active = active;
        if let Some(ActiveTask::Speak { clip, .. } | ActiveTask::SpeakSeeds { clip, .. }) = &self.generation.active {
            let spec = clip.spec.clone();
            self.read_before = read_before;
            self.begin_clip(spec);
        }
    }

    /// Writes the turns if they have changed, so that they are there after a restart.
    pub fn save_draft(&mut self) {
        let draft = Draft { turns: self.conversation.turns().to_vec() };
        if draft != self.saved_draft {
            let written = draft.write(&self.paths.draft());
            self.report(written);
            self.saved_draft = draft;
        }
    }

    /// Whether there are turns that have not been written yet.
    pub fn has_unsaved_draft(&self) -> bool {
        self.saved_draft.turns != self.conversation.turns()
    }

    /// Writes the settings file if they have changed.
    pub fn save_settings(&mut self) {
        if self.checkpoint().is_some() {
            // Before that they are only a guess at what the checkpoint suggests.
            self.settings.sampling = Some(self.sampling);
        }
        if self.settings != self.saved {
            self.saved = self.settings.clone();
            let written = self.settings.write(&self.paths.settings);
            self.report(written);
        }
    }
}
