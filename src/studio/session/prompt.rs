//! The voice prompt: a recording that is read, encoded and heard before the conversation.

use std::path::PathBuf;

use super::Session;
use crate::audio::microphone::MicrophoneRecording;
use crate::audio::recording::{self, Recording};
use crate::error::{Error, Result};
use crate::studio::state::{Heard, QueuedTask, VoicePrompt};

impl Session {
    /// Uses a recording as voice prompt.
    pub fn set_prompt(&mut self, path: PathBuf) {
        let Some(info) = self.model_info() else {
            return self.notify(self.model.status().unwrap_or_default());
        };
        let max_seconds = info.dims.seconds(info.dims.max_positions);
        let (rate, file) = (info.dims.sample_rate, path.clone());
        self.recording = Some(path.clone());
        let read = move || recording::read(&file, rate, recording::Length::AtMost(max_seconds));
        self.in_background(read, move |session, read| {
            // A recording that was still being read when another one was chosen gives way.
            if session.recording.as_ref() == Some(&path) {
                session.recording = None;
                session.on_recording(path, read);
            }
        });
    }

    /// Records a voice prompt from the microphone, or ends that and uses it.
    pub fn record(&mut self, on: bool) {
        if !on {
            return self.microphone.iter().for_each(MicrophoneRecording::stop);
        }
        if self.microphone.is_some() {
            return;
        }
        let folder = self.paths.recordings();
        let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
        let wake = self.wake.clone();
        // What is heard would be recorded.
        let stopped = self.player.play(false);
        self.report(stopped);
        let started = std::fs::create_dir_all(&folder).map_err(|e| Error::write(&folder, e)).and_then(|()| {
            MicrophoneRecording::start(
                self.paths.source.clone(),
                &folder.join(now.strftime("%Y-%m-%d %H.%M.%S.wav").to_string()),
                move || wake(),
            )
        });
        self.microphone = self.report(started);
    }

    pub(super) fn poll_microphone(&mut self) {
        let Some(finished) = self.microphone.as_ref().and_then(MicrophoneRecording::poll) else { return };
        self.microphone = None;
        if let Some(path) = self.report(finished) {
            self.set_prompt(path);
        }
    }

    fn on_recording(&mut self, path: PathBuf, read: Result<Recording>) {
        match read {
            Ok(recording) => {
                recording.warnings.iter().for_each(|w| self.notify(w));
                if let Some(info) = self.model_info().filter(|info| !info.supports_voice_prompt()) {
                    self.notify(format!(
                        "{} takes no voice from a recording; it will have no useful effect",
                        info.name
                    ));
                }
                // What was written about the same recording stays.
                let known = self.conversation.prompt.take().filter(|prompt| prompt.path == path);
                let whole = (0.0, recording.samples.len() as f64 / self.rate() as f64);
                let (text, speaker, part) =
                    known.map_or((String::new(), 0, whole), |prompt| (prompt.text, prompt.speaker, prompt.part));
                let prompt = VoicePrompt { path, text, speaker, part, samples: recording.samples, frames: None };
                self.conversation.prompt = Some(prompt);
                self.encode_prompt();
            }
            Err(e) => {
                self.generation.to_speak.clear(); // they were to be heard after it
                self.notify_error(e);
            }
        }
    }

    /// Has the part of the recording encoded that is used.
    fn encode_prompt(&mut self) {
        let rate = self.rate();
        let Some(prompt) = &mut self.conversation.prompt else { return };
        prompt.frames = None;
        let task = QueuedTask::Encode { path: prompt.path.clone(), samples: prompt.used(rate).to_vec() };
        // A part that was to be encoded before is not wanted any more.
        self.generation.queue.retain(|task| !matches!(task, QueuedTask::Encode { .. }));
        if self.generation.is_encoding() {
            self.generation.active = None; // dropping the task cancels it
        }
        self.generation.queue.push_back(task);
        self.dispatch_next();
    }

    /// Uses only `from..to` seconds of the recording.
    pub fn trim_prompt(&mut self, from: f64, to: f64) {
        let rate = self.rate();
        let Some(prompt) = &mut self.conversation.prompt else { return };
        if prompt.trim(from, to, rate) {
            self.encode_prompt();
        }
    }

    /// Uses no voice prompt.
    pub fn remove_prompt(&mut self) {
        if self.heard == Heard::Recording {
            self.end_audition();
        }
        self.conversation.prompt = None;
    }

    /// Plays the part of the recording that is used.
    pub fn play_prompt(&mut self) {
        let rate = self.rate();
        let Some(samples) = self.conversation.prompt.as_ref().map(|prompt| prompt.used(rate).to_vec()) else { return };
        self.hear_other(&samples, rate);
    }
}
