//! A lane of the time axis.

use egui::{Align2, Color32, FontId, Rect, Ui, pos2};

/// Width of the names and numbers left of the lanes.
pub(super) const MARGIN: f32 = 88.0;

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

    /// Writes the name of the lane in the margin.
    pub(super) fn name(&self, ui: &Ui, name: &str, colour: Color32) {
        self.nth_name(ui, (0, 1), name, colour);
    }

    /// Writes the `n`th of `of` names in the margin, below each other.
    pub(super) fn nth_name(&self, ui: &Ui, (n, of): (usize, usize), name: &str, colour: Color32) {
        let room = self.rect.height() / of as f32;
        let at = pos2(self.rect.left() - 6.0, self.rect.top() + (n as f32 + 0.5) * room);
        ui.painter().text(at, Align2::RIGHT_CENTER, name, FontId::proportional(11.0f32.min(room)), colour);
    }
}
