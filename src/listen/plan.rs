//! The trials of a test, and the lists: which trials a listener has, in which order, with the sounds in which places.
//!
//! Each listener has their own list, so that effects of order, fatigue and practice do not fall on the same trials for all.

use super::kind::{TestKind, TestKindInfo};
use super::stimulus::Stimulus;
use super::trial::{Presentation, Trial};
use crate::data::RepeatableRandom;

/// Lists of a test, unless more listeners are planned.
pub(super) const LISTS: usize = 24;

/// The material of the trials.
pub(super) struct TrialPlan<'a> {
    pub(super) kind: TestKind,
    pub(super) stimuli: &'a [Stimulus],
    pub(super) items: usize,
    /// Conditions, the anchors and the hidden reference included.
    pub(super) conditions: usize,
    pub(super) repetitions: usize,
    pub(super) repeats: usize,
    pub(super) training: usize,
    pub(super) hidden_repeat: bool,
    /// The condition that is the open reference.
    pub(super) reference: Option<usize>,
    /// Sounds that check attention, and the answer that is right.
    pub(super) attention: Vec<Trial>,
    pub(super) items_per_listener: Option<usize>,
    pub(super) lists: usize,
}

impl TrialPlan<'_> {
    fn info(&self) -> &'static TestKindInfo {
        self.kind.info()
    }

    /// The stimulus of an item in a condition.
    fn stimulus(&self, item: usize, condition: usize) -> usize {
        let found = self.stimuli.iter().position(|s| (s.item, s.condition) == (item, condition));
        found.unwrap_or(0) // the maker has put every pair among the stimuli
    }

    fn condition(&self, stimulus: usize) -> usize {
        self.stimuli[stimulus].condition
    }

    fn item(&self, trial: &Trial) -> usize {
        self.stimuli[trial.stimuli[0]].item
    }

    /// The trials in random order: those that count, their repeats, practice, checks of attention.
    pub(super) fn trials(&self, random: &mut RepeatableRandom) -> Vec<Trial> {
        let mut trials = self.counted();
        random.shuffle(&mut trials);
        self.place_sounds(&mut trials, random);
        let counted = trials.len();
        let mut chosen: Vec<usize> = (0..counted).collect();
        random.shuffle(&mut chosen);
        for n in chosen.into_iter().take(self.repeats) {
            trials.push(Trial { repeats: Some(n), ..turned(&trials[n]) });
        }
        for n in 0..self.training.min(counted) {
            trials.push(Trial { training: true, ..trials[counted - 1 - n].clone() });
        }
        trials.extend(self.attention.iter().cloned());
        trials
    }

    /// The trials that count, before their sounds are in places.
    fn counted(&self) -> Vec<Trial> {
        let mut trials = Vec::new();
        let trial = |stimuli: Vec<usize>| Trial { stimuli, ..Trial::default() };
        for item in 0..self.items {
            let of = |condition: usize| self.stimulus(item, condition);
            for n in 0..self.repetitions {
                if self.info().in_pairs {
                    for a in 0..self.conditions {
                        trials.extend((a + 1..self.conditions).map(|b| trial(vec![of(a), of(b)])));
                    }
                } else if *self.info().sounds.end() == 1 {
                    trials.extend((0..self.conditions).map(|condition| trial(vec![of(condition)])));
                } else {
                    let mut stimuli: Vec<usize> = (0..self.conditions).map(of).collect();
                    if self.hidden_repeat {
                        // The conditions take turns at being there twice.
                        stimuli.push(of((item + n) % self.conditions));
                    }
                    trials.push(trial(stimuli));
                }
            }
        }
        trials
    }

    /// Puts the sounds of `trials` into places. Two sounds change places from one trial of a pair to the next; several are in the rows of
    /// a Williams square; X is drawn by a coin, so that a guesser is right in half of the trials whatever they do.
    fn place_sounds(&self, trials: &mut [Trial], random: &mut RepeatableRandom) {
        let pairs = self.conditions * self.conditions;
        let mut turns: Vec<usize> = (0..pairs).map(|_| random.below(2)).collect();
        let mut rows = Rows::default();
        for trial in trials.iter_mut() {
            match trial.stimuli.len() {
                0 | 1 => {}
                2 if self.info().in_pairs => {
                    trial.stimuli.sort_unstable_by_key(|n| self.condition(*n));
                    let pair = self.condition(trial.stimuli[0]) * self.conditions + self.condition(trial.stimuli[1]);
                    if turns[pair] % 2 == 1 {
                        trial.stimuli.reverse();
                    }
                    turns[pair] += 1;
                }
                places => {
                    trial.stimuli.sort_unstable_by_key(|n| self.condition(*n));
                    let row = rows.next(places, random);
                    trial.stimuli = row.iter().map(|n| trial.stimuli[*n]).collect();
                }
            }
            if self.info().has_x {
                trial.x = Some(random.below(2));
            }
            if let Some(reference) = self.reference {
                trial.x = trial.stimuli.iter().position(|n| self.condition(*n) == reference);
            }
        }
    }

    /// The lists of `trials`.
    pub(super) fn lists(&self, trials: &[Trial], random: &mut RepeatableRandom) -> Vec<Vec<Presentation>> {
        let mut heard = vec![0; self.items];
        (0..self.lists).map(|_| self.list(trials, &mut heard, random)).collect()
    }

    /// One list. `heard` counts how many lists have each item; the items that fewest lists have are taken.
    fn list(&self, trials: &[Trial], heard: &mut [usize], random: &mut RepeatableRandom) -> Vec<Presentation> {
        let mut items: Vec<usize> = (0..self.items).collect();
        random.shuffle(&mut items);
        items.sort_by_key(|item| heard[*item]);
        items.truncate(self.items_per_listener.unwrap_or(self.items));
        items.iter().for_each(|item| heard[*item] += 1);
        let of_list = |n: &usize| items.contains(&self.item(&trials[*n]));
        let mut order: Vec<usize> = (0..trials.len()).filter(|n| trials[*n].counts()).filter(of_list).collect();
        random.shuffle(&mut order);
        self.move_apart(&mut order, trials, random);
        let mut placed: Vec<Trial> = order.iter().map(|n| trials[*n].clone()).collect();
        self.place_sounds(&mut placed, random);
        let mut list: Vec<(usize, Trial)> = order.into_iter().zip(placed).collect();
        self.insert_repeats(&mut list, trials, random);
        for n in (0..trials.len()).filter(|n| trials[*n].expected.is_some()) {
            list.insert(list.len() / 4 + random.below(list.len() / 2 + 1), (n, trials[n].clone()));
        }
        let training = (0..trials.len()).filter(|n| trials[*n].training).map(|n| (n, trials[n].clone()));
        let list = training.collect::<Vec<_>>().into_iter().chain(list);
        list.map(|(trial, Trial { stimuli, x, .. })| Presentation { trial, stimuli, x }).collect()
    }

    /// Trials that are asked again come in the second half, those that they repeat in the first.
    fn insert_repeats(&self, list: &mut Vec<(usize, Trial)>, trials: &[Trial], random: &mut RepeatableRandom) {
        let repeats: Vec<(usize, usize)> =
            trials.iter().enumerate().filter_map(|(n, t)| Some((n, t.repeats?))).collect();
        let is_repeated = |n: usize| repeats.iter().any(|(_, first)| *first == n);
        // At most half of a list is repeated, so that the repeated ones fit into its first half.
        list.sort_by_key(|(n, _)| !is_repeated(*n));
        let repeated = list.iter().filter(|(n, _)| is_repeated(*n)).count();
        let first_half = list.len().div_ceil(2).max(repeated);
        if repeated > 0 {
            random.shuffle(&mut list[..first_half]);
        }
        for (n, first) in repeats {
            let Some((_, asked)) = list.iter().find(|(other, _)| *other == first) else { continue };
            let again = Trial { repeats: Some(first), ..turned(asked) };
            list.insert(first_half + random.below(list.len() - first_half + 1), (n, again));
        }
    }

    /// Trials of one item do not follow each other, where that can be: trials change places as long as fewer follow each other then.
    fn move_apart(&self, order: &mut [usize], trials: &[Trial], random: &mut RepeatableRandom) {
        let items: Vec<usize> = trials.iter().map(|trial| self.item(trial)).collect();
        let follows = |order: &[usize], at: usize| {
            usize::from(at > 0 && at < order.len() && items[order[at]] == items[order[at - 1]])
        };
        let around = |order: &[usize], a: usize, b: usize| {
            let places: std::collections::BTreeSet<usize> = [a, a + 1, b, b + 1].into();
            places.into_iter().map(|at| follows(order, at)).sum::<usize>()
        };
        for at in 1..order.len() {
            if follows(order, at) == 0 {
                continue;
            }
            let (start, all) = (random.below(order.len()), order.len());
            for other in (0..all).map(|n| (start + n) % all).filter(|other| *other != at) {
                let before = around(order, at, other);
                order.swap(at, other);
                if around(order, at, other) < before {
                    break;
                }
                order.swap(at, other);
            }
        }
    }
}

