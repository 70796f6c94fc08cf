//! The one thread that owns MLX. It takes commands and sends reports over bounded channels; nobody else touches the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::pipeline::{Clip, Event, Job, Pipeline};
use crate::prompt::Frame;

/// Name of the thread.
pub const THREAD: &str = "csm-mlx";
/// Commands that may wait.
const COMMANDS: usize = 16;
/// Reports that may wait; then the worker waits for its reader.
const REPORTS: usize = 256;

/// What the worker can do. `u64` is the caller's number for the task, which comes back in the reports.
pub enum Command {
    /// Generate a clip.
    Generate(u64, Box<Job>),
    /// Codes of a waveform at the codec's rate.
    Encode(u64, Vec<f32>),
    /// The waveform of a clip's frames.
    Decode(u64, Vec<Frame>),
}

/// What the worker says.
pub enum Report {
    /// The codec is loaded, commands are taken; or why not.
    Ready(Result<()>),
    /// Something happened in a task.
    Event(u64, Event),
    /// A clip is finished.
    Clip(u64, Result<Clip>),
    /// Codes, `[T][K]`.
    Encoded(u64, Result<Vec<Frame>>),
    /// A waveform.
    Decoded(u64, Result<Vec<f32>>),
}

/// The caller's end.
pub struct Worker {
    commands: Option<SyncSender<Command>>,
    reports: Option<Receiver<Report>>,
    cancel: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, which loads the codec; [`Report::Ready`] comes first. `wake` is called after every report.
    pub fn start(checkpoint: Arc<Checkpoint>, wake: impl Fn() + Send + 'static) -> Self {
        let (commands, inbox) = sync_channel(COMMANDS);
        let (outbox, reports) = sync_channel(REPORTS);
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = cancel.clone();
        let thread = std::thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || {
                run(&inbox, &checkpoint, &flag, &|report| {
                    let sent = outbox.send(report).is_ok();
                    wake();
                    sent
                })
            })
            .expect("a thread can be started");
        Self { commands: Some(commands), reports: Some(reports), cancel, thread: Some(thread) }
    }

    /// Queues a command.
    ///
    /// # Errors
    /// [`Error::WorkerGone`], or [`Error::Unavailable`] where too many wait already.
    pub fn send(&self, command: Command) -> Result<()> {
        use std::sync::mpsc::TrySendError;
        self.commands.as_ref().expect("until dropped").try_send(command).map_err(|e| match e {
            TrySendError::Full(_) => Error::Unavailable {
                what: format!("{COMMANDS} tasks wait already"),
                mend: "wait for one to finish, or cancel it".into(),
            },
            TrySendError::Disconnected(_) => gone(),
        })
    }

    /// The reports, for a reader that must not wait.
    pub fn reports(&self) -> &Receiver<Report> {
        self.reports.as_ref().expect("until dropped")
    }

    /// Ends the running clip before its next frame; what was made is kept.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    /// Forgets a cancellation that came after its clip had ended, before the next is sent.
    pub fn forget_cancel(&self) {
        self.cancel.store(false, Ordering::Relaxed);
    }

    /// A handle that cancels from elsewhere (a signal handler).
    pub fn cancel_handle(&self) -> Arc<AtomicBool> {
        self.cancel.clone()
    }

    /// The next report, waited for.
    ///
    /// # Errors
    /// [`Error::WorkerGone`].
    pub fn next(&self) -> Result<Report> {
        self.reports().recv().map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::WorkerGone("see the messages above".into())
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.cancel();
        self.commands = None;
        self.reports = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by its own thread; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn run(inbox: &Receiver<Command>, checkpoint: &Arc<Checkpoint>, cancel: &AtomicBool, send: &dyn Fn(Report) -> bool) {
    let mut pipeline = match Pipeline::new(checkpoint.clone()) {
        Ok(pipeline) => pipeline,
        Err(e) => {
            send(Report::Ready(Err(e)));
            return;
        }
    };
    let mut alive = send(Report::Ready(Ok(())));
    while alive {
        let Ok(command) = inbox.recv() else { return };
        alive = match command {
            Command::Generate(id, job) => {
                let cancelled = || cancel.load(Ordering::Relaxed);
                let clip = pipeline.generate(&job, &cancelled, &mut |event| {
                    send(Report::Event(id, event));
                });
                cancel.store(false, Ordering::Relaxed);
                send(Report::Clip(id, clip))
            }
            Command::Encode(id, samples) => send(Report::Encoded(id, pipeline.encode(&samples).map(|e| e.codes))),
            Command::Decode(id, frames) => {
                let mimi = pipeline.mimi();
                send(Report::Decoded(id, mimi.decode(&mut mimi.stream(), &frames)))
            }
        };
    }
}
