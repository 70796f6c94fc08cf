//! A listening test: its sounds and its trials, in one file.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::kind::{TestKind, TrialPlan};
use super::trial::Trial;
use crate::audio::loudness::{Loudness, decibels, matching_gains};
use crate::audio::resample::resample;
use crate::audio::wav::{self, WavInfo};
use crate::data::{RepeatableRandom, Sampling};
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, read_file, write_atomically};

/// Name and version of the format.
const FORMAT: &str = "csm-listening-test/1";
/// The name alone, which is at the start of the file.
const FORMAT_NAME: &str = "csm-listening-test";

/// What the low anchor is called, and the highest frequency that it has, Hz.
const ANCHOR: &str = "low anchor (3.5 kHz)";
const ANCHOR_HERTZ: usize = 3_500;

/// A sound of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stimulus {
    /// What it is of, from 0: the same text in every condition.
    pub item: usize,
    /// Its condition, from 0.
    pub condition: usize,
    /// Where it came from.
    pub source: String,
    /// SHA-256 of the sound in this file, hexadecimal.
    pub sha256: String,
    /// Gain that was applied to match its loudness, decibels.
    pub gain_db: f64,
    /// Integrated loudness before that, LUFS, if it has one.
    pub loudness: Option<f64>,
    /// Length of the sound in seconds.
    pub seconds: f64,
    /// Settings that made it, if known.
    pub sampling: Option<Sampling>,
    /// The sound: a WAV file in base64.
    pub wav: String,
}

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
    /// Sounds of the test, by their index.
    pub stimuli: Vec<Stimulus>,
    /// The trials, in their order.
    pub trials: Vec<Trial>,
    /// What order and places were drawn from.
    pub seed: u64,
    /// Version of the program that made it.
    pub version: String,
}

/// What a test is made of.
#[derive(Clone, Debug)]
pub struct TestPlan {
    /// Kind of the test.
    pub kind: TestKind,
    /// The question; empty for the usual one.
    pub question: String,
    /// Conditions: a name and a sound an item each, in the same order.
    pub conditions: Vec<(String, Vec<PlannedSound>)>,
    /// Trials of each item and pair (ABX, preference) or each item (the others).
    pub repetitions: usize,
    /// Trials that are asked once more, at most half of them.
    pub repeats: usize,
    /// Whether a low anchor is added: the sounds of the first condition, low-passed at 3.5 kHz (the low anchor of ITU-R
    /// BS.1534). A listener who does not rate it below the others did not listen.
    pub low_anchor: bool,
    /// Whether each rating has one of its sounds twice, under two letters: an attentive listener rates both alike (ITU-R BS.2132's
    /// hidden repeat). The conditions take turns at it.
    pub hidden_repeat: bool,
    /// Whether sounds are brought to one loudness.
    pub match_loudness: bool,
    /// What order and places are drawn from.
    pub seed: u64,
}

/// A sound that is to become part of a test.
#[derive(Clone, Debug)]
pub struct PlannedSound {
    /// Where it came from.
    pub source: String,
    /// Mono samples from -1 to 1.
    pub samples: Vec<f32>,
    /// Samples per second of the waveform.
    pub rate: usize,
    /// Settings that made it, if known.
    pub sampling: Option<Sampling>,
}

/// A test that was made.
#[derive(Clone, Debug)]
pub struct MadeTest {
    /// The test itself.
    pub test: ListeningTest,
    /// What the user should know of its sounds, each by its source.
    pub warnings: Vec<String>,
}

