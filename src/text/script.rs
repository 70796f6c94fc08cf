use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::cut::{halve, pieces};
use super::format::PlainText;
use super::{Pronunciations, Reading, TextProfile, pattern, read_aloud, speaker_tag};
use crate::error::Result;

/// Longest piece if the voice declares none, characters: about what fits into the ten seconds that a piece may take.
const LONGEST_PIECE: usize = 200;
/// Longest word that is spoken, characters; no word of a language is as long, but a picture in base64 is.
const LONGEST_WORD: usize = 100;
/// Words that a message lists.
const LISTED: usize = 6;

/// A piece of text that is spoken as one clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Speaker number of the piece.
    pub speaker: u32,
    /// Text of the piece.
    pub text: String,
}

/// A text as it is going to be spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Its pieces, each with something that the voice can read.
    pub pieces: Vec<Piece>,
    /// Notes for the user, each once per text: marks and words that are left out, speakers in the text, what is read in words.
    pub messages: Vec<String>,
}

/// How a text becomes a [`Script`].
#[derive(Clone, Copy, Debug)]
pub struct ScriptRules<'a> {
    /// Who speaks until the text names another speaker.
    pub speaker: u32,
    /// Whether that speaker overrules those of the text.
    pub fixed: bool,
    /// The characters that the voice can read.
    pub profile: &'a TextProfile,
    /// Name of the voice, for messages.
    pub voice: &'a str,
    /// Numbers of the voice's speakers; empty if they are not known.
    pub speakers: &'a [u32],
    /// Words that are spoken as the user says.
    pub pronunciations: &'a Pronunciations,
}

impl ScriptRules<'_> {
    fn has_speaker(&self, number: u32) -> bool {
        const HIGHEST: u32 = 999; // a larger number is a year
        if self.speakers.is_empty() { number <= HIGHEST } else { self.speakers.contains(&number) }
    }
}

impl Script {
    /// Takes the marks off `text` and cuts it for a voice.
    ///
    /// A `[n]` at the start of a line is the speaker of what follows, in a text whose first line begins with one and whose numbers are
    /// all speakers; elsewhere it is a reference and left out.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidValue`] for a format that is not text.
    pub fn new(text: &str, rules: &ScriptRules<'_>) -> Result<Self> {
        let plain = PlainText::read(text)?;
        let mut made = Making { notes: plain.notes, ..Making::default() };
        let read = |text: &str| read_aloud(text, rules.profile);
        let longest = rules.profile.longest_piece.unwrap_or(LONGEST_PIECE);
        for (speaker, text) in made.turns(&plain.text, rules) {
            let text = made.without_references(&text);
            let text = made.without_long_words(&text);
            let text = made.pronounced(&text, rules.pronunciations);
            for text in pieces(&text, longest, &read) {
                made.add(speaker, text, rules.profile);
            }
        }
        Ok(made.finish(rules.voice))
    }

    /// `text` as it is, in one piece.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidValue`] for a format that is not text.
    pub fn verbatim(text: &str, rules: &ScriptRules<'_>) -> Result<Self> {
        PlainText::read(text)?;
        let mut made = Making::default();
        let text = made.pronounced(text, rules.pronunciations);
        made.add(rules.speaker, text, rules.profile);
        Ok(made.finish(rules.voice))
    }
}

/// A script that is being made.
#[derive(Default)]
struct Making {
    pieces: Vec<Piece>,
    notes: Vec<String>,
    references: Vec<String>,
    long_words: Vec<String>,
    changes: Vec<(String, String)>,
    left_out: Vec<String>,
}

impl Making {
    /// The speakers of a text and what each says in turn.
    fn turns(&mut self, text: &str, rules: &ScriptRules<'_>) -> Vec<(u32, String)> {
        let is_dialogue = self.is_dialogue(text, rules);
        let mut turns = vec![(rules.speaker, String::new())];
        for line in text.lines() {
            let rest = match speaker_tag(line) {
                Some((number, rest)) if is_dialogue => {
                    turns.push((if rules.fixed { rules.speaker } else { number }, String::new()));
                    rest
                }
                Some((number, rest)) => {
                    self.references.push(format!("[{number}]"));
                    rest
                }
                None => line,
            };
            if let Some((_, text)) = turns.last_mut() {
                text.push_str(rest);
                text.push('\n');
            }
        }
        turns
    }

