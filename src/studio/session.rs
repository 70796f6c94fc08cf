//! Everything the window shows and does, without a window: text to speak, the running take, the clip on view, the takes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use super::settings::Settings;
use crate::analysis::step::Step;
use crate::audio::output::{Output, Sink};
use crate::audio::wav::{self, Info};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::pipeline::{Clip, Event, FrameEvent, Job};
use crate::prompt::{Frame, Segment};
use crate::recipe::Recipe;
use crate::report::{self, Model};
use crate::sampling::{Mode, Sampling};
use crate::takes::{Measures, Store, Take};
use crate::tokens::{Edit, Stop, TokenFile};
use crate::worker::{Command, Report, Worker};

/// One turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub speaker: u32,
    /// What is said.
    pub text: String,
    /// The take that was made of it, if one was.
    pub take: Option<String>,
}

/// Something that went wrong or is worth saying; shown once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// In words.
    pub text: String,
    /// Whether something failed.
    pub error: bool,
}

/// A clip with all that is known of its draws.
#[derive(Default)]
pub struct Shown {
    /// The take, once it is kept.
    pub take: Option<String>,
    /// What made it.
    pub recipe: Option<Recipe>,
    /// Tokens, `[T][K]`.
    pub frames: Vec<Frame>,
    /// Measures of the draws, `[T][K]`; fewer while they are being computed.
    pub steps: Vec<Vec<Step>>,
    /// Logits of the draws, `[T][K * V]`; as many as `steps`.
    pub logits: Vec<Vec<f32>>,
    /// Settings of the draws.
    pub samplings: Vec<Sampling>,
    /// Smallest and largest sample of every [`PEAK`] samples.
    pub peaks: Vec<(f32, f32)>,
    /// Samples.
    pub audio: Vec<f32>,
    /// Time of computing over length.
    pub real_time_factor: f64,
    /// Why it ended; `None` while it runs.
    pub stop: Option<Stop>,
    /// Counts changes, so that pictures of it are drawn anew only then.
    pub version: u64,
}

/// Samples in one peak of the waveform: 10 ms at 24 kHz.
pub const PEAK: usize = 240;

impl Shown {
    fn hear(&mut self, samples: &[f32]) {
        self.audio.extend_from_slice(samples);
        self.peaks.truncate(self.audio.len().saturating_sub(samples.len()) / PEAK);
        let from = self.peaks.len() * PEAK;
        let peak = |c: &[f32]| c.iter().fold((0f32, 0f32), |(low, high), s| (low.min(*s), high.max(*s)));
        self.peaks.extend(self.audio[from..].chunks(PEAK).map(peak));
        self.version += 1;
    }

    fn see(&mut self, frame: FrameEvent) {
        let logits = frame.logits.unwrap_or_default();
        let rows = logits.chunks_exact((logits.len() / frame.codes.len()).max(1)).enumerate();
        let s = frame.sampling;
        self.steps.push(rows.map(|(k, row)| Step::of(row, frame.codes[k], s.draw(k), s.guard)).collect());
        self.logits.push(logits);
        self.samplings.push(s);
        self.version += 1;
    }
}

/// A task for the worker.
enum Task {
    /// Speak; the turn it belongs to, the take it was made from.
    Speak { recipe: Box<Recipe>, turn: Option<usize>, parent: Option<String> },
    /// Compute the draws of the shown take again.
    Look { take: String },
    /// Codes of a voice prompt.
    Encode { samples: Vec<f32> },
}

struct Running {
    id: u64,
    task: Task,
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
    /// Its codes; `None` until they are there.
    pub frames: Option<Vec<Frame>>,
}

/// Where things are kept and where sound goes.
pub struct Place {
    /// The takes' folder.
    pub takes: PathBuf,
    /// The settings' file.
    pub settings: PathBuf,
    /// Where the sound goes; `None` for the device of the settings.
    pub sink: Option<Sink>,
    /// The checkpoint's folder; `None` for the embedded voice.
    pub model: Option<PathBuf>,
}

