//! The current clip: its header and its lanes.

use egui::{Button, RichText, Ui};

use super::lanes::lanes_ui;
use super::model_menu::no_model_ui;
use super::spectrograms::Spectrograms;
use super::take_menus::{again_menu_ui, export_menu_ui, mode_colour};
use super::token_map::{TokenMap, content_ui};
use super::{Panel, Slot};
use crate::data::{FinishReason, ModelInfo};
use crate::studio::command::Commands;
use crate::studio::comparison::ComparisonCommand;
use crate::studio::inspector::CurrentClip;
use crate::studio::library::LibraryCommand;
use crate::studio::session::Session;
use crate::studio::shell::ShellCommand;
use crate::takes::TakeId;

/// Width below which the buttons of a take are one menu.
const NARROW: f32 = 560.0;

#[derive(Default)]
pub(super) struct ClipPanel {
    map: TokenMap,
    pictures: Spectrograms,
}

impl Panel for ClipPanel {
    fn title(&self) -> &'static str {
        "Clip"
    }

    fn slot(&self) -> Slot {
        Slot::Centre
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(model) = session.models.info() else {
            match session.models.failure() {
                Some(why) => no_model_ui(ui, session, why, commands),
                None => drop(ui.centered_and_justified(|ui| ui.label(session.models.status().unwrap_or_default()))),
            }
            return;
        };
        header_ui(ui, session, model, commands);
        content_ui(ui, session, &self.map, commands);
        let height = ui.available_height();
        lanes_ui(ui, session, &mut self.map, &mut self.pictures, model, height, commands);
    }
}

/// Name and settings of the clip, and what can be done with it.
fn header_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, commands: &mut Commands) {
    let current = &session.inspector.current;
    ui.horizontal(|ui| {
        let take = current.take.as_ref().and_then(|id| session.library.store.get(id));
        let text = current.clip.origin.text.as_deref();
        let name = take.map(|take| take.name.as_str()).or(text).unwrap_or("No clip");
        // The buttons on the right come first, so that a long name is shortened.
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if let Some(take) = take {
                if ui.available_width() < NARROW {
                    ui.menu_button("Take ▼", |ui| take_ui(ui, session, &take.id, commands));
                } else {
                    take_ui(ui, session, &take.id, commands);
                }
            }
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                chips_ui(ui, session, model, commands);
                ui.add(egui::Label::new(RichText::new(name).strong()).truncate()).on_hover_text(name);
            });
        });
    });
}

/// Buttons of a take.
fn take_ui(ui: &mut Ui, session: &Session, id: &TakeId, commands: &mut Commands) {
    ui.menu_button("Export ▼", |ui| export_menu_ui(ui, id, commands));
    ui.menu_button("Again ▼", |ui| again_menu_ui(ui, id, commands));
    if ui.button("Use these settings").on_hover_text("For the next take").clicked() {
        commands.push(LibraryCommand::UseSettings(id.clone()));
    }
    let mut pinned = session.comparison.pins.take(id).is_some();
    if ui.toggle_value(&mut pinned, "Pin").on_hover_text("Compare it with other takes (P)").clicked() {
        commands.push(ComparisonCommand::TogglePin(id.clone()));
    }
}

fn chips_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, commands: &mut Commands) {
    let CurrentClip { clip, real_time_factor, .. } = &session.inspector.current;
    if let Some(sampling) = &clip.origin.sampling {
        let mode = RichText::new(format!("● {}", sampling.mode.name())).color(mode_colour(sampling.mode));
        ui.label(mode).on_hover_text(sampling.summary());
        let seed = ui.add(Button::new(format!("seed {}", sampling.seed)).small());
        if seed.on_hover_text("Copy the seed").accessible_name("Copy the seed").clicked() {
            commands.push(ShellCommand::copy_seed(sampling.seed));
        }
    }
    if clip.codes.is_empty() {
        return;
    }
    let seconds = model.dims.seconds(clip.codes.len());
    let length = ui.label(format!("{seconds:.2} s"));
    let mut details = vec![format!("{} frames", clip.codes.len())];
    details.extend(clip.stop.map(|stop| stop.describe().to_owned()));
    if *real_time_factor > 0.0 {
        details.push(format!("real-time factor {:.2}", real_time_factor));
    }
    length.on_hover_text(details.join(", "));
    let flag = clip.stop.filter(|stop| *stop != FinishReason::Eos);
    if let Some(stop) = flag {
        ui.label(RichText::new(stop.badge()).color(ui.visuals().warn_fg_color)).on_hover_text(stop.describe());
    }
}
