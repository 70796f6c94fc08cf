//! The list of keys.

use egui::{Context, Grid, Key, Ui, Window};

use super::{Panel, Slot};
use crate::studio::command::{COMMANDS, Commands};
use crate::studio::session::Session;
use crate::studio::shell::PanelRequest;

/// Keys that are not in the table of commands.
const OTHER_KEYS: &[(&str, &str)] = &[
    ("Escape", "Close what is open; otherwise stop speaking and keep the take so far; otherwise stop the sound"),
    ("1 to 9", "Switch to a pinned take at the same moment"),
    ("Wheel, Shift+wheel", "Zoom at the pointer, pan"),
    ("Tab, Shift+Tab", "Next or previous widget"),
];

#[derive(Default)]
pub(super) struct Keys {
    open: bool,
}

impl Panel for Keys {
    fn title(&self) -> &'static str {
        "Keys"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, _session: &Session, _commands: &mut Commands) {
        if self.open && ui.input(|i| i.key_pressed(Key::Escape)) {
            self.open = false;
        }
        let ctx = ui.ctx().clone();
        let height = ctx.content_rect().height() * 0.8;
        let window = Window::new("Keys").open(&mut self.open).collapsible(false).resizable(false).vscroll(true);
        let window =
            window.anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO).default_width(560.0).max_height(height);
        window.show(&ctx, |ui| {
            ui.set_min_width(520.0);
            Grid::new("keys").num_columns(2).spacing([24.0, 4.0]).show(ui, |ui| {
                let named = COMMANDS.iter().filter_map(|c| Some((ctx.format_shortcut(&c.key?), c.title)));
                let others = OTHER_KEYS.iter().map(|(key, does)| ((*key).to_owned(), *does));
                for (key, does) in named.chain(others) {
                    ui.monospace(key);
                    ui.label(does);
                    ui.end_row();
                }
            });
        });
    }

    fn on_request(&mut self, request: &PanelRequest, _: &Context, _: &Session, _: &mut Commands) {
        if *request == PanelRequest::ToggleKeys {
            self.open = !self.open;
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
