//! The transport controls.

use egui::{ComboBox, RichText, Slider, Ui};

use super::session::Session;
use super::{Action, View};

pub(super) fn transport_ui(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    let player = &session.player;
    ui.horizontal_wrapped(|ui| {
        let playing = player.is_playing();
        if ui.button(if playing { "■ Stop" } else { "▶ Play" }).on_hover_text("Space").clicked() {
            actions.push(Action::Play(!playing));
        }
        ui.monospace(format!("{:6.2} / {:.2} s", player.position(), player.seconds()));
        if let Some((from, to)) = player.region() {
            let mut looping = player.is_looping();
            if ui.toggle_value(&mut looping, "Loop").on_hover_text("L").clicked() {
                actions.push(Action::ToggleLoop);
            }
            let clear = ui.button(format!("{from:.2} to {to:.2} s ✕")).on_hover_text("Clear the selection");
            if clear.accessible_name("Clear the selection").clicked() {
                actions.push(Action::ClearRegion);
            }
        }
        let mut volume = session.settings.volume;
        let slider = Slider::new(&mut volume, 0.0..=1.0).show_value(false).text("volume");
        if ui.add(slider).accessible_name("Volume").changed() {
            actions.push(Action::SetVolume(volume));
        }
        devices_ui(ui, session, view, actions);
        if player.is_buffering() && session.is_speaking() {
            ui.small("Buffering…");
        }
        match player.underruns() {
            0 => {}
            1 => drop(ui.small("1 underrun")),
            n => drop(ui.small(format!("{n} underruns"))),
        }
        if session.is_auditioning() {
            let badge = RichText::new("another token, not kept").color(ui.visuals().warn_fg_color);
            ui.label(badge).on_hover_text("Play goes back to the take");
        }
        ui.small("Click a frame or drag a part to hear it; wheel zooms, double click shows all");
    });
    ui.add_space(4.0);
}

fn devices_ui(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    let name = session.settings.device.clone().unwrap_or_else(|| "default device".into());
    let shown = ComboBox::from_id_salt("device").selected_text(name).show_ui(ui, |ui| {
        // Listing devices takes a moment: it is done once each time the list is opened.
        let devices = view.devices.get_or_insert_with(crate::audio::device::names);
        if ui.selectable_label(session.settings.device.is_none(), "default device").clicked() {
            actions.push(Action::SetDevice(None));
        }
        for device in devices.iter() {
            let chosen = session.settings.device.as_ref() == Some(device);
            if ui.selectable_label(chosen, device).clicked() {
                actions.push(Action::SetDevice(Some(device.clone())));
            }
        }
    });
    if shown.inner.is_none() {
        view.devices = None;
    }
    shown.response.accessible_name("Output device");
}
