//! The compose panel: conversation, voice prompt, sampling settings.

use egui::{Button, ComboBox, DragValue, TextEdit, Ui};

use super::session::Session;
use super::settings::Preset;
use super::{Action, View};
use crate::data::{Backend, Mode, ModelInfo, PARAMS, Param, ParamKind, RangeGuard, Sampling, Stage};

pub(super) fn compose_ui(ui: &mut Ui, session: &mut Session, view: &mut View, actions: &mut Vec<Action>) {
    ui.add_space(4.0);
    ui.strong("Say");
    let several = session.turns.len() > 1;
    for n in 0..session.turns.len() {
        turn_ui(ui, session, n, several, actions);
    }
    let last = session.turns.len() - 1;
    ui.horizontal_wrapped(|ui| {
        let ready = session.is_ready();
        if ui.add_enabled(ready, Button::new("Generate")).on_hover_text("Ctrl/Cmd+Enter").clicked() {
            actions.push(Action::Speak(last, false));
        }
        let reply = ui.add_enabled(ready && several, Button::new("Generate reply"));
        if reply.on_hover_text("With the turns before it as context").clicked() {
            actions.push(Action::Speak(last, true));
        }
        if ui.button("Add turn").clicked() {
            actions.push(Action::AddTurn);
        }
        if ui.add_enabled(session.is_speaking(), Button::new("Cancel")).on_hover_text("Escape").clicked() {
            actions.push(Action::Cancel);
        }
    });
    if session.queued_takes() > 0 {
        ui.label(format!("{} more takes queued", session.queued_takes()));
    }
    context_meter_ui(ui, session, last);
    ui.separator();
    voice_prompt_ui(ui, session, actions);
    ui.separator();
    if let Some(model) = session.model_info() {
        sampling_ui(ui, session, &model);
        presets_ui(ui, session, view);
    }
}

fn turn_ui(ui: &mut Ui, session: &mut Session, n: usize, several: bool, actions: &mut Vec<Action>) {
    let voices = session.model_info().map(|m| m.voices.clone()).unwrap_or_default();
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
                actions.push(Action::MoveTurnUp(n));
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
                actions.push(Action::Inspect(id.clone()));
            }
        }
    });
    let rows = if several { 2 } else { 4 };
    let edit = TextEdit::multiline(&mut turn.text).desired_rows(rows).desired_width(f32::INFINITY);
    let changed = ui.add(edit.hint_text("Text to speak")).accessible_name(format!("Text of turn {}", n + 1)).changed();
    if changed {
        // The take no longer says this text.
        turn.take = None;
    }
}

fn context_meter_ui(ui: &mut Ui, session: &Session, last: usize) {
    if let Some((used, of)) = session.context_meter(last) {
        let bar = egui::ProgressBar::new(used as f32 / of as f32).text(format!("context: {used} of {of} positions"));
        ui.add(bar).on_hover_text("Earlier turns, text and the longest speech");
    }
}

fn voice_prompt_ui(ui: &mut Ui, session: &mut Session, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.strong("Voice prompt");
        if ui.button("Choose…").on_hover_text("Or drop a recording on the window").clicked() {
            actions.push(Action::ChooseVoicePrompt);
        }
        if session.prompt.is_some() && ui.button("✕").accessible_name("Remove the voice prompt").clicked() {
            actions.push(Action::RemoveVoicePrompt);
        }
    });
    if let Some(prompt) = &mut session.prompt {
        let state = prompt.frames.as_ref().map_or("encoding…".into(), |f| format!("{} frames", f.len()));
        let name = prompt.path.file_name().unwrap_or_default().to_string_lossy();
        ui.label(format!("{name}: {state}"));
        let edit = TextEdit::singleline(&mut prompt.text).hint_text("What the recording says");
        ui.add(edit).accessible_name("Text of the voice prompt");
        ui.horizontal(|ui| {
            ui.label("speaker");
            ui.add(DragValue::new(&mut prompt.speaker).range(0..=99)).accessible_name("Speaker of the voice prompt");
        });
    }
}

