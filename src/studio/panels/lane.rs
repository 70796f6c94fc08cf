//! A lane of the time axis.

use egui::Rect;

/// A lane: where time is drawn, and which part of it.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    pub(super) rect: Rect,
    /// The part of the clip that is on view, seconds.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Lane {
    /// Where `seconds` are; outside the lane for what is not on view.
    pub(super) fn x(&self, seconds: f64) -> f32 {
        self.rect.left() + ((seconds - self.from) / (self.to - self.from)) as f32 * self.rect.width()
    }

    /// The seconds at `x`, within the part on view.
    pub(super) fn seconds(&self, x: f32) -> f64 {
        self.from + f64::from((x - self.rect.left()) / self.rect.width()).clamp(0.0, 1.0) * (self.to - self.from)
    }
}
