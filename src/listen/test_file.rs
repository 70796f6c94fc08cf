//! A listening test: its sounds, its trials and its lists, in one file.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::kind::{TestKind, TestKindInfo};
use super::plan::{LISTS, TrialPlan};
use super::sounds::{Anchor, Condition, LoudnessMatch, PlannedSound, pad, stimuli, unify};
use super::stimulus::{Stimulus, hash};
use super::study::Study;
use super::trial::{Choice, Presentation, Trial};
use crate::audio::recording::{self, Length};
use crate::data::RepeatableRandom;
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, open_regular, read_file, write_atomically};

/// Name and version of the format.
const FORMAT: &str = "csm-listening-test/2";
/// The version before, which is still read: no lists, no study.
const FORMAT_1: &str = "csm-listening-test/1";
/// The name alone, which is at the start of the file.
const FORMAT_NAME: &str = "csm-listening-test";
/// Name of the condition of the sounds that check attention.
const ATTENTION: &str = "(attention check)";

/// A listening test with all its sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListeningTest {
    /// The format's name and version.
    pub format: String,
    /// Kind of the test.
    pub kind: TestKind,
    /// The question as the listener reads it.
    pub question: String,
    /// Names of the conditions; a listener does not see them.
    pub conditions: Vec<String>,
    /// Sounds of the test, by their index. Their order is drawn, so that an index reveals nothing.
    pub stimuli: Vec<Stimulus>,
    /// The trials.
    pub trials: Vec<Trial>,
    /// For each listener a list: trials in their own order, with sounds in their own places. A listener without a number gets a random list.
    #[serde(default)]
    pub lists: Vec<Vec<Presentation>>,
    /// Instructions, checks and rules.
    #[serde(default)]
    pub study: Study,
    /// Seed of the orders and places.
    pub seed: u64,
    /// Version of the program that made it.
    pub version: String,
}

/// The design of a test.
#[derive(Clone, Debug)]
pub struct TestPlan {
    /// Kind of the test.
    pub kind: TestKind,
    /// The question; empty for the usual one.
    pub question: String,
    /// Conditions: a name and a sound of each item, in the same order.
    pub conditions: Vec<Condition>,
    /// Trials of each item and pair (ABX, preference, comparison) or each item (the others); `None` for the kind's usual number.
    pub repetitions: Option<usize>,
    /// Trials of each list that are asked once more.
    pub repeats: usize,
    /// Trials for practice at the start.
    pub training: usize,
    /// Conditions that are added.
    pub anchors: Vec<Anchor>,
    /// The condition that each rating shows as an open reference, too.
    pub reference: Option<String>,
    /// Whether each rating has one of its sounds twice, under two letters: an attentive listener rates both alike (ITU-R BS.2132's
    /// hidden repeat). The conditions take turns at it.
    pub hidden_repeat: bool,
    /// Sounds that check attention, with the only right answer.
    pub attention: Vec<(PlannedSound, Choice)>,
    /// Which sounds are brought to one loudness.
    pub loudness: LoudnessMatch,
    /// Whether shorter sounds of an item end with silence.
    pub pad: bool,
    /// Items that each listener hears; all if `None`.
    pub items_per_listener: Option<usize>,
    /// Instructions, checks and rules.
    pub study: Study,
    /// Seed of the orders and places.
    pub seed: u64,
}

impl TestPlan {
    /// A plan without anything but its sounds.
    pub fn new(kind: TestKind, conditions: Vec<Condition>, seed: u64) -> Self {
        Self {
            kind,
            question: String::new(),
            conditions,
            repetitions: None,
            repeats: 0,
            training: 0,
            anchors: Vec::new(),
            reference: None,
            hidden_repeat: false,
            attention: Vec::new(),
            loudness: LoudnessMatch::default(),
            pad: false,
            items_per_listener: None,
            study: Study::default(),
            seed,
        }
    }

    fn items(&self) -> usize {
        self.conditions.first().map_or(0, |(_, sounds)| sounds.len())
    }

