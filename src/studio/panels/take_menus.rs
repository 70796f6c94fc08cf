//! Menus of takes, for every panel that shows takes.

use egui::Ui;

use crate::listen::TestKind;
use crate::studio::command::{Commands, VARIANTS};
use crate::studio::comparison::PinKey;
use crate::studio::library::{Export, ExportKind, LibraryCommand, RegenerateSeed};
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::test_bench::{TestBenchCommand, TestRequest, templates_for};
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
    ui.separator();
    if ui.button("Use these settings").on_hover_text("For the next take").clicked() {
        commands.push(LibraryCommand::UseSettings(take()));
        ui.close();
    }
}

/// Listening tests of clips, by what their conditions are.
pub(super) fn test_menu_ui(ui: &mut Ui, session: &Session, clips: &[PinKey], commands: &mut Commands) {
    let templates = templates_for(clips, &session.library, &session.comparison, &session.models);
    if templates.is_empty() {
        ui.weak("A test needs two takes that differ in one setting only");
    }
    for choice in templates {
        if ui.button(format!("{} ({})…", choice.title, choice.conditions.len())).clicked() {
            let kind = if choice.conditions.len() == 2 { TestKind::Preference } else { TestKind::Rating };
            commands.push(TestBenchCommand::Plan(TestRequest::new(kind, choice.template, clips.to_vec())));
            ui.close();
        }
    }
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
