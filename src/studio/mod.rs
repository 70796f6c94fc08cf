//! The window. [`session`] holds what is shown and done, panels draw it and give back [`Action`]s, which run after layout.

mod compose;
mod history;
mod live;
mod map;
pub mod session;
pub mod settings;
mod transport;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use egui::{Align, Context, Key, KeyboardShortcut, Layout, Modifiers, RichText, Ui};

use self::session::{Place, Session};
use self::settings::Theme;
use crate::audio::output::Sink;
use crate::error::{Error, Result};
use crate::report::Model;

/// Time between frames while something moves.
const TICK: Duration = Duration::from_millis(33);

/// What a panel wants done.
#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// Speak a turn; whether the turns before it are context.
    Speak(usize, bool),
    /// Add a turn and speak it later.
    AddTurn,
    /// Take a turn out.
    RemoveTurn(usize),
    /// Move a turn up.
    RaiseTurn(usize),
    Cancel,
    Show(String),
    /// Make again: same seed or not.
    Again(String, bool),
    AllModes(String),
    /// Make the shown take again with the settings of the moment from this frame on.
    Resume(usize),
    Favourite(String),
    Rename(String, String),
    Delete(String),
    Undo,
    CopyCommand(String),
    Export(String, Export),
    ChoosePrompt,
    DropPrompt,
    Play(bool),
    Seek(f64),
    Loop(Option<(f64, f64)>),
    Volume(f32),
    Device(Option<String>),
    Select(Option<(usize, usize)>),
}

/// What can be written of a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Export {
    Wav,
    Tokens,
    Table,
    Picture,
}

impl Export {
    fn ending(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Tokens => "json",
            Self::Table => "csv",
            Self::Picture => "png",
        }
    }
}

/// What a file dialog gave.
enum Chosen {
    Prompt(PathBuf),
    Export(String, Export, PathBuf),
}

/// What is on view, beside the session.
#[derive(Default)]
struct View {
    /// Frame and codebook that all panels speak of; `None` follows the newest frame.
    cell: Option<(usize, usize)>,
    /// Codebook of the plots.
    codebook: usize,
    search: String,
    favourites: bool,
    renaming: Option<(String, String)>,
    help: bool,
    map: map::Map,
    devices: Option<Vec<String>>,
    preset: String,
}

/// The window's program.
pub struct Studio {
    /// What is shown and done.
    pub session: Session,
    view: View,
    chosen: (Sender<Chosen>, Receiver<Chosen>),
    themed: Option<(Theme, f32)>,
    /// Frames drawn so far.
    pub repaints: u64,
}

const SPEAK: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Enter);
const REPLY: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Enter);
const UNDO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
const HELP: KeyboardShortcut = KeyboardShortcut::new(Modifiers::NONE, Key::F1);

/// Shortcuts, as the help lists them.
const KEYS: &[(&str, &str)] = &[
    ("Ctrl/Cmd+Enter", "speak the last turn"),
    ("Ctrl/Cmd+Shift+Enter", "speak it as a reply to the turns before"),
    ("Escape", "cancel what is being made; what is there is kept"),
    ("Space", "play or stop"),
    ("Left, Right", "one frame back, forth (80 ms)"),
    ("Home", "to the start"),
    ("Ctrl/Cmd+Shift+Z", "bring the deleted take back"),
    ("Tab, Shift+Tab", "from widget to widget"),
    ("F1", "this list"),
];

