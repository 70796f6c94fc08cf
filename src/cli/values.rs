//! Values of flags, and the flags' names for the library's keys.

use std::borrow::Cow;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::data::command_line::flag;
use crate::data::{Dtype, Mode, PARAMS, PromptStyle, Stage, WordTime};
use crate::error::Error;

/// Keys that are not sampling settings and have a flag of the same name.
const KEYS: &[&str] = &[
    "clips",
    "context_audio",
    "context_speaker",
    "context_text",
    "edits",
    "force_tokens",
    "guard_range",
    "max_audio_length_ms",
    "output",
    "precision",
    "prompt_style",
    "pronunciations",
    "retake_word",
    "sampling",
    "speaker",
    "stdin",
    "test_sampling",
    "text",
    "voice",
];

/// The flag for a key of the library; other names (fields of files) stay as they are.
pub(super) fn flag_name(key: &str) -> Cow<'static, str> {
    let is_param = PARAMS.iter().any(|p| Stage::ALL.iter().any(|stage| p.key_of(*stage) == key));
    if is_param || KEYS.contains(&key) { flag(key).into() } else { key.to_owned().into() }
}

/// Parses a sampling mode.
pub(super) fn mode_parser() -> impl TypedValueParser<Value = Mode> {
    let values = Mode::all().iter().map(|m| PossibleValue::new(m.name).help(m.summary));
    PossibleValuesParser::new(values.collect::<Vec<_>>()).try_map(|name| name.parse::<Mode>())
}

/// Parses a length in seconds.
pub(super) fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0);
    seconds.ok_or_else(|| "expected seconds, more than 0".into())
}

/// Parses a prompt style.
pub(super) fn style_parser() -> impl TypedValueParser<Value = PromptStyle> {
    PossibleValuesParser::new(PromptStyle::ALL.map(PromptStyle::name)).try_map(|name| name.parse::<PromptStyle>())
}

/// Parses a number type.
pub(super) fn dtype_parser() -> impl TypedValueParser<Value = Dtype> {
    PossibleValuesParser::new(Dtype::ALL.map(Dtype::name)).try_map(|name| name.parse::<Dtype>())
}

/// A range guard, with the flag's name in its error.
pub(super) fn parse_guard(text: &str) -> Result<crate::data::RangeGuard, Error> {
    text.parse().map_err(|e: Error| e.with_field_name(flag_name))
}

#[derive(Clone, Debug)]
pub(super) struct Seeds(pub(super) Vec<u64>);

/// `0..9`, both ends included, or `3,5,8`.
pub(super) fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let number = |t: &str| t.trim().parse::<u64>().map_err(|e| format!("{t:?}: {e}"));
    let list: Vec<u64> = match text.split_once("..") {
        Some((a, b)) => (number(a)?..=number(b)?).take(10_001).collect(),
        None => text.split(',').map(number).collect::<Result<_, _>>()?,
    };
    match list.len() {
        1..=10_000 => Ok(Seeds(list)),
        n => Err(format!("expected 1 to 10000 seeds, got {}", if n == 0 { "none" } else { "more" })),
    }
}

/// A word of a text: as it is written, and which of its occurrences, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WordChoice {
    word: String,
    occurrence: usize,
}

impl FromStr for WordChoice {
    type Err = String;
    /// `WORD` or `WORD:N`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (word, occurrence) = match text.rsplit_once(':') {
            Some((word, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => {
                (word, n.parse().ok().filter(|n| *n > 0).ok_or("expected WORD:N with N from 1")?)
            }
            _ => (text, 1),
        };
        if word.is_empty() { Err("expected a word".into()) } else { Ok(Self { word: word.into(), occurrence }) }
    }
}

impl WordChoice {
    /// Its number among `words`, by letters and digits alone, whatever their case.
    pub(super) fn find(&self, words: &[WordTime]) -> Result<usize, Error> {
        let bare = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        let wanted = bare(&self.word);
        let places: Vec<usize> = (0..words.len()).filter(|n| bare(&words[*n].word) == wanted).collect();
        places.get(self.occurrence - 1).copied().ok_or_else(|| {
            let all: Vec<&str> = words.iter().map(|word| word.word.as_str()).collect();
            let got = format!("{:?}, occurrence {} of {}", self.word, self.occurrence, places.len());
            Error::invalid("retake_word", format!("a word of the clip ({})", all.join(" ")), got)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_its_letters_and_its_occurrence() {
        let word = |word: &str| WordTime { word: word.into(), written: 0..0, start: 0.0, end: 1.0, confidence: 1.0 };
        let words = [word("The"), word("boat,"), word("the"), word("sea.")];
        let find = |choice: &str| choice.parse::<WordChoice>().unwrap().find(&words).map_err(|e| e.to_string());
        assert_eq!((find("Boat"), find("the:2"), find("sea")), (Ok(1), Ok(2), Ok(3)));
        let error = find("the:3").unwrap_err();
        assert!(error.contains("The boat, the sea.") && error.contains("occurrence 3 of 2"), "{error}");
        assert!("the:0".parse::<WordChoice>().is_err() && "".parse::<WordChoice>().is_err());
    }
}
