//! What the votes of all listeners say.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::trial::letter;
use super::{Answer, Choice, ListeningTest, Results, TestKind};
use crate::analysis::binomial::{Sides, binomial_p, clopper_pearson, holm, power, trials_needed, wilson};
use crate::analysis::bootstrap::{Vote, mean_interval};
use crate::error::BoxError;

const ALPHA: f64 = 0.05;
/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.95;
/// True shares whose detection is stated before a test.
const EFFECTS: [f64; 3] = [0.6, 0.7, 0.8];
/// Power that is asked for.
const POWER: f64 = 0.8;

/// A question that votes answer with yes or no.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was asked: "X told from each other", "exact preferred to native".
    pub question: String,
    /// Number of votes for it.
    pub successes: u64,
    /// Votes for and against.
    pub trials: u64,
    /// Votes for neither; they are not among the trials.
    pub ties: u64,
    /// Exact p-value against even chances.
    pub p: f64,
    /// The p-value corrected for the number of questions (Holm).
    pub p_corrected: f64,
    /// Clopper-Pearson interval of the true share, 95 %.
    pub clopper_pearson: (f64, f64),
    /// Wilson's interval, 95 %.
    pub wilson: (f64, f64),
}

/// How good a condition was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionScore {
    /// Name of the condition.
    pub condition: String,
    /// Number of values given.
    pub votes: usize,
    /// Their mean, and its 95 % interval from a bootstrap over listeners and items.
    pub mean: f64,
    /// Confidence interval of the mean.
    pub interval: (f64, f64),
}

/// Answers of one listener in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListenerSummary {
    /// Name of the listener.
    pub listener: String,
    /// Answers given, and trials there are.
    pub answers: (usize, usize),
    /// Trials that were asked twice, and sounds that a rating had twice, that were answered alike, and how many there were; of values,
    /// within a tenth of the scale.
    pub consistent: (usize, usize),
}

/// The votes of all listeners.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListeningReport {
    /// The question of the test.
    pub question: String,
    /// The kind of test.
    pub kind: TestKind,
    /// How the places were balanced.
    pub balance: String,
    /// Summaries of the listeners.
    pub listeners: Vec<ListenerSummary>,
    /// Over all listeners and items.
    pub findings: Vec<Finding>,
    /// By item, if there are several; corrected among each other.
    pub by_item: Vec<Finding>,
    /// By listener, if there are several; corrected among each other.
    pub by_listener: Vec<Finding>,
    /// Scores of rating and opinion.
    pub scores: Vec<ConditionScore>,
    /// A row per trial and listener: the sound of each button, and the answer.
    pub answers: Vec<Row>,
}

/// Columns and values of an answered trial, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<(String, Value)>);

