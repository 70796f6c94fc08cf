//! Where a report goes: standard output and files.

use std::path::{Path, PathBuf};

use super::Outcome;
use super::output::{check_outputs, print_line};
use crate::analysis::statistics::TokenStats;
use crate::audio::wav::{self, WavInfo};
use crate::data::{Clip, ModelId, ModelInfo};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::recogniser::Recogniser;
use crate::report::{ClipReport, ClipSound, FrameCandidates, Report, StepsUnavailable, csv, html, plots, text};
use crate::worker::CancelToken;

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
    /// Transcribe each clip with this command and count word errors. The command gets the path of a WAV file (replacing {wav}, or
    /// appended) and prints the text
    #[arg(long, alias = "recognizer", value_name = "COMMAND", value_parser = Recogniser::parse)]
    recogniser: Option<Recogniser>,
    /// Write the plots into this folder
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
}

/// The WAV file of a clip.
fn clip_wav(clip: &Clip) -> Result<Vec<u8>> {
    let unknown = || ModelId { name: String::new(), sha256: String::new() };
    let model = clip.origin.model.clone().unwrap_or_else(unknown);
    Ok(wav::encode(&clip.audio, clip.sample_rate, &WavInfo::for_clip(&model, &clip.origin))?.0)
}

impl ReportArgs {
    /// Checks the names of the outputs before anything is computed.
    pub(super) fn check<'a>(&'a self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        if let Some(folder) = self.png.as_ref().filter(|folder| folder.is_file()) {
            return Err(Error::invalid("png", "a folder", folder.display()));
        }
        check_outputs([("csv", &self.csv, "csv"), ("html", &self.html, "html")], inputs)
    }

    /// Reports a clip with its acoustic measures and the recogniser's transcript, if it has a waveform. `stats` are the statistics of
    /// its draws or why there are none, `candidates` those of its draws.
    pub(super) fn clip_report(
        &self,
        name: String,
        clip: &Clip,
        stats: Result<Vec<Vec<TokenStats>>, StepsUnavailable>,
        candidates: Vec<FrameCandidates>,
        model: &ModelInfo,
        cancel: &CancelToken,
    ) -> Result<ClipReport> {
        let report = ClipReport::new(name, clip, stats, model);
        if clip.audio.is_empty() {
            return Ok(report);
        }
        let wav = clip_wav(clip)?;
        let recogniser = self.recogniser.as_ref().filter(|_| clip.origin.text.is_some());
        // A clip that cannot be recognised is not a reason to lose the others.
        let transcript = recogniser.map(|r| r.transcribe(&wav, || cancel.is_cancelled()).map_err(|e| e.to_string()));
        let sound = ClipSound::new(wav, &clip.audio, clip.sample_rate);
        let report = report.with_acoustics(&clip.audio, clip.sample_rate).with_page_content(Some(sound), candidates);
        Ok(match transcript {
            Some(transcript) => report.with_transcript(transcript),
            None => report,
        })
    }

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
