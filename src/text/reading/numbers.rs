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

/// A number as it is written, with thousands separated by commas, spaces or apostrophes and a decimal point: "3.05" is "three point
/// zero five". Numbers that are too long to be counted, or begin with a zero, are read digit by digit.
pub(super) fn decimal(text: &str) -> String {
    let text = text.replace([',', ' ', '\'', '’'], "");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let counted =
        whole.parse::<u64>().ok().filter(|_| whole.len() <= 15 && (whole.len() == 1 || !whole.starts_with('0')));
    let words = counted.map_or_else(|| digits(whole), cardinal);
    if fraction.is_empty() { words } else { format!("{words} point {}", digits(fraction)).trim_start().to_owned() }
}

/// A fraction: 2/3 is "two thirds". `None` if it has no name.
pub(super) fn fraction(above: u64, below: u64) -> Option<String> {
    let name = match below {
        0 | 1 => return None,
        2 => "half".to_owned(),
        4 => "quarter".to_owned(),
        n => ordinal(n),
    };
    let many = if below == 2 { "halves".to_owned() } else { format!("{name}s") };
    Some(format!("{} {}", cardinal(above), if above == 1 { name } else { many }))
}

/// The value of Roman numerals as they are properly written; `None` for other letters, or `IIII`.
pub(super) fn roman(text: &str) -> Option<u64> {
    const NUMERALS: [(&str, u64); 9] =
        [("C", 100), ("XC", 90), ("L", 50), ("XL", 40), ("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1)];
    let (mut rest, mut value) = (text, 0);
    for (numeral, n) in NUMERALS {
        let most = if matches!(numeral, "C" | "X" | "I") { 3 } else { 1 };
        for _ in 0..most {
            let Some(after) = rest.strip_prefix(numeral) else { break };
            (rest, value) = (after, value + n);
        }
    }
    (rest.is_empty() && value > 0).then_some(value)
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
        for (text, expected) in [("XIV", Some(14)), ("II", Some(2)), ("XL", Some(40)), ("IIII", None), ("VX", None)] {
            assert_eq!(roman(text), expected, "{text}");
        }
        for (text, expected) in
            [("3.05", "three point zero five"), ("1,250", "one thousand two hundred fifty"), ("007", "zero zero seven")]
        {
            assert_eq!(decimal(text), expected);
        }
    }
}
