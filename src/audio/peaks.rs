//! Envelopes of waveforms, for drawing.

/// Peaks per second of a waveform.
pub const PEAKS_PER_SECOND: usize = 100;

/// Smallest and largest sample of each part of a waveform; silence is always within.
pub type Peaks = Vec<(f32, f32)>;

/// Samples per peak at `rate` samples per second.
pub fn samples_per_peak(rate: usize) -> usize {
    (rate / PEAKS_PER_SECOND).max(1)
}

/// The peaks of `samples`, [`PEAKS_PER_SECOND`] of them.
pub fn peaks(samples: &[f32], rate: usize) -> Peaks {
    let peak = |part: &[f32]| part.iter().fold((0f32, 0f32), |(low, high), s| (low.min(*s), high.max(*s)));
    samples.chunks(samples_per_peak(rate)).map(peak).collect()
}
