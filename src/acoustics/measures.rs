//! Objective measures of one clip.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::pitch::fundamental;
use super::spectrum::HOP;
use crate::audio::loudness::{Loudness, decibels};
use crate::data::SILENCE_LEVEL;

/// Level below the loudest frame from which a frame counts as silent, dB. librosa.effects.split uses 60, for music; recorded speech
/// seldom has more than 40 between vowels and noise.
const SILENCE_DECIBELS: f64 = 40.0;
/// Samples from here on are at full scale: the largest one of a 16-bit file.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

/// A sound and what the measures are computed from.
pub struct Sound<'a> {
    samples: &'a [f32],
    words: Option<usize>,
    loudness: Loudness,
    levels: Vec<f64>,
    silent: Vec<bool>,
    semitones: Vec<f64>,
    voiced_share: Option<f64>,
}

impl<'a> Sound<'a> {
    /// Prepares mono samples in which, if known, this many words are spoken.
    pub fn new(samples: &'a [f32], rate: usize, words: Option<usize>) -> Self {
        let levels = levels(samples, rate);
        let loudest = levels.iter().fold(0.0, |a: f64, b| a.max(*b));
        let gate = f64::from(SILENCE_LEVEL).max(loudest * 10f64.powf(-SILENCE_DECIBELS / 20.0));
        let silent: Vec<bool> = levels.iter().map(|level| *level < gate).collect();
        let pitch = fundamental(samples, rate);
        let sounding = |t: usize| silent.get(t).is_some_and(|silent| !silent);
        let of_sound: Vec<Option<f64>> =
            pitch.into_iter().enumerate().filter(|(t, _)| sounding(*t)).map(|(_, f0)| f0).collect();
        let semitones: Vec<f64> = of_sound.iter().flatten().map(|f0| 12.0 * f0.log2()).collect();
        let voiced_share = (!of_sound.is_empty()).then(|| semitones.len() as f64 / of_sound.len() as f64);
        let loudness = Loudness::measure(samples, rate);
        Self { samples, words, loudness, levels, silent, semitones, voiced_share }
    }

    /// Range from the first frame with sound to the last one.
    fn speech(&self) -> Option<std::ops::Range<usize>> {
        let first = self.silent.iter().position(|silent| !silent)?;
        let last = self.silent.iter().rposition(|silent| !silent)?;
        Some(first..last + 1)
    }

    fn sounding_decibels(&self) -> Vec<f64> {
        let sounding = self.levels.iter().zip(&self.silent).filter(|(_, silent)| !**silent);
        sounding.map(|(level, _)| 20.0 * level.log10()).collect()
    }
}

/// Root mean square of windows of 32 ms every 8 ms, centred as librosa.feature.rms does it (zeros beyond both ends).
pub(super) fn levels(samples: &[f32], rate: usize) -> Vec<f64> {
    let (length, hop) = (((0.032 * rate as f64) as usize).max(1), ((HOP * rate as f64) as usize).max(1));
    let level = |t: usize| {
        let from = (t * hop).saturating_sub(length / 2);
        let to = (t * hop + length - length / 2).min(samples.len());
        let sum: f64 = samples[from.min(to)..to].iter().map(|s| f64::from(*s).powi(2)).sum();
        (sum / length as f64).sqrt()
    };
    if samples.is_empty() { Vec::new() } else { (0..=samples.len() / hop).map(level).collect() }
}

