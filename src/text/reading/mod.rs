//! How a text is read aloud: what a voice cannot read as it is written, in words.

mod numbers;
mod rules;
mod tables;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

pub(in crate::text) use self::rules::alternatives;
use self::rules::{Beside, Found, RULES, Rule};
use super::pattern;
use super::profile::{Language, TextProfile};

/// A text as it is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The text in words.
    pub text: String,
    /// Parts that were spelled out: as written, as read.
    pub changes: Vec<(String, String)>,
    /// Parts that the voice cannot read and leaves out.
    pub left_out: Vec<String>,
    /// Byte ranges of the written text that are read as one: a number, a date, an address.
    pub tokens: Vec<Range<usize>>,
}

/// `text` as a voice with this profile reads it.
pub fn read_aloud(text: &str, profile: &TextProfile) -> Reading {
    let mut reading = Reading { text: text.to_owned(), ..Reading::default() };
    if profile.spell_out == Some(Language::English) {
        reading.spell_out();
    }
    if profile.latin_only {
        reading.leave_out_unreadable();
    }
    if profile.final_stop {
        reading.add_stop();
    }
    reading
}

/// A stop after a space, unless it begins a number or name: `.5`, `.NET`.
static STOPS: LazyLock<Regex> = LazyLock::new(|| pattern(r" +([,;:!?]|\.(?:\s|$|\.\.))"));

/// Digits other than 0 to 9.
static OTHER_DIGITS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\p{Nd}--0-9]"));

/// Whether `word` is an abbreviation that stands before a number, such as `no` of `no. 5`.
pub(super) fn stands_before_numbers(word: &str) -> bool {
    tables::BEFORE_NUMBERS.iter().any(|(known, _)| *known == word)
}

/// A match of a rule.
struct Token {
    range: Range<usize>,
    read: String,
    reported: bool,
}

/// The finds of all rules from left to right; if several begin at one place, the longest.
fn tokens(text: &str) -> Vec<Token> {
    let mut next: Vec<Option<Token>> = RULES.iter().map(|rule| find(rule, text, 0)).collect();
    let mut tokens = Vec::new();
    loop {
        let places = next.iter().enumerate().filter_map(|(n, token)| Some((n, token.as_ref()?.range.clone())));
        let Some((best, found)) = places.min_by_key(|(_, range)| (range.start, usize::MAX - range.end)) else {
            return tokens;
        };
        for (n, rule) in RULES.iter().enumerate() {
            if next[n].as_ref().is_some_and(|token| token.range.start < found.end) {
                let before = std::mem::replace(&mut next[n], find(rule, text, found.end));
                tokens.extend(before.filter(|_| n == best));
            }
        }
    }
}

