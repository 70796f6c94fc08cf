//! Power spectra and mel bands.

use std::f64::consts::PI;

use realfft::RealFftPlanner;

/// Length of an analysis window, seconds.
const WINDOW: f64 = 0.032;
/// Time from one window to the next, seconds.
pub const HOP: f64 = 0.008;

/// SpectrumFrames of equally many values, one after the other: `[T, N]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpectrumFrames {
    width: usize,
    values: Vec<f64>,
}

impl SpectrumFrames {
    /// The frames in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Number of frames in the waveform.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Values of a frame.
    pub fn frame_width(&self) -> usize {
        self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The frame at `t`.
    pub fn frame(&self, t: usize) -> &[f64] {
        &self.values[t * self.width..][..self.width]
    }

    /// The frames of a range, as far as there are any.
    pub fn part(&self, frames: std::ops::Range<usize>) -> Self {
        let end = frames.end.min(self.len());
        let start = frames.start.min(end);
        Self { width: self.width, values: self.values[start * self.width..end * self.width].to_vec() }
    }

    /// SpectrumFrames of another width, each made of the one here.
    pub fn map(&self, width: usize, of_frame: impl FnMut(&[f64]) -> Vec<f64>) -> Self {
        Self { width, values: self.iter().flat_map(of_frame).collect() }
    }
}

/// Samples of a window at this rate.
fn window_length(rate: usize) -> usize {
    ((WINDOW * rate as f64) as usize).max(2)
}

/// Power spectra `|X|^2` of Hann windows of 32 ms every 8 ms, `[T, N / 2 + 1]`, of the samples times `gain`, from the first one on; a
/// sound that is shorter than a window is followed by silence.
pub fn power_spectra(samples: &[f32], rate: usize, gain: f64) -> SpectrumFrames {
    let (length, hop) = (window_length(rate), ((HOP * rate as f64) as usize).max(1));
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(length);
    let hann: Vec<f64> = (0..length).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / (length - 1) as f64).cos()).collect();
    let (mut windowed, mut spectrum) = (transform.make_input_vec(), transform.make_output_vec());
    let starts = (0..samples.len().saturating_sub(length).max(1)).step_by(hop);
    let mut values = Vec::with_capacity(starts.len() * spectrum.len());
    for start in starts {
        let sound = samples[start..].iter().map(|s| f64::from(*s) * gain).chain(std::iter::repeat(0.0));
        windowed.iter_mut().zip(sound).zip(&hann).for_each(|((w, s), h)| *w = s * h);
        if transform.process(&mut windowed, &mut spectrum).is_err() {
            unreachable!("the buffers are the plan's own");
        }
        values.extend(spectrum.iter().map(|x| x.norm_sqr()));
    }
    SpectrumFrames { width: spectrum.len(), values }
}

/// Energies of `bands` triangular bands that are equally wide on the mel scale `2595 log10(1 + f / 700)` (O'Shaughnessy 1987), from
/// 0 Hz to half the rate: `[T, bands]` of [`power_spectra`]. The corners lie on whole bins, as in mel-cepstral-distance.
pub fn mel_energies(power: &SpectrumFrames, rate: usize, bands: usize) -> SpectrumFrames {
    let mel_top = 2595.0 * (1.0 + rate as f64 / 2.0 / 700.0).log10();
    let corner = |n: usize| {
        let hertz = 700.0 * (10f64.powf(mel_top * n as f64 / (bands + 1) as f64 / 2595.0) - 1.0);
        ((window_length(rate) + 1) as f64 * hertz / rate as f64) as usize
    };
    let filters: Vec<Vec<(usize, f64)>> = (0..bands)
        .map(|n| {
            let left = corner(n);
            let centre = corner(n + 1).max(left + 1);
            let right = corner(n + 2).max(centre + 1);
            let rising = (left..centre).map(|bin| (bin, (bin - left) as f64 / (centre - left) as f64));
            let falling = (centre..right).map(|bin| (bin, (right - bin) as f64 / (right - centre) as f64));
            rising.chain(falling).filter(|(bin, _)| *bin < power.width).collect()
        })
        .collect();
    power.map(bands, |frame| {
        filters.iter().map(|filter| filter.iter().map(|(bin, weight)| weight * frame[*bin]).sum()).collect()
    })
}
