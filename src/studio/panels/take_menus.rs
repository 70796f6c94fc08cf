//! What stands for a take wherever it is shown: the colour of its mode, and the menus of what can be done with it.

use egui::{Color32, Ui};

use crate::data::Mode;
use crate::studio::command::Command;
use crate::studio::session::RegenerateSeed;
use crate::studio::state::ExportKind;

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
