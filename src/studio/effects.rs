//! Requests of an owner to the rest of the window.

use std::collections::VecDeque;

use super::command::Command;
use super::notifications::Cause;
use crate::error::{Error, Result};

/// Something that crosses from one owner to the others.
pub(super) enum Effect {
    Notify(String),
    /// Tell the user that something failed.
    NotifyError(String),
    /// Tell the user that something failed, until it works.
    NotifyErrorOf(Cause, String),
    /// Something works now.
    Resolve(Cause),
    /// Run a command, which may be another owner's.
    Run(Box<Command>),
}

/// Effects in the order in which they were asked for. They happen once the owner has returned.
#[derive(Default)]
pub(super) struct Effects(VecDeque<Effect>);

impl Effects {
    pub(super) fn notify(&mut self, text: impl ToString) {
        self.0.push_back(Effect::Notify(text.to_string()));
    }

    /// Shows that something failed.
    pub(super) fn notify_error(&mut self, error: impl ToString) {
        self.0.push_back(Effect::NotifyError(error.to_string()));
    }

    /// Shows that something failed, until [`Effects::resolve`] says that it works.
    pub(super) fn notify_error_of(&mut self, cause: Cause, error: impl ToString) {
        self.0.push_back(Effect::NotifyErrorOf(cause, error.to_string()));
    }

    /// Ends the errors of `cause`, which works now.
    pub(super) fn resolve(&mut self, cause: Cause) {
        self.0.push_back(Effect::Resolve(cause));
    }

    /// The value, or a notification of the error, until `cause` works.
    pub(super) fn or_notify_of<T>(&mut self, cause: Cause, result: Result<T>) -> Option<T> {
        result.map_err(|e: Error| self.notify_error_of(cause, e)).ok()
    }

    /// The value, or a notification of the error.
    pub(super) fn or_notify<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|e: Error| self.notify_error(e)).ok()
    }

    pub(super) fn send(&mut self, command: impl Into<Command>) {
        self.0.push_back(Effect::Run(Box::new(command.into())));
    }

    pub(super) fn pop(&mut self) -> Option<Effect> {
        self.0.pop_front()
    }
}
