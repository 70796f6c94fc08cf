//! Takes: looked at while they are made, kept, opened, exported.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Session;
use crate::audio::wav::{self, WavInfo};
use crate::data::{ClipSpec, Codes, ModelDims, ModelId, ModelInfo, TokenFile};
use crate::error::{Error, Result};
use crate::listen::ListeningTest;
use crate::studio::state::{Codebooks, Heard, InspectedClip, OpenTest, QueuedTask, outline};
use crate::takes::{ClipSummary, Store, Take};
use crate::text::expected_seconds;
use crate::worker::{Event, GeneratedClip};

impl Session {
    /// Puts a clip that is being made on view, and has it heard unless pinned clips are being listened to.
    pub(super) fn begin_clip(&mut self, spec: ClipSpec) {
        let expected = expected_seconds(&spec.text).min(self.settings.max_seconds);
        let (version, sound_version) = (self.inspected.version + 1, self.inspected.sound_version + 1);
        let rate = self.rate();
        self.asked_to_view += 1;
        self.inspected = InspectedClip { spec: Some(spec), version, sound_version, rate, ..InspectedClip::default() };
        self.view.cell = None;
        self.forget_what_if();
        if self.listening.is_some() {
            self.heard = Heard::Recording; // the test's sounds are not disturbed; closing it leads to this clip
            return;
        }
        if matches!(self.heard, Heard::Pinned(_)) && self.player.is_playing() {
            return;
        }
        self.heard = Heard::Clip;
        self.codebooks = Codebooks::default();
        self.player.begin(rate);
        self.player.expect(expected);
        if self.settings.autoplay {
            let started = self.player.play_when_buffered();
            self.report(started);
        }
    }

    /// The clip that was made is complete.
    pub(super) fn finish_sound(&mut self) {
        if self.heard == Heard::Clip {
            self.player.finish();
        }
    }

