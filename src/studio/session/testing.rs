//! Listening tests: made of takes, and listened to.

use std::path::{Path, PathBuf};

use super::Session;
use crate::data::Codes;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::listen::{Choice, ListeningTest, PlannedSound, TakeSound, Template, TestKind, TestPlan, test_page};
use crate::studio::state::{Heard, QueuedTask, TEST_RATE, TestInMaking, TestRequest};

/// Trials of each pair of conditions: enough to tell 80/20 from chance with 80 %.
const TRIALS: usize = 24;

impl Session {
    /// Writes a test of takes, and beside it the same as a page for listeners without this program.
    pub fn make_test(&mut self, request: TestRequest, path: &Path) {
        let takes = request.takes.iter().map(|id| self.test_sound(id)).collect::<Result<Vec<_>>>();
        let Some(takes) = self.report(takes) else { return };
        if request.template != Template::Codebooks {
            let sounds = takes.into_iter().map(|(sound, _)| sound).collect();
            return self.write_test(&request, path.to_owned(), sounds);
        }
        let codebooks = takes.first().map_or(0, |(_, codes)| codes.codebooks());
        let fits = self.dims().is_ok_and(|dims| dims.codebooks == codebooks);
        if !fits || takes.iter().any(|(_, codes)| codes.codebooks() != codebooks || codes.is_empty()) {
            return self
                .notify_error("Only takes of the model that is open can be decoded from some of their codebooks");
        }
        let counts = Template::codebook_counts(codebooks);
        self.test_in_making = Some(TestInMaking::new(request, path.to_owned(), takes, &counts));
        self.decode_for_test();
    }

    /// Has the next sound of the test that is being made decoded, or writes it.
    fn decode_for_test(&mut self) {
        let Some(test) = &self.test_in_making else { return };
        if let Some((frames, heard)) = test.next() {
            self.generation.queue.push_back(QueuedTask::DecodeForTest { frames, heard });
            return self.dispatch_next();
        }
        if let Some(test) = self.test_in_making.take() {
            let (request, path) = (test.request.clone(), test.path.clone());
            self.write_test(&request, path, test.sounds());
        }
    }

    pub(super) fn on_decoded_for_test(&mut self, samples: Vec<f32>) {
        if let Some(test) = &mut self.test_in_making {
            test.decoded(samples);
            self.decode_for_test();
        }
    }

    fn write_test(&mut self, request: &TestRequest, path: PathBuf, sounds: Vec<TakeSound>) {
        let seed = self.random_number();
        let Some(seed) = self.report(seed) else { return };
        let (request, match_loudness) = (request.clone(), !self.pins.own_loudness);
        let write = move || {
            if sounds.iter().any(|take| take.sound.rate != TEST_RATE) {
                return Err(Error::invalid("takes", format!("sounds at {TEST_RATE} Hz"), "another rate"));
            }
            let conditions = request.template.conditions(&sounds)?;
            let items = conditions.first().map_or(1, |(_, sounds)| sounds.len().max(1));
            let in_pairs = matches!(request.kind, TestKind::Abx | TestKind::Preference);
            let test = ListeningTest::new(&TestPlan {
                kind: request.kind,
                question: String::new(),
                conditions,
                repetitions: if in_pairs { TRIALS.div_ceil(items) } else { 1 },
                repeats: 0,
                low_anchor: request.low_anchor,
                hidden_repeat: request.hidden_repeat,
                match_loudness,
                seed,
            })?;
            test.write(&path)?;
            let page = path.with_extension("page.html");
            write_atomically(&page, test_page(&test).as_bytes())?;
            let made = format!("{} and {}: {} trials", path.display(), page.display(), test.trials.len());
            Ok((made, test.describe_power()))
        };
        self.write_in_background(write, |session, made: Result<(String, String)>| {
            if let Some((made, power)) = session.report(made) {
                session.notify(made);
                session.notify(power);
            }
        });
    }

    /// What a test can know of a take, and its codes.
    fn test_sound(&self, id: &str) -> Result<(TakeSound, Codes)> {
        let known = self.take_settings(id);
        let (samples, rate, frames) = match self.pins.place(id).map(|n| &self.pins.clips()[n]) {
            Some(pinned) => (pinned.audio.clone(), pinned.rate, pinned.frames.clone()),
            None => {
                let (file, samples) = self.read_take(id, TEST_RATE)?;
                (samples, TEST_RATE, file.frames)
            }
        };
        let sound = PlannedSound { samples, rate, ..known.sound.clone() };
        Ok((TakeSound { sound, ..known }, frames))
    }

    /// What made a take, without its sound.
    fn take_settings(&self, id: &str) -> TakeSound {
        let take = self.library.store.get(id);
        let pinned = self.pins.place(id).map(|n| &self.pins.clips()[n]);
        let sampling = take.map_or(pinned.and_then(|clip| clip.sampling), |take| take.sampling);
        let name = take.map(|take| &take.name).or(pinned.map(|clip| &clip.name));
        TakeSound {
            name: name.cloned().unwrap_or_else(|| id.to_owned()),
            text: take.map(|take| take.text.clone()).or(pinned.and_then(|clip| clip.text.clone())),
            speaker: take.map(|take| take.speaker),
            model: take.and_then(|take| take.model.as_ref()).map(|model| model.name.clone()),
            codebooks: None,
            sound: PlannedSound { source: id.to_owned(), samples: Vec::new(), rate: TEST_RATE, sampling },
        }
    }

    /// Conditions that a test of these takes has, by what they can be told apart by; nothing that leaves fewer than two of them.
    pub fn templates_for(&self, ids: &[String]) -> Vec<(Template, &'static str, usize)> {
        let takes: Vec<TakeSound> = ids.iter().map(|id| self.take_settings(id)).collect();
        let counts = self.dims().map_or(0, |dims| Template::codebook_counts(dims.codebooks).len());
        let conditions = |template: Template| match template {
            Template::Codebooks => counts,
            _ => template.conditions(&takes).map_or(0, |conditions| conditions.len()),
        };
        let all = Template::ALL.into_iter().map(|(template, _, title)| (template, title, conditions(template)));
        all.filter(|(.., conditions)| *conditions > 1).collect()
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
