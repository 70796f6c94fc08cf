//! The window. [`session`] holds the state in parts of [`state`]; panels draw it and return commands, which run after layout.

mod app;
mod command;
mod dialogs;
mod panels;
pub mod session;
pub mod settings;
pub mod state;

pub use self::app::{FIRST_SIZE, Studio, run};
pub use self::command::{Ask, COMMANDS, Command, NamedCommand};
