//! The application: polls the session, draws the panels, and runs the commands that panels and keys give.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use egui::{Context, Ui};

use super::command::{COMMANDS, Command, Commands};
use super::composer::{ComposerCommand, DRAFT_SAVE_INTERVAL};
use super::input_order::InputOrder;
use super::keys::take_keys;
use super::layout::{Frame, Layout};
use super::library::LibraryCommand;
use super::pacing::Pacing;
use super::panels::{Panel, panels};
use super::platform::{Platform, SystemRequest};
use super::session::{Session, Stored, StudioPaths};
use super::settings::Theme;
use super::shell::PanelRequest;
use super::tasks::Wake;
use crate::audio::recording::EXTENSIONS;

/// Whether the window is to be closed although something is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// The user is asked.
    Asked,
    /// The window closes once the unfinished take is stored.
    Ending,
    Confirmed,
}

/// The use of a file that is dropped on the window: a recording is a voice prompt, everything else is opened.
fn command_of_dropped(path: &Path) -> Command {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    match EXTENSIONS.contains(&extension.as_str()) {
        true => ComposerCommand::SetVoicePrompt(path.to_owned()).into(),
        false => LibraryCommand::Open(path.to_owned()).into(),
    }
}

pub struct Studio {
    pub session: Session,
    panels: Vec<Box<dyn Panel>>,
    layout: Layout,
    pacing: Pacing,
    applied_theme: Option<(Theme, f32)>,
    focused: bool,
    closing: Closing,
    /// Whether the system has asked the program to end (SIGTERM, SIGINT, SIGHUP).
    terminated: Arc<AtomicBool>,
    /// Set once the window exists; tests have none.
    platform: Option<Platform>,
    /// Frames painted so far.
    pub repaints: u64,
}

impl Studio {
    /// The application; its threads request repaints of `ctx`.
    pub fn new(ctx: &Context, paths: &StudioPaths, stored: Stored) -> Self {
        let pacing = Pacing::default();
        let (now, paced, pace) = (ctx.clone(), ctx.clone(), pacing.clone());
        let wake = Wake {
            now: Arc::new(move || now.request_repaint()),
            paced: Arc::new(move || paced.request_repaint_after(pace.update())),
        };
        let mut studio = Self::with_session(ctx, Session::new(paths, stored, wake), pacing);
        studio.platform = Some(Platform::new(ctx));
        let (terminated, asked) = (studio.terminated.clone(), ctx.clone());
        let handler = move || {
            terminated.store(true, Ordering::Relaxed);
            asked.request_repaint();
        };
        if let Err(e) = ctrlc::set_handler(handler) {
            tracing::warn!("a signal will end the window without keeping what is being made: {e}");
        }
        let failed = ctx.clone();
        studio.session.monitor.player.on_device_news(move || failed.request_repaint());
        studio
    }

    /// The application with a session that is given.
    pub fn of_session(ctx: &Context, session: Session) -> Self {
        Self::with_session(ctx, session, Pacing::default())
    }

    fn with_session(ctx: &Context, session: Session, pacing: Pacing) -> Self {
        Self::prepare(ctx);
        let panels = panels();
        let layout = Layout::new(&panels);
        Self {
            session,
            panels,
            layout,
            pacing,
            applied_theme: None,
            focused: true,
            closing: Closing::No,
            terminated: Arc::default(),
            platform: None,
            repaints: 0,
        }
    }

    /// Gives `ctx` the fonts, colours and spacing of the window, and its order of input.
    pub fn prepare(ctx: &Context) {
        super::theme::install(ctx);
        ctx.add_plugin(InputOrder::default());
    }

    pub(super) fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// Shows a panel of the clip in its tab.
    pub fn show_tab(&mut self, title: &'static str) {
        self.layout.show_tab(title, false);
    }

