//! Settings that the window remembers.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::Sampling;
use crate::error::{Error, Result};
use crate::files::{read_own_json, write_own_json};

/// Colour scheme of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    #[default]
    System,
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

/// A named set of sampling settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    pub name: String,
    /// The settings; the seed is not used.
    pub sampling: Sampling,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub theme: Theme,
    /// Size of text, 0.7 to 2.
    pub scale: f32,
    /// Gain of the player, 0 to 1.
    pub volume: f32,
    /// Output device; `None` for the default one.
    pub device: Option<String>,
    /// Settings of the next take.
    pub sampling: Option<Sampling>,
    /// Whether every take gets a random seed.
    #[serde(alias = "new_seed")]
    pub random_seed: bool,
    /// Maximum length of a take, seconds.
    pub max_seconds: f64,
    /// Whether a take plays while it is being made.
    #[serde(alias = "play_at_once")]
    pub autoplay: bool,
    pub presets: Vec<Preset>,
    /// Command that recognises speech; empty if there is none.
    pub recogniser: String,
    /// List of pronunciations, as [`crate::text::Pronunciations::parse`] reads it.
    pub pronunciations: String,
    /// Checkpoints that were opened, the last one first.
    #[serde(serialize_with = "only_unicode")]
    pub recent_models: Vec<PathBuf>,
}

/// Writes paths; paths that are not Unicode have no form in JSON and are not stored.
fn only_unicode<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().filter_map(|path| path.to_str()))
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            scale: 1.0,
            volume: 1.0,
            device: None,
            sampling: None,
            random_seed: true,
            max_seconds: 10.0,
            autoplay: true,
            presets: Vec::new(),
            recogniser: String::new(),
            pronunciations: String::new(),
            recent_models: Vec::new(),
        }
    }
}

/// The label of the system's default device.
pub const DEFAULT_DEVICE: &str = "default device";

impl Settings {
    /// Name of the output device.
    pub fn device_name(&self) -> &str {
        self.device.as_deref().unwrap_or(DEFAULT_DEVICE)
    }

    /// Reads `path`; a missing file means the defaults. An unreadable file is renamed and reported.
    pub fn read(path: &Path) -> (Self, Option<Error>) {
        let (settings, problem): (Self, _) = read_own_json(path, "settings");
        (settings.clamped(), problem)
    }

    fn clamped(mut self) -> Self {
        let limit = |x: f32, from: f32, to: f32| if x.is_finite() { x.clamp(from, to) } else { 1.0 };
        self.scale = limit(self.scale, 0.7, 2.0);
        self.volume = limit(self.volume, 0.0, 1.0);
        self.max_seconds = if self.max_seconds.is_finite() { self.max_seconds.clamp(1.0, 160.0) } else { 10.0 };
        self
    }

    /// Writes `path`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_own_json(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_and_unreadable_ones_are_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/settings.json");
        let read = |path| {
            let (settings, problem) = Settings::read(path);
            (settings, problem.map(|e| e.to_string()))
        };
        assert_eq!(read(&path), (Settings::default(), None));
        let settings = Settings { theme: Theme::Dark, volume: 0.25, ..Settings::default() };
        settings.write(&path).unwrap();
        assert_eq!(read(&path), (settings, None));
        std::fs::write(&path, "{\"volume\": ").unwrap();
        let (settings, message) = read(&path);
        assert_eq!(settings, Settings::default());
        assert!(message.unwrap().contains("kept as"));
        assert!(path.with_extension("json.unreadable").exists());
    }
}
