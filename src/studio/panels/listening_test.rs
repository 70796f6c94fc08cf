//! A listening test: one question over everything else, worked by keyboard or pointer.

use egui::{Button, Key, Modal, Modifiers, ProgressBar, RichText, Slider, TextEdit, Ui, vec2};

use super::{Panel, Slot};
use crate::listen::{Choice, TestKind};
use crate::studio::command::Command;
use crate::studio::session::Session;
use crate::studio::state::OpenTest;

/// Width of the question.
const WIDTH: f32 = 560.0;
/// Keys of the buttons.
const BUTTON_KEYS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
/// What the values of an opinion mean (ITU-T P.800).
const OPINIONS: [&str; 5] = ["1 bad", "2 poor", "3 fair", "4 good", "5 excellent"];

/// The panel.
#[derive(Default)]
pub(super) struct ListeningTestPanel {
    /// Whether the listener has seen what the answers say: from then on none is changed.
    report_shown: bool,
}

impl Panel for ListeningTestPanel {
    fn title(&self) -> &'static str {
        "Listening test"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        let Some(test) = &session.listening else {
            self.report_shown = false;
            return;
        };
        Modal::new(egui::Id::unique("listening test")).show(ui.ctx(), |ui| {
            ui.set_width(WIDTH);
            match test.run().trial() {
                Some((n, _)) => trial_ui(ui, session, test, n, commands),
                None => end_ui(ui, test, &mut self.report_shown),
            }
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                let can_undo = !test.run().results().answers.is_empty() && !self.report_shown;
                if ui.add_enabled(can_undo, Button::new("Undo the last answer (U)")).clicked() {
                    commands.push(Command::UndoAnswer);
                }
                if ui.button("Close").on_hover_text("What was answered is kept; open the test again to go on").clicked()
                {
                    commands.push(Command::CloseTest);
                }
            });
        });
        keys(ui, test, !self.report_shown, commands);
    }

    fn takes_keys(&self, session: &Session) -> bool {
        session.listening.is_some()
    }
}

fn trial_ui(ui: &mut Ui, session: &Session, test: &OpenTest, n: usize, commands: &mut Vec<Command>) {
    let (run, all) = (test.run(), test.run().test().trials.len());
    ui.add(ProgressBar::new(n as f32 / all as f32).text(format!("Question {} of {all}", n + 1)));
    ui.add_space(8.0);
    ui.heading(&run.test().question);
    if n == 0 {
        ui.horizontal(|ui| {
            ui.label("Your name");
            let mut name = run.results().listener.clone();
            if ui.add(TextEdit::singleline(&mut name)).accessible_name("Your name").changed() {
                commands.push(Command::NameListener(name));
            }
        });
    }
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        for button in 0..run.buttons().len() {
            let playing = test.button == Some(button) && session.player.is_playing();
            let heard = if run.was_heard(button) { " ✓" } else { "" };
            let name = run.test().kind.button_name(button);
            let play = Button::selectable(playing, RichText::new(format!("▶ {name}{heard}")).size(18.0));
            let play = ui.add(play.min_size(vec2(84.0, 40.0))).on_hover_text(format!("{}", button + 1));
            if play.accessible_name(format!("Hear {name}")).clicked() {
                commands.push(Command::HearButton(button));
            }
        }
    });
    ui.add_space(8.0);
    votes_ui(ui, test, session, commands);
    if !run.can_answer() {
        ui.weak("Hear each of them, then answer");
    }
}

