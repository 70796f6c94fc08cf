//! Conditions of a test by what takes were made with.

use std::collections::BTreeMap;

use super::PlannedSound;
use crate::error::{Error, Result};

/// What tells the conditions of a test apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// Each take is a condition.
    Takes,
    /// One condition per sampling mode.
    Modes,
    /// One condition per seed.
    Seeds,
    /// One condition per temperature of codebook 0.
    Temperatures,
    /// Checkpoint and precision: float against 8 bits, one training step against another.
    Models,
    /// One condition per speaker number.
    Voices,
    /// How many codebooks are decoded.
    Codebooks,
}

impl Template {
    /// All of them, with their names on the command line and in words.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Takes, "take", "Takes"),
        (Self::Modes, "mode", "Modes"),
        (Self::Seeds, "seed", "Seeds"),
        (Self::Temperatures, "temperature", "Temperatures"),
        (Self::Models, "model", "Checkpoints and precisions"),
        (Self::Voices, "voice", "Voices"),
        (Self::Codebooks, "codebooks", "Codebook counts"),
    ];

    /// The condition of a take, in words that sort as its values do; `None` if the take does not say.
    fn condition(self, take: &TakeSound, place: usize) -> Option<String> {
        let sampling = take.sound.sampling;
        match self {
            Self::Takes => Some(format!("{}: {}", place + 1, take.name)),
            Self::Modes => sampling.map(|s| s.mode.name().to_owned()),
            Self::Seeds => sampling.map(|s| format!("seed {}", s.seed)),
            Self::Temperatures => sampling.map(|s| format!("temperature {}", s.codebook0.temperature)),
            Self::Models => {
                let precision = sampling.map_or(String::new(), |s| format!(", {}", s.precision.name()));
                take.model.as_ref().map(|model| format!("{model}{precision}"))
            }
            Self::Voices => take.speaker.map(|speaker| format!("speaker {speaker}")),
            Self::Codebooks => Some(match take.codebooks {
                None => "all codebooks".into(),
                Some(1) => "the first codebook".into(),
                Some(n) => format!("the first {n} codebooks"),
            }),
        }
    }

    /// The conditions of these takes, each with the same texts in the same order. Where a condition has a text more often than another
    /// one, the ones that are too many are left out; so is a text that a condition lacks.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if fewer than two conditions are left, or they have no text in common.
    pub fn conditions(self, takes: &[TakeSound]) -> Result<Vec<(String, Vec<PlannedSound>)>> {
        let mut found: Vec<(String, BTreeMap<String, Vec<PlannedSound>>)> = Vec::new();
        for (place, take) in takes.iter().enumerate() {
            let Some(condition) = self.condition(take, place) else { continue };
            let known = found.iter().position(|(name, _)| *name == condition);
            let at = known.unwrap_or_else(|| {
                found.push((condition, BTreeMap::new()));
                found.len() - 1
            });
            // Of takes as conditions each one is asked about, whatever it says.
            let item = if self == Self::Takes { String::new() } else { take.text.clone().unwrap_or_default() };
            found[at].1.entry(item).or_default().push(take.sound.clone());
        }
        if found.len() < 2 {
            let got = found.first().map_or("none that say".to_owned(), |(name, _)| format!("only {name:?}"));
            let expected = format!("takes that differ in their {}", self.name());
            return Err(Error::invalid("takes", expected, got));
        }
        let texts: Vec<String> = found[0].1.keys().cloned().collect();
        let common: Vec<(String, usize)> = texts
            .into_iter()
            .map(|text| {
                let often = found.iter().map(|(_, items)| items.get(&text).map_or(0, Vec::len)).min().unwrap_or(0);
                (text, often)
            })
            .filter(|(_, often)| *often > 0)
            .collect();
        if common.is_empty() {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            let expected = "a text that is spoken in every condition";
            return Err(Error::invalid("takes", expected, format!("none in all of {}", names.join(", "))));
        }
        let sounds = |items: &BTreeMap<String, Vec<PlannedSound>>| {
            common.iter().flat_map(|(text, often)| items[text][..*often].to_vec()).collect()
        };
        Ok(found.iter().map(|(name, items)| (name.clone(), sounds(items))).collect())
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(template, ..)| *template == self).map_or("", |(_, name, _)| name)
    }

    /// Counts of codebooks that are compared with all `codebooks`: an eighth, a quarter, a half; and all of them.
    pub fn codebook_counts(codebooks: usize) -> Vec<Option<usize>> {
        let mut counts: Vec<usize> = [8, 4, 2].iter().map(|part| codebooks.div_ceil(*part)).collect();
        counts.retain(|count| *count < codebooks);
        counts.dedup();
        counts.into_iter().map(Some).chain([None]).collect()
    }
}

/// A take that is to become part of a test.
#[derive(Clone, Debug)]
pub struct TakeSound {
    /// Name of the take.
    pub name: String,
    /// Text of the take.
    pub text: Option<String>,
    /// Speaker number of the take.
    pub speaker: Option<u32>,
    /// Name of the checkpoint that made it.
    pub model: Option<String>,
    /// How many codebooks its sound was decoded from; `None` for all.
    pub codebooks: Option<usize>,
    /// Waveform, origin and settings.
    pub sound: PlannedSound,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype, Mode, Sampling, SamplingParams};

    fn take(text: &str, mode: Mode, seed: u64) -> TakeSound {
        let sampling = Sampling::new(mode, SamplingParams::new(0.9, 50), seed, Dtype::Float32);
        let source = format!("{text} {} {seed}", mode.name());
        TakeSound {
            name: source.clone(),
            text: Some(text.into()),
            speaker: Some(0),
            model: Some("demo".into()),
            codebooks: None,
            sound: PlannedSound { source, samples: vec![0.1; 24_000], rate: 24_000, sampling: Some(sampling) },
        }
    }

    #[test]
    fn takes_of_one_text_stand_beside_each_other_in_every_condition() {
        let takes = [
            take("b", Mode::Exact, 1),
            take("a", Mode::Exact, 2),
            take("a", Mode::Native, 3),
            take("a", Mode::Native, 4),
            take("only exact", Mode::Exact, 5),
            take("b", Mode::Native, 6),
        ];
        let conditions = Template::Modes.conditions(&takes).unwrap();
        let sources: Vec<(&str, Vec<&str>)> = conditions
            .iter()
            .map(|(name, sounds)| (name.as_str(), sounds.iter().map(|s| s.source.as_str()).collect()))
            .collect();
        assert_eq!(sources, [("exact", vec!["a exact 2", "b exact 1"]), ("native", vec!["a native 3", "b native 6"])]);
        assert_eq!(Template::Takes.conditions(&takes).unwrap().len(), 6);
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let same = [take("a", Mode::Exact, 1), take("b", Mode::Exact, 1)];
        let problem = |template: Template, takes: &[TakeSound]| template.conditions(takes).unwrap_err().to_string();
        assert!(problem(Template::Modes, &same).contains("only \"exact\""));
        let apart = [take("a", Mode::Exact, 1), take("b", Mode::Native, 1)];
        assert!(problem(Template::Modes, &apart).contains("none in all of exact, native"));
    }

    #[test]
    fn codebook_counts_end_with_all() {
        assert_eq!(Template::codebook_counts(32), [Some(4), Some(8), Some(16), None]);
        assert_eq!(Template::codebook_counts(6), [Some(1), Some(2), Some(3), None]);
        assert_eq!(Template::codebook_counts(1), [None]);
    }
}
