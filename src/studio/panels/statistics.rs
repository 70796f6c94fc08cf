//! The tables of the analysis: the clip's codebooks, and pinned clips against each other.

use std::sync::Arc;

use egui::{Grid, Label, RichText, ScrollArea, Ui};

use super::{Panel, Slot};
use crate::report::Table;
use crate::studio::command::Command;
use crate::studio::session::Session;

/// The panel. Tables are made again only when the clip has changed.
#[derive(Default)]
pub(super) struct Statistics {
    made_of: Option<(u64, Vec<String>)>,
    tables: Arc<Vec<(String, Table)>>,
}

impl Panel for Statistics {
    fn title(&self) -> &'static str {
        "Statistics"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, _commands: &mut Vec<Command>) {
        if session.inspected.frames.is_empty() {
            ui.weak("Shown of the clip on view");
            return;
        }
        let pinned: Vec<String> = session.pins.clips().iter().map(|clip| clip.take.clone()).collect();
        let now = Some((session.inspected.version, pinned));
        if self.made_of != now {
            (self.made_of, self.tables) = (now, Arc::new(session.statistics()));
        }
        ScrollArea::both().id_salt("statistics").auto_shrink(false).show(ui, |ui| {
            tables_ui(ui, &self.tables);
        });
    }
}

/// Tables of a report, with their captions.
pub(super) fn tables_ui(ui: &mut Ui, tables: &[(String, Table)]) {
    for (n, (caption, table)) in tables.iter().enumerate() {
        let caption = ui.add(Label::new(RichText::new(caption).strong()).extend());
        if !table.legend().is_empty() {
            caption.on_hover_text(table.legend().join("\n"));
        }
        table_ui(ui, n, table);
        ui.add_space(8.0);
    }
}

/// A table of a report.
fn table_ui(ui: &mut Ui, id: usize, table: &Table) {
    Grid::new(("table", id)).striped(true).spacing([14.0, 2.0]).show(ui, |ui| {
        for column in table.columns() {
            ui.small(column);
        }
        ui.end_row();
        for row in table.rows() {
            for cell in row {
                ui.add(Label::new(RichText::new(cell).small()).extend());
            }
            ui.end_row();
        }
    });
}
