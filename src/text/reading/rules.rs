//! The rules by which English text is read: a pattern each, and the words for what it finds. Of all rules that find something at
//! the leftmost place, the one with the longest find counts (see [`super::tokens`]), so their order matters for equal lengths only.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numbers::{cardinal, decimal, digits, fraction, ordinal, roman, year};
use super::tables::{
    ABBREVIATIONS, BEFORE_NUMBERS, CURRENCIES, CURRENCY_CODES, Currency, EMOTICONS, GREEK, NUMBERED, PER, RULERS,
    SIGNS, TYPOGRAPHY, UNITS, VULGAR_FRACTIONS,
};
use super::words;

/// Characters that may touch a find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Anything,
    /// No letter or digit.
    Mark,
    /// No letter or digit, nor a sign that joins it to a further digit: not a part of a longer number.
    NoNumber,
}

/// A find with its surroundings.
pub(super) struct Found<'a> {
    pub(super) captures: &'a Captures<'a>,
    pub(super) before: &'a str,
    pub(super) after: &'a str,
}

impl Found<'_> {
    fn all(&self) -> &str {
        &self.captures[0]
    }

    /// Group `n`, empty if it is not there.
    fn group(&self, n: usize) -> &str {
        self.captures.get(n).map_or("", |m| m.as_str())
    }

    fn number(&self, n: usize) -> Option<u64> {
        number(self.group(n))
    }

    /// Whether it describes a noun: `a $5 note` has dollars in the singular.
    fn is_adjective(&self) -> bool {
        let word = self.before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
        self.before.ends_with(' ') && (word.eq_ignore_ascii_case("a") || word.eq_ignore_ascii_case("an"))
    }

    /// The stop that an abbreviation at the end of a sentence shares with it.
    fn stop(&self) -> &'static str {
        let next = self.after.trim_start().chars().next();
        let ends = next.is_none_or(|c| c.is_uppercase() || matches!(c, '"' | '”' | ')'));
        if self.all().ends_with('.') && ends { "." } else { "" }
    }
}

/// A pattern and how what it finds is read; `None` leaves it to other rules.
pub(super) struct Rule {
    pub(super) pattern: Regex,
    pub(super) beside: Beside,
    /// Whether the user is notified.
    pub(super) reported: bool,
    pub(super) read: fn(&Found<'_>) -> Option<String>,
}

pub(super) static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let mut rules = Vec::new();
    for add in [abbreviations, addresses, dates, times, telephones, money, quantities, counted, signs] {
        add(&mut Rules(&mut rules));
    }
    rules
});

struct Rules<'a>(&'a mut Vec<Rule>);

