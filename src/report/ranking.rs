//! Clips ranked by objective measures.

use super::clip::ClipReport;
use crate::data::FinishReason;

/// Places of the clips in `clips`, best first: clips that the model ended, then by issues, word errors and character errors. Equal
/// clips keep their order.
pub(super) fn rank(clips: &[ClipReport]) -> Vec<usize> {
    let key = |clip: &ClipReport| {
        let ended = clip.stop.is_none_or(|stop| stop == FinishReason::Eos) && clip.frames > 0;
        let errors = clip.word_errors.as_ref();
        let rates = errors.map_or((0.0, 0.0), |e| (e.word_error_rate, e.character_error_rate));
        (!ended, clip.issues().len(), rates)
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
    use crate::data::{Clip, ClipOrigin, Codes, ModelDims, ModelInfo};
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
        let origin = ClipOrigin { text: Some("one two three four".to_owned()), ..ClipOrigin::default() };
        let clip = Clip { origin, codes: Codes::from_frames(frames).unwrap(), stop: Some(stop), ..Clip::default() };
        let model = ModelInfo { name: "test".into(), dims, voices: Vec::new(), labels: None };
        let report = ClipReport::new(String::new(), &clip, Err(StepsUnavailable::NotRequested), &model);
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
        let issues = |n: usize| clips[n].issues().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(issues(3), Vec::<String>::new());
        assert_eq!(issues(1), ["the same frame 3 times in a row"]);
        assert_eq!(issues(0), ["cut off"]);
    }
}
