//! The results of all listeners.

mod findings;
mod listeners;
mod methods;
mod rows;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::findings::{ConditionScore, Estimate, Finding};
use self::findings::{PairVote, findings, pair_votes, scores};
pub use self::listeners::ListenerSummary;
pub use self::methods::{R_SCRIPT, preregistration};
pub use self::rows::Row;
pub(in crate::listen) use self::text::{p_number, plural};
use super::{ListeningTest, Results, TestKind};
use crate::analysis::mean_test::Scope;

/// Options of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// Whether answers of listeners who did not finish are tested, too.
    pub unfinished: bool,
}

/// The answers of all listeners.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListeningReport {
    /// The question of the test.
    pub question: String,
    /// The kind of test.
    pub kind: TestKind,
    /// Names of the conditions.
    pub conditions: Vec<String>,
    /// How orders and places were drawn.
    pub design: String,
    /// All listeners, excluded ones too.
    pub listeners: Vec<ListenerSummary>,
    /// The questions of the test, one per pair of conditions, over listeners and items as far as both are several.
    pub findings: Vec<Finding>,
    /// These questions about the items of the test only, if the findings are about others, too.
    pub of_these_items: Vec<Finding>,
    /// The findings with the listeners that the screening leaves out; empty if it leaves out nobody.
    pub without_screening: Vec<Finding>,
    /// By item, if there are several; corrected among each other.
    pub by_item: Vec<Finding>,
    /// By listener, if there are several; corrected among each other.
    pub by_listener: Vec<Finding>,
    /// Scores of ratings and opinions.
    pub scores: Vec<ConditionScore>,
    /// The test and its analysis, ready for a paper.
    pub methods: String,
    /// A row per trial and listener: the sound of each button, and the answer.
    pub answers: Vec<Row>,
    /// A row per value: what a mixed model is fitted to.
    #[serde(skip)]
    pub long: Vec<Row>,
}

impl ListeningReport {
    /// Pools `results` of `test`. Practice, checks of attention and trials that were asked once more do not count.
    pub fn new(test: &ListeningTest, results: &[Results], options: ReportOptions) -> Self {
        let listeners: Vec<ListenerSummary> = results.iter().map(|r| ListenerSummary::new(test, r)).collect();
        let is_counted = |n: &usize| options.unfinished || listeners[*n].is_finished();
        let all: Vec<usize> = (0..results.len()).filter(is_counted).collect();
        let kept: Vec<usize> = all.iter().copied().filter(|n| listeners[*n].screened_out.is_empty()).collect();
        let votes_of = |chosen: &[usize]| -> Vec<PairVote> {
            chosen.iter().flat_map(|n| pair_votes(test, *n, &results[*n])).collect()
        };
        let votes = votes_of(&kept);
        let found = findings(test, [(String::new(), votes.clone())], None);
        // Guessing is tested over all answers, whatever they are to hold for.
        let generalises =
            !test.kind.info().has_x && found.iter().any(|finding| finding.scope == Scope::ListenersAndItems);
        let items: BTreeSet<usize> = votes.iter().map(|vote| vote.item).collect();
        let items = if items.len() > 1 { items } else { BTreeSet::new() };
        let several = if kept.len() > 1 { kept.as_slice() } else { &[] };
        let of = |is: &dyn Fn(&PairVote) -> bool| votes.iter().filter(|vote| is(vote)).cloned().collect::<Vec<_>>();
        let by_item = items.iter().map(|item| (format!("item {}", item + 1), of(&|vote| vote.item == *item)));
        let by_listener = several.iter().map(|n| (results[*n].listener.clone(), of(&|vote| vote.listener == *n)));
        let all_votes = (kept.len() < all.len()).then(|| votes_of(&all));
        let mut report = Self {
            question: test.question.clone(),
            kind: test.kind,
            conditions: test.conditions.clone(),
            design: test.describe_design(),
            findings: found,
            of_these_items: match generalises {
                true => findings(test, [(String::new(), votes.clone())], Some(Scope::Listeners)),
                false => Vec::new(),
            },
            without_screening: all_votes.map_or(Vec::new(), |votes| findings(test, [(String::new(), votes)], None)),
            by_item: findings(test, by_item.collect::<Vec<_>>(), None),
            by_listener: findings(test, by_listener.collect::<Vec<_>>(), None),
            scores: scores(test, &kept, results),
            methods: String::new(),
            answers: results.iter().flat_map(|r| r.answers.iter().map(|answer| rows::row(test, r, answer))).collect(),
            long: results.iter().zip(&listeners).flat_map(|(r, l)| rows::long(test, r, l)).collect(),
            listeners,
        };
        report.methods = methods::paragraph(test, &report);
        report
    }

    /// Listeners whose answers the findings are of.
    pub fn counted_listeners(&self) -> usize {
        self.findings.iter().map(|finding| finding.listeners).max().unwrap_or(0)
    }

    /// The report as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() // plain data, which always has a JSON form
    }
}

impl ListeningTest {
    /// How often each condition is in each place, over all lists.
    fn describe_design(&self) -> String {
        let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let lists: Vec<_> = (0..self.lists.len().max(1)).map(|n| self.list(n)).collect();
        let asked = || lists.iter().flatten().filter(|p| self.trials[p.trial].counts());
        for presentation in asked() {
            for (place, n) in presentation.stimuli.iter().enumerate() {
                *places.entry((place, self.stimuli[*n].condition)).or_default() += 1;
            }
        }
        let all = asked().count().max(1);
        let share = |(place, condition): (usize, usize), n: usize| {
            format!(
                "{} is {} in {:.0} %",
                super::trial::letter(place),
                self.conditions[condition],
                100.0 * n as f64 / all as f64
            )
        };
        let drawn = format!("{} lists, drawn from seed {}", lists.len(), self.seed);
        let first: Vec<String> =
            places.iter().filter(|((place, _), _)| *place == 0).map(|(at, n)| share(*at, *n)).collect();
        match first.len() {
            0 | 1 => format!("Order of the trials: {drawn}"),
            _ => format!("Orders and places: {drawn}; over all lists {}", first.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests;