    /// Titles of all panels.
    pub fn panel_titles(&self) -> Vec<&'static str> {
        self.panels.iter().map(|panel| panel.title()).collect()
    }

    /// A function that draws one panel as it is at first, and runs no commands; draws nothing if no panel has this title.
    /// For pictures of panels.
    pub fn panel_alone(&self, title: &str) -> impl FnMut(&mut Ui) {
        // A new one: textures of the panel in the window belong to the window's context.
        let mut panel = panels().into_iter().find(|panel| panel.title() == title);
        move |ui| panel.iter_mut().for_each(|panel| panel.ui(ui, &self.session, &mut Commands::default()))
    }

    fn apply_theme(&mut self, ctx: &Context) {
        let settings = &self.session.preferences.settings;
        let wanted = (settings.theme, settings.scale);
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

    /// Runs commands and what they ask of panels and clipboard.
    fn run(&mut self, ctx: &Context, mut commands: Commands) {
        loop {
            commands.take().into_iter().for_each(|command| self.session.run(command));
            self.session.shell.text_to_copy().into_iter().for_each(|text| ctx.copy_text(text));
            let Some(request) = self.session.shell.next_request() else { return };
            match request {
                PanelRequest::ShowTab(title) => self.layout.show_tab(title, false),
                PanelRequest::OpenTab(title) => self.layout.show_tab(title, true),
                PanelRequest::FocusPanel(by) => self.layout.focus_place(by),
                request => self.panels.iter_mut().for_each(|panel| {
                    panel.on_request(&request, ctx, &self.session, &mut commands);
                }),
            }
        }
    }

    /// Whether something is being made that closing the window would end.
    fn is_making(&self) -> bool {
        self.session.is_speaking() || self.session.composer.microphone.is_some()
    }

    /// Does what the system asks, and reports whether the program is busy.
    fn serve_system(&mut self, ctx: &Context) {
        let making = self.is_making();
        let Some(platform) = &mut self.platform else { return };
        platform.set_working(making);
        for request in platform.requests() {
            match request {
                SystemRequest::Open(path) => self.session.run(LibraryCommand::Open(path)),
                SystemRequest::Quit => self.closing = Closing::Asked,
                SystemRequest::Command(title) => {
                    let mut commands = Commands::default();
                    let named = COMMANDS.iter().find(|command| command.title == title);
                    named.and_then(|named| (named.command)(&self.session)).into_iter().for_each(|c| commands.push(c));
                    self.run(ctx, commands);
                }
            }
        }
    }

    /// Keeps the window open while something is being made, until the user has said that it may be stopped.
    fn ask_before_closing(&mut self, ctx: &Context) {
        if !ctx.input(|i| i.viewport().close_requested()) || self.closing == Closing::Confirmed {
            return;
        }
        let unwritten = self.session.library.unwritten() > 0;
        if self.is_making() || unwritten || self.closing == Closing::Ending {
            if self.closing == Closing::No {
                self.closing = Closing::Asked;
            }
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
        }
    }

    fn closing_ui(&mut self, ctx: &Context) {
        if self.closing != Closing::Asked {
            return;
        }
        let kept = "If the window closes, it ends here, and what was made until now is kept.";
        let question = match self.session.library.unwritten() {
            _ if self.session.is_speaking() => format!("A take is being made. {kept}"),
            _ if self.is_making() => format!("A voice prompt is being recorded. {kept}"),
            n => {
                let takes = if n == 1 { "A take".to_owned() } else { format!("{n} takes") };
                format!(
                    "{takes} could not be written. Write again or elsewhere first; what is left goes to the system's temporary folder."
                )
            }
        };
        let asked = egui::Modal::new(egui::Id::unique("closing")).show(ctx, |ui| {
            ui.label(question);
            ui.horizontal(|ui| {
                if ui.button("Close").clicked() {
                    self.end_work();
                }
                if ui.button("Keep open").clicked() {
                    self.closing = Closing::No;
                }
            });
        });
        if asked.should_close() && self.closing == Closing::Asked {
            self.closing = Closing::No;
        }
    }

    /// Ends what is being made; the window closes once it is kept.
    fn end_work(&mut self) {
        self.closing = Closing::Ending;
        self.session.run(ComposerCommand::Stop);
        if self.session.composer.microphone.is_some() {
            self.session.run(ComposerCommand::StopRecording);
        }
    }

    /// Closes the window without a question once the system has asked the program to end.
    fn obey_signals(&mut self) {
        if self.terminated.load(Ordering::Relaxed) && matches!(self.closing, Closing::No | Closing::Asked) {
            self.end_work();
        }
    }

    /// Closes the window once what was made is kept.
    fn close_when_kept(&mut self, ctx: &Context) {
        /// Between looks whether it is.
        const AGAIN: std::time::Duration = std::time::Duration::from_millis(30);
        if self.closing != Closing::Ending {
            return;
        }
        if self.is_making() || self.session.works_in_background() {
            ctx.request_repaint_after(AGAIN);
        } else {
            self.closing = Closing::Confirmed;
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
    }

    /// Requests the frames that no input and no thread will cause.
    fn request_repaints(&mut self, ctx: &Context) {
        if self.session.composer.has_unsaved_draft() {
            ctx.request_repaint_after(DRAFT_SAVE_INTERVAL);
        }
        if let Some(left) = self.session.notifications.expire(Instant::now()) {
            ctx.request_repaint_after(left);
        }
        if self.session.is_loading() {
            ctx.request_repaint_after(self.pacing.update());
        }
        if self.session.monitor.player.is_playing() || self.session.composer.microphone.is_some() {
            ctx.request_repaint_after(self.pacing.playback());
        }
    }
}

impl eframe::App for Studio {
    /// eframe restores the window's place and size; which menus were open is not worth a file.
    fn persist_egui_memory(&self) -> bool {
        false
    }

    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.session.poll();
        let dropped = ctx.input_mut(|i| std::mem::take(&mut i.raw.dropped_files));
        dropped.iter().for_each(|file| self.session.run(command_of_dropped(file.path())));
        self.serve_system(ctx);
        self.obey_signals();
        self.ask_before_closing(ctx);
        self.close_when_kept(ctx);
        self.apply_theme(ctx);
        // Another window may have changed the takes meanwhile.
        let focused = ctx.input(|i| i.focused);
        if focused && !std::mem::replace(&mut self.focused, focused) {
            self.session.run(LibraryCommand::Refresh);
        }
        self.focused = focused;
        self.run(ctx, Commands::default()); // of what has happened in the background
        self.pacing.on_frame(self.session.is_speaking());
        self.request_repaints(ctx);
    }

    fn on_exit(&mut self) {
        self.session.close();
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.repaints += 1;
        let ctx = ui.ctx().clone();
        let pressed = take_keys(&ctx, &self.panels, &self.session);
        let mut commands = Commands::default();
        let Self { panels, session, layout, .. } = self;
        layout.ui(ui, &mut Frame { panels, session, commands: &mut commands });
        self.closing_ui(&ctx);
        self.run(&ctx, commands);
        // A key's command may depend on what the commands before it have changed.
        for key in pressed {
            let mut commands = Commands::default();
            key.command(&self.session).into_iter().for_each(|command| commands.push(command));
            self.run(&ctx, commands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_file_is_used_by_its_type() {
        for name in ["a.wav", "a.FLAC", "b c.ogg", "voice.m4a"] {
            let path = Path::new(name);
            assert!(
                matches!(command_of_dropped(path), Command::Composer(ComposerCommand::SetVoicePrompt(p)) if p == path)
            );
        }
        for name in ["tokens.json", "codes.npy", "a take", "codes.pt", "test.json"] {
            let path = Path::new(name);
            assert!(matches!(command_of_dropped(path), Command::Library(LibraryCommand::Open(p)) if p == path));
        }
    }
}
