//! A listening test that is open in the window.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::TEST_RATE;
use crate::audio::recording::{self, Length};
use crate::error::{Error, Result};
use crate::listen::{Choice, ListeningReport, ListeningTest, Results, Run};

/// A test, the answers of its listener, and the file of the answers.
pub struct OpenTest {
    run: Run<Arc<ListeningTest>>,
    sounds: Vec<Vec<f32>>,
    results_path: PathBuf,
    trial_started: Instant,
    /// The button that was pressed last.
    pub button: Option<usize>,
    /// Values of the sliders, in the order of the buttons.
    pub values: Vec<f64>,
}

impl OpenTest {
    /// Opens a test that is played on `device`; answers that were given before stay.
    ///
    /// # Errors
    /// If the test cannot be read, or the answers next to it are of another test.
    pub(super) fn open(path: &Path, device: &str) -> Result<Self> {
        let test = Arc::new(ListeningTest::read(path)?);
        let results_path = path.with_extension("results.json");
        let results = match results_path.exists() {
            true => Results::read(&results_path, &test)?,
            false => Results::new(&test, "anonymous", device),
        };
        let decode = |n: usize| {
            let bytes = test.wav(n).map_err(|e| Error::parse(path, format!("sound {n} is damaged"), e))?;
            recording::decode(path, &bytes, TEST_RATE, Length::Whole).map(|sound| sound.samples)
        };
        let sounds = (0..test.stimuli.len()).map(decode).collect::<Result<_>>()?;
        let (run, trial_started) = (Run::new(test, results), Instant::now());
        Ok(Self { run, sounds, results_path, trial_started, button: None, values: Vec::new() })
    }

    /// The test and its answers.
    pub fn run(&self) -> &Run<Arc<ListeningTest>> {
        &self.run
    }

    /// The file of the answers.
    pub fn results_path(&self) -> &Path {
        &self.results_path
    }

    pub(super) fn set_listener(&mut self, name: &str) {
        self.run.set_listener(name);
    }

    /// The sound of a button; the button counts as played from now on.
    pub(super) fn play(&mut self, button: usize) -> Option<&[f32]> {
        let stimulus = self.run.hear(button)?;
        self.button = Some(button);
        Some(&self.sounds[stimulus])
    }

    /// Answers the open trial.
    ///
    /// # Errors
    /// Returns the errors of [`Run::answer`].
    pub(super) fn answer(&mut self, choice: Choice) -> Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.run.answer(choice, at, self.trial_started.elapsed().as_secs_f64())?;
        self.begin_trial();
        Ok(())
    }

    /// Opens the last answered trial again.
    pub(super) fn undo(&mut self) {
        self.run.undo();
        self.begin_trial();
    }

    fn begin_trial(&mut self) {
        (self.trial_started, self.button, self.values) = (Instant::now(), None, Vec::new());
    }

    /// The report of this listener's answers, once all are given.
    pub fn report(&self) -> Option<String> {
        let finished = self.run.trial().is_none();
        finished.then(|| ListeningReport::new(self.run.test(), std::slice::from_ref(self.run.results())).text())
    }
}
