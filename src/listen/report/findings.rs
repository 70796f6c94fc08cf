//! Questions about pairs of conditions, and scores of conditions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::analysis::binomial::{Sides, binomial_p, clopper_pearson, holm};
use crate::analysis::mean_test::{MeanTest, Scope, Vote, test_mean};
use crate::listen::run::Answer;
use crate::listen::{AnswerForm, Choice, ListeningTest, Results};

/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.95;

/// The quantity of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimate {
    /// A share of right answers, 0 to 1; guessing gives 0.5.
    ShareRight,
    /// A share of votes for the first condition, a tie being half of one, 0 to 1; 0.5 is no preference.
    ShareOfVotes,
    /// A difference of values, the first condition less the second; 0 is no difference.
    Difference,
}

/// A question about two conditions and its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The question: "exact better than native".
    pub question: String,
    /// The population of the conclusion.
    pub scope: Scope,
    /// Listeners who answered.
    pub listeners: usize,
    /// Items that they answered about.
    pub items: usize,
    /// Votes for the first condition; of ABX right answers.
    pub successes: u64,
    /// Votes for the first or the second condition; of ABX all answers.
    pub trials: u64,
    /// Votes for neither.
    pub ties: u64,
    /// The quantity of `estimate` and `interval`.
    pub measure: Estimate,
    /// The estimate: the mean over listeners and items.
    pub estimate: f64,
    /// 95 % interval; `None` with too few listeners or items.
    pub interval: Option<(f64, f64)>,
    /// Cohen's d over listeners (of one listener, over items or trials).
    pub effect_size: Option<f64>,
    /// p-value against no difference; of ABX, against guessing.
    pub p: f64,
    /// The p-value corrected for the number of questions (Holm).
    pub p_corrected: f64,
    /// The smallest p-value that this number of listeners, items or trials can give.
    pub smallest_p: f64,
    /// The test that gave p.
    pub method: &'static str,
}

/// How good a condition was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionScore {
    /// Name of the condition.
    pub condition: String,
    /// Number of values given.
    pub votes: usize,
    /// The population of the interval.
    pub scope: Scope,
    /// Mean over listeners and items.
    pub mean: f64,
    /// Its 95 % interval; `None` with too few listeners or items.
    pub interval: Option<(f64, f64)>,
}

/// A vote on two conditions.
#[derive(Clone, Debug)]
pub(super) struct PairVote {
    pub(super) listener: usize,
    pub(super) item: usize,
    /// The conditions: the smaller number first.
    pub(super) pair: (usize, usize),
    /// Above 0 for the first, below for the second, 0 for neither: -1 to 1, or a difference of values. Of an ABX trial 1 for the right
    /// answer and -1 for the wrong one.
    pub(super) value: f64,
}

/// The votes of a listener on pairs of conditions: of a rating every pair of its values, of opinions every pair of values of an item.
pub(super) fn pair_votes(test: &ListeningTest, listener: usize, results: &Results) -> Vec<PairVote> {
    let counted = results.answers.iter().filter(|answer| test.trials[answer.trial].counts());
    if *test.kind.info().sounds.end() == 1 {
        return opinion_votes(test, listener, counted);
    }
    counted.flat_map(|answer| answer_votes(test, listener, answer)).collect()
}

