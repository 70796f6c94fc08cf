//! The model menu: the open model, and what can be opened instead.

use std::path::PathBuf;

use egui::containers::menu::MenuButton;
use egui::{Button, Ui};

use crate::checkpoint::CheckpointSpec;
use crate::studio::command::Commands;
use crate::studio::models::ModelsCommand;
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, PanelRequest, ShellCommand};
use crate::studio::theme::icon;

/// A button with the name of the model, and a menu of others.
pub(super) fn model_menu_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let name = match session.models.info() {
        Some(m) => format!("{} · {} × {} codes", m.name, m.dims.codebooks, m.dims.codec_size),
        None => "No model".into(),
    };
    let button = MenuButton::from_button(Button::new(format!("{} {name} {}", icon::CUBE, icon::MENU)).truncate());
    let (menu, _) = button.ui(ui, |ui| choices_ui(ui, session, commands));
    let device = session.models.device().map_or(String::new(), |device| format!(", computes on {device}"));
    menu.on_hover_text(format!("{name}{device}")).accessible_name("Model");
}

/// Why there is no model, and what can be opened instead.
pub(super) fn no_model_ui(ui: &mut Ui, session: &Session, why: &str, commands: &mut Commands) {
    ui.add_space(24.0);
    ui.vertical_centered(|ui| {
        ui.heading("No model");
        ui.label(why);
        ui.add_space(8.0);
        choices_ui(ui, session, commands);
        ui.label("Takes can be played meanwhile.");
    });
}

fn choices_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let mut open = |ui: &mut Ui, label: String, path: Option<PathBuf>| {
        if ui.button(label).clicked() {
            commands.push(ModelsCommand::Open(CheckpointSpec { path, ..CheckpointSpec::default() }));
            ui.close();
        }
    };
    open(ui, "Use the demo voice".into(), None);
    for path in &session.preferences.settings.recent_models {
        open(ui, format!("Open {}", path.display()), Some(path.clone()));
    }
    if ui.button("Models…").on_hover_text("Downloads, adapters, and the models on this machine").clicked() {
        commands.push(ShellCommand::Request(PanelRequest::ToggleModels));
        ui.close();
    }
    if ui.button("Open a checkpoint folder…").clicked() {
        commands.push(ShellCommand::Ask(Dialog::Model));
        ui.close();
    }
}
