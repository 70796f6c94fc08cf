//! Text in pieces that a voice speaks one by one.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::Reading;
use super::reading::stands_before_numbers;

/// A shorter line may end a piece without a stop, as in a poem or list; longer ones are prose, broken to fit a page.
const SHORT_LINE: usize = 60;

/// Words after which a full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "rev", "gen", "col", "maj", "capt", "lt", "sgt", "vs", "cf", "e.g", "i.e",
    "fig", "vol",
];

/// Pieces of a cleaned text that a voice speaks one by one: sentences, and parts of sentences that are longer than `longest` characters when they
/// are `read` clauses, and where a clause is still too long, words.
pub(super) fn pieces(text: &str, longest: usize, read: &impl Fn(&str) -> Reading) -> Vec<String> {
    sentences(text).into_iter().flat_map(|sentence| shortened(sentence, longest, read)).collect()
}

/// Cuts `piece` in two near its middle: at the end of a clause, else between words. `None` for a single word.
pub fn halve(piece: &str) -> Option<(String, String)> {
    halve_between(piece, &[])
}

/// As [`halve`], outside these byte ranges.
fn halve_between(piece: &str, tokens: &[Range<usize>]) -> Option<(String, String)> {
    let middle = piece.chars().count() / 2;
    let mut best: Option<(bool, usize, usize)> = None; // whether no clause ends here, distance from the middle, place
    for (n, (at, c)) in piece.char_indices().enumerate() {
        if !c.is_whitespace() || at == 0 || tokens.iter().any(|token| token.start < at && at < token.end) {
            continue;
        }
        let clause = piece[..at].ends_with([',', ';', ':', '.', '!', '?', '—', '–', ')', '…', '，', '、', '；', '：']);
        // Far from the middle a clause is not better than a word.
        let candidate = (!clause || n.abs_diff(middle) * 5 > 4 * middle, n.abs_diff(middle), at);
        if best.is_none_or(|best| candidate < best) {
            best = Some(candidate);
        }
    }
    let at = best.map(|(.., at)| at).or_else(|| middle_of_word(piece, middle))?;
    let (first, second) = (piece[..at].trim().to_owned(), piece[at..].trim().to_owned());
    let speakable = |part: &str| part.chars().any(char::is_alphanumeric);
    (speakable(&first) && speakable(&second)).then_some((first, second))
}

/// The middle of a text without spaces, as some scripts are written: at a clause's end if there is one.
fn middle_of_word(piece: &str, middle: usize) -> Option<usize> {
    let places = piece.char_indices().enumerate().skip(1);
    let after_stop = |at: usize| piece[..at].ends_with(['，', '、', '；', '：', '。', '！', '？']);
    let wide = |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{e00}'..='\u{e7f}');
    let place = places.filter(|(_, (at, c))| after_stop(*at) || wide(*c));
    place.min_by_key(|(n, (at, _))| (!after_stop(*at), n.abs_diff(middle))).map(|(_, (at, _))| at)
}

fn shortened(piece: String, longest: usize, read: &impl Fn(&str) -> Reading) -> Vec<String> {
    let reading = read(&piece);
    if reading.text.chars().count() <= longest.max(1) {
        return vec![piece];
    }
    if let Some((first, second)) = halve_between(&piece, &reading.tokens) {
        return [shortened(first, longest, read), shortened(second, longest, read)].concat();
    }
    // A single number whose words are too long is cut between its words.
    match halve(&reading.text) {
        Some((first, second)) if reading.text != piece => {
            [shortened(first, longest, read), shortened(second, longest, read)].concat()
        }
        _ => vec![piece],
    }
}

/// Sentences of a longer text (Unicode's rules, UAX 29), white space evened out. A blank
/// line ends a sentence, as does the end of a short line before one that begins with a capital; a title, an initial or a
/// dotted abbreviation does not. Pieces with nothing to say are left out.
fn sentences(text: &str) -> Vec<String> {
    blocks(text).iter().flat_map(|block| sentences_of(block)).filter(|s| s.chars().any(char::is_alphanumeric)).collect()
}

