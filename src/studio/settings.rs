//! What the window remembers, in a file of our own.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sampling::Sampling;

/// How the window is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A named set of sampling settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// Its settings; the seed is not used.
    pub sampling: Sampling,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Colours.
    pub theme: Theme,
    /// Size of text, 0.7 to 2.
    pub scale: f32,
    /// Gain of the player, 0 to 1.
    pub volume: f32,
    /// Output device; `None` for the default one.
    pub device: Option<String>,
    /// Settings of the next take.
    pub sampling: Option<Sampling>,
    /// Whether every take gets a seed of its own.
    pub new_seed: bool,
    /// Longest take, seconds.
    pub max_seconds: f64,
    /// Whether a take plays while it is being made.
    pub play_at_once: bool,
    /// Settings kept under a name.
    pub presets: Vec<Preset>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            scale: 1.0,
            volume: 1.0,
            device: None,
            sampling: None,
            new_seed: true,
            max_seconds: 10.0,
            play_at_once: true,
            presets: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads `path`; a file that is not there gives the defaults. One that cannot be read is put aside, and said.
    pub fn read(path: &Path) -> (Self, Option<String>) {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return (Self::default(), None),
            Err(e) => return (Self::default(), Some(Error::file(path, format!("cannot be read: {e}")).to_string())),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(settings) => (settings.bounded(), None),
            Err(e) => {
                let aside = path.with_extension("json.unreadable");
                let kept = std::fs::rename(path, &aside).is_ok();
                let place = if kept { format!("it is kept as {}", aside.display()) } else { "it stays".into() };
                (Self::default(), Some(format!("{}: expected settings, got {e}; {place}", path.display())))
            }
        }
    }

    fn bounded(mut self) -> Self {
        let bound = |x: f32, from: f32, to: f32| if x.is_finite() { x.clamp(from, to) } else { 1.0 };
        self.scale = bound(self.scale, 0.7, 2.0);
        self.volume = bound(self.volume, 0.0, 1.0);
        self.max_seconds = if self.max_seconds.is_finite() { self.max_seconds.clamp(1.0, 160.0) } else { 10.0 };
        self
    }

    /// Writes `path`: whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let temporary: PathBuf = path.with_extension("json.new");
        let folder = path.parent().unwrap_or(Path::new("."));
        let bytes = serde_json::to_vec_pretty(self).expect("plain data");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&temporary, bytes))
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|e| Error::write(path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_unreadable_ones_are_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/settings.json");
        assert_eq!(Settings::read(&path), (Settings::default(), None));
        let settings = Settings { theme: Theme::Dark, volume: 0.25, ..Settings::default() };
        settings.write(&path).unwrap();
        assert_eq!(Settings::read(&path), (settings, None));
        std::fs::write(&path, "{\"volume\": ").unwrap();
        let (read, message) = Settings::read(&path);
        assert_eq!(read, Settings::default());
        assert!(message.unwrap().contains("kept as"));
        assert!(path.with_extension("json.unreadable").exists());
    }
}
