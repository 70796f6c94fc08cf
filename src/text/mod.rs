//! Text before it is spoken: cleaned, cut into pieces that a voice speaks one by one, and put into words that it can read. Pure
//! functions.

mod clean;
mod cut;
mod format;
mod profile;
mod pronunciations;
mod reading;
mod script;
mod words;

use clean::clean;
pub use cut::halve;
#[cfg(test)]
use profile::Language;
pub use profile::TextProfile;
pub use pronunciations::Pronunciations;
pub use reading::{Reading, read_aloud};
pub use script::{Piece, Script, ScriptRules};
pub use words::{SpokenWord, spoken_words};

/// The regular expression of a constant.
#[expect(clippy::unwrap_used, reason = "the patterns are constants, and tests use each")]
fn pattern(text: &str) -> regex::Regex {
    regex::Regex::new(text).unwrap()
}

/// The speaker's number that a text such as `[1]Hello.` begins with, and the text after it. The model's prompt has it in this form;
/// in a text it would be read as text.
pub fn speaker_tag(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.trim_start().strip_prefix('[')?.split_once(']')?;
    Some((number.trim().parse().ok()?, rest.trim_start()))
}

/// Seconds that a text of English probably takes to speak: 15 characters per second, and a little before and after.
pub fn expected_seconds(text: &str) -> f64 {
    const CHARACTERS_A_SECOND: f64 = 15.0;
    const BEFORE_AND_AFTER: f64 = 0.5;
    text.chars().count() as f64 / CHARACTERS_A_SECOND + BEFORE_AND_AFTER
}

/// The problem of a recording of `seconds` that should say `text`; `None` if the two can belong together. A prompt whose words are not all
/// in its text is the commonest reason for speech that goes wrong.
pub fn length_mismatch(text: &str, seconds: f64) -> Option<String> {
    let expected = expected_seconds(text);
    let incomplete = match () {
        () if seconds > 3.0 * expected + 1.0 => "text",
        () if expected > 3.0 * seconds + 1.0 => "recording",
        () => return None,
    };
    Some(format!(
        "is {seconds:.1} s long, but its text takes about {expected:.1} s to speak; does the {incomplete} have all the words?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_does_not_fit_its_recording_is_noticed() {
        let text = "The ferry leaves at noon every day in summer.";
        assert_eq!([1.5, 3.0, 8.0].map(|seconds| length_mismatch(text, seconds)), [None, None, None]);
        assert!(length_mismatch("Hi.", 10.0).unwrap().contains("does the text have"));
        assert!(length_mismatch(&text.repeat(4), 1.0).unwrap().contains("does the recording have"));
    }

    #[test]
    fn a_speaker_tag_is_found() {
        let cases = [
            ("[1]Good morning.", Some((1, "Good morning."))),
            (" [ 0 ] Hello.", Some((0, "Hello."))),
            ("[sic] 1", None),
            ("Take [1].", None),
        ];
        for (text, expected) in cases {
            assert_eq!(speaker_tag(text), expected, "{text:?}");
        }
    }
}