impl Row {
    /// The value in a column; nothing if this trial has no such column.
    fn get(&self, column: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A vote for the first of two conditions, the second, or neither.
struct PairVote {
    listener: usize,
    item: usize,
    /// The conditions: the smaller number first.
    pair: (usize, usize),
    /// `Some(true)` for the first; of an ABX trial, for the right answer.
    first: Option<bool>,
}

impl ListeningReport {
    /// Pools `results` of `test`. Trials that were asked once more count for consistency only.
    pub fn new(test: &ListeningTest, results: &[Results]) -> Self {
        let mut votes = Vec::new();
        let mut values: BTreeMap<usize, Vec<Vote>> = BTreeMap::new();
        for (listener, results) in results.iter().enumerate() {
            for answer in results.answers.iter().filter(|a| test.trials[a.trial].repeats.is_none()) {
                votes.extend(pair_votes(test, listener, answer));
                for (condition, vote) in value_votes(test, listener, answer) {
                    values.entry(condition).or_default().push(vote);
                }
            }
        }
        let scores = values.iter().filter_map(|(condition, votes)| {
            let (mean, interval) = mean_interval(votes)?;
            Some(ConditionScore { condition: test.conditions[*condition].clone(), votes: votes.len(), mean, interval })
        });
        // One item or listener alone is the whole.
        let items: BTreeSet<usize> = test.stimuli.iter().map(|s| s.item).collect();
        let items = if items.len() > 1 { items } else { BTreeSet::new() };
        let listeners = if results.len() > 1 { results.len() } else { 0 };
        let of_item = |item: usize| (format!("item {}", item + 1), votes.iter().filter(|v| v.item == item).collect());
        let of_listener =
            |n: usize| (results[n].listener.clone(), votes.iter().filter(|v| v.listener == n).collect::<Vec<_>>());
        Self {
            question: test.question.clone(),
            kind: test.kind,
            balance: balance(test),
            listeners: results.iter().map(|results| summary(test, results)).collect(),
            findings: findings(test, [(String::new(), votes.iter().collect())]),
            by_item: findings(test, items.into_iter().map(of_item)),
            by_listener: findings(test, (0..listeners).map(of_listener)),
            scores: scores.collect(),
            answers: results.iter().flat_map(|r| r.answers.iter().map(|answer| row(test, r, answer))).collect(),
        }
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() // plain data, which always has a JSON form
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut lines = vec![self.question.clone(), self.balance.clone()];
        lines.extend(self.listeners.iter().map(|l| {
            let repeated = if l.consistent.1 == 0 {
                String::new()
            } else {
                format!(", {} of {} repeats alike", l.consistent.0, l.consistent.1)
            };
            format!("  {}: {} of {} trials{repeated}", l.listener, l.answers.0, l.answers.1)
        }));
        for score in &self.scores {
            let (low, high) = score.interval;
            lines.push(format!(
                "{}: mean {:.2} [{low:.2}, {high:.2}] of {} votes (95 %, bootstrap over listeners and items)",
                score.condition, score.mean, score.votes
            ));
        }
        for (title, findings) in [("", &self.findings), ("by item", &self.by_item), ("by listener", &self.by_listener)]
        {
            if !title.is_empty() && findings.len() > 1 {
                lines.push(format!("{title} (p-values of {} questions, corrected by Holm's method)", findings.len()));
            }
            if title.is_empty() || findings.len() > 1 {
                lines.extend(findings.iter().map(|f| format!("  {}", self.describe(f))));
            }
        }
        lines.join("\n")
    }

    /// A finding in words, with what it excludes.
    pub fn describe(&self, f: &Finding) -> String {
        let ties = match f.ties {
            0 => String::new(),
            1 => ", 1 tie left out".into(),
            n => format!(", {n} ties left out"),
        };
        let (low, high) = f.clopper_pearson;
        let info = self.kind.info();
        let sides = match info.sides {
            Sides::One => "one-sided",
            Sides::Two => "two-sided",
        };
        let excluded = match info.sides {
            Sides::One if high >= 1.0 => "no listener is excluded".into(),
            Sides::One => format!("a listener who is right in more than {:.0} % is excluded", 100.0 * high),
            Sides::Two => {
                let below = (low > 0.0).then(|| format!("below {:.0} %", 100.0 * low));
                let above = (high < 1.0).then(|| format!("above {:.0} %", 100.0 * high));
                let excluded: Vec<String> = below.into_iter().chain(above).collect();
                match excluded.is_empty() {
                    true => "no share is excluded".into(),
                    false => format!("shares {} are excluded", excluded.join(" and ")),
                }
            }
        };
        format!(
            "{}: {} of {}{ties}; p = {:.4} ({sides}), corrected {:.4}; true share {low:.2} to {high:.2} (95 %, Clopper-Pearson; Wilson \
             {:.2} to {:.2}): {excluded}",
            f.question, f.successes, f.trials, f.p, f.p_corrected, f.wilson.0, f.wilson.1
        )
    }

    /// The answers as CSV: a row per trial and listener.
    ///
    /// # Errors
    /// Where the table cannot be made.
    pub fn csv(&self) -> Result<Vec<u8>, BoxError> {
        // Trials with more buttons have more columns.
        let longest = self.answers.iter().max_by_key(|row| row.0.len());
        let columns: Vec<&String> = longest.into_iter().flat_map(|row| &row.0).map(|(name, _)| name).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&columns)?;
        for row in &self.answers {
            writer.write_record(columns.iter().map(|column| match row.get(column) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            }))?;
        }
        Ok(writer.into_inner()?)
    }
}