/// A measure: its name, and its computation.
pub struct SoundMeasure {
    /// Its key in JSON.
    pub key: &'static str,
    /// Its name in a table.
    pub title: &'static str,
    /// Its unit; empty for a count.
    pub unit: &'static str,
    /// Digits shown after the point.
    pub digits: usize,
    /// Formula and source in a sentence.
    pub definition: &'static str,
    measure: fn(&Sound<'_>) -> Option<f64>,
}

/// All measures of one clip.
pub static SOUND_MEASURES: [SoundMeasure; 11] = [
    SoundMeasure {
        key: "loudness_lufs",
        title: "Loudness",
        unit: "LUFS",
        digits: 1,
        definition: "Integrated loudness, ITU-R BS.1770-4",
        measure: |sound| sound.loudness.integrated,
    },
    SoundMeasure {
        key: "peak_dbfs",
        title: "Peak",
        unit: "dBFS",
        digits: 1,
        definition: "Largest sample, in dB of full scale",
        measure: |sound| (sound.loudness.peak > 0.0).then(|| decibels(sound.loudness.peak)),
    },
    SoundMeasure {
        key: "clipped_samples",
        title: "Clipped",
        unit: "samples",
        digits: 0,
        definition: "Samples at full scale of 16 bits",
        measure: |sound| Some(sound.samples.iter().filter(|s| s.abs() >= FULL_SCALE).count() as f64),
    },
    SoundMeasure {
        key: "level_dbfs",
        title: "Level",
        unit: "dBFS",
        digits: 1,
        definition: "Mean over the frames that sound of 20 log10 of their root mean square (32 ms every 8 ms)",
        measure: |sound| mean(&sound.sounding_decibels()),
    },
    SoundMeasure {
        key: "level_deviation_db",
        title: "Level ±",
        unit: "dB",
        digits: 1,
        definition: "Standard deviation of this value",
        measure: |sound| deviation(&sound.sounding_decibels()),
    },
    SoundMeasure {
        key: "silence_share",
        title: "Silence",
        unit: "%",
        digits: 0,
        definition: "Share of the frames that lie 40 dB or more below the loudest one, or below -60 dBFS",
        measure: |sound| {
            let silent = sound.silent.iter().filter(|silent| **silent).count() as f64;
            (!sound.silent.is_empty()).then(|| 100.0 * silent / sound.silent.len() as f64)
        },
    },
    SoundMeasure {
        key: "longest_pause_s",
        title: "Longest pause",
        unit: "s",
        digits: 2,
        definition: "Longest silence between two sounds",
        measure: |sound| {
            let inside = &sound.silent[sound.speech()?];
            let longest = inside.split(|silent| !silent).map(<[bool]>::len).max().unwrap_or(0);
            Some(longest as f64 * HOP)
        },
    },
    SoundMeasure {
        key: "words_per_second",
        title: "Rate",
        unit: "words/s",
        digits: 2,
        definition: "Words of the text over the time from the first sound to the last one, pauses included",
        measure: |sound| Some(sound.words? as f64 / (sound.speech()?.len() as f64 * HOP)),
    },
    SoundMeasure {
        key: "f0_median_hz",
        title: "F0",
        unit: "Hz",
        digits: 0,
        definition: "Median fundamental frequency of voiced frames, 50 to 500 Hz (YIN, de Cheveigné and Kawahara 2002)",
        measure: |sound| median(&sound.semitones).map(|semitones| (semitones / 12.0).exp2()),
    },
    SoundMeasure {
        key: "f0_deviation_semitones",
        title: "F0 ±",
        unit: "semitones",
        digits: 1,
        definition: "Standard deviation of this value",
        measure: |sound| deviation(&sound.semitones),
    },
    SoundMeasure {
        key: "voiced_share",
        title: "Voiced",
        unit: "%",
        digits: 0,
        definition: "Share of voiced frames among those with sound, within 5 points of Praat's",
        measure: |sound| sound.voiced_share.map(|share| 100.0 * share),
    },
];

impl SoundMeasure {
    /// A value with the measure's digits; `–` if it has none.
    pub fn show(&self, value: Option<f64>) -> String {
        value.map_or("–".into(), |value| format!("{value:.*}", self.digits))
    }

    /// Name and unit, for the heading of a column.
    pub fn heading(&self) -> String {
        if self.unit.is_empty() { self.title.to_owned() } else { format!("{}, {}", self.title, self.unit) }
    }
}

/// The measures of a clip, in the order of [`SOUND_MEASURES`]; a value that the sound does not have is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundValues(pub [Option<f64>; SOUND_MEASURES.len()]);

impl SoundValues {
    /// Computes every measure of a sound.
    pub fn measure(sound: &Sound<'_>) -> Self {
        Self(std::array::from_fn(|n| (SOUND_MEASURES[n].measure)(sound)))
    }

    /// The value with this key.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.0[SOUND_MEASURES.iter().position(|measure| measure.key == key)?]
    }
}

impl Serialize for SoundValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = SOUND_MEASURES.iter().zip(&self.0);
        pairs.map(|(m, value)| (m.key.to_owned(), Value::from(*value))).collect::<Map<_, _>>().serialize(serializer)
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation of a sample, `n` in the denominator.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    Some((values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted[low] + sorted[high]) / 2.0)
}
