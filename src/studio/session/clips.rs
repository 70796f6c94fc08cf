//! Takes: looked at while they are made, kept, opened, exported.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Session;
use crate::analysis::statistics::TokenStats;
use crate::audio::wav::{self, WavInfo};
use crate::data::{ClipSpec, Codes, TokenFile};
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, read_file};
use crate::listen::ListeningTest;
use crate::report::{self, ClipReport, ClipSound, Report, StepsUnavailable, frame_candidates};
use crate::studio::state::{Codebooks, ExportKind, Heard, InspectedClip, PinnedClip, QueuedTask};
use crate::takes::{ClipSummary, Store, Take};
use crate::text::expected_seconds;
use crate::worker::{Event, GeneratedClip};

/// Silence between the turns of a conversation that is played or exported, seconds.
const PAUSE: f64 = 0.3;

impl Session {
    /// Puts a clip that is being made on view, and has it heard unless pinned clips are being listened to.
    pub(super) fn begin_clip(&mut self, spec: ClipSpec) {
        let expected = expected_seconds(&spec.text).min(self.settings.max_seconds);
        let (version, sound_version) = (self.inspected.version + 1, self.inspected.sound_version + 1);
        let rate = self.rate();
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
        if self.is_speaking() {
            return self.notify("A take is being made; pin this one to hear it meanwhile, or stop with Escape");
        }
        // A take of another checkpoint can be heard, whatever its sizes.
        let rate = self.rate();
        let read = self.read_take(id, rate);
        if let Some((file, audio)) = self.report(read) {
            let path = self.library.tokens_path(id);
            self.view_clip(Some(id.to_owned()), &path, file, &audio, rate);
        }
    }

    /// Shows take `id` and plays it. While a take is made, or another one is on view whose tokens fit, it is pinned and heard.
    pub fn play_take(&mut self, id: &str) {
        if self.is_speaking() {
            if self.pins.place(id).is_none() {
                self.toggle_pin(id);
            }
            if let Some(n) = self.pins.place(id) {
                self.hear_pinned(n);
            }
        } else {
            if self.inspected.take.as_deref() != Some(id) {
                self.inspect(id);
            }
            self.hear_clip();
            self.player.seek(0.0);
        }
        let played = self.player.play(true);
        self.report(played);
    }

    /// Deletes takes; one undo brings all of them back.
    pub fn delete(&mut self, ids: &[String]) {
        ids.iter().for_each(|id| self.unpin(id));
        let deleted = self.library.store.delete_all(ids);
        if self.report(deleted).is_none() {
            return;
        }
        match ids.len() {
            1 => self.notify("Deleted; “Undo delete” brings it back"),
            n => self.notify(format!("{n} takes deleted; “Undo delete” brings them back")),
        }
    }

    /// The sound of all turns, one after another, with a pause between; samples a second.
    ///
    /// # Errors
    /// Where a turn has not been spoken, or its take cannot be read.
    pub fn conversation_audio(&self) -> Result<(Vec<f32>, usize)> {
        let takes = self.conversation.takes();
        let takes = takes.filter(|takes| !takes.is_empty()).ok_or_else(|| {
            Error::invalid("conversation", "every turn to be spoken (“Speak all” does that)", "a turn without a take")
        })?;
        let rate = self.rate();
        let mut audio = Vec::new();
        for (n, take) in takes.iter().enumerate() {
            if n > 0 {
                audio.resize(audio.len() + (PAUSE * rate as f64) as usize, 0.0);
            }
            audio.extend(self.read_take(take, rate)?.1);
        }
        Ok((audio, rate))
    }

    /// The conversation as a WAV file.
    ///
    /// # Errors
    /// As [`Session::conversation_audio`].
    pub fn conversation_wav(&self) -> Result<Vec<u8>> {
        let (audio, rate) = self.conversation_audio()?;
        let text: Vec<&str> = self.conversation.turns().iter().map(|turn| turn.text.as_str()).collect();
        let model = self.checkpoint().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?.id()?;
        let info = WavInfo::for_clip(&model, &text.join(" / "), 0, &self.sampling);
        Ok(wav::encode(&audio, rate, &info)?.0)
    }

