//! Objective distances of two clips, each frame of one compared with the frame of the other that dynamic time warping aligns with it.

use std::f64::consts::PI;

use super::alignment::warp;
use super::pitch::fundamental;
use super::spectrum::{HOP, SpectrumFrames, mel_energies, power_spectra};

/// Mel bands, and the places of the cepstral coefficients of them that are compared, as mel-cepstral-distance
/// takes unless told otherwise.
const BANDS: usize = 20;
const CEPSTRA: std::ops::Range<usize> = 1..16;
/// Decibels of Kubichek's definition in the unscaled distance: cepstra of ln|S| are `ln 10 / 2 / BANDS` times those of the log10 energies,
/// and decibels `10 / ln 10 sqrt 2` times their distance.
const MCD_DECIBELS: f64 = 5.0 * std::f64::consts::SQRT_2 / BANDS as f64;
/// Power below the clip's largest by this many dB counts as that: below it there is only rounding and noise.
const FLOOR_DECIBELS: f64 = 80.0;
/// The frame of [`fundamental`] whose centre is that of the first power spectrum.
const PITCH_OFFSET: usize = 2;

/// Acoustic features by which two clips are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundFeatures {
    mel: SpectrumFrames,
    cepstra: SpectrumFrames,
    decibels: SpectrumFrames,
    pitch: Vec<Option<f64>>,
}

impl SoundFeatures {
    /// Features of mono samples, brought to the same peak first.
    pub fn new(samples: &[f32], rate: usize) -> Self {
        let peak = samples.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        let power = power_spectra(samples, rate, if peak > 0.0 { 1.0 / f64::from(peak) } else { 1.0 });
        let mel = mel_energies(&power, rate, BANDS)
            .map(BANDS, |frame| frame.iter().map(|energy| (energy + f64::EPSILON).log10()).collect());
        let cosines: Vec<Vec<f64>> = (1..=BANDS)
            .map(|i| (0..BANDS).map(|n| (i as f64 * (n as f64 + 0.5) * PI / BANDS as f64).cos()).collect())
            .collect();
        let cepstra = mel.map(CEPSTRA.len(), |frame| {
            let coefficient = |row: &Vec<f64>| row.iter().zip(frame).map(|(c, x)| c * x).sum();
            cosines[CEPSTRA].iter().map(coefficient).collect()
        });
        let top = power.iter().flatten().fold(f64::MIN_POSITIVE, |a, b| a.max(*b));
        let decibels = power.map(power.frame_width(), |frame| {
            frame.iter().map(|p| (10.0 * (p / top).max(f64::MIN_POSITIVE).log10()).max(-FLOOR_DECIBELS)).collect()
        });
        Self { mel, cepstra, decibels, pitch: fundamental(samples, rate) }
    }
}

impl SoundFeatures {
    /// The features of a part of the clip, in seconds; at least of one frame, if the part begins within the clip.
    pub fn part(&self, seconds: std::ops::Range<f64>) -> Self {
        let frame = |seconds: f64| (seconds / HOP).round().max(0.0) as usize;
        let start = frame(seconds.start);
        let frames = start..frame(seconds.end).max(start + 1);
        let pitch = self.pitch.get(start.min(self.pitch.len())..).unwrap_or_default();
        Self {
            mel: self.mel.part(frames.clone()),
            cepstra: self.cepstra.part(frames.clone()),
            decibels: self.decibels.part(frames.clone()),
            pitch: pitch.iter().take(frames.len() + PITCH_OFFSET).copied().collect(),
        }
    }
}

/// How far apart two clips of one rate are. All are 0 for equal clips and have no upper bound. [`SOUND_DISTANCES`] defines them.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct SoundDistance {
    /// Mel-cepstral distance, pauses excluded; without a unit.
    pub mel_cepstral: f64,
    /// Log-spectral distance in dB, frame by frame.
    pub log_spectral: f64,
    /// Difference in fundamental frequency, semitones; `None` if no aligned frames are both voiced.
    pub pitch: Option<f64>,
}