    /// Checks what does not depend on the sounds.
    fn check(&self) -> Result<()> {
        let (items, info) = (self.items(), self.kind.info());
        check_conditions(&self.conditions, &self.anchors, info)?;
        let refuse = |what: &'static str, expected: String, got: String| Err(Error::invalid(what, expected, got));
        if self.hidden_repeat && !info.can_repeat_sounds {
            let expected = "a rating, whose trials can have a sound twice; other kinds can repeat whole trials";
            return refuse("hidden-repeat", expected.into(), info.name.into());
        }
        if let Some(name) = &self.reference {
            if !info.can_have_reference() {
                return refuse("reference", "a rating".into(), info.name.into());
            }
            if !self.conditions.iter().any(|(other, _)| other == name) {
                let names: Vec<&str> = self.conditions.iter().map(|(name, _)| name.as_str()).collect();
                return refuse("reference", format!("one of the conditions {}", names.join(", ")), format!("{name:?}"));
            }
        }
        if self.items_per_listener.is_some_and(|n| n == 0 || n > items) {
            let got = self.items_per_listener.unwrap_or(0).to_string();
            return refuse("items-per-listener", format!("1 to {items}"), got);
        }
        if let Some((sound, choice)) = self.attention.iter().find(|(_, choice)| info.check(choice, 1).is_err()) {
            let got = format!("{} for {}", choice.words(), sound.source);
            return refuse("attention", "an opinion test, and one of its answers".into(), got);
        }
        if !self.attention.is_empty() && *info.sounds.end() != 1 {
            return refuse("attention", "an opinion test, whose trials have one sound".into(), info.name.into());
        }
        Ok(())
    }
}

/// A test that was made.
#[derive(Clone, Debug)]
pub struct MadeTest {
    /// The test itself.
    pub test: ListeningTest,
    /// Notes for the user about its sounds, each by its source.
    pub warnings: Vec<String>,
}

impl ListeningTest {
    /// Makes a test.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the conditions do not have the same items, are too few for the kind of test, or cannot be told apart:
    /// two of one name, or with the same sound; and if the plan asks for what the kind of test cannot have.
    pub fn make(plan: &TestPlan) -> Result<MadeTest> {
        plan.check()?;
        let (items, info) = (plan.items(), plan.kind.info());
        let reference = plan.reference.as_ref().and_then(|name| plan.conditions.iter().position(|(n, _)| n == name));
        let mut warnings = Vec::new();
        let mut conditions = plan.conditions.clone();
        let anchored = plan.conditions[reference.unwrap_or(0)].1.clone();
        conditions.extend(plan.anchors.iter().map(|anchor| anchor.condition(&anchored)));
        let counted = conditions.len();
        let attention: Vec<PlannedSound> = plan.attention.iter().map(|(sound, _)| sound.clone()).collect();
        let mut attention = vec![(ATTENTION.to_owned(), attention)];
        unify(&mut conditions, &mut warnings)?;
        if !plan.attention.is_empty() {
            unify(&mut attention, &mut warnings)?;
        }
        pad(&mut conditions, plan.pad, &mut warnings);
        let mut sounds = stimuli(&conditions, plan.loudness, &mut warnings)?;
        let checks = stimuli(&attention, LoudnessMatch::Off, &mut warnings)?;
        sounds.extend(checks.into_iter().map(|s| Stimulus { item: items + s.item, condition: counted, ..s }));
        let mut random = RepeatableRandom::new(plan.seed);
        // An index must not tell the condition.
        random.shuffle(&mut sounds);
        let check = |(n, (_, choice)): (usize, &(PlannedSound, Choice))| {
            let at = sounds.iter().position(|s| (s.item, s.condition) == (items + n, counted));
            Trial { stimuli: at.into_iter().collect(), expected: Some(choice.clone()), ..Trial::default() }
        };
        let trial_plan = TrialPlan {
            kind: plan.kind,
            stimuli: &sounds,
            items,
            conditions: counted,
            repetitions: plan.repetitions.unwrap_or_else(|| info.usual_repetitions(items)),
            repeats: plan.repeats,
            training: plan.training,
            hidden_repeat: plan.hidden_repeat,
            reference,
            attention: plan.attention.iter().enumerate().map(check).collect(),
            items_per_listener: plan.items_per_listener,
            lists: plan.study.listeners.max(LISTS),
        };
        let trials = trial_plan.trials(&mut random);
        let asked = trials.iter().filter(|trial| trial.counts()).count();
        for (what, number) in [("repeats", plan.repeats), ("training", plan.training)] {
            // A list holds the repeated trials in its first half.
            let most = if what == "repeats" { asked / 2 } else { asked };
            if number > most {
                return Err(Error::invalid(what, format!("at most {most} of the {asked} trials"), number));
            }
        }
        let lists = trial_plan.lists(&trials, &mut random);
        let question = if plan.question.is_empty() {
            plan.study.language.kind(plan.kind).0.unwrap_or_else(|| info.question.into())
        } else {
            plan.question.clone()
        };
        let mut names: Vec<String> = conditions.into_iter().map(|(name, _)| name).collect();
        if !plan.attention.is_empty() {
            names.push(ATTENTION.into());
        }
        let test = Self {
            format: FORMAT.into(),
            kind: plan.kind,
            question,
            conditions: names,
            stimuli: sounds,
            trials,
            lists,
            study: plan.study.clone(),
            seed: plan.seed,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        Ok(MadeTest { test, warnings })
    }

    /// Whether the file at `path` starts with the format's name.
    pub fn has_magic(path: &Path) -> bool {
        let mut start = [0; 64];
        let read = open_regular(path).ok().and_then(|mut file| std::io::Read::read(&mut file, &mut start).ok());
        read.is_some_and(|n| String::from_utf8_lossy(&start[..n]).contains(FORMAT_NAME))
    }

    /// Reads and checks a test.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::InvalidFile`] with what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        let test: Self =
            serde_json::from_slice(&bytes).map_err(|e| Error::parse(path, "expected a listening test", e))?;
        if ![FORMAT, FORMAT_1].contains(&test.format.as_str()) {
            return Err(Error::file(path, format!("expected the format {FORMAT}, got {:?}", test.format)));
        }
        test.check().map_err(|problem| Error::file(path, problem))?;
        for (n, stimulus) in test.stimuli.iter().enumerate() {
            let wav = test.wav(n).map_err(|e| Error::parse(path, format!("sound {} is damaged", n + 1), e))?;
            if hash(&wav) != stimulus.sha256 {
                return Err(Error::file(path, format!("sound {} is not the one that the test was made with", n + 1)));
            }
        }
        Ok(test)
    }

