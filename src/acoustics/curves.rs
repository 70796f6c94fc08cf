//! Pitch and level over time.

use super::measures::levels;
use super::pitch::fundamental;
use super::spectrum::HOP;

/// Fundamental frequency and level of a sound, every [`SoundCurves::HOP`] seconds from its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoundCurves {
    /// Fundamental frequency in Hz, 50 to 500; `None` where nothing is voiced.
    pub pitch: Vec<Option<f64>>,
    /// Root mean square of 32 ms in dB of full scale; -infinity where there is silence.
    pub level: Vec<f64>,
}

impl SoundCurves {
    /// Seconds between two values.
    pub const HOP: f64 = HOP;

    /// Measures mono samples, `rate` of them per second.
    pub fn measure(samples: &[f32], rate: usize) -> Self {
        let level = levels(samples, rate).into_iter().map(|level| 20.0 * level.log10()).collect();
        Self { pitch: fundamental(samples, rate), level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_pitch_and_level() {
        let tone = |i: usize| (std::f32::consts::TAU * 200.0 * i as f32 / 24_000.0).sin() * 0.5;
        let samples: Vec<f32> = (0..24_000).map(|i| if i < 12_000 { tone(i) } else { 0.0 }).collect();
        let curves = SoundCurves::measure(&samples, 24_000);
        let at = |seconds: f64| (seconds / SoundCurves::HOP) as usize;
        assert!((curves.pitch[at(0.25)].unwrap() - 200.0).abs() < 1.0);
        assert!((curves.level[at(0.25)] - 20.0 * (0.5f64 / 2f64.sqrt()).log10()).abs() < 0.1);
        assert_eq!((curves.pitch[at(0.75)], curves.level[at(0.75)]), (None, f64::NEG_INFINITY));
        assert_eq!(SoundCurves::measure(&[], 24_000).level.len(), 0);
    }
}
