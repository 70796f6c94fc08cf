//! Conditions of a test by what takes were made with.

use std::collections::{BTreeMap, BTreeSet};

use super::{Condition, PlannedSound};
use crate::error::{Error, Result};

/// The setting by which the conditions of a test differ.
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
            Self::Codebooks => Some(Self::codebook_condition(take.codebooks)),
        }
    }

    /// The condition of takes that are decoded from their first `count` codebooks; `None` for all.
    pub fn codebook_condition(count: Option<usize>) -> String {
        match count {
            None => "all codebooks".into(),
            Some(1) => "the first codebook".into(),
            Some(n) => format!("the first {n} codebooks"),
        }
    }

    /// The conditions of these takes, each with the same items in the same order, and what was left out. Takes are compared that are alike
    /// in every setting except the one by which the conditions differ; where a condition has one more often than another, the ones that are too many
    /// are left out.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if fewer than two conditions are left, or no take of one is like a take of every other one.
    pub fn conditions(self, takes: &[TakeSound]) -> Result<(Vec<Condition>, Vec<String>)> {
        let mut found: Vec<(String, BTreeMap<String, Vec<&TakeSound>>)> = Vec::new();
        for (place, take) in takes.iter().enumerate() {
            let Some(condition) = self.condition(take, place) else { continue };
            let known = found.iter().position(|(name, _)| *name == condition);
            let at = known.unwrap_or_else(|| {
                found.push((condition, BTreeMap::new()));
                found.len() - 1
            });
            found[at].1.entry(self.item(take)).or_default().push(take);
        }
        if found.len() < 2 {
            let got = found.first().map_or("none that say".to_owned(), |(name, _)| format!("only {name:?}"));
            let expected = format!("takes that differ in their {}", self.name());
            return Err(Error::invalid("takes", expected, got));
        }
        let items: Vec<String> = found[0].1.keys().cloned().collect();
        let often = |item: &String| found.iter().map(|(_, items)| items.get(item).map_or(0, Vec::len)).min();
        let common: Vec<(String, usize)> =
            items.into_iter().filter_map(|item| often(&item).filter(|n| *n > 0).map(|n| (item, n))).collect();
        if common.is_empty() {
            return Err(self.nothing_in_common(&found, takes));
        }
        let chosen = |items: &BTreeMap<String, Vec<&TakeSound>>| -> Vec<TakeSound> {
            common.iter().flat_map(|(item, often)| &items[item][..*often]).map(|take| (*take).clone()).collect()
        };
        let chosen: Vec<(String, Vec<TakeSound>)> =
            found.iter().map(|(name, items)| (name.clone(), chosen(items))).collect();
        let warnings = self.warnings(takes, &chosen);
        let sounds = |takes: Vec<TakeSound>| takes.into_iter().map(|take| take.sound).collect();
        Ok((chosen.into_iter().map(|(name, takes)| (name, sounds(takes))).collect(), warnings))
    }

    /// Settings that a take has to share with the takes that it is compared with: every setting except the one by which the conditions differ. Of takes as
    /// conditions each one is asked about, whatever it says.
    fn item(self, take: &TakeSound) -> String {
        let shared = self.shared(take);
        shared.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// The settings of a take, without the one by which the conditions differ.
    fn shared(self, take: &TakeSound) -> Vec<(&'static str, String)> {
        if self == Self::Takes {
            return Vec::new();
        }
        let sampling = take.sound.sampling;
        let settings = [
            ("text", take.text.clone(), true),
            ("speaker", take.speaker.map(|s| s.to_string()), self != Self::Voices),
            ("model", take.model.clone(), self != Self::Models),
            ("mode", sampling.map(|s| s.mode.name().to_owned()), self != Self::Modes),
            ("seed", sampling.map(|s| s.seed.to_string()), self != Self::Seeds),
            ("temperature", sampling.map(|s| s.codebook0.temperature.to_string()), self != Self::Temperatures),
            ("top-k", sampling.map(|s| s.codebook0.top_k.to_string()), true),
            ("other codebooks' settings", sampling.map(|s| format!("{:?}", s.depth)), self != Self::Temperatures),
            ("guard", sampling.map(|s| format!("{:?}", s.guard)), true),
        ];
        let kept = settings.into_iter().filter(|(_, _, shared)| *shared);
        kept.map(|(name, value, _)| (name, value.unwrap_or_else(|| "unknown".into()))).collect()
    }

    /// No take of a condition is like one of every other: says which settings differ.
    fn nothing_in_common(self, found: &[(String, BTreeMap<String, Vec<&TakeSound>>)], takes: &[TakeSound]) -> Error {
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (name, value) in takes.iter().flat_map(|take| self.shared(take)) {
            values.entry(name).or_default().insert(value);
        }
        let differing: Vec<&str> = values.iter().filter(|(_, v)| v.len() > 1).map(|(name, _)| *name).collect();
        let expected =
            format!("takes that are alike in all but their {}, one in each of {}", self.name(), names.join(", "));
        Error::invalid("takes", expected, format!("takes that differ in their {}, too", differing.join(", ")))
    }

    /// Takes that were left out, and settings that differ with the conditions though they are not what is compared.
    fn warnings(self, takes: &[TakeSound], chosen: &[(String, Vec<TakeSound>)]) -> Vec<String> {
        let used: BTreeSet<&str> =
            chosen.iter().flat_map(|(_, takes)| takes.iter().map(|take| take.sound.source.as_str())).collect();
        let left: Vec<&str> =
            takes.iter().map(|take| take.sound.source.as_str()).filter(|source| !used.contains(source)).collect();
        let mut warnings = Vec::new();
        if !left.is_empty() {
            warnings.push(format!(
                "left out, as not every condition has a take with the same settings: {}",
                left.join(", ")
            ));
        }
        let precisions = |takes: &[TakeSound]| -> BTreeSet<&str> {
            takes.iter().filter_map(|take| Some(take.sound.sampling?.precision.name())).collect()
        };
        let of_each: Vec<_> = chosen.iter().map(|(name, takes)| (name, precisions(takes))).collect();
        if !matches!(self, Self::Models | Self::Takes) && of_each.iter().any(|(_, p)| *p != of_each[0].1) {
            let each = of_each
                .iter()
                .map(|(name, p)| format!("{name}: {}", p.iter().copied().collect::<Vec<_>>().join(" and ")));
            warnings
                .push(format!("the precision differs with the conditions ({})", each.collect::<Vec<_>>().join(", ")));
        }
        warnings
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
            sound: PlannedSound::mono(source, vec![0.1; 24_000], 24_000, Some(sampling)),
        }
    }

    #[test]
    fn takes_that_differ_in_nothing_else_stand_beside_each_other() {
        let takes = [
            take("b", Mode::Exact, 1),
            take("a", Mode::Exact, 2),
            take("a", Mode::Native, 2),
            take("a", Mode::Native, 4),
            take("only exact", Mode::Exact, 5),
            take("b", Mode::Native, 1),
        ];
        let (conditions, warnings) = Template::Modes.conditions(&takes).unwrap();
        let sources: Vec<(&str, Vec<&str>)> = conditions
            .iter()
            .map(|(name, sounds)| (name.as_str(), sounds.iter().map(|s| s.source.as_str()).collect()))
            .collect();
        assert_eq!(sources, [("exact", vec!["a exact 2", "b exact 1"]), ("native", vec!["a native 2", "b native 1"])]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("a native 4, only exact exact 5"), "{warnings:?}");
        assert_eq!(Template::Takes.conditions(&takes).unwrap().0.len(), 6);
    }

    #[test]
    fn takes_that_cannot_be_compared_are_refused() {
        let same = [take("a", Mode::Exact, 1), take("b", Mode::Exact, 1)];
        let problem = |template: Template, takes: &[TakeSound]| template.conditions(takes).unwrap_err().to_string();
        assert!(problem(Template::Modes, &same).contains("only \"exact\""));
        let apart = [take("a", Mode::Exact, 1), take("b", Mode::Native, 1)];
        assert!(problem(Template::Modes, &apart).contains("differ in their text, too"));
        let seeds = [
            take("a", Mode::Native, 1),
            take("a", Mode::Native, 2),
            take("a", Mode::Exact, 3),
            take("a", Mode::Exact, 4),
        ];
        assert!(
            problem(Template::Modes, &seeds).contains("differ in their seed, too"),
            "{}",
            problem(Template::Modes, &seeds)
        );
    }

    #[test]
    fn codebook_counts_end_with_all() {
        assert_eq!(Template::codebook_counts(32), [Some(4), Some(8), Some(16), None]);
        assert_eq!(Template::codebook_counts(6), [Some(1), Some(2), Some(3), None]);
        assert_eq!(Template::codebook_counts(1), [None]);
    }
}
