//! The transport controls.

use egui::{AtomExt, Button, RichText, Slider, Ui, vec2};

use super::{Panel, Slot};
use crate::data::shortened;
use crate::studio::command::{Commands, key_of};
use crate::studio::monitor::{CodebookMixer, MonitorCommand, PlaybackSource};
use crate::studio::session::Session;
use crate::studio::theme::{Palette, clock, icon, icon_button};

/// Characters of a pinned clip's name.
const NAME: usize = 24;

pub(super) struct Transport;

impl Panel for Transport {
    fn title(&self) -> &'static str {
        "Transport"
    }

    fn slot(&self) -> Slot {
        Slot::Bottom
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        transport_ui(ui, session, commands);
    }
}

fn transport_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    ui.add_space(4.0);
    let player = &session.monitor.player;
    let palette = Palette::of(ui.visuals());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let mut button = |ui: &mut Ui, icon: &'static str, name: &str, key: &str, command: MonitorCommand| {
            let button = ui.add(icon_button(icon).frame_when_inactive(false)).on_hover_text(format!("{name} ({key})"));
            if button.accessible_name(name).clicked() {
                commands.push(command);
            }
        };
        let to = |title: &str| key_of(title, ui.ctx());
        let (home, back, forward) = (to("To the start"), to("One frame back"), to("One frame forward"));
        button(ui, icon::TO_START, "To the start", &home, MonitorCommand::Seek(0.0));
        button(ui, icon::FRAME_BACK, "One frame back", &back, MonitorCommand::StepFrames(-1));
        let (shown, name) = if player.is_playing() { (icon::PAUSE, "Pause") } else { (icon::PLAY, "Play") };
        let play = Button::new(RichText::new(shown).size(18.0)).min_size(vec2(40.0, 28.0));
        if ui.add(play).on_hover_text(format!("{name} (Space)")).accessible_name(name).clicked() {
            commands.push(MonitorCommand::TogglePlay);
        }
        let mut button = |ui: &mut Ui, icon: &'static str, name: &str, key: &str, command: MonitorCommand| {
            let button = ui.add(icon_button(icon).frame_when_inactive(false)).on_hover_text(format!("{name} ({key})"));
            if button.accessible_name(name).clicked() {
                commands.push(command);
            }
        };
        button(ui, icon::FRAME_FORWARD, "One frame forward", &forward, MonitorCommand::StepFrames(1));
        ui.add_space(8.0);
        // A switch to a shorter clip keeps the position, which may be past its end.
        let (at, end) = (player.position(), player.seconds());
        ui.label(RichText::new(format!("{:05.2}", at.min(end))).font(clock()));
        ui.label(RichText::new(format!("/ {end:.2} s")).monospace().color(palette.tertiary));
        ui.add_space(8.0);
        // Always there, so that nothing moves when a range is selected.
        let region = player.region();
        let toggle = ui.add_enabled(region.is_some(), Button::selectable(player.is_looping(), icon::LOOP));
        let toggle =
            toggle.on_hover_text("Loop the selection (L)").on_disabled_hover_text("Drag over a lane to select");
        if toggle.accessible_name("Loop").clicked() {
            commands.push(MonitorCommand::ToggleLoop);
        }
        if let Some((from, to)) = region {
            let text = RichText::new(format!("{from:.2}–{to:.2} s {}", icon::CLOSE)).monospace();
            let clear = ui.button(text).on_hover_text("Clear the selection");
            if clear.accessible_name("Clear the selection").clicked() {
                commands.push(MonitorCommand::ClearRegion);
            }
        }
        ui.add_space(8.0);
        level_ui(ui, session);
        ui.add_space(8.0);
        let mut volume = session.preferences.settings.volume;
        ui.label(RichText::new(icon::VOLUME).size(16.0).color(palette.secondary));
        ui.spacing_mut().slider_width = 88.0;
        let slider = Slider::new(&mut volume, 0.0..=1.0).show_value(false);
        if ui.add(slider).on_hover_text("Volume").accessible_name("Volume").changed() {
            commands.push(MonitorCommand::SetVolume(volume));
        }
        if player.is_buffering() && session.is_speaking() {
            ui.small("Buffering…");
        }
        match player.underruns() {
            0 => {}
            n => drop(ui.small(RichText::new(format!("{n} ×")).color(palette.warning)).on_hover_text(
                "Times that the sound was late: the device asked for samples that had not been made yet (underruns)",
            )),
        }
        ui.add_space(8.0);
        source_ui(ui, session, commands);
    });
    ui.add_space(4.0);
}

/// The level of what is played: its loudest sample of the last tenth of a second, -60 to 0 dB of full scale.
fn level_ui(ui: &mut Ui, session: &Session) {
    const FLOOR: f32 = -60.0;
    const HOT: f32 = -3.0;
    let (palette, player) = (Palette::of(ui.visuals()), &session.monitor.player);
    let level = session.monitor.level(&session.inspector, &session.comparison).filter(|_| player.is_playing());
    let decibels = level.map_or(FLOOR, |level| 20.0 * level.max(1e-6).log10());
    let (rect, response) = ui.allocate_exact_size(vec2(72.0, 8.0), egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "Level"));
    response.on_hover_text(format!("Level of the sound, {FLOOR:.0} to 0 dB of full scale, before the volume"));
    ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    let share = ((decibels - FLOOR) / -FLOOR).clamp(0.0, 1.0);
    let bar = egui::Rect::from_min_size(rect.min, vec2(rect.width() * share, rect.height()));
    ui.painter().rect_filled(bar, 2.0, if decibels > HOT { palette.warning } else { palette.ok });
}

/// The playback source if it is not the current clip, and a button that returns to it.
fn source_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let (text, back) = match &session.monitor.source {
        PlaybackSource::CurrentClip => {
            return;
        }
        PlaybackSource::Pinned(key) => {
            let pins = &session.comparison.pins;
            let name = pins.get(key).map_or(String::new(), |pinned| shortened(&pinned.name, NAME));
            let n = pins.index(key).map_or(0, |n| n + 1);
            (format!("Pinned {n}: {name}"), MonitorCommand::SwitchTo(PlaybackSource::CurrentClip))
        }
        PlaybackSource::Audition => ("Previewing a token".into(), MonitorCommand::Pause),
        PlaybackSource::WhatIf => ("What if".into(), MonitorCommand::SwitchTo(PlaybackSource::CurrentClip)),
        PlaybackSource::Sound => ("Previewing a sound".into(), MonitorCommand::Pause),
        PlaybackSource::MaskedClip => {
            let all = session.inspector.current.clip.codes.codebooks();
            let played = (0..all).filter(|k| session.monitor.mixer.plays(*k)).count();
            (format!("{played} of {all} codebooks"), MonitorCommand::SetMixer(CodebookMixer::default()))
        }
    };
    let colour = ui.visuals().warn_fg_color;
    let [text, close] = [text, icon::CLOSE.to_owned()].map(|text| RichText::new(text).color(colour));
    // A long name is shortened.
    let badge = ui.add(Button::new((text.atom_shrink(true), close)).truncate());
    let badge = badge.on_hover_text("Back to the current clip");
    if badge.accessible_name("Switch to the current clip").clicked() {
        commands.push(back);
    }
}
