//! Selection and visible range of the current clip.

use super::TimeAxis;
use super::current_clip::CurrentClip;
use crate::analysis::statistics::Stat;
use crate::studio::comparison::PinKey;

/// The statistic that the token map shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapContent {
    Tokens,
    /// A statistic of the draws, by its key.
    Statistic(&'static str),
    /// The tokens in which a pinned clip differs.
    Difference(PinKey),
    /// The tokens that other settings would have drawn differently.
    WhatIf,
}

/// The eye goes to the draws that were hard.
impl Default for MapContent {
    fn default() -> Self {
        Self::Statistic(Stat::Surprisal.info().key)
    }
}

/// The position that the displayed draw follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The newest frame of a clip that is being made.
    Newest,
    /// The playhead.
    Playhead,
    /// The selected frame.
    Selected,
}

/// Selection and visible range of the clip, shared by all panels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipView {
    /// The selected frame and codebook; `None` follows the newest frame or the playhead.
    pub cell: Option<(usize, usize)>,
    /// Codebook of the plots.
    pub codebook: usize,
    /// The visible part of the clip.
    pub axis: TimeAxis,
    /// The statistic that the token map shows.
    pub map: MapContent,
    /// Whether lanes of sound show mel spectrograms instead of waveforms.
    pub spectrograms: bool,
    /// Whether there is a lane of pitch and level.
    pub curves: bool,
}

impl ClipView {
    /// Selects a frame and a codebook, and moves `seconds` of a clip of `length` seconds into view. `None` follows again.
    pub fn select(&mut self, cell: Option<(usize, usize)>, seconds: f64, length: f64) {
        self.cell = cell;
        if let Some((_, codebook)) = cell {
            self.codebook = codebook;
            self.axis.reveal(seconds, length);
        }
    }

    /// The draw that is shown, within the steps that are known: the selected one; else, while frames are made (`newest`), the newest one;
    /// else the one at `position` seconds, where the playhead is. `frame_rate`: frames per second.
    pub fn draw(
        &self,
        current: &CurrentClip,
        newest: bool,
        position: f64,
        frame_rate: f64,
    ) -> Option<(Followed, (usize, usize))> {
        let last = current.steps.len().checked_sub(1)?;
        let codebook = self.codebook.min(current.steps[last].stats.len().checked_sub(1)?);
        let (followed, frame) = match self.cell {
            Some((frame, _)) => (Followed::Selected, frame),
            None if newest => (Followed::Newest, last),
            None => (Followed::Playhead, (position * frame_rate + 1e-9) as usize),
        };
        Some((followed, (frame.min(last), codebook)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::analysis::steps::Step;
    use crate::data::{Dtype, Logits, Mode, Sampling, SamplingParams};

    #[test]
    fn a_selection_comes_into_view_and_none_follows() {
        let mut view = ClipView::default();
        view.axis.show(0.0, 1.0);
        view.select(Some((50, 3)), 4.0, 8.0);
        let (from, to) = view.axis.range(8.0);
        assert!(from <= 4.0 && to >= 4.0 && view.codebook == 3);
        let mut current = CurrentClip::default();
        let rate = 12.5;
        assert_eq!(view.draw(&current, true, 0.0, rate), None, "nothing is known yet");
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(1.0, 2), 0, Dtype::Float32);
        let step = || Step::new(Arc::new(Logits::new(2, vec![0.0; 4])), sampling, Vec::new(), &[0, 1]);
        current.steps = (0..5).map(|_| step()).collect();
        assert_eq!(view.draw(&current, true, 0.0, rate), Some((Followed::Selected, (4, 1))), "within the clip");
        view.select(Some((1, 0)), 0.1, 8.0);
        assert_eq!(view.draw(&current, true, 0.0, rate), Some((Followed::Selected, (1, 0))));
        view.select(None, 0.0, 8.0);
        assert_eq!(view.draw(&current, true, 0.0, rate), Some((Followed::Newest, (4, 0))));
        assert_eq!(view.draw(&current, false, 0.17, rate), Some((Followed::Playhead, (2, 0))));
        assert_eq!(view.draw(&current, false, 9.0, rate), Some((Followed::Playhead, (4, 0))));
    }
}