/// The state.
pub struct Session {
    /// Remembered.
    pub settings: Settings,
    saved: Settings,
    place: Place,
    loading: Option<Receiver<Result<Arc<Checkpoint>>>>,
    checkpoint: Option<Arc<Checkpoint>>,
    /// Sizes and labels, once the model is there.
    pub model: Option<Arc<Model>>,
    worker: Option<Worker>,
    wake: Arc<dyn Fn() + Send + Sync>,
    ready: bool,
    queue: VecDeque<Task>,
    running: Option<Running>,
    tasks: u64,
    /// The conversation.
    pub turns: Vec<Turn>,
    /// The recording before it.
    pub prompt: Option<VoicePrompt>,
    /// Settings of the next take.
    pub sampling: Sampling,
    /// The clip on view.
    pub shown: Shown,
    /// The takes.
    pub store: Store,
    /// The player.
    pub output: Output,
    /// What has to be said.
    pub messages: VecDeque<Message>,
}

impl Session {
    /// Starts loading the model in the background. `wake` is called when there is something new.
    ///
    /// # Errors
    /// Where the takes' folder cannot be used.
    pub fn new(place: Place, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let (settings, problem) = Settings::read(&place.settings);
        let mut store = Store::open(&place.takes)?;
        let damaged = std::mem::take(&mut store.damaged);
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(wake);
        let mut output = Output::new(place.sink.clone().unwrap_or(Sink::Device(settings.device.clone())));
        output.set_volume(settings.volume);
        let (send, loading) = channel();
        let (folder, woken) = (place.model.clone(), wake.clone());
        std::thread::Builder::new()
            .name("csm-load".into())
            .spawn(move || {
                let checkpoint = Checkpoint::resolve(folder.as_deref()).map(Arc::new);
                // The SHA-256 of the weights is wanted for every take; here nobody waits for it.
                if let Ok(c) = &checkpoint {
                    c.sha256();
                }
                let _ = send.send(checkpoint);
                woken();
            })
            .expect("a thread can be started");
        let blank = crate::config::GenerationConfig::default();
        let dtype = crate::checkpoint::Dtype::Float32;
        let mut session = Self {
            sampling: settings.sampling.unwrap_or(Sampling::suggested(&blank, Mode::Native, 0, dtype, usize::MAX)),
            saved: settings.clone(),
            settings,
            place,
            loading: Some(loading),
            checkpoint: None,
            model: None,
            worker: None,
            wake,
            ready: false,
            queue: VecDeque::new(),
            running: None,
            tasks: 0,
            turns: vec![Turn::default()],
            prompt: None,
            shown: Shown::default(),
            store,
            output,
            messages: VecDeque::new(),
        };
        problem.into_iter().for_each(|p| session.fail(p));
        damaged.iter().for_each(|e| session.fail(e));
        Ok(session)
    }

    /// Says that something failed.
    pub fn fail(&mut self, what: impl ToString) {
        self.messages.push_back(Message { text: what.to_string(), error: true });
    }

    /// Says something.
    pub fn say(&mut self, what: impl ToString) {
        self.messages.push_back(Message { text: what.to_string(), error: false });
    }

