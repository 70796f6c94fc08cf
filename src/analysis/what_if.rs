//! Counterfactual tokens of other settings: the same logits and the same noise, another temperature, top-k or range guard. No model is
//! needed. It is exact up to the first token that differs; after that the model would have seen other tokens.

use std::borrow::Borrow;

use crate::data::{Codes, LONGEST_WINDOW, Logits, NoiseSource, Sampling};
use crate::sampling::mlx_noise::{fill_mlx_noise, native_seed};
use crate::sampling::noise::TorchNoise;
use crate::sampling::reference::{penalise, sample_token};

/// Tokens that settings would have drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatIf {
    /// Tokens under the other settings, `[T][K]`.
    pub tokens: Codes,
    /// Frame and codebook of the first one that differs from the clip's.
    pub first: Option<(usize, usize)>,
    /// Number of tokens that differ.
    pub flips: usize,
}

/// Draws every token of a clip again with `settings(frame)` from the noise of that mode for the frame's seed. `given` are the clip's tokens,
/// `logits` those it was drawn from. `None` if `cancelled`, which is asked at every frame.
pub fn what_if(
    given: &Codes,
    logits: &[impl Borrow<Logits>],
    settings: impl Fn(usize) -> Sampling,
    cancelled: impl Fn() -> bool,
) -> Option<WhatIf> {
    let mut answer = WhatIf { tokens: Codes::new(given.codebooks()), ..WhatIf::default() };
    let mut stream: Option<(u64, TorchNoise)> = None;
    for (t, (frame, logits)) in given.frames().zip(logits).enumerate() {
        if cancelled() {
            return None;
        }
        let (sampling, logits) = (settings(t), logits.borrow());
        let vocab = logits.row(0).len();
        let recent = if sampling.penalises_repetition() { given.recent(t, LONGEST_WINDOW) } else { Vec::new() };
        let seed = sampling.seed;
        // The stream continues from frame to frame; another seed starts another stream.
        stream = stream.filter(|(known, _)| *known == seed);
        let mut row = vec![0.0; vocab];
        let mut tokens = Vec::with_capacity(frame.len());
        for (k, logits) in logits.rows().enumerate() {
            match sampling.mode.info().noise {
                NoiseSource::TorchStream => {
                    let begin = || (seed, TorchNoise::at_frame(seed, t, frame.len(), vocab));
                    stream.get_or_insert_with(begin).1.fill(&mut row);
                }
                NoiseSource::MlxKey => fill_mlx_noise(native_seed(seed, t, k), &mut row),
            }
            let params = sampling.params_for(k);
            let penalised = penalise(logits, params, recent.get(k).map_or(&[], Vec::as_slice));
            tokens.push(sample_token(&penalised, params, sampling.guard, &row));
        }
        let differs: Vec<usize> = (0..frame.len()).filter(|k| frame[*k] != tokens[*k]).collect();
        answer.flips += differs.len();
        answer.first = answer.first.or(differs.first().map(|k| (t, *k)));
        answer.tokens.push(&tokens);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype, Mode, RangeGuard, SamplingParams};

    const VOCAB: usize = 50;

    fn logits(frames: usize) -> Vec<Logits> {
        let mut values = TorchNoise::new(1);
        let mut frame = || {
            let mut row = vec![0.0; 3 * VOCAB];
            values.fill(&mut row);
            row.iter_mut().for_each(|l| *l *= 3.0);
            Logits::new(VOCAB, row)
        };
        (0..frames).map(|_| frame()).collect()
    }

    #[test]
    fn the_same_settings_draw_the_same_and_others_flip_what_they_must() {
        let logits = logits(20);
        let made_with = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 20), 7, Dtype::Float32);
        let nothing = Codes::from_frames(vec![vec![0; 3]; 20]).unwrap();
        let clip = what_if(&nothing, &logits, |_| made_with, || false).unwrap().tokens;
        let same = what_if(&clip, &logits, |_| made_with, || false).unwrap();
        assert_eq!((same.flips, same.first, &same.tokens), (0, None, &clip));
        // Every draw is the sampler's own, from that draw's noise.
        let noise = TorchNoise::for_draw(7, 11, 2, 3, VOCAB);
        let drawn = sample_token(logits[11].row(2), made_with.params_for(2), None, &noise);
        assert_eq!(drawn, clip.frame(11)[2]);
        // A guard flips exactly the tokens that it forbids and no other, as the noise is kept.
        let guard = Sampling { guard: RangeGuard::new(1, 9).ok(), ..made_with };
        let guarded = what_if(&clip, &logits, |_| guard, || false).unwrap();
        let forbidden = clip.frames().flatten().filter(|id| (1..=9).contains(*id)).count();
        assert!(guarded.flips >= forbidden && forbidden > 0, "{} of {forbidden}", guarded.flips);
        assert!(guarded.tokens.frames().flatten().all(|id| !(1..=9).contains(id)));
        let (t, k) = guarded.first.unwrap();
        assert_eq!((clip.prefix(t), &clip.frame(t)[..k]), (guarded.tokens.prefix(t), &guarded.tokens.frame(t)[..k]));
        assert_eq!(what_if(&clip, &logits, |_| guard, || true), None);
    }

    #[test]
    fn another_seed_from_a_frame_on_has_its_own_noise_there() {
        let logits = logits(6);
        let seeded = |seed| Sampling::new(Mode::Exact, SamplingParams::new(1.0, VOCAB), seed, Dtype::Float32);
        let nothing = Codes::from_frames(vec![vec![0; 3]; 6]).unwrap();
        let first = what_if(&nothing, &logits, |_| seeded(1), || false).unwrap().tokens;
        let other = what_if(&nothing, &logits, |_| seeded(2), || false).unwrap().tokens;
        let both = what_if(&nothing, &logits, |t| seeded(if t < 3 { 1 } else { 2 }), || false).unwrap().tokens;
        assert_eq!(both.prefix(3), first.prefix(3));
        assert_eq!((both.frame(3), both.frame(5)), (other.frame(3), other.frame(5)));
    }
}
