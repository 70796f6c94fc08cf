//! The steps of a clip: what each frame was drawn from.

use std::sync::Arc;

use super::statistics::{TokenStats, distributions};
use super::top_ids;
use crate::data::{Codes, Logits, Sampling};
use crate::sampling::reference::softmax;

/// The step that drew one frame: logits, settings, and what follows from them.
#[derive(Clone, Debug)]
pub struct Step {
    /// Logits of the draws, `[K][V]`.
    pub logits: Arc<Logits>,
    /// Settings of the draws.
    pub sampling: Sampling,
    /// Per codebook, whether the range guard changed the token; empty without a guard.
    pub guarded: Vec<bool>,
    /// Statistics of each draw, `[K]`.
    pub stats: Vec<TokenStats>,
    /// The model's probability of id 0 in codebook 0: without it the speech cannot end here.
    pub end_probability: f32,
}

impl Step {
    /// Measures the step that drew `codes`.
    pub fn new(logits: Arc<Logits>, sampling: Sampling, guarded: Vec<bool>, codes: &[u32]) -> Self {
        let stats = TokenStats::measure_frame(&logits, codes, &sampling);
        let end_probability = end_probability(&logits);
        Self { logits, sampling, guarded, stats, end_probability }
    }

    /// The `n` most likely tokens of `codebook`, the last of them replaced by `taken` if that is not among them.
    pub fn candidates(&self, codebook: usize, taken: u32, n: usize) -> Vec<Candidate> {
        candidates(&self.logits, codebook, &self.sampling, taken, n)
    }
}

impl PartialEq for Step {
    /// Statistics follow from the rest.
    fn eq(&self, other: &Self) -> bool {
        (&self.logits, &self.sampling, &self.guarded) == (&other.logits, &other.sampling, &other.guarded)
    }
}

/// The model's probability of id 0 in codebook 0.
pub fn end_probability(logits: &Logits) -> f32 {
    softmax(logits.row(0)).first().copied().unwrap_or(0.0)
}

/// The steps of a clip in the order of its frames; fewer than frames while they are being computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    frames: Vec<Step>,
    /// The probability of the end-of-speech token in the draw that ended the clip, if the model ended it and that draw is known.
    pub end: Option<f32>,
}

impl Steps {
    /// Appends the step of the next frame.
    pub fn push(&mut self, step: Step) {
        self.frames.push(step);
    }

    /// The step of frame `t`.
    pub fn get(&self, t: usize) -> Option<&Step> {
        self.frames.get(t)
    }

    /// All steps in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Step> {
        self.frames.iter()
    }

    /// Number of steps known so far.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no step is known.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether every frame of `codes` has its step.
    pub fn cover(&self, codes: &Codes) -> bool {
        !codes.is_empty() && self.frames.len() == codes.len()
    }

    /// Statistics of every draw, `[T][K]`.
    pub fn stats(&self) -> Vec<Vec<TokenStats>> {
        self.frames.iter().map(|step| step.stats.clone()).collect()
    }

    /// The probability of the end-of-speech token in step `t`; the step after the last is the draw that ended the clip.
    pub fn end_probability(&self, t: usize) -> Option<f32> {
        let ended = || self.end.filter(|_| t == self.frames.len());
        self.get(t).map(|step| step.end_probability).or_else(ended)
    }
}

impl std::ops::Index<usize> for Steps {
    type Output = Step;
    fn index(&self, t: usize) -> &Step {
        &self.frames[t]
    }
}

impl FromIterator<Step> for Steps {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self { frames: steps.into_iter().collect(), end: None }
    }
}

/// A token that a draw could have given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The id of the token.
    pub id: u32,
    /// Its probability in the model's distribution.
    pub model: f32,
    /// Its probability after sampling settings are applied.
    pub sampler: f32,
    /// The model's probability of this token and all more likely ones.
    pub cumulative: f32,
    /// Whether it was drawn.
    pub taken: bool,
}

/// The `n` most likely tokens of `codebook`, the last of them replaced by `taken` if that is not among them.
pub fn candidates(logits: &Logits, codebook: usize, sampling: &Sampling, taken: u32, n: usize) -> Vec<Candidate> {
    let (p, q) = distributions(logits, codebook, sampling);
    let mut ids = top_ids(&p, n.min(p.len()));
    if !ids.contains(&(taken as usize)) {
        ids.pop();
        ids.push(taken as usize);
    }
    let candidate = |id: usize| Candidate {
        id: id as u32,
        model: p[id],
        sampler: q[id],
        cumulative: p.iter().filter(|other| **other >= p[id]).sum(),
        taken: id as u32 == taken,
    };
    ids.into_iter().map(candidate).collect()
}
