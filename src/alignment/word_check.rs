//! Finds words that a clip leaves out, says twice, says in another order, or never reaches, by asking the model itself: under which text are
//! the clip's tokens most probable? A text that fits better than the one that was to be spoken is what was spoken instead.

use std::ops::Range;

use crate::analysis::draw::surprisal;
use crate::checkpoint::Checkpoint;
use crate::data::{Clip, ClipSpec};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::worker::{CancelToken, Event, WorkerHandle};

/// Bits by which another text must fit better. Measured on the demo voice (`tests/words/check.sh`).
const LEAST_GAIN: f64 = 8.0;
/// Problems that are searched for in a clip, one after another.
const MOST: usize = 4;

/// What a clip does with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordProblemKind {
    /// The word is not spoken.
    LeftOut,
    /// The word is spoken twice.
    Repeated,
    /// The word is spoken after the next one.
    Swapped,
    /// Neither the word nor anything after it is spoken.
    CutOff,
    /// The last word of the turn before is spoken first.
    LeakedIn,
}

impl WordProblemKind {
    /// The problem in words, after the word.
    pub fn describe(self) -> &'static str {
        match self {
            Self::LeftOut => "is left out",
            Self::Repeated => "is said twice",
            Self::Swapped => "is said after the next word",
            Self::CutOff => "and everything after it is missing",
            Self::LeakedIn => "of the turn before is said first",
        }
    }
}

/// A word that a clip does not say as its text has it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WordProblem {
    /// What happens to the word.
    pub kind: WordProblemKind,
    /// The word as it is written.
    pub word: String,
    /// Its bytes in the text; empty for a word of the turn before.
    pub written: Range<usize>,
    /// Bits by which the clip's tokens are more probable under the text with this change.
    pub bits: f64,
}

/// A text as words of the original: each is a part of it, or the last word of the turn before.
#[derive(Clone, Debug, PartialEq)]
struct Wording {
    words: Vec<Option<usize>>,
}