/// A distance: how it is called, and how it is computed.
pub struct DistanceMeasure {
    /// Its name in a table.
    pub title: &'static str,
    /// Its unit; empty for a number without one.
    pub unit: &'static str,
    /// Formula and source, for legends.
    pub definition: &'static str,
    value: fn(&SoundDistance) -> Option<f64>,
}

/// All distances of two clips.
pub static SOUND_DISTANCES: [DistanceMeasure; 4] = [
    DistanceMeasure {
        title: "MCD",
        unit: "dB",
        definition: "mel-cepstral distortion, the mean over warped frames of 10 / ln 10 sqrt(2 sum of squares) of the differences of the \
                     mel cepstra 1 to 15 of the log magnitudes of 20 mel bands (Kubichek 1993); papers with other cepstra (24 of SPTK \
                     or WORLD, say) have larger values",
        value: |d| Some(MCD_DECIBELS * d.mel_cepstral),
    },
    DistanceMeasure {
        title: "MCD, unscaled",
        unit: "",
        definition: "the mean over warped frames of the Euclidean distance of the mel cepstra i = 2 to 16, \
                     sum over n of X_n cos(i (n - 1/2) pi / 20) of the log10 energies X of 20 mel bands (Kubichek 1993, as \
                     mel-cepstral-distance 0.0.4 computes it)",
        value: |d| Some(d.mel_cepstral),
    },
    DistanceMeasure {
        title: "LSD",
        unit: "dB",
        definition: "log-spectral distance, the mean over warped frames of the root mean square over frequency of the difference in \
                     dB (Gray and Markel 1976); below -80 dB of a clip's largest value nothing is distinguished",
        value: |d| Some(d.log_spectral),
    },
    DistanceMeasure {
        title: "F0",
        unit: "semitones",
        definition: "root mean square of the difference in fundamental frequency over warped frames that are voiced in both",
        value: |d| d.pitch,
    },
];

impl DistanceMeasure {
    /// The value of this measure, if defined.
    pub fn value(&self, distance: &SoundDistance) -> Option<f64> {
        (self.value)(distance)
    }

    /// A value with two digits; `–` if there is none.
    pub fn show(&self, value: Option<f64>) -> String {
        value.map_or("–".into(), |value| format!("{value:.2}"))
    }

    /// Name and unit, for the heading of a column.
    pub fn heading(&self) -> String {
        if self.unit.is_empty() { self.title.to_owned() } else { format!("{}, {}", self.title, self.unit) }
    }
}

/// Compares two clips; `None` if one is empty or both are longer than two minutes.
pub fn distance(a: &SoundFeatures, b: &SoundFeatures) -> Option<SoundDistance> {
    let path = warp(&a.mel, &b.mel)?;
    let mean = |of: &dyn Fn(usize, usize) -> f64| path.iter().map(|(i, j)| of(*i, *j)).sum::<f64>() / path.len() as f64;
    let squares = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
    let bins = a.decibels.frame_width() as f64;
    let pitch_at = |clip: &SoundFeatures, t: usize| clip.pitch.get(t + PITCH_OFFSET).copied().flatten();
    let voiced = path.iter().filter_map(|(i, j)| Some((pitch_at(a, *i)?, pitch_at(b, *j)?)));
    let semitones: Vec<f64> = voiced.map(|(x, y)| 12.0 * (x / y).log2()).collect();
    Some(SoundDistance {
        mel_cepstral: mean(&|i, j| squares(a.cepstra.frame(i), b.cepstra.frame(j)).sqrt()),
        log_spectral: mean(&|i, j| (squares(a.decibels.frame(i), b.decibels.frame(j)) / bins).sqrt()),
        pitch: (!semitones.is_empty())
            .then(|| (semitones.iter().map(|s| s * s).sum::<f64>() / semitones.len() as f64).sqrt()),
    })
}
