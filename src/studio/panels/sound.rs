//! Acoustic measures and transcripts of the current clip and the pinned ones.

use egui::{Button, ScrollArea, TextEdit, Ui};

use super::statistics::tables_ui;
use super::{Panel, Slot};
use crate::studio::command::Commands;
use crate::studio::comparison::ComparisonCommand;
use crate::studio::preferences::PreferencesCommand;
use crate::studio::session::Session;

#[derive(Default)]
pub(super) struct SoundPanel {
    recogniser: Option<String>,
}

impl Panel for SoundPanel {
    fn title(&self) -> &'static str {
        "Sound"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        if session.inspector.current.clip.audio.is_empty() && session.comparison.pins.clips().is_empty() {
            ui.weak("Acoustic measures of the current clip and the pinned takes appear here");
            return;
        }
        // A take that is being made is measured once it is complete.
        let comparison = &session.comparison;
        let measured = comparison.measured_sounds(&session.inspector);
        if !session.is_speaking() && comparison.measures.is_outdated(&measured) {
            commands.push(ComparisonCommand::MeasureSounds);
        }
        let line = self.recogniser.get_or_insert_with(|| session.preferences.settings.recogniser.clone());
        ui.horizontal(|ui| {
            let label = ui.label("Recogniser");
            let hint = "a command, such as: whisper-cli -nt -f {wav}";
            let field = ui.add(TextEdit::singleline(line).hint_text(hint).desired_width(320.0)).labelled_by(label.id);
            let field = field.on_hover_text("Gets the path of a WAV file and prints the transcript");
            if field.lost_focus() && *line != session.preferences.settings.recogniser {
                commands.push(PreferencesCommand::SetRecogniser(line.clone()));
            }
            let ask = Button::new("Transcribe");
            if ui.add_enabled(!line.trim().is_empty() && !session.is_measuring(), ask).clicked() {
                commands.push(PreferencesCommand::SetRecogniser(line.clone()));
                commands.push(ComparisonCommand::Transcribe);
            }
            if session.is_measuring() {
                ui.spinner();
                if ui.button("Stop").on_hover_text("Ends the recogniser").clicked() {
                    commands.push(ComparisonCommand::StopMeasuring);
                }
            }
        });
        ScrollArea::both()
            .id_salt("sound")
            .auto_shrink(false)
            .show(ui, |ui| tables_ui(ui, comparison.measures.value()));
    }
}
