//! Text before it is spoken: cleaned, cut into pieces that a voice speaks one by one, and put into words that it can read. Pure
//! functions.

mod clean;
mod cut;
mod format;
mod profile;
mod pronunciations;
mod reading;
mod script;

use clean::clean;
pub use cut::halve;
#[cfg(test)]
use profile::Language;
pub use profile::TextProfile;
pub use pronunciations::Pronunciations;
pub use reading::{Reading, read_aloud};
pub use script::{Piece, Script, ScriptRules};

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

#[cfg(test)]
mod tests {
    use super::*;

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
