use std::collections::BTreeMap;

use super::super::test_file::tests::{made, plan};
use super::super::{Anchor, Choice, HeadphoneCheck, Run, Study, TestPlan, Trial};
use super::*;
use crate::analysis::binomial::{Sides, binomial_p, power};
use crate::data::RepeatableRandom;
use serde_json::{Value, json};
use statrs::distribution::{Binomial, DiscreteCDF};

const ALPHA: f64 = 0.05;

/// A listener: what they answer to a trial.
type Listener<'a> = dyn FnMut(&ListeningTest, &Trial, &mut RepeatableRandom) -> Choice + 'a;

fn listen(test: &ListeningTest, name: &str, random: &mut RepeatableRandom, listener: &mut Listener<'_>) -> Results {
    let mut run = Run::new(test, Results::new(test, name, "simulated", random.below(1 << 20)));
    let mut now = 0.0;
    while let Some(trial) = run.trial().cloned() {
        for button in 0..run.buttons().len() {
            run.play(button, 0.0, now);
            now += 60.0;
        }
        let choice = listener(test, &trial, random);
        run.answer(choice, 0, 30.0, now).unwrap();
    }
    run.results().clone()
}

/// A plan whose test leaves out nobody.
fn lenient(plan: TestPlan) -> TestPlan {
    let screening = super::super::Screening { alike: 0.0, constant: true, ..Default::default() };
    TestPlan { study: Study { screening, ..Study::default() }, ..plan }
}

fn report(test: &ListeningTest, results: &[Results]) -> ListeningReport {
    ListeningReport::new(test, results, ReportOptions::default())
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
        let test = made(&lenient(plan(kind, 2, 1, trials)));
        let significant = (0..10_000).filter(|_| {
            let results = listen(&test, "guessing", &mut random, &mut |_, _, random| coin(random));
            report(&test, &[results]).findings[0].p <= ALPHA
        });
        let share = significant.count() as f64 / 10_000.0;
        assert!((0.04..=0.06).contains(&share), "{kind:?}: {share}");
    }
}

/// Ratings of two sounds are preferences by their values.
#[test]
fn guessed_ratings_are_significant_as_often_as_they_may_be() {
    let mut random = RepeatableRandom::new(5);
    let test = made(&lenient(plan(TestKind::Rating, 2, 1, 17)));
    let mut guess = |_: &ListeningTest, _: &Trial, random: &mut RepeatableRandom| {
        Choice::Values(vec![random.below(100) as f64, random.below(100) as f64 + 0.5])
    };
    let significant = (0..10_000).filter(|_| {
        let results = listen(&test, "guessing", &mut random, &mut guess);
        report(&test, &[results]).findings[0].p <= ALPHA
    });
    let share = significant.count() as f64 / 10_000.0;
    assert!((0.04..=0.06).contains(&share), "{share}");
}

/// Under guessing p-values are as uniform as an exact test's can be: each is met or undercut as often as it says.
#[test]
fn p_values_of_guessers_have_the_right_distribution() {
    let mut random = RepeatableRandom::new(11);
    for (kind, sides) in [(TestKind::Abx, Sides::One), (TestKind::Preference, Sides::Two)] {
        let test = made(&lenient(plan(kind, 2, 1, 20)));
        let p: Vec<f64> = (0..10_000)
            .map(|_| {
                let results = listen(&test, "guessing", &mut random, &mut |_, _, random| coin(random));
                report(&test, &[results]).findings[0].p
            })
            .collect();
        for level in (0..=20).map(|right| binomial_p(20, right, sides)) {
            // The exact probability of a count as far off, as 4.5 standard errors would have; some levels expect far less than one.
            let count = p.iter().filter(|p| **p <= level + 1e-12).count() as u64;
            let expected = Binomial::new(level.min(1.0), p.len() as u64).unwrap();
            let (below, above) = (expected.cdf(count), if count == 0 { 1.0 } else { expected.sf(count - 1) });
            assert!(below.min(above) > 3.4e-6, "{kind:?}: p <= {level:.2e} in {count} of {}", p.len());
        }
    }
}

