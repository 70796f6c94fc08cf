//! The application: it polls the session, lays out the panels, and runs the commands that they and the keyboard give.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egui::{Context, Key, Modifiers, Ui};

use super::command::{Ask, COMMANDS, Command};
use super::dialogs::{Dialogs, Outcome, Purpose, reveal, with_extension};
use super::panels::{Panel, Slot, least_clip_height, panels};
use super::session::{Session, StudioPaths};
use super::settings::Theme;
use super::state::ExportKind;
use crate::audio::microphone::Source;
use crate::audio::player::Sink;
use crate::checkpoint::CheckpointSpec;
use crate::error::{Error, Result};
use crate::takes::Store;

/// Size of the window when it is opened first: with a title bar and a menu bar it fits a screen of 1280 x 800.
pub const FIRST_SIZE: [f32; 2] = [1_240.0, 720.0];
/// Milliseconds between frames while sound plays, and within which news of the worker is drawn: 20 times a second is live enough.
const PACE: Pace = Pace { tick: 33, update: 50, held: false };
/// The same where the processor that speaks has to draw too.
const SOFTWARE_PACE: Pace = Pace { tick: 100, update: 400, held: true };
/// Time between two looks at what the worker has made, while the pace is held.
const LOOK: Duration = Duration::from_millis(10);
/// Time between writes of the draft while it is edited.
const DRAFT: Duration = Duration::from_secs(1);
/// Takes that are made where several are asked for.
const SEVERAL: usize = 3;
/// Height of what stands below the clip.
const DETAIL: f32 = 210.0;
/// Its share of a window that is not high, and its least height; where there is no room for that it takes turns with the clip.
const DETAIL_SHARE: f32 = 0.34;
const LEAST_DETAIL: f32 = 130.0;
/// Width of the window below which only one panel stands beside the clip.
const NARROW: f32 = 860.0;
/// Keys of the pinned clips, in their order.
const PIN_KEYS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// How often the window is drawn, milliseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    tick: u64,
    update: u64,
    /// Whether nothing is drawn sooner while a take is made: egui asks for another frame whenever a widget is new, which with a new row of
    /// candidates a frame is always.
    held: bool,
}

/// A key that is a command.
enum Pressed {
    /// Of the table of commands.
    Named(fn(&Session) -> Option<Command>),
    Other(Command),
}

/// The application.
pub struct Studio {
    /// Its state.
    pub session: Session,
    panels: Vec<Box<dyn Panel>>,
    /// Name of the panel that is shown below the clip.
    detail: &'static str,
    /// Whether a low window shows that in the place of the clip.
    detail_alone: bool,
    /// Whether a narrow window shows the takes in the place of the text.
    takes_at_left: bool,
    dialogs: Dialogs,
    pace: Pace,
    /// The pace's `update`, for the threads that wake the window.
    update: Arc<AtomicU64>,
    applied_theme: Option<(Theme, f32)>,
    /// When the window was drawn last.
    drawn: Instant,
    draft_saved: Instant,
    focused: bool,
    /// Frames painted so far.
    pub repaints: u64,
}

impl Studio {
    /// Creates the application; its threads request repaints of `ctx`.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Session::new`].
    pub fn new(ctx: &Context, paths: StudioPaths) -> Result<Self> {
        let store = Store::open(&paths.takes)?;
        Self::with_takes(ctx, paths, store)
    }

    fn with_takes(ctx: &Context, paths: StudioPaths, store: Store) -> Result<Self> {
        let update = Arc::new(AtomicU64::new(PACE.update));
        let (woken, after) = (ctx.clone(), update.clone());
        Self::prepare(ctx);
        let wake = move || woken.request_repaint_after(Duration::from_millis(after.load(Ordering::Relaxed)));
        let session = Session::new(paths, store, wake)?;
        let failed = ctx.clone();
        session.player.on_device_news(move || failed.request_repaint());
        let panels = panels();
        let detail = panels.iter().find(|panel| panel.slot() == Slot::Detail).map_or("", |panel| panel.title());
        Ok(Self {
            session,
            panels,
            detail,
            detail_alone: false,
            takes_at_left: false,
            dialogs: Dialogs::default(),
            pace: PACE,
            update,
            applied_theme: None,
            drawn: Instant::now(),
            draft_saved: Instant::now(),
            focused: true,
            repaints: 0,
        })
    }

