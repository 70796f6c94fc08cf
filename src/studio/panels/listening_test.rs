//! The open listening test, over everything else; answered by keyboard or pointer.

use egui::{Button, Key, Modal, Modifiers, ProgressBar, RichText, Slider, TextEdit, Ui, vec2};

use super::{Panel, Slot};
use crate::listen::AnswerForm;
use crate::studio::command::Commands;
use crate::studio::session::Session;
use crate::studio::test_bench::{OpenTest, TestBenchCommand};

/// Width of the window of the test.
const WIDTH: f32 = 560.0;
/// Keys of the sounds.
const SOUND_KEYS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
/// Step of a slider per key press, as a fraction of its range.
const STEP: f64 = 0.05;

#[derive(Default)]
pub(super) struct ListeningTestPanel {
    /// Whether the listener has seen the report: from then on no answer can be changed.
    report_shown: bool,
}

impl Panel for ListeningTestPanel {
    fn title(&self) -> &'static str {
        "Listening test"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(test) = session.test_bench.open_test() else {
            self.report_shown = false;
            return;
        };
        Modal::new(egui::Id::unique("listening test")).show(ui.ctx(), |ui| {
            ui.set_width(WIDTH);
            match test.run().trial() {
                Some(_) => trial_ui(ui, session, test, commands),
                None => end_ui(ui, test, &mut self.report_shown),
            }
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                let can_undo = !test.run().results().answers.is_empty() && !self.report_shown;
                if ui.add_enabled(can_undo, Button::new("Undo the last answer (U)")).clicked() {
                    commands.push(TestBenchCommand::UndoAnswer);
                }
                if ui.button("Close").on_hover_text("Answers are kept; open the test again to continue").clicked() {
                    commands.push(TestBenchCommand::Close);
                }
            });
        });
        keys(ui, test, !self.report_shown, commands);
    }

    fn takes_keys(&self, session: &Session) -> bool {
        session.test_bench.is_open()
    }
}

fn trial_ui(ui: &mut Ui, session: &Session, test: &OpenTest, commands: &mut Commands) {
    let run = test.run();
    let (n, all) = run.progress();
    ui.add(ProgressBar::new(n as f32 / all as f32).text(format!("Question {} of {all}", n + 1)));
    ui.add_space(8.0);
    ui.heading(&run.test().question);
    if run.trial().is_some_and(|trial| trial.training) {
        ui.weak("Practice: this answer does not count");
    }
    if n == 0 {
        if !run.test().study.instructions.is_empty() {
            ui.label(&run.test().study.instructions);
        }
        ui.horizontal(|ui| {
            ui.label("Your name");
            let mut name = run.results().listener.clone();
            if ui.add(TextEdit::singleline(&mut name)).accessible_name("Your name").changed() {
                commands.push(TestBenchCommand::SetListener(name));
            }
        });
    }
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        for button in 0..run.buttons().len() {
            let playing = test.button == Some(button) && session.monitor.player.is_playing();
            let played = if test.was_heard(button) { " ✓" } else { "" };
            let name = run.button_name(button);
            let play = Button::selectable(playing, RichText::new(format!("▶ {name}{played}")).size(18.0));
            let play = ui.add(play.min_size(vec2(84.0, 40.0))).on_hover_text(format!("{}", button + 1));
            if play.accessible_name(format!("Play {name}")).clicked() {
                commands.push(TestBenchCommand::PlayButton(button));
            }
        }
    });
    words_ui(ui, test, commands);
    ui.add_space(8.0);
    answers_ui(ui, test, commands);
    let missing = test.not_heard();
    if !missing.is_empty() {
        ui.weak(format!("Listen to all of it first: {}", missing.join(", ")));
    } else if run.test().kind.info().form_has_sliders() && test.rating().is_none() {
        ui.weak("Rate every sound");
    }
}

/// The words that all sounds say, if the test shows them: one is looped in the sound that is played, and in the next.
fn words_ui(ui: &mut Ui, test: &OpenTest, commands: &mut Commands) {
    let words = test.run().words();
    if words.is_empty() {
        return;
    }
    ui.add_space(8.0);
    ui.horizontal_wrapped(|ui| {
        ui.weak("Loop a word:");
        for (n, word) in words.into_iter().enumerate() {
            let looped = test.word == Some(n);
            let button = ui.add(Button::selectable(looped, word));
            if button.accessible_name(format!("Loop {word}")).clicked() {
                commands.push(TestBenchCommand::LoopWord((!looped).then_some(n)));
            }
        }
    });
}