/// Listeners of whom 70 % of the votes are right, or for the second condition, are found as often as was promised.
#[test]
fn a_70_percent_listener_is_found_as_often_as_promised() {
    let mut random = RepeatableRandom::new(9);
    for (kind, sides) in [(TestKind::Abx, Sides::One), (TestKind::Preference, Sides::Two)] {
        let test = made(&lenient(plan(kind, 2, 1, 37)));
        let mut listener = |test: &ListeningTest, trial: &Trial, random: &mut RepeatableRandom| {
            // In a preference test the "right" answer is the second condition.
            let second = test.stimuli[trial.stimuli[0]].condition;
            biased(70, &Trial { x: trial.x.or(Some(1 - second)), ..trial.clone() }, random)
        };
        let found = (0..4_000).filter(|_| {
            let results = listen(&test, "70 %", &mut random, &mut listener);
            report(&test, &[results]).findings[0].p <= ALPHA
        });
        let share = found.count() as f64 / 4_000.0;
        let promised = power(37, 0.7, ALPHA, sides);
        assert!((share - promised).abs() < 0.02, "{kind:?}: {share} of {promised}");
        let stated = if sides == Sides::One { "right in 70 %" } else { "a split of 70/30" };
        assert!(test.power_plan(0.0).describe().contains(stated), "{}", test.power_plan(0.0).describe());
    }
}

#[test]
fn perfect_one_sided_and_careless_listeners_are_what_they_are() {
    let repeated = TestPlan { repeats: 8, ..plan(TestKind::Abx, 2, 2, 8) };
    let test = made(&repeated);
    let mut random = RepeatableRandom::new(2);
    let perfect = listen(&test, "perfect", &mut random, &mut |_, trial, _| right(trial));
    let always_a = listen(&test, "always A", &mut random, &mut |_, _, _| Choice::First);
    let kept = ListeningTest { study: lenient(repeated).study, ..test.clone() };
    let report = ListeningReport::new(&kept, &[perfect.clone(), always_a.clone()], ReportOptions::default());
    assert_eq!((report.by_listener[0].successes, report.by_listener[0].trials), (16, 16));
    assert!(report.by_listener[0].p < 1e-4 && report.by_listener[0].p_corrected == 2.0 * report.by_listener[0].p);
    let guessed = &report.by_listener[1];
    assert_eq!((guessed.trials, guessed.p), (16, binomial_p(16, guessed.successes, Sides::One)));
    assert_eq!(report.listeners[0].consistent, (8, 8));
    assert_eq!(report.listeners[1].consistent, (0, 8), "the places change, the answer does not");
    assert_eq!((report.by_item.len(), report.counted_listeners()), (2, 2));
    let csv = String::from_utf8(report.csv().unwrap()).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * 24, "a row per trial and listener");
    assert!(csv.starts_with("listener,device,") && csv.contains("A_sha256,A_gain_db"), "{csv}");
    let rights = report.answers.iter().filter(|row| row.get("right") == Some(&json!(true))).count();
    assert!(rights >= 24, "{rights}");
    // By the usual rules the second listener is left out, and the report says what that changes.
    let screened = ListeningReport::new(&test, &[perfect, always_a], ReportOptions::default());
    assert_eq!((screened.counted_listeners(), screened.without_screening[0].listeners), (1, 2));
    let text = screened.text();
    assert!(text.contains("left out: answered 0 of 8 repeats alike; gave the same answer in all 16 trials"), "{text}");
    assert!(text.contains("With the listeners who are left out"), "{text}");
    assert!(text.contains("16 of 16 right; compatible with the data: right in 79 to 100 %; p < 0.0001"), "{text}");
}

/// Five of six listeners prefer one condition in all of their trials: that is 5 of 6 people, not 40 of 48 votes.
#[test]
fn votes_are_not_people() {
    let test = made(&lenient(plan(TestKind::Preference, 2, 1, 8)));
    let mut random = RepeatableRandom::new(1);
    let results: Vec<Results> = (0..6)
        .map(|n| {
            let likes = usize::from(n == 5);
            let mut answer = |test: &ListeningTest, trial: &Trial, _: &mut RepeatableRandom| {
                if test.stimuli[trial.stimuli[0]].condition == likes { Choice::First } else { Choice::Second }
            };
            listen(&test, &format!("listener {n}"), &mut random, &mut answer)
        })
        .collect();
    let report = report(&test, &results);
    let finding = &report.findings[0];
    assert_eq!((finding.scope, finding.listeners), (Scope::Listeners, 6));
    assert!((finding.p - 0.21875).abs() < 1e-9, "{finding:?}");
    assert!((finding.estimate - 5.0 / 6.0).abs() < 1e-9 && finding.smallest_p == 0.03125);
    let text = report.text();
    assert!(text.contains("40 of 48 votes") && text.contains("over 6 listeners; of 1 item only"), "{text}");
    assert!(report.methods.contains("6 listeners took part, 6 of whom finished"), "{}", report.methods);
    // Four listeners of one mind can prove nothing, and that is said.
    let few = ListeningReport::new(&test, &results[..4], ReportOptions::default());
    assert!((few.findings[0].p - 0.125).abs() < 1e-9 && few.findings[0].interval.is_none());
    assert!(
        few.text().contains("cannot succeed: the smallest p that 4 listeners can give is 0.1250"),
        "{}",
        few.text()
    );
}

