//! Text as people paste it: Markdown, HTML, quoted mail and subtitles lose their marks before anything is spoken, and what is no text
//! is refused by its name.

use std::ops::Range;
use std::sync::LazyLock;

use html5gum::{Token, Tokenizer};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;

use super::{clean, pattern};
use crate::error::{Error, Result};

/// A text without marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PlainText {
    pub(super) text: String,
    /// Parts that were left out, for the user.
    pub(super) notes: Vec<String>,
}

impl PlainText {
    /// Reads `text` in the format that it has.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if it is a format that is not text.
    pub(super) fn read(text: &str) -> Result<Self> {
        check_is_text(text)?;
        let mut plain = Self { text: clean(text), notes: Vec::new() };
        if SUBTITLE_TIMES.is_match(&plain.text) {
            let words = subtitles(&plain.text);
            plain.become_text_of("subtitles", "numbers and times are", words);
        }
        if QUOTED_LINE.is_match(&plain.text) {
            let unquoted = QUOTED_LINE.replace_all(&plain.text, "$1").into_owned();
            plain.become_text_of("quoted mail", "its > are", unquoted);
        }
        let is_markdown =
            MARKDOWN.iter().any(|mark| mark.is_match(&plain.text)) || BULLETS.find_iter(&plain.text).nth(1).is_some();
        if HTML_TAG.is_match(&plain.text) || HTML_ENTITY.is_match(&plain.text) {
            let is_page = HTML_BLOCK.is_match(&plain.text) && !is_markdown;
            let words = html(&plain.text, is_page);
            plain.become_text_of("HTML", "its tags are", words);
        }
        if is_markdown {
            let (words, code_blocks) = markdown(&plain.text);
            plain.become_text_of("Markdown", "its marks are", words);
            if code_blocks > 0 {
                let blocks = if code_blocks == 1 { "a block of code is" } else { "blocks of code are" };
                plain.notes.push(format!("{blocks} left out"));
            }
        }
        plain.text = clean(&join_broken_words(&plain.text));
        Ok(plain)
    }

    fn become_text_of(&mut self, format: &str, marks: &str, words: String) {
        if words != self.text {
            self.notes.push(format!("the text is read as {format}; {marks} not spoken"));
            self.text = words;
        }
    }
}

/// Starts of formats that are not text, and their names.
const OTHER_FORMATS: &[(&str, &str)] = &[
    ("{\\rtf", "rich text (RTF)"),
    ("%PDF-", "a PDF"),
    ("PK\u{3}\u{4}", "a ZIP archive, such as a Word, Pages or EPUB document"),
    ("%!PS", "PostScript"),
    ("\\documentclass", "LaTeX"),
    ("From - ", "a mailbox"),
];

fn check_is_text(text: &str) -> Result<()> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let other = OTHER_FORMATS.iter().find(|(mark, _)| start.starts_with(mark)).map(|(_, name)| *name);
    let other = other.or_else(|| text.contains('\0').then_some("binary data"));
    other.map_or(Ok(()), |name| {
        let expected = "plain text, Markdown, HTML or subtitles (save the document as plain text first)";
        Err(Error::invalid("text", expected, name))
    })
}

// --- Subtitles ---

/// The times of a cue in SubRip (.srt) or WebVTT.
static SUBTITLE_TIMES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}\s*-->\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}.*$")
});
/// Positions (`{\an8}`), voices (`<v Anna>`) and styles (`<i>`, `<c.yellow>`, `<00:01.000>`) in a cue, and music.
static CUE_MARKS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\{\\[^}]*\}|</?(?:[ibuscv]|font|ruby|rt|lang)(?:[ .][^>]*)?>|<[\d:.]+>|[♪♫]"));

/// The words of subtitles, cues that are one sentence on one line. Our own, as the parsers that there are refuse a file with one
/// damaged cue.
fn subtitles(text: &str) -> String {
    let mut out = String::new();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_time = |n: usize| lines.get(n).is_some_and(|line| SUBTITLE_TIMES.is_match(line));
    let mut in_cue = false;
    for (n, line) in lines.iter().enumerate() {
        if is_time(n) {
            in_cue = true;
        } else if line.is_empty() {
            in_cue = false;
        } else if !is_time(n + 1) && in_cue {
            let words = CUE_MARKS.replace_all(line, "");
            let words = words.trim().trim_start_matches("- ");
            let ended = out.trim_end().ends_with(['.', '!', '?', '…', '"', '”']);
            out.push_str(if out.is_empty() {
                ""
            } else if ended {
                "\n"
            } else {
                " "
            });
            out.push_str(words);
        }
    }
    out
}

