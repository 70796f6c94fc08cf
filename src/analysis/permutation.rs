//! A permutation test over clips. Tokens of one clip are not independent, so whole clips are relabelled.

use super::histogram::jensen_shannon;
use crate::data::RepeatableRandom;

/// Relabellings that are drawn where all of them are too many.
const DRAWN: usize = 999;
/// Relabellings up to which all are tried.
const ALL: usize = 1 << 12;

/// The item of a clip, and its histogram.
#[derive(Clone, Debug)]
pub(super) struct LabelledHistogram {
    /// Text and settings: clips of different items are never exchanged.
    pub(super) item: usize,
    pub(super) seed: u64,
    pub(super) counts: Vec<u64>,
}

/// A p-value, and the smallest that there could be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PermutationTest {
    pub(super) p: f64,
    pub(super) smallest_p: f64,
}

/// p-value of the Jensen-Shannon divergence of two groups' pooled histograms (Good 2005): the share of relabellings that are as
/// far apart as the real labels, the real one included, so never 0. `None` with fewer than two clips per group.
///
/// Clips of the same item and seed in both groups are relabelled together, and where every clip has such a partner nothing else is:
/// all swaps are tried up to 2^12, else 999 drawn ones. Without partners the clips of each item are dealt out again, by 999 drawn deals.
pub(super) fn permutation_test(a: &[LabelledHistogram], b: &[LabelledHistogram]) -> Option<PermutationTest> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let key = |clip: &LabelledHistogram| (clip.item, clip.seed);
    let sorted = |group: &[LabelledHistogram]| {
        let mut sorted: Vec<LabelledHistogram> = group.to_vec();
        sorted.sort_by_key(key);
        sorted
    };
    let (a, b) = (sorted(a), sorted(b));
    let all: Vec<&LabelledHistogram> = a.iter().chain(&b).collect();
    let sums = |order: &[usize]| {
        let sum = |clips: &[usize]| {
            let mut sum = vec![0u64; all[0].counts.len()];
            clips.iter().for_each(|n| sum.iter_mut().zip(&all[*n].counts).for_each(|(sum, n)| *sum += n));
            sum
        };
        (sum(&order[..a.len()]), sum(&order[a.len()..]))
    };
    let mut order: Vec<usize> = (0..all.len()).collect();
    let distance = |order: &[usize]| {
        let (first, second) = sums(order);
        jensen_shannon(&first, &second)
    };
    // Tolerates rounding: the same split summed in another order must count as equal.
    let observed = distance(&order) - 1e-12;
    let paired = a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| key(x) == key(y));
    let pairs = a.len();
    if paired && pairs < usize::BITS as usize && 1usize << pairs <= ALL {
        let mut as_far = 0;
        for pattern in 0..1usize << pairs {
            let swapped: Vec<usize> = (0..2 * pairs)
                .map(|n| if pattern >> (n % pairs) & 1 == 1 { (n + pairs) % (2 * pairs) } else { n })
                .collect();
            as_far += usize::from(distance(&swapped) >= observed);
        }
        // The mirror image is as far apart.
        let patterns = (1usize << pairs) as f64;
        return Some(PermutationTest { p: as_far as f64 / patterns, smallest_p: 2.0 / patterns });
    }
    let mut random = RepeatableRandom::new(0x5eed);
    let mut as_far = 1;
    for _ in 0..DRAWN {
        if paired {
            for n in 0..pairs {
                if random.below(2) == 1 {
                    order.swap(n, n + pairs);
                }
            }
        } else {
            deal(&all, &mut order, &mut random);
        }
        as_far += usize::from(distance(&order) >= observed);
    }
    let smallest_p = if paired { 0.0 } else { 1.0 / deals(&a, &b) };
    let drawn = (DRAWN + 1) as f64;
    Some(PermutationTest { p: as_far as f64 / drawn, smallest_p: smallest_p.max(1.0 / drawn) })
}

/// Shuffles the clips of each item among the places of that item.
fn deal(all: &[&LabelledHistogram], order: &mut [usize], random: &mut RepeatableRandom) {
    let items: std::collections::BTreeSet<usize> = all.iter().map(|clip| clip.item).collect();
    for item in items {
        let places: Vec<usize> = (0..order.len()).filter(|n| all[order[*n]].item == item).collect();
        let mut clips: Vec<usize> = places.iter().map(|n| order[*n]).collect();
        random.shuffle(&mut clips);
        places.into_iter().zip(clips).for_each(|(place, clip)| order[place] = clip);
    }
}

/// How many ways there are to deal the clips out.
fn deals(a: &[LabelledHistogram], b: &[LabelledHistogram]) -> f64 {
    let items: std::collections::BTreeSet<usize> = a.iter().chain(b).map(|clip| clip.item).collect();
    let count = |group: &[LabelledHistogram], item: usize| group.iter().filter(|clip| clip.item == item).count();
    let choose = |n: usize, k: usize| (1..=k).map(|i| (n - k + i) as f64 / i as f64).product::<f64>();
    items.iter().map(|item| choose(count(a, *item) + count(b, *item), count(a, *item))).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clips(item: usize, seeds: std::ops::Range<u64>, counts: &[u64]) -> Vec<LabelledHistogram> {
        seeds.map(|seed| LabelledHistogram { item, seed, counts: counts.to_vec() }).collect()
    }

    #[test]
    fn the_smallest_p_is_that_of_the_best_split() {
        let test = |pairs: u64| permutation_test(&clips(0, 0..pairs, &[9, 1]), &clips(0, 0..pairs, &[1, 9])).unwrap();
        assert_eq!((test(4).p, test(4).smallest_p), (0.125, 0.125), "four pairs can prove nothing");
        assert_eq!((test(5).p, test(5).smallest_p), (0.0625, 0.0625));
        assert_eq!(test(8).p, 2.0 / 256.0);
        assert!(test(20).p < 0.01 && test(20).smallest_p == 0.001);
        let apart = permutation_test(&clips(0, 0..2, &[9, 1]), &clips(0, 7..9, &[1, 9])).unwrap();
        assert!((apart.smallest_p - 1.0 / 6.0).abs() < 1e-9 && apart.p > 0.2, "{apart:?}");
        assert_eq!(permutation_test(&clips(0, 0..1, &[1]), &clips(0, 0..4, &[1])), None);
    }

    /// Clips of different texts are not exchanged: what differs between texts is no difference of the groups.
    #[test]
    fn texts_are_kept_apart() {
        let group = |seeds: [std::ops::Range<u64>; 2]| {
            let [first, second] = seeds;
            [clips(0, first, &[9, 1]), clips(1, second, &[1, 9])].concat()
        };
        let test = permutation_test(&group([0..3, 0..3]), &group([10..13, 10..13])).unwrap();
        assert_eq!(test.p, 1.0);
    }
}
