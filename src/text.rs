//! Text before it is spoken: cleaned, and cut into pieces that a voice speaks one by one.

use unicode_segmentation::UnicodeSegmentation;

/// A shorter line may end a piece without a stop, as in a poem or list; longer ones are prose, broken to fit a page.
const SHORT_LINE: usize = 60;

/// Words after which a full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "rev", "gen", "col", "maj", "capt", "lt", "sgt", "vs", "cf", "e.g", "i.e",
    "fig", "vol",
];

/// Sentences of a longer text (Unicode's rules, UAX 29), white space evened out and invisible characters left out. A blank
/// line ends a sentence, as does the end of a short line before one that begins with a capital; a title, an initial or a
/// dotted abbreviation does not. Pieces with nothing to say are left out.
pub fn sentences(text: &str) -> Vec<String> {
    let text: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    blocks(&text)
        .iter()
        .flat_map(|block| sentences_of(block))
        .filter(|s| s.chars().any(char::is_alphanumeric))
        .collect()
}

/// The speaker's number that a text such as `[1]Hello.` begins with. The model's prompt has it in this form; in a text it
/// would be read as text.
pub fn speaker_tag(text: &str) -> Option<u32> {
    text.trim_start().strip_prefix('[')?.split_once(']')?.0.trim().parse().ok()
}

/// Byte order marks, zero-width spaces, soft hyphens and control characters. Joiners (U+200C, U+200D) stay: some scripts and
/// emoji are spelled with them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}' | '\u{ad}') || (c.is_control() && !c.is_whitespace())
}

/// Lines joined to blocks that no sentence crosses.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut before = "";
    for line in text.lines().map(str::trim) {
        let begins_anew = line.chars().find(|c| c.is_alphanumeric()).is_some_and(|c| !c.is_lowercase());
        let ends =
            line.is_empty() || (before.chars().count() < SHORT_LINE && begins_anew && !ends_in_abbreviation(before));
        match blocks.last_mut() {
            Some(block) if !ends => {
                block.push(' ');
                block.push_str(line);
            }
            _ => blocks.push(line.to_owned()),
        }
        before = line;
    }
    blocks
}

fn sentences_of(block: &str) -> Vec<String> {
    let even = block.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut sentences: Vec<String> = Vec::new();
    for sentence in even.unicode_sentences().map(str::trim) {
        match sentences.last_mut() {
            Some(last) if ends_in_abbreviation(last) => {
                last.push(' ');
                last.push_str(sentence);
            }
            _ => sentences.push(sentence.to_owned()),
        }
    }
    sentences
}

/// Whether the last word is one of [`ABBREVIATIONS`], an initial (`J.`) or dotted capitals (`U.S.`).
fn ends_in_abbreviation(text: &str) -> bool {
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    let Some(word) = word.trim_start_matches(|c: char| !c.is_alphanumeric()).strip_suffix('.') else { return false };
    let is_initial = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_uppercase);
    word.split('.').all(is_initial) || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_into_sentences() {
        let cases: &[(&str, &[&str])] = &[
            ("Hello there.  How are\nyou?\n\n… Fine!", &["Hello there.", "How are you?", "… Fine!"]),
            (" \n … ", &[]),
            (
                "\u{feff}The bakery\u{200b} opens\u{0} at six. Bring a bag.",
                &["The bakery opens at six.", "Bring a bag."],
            ),
            (
                "The boat leaves at nine\nThe bus leaves at noon\n",
                &["The boat leaves at nine", "The bus leaves at noon"],
            ),
            ("Chapter one\n\nit rained.", &["Chapter one", "it rained."]),
            (
                "This is a line of prose that was broken to fit on a page, for\nAnna and all who read it.",
                &["This is a line of prose that was broken to fit on a page, for Anna and all who read it."],
            ),
            (
                "Dr. Alvarez met Mrs. Okafor at 9 a.m. on Monday. J. R. Finch wrote it down, e.g. the date. The U.S. Army left.",
                &[
                    "Dr. Alvarez met Mrs. Okafor at 9 a.m. on Monday.",
                    "J. R. Finch wrote it down, e.g. the date.",
                    "The U.S. Army left.",
                ],
            ),
            ("He came at 9 a.m. She left.", &["He came at 9 a.m.", "She left."]),
        ];
        for (text, expected) in cases {
            assert_eq!(sentences(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_speaker_tag_is_found() {
        let cases = [("[1]Good morning.", Some(1)), (" [ 0 ] Hello.", Some(0)), ("[sic] 1", None), ("Take [1].", None)];
        for (text, expected) in cases {
            assert_eq!(speaker_tag(text), expected, "{text:?}");
        }
    }
}
