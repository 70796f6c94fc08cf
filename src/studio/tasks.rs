//! Everything in the window that takes time: work on threads, and tasks of the model's worker. Both start here under a [`Key`], end in
//! a continuation that runs with their owner, and are cancelled by key.
//!
//! Nothing else in the window starts threads, and nothing on the window's thread reads or writes files, waits or sleeps.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::session::{Owner, Session};
use crate::error::Result;
use crate::worker::{CancelToken, Task, Update};

/// Requests a repaint of the window, from any thread.
pub type WakeFn = Arc<dyn Fn() + Send + Sync>;

/// How threads request repaints.
#[derive(Clone)]
pub struct Wake {
    /// At once: work has ended, and its continuation may start the next.
    pub now: WakeFn,
    /// At the pace of the window: one of many events of a running task.
    pub paced: WakeFn,
}

/// Names a kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) &'static str);

pub(super) const SPEAK: Key = Key("speak");
/// Computes the logits of the current clip by teacher forcing.
pub(super) const RECOMPUTE: Key = Key("recompute");

/// Whether work is to stop early. Clones belong to the same work.
#[derive(Clone, Debug, Default)]
pub(super) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Whether the work is to stop.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Continuation = Box<dyn FnOnce(&mut Session) + Send>;
/// A continuation, and the number of the work that it ends.
type Completion = (u64, Continuation);
type Work = Box<dyn FnOnce() + Send>;

/// Work on a thread whose continuation has not run.
struct RunningWork {
    key: Key,
    number: u64,
    cancel: CancelFlag,
    in_turn: bool,
}

/// Where a task of the worker is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueuePosition {
    Last,
    /// Before all others: somebody waits for it by ear.
    First,
    /// After all others, and instead of waiting and running tasks with the same key.
    Replace,
}

/// A task of the worker that waits.
struct QueuedJob {
    key: Key,
    job: Box<dyn WorkerJob>,
}

/// The running task of the worker.
struct ActiveJob {
    key: Key,
    cancel: CancelToken,
    /// `None` while its continuation runs.
    job: Option<Box<dyn WorkerJob>>,
    discarded: bool,
}

/// The result of a step of a worker's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobState {
    Waiting,
    Progress,
    Finished,
}

/// A task of the worker together with its continuations.
trait WorkerJob {
    /// Starts the task; [`JobState::Finished`] if there is nothing to do or it failed to start.
    fn start(&mut self, session: &mut Session, cancel: CancelToken) -> JobState;

    /// Runs the continuation of the next update, if there is one.
    fn step(&mut self, session: &mut Session) -> JobState;
}

struct TypedJob<T, E, S, F, G> {
    start: Option<S>,
    task: Option<Task<T, E>>,
    on_event: F,
    then: Option<G>,
}

impl<T, E, S, F, G> WorkerJob for TypedJob<T, E, S, F, G>
where
    S: FnOnce(&mut Session, CancelToken) -> Result<Option<Task<T, E>>>,
    F: FnMut(&mut Session, E),
    G: FnOnce(&mut Session, Result<T>),
{
    fn start(&mut self, session: &mut Session, cancel: CancelToken) -> JobState {
        match self.start.take().map(|start| start(session, cancel)) {
            Some(Ok(Some(task))) => {
                self.task = Some(task);
                JobState::Progress
            }
            Some(Ok(None)) | None => JobState::Finished,
            Some(Err(e)) => self.finish(session, Err(e)),
        }
    }

    fn step(&mut self, session: &mut Session) -> JobState {
        match self.task.as_ref().map(Task::try_next) {
            Some(Some(Update::Event(event))) => {
                (self.on_event)(session, event);
                JobState::Progress
            }
            Some(Some(Update::Done(result))) => self.finish(session, result),
            Some(None) => JobState::Waiting,
            None => JobState::Finished,
        }
    }
}

impl<T, E, S, F, G: FnOnce(&mut Session, Result<T>)> TypedJob<T, E, S, F, G> {
    fn finish(&mut self, session: &mut Session, result: Result<T>) -> JobState {
        if let Some(then) = self.then.take() {
            then(session, result);
        }
        JobState::Finished
    }
}

/// All work of the window.
pub(super) struct Tasks {
    wake: Wake,
    sender: Sender<Completion>,
    receiver: Receiver<Completion>,
    next_number: u64,
    /// Work whose continuation has not run; that which waits for its turn, too.
    running: Vec<RunningWork>,
    /// Work that runs in turn, by key; the first of each is running.
    lanes: HashMap<Key, VecDeque<Option<Work>>>,
    joined: Vec<JoinHandle<()>>,
    jobs: VecDeque<QueuedJob>,
    active: Option<ActiveJob>,
}

impl Tasks {
    /// Calls `wake` when there is a result to take in.
    pub(super) fn new(wake: Wake) -> Self {
        let (sender, receiver) = channel();
        Self {
            wake,
            sender,
            receiver,
            next_number: 0,
            running: Vec::new(),
            lanes: HashMap::new(),
            joined: Vec::new(),
            jobs: VecDeque::new(),
            active: None,
        }
    }