impl ListeningTest {
    /// Makes a test. Each item's trials are balanced: every clip is in each place equally often, if possible, and X is A as often as B.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the conditions do not have the same items, are too few for the kind of test, or cannot be told apart:
    /// two of one name, or with the same sound.
    pub fn make(plan: &TestPlan) -> Result<MadeTest> {
        check_different(plan)?;
        let with_anchor = plan
            .low_anchor
            .then(|| TestPlan { conditions: [plan.conditions.clone(), anchor(plan)].concat(), ..plan.clone() });
        let plan = with_anchor.as_ref().unwrap_or(plan);
        let items = plan.conditions.first().map_or(0, |(_, sounds)| sounds.len());
        let info = plan.kind.info();
        let (least, most) = (*info.conditions.start(), *info.conditions.end());
        if plan.conditions.len() < least || items == 0 {
            let got = format!("{} with {items} sounds", plan.conditions.len());
            return Err(Error::invalid("condition", format!("at least {least} conditions with a sound each"), got));
        }
        if plan.conditions.len() > most {
            let expected = format!("at most {most} conditions for a test of the kind {}", info.name);
            return Err(Error::invalid("condition", expected, plan.conditions.len()));
        }
        if let Some((name, sounds)) = plan.conditions.iter().find(|(_, sounds)| sounds.len() != items) {
            let got = format!("{} in {name:?}", sounds.len());
            return Err(Error::invalid("condition", format!("{items} sounds in each, in the same order"), got));
        }
        let mut warnings = Vec::new();
        let stimuli =
            (0..items).map(|item| stimuli_of_item(plan, item, &mut warnings)).collect::<Result<Vec<_>>>()?.concat();
        let conditions = plan.conditions.len();
        let mut random = RepeatableRandom::new(plan.seed);
        let hidden_repeat = plan.hidden_repeat && info.can_repeat_sounds;
        let trial_plan = TrialPlan { items, conditions, repetitions: plan.repetitions, hidden_repeat };
        let mut trials = (info.trials)(&trial_plan, &mut random);
        random.shuffle(&mut trials);
        // Trials that are asked once more come at the end: as far from the first time as can be.
        let again: Vec<Trial> = (0..plan.repeats.min(trials.len() / 2))
            .map(|n| Trial { repeats: Some(n), stimuli: swapped(&trials[n].stimuli), x: trials[n].x.map(|x| 1 - x) })
            .collect();
        trials.extend(again);
        let question = if plan.question.is_empty() { info.question.into() } else { plan.question.clone() };
        let test = Self {
            format: FORMAT.into(),
            kind: plan.kind,
            question,
            conditions: plan.conditions.iter().map(|(name, _)| name.clone()).collect(),
            stimuli,
            trials,
            seed: plan.seed,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        Ok(MadeTest { test, warnings })
    }

    /// Whether the file at `path` starts with the format's name.
    pub fn has_magic(path: &Path) -> bool {
        let mut start = [0; 64];
        let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut start));
        read.is_ok_and(|n| String::from_utf8_lossy(&start[..n]).contains(FORMAT_NAME))
    }

    /// Reads and checks a test.
    ///
    /// # Errors
    /// [`Error::Read`], and [`Error::InvalidFile`] with what is wrong with it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        let test: Self =
            serde_json::from_slice(&bytes).map_err(|e| Error::parse(path, "expected a listening test", e))?;
        if test.format != FORMAT {
            return Err(Error::file(path, format!("expected the format {FORMAT}, got {:?}", test.format)));
        }
        let fits = |trial: &Trial| {
            test.kind.info().fits(trial)
                && trial.stimuli.iter().all(|n| *n < test.stimuli.len())
                && trial.repeats.is_none_or(|n| n < test.trials.len())
        };
        if let Some(n) = test.trials.iter().position(|trial| !fits(trial)) {
            return Err(Error::file(
                path,
                format!("trial {n} does not fit the kind of the test or names a sound that does not exist"),
            ));
        }
        for (n, stimulus) in test.stimuli.iter().enumerate() {
            if stimulus.condition >= test.conditions.len() {
                return Err(Error::file(path, format!("sound {n} is of a condition that is not there")));
            }
            if hash(&test.wav(n).map_err(|e| Error::parse(path, format!("sound {n} is damaged"), e))?)
                != stimulus.sha256
            {
                return Err(Error::file(path, format!("sound {n} is not the one that the test was made with")));
            }
        }
        Ok(test)
    }

    /// Writes the test, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec(self).unwrap_or_default(); // plain data, which always has a JSON form
        write_atomically(path, &json)
    }

    /// SHA-256 of questions and sounds, by which results identify their test.
    pub fn sha256(&self) -> String {
        let sounds: Vec<&str> = self.stimuli.iter().map(|s| s.sha256.as_str()).collect();
        let asked = (&self.format, self.kind, &self.question, &self.conditions, sounds, &self.trials, self.seed);
        hash(serde_json::to_string(&asked).unwrap_or_default().as_bytes()) // plain data, which always has a JSON form
    }

    /// The WAV file of a sound.
    ///
    /// # Errors
    /// Where it is not base64.
    pub fn wav(&self, stimulus: usize) -> std::result::Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(&self.stimuli[stimulus].wav)
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn swapped(places: &[usize]) -> Vec<usize> {
    places.iter().rev().copied().collect()
}

