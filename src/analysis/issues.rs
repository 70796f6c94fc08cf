//! Issues of a clip by its draws: improbable and replaced tokens, repetition, silence, and a strange end.

use super::statistics::Stat;
use super::steps::{Step, Steps};
use crate::data::issue::{
    EXPECTED_LENGTH, IMPROBABLE_END, LEAST_SURPRISAL, PROBABLE_END, REPEATED_FRAMES, SILENT_FRAMES,
    SURPRISAL_DEVIATIONS, repetitions, silences,
};
use crate::data::{Clip, FinishReason, Issue};

/// Issues of `clip` in the order of their frames. `steps` may be incomplete; `frame_samples` is the number of samples per frame, and
/// `expected_seconds` the expected duration of the text, 0 if unknown.
pub fn find_issues(clip: &Clip, steps: &Steps, frame_samples: usize, expected_seconds: f64) -> Vec<Issue> {
    let mut found = improbable(steps);
    for (from, step) in steps.iter().enumerate() {
        found.extend(step.guarded.iter().position(|g| *g).map(|codebook| Issue::Guarded { from, codebook }));
    }
    let loudest = |frame: &[f32]| frame.iter().fold(0f32, |level, s| level.max(s.abs()));
    let levels: Vec<f32> = clip.audio.chunks(frame_samples.max(1)).map(loudest).collect();
    found.extend(repetitions(&clip.codes, REPEATED_FRAMES.listen));
    found.extend(silences(&levels, SILENT_FRAMES.listen));
    let passed = steps.iter().enumerate().filter(|(_, step)| step.end_probability >= PROBABLE_END);
    found.extend(passed.map(|(from, step)| Issue::PassedEnd { from, probability: step.end_probability }));
    let from = clip.codes.len().saturating_sub(1);
    let improbable_end = steps.end.filter(|p| *p < IMPROBABLE_END);
    found.extend(improbable_end.map(|probability| Issue::ImprobableEnd { from, probability }));
    if matches!(clip.stop, Some(FinishReason::Eos | FinishReason::Length)) && expected_seconds > 0.0 {
        let share = clip.seconds() / expected_seconds;
        if share < EXPECTED_LENGTH.start {
            found.push(Issue::EarlyEnd { from, share });
        } else if share > EXPECTED_LENGTH.end {
            found.push(Issue::LateEnd { from, share });
        }
    }
    found.sort_by_key(|issue| (issue.frames().start, issue.codebook()));
    found
}

/// The most improbable token of each frame that has one.
fn improbable(steps: &Steps) -> Vec<Issue> {
    let codebooks = steps.get(0).map_or(0, |step| step.stats.len());
    let bounds: Vec<f64> = (0..codebooks)
        .map(|k| {
            let values: Vec<f64> =
                steps.iter().map(|s| s.stats[k][Stat::Surprisal]).filter(|v| v.is_finite()).collect();
            let n = values.len().max(1) as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (mean + SURPRISAL_DEVIATIONS * variance.sqrt()).max(LEAST_SURPRISAL)
        })
        .collect();
    let of_frame = |(from, step): (usize, &Step)| {
        if let Some(codebook) = step.stats.iter().position(|s| s[Stat::SampledProbability] == 0.0) {
            return Some(Issue::NotDrawable { from, codebook });
        }
        let surprisals = step.stats.iter().enumerate().map(|(k, s)| (k, s[Stat::Surprisal]));
        let surprising = surprisals.filter(|(k, bits)| *bits >= bounds[*k]);
        let (codebook, bits) = surprising.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Issue::Surprising { from, codebook, bits })
    };
    steps.iter().enumerate().filter_map(of_frame).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{Codes, Dtype, Logits, Mode, Sampling, SamplingParams};

    const FRAME: usize = 10;

    fn sampling(top_k: usize) -> Sampling {
        Sampling::new(Mode::Exact, SamplingParams::new(1.0, top_k), 0, Dtype::Float32)
    }

    /// Draws of two codebooks from sixteen ids, the first of which is by far the most likely; `improbable` is a frame with another.
    /// Id 0 of codebook 0 has the probability of the end, so its logits are those of codebook 1 the other way round.
    fn steps(frames: usize, improbable: usize, probable_end: usize) -> Steps {
        let step = |t: usize| {
            let mut logits = vec![0.0; 32];
            let likely = if t == probable_end { 0 } else { 15 };
            (logits[likely], logits[16]) = (5.0, 5.0);
            let token = if t == improbable { 3 } else { likely as u32 };
            let guarded = if t == 5 { vec![false, true] } else { Vec::new() };
            Step::new(Arc::new(Logits::new(16, logits)), sampling(16), guarded, &[token, 0])
        };
        (0..frames).map(step).collect()
    }

    #[test]
    fn each_issue_is_found_in_its_place() {
        let mut frames: Vec<[u32; 2]> = (0..40).map(|t| [t + 1, 2 * t + 1]).collect();
        (frames[11], frames[12]) = (frames[10], frames[10]);
        let mut audio = vec![0.3; 40 * FRAME];
        audio[20 * FRAME..27 * FRAME].fill(1e-4);
        audio[30 * FRAME..33 * FRAME].fill(1e-4);
        let clip = Clip {
            codes: Codes::from_frames(frames).unwrap(),
            audio,
            sample_rate: 10 * FRAME,
            stop: Some(FinishReason::Eos),
            ..Clip::default()
        };
        let mut steps = steps(40, 7, 35);
        let found = find_issues(&clip, &steps, FRAME, 20.0);
        let places: Vec<(usize, usize, usize)> =
            found.iter().map(|i| (i.frames().start, i.frames().len(), i.codebook())).collect();
        assert_eq!(places, [(5, 1, 1), (7, 1, 0), (10, 3, 0), (20, 7, 0), (35, 1, 0), (39, 1, 0)], "{found:?}");
        assert!(matches!(found[1], Issue::Surprising { bits, .. } if bits > 7.0), "{:?}", found[1]);
        assert_eq!(found[2], Issue::Repeating { from: 10, frames: 3 });
        assert_eq!(found[5], Issue::EarlyEnd { from: 39, share: 0.2 });
        steps.end = Some(0.02);
        let last = |steps: &Steps| *find_issues(&clip, steps, FRAME, 0.0).last().unwrap();
        assert_eq!(last(&steps), Issue::ImprobableEnd { from: 39, probability: 0.02 });
        steps.end = Some(0.9);
        assert!(matches!(last(&steps), Issue::PassedEnd { from: 35, .. }), "a clip that ended has not passed its end");
        assert!(find_issues(&Clip::default(), &Steps::default(), FRAME, 0.0).is_empty());
    }

    #[test]
    fn a_token_that_the_sampler_cuts_is_not_drawable() {
        let logits = Arc::new(Logits::new(3, vec![1.0, 2.0, 3.0]));
        let steps: Steps = [Step::new(logits, sampling(1), Vec::new(), &[1])].into_iter().collect();
        assert_eq!(improbable(&steps), [Issue::NotDrawable { from: 0, codebook: 0 }]);
    }
}