impl Studio {
    /// With a session whose threads wake `ctx`.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn new(ctx: &Context, place: Place) -> Result<Self> {
        let woken = ctx.clone();
        fonts(ctx);
        let session = Session::new(place, move || woken.request_repaint())?;
        Ok(Self { session, view: View::default(), chosen: channel(), themed: None, repaints: 0 })
    }

    fn theme(&mut self, ctx: &Context) {
        let wanted = (self.session.settings.theme, self.session.settings.scale);
        if self.themed != Some(wanted) {
            self.themed = Some(wanted);
            ctx.set_theme(match wanted.0 {
                Theme::System => egui::ThemePreference::System,
                Theme::Light => egui::ThemePreference::Light,
                Theme::Dark => egui::ThemePreference::Dark,
            });
            ctx.set_zoom_factor(wanted.1);
        }
    }

    fn keys(&mut self, ctx: &Context, actions: &mut Vec<Action>) {
        let last = self.session.turns.len() - 1;
        let typing = ctx.egui_wants_keyboard_input();
        let position = self.session.output.position();
        let frame = self.session.model.as_ref().map_or(0.08, |m| 1.0 / m.frame_rate);
        let playing = self.session.output.is_playing();
        ctx.input_mut(|i| {
            if i.consume_shortcut(&REPLY) {
                actions.push(Action::Speak(last, true));
            } else if i.consume_shortcut(&SPEAK) {
                actions.push(Action::Speak(last, false));
            }
            if i.consume_shortcut(&UNDO) {
                actions.push(Action::Undo);
            }
            if i.consume_shortcut(&HELP) {
                self.view.help = !self.view.help;
            }
            if i.key_pressed(Key::Escape) {
                actions.push(Action::Cancel);
            }
            if typing {
                return;
            }
            for (key, action) in [
                (Key::Space, Action::Play(!playing)),
                (Key::ArrowLeft, Action::Seek(position - frame)),
                (Key::ArrowRight, Action::Seek(position + frame)),
                (Key::Home, Action::Seek(0.0)),
            ] {
                if i.consume_key(Modifiers::NONE, key) {
                    actions.push(action);
                }
            }
        });
    }

    fn run(&mut self, ctx: &Context, action: Action) {
        let s = &mut self.session;
        match action {
            Action::Speak(n, context) => {
                self.view.cell = None;
                s.speak_turn(n, context);
            }
            Action::AddTurn => {
                let speaker = s.turns.last().map_or(0, |t| 1 - t.speaker.min(1));
                s.turns.push(session::Turn { speaker, ..session::Turn::default() });
            }
            Action::RemoveTurn(n) => {
                s.turns.remove(n);
                if s.turns.is_empty() {
                    s.turns.push(session::Turn::default());
                }
            }
            Action::RaiseTurn(n) => s.turns.swap(n - 1, n),
            Action::Cancel => s.cancel(),
            Action::Show(id) => {
                self.view.cell = None;
                s.show(&id);
            }
            Action::Again(id, same) => s.again(&id, same),
            Action::AllModes(id) => s.all_modes(&id),
            Action::Resume(frame) => {
                self.view.cell = None;
                s.resume(frame);
            }
            Action::Favourite(id) => s.told(|store| store.change(&id, |t| t.favourite = !t.favourite)),
            Action::Rename(id, name) => s.told(|store| store.change(&id, |t| t.name = name)),
            Action::Delete(id) => s.told(|store| store.delete(&id)),
            Action::Undo => s.told(|store| store.undo().map(|_| ())),
            Action::CopyCommand(id) => match s.command(&id) {
                Ok(command) => {
                    ctx.copy_text(command);
                    s.say("copied: a command line that makes this take again");
                }
                Err(e) => s.fail(e),
            },
            Action::Export(id, what) => self.ask_export(ctx, id, what),
            Action::ChoosePrompt => self.ask_prompt(ctx),
            Action::DropPrompt => s.prompt = None,
            Action::Play(playing) => {
                if let Some(problem) = s.output.play(playing) {
                    s.fail(problem);
                }
            }
            Action::Seek(seconds) => s.output.seek(seconds),
            Action::Loop(region) => s.output.set_loop(region),
            Action::Volume(volume) => {
                s.settings.volume = volume;
                s.output.set_volume(volume);
            }
            Action::Device(name) => {
                s.settings.device.clone_from(&name);
                if let Some(problem) = s.output.set_sink(Sink::Device(name)) {
                    s.fail(problem);
                }
            }
            Action::Select(cell) => {
                self.view.cell = cell;
                if let Some((_, codebook)) = cell {
                    self.view.codebook = codebook;
                }
            }
        }
    }

    /// The dialog is made here, on the main thread, which macOS demands; another thread waits for its answer.
    fn ask_prompt(&self, ctx: &Context) {
        let dialog = rfd::AsyncFileDialog::new().set_title("A recording as voice prompt").add_filter("WAV", &["wav"]);
        let future = dialog.pick_file();
        answer(ctx, self.chosen.0.clone(), async { future.await.map(|f| Chosen::Prompt(f.path().to_owned())) });
    }

    fn ask_export(&self, ctx: &Context, id: String, what: Export) {
        let name = format!("{id}.{}", what.ending());
        let future = rfd::AsyncFileDialog::new().set_title("Export").set_file_name(name).save_file();
        let chosen = async move { future.await.map(|f| Chosen::Export(id, what, f.path().to_owned())) };
        answer(ctx, self.chosen.0.clone(), chosen);
    }

    fn export(&mut self, id: &str, what: Export, to: &std::path::Path) {
        let folder = self.session.store.path(id);
        let written = match what {
            Export::Wav => std::fs::copy(folder.join("audio.wav"), to).map(|_| ()),
            Export::Tokens => std::fs::copy(folder.join("tokens.json"), to).map(|_| ()),
            Export::Table | Export::Picture => match self.session.exported(id, what == Export::Table) {
                Ok(bytes) => std::fs::write(to, bytes),
                Err(e) => return self.session.fail(e),
            },
        };
        match written {
            Ok(()) => self.session.say(format!("written: {}", to.display())),
            Err(e) => self.session.fail(Error::write(to, e)),
        }
    }

    fn bar(&mut self, ui: &mut Ui) {
        ui.horizontal_wrapped(|ui| {
            ui.heading("CSM Studio");
            let model = self.session.model.clone();
            ui.label(match &model {
                Some(m) => format!("{} · {} codebooks of {}", m.name, m.codebooks, m.codec_size),
                None => "reading the model…".into(),
            });
            if self.session.is_speaking() {
                ui.label(RichText::new("speaking").strong());
            } else if self.session.is_looking() {
                ui.label(format!(
                    "computing draws: {} of {}",
                    self.session.shown.steps.len(),
                    self.session.shown.frames.len()
                ));
            } else if !self.session.is_ready() {
                ui.label("loading");
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Keys").on_hover_text("F1").clicked() {
                    self.view.help = !self.view.help;
                }
                let settings = &mut self.session.settings;
                let scale = egui::DragValue::new(&mut settings.scale).range(0.7..=2.0).speed(0.01).fixed_decimals(2);
                ui.add(scale).on_hover_text("size of text").accessible_name("Text scale");
                let combo = egui::ComboBox::from_id_salt("theme").width(80.0);
                let name = |t| match t {
                    Theme::System => "System",
                    Theme::Light => "Light",
                    Theme::Dark => "Dark",
                };
                let shown = combo.selected_text(name(settings.theme)).show_ui(ui, |ui| {
                    for theme in [Theme::System, Theme::Light, Theme::Dark] {
                        ui.selectable_value(&mut settings.theme, theme, name(theme));
                    }
                });
                shown.response.accessible_name("Theme");
            });
        });
    }

    fn messages(&mut self, ui: &mut Ui) {
        let mut read = None;
        for (n, message) in self.session.messages.iter().enumerate() {
            ui.horizontal(|ui| {
                if ui.button("✕").accessible_name(format!("Dismiss message {}", n + 1)).clicked() {
                    read = Some(n);
                }
                if ui.button("Copy").accessible_name(format!("Copy message {}", n + 1)).clicked() {
                    ui.ctx().copy_text(message.text.clone());
                }
                let colour = if message.error { ui.visuals().error_fg_color } else { ui.visuals().text_color() };
                ui.add(egui::Label::new(RichText::new(&message.text).color(colour)).wrap());
            });
        }
        if let Some(n) = read {
            self.session.messages.remove(n);
        }
        while self.session.messages.len() > 4 {
            self.session.messages.pop_front();
        }
    }
}

