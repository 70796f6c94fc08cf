//! Everything around the trials: what listeners read and are asked, how they are screened, and what was decided before anybody listened.

use serde::{Deserialize, Serialize};

use super::texts::Language;

/// Instructions, checks and rules of a test. All of it is part of the test's hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Text that listeners read before the first trial; paragraphs by blank lines.
    #[serde(default)]
    pub instructions: String,
    /// Whether listeners set their volume by a sound of the test first.
    #[serde(default)]
    pub volume_page: bool,
    /// Whether listeners have to pass the check for headphones (page only).
    #[serde(default)]
    pub headphone_check: bool,
    /// Questions about the listener.
    #[serde(default)]
    pub questionnaire: Vec<Question>,
    /// Trials between two breaks that are offered; no breaks if 0.
    #[serde(default)]
    pub break_every: usize,
    /// Language of the page.
    #[serde(default)]
    pub language: Language,
    /// Where the page sends the results; nowhere if empty.
    #[serde(default)]
    pub post: String,
    /// Text at the end of the page, such as the code of a crowdsourcing platform; none if empty.
    #[serde(default)]
    pub completion: String,
    /// The hypothesis, stated before the test.
    #[serde(default)]
    pub hypothesis: String,
    /// Listeners that are planned; 0 if that was not said.
    #[serde(default)]
    pub listeners: usize,
    /// Which listeners are left out of the conclusions.
    #[serde(default)]
    pub screening: Screening,
}

/// A question about the listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// Answers to choose from; any text if there are none.
    #[serde(default)]
    pub answers: Vec<String>,
}

impl std::str::FromStr for Question {
    type Err = String;
    /// `QUESTION`, or `QUESTION=ANSWER|ANSWER|…`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (question, answers) = text.split_once('=').unwrap_or((text, ""));
        let answers: Vec<String> =
            answers.split('|').map(str::trim).filter(|answer| !answer.is_empty()).map(str::to_owned).collect();
        match question.trim() {
            "" => Err("expected QUESTION or QUESTION=ANSWER|ANSWER".into()),
            question => Ok(Self { question: question.into(), answers }),
        }
    }
}

/// Rules that leave a listener out of the conclusions. A rule applies where the test has what it looks at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Screening {
    /// Share of the trials in which the low anchor may be rated at least as high as everything else.
    pub anchor_above: f64,
    /// Share of the trials in which the hidden reference may be rated below 90 of 100 (ITU-R BS.1534-3, 4.1.2).
    pub reference_below_90: f64,
    /// Share of the repeated trials and sounds that must be answered alike.
    pub alike: f64,
    /// Share of the trials that may be answered in less time than half of their sounds last.
    pub hasty: f64,
    /// Whether all trials may be answered alike: the same button, or the same values.
    pub constant: bool,
    /// Checks of attention that may be failed.
    pub attention_failed: usize,
    /// Whether the check for headphones may be failed.
    pub without_headphones: bool,
}

impl Default for Screening {
    fn default() -> Self {
        Self {
            anchor_above: 0.25,
            reference_below_90: 0.15,
            alike: 0.5,
            hasty: 0.25,
            constant: false,
            attention_failed: 0,
            without_headphones: false,
        }
    }
}

/// Trials of one answer that are needed before "always the same answer" says something.
pub(super) const LEAST_FOR_CONSTANT: usize = 8;
/// Repeats that are needed before their share says something.
pub(super) const LEAST_FOR_ALIKE: usize = 3;

/// The parts of a test that its rules use.
pub(super) struct Screened {
    pub(super) anchor: bool,
    pub(super) reference: bool,
    pub(super) repeats: bool,
    pub(super) attention: bool,
    pub(super) headphones: bool,
}

impl Screening {
    /// The rules that apply to a test, in words.
    pub(super) fn rules(&self, test: &Screened) -> Vec<String> {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let rules = [
            (
                test.anchor,
                format!(
                    "the low anchor is rated as high as every other sound in more than {} of the trials",
                    percent(self.anchor_above)
                ),
            ),
            (
                test.reference,
                format!(
                    "the hidden reference is rated below 90 in more than {} of the trials",
                    percent(self.reference_below_90)
                ),
            ),
            (
                test.repeats,
                format!("fewer than {} of at least {LEAST_FOR_ALIKE} repeats are answered alike", percent(self.alike)),
            ),
            (
                true,
                format!(
                    "more than {} of the trials are answered in less time than half of their sounds last",
                    percent(self.hasty)
                ),
            ),
            (!self.constant, format!("all of at least {LEAST_FOR_CONSTANT} trials have the same answer")),
            (
                test.attention,
                match self.attention_failed {
                    0 => "a check of attention is failed".into(),
                    n => format!("more than {n} checks of attention are failed"),
                },
            ),
            (test.headphones && !self.without_headphones, "the check for headphones is failed".into()),
        ];
        rules.into_iter().filter(|(applies, _)| *applies).map(|(_, rule)| rule).collect()
    }
}
