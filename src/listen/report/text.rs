//! The report in words.

use super::findings::{Estimate, Finding};
use super::{ListenerSummary, ListeningReport};
use crate::analysis::mean_test::{LEAST_UNITS, Scope};

/// p-values above this prove nothing.
const ALPHA: f64 = 0.05;

impl ListeningReport {
    /// The report as text.
    pub fn text(&self) -> String {
        let mut lines = vec![self.question.clone(), self.design.clone(), String::new()];
        lines.extend(self.listeners.iter().map(|l| format!("  {}", l.describe())));
        for score in &self.scores {
            let interval = score.interval.map_or(String::new(), |(low, high)| format!(" [{low:.2}, {high:.2}]"));
            let of = match (score.interval, score.scope) {
                (None, _) => format!("no interval from fewer than {LEAST_UNITS} listeners or items"),
                (Some(_), Scope::ListenersAndItems) => "95 %, over listeners and items".into(),
                (Some(_), Scope::Listeners) => "95 %, over listeners".into(),
                (Some(_), Scope::Items) => "95 %, over items; of this listener".into(),
                (Some(_), Scope::Trials) => "95 %, over trials; of this listener and this item".into(),
            };
            let (condition, mean) = (&score.condition, score.mean);
            lines.push(format!("{condition}: mean {mean:.2}{interval} of {} ({of})", plural(score.votes, "value")));
        }
        if self.findings.is_empty() {
            lines.push(self.nothing_to_test());
        }
        for (title, findings) in self.sections() {
            if !title.is_empty() {
                lines.push(format!("\n{title}{}", corrected(findings.len())));
            }
            lines.extend(findings.iter().map(|f| format!("  {}", self.describe(f))));
        }
        lines.join("\n")
    }

    fn nothing_to_test(&self) -> String {
        let finished = self.listeners.iter().filter(|l| l.is_finished());
        match (finished.clone().count(), finished.filter(|l| l.screened_out.is_empty()).count()) {
            (0, _) => "No listener has finished; answers so far are tested only on request".into(),
            (_, 0) => "Every listener who finished is left out by the rules of the test".into(),
            _ => "There is no pair of conditions to test".into(),
        }
    }

    /// The lists of findings that have something in them, with their titles; the first one has none.
    pub fn sections(&self) -> Vec<(&'static str, &[Finding])> {
        let all: [(&str, &[Finding], usize); 5] = [
            ("", &self.findings, 1),
            ("Of these items only", &self.of_these_items, 1),
            ("With the listeners who are left out", &self.without_screening, 1),
            ("By item", &self.by_item, 2),
            ("By listener", &self.by_listener, 2),
        ];
        all.into_iter().filter(|(_, list, least)| list.len() >= *least).map(|(title, list, _)| (title, list)).collect()
    }

    /// A finding in words.
    pub fn describe(&self, f: &Finding) -> String {
        let ties = match f.ties {
            0 => String::new(),
            n => format!(", {}", plural(n as usize, "tie")),
        };
        let answers = match f.measure {
            Estimate::ShareRight => format!("{} of {} right", f.successes, f.trials),
            Estimate::ShareOfVotes if f.trials == 0 => format!("no vote for either{ties}"),
            Estimate::ShareOfVotes => format!("{} of {} votes{ties}", f.successes, f.trials),
            Estimate::Difference => format!("difference {:+.2}", f.estimate),
        };
        let smallest = match f.smallest_p > ALPHA {
            true => {
                format!("; cannot succeed: the smallest p that {} can give is {}", f.units(), p_number(f.smallest_p))
            }
            false => format!(" (smallest possible {})", p_number(f.smallest_p)),
        };
        let corrected = match (f.p_corrected - f.p).abs() > 1e-12 {
            true => format!(", corrected {}", p_value(f.p_corrected)),
            false => String::new(),
        };
        format!(
            "{}: {answers}; {}{}; p {}{corrected}{smallest}; {}",
            f.question,
            self.interval(f),
            effect(f),
            p_value(f.p),
            f.scope()
        )
    }

    /// The interval of a finding in words.
    fn interval(&self, f: &Finding) -> String {
        let percent = |share: f64| format!("{:.0}", 100.0 * share);
        match (f.measure, f.interval) {
            (_, None) => "no interval from so few".into(),
            (Estimate::ShareRight, Some((low, high))) => {
                format!("compatible with the data: right in {} to {} %", percent(low), percent(high))
            }
            (Estimate::ShareOfVotes, Some((low, high))) => {
                format!("95 % interval of the share: {} to {} %", percent(low), percent(high))
            }
            (Estimate::Difference, Some((low, high))) => format!("95 % interval {low:+.2} to {high:+.2}"),
        }
    }
}

impl Finding {
    /// The population of the conclusion, in words.
    pub fn scope(&self) -> String {
        let (listeners, items) = (plural(self.listeners, "listener"), plural(self.items, "item"));
        match self.scope {
            Scope::ListenersAndItems => format!("over {listeners} and {items}"),
            Scope::Listeners => format!("over {listeners}; of {items} only"),
            Scope::Items => format!("of this listener only; over {items}"),
            Scope::Trials => format!("of this listener and {items} only"),
        }
    }

    /// The units that the test counts, with their numbers.
    fn units(&self) -> String {
        let (listeners, items) = (plural(self.listeners, "listener"), plural(self.items, "item"));
        match self.scope {
            Scope::ListenersAndItems => format!("{listeners} and {items}"),
            Scope::Listeners => listeners,
            Scope::Items => items,
            Scope::Trials => plural(self.trials as usize, "trial"),
        }
    }
}

fn effect(f: &Finding) -> String {
    match (f.measure, f.effect_size) {
        (Estimate::Difference, Some(d)) => format!("; d {d:+.2}"),
        _ => String::new(),
    }
}

impl ListenerSummary {
    /// How the listener listened, in words.
    pub fn describe(&self) -> String {
        let (answered, all) = self.answers;
        let mut parts = vec![format!("{}: {answered} of {}", self.listener, plural(all, "trial"))];
        if !self.is_finished() {
            parts.push("unfinished".into());
        }
        if self.consistent.1 > 0 {
            let (alike, repeats) = self.consistent;
            parts.push(format!("same answer in {alike} of {repeats} repeats"));
        }
        if self.anchor_above.1 > 0 {
            let (above, of) = self.anchor_above;
            parts.push(format!("low anchor below the others in {} of {of}", of - above));
        }
        if self.reference_missed.1 > 0 {
            let (missed, of) = self.reference_missed;
            parts.push(format!("hidden reference found in {} of {of}", of - missed));
        }
        if self.hasty > 0 {
            parts.push(format!("{} answered too fast", self.hasty));
        }
        if !self.screened_out.is_empty() {
            parts.push(format!("left out: {}", self.screened_out.join("; ")));
        }
        parts.join(", ")
    }
}

/// A number of things.
pub(in crate::listen) fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// A p-value with its relation: "= 0.031", "< 0.0001".
pub(in crate::listen) fn p_value(p: f64) -> String {
    if p < 1e-4 { p_number(p) } else { format!("= {p:.4}") }
}

/// A p-value: "0.031", "< 0.0001".
pub(in crate::listen) fn p_number(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".into() } else { format!("{p:.4}") }
}

/// That p-values of several questions are corrected.
fn corrected(questions: usize) -> String {
    if questions > 1 { format!(" ({questions} questions, corrected by Holm's method)") } else { String::new() }
}
