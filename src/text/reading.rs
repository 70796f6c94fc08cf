//! How a text is read aloud: what a voice cannot read as it is written, in words.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numbers::{cardinal, decimal, digits, ordinal, year};
use super::profile::{Language, TextProfile};

/// A text as it is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The text in words.
    pub text: String,
    /// What was spelled out: as written, as read.
    pub changes: Vec<(String, String)>,
    /// What the voice cannot read.
    pub unreadable: Vec<String>,
}

/// `text` as a voice with this profile reads it.
pub fn read_aloud(text: &str, profile: &TextProfile) -> Reading {
    let mut reading = Reading { text: text.to_owned(), ..Reading::default() };
    if profile.spell_out == Some(Language::English) {
        for rule in RULES.iter() {
            reading.apply(rule);
        }
        let words: Vec<&str> = reading.text.split_whitespace().collect();
        reading.text = words.join(" ");
    }
    if profile.latin_only {
        reading.find_unreadable();
    }
    if profile.final_stop {
        reading.add_stop();
    }
    reading
}

impl Reading {
    fn apply(&mut self, rule: &Rule) {
        let mut changes = Vec::new();
        let replaced = rule.pattern.replace_all(&self.text, |found: &Captures<'_>| {
            let written = found[0].to_owned();
            let read = (rule.read)(found).unwrap_or_else(|| written.clone());
            if rule.reported && written.trim() != read.trim() {
                changes.push((written.trim().to_owned(), read.trim().to_owned()));
            }
            read
        });
        self.text = replaced.into_owned();
        self.changes.extend(changes);
    }

    /// Words with letters of other scripts, and signs that are still there.
    fn find_unreadable(&mut self) {
        let readable = |c: char| {
            c.is_ascii()
                || matches!(c, '\u{c0}'..='\u{24f}' | '‘'..='‟' | '–' | '—' | '…' | '´' | '¡' | '¿' | '«' | '»')
        };
        for word in self.text.split_whitespace().filter(|w| w.chars().any(|c| !readable(c))) {
            if !self.unreadable.iter().any(|known| known == word) {
                self.unreadable.push(word.to_owned());
            }
        }
    }

    fn add_stop(&mut self) {
        let trimmed = self.text.trim_end();
        let closing = |c: char| matches!(c, '"' | '\'' | '”' | '’' | ')' | ']' | '»');
        let last = trimmed.trim_end_matches(closing).chars().last();
        if last.is_some_and(|c| c.is_alphanumeric()) {
            let inside = trimmed.trim_end_matches(closing).len();
            self.text = format!("{}.{}", &trimmed[..inside], &trimmed[inside..]);
        } else if last.is_some_and(|c| matches!(c, ',' | ':' | ';' | '-' | '–' | '—')) {
            let kept = trimmed.trim_end_matches([',', ':', ';', '-', '–', '—', ' ']);
            self.text = format!("{kept}.");
        }
    }
}

