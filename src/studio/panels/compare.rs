//! The pinned clips: sources to play, and how each differs from the first.

use egui::{Button, RichText, ScrollArea, Ui};

use super::statistics::tables_ui;
use super::take_menus::test_menu_ui;
use super::{Panel, Slot};
use crate::audio::loudness::decibels;
use crate::data::shortened;
use crate::studio::command::Commands;
use crate::studio::comparison::{Alignment, ComparisonCommand, PinnedClip};
use crate::studio::inspector::{InspectorCommand, MapContent};
use crate::studio::library::Export;
use crate::studio::monitor::{MonitorCommand, PlaybackSource};
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::theme::{Palette, icon};

/// Width from which a pinned clip has one line.
const ONE_LINE: f32 = 560.0;
/// Characters of a name in the list.
const NAME: usize = 16;

pub(super) struct Compare;

impl Panel for Compare {
    fn title(&self) -> &'static str {
        "Compare"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let comparison = &session.comparison;
        let pins = comparison.pins.clips();
        if pins.is_empty() {
            ui.weak("Pin takes to compare them (P): each becomes a lane, and 1 to 9 switch between them at the same moment.");
            ui.weak("Takes of “3 seeds” and “All modes” are pinned automatically.");
            return;
        }
        if comparison.differences.is_outdated(&comparison.pins.keys()) {
            commands.push(ComparisonCommand::ComputeDifferences);
        }
        ui.horizontal_wrapped(|ui| {
            let mut alignment = session.comparison.pins.alignment;
            ui.label("Switch at the same");
            ui.selectable_value(&mut alignment, Alignment::Time, "time");
            let share = ui.selectable_value(&mut alignment, Alignment::Percentage, "percentage");
            share.on_hover_text("For clips of different length: the same percentage of each");
            let word = ui.selectable_value(&mut alignment, Alignment::Word, "word");
            word.on_hover_text("As far into the same word, for takes of one text whose words are known");
            if alignment != session.comparison.pins.alignment {
                commands.push(ComparisonCommand::SetAlignment(alignment));
            }
            let mut matched = !session.comparison.pins.own_loudness;
            let check = ui.checkbox(&mut matched, "Same loudness");
            if check.on_hover_text("Integrated loudness (ITU-R BS.1770), never into clipping").changed() {
                commands.push(ComparisonCommand::SetOwnLoudness(!matched));
            }
            if ui.button("Export page…").on_hover_text("One file that plays them and compares them").clicked() {
                commands.push(ShellCommand::Ask(Dialog::Export(Export::Pinned)));
            }
            ui.menu_button(format!("Listening test {}", icon::MENU), |ui| {
                test_menu_ui(ui, session, &comparison.pins.keys(), commands);
            });
            if ui.button("Unpin all").clicked() {
                commands.push(ComparisonCommand::UnpinAll);
            }
        });
        // Takes of one text are labelled by their settings.
        let has_settings = |pinned: &PinnedClip| pinned.clip.origin.sampling.is_some();
        let same_text = pins.len() > 1 && pins.iter().all(|pinned| pinned.name == pins[0].name && has_settings(pinned));
        let gains = comparison.pins.gains();
        let verdict = |n: usize| comparison.differences.value().rows.get(n).map_or("", String::as_str);
        ScrollArea::both().id_salt("compare").auto_shrink(false).show(ui, |ui| {
            if ui.available_width() >= ONE_LINE {
                egui::Grid::new("pins").num_columns(6).striped(true).spacing([10.0, 2.0]).show(ui, |ui| {
                    for (n, pinned) in pins.iter().enumerate() {
                        name_ui(ui, session, n, pinned, same_text, commands);
                        verdict_ui(ui, verdict(n));
                        buttons_ui(ui, n, pinned, commands);
                        sound_ui(ui, pinned, gains[n], same_text);
                        ui.end_row();
                    }
                });
            } else {
                for (n, pinned) in pins.iter().enumerate() {
                    ui.horizontal(|ui| {
                        name_ui(ui, session, n, pinned, same_text, commands);
                        buttons_ui(ui, n, pinned, commands);
                    });
                    ui.indent(n, |ui| {
                        verdict_ui(ui, verdict(n));
                        sound_ui(ui, pinned, gains[n], same_text);
                    });
                }
            }
            ui.add_space(6.0);
            tables_ui(ui, &comparison.differences.value().modes);
        });
    }
}

/// The number of a pinned clip, which plays it, and its name.
fn name_ui(ui: &mut Ui, session: &Session, n: usize, pinned: &PinnedClip, same_text: bool, commands: &mut Commands) {
    let source = PlaybackSource::Pinned(pinned.key.clone());
    let play = Button::selectable(session.monitor.source == source, format!("{} {}", icon::PLAY, n + 1)).small();
    if ui.add(play).accessible_name(format!("Play {}", n + 1)).clicked() {
        commands.push(MonitorCommand::SwitchTo(source));
        commands.push(MonitorCommand::Play);
    }
    let name: String = match same_text {
        true => pinned.clip.origin.describe_sampling(),
        false => shortened(&pinned.name, NAME),
    };
    match pinned.key.take() {
        None => drop(ui.label(name).on_hover_text(&pinned.name)),
        Some(take) => {
            if ui.link(name).on_hover_text(format!("Show “{}”", pinned.name)).clicked() {
                commands.push(InspectorCommand::View(take.clone()));
            }
        }
    }
}

fn buttons_ui(ui: &mut Ui, n: usize, pinned: &PinnedClip, commands: &mut Commands) {
    let map = ui.add(Button::new("Map").small()).on_hover_text("Tokens in which it differs from the current clip");
    if map.accessible_name(format!("Map of the differences to {}", n + 1)).clicked() {
        commands.push(InspectorCommand::ShowMap(MapContent::Difference(pinned.key.clone())));
    }
    let unpin = ui.add(Button::new(icon::CLOSE).small());
    if unpin.accessible_name(format!("Unpin {}", n + 1)).clicked() {
        commands.push(ComparisonCommand::Unpin(pinned.key.clone()));
    }
}

/// Length and loudness of a pinned clip, after its settings if the clip is not named by them.
fn sound_ui(ui: &mut Ui, pinned: &PinnedClip, gain: f32, same_text: bool) {
    let origin = &pinned.clip.origin;
    let settings = origin.sampling.map_or(String::new(), |s| s.summary());
    let made_with = Some(origin.describe_sampling()).filter(|text| !same_text && !text.is_empty());
    let loudness = pinned.loudness.integrated.map_or("–".into(), |lufs| format!("{lufs:.1} LUFS"));
    let sound = format!("{:.2} s · {loudness}", pinned.clip.seconds());
    let known: Vec<String> = made_with.into_iter().chain([sound]).collect();
    let gain = format!("Played with a gain of {:+.1} dB", decibels(gain));
    let more: Vec<String> = [settings, gain].into_iter().filter(|line| !line.is_empty()).collect();
    ui.small(known.join(" · ")).on_hover_text(more.join("\n"));
}

/// How a clip differs from the reference: the first part of the text, with the rest on hovering.
fn verdict_ui(ui: &mut Ui, differences: &str) {
    let palette = Palette::of(ui.visuals());
    let first = differences.split(';').next().unwrap_or(differences);
    let text = match first {
        "" => RichText::new("…").color(palette.tertiary),
        "reference" => RichText::new("reference").color(palette.secondary),
        same if same.starts_with("the same tokens") => RichText::new("= identical, token for token").color(palette.ok),
        other => RichText::new(format!("≠ {other}")),
    };
    ui.label(text).on_hover_text(differences);
}