    /// Gives `ctx` the window's fonts and style. Code labels are phonetic; egui's own font lacks such letters, DejaVu Sans has them.
    pub fn prepare(ctx: &Context) {
        let mut fonts = egui::FontDefinitions::default();
        let data = egui::FontData::from_static(dejavu::sans::regular());
        fonts.font_data.insert("DejaVu Sans".into(), Arc::new(data));
        fonts.families.entry(egui::FontFamily::Proportional).or_default().push("DejaVu Sans".into());
        ctx.set_fonts(fonts);
        ctx.all_styles_mut(|style| {
            // A caret that blinks has the whole window drawn again each time.
            style.visuals.text_cursor.blink = false;
            style.text_styles.insert(egui::TextStyle::Small, egui::FontId::proportional(11.0));
        });
    }

    /// The processor draws, which also speaks: it draws less often.
    fn draw_in_software(&mut self) {
        self.pace = SOFTWARE_PACE;
        self.update.store(SOFTWARE_PACE.update, Ordering::Relaxed);
    }

    /// Takes in what the worker makes, without drawing, until it is time to draw. What the user does is never waited with.
    fn hold_pace(&mut self, ctx: &Context) {
        let untouched = ctx.input(|i| i.events.is_empty());
        let update = Duration::from_millis(self.pace.update);
        while self.pace.held && untouched && self.session.is_speaking() && self.drawn.elapsed() < update {
            std::thread::sleep(LOOK);
            self.session.poll();
        }
        self.drawn = Instant::now();
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

    /// Takes the keys that are commands, before a text field sees them. What they do is asked for after the frame: text that was typed
    /// before such a key may come in the same frame, and is part of what is spoken.
    fn take_keys(&self, ctx: &Context) -> Vec<Pressed> {
        let mut pressed = Vec::new();
        if self.panels.iter().any(|panel| panel.takes_keys(&self.session)) {
            return pressed;
        }
        // Escape closes what is open before it stops anything.
        let something_open = egui::Popup::is_any_open(ctx) || self.panels.iter().any(|panel| panel.is_open());
        let typing = ctx.text_edit_focused();
        // A button or a slider that has the focus takes the keys that work it, and no others.
        let focused = ctx.egui_wants_keyboard_input();
        ctx.input_mut(|i| {
            for named in COMMANDS {
                if let Some(key) = named.key
                    && if typing { named.works_in_text() } else { !focused || !named.works_widgets() }
                    && i.consume_shortcut(&key)
                {
                    pressed.push(Pressed::Named(named.command));
                }
            }
            if i.key_pressed(Key::Escape) && !something_open {
                pressed.push(Pressed::Other(Command::StopSpeaking));
            }
            for (n, key) in PIN_KEYS.into_iter().enumerate() {
                if !typing && i.consume_key(Modifiers::NONE, key) {
                    pressed.push(Pressed::Other(Command::HearPinned(n)));
                }
            }
        });
        pressed
    }

    fn run(&mut self, ctx: &Context, command: Command) {
        let s = &mut self.session;
        match command {
            Command::Speak(n, context) => s.speak_turn(n, context),
            Command::SpeakOften(n) => s.speak_turn_often(n, false, SEVERAL),
            Command::SpeakConversation => s.speak_conversation(),
            Command::PlayConversation => s.play_conversation(),
            Command::ExportConversation => match s.conversation_takes() {
                Ok(_) => self.dialogs.open(ctx, Purpose::Conversation),
                Err(e) => s.notify_error(e),
            },
            Command::ExportPinned => self.dialogs.open(ctx, Purpose::Pinned),
            Command::AddTurn => {
                let speaker = s.conversation.turns().last().map_or(0, |t| 1 - t.speaker.min(1));
                let turn = s.conversation.add(speaker, "");
                s.conversation.focus(turn);
            }
            Command::EditTurn(n, speaker, text) => s.conversation.edit(n, speaker, &text),
            Command::FocusTurn(id) => s.conversation.focus(id),
            Command::RemoveTurn(n) => s.conversation.remove(n),
            Command::MoveTurnUp(n) => s.conversation.move_up(n),
            Command::StopSpeaking => s.generation.stop(),
            Command::OpenModel(spec) => s.open_model(spec),
            Command::ChooseModel => self.dialogs.open(ctx, Purpose::Model),
            Command::ChooseFile => self.dialogs.open(ctx, Purpose::Open),
            Command::OpenFile(path) => s.open_file(&path),
            Command::Dismiss(n) => s.notifications.dismiss(n),
            Command::Inspect(id) => s.inspect(&id),
            Command::PlayTake(id) => s.play_take(&id),
            Command::Regenerate(id, seed) => s.regenerate(&id, seed),
            Command::RegenerateOften(id) => s.regenerate_often(&id, SEVERAL),
            Command::GenerateInAllModes(id) => s.generate_in_all_modes(&id),
            Command::Resume(frame) => s.resume(frame),
            Command::ResumeWith(frame, sampling) => s.resume_with(frame, sampling),
            Command::Reseed(frame) => s.reseed(frame),
            Command::ToggleFavourite(id) => {
                s.try_update_store(|store| store.update(&id, |t| t.favourite = !t.favourite));
            }
            Command::Rename(id, name) => s.try_update_store(|store| store.update(&id, |t| t.name = name)),
            Command::Delete(ids) => s.delete(&ids),
            Command::UndoDelete => s.undo_delete(),
            Command::Reveal(folder) => {
                if let Err(problem) = reveal(&folder) {
                    s.notify_error(problem);
                }
            }
            Command::CopyCommand(id) => {
                let line = s.command_line(&id);
                if let Some(line) = s.report(line) {
                    ctx.copy_text(line);
                    s.notify("Copied a command that makes this take again");
                }
            }
            Command::Copy(text) => {
                s.notify(format!("Copied {text}"));
                ctx.copy_text(text);
            }
            Command::Export(id, kind) => self.dialogs.open(ctx, Purpose::Export(id, kind)),
            Command::UseSettings(id) => s.use_settings(&id),
            Command::SetSampling(sampling) => s.sampling = sampling,
            Command::SetSettings(settings) => s.settings = *settings,
            Command::ChooseVoicePrompt => self.dialogs.open(ctx, Purpose::VoicePrompt),
            Command::Record(on) => s.record(on),
            Command::RemoveVoicePrompt => s.remove_prompt(),
            Command::EditVoicePrompt(text, speaker) => {
                s.conversation.prompt.iter_mut().for_each(|p| (p.text, p.speaker) = (text.clone(), speaker));
            }
            Command::TrimVoicePrompt(from, to) => s.trim_prompt(from, to),
            Command::PlayVoicePrompt => s.play_prompt(),
            Command::Play(playing) => {
                s.end_audition();
                let played = s.player.play(playing);
                s.report(played);
            }
            Command::Seek(seconds) => {
                s.end_audition();
                s.player.seek(seconds);
            }
            Command::SelectRegion(from, to) => {
                s.end_audition();
                let looping = s.player.is_looping();
                s.player.set_region(Some((from, to)), looping);
            }
            Command::PlayRegion(from, to, looping) => {
                s.end_audition();
                let played = s.player.play_region(from, to, looping);
                s.report(played);
            }
            Command::ToggleLoop => {
                if let Some((from, to)) = s.player.region() {
                    let looping = !s.player.is_looping();
                    s.player.set_region(Some((from, to)), looping);
                    if looping {
                        let played = s.player.play(true);
                        s.report(played);
                    }
                }
            }
            Command::ClearRegion => s.player.set_region(None, false),
            Command::SetVolume(volume) => {
                s.settings.volume = volume;
                s.player.set_volume(volume);
            }
            Command::SetDevice(name) => {
                s.settings.device.clone_from(&name);
                let opened = s.player.set_sink(Sink::Device(name));
                s.report(opened);
            }
            Command::HearCodebooks(codebooks) => s.hear_codebooks(codebooks),
            Command::HearClip => s.hear_clip(),
            Command::HearPinned(n) => s.hear_pinned(n),
            Command::ReadOutlines(ids) => s.read_outlines(ids),
            Command::TogglePin(id) => s.toggle_pin(&id),
            Command::PinHeard => s.pin_heard(),
            Command::UnpinAll => s.unpin_all(),
            Command::SetAlignment(alignment) => s.pins.alignment = alignment,
            Command::SetOwnLoudness(own) => s.set_own_loudness(own),
            Command::StopMeasuring => s.measured.stop(),
            Command::MeasureSound => s.measure_sounds(),
            Command::SetRecogniser(command) => s.settings.recogniser = command,
            Command::Recognise => s.recognise_sounds(),
            Command::MakeTest(request) => self.dialogs.open(ctx, Purpose::Test(request)),
            Command::HearButton(button) => s.hear_button(button),
            Command::RateTrial(values) => s.listening.iter_mut().for_each(|test| test.values.clone_from(&values)),
            Command::AnswerTrial(choice) => s.answer_trial(choice),
            Command::UndoAnswer => s.undo_answer(),
            Command::NameListener(name) => s.listening.iter_mut().for_each(|test| test.set_listener(&name)),
            Command::CloseTest => s.close_test(),
            Command::Audition(frame, codebook, token) => s.audition(frame, codebook, token),
            Command::UseToken(frame, codebook, token) => s.use_token(frame, codebook, token),
            Command::Select(cell) => s.select(cell),
            Command::SelectCodebook(codebook) => s.view.codebook = codebook,
            Command::View(axis) => s.view.axis = axis,
            Command::ShowMap(content) => s.view.map = content,
            Command::ShowSpectrograms(shown) => s.view.spectrograms = shown,
            Command::AskWhatIf(sampling) => s.ask_what_if(sampling),
            Command::NextProblem(forward) => {
                s.next_problem(forward);
                self.show("Problems");
            }
            Command::Ask(Ask::Show(title)) => {
                self.show(title);
                self.detail_alone = true;
            }
            Command::Ask(ask) => {
                let mut commands = Vec::new();
                self.panels.iter_mut().for_each(|panel| panel.asked(&ask, ctx, &self.session, &mut commands));
                commands.into_iter().for_each(|command| self.run(ctx, command));
            }
        }
    }

    /// Shows a panel below the clip, by its name.
    pub fn show(&mut self, title: &'static str) {
        self.detail = title;
    }

    fn poll_dialogs(&mut self) {
        while let Some(outcome) = self.dialogs.poll() {
            let Outcome::Chosen(purpose, path) = outcome else {
                self.session.notify_error(
                    "This system showed no file dialog. On Linux it needs a desktop portal (xdg-desktop-portal) or \
                     zenity. Recordings can be dropped on the window, and `csm` opens and exports by path",
                );
                continue;
            };
            match purpose {
                Purpose::VoicePrompt => self.session.set_prompt(path),
                Purpose::Model => {
                    self.session.open_model(CheckpointSpec { path: Some(path), ..CheckpointSpec::default() });
                }
                Purpose::Open => self.session.open_file(&path),
                Purpose::Export(id, kind) => {
                    let content = self.session.export(&id, kind);
                    self.session.write_export(content, with_extension(&path, kind.extension()));
                }
                Purpose::Test(request) => self.session.make_test(request, &with_extension(&path, "json")),
                Purpose::Pinned => {
                    let content = self.session.pinned_page();
                    self.session.write_export(content, with_extension(&path, ExportKind::Page.extension()));
                }
                Purpose::Conversation => {
                    let content = self.session.conversation_wav();
                    self.session.write_export(content, with_extension(&path, ExportKind::Wav.extension()));
                }
            }
        }
    }

    /// What is drawn of the panels in `slot`.
    fn slot_ui(&mut self, slot: Slot, ui: &mut Ui, commands: &mut Vec<Command>) {
        for panel in self.panels.iter_mut().filter(|panel| panel.slot() == slot) {
            panel.ui(ui, &self.session, commands);
        }
    }

    /// What draws a panel by itself, as it is at first; nothing where none has this name. For pictures of panels.
    pub fn panel_alone(&self, title: &str) -> impl FnMut(&mut Ui) {
        // A new one: textures of the window's belong to the window's context.
        let mut panel = panels().into_iter().find(|panel| panel.title() == title);
        // What it would do is not done: it is only looked at.
        move |ui| panel.iter_mut().for_each(|panel| panel.ui(ui, &self.session, &mut Vec::new()))
    }

    /// Names of all panels.
    pub fn panel_titles(&self) -> Vec<&'static str> {
        self.panels.iter().map(|panel| panel.title()).collect()
    }