/// An answered trial with everything known of it; for each button its sound, in columns that start with the button's name.
fn row(test: &ListeningTest, results: &Results, answer: &Answer) -> Row {
    let trial = &test.trials[answer.trial];
    let condition = |place: usize| test.conditions[test.stimuli[trial.stimuli[place]].condition].clone();
    let (said, chosen) = match (&answer.choice, trial.x) {
        (Choice::First, None) => (json!("A"), json!(condition(0))),
        (Choice::Second, None) => (json!("B"), json!(condition(1))),
        (Choice::First, Some(_)) => (json!("X is A"), Value::Null),
        (Choice::Second, Some(_)) => (json!("X is B"), Value::Null),
        (Choice::Tie, _) => (json!("tie"), Value::Null),
        (Choice::Values(_), _) => (Value::Null, Value::Null),
    };
    let right = trial.x.map(|x| is_right(&answer.choice, x));
    let common = [
        ("listener", json!(results.listener)),
        ("device", json!(results.device)),
        ("version", json!(results.version)),
        ("test_version", json!(test.version)),
        ("test_seed", json!(test.seed)),
        ("kind", json!(test.kind)),
        ("trial", json!(answer.trial)),
        ("repeats", json!(trial.repeats)),
        ("item", json!(test.stimuli[trial.stimuli[0]].item)),
        ("x", json!(trial.x.map(|x| trial.button_name(x)))),
        ("answer", said),
        ("chosen", chosen),
        ("right", json!(right)),
        ("at", json!(answer.at)),
        ("seconds", json!(answer.seconds)),
    ];
    let mut row: Vec<_> = common.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (place, n) in trial.stimuli.iter().enumerate() {
        let stimulus = &test.stimuli[*n];
        let value = match &answer.choice {
            Choice::Values(values) => json!(values[place]),
            Choice::First | Choice::Second | Choice::Tie => Value::Null,
        };
        let button = trial.button_name(place);
        for (name, value) in [
            ("condition", json!(condition(place))),
            ("repeats", json!(trial.first_place(place).map(|first| trial.button_name(first)))),
            ("value", value),
            ("source", json!(stimulus.source)),
            ("sha256", json!(stimulus.sha256)),
            ("gain_db", json!(stimulus.gain_db)),
            ("loudness", json!(stimulus.loudness)),
            ("seed", json!(stimulus.sampling.map(|sampling| sampling.seed))),
            ("settings", json!(stimulus.sampling)),
        ] {
            row.push((format!("{button}_{name}"), value));
        }
    }
    Row(row)
}

/// Whether an answer to an ABX trial names the place of what X is.
fn is_right(choice: &Choice, x: usize) -> bool {
    matches!((choice, x), (Choice::First, 0) | (Choice::Second, 1))
}

/// Votes on pairs of conditions: of a rating, every pair of its values.
fn pair_votes(test: &ListeningTest, listener: usize, answer: &Answer) -> Vec<PairVote> {
    let trial = &test.trials[answer.trial];
    let condition = |place: usize| test.stimuli[trial.stimuli[place]].condition;
    let item = test.stimuli[trial.stimuli[0]].item;
    let vote = |a: usize, b: usize, first: Option<bool>| {
        let (a, b) = (condition(a), condition(b));
        let first = if a < b { first } else { first.map(|first| !first) };
        PairVote { listener, item, pair: (a.min(b), a.max(b)), first }
    };
    match (&answer.choice, trial.x) {
        (choice, Some(x)) => vec![PairVote { listener, item, pair: (0, 1), first: Some(is_right(choice, x)) }],
        (Choice::First, None) => vec![vote(0, 1, Some(true))],
        (Choice::Second, None) => vec![vote(0, 1, Some(false))],
        (Choice::Tie, None) => vec![vote(0, 1, None)],
        (Choice::Values(values), None) => {
            // What a rating has twice is a vote once.
            let places: Vec<usize> = (0..values.len()).filter(|n| trial.first_place(*n).is_none()).collect();
            let pairs = places.iter().enumerate().flat_map(|(n, a)| places[n + 1..].iter().map(move |b| (*a, *b)));
            let compare = |(a, b): (usize, usize)| {
                let order = values[a].total_cmp(&values[b]);
                vote(a, b, order.is_ne().then_some(order.is_gt()))
            };
            pairs.map(compare).collect()
        }
    }
}