    /// The model, once its files are read.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        self.checkpoint.as_ref()
    }

    /// Whether takes can be made.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether a take is being made.
    pub fn is_speaking(&self) -> bool {
        matches!(self.running, Some(Running { task: Task::Speak { .. }, .. }))
    }

    /// Whether draws of the shown take are being computed again.
    pub fn is_looking(&self) -> bool {
        matches!(self.running, Some(Running { task: Task::Look { .. }, .. }))
    }

    /// Takes that wait to be made.
    pub fn waiting(&self) -> usize {
        self.queue.iter().filter(|t| matches!(t, Task::Speak { .. })).count()
    }

    /// Takes in what the threads have to report. Never waits.
    pub fn poll(&mut self) {
        if let Some(loaded) = self.loading.as_ref().and_then(|l| l.try_recv().ok()) {
            self.loading = None;
            match loaded {
                Ok(checkpoint) => self.begin(checkpoint),
                Err(e) => self.fail(e),
            }
        }
        while let Some(report) = self.worker.as_ref().and_then(|w| w.reports().try_recv().ok()) {
            self.take_in(report);
        }
        self.next();
        if let Some(problem) = self.output.tend() {
            self.fail(problem);
        }
    }

    fn begin(&mut self, checkpoint: Arc<Checkpoint>) {
        let vocab = checkpoint.config.vocab_size;
        let mode = self.sampling.mode;
        let suggested =
            Sampling::suggested(&checkpoint.generation, mode, 0, mode.precision(checkpoint.tensors.dtype()), vocab);
        self.sampling = self.settings.sampling.filter(|s| s.check(vocab).is_ok()).unwrap_or(suggested);
        self.model = Some(Arc::new(Model::of(&checkpoint)));
        let wake = self.wake.clone();
        self.worker = Some(Worker::start(checkpoint.clone(), move || wake()));
        self.checkpoint = Some(checkpoint);
    }

    fn take_in(&mut self, report: Report) {
        match report {
            Report::Ready(Ok(())) => self.ready = true,
            Report::Ready(Err(e)) => self.fail(e),
            Report::Event(id, event) if self.running.as_ref().is_some_and(|r| r.id == id) => self.happen(event),
            Report::Event(..) | Report::Decoded(..) => {}
            Report::Clip(_, clip) => match (self.running.take().map(|r| r.task), clip) {
                (Some(Task::Speak { recipe, turn, parent }), Ok(clip)) => self.keep(*recipe, turn, parent, clip),
                (_, Ok(_)) => {}
                (_, Err(e)) => {
                    self.output.finish();
                    self.fail(e);
                }
            },
            Report::Encoded(_, codes) => {
                self.running = None;
                match codes {
                    Ok(frames) => self.prompt.iter_mut().for_each(|p| p.frames = Some(frames.clone())),
                    Err(e) => {
                        self.prompt = None;
                        self.fail(e);
                    }
                }
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let speaking = self.is_speaking();
        match event {
            Event::Frame(frame) => {
                if speaking {
                    self.shown.frames.push(frame.codes.clone());
                    self.shown.real_time_factor = frame.real_time_factor;
                }
                self.shown.see(frame);
            }
            Event::Audio(samples) if speaking => {
                self.shown.hear(&samples);
                self.output.push(&samples);
            }
            Event::Audio(_) => {}
            // The window's jobs are not tried again.
            Event::Retry { .. } => {}
        }
    }

    /// Settings as they will be used: a seed of its own where that is wanted.
    fn drawn(&mut self) -> Sampling {
        if self.settings.new_seed {
            match getrandom::u64() {
                // Seeds that fit a spreadsheet's numbers are easier to handle.
                Ok(seed) => self.sampling.seed = seed >> 32,
                Err(e) => self.fail(format!("the system gives no random number: {e}")),
            }
        }
        self.sampling
    }

    /// Speaks turn `n`, after the turns before it where `with_context`.
    pub fn speak_turn(&mut self, n: usize, with_context: bool) {
        let Some(turn) = self.turns.get(n).cloned() else { return };
        let mut context: Vec<Segment> = self.prompt.iter().filter_map(segment_of_prompt).collect();
        if with_context {
            for (m, before) in self.turns[..n].iter().enumerate() {
                if before.text.trim().is_empty() {
                    continue;
                }
                let Some(id) = &before.take else {
                    let text = format!("turn {} has to be spoken before turn {} can answer it", m + 1, n + 1);
                    self.fail(text);
                    return;
                };
                match self.tokens(id) {
                    Ok(file) => context.push(Segment {
                        speaker: before.speaker,
                        text: before.text.clone(),
                        frames: file.frames,
                    }),
                    Err(e) => {
                        self.fail(e);
                        return;
                    }
                }
            }
        }
        let sampling = self.drawn();
        let recipe = Recipe { text: turn.text, speaker: turn.speaker, context, sampling, edits: Vec::new() };
        self.speak(recipe, Some(n), None);
    }

    /// Queues a take. What cannot be spoken is said at once.
    pub fn speak(&mut self, recipe: Recipe, turn: Option<usize>, parent: Option<String>) {
        match &self.checkpoint {
            None => self.say("the model is still loading"),
            Some(checkpoint) => match self.job(&recipe, checkpoint) {
                Ok(_) => self.queue.push_back(Task::Speak { recipe: Box::new(recipe), turn, parent }),
                Err(e) => self.fail(e),
            },
        }
        self.next();
    }

    /// The job of `recipe`, with everything checked that can be checked before it runs.
    fn job(&self, recipe: &Recipe, checkpoint: &Checkpoint) -> Result<Job> {
        let c = &checkpoint.config;
        recipe.sampling.check(c.vocab_size)?;
        checkpoint.check_speaker("speaker", recipe.speaker)?;
        let frames = (self.settings.max_seconds * c.codec_config.frame_rate()).max(1.0) as usize;
        let job = Job { observe: true, ..Job::of(recipe, checkpoint, frames)? };
        job.prompt.check_fits(frames, c.backbone.max_position_embeddings)?;
        Ok(job)
    }

    /// Positions that the conversation up to turn `n`, and the longest speech, take of the model's: used and there.
    pub fn context_meter(&self, n: usize) -> Option<(usize, usize)> {
        let checkpoint = self.checkpoint.as_ref()?;
        let c = &checkpoint.config;
        let mut used = (self.settings.max_seconds * c.codec_config.frame_rate()) as usize;
        let rows = |speaker, text: &str| checkpoint.text_ids(speaker, text).map_or(0, |ids| ids.len());
        used +=
            self.prompt.as_ref().map_or(0, |p| rows(p.speaker, &p.text) + p.frames.as_ref().map_or(0, |f| f.len() + 1));
        for (m, turn) in self.turns.iter().enumerate().take(n + 1) {
            used += rows(turn.speaker, &turn.text);
            if m < n {
                let take = turn.take.as_ref().and_then(|id| self.store.get(id));
                used += take.map_or(0, |t| t.measures.frames + 1);
            }
        }
        Some((used, c.backbone.max_position_embeddings))
    }

    /// Makes take `id` again: with the same seed, or with another.
    pub fn again(&mut self, id: &str, same_seed: bool) {
        match self.recipe(id) {
            Ok(mut recipe) => {
                if !same_seed {
                    let keep = (self.sampling, self.settings.new_seed);
                    self.settings.new_seed = true;
                    recipe.sampling.seed = self.drawn().seed;
                    (self.sampling, self.settings.new_seed) = keep;
                }
                self.speak(recipe, None, Some(id.to_owned()));
            }
            Err(e) => self.fail(e),
        }
    }

    /// Makes the shown take again with the settings of the moment, mode and all, from `frame` on: an edited take, whose frames
    /// before that stay as they are. The seed is the take's.
    pub fn resume(&mut self, frame: usize) {
        let (Some(mut recipe), Some(parent)) = (self.shown.recipe.clone(), self.shown.take.clone()) else { return };
        recipe.edits.retain(|edit| match edit {
            Edit::Sampling { frame: at, .. } | Edit::Token { frame: at, .. } => *at < frame,
        });
        let sampling = Sampling { seed: recipe.sampling.seed, ..self.sampling };
        recipe.edits.push(Edit::Sampling { frame, sampling });
        self.speak(recipe, None, Some(parent));
    }

    /// Makes take `id` in all three modes, with its seed.
    pub fn all_modes(&mut self, id: &str) {
        match self.recipe(id) {
            Ok(recipe) => {
                let stored = self.checkpoint.as_ref().map(|c| c.tensors.dtype());
                for mode in [Mode::Native, Mode::Exact, Mode::Hybrid] {
                    let precision = stored.map_or(recipe.sampling.precision, |d| mode.precision(d));
                    let sampling = Sampling { mode, precision, ..recipe.sampling };
                    self.speak(Recipe { sampling, ..recipe.clone() }, None, Some(id.to_owned()));
                }
            }
            Err(e) => self.fail(e),
        }
    }

    fn recipe(&self, id: &str) -> Result<Recipe> {
        Recipe::of(&self.tokens(id)?, &self.store.path(id).join("tokens.json"))
    }

    fn tokens(&self, id: &str) -> Result<TokenFile> {
        let model = self.model.as_ref();
        let (k, v) = model.map_or((0, 0), |m| (m.codebooks, m.vocab));
        TokenFile::read(&self.store.path(id).join("tokens.json"), k, v)
    }

    /// Ends the running take before its next frame and forgets those that wait; what was made is kept.
    pub fn cancel(&mut self) {
        self.queue.clear();
        if let (Some(worker), Some(_)) = (&self.worker, &self.running) {
            worker.cancel();
        }
    }

    /// Takes a recording as voice prompt.
    pub fn set_prompt(&mut self, path: PathBuf) {
        let Some(checkpoint) = self.checkpoint.clone() else {
            self.say("the model is still loading");
            return;
        };
        match wav::read(&path, checkpoint.config.codec_config.sampling_rate) {
            Ok(samples) => {
                if !checkpoint.hears_recordings() {
                    self.say(format!("{} takes no voice from a recording; it will do nothing useful", checkpoint.name));
                }
                self.prompt = Some(VoicePrompt { path, ..VoicePrompt::default() });
                self.queue.push_back(Task::Encode { samples });
                self.next();
            }
            Err(e) => self.fail(e),
        }
    }

    /// Puts take `id` on view and on the player, and has its draws computed again.
    pub fn show(&mut self, id: &str) {
        if self.is_speaking() {
            self.say("a take is being made; it can be cancelled with Escape");
            return;
        }
        let Some(model) = self.model.clone() else { return };
        let read = self.tokens(id).and_then(|file| {
            let audio = wav::read(&self.store.path(id).join("audio.wav"), model.sample_rate)?;
            Ok((file, audio))
        });
        let (file, audio) = match read {
            Ok(read) => read,
            Err(e) => return self.fail(e),
        };
        let same_model =
            file.model.as_ref().is_none_or(|m| self.checkpoint.as_ref().is_some_and(|c| c.sha256() == m.sha256));
        let measures = self.store.get(id).map(|t| t.measures.real_time_factor).unwrap_or_default();
        self.shown = Shown {
            take: Some(id.to_owned()),
            recipe: Recipe::of(&file, &self.store.path(id)).ok(),
            stop: file.stop,
            real_time_factor: measures,
            frames: file.frames,
            version: self.shown.version + 1,
            ..Shown::default()
        };
        self.shown.hear(&audio);
        self.output.load(&audio, model.sample_rate);
        self.queue.retain(|t| !matches!(t, Task::Look { .. }));
        if self.is_looking()
            && let Some(worker) = &self.worker
        {
            worker.cancel();
        }
        if same_model && self.shown.recipe.is_some() {
            self.queue.push_back(Task::Look { take: id.to_owned() });
        } else {
            self.say("this take is from another model: its draws cannot be computed again here");
        }
        self.next();
    }

    /// Hands the worker its next task.
    fn next(&mut self) {
        if !self.ready || self.running.is_some() {
            return;
        }
        let (Some(task), Some(checkpoint)) = (self.queue.pop_front(), self.checkpoint.clone()) else { return };
        self.tasks += 1;
        let id = self.tasks;
        let command = match &task {
            Task::Encode { samples } => Ok(Command::Encode(id, samples.clone())),
            Task::Speak { recipe, .. } => self.job(recipe, &checkpoint).map(|job| Command::Generate(id, Box::new(job))),
            Task::Look { take } if self.shown.take.as_ref() == Some(take) => match &self.shown.recipe {
                Some(recipe) => {
                    Job::forced(recipe, &checkpoint, &self.shown.frames).map(|job| Command::Generate(id, Box::new(job)))
                }
                None => return,
            },
            Task::Look { .. } => return,
        };
        let worker = self.worker.as_ref().expect("ready");
        worker.forget_cancel();
        let sent = command.and_then(|c| worker.send(c));
        if let Err(e) = sent {
            return self.fail(e);
        }
        if let Task::Speak { recipe, .. } = &task {
            let c = &checkpoint.config.codec_config;
            self.shown =
                Shown { recipe: Some((**recipe).clone()), version: self.shown.version + 1, ..Shown::default() };
            self.output.begin(c.sampling_rate, ((self.settings.max_seconds + 1.0) * c.sampling_rate as f64) as usize);
            if self.settings.play_at_once
                && let Some(problem) = self.output.play(true)
            {
                self.fail(problem);
            }
        }
        self.running = Some(Running { id, task });
    }

    fn keep(&mut self, recipe: Recipe, turn: Option<usize>, parent: Option<String>, clip: Clip) {
        self.output.finish();
        self.shown.stop = Some(clip.stop);
        self.shown.version += 1;
        for finding in &clip.findings {
            self.say(finding);
        }
        if clip.frames.is_empty() {
            if clip.stop != Stop::Cancelled {
                self.fail(format!("the model ended at once (seed {}): nothing was said", clip.sampling.seed));
            }
            return;
        }
        match self.store_take(recipe, parent, &clip) {
            Ok(id) => {
                self.shown.take = Some(id.clone());
                if let Some(turn) = turn.and_then(|n| self.turns.get_mut(n)) {
                    turn.take = Some(id);
                }
            }
            Err(e) => self.fail(e),
        }
    }

    fn store_take(&mut self, recipe: Recipe, parent: Option<String>, clip: &Clip) -> Result<String> {
        let checkpoint = self.checkpoint.as_ref().expect("a take was made");
        let rate = checkpoint.config.codec_config.sampling_rate;
        let seconds = clip.audio.len() as f64 / rate as f64;
        let tokens = recipe.file(checkpoint, clip.sampling, clip.stop, clip.frames.clone());
        let info = Info::of(checkpoint, &recipe.text, recipe.speaker, &clip.sampling);
        let (bytes, clipped) = wav::encode(&clip.audio, rate, &info)?;
        let take = Take {
            id: String::new(),
            name: recipe.text.chars().take(60).collect(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            favourite: false,
            parent,
            measures: Measures {
                frames: clip.frames.len(),
                seconds,
                real_time_factor: clip.seconds / seconds,
                findings: clip.findings.clone(),
                guarded: clip.guarded,
                beyond_codec: clip.beyond_codec,
            },
            text: recipe.text,
            speaker: recipe.speaker,
            model: tokens.model.clone(),
            sampling: Some(clip.sampling),
            stop: Some(clip.stop),
            edited: !recipe.edits.is_empty(),
        };
        let id = self.store.add(take, &tokens, &bytes)?;
        if clipped > 0 {
            self.say(format!("{clipped} samples were louder than full scale and are clipped"));
        }
        Ok(id)
    }

    /// Does something with the takes, and says what went wrong.
    pub fn told(&mut self, change: impl FnOnce(&mut Store) -> Result<()>) {
        if let Err(e) = change(&mut self.store) {
            self.fail(e);
        }
    }

    /// Take `id` as a table (CSV), or its token map as a picture (PNG).
    ///
    /// # Errors
    /// Where the take cannot be read.
    pub fn exported(&self, id: &str, table: bool) -> Result<Vec<u8>> {
        let model = self.model.as_deref().cloned().ok_or_else(|| Error::value("export", "a loaded model", "none"))?;
        let file = self.tokens(id)?;
        let looked_at = self.shown.take.as_deref() == Some(id) && self.shown.steps.len() == file.frames.len();
        let steps = if looked_at { Ok(self.shown.steps.clone()) } else { Err("not computed".into()) };
        let name = self.store.get(id).map_or(id.to_owned(), |t| t.name.clone());
        let report = report::Report::new(model.clone(), vec![report::Clip::new(name, file, steps, None, &model)]);
        let path = self.store.path(id);
        if table {
            return report::csv(&report).map_err(|e| Error::write(path, e));
        }
        let pictures = report::plots::pictures(&report);
        let map = pictures.iter().find(|p| p.name.ends_with("tokens")).expect("every clip has one");
        map.png().map_err(|e| Error::write(path, e))
    }

    /// A command line that makes take `id` again.
    ///
    /// # Errors
    /// Where its token file cannot be read.
    pub fn command(&self, id: &str) -> Result<String> {
        let file = self.tokens(id)?;
        let path = self.store.path(id).join("tokens.json");
        let model = self.place.model.as_ref().map(|m| format!(" --model-path {}", quoted(&m.to_string_lossy())));
        let model = model.unwrap_or_default();
        let recipe = Recipe::of(&file, &path)?;
        if !recipe.edits.is_empty() || !recipe.context.is_empty() {
            // Edits and turns before it stand in the token file only.
            return Ok(format!("csm generate --again {}{model}", quoted(&path.to_string_lossy())));
        }
        let s = recipe.sampling;
        let guard = s.guard.map(|g| format!(" --guard-range {g}")).unwrap_or_default();
        let length = (self.store.get(id).map_or(0.0, |t| t.measures.seconds) * 1_000.0).round() as u64;
        let length = if file.stop == Some(Stop::Eos) { length + 1_000 } else { length };
        Ok(format!(
            "csm generate --text {} --speaker {} --sampling {} --temperature {} --topk {} --depth-temperature {} --depth-topk {} \
             --seed {} --precision {} --max-audio-length-ms {length}{guard}{model}",
            quoted(&recipe.text),
            recipe.speaker,
            s.mode.name(),
            s.temperature,
            s.topk,
            s.depth_temperature,
            s.depth_topk,
            s.seed,
            s.precision.name()
        ))
    }

    /// Writes the settings where they have changed.
    pub fn save_settings(&mut self) {
        if self.model.is_some() {
            // Before that they are no more than a guess at what the checkpoint suggests.
            self.settings.sampling = Some(self.sampling);
        }
        if self.settings != self.saved {
            self.saved = self.settings.clone();
            if let Err(e) = self.settings.write(&self.place.settings) {
                self.fail(e);
            }
        }
    }
}

fn segment_of_prompt(prompt: &VoicePrompt) -> Option<Segment> {
    let frames = prompt.frames.clone()?;
    Some(Segment { speaker: prompt.speaker, text: prompt.text.clone(), frames })
}

/// For a shell: in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
