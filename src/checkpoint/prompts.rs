//! Text and context as a tokenised prompt.

use std::ops::Range;

use super::Checkpoint;
use crate::data::{ClipSpec, Prompt, PromptStyle, PromptWord, PromptWords, is_speakable};
use crate::error::{Error, Result};
use crate::text::{Pronunciations, Script, ScriptRules, read_aloud, spoken_words};

impl Checkpoint {
    /// Ids of one text segment: `[{speaker}]{text}` between the begin and end marks that the tokenizer adds; with a space after the
    /// bracket if the checkpoint's config has `speaker_prefix_space`, as mlx-audio does.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the tokenizer refuses the text, [`Error::InvalidFile`] if it gives an id that the
    /// model does not have.
    pub fn text_ids(&self, speaker: u32, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.ids(&self.tagged(speaker, text))
    }

    /// `text` after its speaker's tag.
    fn tagged(&self, speaker: u32, text: &str) -> String {
        match self.speaker_space {
            true => format!("[{speaker}] {}", text.trim_start()),
            false => format!("[{speaker}]{text}"),
        }
    }

    /// Where the words of `spec`'s text are in `prompt`, the prompt of `spec`.
    ///
    /// # Errors
    /// Returns the errors of [`Checkpoint::prompt`].
    pub fn prompt_words(&self, spec: &ClipSpec, prompt: &Prompt) -> Result<PromptWords> {
        let (before, read) = match (spec.prompt_style, spec.context.as_slice()) {
            (PromptStyle::VoiceMatch, [turn]) => {
                let both = format!("{} {}", turn.text, spec.text);
                (
                    read_aloud(&turn.text, &self.text_profile).text.len(),
                    read_aloud(both.trim(), &self.text_profile).text,
                )
            }
            _ => (0, read_aloud(&spec.text, &self.text_profile).text),
        };
        let segment_start = prompt.positions.len() - prompt.segment_lengths.last().copied().unwrap_or(0);
        let tagged = self.tagged(spec.speaker, &read);
        let read_start = tagged.len() - read.len().min(tagged.len());
        let spans = self.tokenizer.spans(&tagged)?;
        let positions = |bytes: Range<usize>| {
            let inside = |span: &Range<usize>| span.start < bytes.end && span.end > bytes.start;
            let first = spans.iter().position(|span| !span.is_empty() && inside(span))?;
            let last = spans.iter().rposition(|span| !span.is_empty() && inside(span))?;
            Some(segment_start + first..segment_start + last + 1)
        };
        // In a voice match, words of the turn before come first.
        let offset = before.min(read.len());
        let words = spoken_words(&spec.text, &read[offset..]).into_iter().filter_map(|word| {
            let start = read_start + offset;
            let positions = positions(start + word.read.start..start + word.read.end)?;
            Some(PromptWord { text: spec.text[word.written.clone()].to_owned(), written: word.written, positions })
        });
        let words: Vec<PromptWord> = words.collect();
        let text = positions(read_start + offset..tagged.len()).unwrap_or_default();
        Ok(PromptWords { text, words })
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
