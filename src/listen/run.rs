//! One listener's way through a test. It knows nothing of windows and sound devices.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ListeningTest;
use super::trial::{Choice, Trial};
use crate::error::{Error, Result};
use crate::files::{JSON_LIMIT, read_file, write_atomically};

/// The format's name and version.
const FORMAT: &str = "csm-listening-results/1";

/// The answer to a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The trial, from 0.
    pub trial: usize,
    /// The choice of the listener.
    pub choice: Choice,
    /// Time of the answer, in seconds since 1970.
    pub at: u64,
    /// Seconds that the listener took.
    pub seconds: f64,
}

/// What a listener said in a whole test, or as far as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The format's name and version.
    pub format: String,
    /// SHA-256 of the test.
    pub test_sha256: String,
    /// Name of the listener.
    pub listener: String,
    /// What they listened with.
    pub device: String,
    /// Version of the program that asked.
    pub version: String,
    /// The answers, in the order of their trials.
    pub answers: Vec<Answer>,
}

impl Results {
    /// Results of a listener without answers.
    pub fn new(test: &ListeningTest, listener: &str, device: &str) -> Self {
        Self {
            format: FORMAT.into(),
            test_sha256: test.sha256(),
            listener: listener.into(),
            device: device.into(),
            version: env!("CARGO_PKG_VERSION").into(),
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
        if results.format != FORMAT {
            return Err(Error::file(path, format!("expected the format {FORMAT}, got {:?}", results.format)));
        }
        if results.test_sha256 != test.sha256() {
            return Err(Error::file(path, "these are results of another test"));
        }
        for (n, answer) in results.answers.iter().enumerate() {
            let fits = answer.trial == n
                && test.trials.get(n).is_some_and(|t| test.kind.info().check(&answer.choice, t.stimuli.len()).is_ok());
            if !fits {
                return Err(Error::file(path, format!("answer {n} does not fit the test")));
            }
        }
        Ok(results)
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

/// A run through a test, which it borrows or shares.
pub struct Run<T> {
    test: T,
    results: Results,
    /// Buttons of the open trial that were pressed.
    heard: BTreeSet<usize>,
}

impl<T: Deref<Target = ListeningTest>> Run<T> {
    /// Starts a test, or resumes it after the last answer of `results`.
    pub fn new(test: T, results: Results) -> Self {
        Self { test, results, heard: BTreeSet::new() }
    }

    /// The open trial and its number; `None` at the end.
    pub fn trial(&self) -> Option<(usize, &Trial)> {
        let n = self.results.answers.len();
        self.test.trials.get(n).map(|trial| (n, trial))
    }

    /// The sounds of the open trial, in the order of their buttons; X is the third of an ABX trial.
    pub fn buttons(&self) -> Vec<usize> {
        self.trial().map_or(Vec::new(), |(_, trial)| trial.buttons())
    }

    /// Records that a button was pressed; returns the index of its sound.
    pub fn hear(&mut self, button: usize) -> Option<usize> {
        let stimulus = self.buttons().get(button).copied()?;
        self.heard.insert(button);
        Some(stimulus)
    }

    /// Whether every sound was played, so that an answer counts.
    pub fn can_answer(&self) -> bool {
        let all = self.buttons().len();
        all > 0 && (0..all).all(|button| self.heard.contains(&button))
    }

    /// Answers the open trial, which took `seconds`; `at` is the time, seconds since 1970.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if a sound was not played, or the choice is not one of this test's.
    pub fn answer(&mut self, choice: Choice, at: u64, seconds: f64) -> Result<()> {
        let Some((n, trial)) = self.trial() else { return Err(Error::invalid("answer", "an open trial", "the end")) };
        if !self.can_answer() {
            return Err(Error::invalid("answer", "every sound of the trial to be played before", "one not played"));
        }
        self.test.kind.info().check(&choice, trial.stimuli.len())?;
        self.results.answers.push(Answer { trial: n, choice, at, seconds });
        self.heard.clear();
        Ok(())
    }

    /// Takes back the last answer; its trial is open again, with all its sounds played. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        let undone = self.results.answers.pop().is_some();
        if undone {
            self.heard = (0..self.buttons().len()).collect();
        }
        undone
    }

    /// The test that is run.
    pub fn test(&self) -> &ListeningTest {
        &self.test
    }

    /// Whether a button of the open trial was pressed.
    pub fn was_heard(&self, button: usize) -> bool {
        self.heard.contains(&button)
    }

    /// Changes the name of the listener.
    pub fn set_listener(&mut self, name: &str) {
        self.results.listener = name.into();
    }

    /// What was said so far.
    pub fn results(&self) -> &Results {
        &self.results
    }
}

#[cfg(test)]
mod tests {
    use super::super::TestKind;
    use super::super::test_file::tests::{made, plan};

    #[test]
    fn answers_that_were_given_once_count_once() {
        let test = made(&plan(TestKind::Abx, 2, 1, 4));
        let answer = |trial: usize, at: u64| Answer { trial, choice: Choice::First, at, seconds: 2.0 };
        let of = |listener: &str, times: &[u64]| {
            let answers = times.iter().enumerate().map(|(n, at)| answer(n, *at)).collect();
            (
                PathBuf::from(format!("{listener}{}.json", times.len())),
                Results { answers, ..Results::new(&test, listener, "") },
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
    use super::*;

    #[test]
    fn only_what_was_heard_is_answered_and_the_last_answer_can_be_taken_back() {
        let test = made(&plan(TestKind::Abx, 2, 1, 4));
        let mut run = Run::new(&test, Results::new(&test, "me", "headphones"));
        let trial = run.trial().unwrap().1.clone();
        assert_eq!(run.buttons(), [trial.stimuli[0], trial.stimuli[1], trial.stimuli[trial.x.unwrap()]]);
        assert!(run.answer(Choice::First, 0, 1.0).is_err(), "nothing was played");
        assert_eq!(run.hear(2), Some(run.buttons()[2]));
        assert!(run.hear(9).is_none() && !run.can_answer());
        for button in 0..2 {
            run.hear(button);
        }
        assert!(run.answer(Choice::Tie, 0, 1.0).unwrap_err().to_string().contains("X is A, X is B"));
        run.answer(Choice::First, 0, 1.0).unwrap();
        assert!(!run.can_answer() && run.trial().unwrap().0 == 1, "the next trial is played anew");
        assert!(run.undo() && run.trial().unwrap().0 == 0 && run.can_answer());
        run.answer(Choice::Second, 0, 1.0).unwrap();
        assert_eq!(run.results().answers[0].choice, Choice::Second);
    }

    /// Written after every answer, a run resumes at the same trial after the program was killed.
    #[test]
    fn a_run_goes_on_after_its_last_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let test = made(&plan(TestKind::Rating, 3, 2, 1));
        let mut run = Run::new(&test, Results::new(&test, "me", ""));
        for button in 0..3 {
            run.hear(button);
        }
        assert!(run.answer(Choice::Values(vec![1.0, 2.0]), 0, 1.0).is_err());
        assert!(run.answer(Choice::Values(vec![1.0, 2.0, 101.0]), 0, 1.0).is_err());
        run.answer(Choice::Values(vec![1.0, 50.0, 100.0]), 5, 1.0).unwrap();
        run.results().write(&path).unwrap();
        let read = Results::read(&path, &test).unwrap();
        assert_eq!(&read, run.results());
        assert_eq!(Run::new(&test, read).trial().unwrap().0, 1);
        let other = made(&plan(TestKind::Rating, 3, 2, 2));
        assert!(Results::read(&path, &other).unwrap_err().to_string().contains("another test"));
    }
}