    pub(super) fn on_speak_event(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => {
                if self.inspected.frames.codebooks() == 0 {
                    self.inspected.frames = Codes::new(frame.frame.codes.len());
                }
                self.inspected.frames.push(&frame.frame.codes);
                self.inspected.real_time_factor = frame.real_time_factor;
                self.inspected.push_draws(frame);
            }
            Event::Audio(samples) => {
                self.inspected.push_audio(&samples);
                if self.heard == Heard::Clip {
                    self.player.push(&samples);
                }
            }
            Event::Retry { .. } => {} // the window's jobs have no retries
        }
    }

    /// Loads take `id` into view and player, and has its draws computed again. While a take is made it is only heard.
    pub fn inspect(&mut self, id: &str) {
        self.load_take(id, |_| {});
    }

    /// Reads take `id`, shows it and does something then, unless another clip has come into view meanwhile.
    fn load_take(&mut self, id: &str, then: impl FnOnce(&mut Self) + Send + 'static) {
        if self.is_speaking() {
            return self.notify("A take is being made; pin this one to hear it meanwhile, or stop with Escape");
        }
        // A take of another checkpoint can be heard, whatever its sizes.
        let (rate, id) = (self.rate(), id.to_owned());
        self.asked_to_view += 1;
        let (asked, folder) = (self.asked_to_view, self.library.store.path(&id));
        let read = move || read_take_folder(&folder, rate);
        self.in_background(read, move |session, read| {
            if session.asked_to_view != asked {
                return;
            }
            if let Some((file, audio)) = session.report(read) {
                let path = session.library.tokens_path(&id);
                session.view_clip(Some(id), &path, file, &audio, rate);
                then(session);
            }
        });
    }

    /// Shows take `id` and plays it. While a take is made it is pinned and heard.
    pub fn play_take(&mut self, id: &str) {
        let play = |session: &mut Self| {
            let played = session.player.play(true);
            session.report(played);
        };
        let play_clip = move |session: &mut Self| {
            session.hear_clip();
            session.player.seek(0.0);
            play(session);
        };
        if self.is_speaking() {
            match self.pins.place(id) {
                Some(n) => self.hear_pinned(n),
                None => return self.pin_take(id, true),
            }
            play(self);
        } else if self.inspected.take.as_deref() == Some(id) {
            play_clip(self);
        } else {
            self.load_take(id, play_clip);
        }
    }

    /// Deletes takes; one undo brings all of them back.
    pub fn delete(&mut self, ids: &[String]) {
        ids.iter().for_each(|id| self.unpin(id));
        let on_view = self.inspected.take.as_ref().filter(|take| ids.contains(take));
        let on_view = on_view.and_then(|take| self.library.store.get(take)).map(|take| take.name.clone());
        let deleted = self.library.store.delete_all(ids);
        if self.report(deleted).is_none() {
            return;
        }
        if let Some(name) = on_view {
            // Its sound can still be heard.
            (self.inspected.take, self.inspected.name) = (None, format!("{name} (deleted)"));
        }
        match ids.len() {
            1 => self.notify("Deleted; “Undo delete” brings it back"),
            n => self.notify(format!("{n} takes deleted; “Undo delete” brings them back")),
        }
    }

    /// Brings the takes back that were deleted last; a single one comes into view where no other take is.
    pub fn undo_delete(&mut self) {
        let restored = self.library.store.undo();
        let restored = self.report(restored).unwrap_or_default();
        if let [id] = restored.as_slice()
            && self.inspected.take.is_none()
            && !self.is_speaking()
        {
            self.inspect(id);
        }
    }

    /// Tokens and sound of take `id`.
    pub(super) fn read_take(&self, id: &str, rate: usize) -> Result<(TokenFile, Vec<f32>)> {
        read_take_folder(&self.library.store.path(id), rate)
    }

    /// Shows a clip that is in no list: a take's folder, a token file, a WAV file.
    pub fn open_file(&mut self, path: &Path) {
        self.to_open.push_back(path.to_owned());
        self.open_waiting_files();
    }

    pub(super) fn open_waiting_files(&mut self) {
        let known = self.is_ready() || self.model.failure().is_some();
        if !known || self.is_speaking() || self.opening.is() {
            return;
        }
        let Some(path) = self.to_open.pop_front() else { return };
        let (info, rate, file) = (self.model_info(), self.rate(), path.clone());
        let opening = self.opening.begin();
        self.asked_to_view += 1;
        let asked = self.asked_to_view;
        let device = self.settings.device_name().to_owned();
        let read = move || read_any(&file, info.as_deref(), rate, &device);
        self.in_background(read, move |session, read| {
            drop(opening);
            // A clip that has begun meanwhile is not taken out of view.
            if session.is_speaking() {
                return session.to_open.push_front(path);
            }
            match session.report(read) {
                _ if session.asked_to_view != asked => {}
                Some(OpenedFile::Clip(tokens, file, audio)) => session.view_clip(None, &tokens, *file, &audio, rate),
                Some(OpenedFile::Test(test)) => session.listening = Some(*test),
                Some(OpenedFile::Tokens(file)) => {
                    session.generation.queue.push_back(QueuedTask::Decode { path, file });
                    session.dispatch_next();
                }
                None => {}
            }
        });
    }

    /// Loads a clip into view and player, and has its draws computed again where this model made it.
    pub(super) fn view_clip(&mut self, take: Option<String>, path: &Path, file: TokenFile, audio: &[f32], rate: usize) {
        let own = match self.checkpoint().map(|c| c.id()).transpose() {
            Ok(own) => own,
            Err(e) => return self.notify_error(e),
        };
        let same_model = own.is_some_and(|own| file.model.as_ref().is_none_or(|m| m.sha256 == own.sha256));
        let has_tokens = !file.frames.is_empty();
        self.inspected = InspectedClip {
            spec: file.clip_spec(path).ok(),
            stop: file.stop,
            real_time_factor: take
                .as_ref()
                .and_then(|id| self.library.store.get(id))
                .map_or(0.0, |t| t.measures.real_time_factor),
            name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            take: take.clone(),
            frames: file.frames,
            version: self.inspected.version + 1,
            sound_version: self.inspected.sound_version + 1,
            rate,
            ..InspectedClip::default()
        };
        self.inspected.push_audio(audio);
        self.view.cell = None;
        self.view.axis.fit();
        self.forget_what_if();
        self.player.load(audio, rate);
        self.heard = Heard::Clip;
        self.codebooks = Codebooks::default();
        self.generation.stop_recomputing();
        self.generation.stop_auditions();
        if same_model && self.inspected.spec.is_some() {
            self.find_draws(take);
        } else if has_tokens {
            self.notify("Its draws cannot be computed here: another model made it, or it does not say what made it");
        }
        self.dispatch_next();
    }

    /// Writes takes that were made, in order, and does something with the place and id of each then. The program does not end before
    /// they are written.
    pub(super) fn store_takes(
        &mut self,
        spec: ClipSpec,
        parent: Option<String>,
        clips: Vec<(usize, GeneratedClip)>,
        mut then: impl FnMut(&mut Self, usize, &str) + Send + 'static,
    ) {
        let known = match self.checkpoint() {
            Some(checkpoint) => checkpoint.id().map(|model| (model, checkpoint.dims())),
            None => Err(Error::invalid("model", "a loaded model", "none")),
        };
        let Some((model, dims)) = self.report(known) else { return };
        let writer = self.library.store.writer();
        let write = move || {
            let written = clips.into_iter().map(|(n, clip)| {
                let (take, tokens) = take_of(&spec, parent.clone(), &model, &dims, &clip);
                let info = WavInfo::for_clip(&model, &spec.text, spec.speaker, &clip.sampling);
                let encoded = wav::encode(&clip.audio, dims.sample_rate, &info);
                encoded.and_then(|(wav, clipped)| Ok((n, writer.write(take, &tokens, &wav)?, clipped)))
            });
            written.collect::<Vec<_>>()
        };
        let writing = self.writing_takes.begin();
        self.write_in_background(write, move |session, written: Vec<Result<(usize, Take, usize)>>| {
            for written in written {
                let Some((n, take, clipped)) = session.report(written) else { continue };
                if clipped > 0 {
                    session.notify(format!("{clipped} samples were louder than full scale and are clipped"));
                }
                let id = session.library.store.add_written(take);
                then(session, n, &id);
            }
            drop(writing);
        });
    }

    /// Changes the store; an error becomes a notification.
    pub fn try_update_store(&mut self, change: impl FnOnce(&mut Store) -> Result<()>) {
        let changed = change(&mut self.library.store);
        self.report(changed);
    }

    /// A command line that makes take `id` again.
    ///
    /// # Errors
    /// Where its token file cannot be read.
    pub fn command_line(&self, id: &str) -> Result<String> {
        self.library.command_line(id, self.model.spec(), &self.dims()?)
    }

    /// Reads the outlines of takes.
    pub fn read_outlines(&mut self, ids: Vec<String>) {
        let wanted = self.library.outlines.ask(ids);
        if wanted.is_empty() {
            return;
        }
        let files: Vec<_> = wanted.iter().map(|id| self.library.store.path(id).join("audio.wav")).collect();
        let rate = self.rate();
        // A sound that cannot be read has no outline; who plays it is told why.
        let read = move || {
            files
                .iter()
                .map(|file| wav::read(file, rate).map_or(Vec::new(), |audio| outline(&audio)))
                .collect::<Vec<_>>()
        };
        self.in_background(read, move |session, outlines| {
            wanted.into_iter().zip(outlines).for_each(|(id, outline)| session.library.outlines.add(id, outline));
        });
    }

    /// Takes over what other windows have done with the takes.
    pub fn refresh_takes(&mut self) {
        let look = self.library.store.look();
        self.in_background(
            move || look.changes(),
            |session, changes| {
                if let Some(changes) = session.report(changes) {
                    session.library.store.apply(changes);
                }
            },
        );
    }
}

