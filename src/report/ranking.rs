//! Clips in the order of what can be measured of them.

use super::clip::ClipReport;
use crate::data::FinishReason;

/// Equal frames in a row from which they count as a repetition.
const REPEATED: usize = 3;
/// Seconds from which a pause, or the silence at the end, is too long.
const LONG_SILENCE: f64 = 1.0;

/// What is wrong with a clip, as far as it can be measured; nothing of a good one.
pub(super) fn faults(clip: &ClipReport) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(stop) = clip.stop.filter(|stop| *stop != FinishReason::Eos) {
        faults.push(stop.badge().to_owned());
    }
    if clip.frames == 0 {
        faults.push("empty".into());
    }
    if clip.repetition.longest_run >= REPEATED {
        faults.push(format!("the same frame {} times", clip.repetition.longest_run));
    }
    let measured = |key: &str| clip.acoustics.as_ref().and_then(|values| values.get(key));
    if let Some(pause) = measured("longest_pause_s").filter(|seconds| *seconds >= LONG_SILENCE) {
        faults.push(format!("a pause of {pause:.1} s"));
    }
    if let Some(silence) = clip.trailing_silence.filter(|seconds| *seconds >= LONG_SILENCE) {
        faults.push(format!("{silence:.1} s of silence at the end"));
    }
    if let Some(clipped) = measured("clipped_samples").filter(|samples| *samples > 0.0) {
        faults.push(format!("{clipped:.0} samples at full scale"));
    }
    faults
}

/// Places of the clips in `clips`, best first: those that ended by themselves, then those with fewer faults, fewer errors of a
/// recogniser in words, and in characters; equal ones stay as they are.
pub(super) fn rank(clips: &[ClipReport]) -> Vec<usize> {
    let key = |clip: &ClipReport| {
        let ended = clip.stop.is_none_or(|stop| stop == FinishReason::Eos) && clip.frames > 0;
        let errors = clip.word_errors.as_ref();
        let rates = errors.map_or((0.0, 0.0), |e| (e.word_error_rate, e.character_error_rate));
        (!ended, faults(clip).len(), rates)
    };
    let mut order: Vec<usize> = (0..clips.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (key(&clips[*a]), key(&clips[*b]));
        let rates = a.2.0.total_cmp(&b.2.0).then(a.2.1.total_cmp(&b.2.1));
        (a.0, a.1).cmp(&(b.0, b.1)).then(rates)
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Codes, ModelDims, ModelInfo, TokenFile};
    use crate::report::StepsUnavailable;

    fn clip(stop: FinishReason, frames: Vec<Vec<u32>>, heard: Option<&str>) -> ClipReport {
        let dims = ModelDims {
            codebooks: 1,
            vocab: 9,
            codec_size: 9,
            frame_rate: 12.5,
            sample_rate: 24_000,
            max_positions: 9,
        };
        let (frames, text) = (Codes::from_frames(frames).unwrap(), Some("one two three four".to_owned()));
        let file = TokenFile { frames, text, stop: Some(stop), ..TokenFile::default() };
        let model = ModelInfo { name: "test".into(), dims, voices: Vec::new(), labels: None };
        let report = ClipReport::new(String::new(), file, Err(StepsUnavailable::NotRequested), None, &model);
        match heard {
            Some(heard) => report.with_transcript(Ok(heard.to_owned())),
            None => report,
        }
    }

    #[test]
    fn what_can_be_measured_decides() {
        let good = || vec![vec![1], vec![2], vec![3]];
        let clips = [
            clip(FinishReason::Length, good(), Some("one two three four")),
            clip(FinishReason::Eos, vec![vec![1], vec![1], vec![1]], Some("one two three four")),
            clip(FinishReason::Eos, good(), Some("one two")),
            clip(FinishReason::Eos, good(), Some("one two three four")),
        ];
        assert_eq!(rank(&clips), [3, 2, 1, 0]);
        assert_eq!(faults(&clips[3]), Vec::<String>::new());
        assert_eq!(faults(&clips[1]), ["the same frame 3 times"]);
        assert_eq!(faults(&clips[0]), ["cut off"]);
    }
}
