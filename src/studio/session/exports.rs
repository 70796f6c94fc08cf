//! Exports: what is known here is put together, and a thread of its own reads, draws and writes.

use std::path::PathBuf;
use std::sync::Arc;

use super::Session;
use super::clips::read_take_folder;
use crate::analysis::statistics::TokenStats;
use crate::audio::wav::{self, WavInfo};
use crate::data::TokenFile;
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, read_file, write_atomically};
use crate::report::{self, ClipReport, ClipSound, Report, StepsUnavailable, frame_candidates};
use crate::studio::state::{ExportKind, PinnedClip};

/// Silence between the turns of a conversation that is played or exported, seconds.
const PAUSE: f64 = 0.3;

/// What makes the content of a file, wherever it runs.
pub type Content = Box<dyn FnOnce() -> Result<Vec<u8>> + Send>;

impl Session {
    /// Writes an export and says so. The program does not end before it is written.
    pub fn write_export(&mut self, content: Result<Content>, to: PathBuf) {
        let Some(content) = self.report(content) else { return };
        let write = move || write_atomically(&to, &content()?).map(|()| to);
        self.write_in_background(write, |session, written| {
            if let Some(to) = session.report(written) {
                session.notify(format!("Exported to {}", to.display()));
            }
        });
    }

    /// The takes of all turns, in order.
    ///
    /// # Errors
    /// Where a turn has not been spoken.
    pub fn conversation_takes(&self) -> Result<Vec<PathBuf>> {
        let takes = self.conversation.takes().filter(|takes| !takes.is_empty()).ok_or_else(|| {
            Error::invalid("conversation", "every turn to be spoken (“Speak all” does that)", "a turn without a take")
        })?;
        Ok(takes.iter().map(|id| self.library.store.path(id)).collect())
    }

    /// The conversation as a WAV file.
    ///
    /// # Errors
    /// As [`Session::conversation_takes`], and without a model.
    pub fn conversation_wav(&self) -> Result<Content> {
        let (takes, rate) = (self.conversation_takes()?, self.rate());
        let text: Vec<&str> = self.conversation.turns().iter().map(|turn| turn.text.as_str()).collect();
        let model = self.checkpoint().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?.id()?;
        let info = WavInfo::for_clip(&model, &text.join(" / "), 0, &self.sampling);
        Ok(Box::new(move || Ok(wav::encode(&conversation_audio(&takes, rate)?, rate, &info)?.0)))
    }

    /// Plays the conversation.
    pub fn play_conversation(&mut self) {
        let (takes, rate) = (self.conversation_takes(), self.rate());
        let Some(takes) = self.report(takes) else { return };
        let read = move || conversation_audio(&takes, rate);
        self.in_background(read, move |session, audio| {
            if let Some(audio) = session.report(audio) {
                session.hear_other(&audio, rate);
            }
        });
    }

    /// The content of an export of take `id`.
    ///
    /// # Errors
    /// Without a model, where the kind needs one. What is made of it says where the take cannot be read.
    pub fn export(&self, id: &str, kind: ExportKind) -> Result<Content> {
        let folder = self.library.store.path(id);
        let read = |name: &str| {
            let file = folder.join(name);
            let content: Content = Box::new(move || read_file(&file, MEDIA_LIMIT));
            content
        };
        Ok(match kind {
            ExportKind::Wav => read("audio.wav"),
            ExportKind::Tokens => read("tokens.json"),
            ExportKind::Table => {
                let report = self.take_report(id)?;
                Box::new(move || report::csv(&report()?, &folder))
            }
            ExportKind::TokenMap => {
                let report = self.take_report(id)?;
                Box::new(move || {
                    let report = report()?;
                    let plots = report::plots::plots(&report);
                    let map = plots.iter().find(|p| p.name.ends_with("tokens"));
                    let png = map.map_or_else(|| Ok(Vec::new()), |p| p.png());
                    png.map_err(|e| Error::write(folder, e))
                })
            }
            ExportKind::Page => {
                let (report, content) = (self.take_report(id)?, self.page_content(id));
                Box::new(move || {
                    let mut report = report()?;
                    let clips = report.clips.into_iter().map(&content).collect::<Result<_>>();
                    report.clips = clips?;
                    report::html(&report).map(String::into_bytes).map_err(|e| Error::write(folder, e))
                })
            }
        })
    }