    /// Checks everything that is indexed with, before anything is.
    fn check(&self) -> std::result::Result<(), String> {
        let (info, sounds) = (self.kind.info(), self.stimuli.len());
        for (n, stimulus) in self.stimuli.iter().enumerate() {
            if stimulus.condition >= self.conditions.len() || stimulus.item >= sounds {
                return Err(format!("sound {} is of a condition or an item that does not exist", n + 1));
            }
        }
        for (n, trial) in self.trials.iter().enumerate() {
            let repeats = trial.repeats.is_none_or(|first| first < n && self.trials[first].counts());
            if !(info.fits(trial) && trial.stimuli.iter().all(|s| *s < sounds) && repeats) {
                let problem = "does not fit the kind of the test, or names a sound or a trial that does not exist";
                return Err(format!("trial {} {problem}", n + 1));
            }
        }
        for (n, list) in self.lists.iter().enumerate() {
            let mut met = std::collections::BTreeSet::new();
            let fits = |p: &Presentation| {
                self.trials.get(p.trial).is_some_and(|trial| trial.has_presentation(&p.stimuli, p.x))
            };
            if list.is_empty() || !list.iter().all(|p| fits(p) && met.insert(p.trial)) {
                return Err(format!("list {} does not fit the trials", n + 1));
            }
        }
        if self.trials.is_empty() { Err("it has no trial".into()) } else { Ok(()) }
    }

