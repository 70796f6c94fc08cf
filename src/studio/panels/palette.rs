//! The command palette: every command by name.

use egui::{Align2, Context, Key, Modifiers, ScrollArea, TextEdit, Ui, Window, vec2};

use super::{Panel, Slot};
use crate::studio::command::{COMMANDS, Command, Commands, NamedCommand};
use crate::studio::session::Session;
use crate::studio::shell::PanelRequest;

/// Width of the palette.
const WIDTH: f32 = 460.0;
/// Height of the list of commands.
const HEIGHT: f32 = 320.0;

#[derive(Default)]
pub(super) struct Palette {
    open: bool,
    search: String,
    /// The chosen command; none before something is searched for or an arrow is pressed.
    chosen: Option<usize>,
}

/// Commands that can be run now and whose title has every word of `search`.
fn found(search: &str, session: &Session) -> Vec<(&'static NamedCommand, Command)> {
    let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    let fits = |c: &&NamedCommand| words.iter().all(|word| c.title.to_lowercase().contains(word));
    COMMANDS.iter().filter(fits).filter_map(|c| Some((c, (c.command)(session)?))).collect()
}

impl Panel for Palette {
    fn title(&self) -> &'static str {
        "Commands"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        if !self.open {
            return;
        }
        let pressed = |key| ui.input_mut(|i| i.consume_key(Modifiers::NONE, key));
        if pressed(Key::Escape) {
            self.open = false;
            return;
        }
        let (up, down, enter) = (pressed(Key::ArrowUp), pressed(Key::ArrowDown), pressed(Key::Enter));
        let ctx = ui.ctx().clone();
        let window =
            Window::new("Commands").title_bar(false).resizable(false).anchor(Align2::CENTER_TOP, vec2(0.0, 80.0));
        window.show(&ctx, |ui| {
            ui.set_width(WIDTH);
            let edit = TextEdit::singleline(&mut self.search).desired_width(f32::INFINITY).hint_text("Search commands");
            let edit = ui.add(edit).accessible_name("Search commands");
            edit.request_focus();
            let found = found(&self.search, session);
            if edit.changed() {
                self.chosen = (!self.search.trim().is_empty()).then_some(0);
            }
            self.chosen = match (self.chosen, down, up) {
                (None, true, _) => Some(0),
                (None, false, _) => None,
                (Some(n), ..) => Some((n + usize::from(down)).saturating_sub(usize::from(up))),
            };
            self.chosen = self.chosen.map(|n| n.min(found.len().saturating_sub(1)));
            if found.is_empty() {
                ui.weak("No such command");
            }
            let mut run = None;
            ScrollArea::vertical().max_height(HEIGHT).auto_shrink([false, true]).show(ui, |ui| {
                for (n, (named, _)) in found.iter().enumerate() {
                    let key = named.key.map_or(String::new(), |key| ctx.format_shortcut(&key));
                    let button = egui::Button::selectable(self.chosen == Some(n), named.title).shortcut_text(key);
                    let row = ui.add_sized([ui.available_width(), 20.0], button);
                    if self.chosen == Some(n) && (up || down) {
                        row.scroll_to_me(None);
                    }
                    if row.clicked() || (enter && self.chosen == Some(n)) {
                        run = Some(n);
                    }
                }
            });
            if let Some((_, command)) = run.and_then(|n| found.into_iter().nth(n)) {
                commands.push(command);
                self.open = false;
            }
        });
    }

    fn on_request(&mut self, request: &PanelRequest, _: &Context, _: &Session, _: &mut Commands) {
        match request {
            PanelRequest::TogglePalette => *self = Self { open: !self.open, ..Self::default() },
            PanelRequest::SearchCommands(text) => {
                *self = Self { open: true, chosen: (!text.trim().is_empty()).then_some(0), search: text.clone() };
            }
            _ => {}
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
