//! Exports: the window collects what they need, and a thread reads, draws and writes.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Library, LibraryContext};
use crate::analysis::steps::Steps;
use crate::audio::recording;
use crate::audio::wav::{self, WavInfo};
use crate::data::ClipOrigin;
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, read_file, write_atomically};
use crate::report::{self, ClipReport, ClipSound, Report, StepsUnavailable, frame_candidates};
use crate::studio::comparison::PinnedClip;
use crate::studio::composer::conversation_audio;
use crate::studio::tasks::Key;
use crate::takes::{TakeFolder, TakeId};

const EXPORT: Key = Key("export");

/// A form in which a take can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    Wav,
    Tokens,
    /// A row per token.
    Table,
    /// The token map as a picture.
    TokenMap,
    /// A page that plays the clip and shows each draw.
    Page,
}

impl ExportKind {
    /// All kinds and their titles in menus.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Wav, "WAV"),
        (Self::Page, "page with sound (HTML)"),
        (Self::Tokens, "tokens (JSON)"),
        (Self::Table, "tokens (CSV)"),
        (Self::TokenMap, "token map (PNG)"),
    ];

    fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Tokens => "json",
            Self::Table => "csv",
            Self::TokenMap => "png",
            Self::Page => "html",
        }
    }
}

/// The forms of export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    Take(TakeId, ExportKind),
    /// The takes of all turns, one after another, as a WAV file.
    Conversation,
    /// The pinned clips on a page that plays and compares them.
    Pinned,
}

impl Export {
    /// A name for the file.
    pub(in crate::studio) fn file_name(&self) -> String {
        let stem = match self {
            Self::Take(take, _) => take.as_str(),
            Self::Conversation => "conversation",
            Self::Pinned => "comparison",
        };
        format!("{stem}.{}", self.extension())
    }

    /// The extension of the file.
    pub(in crate::studio) fn extension(&self) -> &'static str {
        match self {
            Self::Take(_, kind) => kind.extension(),
            Self::Conversation => ExportKind::Wav.extension(),
            Self::Pinned => ExportKind::Page.extension(),
        }
    }
}

/// Makes the content of a file, on any thread.
type FileContent = Box<dyn FnOnce() -> Result<Vec<u8>> + Send>;

impl Library {
    pub(super) fn write_export(&self, export: &Export, to: PathBuf, cx: &mut LibraryContext<'_>) {
        let content = match export {
            Export::Take(take, kind) => self.take_content(take, *kind, cx),
            Export::Conversation => self.conversation_content(cx),
            Export::Pinned => self.pinned_content(cx),
        };
        let Some(content) = cx.effects.or_notify(content) else { return };
        let write = move || write_atomically(&to, &content()?).map(|()| to);
        cx.tasks.run_in_turn(EXPORT, write, |_: &mut Self, cx, written: Result<PathBuf>| {
            if let Some(to) = cx.effects.or_notify(written) {
                cx.effects.notify(format!("Exported to {}", to.display()));
            }
        });
    }

    fn conversation_content(&self, cx: &LibraryContext<'_>) -> Result<FileContent> {
        let (takes, rate, folder) =
            (cx.composer.conversation.all_takes()?, cx.models.sample_rate(), self.store.folder().clone());
        let texts: Vec<&str> = cx.composer.conversation.turns().iter().map(|turn| turn.text.as_str()).collect();
        let model = cx.models.checkpoint().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?.id()?;
        let sampling = Some(cx.composer.sampling);
        let origin = ClipOrigin { text: Some(texts.join(" / ")), sampling, ..ClipOrigin::default() };
        let info = WavInfo::for_clip(&model, &origin);
        Ok(Box::new(move || Ok(wav::encode(&conversation_audio(&folder, &takes, rate)?, rate, &info)?.0)))
    }

    fn take_content(&self, take: &TakeId, kind: ExportKind, cx: &LibraryContext<'_>) -> Result<FileContent> {
        let (folder, take) = (self.store.folder().clone(), take.clone());
        Ok(match kind {
            ExportKind::Wav => Box::new(move || read_file(&folder.audio_path(&take), MEDIA_LIMIT)),
            ExportKind::Tokens => Box::new(move || read_file(&folder.tokens_path(&take), MEDIA_LIMIT)),
            ExportKind::Table => {
                let report = self.take_report(&take, cx)?;
                Box::new(move || report::csv(&report()?, &folder.path(&take)))
            }
            ExportKind::TokenMap => {
                let report = self.take_report(&take, cx)?;
                Box::new(move || {
                    let report = report()?;
                    let plots = report::plots::plots(&report);
                    let map = plots.iter().find(|plot| plot.name.ends_with("tokens"));
                    let png = map.map_or_else(|| Ok(Vec::new()), |plot| plot.png());
                    png.map_err(|e| Error::write(folder.path(&take), e))
                })
            }
            ExportKind::Page => {
                let (report, steps) = (self.take_report(&take, cx)?, self.known_steps(&take, cx));
                let rate = cx.models.sample_rate();
                Box::new(move || {
                    let mut report = report()?;
                    let add = |clip| with_page_content(clip, &folder, &take, rate, &steps);
                    report.clips = report.clips.into_iter().map(add).collect::<Result<_>>()?;
                    page(&report, &folder.path(&take))
                })
            }
        })
    }

