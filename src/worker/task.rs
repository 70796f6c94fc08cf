//! Handles for tasks of the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use super::protocol::Event;
use crate::error::{Error, Result};

/// Updates that may wait for their reader; then the worker waits.
const UPDATES: usize = 256;

/// Cancels a task. Clones cancel the same task; a token that is used for several tasks cancels them all.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the task to stop. What it has made so far is kept.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The flag behind it, for code that knows no workers.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }

    /// Whether somebody has asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An update of a task: its events in order, then its result.
#[derive(Debug)]
pub enum Update<T, E = Event> {
    /// An event of the running task.
    Event(E),
    /// The task is over; nothing follows.
    Done(Result<T>),
}

/// A task that the worker runs or will run, with events `E` and a result `T`. Dropping the handle cancels the task.
#[derive(Debug)]
pub struct Task<T, E = Event> {
    updates: Receiver<Update<T, E>>,
    cancel: CancelToken,
    /// Cancelled when this handle is dropped; `cancel` may belong to other tasks too.
    abandoned: CancelToken,
}

impl<T, E> Task<T, E> {
    pub(super) fn new(cancel: CancelToken, wake: Arc<dyn Fn() + Send + Sync>) -> (Self, Reply<T, E>) {
        let (sender, updates) = sync_channel(UPDATES);
        let abandoned = CancelToken::default();
        let reply = Reply { updates: sender, cancel: cancel.clone(), abandoned: abandoned.clone(), wake };
        (Self { updates, cancel, abandoned }, reply)
    }

    /// Asks the worker to stop the task.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The next update, if there is one. A worker that has died is an update too.
    pub fn try_next(&self) -> Option<Update<T, E>> {
        match self.updates.try_recv() {
            Ok(update) => Some(update),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Update::Done(Err(died()))),
        }
    }

    /// Waits for the result and hands every event to `on_event`.
    ///
    /// # Errors
    /// The task's own, or [`Error::WorkerDied`].
    pub fn wait(self, mut on_event: impl FnMut(E)) -> Result<T> {
        loop {
            match self.updates.recv() {
                Ok(Update::Event(event)) => on_event(event),
                Ok(Update::Done(result)) => return result,
                Err(_) => return Err(died()),
            }
        }
    }
}

impl<T, E> Drop for Task<T, E> {
    fn drop(&mut self) {
        self.abandoned.cancel();
    }
}

fn died() -> Error {
    Error::WorkerDied { reason: "it ended without an answer; the log has more".into() }
}

/// The worker's end of a task.
pub(super) struct Reply<T, E = Event> {
    updates: SyncSender<Update<T, E>>,
    cancel: CancelToken,
    abandoned: CancelToken,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl<T, E> Reply<T, E> {
    /// Whether the task is to stop.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.abandoned.is_cancelled()
    }

    pub(super) fn event(&self, event: E) {
        self.send(Update::Event(event));
    }

    pub(super) fn done(self, result: Result<T>) {
        self.send(Update::Done(result));
    }

    fn send(&self, update: Update<T, E>) {
        if self.updates.send(update).is_err() {
            self.abandoned.cancel(); // the task's handle is gone, so nobody wants the rest
        }
        (self.wake)();
    }
}
