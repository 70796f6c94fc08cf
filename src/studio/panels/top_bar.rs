//! The bar at the top: model, what is going on, appearance.

use egui::{Align, ComboBox, DragValue, Label, Layout, RichText, Ui};

use super::model_menu::model_menu_ui;
use super::{Panel, Slot};
use crate::studio::command::{Ask, Command};
use crate::studio::session::Session;
use crate::studio::settings::Theme;

/// The bar.
pub(super) struct TopBar;

impl Panel for TopBar {
    fn title(&self) -> &'static str {
        "Bar"
    }

    fn slot(&self) -> Slot {
        Slot::Top
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        ui.horizontal(|ui| {
            ui.heading("CSM Studio");
            // The buttons at the right come first, so that a long name gives way to them.
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Keys").on_hover_text("F1").clicked() {
                    commands.push(Command::Ask(Ask::Keys));
                }
                if ui.button("Commands").on_hover_text("Ctrl/Cmd+K").clicked() {
                    commands.push(Command::Ask(Ask::Palette));
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

/// What goes on.
fn status_ui(ui: &mut Ui, session: &Session) {
    let clip = &session.inspected;
    let status = if session.is_speaking() {
        Some(RichText::new("Speaking").strong())
    } else if session.generation.is_recomputing() {
        Some(format!("Analysing {}/{}", clip.steps.len(), clip.frames.len()).into())
    } else {
        // A failure and what to do about it stand in the middle.
        session.model.status().filter(|_| session.model.failure().is_none()).map(RichText::new)
    };
    status.into_iter().for_each(|status| drop(ui.add(Label::new(status).truncate())));
}

fn appearance_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let mut settings = session.settings.clone();
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
    if settings != session.settings {
        commands.push(Command::SetSettings(Box::new(settings)));
    }
}
