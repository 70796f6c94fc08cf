//! The list of keys.

use egui::{Context, Grid, ScrollArea, Ui};

use super::{Panel, Slot, window_height, window_ui};
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

/// Width of two columns, in points; a narrower list has one.
const WIDTH: f32 = 840.0;

#[derive(Default)]
pub(super) struct Keys {
    open: bool,
}

/// The `n`th list: keys, and what they do.
fn keys_ui(ui: &mut Ui, n: usize, keys: &[(String, &str)]) {
    Grid::new(("keys", n)).num_columns(2).spacing([16.0, 4.0]).show(ui, |ui| {
        for (key, does) in keys {
            ui.monospace(key);
            ui.label(*does);
            ui.end_row();
        }
    });
}

impl Panel for Keys {
    fn title(&self) -> &'static str {
        "Keys"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, _session: &Session, _commands: &mut Commands) {
        window_ui(ui, "Keys", WIDTH, &mut self.open, |ui| {
            let columns = if ui.available_width() >= WIDTH { 2 } else { 1 };
            ScrollArea::vertical().max_height(window_height(ui)).show(ui, |ui| {
                let named = COMMANDS.iter().filter_map(|c| Some((ui.format_shortcut(&c.key?), c.title)));
                let named: Vec<(String, &str)> = named.collect();
                ui.horizontal_top(|ui| {
                    for (n, part) in named.chunks(named.len().div_ceil(columns)).enumerate() {
                        keys_ui(ui, n, part);
                        ui.add_space(16.0);
                    }
                });
                ui.add_space(8.0);
                let others = OTHER_KEYS.iter().map(|(key, does)| ((*key).to_owned(), *does));
                keys_ui(ui, columns, &others.collect::<Vec<_>>());
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
