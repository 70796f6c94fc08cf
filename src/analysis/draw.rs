//! One draw as it is drawn: its candidates, the mass by rank, and its probabilities as a stack.

use super::statistics::distributions;
use super::steps::{Candidate, candidates};
use super::top_ids;
use crate::data::{Logits, Sampling};

/// The candidates of a draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawDistribution {
    /// The most likely tokens, the drawn one among them.
    pub candidates: Vec<Candidate>,
    /// The number of all other tokens.
    pub others: usize,
    /// The probability of all other tokens together, before and after sampling settings.
    pub others_mass: (f32, f32),
    /// The model's probability of the tokens up to each rank, from rank 1, `[V]`.
    pub cumulative: Vec<f32>,
    /// Tokens that could be drawn.
    pub kept: usize,
    /// The model's probability of the tokens that could be drawn.
    pub kept_mass: f32,
}

/// The draw of `codebook` that gave `taken`, with its `n` most likely tokens.
pub fn draw_distribution(
    logits: &Logits,
    codebook: usize,
    sampling: &Sampling,
    taken: u32,
    n: usize,
) -> DrawDistribution {
    let (p, q) = distributions(logits, codebook, sampling);
    let candidates = candidates(logits, codebook, sampling, taken, n);
    let listed = |of: fn(&Candidate) -> f32| candidates.iter().map(of).sum::<f32>();
    let others_mass = ((1.0 - listed(|c| c.model)).max(0.0), (1.0 - listed(|c| c.sampler)).max(0.0));
    let mut sorted = p.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let cumulative = sorted.iter().map(|p| {
        sum += p;
        sum
    });
    DrawDistribution {
        others: p.len() - candidates.len(),
        others_mass,
        cumulative: cumulative.collect(),
        kept: q.iter().filter(|q| **q > 0.0).count(),
        kept_mass: p.iter().zip(&q).filter(|(_, q)| **q > 0.0).map(|(p, _)| p).sum(),
        candidates,
    }
}

/// The probabilities of a draw after sampling settings, the most likely first, as a stack of height 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbabilityStack {
    /// Probabilities of the most likely tokens.
    pub shares: Vec<f32>,
    /// The probability of all more likely tokens than the drawn one, and that of the drawn one.
    pub taken: (f32, f32),
}

/// The stack of the draw of `codebook` that gave `taken`, with at most `n` shares.
pub fn probability_stack(
    logits: &Logits,
    codebook: usize,
    sampling: &Sampling,
    taken: u32,
    n: usize,
) -> ProbabilityStack {
    let (_, q) = distributions(logits, codebook, sampling);
    let share = q.get(taken as usize).copied().unwrap_or(0.0);
    // With equal probabilities the smaller id comes first, as in the shares.
    let above = |(id, other): &(usize, &f32)| **other > share || (**other == share && *id < taken as usize);
    let below = q.iter().enumerate().filter(above).map(|(_, other)| other).sum();
    let shares = top_ids(&q, n.min(q.len())).into_iter().map(|id| q[id]).filter(|share| *share > 0.0).collect();
    ProbabilityStack { shares, taken: (below, share) }
}

/// Surprisal of `token` in bits under the logits `row`: `-log2` of their softmax, before temperature and top-k.
pub fn surprisal(row: &[f32], token: u32) -> f64 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|value| f64::from(value - largest).exp()).sum();
    (sum.ln() - f64::from(row.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY) - largest))
        / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype, Mode, SamplingParams};

    fn sampling(top_k: usize) -> Sampling {
        Sampling::new(Mode::Exact, SamplingParams::new(1.0, top_k), 0, Dtype::Float32)
    }

    #[test]
    fn surprisal_is_that_of_the_softmax() {
        assert!((surprisal(&[0.0; 8], 3) - 3.0).abs() < 1e-12);
        assert!((surprisal(&[0.0, 3.0f32.ln()], 1) - (4.0f64 / 3.0).log2()).abs() < 1e-6);
        assert_eq!(surprisal(&[0.0, f32::NEG_INFINITY], 1), f64::INFINITY);
    }

    #[test]
    fn the_parts_of_a_draw_are_the_whole() {
        let logits = Logits::new(6, [0.05f32, 0.4, 0.1, 0.25, 0.15, 0.05].map(f32::ln).to_vec());
        let draw = draw_distribution(&logits, 0, &sampling(3), 4, 2);
        assert_eq!(draw.candidates.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 4], "the drawn one is listed");
        assert_eq!((draw.others, draw.kept), (4, 3));
        let listed: f32 = draw.candidates.iter().map(|c| c.model).sum();
        assert!((listed + draw.others_mass.0 - 1.0).abs() < 1e-6 && (draw.kept_mass - 0.8).abs() < 1e-6);
        assert_eq!(draw.cumulative.len(), 6);
        assert!((draw.cumulative[1] - 0.65).abs() < 1e-6 && (draw.cumulative[5] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_drawn_token_has_its_place_in_the_stack() {
        let logits = Logits::new(4, [0.1f32, 0.4, 0.3, 0.2].map(f32::ln).to_vec());
        let stack = probability_stack(&logits, 0, &sampling(4), 2, 8);
        let expected = [0.4, 0.3, 0.2, 0.1];
        assert!(stack.shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6) && stack.shares.len() == 4);
        assert!((stack.taken.0 - 0.4).abs() < 1e-6 && (stack.taken.1 - 0.3).abs() < 1e-6);
        let cut = probability_stack(&logits, 0, &sampling(2), 2, 8);
        assert_eq!(cut.shares.len(), 2, "what cannot be drawn has no share");
        assert!((cut.taken.0 + cut.taken.1 - 1.0).abs() < 1e-6);
    }
}
