//! The model: being read, loading, in use, or failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::composer::ComposerCommand;
use super::effects::Effects;
use super::notifications::Cause;
use super::preferences::PreferencesCommand;
use super::session::{Owner, Session};
use super::tasks::{Key, SPEAK, Tasks};
use crate::alignment::{known_heads, tracking};
use crate::checkpoint::{AdapterSpec, Checkpoint, CheckpointSpec};
use crate::data::{AttentionHead, ClipSpec, MIMI_SAMPLE_RATE, ModelDims, ModelInfo, Prompt, WordTracking};
use crate::error::{Error, Result};
use crate::worker::WorkerHandle;

const READ_MODEL: Key = Key("read model");
const LOAD_CODEC: Key = Key("load codec");

enum ModelState {
    /// The files are being read.
    Reading(Arc<Bytes>),
    /// The files are read; the worker is loading the codec.
    Loading(Arc<Checkpoint>),
    /// Takes can be made.
    Ready { checkpoint: Arc<Checkpoint>, worker: Arc<WorkerHandle> },
    /// There is no model, for this reason.
    Failed(String),
    /// Sizes and labels without weights: the window can be drawn, and nothing can be computed.
    Described(Arc<ModelInfo>),
}

/// Bytes of the weights read so far, and all of them; 0 of 0 until they are known.
#[derive(Default)]
struct Bytes {
    read: AtomicU64,
    all: AtomicU64,
}

pub struct Models {
    state: ModelState,
    spec: CheckpointSpec,
    /// The processor or graphics card that computes, once it is known.
    device: Option<String>,
    /// Heads that follow the text; none if none are known.
    heads: Vec<AttentionHead>,
    /// The model to open once the running take is kept.
    next: Option<CheckpointSpec>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ModelsCommand {
    /// Open a checkpoint instead of the current one. A take that is being made is kept as far as it is.
    Open(CheckpointSpec),
    /// Open the current checkpoint with another adapter, or with none.
    SetAdapter(Option<AdapterSpec>),
}

/// Data that [`Models`] may read.
pub struct ModelsContext<'a> {
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Models {
    type Command = ModelsCommand;
    type Context<'a> = ModelsContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, ModelsContext<'_>) {
        let Session { models, tasks, effects, .. } = session;
        (models, ModelsContext { tasks, effects })
    }

    fn handle(&mut self, command: ModelsCommand, cx: &mut ModelsContext<'_>) {
        let spec = match command {
            ModelsCommand::Open(spec) => spec,
            ModelsCommand::SetAdapter(adapter) => CheckpointSpec { adapter, ..self.spec.clone() },
        };
        cx.effects.send(ComposerCommand::Stop);
        self.next = Some(spec);
    }
}

impl Models {
    /// No model yet; [`Models::start`] reads the checkpoint that `spec` names.
    pub(super) fn new(spec: CheckpointSpec) -> Self {
        Self { state: ModelState::Reading(Arc::default()), spec, device: None, heads: Vec::new(), next: None }
    }

    /// A model of which only sizes and labels are known.
    pub(super) fn described(info: Option<ModelInfo>) -> Self {
        let none = || ModelState::Failed("no model was opened".into());
        let state = info.map_or_else(none, |info| ModelState::Described(Arc::new(info)));
        Self { state, spec: CheckpointSpec::default(), device: None, heads: Vec::new(), next: None }
    }

    /// Starts reading the checkpoint.
    pub(super) fn start(&mut self, cx: &mut ModelsContext<'_>) {
        let progress = Arc::new(Bytes::default());
        let before = std::mem::replace(&mut self.state, ModelState::Reading(progress.clone()));
        let spec = self.spec.clone();
        let on_progress = move |read, all| {
            progress.read.store(read, Ordering::Relaxed);
            progress.all.store(all, Ordering::Relaxed);
        };
        let read = move |_: &_| {
            drop(before); // its worker ends first: one thread at a time may own MLX, and memory is for one model
            // The hash of the weights is part of every take.
            let checkpoint =
                Checkpoint::resolve(&spec).and_then(|c| c.id_with_progress(on_progress).map(|_| Arc::new(c)));
            let heads = checkpoint.as_ref().ok().and_then(|checkpoint| known_heads(checkpoint).ok().flatten());
            (checkpoint, heads.unwrap_or_default(), crate::machine::device_name(crate::machine::device()))
        };
        cx.tasks.run(READ_MODEL, read, |models: &mut Self, cx, (checkpoint, heads, device)| {
            (models.device, models.heads) = (Some(device), heads);
            models.on_read(cx, checkpoint);
        });
    }

    fn on_read(&mut self, cx: &mut ModelsContext<'_>, read: Result<Arc<Checkpoint>>) {
        let checkpoint = match read {
            Ok(checkpoint) => checkpoint,
            Err(e) => return self.fail(cx, e),
        };
        self.state = ModelState::Loading(checkpoint.clone());
        checkpoint.notes.iter().chain(&checkpoint.warnings).for_each(|text| cx.effects.notify(text));
        cx.effects.send(ComposerCommand::ModelRead);
        let wake = cx.tasks.paced_wake();
        let load = move |_: &_| {
            let worker = WorkerHandle::start(checkpoint.clone(), move || wake())?;
            worker.load()?.wait(|_| {})?;
            Ok((checkpoint, worker))
        };
        cx.tasks.run(LOAD_CODEC, load, |models: &mut Self, cx, loaded: Result<_>| match loaded {
            Ok((checkpoint, worker)) => {
                models.state = ModelState::Ready { checkpoint, worker: Arc::new(worker) };
                if let Some(path) = models.spec.path.clone() {
                    cx.effects.send(PreferencesCommand::RememberModel(path));
                }
                cx.effects.resolve(Cause::Model);
                cx.effects.send(ComposerCommand::ModelReady);
            }
            Err(e) => models.fail(cx, e),
        });
    }