    /// What stands beside the clip: text and takes, or one of them in a narrow window.
    fn sides_ui(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let width = ui.ctx().content_rect().width();
        let narrow = width < NARROW;
        let left = egui::Panel::left("compose").default_size(330.0).max_size(width * 0.45);
        left.show(ui, |ui| {
            if narrow {
                ui.horizontal(|ui| {
                    ui.selectable_value(&mut self.takes_at_left, false, "Compose");
                    ui.selectable_value(&mut self.takes_at_left, true, "Takes");
                });
            }
            let slot = if narrow && self.takes_at_left { Slot::Right } else { Slot::Left };
            self.slot_ui(slot, ui, commands);
        });
        if !narrow {
            let right = egui::Panel::right("takes").default_size(280.0).max_size(width * 0.4);
            right.show(ui, |ui| self.slot_ui(Slot::Right, ui, commands));
        }
    }

    /// The clip, and one of the panels about it below.
    fn centre_ui(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        if self.session.model_info().is_none() {
            egui::CentralPanel::default().show(ui, |ui| self.slot_ui(Slot::Centre, ui, commands));
            return;
        }
        let room = ui.available_height() - least_clip_height(&self.session);
        if room < LEAST_DETAIL {
            egui::CentralPanel::default().show(ui, |ui| self.low_centre_ui(ui, commands));
            return;
        }
        let height = DETAIL.min(ui.available_height() * DETAIL_SHARE);
        let detail = egui::Panel::bottom("detail").resizable(true).default_size(height);
        // However large it was made in a higher window, the clip keeps the room that its lanes need.
        detail.min_size(LEAST_DETAIL).max_size(room).show(ui, |ui| {
            ui.horizontal_wrapped(|ui| self.tabs_ui(ui, true));
            self.detail_ui(ui, commands);
        });
        egui::CentralPanel::default().show(ui, |ui| self.slot_ui(Slot::Centre, ui, commands));
    }

