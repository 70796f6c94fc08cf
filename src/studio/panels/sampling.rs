//! The settings of draws.

use std::sync::Arc;

use egui::{Button, ComboBox, DragValue, RichText, Slider, TextEdit, Ui, vec2};

use crate::checkpoint::Checkpoint;
use crate::data::{Backend, Dtype, Mode, ModelInfo, PARAMS, Param, ParamKind, RangeGuard, Sampling, Stage};
use crate::studio::session::Session;
use crate::studio::settings::{Preset, Settings};
use crate::studio::theme::{heading, icon};
use crate::text::Pronunciations;
use crate::worker::exact_check;

#[derive(Default)]
pub(super) struct SamplingControls {
    /// The name that is being typed for a preset.
    preset: String,
    /// Whether codebook 0 and the others have separate settings, as far as the user has said.
    separate: Option<bool>,
}

pub(super) fn sampling_ui(
    ui: &mut Ui,
    session: &Session,
    s: &mut Sampling,
    settings: &mut Settings,
    model: &ModelInfo,
    controls: &mut SamplingControls,
) {
    ui.label(heading("SAMPLING"));
    mode_ui(ui, s, session.models.checkpoint());
    let separate = controls.separate.unwrap_or(s.codebook0 != s.depth);
    egui::Grid::new("sampling").num_columns(2).spacing([8.0, 4.0]).show(ui, |ui| {
        for param in PARAMS.iter().filter(|param| !param.advanced) {
            ui.label(param.label);
            param_ui(ui, param, Stage::Codebook0, s, model);
            ui.end_row();
        }
        if separate {
            ui.small(format!("Codebooks 1–{}", model.dims.codebooks - 1));
            ui.end_row();
            for param in PARAMS.iter().filter(|param| !param.advanced) {
                ui.label(param.label);
                param_ui(ui, param, Stage::Depth, s, model);
                ui.end_row();
            }
        } else {
            s.depth = s.codebook0;
        }
        ui.label("Seed");
        ui.horizontal(|ui| {
            let dice = ui.add(Button::selectable(settings.random_seed, RichText::new(icon::DICE).size(16.0)));
            if dice.on_hover_text("A random seed for every take").accessible_name("Random seed").clicked() {
                settings.random_seed = !settings.random_seed;
            }
            let seed = DragValue::new(&mut s.seed);
            ui.add_enabled_ui(!settings.random_seed, |ui| {
                ui.add_sized(vec2(112.0, 24.0), seed).accessible_name("Seed")
            });
        });
        ui.end_row();
    });
    let mut linked = !separate;
    let tip = "The same settings for all codebooks";
    if ui.checkbox(&mut linked, "Link codebooks").on_hover_text(tip).changed() {
        controls.separate = Some(!linked);
    }
    let penalty = s.penalises_repetition();
    let changed = penalty || s.guard.is_some() || !settings.pronunciations.is_empty() || !settings.autoplay;
    let title = if changed { "Advanced ●" } else { "Advanced" };
    egui::CollapsingHeader::new(title).id_salt("advanced").show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label("Longest take");
            let length = DragValue::new(&mut settings.max_seconds).range(1.0..=160.0).speed(0.5).suffix(" s");
            ui.add(length).accessible_name("Maximum length");
        });
        ui.checkbox(&mut settings.autoplay, "Play while generating").accessible_name("Autoplay");
        advanced_params_ui(ui, s, separate, model);
        guard_ui(ui, &mut s.guard, model);
        precision_ui(ui, s);
        pronunciations_ui(ui, &mut settings.pronunciations);
        presets_ui(ui, s, settings, &mut controls.preset);
    });
}

/// The settings of draws that few users change.
fn advanced_params_ui(ui: &mut Ui, s: &mut Sampling, separate: bool, model: &ModelInfo) {
    let stages = if separate { &Stage::ALL[..] } else { &Stage::ALL[..1] };
    egui::Grid::new("advanced sampling").num_columns(2).spacing([8.0, 4.0]).show(ui, |ui| {
        for stage in stages {
            for param in PARAMS.iter().filter(|param| param.advanced) {
                ui.label(param.label);
                param_ui(ui, param, *stage, s, model);
                ui.end_row();
            }
        }
    });
    if !separate {
        s.depth = s.codebook0;
    }
}

/// The user's list of pronunciations.
fn pronunciations_ui(ui: &mut Ui, list: &mut String) {
    ui.collapsing("Pronunciations", |ui| {
        let field = TextEdit::multiline(list).desired_rows(3).hint_text("Nguyen = win").desired_width(f32::INFINITY);
        ui.add(field).accessible_name("Pronunciations").on_hover_text("A line for each word: written = spoken");
        if let Err(e) = Pronunciations::check(list) {
            ui.colored_label(ui.visuals().error_fg_color, e.to_string());
        }
    });
}