/// Lines joined to blocks that no sentence crosses.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut before = "";
    for line in text.lines().map(str::trim) {
        let begins_anew =
            is_item(line) || line.chars().find(|c| c.is_alphanumeric()).is_some_and(|c| !c.is_lowercase());
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
            Some(last)
                if ends_in_abbreviation(last)
                    || is_number(last)
                    || quote_goes_on(last, sentence)
                    || number_follows(last, sentence) =>
            {
                last.push(' ');
                last.push_str(sentence);
            }
            _ => sentences.push(sentence.to_owned()),
        }
    }
    sentences
}

/// Whether a line is an item of a list.
fn is_item(line: &str) -> bool {
    let after = line.strip_prefix(['-', '*', '•', '–', '—', '·', '▪']);
    after.is_some_and(|rest| rest.starts_with(' '))
}

/// Whether an abbreviation ends `text` that a number follows: `No. 5`.
fn number_follows(text: &str, next: &str) -> bool {
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default().to_lowercase();
    let abbreviated = word.strip_suffix('.').is_some_and(stands_before_numbers);
    abbreviated && next.starts_with(|c: char| c.is_ascii_digit())
}

/// The number of a list's item.
fn is_number(text: &str) -> bool {
    text.strip_suffix(['.', ')']).is_some_and(|n| n.len() <= 3 && n.chars().all(|c| c.is_ascii_digit()))
}

/// Whether a sentence continues after a quotation in it: `"Where are you?" she asked.`
fn quote_goes_on(quote: &str, next: &str) -> bool {
    quote.ends_with(['"', '”', '\'', '’', '»', ')']) && next.chars().next().is_some_and(char::is_lowercase)
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
    use crate::text::{Language, TextProfile, read_aloud};

    fn pieces(text: &str, longest: usize) -> Vec<String> {
        super::pieces(text, longest, &|text| read_aloud(text, &TextProfile::default()))
    }

    #[test]
    fn pieces_are_as_long_as_they_are_spoken() {
        let english = TextProfile { spell_out: Some(Language::English), ..TextProfile::default() };
        let read = |text: &str| read_aloud(text, &english);
        let text = "Order 4,821,377 cost $1,234,567.89; call +44 20 7946 0958 by 12 May 2024 or write to anna@example.com today.";
        let pieces = super::pieces(text, 70, &read);
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| read(piece).text.chars().count() <= 70), "{pieces:?}");
        // Numbers stay whole unless they are too long themselves.
        let spoken = pieces.iter().map(|piece| read(piece).text).collect::<Vec<_>>().join(" ");
        assert_eq!(spoken, read(text).text);
        assert!(pieces.iter().any(|piece| piece.contains("+44 20 7946 0958")), "{pieces:?}");
    }

    #[test]
    fn text_is_cut_into_sentences() {
        let cases: &[(&str, &[&str])] = &[
            ("Hello there.  How are\nyou?\n\n… Fine!", &["Hello there.", "How are you?", "… Fine!"]),
            (" \n … ", &[]),
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
    fn long_sentences_are_cut_at_clauses_then_at_words() {
        let text =
            "When the rain had stopped, the children ran out into the garden, where the old dog was waiting for them.";
        assert_eq!(
            pieces(text, 70),
            [
                "When the rain had stopped, the children ran out into the garden,",
                "where the old dog was waiting for them."
            ]
        );
        let words = "one two three four five six seven eight nine ten";
        assert_eq!(pieces(words, 25), ["one two three four five", "six seven eight nine ten"]);
        assert_eq!(pieces("Donaudampfschifffahrtsgesellschaft", 10), ["Donaudampfschifffahrtsgesellschaft"]);
        assert_eq!(pieces("春眠不覚暁、処処聞啼鳥。", 8), ["春眠不覚暁、", "処処聞啼鳥。"]);
    }
}
