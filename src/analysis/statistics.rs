//! Statistics of one draw, as a table. A new statistic is a variant of [`Stat`] and an entry in [`STEP_STATISTICS`]; CSV columns,
//! tables, means, plots, token map, tooltips and live plots iterate over the table.
//!
//! Two distributions belong to a draw: the model's (softmax of the logits: temperature 1, nothing cut) and the sampler's, from
//! which the token was drawn (temperature, guard and top-k applied).

use std::ops::Index;

use super::entropy;
use crate::data::{Logits, RangeGuard, Sampling, SamplingParams};
use crate::sampling::reference::{argmax, penalise, softmax, warp};

/// A draw: both distributions `[V]` and the token taken.
pub struct Draw<'a> {
    /// Probabilities of the model, `[V]`.
    pub model: &'a [f32],
    /// Probabilities after sampling settings, `[V]`.
    pub sampler: &'a [f32],
    /// The token that was drawn.
    pub token: usize,
}

/// A statistic of a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described by its entry in STEP_STATISTICS")]
pub enum Stat {
    Entropy,
    Perplexity,
    Probability,
    Surprisal,
    Rank,
    SampledEntropy,
    SampledPerplexity,
    SampledProbability,
    SampledSurprisal,
    SampledRank,
    KeptMass,
    KeptCount,
}

impl Stat {
    /// Its entry in [`STEP_STATISTICS`].
    pub fn info(self) -> &'static StepStatistic {
        &STEP_STATISTICS[self as usize]
    }
}

/// How a statistic maps to 0 to 1, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 0 to log2 V.
    Bits,
    /// 1 to V, logarithmic.
    Ids,
    /// A share from 0 to 1.
    Share,
}

