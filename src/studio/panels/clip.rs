//! The clip on view: what it is, and everything of it over time.

use egui::{Button, RichText, Ui};

use super::lanes::lanes_ui;
use super::model_menu::no_model_ui;
use super::spectrograms::Spectrograms;
use super::take_menus::{again_menu_ui, export_menu_ui, mode_colour};
use super::token_map::{TokenMap, content_ui};
use super::{Panel, Slot};
use crate::data::{FinishReason, ModelInfo};
use crate::studio::command::Command;
use crate::studio::session::Session;

/// Width below which what can be done with a take is one menu.
const NARROW: f32 = 560.0;

/// The panel.
#[derive(Default)]
pub(super) struct Clip {
    map: TokenMap,
    pictures: Spectrograms,
}

impl Panel for Clip {
    fn title(&self) -> &'static str {
        "Clip"
    }

    fn slot(&self) -> Slot {
        Slot::Centre
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        let Some(model) = session.model_info() else {
            match session.model.failure() {
                Some(why) => no_model_ui(ui, session, why, commands),
                None => drop(ui.centered_and_justified(|ui| ui.label(session.model.status().unwrap_or_default()))),
            }
            return;
        };
        header_ui(ui, session, &model, commands);
        content_ui(ui, session, &self.map, commands);
        let height = ui.available_height();
        lanes_ui(ui, session, &mut self.map, &mut self.pictures, &model, height, commands);
    }
}

/// What the clip is, and what can be done with it as a whole.
fn header_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, commands: &mut Vec<Command>) {
    let clip = &session.inspected;
    ui.horizontal(|ui| {
        let take = clip.take.as_ref().and_then(|id| session.library.store.get(id));
        let text = clip.spec.as_ref().map(|spec| spec.text.as_str());
        let name = take.map(|take| take.name.as_str()).or(text).unwrap_or("No clip on view");
        // The buttons at the right come first, so that a long name gives way to them.
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

/// What can be done with the take as a whole.
fn take_ui(ui: &mut Ui, session: &Session, id: &str, commands: &mut Vec<Command>) {
    ui.menu_button("Export ▼", |ui| export_menu_ui(ui, id, commands));
    ui.menu_button("Again ▼", |ui| again_menu_ui(ui, id, commands));
    if ui.button("Use these settings").on_hover_text("For the next take").clicked() {
        commands.push(Command::UseSettings(id.to_owned()));
    }
    let mut pinned = session.pins.place(id).is_some();
    if ui.toggle_value(&mut pinned, "Pin").on_hover_text("Compare it with other takes (P)").clicked() {
        commands.push(Command::TogglePin(id.to_owned()));
    }
}

fn chips_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, commands: &mut Vec<Command>) {
    let clip = &session.inspected;
    if let Some(spec) = &clip.spec {
        let sampling = &spec.sampling;
        let mode = RichText::new(format!("● {}", sampling.mode.name())).color(mode_colour(sampling.mode));
        ui.label(mode).on_hover_text(sampling.summary());
        let seed = ui.add(Button::new(format!("seed {}", sampling.seed)).small());
        if seed.on_hover_text("Copy the seed").accessible_name("Copy the seed").clicked() {
            commands.push(Command::Copy(sampling.seed.to_string()));
        }
    }
    if clip.frames.is_empty() {
        return;
    }
    let seconds = model.dims.seconds(clip.frames.len());
    let length = ui.label(format!("{seconds:.2} s"));
    let mut details = vec![format!("{} frames", clip.frames.len())];
    details.extend(clip.stop.map(|stop| stop.describe().to_owned()));
    if clip.real_time_factor > 0.0 {
        details.push(format!("real-time factor {:.2}", clip.real_time_factor));
    }
    length.on_hover_text(details.join(", "));
    let flag = clip.stop.filter(|stop| *stop != FinishReason::Eos);
    if let Some(stop) = flag {
        ui.label(RichText::new(stop.badge()).color(ui.visuals().warn_fg_color)).on_hover_text(stop.describe());
    }
}
