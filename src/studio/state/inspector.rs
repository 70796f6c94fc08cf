//! The clip on view: its codes, draws and waveform, and what of it is selected.

use std::sync::Arc;

use super::TimeAxis;
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::analysis::problems::{ClipFacts, Problem, find_problems};
use crate::analysis::statistics::TokenStats;
use crate::data::{ClipSpec, Codes, FinishReason, Logits, Sampling};
use crate::engine::GeneratedFrame;
use crate::sampling::reference::softmax;
use crate::takes::ClipDraws;
use crate::text::expected_seconds;
use crate::worker::FrameEvent;

/// Samples in one peak of the waveform: 10 ms at 24 kHz.
pub const PEAK: usize = 240;

/// Smallest and largest sample of every [`PEAK`] samples.
pub type Peaks = Vec<(f32, f32)>;

/// Peaks of `samples`.
pub fn peaks(samples: &[f32]) -> Peaks {
    let peak = |c: &[f32]| c.iter().fold((0f32, 0f32), |(low, high), s| (low.min(*s), high.max(*s)));
    samples.chunks(PEAK).map(peak).collect()
}

/// The probability of id 0 in codebook 0.
fn end_probability(logits: &Logits) -> f32 {
    softmax(logits.row(0)).first().copied().unwrap_or(0.0)
}

/// The clip on view with everything known of its draws.
#[derive(Default)]
pub struct InspectedClip {
    /// The take, once it is kept.
    pub take: Option<String>,
    /// What made it.
    pub spec: Option<ClipSpec>,
    /// Its codes.
    pub frames: Codes,
    /// Statistics of its draws, `[T][K]`; fewer frames while they are being computed.
    pub steps: Vec<Vec<TokenStats>>,
    /// Logits of its draws; as many frames as `steps`.
    pub logits: Vec<Arc<Logits>>,
    /// Settings of its draws, per frame.
    pub samplings: Vec<Sampling>,
    /// The model's probability of id 0 in codebook 0, per frame: without it the speech cannot end there. One more where the model ended
    /// it and that draw is known.
    pub end_probability: Vec<f32>,
    /// Per frame and codebook, whether the range guard changed the token; empty without a guard.
    pub guarded: Vec<Vec<bool>>,
    /// Smallest and largest sample of every [`PEAK`] samples.
    pub peaks: Peaks,
    /// Its mel spectrogram, once it was asked for and computed.
    pub spectrogram: Option<Arc<MelSpectrogram>>,
    /// Its name, where it is no take: the file's.
    pub name: String,
    /// Its waveform.
    pub audio: Vec<f32>,
    /// Samples a second.
    pub rate: usize,
    /// Time of computing over duration.
    pub real_time_factor: f64,
    /// Why it ended; `None` while it runs.
    pub stop: Option<FinishReason>,
    /// Counts changes, so that pictures of it are drawn again only then.
    pub version: u64,
    /// Counts changes of its sound alone: draws that are computed leave what was measured of that as it is.
    pub sound_version: u64,
}

impl InspectedClip {
    /// Appends to its waveform.
    pub fn push_audio(&mut self, samples: &[f32]) {
        self.audio.extend_from_slice(samples);
        self.peaks.truncate(self.audio.len().saturating_sub(samples.len()) / PEAK);
        let from = self.peaks.len() * PEAK;
        self.peaks.extend(peaks(&self.audio[from..]));
        self.version += 1;
        self.sound_version += 1;
    }

    /// Appends the draws of a frame.
    pub fn push_draws(&mut self, event: FrameEvent) {
        let frame = event.frame;
        if let Some(logits) = frame.logits {
            self.steps.push(TokenStats::measure_frame(&logits, &frame.codes, &frame.sampling));
            self.end_probability.push(end_probability(&logits));
            self.logits.push(Arc::new(logits));
            self.guarded.push(frame.guarded);
            self.samplings.push(frame.sampling);
        }
        self.version += 1;
    }

    /// The draw with which the model ended the clip, where it did.
    pub fn push_end(&mut self, end: Option<&GeneratedFrame>) {
        self.end_probability.extend(end.and_then(|frame| frame.logits.as_ref()).map(end_probability));
        self.version += 1;
    }

    /// Draws that were computed before, with everything that is known of them.
    pub fn known_draws(frames: &Codes, draws: ClipDraws) -> Self {
        let mut clip = Self::default();
        for ((codes, logits), sampling) in frames.frames().zip(&draws.logits).zip(&draws.samplings) {
            clip.steps.push(TokenStats::measure_frame(logits, codes, sampling));
            clip.end_probability.push(end_probability(logits));
        }
        clip.end_probability.extend(draws.end);
        (clip.logits, clip.samplings, clip.guarded) = (draws.logits, draws.samplings, draws.guarded);
        clip
    }