    /// In a low window the clip and what is about it take turns.
    fn low_centre_ui(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        ui.horizontal_wrapped(|ui| {
            let clip = ui.selectable_label(!self.detail_alone, "Clip");
            self.detail_alone &= !clip.clicked();
            if self.tabs_ui(ui, self.detail_alone) {
                self.detail_alone = true;
            }
        });
        if self.detail_alone { self.detail_ui(ui, commands) } else { self.slot_ui(Slot::Centre, ui, commands) }
    }

    /// The panels about the clip, to be chosen; whether one was.
    fn tabs_ui(&mut self, ui: &mut Ui, shown: bool) -> bool {
        let mut chosen = false;
        for panel in self.panels.iter().filter(|panel| panel.slot() == Slot::Detail) {
            if ui.selectable_label(shown && self.detail == panel.title(), panel.title()).clicked() {
                (self.detail, chosen) = (panel.title(), true);
            }
        }
        chosen
    }

    /// The chosen panel about the clip.
    fn detail_ui(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let shown = self.panels.iter_mut().find(|panel| panel.title() == self.detail);
        shown.into_iter().for_each(|panel| panel.ui(ui, &self.session, commands));
        ui.take_available_space();
    }
}

impl eframe::App for Studio {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.session.poll();
        self.hold_pace(ctx);
        self.poll_dialogs();
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
        if self.session.is_loading() {
            ctx.request_repaint_after(Duration::from_millis(self.pace.update));
        }
        if self.session.player.is_playing() || self.session.microphone.is_some() {
            ctx.request_repaint_after(Duration::from_millis(self.pace.tick));
        }
    }

    fn on_exit(&mut self) {
        self.session.finish_writing();
        self.session.save_draft();
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.repaints += 1;
        let mut commands = Vec::new();
        let ctx = ui.ctx().clone();
        let pressed = self.take_keys(&ctx);
        egui::Panel::top("bar").show(ui, |ui| self.slot_ui(Slot::Top, ui, &mut commands));
        egui::Panel::bottom("sound").show(ui, |ui| self.slot_ui(Slot::Bottom, ui, &mut commands));
        let above_sound = ui.available_rect_before_wrap();
        self.sides_ui(ui, &mut commands);
        egui::CentralPanel::no_frame().show(ui, |ui| self.centre_ui(ui, &mut commands));
        let over = egui::UiBuilder::new().max_rect(above_sound);
        ui.scope_builder(over, |ui| self.slot_ui(Slot::Over, ui, &mut commands));
        for command in commands {
            self.run(&ctx, command);
        }
        for key in pressed {
            let command = match key {
                Pressed::Named(command) => command(&self.session),
                Pressed::Other(command) => Some(command),
            };
            command.into_iter().for_each(|command| self.run(&ctx, command));
        }
    }
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
        cache: folders.cache_dir().to_owned(),
        settings: folders.config_dir().join("settings.json"),
        sink: None,
        source: Source::Microphone,
        model,
        open,
    };
    let viewport = egui::ViewportBuilder::default()
        .with_title("CSM Studio")
        .with_app_id("csm-studio")
        .with_drag_and_drop(true)
        .with_inner_size(FIRST_SIZE)
        .with_min_inner_size([900.0, 560.0]);
    // Dithering is for gradients, of which there are none, and costs a software renderer a good deal.
    let options = eframe::NativeOptions { viewport, dithering: false, ..Default::default() };
    // Many takes are read while the graphics begin.
    let folder = paths.takes.clone();
    let reading = std::thread::spawn(move || Store::open(&folder));
    let create = Box::new(|c: &eframe::CreationContext<'_>| {
        let Ok(store) = reading.join() else {
            return Err("reading the takes panicked; the log has the details".into());
        };
        let mut studio = Studio::with_takes(&c.egui_ctx, paths, store?)?;
        let adapter = c.wgpu_render_state.as_ref().map(|state| state.adapter.get_info());
        if adapter.is_some_and(|adapter| adapter.device_type == eframe::wgpu::DeviceType::Cpu) {
            studio.draw_in_software();
        }
        Ok(Box::new(studio) as Box<dyn eframe::App>)
    });
    eframe::run_native("CSM Studio", options, create).map_err(|e| Error::Unavailable {
        what: format!("the window cannot be opened: {e}"),
        hint: "`csm generate` speaks without a window".into(),
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of keys has none of the keys that belong to pinned clips.
    #[test]
    fn number_keys_are_the_pinned_clips_alone() {
        for command in COMMANDS.iter().filter_map(|c| c.key).filter(|key| key.modifiers == Modifiers::NONE) {
            assert!(!PIN_KEYS.contains(&command.logical_key), "{command:?}");
        }
    }

    /// Names are how panels are found.
    #[test]
    fn panels_have_names_of_their_own() {
        let titles: Vec<&str> = panels().iter().map(|panel| panel.title()).collect();
        let distinct: std::collections::BTreeSet<&str> = titles.iter().copied().collect();
        assert_eq!(distinct.len(), titles.len(), "{titles:?}");
        assert!(
            ["Candidates", "Statistics", "Problems", "Sound", "What if", "Compare"]
                .iter()
                .all(|title| distinct.contains(title))
        );
    }
}
