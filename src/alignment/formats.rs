//! Files of word times.

use crate::data::WordTime;

/// The format of a file of word times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordFormat {
    /// `{"words": [{"word", "start", "end", "confidence"}, …]}`, times in seconds.
    Json,
    /// Subtitles as SubRip has them, a line for each sentence.
    Srt,
    /// WebVTT subtitles, with the time of each word.
    Vtt,
    /// Praat's TextGrid with a tier of words.
    TextGrid,
}

/// Characters of a line of subtitles, and the silence in seconds that ends one.
const LINE: usize = 42;
const PAUSE: f64 = 0.6;

impl WordFormat {
    /// Every format with the ending of its files.
    pub const ALL: [(Self, &str); 4] =
        [(Self::Json, "json"), (Self::Srt, "srt"), (Self::Vtt, "vtt"), (Self::TextGrid, "TextGrid")];

    /// The format of files with this ending, in any case.
    pub fn of_ending(ending: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own)| own.eq_ignore_ascii_case(ending)).map(|(format, _)| format)
    }

    /// The file of a clip of `seconds`.
    pub fn text(self, words: &[WordTime], seconds: f64) -> String {
        match self {
            Self::Json => json(words),
            Self::Srt => {
                let cue = |(n, line): (usize, &[WordTime])| {
                    let (from, to) = (time(line[0].start, ','), time(line[line.len() - 1].end, ','));
                    format!("{}\n{from} --> {to}\n{}\n\n", n + 1, plain(line))
                };
                lines(words).into_iter().enumerate().map(cue).collect()
            }
            Self::Vtt => {
                let mut text = String::from("WEBVTT\n\n");
                for line in lines(words) {
                    let timed: Vec<String> = line
                        .iter()
                        .enumerate()
                        .map(|(n, word)| match n {
                            0 => escaped(&word.word),
                            _ => format!("<{}>{}", time(word.start, '.'), escaped(&word.word)),
                        })
                        .collect();
                    let (from, to) = (time(line[0].start, '.'), time(line[line.len() - 1].end, '.'));
                    text += &format!("{from} --> {to}\n{}\n\n", timed.join(" "));
                }
                text
            }
            Self::TextGrid => text_grid(words, seconds),
        }
    }
}

fn json(words: &[WordTime]) -> String {
    let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
    let word = |word: &WordTime| {
        let text = serde_json::Value::from(word.word.as_str());
        let [start, end, confidence] = [word.start, word.end, word.confidence].map(rounded);
        format!("  {{\"word\": {text}, \"start\": {start}, \"end\": {end}, \"confidence\": {confidence}}}")
    };
    let words: Vec<String> = words.iter().map(word).collect();
    format!("{{\"words\": [\n{}\n]}}\n", words.join(",\n"))
}

/// Words in lines: a line ends with a sentence, at a pause, or where it is full.
fn lines(words: &[WordTime]) -> Vec<&[WordTime]> {
    let (mut lines, mut first, mut length) = (Vec::new(), 0, 0);
    for (n, word) in words.iter().enumerate() {
        length += word.word.chars().count() + 1;
        let ends = word.word.ends_with(['.', '!', '?', '…']);
        let next = words.get(n + 1);
        let full = next.is_some_and(|next| length + next.word.chars().count() > LINE);
        if ends || full || next.is_none_or(|next| next.start - word.end > PAUSE) {
            lines.push(&words[first..=n]);
            (first, length) = (n + 1, 0);
        }
    }
    lines
}

fn plain(line: &[WordTime]) -> String {
    line.iter().map(|word| word.word.as_str()).collect::<Vec<_>>().join(" ")
}

fn escaped(word: &str) -> String {
    word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `00:00:01,250`, with this sign before the milliseconds.
fn time(seconds: f64, sign: char) -> String {
    let ms = (seconds * 1_000.0).round() as u64;
    format!("{:02}:{:02}:{:02}{sign}{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

/// Praat's long text format. Intervals cover the whole clip; those between words are empty.
fn text_grid(words: &[WordTime], seconds: f64) -> String {
    let mut intervals: Vec<(f64, f64, String)> = Vec::new();
    let mut at = 0.0;
    for word in words.iter().filter(|word| word.end > word.start) {
        let start = word.start.max(at);
        if start > at {
            intervals.push((at, start, String::new()));
        }
        intervals.push((start, word.end.max(start), word.word.replace('"', "\"\"")));
        at = word.end.max(start);
    }
    if seconds > at || intervals.is_empty() {
        intervals.push((at, seconds, String::new()));
    }
    let mut text = format!(
        "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = {seconds:.3}\ntiers? <exists>\nsize = 1\nitem []:\n    \
         item [1]:\n        class = \"IntervalTier\"\n        name = \"words\"\n        xmin = 0\n        xmax = {seconds:.3}\n        \
         intervals: size = {}\n",
        intervals.len()
    );
    for (n, (start, end, word)) in intervals.iter().enumerate() {
        text += &format!(
            "        intervals [{}]:\n            xmin = {start:.3}\n            xmax = {end:.3}\n            text = \"{word}\"\n",
            n + 1
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Vec<WordTime> {
        let word = |word: &str, start: f64, end: f64| WordTime {
            word: word.into(),
            written: 0..0,
            start,
            end,
            confidence: 0.9,
        };
        vec![word("Hello", 0.0, 0.4), word("<you>.", 0.4, 1.0), word("Say", 1.2, 1.5), word("\"hi\"", 1.5, 2.0)]
    }

    #[test]
    fn subtitles_have_a_line_for_each_sentence() {
        let srt = WordFormat::Srt.text(&words(), 2.4);
        assert_eq!(
            srt,
            "1\n00:00:00,000 --> 00:00:01,000\nHello <you>.\n\n2\n00:00:01,200 --> 00:00:02,000\nSay \"hi\"\n\n"
        );
        let vtt = WordFormat::Vtt.text(&words(), 2.4);
        assert!(
            vtt.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello <00:00:00.400>&lt;you&gt;.\n\n"),
            "{vtt}"
        );
    }

    #[test]
    fn a_text_grid_covers_the_clip() {
        let grid = WordFormat::TextGrid.text(&words(), 2.4);
        assert!(grid.contains("intervals: size = 6") && grid.contains("text = \"\"\"hi\"\"\""), "{grid}");
        assert!(grid.trim_end().ends_with("text = \"\"") && grid.contains("xmax = 2.400"), "{grid}");
        assert!(WordFormat::TextGrid.text(&[], 1.0).contains("intervals: size = 1"));
    }

    #[test]
    fn json_has_the_times_in_seconds() {
        let json: serde_json::Value = serde_json::from_str(&WordFormat::Json.text(&words(), 2.4)).unwrap();
        assert_eq!(json["words"][1]["start"], 0.4);
        assert_eq!(json["words"][3]["word"], "\"hi\"");
        assert_eq!(WordFormat::of_ending("textgrid"), Some(WordFormat::TextGrid));
    }
}
