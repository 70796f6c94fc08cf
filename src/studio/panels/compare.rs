//! Pinned takes against the first of them, in tokens and by ear.

use egui::{Button, ScrollArea, Ui};

use super::statistics::tables_ui;
use super::take_menus::test_menu_ui;
use super::{Panel, Slot};
use crate::audio::loudness::decibels;
use crate::report::Table;
use crate::studio::command::Command;
use crate::studio::session::Session;
use crate::studio::state::{Alignment, Heard, MapContent};

/// The panel. What is computed of the pinned clips is kept until others are pinned.
#[derive(Default)]
pub(super) struct Compare {
    made_of: Vec<String>,
    rows: Vec<String>,
    tables: Vec<(String, Table)>,
}

impl Panel for Compare {
    fn title(&self) -> &'static str {
        "Compare"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        let pins = session.pins.clips();
        if pins.is_empty() {
            ui.weak("Pin takes to compare them (P): each becomes a lane, and 1 to 9 switch between them at the same moment.");
            ui.weak("Takes of “3 seeds” and “All modes” are pinned by themselves.");
            return;
        }
        let now: Vec<String> = pins.iter().map(|clip| clip.take.clone()).collect();
        if self.made_of != now {
            self.rows = pins.iter().enumerate().map(|(n, _)| session.describe_difference(n)).collect();
            self.tables = session.compare_pinned_modes();
            self.made_of = now;
        }
        ui.horizontal_wrapped(|ui| {
            let mut alignment = session.pins.alignment;
            ui.label("Switch at the same");
            ui.selectable_value(&mut alignment, Alignment::Time, "time");
            let share = ui.selectable_value(&mut alignment, Alignment::Fraction, "fraction");
            share.on_hover_text("For clips of different length: the same share of each");
            if alignment != session.pins.alignment {
                commands.push(Command::SetAlignment(alignment));
            }
            let mut matched = !session.pins.own_loudness;
            let check = ui.checkbox(&mut matched, "Same loudness");
            if check.on_hover_text("Integrated loudness (ITU-R BS.1770), never into clipping").changed() {
                commands.push(Command::SetOwnLoudness(!matched));
            }
            if ui.button("Export page…").on_hover_text("One file that plays them and compares them").clicked() {
                commands.push(Command::ExportPinned);
            }
            ui.menu_button("Listening test ▼", |ui| test_menu_ui(ui, session, &session.pins.names(), commands));
            if ui.button("Unpin all").clicked() {
                commands.push(Command::UnpinAll);
            }
        });
        let gains = session.pins.gains();
        // Takes of one text are told apart by what made them.
        let same_text = pins.len() > 1 && pins.iter().all(|clip| clip.name == pins[0].name && clip.sampling.is_some());
        ScrollArea::both().id_salt("compare").auto_shrink(false).show(ui, |ui| {
            egui::Grid::new("pins").num_columns(6).striped(true).spacing([10.0, 2.0]).show(ui, |ui| {
                for (n, clip) in pins.iter().enumerate() {
                    let hear = Button::selectable(session.heard == Heard::Pinned(n), format!("▶ {}", n + 1)).small();
                    if ui.add(hear).accessible_name(format!("Hear {}", n + 1)).clicked() {
                        commands.extend([Command::HearPinned(n), Command::Play(true)]);
                    }
                    let name: String = match same_text {
                        true => clip.made_with(),
                        false => clip.name.chars().take(16).collect(),
                    };
                    if !clip.is_take {
                        ui.label(name).on_hover_text(&clip.name);
                    } else if ui.link(name).on_hover_text(format!("Show “{}”", clip.name)).clicked() {
                        commands.push(Command::Inspect(clip.take.clone()));
                    }
                    let map = ui
                        .add(Button::new("Map").small())
                        .on_hover_text("Where its tokens differ from the clip on view");
                    if map.accessible_name(format!("Map of the differences to {}", n + 1)).clicked() {
                        commands.push(Command::ShowMap(MapContent::Difference(n)));
                    }
                    let unpin = ui.add(Button::new("✕").small());
                    if unpin.accessible_name(format!("Unpin {}", n + 1)).clicked() {
                        commands.push(Command::TogglePin(clip.take.clone()));
                    }
                    let settings = clip.sampling.map_or(String::new(), |s| s.summary());
                    let made_with = Some(clip.made_with()).filter(|text| !same_text && !text.is_empty());
                    let loudness = clip.loudness.integrated.map_or("–".into(), |lufs| format!("{lufs:.1} LUFS"));
                    let sound = format!("{:.2} s · {loudness} · gain {:+.1} dB", clip.seconds(), decibels(gains[n]));
                    let known: Vec<String> = made_with.into_iter().chain([sound]).collect();
                    ui.small(known.join(" · ")).on_hover_text(settings);
                    ui.small(&self.rows[n]).on_hover_text(&self.rows[n]);
                    ui.end_row();
                }
            });
            ui.add_space(6.0);
            tables_ui(ui, &self.tables);
        });
    }
}
