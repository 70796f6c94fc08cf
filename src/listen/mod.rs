//! Listening tests: the test with its sounds in one file ([`ListeningTest`]), the run of one listener through it ([`Run`]), and the
//! report on the answers of all listeners ([`ListeningReport`]). [`TestKind`] is the table of the kinds of tests.
//!
//! Trials, the lists of the listeners and the places of the sounds are fixed from a recorded seed before anybody listens; results are
//! shown only at the end. Conclusions are about listeners and items, never about votes.

mod heard;
mod kind;
mod page;
mod plan;
mod power;
mod report;
mod run;
mod sounds;
mod stimulus;
mod study;
mod template;
mod test_file;
mod texts;
mod trial;

pub use self::kind::{AnswerButton, AnswerForm, TestKind, TestKindInfo};
pub use self::page::{html_report, test_page};
pub use self::power::PowerPlan;
pub use self::report::{ConditionScore, Estimate, Finding, ListeningReport, R_SCRIPT, ReportOptions, preregistration};
pub use self::run::{Answer, HeadphoneCheck, Results, Run};
pub use self::sounds::{Anchor, Condition, LoudnessMatch, PlannedSound};
pub use self::stimulus::Stimulus;
pub use self::study::{Question, Screening, Study};
pub use self::template::{TakeSound, Template};
pub use self::test_file::{ListeningTest, MadeTest, TestPlan};
pub use self::texts::Language;
pub use self::trial::{Choice, Presentation, Trial};
