use serde::Deserialize;

/// The characters that a voice can read, as `text_profile.json` next to its weights says. Without the file a text is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextProfile {
    /// The language in whose words numbers, times, dates, sums of money, units and signs are spelled out: `en`.
    #[serde(default)]
    pub spell_out: Option<Language>,
    /// Whether the voice reads the Latin alphabet only.
    #[serde(default)]
    pub latin_only: bool,
    /// Whether a piece without a stop at its end gets one.
    #[serde(default)]
    pub final_stop: bool,
    /// Longest piece that it speaks well, characters.
    #[serde(default)]
    pub longest_piece: Option<usize>,
}

/// A language that numbers can be spelled out in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Language {
    /// English words for numbers and signs.
    #[serde(rename = "en")]
    English,
}
