//! Where a report goes: standard output and files.

use std::path::{Path, PathBuf};

use super::Outcome;
use crate::error::{Error, Result};
use crate::report::{Report, csv, html, plots, text};

/// Flags of commands that give a report.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print the report as JSON instead of text
    #[arg(long)]
    json: bool,
    /// Write a table with one row a token
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write one self-contained page with the plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the plots into this folder
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
}

impl Args {
    /// Prints and writes.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn give(&self, report: &Report) -> Result<Outcome> {
        if self.json {
            println!("{}", report.json());
        } else {
            print!("{}", text(report));
        }
        if let Some(path) = &self.csv {
            write(path, &csv(report).map_err(|e| Error::write(path, e))?)?;
        }
        if let Some(path) = &self.html {
            write(path, html(report).map_err(|e| Error::write(path, e))?.as_bytes())?;
        }
        if let Some(folder) = &self.png {
            std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
            for picture in plots::pictures(report) {
                let path = folder.join(format!("{}.png", picture.name));
                write(&path, &picture.png().map_err(|e| Error::write(&path, e))?)?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::write(path, e))
}