impl Rules<'_> {
    fn add(&mut self, beside: Beside, pattern: &str, read: fn(&Found<'_>) -> Option<String>) {
        self.push(beside, pattern, true, read);
    }

    /// A rule that goes without saying.
    fn silent(&mut self, pattern: &str, read: fn(&Found<'_>) -> Option<String>) {
        self.push(Beside::Anything, pattern, false, read);
    }

    fn push(&mut self, beside: Beside, pattern: &str, reported: bool, read: fn(&Found<'_>) -> Option<String>) {
        self.0.push(Rule { pattern: super::pattern(pattern), beside, reported, read });
    }
}

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
/// Names of months; `may` and `march` are other words unless they begin with a capital.
const MONTH: &str = r"(?i:January|February|April|June|July|August|September|October|November|December|Jan\b\.?|Feb\b\.?|Apr\b\.?|Jun\b\.?|Jul\b\.?|Aug\b\.?|Sept?\b\.?|Oct\b\.?|Nov\b\.?|Dec\b\.?)|M(?i:arch)|M(?i:ay)|M(?i:ar)\b\.?";
/// A number with thousands separators and decimals.
const NUMBER: &str = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:['’ ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+";
/// A quantity: a number, a mixed number or a fraction.
const QUANTITY: &str = r"(?:\d{1,3} )?\d{1,2}/\d{1,2}|(?:\d+\s?)?[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒]|\d{1,3}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:['’ ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|\d+,\d{1,2}";
/// A hyphen or minus sign.
const MINUS: &str = "[-‐‑−–]";
/// Words and signs that join the ends of a range.
const TO: &str = r"\s?[-‐‑−–—]\s?";
const SCALE: &str = r"thousand|million|billion|trillion|[kK]|[mM]n?|[bB]n?";
const ORDINAL: &str = "(?i:st|nd|rd|th)";

fn abbreviations(rules: &mut Rules<'_>) {
    rules.add(Beside::Anything, &alternatives(ABBREVIATIONS.iter().map(|(written, _)| *written)), |f| {
        let letter = |c: char| c.is_alphanumeric();
        let apart = !f.before.ends_with(letter) && (f.all().ends_with('/') || !f.after.starts_with(letter));
        let read = lookup(ABBREVIATIONS, f.all())?;
        let space = if f.all() == "w/" && !f.after.starts_with(' ') { " " } else { "" };
        apart.then(|| format!("{read}{space}{}", f.stop()))
    });
}

fn addresses(rules: &mut Rules<'_>) {
    rules.add(Beside::Anything, r"(?i)\b(?:https?|ftp)://\S*[\w/]|\bwww\.\S*[\w/]", |f| Some(address(f.all())));
    rules.add(
        Beside::Mark,
        r"(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|io|ai|app|dev|info|eu|uk|de|fr|ch|us|tv)(?:/[\w./~%&=?#+-]*[\w/])?",
        |f| Some(address(f.all())),
    );
    rules.add(Beside::Mark, r"[\w.+-]*\w@[\w-]+(?:\.[\w-]+)+", |f| Some(address(f.all())));
    rules.add(Beside::Mark, r"@([A-Za-z_]\w*)", |f| Some(format!("at {}", words(&f.group(1).replace('_', " ")))));
    rules.add(Beside::Mark, r"#([A-Za-z_]\w*)", |f| Some(format!("hashtag {}", words(&f.group(1).replace('_', " ")))));
    rules.add(
        Beside::Mark,
        r"([\w-]+)\.(pdf|txt|docx?|xlsx?|csv|json|html?|md|py|rs|js|png|jpe?g|gif|mp3|mp4|wav|zip)",
        |f| Some(format!("{} dot {}", words(&f.group(1).replace(['_', '-'], " ")), words(f.group(2)))),
    );
}

fn dates(rules: &mut Rules<'_>) {
    rules.add(
        Beside::NoNumber,
        r"(\d{4})-(\d{2})-(\d{2})(?:(?:T|\s)([01]\d|2[0-3]):([0-5]\d)(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?",
        |f| {
            let date = date(f.number(2)?, f.number(3)?, f.number(1))?;
            let at = if f.group(4).is_empty() { String::new() } else { format!(" at {}", time(f, 4, 5, 9, 9)?) };
            Some(date + &at)
        },
    );
    rules.add(Beside::NoNumber, r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})", |f| {
        date(f.number(1)?, f.number(2)?, Some(full_year(f.group(3))?))
    });
    rules
        .add(Beside::NoNumber, r"(\d{1,2})\.(\d{1,2})\.([12]\d{3})", |f| date(f.number(2)?, f.number(1)?, f.number(3)));
    rules.add(Beside::NoNumber, r"([12]\d{3})[-/](0[1-9]|1[0-2])", |f| month_of_year(f.number(2)?, f.number(1)?));
    rules.add(Beside::NoNumber, r"(0[1-9]|1[0-2])/([12]\d{3})", |f| month_of_year(f.number(1)?, f.number(2)?));
    rules.add(
        Beside::NoNumber,
        &format!(r"({MONTH})\s*(\d{{1,2}}){ORDINAL}?(?:{TO}(\d{{1,2}}){ORDINAL}?)?(?:,?\s+([12]\d{{3}}))?"),
        |f| {
            let day = day(f, 2, 3)?;
            Some(format!("{} {day}{}", month_name(f.group(1)), of_year(f.number(4))))
        },
    );
    rules.add(Beside::NoNumber, &format!(r"({MONTH}),?\s+([12]\d{{3}})"), |f| {
        Some(format!("{} {}", month_name(f.group(1)), year(f.number(2)?)))
    });
    rules.add(
        Beside::NoNumber,
        &format!(
            r"([Tt]he\s+)?(\d{{1,2}}){ORDINAL}?(?:{TO}(\d{{1,2}}){ORDINAL}?)?\s+(?:of\s+)?({MONTH})(?:,?\s+([12]\d{{3}}))?"
        ),
        |f| {
            let article = if f.group(1).is_empty() { "the " } else { f.group(1) };
            let stop = if f.group(5).is_empty() { f.stop() } else { "" };
            Some(format!("{article}{} of {}{}{stop}", day(f, 2, 3)?, month_name(f.group(4)), of_year(f.number(5))))
        },
    );
    rules.add(Beside::NoNumber, &format!(r"(\d{{1,2}})-({MONTH})-([12]\d{{3}}|\d{{2}})"), |f| {
        let day = ordinal(f.number(1).filter(|d| (1..=31).contains(d))?);
        Some(format!("the {day} of {}, {}", month_name(f.group(2)), year(full_year(f.group(3))?)))
    });
    // A day of the month where the words before it say so.
    rules.add(
        Beside::NoNumber,
        r"(?i)\b(on|by|until|till|before|after|since|from|due|dated|mon|tues?|wed|thu|thurs|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday)(,?\s+)(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])",
        |f| {
            let (month, day) = (f.number(3)?, f.number(4)?);
            let attack = (month, day) == (9, 11) && !f.group(1).eq_ignore_ascii_case("on");
            let date = if attack { "nine eleven".into() } else { date(month, day, None)? };
            Some(format!("{}{}{date}", f.group(1), f.group(2)))
        },
    );
    // Decades.
    rules.add(Beside::Mark, &format!(r"([12]\d{{2}}0)['’]?s(?:{TO}([12]\d{{2}}0)['’]?s)?"), |f| {
        let first = plural(&year(f.number(1)?));
        Some(f.number(2).map_or_else(|| first.clone(), |n| format!("{first} to {}", plural(&year(n)))))
    });
    rules.add(Beside::Anything, r"['’‘]([1-9]0)s\b", |f| Some(plural(&cardinal(f.number(1)?))));
    rules.add(
        Beside::Mark,
        r"(?i)\b((?:in|the|his|her|their|my|our|your|its|early|mid|late|low|mid-|early-|late-)\s?(?:(?:early|mid|late|low|high|upper|lower|mid-to-late)[\s-])?)([2-9]0)s((?:,|,? and| or| to|\s?[-–])\s?(?:early |mid-?|late )?(?:[2-9]0)s)?",
        |f| {
            let decade = |digits: &str| Some(plural(&cardinal(number(digits)?)));
            let at = f.group(3).find(|c: char| c.is_ascii_digit());
            let more = match at {
                None => String::new(),
                Some(at) => {
                    let (join, rest) = f.group(3).split_at(at);
                    let join = if join.trim().chars().all(|c| "-–".contains(c)) { " to " } else { join };
                    format!("{join}{}", decade(rest.trim_end_matches('s'))?)
                }
            };
            // 'in 30s' is a time unless it says whose.
            if f.group(1).trim().eq_ignore_ascii_case("in") {
                return None;
            }
            Some(format!("{}{}{more}", f.group(1), decade(f.group(2))?))
        },
    );
    rules.add(
        Beside::Mark,
        r"([2-9]0)s(\s(?:music|fashion|style|rock|pop|film|films|hits|kids|icon|classic|classics|party))",
        |f| Some(format!("{}{}", plural(&cardinal(f.number(1)?)), f.group(2))),
    );
    rules.add(Beside::Mark, r"(10|100|1,?000|10,?000|100,?000)s(\sof)?", |f| {
        let words = cardinal(f.number(1)?);
        Some(format!("{}{}", plural(words.strip_prefix("one ").unwrap_or(&words)), f.group(2)))
    });
    // Years.
    rules.add(Beside::NoNumber, &format!(r"([12]\d{{3}}){TO}([12]\d{{3}}|\d{{2}})"), |f| {
        let (first, last) = (f.number(1)?, f.number(2)?);
        let last = if last < 100 { first / 100 * 100 + last } else { last };
        (last > first && is_year(first)).then(|| format!("{} to {}", year(first), year(last)))
    });
    rules.add(Beside::NoNumber, r"(1[5-9]\d{2}|20\d{2})/(\d{2})", |f| {
        let first = f.number(1)?;
        (f.number(2)? == (first + 1) % 100).then(|| format!("{} to {}", year(first), year(first + 1)))
    });
    rules.add(Beside::NoNumber, r"(\d{1,4})(\s?)(BCE|CE|BC|AD)", |f| {
        let n = f.number(1)?;
        Some(format!("{} {}", if n >= 1_000 { year(n) } else { cardinal(n) }, letters(f.group(3))))
    });
    rules.add(Beside::NoNumber, r"AD(\s?)(\d{1,4})", |f| Some(format!("A D {}", year_or_number(f.number(2)?))));
    rules.add(Beside::NoNumber, r"(1[1-9]\d{2}|20\d{2})", |f| {
        let n = f.number(1)?;
        let starts = f.before.chars().next_back().is_none_or(|c| c.is_whitespace() || "([\"'“‘—–".contains(c));
        (starts && !is_counted(f)).then(|| year(n))
    });
    rules.add(
        Beside::NoNumber,
        r"(?i)\b((?:in|since|of|year|year is|year was|by|until|around|from|circa|battle of hastings in)\s)(10[1-9]\d)",
        |f| {
            (!is_counted(f))
                .then(|| format!("{}{}", f.group(1), year_of_the_eleventh_century(f.number(2).unwrap_or(0))))
        },
    );
    rules.add(Beside::NoNumber, r"(Q[1-4]|H[12])(\s)(20\d{2})", |f| {
        Some(format!("{} {} {}", &f.group(1)[..1], cardinal(number(&f.group(1)[1..])?), year(f.number(3)?)))
    });
}

