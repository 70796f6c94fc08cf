//! Pacing: how often the window is drawn.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
struct Intervals {
    /// While the playhead moves.
    playback: Duration,
    /// At most this long until an update by a thread is drawn.
    update: Duration,
    /// Whether a frame is drawn no sooner while a take is being made.
    holds: bool,
}

const HARDWARE: Intervals =
    Intervals { playback: Duration::from_millis(33), update: Duration::from_millis(50), holds: false };
/// If the processor that generates also draws.
const SOFTWARE: Intervals =
    Intervals { playback: Duration::from_millis(100), update: Duration::from_millis(550), holds: true };

struct PacingState {
    intervals: Intervals,
    /// The earliest time of a frame that no input has caused.
    hold: Option<Instant>,
}

/// How often the window is drawn. Clones share their state.
#[derive(Clone)]
pub(super) struct Pacing(Arc<Mutex<PacingState>>);

impl Default for Pacing {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(PacingState { intervals: HARDWARE, hold: None })))
    }
}

impl Pacing {
    fn state(&self) -> std::sync::MutexGuard<'_, PacingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws less often: the processor draws.
    pub(super) fn draw_in_software(&self) {
        self.state().intervals = SOFTWARE;
    }

    /// Interval between frames while the playhead moves.
    pub(super) fn playback(&self) -> Duration {
        self.state().intervals.playback
    }

    /// Time within which an update by a thread is drawn.
    pub(super) fn update(&self) -> Duration {
        self.state().intervals.update
    }

    /// Records that a frame is being drawn, `generating` or not.
    pub(super) fn on_frame(&self, generating: bool) {
        let mut state = self.state();
        let holds = generating && state.intervals.holds;
        state.hold = holds.then(|| Instant::now() + state.intervals.update);
    }

    /// When to draw per frame that was requested after `delay`. egui requests one whenever a widget is new, which with a new row of
    /// candidates per frame is always; input causes its own frame.
    pub(super) fn time_of_frame(&self, delay: Duration) -> Instant {
        let requested = Instant::now() + delay;
        self.state().hold.map_or(requested, |hold| hold.max(requested))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_held_only_while_the_processor_generates_and_draws() {
        let pacing = Pacing::default();
        let soon = |pacing: &Pacing| pacing.time_of_frame(Duration::ZERO) < Instant::now() + Duration::from_millis(200);
        pacing.on_frame(true);
        assert!(soon(&pacing));
        pacing.draw_in_software();
        pacing.on_frame(true);
        assert!(!soon(&pacing));
        pacing.on_frame(false);
        assert!(soon(&pacing));
    }
}
