//! When the words of a text are spoken, by the attention of the model that speaks it: some heads of the backbone look at the letter that is
//! being said, and move through the text as the speech does.

use crate::data::{AttentionHead, PromptWords, WordTime, WordTracking};

/// Seconds by which attention is ahead of the sound: the median over 814 words of the demo voice (see the guide to word times).
const LEAD: f64 = 0.163;
/// Positions on either side of the path whose attention counts as near it.
const NEAR: usize = 2;
/// Positions that the path may move on in a frame; beyond the first [`FREE_STEPS`] each costs [`STEP_COST`].
const LONGEST_STEP: usize = 12;
const FREE_STEPS: usize = 4;
const STEP_COST: f64 = 0.3;
/// Cost of each position of the text that a clip does not begin with.
const START_COST: f64 = 0.5;
/// Attention that is added to every position, so that none is impossible.
const FLOOR: f64 = 1e-4;
/// Least share of the attention that is near the path in a clip that is aligned.
const LEAST_CONFIDENCE: f64 = 0.35;
/// Least score of a head that follows the text, and most heads that are used.
const LEAST_SCORE: f64 = 0.7;
const MOST_HEADS: usize = 3;

/// Collects a clip's attention frame by frame.
#[derive(Clone, Debug)]
pub struct WordTracker {
    prompt: PromptWords,
    /// The mean over heads, `[frame][position of the text]`; sums below 1, as other positions are attended to as well.
    frames: Vec<Vec<f64>>,
}

impl WordTracker {
    /// An empty one for the words of `tracking`.
    pub fn new(tracking: &WordTracking) -> Self {
        Self { prompt: tracking.prompt.clone(), frames: Vec::new() }
    }

    /// Adds a frame: for each head, the weights of the text's positions.
    pub fn push(&mut self, attention: &[Vec<f32>]) {
        let mut mean = vec![0.0; self.prompt.text.len()];
        for weights in attention {
            for (sum, weight) in mean.iter_mut().zip(weights) {
                *sum += f64::from(*weight) / attention.len() as f64;
            }
        }
        self.frames.push(mean);
    }

    /// Number of the word that the last frame attends to most.
    pub fn current_word(&self) -> Option<usize> {
        let last = self.frames.last()?;
        let (position, _) = last.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        let position = self.prompt.text.start + position;
        self.prompt.words.iter().rposition(|word| word.positions.start <= position)
    }

    /// The words' times in a clip of these frames; `None` if the attention does not follow the text.
    pub fn words(&self, frame_seconds: f64) -> Option<Vec<WordTime>> {
        let path = monotone_path(&self.frames);
        let near = |(weights, at): (&Vec<f64>, &usize)| weights[around(*at, weights.len())].iter().sum::<f64>();
        let confidence: Vec<f64> = self.frames.iter().zip(&path).map(near).collect();
        let mean = confidence.iter().sum::<f64>() / confidence.len().max(1) as f64;
        if mean < LEAST_CONFIDENCE || self.prompt.words.is_empty() {
            return None;
        }
        let places = places(&self.frames, &path);
        let length = self.frames.len() as f64 * frame_seconds;
        let time = |position: usize| (crossing(&places, position as f64) * frame_seconds + LEAD).min(length);
        let (first, text) = (self.prompt.text.start, self.prompt.text.len());
        let words = self.prompt.words.iter().enumerate().map(|(n, word)| {
            let own = word.positions.start - first..word.positions.end - first;
            // What sounds before the attention reaches the second word is the first.
            let start = if n == 0 { 0.0 } else { time(own.start) };
            let until = self.prompt.words.get(n + 1).map_or(text, |next| next.positions.start - first);
            let end = if until >= text { length } else { time(until) };
            let frames =
                path.iter().zip(&confidence).filter(|(at, _)| own.contains(at)).map(|(_, confidence)| *confidence);
            let frames: Vec<f64> = frames.collect();
            WordTime {
                word: word.text.clone(),
                written: word.written.clone(),
                start,
                end: end.max(start),
                // The sum of nothing is -0.
                confidence: (frames.iter().sum::<f64>() / frames.len().max(1) as f64 + 0.0).min(1.0),
            }
        });
        Some(words.collect())
    }
}

