//! The model's name as a menu of what can be opened, and what to do where there is none.

use std::path::PathBuf;

use egui::Ui;

use super::Action;
use super::session::Session;
use crate::checkpoint::CheckpointSpec;

/// What is in use, as a button; below it what can be opened instead.
pub(super) fn model_menu_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let name = match session.model_info() {
        Some(m) => format!("{} · {} × {} codes", m.name, m.dims.codebooks, m.dims.codec_size),
        None => "No model".into(),
    };
    let device = if cfg!(target_os = "macos") { "Metal" } else { "CPU" };
    let menu = ui.menu_button(format!("{name} ▼"), |ui| choices_ui(ui, session, actions));
    menu.response.on_hover_text(format!("computes on {device}")).accessible_name("Model");
}

/// Why there is no model, and what can be opened instead.
pub(super) fn no_model_ui(ui: &mut Ui, session: &Session, why: &str, actions: &mut Vec<Action>) {
    ui.add_space(24.0);
    ui.vertical_centered(|ui| {
        ui.heading("No model");
        ui.label(why);
        ui.add_space(8.0);
        choices_ui(ui, session, actions);
        ui.label("Takes can be played meanwhile.");
    });
}

fn choices_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let mut open = |ui: &mut Ui, label: String, path: Option<PathBuf>| {
        if ui.button(label).clicked() {
            actions.push(Action::OpenModel(CheckpointSpec { path, ..CheckpointSpec::default() }));
            ui.close();
        }
    };
    open(ui, "Use the demo voice".into(), None);
    for path in &session.settings.recent_models {
        open(ui, format!("Open {}", path.display()), Some(path.clone()));
    }
    if ui.button("Open a checkpoint's folder…").clicked() {
        actions.push(Action::ChooseModel);
        ui.close();
    }
}