/// Whether a number from 1100 to 2099 counts things instead of naming a year.
fn is_counted(f: &Found<'_>) -> bool {
    let before = f.before.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default().to_lowercase();
    let after = f.after.trim_start().split(char::is_whitespace).next().unwrap_or_default();
    let counts = [
        "over", "than", "nearly", "almost", "are", "were", "has", "have", "had", "cost", "paid", "all", "only",
        "least", "most",
    ];
    let noun = after.chars().next().is_some_and(char::is_lowercase) && f.after.starts_with(' ');
    noun && counts.contains(&before.as_str())
}

fn is_year(n: u64) -> bool {
    (1_000..2_200).contains(&n)
}

fn year_or_number(n: u64) -> String {
    if is_year(n) { year(n) } else { cardinal(n) }
}

fn year_of_the_eleventh_century(n: u64) -> String {
    format!("ten {}", cardinal(n % 100))
}

fn times(rules: &mut Rules<'_>) {
    const HALF: &str = r"(?:\s*([AaPp])\.?\s?[Mm]\b\.?)?";
    rules.add(Beside::NoNumber, &format!(r"(\d{{1,3}}):([0-5]\d)(?::([0-5]\d)(?:[.,]\d+)?)?{HALF}"), |f| {
        Some(time(f, 1, 2, 3, 4)? + f.stop())
    });
    rules.add(Beside::NoNumber, r"(\d{1,2})\.([0-5]\d)\s*([AaPp])\.?\s?[Mm]\b\.?", |f| {
        Some(time(f, 1, 2, 9, 3)? + f.stop())
    });
    rules.add(Beside::NoNumber, r"(\d{1,2})\s*([AaPp])\.?[Mm]\b\.?", |f| {
        let hour = f.number(1).filter(|h| *h <= 12)?;
        Some(format!("{} {} m{}", cardinal(hour), f.group(2).to_lowercase(), f.stop()))
    });
    rules.add(Beside::NoNumber, &format!(r"(\d{{1,2}}(?::[0-5]\d)?){HALF}{TO}(\d{{1,2}}(?::[0-5]\d)?){HALF}"), |f| {
        let (first, second) = (f.group(1), f.group(3));
        if f.group(2).is_empty() && f.group(4).is_empty() && !(first.contains(':') && second.contains(':')) {
            return None;
        }
        let half = |n| if f.group(n).is_empty() { String::new() } else { format!(" {} m", f.group(n).to_lowercase()) };
        let clock = |text: &str, with_half: bool| match text.split_once(':') {
            Some((hour, minute)) => clock(number(hour)?, number(minute)?, with_half),
            None => Some(cardinal(number(text).filter(|h| *h <= 24)?)),
        };
        let (first, second) = (clock(first, !f.group(2).is_empty())?, clock(second, !f.group(4).is_empty())?);
        Some(format!("{first}{} to {second}{}{}", half(2), half(4), f.stop()))
    });
    rules.add(
        Beside::NoNumber,
        r"(\d{1,3})\s?h(?:rs?|ours?)?\s?(\d{1,2})(?:\s?m(?:ins?|inutes?)?\b)?(?:\s?(\d{1,2})\s?s(?:ecs?|econds?)?\b)?",
        |f| {
            let mut parts =
                vec![counted_unit(f.number(1)?, "hour", "hours"), counted_unit(f.number(2)?, "minute", "minutes")];
            parts.extend(f.number(3).map(|n| counted_unit(n, "second", "seconds")));
            Some(parts.join(" "))
        },
    );
    rules.add(Beside::NoNumber, r"(\d{1,3})\s?m(?:ins?)?\s?(\d{1,2}(?:\.\d+)?)\s?s(?:ecs?)?", |f| {
        Some(format!("{} {} seconds", counted_unit(f.number(1)?, "minute", "minutes"), decimal(f.group(2))))
    });
    rules.add(Beside::NoNumber, r"(\d{1,3}):([0-5]\d\.\d+)", |f| {
        Some(format!("{} {}", decimal(f.group(1)), decimal(f.group(2))))
    });
    // Ratios and verses whose second number has one or three digits.
    rules.add(Beside::NoNumber, r"(\d{1,4}):(\d{1,4})", |f| {
        Some(format!("{} to {}", decimal(f.group(1)), decimal(f.group(2))))
    });
}