/// One listener's mean has no interval over people; it says what it is of.
#[test]
fn one_listener_proves_something_of_one_listener() {
    let test = made(&lenient(plan(TestKind::Opinion, 1, 1, 8)));
    let mut votes = [1.0, 5.0, 1.0, 5.0, 2.0, 4.0, 1.0, 5.0].into_iter();
    let mut random = RepeatableRandom::new(1);
    let results = listen(&test, "one", &mut random, &mut |_, _, _| Choice::Values(vec![votes.next().unwrap()]));
    let report = report(&test, &[results]);
    let score = &report.scores[0];
    let (low, high) = score.interval.unwrap();
    assert_eq!((score.mean, score.scope), (3.0, Scope::Trials));
    // SciPy 1.17: stats.t.interval(0.95, 7, 3, stats.sem(votes)), within the scale.
    assert!((low - 1.3888).abs() < 1e-3 && (high - 4.6112).abs() < 1e-3, "{low} {high}");
    assert!(report.text().contains("of this listener and this item"), "{}", report.text());
}

/// Unfinished answers are shown and not tested, unless that is asked for.
#[test]
fn unfinished_listeners_are_not_tested() {
    let test = made(&plan(TestKind::Preference, 2, 2, 4));
    let mut random = RepeatableRandom::new(1);
    let mut part = listen(&test, "part", &mut random, &mut |_, _, random| coin(random));
    part.answers.truncate(3);
    let quiet = report(&test, std::slice::from_ref(&part));
    assert!(quiet.findings.is_empty() && quiet.scores.is_empty());
    assert!(quiet.text().contains("part: 3 of 8 trials, unfinished"), "{}", quiet.text());
    assert!(quiet.text().contains("only on request"), "{}", quiet.text());
    let asked = ListeningReport::new(&test, &[part], ReportOptions { unfinished: true });
    assert_eq!(asked.findings[0].listeners, 1);
}

/// The low anchor, the reference, checks of attention and the check for headphones say who did not listen.
#[test]
fn who_did_not_listen_is_left_out_by_the_stated_rules() {
    let planned = TestPlan {
        anchors: vec![Anchor::Low],
        reference: Some("condition 0".into()),
        ..plan(TestKind::Rating, 3, 6, 1)
    };
    let test = made(&planned);
    assert_eq!((test.low_anchor(), test.reference()), (Some(3), Some(0)));
    let mut random = RepeatableRandom::new(1);
    let by_condition = |values: [f64; 4]| {
        move |test: &ListeningTest, trial: &Trial, _: &mut RepeatableRandom| {
            Choice::Values(trial.stimuli.iter().map(|n| values[test.stimuli[*n].condition]).collect())
        }
    };
    let good = listen(&test, "good", &mut random, &mut by_condition([100.0, 60.0, 70.0, 10.0]));
    let deaf = listen(&test, "deaf", &mut random, &mut by_condition([40.0, 60.0, 70.0, 70.0]));
    let mut loud = listen(&test, "loudspeakers", &mut random, &mut by_condition([100.0, 60.0, 70.0, 10.0]));
    loud.headphone_check = Some(HeadphoneCheck { right: 3, of: 6 });
    let report = report(&test, &[good, deaf, loud]);
    let out: Vec<&Vec<String>> = report.listeners.iter().map(|listener| &listener.screened_out).collect();
    assert!(out[0].is_empty(), "{out:?}");
    assert_eq!(out[1][0], "rated the low anchor as high as every other sound in 6 of 6 trials");
    assert_eq!(out[1][1], "rated the hidden reference below 90 in 6 of 6 trials");
    assert_eq!(out[2][0], "failed the check for headphones");
    assert_eq!((report.counted_listeners(), report.without_screening.len()), (1, 6));

    let sound = plan(TestKind::Opinion, 1, 1, 1).conditions[0].1[0].clone();
    let gold = super::super::PlannedSound { source: "press-four.wav".into(), ..sound };
    let checked = TestPlan { attention: vec![(gold, Choice::Values(vec![4.0]))], ..plan(TestKind::Opinion, 2, 4, 1) };
    let test = made(&checked);
    let results = listen(&test, "three", &mut random, &mut |_, _, _| Choice::Values(vec![3.0]));
    let report = tests::report(&test, &[results]);
    assert_eq!(report.listeners[0].attention_failed, (1, 1));
    assert!(report.listeners[0].screened_out[1].starts_with("failed 1 of 1 checks"), "{:?}", report.listeners[0]);
    assert_eq!(report.long.len(), 8, "checks are not values");
}