// --- Quoted mail ---

/// The marks of quoted lines; a sign before a number is none.
static QUOTED_LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^ {0,3}>(?: ?>)*(?: +|$|([\p{L}"“(\[]))"#));

// --- HTML ---

const TAGS: &str = "a|abbr|address|article|aside|b|blockquote|body|br|button|caption|center|cite|code|dd|del|details|div|dl|dt|em|\
    figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|p|pre|q|s|\
    samp|script|section|small|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|time|title|tr|tt|u|ul|video|wbr";
static HTML_TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i)<!--|<!doctype|</?(?:{TAGS})(?:\s[^<>]*)?/?>")));
static HTML_NAME: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"(?i)^(?:{TAGS})$")));
static HTML_ENTITY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});"));
/// Tags that begin a line: a text with them is a page, others have a few tags only.
static HTML_BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)<!doctype|<(?:html|body|p|div|h[1-6]|ul|ol|li|table|section|article)(?:\s[^<>]*)?>")
});

/// The words of HTML, entities decoded. White space of a page means nothing; in other texts lines stay lines.
fn html(text: &str, is_page: bool) -> String {
    let mut out = String::new();
    let mut hidden: Option<Vec<u8>> = None; // the element whose content is not shown
    for token in Tokenizer::new(text) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                match name.as_str() {
                    _ if hidden.is_some() => {}
                    "script" | "style" | "head" | "svg" if !tag.self_closing => hidden = Some(tag.name.to_vec()),
                    "br" => out.push('\n'),
                    "p" | "div" | "li" | "ul" | "ol" | "table" | "tr" | "blockquote" | "section" | "article" | "hr"
                    | "pre" | "dt" | "dd" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => out.push_str("\n\n"),
                    "td" | "th" => out.push_str(", "),
                    // A word in angle brackets that is no tag stays.
                    name if !HTML_NAME.is_match(name) => out.push_str(&format!("<{name}>")),
                    _ => {}
                }
            }
            Token::EndTag(tag) => {
                if hidden.as_deref() == Some(&tag.name[..]) {
                    hidden = None;
                } else if matches!(
                    &tag.name[..],
                    b"p" | b"div" | b"li" | b"tr" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6"
                ) {
                    out.push_str("\n\n");
                }
            }
            Token::String(words) if hidden.is_none() => {
                let words = String::from_utf8_lossy(&words);
                if is_page {
                    let even = words.split_whitespace().collect::<Vec<_>>().join(" ");
                    let space = |edge: bool| if edge && !words.is_empty() { " " } else { "" };
                    out.push_str(space(words.starts_with(char::is_whitespace)));
                    out.push_str(&even);
                    out.push_str(space(words.ends_with(char::is_whitespace) && !even.is_empty()));
                } else {
                    out.push_str(&words);
                }
            }
            _ => {}
        }
    }
    let lines: Vec<&str> = out.lines().map(|line| line.trim().trim_start_matches(", ")).collect();
    even_paragraphs(&lines.join("\n"))
}

/// `text` with one blank line between paragraphs.
fn even_paragraphs(text: &str) -> String {
    static BLANK_LINES: LazyLock<Regex> = LazyLock::new(|| pattern(r"\n{3,}"));
    BLANK_LINES.replace_all(text.trim(), "\n\n").into_owned()
}

// --- Markdown ---