/// A time of day or a duration of hours, minutes and seconds.
fn time(f: &Found<'_>, hour: usize, minute: usize, second: usize, half: usize) -> Option<String> {
    let half = f.group(half).to_lowercase();
    let clock = clock(f.number(hour)?, f.number(minute)?, !half.is_empty());
    let seconds =
        f.number(second).map(|n| format!(" and {}", counted_unit(n, "second", "seconds"))).unwrap_or_default();
    let half = if half.is_empty() { String::new() } else { format!(" {half} m") };
    Some(format!("{}{seconds}{half}", clock?))
}

fn clock(hour: u64, minute: u64, with_half: bool) -> Option<String> {
    Some(match minute {
        0 if with_half => cardinal(hour),
        0 if (1..=12).contains(&hour) => format!("{} o'clock", cardinal(hour)),
        0 => format!("{} hundred", cardinal(hour)),
        1..=9 => format!("{} oh {}", cardinal(hour), cardinal(minute)),
        _ => format!("{} {}", cardinal(hour), cardinal(minute)),
    })
}

fn counted_unit(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", cardinal(n), if n == 1 { one } else { many })
}

fn telephones(rules: &mut Rules<'_>) {
    let groups = |f: &Found<'_>| -> Option<String> {
        let plus = if f.all().starts_with('+') { "plus " } else { "" };
        let groups = f.all().split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty());
        Some(format!("{plus}{}", groups.map(digits).collect::<Vec<_>>().join(", ")))
    };
    for pattern in [
        r"\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){1,6}",
        r"\(\d{2,5}\)[ -]?\d{2,5}(?:[ -]\d{2,5}){0,3}",
        r"(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}",
        r"0\d{2,4}[ /-]\d{3,8}(?:[ -]\d{2,5})*",
        r"\d{4}(?:[ -]\d{4}){2,3}",
        r"\d{2,}(?:-\d+){2,}",
        r"97[89](?:[ -]\d{1,7}){4}",
        r"\d{3}-\d{2}-\d{4}",
        r"\d{1,3}-\d{3}-\d{3}-\d{4}",
    ] {
        rules.add(Beside::NoNumber, pattern, groups);
    }
    rules.add(Beside::NoNumber, r"(\d{3})-(\d{4})", |f| {
        let round = f.group(1).ends_with('0') && f.group(2).ends_with('0');
        (!round || f.group(2).starts_with('0')).then(|| format!("{}, {}", digits(f.group(1)), digits(f.group(2))))
    });
    rules.add(
        Beside::NoNumber,
        r"(?i)\b((?:call|dial|ring|phone|tel\.?|telephone|fax|mobile|extension|ext\.?|PIN|passcode|postcode|zip|zip code)(?: is| number| on| us at| me at| at)?:?\s+)(\d(?:[\d -]*\d)?)",
        |f| {
            let written = f.group(2);
            let count = written.chars().filter(char::is_ascii_digit).count();
            let emergency = ["911", "999", "112", "101", "111", "988", "311", "411", "000"].contains(&written);
            let named = f.group(1).to_lowercase();
            let code = ["pin", "passcode", "postcode", "zip", "ext"].iter().any(|word| named.starts_with(word));
            if !(emergency || count >= 5 || code && count >= 3) {
                return None;
            }
            let groups = written.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty());
            let before = if named.starts_with("ext.") { "extension " } else { f.group(1) };
            Some(format!("{before}{}", groups.map(digits).collect::<Vec<_>>().join(", ")))
        },
    );
    // States of America with their postal codes.
    rules.add(Beside::NoNumber, r"([A-Z]{2})(\s)(\d{5})(?:-(\d{4}))?", |f| {
        let more = if f.group(4).is_empty() { String::new() } else { format!(", {}", digits(f.group(4))) };
        Some(format!("{} {}{more}", letters(f.group(1)), digits(f.group(3))))
    });
    rules.add(Beside::NoNumber, r"(?:\d{1,3}\.){3}\d{1,3}(?::(\d{1,5}))?", |f| {
        let (host, port) = f.all().split_once(':').unwrap_or((f.all(), ""));
        let host: Vec<String> = host.split('.').map(digits).collect();
        let port = if port.is_empty() { String::new() } else { format!(", port {}", cardinal(number(port)?)) };
        Some(format!("{}{port}", host.join(" dot ")))
    });
    rules.add(Beside::NoNumber, r"[1-9]\d{0,2}(?:\.\d{3}){2,}", |f| Some(decimal(&f.all().replace('.', ""))));
    rules.add(Beside::NoNumber, r"[vV](\d+(?:\.\d+)*)", |f| Some(format!("version {}", version(f.group(1)))));
    rules.add(Beside::NoNumber, r"\d+(?:\.\d+){2,}", |f| Some(version(f.all())));
}

fn version(text: &str) -> String {
    text.split('.').map(decimal).collect::<Vec<_>>().join(" point ")
}

fn money(rules: &mut Rules<'_>) {
    let signs = alternatives(CURRENCIES.iter().map(|c| c.sign));
    let codes = alternatives(CURRENCY_CODES.iter().map(|c| c.sign));
    let per = format!(r"(?:\s?/\s?({}))?", per());
    let amount = format!(r"(\d+,\d{{2}}\b|{NUMBER})(?:[\s-]?({SCALE})\b)?(?:\s?({codes})\b)?{per}");
    rules.add(Beside::NoNumber, &format!(r"({MINUS}?)\s?({signs})\s?({MINUS}?){amount}"), |f| {
        let minus = minus(&[f.group(1), f.group(3)].concat());
        let currency = if f.group(6).is_empty() { currency(f.group(2))? } else { currency(f.group(6))? };
        let money = sum(currency, f.group(4), f.group(5), f.is_adjective())?;
        Some(format!("{minus}{money}{}", per_unit(f.group(7))))
    });
    rules.add(
        Beside::NoNumber,
        &format!(r"({MINUS}?)(\d+,\d{{2}}\b|{NUMBER})(?:[\s-]?({SCALE}))?\s?({signs}|{codes}){per}"),
        |f| {
            let money = sum(currency(f.group(4))?, f.group(2), f.group(3), f.is_adjective())?;
            Some(format!("{}{money}{}", minus(f.group(1)), per_unit(f.group(5))))
        },
    );
    rules.add(Beside::NoNumber, &format!(r"({codes})\s?({NUMBER})(?:\s?({SCALE})\b)?"), |f| {
        sum(currency(f.group(1))?, f.group(2), f.group(3), false)
    });
    rules.add(
        Beside::NoNumber,
        &format!(r"({signs})({NUMBER})(?:\s?({SCALE})\b)?{TO}({signs})?({NUMBER})(?:\s?({SCALE})\b)?"),
        |f| {
            let currency = currency(f.group(1))?;
            let second = sum(currency, f.group(5), f.group(6), f.is_adjective())?;
            let scale = if f.group(3).is_empty() { String::new() } else { format!(" {}", scale(f.group(3))) };
            let first = if f.group(4).is_empty() || !f.group(2).contains('.') {
                format!("{}{scale}", decimal(f.group(2)))
            } else {
                sum(currency, f.group(2), f.group(3), false)?
            };
            Some(format!("{first} to {second}"))
        },
    );
    rules.add(Beside::NoNumber, &format!(r"({NUMBER})\s?¢"), |f| {
        Some(format!(
            "{} {}",
            decimal(f.group(1)),
            if f.group(1) == "1" || f.is_adjective() { "cent" } else { "cents" }
        ))
    });
}

