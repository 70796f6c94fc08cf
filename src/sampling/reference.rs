//! The reference sampler on plain slices: transformers' warpers and PyTorch's `multinomial`, in float32. The engines are tested
//! against it; the analysis uses it directly.

use std::borrow::Cow;
use std::convert::Infallible;

use super::warp::{Cut, LogitOps, warp as warp_with};
use crate::data::{RangeGuard, SamplingParams};

/// Arithmetic on plain vectors.
struct Plain;

impl LogitOps for Plain {
    type Row = Vec<f32>;
    type Scalar = f32;
    type Error = Infallible;

    fn divide(&self, mut logits: Vec<f32>, divisor: f64) -> Result<Vec<f32>, Infallible> {
        logits.iter_mut().for_each(|l| *l /= divisor as f32);
        Ok(logits)
    }

    fn mask(&self, mut logits: Vec<f32>, mask: Vec<bool>) -> Result<Vec<f32>, Infallible> {
        logits.iter_mut().zip(mask).filter(|(_, masked)| *masked).for_each(|(l, _)| *l = f32::NEG_INFINITY);
        Ok(logits)
    }

    fn kth_largest(&self, logits: &Vec<f32>, k: usize) -> Result<f32, Infallible> {
        Ok(kth_largest(logits, k))
    }

    fn top_p_floor(&self, logits: &Vec<f32>, top_p: f64) -> Result<f32, Infallible> {
        let mut sorted = logits.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        // PyTorch's cumsum adds in float64 and stores float32.
        let mut sum = 0.0;
        let removed = softmax(&sorted).into_iter().take_while(|p| {
            sum += f64::from(*p);
            sum as f32 <= (1.0 - top_p) as f32
        });
        Ok(sorted[removed.count().min(sorted.len() - 1)])
    }

    fn min_p_floor(&self, logits: &Vec<f32>, min_p: f64) -> Result<f32, Infallible> {
        let probabilities = softmax(logits);
        let least = min_p as f32 * probabilities.iter().copied().fold(0.0, f32::max);
        let kept = logits.iter().zip(&probabilities).filter(|(_, p)| **p >= least);
        Ok(kept.map(|(l, _)| *l).fold(f32::INFINITY, f32::min))
    }

    fn mask_below(&self, mut logits: Vec<f32>, floor: f32) -> Result<Vec<f32>, Infallible> {
        logits.iter_mut().filter(|l| **l < floor).for_each(|l| *l = f32::NEG_INFINITY);
        Ok(logits)
    }
}

/// Logits `[V]` after the repetition penalty, which comes before everything else: those of the `recent` tokens, the last one first, that are in
/// the window are divided by the penalty if positive, else multiplied, each once (transformers' `RepetitionPenaltyLogitsProcessor`; Keskar et al.
/// 2019).
pub fn penalise<'a>(logits: &'a [f32], params: SamplingParams, recent: &[u32]) -> Cow<'a, [f32]> {
    let tokens = params.penalised(recent);
    if tokens.is_empty() {
        return Cow::Borrowed(logits);
    }
    let penalty = params.repetition_penalty as f32;
    let mut changed = logits.to_vec();
    for id in tokens {
        if let (Some(new), Some(old)) = (changed.get_mut(*id as usize), logits.get(*id as usize)) {
            *new = if *old < 0.0 { old * penalty } else { old / penalty };
        }
    }
    Cow::Owned(changed)
}

/// Logits `[V]` as the draw sees them; see [`super::warp::warp`].
pub fn warp(logits: &[f32], params: SamplingParams, guard: Option<RangeGuard>) -> Vec<f32> {
    let Ok(warped) = warp_with(&Plain, logits.to_vec(), logits.len(), params, guard);
    warped
}

/// The smallest of `logits` `[V]`, divided by the temperature, that `cut` keeps after the cuts before it; `None` if these settings cut
/// nothing.
pub fn floor(cut: Cut, logits: &[f32], params: SamplingParams) -> Option<f32> {
    if !cut.is_active(params, logits.len()) {
        return None;
    }
    let Ok(mut row) = Plain.divide(logits.to_vec(), params.temperature);
    for before in Cut::ALL.into_iter().take_while(|before| *before != cut) {
        if before.is_active(params, logits.len()) {
            let Ok(floor) = before.floor(&Plain, &row, params);
            let Ok(cut) = Plain.mask_below(row, floor);
            row = cut;
        }
    }
    let Ok(floor) = cut.floor(&Plain, &row, params);
    Some(floor)
}

/// The k-th largest of `values`, 1 being the largest.
///
/// # Panics
/// Where k is 0 or exceeds the number of values.
pub fn kth_largest(values: &[f32], k: usize) -> f32 {
    let mut sorted = values.to_vec();
    let (_, kth, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    *kth
}

/// Probabilities of logits, `exp(l - max)` over their sum, in float32. Ids at -inf get 0.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut p: Vec<f32> = logits.iter().map(|l| (l - max).exp()).collect();
    let sum: f64 = p.iter().map(|p| f64::from(*p)).sum();
    p.iter_mut().for_each(|p| *p = (f64::from(*p) / sum) as f32);
    p
}

