//! One listener's way through a test. It knows nothing of windows and sound devices.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ListeningTest;
use super::heard::Heard;
use super::trial::{Choice, Presentation, Trial};
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file, write_atomically};

/// The format's name and version.
const FORMAT: &str = "csm-listening-results/2";
/// The version before, which is still read.
const FORMAT_1: &str = "csm-listening-results/1";

/// The answer to a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The trial, from 0.
    pub trial: usize,
    /// Its sounds in the order of the buttons; empty if it is the test's.
    #[serde(default)]
    pub stimuli: Vec<usize>,
    /// The place of the sound that is X or the reference, in that order.
    #[serde(default)]
    pub x: Option<usize>,
    /// The choice of the listener, as the buttons were.
    pub choice: Choice,
    /// Time of the answer, in seconds since 1970.
    pub at: u64,
    /// Seconds that the listener took.
    pub seconds: f64,
    /// Seconds of the sound of each button that were heard, each part once; empty if nobody measured.
    #[serde(default)]
    pub heard: Vec<f64>,
}

impl Answer {
    /// The trial as the listener met it.
    pub(super) fn presented(&self, test: &ListeningTest) -> Trial {
        let trial = &test.trials[self.trial];
        if self.stimuli.is_empty() { trial.clone() } else { trial.presented(&self.stimuli, self.x) }
    }
}

/// How a listener did in the check for headphones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadphoneCheck {
    /// Right answers.
    pub right: usize,
    /// Questions.
    pub of: usize,
}

impl HeadphoneCheck {
    /// Whether it was passed: at most one wrong answer (Woods, Siegel, Traer and McDermott 2017).
    pub fn passed(self) -> bool {
        self.right + 1 >= self.of
    }
}

/// The answers of a listener, complete or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The format's name and version.
    pub format: String,
    /// SHA-256 of the test.
    pub test_sha256: String,
    /// Name of the listener.
    pub listener: String,
    /// Their headphones or loudspeakers.
    pub device: String,
    /// Version of the program that asked.
    pub version: String,
    /// Number of the listener's list; `None` if the trials were asked as they are in the test.
    #[serde(default)]
    pub list: Option<usize>,
    /// Answers to the questions about the listener.
    #[serde(default)]
    pub questionnaire: BTreeMap<String, String>,
    /// The check for headphones, if it was made.
    #[serde(default)]
    pub headphone_check: Option<HeadphoneCheck>,
    /// The answers, in the order in which they were given.
    pub answers: Vec<Answer>,
}

impl Results {
    /// Results of a listener without answers. A test with lists has one for each `list`, again and again.
    pub fn new(test: &ListeningTest, listener: &str, device: &str, list: usize) -> Self {
        Self {
            format: FORMAT.into(),
            test_sha256: test.sha256(),
            listener: listener.into(),
            device: device.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            list: (!test.lists.is_empty()).then(|| list % test.lists.len()),
            questionnaire: BTreeMap::new(),
            headphone_check: None,
            answers: Vec::new(),
        }
    }

    /// Reads results of `test`.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::InvalidFile`] if they are another test's or do not fit it.
    pub fn read(path: &Path, test: &ListeningTest) -> Result<Self> {
        let bytes = read_file(path, JSON_LIMIT)?;
        let results: Self = serde_json::from_slice(&bytes)
            .map_err(|e| Error::parse(path, "expected results of a listening test", e))?;
        if ![FORMAT, FORMAT_1].contains(&results.format.as_str()) {
            return Err(Error::file(path, format!("expected the format {FORMAT}, got {:?}", results.format)));
        }
        if results.test_sha256 != test.sha256() {
            let problem = "these are results of another test, or of this one before it was changed";
            return Err(Error::file(path, problem));
        }
        let mut answered = BTreeSet::new();
        let mut fits = |answer: &Answer| {
            let of_trial = |trial: &Trial| {
                let presented = answer.stimuli.is_empty() || trial.has_presentation(&answer.stimuli, answer.x);
                presented && test.kind.info().check(&answer.choice, trial.stimuli.len()).is_ok()
            };
            let numbers = answer.seconds.is_finite() && answer.heard.iter().all(|s| s.is_finite());
            answered.insert(answer.trial) && numbers && test.trials.get(answer.trial).is_some_and(of_trial)
        };
        if let Some(n) = results.answers.iter().position(|answer| !fits(answer)) {
            return Err(Error::file(path, format!("answer {} does not fit the test", n + 1)));
        }
        if results.list.is_some_and(|list| list >= test.lists.len()) {
            return Err(Error::file(path, "its list is not one of the test's"));
        }
        Ok(results)
    }

