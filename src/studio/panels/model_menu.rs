//! The model's name as a menu of what can be opened, and what to do where there is none.

use std::path::PathBuf;
use std::sync::LazyLock;

use egui::containers::menu::MenuButton;
use egui::{Button, Ui};

use crate::checkpoint::CheckpointSpec;
use crate::studio::command::Command;
use crate::studio::session::Session;

/// What is in use, as a button; below it what can be opened instead.
pub(super) fn model_menu_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let name = match session.model_info() {
        Some(m) => format!("{} · {} × {} codes", m.name, m.dims.codebooks, m.dims.codec_size),
        None => "No model".into(),
    };
    // The machine stays the same: it is asked once.
    static DEVICE: LazyLock<String> = LazyLock::new(crate::machine::device);
    let button = MenuButton::from_button(Button::new(format!("{name} ▼")).truncate());
    let (menu, _) = button.ui(ui, |ui| choices_ui(ui, session, commands));
    menu.on_hover_text(format!("{name}, computes on {}", *DEVICE)).accessible_name("Model");
}

/// Why there is no model, and what can be opened instead.
pub(super) fn no_model_ui(ui: &mut Ui, session: &Session, why: &str, commands: &mut Vec<Command>) {
    ui.add_space(24.0);
    ui.vertical_centered(|ui| {
        ui.heading("No model");
        ui.label(why);
        ui.add_space(8.0);
        choices_ui(ui, session, commands);
        ui.label("Takes can be played meanwhile.");
    });
}

fn choices_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let mut open = |ui: &mut Ui, label: String, path: Option<PathBuf>| {
        if ui.button(label).clicked() {
            commands.push(Command::OpenModel(CheckpointSpec { path, ..CheckpointSpec::default() }));
            ui.close();
        }
    };
    open(ui, "Use the demo voice".into(), None);
    for path in &session.settings.recent_models {
        open(ui, format!("Open {}", path.display()), Some(path.clone()));
    }
    if ui.button("Open a checkpoint's folder…").clicked() {
        commands.push(Command::ChooseModel);
        ui.close();
    }
}
