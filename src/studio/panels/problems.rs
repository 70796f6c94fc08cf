//! Issues of the current clip, in the order of their frames.

use egui::{Align, Button, Label, Layout, ScrollArea, Ui, vec2};

use super::{Panel, Slot};
use crate::data::Issue;
use crate::studio::command::Commands;
use crate::studio::inspector::{CHECK_WORDS, InspectorCommand};
use crate::studio::memo::Memo;
use crate::studio::monitor::MonitorCommand;
use crate::studio::session::Session;

/// Words that the clip does not say as its text has them, and the button that looks for them.
fn words_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let clip = &session.inspector.current;
    let is_running = session.tasks.is_running(CHECK_WORDS);
    ui.horizontal_wrapped(|ui| {
        let can_check = !is_running && session.models.is_ready() && clip.clip.origin.is_complete();
        let check = ui.add_enabled(can_check && !clip.clip.codes.is_empty(), Button::new("Check the words"));
        let check = check.on_hover_text(
            "Looks for words that are left out, repeated, swapped or cut off, by the text that fits the tokens best. The model computes the \
             clip about four times per word",
        );
        if check.clicked() {
            commands.push(InspectorCommand::CheckWords);
        }
        match &clip.word_problems {
            _ if is_running => drop(ui.weak("Checking …")),
            None => {}
            Some(problems) if problems.is_empty() => drop(ui.label("Every word is spoken once and in its place")),
            Some(problems) => {
                for problem in problems {
                    let text = format!("“{}” {} ({:.0} bits)", problem.word, problem.kind.describe(), problem.bits);
                    let time = clip.words.iter().find(|word| word.written == problem.written);
                    let play = ui.add_enabled(time.is_some(), Button::new(text));
                    if play.on_hover_text("Play it").clicked()
                        && let Some(word) = time
                    {
                        commands.push(MonitorCommand::PlayRegion { from: word.start - 0.3, to: word.end + 0.3, looping: false });
                    }
                }
            }
        }
    });
}

#[derive(Default)]
pub(super) struct Problems {
    /// Issues by the version of the clip.
    issues: Memo<u64, Vec<Issue>>,
}

impl Panel for Problems {
    fn title(&self) -> &'static str {
        "Problems"
    }

    fn slot(&self) -> Slot {
        Slot::Detail
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(model) = session.models.info() else { return };
        let clip = &session.inspector.current;
        let issues = self.issues.get(clip.version, || clip.issues(model.dims.frame_samples()));
        ui.horizontal_wrapped(|ui| {
            ui.label(match issues.len() {
                0 => "No problems".to_owned(),
                1 => "1 problem".to_owned(),
                n => format!("{n} problems"),
            });
            if !clip.is_analysed() && !clip.clip.codes.is_empty() {
                ui.weak("The logits are still being computed");
            }
            ui.weak("N plays the next one, Shift+N the previous one; R regenerates from the selected frame");
        });
        words_ui(ui, session, commands);
        let selected = session.inspector.view.cell.map(|(t, _)| t);
        let can_regenerate = clip.take.is_some() && clip.clip.origin.is_complete() && session.models.is_ready();
        let scroll = ScrollArea::vertical().id_salt("problems").auto_shrink(false);
        let height = ui.spacing().interact_size.y;
        scroll.show_rows(ui, height, issues.len(), |ui, rows| {
            for issue in &issues[rows] {
                ui.horizontal(|ui| {
                    let (frame, codebook) = (issue.frames().start, issue.codebook());
                    let at = format!("{:.2} s", model.dims.seconds(frame));
                    let play = Button::selectable(selected == Some(frame), format!("▶ {at}"));
                    let play = ui.add(play.min_size(vec2(80.0, 0.0))).on_hover_text("Play it");
                    if play.accessible_name(format!("Play the problem at {at}")).clicked() {
                        commands.push(InspectorCommand::PlayIssue(*issue));
                    }
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        let again = ui.add_enabled(can_regenerate, Button::new("Regenerate").small());
                        let again =
                            again.on_hover_text("A new take: unchanged up to just before it, then another seed");
                        if again.accessible_name(format!("Regenerate from before {at}")).clicked() {
                            commands.push(InspectorCommand::Reseed(frame.saturating_sub(1)));
                        }
                        let word = clip.word_at(model.dims.seconds(frame));
                        let word = word.map_or_else(String::new, |word| format!(", in “{}”", word.word));
                        let text = format!("codebook {codebook}: {}{word}", issue.describe());
                        ui.with_layout(Layout::left_to_right(Align::Center), |ui| ui.add(Label::new(text).truncate()));
                    });
                });
            }
        });
    }
}
