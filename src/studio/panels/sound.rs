//! What can be measured of the sound: of the clip on view and the pinned takes, and what a recogniser hears in them.

use egui::{Button, ScrollArea, TextEdit, Ui};

use super::statistics::tables_ui;
use super::{Panel, Slot};
use crate::studio::command::Command;
use crate::studio::session::Session;

/// The panel.
#[derive(Default)]
pub(super) struct Sound {
    recogniser: Option<String>,
}

impl Panel for Sound {
    fn title(&self) -> &'static str {
        "Sound"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
        if session.inspected.audio.is_empty() && session.pins.clips().is_empty() {
            ui.weak("Shown of the clip on view and the pinned takes");
            return;
        }
        // A take that is being made is measured once it is whole.
        if !session.is_speaking() && session.measured.is_outdated(&session.sounds_on_view()) {
            commands.push(Command::MeasureSound);
        }
        let line = self.recogniser.get_or_insert_with(|| session.settings.recogniser.clone());
        ui.horizontal(|ui| {
            let label = ui.label("Recogniser");
            let hint = "a command, such as: whisper-cli -nt -f {wav}";
            let field = ui.add(TextEdit::singleline(line).hint_text(hint).desired_width(320.0)).labelled_by(label.id);
            let field = field.on_hover_text("It gets the path of a WAV file and prints what it hears");
            if field.lost_focus() && *line != session.settings.recogniser {
                commands.push(Command::SetRecogniser(line.clone()));
            }
            let ask = Button::new("Recognise");
            if ui.add_enabled(!line.trim().is_empty() && !session.measured.is_running(), ask).clicked() {
                commands.extend([Command::SetRecogniser(line.clone()), Command::Recognise]);
            }
            if session.measured.is_running() {
                ui.spinner();
                if ui.button("Stop").on_hover_text("Ends the recogniser").clicked() {
                    commands.push(Command::StopMeasuring);
                }
            }
        });
        ScrollArea::both().id_salt("sound").auto_shrink(false).show(ui, |ui| tables_ui(ui, session.measured.tables()));
    }
}