    /// Requests a repaint of the window.
    pub(super) fn paced_wake(&self) -> WakeFn {
        self.wake.paced.clone()
    }

    // --- Work on threads ---

    /// Runs `work` on a thread, then `then` with its owner. Running work with the same key is cancelled, and its result is dropped. If
    /// `work` panics, that is reported and `then` does not run.
    pub(super) fn run<O: Owner, T: Send + 'static>(
        &mut self,
        key: Key,
        work: impl FnOnce(&CancelFlag) -> T + Send + 'static,
        then: impl FnOnce(&mut O, &mut O::Context<'_>, T) + Send + 'static,
    ) {
        self.cancel_work(key);
        let cancel = CancelFlag::default();
        let flag = cancel.clone();
        let work = self.prepare(key, cancel, false, move || work(&flag), then);
        drop(start_thread(work)); // the thread is not joined
    }

    /// Like [`Tasks::run`], for work that must not be dropped, such as writing a file: work with the same key runs in turn, each to
    /// its end, and the program does not end before.
    pub(super) fn run_in_turn<O: Owner, T: Send + 'static>(
        &mut self,
        key: Key,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut O, &mut O::Context<'_>, T) + Send + 'static,
    ) {
        let work = self.prepare(key, CancelFlag::default(), true, work, then);
        let lane = self.lanes.entry(key).or_default();
        lane.push_back(Some(work));
        if lane.len() == 1 {
            self.start_next_in_turn(key);
        }
    }

    fn start_next_in_turn(&mut self, key: Key) {
        let next = self.lanes.get_mut(&key).and_then(|lane| lane.front_mut()).and_then(Option::take);
        self.joined.retain(|thread| !thread.is_finished());
        self.joined.extend(next.and_then(start_thread));
    }

    /// Registers work and returns what a thread runs.
    fn prepare<O: Owner, T: Send + 'static>(
        &mut self,
        key: Key,
        cancel: CancelFlag,
        in_turn: bool,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut O, &mut O::Context<'_>, T) + Send + 'static,
    ) -> Work {
        let number = self.next_number;
        self.next_number += 1;
        self.running.push(RunningWork { key, number, cancel, in_turn });
        let (sender, wake) = (self.sender.clone(), self.wake.now.clone());
        Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            let completion = Box::new(move |session: &mut Session| match result {
                Ok(value) => session.with(|owner: &mut O, cx| then(owner, cx, value)),
                Err(_) => session.notify_error("Unexpected error in the background; the log has the details"),
            });
            sender.send((number, completion)).ok(); // the window may be closed by now
            wake();
        })
    }

    /// Stops work with this key and drops its result, unless it runs in turn.
    pub(super) fn cancel_work(&mut self, key: Key) {
        self.running.iter().filter(|work| work.key == key && !work.in_turn).for_each(|work| work.cancel.set());
        self.running.retain(|work| work.key != key || work.in_turn);
    }

    /// Asks work with this key to stop early; its result is taken in.
    pub(super) fn stop_work(&self, key: Key) {
        self.running.iter().filter(|work| work.key == key).for_each(|work| work.cancel.set());
    }

    /// Whether work with this key runs or waits for its turn.
    pub(super) fn is_running(&self, key: Key) -> bool {
        self.running.iter().any(|work| work.key == key)
    }

    /// Whether any work runs.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// The continuation of work that has ended, if there is one. Results of cancelled work are dropped.
    fn next_finished(&mut self) -> Option<Continuation> {
        while let Ok((number, completion)) = self.receiver.try_recv() {
            let Some(at) = self.running.iter().position(|work| work.number == number) else { continue };
            let ended = self.running.remove(at);
            if ended.in_turn {
                if let Some(lane) = self.lanes.get_mut(&ended.key) {
                    lane.pop_front();
                }
                self.start_next_in_turn(ended.key);
            }
            return Some(completion);
        }
        None
    }

    // --- Tasks of the worker ---

    /// Queues a task of the worker. When it is its turn, `start` starts it (`None` if it is no longer wanted), `on_event` receives its
    /// events, and `then` its result, or why it could not be started.
    pub(super) fn ask<O: Owner, T: 'static, E: 'static>(
        &mut self,
        key: Key,
        position: QueuePosition,
        start: impl FnOnce(&mut O, &mut O::Context<'_>, CancelToken) -> Result<Option<Task<T, E>>> + 'static,
        mut on_event: impl FnMut(&mut O, &mut O::Context<'_>, E) + 'static,
        then: impl FnOnce(&mut O, &mut O::Context<'_>, Result<T>) + 'static,
    ) {
        let job = TypedJob {
            start: Some(move |session: &mut Session, cancel: CancelToken| {
                session.with(|owner: &mut O, cx| start(owner, cx, cancel))
            }),
            task: None,
            on_event: move |session: &mut Session, event: E| {
                session.with(|owner: &mut O, cx| on_event(owner, cx, event));
            },
            then: Some(move |session: &mut Session, result: Result<T>| {
                session.with(|owner: &mut O, cx| then(owner, cx, result));
            }),
        };
        let queued = QueuedJob { key, job: Box::new(job) };
        match position {
            QueuePosition::First => self.jobs.push_front(queued),
            QueuePosition::Last => self.jobs.push_back(queued),
            QueuePosition::Replace => {
                self.discard(key);
                self.jobs.push_back(queued);
            }
        }
    }

    /// Removes waiting tasks with this key and asks the running one to stop; it keeps what it has made.
    pub(super) fn cancel_task(&mut self, key: Key) {
        self.jobs.retain(|queued| queued.key != key);
        if let Some(active) = self.active.as_ref().filter(|active| active.key == key) {
            active.cancel.cancel();
        }
    }

    /// Drops waiting and running tasks with this key; their continuations do not run.
    pub(super) fn discard(&mut self, key: Key) {
        self.discard_if(|other| other == key);
    }

    /// Drops all tasks of the worker.
    pub(super) fn discard_all(&mut self) {
        self.discard_if(|_| true);
    }

    fn discard_if(&mut self, is: impl Fn(Key) -> bool) {
        self.jobs.retain(|queued| !is(queued.key));
        if let Some(active) = self.active.as_mut().filter(|active| is(active.key)) {
            active.cancel.cancel();
            if active.job.take().is_some() {
                self.active = None; // dropping its handle cancels the task
            } else if let Some(active) = &mut self.active {
                active.discarded = true; // its continuation is running
            }
        }
    }

    /// Whether a task with this key runs.
    pub(super) fn is_active(&self, key: Key) -> bool {
        self.active.as_ref().is_some_and(|active| active.key == key && !active.discarded)
    }

    /// Waiting tasks with this key.
    pub(super) fn queued(&self, key: Key) -> usize {
        self.jobs.iter().filter(|queued| queued.key == key).count()
    }

    /// Whether the worker has nothing to do for the window.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none() && self.jobs.is_empty()
    }
}

/// Runs `work` on a new thread. If the system cannot start one, it runs here: nothing that was made is lost for that.
fn start_thread(work: Work) -> Option<JoinHandle<()>> {
    let work = Arc::new(Mutex::new(Some(work)));
    let run = |work: &Mutex<Option<Work>>| {
        let work: Option<Work> = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.into_iter().for_each(|work| work());
    };
    let on_thread = work.clone();
    let started = std::thread::Builder::new().name("csm-background".into()).spawn(move || run(&on_thread));
    started.map_err(|e| (tracing::warn!("cannot start a thread: {e}"), run(&work))).ok()
}

impl Session {
    /// Runs the continuations of work that has ended and of the worker's updates, and starts the next task. Never waits.
    pub(super) fn poll_tasks(&mut self) {
        self.poll_finished_work();
        while self.step_worker() {
            self.apply_effects();
        }
    }

    fn poll_finished_work(&mut self) {
        while let Some(completion) = self.tasks.next_finished() {
            completion(self);
            self.apply_effects();
        }
    }

    /// Takes in one update of the worker's task or starts the next task; whether there was something to do.
    fn step_worker(&mut self) -> bool {
        if self.tasks.active.is_none() {
            if !self.models.is_ready() {
                return false;
            }
            let Some(QueuedJob { key, mut job }) = self.tasks.jobs.pop_front() else { return false };
            let cancel = CancelToken::default();
            self.tasks.active = Some(ActiveJob { key, cancel: cancel.clone(), job: None, discarded: false });
            let state = job.start(self, cancel);
            self.put_back(job, state);
            return true;
        }
        let Some(mut job) = self.tasks.active.as_mut().and_then(|active| active.job.take()) else { return false };
        let state = job.step(self);
        self.put_back(job, state);
        state != JobState::Waiting
    }

    /// Keeps the active job unless it has ended or was discarded.
    fn put_back(&mut self, job: Box<dyn WorkerJob>, state: JobState) {
        match self.tasks.active.take() {
            Some(active) if state != JobState::Finished && !active.discarded => {
                self.tasks.active = Some(ActiveJob { job: Some(job), ..active });
            }
            _ => {}
        }
    }

    /// Waits until every file is written, and runs the continuations.
    pub fn finish_writing(&mut self) {
        self.poll_finished_work();
        while let Some(thread) = self.tasks.joined.pop() {
            if thread.join().is_err() {
                tracing::error!("a thread that wrote a file has panicked"); // its panic is in the log
            }
            // A continuation may write, and the next write with the same key starts.
            self.poll_finished_work();
        }
    }

    /// Whether work runs on a thread of the window's, or a file waits to be written.
    pub fn works_in_background(&self) -> bool {
        self.tasks.is_busy()
    }
}