/// The first find of `rule` from byte `from` on.
fn find(rule: &Rule, text: &str, mut from: usize) -> Option<Token> {
    while from < text.len() {
        let captures = rule.pattern.captures_at(text, from)?;
        let range = captures.get(0)?.range();
        let (before, after) = (&text[..range.start], &text[range.end..]);
        if !range.is_empty() && fits(rule.beside, before, after) {
            let found = Found { captures: &captures, before, after };
            if let Some(read) = (rule.read)(&found) {
                return Some(Token { range, read, reported: rule.reported });
            }
        }
        from = range.start + text[range.start..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn fits(beside: Beside, before: &str, after: &str) -> bool {
    let (mut left, mut right) = (before.chars().rev(), after.chars());
    let (last, first) = (left.next(), right.next());
    if beside == Beside::Anything {
        return true;
    }
    if last.is_some_and(char::is_alphanumeric) || first.is_some_and(char::is_alphanumeric) {
        return false;
    }
    let joins = |sign: Option<char>, beyond: Option<char>| {
        sign.is_some_and(|c| "./:,-‐‑−–".contains(c)) && beyond.is_some_and(|c| c.is_ascii_digit())
    };
    beside == Beside::Mark || !(joins(last, left.next()) || joins(first, right.next()))
}

/// `text` in words.
fn words(text: &str) -> String {
    let mut read = String::new();
    let mut at = 0;
    for token in tokens(text) {
        read.push_str(&text[at..token.range.start]);
        read.push_str(&token.read);
        at = token.range.end;
    }
    read.push_str(&text[at..]);
    evened(&read)
}

/// One space between words and none before a stop, as the words for signs leave more.
fn evened(text: &str) -> String {
    let even = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let stopped = STOPS.replace_all(&even, "$1");
    stopped.trim_start_matches([',', ' ']).to_owned()
}

/// `text` with the digits of every script as 0 to 9. Of each script Unicode has ten in a row, in order, some rows next to each other.
fn decimal_digits(text: &str) -> String {
    if text.is_ascii() || !OTHER_DIGITS.is_match(text) {
        return text.to_owned();
    }
    let is_digit = |c: char| OTHER_DIGITS.is_match(c.encode_utf8(&mut [0; 4]));
    let plain = |c: char| {
        if !is_digit(c) {
            return c;
        }
        let before = (0..c as u32).rev().take_while(|n| char::from_u32(*n).is_some_and(is_digit)).count() as u32;
        char::from_digit(before % 10, 10).unwrap_or(c)
    };
    text.chars().map(plain).collect()
}

/// Whether every voice of the Latin alphabet has this character: letters, and signs that keyboards and typography have.
fn is_latin(c: char) -> bool {
    c.is_ascii()
        || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '‘'..='‟' | '–' | '—' | '…' | '´' | '¡' | '¿' | '«' | '»')
}

impl Reading {
    fn spell_out(&mut self) {
        let (written, text) = (self.text.clone(), decimal_digits(&self.text));
        let changed =
            written.split_whitespace().zip(text.split_whitespace()).filter(|(written, plain)| written != plain);
        let changed: Vec<(&str, &str)> = changed.collect();
        self.changes.extend(changed.iter().map(|(written, plain)| ((*written).to_owned(), words(plain))));
        self.text.clone_from(&text);
        let found = tokens(&self.text);
        for token in &found {
            let (written, read) = (self.text[token.range.clone()].trim(), token.read.trim());
            let words: Vec<&str> = read.split_whitespace().collect();
            let known = changed.iter().any(|(_, plain)| plain.contains(written));
            if token.reported && !read.is_empty() && written != read && !known {
                self.changes.push((written.to_owned(), words.join(" ")));
            }
        }
        // Ranges of a text whose digits have changed are not those of the written one.
        if self.text == written {
            self.tokens = found.into_iter().map(|token| token.range).collect();
        }
        self.text = words(&self.text);
    }

    /// Leaves out words with letters of other scripts, and signs such as emoji.
    fn leave_out_unreadable(&mut self) {
        if self.text.chars().all(is_latin) {
            return;
        }
        let mut kept: Vec<String> = Vec::new();
        for word in self.text.split_whitespace() {
            let foreign: String = word.chars().filter(|c| !is_latin(*c)).collect();
            if foreign.is_empty() {
                kept.push(word.to_owned());
                continue;
            }
            let is_letter = foreign.chars().any(char::is_alphanumeric);
            let core = word.trim_matches(|c: char| c.is_ascii_punctuation());
            let named = if is_letter { core.to_owned() } else { foreign };
            if !self.left_out.contains(&named) {
                self.left_out.push(named);
            }
            let rest =
                if is_letter { word.replacen(core, "", 1) } else { word.chars().filter(|c| is_latin(*c)).collect() };
            match kept.last_mut() {
                // The stop of what is left out ends the word before it.
                Some(last) if !rest.chars().any(char::is_alphanumeric) => {
                    let stop = rest.trim_start_matches(['"', '\'', '(', '[']);
                    last.push_str(if last.ends_with(|c: char| c.is_alphanumeric()) { stop } else { "" });
                }
                _ if rest.chars().any(char::is_alphanumeric) => kept.push(rest),
                _ => {}
            }
        }
        self.text = kept.join(" ");
    }

    fn add_stop(&mut self) {
        let trimmed = self.text.trim_end();
        let closing = |c: char| matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '»');
        let last = trimmed.trim_end_matches(closing).chars().last();
        if last.is_some_and(|c| c.is_alphanumeric()) {
            let inside = trimmed.trim_end_matches(closing).len();
            self.text = format!("{}.{}", &trimmed[..inside], &trimmed[inside..]);
        } else if last.is_some_and(|c| matches!(c, ',' | ':' | ';' | '-' | '–' | '—')) {
            let kept = trimmed.trim_end_matches([',', ':', ';', '-', '–', '—', ' ']);
            self.text = format!("{kept}.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> TextProfile {
        TextProfile { spell_out: Some(Language::English), latin_only: true, final_stop: true, longest_piece: None }
    }

    #[test]
    fn a_text_without_profile_is_left_alone() {
        let text = "At 10:45 – 5 % of €3 — 你好";
        assert_eq!(read_aloud(text, &TextProfile::default()), Reading { text: text.into(), ..Reading::default() });
    }

    #[test]
    fn what_was_changed_and_what_cannot_be_read_is_told() {
        let reading = read_aloud("The bus leaves at 10:45 on May 25, says Юрий", &english());
        assert_eq!(reading.text, "The bus leaves at ten forty-five on May twenty-fifth, says.");
        let changes = [("10:45", "ten forty-five"), ("May 25", "May twenty-fifth")];
        assert_eq!(reading.changes, changes.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(reading.left_out, ["Юрий"]);
    }

    #[test]
    fn digits_of_every_script_are_read() {
        for (text, expected) in
            [("٢٥ people", "twenty-five people."), ("१९ men", "nineteen men."), ("๕๐ baht", "fifty baht.")]
        {
            let reading = read_aloud(text, &english());
            assert_eq!(reading.text, expected);
            assert_eq!(reading.changes.len(), 1, "{:?}", reading.changes);
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_named() {
        for (text, expected, left_out) in [
            ("Hello 😀 there!", "Hello there!", "😀"),
            ("She said 你好, then left.", "She said, then left.", "你好"),
            ("Good night 🌙.", "Good night.", "🌙"),
            ("你好", "", "你好"),
            ("Привет мир", "", "Привет"),
        ] {
            let reading = read_aloud(text, &english());
            assert_eq!((reading.text.as_str(), reading.left_out[0].as_str()), (expected, left_out), "{text:?}");
        }
    }

    /// Texts and their readings (`readings.tsv`: as written, a tab, as read).
    #[test]
    fn texts_are_read_as_the_table_says() {
        let mut wrong = Vec::new();
        let lines: Vec<&str> =
            include_str!("readings.tsv").lines().filter(|l| !l.is_empty() && !l.starts_with("# ")).collect();
        assert!(lines.len() > 400, "the table is not there");
        for line in lines {
            let (text, expected) = line.split_once('\t').unwrap();
            let reading = read_aloud(text, &english());
            if reading.text != expected {
                wrong.push(format!("{text:?}\n  is read {:?}\n expected {expected:?}", reading.text));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
