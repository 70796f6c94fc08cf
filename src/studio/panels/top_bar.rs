//! The top bar: model, status, appearance.

use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{Align, Context, Id, Label, Layout, Popup, PopupCloseBehavior, RichText, Slider, Ui};

use super::model_menu::model_menu_ui;
use super::{Panel, Slot};
use crate::studio::command::{Commands, key_of};
use crate::studio::models::describe_bytes;
use crate::studio::monitor::MonitorCommand;
use crate::studio::preferences::PreferencesCommand;
use crate::studio::session::Session;
use crate::studio::settings::{DEFAULT_DEVICE, Theme};
use crate::studio::shell::{PanelRequest, ShellCommand};
use crate::studio::theme::{Palette, heading, icon, icon_button};

#[derive(Default)]
pub(super) struct TopBar {
    /// The menu of the settings.
    settings: Option<Id>,
}

impl Panel for TopBar {
    fn title(&self) -> &'static str {
        "Bar"
    }

    fn slot(&self) -> Slot {
        Slot::Top
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            ui.heading("CSM Studio");
            // The buttons at the right come first, so that a long name is cut rather than the buttons.
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                self.settings = Some(settings_ui(ui, session, commands));
                let keys = ui.add(icon_button(icon::KEYBOARD)).on_hover_text("Shortcuts (F1)");
                if keys.accessible_name("Keys").clicked() {
                    commands.push(ShellCommand::Request(PanelRequest::ToggleKeys));
                }
                let tip = format!("Search commands ({})", key_of("Commands", ui.ctx()));
                let search = ui.add(icon_button(icon::SEARCH)).on_hover_text(tip);
                if search.accessible_name("Commands").clicked() {
                    commands.push(ShellCommand::Request(PanelRequest::TogglePalette));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    model_menu_ui(ui, session, commands);
                    status_ui(ui, session);
                });
            });
        });
        ui.add_space(4.0);
    }

    fn on_request(&mut self, request: &PanelRequest, ctx: &Context, _: &Session, _: &mut Commands) {
        if *request == PanelRequest::ToggleSettings
            && let Some(menu) = self.settings
        {
            Popup::toggle_id(ctx, menu);
        }
    }
}

/// The model's activity.
fn status_ui(ui: &mut Ui, session: &Session) {
    let palette = Palette::of(ui.visuals());
    let clip = &session.inspector.current;
    let status = if session.is_speaking() {
        Some(RichText::new("● Speaking").color(palette.ok))
    } else if session.is_recomputing() {
        Some(RichText::new(format!("● Analysing {}/{}", clip.steps.len(), clip.clip.codes.len())).color(palette.accent))
    } else if let Some(fetched) = session.catalogue.fetched() {
        let progress = describe_bytes(fetched.done, fetched.bytes);
        Some(RichText::new(format!("Downloading {progress}")).color(palette.accent))
    } else {
        // A failure is shown instead of the clip.
        let status = session.models.status().filter(|_| session.models.failure().is_none());
        status.map(|status| RichText::new(status).color(palette.secondary))
    };
    status.into_iter().for_each(|status| drop(ui.add(Label::new(status).truncate())));
}

/// Appearance and sound, in a menu; returns the menu's id.
fn settings_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) -> Id {
    let menu = MenuButton::from_button(icon_button(icon::SETTINGS))
        .config(MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside));
    let (button, shown) = menu.ui(ui, |ui| {
        ui.set_min_width(232.0);
        let mut settings = session.preferences.settings.clone();
        ui.label(heading("Appearance"));
        ui.horizontal(|ui| {
            for (theme, name) in [(Theme::System, "System"), (Theme::Light, "Light"), (Theme::Dark, "Dark")] {
                ui.selectable_value(&mut settings.theme, theme, name).accessible_name(format!("Theme {name}"));
            }
        });
        let scale = Slider::new(&mut settings.scale, 0.7..=2.0).step_by(0.05).text("text size");
        ui.add(scale).accessible_name("Text scale");
        if settings != session.preferences.settings {
            commands.push(PreferencesCommand::Set(Box::new(settings.clone())));
        }
        ui.separator();
        ui.label(heading("Output device"));
        devices_ui(ui, session, commands);
    });
    let tip = format!("Settings ({})", key_of("Settings…", ui.ctx()));
    let menu = Popup::default_response_id(&button);
    button.on_hover_text(tip).accessible_name("Settings");
    match (shown.is_some(), session.monitor.devices.is_some()) {
        (true, false) => commands.push(MonitorCommand::ListDevices),
        (false, true) => commands.push(MonitorCommand::CloseDeviceList),
        (true, true) | (false, false) => {}
    }
    menu
}

fn devices_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let settings = &session.preferences.settings;
    if ui.selectable_label(settings.device.is_none(), DEFAULT_DEVICE).clicked() {
        commands.push(MonitorCommand::SetDevice(None));
    }
    for device in session.monitor.devices.iter().flatten() {
        let selected = settings.device.as_ref() == Some(device);
        if ui.selectable_label(selected, device).clicked() {
            commands.push(MonitorCommand::SetDevice(Some(device.clone())));
        }
    }
}
