//! Fundamental frequency.

use realfft::RealFftPlanner;

use super::spectrum::HOP;

/// Lowest and highest frequency that is looked for, Hz.
const RANGE: (f64, f64) = (50.0, 500.0);
/// Length of a frame, seconds: two periods of the lowest frequency and some.
const FRAME: f64 = 0.0427;
/// Depth of a trough of the normalised difference that is surely a period: the first such one counts.
const CLEAR: f64 = 0.15;
/// Depth that the deepest trough must have for the frame to count as voiced.
const VOICED: f64 = 0.4;
/// Level that a voiced frame must have, as a share of the loudest frame's: -34 dB. Below it there is breath and noise.
const AUDIBLE: f64 = 0.02;

/// Fundamental frequency every 8 ms, Hz, 50 to 500; `None` if the frame is unvoiced. A frame is voiced if it is no softer than -34 dB of
/// the loudest one and a trough of the cumulative mean normalised difference lies below 0.4, which finds the same share of voiced frames as
/// Praat's autocorrelation does; its period is the first trough below 0.15, else the deepest one (YIN: de Cheveigné and Kawahara 2002,
/// equation 8; parabolic interpolation as in librosa). The frame at `t` is centred at `t` times the hop.
pub fn fundamental(samples: &[f32], rate: usize) -> Vec<Option<f64>> {
    let length = ((FRAME * rate as f64) as usize).max(4);
    let hop = ((HOP * rate as f64) as usize).max(1);
    let shortest = ((rate as f64 / RANGE.1) as usize).max(1);
    let longest = ((rate as f64 / RANGE.0).ceil() as usize).min(length - 1);
    let size = (2 * length).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let (mut time, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
    let frame = |t: usize| {
        time.fill(0.0);
        let centre = t * hop;
        for (n, sample) in time[..length].iter_mut().enumerate() {
            let at = (centre + n).checked_sub(length / 2);
            *sample = at.and_then(|at| samples.get(at)).map_or(0.0, |s| f64::from(*s));
        }
        let squares: Vec<f64> = time[..length].iter().map(|s| s * s).collect();
        if forward.process(&mut time, &mut spectrum).is_err() {
            unreachable!("the buffers are the plan's own");
        }
        spectrum.iter_mut().for_each(|x| *x = (x.norm_sqr() / size as f64).into());
        if inverse.process(&mut spectrum, &mut time).is_err() {
            unreachable!("the spectrum of a real signal");
        }
        let level = (squares.iter().sum::<f64>() / length as f64).sqrt();
        (level, period(&time, &squares, shortest, longest).map(|period| rate as f64 / period))
    };
    let frames: Vec<(f64, Option<f64>)> = (0..=samples.len() / hop).map(frame).collect();
    let loudest = frames.iter().map(|(level, _)| *level).fold(0.0, f64::max);
    frames.into_iter().map(|(level, hertz)| hertz.filter(|_| level >= AUDIBLE * loudest)).collect()
}

/// The period in samples of a frame with this autocorrelation and these squared samples.
fn period(autocorrelation: &[f64], squares: &[f64], shortest: usize, longest: usize) -> Option<f64> {
    // difference function d(k) = 2 (r(0) - r(k)) - the energy of the first k samples, over its mean up to k
    let (mut energy, mut sum) = (0.0, 0.0);
    let mut normalised = Vec::with_capacity(longest - shortest + 1);
    for k in 1..=longest {
        energy += squares[k - 1];
        let difference = 2.0 * (autocorrelation[0] - autocorrelation[k]) - energy;
        sum += difference;
        if k >= shortest {
            normalised.push(difference / (sum / k as f64 + f64::MIN_POSITIVE));
        }
    }
    let around = |n: usize| (n.checked_sub(1).map(|before| normalised[before]), normalised.get(n + 1).copied());
    let is_trough = |n: usize| match around(n) {
        (Some(before), after) => normalised[n] < before && after.is_none_or(|after| normalised[n] <= after),
        (None, after) => after.is_some_and(|after| normalised[n] < after),
    };
    let troughs = || (0..normalised.len()).filter(|n| normalised[*n] < VOICED && is_trough(*n));
    let deepest = || troughs().min_by(|a, b| normalised[*a].total_cmp(&normalised[*b]));
    let trough = troughs().find(|n| normalised[*n] < CLEAR).or_else(deepest)?;
    let shift = |(before, after): (f64, f64)| {
        let (curve, slope) = (after + before - 2.0 * normalised[trough], (after - before) / 2.0);
        if slope.abs() >= curve.abs() { 0.0 } else { -slope / curve }
    };
    let neighbours = around(trough);
    Some((shortest + trough) as f64 + neighbours.0.zip(neighbours.1).map_or(0.0, shift))
}
