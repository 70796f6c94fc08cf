//! Word and character error rates with their alignment (Levenshtein 1966; the rates as the NIST scoring tools define them).

use serde::Serialize;

/// One step of the alignment of a text with its transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum AlignedWord {
    /// The transcript has the word.
    Correct {
        /// The word in lower case.
        word: String,
    },
    /// The transcript has another word.
    Substituted {
        /// The word of the text.
        said: String,
        /// The word of the transcript.
        heard: String,
    },
    /// The transcript lacks a word of the text.
    Deleted {
        /// The word of the text.
        said: String,
    },
    /// Heard and not said.
    Inserted {
        /// The word of the transcript.
        heard: String,
    },
}

impl std::fmt::Display for AlignedWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Correct { word } => write!(f, "{word}"),
            Self::Substituted { said, heard } => write!(f, "[{said} → {heard}]"),
            Self::Deleted { said } => write!(f, "[{said} →]"),
            Self::Inserted { heard } => write!(f, "[→ {heard}]"),
        }
    }
}

/// A transcript compared with the spoken text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordErrors {
    /// The recogniser's transcript.
    pub transcript: String,
    /// Word error rate: substitutions, deletions and insertions over the words that were said; 0 and up, above 1 with many insertions.
    pub word_error_rate: f64,
    /// Character errors, counted like words, with the spaces between words.
    pub character_error_rate: f64,
    /// The alignment with the least possible number of errors.
    pub alignment: Vec<AlignedWord>,
}

impl WordErrors {
    /// Compares `transcript` with `text`. Both are lower-cased and lose all but letters, digits and apostrophes within words first;
    /// numbers are not spelled out. `None` if the text has no words.
    pub fn measure(text: &str, transcript: &str) -> Option<Self> {
        let (said, heard) = (words(text), words(transcript));
        let characters = |words: &[String]| words.join(" ").chars().collect::<Vec<char>>();
        let (said_characters, heard_characters) = (characters(&said), characters(&heard));
        if said.is_empty() {
            return None;
        }
        let steps = align(&said, &heard);
        let errors = steps.iter().filter(|(a, b)| a.map(|a| &said[a]) != b.map(|b| &heard[b])).count();
        let in_characters = distance(&said_characters, &heard_characters);
        let aligned = |(a, b): (Option<usize>, Option<usize>)| match (a.map(|a| &said[a]), b.map(|b| &heard[b])) {
            (Some(a), Some(b)) if a == b => Some(AlignedWord::Correct { word: a.clone() }),
            (Some(a), Some(b)) => Some(AlignedWord::Substituted { said: a.clone(), heard: b.clone() }),
            (Some(a), None) => Some(AlignedWord::Deleted { said: a.clone() }),
            (None, b) => b.map(|b| AlignedWord::Inserted { heard: b.clone() }),
        };
        Some(Self {
            transcript: transcript.trim().to_owned(),
            word_error_rate: errors as f64 / said.len() as f64,
            character_error_rate: in_characters as f64 / said_characters.len() as f64,
            alignment: steps.into_iter().filter_map(aligned).collect(),
        })
    }

    /// The alignment on one line: `the [quick → brick] [brown →] fox`.
    pub fn aligned(&self) -> String {
        self.alignment.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}

/// The words of a text as they are compared.
pub fn words(text: &str) -> Vec<String> {
    let letters = |c: char| if c == '’' { '\'' } else { c };
    let plain: String = text.chars().map(letters).flat_map(char::to_lowercase).collect();
    let parts = plain.split(|c: char| !c.is_alphanumeric() && c != '\'').map(|word| word.trim_matches('\''));
    parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Least number of edits.
fn distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

/// Aligned indices of `a` and `b`, with the least number of edits.
fn align<T: PartialEq>(a: &[T], b: &[T]) -> Vec<(Option<usize>, Option<usize>)> {
    let width = b.len() + 1;
    let mut cost = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cost[i * width + j] = match (i.checked_sub(1), j.checked_sub(1)) {
                (None, _) => j,
                (_, None) => i,
                (Some(x), Some(y)) => (cost[x * width + y] + usize::from(a[x] != b[y]))
                    .min(cost[x * width + j] + 1)
                    .min(cost[i * width + y] + 1),
            };
        }
    }
    let (mut i, mut j, mut steps) = (a.len(), b.len(), Vec::new());
    while i > 0 || j > 0 {
        let here = cost[i * width + j];
        if i > 0 && j > 0 && here == cost[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]) {
            (i, j) = (i - 1, j - 1);
            steps.push((Some(i), Some(j)));
        } else if i > 0 && here == cost[(i - 1) * width + j] + 1 {
            i -= 1;
            steps.push((Some(i), None));
        } else {
            j -= 1;
            steps.push((None, Some(j)));
        }
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_and_signs() {
        let errors = WordErrors::measure("Don’t panic, it's 'fine'!", "don't PANIC its fine").unwrap();
        assert_eq!(errors.word_error_rate, 0.25);
        assert_eq!(errors.aligned(), "don't panic [it's → its] fine");
        assert_eq!(WordErrors::measure("…", "something"), None);
    }

    #[test]
    fn an_alignment_has_the_least_number_of_errors() {
        let errors = WordErrors::measure("a b c d", "b c x d e").unwrap();
        assert_eq!(errors.aligned(), "[a →] b c [→ x] d [→ e]");
        assert_eq!(errors.word_error_rate, 0.75);
    }
}
