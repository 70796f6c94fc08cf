//! The transport controls.

use egui::{ComboBox, RichText, Slider, Ui};

use super::{Panel, Slot};
use crate::studio::command::Commands;
use crate::studio::comparison::shortened;
use crate::studio::monitor::{CodebookMixer, MonitorCommand, PlaybackSource};
use crate::studio::session::Session;
use crate::studio::settings::DEFAULT_DEVICE;

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
    ui.horizontal_wrapped(|ui| {
        let playing = player.is_playing();
        if ui.button(if playing { "❚❚ Pause" } else { "▶ Play" }).on_hover_text("Space").clicked() {
            commands.push(MonitorCommand::TogglePlay);
        }
        // A switch to a shorter clip keeps the position, which may be past its end.
        let (at, end) = (player.position(), player.seconds());
        ui.monospace(format!("{:6.2} / {end:.2} s", at.min(end)));
        if let Some((from, to)) = player.region() {
            let mut looping = player.is_looping();
            if ui.toggle_value(&mut looping, "Loop").on_hover_text("L").clicked() {
                commands.push(MonitorCommand::ToggleLoop);
            }
            let clear = ui.button(format!("{from:.2} to {to:.2} s ✕")).on_hover_text("Clear the selection");
            if clear.accessible_name("Clear the selection").clicked() {
                commands.push(MonitorCommand::ClearRegion);
            }
        }
        let mut volume = session.preferences.settings.volume;
        let slider = Slider::new(&mut volume, 0.0..=1.0).show_value(false).text("volume");
        if ui.add(slider).accessible_name("Volume").changed() {
            commands.push(MonitorCommand::SetVolume(volume));
        }
        devices_ui(ui, session, commands);
        if player.is_buffering() && session.is_speaking() {
            ui.small("Buffering…");
        }
        match player.underruns() {
            0 => {}
            1 => drop(ui.small("1 underrun")),
            n => drop(ui.small(format!("{n} underruns"))),
        }
        source_ui(ui, session, commands);
    });
    ui.add_space(4.0);
}

/// The playback source if it is not the current clip, and a button that returns to it.
fn source_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let (text, back) = match &session.monitor.source {
        PlaybackSource::CurrentClip => {
            let hint = "Click a frame or drag a range to play it; scroll to zoom, double-click to show all";
            // In a narrow window it would only be a second line.
            if ui.available_size_before_wrap().x > 300.0 {
                ui.add(egui::Label::new(RichText::new(hint).weak()).truncate());
            }
            return;
        }
        PlaybackSource::Pinned(key) => {
            let pins = &session.comparison.pins;
            let name = pins.get(key).map_or(String::new(), |pinned| shortened(&pinned.name, NAME));
            let n = pins.index(key).map_or(0, |n| n + 1);
            (format!("Pinned {n}: {name}"), MonitorCommand::SwitchTo(PlaybackSource::CurrentClip))
        }
        PlaybackSource::Audition => ("Another token, not kept".into(), MonitorCommand::Pause),
        PlaybackSource::Sound => ("Another sound".into(), MonitorCommand::Pause),
        PlaybackSource::MaskedClip => {
            let all = session.inspector.current.clip.codes.codebooks();
            let played = (0..all).filter(|k| session.monitor.mixer.plays(*k)).count();
            (format!("{played} of {all} codebooks"), MonitorCommand::SetMixer(CodebookMixer::default()))
        }
    };
    let badge = RichText::new(format!("{text} ✕")).color(ui.visuals().warn_fg_color);
    let badge = ui.button(badge).on_hover_text("Back to the current clip");
    if badge.accessible_name("Switch to the current clip").clicked() {
        commands.push(back);
    }
}

fn devices_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let settings = &session.preferences.settings;
    let combo = ComboBox::from_id_salt("device").selected_text(settings.device_name());
    let shown = combo.show_ui(ui, |ui| {
        if ui.selectable_label(settings.device.is_none(), DEFAULT_DEVICE).clicked() {
            commands.push(MonitorCommand::SetDevice(None));
        }
        for device in session.monitor.devices.iter().flatten() {
            let selected = settings.device.as_ref() == Some(device);
            if ui.selectable_label(selected, device).clicked() {
                commands.push(MonitorCommand::SetDevice(Some(device.clone())));
            }
        }
    });
    match (shown.inner.is_some(), session.monitor.devices.is_some()) {
        (true, false) => commands.push(MonitorCommand::ListDevices),
        (false, true) => commands.push(MonitorCommand::CloseDeviceList),
        (true, true) | (false, false) => {}
    }
    shown.response.accessible_name("Output device");
}
