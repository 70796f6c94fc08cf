//! What stands for a take wherever it is shown: the colour of its mode, and the menus of what can be done with it.

use egui::{Button, Color32, Ui};

use crate::data::Mode;
use crate::listen::TestKind;
use crate::studio::command::Command;
use crate::studio::session::{RegenerateSeed, Session};
use crate::studio::state::{ExportKind, TestRequest};

/// The colour that stands for a mode.
pub(super) fn mode_colour(mode: Mode) -> Color32 {
    match mode {
        Mode::Native => Color32::from_rgb(70, 130, 210),
        Mode::Exact => Color32::from_rgb(60, 150, 80),
        Mode::Hybrid => Color32::from_rgb(200, 120, 40),
    }
}

/// Ways to make a take again.
pub(super) fn again_menu_ui(ui: &mut Ui, id: &str, commands: &mut Vec<Command>) {
    let id = || id.to_owned();
    for (text, command) in [
        ("Same seed", Command::Regenerate(id(), RegenerateSeed::Same)),
        ("New seed", Command::Regenerate(id(), RegenerateSeed::New)),
        ("3 new seeds", Command::RegenerateOften(id())),
        ("All modes", Command::GenerateInAllModes(id())),
    ] {
        if ui.button(text).clicked() {
            commands.push(command);
            ui.close();
        }
    }
}

/// Listening tests of takes: by what they can be told apart, and what is asked.
pub(super) fn test_menu_ui(ui: &mut Ui, session: &Session, takes: &[String], commands: &mut Vec<Command>) {
    let templates = session.templates_for(takes);
    if templates.is_empty() {
        ui.weak("A test needs two takes that differ");
    }
    for (template, title, conditions) in templates {
        ui.menu_button(format!("{title} ({conditions})"), |ui| {
            for (kind, name) in TestKind::ALL {
                let fits = kind != TestKind::Abx || conditions == 2;
                let entry = ui.add_enabled(fits, Button::new(format!("{name}…")));
                let entry = entry.on_hover_text(format!("{}, and a page for listeners elsewhere", kind.question()));
                let entry = entry.on_disabled_hover_text("ABX tells two conditions from each other");
                let checked = kind == TestKind::Rating && checked_rating_ui(ui);
                if entry.clicked() || checked {
                    let takes = takes.to_vec();
                    let (low_anchor, hidden_repeat) = (checked, checked);
                    commands.push(Command::MakeTest(TestRequest { kind, template, takes, low_anchor, hidden_repeat }));
                    ui.close();
                }
            }
        });
    }
}

/// The entry for a rating whose listeners are checked.
fn checked_rating_ui(ui: &mut Ui) -> bool {
    let entry = ui.button("rating that checks its listeners…");
    let about =
        "With a low anchor, which is surely worse, and with one sound of each question twice, which is rated alike";
    entry.on_hover_text(about).clicked()
}

/// Ways to export a take.
pub(super) fn export_menu_ui(ui: &mut Ui, id: &str, commands: &mut Vec<Command>) {
    for (kind, name) in ExportKind::ALL {
        if ui.button(format!("{name}…")).clicked() {
            commands.push(Command::Export(id.to_owned(), kind));
            ui.close();
        }
    }
    if ui.button("Copy command").on_hover_text("A command line that makes this take again").clicked() {
        commands.push(Command::CopyCommand(id.to_owned()));
        ui.close();
    }
}
