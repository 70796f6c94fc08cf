//! The one thread that owns MLX. It runs tasks in order; each has a typed handle, [`Task`]. A task that panics is answered with
//! [`Error::WorkerDied`], and the next one starts with a freshly loaded model.

mod pipeline;
mod protocol;
mod task;
mod termination_guard;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

pub use self::pipeline::{BATCH, Pipeline};
pub use self::protocol::{ClipEvent, Event, FrameEvent, GenerateJob, GeneratedClip};
use self::task::Reply;
pub use self::task::{CancelToken, Task, Update};
use crate::checkpoint::Checkpoint;
use crate::data::Codes;
use crate::error::{Error, Result};

/// Tasks that may wait.
const QUEUE: usize = 16;

enum Request {
    Load(Reply<()>),
    Generate(Box<GenerateJob>, Reply<GeneratedClip>),
    GenerateBatch(Box<GenerateJob>, Vec<u64>, Reply<Vec<GeneratedClip>, ClipEvent>),
    Encode(Vec<f32>, Reply<Codes>),
    Decode(Codes, Option<Vec<bool>>, Reply<Vec<f32>>),
    #[cfg(test)]
    Panic(Reply<()>),
}

/// The worker, as its users see it. Dropping it cancels what runs and waits for the thread.
pub struct WorkerHandle {
    requests: Option<SyncSender<Request>>,
    shutdown: CancelToken,
    wake: Arc<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// Starts the thread. `wake` is called after every update of a task.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the system gives no thread.
    pub fn start(checkpoint: Arc<Checkpoint>, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let (requests, queue) = sync_channel(QUEUE);
        let shutdown = CancelToken::default();
        let thread_shutdown = shutdown.clone();
        let thread = std::thread::Builder::new()
            .name("csm-mlx".into())
            .spawn(move || run(&queue, &checkpoint, &thread_shutdown))
            .map_err(|e| Error::Unavailable {
                what: "the model's thread cannot be started".into(),
                hint: "close other programs and try again".into(),
                source: Some(e.into()),
            })?;
        Ok(Self { requests: Some(requests), shutdown, wake: Arc::new(wake), thread: Some(thread) })
    }

    /// Loads the codec. Other tasks do so too; this one tells when it is done.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many tasks wait already, [`Error::WorkerDied`]. So for all tasks.
    pub fn load(&self) -> Result<Task<()>> {
        self.submit(CancelToken::default(), Request::Load)
    }

    /// Generates a clip. A cancelled clip keeps what was made of it.
    ///
    /// # Errors
    /// As [`WorkerHandle::load`].
    pub fn generate(&self, job: impl Into<GenerateJob>, cancel: CancelToken) -> Result<Task<GeneratedClip>> {
        let job = Box::new(job.into());
        self.submit(cancel, |reply| Request::Generate(job, reply))
    }

    /// Generates one clip for each of `seeds`, side by side where the mode allows it. Events say which clip they are about:
    /// the first is 0.
    ///
    /// # Errors
    /// As [`WorkerHandle::load`].
    pub fn generate_batch(
        &self,
        job: impl Into<GenerateJob>,
        seeds: Vec<u64>,
        cancel: CancelToken,
    ) -> Result<Task<Vec<GeneratedClip>, ClipEvent>> {
        let job = Box::new(job.into());
        self.submit(cancel, |reply| Request::GenerateBatch(job, seeds, reply))
    }

    /// Codes of a mono waveform at the codec's rate.
    ///
    /// # Errors
    /// As [`WorkerHandle::load`].
    pub fn encode(&self, samples: Vec<f32>, cancel: CancelToken) -> Result<Task<Codes>> {
        self.submit(cancel, |reply| Request::Encode(samples, reply))
    }

    /// The waveform of a clip's codes.
    ///
    /// # Errors
    /// As [`WorkerHandle::load`].
    pub fn decode(&self, frames: Codes, cancel: CancelToken) -> Result<Task<Vec<f32>>> {
        self.decode_codebooks(frames, None, cancel)
    }

    /// The waveform of some codebooks of a clip: `heard` says for each whether it is among them; `None` for all.
    ///
    /// # Errors
    /// As [`WorkerHandle::load`].
    pub fn decode_codebooks(
        &self,
        frames: Codes,
        heard: Option<Vec<bool>>,
        cancel: CancelToken,
    ) -> Result<Task<Vec<f32>>> {
        self.submit(cancel, |reply| Request::Decode(frames, heard, reply))
    }