/// A trial that is asked again has its buttons in the opposite order.
fn turned(trial: &Trial) -> Trial {
    let stimuli: Vec<usize> = trial.stimuli.iter().rev().copied().collect();
    Trial { x: trial.x.map(|x| stimuli.len() - 1 - x), stimuli, ..Trial::default() }
}

/// Rows of Williams squares, one after the other: in a square every symbol is in each place equally often and follows every other one
/// equally often (Williams 1949). Each square has newly drawn symbols.
#[derive(Default)]
struct Rows(Vec<Vec<usize>>);

impl Rows {
    fn next(&mut self, symbols: usize, random: &mut RepeatableRandom) -> Vec<usize> {
        if self.0.first().is_none_or(|row| row.len() != symbols) {
            let mut names: Vec<usize> = (0..symbols).collect();
            random.shuffle(&mut names);
            self.0 = williams(symbols).iter().map(|row| row.iter().map(|n| names[*n]).collect()).collect();
            random.shuffle(&mut self.0);
        }
        self.0.pop().unwrap_or_else(|| (0..symbols).collect())
    }
}

/// A Williams square: `n` rows if `n` is even, else `2 n`.
fn williams(n: usize) -> Vec<Vec<usize>> {
    // 0, 1, n - 1, 2, n - 2 …
    let first: Vec<usize> = (0..n).map(|k| if k % 2 == 1 { k.div_ceil(2) } else { (n - k / 2) % n }).collect();
    let row = |shift: usize| first.iter().map(|x| (x + shift) % n).collect::<Vec<_>>();
    let rows: Vec<Vec<usize>> = (0..n).map(row).collect();
    if n.is_multiple_of(2) {
        return rows;
    }
    let mirrored = rows.iter().map(|row| row.iter().rev().copied().collect());
    rows.iter().cloned().chain(mirrored).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn in_a_williams_square_everything_follows_everything() {
        for n in 2..=7 {
            let rows = williams(n);
            let (mut places, mut pairs) = (BTreeMap::new(), BTreeMap::new());
            for row in &rows {
                row.iter().enumerate().for_each(|place| *places.entry(place).or_insert(0) += 1);
                row.windows(2).for_each(|pair| *pairs.entry((pair[0], pair[1])).or_insert(0) += 1);
            }
            let times = rows.len() / n;
            assert!(places.len() == n * n && places.values().all(|count| *count == times), "{n}: {places:?}");
            assert!(pairs.len() == n * (n - 1) && pairs.values().all(|count| *count == times), "{n}: {pairs:?}");
        }
    }
}