fn currency(sign: &str) -> Option<&'static Currency> {
    CURRENCIES.iter().chain(CURRENCY_CODES).find(|c| c.sign == sign)
}

fn per_unit(written: &str) -> String {
    PER.iter().find(|(known, _)| *known == written).map_or_else(String::new, |(_, unit)| format!(" per {unit}"))
}

fn scale(written: &str) -> &str {
    match written {
        "k" | "K" => "thousand",
        "m" | "M" | "mn" | "Mn" => "million",
        "b" | "B" | "bn" | "Bn" => "billion",
        other => other,
    }
}

fn sum(currency: &Currency, amount: &str, scale_written: &str, adjective: bool) -> Option<String> {
    let amount = &comma_as_point(amount);
    let many = if adjective { currency.one } else { currency.many };
    if !scale_written.is_empty() {
        return Some(format!("{} {} {many}", decimal(amount), scale(scale_written)));
    }
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let unit = |n: u64| if n == 1 { currency.one } else { many };
    let Some(whole_number) = number(if whole.is_empty() { "0" } else { whole }) else {
        return Some(format!("{} {many}", decimal(amount))); // too many digits to be counted
    };
    match (part.len(), number(part)) {
        (2, Some(0)) | (0, _) => Some(format!("{} {}", decimal(whole), unit(whole_number))),
        (2, Some(part)) if !currency.cent.is_empty() => {
            let small = format!("{} {}", cardinal(part), if part == 1 { currency.cent } else { currency.cents });
            match whole_number {
                0 => Some(small),
                n => Some(format!("{} {} and {small}", decimal(whole), unit(n))),
            }
        }
        _ => Some(format!("{} {many}", decimal(amount))),
    }
}

/// `3,50` with the decimal comma of most of Europe as `3.50`.
fn comma_as_point(amount: &str) -> String {
    match amount.split_once(',') {
        Some((whole, part)) if (1..=2).contains(&part.len()) && !part.contains(',') => format!("{whole}.{part}"),
        _ => amount.to_owned(),
    }
}

fn quantities(rules: &mut Rules<'_>) {
    let units = units();
    let divisor = format!(r"(?:\s?/\s?(\d*)\s?({}))?", per());
    rules.add(Beside::NoNumber, &format!(r"({MINUS}?)({QUANTITY})(\s?|-)({units}){divisor}"), |f| {
        let (_, one, many) = UNITS.iter().find(|(unit, ..)| *unit == f.group(4))?;
        let minus = if starts_a_number(f) { minus(f.group(1)) } else { return None };
        let (amount, is_one) = quantity(f.group(2))?;
        let unit = if is_one || f.is_adjective() || f.group(3) == "-" { one } else { many };
        let per = match (f.group(5), f.group(6)) {
            (_, "") => String::new(),
            ("", unit) => per_unit(unit),
            (n, unit) => format!(" per {} {}s", decimal(n), per_unit(unit).trim_start_matches(" per ")),
        };
        Some(if f.group(2) == "½" {
            format!("{minus}half a {one}{per}")
        } else {
            format!("{minus}{amount} {unit}{per}")
        })
    });
    rules.add(
        Beside::NoNumber,
        &format!(r"({MINUS}?)({NUMBER})(?:\s?(?:{units}))?{TO}({MINUS}?)({NUMBER})\s?({units})"),
        |f| {
            if !starts_a_number(f) {
                return None;
            }
            let (_, one, many) = UNITS.iter().find(|(unit, ..)| *unit == f.group(5))?;
            let unit = if f.is_adjective() { one } else { many };
            Some(format!(
                "{}{} to {}{} {unit}",
                minus(f.group(1)),
                decimal(f.group(2)),
                minus(f.group(3)),
                decimal(f.group(4))
            ))
        },
    );
    rules.add(
        Beside::NoNumber,
        &format!(r"({NUMBER})\s?[x×]\s?({NUMBER})(?:\s?[x×]\s?({NUMBER}))?(?:\s?({units}))?"),
        |f| {
            if f.all().contains(" × ") && f.group(4).is_empty() && f.group(3).is_empty() {
                return None; // a product
            }
            let unit = UNITS
                .iter()
                .find(|(unit, ..)| *unit == f.group(4))
                .map_or_else(String::new, |(_, _, many)| format!(" {many}"));
            let third = if f.group(3).is_empty() { String::new() } else { format!(" by {}", decimal(f.group(3))) };
            Some(format!("{} by {}{third}{unit}", decimal(f.group(1)), decimal(f.group(2))))
        },
    );
    // Feet and inches.
    rules.add(Beside::NoNumber, r#"(\d{1,2})\s?['’′]\s?(\d{1,2}(?:\.\d+)?)\s?(?:["”″]|['’]{2})"#, |f| {
        Some(format!("{} foot {}", decimal(f.group(1)), decimal(f.group(2))))
    });
    rules.add(Beside::NoNumber, r"(\d+(?:\.\d+)?)\s?′", |f| {
        Some(format!("{} {}", decimal(f.group(1)), if f.group(1) == "1" || f.is_adjective() { "foot" } else { "feet" }))
    });
    rules.add(Beside::NoNumber, r#"(\d+(?:\.\d+)?)\s?(["”″])"#, |f| {
        let is_quote = f.group(2) != "″" && f.before.matches(['"', '“']).count() % 2 == 1;
        let unit = if f.group(1) == "1" || f.is_adjective() { "inch" } else { "inches" };
        (!is_quote).then(|| format!("{} {unit}", decimal(f.group(1))))
    });
    // Fractions, mixed numbers, scores.
    rules.add(Beside::NoNumber, r"(\d{1,3}) (\d{1,2})/(\d{1,2})", |f| Some(quantity(f.all())?.0));
    rules.add(Beside::Anything, r"(?:\d+\s?)?[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒]", |f| {
        let starts = !f.before.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        starts.then(|| quantity(f.all())).flatten().map(|(words, _)| format!(" {words} "))
    });
    rules.add(Beside::NoNumber, r"(\d{1,4})/(\d{1,4})(\s(?:time|beat|metre|meter|measure|bar))?", |f| {
        let (above, below) = (f.number(1)?, f.number(2)?);
        if !f.group(3).is_empty() && below <= 32 {
            return Some(format!("{} {}{}", cardinal(above), cardinal(below), f.group(3)));
        }
        Some(match (above, below) {
            (50, 50) => "fifty fifty".into(),
            (a, b) if a < b && b < 10 && a > 0 => fraction(a, b)?,
            (a, b) if a > 0 && a < b && [16, 32, 64, 100].contains(&b) => fraction(a, b)?,
            (a, b) if a <= b => format!("{} out of {}", cardinal(a), cardinal(b)),
            (a, b) => format!("{} over {}", cardinal(a), cardinal(b)),
        })
    });
    rules.add(Beside::NoNumber, &format!(r"({NUMBER})\s?/\s?({})", per()), |f| {
        Some(format!("{}{}", decimal(f.group(1)), per_unit(f.group(2))))
    });
    // Powers of ten and other powers.
    rules.add(
        Beside::Anything,
        r"(\d+(?:\.\d+)?)\s?[×x*·]\s?10(?:\^([-−]?\d{1,3})|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))",
        |f| {
            let power = if f.group(2).is_empty() { plain_digits(f.group(3)) } else { f.group(2).to_owned() };
            Some(format!("{} times ten {}", decimal(f.group(1)), power_of(&power)?))
        },
    );
    rules.add(Beside::Mark, r"(\d+(?:\.\d+)?)[eE]([-+−]?\d{1,3})", |f| {
        Some(format!("{} times ten {}", decimal(f.group(1)), power_of(f.group(2))?))
    });
    rules.add(Beside::Anything, r"\^\(?([-−]?\d{1,3})\)?", |f| Some(format!(" {}", power_of(f.group(1))?)));
    rules.add(Beside::Anything, r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", |f| {
        Some(format!(" {}", power_of(&plain_digits(f.all()))?))
    });
    rules.add(Beside::Anything, r"[₀₁₂₃₄₅₆₇₈₉]+", |f| {
        Some(format!(" {} ", decimal(&plain_digits(f.all()))))
    });
}