/// Differences of the mean opinions of an item's conditions.
fn opinion_votes<'a>(
    test: &ListeningTest,
    listener: usize,
    answers: impl Iterator<Item = &'a Answer>,
) -> Vec<PairVote> {
    let mut values: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    for (condition, vote) in answers.flat_map(|answer| value_votes(test, listener, answer)) {
        values.entry((vote.item, condition)).or_default().push(vote.value);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut votes = Vec::new();
    for ((item, a), of_a) in &values {
        let others = values.range((*item, a + 1)..(item + 1, 0));
        votes.extend(others.map(|((_, b), of_b)| PairVote {
            listener,
            item: *item,
            pair: (*a, *b),
            value: mean(of_a) - mean(of_b),
        }));
    }
    votes
}

fn answer_votes(test: &ListeningTest, listener: usize, answer: &Answer) -> Vec<PairVote> {
    let trial = answer.presented(test);
    let condition = |place: usize| test.stimuli[trial.stimuli[place]].condition;
    let item = test.stimuli[trial.stimuli[0]].item;
    let vote = |a: usize, b: usize, value: f64| {
        let (a, b) = (condition(a), condition(b));
        PairVote { listener, item, pair: (a.min(b), a.max(b)), value: if a < b { value } else { -value } }
    };
    match (&answer.choice, trial.x) {
        (choice, Some(x)) if test.kind.info().has_x => {
            let right = matches!((choice, x), (Choice::First, 0) | (Choice::Second, 1));
            vec![PairVote { listener, item, pair: (0, 1), value: if right { 1.0 } else { -1.0 } }]
        }
        (Choice::First, _) => vec![vote(0, 1, 1.0)],
        (Choice::Second, _) => vec![vote(0, 1, -1.0)],
        (Choice::Tie, _) => vec![vote(0, 1, 0.0)],
        (Choice::Values(values), _) => match (test.kind.info().form, values.as_slice()) {
            // A comparison says how much better the second is.
            (AnswerForm::Buttons(_), [second]) => vec![vote(0, 1, -second)],
            _ => {
                // A sound that a rating has twice is one vote.
                let places: Vec<usize> = (0..values.len()).filter(|n| trial.first_place(*n).is_none()).collect();
                let pairs = places.iter().enumerate().flat_map(|(n, a)| places[n + 1..].iter().map(move |b| (*a, *b)));
                pairs.map(|(a, b)| vote(a, b, values[a] - values[b])).collect()
            }
        },
    }
}

/// The values of an answer by condition; empty for answers without values of single sounds.
pub(super) fn value_votes(test: &ListeningTest, listener: usize, answer: &Answer) -> Vec<(usize, Vote)> {
    let Choice::Values(values) = &answer.choice else { return Vec::new() };
    let trial = answer.presented(test);
    if values.len() != trial.stimuli.len() {
        return Vec::new(); // a comparison
    }
    let vote = |place: usize| {
        let stimulus = &test.stimuli[trial.stimuli[place]];
        (stimulus.condition, Vote { listener, item: stimulus.item, value: values[place] })
    };
    (0..values.len()).filter(|place| trial.first_place(*place).is_none()).map(vote).collect()
}

/// The scores of the conditions by the listeners `kept` of `results`.
pub(super) fn scores(test: &ListeningTest, kept: &[usize], results: &[Results]) -> Vec<ConditionScore> {
    let mut values: BTreeMap<usize, Vec<Vote>> = BTreeMap::new();
    for listener in kept {
        let counted = results[*listener].answers.iter().filter(|answer| test.trials[answer.trial].counts());
        for (condition, vote) in counted.flat_map(|answer| value_votes(test, *listener, answer)) {
            values.entry(condition).or_default().push(vote);
        }
    }
    let (low, high) = test.kind.info().scale().unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let score = |(condition, votes): (&usize, &Vec<Vote>)| {
        let MeanTest { scope, mean, interval, votes, .. } = test_mean(votes, Scope::widest(votes))?;
        let interval = interval.map(|(a, b)| (a.max(low), b.min(high)));
        Some(ConditionScore { condition: test.conditions[*condition].clone(), votes, scope, mean, interval })
    };
    values.iter().filter_map(score).collect()
}

/// Tests of each pair of conditions in each of `groups` of votes, corrected together; over `scope`, or the widest one.
pub(super) fn findings(
    test: &ListeningTest,
    groups: impl IntoIterator<Item = (String, Vec<PairVote>)>,
    scope: Option<Scope>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (group, votes) in groups {
        let pairs: BTreeSet<(usize, usize)> = votes.iter().map(|vote| vote.pair).collect();
        for pair in pairs {
            let of_pair: Vec<Vote> = votes
                .iter()
                .filter(|vote| vote.pair == pair)
                .map(|vote| Vote { listener: vote.listener, item: vote.item, value: vote.value })
                .collect();
            let widest = match (Scope::widest(&of_pair), test.kind.info().has_x) {
                // With one listener every answer is an independent coin, whatever the item.
                (Scope::Items, true) => Scope::Trials,
                (widest, _) => widest,
            };
            found.extend(finding(test, &group, pair, &of_pair, scope.unwrap_or(widest)));
        }
    }
    let corrected = holm(&found.iter().map(|finding| finding.p).collect::<Vec<_>>());
    found.iter_mut().zip(corrected).for_each(|(finding, p)| finding.p_corrected = p);
    found
}

fn finding(test: &ListeningTest, group: &str, pair: (usize, usize), votes: &[Vote], scope: Scope) -> Option<Finding> {
    let info = test.kind.info();
    let tested = test_mean(votes, scope)?;
    let successes = votes.iter().filter(|vote| vote.value > 0.0).count() as u64;
    let ties = votes.iter().filter(|vote| vote.value == 0.0).count() as u64;
    let trials = votes.len() as u64 - ties;
    let measure = match (info.has_x, info.form, info.scale()) {
        (true, ..) => Estimate::ShareRight,
        (false, AnswerForm::Buttons(_), None) => Estimate::ShareOfVotes,
        (false, ..) => Estimate::Difference,
    };
    let share = |value: f64| ((1.0 + value) / 2.0).clamp(0.0, 1.0);
    let shown = |value: f64| if measure == Estimate::Difference { value } else { share(value) };
    let mut finding = Finding {
        question: {
            let (a, b) = (&test.conditions[pair.0], &test.conditions[pair.1]);
            let asked = format!("{a} {} {b}", info.relation);
            if group.is_empty() { asked } else { format!("{group}: {asked}") }
        },
        scope,
        listeners: tested.listeners,
        items: tested.items,
        successes,
        trials,
        ties,
        measure,
        estimate: shown(tested.mean),
        interval: tested.interval.map(|(low, high)| (shown(low), shown(high))),
        effect_size: tested.effect_size,
        p: tested.p,
        p_corrected: tested.p,
        smallest_p: tested.smallest_p,
        method: match scope {
            Scope::ListenersAndItems => "quasi-F test over listeners and items",
            Scope::Listeners => "sign flips over listeners",
            Scope::Items => "sign flips over items",
            Scope::Trials => "sign flips over trials",
        },
    };
    if info.sides == Sides::One {
        // Every answer of a listener who guesses is an independent coin, whoever it is and whatever the item.
        finding.p = binomial_p(trials, successes, Sides::One);
        finding.smallest_p = binomial_p(trials, trials, Sides::One);
        finding.method = "exact binomial test against guessing";
    }
    if scope == Scope::Trials && measure != Estimate::Difference {
        finding.interval = (trials > 0).then(|| clopper_pearson(trials, successes, CONFIDENCE));
        finding.estimate = if trials > 0 { successes as f64 / trials as f64 } else { 0.5 };
    }
    Some(finding)
}
