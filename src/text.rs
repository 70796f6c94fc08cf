//! Text before it is spoken.

use unicode_segmentation::UnicodeSegmentation;

/// Sentences of a longer text (Unicode's rules, UAX 29), white space evened out. Pieces with nothing to say are left out.
pub fn sentences(text: &str) -> Vec<String> {
    let even = text.split_whitespace().collect::<Vec<_>>().join(" ");
    even.unicode_sentences().map(|s| s.trim().to_owned()).filter(|s| s.chars().any(char::is_alphanumeric)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_at_sentences() {
        let text = "Hello there.  How are\nyou?\n\n… Fine!";
        assert_eq!(sentences(text), ["Hello there.", "How are you?", "… Fine!"]);
        assert!(sentences(" \n … ").is_empty());
    }
}
