//! Voices: recordings with the text that they say, their speaker and the settings that suit them. A voice is one WAV file, which every
//! program plays; what else belongs to it stands in the file's RIFF INFO list.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::iff::wav::{RiffInfoList, WavFile};
use serde::{Deserialize, Serialize};

use crate::audio::recording::{self, Length};
use crate::audio::wav::{self, WavInfo};
use crate::data::Sampling;
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, create_private_folder, read_file, write_atomically};

/// What a file says about the voice in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VoiceNotes {
    /// Transcript of the recording.
    pub text: String,
    /// Its speaker number in prompts.
    pub speaker: u32,
    /// The recording or take that it was made from.
    #[serde(default)]
    pub source: String,
    /// Settings that suit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
}

/// Before the notes in the comment of a voice's file.
const MARK: &str = "CSM Studio voice ";
/// At the start of the name of the program that wrote a take's file.
const OURS: &str = "CSM Studio";

impl VoiceNotes {
    /// The notes in the WAV file `bytes`: those of a voice, or text and speaker of a take. `None` for any other file.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        // A file whose end is missing has its notes nowhere.
        let options = ParseOptions::new().read_properties(false).read_cover_art(false);
        let file = WavFile::read_from(&mut Cursor::new(bytes), options).ok()?;
        let info = file.riff_info()?;
        if let Some(notes) = info.get("ICMT").and_then(|comment| comment.strip_prefix(MARK)) {
            return serde_json::from_str(notes).ok();
        }
        Self::of_take(info)
    }

    /// As [`VoiceNotes::of`] for the file `path`.
    pub fn read(path: &Path) -> Option<Self> {
        Self::of(&read_file(path, MEDIA_LIMIT).ok()?)
    }

    /// Text and speaker of a take's file, as [`WavInfo::for_clip`] writes them.
    fn of_take(info: &RiffInfoList) -> Option<Self> {
        info.get("ISFT").filter(|program| program.starts_with(OURS))?;
        let (model, speaker) = info.get("IART")?.rsplit_once(" speaker ")?;
        let text = info.get("INAM")?.to_owned();
        Some(Self { text, speaker: speaker.parse().ok()?, source: model.to_owned(), sampling: None })
    }
}

/// A voice in a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredVoice {
    /// Its name, which is that of the file.
    pub name: String,
    /// The WAV file with everything in it.
    pub path: PathBuf,
    /// Text, speaker and settings.
    pub notes: VoiceNotes,
}

/// A folder of voices.
#[derive(Clone, Debug)]
pub struct VoiceFolder(PathBuf);

/// Where removed voices go.
const REMOVED: &str = "removed";

impl VoiceFolder {
    /// The folder `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The voices in it, by name. Recordings without notes have no text.
    pub fn list(&self) -> Vec<StoredVoice> {
        let files = fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_wav = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) && path.is_file();
        let voice = |path: PathBuf| StoredVoice {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            notes: VoiceNotes::read(&path).unwrap_or_default(),
            path,
        };
        let mut voices: Vec<StoredVoice> = files.filter(is_wav).map(voice).collect();
        voices.sort_by_key(|voice| voice.name.to_lowercase());
        voices
    }

    /// Stores `samples` at `rate` as the voice `name`, or `name 2`, … if there is one of that name. Returns its file.
    ///
    /// # Errors
    /// [`Error::Write`], and [`Error::InvalidValue`] for a name without a letter or digit.
    pub fn save(&self, name: &str, samples: &[f32], rate: usize, notes: &VoiceNotes) -> Result<PathBuf> {
        let path = self.free_path(name)?;
        let comment = serde_json::to_string(notes).map_err(|e| Error::write(&path, e))?;
        let info = WavInfo {
            title: notes.text.clone(),
            artist: format!("speaker {}", notes.speaker),
            comment: format!("{MARK}{comment}"),
        };
        let (bytes, _) = wav::encode(samples, rate, &info)?;
        create_private_folder(&self.0).map_err(|e| Error::write(&self.0, e))?;
        write_atomically(&path, &bytes)?;
        Ok(path)
    }

    /// Stores a copy of the recording `path` under its name, with the notes that it has.
    ///
    /// # Errors
    /// The errors of [`recording::read`] and [`VoiceFolder::save`].
    pub fn import(&self, path: &Path) -> Result<PathBuf> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        let native = recording::decode_native(path, &bytes, Length::Whole)?.into_mono();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let notes = VoiceNotes::of(&bytes);
        let notes = notes.unwrap_or_else(|| VoiceNotes { source: file_name(path), ..VoiceNotes::default() });
        self.save(&name, &native.samples, native.rate, &notes)
    }

    /// Moves a voice into the folder of removed ones. Returns where it is now.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn remove(&self, voice: &Path) -> Result<PathBuf> {
        let removed = Self(self.0.join(REMOVED));
        let name = voice.file_stem().unwrap_or_default().to_string_lossy();
        let to = removed.free_path(&name)?;
        create_private_folder(&removed.0).map_err(|e| Error::write(&removed.0, e))?;
        fs::rename(voice, &to).map_err(|e| Error::write(&to, e))?;
        Ok(to)
    }

    fn free_path(&self, name: &str) -> Result<PathBuf> {
        // No system's file names have these.
        let kept = |c: &char| !c.is_control() && !r#"/\:*?"<>|"#.contains(*c);
        let clean: String = name.chars().filter(kept).take(LONGEST_NAME).collect();
        let clean = clean.trim().trim_matches('.');
        if !clean.chars().any(char::is_alphanumeric) {
            return Err(Error::invalid("name", "a name with a letter or a digit", format!("{name:?}")));
        }
        let numbered = |n: usize| if n == 1 { format!("{clean}.wav") } else { format!("{clean} {n}.wav") };
        let mut paths = (1..).map(|n| self.0.join(numbered(n)));
        paths.find(|path| path.symlink_metadata().is_err()).ok_or_else(|| Error::write(&self.0, "no name is free"))
    }
}

