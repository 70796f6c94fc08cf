//! Changing the sample rate (rubato's synchronous FFT resampler).
#![expect(
    clippy::expect_used,
    reason = "rubato's errors are about sizes, which are computed here from its own answers"
)]

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

/// Length of the low-pass filter in samples of the lower of the two rates. The longer it is, the narrower is the band below the lower
/// Nyquist frequency that it takes away: with 512, what lies below 0.9 of that frequency stays within 0.1 dB, whatever the rates are.
const FILTER: usize = 512;

/// A whole mono clip at another rate, aligned in time, `len * to / from` samples long.
pub fn resample(samples: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let mut resampler = new(from, to);
    let input = SequentialSlice::new(samples, 1, samples.len()).expect("one channel");
    let output = resampler.process_all(&input, samples.len(), None).expect("sizes are the resampler's own");
    let mut out = output.take_data();
    out.truncate((samples.len() * to).div_ceil(from)); // rubato rounds its ratio up
    out
}

/// A mono stream at another rate, piece by piece.
pub struct StreamResampler {
    resampler: Option<Fft<f32>>,
    pending: Vec<f32>,
}

impl StreamResampler {
    /// From rate `from` to rate `to`.
    pub fn new(from: usize, to: usize) -> Self {
        Self { resampler: (from != to).then(|| new(from, to)), pending: Vec::new() }
    }

    /// Silent samples at the start of the output, before the first input sample.
    pub fn delay(&self) -> usize {
        self.resampler.as_ref().map_or(0, |r| r.output_delay())
    }

    /// Appends `samples`; returns the output that is ready.
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        let Some(resampler) = &mut self.resampler else {
            return samples.to_vec();
        };
        self.pending.extend_from_slice(samples);
        let mut out = Vec::new();
        let mut used = 0;
        while self.pending.len() - used >= resampler.input_frames_next() {
            let n = resampler.input_frames_next();
            let input = SequentialSlice::new(&self.pending[used..used + n], 1, n).expect("one channel");
            out.extend(
                resampler.process(&input, None).expect("the input has the length that it asked for").take_data(),
            );
            used += n;
        }
        self.pending.drain(..used);
        out
    }

    /// The rest of the output: silence is appended until every pushed sample has come out.
    pub fn finish(mut self) -> Vec<f32> {
        let Some(resampler) = &self.resampler else {
            return Vec::new();
        };
        let tail = resampler.output_delay().max(1) + resampler.input_frames_next();
        self.push(&vec![0.0; tail])
    }
}

fn new(from: usize, to: usize) -> Fft<f32> {
    // An even number of the shortest blocks: an odd one would delay by half a sample.
    let even = 2 * from / gcd(from, to);
    let block = (FILTER * from).div_ceil(from.min(to)).next_multiple_of(even);
    Fft::new_custom(from, to, block, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Input)
        .expect("both rates are positive")
}

/// Greatest common divisor (Euclid's algorithm).
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: usize) -> Vec<f32> {
        sine(440.0, rate)
    }

    /// One second of a sine, amplitude 0.5.
    fn sine(hertz: f64, rate: usize) -> Vec<f32> {
        let at = |n: usize| 0.5 * (n as f64 * hertz * std::f64::consts::TAU / rate as f64).sin();
        (0..rate).map(|n| at(n) as f32).collect()
    }

    /// Root mean square of the middle of a clip, decibels above that of the sine of amplitude 0.5.
    fn level(samples: &[f32]) -> f64 {
        let middle = &samples[samples.len() / 4..3 * samples.len() / 4];
        let power = middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64;
        10.0 * (8.0 * power).max(1e-20).log10()
    }

    #[test]
    fn what_both_rates_can_hold_stays_and_what_they_cannot_goes() {
        let rates = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 384_000];
        let pairs = rates.iter().flat_map(|rate| [(*rate, 24_000), (24_000, *rate)]);
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            let nyquist = from.min(to) as f64 / 2.0;
            for share in [0.01, 0.25, 0.5, 0.8, 0.9] {
                let gain = level(&resample(&sine(share * nyquist, from), from, to));
                assert!(gain.abs() < 0.1, "{from} to {to}: {gain:.2} dB at {share} of the lower Nyquist frequency");
            }
            // Above the lower rate's Nyquist frequency a tone would come back as another one.
            for share in [1.005, 1.1, 1.5, 1.9].into_iter().filter(|share| share * nyquist < from as f64 / 2.0) {
                let gain = level(&resample(&sine(share * nyquist, from), from, to));
                assert!(gain < -80.0, "{from} to {to}: {gain:.1} dB at {share} of the lower Nyquist frequency");
            }
        }
    }

    #[test]
    fn a_tone_stays_where_it_is() {
        for rate in [8_000, 16_000, 44_100, 48_000, 96_000] {
            let out = resample(&tone(rate), rate, 24_000);
            assert_eq!(out.len(), 24_000, "{rate}");
            let ideal = tone(24_000);
            let worst = (2_000..22_000).map(|i| (out[i] - ideal[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate}: {worst}");
        }
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let clip = tone(24_000);
        let mut stream = StreamResampler::new(24_000, 48_000);
        let mut out: Vec<f32> = clip.chunks(1_920).flat_map(|c| stream.push(c)).collect();
        out.extend(stream.finish());
        let delay = new(24_000, 48_000).output_delay();
        let whole = resample(&clip, 24_000, 48_000);
        assert!(out.len() >= delay + whole.len());
        let worst = whole.iter().zip(&out[delay..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
}
