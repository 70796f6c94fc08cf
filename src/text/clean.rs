use unicode_normalization::UnicodeNormalization;

/// `text` in Unicode's composed form (NFC), without byte order marks, zero-width spaces, soft hyphens and control characters; line
/// ends as `\n`. Joiners (U+200C, U+200D) stay: some scripts and emoji are spelled with them.
pub fn clean(text: &str) -> String {
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{b}', '\u{c}'], "\n");
    let lines = lines.replace('\u{2029}', "\n\n");
    lines.chars().filter(|c| !is_invisible(*c)).map(|c| if is_space(c) { ' ' } else { c }).nfc().collect()
}

fn is_invisible(c: char) -> bool {
    let marks = matches!(
        c,
        '\u{feff}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}' | '\u{ad}' | '\u{202a}'..='\u{202e}'
    );
    let isolates =
        matches!(c, '\u{2066}'..='\u{2069}' | '\u{fffc}' | '\u{fff9}'..='\u{fffb}' | '\u{fe00}'..='\u{fe0f}');
    marks || isolates || (c.is_control() && !c.is_whitespace())
}

/// White space other than the line end.
fn is_space(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        let cases = [
            ("\u{feff}The bakery\u{200b} opens\u{0} at six.", "The bakery opens at six."),
            ("cafe\u{301}\u{a0}au lait", "café au lait"),
            ("a\r\nb\rc\u{2028}d\u{2029}e", "a\nb\nc\nd\n\ne"),
            ("re\u{ad}mem\u{ad}ber\tthis", "remember this"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