/// Signs that a text is Markdown: headings, fences, links, emphasis, code, tables. A star or line between spaces is none.
static MARKDOWN: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?m)^ {0,3}#{1,6} +\S",
        r"(?m)^ {0,3}(?:```|~~~)",
        r"!?\[[^\]\n]+\]\((?:[^)\s]+)(?:\s+[^)]*)?\)",
        r"\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*",
        r"(?:^|[\s(])__[^\s_](?:[^_\n]*[^\s_])?__(?:\W|$)",
        r"(?m)(?:^|[\s(])\*[^\s*](?:[^*\n]*[^\s*])?\*(?:[\s.,;:!?)]|$)",
        r"(?m)(?:^|[\s(])_[^\s_](?:[^_\n]*[^\s_])?_(?:[\s.,;:!?)]|$)",
        r"`[^`\n]+`",
        r"~~[^\s~][^~\n]*~~",
        r"(?m)^\s*\|?(?:\s*:?-{3,}:?\s*\|)+\s*:?-*:?\s*\|?\s*$",
        r"(?m)^\S.*\n(?:={3,}|-{3,})\s*$",
        r"(?m)^ {0,3}[-*+] \[[ xX]\] ",
    ]
    .map(pattern)
    .into()
});
/// Items of a list.
static BULLETS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ {0,6}[-*+] +[^\s\d]"));

/// The words of Markdown, and how many blocks of code are left out.
fn markdown(text: &str) -> (String, usize) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut out = String::new();
    let mut code_blocks = 0;
    let mut hidden = 0;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Fenced(_))) => {
                code_blocks += 1;
                hidden += 1;
            }
            Event::Start(Tag::MetadataBlock(_)) => hidden += 1,
            // An indented block is prose that was indented, more often than code.
            Event::Start(Tag::CodeBlock(_)) => out.push_str("\n\n"),
            Event::End(TagEnd::CodeBlock) => {
                hidden = usize::saturating_sub(hidden, usize::from(is_fenced(text, &range)));
                out.push_str("\n\n");
            }
            Event::End(TagEnd::MetadataBlock(_)) => hidden = usize::saturating_sub(hidden, 1),
            _ if hidden > 0 => {}
            Event::Start(Tag::Item) => {
                out.push('\n');
                out.push_str(&number_of_item(text, &range));
            }
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::Table(_) | Tag::List(_)) => out.push('\n'),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Table | TagEnd::List(_) | TagEnd::Item) => {
                out.push_str("\n\n");
            }
            Event::End(TagEnd::TableRow | TagEnd::TableHead) => out.push_str("\n\n"),
            Event::Start(Tag::TableCell) if !out.ends_with('\n') => out.push_str(", "),
            Event::Text(words) | Event::Code(words) | Event::Html(words) | Event::InlineHtml(words) => {
                out.push_str(&words);
            }
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Rule => out.push_str("\n\n"),
            _ => {}
        }
    }
    (even_paragraphs(&out), code_blocks)
}

fn is_fenced(text: &str, range: &Range<usize>) -> bool {
    text[range.clone()].trim_start().starts_with(['`', '~'])
}

/// The number of an item as it is written, as a list may count in its own way.
fn number_of_item(text: &str, range: &Range<usize>) -> String {
    let item = text[range.clone()].trim_start();
    let digits = item.chars().take_while(char::is_ascii_digit).count();
    if digits == 0 { String::new() } else { format!("{}. ", &item[..digits]) }
}

// --- Words broken at the ends of lines ---

static BROKEN_WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\p{L}{2,})[-‐¬]\n[ \t]*(\p{Ll}{2,})"));

/// First parts of words that keep their hyphen.
const KEEP_THEIR_HYPHEN: &[&str] = &[
    "well", "self", "non", "half", "ex", "high", "low", "long", "short", "old", "new", "mid", "semi", "all", "cross",
    "part", "full", "first", "second", "third", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "great", "mother", "father",
    "brother", "sister", "so", "open", "hard", "ill", "far", "best", "co", "anti", "post", "pre",
];

