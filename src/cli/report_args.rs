//! Where a report goes: standard output and files.

use std::path::PathBuf;

use super::Outcome;
use super::output::print_line;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::{Report, csv, html, plots, text};

/// Flags of commands that write a report.
#[derive(clap::Args, Debug)]
pub struct ReportArgs {
    /// Print the report as JSON instead of text
    #[arg(long)]
    json: bool,
    /// Write a table with one row per token
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a self-contained page with the plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the plots into this folder
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
}

impl ReportArgs {
    pub(super) fn write_report(&self, report: &Report) -> Result<Outcome> {
        let printed = if self.json { report.json() } else { text(report).trim_end().to_owned() };
        print_line(&printed)?;
        if let Some(path) = &self.csv {
            write_atomically(path, &csv(report, path)?)?;
        }
        if let Some(path) = &self.html {
            write_atomically(path, html(report).map_err(|e| Error::write(path, e))?.as_bytes())?;
        }
        if let Some(folder) = &self.png {
            std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
            for plot in plots::plots(report) {
                let path = folder.join(format!("{}.png", plot.name));
                write_atomically(&path, &plot.png().map_err(|e| Error::write(&path, e))?)?;
            }
        }
        Ok(Outcome::Done)
    }
}
