//! Where a report goes: standard output and files.

use std::path::PathBuf;

use super::Outcome;
use super::output::print_line;
use crate::analysis::statistics::TokenStats;
use crate::audio::wav::{self, WavInfo};
use crate::data::{ModelId, ModelInfo, TokenFile};
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
    /// Ask this command what it hears in each clip, and count the wrong words: it gets the path of a WAV file (in the place of {wav}, or
    /// at its end) and prints the text
    #[arg(long, alias = "recognizer", value_name = "COMMAND", value_parser = Recogniser::parse)]
    recogniser: Option<Recogniser>,
    /// Write the plots into this folder
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
}

/// A clip as a WAV file has it.
fn clip_wav(file: &TokenFile, audio: &[f32], rate: usize) -> Result<Vec<u8>> {
    let unknown = || ModelId { name: String::new(), sha256: String::new() };
    let (model, sampling) = (file.model.clone().unwrap_or_else(unknown), file.sampling);
    let text = file.text.as_deref().unwrap_or_default();
    let info = sampling.map(|s| WavInfo::for_clip(&model, text, file.speaker.unwrap_or(0), &s));
    let (wav, _) = wav::encode(audio, rate, &info.unwrap_or_default())?;
    Ok(wav)
}

impl ReportArgs {
    /// A clip with its sound, what can be measured of it, and what the recogniser hears. `steps` are its draws or why there are none,
    /// `candidates` those of its draws.
    pub(super) fn clip_report(
        &self,
        name: String,
        file: TokenFile,
        steps: Result<Vec<Vec<TokenStats>>, StepsUnavailable>,
        candidates: Vec<FrameCandidates>,
        audio: &[f32],
        model: &ModelInfo,
        cancel: &CancelToken,
    ) -> Result<ClipReport> {
        let rate = model.dims.sample_rate;
        let wav = clip_wav(&file, audio, rate)?;
        let asked = self.recogniser.as_ref().filter(|_| file.text.is_some());
        // A clip that is not recognised is no reason to lose the others.
        let heard =
            asked.map(|recogniser| recogniser.transcribe(&wav, || cancel.is_cancelled()).map_err(|e| e.to_string()));
        let sound = ClipSound::new(wav, audio, rate);
        let clip = ClipReport::new(name, file, steps, Some(audio), model).with_acoustics(audio, rate);
        let clip = clip.with_page_content(Some(sound), candidates);
        Ok(match heard {
            Some(heard) => clip.with_transcript(heard),
            None => clip,
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
