//! Tokens that other settings would have drawn in the current clip.

use egui::{Button, ComboBox, Grid, Slider, Ui};

use super::{Panel, Slot};
use crate::data::{Mode, ModelInfo, PARAMS, ParamKind, RangeGuard, Sampling, Stage};
use crate::studio::command::Commands;
use crate::studio::inspector::{InspectorCommand, MapContent};
use crate::studio::monitor::{MonitorCommand, PlaybackSource};
use crate::studio::session::Session;
use crate::studio::theme::icon;

pub(super) struct WhatIfPanel;

impl Panel for WhatIfPanel {
    fn title(&self) -> &'static str {
        "What if"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(model) = session.models.info() else { return };
        let clip = &session.inspector.current;
        let settings = clip.steps.get(0).map(|step| step.sampling);
        let Some(own) = settings.filter(|_| clip.is_analysed()) else {
            ui.weak("Available once the logits of the clip are known");
            return;
        };
        let before = session.inspector.what_if.settings().unwrap_or(own);
        let mut asked = before;
        ui.horizontal_top(|ui| {
            Grid::new("what if").num_columns(3).spacing([10.0, 3.0]).show(ui, |ui| sliders_ui(ui, &mut asked, model));
            ui.vertical(|ui| {
                mode_ui(ui, &mut asked);
                guard_ui(ui, &mut asked, model);
                answer_ui(ui, session, model, asked, commands);
            });
        });
        if asked != before {
            ask(Some(asked), MapContent::WhatIf, commands);
        }
    }
}

fn ask(settings: Option<Sampling>, map: MapContent, commands: &mut Commands) {
    commands.push(InspectorCommand::AskWhatIf(settings));
    commands.push(InspectorCommand::ShowMap(map));
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
    let guard = asked.guard.or(RangeGuard::default_for(model.dims.vocab));
    let text = guard.map_or("Range guard".into(), |guard| {
        let (first, last) = guard.range();
        format!("Range guard {first} to {last}")
    });
    if ui.checkbox(&mut on, text).on_hover_text("Never draw these ids in any codebook").changed() {
        asked.guard = guard.filter(|_| on);
    }
}

/// The changed tokens, and a button that makes the take.
fn answer_ui(ui: &mut Ui, session: &Session, model: &ModelInfo, asked: Sampling, commands: &mut Commands) {
    let clip = &session.inspector.current;
    let Some(answer) = session.inspector.what_if.answer() else {
        if session.inspector.what_if.is_running() {
            ui.weak("Computing…");
        } else if ui.button("Draw again").on_hover_text("With the same noise in each draw").clicked() {
            ask(Some(asked), MapContent::WhatIf, commands);
        }
        return;
    };
    let all = clip.clip.codes.ids().len();
    match answer.first {
        None => drop(ui.label(format!("All {all} tokens stay the same."))),
        Some((t, k)) => {
            let (old, new) = (clip.clip.codes.frame(t)[k], answer.tokens.frame(t)[k]);
            let at = model.dims.seconds(t);
            ui.label(format!("{} of {all} tokens change.", answer.flips));
            ui.label(format!("The first at {at:.2} s, codebook {k}:"));
            ui.label(format!("{} → {}", model.describe_token(k, old), model.describe_token(k, new)));
            let tip = "From there on the model would have seen other tokens: what follows is an estimate";
            ui.horizontal(|ui| {
                if ui.button("Show").on_hover_text(tip).clicked() {
                    commands.push(InspectorCommand::Select(Some((t, k))));
                }
                let can = session.models.is_ready();
                let tip = format!("A guess from {at:.2} s on: the model would have seen other tokens there");
                let listen = ui.add_enabled(can, Button::new(format!("{} Listen", icon::PLAY)));
                if listen.on_hover_text(tip).accessible_name("Listen to these tokens").clicked() {
                    commands.push(MonitorCommand::SwitchTo(PlaybackSource::WhatIf));
                }
                let can = clip.take.is_some() && session.models.is_ready();
                let again = ui.add_enabled(can, Button::new("Regenerate from there"));
                if again.on_hover_text("A new take with these settings from that frame on").clicked() {
                    commands.push(InspectorCommand::ResumeWith { frame: t, sampling: asked });
                }
            });
        }
    }
    if ui.button("Back to the settings of the take").clicked() {
        ask(None, MapContent::Tokens, commands);
    }
}