    /// The trials that were to be answered, in their order.
    pub(super) fn presentations(&self, test: &ListeningTest) -> Vec<Presentation> {
        match self.list {
            Some(list) => test.list(list),
            None => test.trials_as_they_are(),
        }
    }

    /// Numbers of answered trials and of all trials.
    pub fn progress(&self, test: &ListeningTest) -> (usize, usize) {
        let wanted = self.presentations(test);
        let answered: BTreeSet<usize> = self.answers.iter().map(|answer| answer.trial).collect();
        (wanted.iter().filter(|p| answered.contains(&p.trial)).count(), wanted.len())
    }

    /// The results of `files`, each listener's once, and what was not counted: the same answers in two files (a browser saves a page's
    /// as often as it is asked), or answers that a longer file of the same run has too.
    pub fn pooled(files: Vec<(PathBuf, Self)>) -> (Vec<Self>, Vec<String>) {
        let mut notes = Vec::new();
        let mut kept: Vec<(PathBuf, Self)> = Vec::new();
        for (path, results) in files {
            let known = kept.iter_mut().find(|(_, other)| results.is_same_run(other));
            let Some((other_path, other)) = known else {
                if let Some((other, _)) = kept.iter().find(|(_, other)| other.listener == results.listener) {
                    let (a, b) = (other.display(), path.display());
                    notes.push(format!(
                        "{a} and {b} are both of {:?} and differ; each counts as a listener",
                        results.listener
                    ));
                }
                kept.push((path, results));
                continue;
            };
            let (a, b) = (other_path.display(), path.display());
            notes.push(format!("{a} and {b} have the same answers, which are counted once"));
            if results.answers.len() > other.answers.len() {
                (*other_path, *other) = (path, results);
            }
        }
        (kept.into_iter().map(|(_, results)| results).collect(), notes)
    }

    /// Whether the same listener gave the answers of `other`, or the start of them, at the same times; or the reverse.
    fn is_same_run(&self, other: &Self) -> bool {
        let shared = self.answers.len().min(other.answers.len());
        shared > 0 && self.listener == other.listener && self.answers[..shared] == other.answers[..shared]
    }

    /// Writes the results, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).unwrap_or_default(); // plain data, which always has a JSON form
        write_atomically(path, &json)
    }
}

/// A run through a test, which it borrows or shares. Times are in seconds of any clock that only goes forward.
pub struct Run<T> {
    test: T,
    results: Results,
    list: Vec<Presentation>,
    /// The open trial, as the listener meets it; `None` at the end.
    open: Option<(usize, Trial)>,
    heard: Heard,
}

impl<T: Deref<Target = ListeningTest>> Run<T> {
    /// Starts a test, or resumes it after the last answer of `results`.
    pub fn new(test: T, results: Results) -> Self {
        let list = results.presentations(&test);
        let mut run = Self { test, results, list, open: None, heard: Heard::default() };
        run.open_next();
        run
    }

    /// Opens the first trial of the list that has no answer.
    fn open_next(&mut self) {
        let answered: BTreeSet<usize> = self.results.answers.iter().map(|answer| answer.trial).collect();
        let next = self.list.iter().find(|p| !answered.contains(&p.trial));
        self.open = next.map(|p| (p.trial, self.test.trials[p.trial].presented(&p.stimuli, p.x)));
        self.heard = Heard::default();
    }

    /// The open trial as the listener meets it; `None` at the end.
    pub fn trial(&self) -> Option<&Trial> {
        self.open.as_ref().map(|(_, trial)| trial)
    }

    /// Answered trials, and all of them.
    pub fn progress(&self) -> (usize, usize) {
        let left = |p: &&Presentation| !self.results.answers.iter().any(|answer| answer.trial == p.trial);
        (self.list.len() - self.list.iter().filter(left).count(), self.list.len())
    }

    /// The sounds of the open trial, in the order of their buttons; X or the reference is the last one.
    pub fn buttons(&self) -> Vec<usize> {
        self.trial().map_or(Vec::new(), Trial::buttons)
    }

    /// The name on a button of the open trial.
    pub fn button_name(&self, button: usize) -> String {
        self.trial().map_or(String::new(), |trial| self.test.kind.info().button_name(trial, button))
    }

