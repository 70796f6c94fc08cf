//! Listening tests: what is asked ([`ListeningTest`], one file with its sounds), the run of one listener through it ([`Run`]), and what
//! the votes of all listeners say ([`ListeningReport`]).
//!
//! Trials, their order and which clip stands where are fixed from a recorded seed before anybody listens; results are shown only at
//! the end.

mod page;
mod report;
mod run;
mod template;
mod test_file;

pub use self::page::{html_report, test_page};
pub use self::report::{ConditionScore, Finding, ListeningReport};
pub use self::run::{Answer, Choice, Results, Run};
pub use self::template::{TakeSound, Template};
pub use self::test_file::{ListeningTest, PlannedSound, Stimulus, TestKind, TestPlan, Trial};