    fn take_report(&self, id: &str) -> Result<impl FnOnce() -> Result<Report> + Send + use<>> {
        let info = self.model_info().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let computed = self.inspected.take.as_deref() == Some(id) && self.inspected.is_analysed();
        let steps = if computed { Ok(self.inspected.steps.clone()) } else { Err(StepsUnavailable::NotComputed) };
        let name = self.library.store.get(id).map_or(id.to_owned(), |t| t.name.clone());
        let path = self.library.tokens_path(id);
        Ok(move || {
            let file = TokenFile::read(&path, &info.dims)?;
            Ok(Report::new((*info).clone(), vec![ClipReport::new(name, file, steps, None, &info)]))
        })
    }

    /// The pinned takes on one page, each with its sound, compared with each other.
    ///
    /// # Errors
    /// Where none of them is of the model that is open. What is made of it says where one cannot be read, or another model made it.
    pub fn pinned_page(&self) -> Result<Content> {
        let info = self.model_info().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let with_files = |pinned: &Arc<PinnedClip>| {
            let take = pinned.is_take.then_some(&pinned.take);
            (pinned.clone(), take.map(|id| (self.library.tokens_path(id), self.page_content(id))))
        };
        let pinned: Vec<_> = self.pins.with_tokens(info.dims.codebooks).map(with_files).collect();
        if pinned.is_empty() {
            return Err(Error::invalid("pinned takes", "takes of the model that is open", "none"));
        }
        let folder = self.paths.takes.clone();
        Ok(Box::new(move || {
            let mut clips = Vec::new();
            for (pinned, read) in pinned {
                let file = match &read {
                    Some((tokens, _)) => TokenFile::read(tokens, &info.dims)?,
                    None => pinned.token_file(),
                };
                // Takes that were seen while they were made bring their draws.
                let draws = file.frames.frames().zip(&pinned.logits).zip(&pinned.samplings);
                let steps = draws.map(|((codes, logits), sampling)| TokenStats::measure_frame(logits, codes, sampling));
                let steps: Vec<_> = steps.collect();
                let known = steps.len() == file.frames.len() && !steps.is_empty();
                let steps = if known { Ok(steps) } else { Err(StepsUnavailable::NotComputed) };
                let clip = ClipReport::new(pinned.name.clone(), file, steps, Some(&pinned.audio), &info);
                let clip = clip.with_acoustics(&pinned.audio, pinned.rate);
                clips.push(match read {
                    Some((_, content)) => content(clip)?,
                    None => {
                        let (wav, _) = wav::encode(&pinned.audio, pinned.rate, &WavInfo::default())?;
                        clip.with_page_content(Some(ClipSound::new(wav, &pinned.audio, pinned.rate)), Vec::new())
                    }
                });
            }
            let report = Report::new((*info).clone(), clips);
            report::html(&report).map(String::into_bytes).map_err(|e| Error::write(&folder, e))
        }))
    }

    /// Gives a report of take `id` its sound and, as far as they are known, the candidates of its draws.
    fn page_content(&self, id: &str) -> impl Fn(ClipReport) -> Result<ClipReport> + Send + use<> {
        let (path, rate) = (self.library.store.path(id).join("audio.wav"), self.rate());
        let pinned = self.pins.place(id).map(|n| &self.pins.clips()[n]);
        let (logits, samplings) = match pinned.filter(|pinned| !pinned.logits.is_empty()) {
            Some(pinned) => (pinned.logits.clone(), pinned.samplings.clone()),
            None if self.inspected.take.as_deref() == Some(id) => {
                (self.inspected.logits.clone(), self.inspected.samplings.clone())
            }
            None => (Vec::new(), Vec::new()),
        };
        move |clip| {
            let sound = ClipSound::new(read_file(&path, MEDIA_LIMIT)?, &wav::read(&path, rate)?, rate);
            let frames = clip.codes.frames().zip(&logits).zip(&samplings);
            let candidates =
                frames.map(|((codes, logits), sampling)| frame_candidates(logits, codes, sampling)).collect();
            Ok(clip.with_page_content(Some(sound), candidates))
        }
    }
}

/// The sound of takes, one after another, with a pause between.
fn conversation_audio(takes: &[PathBuf], rate: usize) -> Result<Vec<f32>> {
    let mut audio = Vec::new();
    for (n, take) in takes.iter().map(PathBuf::as_path).enumerate() {
        if n > 0 {
            audio.resize(audio.len() + (PAUSE * rate as f64) as usize, 0.0);
        }
        audio.extend(read_take_folder(take, rate)?.1);
    }
    Ok(audio)
}
