//! The list of takes.

use egui::{RichText, TextEdit, Ui};

use super::session::{ExportKind, RegenerateSeed, Session};
use super::{Action, View};
use crate::takes::Take;

pub(super) fn takes_ui(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.strong("Takes");
        ui.toggle_value(&mut view.favourites, "★").accessible_name("Favourites only");
        if ui.add_enabled(session.store.can_undo(), egui::Button::new("Undo delete")).clicked() {
            actions.push(Action::UndoDelete);
        }
    });
    let all = session.store.takes().len();
    let edit = TextEdit::singleline(&mut view.search).hint_text("Search").desired_width(f32::INFINITY);
    ui.add(edit).accessible_name("Search takes");
    let mut found = session.store.search(&view.search);
    if view.favourites {
        found.retain(|n| session.store.takes()[*n].favourite);
    }
    let shown = if found.len() == all { String::new() } else { format!("{} of ", found.len()) };
    ui.small(format!("{shown}{all} take{}", if all == 1 { "" } else { "s" }));
    let height = row_height(ui);
    egui::ScrollArea::vertical().auto_shrink(false).show_rows(ui, height, found.len(), |ui, rows| {
        for n in &found[rows] {
            let take = &session.store.takes()[*n];
            // Exactly the height that rows are counted with, whatever is in it.
            let size = egui::vec2(ui.available_width(), height);
            let layout = egui::Layout::top_down(egui::Align::Min);
            ui.allocate_ui_with_layout(size, layout, |ui| {
                ui.set_min_size(size);
                take_ui(ui, take, session, view, actions);
            });
        }
    });
}

/// Height of a take: a line of widgets and a small one.
fn row_height(ui: &Ui) -> f32 {
    let small = ui.text_style_height(&egui::TextStyle::Small);
    ui.spacing().interact_size.y + ui.spacing().item_spacing.y + small
}

fn take_ui(ui: &mut Ui, take: &Take, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    let inspected = session.inspected.take.as_ref() == Some(&take.id);
    let id = || take.id.clone();
    ui.vertical(|ui| {
        ui.horizontal(|ui| {
            let star = ui.selectable_label(take.favourite, if take.favourite { "★" } else { "☆" });
            if star.accessible_name(format!("Favourite {}", take.name)).clicked() {
                actions.push(Action::ToggleFavourite(id()));
            }
            menu_ui(ui, take, view, actions);
            match &mut view.renaming {
                Some((of, name)) if *of == take.id => {
                    let mut edit = TextEdit::singleline(name).show(ui);
                    let response = edit.response.response.clone().accessible_name("New name");
                    let escaped = ui.input(|i| i.key_pressed(egui::Key::Escape));
                    if view.rename_begins {
                        response.request_focus();
                        let all = egui::text::CCursorRange::two(
                            egui::text::CCursor::new(0),
                            egui::text::CCursor::new(name.chars().count()),
                        );
                        edit.state.cursor.set_char_range(Some(all));
                        edit.state.store(ui.ctx(), response.id);
                        view.rename_begins = false;
                    } else if escaped {
                        view.renaming = None;
                    } else if response.lost_focus() {
                        actions.push(Action::Rename(id(), name.clone()));
                        view.renaming = None;
                    }
                }
                _ => {
                    let name = if take.name.is_empty() { "(no name)" } else { &take.name };
                    let button = egui::Button::selectable(inspected, name).truncate();
                    if ui.add(button).on_hover_text(&take.text).clicked() {
                        actions.push(Action::Inspect(id()));
                    }
                }
            }
        });
        let settings = take.sampling.map_or("?".into(), |s| s.summary());
        let child = if take.parent.is_some() { "↳ " } else { "" };
        ui.add(
            egui::Label::new(RichText::new(format!("{child}{:.1} s · {settings}", take.measures.seconds)).small())
                .truncate(),
        );
    });
}

fn menu_ui(ui: &mut Ui, take: &Take, view: &mut View, actions: &mut Vec<Action>) {
    let id = || take.id.clone();
    let opened = ui.menu_button("…", |ui| {
        let mut entry = |ui: &mut Ui, text: &str, action: Action| {
            if ui.button(text).clicked() {
                actions.push(action);
                ui.close();
            }
        };
        entry(ui, "Regenerate (same seed)", Action::Regenerate(id(), RegenerateSeed::Same));
        entry(ui, "Regenerate (new seed)", Action::Regenerate(id(), RegenerateSeed::New));
        entry(ui, "Generate 3 takes (new seeds)", Action::RegenerateOften(id()));
        entry(ui, "Generate in all modes", Action::GenerateInAllModes(id()));
        ui.separator();
        entry(ui, "Copy command", Action::CopyCommand(id()));
        entry(ui, "Export WAV…", Action::Export(id(), ExportKind::Wav));
        entry(ui, "Export tokens (JSON)…", Action::Export(id(), ExportKind::Tokens));
        entry(ui, "Export tokens (CSV)…", Action::Export(id(), ExportKind::Table));
        entry(ui, "Export token map (PNG)…", Action::Export(id(), ExportKind::TokenMap));
        ui.separator();
        if ui.button("Rename").clicked() {
            view.renaming = Some((take.id.clone(), take.name.clone()));
            view.rename_begins = true;
            ui.close();
        }
        if ui.button("Delete").clicked() {
            actions.push(Action::Delete(id()));
            ui.close();
        }
    });
    opened.response.accessible_name(format!("Menu of {}", take.name));
}