    /// Steps of a take that were computed before; none if they were not.
    fn known_steps(&self, take: &TakeId, cx: &LibraryContext<'_>) -> Steps {
        let pinned = cx.comparison.pins.take(take).map(|pinned| &pinned.steps).filter(|steps| !steps.is_empty());
        let current = (cx.inspector.current.take.as_ref() == Some(take)).then_some(&cx.inspector.current.steps);
        pinned.or(current).cloned().unwrap_or_default()
    }

    fn take_report(
        &self,
        take: &TakeId,
        cx: &LibraryContext<'_>,
    ) -> Result<impl FnOnce() -> Result<Report> + Send + use<>> {
        let info = cx.models.info().cloned().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let current = &cx.inspector.current;
        let is_known = current.take.as_ref() == Some(take) && current.is_analysed();
        let steps = is_known.then(|| current.steps.clone());
        let name = self.store.get(take).map_or_else(|| take.to_string(), |take| take.name.clone());
        let words = self.store.get(take).map_or(Vec::new(), |take| take.words.clone());
        let (folder, take) = (self.store.folder().clone(), take.clone());
        Ok(move || {
            let clip = folder.read_tokens(&take, &info.dims)?.into_clip(Vec::new(), info.dims.sample_rate);
            let stats = steps.map_or(Err(StepsUnavailable::NotComputed), |steps| Ok(steps.stats()));
            let report = ClipReport::new(name, &clip, stats, &info).with_words(&words, info.dims.seconds(1));
            Ok(Report::new((*info).clone(), vec![report]))
        })
    }

    fn pinned_content(&self, cx: &LibraryContext<'_>) -> Result<FileContent> {
        let info = cx.models.info().cloned().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let pinned: Vec<Arc<PinnedClip>> = cx.comparison.pins.with_tokens(info.dims.codebooks).cloned().collect();
        if pinned.is_empty() {
            return Err(Error::invalid("pinned takes", "takes of the model that is open", "none"));
        }
        let steps: Vec<Steps> = pinned
            .iter()
            .map(|pinned| pinned.key.take().map_or(Steps::default(), |take| self.known_steps(take, cx)))
            .collect();
        let folder = self.store.folder().clone();
        Ok(Box::new(move || {
            let mut clips = Vec::new();
            for (pinned, page_steps) in pinned.iter().zip(&steps) {
                let (clip, steps) = (&pinned.clip, &pinned.steps);
                let stats =
                    if steps.cover(&clip.codes) { Ok(steps.stats()) } else { Err(StepsUnavailable::NotComputed) };
                let report = ClipReport::new(pinned.name.clone(), clip, stats, &info);
                let report = report.with_acoustics(&clip.audio, clip.sample_rate);
                let report = report.with_words(&pinned.words, info.dims.seconds(1));
                clips.push(match pinned.key.take() {
                    Some(take) => with_page_content(report, &folder, take, clip.sample_rate, page_steps)?,
                    None => {
                        let (wav, _) = wav::encode(&clip.audio, clip.sample_rate, &WavInfo::default())?;
                        let sound = ClipSound::new(wav, &clip.audio, clip.sample_rate);
                        report.with_page_content(Some(sound), Vec::new())
                    }
                });
            }
            let path = pinned.iter().find_map(|pinned| pinned.key.take()).map(|take| folder.path(take));
            page(&Report::new((*info).clone(), clips), &path.unwrap_or_default())
        }))
    }
}

fn page(report: &Report, path: &std::path::Path) -> Result<Vec<u8>> {
    report::html(report).map(String::into_bytes).map_err(|e| Error::write(path, e))
}

/// Adds the WAV file of a take and, as far as its steps are known, the candidates of its draws.
fn with_page_content(
    report: ClipReport,
    folder: &TakeFolder,
    take: &TakeId,
    rate: usize,
    steps: &Steps,
) -> Result<ClipReport> {
    let path = folder.audio_path(take);
    let sound = ClipSound::new(read_file(&path, MEDIA_LIMIT)?, &recording::samples(&path, rate)?, rate);
    let draws = report.codes.frames().zip(steps.iter());
    let candidates = draws.map(|(codes, step)| frame_candidates(&step.logits, codes, &step.sampling)).collect();
    Ok(report.with_page_content(Some(sound), candidates))
}
