//! The transport controls.

use std::sync::mpsc::{Receiver, channel};

use egui::{ComboBox, RichText, Slider, Ui};

use super::{Panel, Slot};
use crate::studio::command::Command;
use crate::studio::session::Session;
use crate::studio::settings::DEFAULT_DEVICE;
use crate::studio::state::{Codebooks, Heard};

/// The controls.
#[derive(Default)]
pub(super) struct Transport {
    /// Output devices, while their list is open.
    devices: Option<Devices>,
}

impl Panel for Transport {
    fn title(&self) -> &'static str {
        "Transport"
    }

    fn slot(&self) -> Slot {
        Slot::Bottom
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        transport_ui(ui, session, &mut self.devices, commands);
    }
}

/// Output devices, listed on a thread of their own: that takes a moment.
struct Devices {
    listed: Receiver<Vec<String>>,
    names: Vec<String>,
}

impl Devices {
    fn list(ui: &Ui) -> Self {
        let (sender, listed) = channel();
        let ctx = ui.ctx().clone();
        std::thread::spawn(move || {
            sender.send(crate::audio::device::names()).ok(); // the list may be closed by now
            ctx.request_repaint();
        });
        Self { listed, names: Vec::new() }
    }

    fn names(&mut self) -> &[String] {
        if let Ok(names) = self.listed.try_recv() {
            self.names = names;
        }
        &self.names
    }
}

fn transport_ui(ui: &mut Ui, session: &Session, devices: &mut Option<Devices>, commands: &mut Vec<Command>) {
    ui.add_space(4.0);
    let player = &session.player;
    ui.horizontal_wrapped(|ui| {
        let playing = player.is_playing();
        if ui.button(if playing { "■ Stop" } else { "▶ Play" }).on_hover_text("Space").clicked() {
            commands.push(Command::Play(!playing));
        }
        // A switch to a shorter clip stays at the same moment, which may be past its end.
        let (at, end) = (player.position(), player.seconds());
        ui.monospace(format!("{:6.2} / {end:.2} s", at.min(end)));
        if let Some((from, to)) = player.region() {
            let mut looping = player.is_looping();
            if ui.toggle_value(&mut looping, "Loop").on_hover_text("L").clicked() {
                commands.push(Command::ToggleLoop);
            }
            let clear = ui.button(format!("{from:.2} to {to:.2} s ✕")).on_hover_text("Clear the selection");
            if clear.accessible_name("Clear the selection").clicked() {
                commands.push(Command::ClearRegion);
            }
        }
        let mut volume = session.settings.volume;
        let slider = Slider::new(&mut volume, 0.0..=1.0).show_value(false).text("volume");
        if ui.add(slider).accessible_name("Volume").changed() {
            commands.push(Command::SetVolume(volume));
        }
        devices_ui(ui, session, devices, commands);
        if player.is_buffering() && session.is_speaking() {
            ui.small("Buffering…");
        }
        match player.underruns() {
            0 => {}
            1 => drop(ui.small("1 underrun")),
            n => drop(ui.small(format!("{n} underruns"))),
        }
        heard_ui(ui, session, commands);
    });
    ui.add_space(4.0);
}

/// What is heard, where it is not simply the clip on view, and the way back to that.
fn heard_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let (text, back) = match session.heard {
        Heard::Clip => {
            let hint = "Click a frame or drag a part to hear it; wheel zooms, double click shows all";
            // In a narrow window it would only be a second line.
            if ui.available_size_before_wrap().x > 300.0 {
                ui.add(egui::Label::new(RichText::new(hint).weak()).truncate());
            }
            return;
        }
        Heard::Pinned(n) => {
            let name = session.pins.clips().get(n).map_or("", |clip| clip.name.as_str());
            (format!("Pinned {}: {}", n + 1, name.chars().take(24).collect::<String>()), Command::HearClip)
        }
        Heard::OtherToken => ("Another token, not kept".into(), Command::Play(false)),
        Heard::Recording => ("Another sound".into(), Command::Play(false)),
        Heard::SomeCodebooks => {
            let all = session.inspected.frames.codebooks();
            let heard = (0..all).filter(|k| session.codebooks.is_heard(*k)).count();
            (format!("{heard} of {all} codebooks"), Command::HearCodebooks(Codebooks::default()))
        }
    };
    let badge = RichText::new(format!("{text} ✕")).color(ui.visuals().warn_fg_color);
    if ui.button(badge).on_hover_text("Back to the clip on view").accessible_name("Hear the clip on view").clicked() {
        commands.push(back);
    }
}

fn devices_ui(ui: &mut Ui, session: &Session, devices: &mut Option<Devices>, commands: &mut Vec<Command>) {
    let name = session.settings.device_name().to_owned();
    let shown = ComboBox::from_id_salt("device").selected_text(name).show_ui(ui, |ui| {
        let devices = devices.get_or_insert_with(|| Devices::list(ui));
        if ui.selectable_label(session.settings.device.is_none(), DEFAULT_DEVICE).clicked() {
            commands.push(Command::SetDevice(None));
        }
        for device in devices.names() {
            let chosen = session.settings.device.as_ref() == Some(device);
            if ui.selectable_label(chosen, device).clicked() {
                commands.push(Command::SetDevice(Some(device.clone())));
            }
        }
    });
    if shown.inner.is_none() {
        *devices = None;
    }
    shown.response.accessible_name("Output device");
}
