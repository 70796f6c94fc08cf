//! The sounds of a test: one sample rate, one number of channels, one loudness, and the anchors.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::stimulus::{Stimulus, hash};
use crate::audio::loudness::{Loudness, decibels, matching_gains};
use crate::audio::low_pass::low_pass;
use crate::audio::recording::NativeRecording;
use crate::audio::wav::{self, WavInfo};
use crate::data::{Sampling, WordTime};
use crate::error::{Error, Result};

/// Frames per second that a test may have. Below 24 kHz, which CSM speaks at, a narrow sound is resampled rather than that the others lose
/// their treble.
const RATES: (usize, usize) = (24_000, 48_000);
/// Difference in length, seconds, above which listeners could tell two sounds of a text by it.
const TELLING_SECONDS: f64 = 0.04;

/// Which sounds of a test are brought to one loudness (ITU-R BS.1770-4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoudnessMatch {
    /// All sounds of the test.
    #[default]
    Test,
    /// The sounds of each item.
    Item,
    /// None.
    Off,
}

/// An anchor of a rating: the first condition's sounds, or the reference's, with their treble taken away (ITU-R BS.1534-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Low-passed at 3.5 kHz. A listener who does not rate it below the others did not listen.
    Low,
    /// Low-passed at 7 kHz.
    Mid,
}

impl Anchor {
    /// Name of its condition.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Low => "low anchor (3.5 kHz)",
            Self::Mid => "mid anchor (7 kHz)",
        }
    }

    fn hertz(self) -> f64 {
        match self {
            Self::Low => 3_500.0,
            Self::Mid => 7_000.0,
        }
    }

    /// The anchor of `sounds` as a condition.
    pub(super) fn condition(self, sounds: &[PlannedSound]) -> Condition {
        let dull = |sound: &PlannedSound| {
            let low = |channel: &[f32]| low_pass(channel, sound.rate, self.hertz());
            PlannedSound {
                source: format!("{}, low-passed", sound.source),
                samples: sound.recording().each_channel(low),
                sampling: None,
                ..sound.clone()
            }
        };
        (self.name().to_owned(), sounds.iter().map(dull).collect())
    }
}

/// A condition: its name and a sound of each item.
pub type Condition = (String, Vec<PlannedSound>);

/// A sound that is to become part of a test.
#[derive(Clone, Debug)]
pub struct PlannedSound {
    /// Where it came from.
    pub source: String,
    /// Samples from -1 to 1, interleaved.
    pub samples: Vec<f32>,
    /// Channels, 1 or more.
    pub channels: usize,
    /// Frames per second.
    pub rate: usize,
    /// Settings that made it, if known.
    pub sampling: Option<Sampling>,
    /// When its words are spoken, if listeners may loop a word.
    pub words: Vec<WordTime>,
}

impl PlannedSound {
    /// A mono sound.
    pub fn mono(source: String, samples: Vec<f32>, rate: usize, sampling: Option<Sampling>) -> Self {
        Self { source, samples, channels: 1, rate, sampling, words: Vec::new() }
    }

    fn recording(&self) -> NativeRecording {
        NativeRecording::new(self.samples.clone(), self.channels, self.rate)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / (self.rate * self.channels).max(1) as f64
    }
}

/// Brings the sounds to the lowest of their rates, 24 to 48 kHz, and to stereo if all of them are, else mono; says of each one that changes
/// how.
///
/// # Errors
/// [`Error::InvalidValue`] for a sound without samples or with NaN.
pub(super) fn unify(conditions: &mut [Condition], warnings: &mut Vec<String>) -> Result<()> {
    let sounds: Vec<&PlannedSound> = conditions.iter().flat_map(|(_, sounds)| sounds).collect();
    if let Some(sound) = sounds.iter().find(|s| s.samples.is_empty() || !s.samples.iter().all(|x| x.is_finite())) {
        let got = if sound.samples.is_empty() { "no sample" } else { "NaN or infinity" };
        return Err(Error::invalid("sound", "finite samples", format!("{got} in {}", sound.source)));
    }
    let rate = sounds.iter().map(|s| s.rate).min().unwrap_or(RATES.0).clamp(RATES.0, RATES.1);
    let channels = if sounds.iter().all(|s| s.channels == 2) { 2 } else { 1 };
    for sound in conditions.iter_mut().flat_map(|(_, sounds)| sounds) {
        let recording = sound.recording();
        let recording = if channels == 1 { recording.into_mono() } else { recording };
        let changed = recording.at_rate(rate);
        warnings.extend(changed.warnings().iter().map(|text| format!("{}: {text}", sound.source)));
        (sound.samples, sound.channels, sound.rate) = (changed.samples, changed.channels, rate);
    }
    Ok(())
}

