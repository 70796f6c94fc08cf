//! Listening tests: the test with its sounds in one file ([`ListeningTest`]), the run of one listener through it ([`Run`]), and the
//! report on the answers of all listeners ([`ListeningReport`]). [`TestKind`] is the table of the kinds of tests.
//!
//! Trials, their order and the places of the sounds are fixed from a recorded seed before anybody listens; results are shown only at
//! the end.

mod kind;
mod page;
mod report;
mod run;
mod template;
mod test_file;
mod trial;

pub use self::kind::{AnswerButton, AnswerForm, TestKind, TestKindInfo};
pub use self::page::{html_report, test_page};
pub use self::report::{ConditionScore, Finding, ListeningReport};
pub use self::run::{Answer, Results, Run};
pub use self::template::{TakeSound, Template};
pub use self::test_file::{ListeningTest, MadeTest, PlannedSound, Stimulus, TestPlan};
pub use self::trial::{Choice, Trial};
