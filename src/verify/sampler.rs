//! *sampler*: the same draw computed four ways from the same logits and noise: our reference, MLX's graph, PyTorch's `multinomial` behind
//! transformers' warpers, and the original `sample_topk`.

use super::{CheckLine, VerifyConfig, VerifyResults};
use crate::data::SamplingParams;
use crate::error::Result;
use crate::mlx;
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::{kth_largest, sample_token, softmax, warp};
use crate::sampling::warp::Cut;
use crate::torch::sampling as torch;

const TEMPERATURES: [f64; 7] = [0.1, 0.3, 0.6, 0.9, 1.0, 1.5, 2.0];
const TOP_K: [usize; 4] = [1, 5, 50, usize::MAX];
/// Top-p and min-p of the draws.
const P: [(f64, f64); 4] = [(1.0, 0.0), (0.9, 0.0), (1.0, 0.05), (0.7, 0.02)];
/// Draws per graph of MLX.
const BATCH: usize = 200;

struct Case {
    logits: Vec<f32>,
    params: SamplingParams,
    seed: u64,
    noise: Vec<f32>,
}

pub(super) fn check(config: &VerifyConfig, vocab: usize, results: &mut VerifyResults) -> Result<()> {
    let names = ["our reference", "MLX's graph", "the original sample_topk"];
    let mut unequal = [0; 3];
    let mut unexplained = [0; 3];
    let mut done = 0;
    while done < config.draws {
        let cases: Vec<Case> = (done..(done + BATCH).min(config.draws)).map(|n| case(n, vocab)).collect();
        let graph: Vec<(&[f32], SamplingParams, &[f32])> =
            cases.iter().map(|c| (&c.logits[..], c.params, &c.noise[..])).collect();
        let in_graph = mlx::exact_draws(&graph)?;
        for (n, (case, mlx_token)) in cases.iter().zip(in_graph).enumerate() {
            torch::seed(case.seed);
            let theirs = torch::multinomial(&case.logits, case.params, None)?;
            torch::seed(case.seed);
            let original = torch::original_sample_topk(&case.logits, case.params)?;
            let reference = sample_token(&case.logits, case.params, None, &case.noise);
            for (i, ours) in [reference, mlx_token, original].into_iter().enumerate() {
                if ours != theirs {
                    unequal[i] += 1;
                    let (margin, bound) = margin(case, ours, theirs);
                    unexplained[i] += usize::from(margin > bound);
                    let verdict = if margin > bound { "UNEXPLAINED" } else { "explained" };
                    results.disagreements.push(format!(
                        "draw {}: {} draws {ours}, multinomial {theirs}; margin {margin:.1e}, rounding bound {bound:.1e}: {verdict}",
                        done + n, names[i]
                    ));
                }
            }
        }
        done += cases.len();
    }
    for (i, name) in names.into_iter().enumerate() {
        results.lines.push(CheckLine {
            check: "sampler",
            what: format!("{name}, PyTorch's multinomial"),
            count: format!("{done} draws"),
            result: format!("{} differ, {} unexplained", unequal[i], unexplained[i]),
            passed: unexplained[i] == 0,
        });
    }
    Ok(())
}

/// Draw `n` of a fixed list that cycles through vocabularies, temperatures, top-k, kinds of logits, top-p and min-p.
fn case(n: usize, vocab: usize) -> Case {
    let v = [vocab, 67, 2_051][n % 3];
    let seed = 1_000_000 + n as u64;
    let mut random = TorchNoise::new(seed ^ 0x5eed_0000);
    // A logistic variate of width 2.5: the log of a ratio of two exponentials.
    let mut logits: Vec<f32> =
        (0..v).map(|_| (2.5 * (random.next_f64().max(1e-300) / random.next_f64().max(1e-300)).ln()) as f32).collect();
    let (temperature, top_k) = (TEMPERATURES[n / 3 % TEMPERATURES.len()], TOP_K[n / 21 % TOP_K.len()].min(v));
    let (top_p, min_p) = P[n / 420 % P.len()];
    let params = SamplingParams { top_p, min_p, ..SamplingParams::new(temperature, top_k) };
    distort(&mut logits, n / 84 % 5, params.top_k);
    let mut noise = vec![0.0; v];
    TorchNoise::new(seed).fill(&mut noise);
    Case { logits, params, seed, noise }
}

/// Kinds of logits: unchanged, ties at the k-th place, -inf, huge, denormal.
fn distort(logits: &mut [f32], kind: usize, k: usize) {
    match kind {
        1 => {
            let kth = kth_largest(logits, k);
            logits.iter_mut().step_by(7).for_each(|l| *l = kth);
        }
        2 => logits.iter_mut().step_by(3).for_each(|l| *l = f32::NEG_INFINITY),
        3 => logits.iter_mut().for_each(|l| *l *= 1e30),
        4 => logits.iter_mut().for_each(|l| *l *= 1e-40),
        _ => {}
    }
}

/// By how much `b` beats `a` in the log-score `l - ln q`, and how much rounding can change that. Temperature and top-k round
/// alike everywhere; `l - max` is rounded once, relative to its size, and exp, sum, quotients add at most six units more; for
/// two candidates in two implementations.
fn margin(case: &Case, a: u32, b: u32) -> (f64, f64) {
    let warped = warp(&case.logits, case.params, None);
    let probabilities = softmax(&warped);
    let max = f64::from(warped.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let unit = f64::from(f32::EPSILON) / 2.0;
    if let Some(border) = border(&case.logits, case.params, &warped, [a, b]) {
        return (border, 8.0 * unit);
    }
    let score = |id: u32| f64::from(probabilities[id as usize]).ln() - f64::from(case.noise[id as usize]).ln();
    let depth = |id: u32| (max - f64::from(warped[id as usize])).abs();
    ((score(b) - score(a)).abs(), 4.0 * (depth(a).max(depth(b)) + 6.0) * unit)
}

/// How close the mass of one of `ids` is to the border of top-p or min-p, relative to the whole, where exactly one of them is cut: the
/// softmax that these cuts compare is rounded differently in two implementations.
fn border(logits: &[f32], params: SamplingParams, warped: &[f32], ids: [u32; 2]) -> Option<f64> {
    let [a, b] = ids.map(|id| warped[id as usize].is_finite());
    let id = ids[usize::from(a)] as usize;
    let before = warp(logits, SamplingParams { top_p: 1.0, min_p: 0.0, ..params }, None);
    if a == b || !before[id].is_finite() {
        return None;
    }
    let probabilities = softmax(&before);
    let up_to: f64 = probabilities.iter().filter(|p| **p <= probabilities[id]).map(|p| f64::from(*p)).sum();
    let largest = f64::from(probabilities.iter().copied().fold(0.0, f32::max));
    let distances =
        [(Cut::TopP, up_to - (1.0 - params.top_p)), (Cut::MinP, f64::from(probabilities[id]) / largest - params.min_p)];
    let active = distances.into_iter().filter(|(cut, _)| cut.is_active(params, logits.len()));
    active.map(|(_, distance)| distance.abs()).min_by(f64::total_cmp)
}
