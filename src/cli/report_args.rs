//! Where a report goes: standard output and files.

use std::path::PathBuf;

use super::Outcome;
use super::output::print_line;
use crate::audio::wav::{self, WavInfo};
use crate::data::{ModelDims, ModelId, TokenFile};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::report::{ClipSound, Report, csv, html, plots, text};

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

/// The sound of a report's clip, as its WAV file has it.
pub(super) fn clip_sound(file: &TokenFile, audio: &[f32], dims: &ModelDims) -> Result<ClipSound> {
    let unknown = || ModelId { name: String::new(), sha256: String::new() };
    let (model, sampling) = (file.model.clone().unwrap_or_else(unknown), file.sampling);
    let text = file.text.as_deref().unwrap_or_default();
    let info = sampling.map(|s| WavInfo::for_clip(&model, text, file.speaker.unwrap_or(0), &s));
    let (wav, _) = wav::encode(audio, dims.sample_rate, &info.unwrap_or_default())?;
    Ok(ClipSound::new(wav, audio, dims.sample_rate))
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
