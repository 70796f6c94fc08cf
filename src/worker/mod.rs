//! The one thread that owns MLX. It runs tasks in order; each has a typed handle, [`Task`]. A task that panics is answered with
//! [`Error::WorkerDied`], and the next one starts with a freshly loaded model.

mod exact_check;
mod pipeline;
mod protocol;
mod task;
mod termination_guard;
mod word_retake;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::exact_check::{ExactCheck, exact_check};
pub use self::pipeline::{BATCH, Pipeline};
pub use self::protocol::{ClipEvent, Event, FrameEvent, GenerateJob, GeneratedClip};
pub use self::task::{CancelToken, Task, Update};
use crate::checkpoint::Checkpoint;
use crate::data::{CodebookMask, Codes};
use crate::error::{Error, Result, panic_message};

/// Tasks that may wait.
const QUEUE: usize = 16;

/// A task in the queue. It runs with the pipeline in the slot, loaded if need be.
type Job = Box<dyn FnOnce(&mut Option<Pipeline>, &Arc<Checkpoint>) + Send>;

/// The handle of the worker. Dropping it cancels the running task and waits for the thread.
pub struct WorkerHandle {
    jobs: Option<SyncSender<Job>>,
    shutdown: CancelToken,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// Ends with the worker's loop.
    running: Mutex<Receiver<()>>,
}

impl WorkerHandle {
    /// Starts the thread. `wake` is called after every update of a task.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if no thread can be started.
    pub fn start(checkpoint: Arc<Checkpoint>, wake: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let shutdown = CancelToken::default();
        let thread_shutdown = shutdown.clone();
        let running = on_thread(Box::new(move || run(&queue, &checkpoint, &thread_shutdown)))?;
        Ok(Self { jobs: Some(jobs), shutdown, wake: Arc::new(wake), running: Mutex::new(running) })
    }

    /// Loads the codec. Every other task loads it too; this one reports that it is loaded.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many tasks are waiting already, [`Error::WorkerDied`]. The same errors apply to every task method.
    pub fn load(&self) -> Result<Task<()>> {
        self.submit(CancelToken::default(), |_, _, _| Ok(()))
    }

    /// Generates the clip of a job.
    ///
    /// # Errors
    /// Returns the errors of [`WorkerHandle::load`].
    pub fn generate(&self, job: impl Into<GenerateJob>, cancel: CancelToken) -> Result<Task<GeneratedClip>> {
        let job = job.into();
        self.submit(cancel, move |pipeline, on_event, cancelled| pipeline.generate(&job, cancelled, on_event))
    }

    /// Generates one clip for each of `seeds`, side by side if the mode allows it. Events carry the number of their clip, from 0.
    ///
    /// # Errors
    /// Returns the errors of [`WorkerHandle::load`].
    pub fn generate_batch(
        &self,
        job: impl Into<GenerateJob>,
        seeds: Vec<u64>,
        cancel: CancelToken,
    ) -> Result<Task<Vec<GeneratedClip>, ClipEvent>> {
        let job = job.into();
        self.submit(cancel, move |pipeline, on_event, cancelled| {
            pipeline.generate_batch(&job, &seeds, cancelled, &mut |clip, event| on_event((clip, event)))
        })
    }

    /// Codes of a mono waveform at the codec's rate.
    ///
    /// # Errors
    /// Returns the errors of [`WorkerHandle::load`].
    pub fn encode(&self, samples: Vec<f32>, cancel: CancelToken) -> Result<Task<Codes>> {
        self.submit(cancel, move |pipeline, _, cancelled| pipeline.encode(&samples, cancelled))
    }

    /// The waveform of a clip's codes.
    ///
    /// # Errors
    /// Returns the errors of [`WorkerHandle::load`].
    pub fn decode(&self, codes: Codes, cancel: CancelToken) -> Result<Task<Vec<f32>>> {
        self.submit(cancel, move |pipeline, _, cancelled| pipeline.decode(&codes, cancelled))
    }

    /// The waveform of the codebooks that `mask` keeps.
    ///
    /// # Errors
    /// Returns the errors of [`WorkerHandle::load`].
    pub fn decode_codebooks(&self, codes: Codes, mask: CodebookMask, cancel: CancelToken) -> Result<Task<Vec<f32>>> {
        self.submit(cancel, move |pipeline, _, cancelled| pipeline.decode_codebooks(&codes, &mask, cancelled))
    }

