//! The window. [`session::Session`] holds the owners of its state, panels draw it and give commands, and `tasks` runs what takes
//! time.

mod app;
pub mod catalogue;
mod command;
pub mod comparison;
pub mod composer;
mod effects;
mod input_order;
pub mod inspector;
mod keys;
mod launch;
mod layout;
pub mod library;
mod memo;
#[cfg(any(target_os = "macos", test))]
mod menu;
pub mod models;
pub mod monitor;
mod notifications;
mod pacing;
mod panels;
mod platform;
pub mod preferences;
pub mod session;
pub mod settings;
pub mod shell;
mod tasks;
pub mod test_bench;
mod theme;
pub mod voices;

pub use self::app::Studio;
pub use self::command::{COMMANDS, Command, Commands, NamedCommand};
pub use self::launch::{FIRST_SIZE, run};
