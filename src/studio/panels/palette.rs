//! The command palette: every command by name, and the words of the clip.

use std::borrow::Cow;

use egui::{Align2, Context, Key, KeyboardShortcut, Modifiers, ScrollArea, TextEdit, Ui, Window, vec2};

use super::{Panel, Slot};
use crate::data::WordTime;
use crate::studio::command::{COMMANDS, Command, Commands, NamedCommand};
use crate::studio::inspector::InspectorCommand;
use crate::studio::monitor::MonitorCommand;
use crate::studio::session::Session;
use crate::studio::shell::PanelRequest;

/// Width of the palette.
const WIDTH: f32 = 460.0;
/// Letters from which words of the clip are found.
const LEAST_LETTERS: usize = 2;
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
fn found(search: &str, session: &Session) -> Vec<Entry> {
    let words: Vec<String> = search.split_whitespace().map(str::to_lowercase).collect();
    let fits = |c: &&NamedCommand| words.iter().all(|word| c.title.to_lowercase().contains(word));
    let entry =
        |c: &NamedCommand| Some(Entry { title: c.title.into(), key: c.key, commands: vec![(c.command)(session)?] });
    let commands = COMMANDS.iter().filter(fits).filter_map(entry);
    commands.chain(words_of_clip(&search.trim().to_lowercase(), session)).collect()
}

/// Words of the current clip that have these letters: choosing one selects and plays it.
fn words_of_clip(search: &str, session: &Session) -> Vec<Entry> {
    let (view, seconds) = (&session.inspector.view, session.models.frame_seconds());
    let found = session.inspector.current.words.iter().filter(|_| search.len() >= LEAST_LETTERS);
    let found = found.filter(|word| word.word.to_lowercase().contains(search));
    let entry = |word: &WordTime| Entry {
        title: format!("Word: {} at {:.2} s", word.word, word.start).into(),
        key: None,
        commands: vec![
            InspectorCommand::Select(Some(((word.start / seconds) as usize, view.codebook))).into(),
            MonitorCommand::SelectRegion { from: word.start, to: word.end }.into(),
        ],
    };
    found.map(entry).collect()
}

/// A line of the palette.
struct Entry {
    title: Cow<'static, str>,
    key: Option<KeyboardShortcut>,
    commands: Vec<Command>,
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
            let edit = TextEdit::singleline(&mut self.search)
                .desired_width(f32::INFINITY)
                .hint_text("Search commands and words");
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
                ui.weak("No such command or word");
            }
            let mut run = None;
            ScrollArea::vertical().max_height(HEIGHT).auto_shrink([false, true]).show(ui, |ui| {
                for (n, entry) in found.iter().enumerate() {
                    let key = entry.key.map_or(String::new(), |key| ctx.format_shortcut(&key));
                    let button = egui::Button::selectable(self.chosen == Some(n), &*entry.title).shortcut_text(key);
                    let row = ui.add_sized([ui.available_width(), 20.0], button);
                    if self.chosen == Some(n) && (up || down) {
                        row.scroll_to_me(None);
                    }
                    if row.clicked() || (enter && self.chosen == Some(n)) {
                        run = Some(n);
                    }
                }
            });
            if let Some(entry) = run.and_then(|n| found.into_iter().nth(n)) {
                entry.commands.into_iter().for_each(|command| commands.push(command));
                self.open = false;
            }
        });
    }

    fn on_request(&mut self, request: &PanelRequest, _: &Context, _: &Session, _: &mut Commands) {
        if *request == PanelRequest::TogglePalette {
            *self = Self { open: !self.open, ..Self::default() };
        }
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