/// Properties of a statistic of draws.
pub struct StepStatistic {
    /// The statistic that this entry describes.
    pub stat: Stat,
    /// Name of its CSV column and JSON field.
    pub key: &'static str,
    /// Title in tables, plots and the window.
    pub title: &'static str,
    /// Unit; empty if it has none.
    pub unit: &'static str,
    /// Decimals in tables and the window.
    pub digits: usize,
    /// Range that colours of maps cover.
    pub scale: Scale,
    /// Whether tables show its mean.
    pub in_tables: bool,
    /// Whether it is plotted over time and can colour the token map.
    pub plotted: bool,
    /// Computes the statistic of a draw.
    pub value: fn(&Draw<'_>) -> f64,
}

impl StepStatistic {
    /// Its `value` for one draw, with the unit. Ranks and numbers of ids are whole then; their means are not.
    pub fn describe(&self, value: f64) -> String {
        let digits = if self.scale == Scale::Ids && value.fract() == 0.0 { 0 } else { self.digits };
        format!("{value:.digits$} {}", self.unit).trim_end().to_owned()
    }
}

const COUNT: usize = 12;

/// Every statistic of a draw.
pub static STEP_STATISTICS: [StepStatistic; COUNT] = [
    // Shannon entropy of the model's distribution, 0 to log2 V.
    entry(Stat::Entropy, "entropy_bits", "entropy", "bits", 2, Scale::Bits, true, true, |d| entropy(d.model)),
    // 2^entropy: how many equally likely ids would be as uncertain, 1 to V.
    entry(Stat::Perplexity, "perplexity", "perplexity", "", 1, Scale::Ids, false, false, |d| entropy(d.model).exp2()),
    // Probability of the token in the model's distribution, 0 to 1.
    entry(Stat::Probability, "probability", "probability", "", 3, Scale::Share, false, false, |d| p(d.model, d)),
    // -log2 p of the token in the model's distribution; infinite if it has no mass.
    entry(Stat::Surprisal, "surprisal_bits", "surprisal", "bits", 2, Scale::Bits, true, true, |d| {
        surprisal(d.model, d)
    }),
    // Rank of the token in the model's distribution, 1 the most likely; equal probabilities share the better rank.
    entry(Stat::Rank, "rank", "rank", "", 1, Scale::Ids, true, true, |d| rank(d.model, d)),
    // These five for the sampler's distribution.
    entry(Stat::SampledEntropy, "sampled_entropy_bits", "sampled entropy", "bits", 2, Scale::Bits, false, false, |d| {
        entropy(d.sampler)
    }),
    entry(Stat::SampledPerplexity, "sampled_perplexity", "sampled perplexity", "", 1, Scale::Ids, false, false, |d| {
        entropy(d.sampler).exp2()
    }),
    entry(
        Stat::SampledProbability,
        "sampled_probability",
        "sampled probability",
        "",
        3,
        Scale::Share,
        false,
        false,
        |d| p(d.sampler, d),
    ),
    entry(
        Stat::SampledSurprisal,
        "sampled_surprisal_bits",
        "sampled surprisal",
        "bits",
        2,
        Scale::Bits,
        false,
        false,
        |d| surprisal(d.sampler, d),
    ),
    entry(Stat::SampledRank, "sampled_rank", "sampled rank", "", 1, Scale::Ids, false, false, |d| rank(d.sampler, d)),
    // Mass of the model's distribution on the ids that the sampler kept, 0 to 1.
    entry(Stat::KeptMass, "kept_mass", "kept mass", "", 3, Scale::Share, true, false, |d| {
        d.model.iter().zip(d.sampler).filter(|(_, s)| **s > 0.0).map(|(m, _)| f64::from(*m)).sum::<f64>().min(1.0)
    }),
    // Ids that the sampler kept, 1 to V.
    entry(Stat::KeptCount, "kept_count", "ids kept", "", 1, Scale::Ids, true, false, |d| {
        d.sampler.iter().filter(|s| **s > 0.0).count() as f64
    }),
];

const fn entry(
    stat: Stat,
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    digits: usize,
    scale: Scale,
    in_tables: bool,
    plotted: bool,
    value: fn(&Draw<'_>) -> f64,
) -> StepStatistic {
    StepStatistic { stat, key, title, unit, digits, scale, in_tables, plotted, value }
}

fn p(distribution: &[f32], draw: &Draw<'_>) -> f64 {
    f64::from(distribution[draw.token])
}

fn surprisal(distribution: &[f32], draw: &Draw<'_>) -> f64 {
    let p = p(distribution, draw);
    if p == 1.0 { 0.0 } else { -p.log2() }
}

fn rank(distribution: &[f32], draw: &Draw<'_>) -> f64 {
    1.0 + distribution.iter().filter(|other| **other > distribution[draw.token]).count() as f64
}

impl StepStatistic {
    /// Title and unit, for the heading of a column.
    pub fn heading(&self) -> String {
        if self.unit.is_empty() { self.title.into() } else { format!("{}, {}", self.title, self.unit) }
    }

    /// `value` on the statistic's scale, 0 to 1, for a vocabulary of `vocab` ids.
    pub fn share(&self, value: f64, vocab: usize) -> f64 {
        let bits = (vocab as f64).log2();
        let share = match self.scale {
            Scale::Bits => value / bits,
            Scale::Ids => value.log2() / bits,
            Scale::Share => value,
        };
        share.clamp(0.0, 1.0)
    }
}

/// Every statistic of one draw, indexed by [`Stat`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenStats([f64; COUNT]);

impl Index<Stat> for TokenStats {
    type Output = f64;
    fn index(&self, stat: Stat) -> &f64 {
        &self.0[stat as usize]
    }
}

impl TokenStats {
    /// Measures the draw of `token` from `logits` `[V]` with the given settings, after no other tokens.
    pub fn measure(logits: &[f32], token: u32, params: SamplingParams, guard: Option<RangeGuard>) -> Self {
        Self::of((softmax(logits), sampler(logits, params, guard)), token)
    }

    fn of((model, sampler): (Vec<f32>, Vec<f32>), token: u32) -> Self {
        let draw = Draw { model: &model, sampler: &sampler, token: token as usize };
        Self(std::array::from_fn(|n| (STEP_STATISTICS[n].value)(&draw)))
    }

    /// Measures every draw of a frame, `[K]`.
    pub fn measure_frame(logits: &Logits, codes: &[u32], sampling: &Sampling) -> Vec<Self> {
        codes.iter().enumerate().map(|(k, token)| Self::of(distributions(logits, k, sampling), *token)).collect()
    }
}

/// Both distributions of the draw of `codebook`, `[V]`: the model's and the sampler's.
pub fn distributions(logits: &Logits, codebook: usize, sampling: &Sampling) -> (Vec<f32>, Vec<f32>) {
    let (row, params) = (logits.row(codebook), sampling.params_for(codebook));
    let penalised = penalise(row, params, logits.recent(codebook));
    (softmax(row), sampler(&penalised, params, sampling.guard))
}

/// The distribution that a draw from `logits` `[V]` is made from. A greedy draw puts all mass on the most likely id.
fn sampler(logits: &[f32], params: SamplingParams, guard: Option<RangeGuard>) -> Vec<f32> {
    let warped = warp(logits, params, guard);
    if !params.is_greedy() {
        return softmax(&warped);
    }
    let mut one = vec![0.0; logits.len()];
    one[argmax(warped.iter().copied())] = 1.0;
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(logits: &[f32], token: u32, temperature: f64, top_k: usize) -> TokenStats {
        TokenStats::measure(logits, token, SamplingParams::new(temperature, top_k), None)
    }

    #[test]
    fn the_table_is_in_the_order_of_its_variants() {
        for (n, entry) in STEP_STATISTICS.iter().enumerate() {
            assert_eq!(entry.stat as usize, n, "{}", entry.key);
        }
    }

    #[test]
    fn a_uniform_distribution_has_log2_v_bits() {
        let s = measure(&[0.0; 8], 3, 0.5, 8);
        assert_eq!((s[Stat::Entropy], s[Stat::Perplexity], s[Stat::Surprisal], s[Stat::Rank]), (3.0, 8.0, 3.0, 1.0));
        assert_eq!((s[Stat::KeptCount], s[Stat::KeptMass]), (8.0, 1.0));
    }

    #[test]
    fn top_k_and_guard_cut_the_samplers_distribution() {
        let logits = [4.0f32.ln(), 2.0f32.ln(), 1.0f32.ln(), 1.0f32.ln()];
        let s = measure(&logits, 1, 1.0, 2);
        assert_eq!((s[Stat::KeptCount], s[Stat::Rank], s[Stat::SampledRank]), (2.0, 2.0, 2.0));
        assert!((s[Stat::KeptMass] - 0.75).abs() < 1e-6 && (s[Stat::SampledProbability] - 1.0 / 3.0).abs() < 1e-6);
        assert!((s[Stat::Surprisal] - 2.0).abs() < 1e-6);
        let guard = RangeGuard::new(1, 1).unwrap();
        let guarded = TokenStats::measure(&logits, 1, SamplingParams::new(1.0, 4), Some(guard));
        assert_eq!((guarded[Stat::KeptCount], guarded[Stat::SampledSurprisal]), (3.0, f64::INFINITY));
    }

    #[test]
    fn a_greedy_draw_is_certain() {
        let s = measure(&[1.0, 2.0], 1, 0.0, 1);
        assert_eq!((s[Stat::SampledEntropy], s[Stat::SampledSurprisal], s[Stat::KeptCount]), (0.0, 0.0, 1.0));
    }
}
