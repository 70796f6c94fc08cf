//! The window. [`session`] holds the state; panels draw it and return `Action`s, which run after layout.

mod compose;
mod distribution;
mod lane;
mod lanes;
mod model;
mod notifications;
pub mod session;
pub mod settings;
pub mod state;
mod takes;
mod token_map;
mod transport;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use egui::{Align, Context, Key, KeyboardShortcut, Layout, Modifiers, RichText, Ui};

use self::session::{ExportKind, RegenerateSeed, Session, StudioPaths};
use self::settings::Theme;
use crate::audio::player::Sink;
use crate::checkpoint::CheckpointSpec;
use crate::data::ModelInfo;
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// Time between frames while something moves.
const TICK: Duration = Duration::from_millis(33);
/// Time within which news of the worker is drawn: 20 times a second is live enough.
const UPDATE: Duration = Duration::from_millis(50);
/// Time between writes of the draft while it is edited.
const DRAFT: Duration = Duration::from_secs(1);

/// Takes that are made where several are asked for.
const SEVERAL: usize = 3;

/// A change that a panel asks for.
#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// Speak the turn in this place; whether the turns before it are context.
    Speak(usize, bool),
    /// Speak the turn in this place as several takes, with a seed each.
    SpeakOften(usize),
    SpeakConversation,
    AddTurn,
    /// Who says what in this place.
    EditTurn(usize, u32, String),
    RemoveTurn(usize),
    MoveTurnUp(usize),
    StopSpeaking,
    OpenModel(CheckpointSpec),
    ChooseModel,
    /// Dismiss the notification in this place.
    Dismiss(usize),
    Inspect(String),
    Regenerate(String, RegenerateSeed),
    /// Make several takes of the same with new seeds.
    RegenerateOften(String),
    GenerateInAllModes(String),
    /// Make the inspected take again with the current settings from this frame on.
    Resume(usize),
    ToggleFavourite(String),
    Rename(String, String),
    Delete(String),
    UndoDelete,
    CopyCommand(String),
    Export(String, ExportKind),
    ChooseVoicePrompt,
    RemoveVoicePrompt,
    Play(bool),
    Seek(f64),
    SelectRegion(f64, f64),
    /// Play these seconds, over and over or once.
    PlayRegion(f64, f64, bool),
    /// Play the selected part over and over, or no longer.
    ToggleLoop,
    ClearRegion,
    SetVolume(f32),
    SetDevice(Option<String>),
    /// Hear this token in this place (frame, codebook) without keeping it.
    Audition(usize, usize, u32),
    /// Make a new take with this token in this place.
    UseToken(usize, usize, u32),
    /// Select frame and codebook; `None` follows the newest frame.
    Select(Option<(usize, usize)>),
}

/// A file that the user chose in a dialog.
enum DialogResult {
    VoicePrompt(PathBuf),
    Model(PathBuf),
    Export(String, ExportKind, PathBuf),
}

/// State of the panels.
#[derive(Default)]
struct View {
    /// The selected frame and codebook; `None` follows the newest frame.
    cell: Option<(usize, usize)>,
    /// Codebook of the plots.
    codebook: usize,
    search: String,
    favourites: bool,
    renaming: Option<(String, String)>,
    /// Whether the new name is still to get the focus, all of it selected.
    rename_begins: bool,
    help: bool,
    map: token_map::TokenMap,
    /// The part of the clip that is on view.
    axis: state::TimeAxis,
    /// Whether the selected frame is to be brought into view.
    reveal: bool,
    devices: Option<Vec<String>>,
    preset: String,
    /// The turn whose text is being edited.
    turn: Option<state::TurnId>,
    /// Whether the text has been given the focus at the start.
    begun: bool,
    /// Height of the panel at the bottom.
    bottom: f32,
}

/// The application.
pub struct Studio {
    /// Its state.
    pub session: Session,
    view: View,
    dialog_results: (Sender<DialogResult>, Receiver<DialogResult>),
    applied_theme: Option<(Theme, f32)>,
    draft_saved: Instant,
    focused: bool,
    /// Frames painted so far.
    pub repaints: u64,
}

