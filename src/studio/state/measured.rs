//! Measures of the sounds on view, computed in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::report::Table;

/// Which sounds were measured: the clip on view by the version of its sound, and the pinned takes.
pub type MeasuredSounds = (u64, Vec<String>);

/// Held by what measures, to its very end: whether it is to stop.
#[derive(Clone)]
pub struct Measuring(Arc<AtomicBool>);

impl Measuring {
    /// Whether it is to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tables of measures, and what they are of.
#[derive(Default)]
pub struct Measured {
    asked: Option<MeasuredSounds>,
    running: Weak<AtomicBool>,
    tables: Arc<Vec<(String, Table)>>,
}

impl Measured {
    /// Whether these are other sounds than those that were measured last.
    pub fn is_outdated(&self, sounds: &MeasuredSounds) -> bool {
        self.asked.as_ref() != Some(sounds)
    }

    /// Remembers that these sounds are being measured, and stops what measured before.
    pub fn begin(&mut self, sounds: MeasuredSounds) -> Measuring {
        self.stop();
        let measuring = Measuring(Arc::default());
        (self.asked, self.running) = (Some(sounds), Arc::downgrade(&measuring.0));
        measuring
    }

    /// Has the measuring stop.
    pub fn stop(&self) {
        self.running.upgrade().iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }

    /// Takes in what was measured, unless it is of sounds that are on view no longer.
    pub fn finish(&mut self, sounds: &MeasuredSounds, tables: Vec<(String, Table)>) {
        if self.asked.as_ref() == Some(sounds) {
            self.tables = Arc::new(tables);
        }
    }

    /// Whether sounds are being measured.
    pub fn is_running(&self) -> bool {
        self.running.strong_count() > 0
    }

    /// The tables with their captions; of what was measured before until the new ones are there.
    pub fn tables(&self) -> &[(String, Table)] {
        &self.tables
    }
}
