//! The top bar: model, status, appearance.

use egui::{Align, ComboBox, DragValue, Label, Layout, RichText, Ui};

use super::model_menu::model_menu_ui;
use super::{Panel, Slot};
use crate::studio::command::{Commands, key_of};
use crate::studio::preferences::PreferencesCommand;
use crate::studio::session::Session;
use crate::studio::settings::Theme;
use crate::studio::shell::{PanelRequest, ShellCommand};

pub(super) struct TopBar;

impl Panel for TopBar {
    fn title(&self) -> &'static str {
        "Bar"
    }

    fn slot(&self) -> Slot {
        Slot::Top
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        ui.horizontal(|ui| {
            ui.heading("CSM Studio");
            // The buttons at the right come first, so that a long name gives way to them.
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Keys").on_hover_text("F1").clicked() {
                    commands.push(ShellCommand::Request(PanelRequest::ToggleKeys));
                }
                if ui.button("Commands").on_hover_text(key_of("Commands", ui.ctx())).clicked() {
                    commands.push(ShellCommand::Request(PanelRequest::TogglePalette));
                }
                appearance_ui(ui, session, commands);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    model_menu_ui(ui, session, commands);
                    status_ui(ui, session);
                });
            });
        });
    }
}

/// What the model is doing.
fn status_ui(ui: &mut Ui, session: &Session) {
    let clip = &session.inspector.current;
    let status = if session.is_speaking() {
        Some(RichText::new("Speaking").strong())
    } else if session.is_recomputing() {
        Some(format!("Analysing {}/{}", clip.steps.len(), clip.clip.codes.len()).into())
    } else {
        // A failure is shown instead of the clip.
        session.models.status().filter(|_| session.models.failure().is_none()).map(RichText::new)
    };
    status.into_iter().for_each(|status| drop(ui.add(Label::new(status).truncate())));
}

fn appearance_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let mut settings = session.preferences.settings.clone();
    let scale = DragValue::new(&mut settings.scale).range(0.7..=2.0).speed(0.01).fixed_decimals(2);
    ui.add(scale).on_hover_text("Text size").accessible_name("Text scale");
    let name = |theme| match theme {
        Theme::System => "System",
        Theme::Light => "Light",
        Theme::Dark => "Dark",
    };
    let combo = ComboBox::from_id_salt("theme").width(80.0).selected_text(name(settings.theme));
    let shown = combo.show_ui(ui, |ui| {
        for theme in [Theme::System, Theme::Light, Theme::Dark] {
            ui.selectable_value(&mut settings.theme, theme, name(theme));
        }
    });
    shown.response.accessible_name("Theme");
    if settings != session.preferences.settings {
        commands.push(PreferencesCommand::Set(Box::new(settings)));
    }
}