fn value_votes(test: &ListeningTest, listener: usize, answer: &Answer) -> Vec<(usize, Vote)> {
    let Choice::Values(values) = &answer.choice else { return Vec::new() };
    let trial = &test.trials[answer.trial];
    let vote = |place: usize| {
        let stimulus = &test.stimuli[trial.stimuli[place]];
        (stimulus.condition, Vote { listener, item: stimulus.item, value: values[place] })
    };
    (0..values.len()).filter(|place| trial.first_place(*place).is_none()).map(vote).collect()
}

/// Tests of each pair of conditions among each of `groups` of votes, corrected together.
fn findings<'a>(test: &ListeningTest, groups: impl IntoIterator<Item = (String, Vec<&'a PairVote>)>) -> Vec<Finding> {
    let info = test.kind.info();
    let mut found = Vec::new();
    for (group, votes) in groups {
        let pairs: BTreeSet<(usize, usize)> = votes.iter().map(|vote| vote.pair).collect();
        for pair in pairs {
            let of_pair = || votes.iter().filter(|vote| vote.pair == pair);
            let successes = of_pair().filter(|vote| vote.first == Some(true)).count() as u64;
            let ties = of_pair().filter(|vote| vote.first.is_none()).count() as u64;
            let trials = of_pair().count() as u64 - ties;
            let (a, b) = (&test.conditions[pair.0], &test.conditions[pair.1]);
            let asked = format!("{a} {} {b}", info.relation);
            let p = binomial_p(trials, successes, info.sides);
            found.push(Finding {
                question: if group.is_empty() { asked } else { format!("{group}: {asked}") },
                successes,
                trials,
                ties,
                p,
                p_corrected: p,
                clopper_pearson: clopper_pearson(trials, successes, CONFIDENCE),
                wilson: wilson(trials, successes),
            });
        }
    }
    let corrected = holm(&found.iter().map(|finding| finding.p).collect::<Vec<_>>());
    found.iter_mut().zip(corrected).for_each(|(finding, p)| finding.p_corrected = p);
    found
}

fn summary(test: &ListeningTest, results: &Results) -> ListenerSummary {
    let choice = |trial: usize| results.answers.iter().find(|a| a.trial == trial).map(|a| &a.choice);
    let repeated = test.trials.iter().enumerate().filter_map(|(n, trial)| Some((choice(n)?, choice(trial.repeats?)?)));
    let repeated: Vec<_> = repeated.collect();
    let range = test.kind.info().scale().map_or(0.0, |(min, max)| max - min);
    // A repeated trial has its buttons in the opposite order.
    let alike = |(again, first): &(&Choice, &Choice)| match (again, first) {
        (Choice::First, Choice::Second) | (Choice::Second, Choice::First) | (Choice::Tie, Choice::Tie) => true,
        (Choice::Values(again), Choice::Values(first)) => {
            again.iter().rev().zip(first).all(|(a, b)| (a - b).abs() <= 0.1 * range)
        }
        _ => false,
    };
    let mut within = Vec::new();
    for answer in &results.answers {
        let (trial, Choice::Values(values)) = (&test.trials[answer.trial], &answer.choice) else { continue };
        let twice = (0..values.len()).filter_map(|place| Some((place, trial.first_place(place)?)));
        within.extend(twice.map(|(again, first)| (values[again] - values[first]).abs() <= 0.1 * range));
    }
    let consistent = repeated.iter().map(alike).chain(within.iter().copied()).filter(|alike| *alike).count();
    ListenerSummary {
        listener: results.listener.clone(),
        answers: (results.answers.len(), test.trials.len()),
        consistent: (consistent, repeated.len() + within.len()),
    }
}