/// A pattern and how what it finds is read; `None` leaves it as it is.
struct Rule {
    pattern: Regex,
    read: fn(&Captures<'_>) -> Option<String>,
    /// Whether the user is notified.
    reported: bool,
}

const MONTHS: &str = "January|February|March|April|May|June|July|August|September|October|November|December|\
                      Jan\\.?|Feb\\.?|Mar\\.?|Apr\\.?|Jun\\.?|Jul\\.?|Aug\\.?|Sept?\\.?|Oct\\.?|Nov\\.?|Dec\\.?";
const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// A number with thousands separators and decimals.
const NUMBER: &str = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?";

/// Currency signs with their units, one and many, and a hundredth of it.
const CURRENCIES: &[(&str, &str, &str, &str, &str)] = &[
    ("$", "dollar", "dollars", "cent", "cents"),
    ("€", "euro", "euros", "cent", "cents"),
    ("£", "pound", "pounds", "penny", "pence"),
    ("¥", "yen", "yen", "", ""),
    ("₹", "rupee", "rupees", "paisa", "paise"),
];

/// Units after a number: as written, one, many.
const UNITS: &[(&str, &str, &str)] = &[
    ("km/h", "kilometre an hour", "kilometres an hour"),
    ("mph", "mile an hour", "miles an hour"),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("°", "degree", "degrees"),
    ("%", "percent", "percent"),
    ("km", "kilometre", "kilometres"),
    ("cm", "centimetre", "centimetres"),
    ("mm", "millimetre", "millimetres"),
    ("kg", "kilogram", "kilograms"),
    ("mg", "milligram", "milligrams"),
    ("ml", "millilitre", "millilitres"),
    ("kHz", "kilohertz", "kilohertz"),
    ("MHz", "megahertz", "megahertz"),
    ("GHz", "gigahertz", "gigahertz"),
    ("Hz", "hertz", "hertz"),
    ("kB", "kilobyte", "kilobytes"),
    ("MB", "megabyte", "megabytes"),
    ("GB", "gigabyte", "gigabytes"),
    ("TB", "terabyte", "terabytes"),
    ("kW", "kilowatt", "kilowatts"),
    ("ms", "millisecond", "milliseconds"),
    ("lbs", "pound", "pounds"),
    ("lb", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("ft", "foot", "feet"),
    ("mi", "mile", "miles"),
    ("min", "minute", "minutes"),
    ("h", "hour", "hours"),
    ("s", "second", "seconds"),
    ("g", "gram", "grams"),
    ("m", "metre", "metres"),
    ("l", "litre", "litres"),
    ("L", "litre", "litres"),
    ("W", "watt", "watts"),
    ("V", "volt", "volts"),
];

/// Signs, as written and as read.
const SIGNS: &[(&str, &str)] = &[
    ("&", " and "),
    ("+", " plus "),
    ("=", " equals "),
    ("×", " times "),
    ("÷", " divided by "),
    ("±", " plus or minus "),
    ("≈", " about "),
    ("~", " about "),
    ("<", " less than "),
    (">", " more than "),
    ("≤", " at most "),
    ("≥", " at least "),
    ("§", " section "),
    ("@", " at "),
    ("#", " number "),
    ("%", " percent "),
    ("½", " one half "),
    ("¼", " one quarter "),
    ("¾", " three quarters "),
    ("→", ", "),
    ("•", ", "),
    ("*", ""),
    ("_", " "),
    ("©", ""),
    ("®", ""),
    ("™", ""),
    ("|", ", "),
    ("\\", " "),
    ("^", " "),
    ("`", ""),
];

/// Marks of typography and their replacements on a keyboard. (The tokenizer of a voice may do the same.)
const TYPOGRAPHY: &[(&str, &str)] = &[
    ("‘", "'"),
    ("’", "'"),
    ("‚", ","),
    ("“", "\""),
    ("”", "\""),
    ("„", "\""),
    ("«", "\""),
    ("»", "\""),
    ("‐", "-"),
    ("‑", "-"),
    ("−", "-"),
    ("′", "'"),
    ("…", "..."),
];

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(rules);

/// The rules in order: what is longer and more special comes first.
fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut add = |pattern: &str, reported: bool, read: fn(&Captures<'_>) -> Option<String>| {
        if let Ok(pattern) = Regex::new(pattern) {
            rules.push(Rule { pattern, read, reported });
        }
    };
    add(&alternatives(TYPOGRAPHY.iter().map(|(mark, _)| *mark)), false, |c| lookup(TYPOGRAPHY, &c[0]));
    add(r"https?://\S+|www\.\S+", true, |c| Some(address(&c[0])));
    add(r"\b[\w.+-]+@[\w-]+\.[\w.-]*\w", true, |c| Some(address(&c[0])));
    add(r"\b(\d{4})-(\d{2})-(\d{2})\b", true, |c| date(number(&c[2])?, number(&c[3])?, number(&c[1])));
    add(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b", true, |c| date(number(&c[1])?, number(&c[2])?, number(&c[3])));
    add(&format!(r"\b({MONTHS})\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b"), true, |c| {
        date_by_name(&c[1], number(&c[2])?, c.get(3).and_then(|y| number(y.as_str())))
    });
    add(&format!(r"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+({MONTHS})\b(?:,?\s+(\d{{4}})\b)?"), true, |c| {
        let (day, year_number) =
            (number(&c[1]).filter(|d| (1..=31).contains(d))?, c.get(3).and_then(|y| number(y.as_str())));
        let of_year = year_number.map_or_else(String::new, |y| format!(", {}", year(y)));
        Some(format!("the {} of {}{of_year}", ordinal(day), month_name(&c[2])))
    });
    add(r"\b([01]?\d|2[0-4]):([0-5]\d)(?::[0-5]\d)?(?:\s*([ap])\.?m\b\.?)?", true, |c| {
        time(&c[1], &c[2], c.get(3).map(|m| m.as_str()))
    });
    add(r"(?i)\b(\d{1,2})\s*([ap])\.?m\b\.?", true, |c| {
        Some(format!("{} {} m", cardinal(number(&c[1])?), c[2].to_lowercase()))
    });
    add(&format!(r"([$€£¥₹])\s?({NUMBER})(?:\s?(thousand|million|billion|trillion|[kKmMbB]n?)\b)?"), true, |c| {
        money(&c[1], &c[2], c.get(3).map(|m| m.as_str()))
    });
    add(&format!(r"({NUMBER})\s?([€£¥₹])"), true, |c| money(&c[2], &c[1], None));
    add(r"\b(\d+)(?:st|nd|rd|th)\b", true, |c| Some(ordinal(number(&c[1])?)));
    add(r"\b(\d{3}0)s\b", true, |c| Some(plural(&year(number(&c[1])?))));
    add(r"\b([Tt]he) ([2-9]0)s\b", true, |c| Some(format!("{} {}", &c[1], plural(&cardinal(number(&c[2])?)))));
    add(r"(?:\+\d{1,3}[ -]?)?\(?\d{3,5}\)?[ -]\d{3,4}[ -]\d{3,4}\b|\+\d{8,15}\b", true, |c| {
        let plus = if c[0].starts_with('+') { "plus " } else { "" };
        let groups: Vec<String> =
            c[0].split(|x: char| !x.is_ascii_digit()).filter(|g| !g.is_empty()).map(digits).collect();
        Some(format!("{plus}{}", groups.join(", ")))
    });
    add(r"\b\d+(?:\.\d+){2,}\b", true, |c| Some(c[0].split('.').map(decimal).collect::<Vec<_>>().join(" point ")));
    add(&format!(r"(\d)\s?[-–]\s?({NUMBER})"), true, |c| Some(format!("{} to {}", &c[1], &c[2])));
    add(r"\b(\d)/(\d{1,2})\b", true, |c| fraction(number(&c[1])?, number(&c[2])?));
    let units = UNITS.iter().map(|(unit, ..)| *unit);
    add(&format!(r"(-?)({NUMBER})\s?({})(\W|$)", alternatives(units)), true, |c| {
        let (_, one, many) = UNITS.iter().find(|(unit, ..)| *unit == &c[3])?;
        let unit = if &c[2] == "1" { one } else { many };
        Some(format!("{}{} {unit}{}", minus(&c[1]), decimal(&c[2]), &c[4]))
    });
    add(r"(^|[\s(])(1[1-9]\d{2}|20\d{2})\b", true, |c| Some(format!("{}{}", &c[1], year(number(&c[2])?))));
    add(&format!(r"(^|[\s(])-({NUMBER})"), true, |c| Some(format!("{}minus {}", &c[1], decimal(&c[2]))));
    add(&format!(r"([A-Za-z]?)({NUMBER})([A-Za-z]?)"), true, |c| {
        let apart = |side: &str, before: bool| match (side.is_empty(), before) {
            (true, _) => String::new(),
            (false, true) => format!("{side} "),
            (false, false) => format!(" {side}"),
        };
        Some(format!("{}{}{}", apart(&c[1], true), decimal(&c[2]), apart(&c[3], false)))
    });
    add(r"\b(\w+)/(\w+)\b", true, |c| Some(format!("{} {} {}", &c[1], if &c[2] == "or" { "" } else { "or" }, &c[2])));
    add(r"\s[-–—]+\s|[–—]", false, |_| Some(", ".into()));
    add(&alternatives(SIGNS.iter().map(|(sign, _)| *sign)), true, |c| lookup(SIGNS, &c[0]));
    add(r"\s+([,.;:!?])", false, |c| Some(c[1].to_owned()));
    rules
}

fn alternatives<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(regex::escape).collect::<Vec<_>>().join("|")
}

fn lookup(table: &[(&str, &str)], written: &str) -> Option<String> {
    table.iter().find(|(mark, _)| *mark == written).map(|(_, read)| (*read).to_owned())
}

fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

fn minus(sign: &str) -> &'static str {
    if sign.is_empty() { "" } else { "minus " }
}

