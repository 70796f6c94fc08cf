//! Words as the user wrote them, found again in the text that is read.

use std::ops::Range;

/// A word, or several that are read as one: "May 25" may be read "May twenty-fifth".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenWord {
    /// Its bytes in the written text.
    pub written: Range<usize>,
    /// Its bytes in the text that is read.
    pub read: Range<usize>,
}

/// The words of `written` and where each is in `read`, the same text as a voice reads it. Words are parts between spaces. Those that are equal
/// in both but for case and marks belong together, by the longest common subsequence; what lies between two such pairs belongs
/// together, word by word if both sides have equally many. Words that are not read are left out.
pub fn spoken_words(written: &str, read: &str) -> Vec<SpokenWord> {
    let (ours, theirs) = (spans(written), spans(read));
    let letters = |text: &str, spans: &[Range<usize>]| -> Vec<String> {
        let plain =
            |span: &Range<usize>| text[span.clone()].chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        spans.iter().map(|span| plain(span).to_lowercase()).collect()
    };
    let (a, b) = (letters(written, &ours), letters(read, &theirs));
    let mut words = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (next_i, next_j) in common(&a, &b).into_iter().chain([(ours.len(), theirs.len())]) {
        let (between, of_read) = (&ours[i..next_i], &theirs[j..next_j]);
        if between.len() == of_read.len() {
            words.extend(between.iter().zip(of_read).map(|(w, r)| SpokenWord { written: w.clone(), read: r.clone() }));
        } else if let (Some(w), Some(r)) = (whole(between), whole(of_read)) {
            words.push(SpokenWord { written: w, read: r });
        }
        if let (Some(w), Some(r)) = (ours.get(next_i), theirs.get(next_j)) {
            words.push(SpokenWord { written: w.clone(), read: r.clone() });
        }
        (i, j) = (next_i + 1, next_j + 1);
    }
    words
}

/// From the first byte of the first to the last byte of the last.
fn whole(spans: &[Range<usize>]) -> Option<Range<usize>> {
    Some(spans.first()?.start..spans.last()?.end)
}

/// The parts of `text` between spaces that have a letter or digit.
fn spans(text: &str) -> Vec<Range<usize>> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric));
    words.map(|word| start(word)..start(word) + word.len()).collect()
}

/// The longest common subsequence, as pairs of places.
fn common(a: &[String], b: &[String]) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    let mut lengths = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i * width + j] = match a[i] == b[j] {
                true => lengths[(i + 1) * width + j + 1] + 1,
                false => lengths[(i + 1) * width + j].max(lengths[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_the_user_wrote() {
        let pairs = |written: &str, read: &str| -> Vec<(String, String)> {
            let words = spoken_words(written, read);
            words.iter().map(|w| (written[w.written.clone()].into(), read[w.read.clone()].into())).collect()
        };
        let expect = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
        };
        assert_eq!(
            pairs("Room 10 is – closed.", "Room ten is, closed."),
            expect(&[("Room", "Room"), ("10", "ten"), ("is", "is,"), ("closed.", "closed.")])
        );
        assert_eq!(
            pairs("At 10:45 on May 25, we met", "At ten forty-five on May twenty-fifth, we met."),
            expect(&[
                ("At", "At"),
                ("10:45", "ten forty-five"),
                ("on", "on"),
                ("May", "May"),
                ("25,", "twenty-fifth,"),
                ("we", "we"),
                ("met", "met.")
            ])
        );
        assert_eq!(
            pairs("She said 你好 then left", "She said then left."),
            pairs("She said then left", "She said then left.")
        );
        assert!(pairs("", "").is_empty() && pairs("— 你好", "").is_empty());
    }
}