/// How often each condition is at each place.
fn balance(test: &ListeningTest) -> String {
    let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let asked = || test.trials.iter().filter(|trial| trial.repeats.is_none());
    for trial in asked() {
        for (place, n) in trial.stimuli.iter().enumerate() {
            *places.entry((place, test.stimuli[*n].condition)).or_default() += 1;
        }
    }
    let shown =
        places.iter().map(|((place, condition), n)| format!("{} {} {n}×", letter(*place), test.conditions[*condition]));
    let mut parts: Vec<String> = shown.collect();
    if test.kind.info().has_x {
        let first = asked().filter(|trial| trial.x == Some(0)).count();
        parts.push(format!("X is A {first}×, B {}×", asked().count() - first));
    }
    format!("Places (order drawn from seed {}): {}", test.seed, parts.join(", "))
}

/// The power of `trials` votes, and the votes that effects need, in words.
fn describe_votes(votes: &str, trials: u64, sides: Sides) -> String {
    let effect = |p: f64| {
        let needed = trials_needed(p, POWER, ALPHA, sides);
        let needed = needed.map_or("more than 2,000".into(), |n| n.to_string());
        let share = format!("{:.0}/{:.0}", 100.0 * p, 100.0 * (1.0 - p));
        format!(
            "a true {share} is found with {:.0} % (80 % needs {needed} trials)",
            100.0 * power(trials, p, ALPHA, sides)
        )
    };
    let found: Vec<String> = EFFECTS.iter().map(|p| effect(*p)).collect();
    let real = 100.0 * power(trials, 0.5, ALPHA, sides);
    format!("With {trials} {votes}: {}; chance alone is significant in {real:.1} %", found.join("; "))
}

