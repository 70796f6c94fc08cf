//! The voice: the user's voices, and the recording that is the prompt.

use egui::containers::menu::{MenuButton, MenuConfig};
use egui::{Align, Button, DragValue, Label, Layout, PopupCloseBehavior, Rect, Sense, TextEdit, Ui, vec2};

use crate::data::Sampling;
use crate::studio::command::Commands;
use crate::studio::composer::{ComposerCommand, VoicePrompt};
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::theme::{Palette, heading, icon};
use crate::studio::voices::VoicesCommand;
use crate::text::length_mismatch;
use crate::voices::StoredVoice;

/// The user's voices: use, save, import and export.
fn voices_ui(ui: &mut Ui, session: &Session, name: &mut String, commands: &mut Commands) {
    let menu = MenuButton::new(format!("Voices {}", icon::MENU))
        .config(MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside));
    let (button, shown) = menu.ui(ui, |ui| {
        ui.set_min_width(240.0);
        let voices = session.voices.all().unwrap_or_default();
        if voices.is_empty() {
            ui.weak("No voices are saved yet");
        }
        for voice in voices {
            ui.horizontal(|ui| {
                let pick = ui.add(Button::new(&voice.name).truncate()).on_hover_text(&voice.notes.text);
                if pick.clicked() {
                    commands.push(ComposerCommand::SetVoicePrompt(voice.path.clone()));
                    ui.close();
                }
                ui.menu_button(icon::MORE, |ui| voice_menu_ui(ui, session, voice, commands))
                    .response
                    .accessible_name(format!("More about {}", voice.name));
            });
        }
        ui.separator();
        ui.add_enabled_ui(session.composer.conversation.prompt.is_some(), |ui| {
            ui.horizontal(|ui| {
                let field = TextEdit::singleline(name).hint_text("Name").desired_width(140.0);
                ui.add(field).accessible_name("Name of the voice");
                let save = ui.add_enabled(!name.trim().is_empty(), Button::new("Save"));
                if save.on_hover_text("The recording above with its text and the current settings").clicked() {
                    commands.push(VoicesCommand::Save(std::mem::take(name)));
                }
            });
        });
        if ui.button("Import…").on_hover_text("A recording, or a voice that was exported").clicked() {
            commands.push(ShellCommand::Ask(Dialog::ImportVoice));
            ui.close();
        }
    });
    if shown.is_some() && session.voices.all().is_none() {
        commands.push(VoicesCommand::List);
    }
    button.accessible_name("Voices");
}

fn voice_menu_ui(ui: &mut Ui, session: &Session, voice: &StoredVoice, commands: &mut Commands) {
    if let Some(sampling) = voice.notes.sampling {
        let own = Sampling { seed: session.composer.sampling.seed, ..sampling };
        let button = ui.button("Use its settings");
        if button.on_hover_text(own.summary()).clicked() {
            commands.push(ComposerCommand::SetSampling(own));
            ui.close();
        }
    }
    if ui.button("Export…").on_hover_text("One WAV file with text and settings in it").clicked() {
        commands.push(ShellCommand::Ask(Dialog::ExportVoice(voice.path.clone())));
        ui.close();
    }
    if ui.button("Remove").clicked() {
        commands.push(VoicesCommand::Remove(voice.path.clone()));
        ui.close();
    }
}