/// The frame at which the attention is at what sounds at `seconds`, with frames of `frame_seconds`.
pub fn attention_frame(seconds: f64, frame_seconds: f64) -> usize {
    ((seconds - LEAD) / frame_seconds).round().max(0.0) as usize
}

/// The place in a clip with `there` that is the same as `seconds` in a clip with `here`: as far into the same word. `None` if the clips do not
/// have the same words.
pub fn same_place(here: &[WordTime], there: &[WordTime], seconds: f64) -> Option<f64> {
    if here.len() != there.len() || here.iter().zip(there).any(|(a, b)| a.word != b.word) {
        return None;
    }
    let n = here.iter().rposition(|word| word.start <= seconds)?;
    let (a, b) = (&here[n], &there[n]);
    let share = ((seconds - a.start) / (a.end - a.start).max(1e-9)).min(1.0);
    Some(b.start + share * (b.end - b.start))
}

/// Positions near `at` of a text of `length` positions.
fn around(at: usize, length: usize) -> std::ops::Range<usize> {
    at.saturating_sub(NEAR)..(at + NEAR + 1).min(length)
}

/// The position of each frame on the way through the text that never goes back and has the most attention (Viterbi 1967).
fn monotone_path(frames: &[Vec<f64>]) -> Vec<usize> {
    let Some(first) = frames.first().filter(|first| !first.is_empty()) else { return Vec::new() };
    // Attention relative to the frame's own, so that frames that attend to something else weigh as much.
    let emission = |weights: &[f64]| -> Vec<f64> {
        let sum = weights.iter().sum::<f64>() + 1e-9;
        weights.iter().map(|weight| (weight / sum + FLOOR).ln()).collect()
    };
    let mut score: Vec<f64> = emission(first).iter().enumerate().map(|(p, e)| e - START_COST * p as f64).collect();
    let mut back: Vec<Vec<usize>> = Vec::new();
    for weights in &frames[1..] {
        let emission = emission(weights);
        let from: Vec<usize> = (0..score.len())
            .map(|p| {
                let after = |q: usize| score[q] - STEP_COST * (p - q).saturating_sub(FREE_STEPS) as f64;
                let candidates = p.saturating_sub(LONGEST_STEP)..=p;
                candidates.max_by(|a, b| after(*a).total_cmp(&after(*b))).unwrap_or(p)
            })
            .collect();
        score = (0..score.len())
            .map(|p| {
                let q = from[p];
                score[q] - STEP_COST * (p - q).saturating_sub(FREE_STEPS) as f64 + emission[p]
            })
            .collect();
        back.push(from);
    }
    let mut at = (0..score.len()).max_by(|a, b| score[*a].total_cmp(&score[*b])).unwrap_or(0);
    let mut path = vec![at];
    for from in back.iter().rev() {
        at = from[at];
        path.push(at);
    }
    path.reverse();
    path
}

/// The path between positions: the centre of the attention near it, made to never go back.
fn places(frames: &[Vec<f64>], path: &[usize]) -> Vec<f64> {
    let mut furthest = 0.0f64;
    let place = |(weights, at): (&Vec<f64>, &usize)| {
        let near = around(*at, weights.len());
        let sum: f64 = weights[near.clone()].iter().sum();
        let centre = near.map(|p| p as f64 * weights[p]).sum::<f64>() / sum.max(1e-12);
        furthest = furthest.max(centre);
        furthest
    };
    frames.iter().zip(path).map(place).collect()
}