/// Ends the sounds of each item with silence where they are shorter than the longest; or says which differ, as their length would reveal them
/// apart.
pub(super) fn pad(conditions: &mut [Condition], pad: bool, warnings: &mut Vec<String>) {
    let items = conditions.first().map_or(0, |(_, sounds)| sounds.len());
    let mut differing = BTreeSet::new();
    for item in 0..items {
        let longest = conditions.iter().map(|(_, sounds)| sounds[item].samples.len()).max().unwrap_or(0);
        let lengths = conditions.iter().map(|(_, sounds)| sounds[item].seconds());
        let (least, most) = lengths.fold((f64::INFINITY, 0.0f64), |(a, b), s| (a.min(s), b.max(s)));
        if pad {
            conditions.iter_mut().for_each(|(_, sounds)| sounds[item].samples.resize(longest, 0.0));
        } else if most - least > TELLING_SECONDS {
            differing.insert(item + 1);
        }
    }
    if let (Some(first), count) = (differing.first(), differing.len()) {
        let which = if count == 1 { format!("item {first}") } else { format!("{count} items (the first is {first})") };
        warnings.push(format!(
            "{which}: the sounds differ in length by more than {:.0} ms, so that listeners can tell them by it; padding ends \
             the shorter ones with silence",
            1e3 * TELLING_SECONDS
        ));
    }
}

/// The stimuli of `conditions`: item by item, encoded at one loudness.
///
/// # Errors
/// Where a WAV file cannot be made.
pub(super) fn stimuli(
    conditions: &[Condition],
    matching: LoudnessMatch,
    warnings: &mut Vec<String>,
) -> Result<Vec<Stimulus>> {
    let items = conditions.first().map_or(0, |(_, sounds)| sounds.len());
    let places: Vec<(usize, usize)> =
        (0..items).flat_map(|item| (0..conditions.len()).map(move |condition| (item, condition))).collect();
    let sound = |(item, condition): (usize, usize)| &conditions[condition].1[item];
    let measure = |at: &(usize, usize)| {
        let sound = sound(*at);
        Loudness::measure_channels(&sound.samples, sound.channels as u32, sound.rate)
    };
    let loudness: Vec<Loudness> = places.iter().map(measure).collect();
    let gains: Vec<f32> = match matching {
        LoudnessMatch::Test => matching_gains(&loudness),
        LoudnessMatch::Item => loudness.chunks(conditions.len().max(1)).flat_map(matching_gains).collect(),
        LoudnessMatch::Off => vec![1.0; places.len()],
    };
    let mut stimuli = Vec::with_capacity(places.len());
    for (at, (loudness, gain)) in places.into_iter().zip(loudness.iter().zip(gains)) {
        let sound = sound(at);
        if matching != LoudnessMatch::Off && loudness.integrated.is_none() {
            let problem = "has no loudness (BS.1770 wants 0.4 s and more than silence), so that it keeps its level";
            warnings.push(format!("{}: {problem}", sound.source));
        }
        let samples: Vec<f32> = sound.samples.iter().map(|s| s * gain).collect();
        // Nothing in the file's metadata may tell the conditions apart.
        let (bytes, clipped) = wav::encode_channels(&samples, sound.channels as u16, sound.rate, &WavInfo::default())?;
        if clipped > 0 {
            warnings.push(format!("{}: {clipped} samples are louder than full scale and are clipped", sound.source));
        }
        stimuli.push(Stimulus {
            item: at.0,
            condition: at.1,
            source: sound.source.clone(),
            sha256: hash(&bytes),
            gain_db: decibels(gain),
            loudness: loudness.integrated,
            seconds: sound.seconds(),
            sampling: sound.sampling,
            words: sound.words.clone(),
            wav: STANDARD.encode(bytes),
        });
    }
    Ok(stimuli)
}