/// The problems of `clip`, whose spec is `spec`, most evident first; `progress` is called with the texts compared so far in this round and their
/// number.
///
/// # Errors
/// Errors of the prompt and of the worker, and [`Error::Cancelled`].
pub fn check_words(
    checkpoint: &Checkpoint,
    worker: &WorkerHandle,
    spec: &ClipSpec,
    clip: &Clip,
    cancel: &CancelToken,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<WordProblem>> {
    let prompt = checkpoint.prompt(spec)?;
    let written: Vec<Range<usize>> =
        checkpoint.prompt_words(spec, &prompt)?.words.into_iter().map(|word| word.written).collect();
    let before = spec.context.last().and_then(|turn| turn.text.split_whitespace().next_back()).unwrap_or_default();
    let text = |wording: &Wording| wording.text(&spec.text, &written, before);
    let mut wording = Wording { words: (0..written.len()).map(Some).collect() };
    let mut bits = clip_bits(checkpoint, worker, spec, clip, cancel)?;
    let mut problems = Vec::new();
    while problems.len() < MOST {
        let changes = wording.changes(!before.is_empty());
        let mut best: Option<(f64, usize)> = None;
        for (n, (_, _, changed)) in changes.iter().enumerate() {
            progress(n, changes.len());
            let spec = ClipSpec { text: text(changed), ..spec.clone() };
            let changed = clip_bits(checkpoint, worker, &spec, clip, cancel)?;
            if best.is_none_or(|(least, _)| changed < least) {
                best = Some((changed, n));
            }
        }
        let Some((least, n)) = best.filter(|(least, _)| bits - least >= LEAST_GAIN) else { break };
        let (kind, word, changed) = changes[n].clone();
        let range = word.map_or(0..0, |word| written[word].clone());
        let name = word.map_or(before, |_| &spec.text[range.clone()]).to_owned();
        problems.push(WordProblem { kind, word: name, written: range, bits: bits - least });
        (bits, wording) = (least, changed);
    }
    Ok(problems)
}

impl Wording {
    /// The text: words as they are written, with the mark at the end of the whole.
    fn text(&self, original: &str, written: &[Range<usize>], before: &str) -> String {
        let is_mark = |c: char| matches!(c, '.' | '?' | '!');
        let last = self.words.len().saturating_sub(1);
        let words = self.words.iter().enumerate().map(|(n, word)| {
            let word = word.map_or(before, |word| &original[written[word].clone()]);
            if n < last && self.ends(n, written) { word.trim_end_matches(is_mark) } else { word }
        });
        let mut text = words.collect::<Vec<_>>().join(" ");
        if let Some(mark) = original.trim_end().chars().next_back().filter(|c| is_mark(*c))
            && !text.ends_with(is_mark)
        {
            text.push(mark);
        }
        text
    }

    /// Whether word `n` is the original's last one.
    fn ends(&self, n: usize, written: &[Range<usize>]) -> bool {
        self.words[n].is_some_and(|word| word + 1 == written.len())
    }

    /// Every change of one word: the kind, the word, and the words after the change.
    fn changes(&self, with_leak: bool) -> Vec<(WordProblemKind, Option<usize>, Self)> {
        let mut changes = Vec::new();
        let mut add = |kind, n: usize, words: Vec<Option<usize>>| {
            if !words.is_empty() && words != self.words {
                changes.push((kind, self.words.get(n).copied().flatten(), Self { words }));
            }
        };
        for n in 0..self.words.len() {
            let (mut without, mut twice, mut swapped) = (self.words.clone(), self.words.clone(), self.words.clone());
            without.remove(n);
            add(WordProblemKind::LeftOut, n, without);
            twice.insert(n, self.words[n]);
            add(WordProblemKind::Repeated, n, twice);
            if n + 1 < self.words.len() {
                swapped.swap(n, n + 1);
                add(WordProblemKind::Swapped, n, swapped);
            }
            // A text that lacks its last word lacks a word; one that lacks more is cut off.
            if n > 0 && n + 2 <= self.words.len() {
                add(WordProblemKind::CutOff, n, self.words[..n].to_vec());
            }
        }
        if with_leak && self.words.first().is_some_and(Option::is_some) {
            let words = std::iter::once(None).chain(self.words.iter().copied()).collect();
            changes.push((WordProblemKind::LeakedIn, None, Self { words }));
        }
        changes
    }
}

/// Surprisal of all tokens of `clip` under `spec` in bits, its end included if the model ended it.
fn clip_bits(
    checkpoint: &Checkpoint,
    worker: &WorkerHandle,
    spec: &ClipSpec,
    clip: &Clip,
    cancel: &CancelToken,
) -> Result<f64> {
    let request = GenerationRequest::teacher_forced_clip(spec, checkpoint.prompt(spec)?, clip).without_sound();
    let mut bits = 0.0;
    let mut add = |frame: &crate::engine::GeneratedFrame| {
        let rows = frame.logits.iter().flat_map(|logits| logits.rows());
        bits += rows.zip(&frame.codes).map(|(row, token)| surprisal(row, *token)).sum::<f64>();
    };
    let made = worker.generate(request, cancel.clone())?.wait(|event| {
        if let Event::Frame(event) = event {
            add(&event.frame);
        }
    })?;
    made.end_frame.iter().for_each(&mut add);
    if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "The boat, sailed away.";

    fn written() -> Vec<Range<usize>> {
        vec![0..3, 4..9, 10..16, 17..22]
    }

    fn texts(kind: WordProblemKind) -> Vec<String> {
        let whole = Wording { words: (0..4).map(Some).collect() };
        let changes = whole.changes(true).into_iter().filter(|(found, ..)| *found == kind);
        changes.map(|(_, _, wording)| wording.text(TEXT, &written(), "hello")).collect()
    }

    #[test]
    fn a_text_is_changed_by_one_word() {
        let whole = Wording { words: (0..4).map(Some).collect() };
        assert_eq!(whole.text(TEXT, &written(), ""), TEXT);
        let left_out = texts(WordProblemKind::LeftOut);
        assert_eq!(left_out, ["boat, sailed away.", "The sailed away.", "The boat, away.", "The boat, sailed."]);
        assert_eq!(texts(WordProblemKind::Repeated)[3], "The boat, sailed away away.");
        assert_eq!(texts(WordProblemKind::Swapped)[2], "The boat, away sailed.");
        assert_eq!(texts(WordProblemKind::CutOff), ["The.", "The boat,.", "The boat, sailed."][..2]);
        assert_eq!(texts(WordProblemKind::LeakedIn), ["hello The boat, sailed away."]);
    }
}