impl ListeningTest {
    /// The power of the test with one listener, in words: to be read before it.
    pub fn describe_power(&self) -> String {
        let info = self.kind.info();
        let pairs = self.conditions.len() * self.conditions.len().saturating_sub(1) / 2;
        let asked = self.trials.iter().filter(|trial| trial.repeats.is_none()).count() as u64;
        let trials = if info.in_pairs { asked / pairs.max(1) as u64 } else { asked };
        match info.votes {
            Some(votes) => describe_votes(votes, trials, info.sides),
            None => format!("{asked} opinions; an interval of their mean is reported, and no test"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_file::tests::{made, plan};
    use super::super::{Run, Trial};
    use super::*;
    use crate::data::RepeatableRandom;

    /// A listener: what they answer to a trial.
    type Listener<'a> = dyn FnMut(&ListeningTest, &Trial, &mut RepeatableRandom) -> Choice + 'a;

    fn listen(test: &ListeningTest, name: &str, random: &mut RepeatableRandom, listener: &mut Listener<'_>) -> Results {
        let mut run = Run::new(test, Results::new(test, name, "simulated"));
        while let Some(trial) = run.trial().map(|(_, trial)| trial.clone()) {
            for button in 0..run.buttons().len() {
                run.hear(button);
            }
            let choice = listener(test, &trial, random);
            run.answer(choice, 0, 1.0).unwrap();
        }
        run.results().clone()
    }

    fn right(trial: &Trial) -> Choice {
        if trial.x == Some(0) { Choice::First } else { Choice::Second }
    }

    fn coin(random: &mut RepeatableRandom) -> Choice {
        if random.below(2) == 0 { Choice::First } else { Choice::Second }
    }

    /// Right with probability `percent` / 100.
    fn biased(percent: usize, trial: &Trial, random: &mut RepeatableRandom) -> Choice {
        if random.below(100) < percent {
            right(trial)
        } else if right(trial) == Choice::First {
            Choice::Second
        } else {
            Choice::First
        }
    }

    /// 10,000 sessions of listeners who guess, with numbers of trials that make the exact test's real level 4.7 to 4.9 %: that is how
    /// often they are significant.
    #[test]
    fn guessing_is_significant_as_often_as_it_may_be() {
        let mut random = RepeatableRandom::new(5);
        for (kind, trials) in [(TestKind::Abx, 23), (TestKind::Preference, 17)] {
            let test = made(&plan(kind, 2, 1, trials));
            let significant = (0..10_000).filter(|_| {
                let results = listen(&test, "guessing", &mut random, &mut |_, _, random| coin(random));
                ListeningReport::new(&test, &[results]).findings[0].p <= ALPHA
            });
            let share = significant.count() as f64 / 10_000.0;
            assert!((0.04..=0.06).contains(&share), "{kind:?}: {share}");
        }
    }

    /// Ratings of two sounds are preferences by their values.
    #[test]
    fn guessed_ratings_are_significant_as_often_as_they_may_be() {
        let mut random = RepeatableRandom::new(5);
        let test = made(&plan(TestKind::Rating, 2, 1, 17));
        let mut guess = |_: &ListeningTest, _: &Trial, random: &mut RepeatableRandom| {
            Choice::Values(vec![random.below(100) as f64, random.below(100) as f64 + 0.5])
        };
        let significant = (0..10_000).filter(|_| {
            let results = listen(&test, "guessing", &mut random, &mut guess);
            ListeningReport::new(&test, &[results]).findings[0].p <= ALPHA
        });
        let share = significant.count() as f64 / 10_000.0;
        assert!((0.04..=0.06).contains(&share), "{share}");
    }

    /// Under guessing p-values are as uniform as an exact test's can be: each is met or undercut as often as it says.
    #[test]
    fn p_values_of_guessers_have_the_right_distribution() {
        let mut random = RepeatableRandom::new(11);
        for (kind, sides) in [(TestKind::Abx, Sides::One), (TestKind::Preference, Sides::Two)] {
            let test = made(&plan(kind, 2, 1, 20));
            let p: Vec<f64> = (0..10_000)
                .map(|_| {
                    let results = listen(&test, "guessing", &mut random, &mut |_, _, random| coin(random));
                    ListeningReport::new(&test, &[results]).findings[0].p
                })
                .collect();
            for level in (0..=20).map(|right| binomial_p(20, right, sides)) {
                let share = p.iter().filter(|p| **p <= level + 1e-12).count() as f64 / p.len() as f64;
                let error = (level.min(1.0) * (1.0 - level.min(1.0)) / p.len() as f64).sqrt();
                assert!((share - level).abs() <= 4.5 * error + 1e-9, "{kind:?}: p <= {level:.4} in {share:.4}");
            }
        }
    }

    /// Listeners of whom 70 % of the votes are right, or for the second condition, are found as often as was promised.
    #[test]
    fn a_70_percent_listener_is_found_as_often_as_promised() {
        let mut random = RepeatableRandom::new(9);
        for (kind, sides) in [(TestKind::Abx, Sides::One), (TestKind::Preference, Sides::Two)] {
            let test = made(&plan(kind, 2, 1, 37));
            let mut listener = |test: &ListeningTest, trial: &Trial, random: &mut RepeatableRandom| {
                // Of a preference the "right" answer is the second condition.
                let second = test.stimuli[trial.stimuli[0]].condition;
                biased(70, &Trial { x: trial.x.or(Some(1 - second)), ..trial.clone() }, random)
            };
            let found = (0..4_000).filter(|_| {
                let results = listen(&test, "70 %", &mut random, &mut listener);
                ListeningReport::new(&test, &[results]).findings[0].p <= ALPHA
            });
            let share = found.count() as f64 / 4_000.0;
            let promised = power(37, 0.7, ALPHA, sides);
            assert!((share - promised).abs() < 0.02, "{kind:?}: {share} of {promised}");
            assert!(test.describe_power().contains("70/30"), "{}", test.describe_power());
        }
    }

    #[test]
    fn perfect_one_sided_and_careless_listeners_are_what_they_are() {
        let repeated = super::super::TestPlan { repeats: 8, ..plan(TestKind::Abx, 2, 2, 8) };
        let test = made(&repeated);
        let mut random = RepeatableRandom::new(2);
        let perfect = listen(&test, "perfect", &mut random, &mut |_, trial, _| right(trial));
        let always_a = listen(&test, "always A", &mut random, &mut |_, _, _| Choice::First);
        let report = ListeningReport::new(&test, &[perfect, always_a]);
        assert_eq!((report.by_listener[0].successes, report.by_listener[0].trials), (16, 16));
        assert!(report.by_listener[0].p < 1e-4 && report.by_listener[0].p_corrected == 2.0 * report.by_listener[0].p);
        assert_eq!((report.by_listener[1].successes, report.by_listener[1].p), (8, binomial_p(16, 8, Sides::One)));
        assert_eq!(report.listeners[0].consistent, (8, 8));
        assert_eq!(report.listeners[1].consistent, (0, 8), "the places change, the answer does not");
        assert_eq!(report.by_item.len(), 2);
        assert!(report.text().contains("X is A 8×, B 8×"), "{}", report.text());
        let csv = String::from_utf8(report.csv().unwrap()).unwrap();
        assert_eq!(csv.lines().count(), 1 + 2 * 24, "a row per trial and listener");
        assert!(csv.starts_with("listener,device,") && csv.contains("A_sha256,A_gain_db"), "{csv}");
        assert_eq!(report.answers[0].get("right"), Some(&json!(true)));
    }

    /// A sound that a rating has twice is one vote, and shows whether the listener rates it alike.
    #[test]
    fn a_hidden_repeat_counts_for_consistency_only() {
        let test = made(&super::super::TestPlan { hidden_repeat: true, ..plan(TestKind::Rating, 2, 3, 2) });
        let (test, mut random) = (test, RepeatableRandom::new(4));
        let rated = |trial: &Trial, places: &dyn Fn(usize) -> f64| {
            let value = |place: usize| 20.0 * test.stimuli[trial.stimuli[place]].condition as f64 + places(place);
            Choice::Values((0..trial.stimuli.len()).map(value).collect())
        };
        let attentive = listen(&test, "attentive", &mut random, &mut |_, trial, _| rated(trial, &|_| 1.0));
        let careless = listen(&test, "careless", &mut random, &mut |_, trial, _| rated(trial, &|n| 15.0 * n as f64));
        let report = ListeningReport::new(&test, &[attentive, careless]);
        assert_eq!((report.listeners[0].consistent, report.listeners[1].consistent), ((6, 6), (0, 6)));
        assert!(report.scores.iter().all(|score| score.votes == 12), "{:?}", report.scores);
        assert_eq!(report.findings[0].trials, 12);
        let again = report
            .answers
            .iter()
            .filter(|row| ["B_repeats", "C_repeats"].iter().any(|n| row.get(n) != Some(&Value::Null)));
        assert_eq!(again.count(), 12);
    }

    #[test]
    fn scores_pairs_and_ties_are_told() {
        let test = made(&plan(TestKind::Rating, 3, 4, 1));
        let mut random = RepeatableRandom::new(3);
        let mut prefers_last = |test: &ListeningTest, trial: &Trial, random: &mut RepeatableRandom| {
            let value = |n: &usize| 20.0 * test.stimuli[*n].condition as f64 + random.below(10) as f64;
            Choice::Values(trial.stimuli.iter().map(value).collect())
        };
        let results: Vec<Results> =
            (0..5).map(|n| listen(&test, &format!("listener {n}"), &mut random, &mut prefers_last)).collect();
        let report = ListeningReport::new(&test, &results);
        let means: Vec<f64> = report.scores.iter().map(|score| score.mean).collect();
        assert!(means[0] < means[1] && means[1] < means[2] && report.scores.iter().all(|s| s.votes == 20));
        assert_eq!(report.findings.len(), 3);
        assert!(report.findings.iter().all(|f| f.successes == 0 && f.trials == 20 && f.p_corrected < 0.001));

        let test = made(&plan(TestKind::Preference, 2, 1, 10));
        let mut ties = |test: &ListeningTest, trial: &Trial, random: &mut RepeatableRandom| match random.below(3) {
            0 => Choice::Tie,
            _ if test.stimuli[trial.stimuli[0]].condition == 1 => Choice::First,
            _ => Choice::Second,
        };
        let results = listen(&test, "likes 1", &mut random, &mut ties);
        let report = ListeningReport::new(&test, &[results]);
        let finding = &report.findings[0];
        assert!(finding.successes == 0 && finding.ties > 0 && finding.trials + finding.ties == 10, "{finding:?}");
        assert!(report.text().contains("left out"), "{}", report.text());
    }
}
