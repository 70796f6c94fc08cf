//! The visible part of a clip: one axis for everything that is drawn over time.

/// Shortest part that can be shown, seconds: a few frames.
const SHORTEST: f64 = 0.24;

/// The visible part of a clip, seconds. Until it is zoomed, the whole clip, also while that grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeAxis {
    /// `None` for the whole clip.
    part: Option<(f64, f64)>,
}

impl TimeAxis {
    /// The visible part of a clip of `length` seconds: start and end.
    pub fn range(&self, length: f64) -> (f64, f64) {
        let length = length.max(SHORTEST);
        match self.part {
            None => (0.0, length),
            Some((from, to)) => {
                let span = (to - from).clamp(SHORTEST, length);
                let from = from.clamp(0.0, length - span);
                (from, from + span)
            }
        }
    }

    /// Shows the whole clip.
    pub fn fit(&mut self) {
        self.part = None;
    }

    pub fn show(&mut self, from: f64, to: f64) {
        self.part = Some((from, to));
    }

    /// Magnifies by `factor`; what is at `at` seconds keeps its place.
    pub fn zoom(&mut self, at: f64, factor: f64, length: f64) {
        let (from, to) = self.range(length);
        let span = ((to - from) / factor).clamp(SHORTEST, length.max(SHORTEST));
        if span >= length {
            return self.fit();
        }
        let share = (at - from) / (to - from);
        let from = (at - share * span).clamp(0.0, length - span);
        self.part = Some((from, from + span));
    }

    /// Moves the visible part by `seconds`.
    pub fn pan(&mut self, seconds: f64, length: f64) {
        if self.part.is_some() {
            let (from, to) = self.range(length);
            let moved = (from + seconds).clamp(0.0, (length - (to - from)).max(0.0));
            self.part = Some((moved, moved + to - from));
        }
    }

    /// Moves the visible part so far that `at` is in it.
    pub fn reveal(&mut self, at: f64, length: f64) {
        let (from, to) = self.range(length);
        if at < from {
            self.pan(at - from, length);
        } else if at > to {
            self.pan(at - to, length);
        }
    }

    /// Time between the marks of a ruler on which `width` points are `span` seconds: at least 60 points apart.
    pub fn ruler_step(span: f64, width: f64) -> f64 {
        let least = 60.0 * span / width.max(1.0);
        let steps = [0.08, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0];
        steps.into_iter().find(|step| *step >= least).unwrap_or(120.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_zooms_at_a_point_and_stays_within_the_clip() {
        let mut axis = TimeAxis::default();
        assert_eq!(axis.range(4.0), (0.0, 4.0));
        axis.zoom(1.0, 2.0, 4.0);
        let (from, to) = axis.range(4.0);
        assert_eq!((from, to), (0.5, 2.5), "a quarter of the way before, a quarter after");
        axis.pan(-3.0, 4.0);
        assert_eq!(axis.range(4.0), (0.0, 2.0));
        axis.pan(9.0, 4.0);
        assert_eq!(axis.range(4.0), (2.0, 4.0));
        axis.zoom(3.0, 1e9, 4.0);
        let (from, to) = axis.range(4.0);
        assert!((to - from - 0.24).abs() < 1e-9 && from < 3.0 && to > 3.0);
        axis.reveal(0.5, 4.0);
        assert_eq!(axis.range(4.0).0, 0.5);
        axis.zoom(3.0, 1e-9, 4.0);
        assert_eq!(axis, TimeAxis::default());
    }

    #[test]
    fn it_follows_a_growing_clip_and_survives_a_shorter_one() {
        let mut axis = TimeAxis::default();
        assert_eq!((axis.range(0.0), axis.range(1.0)), ((0.0, 0.24), (0.0, 1.0)));
        axis.show(50.0, 60.0);
        assert_eq!(axis.range(60.0), (50.0, 60.0));
        assert_eq!(axis.range(4.0), (0.0, 4.0), "another clip");
    }

    #[test]
    fn a_ruler_has_room_for_its_numbers() {
        assert_eq!(TimeAxis::ruler_step(4.0, 600.0), 0.5);
        assert_eq!(TimeAxis::ruler_step(60.0, 600.0), 10.0);
        assert_eq!(TimeAxis::ruler_step(0.3, 600.0), 0.08);
    }
}
