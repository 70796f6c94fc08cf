//! The waveform and the transport controls.

use egui::{Color32, ComboBox, Rect, Sense, Slider, Ui, pos2, vec2};

use super::session::{PEAK, Session};
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
        ui.small("Click to seek, drag to hear a part");
    });
    waveform_ui(ui, session, actions);
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

fn waveform_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 72.0), Sense::click_and_drag());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Waveform"));
    let painter = ui.painter().with_clip_rect(rect);
    painter.rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    let (clip, seconds) = (&session.inspected, session.player.seconds());
    if clip.audio.is_empty() || seconds <= 0.0 {
        return;
    }
    let x_of = |s: f64| rect.left() + (s / seconds) as f32 * rect.width();
    if let Some((a, b)) = session.player.region() {
        let area = Rect::from_min_max(pos2(x_of(a), rect.top()), pos2(x_of(b), rect.bottom()));
        painter.rect_filled(area, 0.0, ui.visuals().selection.bg_fill.gamma_multiply(0.4));
    }
    let columns = rect.width() as usize;
    let whole = clip.audio.len() as f32 / PEAK as f32;
    let loudest = clip.peaks.iter().fold(0.05f32, |m, (low, high)| m.max(-low).max(*high));
    let colour = ui.visuals().widgets.active.fg_stroke.color.gamma_multiply(0.75);
    for column in 0..columns {
        let from = (column as f32 / columns as f32 * whole) as usize;
        let to = (((column + 1) as f32 / columns as f32 * whole) as usize).max(from + 1).min(clip.peaks.len());
        let Some(peaks) = clip.peaks.get(from..to) else { continue };
        let (low, high) = peaks.iter().fold((0f32, 0f32), |(l, h), p| (l.min(p.0), h.max(p.1)));
        let y = |v: f32| rect.center().y - v / loudest * rect.height() * 0.48;
        painter.vline(rect.left() + column as f32, y(high)..=y(low) + 0.5, (1.0, colour));
    }
    painter.vline(x_of(session.player.position()), rect.y_range(), (1.5, Color32::from_rgb(230, 60, 60)));
    let at = |p: egui::Pos2| f64::from((p.x - rect.left()) / rect.width()).clamp(0.0, 1.0) * seconds;
    if let Some(p) = response.interact_pointer_pos() {
        if response.clicked() {
            actions.extend([Action::ClearRegion, Action::Seek(at(p))]);
        } else if response.dragged()
            && let Some(from) = ui.input(|i| i.pointer.press_origin())
        {
            actions.push(Action::SelectRegion(at(from), at(p)));
        }
    }
    if let Some((from, to)) = session.player.region().filter(|_| response.drag_stopped()) {
        actions.push(Action::PlayRegion(from, to, session.player.is_looping()));
    }
}
