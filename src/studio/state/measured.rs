//! Measures of the sounds on view, computed in the background.

use std::sync::Arc;

use crate::report::Table;

/// Which sounds were measured: the clip on view by the version of its sound, and the pinned takes.
pub type MeasuredSounds = (u64, Vec<String>);

/// Tables of measures, and what they are of.
#[derive(Default)]
pub struct Measured {
    asked: Option<MeasuredSounds>,
    running: bool,
    tables: Arc<Vec<(String, Table)>>,
}

impl Measured {
    /// Whether these are other sounds than those that were measured last.
    pub fn is_outdated(&self, sounds: &MeasuredSounds) -> bool {
        self.asked.as_ref() != Some(sounds)
    }

    /// Remembers that these sounds are being measured.
    pub fn begin(&mut self, sounds: MeasuredSounds) {
        (self.asked, self.running) = (Some(sounds), true);
    }

    /// Takes in what was measured, unless it is of sounds that are on view no longer.
    pub fn finish(&mut self, sounds: &MeasuredSounds, tables: Vec<(String, Table)>) {
        if self.asked.as_ref() == Some(sounds) {
            (self.tables, self.running) = (Arc::new(tables), false);
        }
    }

    /// Whether sounds are being measured.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// The tables with their captions; of what was measured before until the new ones are there.
    pub fn tables(&self) -> &[(String, Table)] {
        &self.tables
    }
}