    /// Writes the test, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec(self).unwrap_or_default(); // plain data, which always has a JSON form
        write_atomically(path, &json)
    }

    /// SHA-256 of all that bears on the conclusions, by which results identify their test.
    pub fn sha256(&self) -> String {
        let sounds: Vec<&str> = self.stimuli.iter().map(|s| s.sha256.as_str()).collect();
        let asked = (&self.format, self.kind, &self.question, &self.conditions, sounds, &self.trials, self.seed);
        let places: Vec<(usize, usize)> = self.stimuli.iter().map(|s| (s.item, s.condition)).collect();
        let json = match self.format == FORMAT_1 {
            true => serde_json::to_string(&asked),
            false => serde_json::to_string(&(asked, places, &self.lists, &self.study)),
        };
        hash(json.unwrap_or_default().as_bytes()) // plain data, which always has a JSON form
    }

    /// The list of a number; of a test without lists, its trials as they are.
    pub fn list(&self, number: usize) -> Vec<Presentation> {
        match self.lists.len() {
            0 => self.trials_as_they_are(),
            lists => self.lists[number % lists].clone(),
        }
    }

    /// The trials in the order of the file.
    pub(super) fn trials_as_they_are(&self) -> Vec<Presentation> {
        let as_it_is = |(trial, t): (usize, &Trial)| Presentation { trial, stimuli: t.stimuli.clone(), x: t.x };
        self.trials.iter().enumerate().map(as_it_is).collect()
    }

    /// Trials of a list, at most.
    pub fn trials_per_listener(&self) -> usize {
        self.lists.iter().map(Vec::len).max().unwrap_or(self.trials.len())
    }

    /// Seconds that a listener needs at least: every sound once, and a few for each answer.
    pub fn expected_seconds(&self) -> f64 {
        const FOR_AN_ANSWER: f64 = 4.0;
        let seconds = |p: &Presentation| {
            let trial = self.trials[p.trial].presented(&p.stimuli, p.x);
            trial.buttons().iter().map(|n| self.stimuli[*n].seconds).sum::<f64>() + FOR_AN_ANSWER
        };
        self.list(0).iter().map(seconds).sum()
    }

    /// Names of the conditions that are compared: without the one of the checks of attention.
    pub(super) fn compared(&self) -> &[String] {
        match self.conditions.split_last() {
            Some((last, others)) if last == ATTENTION => others,
            _ => &self.conditions,
        }
    }

    /// Items of the trials that count.
    pub(super) fn counted_items(&self) -> usize {
        let counted = self.trials.iter().filter(|trial| trial.counts());
        counted.map(|trial| self.stimuli[trial.stimuli[0]].item).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// The condition that ratings show as their reference.
    pub fn reference(&self) -> Option<usize> {
        let rating = self.kind.info().can_have_reference();
        let trial = self.trials.iter().find(|trial| rating && trial.x.is_some())?;
        Some(self.stimuli[trial.stimuli[trial.x?]].condition)
    }

    /// The condition that is the low anchor.
    pub(super) fn low_anchor(&self) -> Option<usize> {
        self.conditions.iter().position(|name| name == Anchor::Low.name())
    }

    /// The WAV file of a sound.
    ///
    /// # Errors
    /// Where it is not base64.
    pub fn wav(&self, stimulus: usize) -> std::result::Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(&self.stimuli[stimulus].wav)
    }

    /// The sounds at the test's own rate, for the terminal and the window, which play mono. `path` is the test's file, for messages.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] for sounds that cannot be decoded, and for stereo: mixing it down would change what is compared.
    pub fn mono_sounds(&self, path: &Path) -> Result<Vec<(Vec<f32>, usize)>> {
        let decode = |n: usize| {
            let damaged =
                |e: &dyn std::fmt::Display| Error::file(path, format!("sound {} cannot be decoded: {e}", n + 1));
            let bytes = self.wav(n).map_err(|e| damaged(&e))?;
            let sound = recording::decode_native(path, &bytes, Length::Whole).map_err(|e| damaged(&e))?;
            if sound.channels != 1 {
                let problem = format!(
                    "its sounds have {} channels, and only its page plays more than one; open the page in a browser (`csm listen new --page`)",
                    sound.channels
                );
                return Err(Error::file(path, problem));
            }
            Ok((sound.samples, sound.rate))
        };
        (0..self.stimuli.len()).map(decode).collect()
    }
}