/// The precision of the language model.
fn precision_ui(ui: &mut Ui, sampling: &mut Sampling) {
    ui.horizontal(|ui| {
        ui.label("Precision");
        let combo = ComboBox::from_id_salt("precision").selected_text(sampling.precision.name());
        let shown = combo.show_ui(ui, |ui| {
            for dtype in Dtype::ALL {
                ui.selectable_value(&mut sampling.precision, dtype, dtype.name());
            }
        });
        shown.response.accessible_name("Precision");
        let in_float32 = Sampling { precision: Dtype::Float32, ..*sampling };
        if in_float32.reproduces_torch() && !sampling.reproduces_torch() {
            let note = ui.small("⚠ not PyTorch's tokens");
            note.on_hover_text("Tokens equal PyTorch's only in float32");
        }
    });
}

fn mode_ui(ui: &mut Ui, sampling: &mut Sampling, checkpoint: Option<&Arc<Checkpoint>>) {
    ui.horizontal(|ui| {
        for info in Mode::all() {
            let enabled = info.backend != Backend::Torch || crate::torch::AVAILABLE;
            let name = RichText::new(capitalised(info.name));
            let button = ui.add_enabled(enabled, Button::selectable(sampling.mode == info.mode, name));
            let button = button.accessible_name(info.name);
            if button.on_disabled_hover_text("This program was built without PyTorch").clicked() {
                sampling.mode = info.mode;
                sampling.precision = checkpoint.map_or(sampling.precision, |c| c.default_precision(info.mode));
            }
        }
    });
    let summary = sampling.mode.info().summary;
    match exact_check().filter(|_| sampling.mode == Mode::Exact) {
        Some(check) => ui.small(format!("{summary}; {}", check.summary())),
        None => ui.small(summary),
    };
}

/// A name as it begins a sentence.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn param_ui(ui: &mut Ui, param: &Param, stage: Stage, sampling: &mut Sampling, model: &ModelInfo) {
    let name = match stage {
        Stage::Codebook0 => param.label.to_owned(),
        Stage::Depth => format!("Depth {}", param.label.to_lowercase()),
    };
    let params = sampling.stage_mut(stage);
    let mut value = (param.get)(params);
    let range = *(param.range)(&model.dims).start()..=(param.slider_max)(&model.dims);
    ui.spacing_mut().slider_width = 116.0;
    let slider = match param.kind {
        ParamKind::Real => Slider::new(&mut value, range).fixed_decimals(2).step_by(0.01),
        ParamKind::Count => Slider::new(&mut value, range).fixed_decimals(0).logarithmic(true),
    };
    if ui.add(slider).on_hover_text(param.help).accessible_name(name).changed() {
        (param.set)(params, value);
    }
}

fn guard_ui(ui: &mut Ui, guard: &mut Option<RangeGuard>, model: &ModelInfo) {
    ui.horizontal(|ui| {
        let mut on = guard.is_some();
        if ui.checkbox(&mut on, "Range guard").on_hover_text("Never draw these ids in any codebook").changed() {
            *guard = RangeGuard::default_for(model.dims.vocab).filter(|_| on);
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

fn presets_ui(ui: &mut Ui, sampling: &mut Sampling, settings: &mut Settings, preset: &mut String) {
    ui.horizontal_wrapped(|ui| {
        let (mut chosen, mut removed) = (None, None);
        ui.menu_button("Presets", |ui| {
            if settings.presets.is_empty() {
                ui.label("none yet");
            }
            for (n, preset) in settings.presets.iter().enumerate() {
                ui.horizontal(|ui| {
                    if ui.button(&preset.name).clicked() {
                        chosen = Some(preset.sampling);
                    }
                    if ui.small_button(icon::CLOSE).accessible_name(format!("Delete preset {}", preset.name)).clicked()
                    {
                        removed = Some(n);
                    }
                });
            }
        });
        let edit = TextEdit::singleline(preset).desired_width(90.0).hint_text("name");
        ui.add(edit).accessible_name("Name of the preset");
        let name = preset.trim().to_owned();
        if ui.add_enabled(!name.is_empty(), Button::new("Save")).accessible_name("Save as preset").clicked() {
            settings.presets.retain(|p| p.name != name);
            settings.presets.push(Preset { name, sampling: *sampling });
            preset.clear();
        }
        if let Some(chosen) = chosen {
            *sampling = Sampling { seed: sampling.seed, ..chosen };
        }
        if let Some(n) = removed {
            settings.presets.remove(n);
        }
    });
}
