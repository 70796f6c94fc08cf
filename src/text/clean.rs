use unicode_normalization::UnicodeNormalization;

/// `text` in Unicode's composed form (NFC), without byte order marks, zero-width spaces, soft hyphens and control characters; line
/// ends as `\n`. Ligatures, full-width and styled letters and digits, and units and numbers in one character are written out (NFKC).
/// Joiners (U+200C, U+200D) stay: some scripts and emoji are spelled with them.
pub fn clean(text: &str) -> String {
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{b}', '\u{c}'], "\n");
    let lines = lines.replace('\u{2029}', "\n\n");
    let mut plain = String::with_capacity(lines.len());
    for c in lines.chars().filter(|c| !is_invisible(*c)) {
        match c {
            c if is_space(c) => plain.push(' '),
            c if has_plain_form(c) => plain.extend(std::iter::once(c).nfkc()),
            c => plain.push(c),
        }
    }
    plain.nfc().collect()
}

/// Characters that are others in a different shape. The punctuation of Chinese and Japanese keeps its width: voices of these languages
/// know it.
fn has_plain_form(c: char) -> bool {
    let letters = matches!(
        c,
        '\u{fb00}'..='\u{fb06}' | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}'
    );
    let signs = matches!(c, '\u{ff03}'..='\u{ff05}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff0f}' | '\u{ff1d}' | '\u{ff20}' | '\u{ffe0}'..='\u{ffe6}');
    let numbers = matches!(c, '\u{2460}'..='\u{249b}' | '\u{2160}'..='\u{217f}' | '\u{24b6}'..='\u{24ea}' | '\u{1f100}'..='\u{1f10a}');
    let units = matches!(
        c,
        '\u{3371}'..='\u{33df}' | '\u{2103}' | '\u{2109}' | '\u{212a}' | '\u{212b}' | '\u{2113}' | '\u{210e}'
    );
    letters || signs || numbers || units
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
            ("oﬃce ｏｐｅｎ ５０％ 𝐛𝐨𝐥𝐝 ③ 20℃ 5㎏ Ⅳ", "office open 50% bold 3 20°C 5kg IV"),
            ("x² ½ ™ 你好，", "x² ½ ™ 你好，"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