/// Characters of a voice's name.
const LONGEST_NAME: usize = 60;

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ClipOrigin, Dtype, Mode, ModelId, SamplingParams};

    fn sound() -> Vec<f32> {
        (0..24_000).map(|i| (i as f32 * 0.05).sin() * 0.3).collect()
    }

    fn notes() -> VoiceNotes {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.7, 40), 3, Dtype::Float32);
        VoiceNotes {
            text: "Grüß \"dich\", Ω.".into(),
            speaker: 4,
            source: "anna.flac".into(),
            sampling: Some(sampling),
        }
    }

    #[test]
    fn a_voice_is_one_file_that_carries_everything() {
        let folder = tempfile::tempdir().unwrap();
        let voices = VoiceFolder::new(folder.path().join("voices"));
        assert_eq!(voices.list(), []);
        let path = voices.save("Anna: calm/low", &sound(), 24_000, &notes()).unwrap();
        assert_eq!(path.file_name().unwrap(), "Anna calmlow.wav");
        let again = voices.save("Anna: calm/low", &sound(), 24_000, &notes()).unwrap();
        assert_eq!(again.file_name().unwrap(), "Anna calmlow 2.wav");
        let listed = voices.list();
        assert_eq!(listed.len(), 2);
        assert_eq!((listed[0].name.as_str(), &listed[0].notes), ("Anna calmlow", &notes()));
        let heard = recording::read(&path, 24_000, Length::Whole).unwrap().samples;
        assert!(heard.iter().zip(sound()).all(|(a, b)| (a - b).abs() < 1e-4) && heard.len() == 24_000);
        // Another folder takes the file in with everything in it.
        let other = VoiceFolder::new(folder.path().join("other"));
        other.import(&path).unwrap();
        assert_eq!(other.list()[0].notes, notes());
        let removed = voices.remove(&path).unwrap();
        assert!(removed.exists() && voices.list().len() == 1);
    }

    #[test]
    fn a_takes_file_says_its_text_and_others_say_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let sampling = notes().sampling;
        let origin = ClipOrigin { text: Some("Hello.".into()), speaker: Some(1), sampling, ..ClipOrigin::default() };
        let model = ModelId { name: "demo".into(), sha256: "0".into() };
        let (bytes, _) = wav::encode(&sound(), 24_000, &WavInfo::for_clip(&model, &origin)).unwrap();
        let take = VoiceNotes::of(&bytes).unwrap();
        assert_eq!((take.text.as_str(), take.speaker, take.source.as_str()), ("Hello.", 1, "demo"));
        let song = WavInfo { title: "A song".into(), artist: "A band".into(), comment: String::new() };
        let (bytes, _) = wav::encode(&sound(), 24_000, &song).unwrap();
        assert_eq!(VoiceNotes::of(&bytes), None);
        for hostile in [&b"RIFF"[..], b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\xffINFO", b"", &bytes[..60]] {
            assert_eq!(VoiceNotes::of(hostile), None);
        }
        let voices = VoiceFolder::new(folder.path().into());
        for name in ["", "..", "///", "\u{7}"] {
            assert!(voices.save(name, &sound(), 24_000, &notes()).is_err(), "{name:?}");
        }
    }
}
