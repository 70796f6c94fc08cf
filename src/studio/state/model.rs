//! The model: being read, failed, or in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use crate::checkpoint::{Checkpoint, CheckpointSpec};
use crate::data::ModelInfo;
use crate::error::{Error, Result};
use crate::worker::{Task, Update, WorkerHandle};

/// Called when there is news.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

enum State {
    Reading { read: Receiver<Result<Arc<Checkpoint>>>, progress: Arc<Bytes> },
    Failed(String),
    Loading { checkpoint: Arc<Checkpoint>, worker: WorkerHandle, codec: Task<()> },
    Ready { checkpoint: Arc<Checkpoint>, worker: WorkerHandle },
}

/// Bytes of the weights that have been read, and of how many; 0 of 0 before that is known.
#[derive(Default)]
struct Bytes {
    read: AtomicU64,
    all: AtomicU64,
}

/// What became of a model that was asked for.
pub enum ModelNews {
    /// Its files are read; the codec is being loaded.
    Read(Arc<Checkpoint>),
    /// Takes can be made.
    Ready,
    /// It cannot be used.
    Failed(Error),
}

/// The model.
pub struct Model {
    state: State,
    spec: CheckpointSpec,
    /// The model to open when the running take is kept.
    next: Option<CheckpointSpec>,
    wake: Wake,
}

impl Model {
    /// Begins to read the checkpoint that `spec` names.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn open(spec: CheckpointSpec, wake: Wake) -> Result<Self> {
        let state = read_in_background(spec.clone(), None, wake.clone())?;
        Ok(Self { state, spec, next: None, wake })
    }

    /// Asks for another model. [`Model::replace`] opens it.
    pub fn ask_for(&mut self, spec: CheckpointSpec) {
        self.next = Some(spec);
    }

    /// Whether another model has been asked for.
    pub fn will_be_replaced(&self) -> bool {
        self.next.is_some()
    }

    /// Opens the model that was asked for in the place of this one.
    pub fn replace(&mut self) -> Option<ModelNews> {
        let spec = self.next.take()?;
        let before = std::mem::replace(&mut self.state, State::Failed("another one is being opened".into()));
        self.spec = spec.clone();
        match read_in_background(spec, Some(before), self.wake.clone()) {
            Ok(reading) => self.state = reading,
            Err(e) => return Some(self.fail(e)),
        }
        None
    }

    /// Takes in what the threads report. Never waits.
    pub fn poll(&mut self) -> Option<ModelNews> {
        match &self.state {
            State::Reading { read, .. } => match read.try_recv() {
                Ok(read) => Some(match read.and_then(|checkpoint| self.start_worker(checkpoint)) {
                    Ok(checkpoint) => ModelNews::Read(checkpoint),
                    Err(e) => self.fail(e),
                }),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => {
                    let reason = "reading the model ended without a result; the log has more".into();
                    Some(self.fail(Error::WorkerDied { reason }))
                }
            },
            State::Loading { codec, .. } => match codec.try_next()? {
                Update::Done(Ok(())) => {
                    self.state = match std::mem::replace(&mut self.state, State::Failed(String::new())) {
                        State::Loading { checkpoint, worker, .. } => State::Ready { checkpoint, worker },
                        other => other,
                    };
                    Some(ModelNews::Ready)
                }
                Update::Done(Err(e)) => Some(self.fail(e)),
                Update::Event(_) => None,
            },
            State::Failed(_) | State::Ready { .. } => None,
        }
    }

    fn start_worker(&mut self, checkpoint: Arc<Checkpoint>) -> Result<Arc<Checkpoint>> {
        let wake = self.wake.clone();
        let worker = WorkerHandle::start(checkpoint.clone(), move || wake())?;
        let codec = worker.load()?;
        self.state = State::Loading { checkpoint: checkpoint.clone(), worker, codec };
        Ok(checkpoint)
    }

    fn fail(&mut self, error: Error) -> ModelNews {
        self.state = State::Failed(error.to_string());
        ModelNews::Failed(error)
    }

    /// The checkpoint, once its files are read.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        match &self.state {
            State::Reading { .. } | State::Failed(_) => None,
            State::Loading { checkpoint, .. } | State::Ready { checkpoint, .. } => Some(checkpoint),
        }
    }

    /// Sizes, voices and labels, once its files are read.
    pub fn info(&self) -> Option<Arc<ModelInfo>> {
        self.checkpoint().map(|c| c.info.clone())
    }

    /// Checkpoint and worker, once takes can be made.
    pub fn ready(&self) -> Option<(&Arc<Checkpoint>, &WorkerHandle)> {
        if let State::Ready { checkpoint, worker } = &self.state { Some((checkpoint, worker)) } else { None }
    }

    /// The state in words, where takes cannot be made.
    pub fn status(&self) -> Option<String> {
        match &self.state {
            State::Reading { progress, .. } => {
                let (read, all) = (progress.read.load(Ordering::Relaxed), progress.all.load(Ordering::Relaxed));
                let part = if all > 0 { format!(" {}", describe_bytes(read, all)) } else { "…".into() };
                Some(format!("Reading the model{part}"))
            }
            State::Loading { .. } => Some("Loading the codec…".into()),
            State::Failed(why) => Some(format!("No model: {why}")),
            State::Ready { .. } => None,
        }
    }

    /// Why there is no model, if that is so.
    pub fn failure(&self) -> Option<&str> {
        if let State::Failed(why) = &self.state { Some(why) } else { None }
    }

    /// Whether its files are being read or its codec loaded.
    pub fn is_loading(&self) -> bool {
        matches!(self.state, State::Reading { .. } | State::Loading { .. })
    }

    /// What was asked for.
    pub fn spec(&self) -> &CheckpointSpec {
        &self.spec
    }
}

/// Reads a checkpoint on a thread of its own, once the model before it is gone, with the SHA-256 of its weights, which every take needs.
fn read_in_background(model: CheckpointSpec, before: Option<State>, wake: Wake) -> Result<State> {
    let (sender, receiver) = channel();
    let progress = Arc::new(Bytes::default());
    let told = progress.clone();
    let tell = move |read, all| {
        told.read.store(read, Ordering::Relaxed);
        told.all.store(all, Ordering::Relaxed);
    };
    let read = move || {
        drop(before); // its worker ends first: one thread at a time may own MLX, and memory is for one model
        let checkpoint = Checkpoint::resolve(&model).and_then(|c| c.id_with_progress(tell).map(|_| Arc::new(c)));
        sender.send(checkpoint).ok(); // the window may be closed by now
        wake();
    };
    std::thread::Builder::new().name("csm-load".into()).spawn(read).map_err(|e| Error::Unavailable {
        what: "no thread for reading the model".into(),
        hint: "close other programs and try again".into(),
        source: Some(e.into()),
    })?;
    Ok(State::Reading { read: receiver, progress })
}

/// Bytes in words: `1.2 of 3.1 GB`.
pub fn describe_bytes(read: u64, all: u64) -> String {
    let (unit, name) = if all >= 1_000_000_000 { (1e9, "GB") } else { (1e6, "MB") };
    format!("{:.1} of {:.1} {name}", read as f64 / unit, all as f64 / unit)
}
