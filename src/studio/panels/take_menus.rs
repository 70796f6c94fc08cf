//! Menus of takes, for every panel that shows takes.

use egui::{Button, Ui};

use crate::listen::{Template, TestKind};
use crate::studio::command::{Command, Commands, VARIANTS};
use crate::studio::comparison::PinKey;
use crate::studio::library::{Export, ExportKind, LibraryCommand, RegenerateSeed};
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::test_bench::{TestRequest, templates_for};
use crate::takes::TakeId;

/// Ways to make a take again.
pub(super) fn again_menu_ui(ui: &mut Ui, take: &TakeId, commands: &mut Commands) {
    let take = || take.clone();
    for (text, command) in [
        ("Same seed", LibraryCommand::Regenerate { take: take(), seed: RegenerateSeed::Same }),
        ("New seed", LibraryCommand::Regenerate { take: take(), seed: RegenerateSeed::New }),
        ("3 new seeds", LibraryCommand::RegenerateVariants { take: take(), takes: VARIANTS }),
        ("All modes", LibraryCommand::RegenerateInAllModes(take())),
    ] {
        if ui.button(text).clicked() {
            commands.push(command);
            ui.close();
        }
    }
}

/// Listening tests of clips, by template and kind.
pub(super) fn test_menu_ui(ui: &mut Ui, session: &Session, clips: &[PinKey], commands: &mut Commands) {
    let templates = templates_for(clips, &session.library, &session.comparison, &session.models);
    if templates.is_empty() {
        ui.weak("A test needs two takes that differ");
    }
    for choice in templates {
        ui.menu_button(format!("{} ({})", choice.title, choice.conditions), |ui| {
            for info in TestKind::all() {
                let entry = ui.add_enabled(info.allows(choice.conditions), Button::new(format!("{}…", info.name)));
                let entry = entry.on_hover_text(format!("{}, and a page for listeners elsewhere", info.question));
                let entry = entry.on_disabled_hover_text("This kind of test is of another number of conditions");
                let checked = info.can_repeat_sounds && checked_test_ui(ui, info.name);
                if entry.clicked() || checked {
                    commands.push(test_dialog(info.kind, choice.template, clips, checked));
                    ui.close();
                }
            }
        });
    }
}

fn test_dialog(kind: TestKind, template: Template, clips: &[PinKey], checked: bool) -> Command {
    let clips = clips.to_vec();
    let request = TestRequest { kind, template, clips, low_anchor: checked, hidden_repeat: checked };
    ShellCommand::Ask(Dialog::Test(request)).into()
}

/// The entry for a test that checks its listeners.
fn checked_test_ui(ui: &mut Ui, name: &str) -> bool {
    let entry = ui.button(format!("{name} that checks its listeners…"));
    let about = "With a low anchor, which is surely worse, and with one sound of each question twice, which should be \
                 rated alike";
    entry.on_hover_text(about).clicked()
}

/// Ways to export a take.
pub(super) fn export_menu_ui(ui: &mut Ui, take: &TakeId, commands: &mut Commands) {
    for (kind, name) in ExportKind::ALL {
        if ui.button(format!("{name}…")).clicked() {
            commands.push(ShellCommand::Ask(Dialog::Export(Export::Take(take.clone(), kind))));
            ui.close();
        }
    }
    if ui.button("Copy command").on_hover_text("A command line that makes this take again").clicked() {
        commands.push(LibraryCommand::CopyCommand(take.clone()));
        ui.close();
    }
}
