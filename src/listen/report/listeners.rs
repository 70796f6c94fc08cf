//! How each listener listened, and who is left out of the conclusions.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::listen::run::{Answer, HeadphoneCheck};
use crate::listen::study::{LEAST_FOR_ALIKE, LEAST_FOR_CONSTANT};
use crate::listen::{Choice, ListeningTest, Results};

/// Difference of two values of one sound that still counts as alike, as a share of the scale.
const ALIKE: f64 = 0.1;
/// Rating below which the hidden reference was not recognised (ITU-R BS.1534-3).
const REFERENCE_LEAST: f64 = 90.0;
/// Share of a trial's sound in which nobody can have heard it.
const HASTY: f64 = 0.5;

/// Answers of one listener in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListenerSummary {
    /// Name of the listener.
    pub listener: String,
    /// Their headphones or loudspeakers, as they said.
    pub device: String,
    /// Number of their list; `None` if the trials were asked as they are in the test.
    pub list: Option<usize>,
    /// Trials answered, and trials of the list.
    pub answers: (usize, usize),
    /// Trials that were asked twice, and sounds that a rating had twice, that were answered alike, and how many there were; of values,
    /// within a tenth of the scale.
    pub consistent: (usize, usize),
    /// Trials in which the low anchor was rated at least as high as everything else, and trials that had one.
    pub anchor_above: (usize, usize),
    /// Trials in which the hidden reference was rated below 90, and trials that had one.
    pub reference_missed: (usize, usize),
    /// Checks of attention that were failed, and how many there were.
    pub attention_failed: (usize, usize),
    /// Trials that were answered in less time than half of their sounds last.
    pub hasty: usize,
    /// Whether all answers are the same.
    pub constant: bool,
    /// The check for headphones, if it was made.
    pub headphone_check: Option<HeadphoneCheck>,
    /// Why the listener is left out of the conclusions; nobody is without a reason.
    pub screened_out: Vec<String>,
}

impl ListenerSummary {
    pub(super) fn new(test: &ListeningTest, results: &Results) -> Self {
        let of = |answer: &&Answer| test.trials[answer.trial].counts();
        let counted: Vec<&Answer> = results.answers.iter().filter(of).collect();
        let answers = results.progress(test);
        let choices: BTreeSet<String> = counted.iter().map(|answer| answer.choice.words()).collect();
        let failed =
            |answer: &&Answer| test.trials[answer.trial].expected.as_ref().map(|expected| *expected != answer.choice);
        let checks: Vec<bool> = results.answers.iter().filter_map(|answer| failed(&answer)).collect();
        let mut summary = Self {
            listener: results.listener.clone(),
            device: results.device.clone(),
            list: results.list,
            answers,
            consistent: consistent(test, results),
            anchor_above: count(counted.iter().filter_map(|answer| anchor_above(test, answer))),
            reference_missed: count(counted.iter().filter_map(|answer| reference_missed(test, answer))),
            attention_failed: count(checks.into_iter()),
            hasty: counted.iter().filter(|answer| is_hasty(test, answer)).count(),
            constant: counted.len() >= LEAST_FOR_CONSTANT && choices.len() == 1,
            headphone_check: results.headphone_check,
            screened_out: Vec::new(),
        };
        summary.screened_out = summary.reasons(test, counted.len());
        summary
    }

    /// Whether every trial of the list was answered.
    pub fn is_finished(&self) -> bool {
        self.answers.0 == self.answers.1
    }

    /// The rules of the test that leave the listener out, with what they did.
    fn reasons(&self, test: &ListeningTest, counted: usize) -> Vec<String> {
        let rules = &test.study.screening;
        let mut reasons = Vec::new();
        let mut check = |is: bool, reason: String| reasons.extend(is.then_some(reason));
        let above = |(n, of): (usize, usize), most: f64| of > 0 && n as f64 > most * of as f64;
        let in_trials = |(n, of): (usize, usize)| format!("in {n} of {of} trials");
        check(
            above(self.anchor_above, rules.anchor_above),
            format!("rated the low anchor as high as every other sound {}", in_trials(self.anchor_above)),
        );
        check(
            above(self.reference_missed, rules.reference_below_90),
            format!("rated the hidden reference below 90 {}", in_trials(self.reference_missed)),
        );
        let (alike, repeats) = self.consistent;
        check(
            repeats >= LEAST_FOR_ALIKE && (alike as f64) < rules.alike * repeats as f64,
            format!("answered {alike} of {repeats} repeats alike"),
        );
        check(
            above((self.hasty, counted), rules.hasty),
            format!("answered too fast {}", in_trials((self.hasty, counted))),
        );
        check(self.constant && !rules.constant, format!("gave the same answer in all {counted} trials"));
        let (failed, checks) = self.attention_failed;
        check(failed > rules.attention_failed, format!("failed {failed} of {checks} checks of attention"));
        check(
            self.headphone_check.is_some_and(|check| !check.passed()) && !rules.without_headphones,
            "failed the check for headphones".into(),
        );
        reasons
    }
}

