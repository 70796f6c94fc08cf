//! `csm listen report`.

use std::path::PathBuf;

use crate::cli::Outcome;
use crate::cli::output::{check_outputs, message, print_line};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::listen::{ListeningReport, ListeningTest, R_SCRIPT, ReportOptions, Results, html_report};

/// Flags of `csm listen report`.
#[derive(clap::Args, Debug)]
pub struct ListenReportArgs {
    /// File of the listening test
    #[arg(value_name = "TEST")]
    test: PathBuf,
    /// Results of its listeners
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Print the report as JSON instead of text
    #[arg(long)]
    json: bool,
    /// Also test the answers of listeners who have not finished
    #[arg(long)]
    unfinished: bool,
    /// Write a table with a row per trial and listener
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a table with a row per value for mixed models, and next to it a script for R (lme4, ordinal)
    #[arg(long, value_name = "FILE")]
    long: Option<PathBuf>,
    /// Also write the report as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a paragraph on the methods, ready for a paper
    #[arg(long, value_name = "FILE")]
    methods: Option<PathBuf>,
}

pub(super) fn report(args: &ListenReportArgs) -> Result<Outcome> {
    let test = ListeningTest::read(&args.test)?;
    let script = args.long.as_ref().map(|path| path.with_extension("R"));
    check_outputs(
        [
            ("csv", &args.csv, "csv"),
            ("long", &args.long, "csv"),
            ("html", &args.html, "html"),
            ("methods", &args.methods, "txt"),
            ("long", &script, "R"),
        ],
        args.results.iter().chain([&args.test]).map(PathBuf::as_path),
    )?;
    let read = |path: &PathBuf| Ok((path.clone(), Results::read(path, &test)?));
    let (results, notes) = Results::pooled(args.results.iter().map(read).collect::<Result<Vec<_>>>()?);
    notes.iter().for_each(|text| message!("warning: {text}"));
    let report = ListeningReport::new(&test, &results, ReportOptions { unfinished: args.unfinished });
    if let Some(path) = &args.csv {
        write_atomically(path, &report.csv().map_err(|e| Error::write(path, e))?)?;
    }
    if let (Some(path), Some(script)) = (&args.long, &script) {
        write_atomically(path, &report.long_csv().map_err(|e| Error::write(path, e))?)?;
        write_atomically(script, R_SCRIPT.as_bytes())?;
    }
    if let Some(path) = &args.html {
        write_atomically(path, html_report(&report).as_bytes())?;
    }
    if let Some(path) = &args.methods {
        write_atomically(path, format!("{}\n", report.methods).as_bytes())?;
    }
    print_line(&if args.json { report.json() } else { report.text() })?;
    Ok(Outcome::Done)
}