/// Index of the largest value, the first of equals.
pub fn argmax(values: impl IntoIterator<Item = f32>) -> usize {
    let larger = |best: (usize, f32), (i, v): (usize, f32)| if v > best.1 { (i, v) } else { best };
    values.into_iter().enumerate().fold((0, f32::NEG_INFINITY), larger).0
}

/// PyTorch's `multinomial(p, 1)`: `argmax(p / q)` with one exponential value q per id (an exponential race, which is the Gumbel-max
/// trick in another form). Ids with p = 0 are never drawn.
pub fn exponential_race(probabilities: &[f32], noise: &[f32]) -> usize {
    argmax(probabilities.iter().zip(noise).map(|(p, q)| p / q))
}

/// Draws as [`exponential_race`] does, from log scores: -ln q is Gumbel noise, and `argmax(l - ln q)` the Gumbel-max trick (Gumbel 1954).
pub fn gumbel_max(warped: &[f32], noise: &[f32]) -> usize {
    argmax(warped.iter().zip(noise).map(|(l, q)| (f64::from(*l) - f64::from(*q).ln()) as f32))
}

/// Draws one token: the most likely one where the draw is greedy, else warp, softmax, race.
pub fn sample_token(logits: &[f32], params: SamplingParams, guard: Option<RangeGuard>, noise: &[f32]) -> u32 {
    let warped = warp(logits, params, guard);
    let token =
        if params.is_greedy() { argmax(warped.iter().copied()) } else { exponential_race(&softmax(&warped), noise) };
    token as u32
}

#[cfg(test)]
mod tests {
    use super::super::noise::TorchNoise;
    use super::*;

    fn kept(warped: &[f32]) -> Vec<usize> {
        (0..warped.len()).filter(|i| warped[*i].is_finite()).collect()
    }

    #[test]
    fn ties_at_the_kth_place_stay() {
        let warped = warp(&[1.0, 2.0, 1.0, 3.0, 0.5], SamplingParams::new(0.9, 3), None);
        assert_eq!(kept(&warped), [0, 1, 2, 3]);
    }

    #[test]
    fn the_guard_comes_before_top_k() {
        let guard = RangeGuard::new(1, 2).unwrap();
        let warped = warp(&[5.0, 4.0, 3.0, 2.0, 1.0], SamplingParams::new(0.9, 3), Some(guard));
        assert_eq!(kept(&warped), [0, 3, 4]);
    }

    #[test]
    fn top_p_keeps_the_token_that_reaches_the_sum_and_min_p_its_equals() {
        let logits = [0.5f32, 0.25, 0.125, 0.125].map(f32::ln);
        let kept_by =
            |top_p, min_p| kept(&warp(&logits, SamplingParams { top_p, min_p, ..SamplingParams::new(1.0, 4) }, None));
        assert_eq!(kept_by(0.6, 0.0), [0, 1]);
        assert_eq!(kept_by(0.8, 0.0), [0, 1, 2, 3], "tokens as likely as the last one stay");
        assert_eq!(kept_by(0.0, 0.0), [0], "the most likely token is never cut");
        assert_eq!(kept_by(1.0, 0.4), [0, 1]);
        assert_eq!(kept_by(1.0, 1.0), [0]);
        // Top-p sums what top-k left over.
        let after_top_k = SamplingParams { top_p: 0.65, ..SamplingParams::new(1.0, 2) };
        assert_eq!(kept(&warp(&logits, after_top_k, None)), [0]);
        assert_eq!(floor(Cut::TopP, &logits, after_top_k), Some(logits[0]));
    }

    #[test]
    fn a_penalty_makes_tokens_of_the_window_less_likely_once() {
        let params = SamplingParams { repetition_penalty: 2.0, repetition_window: 3, ..SamplingParams::new(1.0, 4) };
        let logits = [4.0, -1.0, 3.0, 0.5];
        assert_eq!(*penalise(&logits, params, &[0, 0, 1, 2]), [2.0, -2.0, 3.0, 0.5]);
        assert_eq!(*penalise(&logits, params, &[]), logits);
        assert_eq!(*penalise(&logits, SamplingParams::new(1.0, 4), &[0, 1]), logits);
    }

    #[test]
    fn tiny_temperatures_are_greedy() {
        for temperature in [0.0, f64::MIN_POSITIVE, 1e-300, 1e-45, 1e-38] {
            let params = SamplingParams::new(temperature, 4);
            assert_eq!(
                sample_token(&[1.0, 3.0, 2.0, -80.0], params, None, &[1e-9, 1.0, 1e-9, 1e-9]),
                1,
                "{temperature}"
            );
        }
    }

    #[test]
    fn race_and_gumbel_max_agree() {
        let mut noise = TorchNoise::new(3);
        let (mut q, mut logits) = (vec![0.0; 64], vec![0.0; 64]);
        let mut differ = 0;
        for _ in 0..2_000 {
            noise.fill(&mut logits);
            logits.iter_mut().for_each(|l| *l *= 4.0);
            noise.fill(&mut q);
            let warped = warp(&logits, SamplingParams::new(0.7, 20), None);
            differ += usize::from(exponential_race(&softmax(&warped), &q) != gumbel_max(&warped, &q));
        }
        // Rounding could separate them where two scores agree to 1e-6; none of these draws comes so close.
        assert_eq!(differ, 0);
    }
}
