//! What other settings would have drawn of the clip on view.

use egui::{Button, ComboBox, Grid, Slider, Ui};

use super::{Panel, Slot};
use crate::data::{Mode, ModelInfo, PARAMS, ParamKind, RangeGuard, Sampling, Stage};
use crate::studio::command::Command;
use crate::studio::session::Session;
use crate::studio::state::MapContent;

/// The panel.
pub(super) struct WhatIf;

impl Panel for WhatIf {
    fn title(&self) -> &'static str {
        "What if"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        let Some(model) = session.model_info() else { return };
        let clip = &session.inspected;
        let Some(made_with) = clip.samplings.first().copied().filter(|_| clip.is_analysed()) else {
            ui.weak("Shown once every draw of the clip is analysed");
            return;
        };
        let before = session.what_if.asked().unwrap_or(made_with);
        let mut asked = before;
        ui.horizontal_top(|ui| {
            Grid::new("what if").num_columns(3).spacing([10.0, 3.0]).show(ui, |ui| sliders_ui(ui, &mut asked, &model));
            ui.vertical(|ui| {
                mode_ui(ui, &mut asked);
                guard_ui(ui, &mut asked, &model);
                answer_ui(ui, session, &model, asked, commands);
            });
        });
        if asked != before {
            commands.extend([Command::AskWhatIf(Some(asked)), Command::ShowMap(MapContent::WhatIf)]);
        }
    }
}

fn sliders_ui(ui: &mut Ui, asked: &mut Sampling, model: &ModelInfo) {
    ui.label("");
    ui.small("codebook 0");
    ui.small("the others");
    ui.end_row();
    for param in PARAMS {
        ui.label(param.label);
        for stage in Stage::ALL {
            let params = asked.stage_mut(stage);
            let mut value = (param.get)(params);
            let range = *(param.range)(&model.dims).start()..=(param.slider_max)(&model.dims);
            let slider = match param.kind {
                ParamKind::Real => Slider::new(&mut value, range).fixed_decimals(2),
                ParamKind::Count => Slider::new(&mut value, range).fixed_decimals(0),
            };
            let stage = if stage == Stage::Codebook0 { "" } else { "depth " };
            let name = format!("What if {stage}{}", param.label.to_lowercase());
            if ui.add(slider).on_hover_text(param.help).accessible_name(name).changed() {
                (param.set)(params, value);
            }
        }
        ui.end_row();
    }
}

fn mode_ui(ui: &mut Ui, asked: &mut Sampling) {
    ui.horizontal(|ui| {
        ui.label("Mode");
        let combo = ComboBox::from_id_salt("what if mode").selected_text(asked.mode.name());
        let shown = combo.show_ui(ui, |ui| {
            for info in Mode::all() {
                ui.selectable_value(&mut asked.mode, info.mode, info.name);
            }
        });
        shown.response.accessible_name("What if mode");
    });
}

fn guard_ui(ui: &mut Ui, asked: &mut Sampling, model: &ModelInfo) {
    let mut on = asked.guard.is_some();
    let text = asked.guard.map_or("Range guard 1 to 31".into(), |guard| {
        let (first, last) = guard.range();
        format!("Range guard {first} to {last}")
    });
    if ui.checkbox(&mut on, text).on_hover_text("Never draw these ids, in any codebook").changed() {
        asked.guard = if on { RangeGuard::new(1, 31.min(model.dims.vocab as u32 - 1)).ok() } else { None };
    }
}

/// What the settings would have changed, and the way to hear it.
fn answer_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, asked: Sampling, commands: &mut Vec<Command>) {
    let clip = &session.inspected;
    let Some(answer) = session.what_if.answer() else {
        if session.what_if.is_running() {
            ui.weak("Drawing again…");
        } else if ui.button("Draw again").on_hover_text("With the noise of each draw kept").clicked() {
            commands.extend([Command::AskWhatIf(Some(asked)), Command::ShowMap(MapContent::WhatIf)]);
        }
        return;
    };
    let all = clip.frames.ids().len();
    match answer.first {
        None => drop(ui.label(format!("All {all} tokens stay."))),
        Some((t, k)) => {
            let (old, new) = (clip.frames.frame(t)[k], answer.tokens.frame(t)[k]);
            let at = model.dims.seconds(t);
            ui.label(format!("{} of {all} tokens flip.", answer.flips));
            ui.label(format!("The first at {at:.2} s, codebook {k}:"));
            ui.label(format!("{} → {}", model.describe_token(k, old), model.describe_token(k, new)));
            let tip = "After it the model would have seen other tokens: what follows is a guess";
            ui.horizontal(|ui| {
                if ui.button("Show").on_hover_text(tip).clicked() {
                    commands.push(Command::Select(Some((t, k))));
                }
                let can = clip.take.is_some() && session.is_ready();
                let again = ui.add_enabled(can, Button::new("Regenerate from there"));
                if again.on_hover_text("A new take with these settings from that frame on").clicked() {
                    commands.push(Command::ResumeWith(t, asked));
                }
            });
        }
    }
    if ui.button("Back to the take's settings").clicked() {
        commands.extend([Command::AskWhatIf(None), Command::ShowMap(MapContent::Tokens)]);
    }
}
