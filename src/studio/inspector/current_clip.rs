//! The current clip: what every panel about a clip shows.

use std::ops::Range;
use std::sync::Arc;

use crate::acoustics::curves::SoundCurves;
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::alignment::WordProblem;
use crate::analysis::alignment::WordTracker;
use crate::analysis::issues::find_issues;
use crate::analysis::steps::{Step, Steps, end_probability};
use crate::audio::peaks::{Peaks, peaks, samples_per_peak};
use crate::data::{Clip, Issue, PromptWords, WordTime};
use crate::engine::GeneratedFrame;
use crate::takes::TakeId;
use crate::text::expected_seconds;
use crate::worker::FrameEvent;

/// The current clip, its steps, and what is derived from them for drawing.
#[derive(Default)]
pub struct CurrentClip {
    /// The clip. It grows while it is being made.
    pub clip: Arc<Clip>,
    /// The take, once the clip is stored.
    pub take: Option<TakeId>,
    /// Its name if it is not a take: the file's.
    pub name: String,
    /// Its steps; fewer than frames while they are being computed.
    pub steps: Steps,
    /// When its words are spoken; empty if that is not known.
    pub words: Vec<WordTime>,
    /// Words that it does not say as its text has them, once they were checked.
    pub word_problems: Option<Vec<WordProblem>>,
    /// Follows the words while the clip is being made.
    pub(super) tracking: Option<(WordTracker, PromptWords)>,
    /// Peaks of its waveform.
    pub peaks: Peaks,
    /// Its mel spectrogram, once it was requested and computed.
    pub spectrogram: Option<Arc<MelSpectrogram>>,
    /// Its pitch and level, once they were requested and computed.
    pub curves: Option<Arc<SoundCurves>>,
    /// Time of generating it over its duration.
    pub real_time_factor: f64,
    /// Incremented with every change, so that pictures are drawn again only then.
    pub version: u64,
    /// Incremented with every change of the sound alone: steps leave acoustic measures as they are.
    pub sound_version: u64,
}

impl CurrentClip {
    /// Appends to the waveform.
    pub fn push_audio(&mut self, samples: &[f32]) {
        let clip = Arc::make_mut(&mut self.clip);
        let per_peak = samples_per_peak(clip.sample_rate);
        let before = clip.audio.len();
        clip.audio.extend_from_slice(samples);
        self.peaks.truncate(before / per_peak);
        let from = self.peaks.len() * per_peak;
        self.peaks.extend(peaks(&clip.audio[from..], clip.sample_rate));
        self.version += 1;
        self.sound_version += 1;
    }

    /// Appends a frame with its step.
    pub fn push_frame(&mut self, event: FrameEvent) {
        let clip = Arc::make_mut(&mut self.clip);
        if clip.codes.codebooks() == 0 {
            clip.codes = crate::data::Codes::new(event.frame.codes.len());
        }
        clip.codes.push(&event.frame.codes);
        self.real_time_factor = event.real_time_factor;
        if let Some((tracker, _)) = &mut self.tracking {
            tracker.push(&event.frame.attention);
        }
        self.push_step(event.frame);
    }

    /// Appends the step of a frame that the clip has already.
    pub fn push_step(&mut self, frame: GeneratedFrame) {
        if let Some(logits) = frame.logits {
            self.steps.push(Step::new(Arc::new(logits), frame.sampling, frame.guarded, &frame.codes));
        }
        self.version += 1;
    }

    /// Records the draw with which the model ended the clip, if it did.
    pub fn set_end(&mut self, end: Option<&GeneratedFrame>) {
        self.steps.end = end.and_then(|frame| frame.logits.as_ref()).map(end_probability);
        self.version += 1;
    }

    pub fn set_steps(&mut self, steps: Steps) {
        self.steps = steps;
        self.version += 1;
    }

    /// Whether its words will be known.
    pub fn tracks_words(&self) -> bool {
        self.tracking.is_some()
    }

    /// The word that is spoken at `seconds`.
    pub fn word_at(&self, seconds: f64) -> Option<&WordTime> {
        self.words.iter().find(|word| (word.start..word.end).contains(&seconds))
    }

    /// The bytes of the text that are being spoken: while the clip is made, those of its newest frame, else those at `seconds`.
    pub fn spoken_part(&self, seconds: f64) -> Option<Range<usize>> {
        match &self.tracking {
            Some((tracker, prompt)) => Some(prompt.words.get(tracker.current_word()?)?.written.clone()),
            None => Some(self.word_at(seconds)?.written.clone()),
        }
    }

    /// Issues of the clip as far as its steps are known; a strange length only of a complete clip. `frame_samples` is the number
    /// of samples per frame.
    pub fn issues(&self, frame_samples: usize) -> Vec<Issue> {
        let expected = self.clip.origin.text.as_deref().map_or(0.0, expected_seconds);
        find_issues(&self.clip, &self.steps, frame_samples, expected)
    }

    /// Whether every frame has its step.
    pub fn is_analysed(&self) -> bool {
        self.steps.cover(&self.clip.codes)
    }

    /// The take that the current clip is, if it can be made again.
    pub fn reproducible(&self) -> Option<TakeId> {
        self.take.clone().filter(|_| self.clip.origin.is_complete())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waveform_grows_and_its_peaks_with_it() {
        let clip = Clip { sample_rate: 24_000, ..Clip::default() };
        let mut current = CurrentClip { clip: Arc::new(clip), ..CurrentClip::default() };
        let samples: Vec<f32> = (0..1_000).map(|n| n as f32 / 1_000.0 - 0.3).collect();
        samples.chunks(70).for_each(|part| current.push_audio(part));
        assert_eq!(current.peaks, peaks(&samples, 24_000));
        assert_eq!(current.peaks[0], (-0.3, 0.0), "silence is always within");
        let sound = current.sound_version;
        current.set_steps(Steps::default());
        assert_eq!(current.sound_version, sound, "steps change no sound, and nothing is measured again for them");
    }
}
