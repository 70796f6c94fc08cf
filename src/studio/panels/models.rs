//! Models on this machine, downloads and adapters.

use std::path::Path;
use std::sync::PoisonError;

use egui::{
    Align, Button, Context, DragValue, Grid, Key, Label, Layout, ProgressBar, RichText, ScrollArea, TextEdit, Ui, vec2,
};

use super::{Panel, Slot, window_height, window_ui};
use crate::checkpoint::{AdapterSpec, CheckpointSpec, Installed, InstalledKind};
use crate::studio::catalogue::{CatalogueCommand, Download, DownloadState, Fetched};
use crate::studio::command::Commands;
use crate::studio::models::{ModelsCommand, describe_bytes};
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, PanelRequest, ShellCommand};
use crate::studio::theme::{Palette, heading, icon};

const WIDTH: f32 = 600.0;
/// Width of the names of models.
const NAME_WIDTH: f32 = 260.0;
/// Strengths of adapters that can be chosen.
const STRENGTHS: std::ops::RangeInclusive<f32> = 0.0..=2.0;

pub(super) struct ModelsPanel {
    open: bool,
    /// Whether it was opened just now: the field of the repository gets the focus, so that no letter is a shortcut.
    just_opened: bool,
    /// The repository that is typed.
    id: String,
    strength: f32,
}

impl Default for ModelsPanel {
    fn default() -> Self {
        Self { open: false, just_opened: false, id: String::new(), strength: 1.0 }
    }
}

impl Panel for ModelsPanel {
    fn title(&self) -> &'static str {
        "Models"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let mut open = self.open;
        window_ui(ui, self.title(), WIDTH, &mut open, |ui| {
            ScrollArea::vertical().max_height(window_height(ui)).show(ui, |ui| {
                self.installed_ui(ui, session, commands);
                ui.add_space(16.0);
                self.download_ui(ui, session, commands);
            });
        });
        self.open = open;
    }

    fn on_request(&mut self, request: &PanelRequest, _: &Context, _: &Session, commands: &mut Commands) {
        if *request == PanelRequest::ToggleModels {
            self.open = !self.open;
            self.just_opened = self.open;
            if self.open {
                commands.push(CatalogueCommand::List);
            }
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

impl ModelsPanel {
    fn installed_ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        let Some(installed) = &session.catalogue.installed else {
            ui.weak("Looking for models…");
            return;
        };
        let is_adapter = |model: &&Installed| matches!(model.kind, InstalledKind::Adapter { .. });
        ui.label(heading("ON THIS MACHINE"));
        Grid::new("models").num_columns(4).spacing([16.0, 6.0]).min_col_width(64.0).show(ui, |ui| {
            for model in installed.iter().filter(|model| !is_adapter(model)) {
                model_row_ui(ui, session, model, commands);
                ui.end_row();
            }
        });
        ui.add_space(16.0);
        ui.label(heading("ADAPTERS"));
        let current = session.models.spec().adapter.as_ref();
        if let Some(adapter) = current {
            ui.horizontal(|ui| {
                ui.add(Label::new(format!("In use: {}", adapter.folder.display())).truncate());
                if ui.button("Remove").on_hover_text("Open the model without its adapter").clicked() {
                    commands.push(ModelsCommand::SetAdapter(None));
                }
            });
        }
        ui.horizontal(|ui| {
            ui.label("Strength");
            let value = DragValue::new(&mut self.strength).range(STRENGTHS).speed(0.01).fixed_decimals(2);
            ui.add(value).on_hover_text("1 is as it was trained").accessible_name("Adapter strength");
            let changed = current.filter(|adapter| adapter.strength != self.strength);
            let apply = ui.add_enabled(changed.is_some(), Button::new("Apply"));
            if let Some(adapter) = changed.filter(|_| apply.clicked()) {
                commands.push(self.set_adapter(&adapter.folder));
            }
        });
        for adapter in installed.iter().filter(is_adapter) {
            let InstalledKind::Adapter { base } = &adapter.kind else { continue };
            let Some(folder) = &adapter.path else { continue };
            ui.horizontal(|ui| {
                ui.add(Label::new(&adapter.name).truncate());
                ui.weak(base.as_deref().map_or_else(String::new, |base| format!("for {base}")));
                if ui.button("Use").on_hover_text("Open the current model with this adapter").clicked() {
                    commands.push(self.set_adapter(folder));
                }
            });
        }
        let can = session.models.is_ready();
        if ui.add_enabled(can, Button::new("Choose an adapter folder…")).clicked() {
            commands.push(ShellCommand::Ask(Dialog::Adapter));
        }
    }

    fn set_adapter(&self, folder: &Path) -> ModelsCommand {
        ModelsCommand::SetAdapter(Some(AdapterSpec { folder: folder.to_owned(), strength: self.strength }))
    }

    fn download_ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        ui.label(heading("DOWNLOAD FROM HUGGING FACE"));
        let fetching = session.catalogue.fetched().is_some();
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut self.id).hint_text("sesame/csm-1b").desired_width(320.0);
            let field = ui.add_enabled(!fetching, field).accessible_name("Repository");
            if std::mem::take(&mut self.just_opened) {
                field.request_focus();
            }
            let entered = field.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));
            let can = !fetching && !self.id.trim().is_empty();
            let look_up = ui.add_enabled(can, Button::new("Look up"));
            let tip = "The size of the files, before anything large is fetched";
            if look_up.on_hover_text(tip).clicked() || (entered && can) {
                commands.push(CatalogueCommand::LookUp(self.id.trim().to_owned()));
            }
        });
        if let Some(download) = session.catalogue.download() {
            download_state_ui(ui, session, download, commands);
        }
    }
}