fn answers_ui(ui: &mut Ui, test: &OpenTest, commands: &mut Commands) {
    let can_answer = test.not_heard().is_empty();
    match test.run().test().kind.info().form {
        AnswerForm::Buttons(buttons) => drop(ui.horizontal_wrapped(|ui| {
            for button in buttons {
                let text = format!("{} ({})", button.label, button.key.to_uppercase());
                if ui.add_enabled(can_answer, Button::new(text).min_size(vec2(96.0, 32.0))).clicked() {
                    commands.push(TestBenchCommand::Answer(button.choice()));
                }
            }
        })),
        AnswerForm::Sliders { min, max, labels } => {
            let mut values = values(test);
            for button in 0..values.len() {
                ui.horizontal(|ui| {
                    let name = test.run().button_name(button);
                    ui.monospace(&name);
                    // A sound is rated from its first play on; a slider has no value before it is moved.
                    let enabled = test.button == Some(button) || test.was_heard(button);
                    let mut value = values[button].unwrap_or(min);
                    let slider = Slider::new(&mut value, min..=max).fixed_decimals(0).show_value(false);
                    let slider = ui
                        .add_enabled_ui(enabled, |ui| ui.add(slider).accessible_name(format!("Rating of {name}")))
                        .inner;
                    if slider.changed() || slider.clicked() {
                        values[button] = Some(value);
                        commands.push(TestBenchCommand::SetValues(values.clone()));
                    }
                    ui.label(values[button].map_or("not rated".into(), |value| in_words(value, min, max, &labels)));
                });
            }
            let rating = test.rating().filter(|_| can_answer);
            if ui.add_enabled(rating.is_some(), Button::new("Next (Enter)")).clicked()
                && let Some(rating) = rating
            {
                commands.push(TestBenchCommand::Answer(rating));
            }
        }
    }
}

/// Values of the sliders; `None` until a slider is moved.
fn values(test: &OpenTest) -> Vec<Option<f64>> {
    let all = test.run().trial().map_or(0, |trial| trial.stimuli.len());
    (0..all).map(|button| test.values.get(button).copied().flatten()).collect()
}

/// A value with the word of its part of the scale.
fn in_words(value: f64, min: f64, max: f64, labels: &[&str]) -> String {
    let part = ((value - min) / (max - min) * labels.len() as f64) as usize;
    format!("{value:.0} {}", labels.get(part.min(labels.len() - 1)).unwrap_or(&""))
}

fn end_ui(ui: &mut Ui, test: &OpenTest, report_shown: &mut bool) {
    ui.heading("Thank you");
    ui.label(format!("Your answers are in {}. Send this file back.", test.results_path().display()));
    if !*report_shown {
        let show = ui.button("Show the report");
        *report_shown = show.on_hover_text("After that no answer can be changed").clicked();
    } else if let Some(report) = test.report() {
        egui::ScrollArea::vertical().max_height(320.0).show(ui, |ui| ui.label(report));
    }
}

fn keys(ui: &Ui, test: &OpenTest, can_undo: bool, commands: &mut Commands) {
    if ui.ctx().egui_wants_keyboard_input() {
        return;
    }
    let info = test.run().test().kind.info();
    ui.input_mut(|i| {
        let mut pressed = |key: Key| i.consume_key(Modifiers::NONE, key);
        match info.form {
            AnswerForm::Buttons(buttons) => {
                for button in buttons {
                    if key_of(button.key).is_some_and(&mut pressed) {
                        commands.push(TestBenchCommand::Answer(button.choice()));
                    }
                }
            }
            AnswerForm::Sliders { min, max, .. } => {
                let mut values = values(test);
                for (key, sign) in
                    [(Key::ArrowRight, 1.0), (Key::ArrowUp, 1.0), (Key::ArrowLeft, -1.0), (Key::ArrowDown, -1.0)]
                {
                    // Keys move the slider of the sound that was played last, from the middle.
                    if pressed(key)
                        && let Some(value) = test.button.and_then(|button| values.get_mut(button))
                    {
                        let before = value.unwrap_or((min + max) / 2.0);
                        *value = Some((before + sign * STEP * (max - min)).clamp(min, max));
                        commands.push(TestBenchCommand::SetValues(values.clone()));
                    }
                }
                if pressed(Key::Enter)
                    && let Some(rating) = test.rating()
                {
                    commands.push(TestBenchCommand::Answer(rating));
                }
            }
        }
        for (button, key) in SOUND_KEYS.into_iter().enumerate().take(test.run().buttons().len()) {
            if !info.answers_by_digit() && pressed(key) {
                commands.push(TestBenchCommand::PlayButton(button));
            }
        }
        if pressed(Key::Space) {
            commands.push(TestBenchCommand::PlayButton(test.button.unwrap_or(0)));
        }
        if pressed(Key::U) && can_undo {
            commands.push(TestBenchCommand::UndoAnswer);
        }
        if pressed(Key::Escape) {
            commands.push(TestBenchCommand::Close);
        }
    });
}

/// The key of a letter, digit or sign.
fn key_of(sign: char) -> Option<Key> {
    Key::from_name(&sign.to_uppercase().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::TestKind;

    #[test]
    fn every_answer_has_a_key() {
        for info in TestKind::all() {
            if let AnswerForm::Buttons(buttons) = info.form {
                buttons.iter().for_each(|button| assert!(key_of(button.key).is_some(), "{button:?}"));
            }
        }
    }
}
