//! The texts of the page in its languages, from one file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::TestKind;
use crate::error::{Error, Result};

const TEXTS: &str = include_str!("../../assets/listen/texts.json");

/// A language of the page: its code (ISO 639-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Language(String);

impl Default for Language {
    fn default() -> Self {
        Self("en".into())
    }
}

impl std::str::FromStr for Language {
    type Err = Error;
    fn from_str(code: &str) -> Result<Self> {
        if all().get(code).is_some() {
            return Ok(Self(code.into()));
        }
        let known = all().as_object().map_or(String::new(), |all| all.keys().cloned().collect::<Vec<_>>().join(", "));
        Err(Error::invalid("language", known, code))
    }
}

fn all() -> Value {
    serde_json::from_str(TEXTS).unwrap_or_default() // a test reads it
}

impl Language {
    /// Its code.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// All texts of the page; English where this language has none.
    pub(super) fn texts(&self) -> Value {
        let mut all = all();
        let mut texts = all["en"].take();
        if let (Some(texts), Some(own)) = (texts.as_object_mut(), all[&self.0].as_object()) {
            texts.extend(own.clone());
        }
        texts
    }

    /// The question of a kind of test, and the labels of its buttons or scale.
    pub(super) fn kind(&self, kind: TestKind) -> (Option<String>, Vec<String>) {
        let texts = self.texts();
        let of_kind = &texts["kinds"][kind.info().name];
        let labels = of_kind["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        (of_kind["question"].as_str().map(str::to_owned), labels.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::AnswerForm;
    use super::*;

    /// Every language has every text, and the English ones are those of the table of kinds.
    #[test]
    fn languages_are_complete() {
        let all = all();
        let languages = all.as_object().unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<String>>();
        for (code, texts) in languages {
            assert_eq!(keys(texts), keys(&all["en"]), "{code}");
            let language: Language = code.parse().unwrap();
            for info in TestKind::all() {
                let (question, labels) = language.kind(info.kind);
                let expected = match info.form {
                    AnswerForm::Buttons(buttons) => buttons.iter().map(|b| b.label).collect::<Vec<_>>(),
                    AnswerForm::Sliders { labels, .. } => labels.to_vec(),
                };
                assert_eq!(labels.len(), expected.len(), "{code} {}", info.name);
                if code == "en" {
                    assert_eq!(
                        (question.as_deref(), labels),
                        (Some(info.question), expected.iter().map(|l| (*l).to_owned()).collect())
                    );
                }
            }
        }
        assert!("xx".parse::<Language>().unwrap_err().to_string().contains("de, en"));
    }
}
