//! Text and context as a tokenised prompt.

use super::Checkpoint;
use crate::data::{ClipSpec, Prompt, PromptStyle, is_speakable};
use crate::error::{Error, Result};
use crate::text::{Pronunciations, Script, ScriptRules, read_aloud};

impl Checkpoint {
    /// Ids of one text segment: `[{speaker}]{text}` between the begin and end marks that the tokenizer adds; with a space after the
    /// bracket if the checkpoint's config has `speaker_prefix_space`, as mlx-audio does.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the tokenizer refuses the text, [`Error::InvalidFile`] if it gives an id that the
    /// model does not have.
    pub fn text_ids(&self, speaker: u32, text: &str) -> Result<Vec<u32>> {
        match self.speaker_space {
            true => self.tokenizer.ids(&format!("[{speaker}] {}", text.trim_start())),
            false => self.tokenizer.ids(&format!("[{speaker}]{text}")),
        }
    }

    /// The prompt of `spec`.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for text without a letter or digit, for codes that do not fit the model, and for context that the
    /// prompt's style does not allow.
    pub fn prompt(&self, spec: &ClipSpec) -> Result<Prompt> {
        let dims = self.dims();
        for turn in &spec.context {
            turn.frames.check("context_audio", &dims)?;
        }
        match spec.prompt_style {
            PromptStyle::Segments => {
                let mut turns = Vec::new();
                for turn in &spec.context {
                    turns.push((self.read_ids("context_text", turn.speaker, &turn.text)?, &turn.frames));
                }
                Ok(Prompt::of_segments(&turns, self.read_ids("text", spec.speaker, &spec.text)?, dims.codebooks))
            }
            PromptStyle::VoiceMatch => {
                let [turn] = spec.context.as_slice() else {
                    let got = format!("{} turns of context", spec.context.len());
                    return Err(Error::invalid("prompt_style", "one turn of context for voice-match", got));
                };
                let both = format!("{} {}", turn.text, spec.text);
                Ok(Prompt::of_voice_match(&self.read_ids("text", spec.speaker, both.trim())?, &turn.frames))
            }
        }
    }

    /// Checks that there is something to say in `text` and no control mark of the tokenizer, which would not be read as text.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] that names `field`.
    pub fn check_text(&self, field: &'static str, text: &str) -> Result<()> {
        if !is_speakable(text) {
            return Err(Error::invalid(field, "something to say (at least a letter or digit)", format!("{text:?}")));
        }
        match self.tokenizer.control_mark_in(text) {
            None => Ok(()),
            Some(mark) => {
                Err(Error::invalid(field, format!("text without the control mark {mark:?}"), format!("{text:?}")))
            }
        }
    }

    /// `text` as this voice speaks it, in pieces; `speaker` speaks until the text names another, which a `fixed` one overrules.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a format that is not text.
    pub fn script(&self, text: &str, speaker: u32, fixed: bool, pronunciations: &Pronunciations) -> Result<Script> {
        let speakers = self.speakers();
        Script::new(text, &self.script_rules(speaker, fixed, &speakers, pronunciations))
    }

    /// `text` in one piece, as it is but for `pronunciations`.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for a format that is not text.
    pub fn verbatim_script(&self, text: &str, speaker: u32, pronunciations: &Pronunciations) -> Result<Script> {
        Script::verbatim(text, &self.script_rules(speaker, true, &[], pronunciations))
    }

    fn speakers(&self) -> Vec<u32> {
        self.info.voices.iter().map(|voice| voice.speaker).collect()
    }

    fn script_rules<'a>(
        &'a self,
        speaker: u32,
        fixed: bool,
        speakers: &'a [u32],
        pronunciations: &'a Pronunciations,
    ) -> ScriptRules<'a> {
        ScriptRules { speaker, fixed, profile: &self.text_profile, voice: &self.info.name, speakers, pronunciations }
    }

    /// Ids of a text as the voice reads it aloud.
    fn read_ids(&self, field: &'static str, speaker: u32, text: &str) -> Result<Vec<u32>> {
        self.check_text(field, text)?;
        let read = read_aloud(text, &self.text_profile).text;
        if !is_speakable(&read) {
            let expected = format!("something that {} can read", self.info.name);
            return Err(Error::invalid(field, expected, format!("{text:?}")));
        }
        self.text_ids(speaker, &read)
    }
}
