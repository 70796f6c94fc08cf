//! Takes that are pinned beside each other to be compared by ear and by token.

use std::sync::Arc;

use super::inspector::{Peaks, peaks};
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::audio::loudness::{Loudness, matching_gains};
use crate::data::{Codes, FinishReason, Logits, Sampling, TokenFile};

/// Most clips that are pinned: their waveforms are held in memory.
const MOST: usize = 100;
/// Clips that have a number key, and a lane.
const WITH_KEYS: usize = 9;

/// How a position in one clip is found in another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// The same time.
    #[default]
    Time,
    /// The same share of the whole clip.
    Fraction,
}

/// What the player has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// The clip on view.
    #[default]
    Clip,
    /// A pinned clip, by its place.
    Pinned(usize),
    /// The clip on view with another token in one place.
    OtherToken,
    /// Some codebooks of the clip on view.
    SomeCodebooks,
    /// A recording.
    Recording,
}

/// A pinned clip.
#[derive(Clone, Debug)]
pub struct PinnedClip {
    /// The take.
    pub take: String,
    /// Its name.
    pub name: String,
    /// Its codes.
    pub frames: Codes,
    /// Settings at the start.
    pub sampling: Option<Sampling>,
    /// Why it ended.
    pub stop: Option<FinishReason>,
    /// The waveform.
    pub audio: Vec<f32>,
    /// What it says, where that is known.
    pub text: Option<String>,
    /// Samples a second.
    pub rate: usize,
    /// Logits of its draws, where it was made while the window looked on: as many frames as there are codes, or none.
    pub logits: Vec<Arc<Logits>>,
    /// Settings of those draws, per frame.
    pub samplings: Vec<Sampling>,
    /// Whether it is a take, not only a sound.
    pub is_take: bool,
    /// Peaks of the waveform.
    pub peaks: Peaks,
    /// Mel spectrogram.
    pub spectrogram: Arc<MelSpectrogram>,
    /// How loud it is.
    pub loudness: Loudness,
}

impl PinnedClip {
    /// Pins a clip; measures it.
    pub fn new(take: String, name: String, frames: Codes, audio: Vec<f32>, rate: usize) -> Self {
        let (peaks, loudness) = (peaks(&audio), Loudness::measure(&audio, rate));
        let spectrogram = Arc::new(MelSpectrogram::measure(&audio, rate));
        Self {
            take,
            name,
            frames,
            text: None,
            sampling: None,
            stop: None,
            audio,
            rate,
            logits: Vec::new(),
            samplings: Vec::new(),
            is_take: true,
            peaks,
            spectrogram,
            loudness,
        }
    }

    /// What is known of its tokens, as a token file has it.
    pub fn token_file(&self) -> TokenFile {
        let (frames, text) = (self.frames.clone(), self.text.clone());
        TokenFile { frames, text, sampling: self.sampling, stop: self.stop, ..TokenFile::default() }
    }

    /// What tells it from other clips of the same text; empty where nothing is known of it.
    pub fn made_with(&self) -> String {
        self.sampling.map_or(String::new(), |s| format!("{}, seed {}", s.mode.name(), s.seed))
    }

    /// Length, seconds.
    pub fn seconds(&self) -> f64 {
        self.audio.len() as f64 / self.rate.max(1) as f64
    }
}

/// The pinned clips.
#[derive(Default)]
pub struct Pins {
    clips: Vec<Arc<PinnedClip>>,
    /// Clips of one request are pinned together, in the place of those before.
    group: Option<u64>,
    /// How a position in one clip is found in another one.
    pub alignment: Alignment,
    /// Whether clips are heard as loud as they are, not at one loudness.
    pub own_loudness: bool,
}

impl Pins {
    /// The clips, in the order of their keys.
    pub fn clips(&self) -> &[Arc<PinnedClip>] {
        &self.clips
    }

    /// Those that have a lane and a number key.
    pub fn in_lanes(&self) -> &[Arc<PinnedClip>] {
        &self.clips[..self.clips.len().min(WITH_KEYS)]
    }

