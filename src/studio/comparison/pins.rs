//! Clips that are pinned next to each other to be compared by ear and by token.

use std::sync::Arc;

use crate::acoustics::curves::SoundCurves;
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::analysis::steps::Steps;
use crate::audio::loudness::{Loudness, matching_gains};
use crate::audio::peaks::{Peaks, peaks};
use crate::data::{Clip, WordTime};
use crate::studio::composer::GroupId;
use crate::takes::TakeId;

/// Most clips that are pinned: their waveforms are held in memory.
const MOST: usize = 100;
/// Clips that have a number key and a lane.
const WITH_KEYS: usize = 9;

/// How a position in one clip is found in another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    #[default]
    Time,
    /// Equal percentages of the clips.
    Percentage,
    /// As far into the same word, if both clips have the same words; else at the same time.
    Word,
}

/// Identifies a pinned clip.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PinKey {
    Take(TakeId),
    /// A sound that is not a whole take: a file, or some codebooks of a clip.
    Sound {
        of: String,
        /// The codebooks; empty for all.
        codebooks: String,
    },
}

impl PinKey {
    /// The take, if it is one.
    pub fn take(&self) -> Option<&TakeId> {
        match self {
            Self::Take(take) => Some(take),
            Self::Sound { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct PinnedClip {
    pub key: PinKey,
    pub name: String,
    pub clip: Arc<Clip>,
    /// Its steps, if it was analysed before it was pinned; otherwise none.
    pub steps: Steps,
    /// When its words are spoken; empty if that is not known.
    pub words: Vec<WordTime>,
    /// Peaks of its waveform.
    pub peaks: Peaks,
    pub spectrogram: Arc<MelSpectrogram>,
    /// Its pitch and level.
    pub curves: Arc<SoundCurves>,
    pub loudness: Loudness,
}

impl PinnedClip {
    /// Measures a clip to be pinned.
    pub fn new(key: PinKey, name: String, clip: Arc<Clip>) -> Self {
        let peaks = peaks(&clip.audio, clip.sample_rate);
        let loudness = Loudness::measure(&clip.audio, clip.sample_rate);
        let spectrogram = Arc::new(MelSpectrogram::measure(&clip.audio, clip.sample_rate));
        let curves = Arc::new(SoundCurves::measure(&clip.audio, clip.sample_rate));
        Self { key, name, clip, steps: Steps::default(), words: Vec::new(), peaks, spectrogram, curves, loudness }
    }
}

#[derive(Default)]
pub struct Pins {
    clips: Vec<Arc<PinnedClip>>,
    /// Clips of one group are pinned together, replacing those before.
    group: Option<GroupId>,
    /// How a position in one clip is found in another one.
    pub alignment: Alignment,
    /// Whether clips keep their own loudness.
    pub own_loudness: bool,
}

impl Pins {
    /// The clips, in the order of their keys.
    pub fn clips(&self) -> &[Arc<PinnedClip>] {
        &self.clips
    }

    /// The clips that have a lane and a number key.
    pub fn in_lanes(&self) -> &[Arc<PinnedClip>] {
        &self.clips[..self.clips.len().min(WITH_KEYS)]
    }

    /// The clips with tokens of `codebooks` codebooks.
    pub fn with_tokens(&self, codebooks: usize) -> impl Iterator<Item = &Arc<PinnedClip>> {
        with_tokens(&self.clips, codebooks)
    }

    /// The keys of the clips, in the same order.
    pub fn keys(&self) -> Vec<PinKey> {
        self.clips.iter().map(|pinned| pinned.key.clone()).collect()
    }

    /// The index of a clip.
    pub fn index(&self, key: &PinKey) -> Option<usize> {
        self.clips.iter().position(|pinned| pinned.key == *key)
    }

    pub fn get(&self, key: &PinKey) -> Option<&Arc<PinnedClip>> {
        self.clips.iter().find(|pinned| pinned.key == *key)
    }

    pub fn take(&self, take: &TakeId) -> Option<&Arc<PinnedClip>> {
        self.clips.iter().find(|pinned| pinned.key.take() == Some(take))
    }

    /// Pins a clip after the others; whether there is room for it.
    pub fn pin(&mut self, pinned: PinnedClip) -> bool {
        self.unpin(&pinned.key);
        let room = self.clips.len() < MOST;
        if room {
            self.clips.push(Arc::new(pinned));
        }
        room
    }

    /// Pins a clip of a group; the first one replaces the clips of other groups.
    pub fn pin_in_group(&mut self, pinned: PinnedClip, group: GroupId) {
        if self.is_new_group(group) {
            self.clips.clear();
        }
        self.group = Some(group);
        self.pin(pinned);
    }

    /// Whether clips of `group` would replace the pinned ones.
    pub fn is_new_group(&self, group: GroupId) -> bool {
        self.group != Some(group)
    }

    pub fn unpin(&mut self, key: &PinKey) {
        self.clips.retain(|pinned| pinned.key != *key);
    }

    pub fn clear(&mut self) {
        self.clips.clear();
    }

    /// Linear gain of each clip.
    pub fn gains(&self) -> Vec<f32> {
        if self.own_loudness {
            return vec![1.0; self.clips.len()];
        }
        matching_gains(&self.clips.iter().map(|pinned| pinned.loudness).collect::<Vec<_>>())
    }

    /// The waveform of a clip with its gain, and its samples per second.
    pub fn audio(&self, key: &PinKey) -> Option<(Vec<f32>, usize)> {
        let n = self.index(key)?;
        let (clip, gain) = (&self.clips[n].clip, self.gains()[n]);
        Some((clip.audio.iter().map(|s| s * gain).collect(), clip.sample_rate))
    }
}

/// The clips with tokens of `codebooks` codebooks.
pub(super) fn with_tokens(clips: &[Arc<PinnedClip>], codebooks: usize) -> impl Iterator<Item = &Arc<PinnedClip>> {
    clips.iter().filter(move |pinned| pinned.clip.codes.codebooks() == codebooks && !pinned.clip.codes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> PinKey {
        PinKey::Take(id.into())
    }

    fn pinned(id: &str, amplitude: f32) -> PinnedClip {
        let audio = (0..48_000).map(|n| amplitude * (n as f32 * 0.2).sin()).collect();
        let clip = Clip { audio, sample_rate: 24_000, ..Clip::default() };
        PinnedClip::new(key(id), id.into(), Arc::new(clip))
    }

    #[test]
    fn clips_have_an_order_and_a_new_group_replaces_the_old() {
        let mut pins = Pins::default();
        assert!(pins.pin(pinned("a", 0.1)) && pins.pin(pinned("b", 0.2)) && pins.pin(pinned("a", 0.3)));
        let index = |pins: &Pins, id| pins.index(&key(id));
        assert_eq!((index(&pins, "a"), index(&pins, "b"), pins.clips().len()), (Some(1), Some(0), 2), "each once");
        let group = GroupId::new();
        pins.pin_in_group(pinned("c", 0.1), group);
        pins.pin_in_group(pinned("d", 0.1), group);
        assert_eq!((index(&pins, "a"), index(&pins, "d")), (None, Some(1)));
        let room = (0..MOST + 20).filter(|n| pins.pin(pinned(&n.to_string(), 0.1))).count();
        assert_eq!(room, MOST - 2);
        assert_eq!((pins.clips().len(), pins.in_lanes().len()), (MOST, WITH_KEYS));
        pins.clear();
        assert!(pins.clips().is_empty() && pins.audio(&key("a")).is_none());
    }

    #[test]
    fn clips_are_equally_loud_unless_they_keep_their_loudness() {
        let mut pins = Pins::default();
        pins.pin(pinned("quiet", 0.1));
        pins.pin(pinned("loud", 0.4));
        let loudness =
            |pins: &Pins, id| Loudness::measure(&pins.audio(&key(id)).unwrap().0, 24_000).integrated.unwrap();
        assert!((loudness(&pins, "quiet") - loudness(&pins, "loud")).abs() < 0.05);
        pins.own_loudness = true;
        assert!((loudness(&pins, "loud") - loudness(&pins, "quiet") - 12.04).abs() < 0.05);
    }
}