    fn lengths(&self) -> Vec<f64> {
        self.buttons().iter().map(|n| self.test.stimuli[*n].seconds).collect()
    }

    /// The sound of a button starts at the position `from`; returns the index of its sound.
    pub fn play(&mut self, button: usize, from: f64, now: f64) -> Option<usize> {
        let stimulus = self.buttons().get(button).copied()?;
        self.heard.play(button, from, now, &self.lengths());
        Some(stimulus)
    }

    /// Words that all sounds of the open trial say and that may be looped; none if the test does not show them.
    pub fn words(&self) -> Vec<&str> {
        let buttons = self.buttons();
        let of = |n: &usize| self.test.stimuli[*n].words.iter().map(|word| word.word.as_str());
        let first: Vec<&str> = buttons.first().map_or(Vec::new(), |n| of(n).collect());
        let alike = buttons.iter().all(|n| of(n).eq(first.iter().copied()));
        if alike { first } else { Vec::new() }
    }

    /// The word `word` of the sound of a button starts and is repeated; returns the index of the sound, and the part.
    pub fn loop_word(&mut self, button: usize, word: usize, now: f64) -> Option<(usize, (f64, f64))> {
        let stimulus = self.buttons().get(button).copied()?;
        let part = self.test.stimuli[stimulus].word(word)?;
        self.heard.play_part(button, part, now, &self.lengths());
        Some((stimulus, part))
    }

    /// Stops playback.
    pub fn stop(&mut self, now: f64) {
        self.heard.stop(now, &self.lengths());
    }

    /// Whether enough of every sound was heard, so that an answer counts.
    pub fn can_answer(&self, now: f64) -> bool {
        let all = self.buttons().len();
        all > 0 && (0..all).all(|button| self.was_heard(button, now))
    }

    /// Whether enough of the sound of a button was heard: four fifths of it.
    pub fn was_heard(&self, button: usize, now: f64) -> bool {
        self.heard.enough(button, now, &self.lengths())
    }

    /// Answers the open trial, which took `seconds`; `at` is the time, seconds since 1970.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if too little of a sound was heard, or the choice is not one of this test's.
    pub fn answer(&mut self, choice: Choice, at: u64, seconds: f64, now: f64) -> Result<()> {
        let Some((trial, presented)) = &self.open else {
            return Err(Error::invalid("answer", "an open trial", "the end"));
        };
        let lengths = self.lengths();
        if let Some(button) = (0..lengths.len()).find(|button| !self.was_heard(*button, now)) {
            let expected = format!("listen to {} first, to its end or nearly so", self.button_name(button));
            return Err(Error::invalid("answer", expected, "too little of it was heard"));
        }
        self.test.kind.info().check(&choice, presented.stimuli.len())?;
        let heard = self.heard.seconds(now, &lengths);
        let (stimuli, x) = (presented.stimuli.clone(), presented.x);
        self.results.answers.push(Answer { trial: *trial, stimuli, x, choice, at, seconds, heard });
        self.open_next();
        Ok(())
    }

    /// Undoes the last answer; its trial is open again, with all its sounds heard. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let Some(undone) = self.results.answers.pop() else { return false };
        self.open = Some((undone.trial, undone.presented(&self.test)));
        self.heard = Heard::all(&self.lengths());
        true
    }

    /// The test that is run.
    pub fn test(&self) -> &ListeningTest {
        &self.test
    }

    /// Changes the name of the listener.
    pub fn set_listener(&mut self, name: &str) {
        self.results.listener = name.into();
    }

    /// The answers so far.
    pub fn results(&self) -> &Results {
        &self.results
    }
}

#[cfg(test)]
mod tests {
    use super::super::TestKind;
    use super::super::test_file::tests::{made, plan};
    use super::*;