pub(super) fn voice_prompt_ui(ui: &mut Ui, session: &Session, voice_name: &mut String, commands: &mut Commands) {
    ui.horizontal_wrapped(|ui| {
        ui.label(heading("VOICE"));
        if ui.button("Choose…").on_hover_text("Or drop a recording on the window").clicked() {
            commands.push(ShellCommand::Ask(Dialog::VoicePrompt));
        }
        voices_ui(ui, session, voice_name, commands);
        match &session.composer.microphone {
            None => {
                let record = ui.button(format!("{} Record", icon::RECORD)).on_hover_text("From the default microphone");
                if record.accessible_name("Record").clicked() {
                    commands.push(ComposerCommand::StartRecording);
                }
            }
            Some(recording) => {
                let stop = ui.button(format!("{} Stop {:.1} s", icon::STOP, recording.seconds()));
                if stop.accessible_name("Stop recording").clicked() {
                    commands.push(ComposerCommand::StopRecording);
                }
                let level = egui::ProgressBar::new(recording.level().sqrt()).desired_width(50.0);
                ui.add(level).on_hover_text("Level of the microphone");
            }
        }
    });
    if let Some(prompt) = &session.composer.conversation.prompt {
        let (mut text, mut speaker, mut part) = (prompt.text.clone(), prompt.speaker, prompt.part);
        let seconds = prompt.samples.len() as f64 / session.models.sample_rate() as f64;
        let state = if prompt.codes.is_some() { format!("{seconds:.1} s") } else { "encoding…".into() };
        let name = prompt.path.file_name().unwrap_or_default().to_string_lossy();
        // In a row: else the layout takes all the height there is.
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button(icon::CLOSE).accessible_name("Remove the voice prompt").clicked() {
                    commands.push(ComposerCommand::RemoveVoicePrompt);
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(format!("{name} · {state}")).truncate());
                });
            });
        });
        let edit = TextEdit::singleline(&mut text).hint_text("What the recording says").desired_width(f32::INFINITY);
        ui.add(edit).accessible_name("Text of the voice prompt");
        ui.horizontal(|ui| {
            ui.label("speaker");
            ui.add(DragValue::new(&mut speaker).range(0..=99)).accessible_name("Speaker of the voice prompt");
            let play = ui.button(icon::PLAY).on_hover_text("Play the part that is used");
            if play.accessible_name("Play the voice prompt").clicked() {
                commands.push(ComposerCommand::PlayVoicePrompt);
            }
        });
        ui.horizontal(|ui| {
            ui.label("from");
            let from = DragValue::new(&mut part.0).range(0.0..=part.1).speed(0.02).fixed_decimals(2).suffix(" s");
            ui.add(from).accessible_name("Start of the voice prompt");
            ui.label("to");
            let to = DragValue::new(&mut part.1).range(part.0..=f64::MAX).speed(0.02).fixed_decimals(2).suffix(" s");
            ui.add(to).accessible_name("End of the voice prompt");
        });
        part_ui(ui, prompt, session.models.sample_rate(), &mut part);
        if let Some(mismatch) = length_mismatch(&text, part.1 - part.0).filter(|_| !text.is_empty()) {
            ui.small(format!("⚠ The recording {mismatch}"));
        }
        if (&text, speaker) != (&prompt.text, prompt.speaker) {
            commands.push(ComposerCommand::EditVoicePrompt { text, speaker });
        }
        if part != prompt.part {
            commands.push(ComposerCommand::TrimVoicePrompt { from: part.0, to: part.1 });
        }
    }
}

/// The recording's waveform, with a handle at each end of the part that is used.
fn part_ui(ui: &mut Ui, prompt: &VoicePrompt, rate: usize, part: &mut (f64, f64)) {
    const HEIGHT: f32 = 48.0;
    const HANDLE: f32 = 8.0;
    let length = prompt.samples.len() as f64 / rate as f64;
    if length == 0.0 {
        return;
    }
    let palette = Palette::of(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    let x = |seconds: f64| rect.left() + (seconds / length) as f32 * rect.width();
    ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    let columns = rect.width().max(1.0) as usize;
    let level = |peaks: &[(f32, f32)]| peaks.iter().fold(0f32, |most, (low, high)| most.max(-low).max(*high));
    let loudest = level(&prompt.peaks).max(0.05);
    let mut mesh = egui::Mesh::default();
    for column in 0..columns {
        let first = column * prompt.peaks.len() / columns;
        let last = ((column + 1) * prompt.peaks.len() / columns).max(first + 1);
        let level = level(&prompt.peaks[first..last]);
        let left = rect.left() + column as f32;
        let seconds = f64::from(column as u32) / columns as f64 * length;
        let colour = if (part.0..=part.1).contains(&seconds) { palette.accent } else { palette.tertiary };
        let half = (level / loudest * 0.46 * HEIGHT).max(0.5);
        mesh.add_colored_rect(
            Rect::from_x_y_ranges(left..=left + 1.0, rect.center().y - half..=rect.center().y + half),
            colour,
        );
    }
    ui.painter().add(mesh);
    for (n, (name, seconds)) in [("Start", part.0), ("End", part.1)].into_iter().enumerate() {
        let handle = Rect::from_center_size(egui::pos2(x(seconds), rect.center().y), vec2(HANDLE, HEIGHT));
        let response = ui.interact(handle, ui.scope_id().with(("part", n)), Sense::drag());
        response.widget_info(|| egui::WidgetInfo::slider(true, seconds, format!("{name} of the part that is used")));
        let response = response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
        let strong = response.hovered() || response.dragged() || response.has_focus();
        ui.painter().vline(x(seconds), rect.y_range(), (if strong { 3.0 } else { 1.5 }, palette.text));
        if let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) {
            let to = f64::from(((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0)) * length;
            if n == 0 {
                part.0 = to.min(part.1);
            } else {
                part.1 = to.max(part.0);
            }
        }
    }
}