/// Joins words that a page broke at the end of a line (`har-`, `bour`), with a hyphen if the text or the first part has one.
fn join_broken_words(text: &str) -> String {
    let joined = BROKEN_WORD.replace_all(text, |found: &regex::Captures<'_>| {
        let (first, second) = (&found[1], &found[2]);
        let (whole, hyphened) = (format!("{first}{second}"), format!("{first}-{second}"));
        let keeps = KEEP_THEIR_HYPHEN.contains(&first.to_lowercase().as_str());
        if text.contains(&hyphened) || keeps && !text.contains(&whole) { hyphened } else { whole }
    });
    joined.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        PlainText::read(text).unwrap().text
    }

    #[test]
    fn marks_are_not_spoken() {
        let cases = [
            // Markdown
            ("## The storm\n\nIt was dark.", "The storm\n\nIt was dark."),
            ("This is **very** good, _really_.", "This is very good, really."),
            ("See [the map](https://example.com/a) here.", "See the map here."),
            ("![A cat](cat.png) sleeps.", "A cat sleeps."),
            ("Use `cargo` here.", "Use cargo here."),
            ("- bread\n- milk\n- tea", "bread\n\nmilk\n\ntea"),
            ("# Steps\n3. Third\n7. Seventh", "Steps\n\n3. Third\n\n7. Seventh"),
            ("# Code\n\n```sh\nls -l\n```\n\nDone.", "Code\n\nDone."),
            ("| a | b |\n|---|---|\n| 1 | 2 |", "a, b\n\n1, 2"),
            ("---\ntitle: x\n---\n\n# Hello\n\nWorld.", "Hello\n\nWorld."),
            ("Title\n=====\n\nText.", "Title\n\nText."),
            ("- [x] done\n- [ ] open", "done\n\nopen"),
            // not Markdown
            ("5 * 3 * 2 is thirty.", "5 * 3 * 2 is thirty."),
            ("1986. A great year.", "1986. A great year."),
            ("my_file_name is gone", "my_file_name is gone"),
            ("We are #1 again.", "We are #1 again."),
            ("[0]Hello there.\n[1]Hi.", "[0]Hello there.\n[1]Hi."),
            // HTML
            ("<p>The <b>old</b> bridge<br/>is closed.</p>", "The old bridge\nis closed."),
            ("Salt &amp; pepper &#8211; and tea.", "Salt & pepper – and tea."),
            (
                "<html><head><title>x</title></head><body><h1>One</h1><p>Two\nthree</p></body></html>",
                "One\n\nTwo three",
            ),
            ("<script>var a = 1;</script><p>Hello</p>", "Hello"),
            ("<ul><li>bread</li><li>milk</li></ul>", "bread\n\nmilk"),
            ("if a < b and c > d", "if a < b and c > d"),
            ("<anna> hello", "<anna> hello"),
            ("AT&T and R&D", "AT&T and R&D"),
            // quoted mail
            ("> Are you coming?\n>> I asked.\nYes.", "Are you coming?\nI asked.\nYes."),
            ("> > Old.\n> New.", "Old.\nNew."),
            (">5 people came", ">5 people came"),
            // subtitles
            (
                "1\n00:00:01,400 --> 00:00:03,900\nThe harbour was empty.\n\n2\n00:00:04,140 --> 00:00:06,720\n<i>Nobody had\nseen it.</i>\n",
                "The harbour was empty.\nNobody had seen it.",
            ),
            (
                "WEBVTT\n\nNOTE made by hand\n\nintro\n00:01.000 --> 00:02.000 align:start\n<v Anna>It was dark\n\n00:02.000 --> 00:03.000\nand cold.",
                "It was dark and cold.",
            ),
            ("1\n00:00:01.400-->00:00:03.900\n{\\an8}♪ La la ♪", "La la"),
            // pages
            ("The har-\nbour is old.", "The harbour is old."),
            ("A well-\nknown man.", "A well-known man."),
            ("The re-\nport; see re-port.", "The re-port; see re-port."),
            ("The oﬃce is on the ﬁrst ﬂoor.", "The office is on the first floor."),
            ("It costs ５０ dollars.", "It costs 50 dollars."),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (text, name) in [
            ("{\\rtf1\\ansi Hello}", "RTF"),
            ("%PDF-1.7 ...", "PDF"),
            ("PK\u{3}\u{4}...", "ZIP"),
            ("\u{feff}{\\rtf1 Hello}", "RTF"),
            ("a\0b\0", "binary"),
        ] {
            let error = PlainText::read(text).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_was_left_out_is_named() {
        let notes = |text: &str| PlainText::read(text).unwrap().notes.join("; ");
        assert!(
            notes("# A\n\n```\nx\n```").contains("Markdown") && notes("# A\n\n```\nx\n```").contains("block of code")
        );
        assert!(notes("<p>a</p>").contains("HTML") && notes("> a").contains("mail"));
        assert_eq!(notes("Plain text."), "");
    }
}