fn plural(words: &str) -> String {
    words.strip_suffix('y').map_or_else(|| format!("{words}s"), |stem| format!("{stem}ies"))
}

fn month_name(written: &str) -> String {
    let short = written.trim_end_matches('.');
    let name = MONTH_NAMES.iter().find(|name| name.starts_with(&short[..short.len().min(3)]));
    name.map_or_else(|| written.to_owned(), |name| (*name).to_owned())
}

fn date(month: u64, day: u64, year_number: Option<u64>) -> Option<String> {
    // Where it cannot be the month, it is the day, as most of the world writes it.
    let (month, day) = if month > 12 { (day, month) } else { (month, day) };
    let name = MONTH_NAMES.get((month as usize).checked_sub(1)?)?;
    date_by_name(name, day, year_number)
}

fn date_by_name(month: &str, day: u64, year_number: Option<u64>) -> Option<String> {
    if !(1..=31).contains(&day) {
        return None;
    }
    let of_year = year_number.map_or_else(String::new, |y| format!(", {}", year(y)));
    Some(format!("{} {}{of_year}", month_name(month), ordinal(day)))
}

fn time(hour: &str, minute: &str, half: Option<&str>) -> Option<String> {
    let (hour, minute) = (number(hour)?, number(minute)?);
    let half = half.map_or_else(String::new, |h| format!(" {} m", h.to_lowercase()));
    Some(match (minute, half.is_empty()) {
        (0, true) if (1..=12).contains(&hour) => format!("{} o'clock", cardinal(hour)),
        (0, true) => format!("{} hundred", cardinal(hour)),
        (0, false) => format!("{}{half}", cardinal(hour)),
        (1..=9, _) => format!("{} oh {}{half}", cardinal(hour), cardinal(minute)),
        _ => format!("{} {}{half}", cardinal(hour), cardinal(minute)),
    })
}

