//! A lane of the time axis.

use egui::Rect;

/// A lane: a rectangle, and the part of the clip that it shows.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    pub(super) rect: Rect,
    /// The visible part of the clip, in seconds.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Lane {
    /// The x coordinate of `seconds`; outside the lane if they are not visible.
    pub(super) fn x(&self, seconds: f64) -> f32 {
        self.rect.left() + ((seconds - self.from) / (self.to - self.from)) as f32 * self.rect.width()
    }

    /// The seconds at `x`, within the visible part.
    pub(super) fn seconds(&self, x: f32) -> f64 {
        self.from + f64::from((x - self.rect.left()) / self.rect.width()).clamp(0.0, 1.0) * (self.to - self.from)
    }
}
