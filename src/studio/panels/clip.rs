//! The current clip: its header and its lanes.

use egui::{Button, RichText, Ui};

use super::lanes::lanes_ui;
use super::model_menu::no_model_ui;
use super::spectrograms::Spectrograms;
use super::stacks::Stacks;
use super::statistics_lane::Bands;
use super::take_menus::{again_menu_ui, export_menu_ui};
use super::token_map::{TokenMap, content_ui};
use super::{Panel, Slot};
use crate::data::{Clip, FinishReason, ModelInfo};
use crate::studio::command::{Commands, VARIANTS};
use crate::studio::comparison::ComparisonCommand;
use crate::studio::composer::ComposerCommand;
use crate::studio::inspector::CurrentClip;
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::theme::{Palette, icon, semibold};
use crate::takes::{Take, TakeId};

/// Width below which the buttons of a take are one menu, and its seed is not shown.
const NARROW: f32 = 560.0;

/// The line that an empty window offers.
const EXAMPLE: &str = "The little boat sailed across the quiet lake.";

#[derive(Default)]
pub(super) struct ClipPanel {
    map: TokenMap,
    pictures: Spectrograms,
    stacks: Stacks,
    bands: Bands,
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
        let clip = &session.inspector.current.clip;
        if clip.codes.is_empty() && clip.audio.is_empty() && !session.is_speaking() {
            return welcome_ui(ui, session, commands);
        }
        header_ui(ui, session, model, commands);
        content_ui(ui, session, &self.map, commands);
        let height = ui.available_height();
        lanes_ui(
            ui,
            session,
            &mut self.map,
            &mut self.pictures,
            (&mut self.stacks, &mut self.bands),
            model,
            height,
            commands,
        );
    }
}

/// The empty state.
fn welcome_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let width = (ui.available_width() - 16.0).min(420.0);
    let palette = Palette::of(ui.visuals());
    ui.add_space((ui.available_height() * 0.16).max(16.0));
    ui.vertical_centered(|ui| {
        ui.set_max_width(width);
        ui.label(RichText::new("Nothing here yet").family(semibold()).size(18.0));
        ui.label(
            RichText::new("Type a line on the left and press Speak, or start with one of these")
                .color(palette.secondary),
        );
        ui.add_space(16.0);
        let card = |ui: &mut Ui, title: &str, text: &str, enabled: bool| {
            let mut lines = egui::text::LayoutJob::default();
            let format = |size, family, colour| egui::TextFormat::simple(egui::FontId::new(size, family), colour);
            lines.append(&format!("{title}\n"), 0.0, format(14.0, semibold(), palette.text));
            lines.append(text, 0.0, format(12.0, egui::FontFamily::Proportional, palette.secondary));
            // The empty text on the right keeps the lines at the left edge.
            let button = Button::new(lines).right_text("").min_size(egui::vec2(width, 56.0));
            ui.add_enabled(enabled, button).accessible_name(title).clicked()
        };
        let ready = session.models.can_speak();
        let turn = session.composer.conversation.edited();
        let speaker = session.composer.conversation.turns().first().map_or(0, |turn| turn.speaker);
        let example = || ComposerCommand::EditTurn { turn, speaker, text: EXAMPLE.to_owned() };
        if card(ui, "Say a line", EXAMPLE, ready) {
            commands.push(example());
            commands.push(ComposerCommand::Speak { turn, with_context: false });
        }
        ui.add_space(8.0);
        if card(ui, "Compare three takes", "The same line with three seeds, side by side", ready) {
            commands.push(example());
            commands.push(ComposerCommand::SpeakVariants { turn, takes: VARIANTS });
        }
        ui.add_space(8.0);
        if card(ui, "Open a model…", "A folder with the weights of a CSM checkpoint", true) {
            commands.push(ShellCommand::Ask(Dialog::Model));
        }
        ui.add_space(16.0);
        let hint = "Later: click a frame or drag a range to play it; scroll to zoom, double-click to show all";
        ui.label(RichText::new(hint).size(12.0).color(palette.tertiary));
    });
    ui.take_available_space();
}

/// Name and settings of the clip, and what can be done with it.
fn header_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, commands: &mut Commands) {
    let current = &session.inspector.current;
    ui.horizontal(|ui| {
        let take = current.take.as_ref().and_then(|id| session.library.store.get(id));
        let text = current.clip.origin.text.as_deref();
        let name = take.map(Take::title).or(text).unwrap_or("Nothing here yet");
        // The buttons on the right come first, so that a long name is shortened.
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let narrow = ui.available_width() < NARROW;
            if let Some(take) = take {
                if narrow {
                    ui.menu_button(format!("Take {}", icon::MENU), |ui| take_ui(ui, session, &take.id, commands));
                } else {
                    take_ui(ui, session, &take.id, commands);
                }
            }
            chips_ui(ui, session, model, narrow, commands);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                ui.add(egui::Label::new(RichText::new(name).family(semibold()).size(15.0)).truncate())
                    .on_hover_text(name);
            });
        });
    });
}

/// Buttons of a take.
fn take_ui(ui: &mut Ui, session: &Session, id: &TakeId, commands: &mut Commands) {
    ui.menu_button(format!("Export {}", icon::MENU), |ui| export_menu_ui(ui, id, commands));
    ui.menu_button(format!("Again {}", icon::MENU), |ui| again_menu_ui(ui, id, commands));
    let mut pinned = session.comparison.pins.take(id).is_some();
    if ui.toggle_value(&mut pinned, "Pin").on_hover_text("Compare it with other takes (P)").clicked() {
        commands.push(ComparisonCommand::TogglePin(id.clone()));
    }
}

/// Length, seed and mode of the clip, from the right to the left; without the seed if it is `narrow`.
fn chips_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, narrow: bool, commands: &mut Commands) {
    let CurrentClip { clip, real_time_factor, .. } = &session.inspector.current;
    if !clip.codes.is_empty() {
        length_ui(ui, clip, *real_time_factor, model);
    }
    if let Some(sampling) = &clip.origin.sampling {
        // The name needs the room more.
        if !narrow {
            let seed = ui.add(Button::new(format!("seed {}", sampling.seed)).small());
            if seed.on_hover_text("Copy the seed").accessible_name("Copy the seed").clicked() {
                commands.push(ShellCommand::copy_seed(sampling.seed));
            }
        }
        let mode =
            RichText::new(format!("● {}", sampling.mode.name())).color(Palette::of(ui.visuals()).mode(sampling.mode));
        ui.label(mode).on_hover_text(sampling.summary());
    }
}

fn length_ui(ui: &mut Ui, clip: &Clip, real_time_factor: f64, model: &ModelInfo) {
    let flag = clip.stop.filter(|stop| *stop != FinishReason::Eos);
    if let Some(stop) = flag {
        ui.label(RichText::new(stop.badge()).color(ui.visuals().warn_fg_color)).on_hover_text(stop.describe());
    }
    let seconds = model.dims.seconds(clip.codes.len());
    let length = ui.label(format!("{seconds:.2} s"));
    let mut details = vec![format!("{} frames", clip.codes.len())];
    details.extend(clip.stop.map(|stop| stop.describe().to_owned()));
    if real_time_factor > 0.0 {
        details.push(format!("real-time factor {:.2}", real_time_factor));
    }
    length.on_hover_text(details.join(", "));
}
