//! Files that the user opens.

use std::path::{Path, PathBuf};

use super::{Library, LibraryContext};
use crate::audio::recording::{self, Length, Recording};
use crate::data::{Clip, ModelInfo, TOKEN_FILE_EXTENSIONS, TokenFile};
use crate::error::{Error, Result};
use crate::listen::ListeningTest;
use crate::studio::inspector::{InspectorCommand, READ_TAKE};
use crate::studio::platform::note_recent;
use crate::studio::tasks::{Key, QueuePosition, SPEAK};
use crate::studio::test_bench::TestBenchCommand;
use crate::takes::read_take_clip;
use crate::worker::CancelToken;

const OPEN_FILE: Key = Key("open file");
const DECODE_FILE: Key = Key("decode file");

/// The content of an opened file.
enum OpenedFile {
    /// A clip with its waveform, and what the user should know about it.
    Clip(Box<Clip>, Vec<String>),
    /// Tokens without a waveform.
    Tokens(Box<Clip>),
    Test,
}

impl Library {
    /// Opens the next file that waits, as soon as it is known whether there is a model. A clip that is being made stays in view.
    pub(super) fn open_next(&mut self, cx: &mut LibraryContext<'_>) {
        if cx.models.is_loading() || cx.tasks.is_active(SPEAK) || cx.tasks.is_running(OPEN_FILE) {
            return;
        }
        let Some(path) = self.to_open.pop_front() else { return };
        let (info, rate, file) = (cx.models.info().cloned(), cx.models.sample_rate(), path.clone());
        let viewed = cx.inspector.id();
        let read = move |_: &_| read_file(&file, info.as_deref(), rate);
        cx.tasks.run(OPEN_FILE, read, move |library: &mut Self, cx, read: Result<OpenedFile>| {
            if cx.tasks.is_active(SPEAK) {
                return library.to_open.push_front(path);
            }
            if read.is_ok() {
                note_recent(&path);
            }
            let replaced = cx.inspector.id() != viewed || cx.tasks.is_running(READ_TAKE);
            match cx.effects.or_notify(read) {
                _ if replaced => {} // the user has asked for another clip meanwhile
                Some(OpenedFile::Clip(clip, warnings)) => {
                    warnings.into_iter().for_each(|text| cx.effects.notify(text));
                    show(clip, &path, cx);
                }
                Some(OpenedFile::Tokens(clip)) => decode(clip, path, cx),
                Some(OpenedFile::Test) => cx.effects.send(TestBenchCommand::Open(path)),
                None => {}
            }
        });
    }
}

fn show(clip: Box<Clip>, path: &Path, cx: &mut LibraryContext<'_>) {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    cx.effects.send(InspectorCommand::Show { clip, name });
}

/// Decodes the tokens of a file and shows them.
fn decode(clip: Box<Clip>, path: PathBuf, cx: &mut LibraryContext<'_>) {
    let codes = clip.codes.clone();
    let start = |_: &mut Library, cx: &mut LibraryContext<'_>, cancel: CancelToken| {
        cx.models.worker().map(|worker| worker.decode(codes, cancel)).transpose()
    };
    let no_events = |_: &mut Library, _: &mut LibraryContext<'_>, _| {};
    let then = move |_: &mut Library, cx: &mut LibraryContext<'_>, audio: Result<Vec<f32>>| {
        if let Some(audio) = cx.effects.or_notify(audio) {
            let clip = Clip { audio, sample_rate: cx.models.sample_rate(), ..*clip };
            show(Box::new(clip), &path, cx);
        }
    };
    cx.tasks.ask(DECODE_FILE, QueuePosition::Last, start, no_events, then);
}

fn read_file(path: &Path, info: Option<&ModelInfo>, rate: usize) -> Result<OpenedFile> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
    match extension.as_str() {
        _ if path.is_dir() => Ok(OpenedFile::Clip(Box::new(read_take_clip(path, rate)?), Vec::new())),
        "json" if ListeningTest::has_magic(path) => Ok(OpenedFile::Test),
        ending if TOKEN_FILE_EXTENSIONS.contains(&ending) => match info {
            Some(info) => {
                let clip = TokenFile::read(path, &info.dims)?.into_clip(Vec::new(), rate);
                Ok(OpenedFile::Tokens(Box::new(clip)))
            }
            None => Err(Error::file(path, "expected a model that decodes its tokens, none is loaded")),
        },
        _ => {
            let Recording { samples, warnings, .. } = recording::read(path, rate, Length::Whole)?;
            let clip = Clip { audio: samples, sample_rate: rate, ..Clip::default() };
            Ok(OpenedFile::Clip(Box::new(clip), warnings))
        }
    }
}
