//! The form in which a listening test is planned, over everything else.

use egui::{Checkbox, ComboBox, DragValue, Grid, Modal, ScrollArea, TextEdit, Ui};

use super::{Panel, Slot, window_height};
use crate::listen::TestKind;
use crate::studio::command::Commands;
use crate::studio::library::LibraryCommand;
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::test_bench::{TestBenchCommand, TestForm};
use crate::studio::theme;

/// Width of the form.
const WIDTH: f32 = 480.0;
/// Most trials of a text, and most listeners, that can be asked for.
const MOST: usize = 1_000;

#[derive(Default)]
pub(super) struct TestFormPanel;

impl Panel for TestFormPanel {
    fn title(&self) -> &'static str {
        "New listening test"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(form) = session.test_bench.form() else { return };
        let modal = Modal::new(egui::Id::unique("new listening test")).show(ui.ctx(), |ui| {
            ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 64.0));
            ScrollArea::vertical().max_height(window_height(ui)).show(ui, |ui| match &form.made {
                Some(_) => made_ui(ui, form, commands),
                None => form_ui(ui, form, commands),
            });
        });
        if modal.should_close() {
            commands.push(TestBenchCommand::ClosePlan);
        }
    }

    fn takes_keys(&self, session: &Session) -> bool {
        session.test_bench.form().is_some()
    }
}

fn form_ui(ui: &mut Ui, form: &TestForm, commands: &mut Commands) {
    ui.label(theme::heading("New listening test"));
    ui.add_space(8.0);
    let mut request = form.request.clone();
    let conditions = form.template().map_or(0, |choice| choice.conditions.len());
    Grid::new("form of a test").num_columns(2).spacing([16.0, 8.0]).show(ui, |ui| {
        ui.label("Conditions");
        let title = form.template().map_or(String::new(), |choice| format!("{} ({conditions})", choice.title));
        ComboBox::from_id_salt("conditions").selected_text(title).width(240.0).show_ui(ui, |ui| {
            for choice in &form.templates {
                let text = format!("{} ({})", choice.title, choice.conditions.len());
                ui.selectable_value(&mut request.template, choice.template, text);
            }
        });
        ui.end_row();
        ui.label("Question");
        ui.vertical(|ui| {
            for info in TestKind::all() {
                let with_anchor = conditions + request.anchors().len();
                ui.add_enabled_ui(info.allows(with_anchor), |ui| {
                    ui.radio_value(&mut request.kind, info.kind, info.question)
                        .on_disabled_hover_text("This kind of test is of another number of conditions");
                });
            }
        });
        ui.end_row();
        ui.label(if request.kind.info().in_pairs { "Trials of each text and pair" } else { "Trials of each text" });
        let mut repetitions = form.repetitions();
        if ui.add(DragValue::new(&mut repetitions).range(1..=MOST)).changed() {
            request.repetitions = Some(repetitions);
        }
        ui.end_row();
        ui.label("Planned listeners");
        ui.add(DragValue::new(&mut request.listeners).range(0..=MOST))
            .on_hover_text("Each has their own order. 0: not planned");
        ui.end_row();
        ui.label("Checks");
        ui.vertical(|ui| {
            ui.add(Checkbox::new(&mut request.low_anchor, "Low anchor")).on_hover_text(
                "Adds the first condition low-passed at 3.5 kHz: whoever does not rate it lowest was not listening",
            );
            ui.add(Checkbox::new(&mut request.mid_anchor, "Mid anchor"))
                .on_hover_text("Adds the first condition low-passed at 7 kHz");
            ui.add_enabled(
                request.kind.info().can_repeat_sounds,
                Checkbox::new(&mut request.hidden_repeat, "Hidden repeat"),
            )
            .on_hover_text("One sound of each rating stands under two letters; an attentive listener rates both alike");
        });
        ui.end_row();
        if request.kind.info().can_have_reference() {
            ui.label("Open reference");
            let chosen = request.reference.clone().unwrap_or_else(|| "None".into());
            ComboBox::from_id_salt("reference").selected_text(chosen).width(240.0).show_ui(ui, |ui| {
                ui.selectable_value(&mut request.reference, None, "None");
                for name in form.template().map_or(&[][..], |choice| &choice.conditions) {
                    ui.selectable_value(&mut request.reference, Some(name.clone()), name);
                }
            });
            ui.end_row();
        }
        ui.label("Practice trials");
        ui.add(DragValue::new(&mut request.training).range(0..=MOST)).on_hover_text("They come first and do not count");
        ui.end_row();
        let label = ui.label("Instructions");
        ui.vertical(|ui| {
            let instructions =
                TextEdit::multiline(&mut request.instructions).desired_rows(2).desired_width(f32::INFINITY);
            ui.add(instructions.hint_text("What listeners read first")).labelled_by(label.id);
            ui.add(Checkbox::new(&mut request.volume_page, "Begin with a page for setting the volume"));
            ui.add(Checkbox::new(&mut request.loop_words, "Listeners can loop a word"))
                .on_hover_text("They see the words of the text. Sounds whose words are not known have none");
        });
        ui.end_row();
    });
    // A reference is one of the conditions of this way to sort the clips.
    let names = form.templates.iter().find(|choice| choice.template == request.template);
    if request.reference.as_ref().is_some_and(|name| names.is_none_or(|choice| !choice.conditions.contains(name))) {
        request.reference = None;
    }
    if request != form.request {
        commands.push(TestBenchCommand::Plan(request.clone()));
    }
    ui.add_space(8.0);
    let trials = form.trials();
    ui.label(format!("{trials} {} for each listener", if trials == 1 { "trial" } else { "trials" }));
    match &form.power {
        None => drop(ui.weak("Computing what the test can find …")),
        Some((power, warning)) => {
            ui.label(power);
            if let Some(warning) = warning {
                ui.colored_label(ui.visuals().warn_fg_color, warning);
            }
        }
    }
    ui.add_space(12.0);
    ui.horizontal(|ui| {
        if ui.button("Save as…").on_hover_text("Writes the test, and a page for listeners elsewhere").clicked() {
            commands.push(ShellCommand::Ask(Dialog::Test(form.request.clone())));
        }
        if ui.button("Cancel").clicked() {
            commands.push(TestBenchCommand::ClosePlan);
        }
    });
}

fn made_ui(ui: &mut Ui, form: &TestForm, commands: &mut Commands) {
    let Some(path) = &form.made else { return };
    ui.label(theme::heading("The test is made"));
    ui.add_space(8.0);
    let page = path.with_extension("page.html");
    ui.label(format!("{} is the test, and {} a page for listeners elsewhere.", path.display(), page.display()));
    ui.add_space(12.0);
    ui.horizontal(|ui| {
        if ui.button("Run now").clicked() {
            commands.push(LibraryCommand::Open(path.clone()));
        }
        if ui.button("Close").clicked() {
            commands.push(TestBenchCommand::ClosePlan);
        }
    });
}
