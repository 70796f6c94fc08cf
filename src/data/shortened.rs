//! Names that fit.

/// A text of at most `characters` characters; one that is cut ends with `…`.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_cut_ends_with_an_ellipsis() {
        assert_eq!(shortened("Hello.", 6), "Hello.");
        assert_eq!(shortened("Hello there.", 7), "Hello…");
        assert_eq!(shortened("Größe und Maß", 6), "Größe…");
        assert_eq!(shortened("abc", 0), "…");
    }
}
