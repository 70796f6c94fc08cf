//! A linear-phase low-pass filter, for the anchors of listening tests.

use std::f64::consts::PI;

/// The level above `pass_hertz` * 8 / 7 is at least 60 dB below that under `pass_hertz`. So 3.5 kHz gives the low anchor of
/// ITU-R BS.1534-3 (5.1), which is flat within 0.1 dB up to 3.5 kHz, 25 dB down at 4 kHz and 50 dB down at 4.5 kHz.
pub fn low_pass(samples: &[f32], rate: usize, pass_hertz: f64) -> Vec<f32> {
    let (pass, stop) = (pass_hertz / rate as f64, pass_hertz * 8.0 / 7.0 / rate as f64);
    if stop >= 0.5 {
        return samples.to_vec(); // there is nothing above
    }
    // Blackman's window: its transition is 5.5 / length wide (Oppenheim and Schafer, 7.5).
    let half = (5.5 / (stop - pass) / 2.0).ceil() as usize;
    let cutoff = (pass + stop) / 2.0;
    let tap = |n: usize| {
        let x = n as f64 - half as f64;
        let sinc = if n == half { 2.0 * cutoff } else { (2.0 * PI * cutoff * x).sin() / (PI * x) };
        let phase = 2.0 * PI * (n + 1) as f64 / (2 * half + 2) as f64;
        sinc * (0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos())
    };
    let taps: Vec<f64> = (0..=2 * half).map(tap).collect();
    let gain: f64 = taps.iter().sum();
    let filtered = |at: usize| {
        let from = half.saturating_sub(at);
        let sounded = samples[(at + from).saturating_sub(half)..].iter().zip(&taps[from..]);
        (sounded.map(|(s, tap)| f64::from(*s) * tap).sum::<f64>() / gain) as f32
    };
    (0..samples.len()).map(filtered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_anchor_is_the_standards() {
        for rate in [16_000, 24_000, 44_100, 48_000] {
            let gain = |hertz: f64| {
                let sine = |n: usize| (2.0 * PI * hertz * n as f64 / rate as f64).sin() as f32;
                let clip: Vec<f32> = (0..rate / 2).map(sine).collect();
                let power =
                    |clip: &[f32]| clip[rate / 8..rate * 3 / 8].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
                10.0 * (power(&low_pass(&clip, rate, 3_500.0)) / power(&clip)).max(1e-20).log10()
            };
            for hertz in [100.0, 1_000.0, 3_000.0, 3_500.0] {
                assert!(gain(hertz).abs() < 0.1, "{rate}: {:.2} dB at {hertz} Hz", gain(hertz));
            }
            assert!(
                gain(4_000.0) < -60.0 && gain(4_500.0) < -60.0 && gain(7_000.0) < -60.0,
                "{rate}: {}",
                gain(4_000.0)
            );
        }
    }

    #[test]
    fn the_clip_stays_in_its_place() {
        let mut click = vec![0.0; 1_000];
        click[400] = 1.0;
        let filtered = low_pass(&click, 24_000, 3_500.0);
        let loudest = (0..1_000).max_by(|a, b| filtered[*a].total_cmp(&filtered[*b])).unwrap();
        assert_eq!((filtered.len(), loudest), (1_000, 400));
        assert_eq!(low_pass(&click, 6_000, 3_500.0), click);
    }
}