/// Whether a sign before a number is its own and no hyphen of a word.
fn starts_a_number(f: &Found<'_>) -> bool {
    f.group(1).is_empty() || f.before.chars().next_back().is_none_or(|c| c.is_whitespace() || "([\"'=:".contains(c))
}

/// Superscripts and subscripts as ordinary digits.
fn plain_digits(text: &str) -> String {
    let plain = |c: char| match c {
        '⁻' => '-',
        '⁺' => '+',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁰'..='⁹' => char::from_digit(c as u32 - '⁰' as u32, 10).unwrap_or(c),
        '₀'..='₉' => char::from_digit(c as u32 - '₀' as u32, 10).unwrap_or(c),
        c => c,
    };
    text.chars().map(plain).collect()
}

fn power_of(power: &str) -> Option<String> {
    let (sign, digits) = match power.strip_prefix(['-', '−']) {
        Some(digits) => ("minus ", digits),
        None => ("", power.trim_start_matches('+')),
    };
    Some(match (sign, digits) {
        ("", "2") => "squared".into(),
        ("", "3") => "cubed".into(),
        _ => format!("to the power of {sign}{}", cardinal(number(digits)?)),
    })
}

/// A quantity in words, and whether it is one.
fn quantity(text: &str) -> Option<(String, bool)> {
    if let Some((c, above, below)) = VULGAR_FRACTIONS.iter().find(|(c, ..)| text.ends_with(*c)) {
        let whole = text.trim_end_matches(*c).trim();
        return Some(match whole {
            "" => (fraction(*above, *below)?, true),
            whole => (format!("{} and {}", decimal(whole), part_of_mixed(*above, *below)?), false),
        });
    }
    if let Some((above, below)) = text.split_once('/') {
        let below = number(below)?;
        return match above.split_once(' ') {
            Some((whole, above)) => {
                Some((format!("{} and {}", decimal(whole), part_of_mixed(number(above)?, below)?), false))
            }
            None => Some((fraction(number(above)?, below)?, true)),
        };
    }
    Some((decimal(&comma_as_point(text)), text == "1"))
}

/// `a half` after a whole number, where alone it is `one half`.
fn part_of_mixed(above: u64, below: u64) -> Option<String> {
    let words = fraction(above, below)?;
    Some(match words.as_str() {
        "one half" => "a half".into(),
        "one quarter" => "a quarter".into(),
        "one third" => "a third".into(),
        _ => words,
    })
}

