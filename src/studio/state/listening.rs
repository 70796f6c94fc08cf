//! A listening test that is open in the window.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::audio::wav;
use crate::error::{Error, Result};
use crate::listen::{Choice, ListeningReport, ListeningTest, Results, Run};

/// Samples a second of the sounds.
pub const RATE: usize = 24_000;

/// A test, how far its listener is, and where the answers are kept.
pub struct OpenTest {
    run: Run<Arc<ListeningTest>>,
    sounds: Vec<Vec<f32>>,
    results: PathBuf,
    begun: Instant,
    /// The button that was pressed last.
    pub button: Option<usize>,
    /// Values that are being given, in the order of the buttons.
    pub values: Vec<f64>,
}

impl OpenTest {
    /// Opens a test that is heard on `device`; answers that were given before are gone on with.
    ///
    /// # Errors
    /// Where it cannot be read, or the answers beside it are another test's.
    pub fn open(path: &Path, device: &str) -> Result<Self> {
        let test = Arc::new(ListeningTest::read(path)?);
        let results_path = path.with_extension("results.json");
        let results = match results_path.exists() {
            true => Results::read(&results_path, &test)?,
            false => Results::new(&test, "anonymous", device),
        };
        let decode = |n: usize| {
            let bytes = test.wav(n).map_err(|e| Error::parse(path, format!("sound {n} is damaged"), e))?;
            wav::decode(&bytes, RATE).map_err(|e| Error::parse(path, format!("sound {n} is damaged"), e))
        };
        let sounds = (0..test.stimuli.len()).map(decode).collect::<Result<_>>()?;
        let run = Run::new(test, results);
        Ok(Self { run, sounds, results: results_path, begun: Instant::now(), button: None, values: Vec::new() })
    }

    /// The run.
    pub fn run(&self) -> &Run<Arc<ListeningTest>> {
        &self.run
    }

    /// Where the answers are kept.
    pub fn results_path(&self) -> &Path {
        &self.results
    }

    /// Who listens.
    pub fn set_listener(&mut self, name: &str) {
        self.run.set_listener(name);
    }

    /// The sound of a button, which counts as heard from now on.
    pub fn hear(&mut self, button: usize) -> Option<&[f32]> {
        let stimulus = self.run.hear(button)?;
        self.button = Some(button);
        Some(&self.sounds[stimulus])
    }

    /// Answers the open trial and keeps that on disk.
    ///
    /// # Errors
    /// As [`Run::answer`], and [`Error::Write`]; then the trial is open again.
    pub fn answer(&mut self, choice: Choice) -> Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.run.answer(choice, at, self.begun.elapsed().as_secs_f64())?;
        if let Err(e) = self.run.results().write(&self.results) {
            self.run.undo();
            return Err(e);
        }
        self.begin_trial();
        Ok(())
    }

    /// Takes the last answer back.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn undo(&mut self) -> Result<()> {
        self.run.undo();
        self.begin_trial();
        self.run.results().write(&self.results)
    }

    fn begin_trial(&mut self) {
        (self.begun, self.button, self.values) = (Instant::now(), None, Vec::new());
    }

    /// What this listener's answers say; only at the end.
    pub fn report(&self) -> Option<String> {
        let finished = self.run.trial().is_none();
        finished.then(|| ListeningReport::new(self.run.test(), std::slice::from_ref(self.run.results())).text())
    }
}