fn model_row_ui(ui: &mut Ui, session: &Session, model: &Installed, commands: &mut Commands) {
    let InstalledKind::Checkpoint { codebooks, memory } = model.kind else { return };
    let name = vec2(NAME_WIDTH, ui.spacing().interact_size.y);
    ui.allocate_ui_with_layout(name, Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_width(NAME_WIDTH);
        let path = model.path.as_ref().map_or_else(|| "Inside the program".into(), |path| path.display().to_string());
        ui.add(Label::new(&model.name).truncate()).on_hover_text(path);
    });
    ui.label(format!("{codebooks} codebooks"));
    memory_ui(ui, session, memory);
    let spec = session.models.spec();
    if spec.path == model.path && session.models.checkpoint().is_some() {
        ui.label(format!("{} open", icon::SELECTED));
    } else if ui.button("Open").clicked() {
        commands.push(ModelsCommand::Open(CheckpointSpec { path: model.path.clone(), ..CheckpointSpec::default() }));
    }
}

/// The memory that a model takes, and whether it is free.
fn memory_ui(ui: &mut Ui, session: &Session, bytes: u64) {
    let text = gigabytes(bytes);
    match session.catalogue.memory.filter(|memory| memory.available < bytes) {
        Some(memory) => {
            let warning = Palette::of(ui.visuals()).warning;
            let tip = format!(
                "It takes {text} of memory, and {} of {} are free",
                gigabytes(memory.available),
                gigabytes(memory.total)
            );
            ui.label(RichText::new(format!("{} {text}", icon::WARNING)).color(warning)).on_hover_text(tip);
        }
        None => drop(ui.label(text).on_hover_text("Memory that the language model takes")),
    }
}

fn download_state_ui(ui: &mut Ui, session: &Session, download: &Download, commands: &mut Commands) {
    ui.add_space(4.0);
    match &download.state {
        DownloadState::LookingUp => {
            ui.horizontal(|ui| {
                ui.label(format!("Asking for {}…", download.id));
                button_ui(ui, "Cancel", CatalogueCommand::Cancel, commands);
            });
        }
        DownloadState::Failed(why) => drop(ui.colored_label(ui.visuals().error_fg_color, why)),
        DownloadState::Planned(plan) => {
            ui.label(format!("{}: {} files, {}", plan.repository, plan.files, gigabytes(plan.bytes)));
            if plan.present > 0 {
                ui.label(format!("{} are on this machine", gigabytes(plan.present)));
            }
            ui.horizontal(|ui| {
                ui.label("Memory, about");
                memory_ui(ui, session, plan.bytes);
            });
            ui.horizontal(|ui| {
                button_ui(ui, "Download", CatalogueCommand::Download, commands);
                button_ui(ui, "Cancel", CatalogueCommand::Cancel, commands);
            });
        }
        DownloadState::Fetching(_, fetched) => {
            progress_ui(ui, &fetched.lock().unwrap_or_else(PoisonError::into_inner));
            ui.horizontal(|ui| {
                button_ui(ui, "Pause", CatalogueCommand::Pause, commands);
                button_ui(ui, "Cancel", CatalogueCommand::Cancel, commands);
            });
        }
        DownloadState::Paused(_, fetched, problem) => {
            progress_ui(ui, fetched);
            if let Some(problem) = problem {
                ui.colored_label(ui.visuals().error_fg_color, problem);
            }
            ui.horizontal(|ui| {
                button_ui(ui, "Resume", CatalogueCommand::Download, commands);
                button_ui(ui, "Cancel", CatalogueCommand::Cancel, commands);
            });
        }
    }
}

fn button_ui(ui: &mut Ui, title: &str, command: CatalogueCommand, commands: &mut Commands) {
    let tip = match command {
        CatalogueCommand::Cancel => "Ends the download and removes unfinished files",
        CatalogueCommand::Pause => "Stops the download and keeps what is there",
        CatalogueCommand::Download | CatalogueCommand::List | CatalogueCommand::LookUp(_) => "",
    };
    let button = ui.button(title);
    let button = if tip.is_empty() { button } else { button.on_hover_text(tip) };
    if button.clicked() {
        commands.push(command);
    }
}

fn progress_ui(ui: &mut Ui, fetched: &Fetched) {
    let rate = fetched.rate().map_or_else(String::new, |rate| format!(", {:.1} MB per second", rate / 1e6));
    ui.add(Label::new(format!("{}: {}", fetched.repository, fetched.file)).truncate());
    let share = fetched.done as f32 / fetched.bytes.max(1) as f32;
    ui.add(ProgressBar::new(share).text(format!("{}{rate}", describe_bytes(fetched.done, fetched.bytes))));
    if let Some(problem) = &fetched.problem {
        ui.weak(format!("{problem}; trying again"));
    }
}

/// `6.2 GB`, or in MB below one.
fn gigabytes(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}
