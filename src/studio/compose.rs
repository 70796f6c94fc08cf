//! What is to be said, by whom, and how it is sampled.

use egui::{Button, ComboBox, DragValue, TextEdit, Ui};

use super::session::Session;
use super::settings::Preset;
use super::{Action, View};
use crate::hybrid;
use crate::report::Model;
use crate::sampling::{Guard, Mode};

pub(super) fn show(ui: &mut Ui, session: &mut Session, view: &mut View, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    ui.strong("Say");
    let several = session.turns.len() > 1;
    for n in 0..session.turns.len() {
        turn(ui, session, n, several, actions);
    }
    let last = session.turns.len() - 1;
    ui.horizontal_wrapped(|ui| {
        let ready = session.is_ready();
        if ui.add_enabled(ready, Button::new("Generate")).on_hover_text("Ctrl/Cmd+Enter").clicked() {
            actions.push(Action::Speak(last, false));
        }
        let reply = ui.add_enabled(ready && several, Button::new("Generate reply"));
        if reply.on_hover_text("with the turns before it as context").clicked() {
            actions.push(Action::Speak(last, true));
        }
        if ui.button("Add turn").clicked() {
            actions.push(Action::AddTurn);
        }
        if ui.add_enabled(session.is_speaking(), Button::new("Cancel")).on_hover_text("Escape").clicked() {
            actions.push(Action::Cancel);
        }
    });
    if session.waiting() > 0 {
        ui.label(format!("{} more takes wait", session.waiting()));
    }
    meter(ui, session, last);
    ui.separator();
    prompt(ui, session, actions);
    ui.separator();
    if let Some(model) = session.model.clone() {
        sampling(ui, session, &model);
        presets(ui, session, view);
    }
}

fn turn(ui: &mut Ui, session: &mut Session, n: usize, several: bool, actions: &mut Vec<Action>) {
    let voices = session.checkpoint().map(|c| c.voices.clone()).unwrap_or_default();
    let turn = &mut session.turns[n];
    ui.horizontal(|ui| {
        let name = format!("Speaker of turn {}", n + 1);
        if voices.is_empty() {
            ui.label("speaker");
            ui.add(DragValue::new(&mut turn.speaker).range(0..=99)).accessible_name(name);
        } else {
            let label =
                |s: u32| voices.iter().find(|v| v.speaker == s).map_or(s.to_string(), |v| format!("{s} {}", v.name));
            let combo = ComboBox::from_id_salt(("speaker", n)).selected_text(label(turn.speaker));
            let shown = combo.show_ui(ui, |ui| {
                for voice in &voices {
                    ui.selectable_value(&mut turn.speaker, voice.speaker, label(voice.speaker));
                }
            });
            shown.response.accessible_name(name);
        }
        if several {
            let small = |ui: &mut Ui, text: &str, name: String, enabled| {
                ui.add_enabled(enabled, Button::new(text).small()).accessible_name(name).clicked()
            };
            if small(ui, "↑", format!("Move turn {} up", n + 1), n > 0) {
                actions.push(Action::RaiseTurn(n));
            }
            if small(ui, "✕", format!("Delete turn {}", n + 1), true) {
                actions.push(Action::RemoveTurn(n));
            }
            if small(ui, "▶", format!("Generate turn {}", n + 1), true) {
                actions.push(Action::Speak(n, n > 0));
            }
            if let Some(id) = &turn.take
                && ui.small_button("take").accessible_name(format!("Show the take of turn {}", n + 1)).clicked()
            {
                actions.push(Action::Show(id.clone()));
            }
        }
    });
    let rows = if several { 2 } else { 4 };
    let edit = TextEdit::multiline(&mut turn.text).desired_rows(rows).desired_width(f32::INFINITY);
    let changed =
        ui.add(edit.hint_text("What is to be said")).accessible_name(format!("Text of turn {}", n + 1)).changed();
    if changed {
        // The take says something else now.
        turn.take = None;
    }
}

fn meter(ui: &mut Ui, session: &Session, last: usize) {
    if let Some((used, of)) = session.context_meter(last) {
        let bar = egui::ProgressBar::new(used as f32 / of as f32).text(format!("context: {used} of {of} frames"));
        ui.add(bar).on_hover_text("turns before, text, and the longest speech");
    }
}

fn prompt(ui: &mut Ui, session: &mut Session, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.strong("Voice prompt");
        if ui.button("Choose…").on_hover_text("or drop a WAV file on the window").clicked() {
            actions.push(Action::ChoosePrompt);
        }
        if session.prompt.is_some() && ui.button("✕").accessible_name("Remove the voice prompt").clicked() {
            actions.push(Action::DropPrompt);
        }
    });
    if let Some(prompt) = &mut session.prompt {
        let state = prompt.frames.as_ref().map_or("being encoded".into(), |f| format!("{} frames", f.len()));
        let name = prompt.path.file_name().unwrap_or_default().to_string_lossy();
        ui.label(format!("{name}: {state}"));
        let edit = TextEdit::singleline(&mut prompt.text).hint_text("What is said in it");
        ui.add(edit).accessible_name("Text of the voice prompt");
        ui.horizontal(|ui| {
            ui.label("speaker");
            ui.add(DragValue::new(&mut prompt.speaker).range(0..=99)).accessible_name("Speaker of the voice prompt");
        });
    }
}