/// Checks that there are enough conditions with the same items, and that no two have one name, or one sound of an item: nobody could
/// tell them apart, and votes would count for chance.
fn check_conditions(conditions: &[Condition], anchors: &[Anchor], info: &TestKindInfo) -> Result<()> {
    let items = conditions.first().map_or(0, |(_, sounds)| sounds.len());
    let (least, most) = (*info.conditions.start(), *info.conditions.end());
    let all = conditions.len() + anchors.len();
    if all < least || items == 0 {
        let got = format!("{all} with {items} sounds");
        return Err(Error::invalid("condition", format!("at least {least} conditions with a sound each"), got));
    }
    if all > most {
        let expected = format!("at most {most} conditions for a test of the kind {}", info.name);
        return Err(Error::invalid("condition", expected, all));
    }
    if let Some((name, sounds)) = conditions.iter().find(|(_, sounds)| sounds.len() != items) {
        let got = format!("{} in {name:?}", sounds.len());
        return Err(Error::invalid("condition", format!("{items} sounds in each, in the same order"), got));
    }
    for (n, (name, sounds)) in conditions.iter().enumerate() {
        let is_taken = anchors.iter().any(|anchor| anchor.name() == name) || name == ATTENTION;
        if is_taken || conditions[..n].iter().any(|(other, _)| other == name) {
            return Err(Error::invalid("condition", "names that differ", format!("{name:?} twice")));
        }
        for (other, others) in &conditions[..n] {
            let mut pairs = others.iter().zip(sounds);
            if let Some((a, b)) = pairs.find(|(a, b)| (a.rate, &a.samples) == (b.rate, &b.samples)) {
                let got = format!("the same sound in {other:?} ({}) and {name:?} ({})", a.source, b.source);
                return Err(Error::invalid("condition", "sounds that differ", got));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::audio::loudness::Loudness;
    use crate::audio::recording;

    pub(crate) fn plan(kind: TestKind, conditions: usize, items: usize, repetitions: usize) -> TestPlan {
        let sound = |condition: usize, item: usize| {
            let amplitude = 0.1 * (condition + 1) as f32;
            let samples = (0..12_000).map(|n| amplitude * (n as f32 * (0.05 + 0.01 * item as f32)).sin()).collect();
            PlannedSound::mono(format!("{condition}-{item}.wav"), samples, 24_000, None)
        };
        let sounds = |condition| (0..items).map(|item| sound(condition, item)).collect();
        let conditions = (0..conditions).map(|c| (format!("condition {c}"), sounds(c))).collect();
        TestPlan { repetitions: Some(repetitions), ..TestPlan::new(kind, conditions, 7) }
    }

    pub(crate) fn made(plan: &TestPlan) -> ListeningTest {
        ListeningTest::make(plan).unwrap().test
    }

    /// The problem with a plan.
    fn refused(plan: &TestPlan, why: &str) {
        let error = ListeningTest::make(plan).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn conditions_that_cannot_be_told_apart_are_refused() {
        let mut named = plan(TestKind::Preference, 2, 2, 1);
        named.conditions[1].0 = "condition 0".into();
        refused(&named, "\"condition 0\" twice");
        let mut same = plan(TestKind::Preference, 2, 2, 1);
        same.conditions[1].1[1] = same.conditions[0].1[1].clone();
        refused(&same, "the same sound in \"condition 0\" (0-1.wav)");
        let mut anchored = TestPlan { anchors: vec![Anchor::Low], ..plan(TestKind::Rating, 2, 1, 1) };
        anchored.conditions[0].0 = Anchor::Low.name().into();
        refused(&anchored, "twice");
    }

    #[test]
    fn what_a_kind_cannot_have_is_refused() {
        refused(&TestPlan { hidden_repeat: true, ..plan(TestKind::Preference, 2, 2, 1) }, "repeat whole trials");
        refused(&TestPlan { reference: Some("condition 0".into()), ..plan(TestKind::Opinion, 2, 2, 1) }, "a rating");
        refused(
            &TestPlan { reference: Some("other".into()), ..plan(TestKind::Rating, 2, 2, 1) },
            "condition 0, condition 1",
        );
        refused(&TestPlan { repeats: 3, ..plan(TestKind::Abx, 2, 1, 4) }, "at most 2 of the 4 trials");
        refused(&TestPlan { items_per_listener: Some(5), ..plan(TestKind::Opinion, 2, 4, 1) }, "1 to 4");
        refused(&plan(TestKind::Rating, 13, 1, 1), "at most 12");
        for (kind, conditions, items) in [(TestKind::Abx, 3, 1), (TestKind::Abx, 1, 1), (TestKind::Rating, 2, 0)] {
            assert!(ListeningTest::make(&plan(kind, conditions, items, 1)).is_err());
        }
        let mut uneven = plan(TestKind::Preference, 2, 2, 1);
        uneven.conditions[1].1.pop();
        refused(&uneven, "in each");
        let mut broken = plan(TestKind::Rating, 2, 2, 1);
        broken.conditions[1].1[0].samples[5] = f32::NAN;
        refused(&TestPlan { anchors: vec![Anchor::Low], ..broken }, "NaN");
    }

    #[test]
    fn odd_sounds_are_named() {
        let mut odd = plan(TestKind::Preference, 2, 1, 1);
        odd.conditions[0].1[0].samples.truncate(2_000);
        odd.conditions[1].1[0].samples[7] = 3.0;
        let warnings = ListeningTest::make(&odd).unwrap().warnings;
        assert!(warnings[0].contains("item 1: the sounds differ in length by more than 40 ms"), "{warnings:?}");
        assert!(warnings[1].starts_with("0-0.wav: has no loudness"), "{warnings:?}");
        odd.pad = true;
        odd.loudness = LoudnessMatch::Off;
        let MadeTest { test, warnings } = ListeningTest::make(&odd).unwrap();
        assert_eq!(warnings, ["1-0.wav: 1 samples are louder than full scale and are clipped"]);
        assert_eq!(test.stimuli[0].seconds, test.stimuli[1].seconds);
    }

    /// Sounds keep the rate and the channels that all have.
    #[test]
    fn wide_and_stereo_sounds_stay_what_they_are() {
        let at = |rate: usize, channels: usize| {
            let mut plan = plan(TestKind::Preference, 2, 1, 1);
            for (_, sounds) in &mut plan.conditions {
                (sounds[0].rate, sounds[0].channels) = (rate, channels);
                sounds[0].samples = sounds[0].samples.repeat(4);
            }
            plan
        };
        let read = |made: &MadeTest, condition: usize| {
            let n = made.test.stimuli.iter().position(|s| s.condition == condition).unwrap();
            let bytes = made.test.wav(n).unwrap();
            recording::decode_native(Path::new("a.wav"), &bytes, Length::Whole).unwrap()
        };
        let made = ListeningTest::make(&at(48_000, 2)).unwrap();
        assert_eq!((read(&made, 0).rate, read(&made, 0).channels, made.warnings.len()), (48_000, 2, 0));
        let error = made.test.mono_sounds(Path::new("t.json")).unwrap_err().to_string();
        assert!(error.contains("2 channels") && error.contains("page"), "{error}");
        let mut mixed = at(48_000, 2);
        (mixed.conditions[1].1[0].rate, mixed.conditions[1].1[0].channels) = (24_000, 1);
        mixed.pad = true;
        let made = ListeningTest::make(&mixed).unwrap();
        assert_eq!((read(&made, 0).rate, read(&made, 1).rate, read(&made, 0).channels), (24_000, 24_000, 1));
        assert!(made.warnings[0].starts_with("0-0.wav: its 2 channels are mixed down"), "{:?}", made.warnings);
        assert!(made.warnings[1].starts_with("0-0.wav: is resampled from 48000 to 24000 Hz"), "{:?}", made.warnings);
    }

    #[test]
    fn orders_and_places_are_drawn_for_each_listener_and_balanced() {
        let test = made(&plan(TestKind::Abx, 2, 2, 8));
        assert_eq!((test.trials.len(), test.lists.len()), (16, LISTS));
        assert_eq!(test, made(&plan(TestKind::Abx, 2, 2, 8)));
        assert_ne!(test.lists, made(&TestPlan { seed: 8, ..plan(TestKind::Abx, 2, 2, 8) }).lists);
        assert!((1..LISTS).all(|n| test.lists[n] != test.lists[0]));
        for list in &test.lists {
            let first = list.iter().filter(|p| test.stimuli[p.stimuli[0]].condition == 0).count();
            assert_eq!((list.len(), first), (16, 8), "A is each condition as often");
        }
        // X is a coin: the counts of lists differ as those of coins do.
        let xs: Vec<usize> = test.lists.iter().map(|list| list.iter().filter(|p| p.x == Some(0)).count()).collect();
        let (all, counts): (usize, std::collections::BTreeSet<usize>) = (xs.iter().sum(), xs.iter().copied().collect());
        assert!((150..=234).contains(&all) && counts.len() > 3, "{xs:?}");

        let rating = made(&plan(TestKind::Rating, 4, 1, 40));
        let neighbours: std::collections::BTreeSet<(usize, usize)> =
            rating.trials.iter().flat_map(|t| t.stimuli.windows(2).map(|pair| (pair[0], pair[1]))).collect();
        assert_eq!(neighbours.len(), 12, "every condition follows every other one");
        let mut places: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for presentation in rating.lists.iter().flatten() {
            presentation.stimuli.iter().enumerate().for_each(|(place, n)| *places.entry((place, *n)).or_default() += 1);
        }
        assert!(places.len() == 16 && places.values().all(|n| *n == 240), "{places:?}");
        assert_eq!(made(&plan(TestKind::Preference, 3, 2, 2)).trials.len(), 3 * 2 * 2);
    }

    /// Items do not follow themselves, repeats come late, practice comes first.
    #[test]
    fn a_list_is_in_a_sensible_order() {
        let opinions = made(&TestPlan { repeats: 3, training: 2, ..plan(TestKind::Opinion, 3, 5, 1) });
        assert_eq!(opinions.trials.len(), 15 + 3 + 2);
        for list in &opinions.lists {
            assert!(list[..2].iter().all(|p| opinions.trials[p.trial].training));
            let at = |trial: usize| list.iter().position(|p| p.trial == trial).unwrap();
            for (n, trial) in opinions.trials.iter().enumerate() {
                if let Some(first) = trial.repeats {
                    assert!(at(n) > at(first) && at(n) >= 2 + 8, "{} {}", at(n), at(first));
                }
            }
        }
        let plain = made(&plan(TestKind::Opinion, 3, 5, 1));
        for list in &plain.lists {
            let items: Vec<usize> = list.iter().map(|p| plain.stimuli[p.stimuli[0]].item).collect();
            let same = items.windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert!(same <= 1, "{items:?}");
        }
    }

    /// Each listener hears some of the items, and every item is heard by equally many.
    #[test]
    fn a_large_pool_is_shared_out_evenly() {
        let study = Study { listeners: 40, ..Study::default() };
        let test = made(&TestPlan { items_per_listener: Some(3), study, ..plan(TestKind::Opinion, 2, 8, 1) });
        assert_eq!(test.lists.len(), 40);
        let mut heard = BTreeMap::new();
        for list in &test.lists {
            assert_eq!(list.len(), 6);
            list.iter().for_each(|p| *heard.entry(test.stimuli[p.stimuli[0]].item).or_insert(0) += 1);
        }
        assert!(heard.len() == 8 && heard.values().all(|n| *n == 30), "{heard:?}");
    }

    #[test]
    fn sounds_are_equally_loud_over_the_test_and_tell_nothing() {
        let test = made(&plan(TestKind::Preference, 2, 2, 2));
        let loudness = |n: usize| {
            let native = recording::decode_native(Path::new("a.wav"), &test.wav(n).unwrap(), Length::Whole).unwrap();
            Loudness::measure(&native.samples, native.rate).integrated.unwrap()
        };
        assert!((1..4).all(|n| (loudness(n) - loudness(0)).abs() < 0.1));
        let bytes = test.wav(0).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("condition"));
        let opinions = made(&plan(TestKind::Opinion, 1, 2, 1));
        let levels: Vec<f64> = opinions.stimuli.iter().map(|s| s.loudness.unwrap() + s.gain_db).collect();
        assert!((levels[0] - levels[1]).abs() < 0.01, "{levels:?}");
    }

    #[test]
    fn a_test_is_read_back_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.json");
        let test = made(&plan(TestKind::Rating, 2, 2, 1));
        test.write(&path).unwrap();
        let read = ListeningTest::read(&path).unwrap();
        assert_eq!((read.sha256(), &read.trials, &read.lists), (test.sha256(), &test.trials, &test.lists));
        let refused = |change: &dyn Fn(&mut ListeningTest), why: &str| {
            let mut changed = test.clone();
            change(&mut changed);
            changed.write(&path).unwrap();
            let error = ListeningTest::read(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&|t| t.format = "other/2".into(), "csm-listening-test/2");
        refused(&|t| t.trials[1].stimuli = vec![99, 0], "trial 2");
        refused(&|t| t.trials[1].repeats = Some(1), "trial 2");
        refused(&|t| t.trials[1].repeats = Some(77), "trial 2");
        refused(&|t| t.trials.clear(), "list 1");
        refused(&|t| t.lists[3][0].trial = 9, "list 4");
        refused(&|t| t.lists[3][0].stimuli = vec![0, 0], "list 4");
        refused(&|t| t.stimuli[0].wav = STANDARD.encode("other"), "sound 1");
        refused(&|t| t.stimuli[1].condition = 5, "sound 2");
        refused(&|t| t.stimuli[1].item = usize::MAX, "sound 2");
        let mut swapped = test.clone();
        swapped.stimuli.iter_mut().for_each(|s| s.condition = 1 - s.condition);
        assert_ne!(swapped.sha256(), test.sha256(), "the labels are part of the test");
    }

    #[test]
    fn a_rating_has_one_sound_twice_and_the_conditions_take_turns_at_it() {
        let plan = TestPlan { hidden_repeat: true, ..plan(TestKind::Rating, 3, 3, 2) };
        let test = made(&plan);
        let mut repeated = [0; 3];
        for trial in &test.trials {
            let twice: Vec<usize> = (0..4).filter(|place| trial.first_place(*place).is_some()).collect();
            assert_eq!((trial.stimuli.len(), twice.len()), (4, 1));
            repeated[test.stimuli[trial.stimuli[twice[0]]].condition] += 1;
        }
        assert_eq!(repeated, [2, 2, 2]);
    }

    /// The reference has its own button and is also among the others.
    #[test]
    fn a_reference_is_open_and_hidden() {
        let test = made(&TestPlan { reference: Some("condition 1".into()), ..plan(TestKind::Rating, 3, 2, 1) });
        assert_eq!(test.reference(), Some(1));
        for presentation in test.lists.iter().flatten() {
            let trial = test.trials[presentation.trial].presented(&presentation.stimuli, presentation.x);
            let buttons = trial.buttons();
            assert_eq!((buttons.len(), test.stimuli[buttons[3]].condition), (4, 1));
            assert!(buttons[..3].contains(&buttons[3]));
            assert_eq!(test.kind.info().button_name(&trial, 3), "Reference");
        }
    }

    #[test]
    fn the_low_anchor_is_dull_and_equally_loud() {
        let mut random = RepeatableRandom::new(3);
        let noise: Vec<f32> = (0..24_000).map(|_| random.below(1_000) as f32 / 1_000.0 - 0.5).collect();
        let sound = PlannedSound::mono("noise".into(), noise.clone(), 24_000, None);
        let softer = PlannedSound { samples: noise.iter().map(|s| s * 0.5).collect(), ..sound.clone() };
        let conditions = vec![("a".to_owned(), vec![sound]), ("b".to_owned(), vec![softer])];
        let plan = TestPlan { anchors: vec![Anchor::Low], ..TestPlan::new(TestKind::Rating, conditions, 7) };
        let test = made(&plan);
        assert_eq!(test.conditions[2], "low anchor (3.5 kHz)");
        let of = |condition: usize| {
            let n = test.stimuli.iter().position(|s| s.condition == condition).unwrap();
            let length = Length::Whole;
            recording::decode(Path::new("sound.wav"), &test.wav(n).unwrap(), 24_000, length).unwrap().samples
        };
        let loudness = |condition: usize| Loudness::measure(&of(condition), 24_000).integrated.unwrap();
        assert!((loudness(0) - loudness(2)).abs() < 0.05);
        // Differences from sample to sample grow with frequency.
        let steps = |condition: usize| of(condition).windows(2).map(|w| f64::from(w[1] - w[0]).powi(2)).sum::<f64>();
        assert!(steps(2) < 0.3 * steps(0), "{} against {}", steps(2), steps(0));
        assert_eq!(test.trials[0].stimuli.len(), 3);
    }
}
