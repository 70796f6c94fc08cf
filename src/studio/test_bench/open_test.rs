//! A listening test that is open in the window.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::data::random_seed;
use crate::error::Result;
use crate::listen::{AnswerForm, Choice, ListeningReport, ListeningTest, ReportOptions, Results, Run};

/// A test, the answers of its listener, and the file of the answers.
pub struct OpenTest {
    run: Run<Arc<ListeningTest>>,
    sounds: Vec<(Vec<f32>, usize)>,
    results_path: PathBuf,
    /// When the test was opened: the zero of its clock.
    opened: Instant,
    /// When the open trial began, seconds of that clock.
    trial_started: f64,
    /// The button that was pressed last.
    pub button: Option<usize>,
    /// The word that is looped.
    pub word: Option<usize>,
    /// Values of the sliders, in the order of their sounds; `None` until a slider is moved.
    pub values: Vec<Option<f64>>,
}

/// A sound of which a word is looped.
pub(super) struct LoopedWord {
    pub(super) samples: Vec<f32>,
    pub(super) rate: usize,
    /// The word, in seconds.
    pub(super) part: (f64, f64),
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
            false => Results::new(&test, "anonymous", device, random_seed()? as usize),
        };
        let sounds = test.mono_sounds(path)?;
        let run = Run::new(test, results);
        let opened = Instant::now();
        Ok(Self { run, sounds, results_path, opened, trial_started: 0.0, button: None, word: None, values: Vec::new() })
    }

    fn now(&self) -> f64 {
        self.opened.elapsed().as_secs_f64()
    }

    /// Whether enough of the sound of a button was heard.
    pub fn was_heard(&self, button: usize) -> bool {
        self.run.was_heard(button, self.now())
    }

    /// Names of the sounds of which too little was heard for an answer.
    pub fn not_heard(&self) -> Vec<String> {
        let missing = (0..self.run.buttons().len()).filter(|button| !self.was_heard(*button));
        missing.map(|button| self.run.button_name(button)).collect()
    }

    /// The values of the sliders, once every one was moved.
    pub fn rating(&self) -> Option<Choice> {
        let sounds = self.run.trial()?.stimuli.len();
        let values: Option<Vec<f64>> = (0..sounds).map(|n| self.values.get(n).copied().flatten()).collect();
        values.map(Choice::Values)
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

    /// The sound of a button, which starts at the position `from`, seconds.
    pub(super) fn play(&mut self, button: usize, from: f64) -> Option<&(Vec<f32>, usize)> {
        let stimulus = self.run.play(button, from, self.now())?;
        self.button = Some(button);
        Some(&self.sounds[stimulus])
    }

    /// The sound of a button, with the word that is looped.
    pub(super) fn loop_word(&mut self, button: usize, word: usize) -> Option<LoopedWord> {
        let (stimulus, part) = self.run.loop_word(button, word, self.now())?;
        (self.button, self.word) = (Some(button), Some(word));
        let (samples, rate) = self.sounds[stimulus].clone();
        Some(LoopedWord { samples, rate, part })
    }

    /// Ends the loop of a word.
    pub(super) fn end_loop(&mut self) {
        self.run.stop(self.now());
        self.word = None;
    }

    /// Answers the open trial.
    ///
    /// # Errors
    /// Returns the errors of [`Run::answer`].
    pub(super) fn answer(&mut self, choice: Choice) -> Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let now = self.now();
        self.run.answer(choice, at, now - self.trial_started, now)?;
        self.begin_trial();
        Ok(())
    }

    /// Opens the last answered trial again, with its values.
    pub(super) fn undo(&mut self) {
        let undone = self.run.results().answers.last().map(|answer| answer.choice.clone());
        self.run.undo();
        self.begin_trial();
        if let (Some(Choice::Values(values)), AnswerForm::Sliders { .. }) = (undone, self.run.test().kind.info().form) {
            self.values = values.into_iter().map(Some).collect();
        }
    }

    fn begin_trial(&mut self) {
        (self.trial_started, self.button, self.word, self.values) = (self.now(), None, None, Vec::new());
    }

    /// The report of this listener's answers, once all are given.
    pub fn report(&self) -> Option<String> {
        let finished = self.run.trial().is_none();
        let results = std::slice::from_ref(self.run.results());
        finished.then(|| ListeningReport::new(self.run.test(), results, ReportOptions::default()).text())
    }
}
