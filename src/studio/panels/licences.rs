//! The licences of all that the program contains.

use egui::{Context, ScrollArea, TextStyle, Ui};

use super::{Panel, Slot, window_height, window_ui};
use crate::licences::LICENCES;
use crate::studio::command::Commands;
use crate::studio::session::Session;
use crate::studio::shell::PanelRequest;

#[derive(Default)]
pub(super) struct Licences {
    open: bool,
    /// Only the lines that can be seen are laid out: there are more than ten thousand.
    lines: Vec<&'static str>,
}

impl Panel for Licences {
    fn title(&self) -> &'static str {
        "Licences"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, _session: &Session, _commands: &mut Commands) {
        if self.open && self.lines.is_empty() {
            self.lines = LICENCES.lines().collect();
        }
        window_ui(ui, "Licences", 720.0, &mut self.open, |ui| {
            let height = window_height(ui);
            let row = ui.text_style_height(&TextStyle::Monospace);
            ScrollArea::both().auto_shrink(false).max_height(height).show_rows(
                ui,
                row,
                self.lines.len(),
                |ui, shown| {
                    for line in &self.lines[shown] {
                        ui.add(egui::Label::new(egui::RichText::new(*line).monospace()).extend());
                    }
                },
            );
        });
    }

    fn on_request(&mut self, request: &PanelRequest, _: &Context, _: &Session, _: &mut Commands) {
        if *request == PanelRequest::ToggleLicences {
            self.open = !self.open;
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
