//! English words for numbers.

use num2words::Num2Words;

/// `n` in words: 1,234 is "one thousand two hundred thirty-four".
pub(super) fn cardinal(n: u64) -> String {
    Num2Words::new(n as f64).to_words().unwrap_or_else(|_| n.to_string()).replace(" and ", " ") // every u64 has words
}

/// `n` as an ordinal: 25 is "twenty-fifth".
pub(super) fn ordinal(n: u64) -> String {
    let words = cardinal(n);
    let (before, last) = match words.rfind([' ', '-']) {
        Some(at) => words.split_at(at + 1),
        None => ("", words.as_str()),
    };
    let irregular = [
        ("one", "first"),
        ("two", "second"),
        ("three", "third"),
        ("five", "fifth"),
        ("eight", "eighth"),
        ("nine", "ninth"),
        ("twelve", "twelfth"),
    ];
    let last = match irregular.iter().find(|(cardinal, _)| *cardinal == last) {
        Some((_, ordinal)) => (*ordinal).to_owned(),
        None => match last.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{last}th"),
        },
    };
    format!("{before}{last}")
}

/// A year: 1999 is "nineteen ninety-nine", 2005 "two thousand five", 1905 "nineteen oh five".
pub(super) fn year(n: u64) -> String {
    let (century, rest) = (n / 100, n % 100);
    match (century, rest) {
        _ if !(1_000..10_000).contains(&n) => cardinal(n),
        (20, 0..=9) => cardinal(n),
        (c, 0) if c % 10 == 0 => cardinal(n),
        (c, 0) => format!("{} hundred", cardinal(c)),
        (c, 1..=9) => format!("{} oh {}", cardinal(c), cardinal(rest)),
        (c, _) => format!("{} {}", cardinal(c), cardinal(rest)),
    }
}

/// Each digit separately: "007" is "zero zero seven".
pub(super) fn digits(text: &str) -> String {
    let words: Vec<String> = text.chars().filter_map(|c| c.to_digit(10)).map(|d| cardinal(d.into())).collect();
    words.join(" ")
}

/// A number as it is written, with thousands separated by commas and a decimal point: "3.05" is "three point zero five". Numbers that
/// are too long to be counted, or begin with a zero, are read digit by digit.
pub(super) fn decimal(text: &str) -> String {
    let text = text.replace(',', "");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let counted =
        whole.parse::<u64>().ok().filter(|_| whole.len() <= 15 && (whole.len() == 1 || !whole.starts_with('0')));
    let words = counted.map_or_else(|| digits(whole), cardinal);
    if fraction.is_empty() { words } else { format!("{words} point {}", digits(fraction)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_words() {
        for (n, expected) in [
            (0, "zero"),
            (13, "thirteen"),
            (42, "forty-two"),
            (100, "one hundred"),
            (1_234, "one thousand two hundred thirty-four"),
            (1_000_000, "one million"),
        ] {
            assert_eq!(cardinal(n), expected);
        }
        for (n, expected) in
            [(1, "first"), (12, "twelfth"), (20, "twentieth"), (25, "twenty-fifth"), (103, "one hundred third")]
        {
            assert_eq!(ordinal(n), expected);
        }
        let years = [
            (1999, "nineteen ninety-nine"),
            (1905, "nineteen oh five"),
            (1900, "nineteen hundred"),
            (2000, "two thousand"),
            (2005, "two thousand five"),
            (2024, "twenty twenty-four"),
        ];
        for (n, expected) in years {
            assert_eq!(year(n), expected);
        }
        for (text, expected) in
            [("3.05", "three point zero five"), ("1,250", "one thousand two hundred fifty"), ("007", "zero zero seven")]
        {
            assert_eq!(decimal(text), expected);
        }
    }
}