const SPEAK: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Enter);
const REPLY: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Enter);
const UNDO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
const HELP: KeyboardShortcut = KeyboardShortcut::new(Modifiers::NONE, Key::F1);

/// Shortcuts, as the list of keys shows them.
const KEYS: &[(&str, &str)] = &[
    ("Ctrl/Cmd+Enter", "speak the turn that is being edited"),
    ("Ctrl/Cmd+Shift+Enter", "speak it as a reply to the turns before"),
    ("Escape", "stop speaking; what was made is kept"),
    ("Space", "play on from here, or stop"),
    ("L", "loop the selected part, or no longer"),
    ("Left, Right", "one frame back or forward (80 ms)"),
    ("Home", "to the start"),
    ("Ctrl/Cmd+Shift+Z", "restore the deleted take"),
    ("Tab, Shift+Tab", "next or previous widget"),
    ("F1", "this list"),
];

impl Studio {
    /// Creates the application; its threads request repaints of `ctx`.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn new(ctx: &Context, paths: StudioPaths) -> Result<Self> {
        let woken = ctx.clone();
        set_fonts(ctx);
        let session = Session::new(paths, move || woken.request_repaint_after(UPDATE))?;
        let failed = ctx.clone();
        session.player.on_failure(move || failed.request_repaint());
        Ok(Self {
            session,
            view: View::default(),
            dialog_results: channel(),
            applied_theme: None,
            draft_saved: Instant::now(),
            focused: true,
            repaints: 0,
        })
    }

    fn apply_theme(&mut self, ctx: &Context) {
        let wanted = (self.session.settings.theme, self.session.settings.scale);
        if self.applied_theme != Some(wanted) {
            self.applied_theme = Some(wanted);
            ctx.set_theme(match wanted.0 {
                Theme::System => egui::ThemePreference::System,
                Theme::Light => egui::ThemePreference::Light,
                Theme::Dark => egui::ThemePreference::Dark,
            });
            ctx.set_zoom_factor(wanted.1);
        }
    }

    fn handle_keys(&mut self, ctx: &Context, actions: &mut Vec<Action>) {
        let conversation = &self.session.conversation;
        let edited = self.view.turn.and_then(|id| conversation.place(id));
        let turn = edited.unwrap_or(conversation.turns().len() - 1);
        // Escape closes what is open before it stops anything.
        let something_open = egui::Popup::is_any_open(ctx) || self.view.renaming.is_some();
        let typing = ctx.egui_wants_keyboard_input();
        let position = self.session.player.position();
        let frame = self.session.model_info().map_or(0.08, |m| m.dims.seconds(1));
        let playing = self.session.player.is_playing();
        ctx.input_mut(|i| {
            if i.consume_shortcut(&REPLY) {
                actions.push(Action::Speak(turn, true));
            } else if i.consume_shortcut(&SPEAK) {
                actions.push(Action::Speak(turn, false));
            }
            if i.consume_shortcut(&UNDO) {
                actions.push(Action::UndoDelete);
            }
            if i.consume_shortcut(&HELP) {
                self.view.help = !self.view.help;
            }
            if self.view.help && i.consume_key(Modifiers::NONE, Key::Escape) {
                self.view.help = false;
            } else if i.key_pressed(Key::Escape) && !something_open {
                actions.push(Action::StopSpeaking);
            }
            if typing {
                return;
            }
            for (key, action) in [
                (Key::Space, Action::Play(!playing)),
                (Key::ArrowLeft, Action::Seek(position - frame)),
                (Key::ArrowRight, Action::Seek(position + frame)),
                (Key::Home, Action::Seek(0.0)),
                (Key::L, Action::ToggleLoop),
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
                let speaker = s.conversation.turns().last().map_or(0, |t| 1 - t.speaker.min(1));
                s.conversation.add(speaker, "");
            }
            Action::SpeakOften(n) => {
                self.view.cell = None;
                s.speak_turn_often(n, false, SEVERAL);
            }
            Action::SpeakConversation => {
                self.view.cell = None;
                s.speak_conversation();
            }
            Action::EditTurn(n, speaker, text) => s.conversation.edit(n, speaker, &text),
            Action::RemoveTurn(n) => s.conversation.remove(n),
            Action::MoveTurnUp(n) => s.conversation.move_up(n),
            Action::StopSpeaking => s.stop_speaking(),
            Action::OpenModel(spec) => s.open_model(spec),
            Action::ChooseModel => self.ask_model(ctx),
            Action::Dismiss(n) => s.notifications.dismiss(n),
            Action::Inspect(id) => {
                self.view.cell = None;
                self.view.axis.fit();
                s.inspect(&id);
            }
            Action::Regenerate(id, seed) => s.regenerate(&id, seed),
            Action::RegenerateOften(id) => s.regenerate_often(&id, SEVERAL),
            Action::GenerateInAllModes(id) => s.generate_in_all_modes(&id),
            Action::Resume(frame) => {
                self.view.cell = None;
                s.resume(frame);
            }
            Action::ToggleFavourite(id) => {
                s.try_update_store(|store| store.update(&id, |t| t.favourite = !t.favourite));
            }
            Action::Rename(id, name) => s.try_update_store(|store| store.update(&id, |t| t.name = name)),
            Action::Delete(id) => s.try_update_store(|store| store.delete(&id)),
            Action::UndoDelete => s.try_update_store(|store| store.undo().map(|_| ())),
            Action::CopyCommand(id) => match s.cli_command(&id) {
                Ok(command) => {
                    ctx.copy_text(command);
                    s.notify("Copied a command that makes this take again");
                }
                Err(e) => s.notify_error(e),
            },
            Action::Export(id, kind) => self.ask_export(ctx, id, kind),
            Action::ChooseVoicePrompt => self.ask_voice_prompt(ctx),
            Action::RemoveVoicePrompt => s.conversation.prompt = None,
            Action::Play(playing) => {
                s.end_audition();
                if let Err(e) = s.player.play(playing) {
                    s.notify_error(e);
                }
            }
            Action::Seek(seconds) => {
                s.end_audition();
                s.player.seek(seconds);
            }
            Action::SelectRegion(from, to) => {
                s.end_audition();
                let looping = s.player.is_looping();
                s.player.set_region(Some((from, to)), looping);
            }
            Action::PlayRegion(from, to, looping) => {
                s.end_audition();
                if let Err(e) = s.player.play_region(from, to, looping) {
                    s.notify_error(e);
                }
            }
            Action::ToggleLoop => {
                if let Some((from, to)) = s.player.region() {
                    let looping = !s.player.is_looping();
                    s.player.set_region(Some((from, to)), looping);
                    if looping && let Err(e) = s.player.play(true) {
                        s.notify_error(e);
                    }
                }
            }
            Action::ClearRegion => s.player.set_region(None, false),
            Action::SetVolume(volume) => {
                s.settings.volume = volume;
                s.player.set_volume(volume);
            }
            Action::SetDevice(name) => {
                s.settings.device.clone_from(&name);
                if let Err(e) = s.player.set_sink(Sink::Device(name)) {
                    s.notify_error(e);
                }
            }
            Action::Audition(frame, codebook, token) => s.audition(frame, codebook, token),
            Action::UseToken(frame, codebook, token) => {
                self.view.cell = None;
                s.use_token(frame, codebook, token);
            }
            Action::Select(cell) => {
                self.view.reveal = true;
                self.view.cell = cell;
                if let Some((_, codebook)) = cell {
                    self.view.codebook = codebook;
                }
            }
        }
    }

    /// The dialog is created here, on the main thread, as macOS demands; another thread waits for its result.
    fn ask_voice_prompt(&self, ctx: &Context) {
        let dialog = rfd::AsyncFileDialog::new()
            .set_title("A recording as voice prompt")
            .add_filter("Recordings", &["wav", "flac", "mp3", "m4a", "ogg", "aiff", "aif"]);
        let future = dialog.pick_file();
        let result = async { future.await.map(|f| DialogResult::VoicePrompt(f.path().to_owned())) };
        await_dialog(ctx, self.dialog_results.0.clone(), result);
    }

    fn ask_model(&self, ctx: &Context) {
        let future = rfd::AsyncFileDialog::new().set_title("A checkpoint's folder").pick_folder();
        let result = async { future.await.map(|f| DialogResult::Model(f.path().to_owned())) };
        await_dialog(ctx, self.dialog_results.0.clone(), result);
    }

    fn ask_export(&self, ctx: &Context, id: String, kind: ExportKind) {
        let name = format!("{id}.{}", kind.extension());
        let future = rfd::AsyncFileDialog::new().set_title("Export").set_file_name(name).save_file();
        let result = async move { future.await.map(|f| DialogResult::Export(id, kind, f.path().to_owned())) };
        await_dialog(ctx, self.dialog_results.0.clone(), result);
    }

    fn export(&mut self, id: &str, kind: ExportKind, to: &std::path::Path) {
        let written = self.session.export(id, kind).and_then(|bytes| write_atomically(to, &bytes));
        match written {
            Ok(()) => self.session.notify(format!("Exported to {}", to.display())),
            Err(e) => self.session.notify_error(e),
        }
    }

    fn top_bar_ui(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) {
        ui.horizontal_wrapped(|ui| {
            ui.heading("CSM Studio");
            model::model_menu_ui(ui, &self.session, actions);
            let clip = &self.session.inspected;
            if self.session.is_speaking() {
                ui.label(RichText::new("speaking").strong());
            } else if self.session.is_recomputing() {
                ui.label(format!("computing draws: {} of {}", clip.steps.len(), clip.frames.len()));
            } else if let Some(status) = self.session.model_status() {
                ui.label(status);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("Keys").on_hover_text("F1").clicked() {
                    self.view.help = !self.view.help;
                }
                let settings = &mut self.session.settings;
                let scale = egui::DragValue::new(&mut settings.scale).range(0.7..=2.0).speed(0.01).fixed_decimals(2);
                ui.add(scale).on_hover_text("Text size").accessible_name("Text scale");
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
}

/// Code labels are phonetic; egui's own font lacks such letters, DejaVu Sans has them.
fn set_fonts(ctx: &Context) {
    let mut fonts = egui::FontDefinitions::default();
    let data = egui::FontData::from_static(dejavu::sans::regular());
    fonts.font_data.insert("DejaVu Sans".into(), std::sync::Arc::new(data));
    fonts.families.entry(egui::FontFamily::Proportional).or_default().push("DejaVu Sans".into());
    ctx.set_fonts(fonts);
    ctx.all_styles_mut(|style| {
        // A caret that blinks has the whole window drawn again each time.
        style.visuals.text_cursor.blink = false;
        style.text_styles.insert(egui::TextStyle::Small, egui::FontId::proportional(11.0));
    });
}

/// Waits for a dialog on a thread of its own.
fn await_dialog(
    ctx: &Context,
    results: Sender<DialogResult>,
    dialog: impl Future<Output = Option<DialogResult>> + Send + 'static,
) {
    let ctx = ctx.clone();
    std::thread::spawn(move || {
        if let Some(result) = pollster::block_on(dialog) {
            results.send(result).ok(); // the window may be closed by now
            ctx.request_repaint();
        }
    });
}

impl eframe::App for Studio {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.session.poll();
        while let Ok(result) = self.dialog_results.1.try_recv() {
            match result {
                DialogResult::VoicePrompt(path) => self.session.set_prompt(path),
                DialogResult::Model(path) => {
                    self.session.open_model(CheckpointSpec { path: Some(path), ..CheckpointSpec::default() });
                }
                DialogResult::Export(id, kind, path) => {
                    let path = if path.extension().is_some() { path } else { path.with_extension(kind.extension()) };
                    self.export(&id, kind, &path);
                }
            }
        }
        let dropped = ctx.input_mut(|i| std::mem::take(&mut i.raw.dropped_files));
        for path in dropped.iter().map(|f| f.path().to_owned()) {
            self.session.set_prompt(path);
        }
        self.apply_theme(ctx);
        self.session.save_settings();
        if self.session.has_unsaved_draft() {
            if self.draft_saved.elapsed() >= DRAFT {
                self.draft_saved = Instant::now();
                self.session.save_draft();
            } else {
                ctx.request_repaint_after(DRAFT);
            }
        }
        // Another window may have been at work on the takes meanwhile.
        let focused = ctx.input(|i| i.focused);
        if focused && !std::mem::replace(&mut self.focused, focused) {
            self.session.refresh_takes();
        }
        self.focused = focused;
        if let Some(left) = self.session.notifications.expire(Instant::now()) {
            ctx.request_repaint_after(left);
        }
        if self.session.player.is_playing() {
            ctx.request_repaint_after(TICK);
        }
    }

    fn on_exit(&mut self) {
        self.session.save_draft();
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.repaints += 1;
        let mut actions = Vec::new();
        let ctx = ui.ctx().clone();
        self.handle_keys(&ctx, &mut actions);
        egui::Panel::top("bar").show(ui, |ui| {
            self.top_bar_ui(ui, &mut actions);
        });
        let (session, view) = (&mut self.session, &mut self.view);
        let bottom = egui::Panel::bottom("sound");
        let bottom = bottom.show(ui, |ui| transport::transport_ui(ui, session, view, &mut actions));
        view.bottom = bottom.response.rect.height();
        egui::Panel::left("compose").default_size(330.0).show(ui, |ui| {
            compose::compose_ui(ui, session, view, &mut actions);
        });
        egui::Panel::right("takes").default_size(280.0).show(ui, |ui| takes::takes_ui(ui, session, view, &mut actions));
        egui::CentralPanel::default().show(ui, |ui| {
            distribution::clip_ui(ui, session, view, &mut actions);
        });
        notifications::notifications_ui(ui, &session.notifications, view.bottom, &mut actions);
        if self.view.help {
            keys_ui(&ctx, &mut self.view.help);
        }
        for action in actions {
            self.run(&ctx, action);
        }
    }
}

fn keys_ui(ctx: &Context, open: &mut bool) {
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

/// Frame and codebook of the selected draw, or of the newest one.
fn selected_draw(session: &Session, view: &View, model: &ModelInfo) -> Option<(usize, usize)> {
    let codebook = view.codebook.min(model.dims.codebooks - 1);
    let last = session.inspected.steps.len().checked_sub(1)?;
    let frame = view.cell.map_or(last, |(t, _)| t).min(last);
    Some((frame, codebook))
}

/// Opens the window, with these files, and returns when it is closed.
///
/// # Errors
/// Where there is no display or graphics, or the user's folders cannot be used.
pub fn run(model: CheckpointSpec, open: Vec<PathBuf>) -> Result<()> {
    let folders = directories::ProjectDirs::from("", "", "csm-studio")
        .ok_or_else(|| Error::unavailable("there is no home folder", "set HOME"))?;
    let paths = StudioPaths {
        takes: folders.data_dir().join("takes"),
        settings: folders.config_dir().join("settings.json"),
        sink: None,
        model,
        open,
    };
    let viewport = egui::ViewportBuilder::default()
        .with_title("CSM Studio")
        .with_app_id("csm-studio")
        .with_drag_and_drop(true)
        .with_inner_size([1240.0, 720.0])
        .with_min_inner_size([900.0, 560.0]);
    let options = eframe::NativeOptions { viewport, ..Default::default() };
    let create = Box::new(|c: &eframe::CreationContext<'_>| {
        Studio::new(&c.egui_ctx, paths).map(|s| Box::new(s) as Box<dyn eframe::App>).map_err(Into::into)
    });
    eframe::run_native("CSM Studio", options, create).map_err(|e| Error::Unavailable {
        what: format!("the window cannot be opened: {e}"),
        hint: "`csm generate` speaks without a window".into(),
        source: None,
    })
}