    /// Queues a task: `run` gets the pipeline, takes events, and asks whether to stop. After a panic the pipeline is dropped, as
    /// nobody knows what state it is in.
    fn submit<T: Send + 'static, E: Send + 'static>(
        &self,
        cancel: CancelToken,
        run: impl FnOnce(&mut Pipeline, &mut dyn FnMut(E), &dyn Fn() -> bool) -> Result<T> + Send + 'static,
    ) -> Result<Task<T, E>> {
        let (task, reply) = Task::new(cancel, self.wake.clone());
        let shutdown = self.shutdown.clone();
        let job: Job = Box::new(move |slot, checkpoint| {
            let cancelled = || reply.is_cancelled() || shutdown.is_cancelled();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let pipeline = match &mut *slot {
                    Some(pipeline) => pipeline,
                    None => slot.insert(Pipeline::new(checkpoint.clone())?),
                };
                run(pipeline, &mut |event| reply.event(event), &cancelled)
            }));
            let result = outcome.unwrap_or_else(|payload| {
                *slot = None;
                Err(Error::WorkerDied { reason: panic_message(payload.as_ref()) })
            });
            reply.done(result);
        });
        let stopped = || Error::WorkerDied { reason: "it has stopped".into() };
        self.jobs.as_ref().ok_or_else(stopped)?.try_send(job).map_err(|e| match e {
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
        self.jobs = None;
        // Nothing is sent: the loop drops the other end.
        self.running.get_mut().unwrap_or_else(PoisonError::into_inner).recv().unwrap_or_default();
    }
}

/// The loop of a worker, and what ends when it does.
type Loop = (Box<dyn FnOnce() + Send>, Sender<()>);

/// Threads without a worker. They are reused, because MLX makes a stream with a thread for every thread that computes, and never ends it.
static IDLE: Mutex<Vec<Sender<Loop>>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Sender<Loop>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the loop of a worker on a thread that has none.
fn on_thread(work: Box<dyn FnOnce() + Send>) -> Result<Receiver<()>> {
    let (running, ends) = channel();
    let waiting = idle().pop();
    let thread = waiting.map_or_else(start_thread, Ok)?;
    if thread.send((work, running)).is_err() {
        return Err(Error::WorkerDied { reason: "its thread has ended".into() });
    }
    Ok(ends)
}

fn start_thread() -> Result<Sender<Loop>> {
    let (thread, loops) = channel::<Loop>();
    let itself = thread.clone();
    let serve = move || {
        while let Ok((work, running)) = loops.recv() {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("the model's thread panicked outside a task");
            }
            idle().push(itself.clone());
            drop(running);
        }
    };
    std::thread::Builder::new().name("csm-mlx".into()).spawn(serve).map_err(|e| Error::Unavailable {
        what: "the model's thread cannot be started".into(),
        hint: "close other programs and try again".into(),
        source: Some(e.into()),
    })?;
    Ok(thread)
}

fn run(queue: &Receiver<Job>, checkpoint: &Arc<Checkpoint>, shutdown: &CancelToken) {
    let mut slot: Option<Pipeline> = None;
    while let Ok(job) = queue.recv() {
        job(&mut slot, checkpoint);
        if shutdown.is_cancelled() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_next_worker_takes_the_thread_of_the_last() {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let checkpoint = Arc::new(Checkpoint::demo().unwrap());
        let counts = [(); 4].map(|()| {
            let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
            let codes = Codes::from_frames([[1; 6]; 3]).unwrap();
            worker.decode(codes, CancelToken::default()).unwrap().wait(|_| {}).unwrap();
            threads()
        });
        assert_eq!(counts[0], counts[3], "{counts:?}");
    }

    #[test]
    fn a_panic_is_an_answer_with_its_reason_and_the_next_task_works() {
        let checkpoint = Arc::new(Checkpoint::demo().unwrap());
        let worker = WorkerHandle::start(checkpoint.clone(), || {}).unwrap();
        worker.load().unwrap().wait(|_| {}).unwrap();
        let died = worker
            .submit(CancelToken::default(), |_, _: &mut dyn FnMut(Event), _| -> Result<()> { panic!("a test's panic") })
            .unwrap()
            .wait(|_| {})
            .unwrap_err();
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
        // The queue continues after a task that nobody waits for.
        drop(worker.decode(frames.clone(), shared.clone()).unwrap());
        assert_eq!(worker.decode(frames, shared).unwrap().wait(|_| {}).unwrap().len(), 30 * 1_920);
    }
}