    /// Takes over the draws of `other`, which has the same codes.
    pub fn set_draws(&mut self, other: Self) {
        (self.steps, self.logits, self.samplings) = (other.steps, other.logits, other.samplings);
        (self.end_probability, self.guarded) = (other.end_probability, other.guarded);
        self.version += 1;
    }

    /// Its draws, to be kept.
    pub fn draws(&self) -> ClipDraws {
        let (logits, samplings, guarded) = (self.logits.clone(), self.samplings.clone(), self.guarded.clone());
        ClipDraws { logits, samplings, guarded, end: self.end_probability.get(self.frames.len()).copied() }
    }

    /// Forgets its draws: they are computed again.
    pub fn forget_draws(&mut self) {
        self.steps.clear();
        self.logits.clear();
        self.samplings.clear();
        self.end_probability.clear();
        self.guarded.clear();
        self.version += 1;
    }

    /// Frames that are worth a second listen, as far as its draws are known; of a complete clip also a strange length.
    pub fn problems(&self, frame_samples: usize) -> Vec<Problem> {
        let loudest = |frame: &[f32]| frame.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        let levels: Vec<f32> = self.audio.chunks(frame_samples.max(1)).map(loudest).collect();
        let expected = self.spec.as_ref().map_or(0.0, |spec| expected_seconds(&spec.text));
        let complete = matches!(self.stop, Some(FinishReason::Eos | FinishReason::Length));
        let seconds = self.audio.len() as f64 / self.rate.max(1) as f64;
        find_problems(ClipFacts {
            codes: &self.frames,
            steps: &self.steps,
            guarded: &self.guarded,
            end_probability: &self.end_probability,
            levels: &levels,
            length_share: (complete && expected > 0.0).then(|| seconds / expected),
        })
    }

    /// Whether all its draws are known.
    pub fn is_analysed(&self) -> bool {
        !self.frames.is_empty() && self.steps.len() == self.frames.len()
    }
}

/// What the token map shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapContent {
    /// Tokens.
    #[default]
    Tokens,
    /// A statistic of the draws, by its key.
    Statistic(&'static str),
    /// Where the pinned clip in this place has other tokens.
    Difference(usize),
    /// Where other settings would have drawn other tokens.
    WhatIf,
}

/// What of the clip is selected and on view; shared by everything that shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClipView {
    /// The selected frame and codebook; `None` follows the newest frame.
    pub cell: Option<(usize, usize)>,
    /// Codebook of the plots.
    pub codebook: usize,
    /// The part of the clip that is on view.
    pub axis: TimeAxis,
    /// What the token map shows.
    pub map: MapContent,
    /// Whether lanes of sound show mel spectrograms, not waveforms.
    pub spectrograms: bool,
}

impl ClipView {
    /// Selects a frame and a codebook of a clip of `length` seconds, and brings it into view. `None` follows the newest frame.
    pub fn select(&mut self, cell: Option<(usize, usize)>, seconds: f64, length: f64) {
        self.cell = cell;
        if let Some((_, codebook)) = cell {
            self.codebook = codebook;
            self.axis.reveal(seconds, length);
        }
    }

    /// Frame and codebook of the selected draw of `clip`, or of its newest one.
    pub fn draw(&self, clip: &InspectedClip) -> Option<(usize, usize)> {
        let last = clip.steps.len().checked_sub(1)?;
        let codebook = self.codebook.min(clip.steps[last].len().checked_sub(1)?);
        Some((self.cell.map_or(last, |(t, _)| t).min(last), codebook))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waveform_grows_and_its_peaks_with_it() {
        let mut clip = InspectedClip::default();
        let samples: Vec<f32> = (0..1_000).map(|n| n as f32 / 1_000.0 - 0.3).collect();
        samples.chunks(70).for_each(|part| clip.push_audio(part));
        assert_eq!(clip.peaks, peaks(&samples));
        assert_eq!(clip.peaks[0], (-0.3, 0.0), "silence is always within");
        let sound = clip.sound_version;
        clip.forget_draws();
        clip.set_draws(InspectedClip::default());
        assert_eq!(clip.sound_version, sound, "draws change no sound, and nothing is measured again for them");
    }

    #[test]
    fn a_selection_comes_into_view_and_none_follows() {
        let mut view = ClipView::default();
        view.axis.show(0.0, 1.0);
        view.select(Some((50, 3)), 4.0, 8.0);
        let (from, to) = view.axis.range(8.0);
        assert!(from <= 4.0 && to >= 4.0 && view.codebook == 3);
        let mut clip = InspectedClip::default();
        assert_eq!(view.draw(&clip), None, "nothing is known yet");
        clip.steps = vec![vec![TokenStats::default(); 2]; 5];
        assert_eq!(view.draw(&clip), Some((4, 1)), "within the clip");
        view.select(Some((1, 0)), 0.1, 8.0);
        assert_eq!(view.draw(&clip), Some((1, 0)));
        view.select(None, 0.0, 8.0);
        assert_eq!(view.draw(&clip), Some((4, 0)));
    }
}
