//! Changing the sample rate (rubato's synchronous FFT resampler).
#![expect(
    clippy::expect_used,
    reason = "rubato's errors are about sizes, which are computed here from its own answers"
)]

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler};

/// Samples that the resampler processes at once.
const CHUNK: usize = 1024;

/// A whole mono clip at another rate, aligned in time, `len * to / from` samples long.
pub fn resample(samples: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let mut resampler = new(from, to, CHUNK);
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
        Self { resampler: (from != to).then(|| new(from, to, CHUNK)), pending: Vec::new() }
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
            out.extend(resampler.process(&input, None).expect("as many as it asked for").take_data());
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

fn new(from: usize, to: usize, chunk: usize) -> Fft<f32> {
    Fft::new(from, to, chunk, 1, FixedSync::Input).expect("both rates are positive")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: usize) -> Vec<f32> {
        (0..rate).map(|i| (i as f32 * 440.0 * std::f32::consts::TAU / rate as f32).sin() * 0.5).collect()
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
        let delay = new(24_000, 48_000, CHUNK).output_delay();
        let whole = resample(&clip, 24_000, 48_000);
        assert!(out.len() >= delay + whole.len());
        let worst = whole.iter().zip(&out[delay..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
}
