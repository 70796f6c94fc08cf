//! Mel spectrograms to look at.

use super::spectrum::{mel_energies, power_spectra};

/// Bands of the picture.
const BANDS: usize = 64;
/// Range of the colours, dB below the loudest value.
const RANGE: f64 = 80.0;
/// Most columns: what a texture can have everywhere. Of a longer sound several windows share one.
const MOST_COLUMNS: usize = 4_096;

/// Mel energies over time, as brightness.
#[derive(Clone, Debug, PartialEq)]
pub struct MelSpectrogram {
    columns: usize,
    levels: Vec<u8>,
}

impl MelSpectrogram {
    /// Computes mono samples: 64 bands from 0 Hz to half the rate every 8 ms, 0 for 80 dB and more below the loudest value, 255 for that.
    pub fn measure(samples: &[f32], rate: usize) -> Self {
        let energies = mel_energies(&power_spectra(samples, rate, 1.0), rate, BANDS);
        let together = energies.len().div_ceil(MOST_COLUMNS).max(1);
        let columns = energies.len().div_ceil(together);
        let mut loudest_of = vec![0f64; columns * BANDS];
        for (t, frame) in energies.iter().enumerate() {
            let column = &mut loudest_of[t / together * BANDS..][..BANDS];
            column.iter_mut().zip(frame).for_each(|(most, energy)| *most = most.max(*energy));
        }
        let loudest = loudest_of.iter().fold(f64::MIN_POSITIVE, |a, b| a.max(*b));
        let level = |energy: &f64| {
            let decibels = 10.0 * (energy / loudest).max(f64::MIN_POSITIVE).log10();
            (255.0 * (1.0 + decibels / RANGE).clamp(0.0, 1.0)).round() as u8
        };
        Self { columns, levels: loudest_of.iter().map(level).collect() }
    }

    /// Numbers of columns and mel bands.
    pub fn size(&self) -> [usize; 2] {
        [self.columns, BANDS]
    }

    /// Brightness at a time and in a band, the lowest band first.
    pub fn level(&self, column: usize, band: usize) -> u8 {
        self.levels[column * BANDS + band]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_bright_in_its_band_and_while_it_sounds() {
        let tone = |n: usize| (std::f32::consts::TAU * 1_000.0 * n as f32 / 24_000.0).sin();
        let samples: Vec<f32> = (0..48_000).map(|n| if n < 24_000 { tone(n) } else { 0.0 }).collect();
        let picture = MelSpectrogram::measure(&samples, 24_000);
        let [columns, bands] = picture.size();
        let brightest = (0..bands).max_by_key(|band| picture.level(20, *band)).unwrap();
        // 1 kHz is 1,000 mel of 3,266: a share of 0.306 of 65 corners.
        assert!((18..21).contains(&brightest), "{brightest}");
        assert!(picture.level(20, brightest) > 240 && picture.level(columns - 1, brightest) == 0);
        // Two minutes have 14,996 whole windows, four to a column.
        assert_eq!(MelSpectrogram::measure(&vec![0.0; 24_000 * 120], 24_000).size()[0], 3_749);
    }
}
