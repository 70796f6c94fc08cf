//! `csm listen`: listening tests without a window. See [`crate::listen`].

mod new;
mod report;
mod run;

use super::Outcome;
use crate::error::Result;

/// Commands for listening tests.
#[derive(clap::Subcommand, Debug)]
pub enum ListenCommand {
    /// Make a test: one file, and optionally a page for listeners without this program
    New(Box<new::NewArgs>),
    /// Run a test in the terminal, or resume it
    Run(run::RunArgs),
    /// Report the results of all listeners
    Report(report::ListenReportArgs),
}

pub(super) fn run(command: &ListenCommand) -> Result<Outcome> {
    match command {
        ListenCommand::New(args) => new::new(args),
        ListenCommand::Run(args) => run::listen(args),
        ListenCommand::Report(args) => report::report(args),
    }
}
