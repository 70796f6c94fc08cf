//! The user's voices: recordings with text and settings that become voice prompts again.

use std::path::{Path, PathBuf};

use super::composer::Composer;
use super::effects::Effects;
use super::library::Library;
use super::models::Models;
use super::session::{Owner, Session, StudioPaths};
use super::tasks::{Key, Tasks};
use crate::audio::recording;
use crate::error::Result;
use crate::files::{MEDIA_LIMIT, read_file, write_atomically};
use crate::takes::TakeId;
use crate::voices::{StoredVoice, VoiceFolder, VoiceNotes, file_name};

const LIST: Key = Key("list voices");
const WRITE: Key = Key("write voices");

/// The voices of the user.
pub struct Voices {
    folder: VoiceFolder,
    /// They, by name; `None` until they are listed.
    list: Option<Vec<StoredVoice>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum VoicesCommand {
    /// List the voices in the folder.
    List,
    /// Save the voice prompt with its text and the current settings under a name.
    Save(String),
    /// Save a take with its text and settings.
    SaveTake(TakeId),
    /// Copy a recording, or a voice from elsewhere, into the folder.
    Import(PathBuf),
    /// Write a voice to another place.
    Export { voice: PathBuf, to: PathBuf },
    /// Move a voice into the folder of removed ones.
    Remove(PathBuf),
}

/// Data that [`Voices`] may read.
pub struct VoicesContext<'a> {
    composer: &'a Composer,
    models: &'a Models,
    library: &'a Library,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Voices {
    type Command = VoicesCommand;
    type Context<'a> = VoicesContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, VoicesContext<'_>) {
        let Session { voices, composer, models, library, tasks, effects, .. } = session;
        (voices, VoicesContext { composer, models, library, tasks, effects })
    }

    fn handle(&mut self, command: VoicesCommand, cx: &mut VoicesContext<'_>) {
        let folder = self.folder.clone();
        match command {
            VoicesCommand::List => self.list(cx),
            VoicesCommand::Save(name) => self.save(name, cx),
            VoicesCommand::SaveTake(take) => self.save_take(&take, cx),
            VoicesCommand::Import(path) => write(cx, move || folder.import(&path).map(|path| saved(&path))),
            VoicesCommand::Export { voice, to } => write(cx, move || {
                let bytes = read_file(&voice, MEDIA_LIMIT)?;
                write_atomically(&to, &bytes).map(|()| format!("Wrote {}", to.display()))
            }),
            VoicesCommand::Remove(voice) => write(cx, move || {
                folder.remove(&voice).map(|path| format!("Voice removed; it is kept as {}", path.display()))
            }),
        }
    }
}

impl Voices {
    pub(super) fn new(paths: &StudioPaths) -> Self {
        Self { folder: VoiceFolder::new(paths.takes.with_file_name("voices")), list: None }
    }

    /// The voices, by name; `None` until they are listed.
    pub fn all(&self) -> Option<&[StoredVoice]> {
        self.list.as_deref()
    }

    fn list(&self, cx: &mut VoicesContext<'_>) {
        let folder = self.folder.clone();
        cx.tasks.run(LIST, move |_| folder.list(), |voices: &mut Self, _, list| voices.list = Some(list));
    }

    fn save(&self, name: String, cx: &mut VoicesContext<'_>) {
        let Some(prompt) = &cx.composer.conversation.prompt else { return };
        let rate = cx.models.sample_rate();
        let (folder, samples) = (self.folder.clone(), prompt.used(rate).to_vec());
        let notes = VoiceNotes {
            text: prompt.text.clone(),
            speaker: prompt.speaker,
            source: file_name(&prompt.path),
            sampling: Some(cx.composer.sampling),
        };
        write(cx, move || folder.save(&name, &samples, rate, &notes).map(|path| saved(&path)));
    }

    fn save_take(&self, id: &TakeId, cx: &mut VoicesContext<'_>) {
        let Some(take) = cx.library.store.get(id) else { return };
        let name = if take.name.is_empty() { take.text.clone() } else { take.name.clone() };
        let (folder, path, rate) =
            (self.folder.clone(), cx.library.store.folder().audio_path(id), cx.models.sample_rate());
        let notes = VoiceNotes {
            text: take.text.clone(),
            speaker: take.speaker,
            source: id.as_str().to_owned(),
            sampling: take.sampling,
        };
        write(cx, move || {
            let samples = recording::samples(&path, rate)?;
            folder.save(&name, &samples, rate, &notes).map(|path| saved(&path))
        });
    }
}

/// Changes files of voices; then they are listed again. `change` returns the notification.
fn write(cx: &mut VoicesContext<'_>, change: impl FnOnce() -> Result<String> + Send + 'static) {
    cx.tasks.run_in_turn(WRITE, change, |voices: &mut Voices, cx, changed: Result<String>| {
        if let Some(message) = cx.effects.or_notify(changed) {
            cx.effects.notify(message);
        }
        voices.list(cx);
    });
}

fn saved(path: &Path) -> String {
    format!("Saved the voice {}", path.file_stem().unwrap_or_default().to_string_lossy())
}
