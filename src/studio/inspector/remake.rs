//! Takes that are made from the current one.

use std::ops::Range;

use super::{Inspector, InspectorContext};
use crate::data::{Clip, ClipSpec, Edit, FinishReason, Sampling, TakenWords, WordRetake, WordTime, random_seed};
use crate::error::Result;
use crate::studio::comparison::PinKey;
use crate::studio::composer::{ComposerCommand, GroupId, TakeRequest};

/// From the beginning of the first of `numbers` to the end of the last, in seconds.
fn span(words: &[WordTime], numbers: &Range<usize>) -> Option<Range<f64>> {
    let words = words.get(numbers.clone())?;
    Some(words.first()?.start..words.last()?.end)
}

impl Inspector {
    /// Changes the spec of the current take and makes it again.
    fn remake(&self, cx: &mut InspectorContext<'_>, change: impl FnOnce(&mut ClipSpec)) {
        let (Some(parent), Ok(mut spec)) = (self.current.reproducible(), self.current.clip.origin.spec()) else {
            return;
        };
        change(&mut spec);
        let request = TakeRequest { spec, more_seeds: Vec::new(), retake: None, parent, group: None };
        cx.effects.send(ComposerCommand::MakeTakes(Box::new(request)));
    }

    pub(super) fn resume(&self, frame: usize, sampling: Sampling, cx: &mut InspectorContext<'_>) {
        self.remake(cx, |spec| {
            spec.edits.retain(|edit| edit.frame() < frame);
            spec.cut_taken_frames(frame);
            let sampling = Sampling { seed: spec.sampling.seed, ..sampling };
            spec.edits.push(Edit::Sampling { frame, sampling });
        });
    }

    pub(super) fn reseed(&self, frame: usize, cx: &mut InspectorContext<'_>) {
        let Some(seed) = cx.effects.or_notify(random_seed()) else { return };
        self.remake(cx, |spec| {
            spec.edits.retain(|edit| match edit {
                Edit::Token { frame: at, .. } | Edit::Seed { frame: at, .. } | Edit::Frames { frame: at, .. } => {
                    *at < frame
                }
                Edit::Sampling { frame: at, .. } => *at <= frame,
            });
            spec.cut_taken_frames(frame);
            spec.edits.push(Edit::Seed { frame, seed });
        });
    }

    pub(super) fn retake_word(&self, word: usize, takes: usize, cx: &mut InspectorContext<'_>) {
        let clip = &self.current.clip;
        let (Some(parent), Ok(spec), Some(time)) =
            (self.current.reproducible(), clip.origin.spec(), self.current.words.get(word))
        else {
            return;
        };
        let seeds: Result<Vec<u64>> = (0..takes.max(1)).map(|_| random_seed()).collect();
        let Some(mut seeds) = cx.effects.or_notify(seeds) else { return };
        let retake = WordRetake {
            codes: clip.codes.clone(),
            ended: clip.stop == Some(FinishReason::Eos),
            word,
            time: time.start..time.end,
            seed: seeds.remove(0),
            taken: None,
        };
        let group = Some(GroupId::new());
        let request = TakeRequest { spec, more_seeds: seeds, retake: Some(retake), parent, group };
        cx.effects.send(ComposerCommand::MakeTakes(Box::new(request)));
    }

    pub(super) fn take_words(&self, words: Range<usize>, from: &PinKey, cx: &mut InspectorContext<'_>) {
        let (current, pinned) = (&self.current, cx.comparison.pins.get(from));
        let (Some(parent), Ok(spec), Some(pinned)) = (current.reproducible(), current.clip.origin.spec(), pinned)
        else {
            return;
        };
        let (Some(time), Some(other)) = (span(&current.words, &words), span(&pinned.words, &words)) else { return };
        let ended = |clip: &Clip| clip.stop == Some(FinishReason::Eos);
        let taken = TakenWords {
            codes: pinned.clip.codes.clone(),
            ended: ended(&pinned.clip),
            time: other,
            source: from.take().map_or_else(|| pinned.name.clone(), ToString::to_string),
        };
        let retake = WordRetake {
            codes: current.clip.codes.clone(),
            ended: ended(&current.clip),
            word: words.end - 1,
            time,
            seed: spec.sampling.seed,
            taken: Some(taken),
        };
        let request = TakeRequest { spec, more_seeds: Vec::new(), retake: Some(retake), parent, group: None };
        cx.effects.send(ComposerCommand::MakeTakes(Box::new(request)));
    }

    pub(super) fn use_token(&self, frame: usize, codebook: usize, token: u32, cx: &mut InspectorContext<'_>) {
        self.remake(cx, |spec| {
            spec.edits.retain(|edit| match edit {
                Edit::Token { frame: at, codebook: k, .. } => (*at, *k) < (frame, codebook),
                Edit::Sampling { frame: at, .. } | Edit::Seed { frame: at, .. } | Edit::Frames { frame: at, .. } => {
                    *at <= frame
                }
            });
            // Codebooks before this one keep their tokens.
            for (k, token) in spec.cut_taken_frames(frame).into_iter().enumerate().take(codebook) {
                spec.edits.push(Edit::Token { frame, codebook: k, token });
            }
            spec.edits.push(Edit::Token { frame, codebook, token });
        });
    }
}