fn money(sign: &str, amount: &str, scale: Option<&str>) -> Option<String> {
    let (_, one, many, cent, cents) = CURRENCIES.iter().find(|(s, ..)| *s == sign)?;
    if let Some(scale) = scale {
        let scale = match scale.to_lowercase().as_str() {
            "k" => "thousand",
            "m" | "mn" => "million",
            "b" | "bn" => "billion",
            other => return Some(format!("{} {other} {many}", decimal(amount))),
        };
        return Some(format!("{} {scale} {many}", decimal(amount)));
    }
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let unit = |n: u64| if n == 1 { *one } else { *many };
    let whole_number = number(whole)?;
    match (part.len(), number(part)) {
        (2, Some(0)) | (0, _) => Some(format!("{} {}", decimal(whole), unit(whole_number))),
        (2, Some(part)) if !cent.is_empty() => {
            let small = format!("{} {}", cardinal(part), if part == 1 { cent } else { cents });
            match whole_number {
                0 => Some(small),
                n => Some(format!("{} {} and {small}", decimal(whole), unit(n))),
            }
        }
        _ => Some(format!("{} {many}", decimal(amount))),
    }
}

fn fraction(above: u64, below: u64) -> Option<String> {
    let name = match below {
        0 | 1 => return None,
        2 => "half".to_owned(),
        4 => "quarter".to_owned(),
        n => ordinal(n),
    };
    let many = if below == 2 { "halves".to_owned() } else { format!("{name}s") };
    Some(format!("{} {}", cardinal(above), if above == 1 { name } else { many }))
}

/// An address of the web or of mail, its signs by name.
fn address(text: &str) -> String {
    let text = text.trim_start_matches("https://").trim_start_matches("http://");
    let named = [
        ("www.", "w w w dot "),
        (".", " dot "),
        ("@", " at "),
        ("/", " slash "),
        ("-", " dash "),
        ("_", " underscore "),
    ];
    let stop = text.ends_with('.');
    let mut read = text.trim_end_matches(['.', '/']).to_owned();
    for (sign, name) in named {
        read = read.replace(sign, name);
    }
    if stop { format!("{read}.") } else { read }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> TextProfile {
        TextProfile { spell_out: Some(Language::English), latin_only: true, final_stop: true, longest_piece: None }
    }

    #[test]
    fn a_text_without_profile_is_left_alone() {
        let text = "At 10:45 – 5 % of €3 — 你好";
        assert_eq!(read_aloud(text, &TextProfile::default()), Reading { text: text.into(), ..Reading::default() });
    }

    #[test]
    fn what_was_changed_and_what_cannot_be_read_is_told() {
        let reading = read_aloud("The bus leaves at 10:45 on May 25, says Юрий", &english());
        assert_eq!(reading.text, "The bus leaves at ten forty-five on May twenty-fifth, says Юрий.");
        let changes = [("May 25", "May twenty-fifth"), ("10:45", "ten forty-five")];
        assert_eq!(reading.changes, changes.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(reading.unreadable, ["Юрий"]);
    }

    /// Texts and their readings (`readings.tsv`: as written, a tab, as read).
    #[test]
    fn texts_are_read_as_the_table_says() {
        let mut wrong = Vec::new();
        let lines: Vec<&str> = include_str!("readings.tsv").lines().filter(|l| !l.is_empty()).collect();
        assert!(lines.len() > 100, "the table is not there");
        for line in lines {
            let (text, expected) = line.split_once('\t').unwrap();
            let reading = read_aloud(text, &english());
            if reading.text != expected {
                wrong.push(format!("{text:?}\n  is read {:?}\n expected {expected:?}", reading.text));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
