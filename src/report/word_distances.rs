//! How far apart two clips are in each of their words.

use serde::Serialize;

use super::clip::{ClipReport, WordReport};
use crate::acoustics::distances::{SoundDistance, distance};
use crate::data::{Codes, ModelInfo};

/// A word in the report's first clip and in another clip of the same text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordDistance {
    /// Place of the other clip in the report.
    pub clip: usize,
    /// The word.
    pub word: String,
    /// How long the first clip takes over it, seconds.
    pub seconds_in_first: f64,
    /// How long the other one takes.
    pub seconds: f64,
    /// Share of the tokens that differ, each frame against the one as far into the word.
    pub differing_tokens: f64,
    /// How far apart the sounds are, warped within the word; `None` if the sounds are not measured.
    pub distance: Option<SoundDistance>,
}

/// Each word of the first clip against the same word of the others; of clips with other words or unknown times, nothing.
pub(super) fn word_distances(clips: &[ClipReport], model: &ModelInfo) -> Vec<WordDistance> {
    let Some((first, others)) = clips.split_first().filter(|(first, _)| !first.words.is_empty()) else {
        return Vec::new();
    };
    let same_words = |other: &ClipReport| {
        let words = |clip: &ClipReport| clip.words.iter().map(|word| word.word.clone()).collect::<Vec<_>>();
        words(first) == words(other) && first.codes.codebooks() == other.codes.codebooks()
    };
    let mut all = Vec::new();
    for (n, other) in others.iter().enumerate().filter(|(_, other)| same_words(other)) {
        for (x, y) in first.words.iter().zip(&other.words) {
            let sound = || {
                let part =
                    |clip: &ClipReport, word: &WordReport| Some(clip.features.as_ref()?.part(word.start..word.end));
                distance(&part(first, x)?, &part(other, y)?)
            };
            all.push(WordDistance {
                clip: n + 1,
                word: x.word.clone(),
                seconds_in_first: x.end - x.start,
                seconds: y.end - y.start,
                differing_tokens: differing((&first.codes, x), (&other.codes, y), model.dims.frame_rate),
                distance: sound(),
            });
        }
    }
    all
}

/// Share of tokens that differ between two words, as seen from the first.
fn differing(a: (&Codes, &WordReport), b: (&Codes, &WordReport), frame_rate: f64) -> f64 {
    let frames = |(codes, word): (&Codes, &WordReport)| {
        let frame = |seconds: f64| (seconds * frame_rate).round() as usize;
        let start = frame(word.start).min(codes.len().saturating_sub(1));
        start..frame(word.end).min(codes.len()).max(start + 1)
    };
    let (x, y) = (frames(a), frames(b));
    let (mut differ, mut all) = (0, 0);
    for n in x.clone() {
        let share = (n - x.start) as f64 / x.len() as f64;
        let other = y.start + (share * y.len() as f64) as usize;
        let (Some(ours), Some(theirs)) = (a.0.get(n), b.0.get(other)) else { continue };
        differ += ours.iter().zip(theirs).filter(|(p, q)| p != q).count();
        all += ours.len();
    }
    if all == 0 { 0.0 } else { differ as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: f64, end: f64) -> WordReport {
        let word = "boat".into();
        WordReport { word, start, end, confidence: 1.0, surprisal_bits: None, entropy_bits: None }
    }

    #[test]
    fn tokens_of_a_word_are_compared_as_far_into_it() {
        let a = Codes::from_frames([[9, 9], [1, 2], [3, 4]]).unwrap();
        let late = Codes::from_frames([[9, 9], [9, 9], [1, 2], [1, 2], [3, 4], [3, 5]]).unwrap();
        // Half as fast and a frame later: only what was said differently differs.
        let share = differing((&a, &word(0.08, 0.24)), (&late, &word(0.16, 0.48)), 12.5);
        assert_eq!(share, 0.0);
        let back = differing((&late, &word(0.16, 0.48)), (&a, &word(0.08, 0.24)), 12.5);
        assert_eq!(back, 1.0 / 8.0);
    }
}