    fn fail(&mut self, cx: &mut ModelsContext<'_>, error: Error) {
        self.state = ModelState::Failed(error.to_string());
        cx.tasks.discard_all();
        cx.effects.send(ComposerCommand::ClearQueue);
        cx.effects.notify_error_of(Cause::Model, error);
    }

    /// Opens the model that was asked for, once the running take is kept.
    pub(super) fn poll(&mut self, cx: &mut ModelsContext<'_>) {
        // While the codec is loading, its worker owns MLX.
        let busy = cx.tasks.is_active(SPEAK) || matches!(self.state, ModelState::Loading(_));
        if busy {
            return;
        }
        if let Some(spec) = self.next.take() {
            cx.tasks.discard_all();
            cx.effects.send(ComposerCommand::ForgetPromptCodes);
            self.spec = spec;
            self.start(cx);
        }
    }

    /// The checkpoint, once its files are read.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        match &self.state {
            ModelState::Reading(_) | ModelState::Failed(_) | ModelState::Described(_) => None,
            ModelState::Loading(checkpoint) | ModelState::Ready { checkpoint, .. } => Some(checkpoint),
        }
    }

    /// Sizes, voices and labels, once the files are read.
    pub fn info(&self) -> Option<&Arc<ModelInfo>> {
        match &self.state {
            ModelState::Described(info) => Some(info),
            _ => self.checkpoint().map(|checkpoint| &checkpoint.info),
        }
    }

    /// Sizes of the model.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if there is no model.
    pub fn dims(&self) -> Result<ModelDims> {
        self.info().map(|info| info.dims).ok_or_else(|| Error::invalid("model", "a loaded model", "none"))
    }

    /// Samples per second of the model, or Mimi's if there is none.
    pub fn sample_rate(&self) -> usize {
        self.info().map_or(MIMI_SAMPLE_RATE, |info| info.dims.sample_rate)
    }

    /// Seconds per frame of the model, or Mimi's if there is none.
    pub fn frame_seconds(&self) -> f64 {
        self.info().map_or(0.08, |info| info.dims.seconds(1))
    }

    /// Whether takes can be made whose words have known times.
    pub fn knows_heads(&self) -> bool {
        self.is_ready() && !self.heads.is_empty()
    }

    /// The tracking of the words of a clip of `spec`; `None` if it is not known which heads follow the text.
    pub(super) fn tracking(&self, spec: &ClipSpec, prompt: &Prompt) -> Option<WordTracking> {
        let tracking = self.checkpoint().map(|checkpoint| tracking(checkpoint, &self.heads, spec, prompt));
        tracking?.inspect_err(|e| tracing::warn!("words are not tracked: {e}")).ok().flatten()
    }

    /// The worker, once takes can be made.
    pub(super) fn worker(&self) -> Option<&Arc<WorkerHandle>> {
        if let ModelState::Ready { worker, .. } = &self.state { Some(worker) } else { None }
    }

    /// Whether takes can be made.
    pub fn is_ready(&self) -> bool {
        self.worker().is_some()
    }

    /// Whether takes can be made now or as soon as the model is loaded.
    pub fn can_speak(&self) -> bool {
        self.is_ready() || self.is_loading()
    }

    /// The model's activity if takes cannot be made.
    pub fn status(&self) -> Option<String> {
        match &self.state {
            ModelState::Reading(progress) => {
                let (read, all) = (progress.read.load(Ordering::Relaxed), progress.all.load(Ordering::Relaxed));
                let part = if all > 0 { format!(" {}", describe_bytes(read, all)) } else { "…".into() };
                Some(format!("Reading the model{part}"))
            }
            ModelState::Loading(_) => Some("Loading the codec…".into()),
            ModelState::Failed(why) => Some(format!("No model: {why}")),
            ModelState::Ready { .. } | ModelState::Described(_) => None,
        }
    }

    /// Why there is no model, if it failed.
    pub fn failure(&self) -> Option<&str> {
        if let ModelState::Failed(why) = &self.state { Some(why) } else { None }
    }

    /// Whether the files are being read or the codec is loading.
    pub fn is_loading(&self) -> bool {
        matches!(self.state, ModelState::Reading(_) | ModelState::Loading(_))
    }

    /// The processor or graphics card that computes, once it is known.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The checkpoint that was asked for.
    pub fn spec(&self) -> &CheckpointSpec {
        &self.spec
    }
}

/// Progress in bytes: `1.2 of 3.1 GB`.
pub fn describe_bytes(read: u64, all: u64) -> String {
    let (unit, name) = if all >= 1_000_000_000 { (1e9, "GB") } else { (1e6, "MB") };
    format!("{:.1} of {:.1} {name}", read as f64 / unit, all as f64 / unit)
}