fn explained(mode: Mode) -> &'static str {
    match mode {
        Mode::Native => "MLX computes, MLX's own categorical sampling draws",
        Mode::Exact => "MLX computes, the draw is PyTorch's to the token",
        Mode::Hybrid => "PyTorch computes and draws, MLX decodes",
    }
}

fn sampling(ui: &mut Ui, session: &mut Session, model: &Model) {
    let stored = session.checkpoint().map(|c| c.tensors.dtype());
    let (s, settings) = (&mut session.sampling, &mut session.settings);
    ui.strong("Sampling");
    ui.horizontal(|ui| {
        for mode in [Mode::Native, Mode::Exact, Mode::Hybrid] {
            let enabled = mode != Mode::Hybrid || hybrid::AVAILABLE;
            let button = ui.add_enabled(enabled, egui::Button::selectable(s.mode == mode, mode.name()));
            if button.on_disabled_hover_text("built without PyTorch").clicked() {
                s.mode = mode;
                s.precision = stored.map_or(s.precision, |d| mode.precision(d));
            }
        }
    });
    ui.small(explained(s.mode));
    egui::Grid::new("sampling").num_columns(3).spacing([8.0, 4.0]).show(ui, |ui| {
        ui.label("");
        ui.small("codebook 0");
        ui.small("the others");
        ui.end_row();
        ui.label("Temperature");
        let temperature = |x| DragValue::new(x).range(0.0..=5.0).speed(0.01).fixed_decimals(2);
        ui.add(temperature(&mut s.temperature)).accessible_name("Temperature");
        ui.add(temperature(&mut s.depth_temperature)).accessible_name("Depth temperature");
        ui.end_row();
        ui.label("Top-k");
        ui.add(DragValue::new(&mut s.topk).range(1..=model.vocab)).accessible_name("Top-k");
        ui.add(DragValue::new(&mut s.depth_topk).range(1..=model.vocab)).accessible_name("Depth top-k");
        ui.end_row();
        ui.label("Seed");
        ui.add_enabled(!settings.new_seed, DragValue::new(&mut s.seed)).accessible_name("Seed");
        ui.checkbox(&mut settings.new_seed, "new each");
        ui.end_row();
        ui.label("Longest, s");
        ui.add(DragValue::new(&mut settings.max_seconds).range(1.0..=160.0).speed(0.5)).accessible_name("Longest take");
        ui.checkbox(&mut settings.play_at_once, "play at once");
        ui.end_row();
    });
    guard(ui, &mut s.guard, model);
}

fn guard(ui: &mut Ui, guard: &mut Option<Guard>, model: &Model) {
    ui.horizontal(|ui| {
        let mut on = guard.is_some();
        if ui.checkbox(&mut on, "Range guard").on_hover_text("never draw these ids, in any codebook").changed() {
            *guard = if on { Guard::new(1, 31.min(model.vocab as u32 - 1)).ok() } else { None };
        }
        if let Some((mut first, mut last)) = guard.map(Guard::range) {
            let top = model.vocab as u32 - 1;
            let a = ui.add(DragValue::new(&mut first).range(1..=last)).accessible_name("First guarded id");
            let b = ui.add(DragValue::new(&mut last).range(first..=top)).accessible_name("Last guarded id");
            if a.changed() || b.changed() {
                *guard = Guard::new(first, last).ok().or(*guard);
            }
        }
    });
}

fn presets(ui: &mut Ui, session: &mut Session, view: &mut View) {
    ui.horizontal_wrapped(|ui| {
        let (mut chosen, mut dropped) = (None, None);
        ui.menu_button("Presets", |ui| {
            if session.settings.presets.is_empty() {
                ui.label("none yet");
            }
            for (n, preset) in session.settings.presets.iter().enumerate() {
                ui.horizontal(|ui| {
                    if ui.button(&preset.name).clicked() {
                        chosen = Some(preset.sampling);
                    }
                    if ui.small_button("✕").accessible_name(format!("Delete preset {}", preset.name)).clicked() {
                        dropped = Some(n);
                    }
                });
            }
        });
        let edit = TextEdit::singleline(&mut view.preset).desired_width(90.0).hint_text("name");
        ui.add(edit).accessible_name("Name of the preset");
        let name = view.preset.trim().to_owned();
        if ui.add_enabled(!name.is_empty(), Button::new("Keep")).accessible_name("Keep as preset").clicked() {
            session.settings.presets.retain(|p| p.name != name);
            session.settings.presets.push(Preset { name, sampling: session.sampling });
            view.preset.clear();
        }
        if let Some(sampling) = chosen {
            session.sampling = crate::sampling::Sampling { seed: session.sampling.seed, ..sampling };
        }
        if let Some(n) = dropped {
            session.settings.presets.remove(n);
        }
    });
}