fn counted(rules: &mut Rules<'_>) {
    rules.add(Beside::Mark, &format!(r"(\d{{1,3}}(?:,\d{{3}})+|\d+){ORDINAL}(?:{TO}(\d+){ORDINAL})?"), |f| {
        let first = ordinal(f.number(1)?);
        Some(f.number(2).map_or_else(|| first.clone(), |n| format!("{first} to {}", ordinal(n))))
    });
    rules.add(Beside::NoNumber, &format!(r"({MINUS}?)({NUMBER}){TO}({MINUS}?)({NUMBER})"), |f| {
        starts_a_number(f).then(|| {
            format!("{}{} to {}{}", minus(f.group(1)), decimal(f.group(2)), minus(f.group(3)), decimal(f.group(4)))
        })
    });
    rules.add(Beside::NoNumber, &format!(r"{MINUS}({NUMBER})"), |f| {
        let starts = f.before.chars().next_back().is_none_or(|c| c.is_whitespace() || "([\"'=:/,".contains(c));
        starts.then(|| format!("minus {}", decimal(f.group(1))))
    });
    rules.add(Beside::NoNumber, r"(\d+(?:\.\d+)?)[x×]", |f| {
        Some(format!("{} {}", decimal(f.group(1)), if f.group(1) == "1" { "time" } else { "times" }))
    });
    rules.add(Beside::NoNumber, &format!(r"(?i)\b({}|No|Day|Week|Track|Lesson|Unit|Step|Room|Page|Line|Item|Question|Exercise|Verse|Disc|Number|Gate|Platform|Level)(\s+)0+(\d+)", NUMBERED.replace("\\.", "")), |f| {
        Some(format!("{}{}{}", f.group(1), f.group(2), decimal(f.group(3))))
    });
    rules.add(Beside::Mark, &format!(r"({NUMBERED})(\s+)([IVXLC]+)"), |f| {
        let n = roman(f.group(3))?;
        let followed = f.after.starts_with(". ") && f.group(3) == "I" && f.group(1).ends_with('.');
        (!followed).then(|| format!("{}{}{}", f.group(1), f.group(2), cardinal(n)))
    });
    rules.add(Beside::Mark, r"((?:World War|Part|Chapter)s?\s)([IVX]+)(\sand\s)([IVX]+)", |f| {
        Some(format!("{}{}{}{}", f.group(1), cardinal(roman(f.group(2))?), f.group(3), cardinal(roman(f.group(4))?)))
    });
    rules.add(Beside::Mark, &format!(r"((?:{RULERS}|King|Queen|Pope|Emperor)\s)([IVXLC]+)"), |f| {
        // 'Charles I met' may be the pronoun.
        let is_pronoun = f.group(2) == "I" && f.after.trim_start().chars().next().is_some_and(char::is_lowercase);
        let n = roman(f.group(2)).filter(|n| *n <= 30 && !is_pronoun)?;
        Some(format!("{}the {}", f.group(1), ordinal(n)))
    });
    rules.add(Beside::Anything, r"\b([A-Za-z]{1,6})\.\s?", |f| {
        let word = f.group(1).to_lowercase();
        let (_, name) = BEFORE_NUMBERS.iter().find(|(known, _)| *known == word)?;
        let next = f.after.chars().next()?;
        let capital = f.group(1).starts_with(char::is_uppercase);
        let name = if capital { name[..1].to_uppercase() + &name[1..] } else { (*name).to_owned() };
        next.is_ascii_digit().then(|| format!("{name} "))
    });
    rules.add(Beside::Anything, r"(?:\b[Nn][Oo]|№)\s?(\d+)", |f| {
        f.all().starts_with('№').then(|| format!("number {}", decimal(f.group(1))))
    });
    rules.add(Beside::Anything, r"(?i)\b(sections?)?\s?(§§?)\s?", |f| {
        let before = if f.all().starts_with(' ') && f.group(1).is_empty() { " " } else { "" };
        let name =
            if f.group(1).is_empty() { if f.group(2) == "§§" { "sections" } else { "section" } } else { f.group(1) };
        Some(format!("{before}{name} "))
    });
    rules.add(Beside::Anything, r"§§?\s?", |f| {
        Some(if f.all().starts_with("§§") { "sections " } else { "section " }.into())
    });
    rules.add(Beside::Anything, r"#\s?(\d+)", |f| Some(format!("number {}", decimal(f.group(1)))));
    rules.add(Beside::NoNumber, r"(\d{2,})\+", |f| Some(format!("{} plus", decimal(f.group(1)))));
    rules.add(Beside::Mark, r"(?:\d+(?:,\d+){2,}|\d,\d)", |f| {
        let mut groups = f.all().split(',');
        let first = groups.next().unwrap_or_default();
        if first.len() <= 3 && groups.all(|group| group.len() == 3) {
            return None; // one number
        }
        let parts: Vec<String> = f.all().split(',').map(decimal).collect();
        Some(parts.join(", "))
    });
    // A number next to letters: `B12`, `3D`, `F-16`.
    rules.add(Beside::Anything, &format!(r"([A-Za-z][-‐‑]?)?({NUMBER})([A-Za-z])?"), |f| {
        let n = f.group(2);
        let joined = f.group(1).len() > 1 && f.group(1).ends_with(['-', '‐', '‑']);
        let letter = f.group(1).trim_end_matches(['-', '‐', '‑']);
        let before = if letter.is_empty() { String::new() } else { format!("{letter} ") };
        let after = if f.group(3).is_empty() { String::new() } else { format!(" {}", f.group(3)) };
        let words =
            if joined && n.len() == 4 && is_year(number(n).unwrap_or(0)) { year(number(n)?) } else { decimal(n) };
        Some(format!("{before}{words}{after}"))
    });
    rules.add(Beside::Anything, r"\d", |f| Some(format!("{} ", digits(f.all()))));
}