    /// Plays the conversation.
    pub fn play_conversation(&mut self) {
        let audio = self.conversation_audio();
        if let Some((audio, rate)) = self.report(audio) {
            self.hear_other(&audio, rate);
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
        while known
            && !self.is_speaking()
            && let Some(path) = self.to_open.pop_front()
        {
            let opened = self.open_now(&path);
            self.report(opened);
        }
    }

    fn open_now(&mut self, path: &Path) -> Result<()> {
        let rate = self.rate();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        match extension.as_str() {
            _ if path.is_dir() => {
                let (file, audio) = read_take_folder(path, rate)?;
                self.view_clip(None, &path.join("tokens.json"), file, &audio, rate);
            }
            "wav" => {
                let audio = wav::read(path, rate)?;
                self.view_clip(None, path, TokenFile::default(), &audio, rate);
            }
            "json" if ListeningTest::is_one(path) => self.open_test(path),
            "json" | "npy" | "safetensors" => {
                let Some(info) = self.model_info() else {
                    return Err(Error::file(path, "its tokens cannot be heard without a model"));
                };
                let file = Box::new(TokenFile::read(path, &info.dims)?);
                self.generation.queue.push_back(QueuedTask::Decode { path: path.to_owned(), file });
                self.dispatch_next();
            }
            _ => {
                let expected = "expected a take's folder, a token file (.json, .npy, .safetensors) or a WAV file";
                return Err(Error::file(path, expected));
            }
        }
        Ok(())
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

    pub(super) fn store_take(
        &mut self,
        spec: ClipSpec,
        parent: Option<String>,
        clip: &GeneratedClip,
    ) -> Result<String> {
        let checkpoint = self.checkpoint().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let (model, dims) = (checkpoint.id()?, checkpoint.dims());
        let seconds = clip.audio.len() as f64 / dims.sample_rate as f64;
        let info = WavInfo::for_clip(&model, &spec.text, spec.speaker, &clip.sampling);
        let tokens = TokenFile::new(&spec, model, &dims, clip.sampling, clip.stop, clip.frames.clone());
        let (bytes, clipped) = wav::encode(&clip.audio, dims.sample_rate, &info)?;
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
            text: spec.text,
            speaker: spec.speaker,
            model: tokens.model.clone(),
            sampling: Some(clip.sampling),
            stop: Some(clip.stop),
            edited: !spec.edits.is_empty(),
        };
        let id = self.library.store.add(take, &tokens, &bytes)?;
        if clipped > 0 {
            self.notify(format!("{clipped} samples were louder than full scale and are clipped"));
        }
        Ok(id)
    }

    /// Changes the store; an error becomes a notification.
    pub fn try_update_store(&mut self, change: impl FnOnce(&mut Store) -> Result<()>) {
        let changed = change(&mut self.library.store);
        self.report(changed);
    }

    /// The content of an export of take `id`.
    ///
    /// # Errors
    /// Where the take cannot be read.
    pub fn export(&self, id: &str, kind: ExportKind) -> Result<Vec<u8>> {
        let folder = self.library.store.path(id);
        let read = |name: &str| read_file(&folder.join(name), MEDIA_LIMIT);
        match kind {
            ExportKind::Wav => read("audio.wav"),
            ExportKind::Tokens => read("tokens.json"),
            ExportKind::Table => report::csv(&self.take_report(id)?, &folder),
            ExportKind::TokenMap => {
                let report = self.take_report(id)?;
                let plots = report::plots::plots(&report);
                let map = plots.iter().find(|p| p.name.ends_with("tokens"));
                let png = map.map_or_else(|| Ok(Vec::new()), |p| p.png());
                png.map_err(|e| Error::write(folder, e))
            }
            ExportKind::Page => {
                let mut report = self.take_report(id)?;
                report.clips =
                    report.clips.into_iter().map(|clip| self.with_page_content(clip, id)).collect::<Result<_>>()?;
                report::html(&report).map(String::into_bytes).map_err(|e| Error::write(folder, e))
            }
        }
    }

    fn take_report(&self, id: &str) -> Result<Report> {
        let file = self.library.read_tokens(id, &self.dims()?)?;
        let info = self.model_info().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let computed = self.inspected.take.as_deref() == Some(id) && self.inspected.is_analysed();
        let steps = if computed { Ok(self.inspected.steps.clone()) } else { Err(StepsUnavailable::NotComputed) };
        let name = self.library.store.get(id).map_or(id.to_owned(), |t| t.name.clone());
        Ok(Report::new((*info).clone(), vec![ClipReport::new(name, file, steps, None, &info)]))
    }

    /// The pinned takes on one page, each with its sound, compared with each other.
    ///
    /// # Errors
    /// Where one of them cannot be read, or another model made it.
    pub fn pinned_page(&self) -> Result<Vec<u8>> {
        let info = self.model_info().ok_or_else(|| Error::invalid("model", "a loaded model", "none"))?;
        let mut clips = Vec::new();
        let fits = |pinned: &&PinnedClip| pinned.frames.codebooks() == info.dims.codebooks && !pinned.frames.is_empty();
        for pinned in self.pins.clips().iter().filter(fits) {
            let file = match pinned.is_take {
                true => self.library.read_tokens(&pinned.take, &info.dims)?,
                false => TokenFile {
                    frames: pinned.frames.clone(),
                    text: pinned.text.clone(),
                    sampling: pinned.sampling,
                    stop: pinned.stop,
                    ..TokenFile::default()
                },
            };
            // Takes that were seen while they were made bring their draws.
            let draws = file.frames.frames().zip(&pinned.logits).zip(&pinned.samplings);
            let steps = draws.map(|((codes, logits), sampling)| TokenStats::measure_frame(logits, codes, sampling));
            let steps: Vec<_> = steps.collect();
            let known = steps.len() == file.frames.len() && !steps.is_empty();
            let steps = if known { Ok(steps) } else { Err(StepsUnavailable::NotComputed) };
            let clip = ClipReport::new(pinned.name.clone(), file, steps, Some(&pinned.audio), &info);
            let clip = clip.with_acoustics(&pinned.audio, pinned.rate);
            clips.push(match pinned.is_take {
                true => self.with_page_content(clip, &pinned.take)?,
                false => {
                    let (wav, _) = wav::encode(&pinned.audio, pinned.rate, &WavInfo::default())?;
                    clip.with_page_content(Some(ClipSound::new(wav, &pinned.audio, pinned.rate)), Vec::new())
                }
            });
        }
        if clips.is_empty() {
            return Err(Error::invalid("pinned takes", "takes of the model that is open", "none"));
        }
        let report = Report::new((*info).clone(), clips);
        report::html(&report).map(String::into_bytes).map_err(|e| Error::write(&self.paths.takes, e))
    }

    /// A report of take `id` with its sound and, as far as they are known, the candidates of its draws.
    fn with_page_content(&self, clip: ClipReport, id: &str) -> Result<ClipReport> {
        let folder = self.library.store.path(id);
        let sound = read_file(&folder.join("audio.wav"), MEDIA_LIMIT)?;
        let rate = self.rate();
        let sound = ClipSound::new(sound, &wav::read(&folder.join("audio.wav"), rate)?, rate);
        let pinned = self.pins.place(id).map(|n| &self.pins.clips()[n]);
        let (logits, samplings) = match pinned.filter(|pinned| !pinned.logits.is_empty()) {
            Some(pinned) => (&pinned.logits[..], &pinned.samplings[..]),
            None if self.inspected.take.as_deref() == Some(id) => {
                (&self.inspected.logits[..], &self.inspected.samplings[..])
            }
            None => (&[][..], &[][..]),
        };
        let frames = clip.codes.frames().zip(logits).zip(samplings);
        let candidates = frames.map(|((codes, logits), sampling)| frame_candidates(logits, codes, sampling)).collect();
        Ok(clip.with_page_content(Some(sound), candidates))
    }

    /// A command line that makes take `id` again.
    ///
    /// # Errors
    /// Where its token file cannot be read.
    pub fn command_line(&self, id: &str) -> Result<String> {
        self.library.command_line(id, self.model.spec(), &self.dims()?)
    }

    /// Takes over what other windows have done with the takes.
    pub fn refresh_takes(&mut self) {
        let refreshed = self.library.store.refresh();
        self.report(refreshed);
    }
}

/// Tokens and sound of a take.
fn read_take_folder(folder: &Path, rate: usize) -> Result<(TokenFile, Vec<f32>)> {
    Ok((TokenFile::read_own(&folder.join("tokens.json"))?, wav::read(&folder.join("audio.wav"), rate)?))
}
