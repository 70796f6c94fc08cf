//! A list of pronunciations of the user's own, which goes before all rules.

use std::collections::HashSet;
use std::path::Path;

use regex::{Captures, Regex, RegexBuilder};

use super::reading::alternatives;
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file};

/// Largest number of entries.
const MOST: usize = 10_000;

/// Words or phrases and how they are spoken. One with a capital letter matches as it is written, others in any case; all match whole
/// words only, and of several the longest.
#[derive(Clone, Debug, Default)]
pub struct Pronunciations {
    entries: Vec<(String, String)>,
    pattern: Option<Regex>,
}

impl PartialEq for Pronunciations {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Pronunciations {
    /// Reads a list: a line for each entry, `written = spoken`; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] that names the line.
    pub fn parse(list: &str) -> Result<Self> {
        Self::new(entries_of(list)?)
    }

    /// Checks a list while it is typed, without making it ready for use.
    ///
    /// # Errors
    /// Returns the errors of [`Pronunciations::parse`].
    pub fn check(list: &str) -> Result<()> {
        entries_of(list).map(drop)
    }

    /// Reads the list in the file `path`.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::InvalidFile`] that names the line.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path, JSON_LIMIT)?;
        let list = String::from_utf8(bytes).map_err(|e| Error::parse(path, "expected text in UTF-8", e))?;
        Self::parse(&list).map_err(|e| Error::file(path, e.to_string()))
    }

    fn new(entries: Vec<(String, String)>) -> Result<Self> {
        if entries.is_empty() {
            return Ok(Self::default());
        }
        let pattern = alternatives(entries.iter().map(|(written, _)| written.as_str()));
        let pattern = RegexBuilder::new(&pattern).case_insensitive(true).size_limit(1 << 28).build();
        let pattern = pattern.map_err(|e| Error::invalid("pronunciations", "a list that can be searched for", e))?;
        Ok(Self { entries, pattern: Some(pattern) })
    }

    /// `text` with the words of the list as they are spoken, and what was replaced: as written, as spoken.
    pub(super) fn apply(&self, text: &str) -> (String, Vec<(String, String)>) {
        let Some(pattern) = &self.pattern else { return (text.to_owned(), Vec::new()) };
        let mut changes = Vec::new();
        let replaced = pattern.replace_all(text, |found: &Captures<'_>| {
            let Some(whole) = found.get(0) else { return String::new() };
            let letter = |c: char| c.is_alphanumeric();
            let (before, after) = (&text[..whole.start()], &text[whole.end()..]);
            let part = before.ends_with(letter) && whole.as_str().starts_with(letter)
                || after.starts_with(letter) && whole.as_str().ends_with(letter);
            let spoken = self.spoken(whole.as_str()).filter(|_| !part);
            if let Some(spoken) = spoken {
                changes.push((whole.as_str().to_owned(), spoken.to_owned()));
            }
            spoken.unwrap_or(whole.as_str()).to_owned()
        });
        (replaced.into_owned(), changes)
    }

    /// How a word is spoken that is in the list.
    fn spoken(&self, word: &str) -> Option<&str> {
        let exact = self.entries.iter().find(|(written, _)| written == word);
        let any_case = || {
            let lower = word.to_lowercase();
            self.entries.iter().find(|(written, _)| *written == lower)
        };
        exact.or_else(any_case).map(|(_, spoken)| spoken.as_str())
    }
}

fn entries_of(list: &str) -> Result<Vec<(String, String)>> {
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    for (n, line) in list.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let invalid = |expected: &str| {
            Error::invalid("pronunciations", format!("{expected} in line {}", n + 1), format!("{line:?}"))
        };
        let (written, spoken) =
            line.split_once('=').or_else(|| line.split_once('\t')).ok_or_else(|| invalid("WRITTEN = SPOKEN"))?;
        let (written, spoken) = (written.trim(), spoken.trim());
        if !written.chars().any(char::is_alphanumeric) || !spoken.chars().any(char::is_alphanumeric) {
            return Err(invalid("words on both sides of the ="));
        }
        if !seen.insert(written.to_owned()) {
            return Err(invalid("each word once"));
        }
        entries.push((written.to_owned(), spoken.to_owned()));
        if entries.len() > MOST {
            return Err(invalid(&format!("at most {MOST} entries")));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_list_are_spoken_as_it_says() {
        let list =
            Pronunciations::parse("# names\nnguyen = win\nUS = U S\nnew york = the city\nC3PO\tsee three pee oh\n")
                .unwrap();
        let cases = [
            ("Nguyen and NGUYEN came.", "win and win came."),
            ("The US and us.", "The U S and us."),
            ("In New York, nguyens.", "In the city, nguyens."),
            ("C3PO's friend", "see three pee oh's friend"),
            ("nothing", "nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(list.apply(text).0, expected, "{text:?}");
        }
        assert_eq!(list.apply("A US car").1, [("US".to_owned(), "U S".to_owned())]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (list, why) in [("a b", "line 1"), ("a = b\na = c", "line 2"), ("# x\n\n= b", "line 3"), ("a =", "line 1")]
        {
            let error = Pronunciations::parse(list).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(Pronunciations::parse("").unwrap(), Pronunciations::default());
    }
}