/// The frame, and part of one, in which `places` pass `position`.
fn crossing(places: &[f64], position: f64) -> f64 {
    let after = places.partition_point(|place| *place < position);
    match after {
        0 => 0.0,
        n if n == places.len() => n as f64,
        n => (n - 1) as f64 + (position - places[n - 1]) / (places[n] - places[n - 1]).max(1e-6),
    }
}

/// How well heads follow a text, from the attention of clips with all heads.
#[derive(Clone, Debug, Default)]
pub struct HeadScores {
    /// Sums over clips by head: share of the attention that is on the text, and share of steps that follow it.
    sums: Vec<(f64, f64)>,
    clips: usize,
}

impl HeadScores {
    /// Adds a clip of at least two frames: `[frame][head][position of the text]`.
    pub fn add(&mut self, frames: &[Vec<Vec<f32>>]) {
        let Some(heads) = frames.first().map(Vec::len).filter(|_| frames.len() > 1) else { return };
        self.sums.resize(heads, (0.0, 0.0));
        self.clips += 1;
        for (head, (mass, follows)) in self.sums.iter_mut().enumerate() {
            let of_head = || frames.iter().map(|frame| &frame[head]);
            *mass += of_head().flatten().map(|weight| f64::from(*weight)).sum::<f64>() / frames.len() as f64;
            let peak =
                |weights: &Vec<f32>| (0..weights.len()).max_by(|a, b| weights[*a].total_cmp(&weights[*b])).unwrap_or(0);
            let peaks: Vec<usize> = of_head().map(peak).collect();
            let steps =
                peaks.windows(2).filter(|step| (step[0].saturating_sub(1)..step[0] + 7).contains(&step[1])).count();
            let positions = frames[0][head].len().max(1);
            // A head that stays where it is follows nothing.
            let way = peaks.iter().max().zip(peaks.iter().min()).map_or(0, |(last, first)| last - first + 1);
            *follows += steps as f64 / (peaks.len() - 1) as f64 * (way as f64 / positions as f64).min(1.0);
        }
    }