fn sampling_ui(ui: &mut Ui, session: &mut Session, model: &ModelInfo) {
    let stored = session.checkpoint().map(|c| c.tensors.dtype());
    ui.strong("Sampling");
    mode_ui(ui, &mut session.sampling, stored);
    let (s, settings) = (&mut session.sampling, &mut session.settings);
    egui::Grid::new("sampling").num_columns(3).spacing([8.0, 4.0]).show(ui, |ui| {
        ui.label("");
        ui.small("codebook 0");
        ui.small(format!("codebooks 1-{}", model.dims.codebooks - 1));
        ui.end_row();
        for param in PARAMS {
            ui.label(param.label);
            for stage in Stage::ALL {
                param_ui(ui, param, stage, s, model);
            }
            ui.end_row();
        }
        ui.label("Seed");
        ui.add_enabled(!settings.random_seed, DragValue::new(&mut s.seed)).accessible_name("Seed");
        ui.checkbox(&mut settings.random_seed, "random");
        ui.end_row();
        ui.label("Max length (s)");
        let length = DragValue::new(&mut settings.max_seconds).range(1.0..=160.0).speed(0.5);
        ui.add(length).accessible_name("Maximum length");
        ui.checkbox(&mut settings.autoplay, "Autoplay");
        ui.end_row();
    });
    guard_ui(ui, &mut s.guard, model);
}

fn mode_ui(ui: &mut Ui, sampling: &mut Sampling, stored: Option<crate::data::Dtype>) {
    ui.horizontal(|ui| {
        for info in Mode::all() {
            let enabled = info.backend != Backend::Torch || crate::torch::AVAILABLE;
            let button = ui.add_enabled(enabled, Button::selectable(sampling.mode == info.mode, info.name));
            if button.on_disabled_hover_text("This program was built without PyTorch").clicked() {
                sampling.mode = info.mode;
                sampling.precision = stored.map_or(sampling.precision, |d| info.mode.default_precision(d));
            }
        }
    });
    ui.small(sampling.mode.info().summary);
}

fn param_ui(ui: &mut Ui, param: &Param, stage: Stage, sampling: &mut Sampling, model: &ModelInfo) {
    let name = match stage {
        Stage::Codebook0 => param.label.to_owned(),
        Stage::Depth => format!("Depth {}", param.label.to_lowercase()),
    };
    let params = sampling.stage_mut(stage);
    let mut value = (param.get)(params);
    let range = *(param.range)(&model.dims).start()..=(param.slider_max)(&model.dims);
    let drag = DragValue::new(&mut value).range(range);
    let drag = match param.kind {
        ParamKind::Real => drag.speed(0.01).fixed_decimals(2),
        ParamKind::Count => drag.fixed_decimals(0),
    };
    if ui.add(drag).on_hover_text(param.help).accessible_name(name).changed() {
        (param.set)(params, value);
    }
}

fn guard_ui(ui: &mut Ui, guard: &mut Option<RangeGuard>, model: &ModelInfo) {
    ui.horizontal(|ui| {
        let mut on = guard.is_some();
        if ui.checkbox(&mut on, "Range guard").on_hover_text("Never draw these ids, in any codebook").changed() {
            *guard = if on { RangeGuard::new(1, 31.min(model.dims.vocab as u32 - 1)).ok() } else { None };
        }
        if let Some((mut first, mut last)) = guard.map(RangeGuard::range) {
            let top = model.dims.vocab as u32 - 1;
            let a = ui.add(DragValue::new(&mut first).range(1..=last)).accessible_name("First guarded id");
            let b = ui.add(DragValue::new(&mut last).range(first..=top)).accessible_name("Last guarded id");
            if a.changed() || b.changed() {
                *guard = RangeGuard::new(first, last).ok().or(*guard);
            }
        }
    });
}

fn presets_ui(ui: &mut Ui, session: &mut Session, view: &mut View) {
    ui.horizontal_wrapped(|ui| {
        let (mut chosen, mut removed) = (None, None);
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
                        removed = Some(n);
                    }
                });
            }
        });
        let edit = TextEdit::singleline(&mut view.preset).desired_width(90.0).hint_text("name");
        ui.add(edit).accessible_name("Name of the preset");
        let name = view.preset.trim().to_owned();
        if ui.add_enabled(!name.is_empty(), Button::new("Save")).accessible_name("Save as preset").clicked() {
            session.settings.presets.retain(|p| p.name != name);
            session.settings.presets.push(Preset { name, sampling: session.sampling });
            view.preset.clear();
        }
        if let Some(sampling) = chosen {
            session.sampling = Sampling { seed: session.sampling.seed, ..sampling };
        }
        if let Some(n) = removed {
            session.settings.presets.remove(n);
        }
    });
}
