//! Groups of clips (two modes, two settings) against each other, with the baseline of chance.

use serde::Serialize;

use super::binomial::holm;
use super::chi_square::{ChiSquare, homogeneity};
use super::histogram::{Distances, counts, joint_counts, total};
use super::permutation::{LabelledHistogram, permutation_test};
use crate::data::Codes;

/// Two groups of clips (two modes, two settings), in one codebook or in all of them together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupComparison {
    /// The codebook; `None` for all, whose ids are counted separately.
    pub codebook: Option<usize>,
    /// Clips of the two groups.
    pub clips: (usize, usize),
    /// Tokens of the two groups.
    pub tokens: (u64, u64),
    /// All tokens of one group against all of the other.
    pub pooled: Distances,
    /// Mean over pairs of clips of one item from different groups and with different seeds.
    pub between_group: Option<Distances>,
    /// The baseline: mean over pairs of clips of the same group and item, with different seeds. The groups differ by
    /// what `between_group` exceeds this.
    pub within_group: Option<Distances>,
    /// Chi-square of the pooled counts, rare ids pooled. It assumes independent tokens, which those of one clip are not, so that its p
    /// may be off either way; use `p`.
    pub chi_square: Option<ChiSquare>,
    /// p-value of the pooled Jensen-Shannon divergence by a permutation test over clips. `None` with fewer than
    /// two clips per group.
    pub p: Option<f64>,
    /// The p-value corrected for the number of codebooks that are asked about at once (Holm); of all codebooks together, which is one
    /// question, `p` itself.
    pub p_corrected: Option<f64>,
    /// The smallest p-value that this number of clips can give.
    pub smallest_p: Option<f64>,
}

/// A clip of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupedClip<'a> {
    /// Index of the item: clips of one item have the same text and settings. Items are compared and exchanged only within themselves.
    pub item: usize,
    /// Its seed.
    pub seed: u64,
    /// Its tokens.
    pub codes: &'a Codes,
}

/// A group of clips.
pub type Group<'a> = [GroupedClip<'a>];

/// Compares two groups in all codebooks together, and in each one, corrected for their number.
pub fn compare_in_all_codebooks(
    a: &Group<'_>,
    b: &Group<'_>,
    codebooks: usize,
    vocab: usize,
) -> (GroupComparison, Vec<GroupComparison>) {
    let mut each: Vec<GroupComparison> = (0..codebooks).map(|k| compare_groups(a, b, Some(k), vocab)).collect();
    let p: Vec<f64> = each.iter().filter_map(|comparison| comparison.p).collect();
    if p.len() == each.len() {
        each.iter_mut().zip(holm(&p)).for_each(|(comparison, p)| comparison.p_corrected = Some(p));
    }
    (compare_groups(a, b, None, vocab), each)
}

/// Compares two groups in `codebook`, or in all codebooks.
///
/// Clips of the same item and seed in both groups are relabelled together, and are not among the pairs of `between_group`: *exact* and
/// *hybrid* give the same clip for a seed, which says nothing about their distributions.
pub fn compare_groups(a: &Group<'_>, b: &Group<'_>, codebook: Option<usize>, vocab: usize) -> GroupComparison {
    let histogram = |codes: &Codes| match codebook {
        Some(k) => counts(codes, k, vocab),
        None => joint_counts(codes, vocab),
    };
    let labelled =
        |clip: &GroupedClip<'_>| LabelledHistogram { item: clip.item, seed: clip.seed, counts: histogram(clip.codes) };
    let histograms = |group: &Group<'_>| group.iter().map(labelled).collect::<Vec<LabelledHistogram>>();
    let (mut a, mut b) = (histograms(a), histograms(b));
    let occurs: Vec<bool> = sum(&a).iter().zip(sum(&b)).map(|(a, b)| a + b > 0).collect();
    for clip in a.iter_mut().chain(&mut b) {
        let kept = clip.counts.iter().zip(&occurs).filter(|(_, occurs)| **occurs).map(|(n, _)| *n);
        clip.counts = kept.collect();
    }
    let (sum_a, sum_b) = (sum(&a), sum(&b));
    let pair = |x: &LabelledHistogram, y: &LabelledHistogram| {
        (x.item == y.item && x.seed != y.seed).then(|| Distances::measure(&x.counts, &y.counts))
    };
    let test = permutation_test(&a, &b);
    let between: Vec<_> = a.iter().flat_map(|x| b.iter().filter_map(move |y| pair(x, y))).collect();
    let within: Vec<_> = [&a, &b]
        .into_iter()
        .flat_map(|g| g.iter().enumerate().flat_map(move |(i, x)| g[..i].iter().filter_map(move |y| pair(y, x))))
        .collect();
    GroupComparison {
        codebook,
        clips: (a.len(), b.len()),
        tokens: (total(&sum_a) as u64, total(&sum_b) as u64),
        pooled: Distances::measure(&sum_a, &sum_b),
        between_group: Distances::mean(&between),
        within_group: Distances::mean(&within),
        chi_square: homogeneity(&sum_a, &sum_b),
        p: test.map(|test| test.p),
        p_corrected: test.map(|test| test.p),
        smallest_p: test.map(|test| test.smallest_p),
    }
}

fn sum(group: &[LabelledHistogram]) -> Vec<u64> {
    let mut out = vec![0; group.first().map_or(0, |clip| clip.counts.len())];
    for clip in group {
        out.iter_mut().zip(&clip.counts).for_each(|(o, n)| *o += n);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RepeatableRandom;

    fn clips(from: u64, n: u64, ids: usize) -> Vec<(u64, Codes)> {
        let mut random = RepeatableRandom::new(from);
        let mut frame = || [random.below(ids) as u32, random.below(ids) as u32];
        (0..n).map(|seed| (seed, Codes::from_frames((0..60).map(|_| frame())).unwrap())).collect()
    }

    fn group(clips: &[(u64, Codes)]) -> Vec<GroupedClip<'_>> {
        clips.iter().map(|(seed, codes)| GroupedClip { item: 0, seed: *seed, codes }).collect()
    }

    #[test]
    fn a_difference_is_found_and_chance_is_not() {
        let (a, b, c) = (clips(1, 10, 20), clips(2, 10, 20), clips(3, 10, 14));
        let same = compare_groups(&group(&a), &group(&b), None, 24);
        assert_eq!((same.clips, same.tokens), ((10, 10), (1_200, 1_200)));
        assert!(same.p.unwrap() > 0.05, "{same:?}");
        let (between, within) = (same.between_group.unwrap(), same.within_group.unwrap());
        assert!((between.jensen_shannon - within.jensen_shannon).abs() < 0.03, "{between:?} {within:?}");
        let other = compare_groups(&group(&a), &group(&c), Some(1), 24);
        assert!(other.p.unwrap() < 0.01, "{other:?}");
        assert!(other.between_group.unwrap().jensen_shannon > other.within_group.unwrap().jensen_shannon + 0.05);
    }

    #[test]
    fn clips_of_the_same_seed_are_not_compared_with_each_other() {
        let a = clips(4, 3, 20);
        let c = compare_groups(&group(&a), &group(&a), None, 24);
        assert_eq!((c.pooled.total_variation, c.p), (0.0, Some(1.0)));
        assert!(c.between_group.unwrap().overlap < 0.9);
        assert!(compare_groups(&group(&a[..1]), &group(&a[..1]), None, 24).between_group.is_none());
    }
}
