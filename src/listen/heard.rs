//! Which parts of a sound were heard.

/// Share of a sound that has to be heard before it is judged.
pub(super) const HEARD_SHARE: f64 = 0.8;

/// The parts of the sounds of a trial that were played, by button.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    parts: Vec<Vec<(f64, f64)>>,
    /// The last start, while it plays.
    playing: Option<Playing>,
}

/// A sound that plays.
#[derive(Clone, Copy, Debug)]
struct Playing {
    button: usize,
    /// Position in its sound at the start.
    from: f64,
    /// Position that it does not play past.
    to: f64,
    /// Time of the start.
    started: f64,
}

impl Heard {
    /// A sound starts at the position `from`, at the time `now`; all in seconds. What played before stops.
    pub(super) fn play(&mut self, button: usize, from: f64, now: f64, lengths: &[f64]) {
        self.play_part(button, (from, f64::INFINITY), now, lengths);
    }

    /// As [`Heard::play`], of the part `from..to`, perhaps again and again.
    pub(super) fn play_part(&mut self, button: usize, (from, to): (f64, f64), now: f64, lengths: &[f64]) {
        self.stop(now, lengths);
        self.playing = Some(Playing { button, from: from.max(0.0), to, started: now });
    }

    /// Stops playback.
    pub(super) fn stop(&mut self, now: f64, lengths: &[f64]) {
        let Some(Playing { button, from, to, started }) = self.playing.take() else { return };
        let end = (from + now - started).min(to).min(lengths.get(button).copied().unwrap_or(0.0));
        self.parts.resize(self.parts.len().max(button + 1), Vec::new());
        if end > from {
            self.parts[button].push((from, end));
        }
    }

    /// Everything counts as heard: the trial was answered before.
    pub(super) fn all(lengths: &[f64]) -> Self {
        Self { parts: lengths.iter().map(|length| vec![(0.0, *length)]).collect(), playing: None }
    }

    /// Seconds of each sound that were heard until `now`, each part once.
    pub(super) fn seconds(&self, now: f64, lengths: &[f64]) -> Vec<f64> {
        let mut so_far = self.clone();
        so_far.stop(now, lengths);
        so_far.parts.resize(lengths.len(), Vec::new());
        so_far.parts.iter().map(|parts| union(parts)).collect()
    }

    /// Whether enough of the sound of a button was heard.
    pub(super) fn enough(&self, button: usize, now: f64, lengths: &[f64]) -> bool {
        self.seconds(now, lengths).get(button).is_some_and(|seconds| *seconds >= HEARD_SHARE * lengths[button])
    }
}

/// Length of the union of `parts`.
fn union(parts: &[(f64, f64)]) -> f64 {
    let mut sorted = parts.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut total, mut end) = (0.0, f64::NEG_INFINITY);
    for (from, to) in sorted {
        total += (to - from.max(end)).max(0.0);
        end = end.max(to);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_once_and_a_sound_ends() {
        let lengths = [2.0, 1.0];
        let mut heard = Heard::default();
        heard.play(0, 0.0, 10.0, &lengths);
        assert!((heard.seconds(11.0, &lengths)[0] - 1.0).abs() < 1e-9 && !heard.enough(0, 11.0, &lengths));
        heard.play(0, 0.5, 11.0, &lengths); // from 0.5 to 1.5
        heard.play(1, 1.5, 12.0, &lengths); // after its end
        let seconds = heard.seconds(13.0, &lengths);
        assert!((seconds[0] - 1.5).abs() < 1e-9 && seconds[1] == 0.0, "{seconds:?}");
        heard.play(1, 0.0, 13.0, &lengths);
        heard.stop(99.0, &lengths);
        assert!(heard.enough(1, 99.0, &lengths) && heard.seconds(99.0, &lengths)[1] == 1.0);
        assert!(Heard::all(&lengths).enough(0, 0.0, &lengths));
        // A part that is looped counts once.
        let mut looped = Heard::default();
        looped.play_part(0, (0.5, 0.75), 0.0, &lengths);
        assert!((looped.seconds(10.0, &lengths)[0] - 0.25).abs() < 1e-9);
    }
}