    /// Those with tokens of so many codebooks.
    pub fn with_tokens(&self, codebooks: usize) -> impl Iterator<Item = &Arc<PinnedClip>> {
        self.clips.iter().filter(move |clip| clip.frames.codebooks() == codebooks && !clip.frames.is_empty())
    }

    /// The takes, in the same order.
    pub fn names(&self) -> Vec<String> {
        self.clips.iter().map(|clip| clip.take.clone()).collect()
    }

    /// The place of a take.
    pub fn place(&self, take: &str) -> Option<usize> {
        self.clips.iter().position(|clip| clip.take == take)
    }

    /// Pins a clip behind the others; whether there is room for it.
    pub fn pin(&mut self, clip: PinnedClip) -> bool {
        self.unpin(&clip.take);
        let room = self.clips.len() < MOST;
        if room {
            self.clips.push(Arc::new(clip));
        }
        room
    }

    /// Pins a clip of the request `group`; the first one takes the place of what was pinned before.
    pub fn pin_in_group(&mut self, clip: PinnedClip, group: u64) {
        if self.is_new_group(group) {
            self.clips.clear();
        }
        self.group = Some(group);
        self.pin(clip);
    }

    /// Whether clips of the request `group` would take the place of those that are pinned.
    pub fn is_new_group(&self, group: u64) -> bool {
        self.group != Some(group)
    }

    /// Takes a clip away.
    pub fn unpin(&mut self, take: &str) {
        self.clips.retain(|clip| clip.take != take);
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.clips.clear();
    }

    /// Gain of each clip, linear.
    pub fn gains(&self) -> Vec<f32> {
        if self.own_loudness {
            return vec![1.0; self.clips.len()];
        }
        matching_gains(&self.clips.iter().map(|clip| clip.loudness).collect::<Vec<_>>())
    }

    /// The waveform of clip `n` as it is heard.
    pub fn heard(&self, n: usize) -> Option<(Vec<f32>, usize)> {
        let (clip, gain) = (self.clips.get(n)?, *self.gains().get(n)?);
        Some((clip.audio.iter().map(|s| s * gain).collect(), clip.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(take: &str, amplitude: f32) -> PinnedClip {
        let wave = (0..48_000).map(|n| amplitude * (n as f32 * 0.2).sin()).collect();
        PinnedClip::new(take.into(), take.into(), Codes::default(), wave, 24_000)
    }

    #[test]
    fn clips_have_places_and_a_new_group_takes_the_place_of_the_old() {
        let mut pins = Pins::default();
        assert!(pins.pin(clip("a", 0.1)) && pins.pin(clip("b", 0.2)) && pins.pin(clip("a", 0.3)));
        assert_eq!((pins.place("a"), pins.place("b"), pins.clips().len()), (Some(1), Some(0), 2), "each once");
        pins.pin_in_group(clip("c", 0.1), 1);
        pins.pin_in_group(clip("d", 0.1), 1);
        assert_eq!((pins.place("a"), pins.place("d")), (None, Some(1)));
        let pinned = (0..MOST + 20).filter(|n| pins.pin(clip(&n.to_string(), 0.1))).count();
        assert_eq!(pinned, MOST - 2);
        assert_eq!((pins.clips().len(), pins.in_lanes().len()), (MOST, WITH_KEYS));
        pins.clear();
        assert!(pins.clips().is_empty() && pins.heard(0).is_none());
    }

    #[test]
    fn clips_are_heard_equally_loud_unless_their_own_loudness_is_wanted() {
        let mut pins = Pins::default();
        pins.pin(clip("quiet", 0.1));
        pins.pin(clip("loud", 0.4));
        let loudness = |pins: &Pins, n| Loudness::measure(&pins.heard(n).unwrap().0, 24_000).integrated.unwrap();
        assert!((loudness(&pins, 0) - loudness(&pins, 1)).abs() < 0.05);
        pins.own_loudness = true;
        assert!((loudness(&pins, 1) - loudness(&pins, 0) - 12.04).abs() < 0.05);
    }
}