    fn submit<T, E>(&self, cancel: CancelToken, request: impl FnOnce(Reply<T, E>) -> Request) -> Result<Task<T, E>> {
        let (task, reply) = Task::new(cancel, self.wake.clone());
        let stopped = || Error::WorkerDied { reason: "it has stopped".into() };
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.try_send(request(reply)).map_err(|e| match e {
            TrySendError::Full(_) => {
                Error::unavailable(format!("{QUEUE} tasks are waiting already"), "wait for one to finish, or cancel it")
            }
            TrySendError::Disconnected(_) => stopped(),
        })?;
        Ok(task)
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the model's thread panicked outside a task");
        }
    }
}

fn run(queue: &Receiver<Request>, checkpoint: &Arc<Checkpoint>, shutdown: &CancelToken) {
    let mut slot: Option<Pipeline> = None;
    while let Ok(request) = queue.recv() {
        match request {
            Request::Load(reply) => answer(&mut slot, checkpoint, reply, |_, _| Ok(())),
            Request::Generate(job, reply) => answer(&mut slot, checkpoint, reply, |pipeline, reply| {
                let cancelled = || reply.is_cancelled() || shutdown.is_cancelled();
                pipeline.generate(&job, &cancelled, &mut |event| reply.event(event))
            }),
            Request::GenerateBatch(job, seeds, reply) => answer(&mut slot, checkpoint, reply, |pipeline, reply| {
                let cancelled = || reply.is_cancelled() || shutdown.is_cancelled();
                let mut observer = |clip, event| reply.event((clip, event));
                pipeline.generate_batch(&job, &seeds, &cancelled, &mut observer)
            }),
            Request::Encode(samples, reply) => answer(&mut slot, checkpoint, reply, |pipeline, reply| {
                let cancelled = || reply.is_cancelled() || shutdown.is_cancelled();
                pipeline.encode(&samples, &cancelled)
            }),
            Request::Decode(frames, heard, reply) => answer(&mut slot, checkpoint, reply, |pipeline, reply| {
                let cancelled = || reply.is_cancelled() || shutdown.is_cancelled();
                pipeline.decode_codebooks(&frames, heard.as_deref(), &cancelled)
            }),
            #[cfg(test)]
            Request::Panic(reply) => answer(&mut slot, checkpoint, reply, |_, _| panic!("a test's panic")),
        }
        if shutdown.is_cancelled() {
            return;
        }
    }
}

/// Runs one task with the pipeline in `slot`, loaded if need be. After a panic the pipeline is dropped, as nobody knows what
/// state it is in.
fn answer<T, E>(
    slot: &mut Option<Pipeline>,
    checkpoint: &Arc<Checkpoint>,
    reply: Reply<T, E>,
    task: impl FnOnce(&mut Pipeline, &Reply<T, E>) -> Result<T>,
) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let pipeline = match slot {
            Some(pipeline) => pipeline,
            None => slot.insert(Pipeline::new(checkpoint.clone())?),
        };
        task(pipeline, &reply)
    }));
    let result = outcome.unwrap_or_else(|payload| {
        *slot = None;
        Err(Error::WorkerDied { reason: panic_message(payload.as_ref()) })
    });
    reply.done(result);
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_with_its_reason_and_the_next_task_works() {
        let checkpoint = Arc::new(Checkpoint::demo().unwrap());
        let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
        worker.load().unwrap().wait(|_| {}).unwrap();
        let died = worker.submit(CancelToken::default(), Request::Panic).unwrap().wait(|_| {}).unwrap_err();
        assert!(matches!(&died, Error::WorkerDied { reason } if reason == "a test's panic"), "{died}");
        let frames = Codes::from_frames(vec![vec![1; checkpoint.dims().codebooks]; 30]).unwrap();
        let audio = worker.decode(frames, CancelToken::default()).unwrap().wait(|_| {}).unwrap();
        assert_eq!(audio.len(), 30 * checkpoint.dims().frame_samples());
    }

    #[test]
    fn cancelling_and_dropping_end_a_task_and_no_other() {
        let checkpoint = Arc::new(Checkpoint::demo().unwrap());
        let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
        let cancel = CancelToken::default();
        cancel.cancel();
        let frames = Codes::from_frames(vec![vec![1; checkpoint.dims().codebooks]; 30]).unwrap();
        let result = worker.decode(frames.clone(), cancel).unwrap().wait(|_| {});
        assert!(matches!(result, Err(Error::Cancelled)));
        // A token shared by several tasks is not cancelled by the end of one of them.
        let shared = CancelToken::default();
        worker.decode(frames.prefix(1), shared.clone()).unwrap().wait(|_| {}).unwrap();
        assert!(!shared.is_cancelled());
        // The queue goes on after a task that nobody waits for.
        drop(worker.decode(frames.clone(), shared.clone()).unwrap());
        assert_eq!(worker.decode(frames, shared).unwrap().wait(|_| {}).unwrap().len(), 30 * 1_920);
    }
}
