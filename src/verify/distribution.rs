//! *distribution*: whether *native* draws from the probabilities it should, and whether this test would notice if not.

use super::{Line, Plan, Results};
use crate::analysis::chi_square::{fit, uniform};
use crate::error::Result;
use crate::mlx;
use crate::sampling::Draw;
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::{softmax, warp};

const VOCAB: usize = 64;
/// Draws a logit set: 2 % of mass moved from one id to another is then some 8 standard deviations.
const DRAWS: usize = 4_000;
/// A p-value of the whole below this fails: once in a thousand runs by chance.
const SIGNIFICANT: f64 = 1e-3;
/// Mass that the wrong sampler moves.
const MOVED: f64 = 0.02;

pub(super) fn check(plan: &Plan, results: &mut Results) -> Result<()> {
    let mut caught = 0;
    for set in 0..plan.logit_sets {
        let (logits, how) = logit_set(set);
        let probabilities: Vec<f64> = softmax(&warp(&logits, how, None)).iter().map(|p| f64::from(*p)).collect();
        let sum: f64 = probabilities.iter().sum();
        let probabilities: Vec<f64> = probabilities.iter().map(|p| p / sum).collect();
        let mut counts = vec![0u64; VOCAB];
        for token in mlx::native_draws(&logits, how, set as u64, DRAWS)? {
            counts[token as usize] += 1;
        }
        results.p_values.extend(fit(&counts, &probabilities).map(|t| t.p));
        let wrong = wrong_counts(&probabilities, set as u64);
        caught += usize::from(fit(&wrong, &probabilities).is_some_and(|t| t.p < 0.01));
    }
    let n = results.p_values.len();
    let even = uniform(&results.p_values);
    let least = results.p_values.iter().copied().fold(1.0, f64::min);
    results.lines.push(Line {
        check: "distribution",
        what: "native's draws, the exact probabilities (chi-square, rare bins pooled)".into(),
        count: format!("{n} logit sets of {DRAWS} draws"),
        result: format!("p-values even: p = {:.3}; least {least:.1e}", even.map_or(1.0, |t| t.p)),
        // The least of n fair p-values is below SIGNIFICANT / n with that probability (Bonferroni).
        passed: even.is_some_and(|t| t.p > SIGNIFICANT) && least > SIGNIFICANT / n as f64,
    });
    results.lines.push(Line {
        check: "distribution",
        what: format!("power: a sampler with {:.0} % of mass moved", 100.0 * MOVED),
        count: format!("{} logit sets", plan.logit_sets),
        result: format!("caught in {:.0} % of the sets at p < 0.01", 100.0 * caught as f64 / plan.logit_sets as f64),
        passed: caught * 10 >= plan.logit_sets * 9,
    });
    Ok(())
}

fn logit_set(set: usize) -> (Vec<f32>, Draw) {
    let mut random = TorchNoise::new(7_000 + set as u64);
    let logits = (0..VOCAB).map(|_| (1.5 * random.next_f64().max(1e-300).ln()) as f32).collect();
    let how = Draw { temperature: [0.6, 0.9, 1.3][set % 3], top_k: [5, 50, VOCAB][set / 3 % 3] };
    (logits, how)
}

/// Counts of a sampler that gives 2 % of all mass from the likeliest id to the least likely one that is kept.
fn wrong_counts(probabilities: &[f64], seed: u64) -> Vec<u64> {
    let kept = || (0..probabilities.len()).filter(|i| probabilities[*i] > 0.0);
    let by_mass = |a: &usize, b: &usize| probabilities[*a].total_cmp(&probabilities[*b]);
    let (most, least) = (kept().max_by(by_mass).expect("kept"), kept().min_by(by_mass).expect("kept"));
    let mut wrong = probabilities.to_vec();
    wrong[most] -= MOVED;
    wrong[least] += MOVED;
    let mut noise = TorchNoise::new(90_000 + seed);
    let mut counts = vec![0; wrong.len()];
    for _ in 0..DRAWS {
        let best = wrong.iter().map(|p| (p / noise.next_f64()) as f32);
        counts[crate::sampling::reference::argmax(best)] += 1;
    }
    counts
}