fn signs(rules: &mut Rules<'_>) {
    rules.silent(&alternatives(TYPOGRAPHY.iter().map(|(mark, _)| *mark)), |f| lookup(TYPOGRAPHY, f.all()));
    rules.add(Beside::Mark, r"([A-Z])&([A-Z])", |f| Some(format!("{} and {}", f.group(1), f.group(2))));
    rules.add(Beside::Mark, r"(\w+)/(\w+)(?:/(\w+))?", |f| {
        let (a, b, c) = (f.group(1), f.group(2), f.group(3));
        if f.all().chars().any(|c| c.is_ascii_digit()) {
            return None;
        }
        let capitals = |word: &str| word.chars().all(char::is_uppercase) && word.len() <= 4;
        Some(match () {
            () if a == "and" && b == "or" => "and or".into(),
            () if capitals(a) && capitals(b) => [a, b, c].join(" ").trim_end().to_owned(),
            () if c.is_empty() => format!("{a} or {b}"),
            () => format!("{a}, {b} or {c}"),
        })
    });
    rules.add(Beside::Anything, r"(?:^|\s)((?:~?/[\w.-]+){2,}/?)", |f| {
        let path = f
            .group(1)
            .trim_matches('/')
            .replace('/', " slash ")
            .replace('.', " dot ")
            .replace('_', " ")
            .replace('~', "tilde");
        let start = if f.group(1).starts_with('/') { "slash " } else { "" };
        Some(format!(" {start}{}", words(&path)))
    });
    rules.silent(r"\s[-–—]+\s|[–—]", |_| Some(", ".into()));
    rules.silent(&alternatives(EMOTICONS.iter().copied()), |f| {
        let apart = f.before.ends_with(char::is_whitespace) || f.before.is_empty();
        let ends = f.after.chars().next().is_none_or(|c| c.is_whitespace() || c.is_ascii_punctuation());
        (apart && ends).then(String::new)
    });
    rules.add(Beside::Anything, r"[A-FCGD]#|[A-D]\+", |f| {
        let apart = !f.before.ends_with(char::is_alphanumeric) && !f.after.starts_with(char::is_alphanumeric);
        let sign = if f.all().ends_with('#') { "sharp" } else { "plus" };
        apart.then(|| format!("{} {sign}", &f.all()[..1]))
    });
    rules.add(Beside::Anything, r"[α-ωΑ-Ωµ]", |f| {
        if f.before.ends_with(char::is_alphabetic) || f.after.starts_with(char::is_alphabetic) {
            return None;
        }
        let lower = f.all().chars().next()?.to_lowercase().next()?;
        let lower = if lower == 'µ' { 'μ' } else { lower };
        GREEK.iter().find(|(c, _)| *c == lower).map(|(_, name)| format!(" {name} "))
    });
    rules.add(Beside::Anything, r"\*", |f| {
        let product = f.before.trim_end().ends_with(|c: char| c.is_ascii_digit())
            && f.after.trim_start().starts_with(|c: char| c.is_ascii_digit());
        product.then(|| " times ".into())
    });
    rules.add(Beside::Anything, &alternatives(SIGNS.iter().map(|(sign, _)| *sign)), |f| lookup(SIGNS, f.all()));
}

/// A unit, not the start of a word.
fn units() -> String {
    not_starts_of_words(UNITS.iter().map(|(unit, ..)| *unit))
}

/// Words that quantities are counted by, not at the start of a word.
fn per() -> String {
    not_starts_of_words(PER.iter().map(|(written, _)| *written))
}

fn not_starts_of_words<'a>(units: impl Iterator<Item = &'a str>) -> String {
    let mut units: Vec<&str> = units.collect();
    units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
    let end = |unit: &str| if unit.ends_with(|c: char| c.is_ascii_alphanumeric()) { r"\b" } else { "" };
    units.into_iter().map(|unit| regex::escape(unit) + end(unit)).collect::<Vec<_>>().join("|")
}

/// One of `words`, longer ones first.
pub(in crate::text) fn alternatives<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.into_iter().map(regex::escape).collect::<Vec<_>>().join("|")
}

fn lookup(table: &[(&str, &str)], written: &str) -> Option<String> {
    table.iter().find(|(mark, _)| *mark == written).map(|(_, read)| (*read).to_owned())
}

fn number(text: &str) -> Option<u64> {
    text.replace([',', '\'', '’', ' '], "").parse().ok()
}

fn minus(sign: &str) -> &'static str {
    if sign.is_empty() { "" } else { "minus " }
}

fn letters(word: &str) -> String {
    word.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

fn plural(words: &str) -> String {
    match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if words.ends_with('x') => format!("{words}es"),
        None => format!("{words}s"),
    }
}

fn month_name(written: &str) -> String {
    let start = written.get(..3).unwrap_or(written);
    let name = MONTH_NAMES.iter().find(|name| name[..3].eq_ignore_ascii_case(start));
    name.map_or_else(|| written.to_owned(), |name| (*name).to_owned())
}

/// A day of the month, or two that a range has.
fn day(f: &Found<'_>, first: usize, last: usize) -> Option<String> {
    let ordinal_of = |n: usize| f.number(n).filter(|day| (1..=31).contains(day)).map(ordinal);
    let first = ordinal_of(first)?;
    if f.group(last).is_empty() { Some(first) } else { Some(format!("{first} to {}", ordinal_of(last)?)) }
}

fn of_year(year_number: Option<u64>) -> String {
    year_number.map_or_else(String::new, |y| format!(", {}", year(y)))
}

/// A year of two digits: of this century up to 69, else of the last.
fn full_year(written: &str) -> Option<u64> {
    let n = number(written)?;
    Some(if written.len() > 2 { n } else { n + if n < 70 { 2_000 } else { 1_900 } })
}

fn date(month: u64, day: u64, year_number: Option<u64>) -> Option<String> {
    // Where it cannot be the month, it is the day, as most of the world writes it.
    let (month, day) = if month > 12 { (day, month) } else { (month, day) };
    let name = MONTH_NAMES.get((month as usize).checked_sub(1)?)?;
    (1..=31).contains(&day).then(|| format!("{name} {}{}", ordinal(day), of_year(year_number)))
}

fn month_of_year(month: u64, year_number: u64) -> Option<String> {
    let name = MONTH_NAMES.get((month as usize).checked_sub(1)?)?;
    is_year(year_number).then(|| format!("{name} {}", year(year_number)))
}

/// An address of the web or of mail, its signs by name. Of a long one only the host is read.
fn address(text: &str) -> String {
    const LONGEST: usize = 60;
    let at = text.find("://").map_or(0, |at| at + 3);
    let text = text[at..].trim_end_matches('/');
    let text = if text.chars().count() > LONGEST { text.split(['/', '?', '#']).next().unwrap_or(text) } else { text };
    let named = [
        ("www.", "w w w dot "),
        (".", " dot "),
        ("@", " at "),
        ("/", " slash "),
        ("-", " dash "),
        ("_", " underscore "),
        ("?", " question mark "),
        ("=", " equals "),
        ("&", " and "),
        ("#", " hash "),
        ("%", " percent "),
        ("~", " tilde "),
        (":", " colon "),
        ("+", " plus "),
    ];
    let mut read = text.to_owned();
    for (sign, name) in named {
        read = read.replace(sign, name);
    }
    words(&read)
}
