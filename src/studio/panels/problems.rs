//! What is worth a second listen, frame by frame.

use egui::{Button, ScrollArea, Ui, vec2};

use super::{Panel, Slot};
use crate::analysis::problems::Problem;
use crate::studio::command::Command;
use crate::studio::session::Session;

/// The panel. Problems are found again only when the clip has changed.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    version: Option<u64>,
}

impl Panel for Problems {
    fn title(&self) -> &'static str {
        "Problems"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        let Some(model) = session.model_info() else { return };
        let clip = &session.inspected;
        if self.version != Some(clip.version) {
            (self.version, self.found) = (Some(clip.version), clip.problems(model.dims.frame_samples()));
        }
        ui.horizontal(|ui| {
            ui.label(match self.found.len() {
                0 => "Nothing stands out".to_owned(),
                1 => "1 problem".to_owned(),
                n => format!("{n} problems"),
            });
            if !clip.is_analysed() && !clip.frames.is_empty() {
                ui.weak("Draws are not all analysed yet");
            }
            ui.weak("N hears the next one, Shift+N the one before, R speaks again from the selected frame");
        });
        let selected = session.view.cell.map(|(t, _)| t);
        let can_speak = clip.take.is_some() && clip.spec.is_some() && session.is_ready();
        let scroll = ScrollArea::vertical().id_salt("problems").auto_shrink(false);
        let height = ui.spacing().interact_size.y;
        scroll.show_rows(ui, height, self.found.len(), |ui, rows| {
            for problem in &self.found[rows] {
                ui.horizontal(|ui| {
                    let at = format!("{:.2} s", model.dims.seconds(problem.frame));
                    let here = selected == Some(problem.frame);
                    let hear = ui.add(Button::selectable(here, format!("▶ {at}")).min_size(vec2(64.0, 0.0)));
                    if hear.on_hover_text("Hear it").accessible_name(format!("Hear the problem at {at}")).clicked() {
                        let (from, to) = session.around(problem);
                        commands.push(Command::Select(Some((problem.frame, problem.codebook))));
                        commands.push(Command::PlayRegion(from, to, false));
                    }
                    let again = ui.add_enabled(can_speak, Button::new("Speak again from just before").small());
                    let name = format!("Speak again from before {at}");
                    if again.on_hover_text("A new take with another seed from there on").accessible_name(name).clicked()
                    {
                        commands.push(Command::Reseed(problem.frame.saturating_sub(1)));
                    }
                    ui.label(format!("codebook {}: {}", problem.codebook, problem.kind));
                });
            }
        });
    }
}
