//! Whether a clip's tokens are what its sampler's distributions lead one to expect.

use super::statistics::Stat;
use super::steps::Steps;

/// Draws by the rank of their token in the model's distribution: 1, 2, 3 to 4, 5 to 8, and so on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RankHistogram {
    /// Number of draws in each class.
    pub counts: Vec<usize>,
}

impl RankHistogram {
    /// Counts the draws of all codebooks.
    pub fn measure(steps: &Steps) -> Self {
        let mut counts = Vec::new();
        for stats in steps.iter().flat_map(|step| &step.stats) {
            let class = stats[Stat::Rank].max(1.0).log2().ceil() as usize;
            if counts.len() <= class {
                counts.resize(class + 1, 0);
            }
            counts[class] += 1;
        }
        Self { counts }
    }

    /// The ranks of a class, in words: "1", "2", "3–4".
    pub fn label(class: usize) -> String {
        match class {
            0 => "1".into(),
            1 => "2".into(),
            n => format!("{}–{}", (1 << (n - 1)) + 1, 1 << n),
        }
    }

    /// The share of a class, 0 to 1.
    pub fn share(&self, class: usize) -> f64 {
        self.counts[class] as f64 / self.counts.iter().sum::<usize>().max(1) as f64
    }
}

/// Surprisal of a codebook's tokens against its expectation: if tokens were drawn from the sampler's distribution, the mean of their
/// surprisal there is its mean entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Mean entropy of the sampler's distributions, in bits.
    pub expected: f64,
    /// Mean surprisal of the tokens in them, in bits.
    pub found: f64,
    /// 1.96 standard errors of the mean difference, in bits.
    pub interval: f64,
}

impl Calibration {
    /// Measures each codebook; `None` for one without a draw of finite surprisal.
    pub fn measure(steps: &Steps) -> Vec<Option<Self>> {
        let codebooks = steps.get(0).map_or(0, |step| step.stats.len());
        let of_codebook = |k: usize| {
            let draws =
                steps.iter().map(|step| (step.stats[k][Stat::SampledEntropy], step.stats[k][Stat::SampledSurprisal]));
            let draws: Vec<(f64, f64)> = draws.filter(|(_, surprisal)| surprisal.is_finite()).collect();
            let n = draws.len() as f64;
            let expected = draws.iter().map(|(entropy, _)| entropy).sum::<f64>() / n;
            let found = draws.iter().map(|(_, surprisal)| surprisal).sum::<f64>() / n;
            let variance =
                draws.iter().map(|(e, s)| (s - e - (found - expected)).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
            (n > 0.0).then_some(Self { expected, found, interval: 1.96 * (variance / n).sqrt() })
        };
        (0..codebooks).map(of_codebook).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::analysis::steps::Step;
    use crate::data::{Dtype, Logits, Mode, RepeatableRandom, Sampling, SamplingParams};
    use crate::sampling::reference::softmax;

    #[test]
    fn ranks_are_counted_in_classes_that_double() {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(1.0, 16), 0, Dtype::Float32);
        let logits = Arc::new(Logits::new(16, (0..16).map(|id| -(id as f32)).collect()));
        let steps: Steps = [0, 0, 1, 2, 3, 4, 15]
            .map(|id| Step::new(logits.clone(), sampling, Vec::new(), &[id]))
            .into_iter()
            .collect();
        let histogram = RankHistogram::measure(&steps);
        assert_eq!(histogram.counts, [2, 1, 2, 1, 1]);
        assert_eq!([0, 1, 2, 3, 4].map(RankHistogram::label), ["1", "2", "3–4", "5–8", "9–16"]);
        assert!((histogram.share(0) - 2.0 / 7.0).abs() < 1e-12);
    }

    /// Tokens drawn from the distribution are calibrated; always taking the most likely one is not.
    #[test]
    fn tokens_that_are_not_drawn_are_noticed() {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(1.0, 16), 0, Dtype::Float32);
        let mut random = RepeatableRandom::new(5);
        let unit = |random: &mut RepeatableRandom| random.below(1 << 20) as f32 / (1 << 20) as f32;
        let (mut drawn, mut greedy) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let logits: Vec<f32> = (0..16).map(|_| 4.0 * unit(&mut random)).collect();
            let (mut left, p) = (unit(&mut random), softmax(&logits));
            let token = p.iter().position(|p| {
                left -= p;
                left <= 0.0
            });
            let best = (0..16).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
            let logits = Arc::new(Logits::new(16, logits));
            drawn.push(Step::new(logits.clone(), sampling, Vec::new(), &[token.unwrap_or(15) as u32]));
            greedy.push(Step::new(logits, sampling, Vec::new(), &[best as u32]));
        }
        let of = |steps: Vec<Step>| Calibration::measure(&steps.into_iter().collect())[0].unwrap();
        let (drawn, greedy) = (of(drawn), of(greedy));
        assert!((drawn.found - drawn.expected).abs() < 1.5 * drawn.interval, "{drawn:?}");
        assert!(greedy.expected - greedy.found > 5.0 * greedy.interval, "{greedy:?}");
        assert!(Calibration::measure(&Steps::default()).is_empty());
    }
}