/// The low anchor as a condition; none if there is nothing to make it of.
fn anchor(plan: &TestPlan) -> Vec<(String, Vec<PlannedSound>)> {
    let dull = |sound: &PlannedSound| {
        let low = resample(&sound.samples, sound.rate, 2 * ANCHOR_HERTZ);
        let samples = resample(&low, 2 * ANCHOR_HERTZ, sound.rate);
        PlannedSound { source: format!("{}, low-passed", sound.source), samples, sampling: None, ..sound.clone() }
    };
    let first = plan.conditions.first();
    first.map(|(_, sounds)| (ANCHOR.to_owned(), sounds.iter().map(dull).collect())).into_iter().collect()
}

/// Checks that no two conditions have one name, or one sound of an item: nobody could tell them apart, and votes would count for chance.
fn check_different(plan: &TestPlan) -> Result<()> {
    let conditions = &plan.conditions;
    let anchor = if plan.low_anchor { ANCHOR } else { "" };
    for (n, (name, sounds)) in conditions.iter().enumerate() {
        if name == anchor || conditions[..n].iter().any(|(other, _)| other == name) {
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

/// The sounds of an item, in every condition, at one loudness.
fn stimuli_of_item(plan: &TestPlan, item: usize, warnings: &mut Vec<String>) -> Result<Vec<Stimulus>> {
    let sounds: Vec<&PlannedSound> = plan.conditions.iter().map(|(_, sounds)| &sounds[item]).collect();
    let loudness: Vec<Loudness> = sounds.iter().map(|s| Loudness::measure(&s.samples, s.rate)).collect();
    let gains = if plan.match_loudness { matching_gains(&loudness) } else { vec![1.0; sounds.len()] };
    for (sound, _) in sounds.iter().zip(&loudness).filter(|(_, l)| plan.match_loudness && l.integrated.is_none()) {
        let problem = "has no loudness (BS.1770 wants 0.4 s and more than silence), so that it keeps its level";
        warnings.push(format!("{}: {problem}", sound.source));
    }
    let stimulus = |(condition, sound): (usize, &&PlannedSound)| {
        let samples: Vec<f32> = sound.samples.iter().map(|s| s * gains[condition]).collect();
        // Nothing in the file's metadata may tell the conditions apart.
        let (bytes, clipped) = wav::encode(&samples, sound.rate, &WavInfo::default())?;
        if clipped > 0 {
            warnings.push(format!("{}: {clipped} samples are louder than full scale and are clipped", sound.source));
        }
        Ok(Stimulus {
            item,
            condition,
            source: sound.source.clone(),
            sha256: hash(&bytes),
            gain_db: decibels(gains[condition]),
            loudness: loudness[condition].integrated,
            seconds: samples.len() as f64 / sound.rate.max(1) as f64,
            sampling: sound.sampling,
            wav: STANDARD.encode(bytes),
        })
    };
    sounds.iter().enumerate().map(stimulus).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::recording;

    pub(crate) fn plan(kind: TestKind, conditions: usize, items: usize, repetitions: usize) -> TestPlan {
        let sound = |condition: usize, item: usize| {
            let amplitude = 0.1 * (condition + 1) as f32;
            let samples = (0..12_000).map(|n| amplitude * (n as f32 * (0.05 + 0.01 * item as f32)).sin()).collect();
            PlannedSound { source: format!("{condition}-{item}.wav"), samples, rate: 24_000, sampling: None }
        };
        let sounds = |condition| (0..items).map(|item| sound(condition, item)).collect();
        TestPlan {
            kind,
            question: String::new(),
            conditions: (0..conditions).map(|c| (format!("condition {c}"), sounds(c))).collect(),
            repetitions,
            repeats: 0,
            low_anchor: false,
            hidden_repeat: false,
            match_loudness: true,
            seed: 7,
        }
    }

    pub(crate) fn made(plan: &TestPlan) -> ListeningTest {
        ListeningTest::make(plan).unwrap().test
    }

    #[test]
    fn conditions_that_cannot_be_told_apart_are_refused() {
        let refused = |plan: TestPlan, why: &str| {
            let error = ListeningTest::make(&plan).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        let mut named = plan(TestKind::Preference, 2, 2, 1);
        named.conditions[1].0 = "condition 0".into();
        refused(named, "\"condition 0\" twice");
        let mut same = plan(TestKind::Preference, 2, 2, 1);
        same.conditions[1].1[1] = same.conditions[0].1[1].clone();
        refused(same, "the same sound in \"condition 0\" (0-1.wav)");
        let mut anchored = TestPlan { low_anchor: true, ..plan(TestKind::Rating, 2, 1, 1) };
        anchored.conditions[0].0 = ANCHOR.into();
        refused(anchored, "twice");
    }

    #[test]
    fn a_sound_without_loudness_and_clipped_samples_are_named() {
        let mut odd = plan(TestKind::Preference, 2, 1, 1);
        odd.conditions[0].1[0].samples.truncate(2_000);
        odd.conditions[1].1[0].samples[7] = 3.0;
        let warnings = ListeningTest::make(&odd).unwrap().warnings;
        assert!(warnings[0].starts_with("0-0.wav: has no loudness"), "{warnings:?}");
        odd.match_loudness = false;
        let warnings = ListeningTest::make(&odd).unwrap().warnings;
        assert_eq!(warnings, ["1-0.wav: 1 samples are louder than full scale and are clipped"]);
    }

    #[test]
    fn places_are_balanced_and_orders_repeatable() {
        let test = made(&plan(TestKind::Abx, 2, 2, 8));
        assert_eq!(test.trials.len(), 16);
        let count = |is: &dyn Fn(&Trial) -> bool| test.trials.iter().filter(|t| is(t)).count();
        assert_eq!(count(&|t| t.x == Some(0)), 8, "X is A as often as B");
        assert_eq!(count(&|t| test.stimuli[t.stimuli[0]].condition == 0), 8, "A is each condition as often");
        assert_eq!(count(&|t| t.x == Some(0) && test.stimuli[t.stimuli[0]].condition == 0), 4, "whatever X is");
        assert_eq!(test, made(&plan(TestKind::Abx, 2, 2, 8)));
        let other = TestPlan { seed: 8, ..plan(TestKind::Abx, 2, 2, 8) };
        assert_ne!(test.trials, made(&other).trials);

        let rating = made(&plan(TestKind::Rating, 3, 2, 3));
        for condition in 0..3 {
            for place in 0..3 {
                let there = rating.trials.iter().filter(|t| rating.stimuli[t.stimuli[place]].condition == condition);
                assert_eq!(there.count(), 2);
            }
        }
        assert_eq!(made(&plan(TestKind::Preference, 3, 2, 2)).trials.len(), 3 * 2 * 2);
        let repeated = TestPlan { repeats: 3, ..plan(TestKind::Opinion, 2, 4, 1) };
        let repeated = made(&repeated);
        assert_eq!(repeated.trials.len(), 11);
        assert_eq!(repeated.trials[8].stimuli, repeated.trials[0].stimuli);
    }

    #[test]
    fn sounds_are_equally_loud_and_tell_nothing() {
        let mut longer = plan(TestKind::Preference, 2, 1, 2);
        longer.conditions.iter_mut().for_each(|(_, sounds)| sounds[0].samples = sounds[0].samples.repeat(3));
        let test = made(&longer);
        let loudness = |n: usize| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.wav");
            std::fs::write(&path, test.wav(n).unwrap()).unwrap();
            Loudness::measure(&recording::samples(&path, 24_000).unwrap(), 24_000).integrated.unwrap()
        };
        assert!((loudness(0) - loudness(1)).abs() < 0.1, "{} {}", loudness(0), loudness(1));
        assert!(test.stimuli[1].gain_db < -5.9 && test.stimuli[0].gain_db == 0.0 || test.stimuli[0].gain_db > 0.0);
        let bytes = test.wav(0).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("condition"));
    }

    #[test]
    fn a_test_is_read_back_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.json");
        let test = made(&plan(TestKind::Rating, 2, 2, 1));
        test.write(&path).unwrap();
        let read = ListeningTest::read(&path).unwrap();
        assert_eq!((read.sha256(), &read.trials), (test.sha256(), &test.trials));
        let refused = |change: &dyn Fn(&mut ListeningTest), why: &str| {
            let mut changed = test.clone();
            change(&mut changed);
            changed.write(&path).unwrap();
            let error = ListeningTest::read(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&|t| t.format = "other/2".into(), "csm-listening-test/1");
        refused(&|t| t.trials[1].stimuli = vec![99, 0], "trial 1");
        refused(&|t| t.stimuli[0].wav = STANDARD.encode("other"), "sound 0");
        refused(&|t| t.stimuli[1].condition = 5, "condition");
        for (kind, conditions, items) in [(TestKind::Abx, 3, 1), (TestKind::Abx, 1, 1), (TestKind::Rating, 2, 0)] {
            assert!(ListeningTest::make(&plan(kind, conditions, items, 1)).is_err());
        }
        let mut uneven = plan(TestKind::Preference, 2, 2, 1);
        uneven.conditions[1].1.pop();
        assert!(ListeningTest::make(&uneven).unwrap_err().to_string().contains("in each"));
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

    #[test]
    fn the_low_anchor_is_dull_and_equally_loud() {
        let mut random = RepeatableRandom::new(3);
        let noise = (0..24_000).map(|_| random.below(1_000) as f32 / 1_000.0 - 0.5).collect();
        let sound = PlannedSound { source: "noise".into(), samples: noise, rate: 24_000, sampling: None };
        let softer = PlannedSound { samples: sound.samples.iter().map(|s| s * 0.5).collect(), ..sound.clone() };
        let conditions = vec![("a".to_owned(), vec![sound]), ("b".to_owned(), vec![softer])];
        let plan = TestPlan { conditions, low_anchor: true, ..plan(TestKind::Rating, 2, 1, 1) };
        let test = made(&plan);
        assert_eq!(test.conditions[2], ANCHOR);
        let heard = |n: usize| {
            let length = recording::Length::Whole;
            recording::decode(Path::new("sound.wav"), &test.wav(n).unwrap(), 24_000, length).unwrap().samples
        };
        let loudness = |n: usize| Loudness::measure(&heard(n), 24_000).integrated.unwrap();
        assert!((loudness(0) - loudness(2)).abs() < 0.05);
        // Differences from sample to sample grow with frequency.
        let steps = |n: usize| heard(n).windows(2).map(|w| f64::from(w[1] - w[0]).powi(2)).sum::<f64>();
        assert!(steps(2) < 0.3 * steps(0), "{} against {}", steps(2), steps(0));
        assert_eq!(test.trials[0].stimuli.len(), 3);
    }
}
