use std::collections::BTreeSet;

use super::{Reading, TextProfile, clean, pieces, read_aloud, speaker_tag};

/// Longest piece if the voice declares none, characters: about what fits into the ten seconds that a piece may take.
const LONGEST_PIECE: usize = 200;
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
    /// Its pieces, at least a letter or digit in each.
    pub pieces: Vec<Piece>,
    /// The first speaker's number that stood in brackets in the text.
    pub tag: Option<u32>,
}

impl Script {
    /// Cleans and cuts `text` for a voice. `speaker` speaks until a `[n]` at the start of a piece names another, which a speaker
    /// that is `fixed` overrules.
    pub fn new(text: &str, speaker: u32, fixed: bool, profile: &TextProfile) -> Self {
        let mut script = Self::default();
        let mut current = speaker;
        for text in pieces(&clean(text), profile.longest_piece.unwrap_or(LONGEST_PIECE)) {
            let text = match speaker_tag(&text) {
                None => text,
                Some((number, rest)) => {
                    script.tag.get_or_insert(number);
                    current = if fixed { speaker } else { number };
                    rest.to_owned()
                }
            };
            if text.chars().any(char::is_alphanumeric) {
                script.pieces.push(Piece { speaker: current, text });
            }
        }
        script
    }

    /// What the user should know, each once a text: a speaker's number that is not spoken, what is read in words,
    /// what `voice` cannot read.
    pub fn messages(&self, profile: &TextProfile, voice: &str) -> Vec<String> {
        let readings: Vec<Reading> = self.pieces.iter().map(|piece| read_aloud(&piece.text, profile)).collect();
        let listed = |all: Vec<String>| {
            let more = all.len().saturating_sub(LISTED);
            let shown = all.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
            if more > 0 { format!("{shown}, and {more} more") } else { shown }
        };
        // A sign that is left out goes without saying.
        let changes = readings.iter().flat_map(|r| &r.changes).filter(|(_, read)| !read.is_empty());
        let changes = each_once(changes.map(|(written, read)| format!("{written:?} as {read:?}")));
        let unreadable = each_once(readings.iter().flat_map(|r| &r.unreadable).map(|word| format!("{word:?}")));
        let tag = self.tag.map(|n| format!("[{n}] at the start of a text is its speaker and not spoken"));
        let read = (!changes.is_empty()).then(|| format!("numbers and signs are read in words: {}", listed(changes)));
        let lost = (!unreadable.is_empty()).then(|| format!("{voice} cannot read {}", listed(unreadable)));
        [tag, read, lost].into_iter().flatten().collect()
    }
}

/// The texts without those that were there before.
fn each_once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.filter(|text| seen.insert(text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_keeps_its_speakers() {
        let text = "[0]Are you coming?\n[1]In a minute. I am late.\n[0] ...\nHurry up!";
        let script = Script::new(text, 3, false, &TextProfile::default());
        let spoken: Vec<(u32, &str)> = script.pieces.iter().map(|p| (p.speaker, p.text.as_str())).collect();
        let expected = [(0, "Are you coming?"), (1, "In a minute."), (1, "I am late."), (0, "Hurry up!")];
        assert_eq!(spoken[..3], expected[..3]);
        assert_eq!(spoken.last(), expected.last());
        assert_eq!(script.tag, Some(0));
        let fixed = Script::new("[1]Hello.", 2, true, &TextProfile::default());
        assert_eq!(fixed.pieces, [Piece { speaker: 2, text: "Hello.".into() }]);
        assert_eq!(
            fixed.messages(&TextProfile::default(), "x"),
            ["[1] at the start of a text is its speaker and not spoken"]
        );
    }
}
