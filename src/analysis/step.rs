//! Measures of one draw: before the sampler (the model's own distribution) and after it (what the token was drawn from).

use serde::Serialize;

use super::entropy;
use crate::sampling::reference::{argmax, softmax, warp};
use crate::sampling::{Draw, Guard};

/// One distribution and the token that was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Entropy, bits: 0 to log2 V.
    pub entropy: f64,
    /// Perplexity `2^entropy`: how many equally likely ids would be as uncertain, 1 to V.
    pub perplexity: f64,
    /// Probability of the token, 0 to 1.
    pub probability: f64,
    /// Surprisal of the token, `-log2 p`, bits; infinite where it has no mass.
    pub surprisal: f64,
    /// Rank of the token, 1 the most likely; ids of equal probability share the better rank.
    pub rank: usize,
}

impl Measures {
    /// Of the distribution `p` and `token`, an index into it.
    pub fn of(p: &[f32], token: usize) -> Self {
        let entropy = entropy(p);
        let probability = f64::from(p[token]);
        Self {
            entropy,
            perplexity: entropy.exp2(),
            probability,
            surprisal: if probability == 1.0 { 0.0 } else { -probability.log2() },
            rank: 1 + p.iter().filter(|other| **other > p[token]).count(),
        }
    }
}

/// One draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Of softmax(logits): temperature 1, nothing cut.
    pub raw: Measures,
    /// Of what the sampler drew from: temperature, guard and top-k applied.
    pub sampled: Measures,
    /// Mass of the raw distribution on the ids that the sampler kept, 0 to 1.
    pub kept_mass: f64,
    /// Ids that the sampler kept, 1 to V.
    pub survivors: usize,
}

impl Step {
    /// Of `logits` `[V]`, the token taken and the settings it was taken with.
    pub fn of(logits: &[f32], token: u32, how: Draw, guard: Option<Guard>) -> Self {
        let (raw, sampled) = distributions(logits, how, guard);
        let kept = raw.iter().zip(&sampled).filter(|(_, s)| **s > 0.0);
        Self {
            raw: Measures::of(&raw, token as usize),
            sampled: Measures::of(&sampled, token as usize),
            kept_mass: kept.map(|(r, _)| f64::from(*r)).sum::<f64>().min(1.0),
            survivors: sampled.iter().filter(|s| **s > 0.0).count(),
        }
    }
}

/// Probabilities `[V]` before the sampler and after it. Greedy (temperature 0) leaves all mass on the most likely id.
pub fn distributions(logits: &[f32], how: Draw, guard: Option<Guard>) -> (Vec<f32>, Vec<f32>) {
    let warped = warp(logits, how, guard);
    let sampled = if how.temperature == 0.0 {
        let mut one = vec![0.0; logits.len()];
        one[argmax(warped.iter().copied())] = 1.0;
        one
    } else {
        softmax(&warped)
    };
    (softmax(logits), sampled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_distribution_has_log2_v_bits() {
        let step = Step::of(&[0.0; 8], 3, Draw { temperature: 0.5, top_k: 8 }, None);
        assert_eq!((step.raw.entropy, step.raw.perplexity, step.raw.surprisal, step.raw.rank), (3.0, 8.0, 3.0, 1));
        assert_eq!((step.survivors, step.kept_mass), (8, 1.0));
    }

    #[test]
    fn the_sampler_keeps_what_it_keeps() {
        let logits = [4.0f32.ln(), 2.0f32.ln(), 1.0f32.ln(), 1.0f32.ln()];
        let step = Step::of(&logits, 1, Draw { temperature: 1.0, top_k: 2 }, None);
        assert_eq!((step.survivors, step.raw.rank, step.sampled.rank), (2, 2, 2));
        assert!((step.kept_mass - 0.75).abs() < 1e-6 && (step.sampled.probability - 1.0 / 3.0).abs() < 1e-6);
        assert!((step.raw.surprisal - 2.0).abs() < 1e-6);
        let guarded = Step::of(&logits, 1, Draw { temperature: 1.0, top_k: 4 }, Some(Guard::new(1, 1).unwrap()));
        assert_eq!((guarded.survivors, guarded.sampled.surprisal), (3, f64::INFINITY));
    }

    #[test]
    fn greedy_is_certain() {
        let step = Step::of(&[1.0, 2.0], 1, Draw { temperature: 0.0, top_k: 1 }, None);
        assert_eq!((step.sampled.entropy, step.sampled.surprisal, step.survivors), (0.0, 0.0, 1));
    }
}