/// A sound that a rating has twice is one vote, and shows whether the listener rates it alike.
#[test]
fn a_hidden_repeat_counts_for_consistency_only() {
    let test = made(&TestPlan { hidden_repeat: true, ..plan(TestKind::Rating, 2, 3, 2) });
    let mut random = RepeatableRandom::new(4);
    let rated = |trial: &Trial, places: &dyn Fn(usize) -> f64| {
        let value = |place: usize| 20.0 * test.stimuli[trial.stimuli[place]].condition as f64 + places(place);
        Choice::Values((0..trial.stimuli.len()).map(value).collect())
    };
    let attentive = listen(&test, "attentive", &mut random, &mut |_, trial, _| rated(trial, &|_| 1.0));
    let careless = listen(&test, "careless", &mut random, &mut |_, trial, _| rated(trial, &|n| 15.0 * n as f64));
    let report = report(&test, &[attentive, careless]);
    assert_eq!((report.listeners[0].consistent, report.listeners[1].consistent), ((6, 6), (0, 6)));
    assert!(!report.listeners[1].screened_out.is_empty() && report.scores.iter().all(|score| score.votes == 6));
    assert_eq!((report.findings[0].trials, report.without_screening[0].listeners), (6, 2));
    let again =
        report.answers.iter().filter(|row| ["B_repeats", "C_repeats"].iter().any(|n| row.get(n) != Some(&Value::Null)));
    assert_eq!(again.count(), 12);
}

#[test]
fn scores_pairs_and_ties_are_told() {
    let test = made(&plan(TestKind::Rating, 3, 8, 1));
    let mut random = RepeatableRandom::new(3);
    let mut prefers_last = |test: &ListeningTest, trial: &Trial, random: &mut RepeatableRandom| {
        let value = |n: &usize| 20.0 * test.stimuli[*n].condition as f64 + random.below(10) as f64;
        Choice::Values(trial.stimuli.iter().map(value).collect())
    };
    let results: Vec<Results> =
        (0..12).map(|n| listen(&test, &format!("listener {n}"), &mut random, &mut prefers_last)).collect();
    let report = report(&test, &results);
    let means: Vec<f64> = report.scores.iter().map(|score| score.mean).collect();
    assert!(means[0] < means[1] && means[1] < means[2] && report.scores.iter().all(|s| s.votes == 96));
    assert_eq!((report.findings.len(), report.of_these_items.len()), (3, 3));
    assert!(report.findings.iter().all(|f| f.successes == 0 && f.scope == Scope::ListenersAndItems));
    assert!(report.findings.iter().all(|f| f.p_corrected < 0.03 && f.estimate < -15.0), "{:?}", report.findings);
    let places: BTreeMap<&str, usize> = report.long.iter().fold(BTreeMap::new(), |mut places, row| {
        if let Some(Value::String(condition)) = row.get("condition") {
            *places.entry(condition.as_str()).or_default() += 1;
        }
        places
    });
    assert!(places.len() == 3 && places.values().all(|n| *n == 96), "{places:?}");

    let test = made(&plan(TestKind::Preference, 2, 1, 10));
    let mut ties = |test: &ListeningTest, trial: &Trial, random: &mut RepeatableRandom| match random.below(3) {
        0 => Choice::Tie,
        _ if test.stimuli[trial.stimuli[0]].condition == 1 => Choice::First,
        _ => Choice::Second,
    };
    let results = listen(&test, "likes 1", &mut random, &mut ties);
    let report = tests::report(&test, &[results]);
    let finding = &report.findings[0];
    assert!(finding.successes == 0 && finding.ties > 0 && finding.trials + finding.ties == 10, "{finding:?}");
    assert!(report.text().contains(" ties;") || report.text().contains("1 tie;"), "{}", report.text());
}

/// The second sound of a comparison is judged against the first, wherever a condition is.
#[test]
fn comparisons_follow_the_conditions() {
    let test = made(&plan(TestKind::Comparison, 2, 6, 1));
    let mut random = RepeatableRandom::new(3);
    let mut better = |test: &ListeningTest, trial: &Trial, _: &mut RepeatableRandom| {
        Choice::Values(vec![if test.stimuli[trial.stimuli[1]].condition == 1 { 2.0 } else { -2.0 }])
    };
    let results = listen(&test, "one", &mut random, &mut better);
    let report = report(&test, &[results]);
    assert_eq!((report.findings[0].estimate, report.findings[0].scope), (-2.0, Scope::Items));
    assert!(report.scores.is_empty() && report.listeners[0].consistent.1 == 0);
}