fn votes_ui(ui: &mut Ui, test: &OpenTest, session: &Session, commands: &mut Vec<Command>) {
    let (kind, can) = (test.run().test().kind, test.run().can_answer());
    match kind {
        TestKind::Rating => {
            let mut values = values(test);
            for (button, value) in values.iter_mut().enumerate() {
                ui.horizontal(|ui| {
                    ui.monospace(kind.button_name(button));
                    // Only what is playing is rated.
                    let playing = test.button == Some(button) && session.player.is_playing();
                    let slider = Slider::new(value, 0.0..=100.0).fixed_decimals(0);
                    let name = format!("Rating of {}", kind.button_name(button));
                    ui.add_enabled_ui(playing, |ui| ui.add(slider).accessible_name(name));
                });
            }
            if values != self::values(test) {
                commands.push(Command::RateTrial(values.clone()));
            }
            if ui.add_enabled(can, Button::new("Next (Enter)")).clicked() {
                commands.push(Command::AnswerTrial(Choice::Values(values)));
            }
        }
        _ => drop(ui.horizontal_wrapped(|ui| {
            for (text, _, choice) in answers(kind) {
                if ui.add_enabled(can, Button::new(text).min_size(vec2(96.0, 32.0))).clicked() {
                    commands.push(Command::AnswerTrial(choice));
                }
            }
        })),
    }
}

/// Answers of one key each: what they say, the key, and the choice.
fn answers(kind: TestKind) -> Vec<(String, Key, Choice)> {
    let answer = |text: &str, key: Key, choice: Choice| (format!("{text} ({})", key.symbol_or_name()), key, choice);
    match kind {
        TestKind::Abx => vec![answer("X is A", Key::A, Choice::First), answer("X is B", Key::B, Choice::Second)],
        TestKind::Preference => vec![
            answer("A is better", Key::A, Choice::First),
            answer("Equally good", Key::Equals, Choice::Tie),
            answer("B is better", Key::B, Choice::Second),
        ],
        TestKind::Rating => Vec::new(),
        TestKind::Opinion => {
            let values = OPINIONS.iter().zip(BUTTON_KEYS).enumerate();
            values.map(|(n, (text, key))| ((*text).to_owned(), key, Choice::Values(vec![n as f64 + 1.0]))).collect()
        }
    }
}

/// The values given so far; the middle where none has been.
fn values(test: &OpenTest) -> Vec<f64> {
    let all = test.run().buttons().len();
    (0..all).map(|button| test.values.get(button).copied().unwrap_or(50.0)).collect()
}

fn end_ui(ui: &mut Ui, test: &OpenTest, report_shown: &mut bool) {
    ui.heading("Thank you");
    ui.label(format!("Your answers are in {}. Send this file back.", test.results_path().display()));
    if !*report_shown {
        let show = ui.button("Show what the answers say");
        *report_shown = show.on_hover_text("After that no answer can be taken back").clicked();
    } else if let Some(report) = test.report() {
        egui::ScrollArea::vertical().max_height(320.0).show(ui, |ui| ui.label(report));
    }
}

fn keys(ui: &Ui, test: &OpenTest, can_undo: bool, commands: &mut Vec<Command>) {
    if ui.ctx().egui_wants_keyboard_input() {
        return;
    }
    let kind = test.run().test().kind;
    ui.input_mut(|i| {
        let mut pressed = |key: Key| i.consume_key(Modifiers::NONE, key);
        for (_, key, choice) in answers(kind) {
            if pressed(key) {
                commands.push(Command::AnswerTrial(choice));
            }
        }
        for (button, key) in BUTTON_KEYS.into_iter().enumerate().take(test.run().buttons().len()) {
            if kind != TestKind::Opinion && pressed(key) {
                commands.push(Command::HearButton(button));
            }
        }
        if pressed(Key::Space) {
            commands.push(Command::HearButton(test.button.unwrap_or(0)));
        }
        // The sound that is playing is rated in steps.
        for (key, step) in [(Key::ArrowRight, 5.0), (Key::ArrowUp, 5.0), (Key::ArrowLeft, -5.0), (Key::ArrowDown, -5.0)]
        {
            if kind == TestKind::Rating
                && pressed(key)
                && let Some(button) = test.button
            {
                let mut values = values(test);
                values[button] = (values[button] + step).clamp(0.0, 100.0);
                commands.push(Command::RateTrial(values));
            }
        }
        if kind == TestKind::Rating && pressed(Key::Enter) {
            commands.push(Command::AnswerTrial(Choice::Values(values(test))));
        }
        if pressed(Key::U) && can_undo {
            commands.push(Command::UndoAnswer);
        }
        if pressed(Key::Escape) {
            commands.push(Command::CloseTest);
        }
    });
}
