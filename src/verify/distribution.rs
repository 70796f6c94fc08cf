//! *distribution*: whether *native* draws from the right probabilities, and whether this test would notice if it did not.

use super::{CheckLine, VerifyConfig, VerifyResults};
use crate::analysis::chi_square::{fit, uniform};
use crate::data::SamplingParams;
use crate::error::Result;
use crate::mlx;
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::{argmax, softmax, warp};

const VOCAB: usize = 64;
/// Draws per logit set: 2 % of mass moved from one id to another is then about 8 standard deviations.
const DRAWS: usize = 4_000;
/// An overall p-value below this fails: once in a thousand runs by chance.
const SIGNIFICANT: f64 = 1e-3;
/// Mass that the wrong sampler moves.
const MOVED: f64 = 0.02;

pub(super) fn check(config: &VerifyConfig, results: &mut VerifyResults) -> Result<()> {
    let mut detected = 0;
    for set in 0..config.logit_sets {
        let (logits, params) = logit_set(set);
        let probabilities: Vec<f64> = softmax(&warp(&logits, params, None)).iter().map(|p| f64::from(*p)).collect();
        let sum: f64 = probabilities.iter().sum();
        let probabilities: Vec<f64> = probabilities.iter().map(|p| p / sum).collect();
        let mut counts = vec![0u64; VOCAB];
        for token in mlx::native_draws(&logits, params, set as u64, DRAWS)? {
            counts[token as usize] += 1;
        }
        results.p_values.extend(fit(&counts, &probabilities).map(|t| t.p));
        let wrong = wrong_counts(&probabilities, set as u64);
        detected += usize::from(fit(&wrong, &probabilities).is_some_and(|t| t.p < 0.01));
    }
    let n = results.p_values.len();
    let uniformity = uniform(&results.p_values);
    let least = results.p_values.iter().copied().fold(1.0, f64::min);
    results.lines.push(CheckLine {
        check: "distribution",
        what: "native's draws, the exact probabilities (chi-square, rare bins pooled)".into(),
        count: format!("{n} logit sets of {DRAWS} draws"),
        result: format!(
            "p-values uniform (chi-square p = {:.3}), smallest {least:.1e}",
            uniformity.map_or(1.0, |t| t.p)
        ),
        // The smallest of n fair p-values is below SIGNIFICANT / n with that probability (Bonferroni).
        passed: uniformity.is_some_and(|t| t.p > SIGNIFICANT) && least > SIGNIFICANT / n as f64,
    });
    results.lines.push(CheckLine {
        check: "distribution",
        what: format!("power: a sampler with {:.0} % of mass moved", 100.0 * MOVED),
        count: format!("{} logit sets", config.logit_sets),
        result: format!(
            "detected in {:.0} % of the sets at p < 0.01",
            100.0 * detected as f64 / config.logit_sets as f64
        ),
        passed: detected * 10 >= config.logit_sets * 9,
    });
    Ok(())
}

fn logit_set(set: usize) -> (Vec<f32>, SamplingParams) {
    let mut random = TorchNoise::new(7_000 + set as u64);
    let logits = (0..VOCAB).map(|_| (1.5 * random.next_f64().max(1e-300).ln()) as f32).collect();
    let params = SamplingParams::new([0.6, 0.9, 1.3][set % 3], [5, 50, VOCAB][set / 3 % 3]);
    (logits, params)
}

/// Counts of a sampler that moves 2 % of all mass from the most likely id to the least likely one that is kept.
fn wrong_counts(probabilities: &[f64], seed: u64) -> Vec<u64> {
    let kept = || (0..probabilities.len()).filter(|i| probabilities[*i] > 0.0);
    let by_mass = |a: &usize, b: &usize| probabilities[*a].total_cmp(&probabilities[*b]);
    let mut wrong = probabilities.to_vec();
    if let (Some(most), Some(least)) = (kept().max_by(by_mass), kept().min_by(by_mass)) {
        wrong[most] -= MOVED;
        wrong[least] += MOVED;
    }
    let mut noise = TorchNoise::new(90_000 + seed);
    let mut counts = vec![0; wrong.len()];
    for _ in 0..DRAWS {
        let best = wrong.iter().map(|p| (p / noise.next_f64()) as f32);
        counts[argmax(best)] += 1;
    }
    counts
}
