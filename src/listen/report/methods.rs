//! Texts for a paper and a preregistration, and the script that fits mixed models to its table.

use super::ListeningReport;
use super::findings::Estimate;
use super::text::{p_value, plural};
use crate::listen::heard::HEARD_SHARE;
use crate::listen::study::Screened;
use crate::listen::{ListeningTest, TestKind};

/// The script for R: mixed models with crossed random effects of listeners and items, of the table of `ListeningReport::long_csv`.
pub const R_SCRIPT: &str = include_str!("../../../assets/listen/mixed_models.R");

impl TestKind {
    /// The kind in a sentence, with its standard.
    fn in_words(self) -> &'static str {
        match self {
            Self::Abx => "an ABX discrimination test",
            Self::Preference => "a paired preference test with ties",
            Self::Rating => "a multi-stimulus rating test on a scale from 0 to 100 (after ITU-R BS.1534-3)",
            Self::Opinion => "an absolute category rating test on a scale from 1 to 5 (ITU-T P.800, Annex B)",
            Self::Comparison => "a comparison category rating test on a scale from -3 to 3 (ITU-T P.800, Annex E)",
        }
    }
}

/// The methods of a test and its analysis, as a paragraph for a paper.
pub(super) fn paragraph(test: &ListeningTest, report: &ListeningReport) -> String {
    let finished = report.listeners.iter().filter(|listener| listener.is_finished()).count();
    let out = report.listeners.iter().filter(|l| l.is_finished() && !l.screened_out.is_empty()).count();
    let mut sentences = vec![
        format!(
            "We ran {} of {} with {}.",
            test.kind.in_words(),
            conditions(test),
            plural(test.counted_items(), "item")
        ),
        format!(
            "{} took part, {finished} of whom finished; {} left out by rules that the test stated beforehand.",
            plural(report.listeners.len(), "listener"),
            if out == 1 { "1 was".into() } else { format!("{out} were") },
        ),
        format!(
            "Each listener had up to {} in their own order, drawn with the places of the sounds from seed {} as one of {} lists.",
            plural(test.trials_per_listener(), "trial"),
            test.seed,
            test.lists.len().max(1)
        ),
        match test.stimuli.iter().any(|stimulus| stimulus.gain_db != 0.0) {
            true => "Sounds were brought to equal loudness (ITU-R BS.1770-4).".into(),
            false => "Sounds kept their levels.".into(),
        },
        format!("An answer was accepted once {:.0} % of every sound had been heard.", 100.0 * HEARD_SHARE),
    ];
    sentences.push(match report.findings.first().map(|f| f.measure) {
        Some(Estimate::ShareRight) => {
            "Right answers were tested against guessing by an exact binomial test (one-sided), for which X was drawn independently for \
             each trial; intervals are over listeners and items."
                .into()
        }
        _ => "Differences of conditions were tested with listeners and items as crossed random effects (quasi-F, Clark 1973), with a \
              p-value no smaller than sign flips over listeners or over items could give; where there was only one of either, by sign \
              flips. p-values of several questions were corrected by Holm's method."
            .into(),
    });
    let results = report.findings.iter().map(|f| {
        let interval = match (f.measure, f.interval) {
            (_, None) => String::new(),
            (Estimate::Difference, Some((low, high))) => format!(", 95 % CI {low:+.2} to {high:+.2}"),
            (_, Some((low, high))) => format!(", 95 % CI {:.0} to {:.0} %", 100.0 * low, 100.0 * high),
        };
        let estimate = match f.measure {
            Estimate::Difference => format!("{:+.2}", f.estimate),
            Estimate::ShareRight | Estimate::ShareOfVotes => format!("{:.0} %", 100.0 * f.estimate),
        };
        format!("{}: {estimate}{interval}, p {}.", f.question, p_value(f.p_corrected))
    });
    sentences.extend(results);
    sentences.push(format!(
        "The test file has the SHA-256 {} and was made with CSM Studio {}.",
        test.sha256(),
        test.version
    ));
    sentences.join(" ")
}

fn conditions(test: &ListeningTest) -> String {
    format!("{} ({})", plural(test.compared().len(), "condition"), test.compared().join(", "))
}

/// The preregistration as Markdown; `spread` as in [`crate::listen::PowerPlan`].
pub fn preregistration(test: &ListeningTest, date: &str, spread: f64) -> String {
    let study = &test.study;
    let stated = |text: &str| if text.is_empty() { "(none stated)".to_owned() } else { text.to_owned() };
    let listeners = match study.listeners {
        0 => "(not stated)".to_owned(),
        n => n.to_string(),
    };
    let screened = Screened {
        anchor: test.low_anchor().is_some(),
        reference: test.reference().is_some(),
        repeats: test
            .trials
            .iter()
            .any(|t| t.repeats.is_some() || (1..t.stimuli.len()).any(|n| t.first_place(n).is_some())),
        attention: test.trials.iter().any(|trial| trial.expected.is_some()),
        headphones: study.headphone_check,
    };
    let rules: Vec<String> = study.screening.rules(&screened).iter().map(|rule| format!("- {rule}")).collect();
    let pairs = test.compared().len() * test.compared().len().saturating_sub(1) / 2;
    format!(
        "# Preregistration of a listening test\n\n\
         Date: {date}\n\
         SHA-256 of the test: `{}`\n\n\
         ## Hypothesis\n\n{}\n\n\
         ## Design\n\n{} of {}. Question: \"{}\". {} for each listener, in {} lists drawn from seed {}.\n\n\
         ## Listeners\n\nPlanned: {listeners}. Data collection ends when they have finished; no test is made before.\n\n\
         A listener is left out if\n\n{}\n\n\
         ## Analysis\n\n`csm listen report` of CSM Studio {}: {}, corrected by Holm's method, alpha 0.05. Listeners and \
         items are random. Results are reported with and without the listeners who are left out.\n\n\
         ## Power\n\n{}\n",
        test.sha256(),
        stated(&study.hypothesis),
        capitalised(test.kind.in_words()),
        conditions(test),
        test.question,
        plural(test.trials_per_listener(), "trial"),
        test.lists.len(),
        test.seed,
        rules.join("\n"),
        test.version,
        plural(pairs, "question"),
        test.power_plan(spread).describe(),
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
