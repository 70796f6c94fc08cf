//! What of the current clip is selected and visible.

use super::TimeAxis;
use super::current_clip::CurrentClip;
use crate::studio::comparison::PinKey;

/// What the token map shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MapContent {
    #[default]
    Tokens,
    /// A statistic of the draws, by its key.
    Statistic(&'static str),
    /// The tokens in which a pinned clip differs.
    Difference(PinKey),
    /// The tokens that other settings would have drawn differently.
    WhatIf,
}

/// What of the clip is selected and visible; shared by everything that shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClipView {
    /// The selected frame and codebook; `None` follows the newest frame.
    pub cell: Option<(usize, usize)>,
    /// Codebook of the plots.
    pub codebook: usize,
    /// The visible part of the clip.
    pub axis: TimeAxis,
    /// What the token map shows.
    pub map: MapContent,
    /// Whether lanes of sound show mel spectrograms instead of waveforms.
    pub spectrograms: bool,
}

impl ClipView {
    /// Selects a frame and a codebook, and moves `seconds` of a clip of `length` seconds into view. `None` follows the newest frame.
    pub fn select(&mut self, cell: Option<(usize, usize)>, seconds: f64, length: f64) {
        self.cell = cell;
        if let Some((_, codebook)) = cell {
            self.codebook = codebook;
            self.axis.reveal(seconds, length);
        }
    }

    /// Frame and codebook of the selected draw, or of the newest one; within the steps that are known.
    pub fn draw(&self, current: &CurrentClip) -> Option<(usize, usize)> {
        let last = current.steps.len().checked_sub(1)?;
        let codebook = self.codebook.min(current.steps[last].stats.len().checked_sub(1)?);
        Some((self.cell.map_or(last, |(t, _)| t).min(last), codebook))
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
        assert_eq!(view.draw(&current), None, "nothing is known yet");
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(1.0, 2), 0, Dtype::Float32);
        let step = || Step::new(Arc::new(Logits::new(2, vec![0.0; 4])), sampling, Vec::new(), &[0, 1]);
        current.steps = (0..5).map(|_| step()).collect();
        assert_eq!(view.draw(&current), Some((4, 1)), "within the clip");
        view.select(Some((1, 0)), 0.1, 8.0);
        assert_eq!(view.draw(&current), Some((1, 0)));
        view.select(None, 0.0, 8.0);
        assert_eq!(view.draw(&current), Some((4, 0)));
    }
}
