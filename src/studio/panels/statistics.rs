//! Statistics of the current clip's codebooks, and of the pinned modes.

use egui::{Grid, Label, RichText, ScrollArea, Ui};

use super::{Panel, Slot};
use crate::report::Table;
use crate::studio::command::Commands;
use crate::studio::inspector::InspectorCommand;
use crate::studio::session::Session;

pub(super) struct Statistics;

impl Panel for Statistics {
    fn title(&self) -> &'static str {
        "Statistics"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let inspector = &session.inspector;
        if inspector.current.clip.codes.is_empty() {
            ui.weak("Statistics of the current clip appear here");
            return;
        }
        if inspector.statistics.is_outdated(&inspector.statistics_key(&session.comparison)) {
            commands.push(InspectorCommand::ComputeStatistics);
        }
        ScrollArea::both().id_salt("statistics").auto_shrink(false).show(ui, |ui| {
            tables_ui(ui, inspector.statistics.value());
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