/// How many are true, and how many there are.
fn count(each: impl Iterator<Item = bool>) -> (usize, usize) {
    each.fold((0, 0), |(n, of), is| (n + usize::from(is), of + 1))
}

/// Values of a rating by condition.
fn ratings(test: &ListeningTest, answer: &Answer) -> Vec<(usize, f64)> {
    let trial = answer.presented(test);
    match &answer.choice {
        Choice::Values(values) if values.len() == trial.stimuli.len() && values.len() > 1 => {
            trial.stimuli.iter().map(|n| test.stimuli[*n].condition).zip(values.iter().copied()).collect()
        }
        Choice::First | Choice::Second | Choice::Tie | Choice::Values(_) => Vec::new(),
    }
}

fn anchor_above(test: &ListeningTest, answer: &Answer) -> Option<bool> {
    let (anchor, ratings) = (test.low_anchor()?, ratings(test, answer));
    let of_anchor = ratings.iter().filter(|(condition, _)| *condition == anchor).map(|(_, v)| *v).reduce(f64::max)?;
    let best = ratings.iter().filter(|(condition, _)| *condition != anchor).map(|(_, v)| *v).reduce(f64::max)?;
    Some(of_anchor >= best)
}

fn reference_missed(test: &ListeningTest, answer: &Answer) -> Option<bool> {
    let reference = test.reference()?;
    let rated = ratings(test, answer).into_iter().find(|(condition, _)| *condition == reference)?;
    Some(rated.1 < REFERENCE_LEAST)
}

fn is_hasty(test: &ListeningTest, answer: &Answer) -> bool {
    let buttons = answer.presented(test).buttons();
    answer.seconds < HASTY * buttons.iter().map(|n| test.stimuli[*n].seconds).sum::<f64>()
}

fn consistent(test: &ListeningTest, results: &Results) -> (usize, usize) {
    let answer = |trial: usize| results.answers.iter().find(|answer| answer.trial == trial);
    let range = test.kind.info().scale().map_or(0.0, |(min, max)| max - min);
    let close = |a: f64, b: f64| (a - b).abs() <= ALIKE * range;
    let mut alike = Vec::new();
    for again in &results.answers {
        let Some(first) = test.trials[again.trial].repeats.and_then(&answer) else { continue };
        alike.push(is_alike(test, first, again, &close));
    }
    for answer in &results.answers {
        let (trial, Choice::Values(values)) = (answer.presented(test), &answer.choice) else { continue };
        if values.len() != trial.stimuli.len() {
            continue;
        }
        let twice = (0..values.len()).filter_map(|place| Some((place, trial.first_place(place)?)));
        alike.extend(twice.map(|(again, first)| close(values[again], values[first])));
    }
    count(alike.into_iter())
}

/// Whether two answers say the same of the same sounds, wherever these were.
fn is_alike(test: &ListeningTest, first: &Answer, again: &Answer, close: &dyn Fn(f64, f64) -> bool) -> bool {
    let (first_trial, again_trial) = (first.presented(test), again.presented(test));
    let turned = first_trial.stimuli != again_trial.stimuli;
    let info = test.kind.info();
    if info.has_x {
        // With an X, a listener is consistent if both answers are right or both are wrong.
        let right = |answer: &Answer, x: Option<usize>| {
            matches!((&answer.choice, x), (Choice::First, Some(0)) | (Choice::Second, Some(1)))
        };
        return right(first, first_trial.x) == right(again, again_trial.x);
    }
    match (&first.choice, &again.choice) {
        (Choice::Tie, Choice::Tie) => true,
        (Choice::First, Choice::First) | (Choice::Second, Choice::Second) => !turned,
        (Choice::First, Choice::Second) | (Choice::Second, Choice::First) => turned,
        (Choice::Values(a), Choice::Values(b)) => match (a.as_slice(), b.as_slice()) {
            ([a], [b]) if first_trial.stimuli.len() == 2 => close(*a, if turned { -b } else { *b }),
            _ => first_trial.stimuli.iter().zip(a).all(|(sound, a)| {
                let place = again_trial.stimuli.iter().position(|other| other == sound);
                place.and_then(|place| b.get(place)).is_some_and(|b| close(*a, *b))
            }),
        },
        _ => false,
    }
}