/// Code labels are phonetic, and egui's own font has neither such letters nor our signs; DejaVu Sans has them.
fn fonts(ctx: &Context) {
    let mut fonts = egui::FontDefinitions::default();
    let data = egui::FontData::from_static(dejavu::sans::regular());
    fonts.font_data.insert("DejaVu Sans".into(), std::sync::Arc::new(data));
    fonts.families.entry(egui::FontFamily::Proportional).or_default().push("DejaVu Sans".into());
    ctx.set_fonts(fonts);
    ctx.all_styles_mut(|style| {
        style.text_styles.insert(egui::TextStyle::Small, egui::FontId::proportional(11.0));
    });
}

/// Waits for a dialog on a thread of its own.
fn answer(ctx: &Context, to: Sender<Chosen>, chosen: impl Future<Output = Option<Chosen>> + Send + 'static) {
    let ctx = ctx.clone();
    std::thread::spawn(move || {
        if let Some(chosen) = pollster::block_on(chosen) {
            let _ = to.send(chosen);
            ctx.request_repaint();
        }
    });
}

impl eframe::App for Studio {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.session.poll();
        while let Ok(chosen) = self.chosen.1.try_recv() {
            match chosen {
                Chosen::Prompt(path) => self.session.set_prompt(path),
                Chosen::Export(id, what, path) => self.export(&id, what, &path),
            }
        }
        let dropped = ctx.input_mut(|i| std::mem::take(&mut i.raw.dropped_files));
        for path in dropped.iter().map(|f| f.path().to_owned()) {
            self.session.set_prompt(path);
        }
        self.theme(ctx);
        self.session.save_settings();
        if self.session.output.is_playing() {
            ctx.request_repaint_after(TICK);
        }
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.repaints += 1;
        let mut actions = Vec::new();
        let ctx = ui.ctx().clone();
        self.keys(&ctx, &mut actions);
        egui::Panel::top("bar").show(ui, |ui| {
            self.bar(ui);
            self.messages(ui);
        });
        let (session, view) = (&mut self.session, &mut self.view);
        egui::Panel::bottom("sound").show(ui, |ui| transport::show(ui, session, view, &mut actions));
        egui::Panel::left("compose").default_size(330.0).show(ui, |ui| {
            egui::ScrollArea::vertical().show(ui, |ui| compose::show(ui, session, view, &mut actions));
        });
        egui::Panel::right("takes").default_size(280.0).show(ui, |ui| history::show(ui, session, view, &mut actions));
        egui::CentralPanel::default().show(ui, |ui| {
            live::show(ui, session, view, &mut actions);
            map::show(ui, session, view, &mut actions);
        });
        if self.view.help {
            help(&ctx, &mut self.view.help);
        }
        for action in actions {
            self.run(&ctx, action);
        }
    }
}

