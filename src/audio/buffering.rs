//! Decides when playback of an unfinished clip may start.

use std::time::{Duration, Instant};

/// Seconds of sound in reserve, for the device's buffers and irregular frames.
const LEAST_SECONDS: f64 = 0.25;
/// Share of the speed so far that the estimate assumes for the rest.
const CAUTION: f64 = 0.9;

/// The sound received so far, and the estimate for the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buffering {
    /// Expected duration of the whole clip in seconds; 0 if unknown.
    expected_seconds: f64,
    /// Time of the first sound, and its duration in seconds.
    first: Option<(Instant, f64)>,
}

impl Buffering {
    /// A clip, or the rest of one, of probably `seconds` seconds; 0 if unknown.
    pub(super) fn new(expected_seconds: f64) -> Self {
        Self { expected_seconds, first: None }
    }

    /// Its expected duration in seconds.
    pub(super) fn expected_seconds(&self) -> f64 {
        self.expected_seconds
    }

    /// Whether the `seconds` of sound received by `now` suffice to play without an underrun.
    pub(super) fn is_enough(&mut self, seconds: f64, now: Instant) -> bool {
        let (began, at_first) = *self.first.get_or_insert((now, seconds));
        seconds >= LEAST_SECONDS && suffices(seconds, seconds - at_first, now - began, self.expected_seconds)
    }
}

/// Whether playback can start with `seconds` of sound, `made` of which took `time`, in a clip of `expected` seconds: at that speed the
/// rest must arrive before playback reaches it.
fn suffices(seconds: f64, made: f64, time: Duration, expected: f64) -> bool {
    let speed = CAUTION * made / time.as_secs_f64().max(1e-9);
    seconds >= expected * (1.0 - speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays while sound is made at `speed` in frames of 80 ms; returns when it starts and whether it runs dry.
    fn played(speed: f64, length: f64, expected: f64) -> (f64, bool) {
        let began = Instant::now();
        let mut buffering = Buffering::new(expected);
        let mut start = None;
        for frame in 1..=(length / 0.08).round() as usize {
            let (made, time) = (frame as f64 * 0.08, frame as f64 * 0.08 / speed);
            if let Some(start) = start
                && time - start > made - 0.08
            {
                return (start, true);
            }
            if start.is_none() && buffering.is_enough(made, began + Duration::from_secs_f64(time)) {
                start = Some(time);
            }
        }
        (start.unwrap_or(length / speed), false)
    }

    #[test]
    fn a_fast_clip_starts_at_once_and_a_slow_one_as_early_as_it_can() {
        let (start, dry) = played(8.0, 4.0, 4.0);
        assert!(start < 0.06 && !dry, "{start}");
        for speed in [0.2, 0.5, 0.8, 0.95, 1.05] {
            let (start, dry) = played(speed, 4.0, 4.0);
            assert!(!dry, "{speed}");
            let earliest = (4.0 / speed - 4.0).max(0.0);
            assert!(start <= earliest + 0.25 * 4.0 / speed, "{speed}: {start}, {earliest}");
        }
    }

    #[test]
    fn an_unknown_length_starts_with_the_least() {
        assert!(played(0.5, 4.0, 0.0).0 < 0.7);
    }
}