    #[test]
    fn answers_that_were_given_once_count_once() {
        let test = made(&plan(TestKind::Abx, 2, 1, 4));
        let answer = |trial: usize, at: u64| Answer {
            trial,
            stimuli: Vec::new(),
            x: None,
            choice: Choice::First,
            at,
            seconds: 2.0,
            heard: Vec::new(),
        };
        let of = |listener: &str, times: &[u64]| {
            let answers = times.iter().enumerate().map(|(n, at)| answer(n, *at)).collect();
            (
                PathBuf::from(format!("{listener}{}.json", times.len())),
                Results { answers, ..Results::new(&test, listener, "", 0) },
            )
        };
        // Ada's page was saved halfway and twice at the end; Ben answered alike at other times, and so did another Ada.
        let files = vec![
            of("Ada", &[1, 2]),
            of("Ada", &[1, 2, 3, 4]),
            of("Ben", &[5, 6, 7, 8]),
            of("Ada", &[1, 2, 3, 4]),
            of("Ada", &[9]),
        ];
        let (pooled, notes) = Results::pooled(files);
        let kept: Vec<(&str, usize)> = pooled.iter().map(|r| (r.listener.as_str(), r.answers.len())).collect();
        assert_eq!(kept, [("Ada", 4), ("Ben", 4), ("Ada", 1)]);
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].contains("Ada2.json and Ada4.json have the same answers"), "{notes:?}");
        assert!(notes[2].contains("both of \"Ada\" and differ"), "{notes:?}");
        let (pooled, notes) = Results::pooled(vec![of("Ada", &[]), of("Ben", &[])]);
        assert_eq!((pooled.len(), notes.len()), (2, 0));
    }

    #[test]
    fn only_what_was_heard_is_answered_and_the_last_answer_can_be_undone() {
        let test = made(&plan(TestKind::Abx, 2, 1, 4));
        let mut run = Run::new(&test, Results::new(&test, "me", "headphones", 3));
        let trial = run.trial().unwrap().clone();
        assert_eq!(run.buttons(), [trial.stimuli[0], trial.stimuli[1], trial.stimuli[trial.x.unwrap()]]);
        let refused = run.answer(Choice::First, 0, 1.0, 0.0).unwrap_err().to_string();
        assert!(refused.contains("listen to A first"), "{refused}");
        assert_eq!(run.play(2, 0.0, 0.0), Some(run.buttons()[2]));
        assert!(run.play(9, 0.0, 1.0).is_none() && !run.can_answer(1.0) && run.was_heard(2, 1.0));
        run.play(0, 0.0, 1.0);
        run.play(1, 0.0, 1.1);
        let refused = run.answer(Choice::First, 0, 1.0, 9.0).unwrap_err().to_string();
        assert!(refused.contains("listen to A first"), "a tenth of a second is not enough: {refused}");
        run.play(0, 0.0, 9.0);
        assert!(run.answer(Choice::Tie, 0, 1.0, 10.0).unwrap_err().to_string().contains("X is A, X is B"));
        run.answer(Choice::First, 0, 1.0, 10.0).unwrap();
        let first = run.results().answers[0].clone();
        assert_eq!((first.trial, first.heard), (test.list(3)[0].trial, vec![0.5, 0.5, 0.5]));
        assert!(!run.can_answer(99.0) && run.progress() == (1, 4), "the next trial starts unplayed");
        assert!(run.undo() && run.progress() == (0, 4) && run.can_answer(10.0) && run.trial() == Some(&trial));
        run.answer(Choice::Second, 0, 1.0, 10.0).unwrap();
        assert_eq!(run.results().answers[0].choice, Choice::Second);
        assert_eq!(run.button_name(2), "X");
    }

    /// Written after every answer, a run resumes at the same trial after the program was killed.
    #[test]
    fn a_run_goes_on_after_its_last_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let test = made(&plan(TestKind::Rating, 3, 2, 1));
        let mut run = Run::new(&test, Results::new(&test, "me", "", 0));
        for button in 0..3 {
            run.play(button, 0.0, button as f64);
        }
        assert!(run.answer(Choice::Values(vec![1.0, 2.0]), 0, 1.0, 9.0).is_err());
        assert!(run.answer(Choice::Values(vec![1.0, 2.0, 101.0]), 0, 1.0, 9.0).is_err());
        run.answer(Choice::Values(vec![1.0, 50.0, 100.0]), 5, 1.0, 9.0).unwrap();
        run.results().write(&path).unwrap();
        let read = Results::read(&path, &test).unwrap();
        assert_eq!(&read, run.results());
        assert_eq!(Run::new(&test, read).trial(), run.trial());
        let other = made(&plan(TestKind::Rating, 3, 2, 2));
        assert!(Results::read(&path, &other).unwrap_err().to_string().contains("another test"));
        let mut swapped = test.clone();
        swapped.stimuli.iter_mut().for_each(|s| s.condition = (s.condition + 1) % 3);
        assert!(Results::read(&path, &swapped).unwrap_err().to_string().contains("before it was changed"));
    }
}