    fn is_dialogue(&mut self, text: &str, rules: &ScriptRules<'_>) -> bool {
        let tags: Vec<u32> = text.lines().filter_map(|line| Some(speaker_tag(line)?.0)).collect();
        let first = text.lines().find(|line| !line.trim().is_empty());
        if tags.is_empty() || first.and_then(speaker_tag).is_none() {
            return false;
        }
        if let Some(other) = tags.iter().find(|n| !rules.has_speaker(**n)) {
            self.notes.push(format!(
                "[{other}] is no speaker of {}; numbers in brackets are references and not spoken",
                rules.voice
            ));
            return false;
        }
        // A list of references counts up; people who talk take turns.
        if tags.len() > 2 && tags.iter().copied().eq(1..=tags.len() as u32) {
            return false;
        }
        self.notes.push(format!("[{}] at the start of a line is its speaker and not spoken", tags[0]));
        true
    }

    /// Leaves out references after a word or sentence: `built. [3]`, `[1, 2]`, `[citation needed]`.
    fn without_references(&mut self, text: &str) -> String {
        let references = &mut self.references;
        let cut = REFERENCE.replace_all(text, |found: &Captures<'_>| {
            references.push(found[2].to_owned());
            found[1].to_owned()
        });
        cut.into_owned()
    }

    /// Leaves out words that no voice can speak; of a long address the host stays.
    fn without_long_words(&mut self, text: &str) -> String {
        let is_long = |word: &str| word.chars().count() > LONGEST_WORD && halve(word).is_none();
        if !text.split_whitespace().any(is_long) {
            return text.to_owned();
        }
        let lines = text.lines().map(|line| {
            let words = line.split(' ').filter_map(|word| {
                if !is_long(word) {
                    return Some(word);
                }
                let start: String = word.chars().take(16).collect();
                self.long_words.push(format!("\"{start}…\" ({} characters)", word.chars().count()));
                let host = ADDRESS.find(word).map(|host| host.as_str());
                host.filter(|host| !is_long(host))
            });
            words.collect::<Vec<_>>().join(" ")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn pronounced(&mut self, text: &str, pronunciations: &Pronunciations) -> String {
        let (text, changes) = pronunciations.apply(text);
        self.changes.extend(changes);
        text
    }

    /// Adds a piece, unless the voice can read nothing of it.
    fn add(&mut self, speaker: u32, text: String, profile: &TextProfile) {
        let Reading { text: read, changes, left_out, .. } = read_aloud(&text, profile);
        // A sign that is left out goes without saying.
        self.changes.extend(changes.into_iter().filter(|(_, read)| !read.is_empty()));
        self.left_out.extend(left_out);
        if read.chars().any(char::is_alphanumeric) {
            self.pieces.push(Piece { speaker, text });
        }
    }

    fn finish(self, voice: &str) -> Script {
        let mut messages = self.notes;
        let mut say = |what: String, all: Vec<String>| {
            let all = each_once(all);
            let more = all.len().saturating_sub(LISTED);
            let shown = all.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
            match (shown.is_empty(), more) {
                (true, _) => {}
                (false, 0) => messages.push(format!("{what}: {shown}")),
                (false, more) => messages.push(format!("{what}: {shown}, and {more} more")),
            }
        };
        say("references are left out".into(), self.references);
        say("words that are too long are left out".into(), self.long_words);
        let changes = self.changes.into_iter().map(|(written, read)| format!("{written:?} as {read:?}")).collect();
        say("numbers and signs are read in words".into(), changes);
        let left_out = self.left_out.into_iter().map(|word| format!("\"{word}\"")).collect();
        say(format!("{voice} cannot read and leaves out"), left_out);
        Script { pieces: self.pieces, messages }
    }
}

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let mark = r"\d{1,3}(?:\s?[,–-]\s?\d{1,3})*|[a-z]|note \d+|citation needed|edit|clarification needed|when\?|who\?|by whom\?";
    pattern(&format!(r#"([^\s\[(]|[.!?…"”]\s+)(\[(?:{mark})\])"#))
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:https?://|www\.)[^/?#]+"));

/// The texts that are new.
fn each_once(texts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.into_iter().filter(|text| seen.insert(text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Language;

    fn script(text: &str, speaker: u32, fixed: bool, profile: &TextProfile) -> Script {
        let rules = ScriptRules {
            speaker,
            fixed,
            profile,
            voice: "x",
            speakers: &[0, 1],
            pronunciations: &Pronunciations::default(),
        };
        Script::new(text, &rules).unwrap()
    }

    fn texts(text: &str) -> Vec<String> {
        script(text, 0, false, &TextProfile::default()).pieces.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn a_dialogue_keeps_its_speakers() {
        let text = "[0]Are you coming?\n[1]In a minute. I am late.\n[0] ...\nHurry up!";
        let found = script(text, 3, false, &TextProfile::default());
        let spoken: Vec<(u32, &str)> = found.pieces.iter().map(|p| (p.speaker, p.text.as_str())).collect();
        assert_eq!(spoken, [(0, "Are you coming?"), (1, "In a minute."), (1, "I am late."), (0, "Hurry up!")]);
        assert_eq!(found.messages, ["[0] at the start of a line is its speaker and not spoken"]);
        let fixed = script("[1]Hello.", 2, true, &TextProfile::default());
        assert_eq!(fixed.pieces, [Piece { speaker: 2, text: "Hello.".into() }]);
        assert_eq!(fixed.messages, ["[1] at the start of a line is its speaker and not spoken"]);
    }

    #[test]
    fn a_reference_is_no_speaker() {
        let cases: &[(&str, &[&str])] = &[
            ("He lived alone. [3] He had a dog.[12] It barked.", &["He lived alone.", "He had a dog.", "It barked."]),
            ("The tower[1] is old[2, 3] and tall.[4–6]", &["The tower is old and tall."]),
            ("It is old.[citation needed] Very.", &["It is old.", "Very."]),
            (
                "[1] Smith: Boats. 1999.\n[2] Jones: Ships.\n[3] Hill: Sails.",
                &["Smith: Boats.", "1999.", "Jones: Ships.", "Hill: Sails."],
            ),
            ("Text first.\n[1] A note.", &["Text first.", "A note."]),
            ("[7]Hello.\n[0]Hi.", &["Hello.", "Hi."]),
            ("See [3] for more.", &["See [3] for more."]),
            ("Take [1].", &["Take [1]."]),
        ];
        for (text, expected) in cases {
            let found = script(text, 0, false, &TextProfile::default());
            let spoken: Vec<&str> = found.pieces.iter().map(|piece| piece.text.as_str()).collect();
            assert_eq!(spoken, *expected, "{text:?}");
            assert!(found.pieces.iter().all(|piece| piece.speaker == 0), "{text:?}");
        }
        let messages = script("A. [3] B. [4] C.", 0, false, &TextProfile::default()).messages;
        assert_eq!(messages, ["references are left out: [3], [4]"]);
    }

    #[test]
    fn a_word_that_cannot_be_spoken_is_left_out() {
        let text = format!("The picture:\n\n{}\n\nThe ferry leaves at noon.", "iVBORw0K".repeat(400));
        let found = script(&text, 0, false, &TextProfile::default());
        assert_eq!(found.pieces.last().unwrap().text, "The ferry leaves at noon.");
        assert_eq!(found.pieces.len(), 2);
        assert!(found.messages[0].contains("iVBORw0KiVBORw0K…\" (3200 characters)"), "{:?}", found.messages);
        let address = format!("See https://example.com/{} now.", "a/".repeat(100));
        assert_eq!(texts(&address), ["See https://example.com now."]);
        // Languages without spaces have long lines, which are cut.
        assert!(texts(&"春眠不覚暁、".repeat(60)).len() > 1);
    }

    #[test]
    fn the_users_pronunciations_go_first() {
        let english = TextProfile { spell_out: Some(Language::English), ..TextProfile::default() };
        let list = Pronunciations::parse("R2D2 = artoo detoo\nnginx = engine x").unwrap();
        let rules = ScriptRules {
            speaker: 0,
            fixed: false,
            profile: &english,
            voice: "x",
            speakers: &[],
            pronunciations: &list,
        };
        let found = Script::new("Nginx greets R2D2 at 5.", &rules).unwrap();
        assert_eq!(found.pieces[0].text, "engine x greets artoo detoo at 5.");
        assert_eq!(
            found.messages,
            [r#"numbers and signs are read in words: "Nginx" as "engine x", "R2D2" as "artoo detoo", "5" as "five""#]
        );
        assert_eq!(Script::verbatim("R2D2", &rules).unwrap().pieces[0].text, "artoo detoo");
    }

    #[test]
    fn pieces_that_the_voice_cannot_read_are_left_out() {
        let latin = TextProfile { latin_only: true, ..TextProfile::default() };
        let found = script("Hello there. 你好。 Good night 😀!", 0, false, &latin);
        let spoken: Vec<&str> = found.pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(spoken, ["Hello there.", "Good night 😀!"]);
        assert_eq!(found.messages, ["x cannot read and leaves out: \"你好。\", \"😀\""]);
    }

    /// Texts and their pieces (`pieces.txt`: a text with `\\n` for line ends, then its pieces after `> `).
    #[test]
    fn texts_are_cut_as_the_table_says() {
        let mut cases = 0;
        let mut wrong = Vec::new();
        for block in include_str!("pieces.txt").split("\n\n").filter(|b| !b.trim().is_empty()) {
            let mut lines = block.trim().lines();
            let text = lines.next().unwrap().replace("\\n", "\n");
            let expected: Vec<&str> = lines.map(|l| l.strip_prefix("> ").unwrap()).collect();
            let found = texts(&text);
            if found != expected {
                wrong.push(format!("{text:?}\n  found {found:?}\n  expected {expected:?}"));
            }
            cases += 1;
        }
        assert!(cases >= 120, "the table has {cases} texts");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
