//! Listening tests: made of pinned takes, and listened to.

use std::path::Path;

use super::Session;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::listen::{Choice, ListeningTest, PlannedSound, TestKind, TestPlan, test_page};
use crate::studio::state::{Heard, OpenTest, TEST_RATE};

/// Trials of each pair of takes: enough to tell 80/20 from chance with 80 %.
const TRIALS: usize = 24;

impl Session {
    /// Writes a test of the pinned takes, each a condition, and beside it the same as a page for listeners without this program.
    pub fn make_test(&mut self, kind: TestKind, path: &Path) {
        let made = self.plan_test(kind).and_then(|test| {
            test.write(path)?;
            let page = path.with_extension("page.html");
            write_atomically(&page, test_page(&test).as_bytes())?;
            Ok((test, page))
        });
        if let Some((test, page)) = self.report(made) {
            self.notify(format!("{} and {}: {} trials", path.display(), page.display(), test.trials.len()));
            self.notify(test.describe_power());
        }
    }

    fn plan_test(&self, kind: TestKind) -> Result<ListeningTest> {
        let pins = self.pins.clips();
        if pins.iter().any(|clip| clip.rate != TEST_RATE) {
            return Err(Error::invalid("pinned takes", format!("sounds at {TEST_RATE} Hz"), "another rate"));
        }
        let condition = |(n, clip): (usize, &crate::studio::state::PinnedClip)| {
            let settings = clip.sampling.map_or(String::new(), |s| format!(" {}", s.summary()));
            let sound = PlannedSound {
                source: clip.take.clone(),
                samples: clip.audio.clone(),
                rate: clip.rate,
                sampling: clip.sampling,
            };
            (format!("{}{settings}", n + 1), vec![sound])
        };
        let repetitions = if matches!(kind, TestKind::Abx | TestKind::Preference) { TRIALS } else { 1 };
        ListeningTest::new(&TestPlan {
            kind,
            question: String::new(),
            conditions: pins.iter().enumerate().map(condition).collect(),
            repetitions,
            repeats: 0,
            match_loudness: !self.pins.own_loudness,
            seed: self.random_number()?,
        })
    }

    /// Opens a listening test.
    pub fn open_test(&mut self, path: &Path) {
        let opened = OpenTest::open(path);
        self.listening = self.report(opened);
    }

    /// Closes the test; the answers are kept.
    pub fn close_test(&mut self) {
        if self.listening.take().is_some() {
            self.heard = Heard::Recording;
            self.end_audition();
        }
    }

    /// Hears a button of the open trial: another one at the same moment, the same one from its start.
    pub fn hear_button(&mut self, button: usize) {
        let Some(test) = &mut self.listening else { return };
        let switching = test.button.is_some_and(|before| before != button) && self.player.is_playing();
        let Some(sound) = test.hear(button) else { return };
        if switching {
            self.player.switch(sound.to_vec(), TEST_RATE, false);
        } else {
            self.player.load(sound, TEST_RATE);
        }
        self.heard = Heard::Recording;
        let played = self.player.play(true);
        self.report(played);
    }

    /// Answers the open trial.
    pub fn answer_trial(&mut self, choice: Choice) {
        let Some(test) = &mut self.listening else { return };
        let answered = test.answer(choice);
        if self.report(answered).is_some() {
            let stopped = self.player.play(false);
            self.report(stopped);
        }
    }

    /// Takes the last answer back.
    pub fn undo_answer(&mut self) {
        let Some(test) = &mut self.listening else { return };
        let undone = test.undo();
        self.report(undone);
    }
}
