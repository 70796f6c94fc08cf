//! Integrated loudness (ITU-R BS.1770-4, EBU R 128), and gains that make clips equally loud.

use ebur128::{EbuR128, Mode};

/// A clip's loudness and its largest sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Integrated loudness, LUFS; `None` if all of the clip lies below the measure's gate of -70 LUFS or it is shorter than one
    /// block of 400 ms.
    pub integrated: Option<f64>,
    /// Largest absolute sample, 1 at full scale.
    pub peak: f32,
}

impl Loudness {
    /// Measures the loudness of mono samples.
    pub fn measure(samples: &[f32], rate: usize) -> Self {
        Self::measure_channels(samples, 1, rate)
    }

    /// Measures the loudness of interleaved channels.
    pub fn measure_channels(samples: &[f32], channels: u32, rate: usize) -> Self {
        let peak = samples.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        let integrated = EbuR128::new(channels, rate as u32, Mode::I).ok().and_then(|mut meter| {
            meter.add_frames_f32(samples).ok()?;
            meter.loudness_global().ok().filter(|lufs| lufs.is_finite())
        });
        Self { integrated, peak }
    }
}

/// Linear gains that bring `clips` to one loudness: the loudest that takes none of them past full scale, and none that is louder than
/// the loudest clip is. A clip without a measurable loudness keeps its level.
pub fn matching_gains(clips: &[Loudness]) -> Vec<f32> {
    let measured = || clips.iter().filter_map(|clip| Some((clip.integrated?, clip.peak)));
    let loudest = measured().map(|(lufs, _)| lufs).fold(f64::NEG_INFINITY, f64::max);
    let headroom = |peak: f32| if peak > 0.0 { -20.0 * f64::from(peak).log10() } else { f64::INFINITY };
    let common = measured().map(|(lufs, peak)| lufs + headroom(peak)).fold(loudest, f64::min);
    let gain = |clip: &Loudness| clip.integrated.map_or(1.0, |lufs| 10f64.powf((common - lufs) / 20.0) as f32);
    clips.iter().map(gain).collect()
}

/// A linear gain in decibels.
pub fn decibels(gain: f32) -> f64 {
    20.0 * f64::from(gain).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: usize = 24_000;

    fn tone(amplitude: f32, hertz: f64) -> Vec<f32> {
        let at = |n: usize| (2.0 * std::f64::consts::PI * hertz * n as f64 / RATE as f64).sin() as f32;
        (0..3 * RATE).map(|n| amplitude * at(n)).collect()
    }

    /// BS.1770 states that a sine of 997 Hz at full scale in one channel has -3.01 LUFS; EBU Tech 3341 lets a meter be 0.1 LU off.
    #[test]
    fn the_reference_tone_has_its_loudness() {
        let full = Loudness::measure(&tone(1.0, 997.0), RATE);
        assert!((full.integrated.unwrap() + 3.01).abs() < 0.1, "{full:?}");
        assert_eq!(Loudness::measure(&[0.0; RATE], RATE).integrated, None);
        assert_eq!(Loudness::measure(&[], RATE), Loudness { integrated: None, peak: 0.0 });
    }

    #[test]
    fn matched_clips_are_equally_loud_and_none_clips() {
        let mut peaky = tone(0.05, 440.0);
        peaky[5_000] = 0.9;
        let clips = [tone(0.5, 440.0), tone(0.1, 700.0), peaky, vec![0.0; RATE]];
        let measured: Vec<Loudness> = clips.iter().map(|clip| Loudness::measure(clip, RATE)).collect();
        let gains = matching_gains(&measured);
        let matched = clips.iter().zip(&gains).map(|(clip, gain)| clip.iter().map(|s| s * gain).collect::<Vec<f32>>());
        let after: Vec<Loudness> = matched.map(|clip| Loudness::measure(&clip, RATE)).collect();
        let lufs: Vec<f64> = after.iter().filter_map(|l| l.integrated).collect();
        assert!(lufs.iter().all(|l| (l - lufs[0]).abs() < 0.05), "{lufs:?}");
        assert!(after.iter().all(|l| l.peak <= 1.0 + 1e-6), "{after:?}");
        assert_eq!(gains[3], 1.0, "silence has no loudness to match");
        assert!(gains[0] < 1.0, "the peak of another one bounds the common loudness");
        assert_eq!(matching_gains(&measured[..1]), [1.0]);
    }
}