    /// The heads that follow the text best, in ascending order; none if no head does. `heads` are the heads of the clips.
    pub fn best(&self, heads: &[AttentionHead]) -> Vec<AttentionHead> {
        let clips = self.clips.max(1) as f64;
        let scores = self.sums.iter().map(|(mass, follows)| mass / clips * follows / clips);
        let mut ranked: Vec<(f64, AttentionHead)> = scores.zip(heads.iter().copied()).collect();
        ranked.retain(|(score, _)| *score >= LEAST_SCORE);
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut best: Vec<AttentionHead> = ranked.into_iter().take(MOST_HEADS).map(|(_, head)| head).collect();
        best.sort_unstable();
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PromptWord;

    const FRAME: f64 = 0.08;

    /// Attention that is at each of `positions` in turn.
    fn tracker(words: &[&str], positions: &[f64], share: f32) -> WordTracker {
        let mut prompt = PromptWords::default();
        let mut at = 5; // after a mark and the speaker
        for word in words {
            let own = at..at + word.len();
            prompt.words.push(PromptWord { text: (*word).into(), written: own.clone(), positions: own.clone() });
            at = own.end + 1;
        }
        prompt.text = 5..at;
        let mut tracker = WordTracker::new(&WordTracking { heads: Vec::new(), prompt: prompt.clone() });
        for position in positions {
            let weight = |p: usize| (-(p as f64 - position).powi(2)).exp();
            let sum: f64 = (0..prompt.text.len()).map(weight).sum();
            tracker.push(&[(0..prompt.text.len()).map(|p| share * (weight(p) / sum) as f32).collect()]);
        }
        tracker
    }

    #[test]
    fn words_are_where_the_attention_passes_them() {
        let positions: Vec<f64> = (0..16).map(f64::from).collect();
        let words = tracker(&["the", "little", "boat"], &positions, 0.9).words(FRAME).unwrap();
        let begins: Vec<f64> = words.iter().map(|word| ((word.start - LEAD) / FRAME * 10.0).round() / 10.0).collect();
        assert_eq!(words[0].start, 0.0);
        assert!((begins[1] - 4.0).abs() < 0.2 && (begins[2] - 11.0).abs() < 0.2, "{begins:?}");
        assert_eq!((words[0].end, words[2].end), (words[1].start, 16.0 * FRAME));
        assert!(words.iter().all(|word| word.confidence > 0.8), "{words:?}");
    }

    #[test]
    fn a_first_word_that_is_passed_at_once_sounds_until_the_second() {
        let positions: Vec<f64> = (2..14).map(f64::from).collect();
        let words = tracker(&["a", "clean", "clone"], &positions, 0.9).words(FRAME).unwrap();
        assert_eq!((words[0].start, words[0].end, words[1].start), (0.0, LEAD, LEAD));
    }

    #[test]
    fn a_word_that_is_passed_over_has_no_confidence() {
        let positions: Vec<f64> = (0..4).chain(11..16).map(f64::from).collect();
        let words = tracker(&["the", "little", "boat"], &positions, 0.9).words(FRAME).unwrap();
        assert!(words[1].confidence < 0.1 && words[0].confidence > 0.5 && words[2].confidence > 0.5, "{words:?}");
        assert!(words[1].confidence.is_sign_positive(), "not -0");
    }

    #[test]
    fn attention_elsewhere_is_no_alignment() {
        let positions: Vec<f64> = (0..16).map(f64::from).collect();
        assert_eq!(tracker(&["the", "little", "boat"], &positions, 0.2).words(FRAME), None);
        let mut even = tracker(&["the", "little", "boat"], &[], 1.0);
        (0..16).for_each(|_| even.push(&[vec![1.0 / 16.0; 16]]));
        assert_eq!(even.words(FRAME), None);
        assert_eq!(tracker(&[], &[], 1.0).words(FRAME), None);
    }

    #[test]
    fn a_place_in_a_word_is_found_in_another_clip() {
        let word = |word: &str, start: f64, end: f64| WordTime {
            word: word.into(),
            written: 0..0,
            start,
            end,
            confidence: 1.0,
        };
        let (a, b) = ([word("one", 0.0, 1.0), word("two", 1.0, 2.0)], [word("one", 0.0, 2.0), word("two", 3.0, 4.0)]);
        assert_eq!(same_place(&a, &b, 0.5), Some(1.0));
        assert_eq!(same_place(&b, &a, 2.5), Some(1.0), "between two words: at the end of the first");
        assert_eq!(same_place(&a, &b, 1.25), Some(3.25));
        assert_eq!(same_place(&a, &b[..1], 0.5), None);
        assert_eq!(same_place(&[], &[], 0.5), None);
    }

    #[test]
    fn heads_that_follow_the_text_are_chosen() {
        let follows = |t: usize, p: usize| if t == p { 0.9 } else { 0.0 };
        let stays = |_: usize, p: usize| if p == 0 { 1.0 } else { 0.0 };
        let jumps = |t: usize, p: usize| if p == t * 7 % 12 { 1.0 } else { 0.0 };
        let elsewhere = |t: usize, p: usize| if t == p { 0.1 } else { 0.0 };
        let frame = |t: usize| {
            let row = |weight: &dyn Fn(usize, usize) -> f32| (0..12).map(|p| weight(t, p)).collect();
            vec![row(&follows), row(&stays), row(&jumps), row(&elsewhere)]
        };
        let mut scores = HeadScores::default();
        scores.add(&(0..12).map(frame).collect::<Vec<_>>());
        let heads: Vec<AttentionHead> = (0..4).map(|head| AttentionHead { layer: 0, head }).collect();
        assert_eq!(scores.best(&heads), heads[..1]);
        assert!(HeadScores::default().best(&heads).is_empty());
    }
}