fn help(ctx: &Context, open: &mut bool) {
    egui::Window::new("Keys").open(open).collapsible(false).show(ctx, |ui| {
        egui::Grid::new("keys").num_columns(2).spacing([24.0, 4.0]).show(ui, |ui| {
            for (key, does) in KEYS {
                ui.monospace(*key);
                ui.label(*does);
                ui.end_row();
            }
        });
    });
}

/// Frame and codebook on view: the chosen cell, or the newest frame.
fn cell(session: &Session, view: &View, model: &Model) -> Option<(usize, usize)> {
    let codebook = view.codebook.min(model.codebooks - 1);
    let last = session.shown.steps.len().checked_sub(1)?;
    let frame = view.cell.map_or(last, |(t, _)| t).min(last);
    Some((frame, codebook))
}

/// Opens the window and comes back when it is closed.
///
/// # Errors
/// Where there is no display or graphics, or the user's folders cannot be used.
pub fn run(model: Option<PathBuf>) -> Result<()> {
    let folders = directories::ProjectDirs::from("", "", "csm-studio")
        .ok_or_else(|| Error::Unavailable { what: "no home folder".into(), mend: "set HOME".into() })?;
    let place = Place {
        takes: folders.data_dir().join("takes"),
        settings: folders.config_dir().join("settings.json"),
        sink: None,
        model,
    };
    let viewport = egui::ViewportBuilder::default()
        .with_title("CSM Studio")
        .with_app_id("csm-studio")
        .with_drag_and_drop(true)
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([900.0, 560.0]);
    let options = eframe::NativeOptions { viewport, ..Default::default() };
    let made = Box::new(|c: &eframe::CreationContext<'_>| {
        Studio::new(&c.egui_ctx, place).map(|s| Box::new(s) as Box<dyn eframe::App>).map_err(Into::into)
    });
    eframe::run_native("CSM Studio", options, made).map_err(|e| Error::Unavailable {
        what: format!("the window cannot be opened: {e}"),
        mend: "`csm generate` speaks without one".into(),
    })
}
