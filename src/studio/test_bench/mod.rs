//! The test bench: listening tests that are made here, and the one that is open.

mod form;
mod make_test;
mod open_test;

use std::path::PathBuf;

pub use self::form::TestForm;
use self::make_test::PendingTest;
pub use self::make_test::{TemplateChoice, TestRequest, templates_for};
use self::open_test::LoopedWord;
pub use self::open_test::OpenTest;
use super::comparison::Comparison;
use super::effects::Effects;
use super::library::Library;
use super::models::Models;
use super::monitor::{Monitor, MonitorCommand};
use super::session::{Owner, Session};
use super::settings::Settings;
use super::tasks::{Key, Tasks};
use crate::error::Result;
use crate::listen::Choice;

const OPEN_TEST: Key = Key("open test");
const WRITE_ANSWERS: Key = Key("write answers");

/// Samples per second of the sounds of a test.
pub(super) const TEST_RATE: usize = 24_000;

#[derive(Default)]
pub struct TestBench {
    pending: Option<PendingTest>,
    form: Option<TestForm>,
    open: Option<OpenTest>,
}

/// Commands of the test bench.
#[derive(Clone, Debug, PartialEq)]
pub enum TestBenchCommand {
    /// Open the form of a test, or change what it asks for.
    Plan(TestRequest),
    /// Close the form.
    ClosePlan,
    /// Make a test and write it.
    Make {
        request: TestRequest,
        to: PathBuf,
    },
    Open(PathBuf),
    /// Play the sound of a button of the open trial: another one at the same moment, the same one from its start.
    PlayButton(usize),
    /// Loop a word in the sound that is played, and in every other one that is played from now on; `None` plays whole sounds again.
    LoopWord(Option<usize>),
    /// Values of the sliders; `None` until a slider is moved.
    SetValues(Vec<Option<f64>>),
    /// Answer the open trial.
    Answer(Choice),
    /// Open the last answered trial again.
    UndoAnswer,
    /// Name of the listener.
    SetListener(String),
    /// Close the test; the answers are kept.
    Close,
}

/// Data that [`TestBench`] may read.
pub struct TestBenchContext<'a> {
    settings: &'a Settings,
    models: &'a Models,
    library: &'a Library,
    comparison: &'a Comparison,
    monitor: &'a Monitor,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for TestBench {
    type Command = TestBenchCommand;
    type Context<'a> = TestBenchContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, TestBenchContext<'_>) {
        let Session { test_bench, preferences, models, library, comparison, monitor, tasks, effects, .. } = session;
        let settings = &preferences.settings;
        (test_bench, TestBenchContext { settings, models, library, comparison, monitor, tasks, effects })
    }

    fn handle(&mut self, command: TestBenchCommand, cx: &mut TestBenchContext<'_>) {
        match command {
            TestBenchCommand::Plan(request) => self.plan(request, cx),
            TestBenchCommand::ClosePlan => self.form = None,
            TestBenchCommand::Make { request, to } => self.make(request, to, cx),
            TestBenchCommand::Open(path) => self.open(path, cx),
            TestBenchCommand::PlayButton(button) => self.play_button(button, cx),
            TestBenchCommand::LoopWord(word) => self.loop_word(word, cx),
            TestBenchCommand::SetValues(values) => {
                self.open.iter_mut().for_each(|test| test.values.clone_from(&values));
            }
            TestBenchCommand::Answer(choice) => self.answer(choice, cx),
            TestBenchCommand::UndoAnswer => {
                if let Some(test) = &mut self.open {
                    test.undo();
                    self.write_answers(cx);
                }
            }
            TestBenchCommand::SetListener(name) => self.open.iter_mut().for_each(|test| test.set_listener(&name)),
            TestBenchCommand::Close => {
                if self.open.take().is_some() {
                    cx.effects.send(MonitorCommand::EndAudition);
                }
            }
        }
    }
}

impl TestBench {
    /// Whether a test is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The form of a test that is being planned.
    pub fn form(&self) -> Option<&TestForm> {
        self.form.as_ref()
    }

    /// The test that is open.
    pub fn open_test(&self) -> Option<&OpenTest> {
        self.open.as_ref()
    }

    fn open(&self, path: PathBuf, cx: &mut TestBenchContext<'_>) {
        let device = cx.settings.device_name().to_owned();
        let results = path.with_extension("results.json");
        let writing =
            cx.tasks.is_running(WRITE_ANSWERS) && self.open.as_ref().is_some_and(|test| test.results_path() == results);
        if writing {
            return; // it is open already
        }
        cx.tasks.run(
            OPEN_TEST,
            move |_| OpenTest::open(&path, &device),
            |bench: &mut Self, cx, opened: Result<_>| {
                if let Some(test) = cx.effects.or_notify(opened) {
                    bench.form = None;
                    bench.open = Some(test);
                }
            },
        );
    }

    fn play_button(&mut self, button: usize, cx: &mut TestBenchContext<'_>) {
        let Some(test) = &mut self.open else { return };
        if let Some(word) = test.word {
            return Self::play_word(test, button, word, cx);
        }
        let is_playing = cx.monitor.player.is_playing();
        let switches = test.button.is_some_and(|before| before != button) && is_playing;
        let from = if switches { cx.monitor.player.position() } else { 0.0 };
        let Some((samples, rate)) = test.play(button, from).cloned() else { return };
        cx.effects.send(match switches {
            true => MonitorCommand::SwitchSound { samples, rate },
            false => MonitorCommand::PlaySound { samples, rate },
        });
    }

    fn loop_word(&mut self, word: Option<usize>, cx: &mut TestBenchContext<'_>) {
        let Some(test) = &mut self.open else { return };
        match word {
            Some(word) => Self::play_word(test, test.button.unwrap_or(0), word, cx),
            None => {
                test.end_loop();
                cx.effects.send(MonitorCommand::StopSound);
            }
        }
    }

    fn play_word(test: &mut OpenTest, button: usize, word: usize, cx: &mut TestBenchContext<'_>) {
        if let Some(LoopedWord { samples, rate, part }) = test.loop_word(button, word) {
            cx.effects.send(MonitorCommand::LoopSound { samples, rate, part });
        }
    }

    fn answer(&mut self, choice: Choice, cx: &mut TestBenchContext<'_>) {
        let Some(test) = &mut self.open else { return };
        if cx.effects.or_notify(test.answer(choice)).is_some() {
            cx.effects.send(MonitorCommand::StopSound);
            self.write_answers(cx);
        }
    }

    /// Writes the answers. If that fails, the answers that are not on disk have to be given again.
    fn write_answers(&self, cx: &mut TestBenchContext<'_>) {
        let Some(test) = &self.open else { return };
        let (results, path) = (test.run().results().clone(), test.results_path().to_owned());
        let (answers, file) = (results.answers.len(), path.clone());
        let write = move || results.write(&path);
        cx.tasks.run_in_turn(WRITE_ANSWERS, write, move |bench: &mut Self, cx, written: Result<()>| {
            if cx.effects.or_notify(written).is_some() {
                return;
            }
            if let Some(test) = bench.open.as_mut().filter(|test| test.results_path() == file) {
                while !test.run().results().answers.is_empty() && test.run().results().answers.len() >= answers {
                    test.undo();
                }
            }
        });
    }
}
