//! The voice prompt: a recording that is read, trimmed and encoded.

use std::path::PathBuf;

use super::draft::SavedPrompt;
use super::{Composer, ComposerContext, VoicePrompt};
use crate::audio::microphone::MicrophoneRecording;
use crate::audio::peaks::peaks;
use crate::audio::recording::{self, Length, Recording};
use crate::data::Codes;
use crate::error::Result;
use crate::studio::monitor::MonitorCommand;
use crate::studio::notifications::Cause;
use crate::studio::tasks::{Key, QueuePosition};
use crate::voices::VoiceNotes;
use crate::worker::CancelToken;

pub(super) const READ_RECORDING: Key = Key("read recording");
const ENCODE: Key = Key("encode voice prompt");

impl Composer {
    pub(super) fn set_voice_prompt(&self, path: PathBuf, cx: &mut ComposerContext<'_>) {
        let Some(info) = cx.models.info() else {
            return cx.effects.notify(cx.models.status().unwrap_or_default());
        };
        let max_seconds = info.dims.seconds(info.dims.max_positions);
        let (rate, file) = (info.dims.sample_rate, path.clone());
        let read = move |_: &_| {
            let recording = recording::read(&file, rate, Length::AtMost(max_seconds))?.of_speech(&file)?;
            Ok((recording, VoiceNotes::read(&file)))
        };
        // A recording that is still being read is replaced.
        cx.tasks.run(READ_RECORDING, read, move |composer: &mut Self, cx, read| composer.on_recording(path, read, cx));
    }

    fn on_recording(
        &mut self,
        path: PathBuf,
        read: Result<(Recording, Option<VoiceNotes>)>,
        cx: &mut ComposerContext<'_>,
    ) {
        let (recording, notes) = match read {
            Ok(read) => read,
            Err(e) => {
                self.restored_prompt = None;
                self.queue.clear(); // they were to be spoken after it
                return cx.effects.notify_error_of(Cause::VoicePrompt, e);
            }
        };
        cx.effects.resolve(Cause::VoicePrompt);
        recording.warnings.iter().for_each(|warning| cx.effects.notify(warning));
        if let Some(info) = cx.models.info().filter(|info| !info.supports_voice_prompt()) {
            cx.effects.notify(format!("{} takes no voice from a recording; it will have no useful effect", info.name));
        }
        // Entries for the same recording stay.
        let saved = self.restored_prompt.take();
        let known = self.conversation.prompt.take().map(|prompt| SavedPrompt::of(&prompt)).or(saved);
        let known = known.filter(|prompt| prompt.path == path);
        let whole = (0.0, recording.samples.len() as f64 / cx.models.sample_rate() as f64);
        let fits = |part: (f64, f64)| part.0 >= 0.0 && part.0 < part.1 && part.1 <= whole.1 + 0.01;
        let notes = notes.unwrap_or_default();
        let (text, speaker, part) = known.map_or((notes.text, notes.speaker, whole), |prompt| {
            // Another recording may have been saved under this name.
            (prompt.text, prompt.speaker, if fits(prompt.part) { prompt.part } else { whole })
        });
        let samples = recording.samples;
        let peaks = peaks(&samples, cx.models.sample_rate());
        self.conversation.prompt = Some(VoicePrompt { path, text, speaker, part, samples, peaks, codes: None });
        self.encode_prompt(cx);
    }

    /// Encodes the part of the recording that is used; the part before is no longer wanted.
    fn encode_prompt(&mut self, cx: &mut ComposerContext<'_>) {
        self.conversation.prompt.iter_mut().for_each(|prompt| prompt.codes = None);
        let start = |composer: &mut Self, cx: &mut ComposerContext<'_>, cancel: CancelToken| {
            let (Some(prompt), Some(worker)) = (&composer.conversation.prompt, cx.models.worker()) else {
                return Ok(None);
            };
            worker.encode(prompt.used(cx.models.sample_rate()).to_vec(), cancel).map(Some)
        };
        let no_events = |_: &mut Self, _: &mut ComposerContext<'_>, _| {};
        let then = |composer: &mut Self, cx: &mut ComposerContext<'_>, encoded: Result<Codes>| match encoded {
            Ok(codes) => composer.conversation.prompt.iter_mut().for_each(|prompt| prompt.codes = Some(codes.clone())),
            Err(e) => {
                composer.conversation.prompt = None;
                composer.queue.clear(); // they were to be spoken after it
                cx.effects.notify_error_of(Cause::VoicePrompt, e);
            }
        };
        cx.tasks.ask(ENCODE, QueuePosition::Replace, start, no_events, then);
    }

    pub(super) fn trim_voice_prompt(&mut self, from: f64, to: f64, cx: &mut ComposerContext<'_>) {
        let rate = cx.models.sample_rate();
        if self.conversation.prompt.as_mut().is_some_and(|prompt| prompt.trim(from, to, rate)) {
            self.encode_prompt(cx);
        }
    }

    pub(super) fn remove_voice_prompt(&mut self, cx: &mut ComposerContext<'_>) {
        cx.effects.send(MonitorCommand::EndAudition);
        cx.tasks.cancel_work(READ_RECORDING);
        cx.tasks.discard(ENCODE);
        (self.conversation.prompt, self.restored_prompt) = (None, None);
    }

    pub(super) fn play_voice_prompt(&self, cx: &mut ComposerContext<'_>) {
        let rate = cx.models.sample_rate();
        if let Some(prompt) = &self.conversation.prompt {
            let samples = prompt.used(rate).to_vec();
            cx.effects.send(MonitorCommand::PlaySound { samples, rate });
        }
    }

    pub(super) fn start_recording(&mut self, cx: &mut ComposerContext<'_>) {
        if self.microphone.is_some() {
            return;
        }
        cx.effects.send(MonitorCommand::Pause); // the microphone would record it
        let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
        let path = self.recordings.join(now.strftime("%Y-%m-%d %H.%M.%S.wav").to_string());
        let wake = cx.tasks.paced_wake();
        let started = MicrophoneRecording::start(self.microphone_source.clone(), &path, move || wake());
        self.microphone = cx.effects.or_notify(started);
    }

    pub(super) fn poll_microphone(&mut self, cx: &mut ComposerContext<'_>) {
        let Some(finished) = self.microphone.as_ref().and_then(MicrophoneRecording::poll) else { return };
        self.microphone = None;
        if let Some(path) = cx.effects.or_notify(finished) {
            self.set_voice_prompt(path, cx);
        }
    }
}