/// What is kept of a clip that was made, its id and sound aside.
fn take_of(
    spec: &ClipSpec,
    parent: Option<String>,
    model: &ModelId,
    dims: &ModelDims,
    clip: &GeneratedClip,
) -> (Take, TokenFile) {
    let tokens = TokenFile::new(spec, model.clone(), dims, clip.sampling, clip.stop, clip.frames.clone());
    let seconds = clip.audio.len() as f64 / dims.sample_rate as f64;
    let take = Take {
        id: String::new(),
        name: spec.text.chars().take(60).collect(),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        favourite: false,
        parent,
        measures: ClipSummary {
            frames: clip.frames.len(),
            seconds,
            real_time_factor: clip.seconds / seconds,
            findings: clip.findings.clone(),
            guarded: clip.guarded,
            beyond_codec: clip.beyond_codec,
        },
        text: spec.text.clone(),
        speaker: spec.speaker,
        model: tokens.model.clone(),
        sampling: Some(clip.sampling),
        stop: Some(clip.stop),
        edited: !spec.edits.is_empty(),
    };
    (take, tokens)
}

/// What was read of a file that the user opens.
enum OpenedFile {
    /// A clip with its sound, and the file of its tokens.
    Clip(PathBuf, Box<TokenFile>, Vec<f32>),
    /// Tokens alone, which have to be decoded.
    Tokens(Box<TokenFile>),
    /// A listening test.
    Test(Box<OpenTest>),
}

fn read_any(path: &Path, info: Option<&ModelInfo>, rate: usize, device: &str) -> Result<OpenedFile> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
    match extension.as_str() {
        _ if path.is_dir() => {
            let (file, audio) = read_take_folder(path, rate)?;
            Ok(OpenedFile::Clip(path.join("tokens.json"), Box::new(file), audio))
        }
        "wav" => Ok(OpenedFile::Clip(path.to_owned(), Box::default(), wav::read(path, rate)?)),
        "json" if ListeningTest::is_one(path) => OpenTest::open(path, device).map(Box::new).map(OpenedFile::Test),
        "json" | "npy" | "safetensors" => match info {
            Some(info) => TokenFile::read(path, &info.dims).map(Box::new).map(OpenedFile::Tokens),
            None => Err(Error::file(path, "its tokens cannot be heard without a model")),
        },
        _ => {
            let expected = "expected a take's folder, a token file (.json, .npy, .safetensors) or a WAV file";
            Err(Error::file(path, expected))
        }
    }
}

/// Tokens and sound of a take.
pub(super) fn read_take_folder(folder: &Path, rate: usize) -> Result<(TokenFile, Vec<f32>)> {
    Ok((TokenFile::read_own(&folder.join("tokens.json"))?, wav::read(&folder.join("audio.wav"), rate)?))
}
