//! The settings of the window and their file.

use std::path::PathBuf;

use super::composer::Composer;
use super::effects::Effects;
use super::models::Models;
use super::session::{Owner, Session};
use super::settings::Settings;
use super::tasks::{Key, Tasks};
use crate::error::Result;

/// Checkpoints that are remembered.
const RECENT_MODELS: usize = 8;
const WRITE_SETTINGS: Key = Key("write settings");

pub struct Preferences {
    /// The settings as they are.
    pub settings: Settings,
    saved: Settings,
    path: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PreferencesCommand {
    Set(Box<Settings>),
    /// Gain of the player, 0 to 1.
    SetVolume(f32),
    /// Output device; `None` for the default one.
    SetDevice(Option<String>),
    /// Command line of the recogniser.
    SetRecogniser(String),
    /// Whether every take gets a random seed.
    SetRandomSeed(bool),
    /// Put a checkpoint first in the list of recent ones.
    RememberModel(PathBuf),
}

/// Data that [`Preferences`] may read.
pub struct PreferencesContext<'a> {
    composer: &'a Composer,
    models: &'a Models,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Preferences {
    type Command = PreferencesCommand;
    type Context<'a> = PreferencesContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, PreferencesContext<'_>) {
        let Session { preferences, composer, models, tasks, effects, .. } = session;
        (preferences, PreferencesContext { composer, models, tasks, effects })
    }

    fn handle(&mut self, command: PreferencesCommand, _cx: &mut PreferencesContext<'_>) {
        match command {
            PreferencesCommand::Set(settings) => self.settings = *settings,
            PreferencesCommand::SetVolume(volume) => self.settings.volume = volume,
            PreferencesCommand::SetDevice(device) => self.settings.device = device,
            PreferencesCommand::SetRecogniser(line) => self.settings.recogniser = line,
            PreferencesCommand::SetRandomSeed(random) => self.settings.random_seed = random,
            PreferencesCommand::RememberModel(path) => {
                let recent = &mut self.settings.recent_models;
                recent.retain(|known| *known != path);
                recent.insert(0, path);
                recent.truncate(RECENT_MODELS);
            }
        }
    }
}

impl Preferences {
    /// Settings as they are stored in the file `path`.
    pub(super) fn new(settings: Settings, path: PathBuf) -> Self {
        Self { saved: settings.clone(), settings, path }
    }

    /// Writes the settings if they have changed; while they are being written, later.
    pub(super) fn poll(&mut self, cx: &mut PreferencesContext<'_>) {
        if cx.models.checkpoint().is_some() {
            // Before that they are only a guess at what the checkpoint suggests.
            self.settings.sampling = Some(cx.composer.sampling);
        }
        if self.settings == self.saved || cx.tasks.is_running(WRITE_SETTINGS) {
            return; // a slider that is dragged changes them with every frame
        }
        self.saved = self.settings.clone();
        let (settings, path) = (self.settings.clone(), self.path.clone());
        let report = |_: &mut Self, cx: &mut PreferencesContext<'_>, written: Result<()>| {
            cx.effects.or_notify(written);
        };
        cx.tasks.run_in_turn(WRITE_SETTINGS, move || settings.write(&path), report);
    }
}
