//! The reference sampler on plain slices: transformers' warpers and PyTorch's `multinomial`, in float32, written to be read.
//! The engines' tensor forms are tested against it; analysis and what-if questions use it directly.

use super::{Draw, Guard};

/// Logits as the draw sees them: divided by the temperature, forbidden ids and all strictly below the k-th largest at -inf.
/// The guard comes before top-k, so that k allowed ids remain. Ties at the k-th place stay, as in transformers'
/// `TopKLogitsWarper`. At temperature 0 only the guard applies.
pub fn warp(logits: &[f32], draw: Draw, guard: Option<Guard>) -> Vec<f32> {
    let mut out: Vec<f32> = logits.to_vec();
    if draw.temperature > 0.0 {
        out.iter_mut().for_each(|l| *l /= draw.temperature as f32);
    }
    if let Some(guard) = guard {
        for (id, l) in out.iter_mut().enumerate() {
            if guard.forbids(id as u32) {
                *l = f32::NEG_INFINITY;
            }
        }
    }
    if draw.temperature > 0.0 && draw.top_k < out.len() {
        let kth = kth_largest(&out, draw.top_k);
        out.iter_mut().filter(|l| **l < kth).for_each(|l| *l = f32::NEG_INFINITY);
    }
    out
}

/// The k-th largest of `values`, 1 being the largest.
///
/// # Panics
/// Where k is 0 or above the number of values.
pub fn kth_largest(values: &[f32], k: usize) -> f32 {
    let mut sorted = values.to_vec();
    let (_, kth, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    *kth
}

/// Probabilities of logits, in float32: `exp(l - max)` over their sum. Ids at -inf get 0.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut p: Vec<f32> = logits.iter().map(|l| (l - max).exp()).collect();
    let sum: f64 = p.iter().map(|p| f64::from(*p)).sum();
    p.iter_mut().for_each(|p| *p = (f64::from(*p) / sum) as f32);
    p
}

/// Index of the largest value, the first of equals.
pub fn argmax(values: impl IntoIterator<Item = f32>) -> usize {
    let best = values
        .into_iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, v)| if v > best.1 { (i, v) } else { best });
    best.0
}

/// PyTorch's `multinomial(p, 1)`: `argmax(p / q)` with exponential noise q, one value an id. Ids with p = 0 are never drawn.
pub fn race(probabilities: &[f32], noise: &[f32]) -> usize {
    argmax(probabilities.iter().zip(noise).map(|(p, q)| p / q))
}

/// The same draw in its other form: `-ln q` is Gumbel noise, and `argmax(l - ln q)` the Gumbel-max trick (Gumbel 1954).
pub fn gumbel_max(warped: &[f32], noise: &[f32]) -> usize {
    argmax(warped.iter().zip(noise).map(|(l, q)| (f64::from(*l) - f64::from(*q).ln()) as f32))
}

/// One token: greedy at temperature 0, else warp, softmax, race.
pub fn draw(logits: &[f32], draw: Draw, guard: Option<Guard>, noise: &[f32]) -> u32 {
    let warped = warp(logits, draw, guard);
    let token = if draw.temperature == 0.0 { argmax(warped.iter().copied()) } else { race(&softmax(&warped), noise) };
    token as u32
}

#[cfg(test)]
mod tests {
    use super::super::noise::TorchNoise;
    use super::*;

    const DRAW: Draw = Draw { temperature: 0.9, top_k: 3 };

    #[test]
    fn ties_at_the_kth_place_stay() {
        let warped = warp(&[1.0, 2.0, 1.0, 3.0, 0.5], DRAW, None);
        let kept: Vec<usize> = (0..5).filter(|i| warped[*i].is_finite()).collect();
        assert_eq!(kept, [0, 1, 2, 3]);
    }

    #[test]
    fn the_guard_comes_before_top_k() {
        let warped = warp(&[5.0, 4.0, 3.0, 2.0, 1.0], DRAW, Some(Guard::new(1, 2).unwrap()));
        let kept: Vec<usize> = (0..5).filter(|i| warped[*i].is_finite()).collect();
        assert_eq!(kept, [0, 3, 4]);
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
            let warped = warp(&logits, Draw { temperature: 0.7, top_k: 20 }, None);
            differ += usize::from(race(&softmax(&warped), &q) != gumbel_max(&warped, &q));
        }
        // Rounding could part them where two scores agree to 1e-6; among these draws none comes so close.
        assert_eq!(differ, 0);
    }
}
