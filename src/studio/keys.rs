//! Keys that are commands.

use egui::{Context, Event, Key, KeyboardShortcut, Modifiers};

use super::command::{COMMANDS, Command};
use super::composer::ComposerCommand;
use super::monitor::{MonitorCommand, PlaybackSource};
use super::panels::Panel;
use super::session::Session;

/// Keys of the pinned clips, in their order.
const PIN_KEYS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// A key that was pressed and is a command.
pub(super) enum PressedKey {
    /// In the table of commands.
    Named(fn(&Session) -> Option<Command>),
    /// Switches to this pinned clip.
    Pinned(usize),
    Escape,
}

impl PressedKey {
    /// The command of the key; `None` if there is nothing to do it with.
    pub(super) fn command(&self, session: &Session) -> Option<Command> {
        match self {
            Self::Named(command) => command(session),
            Self::Pinned(n) => {
                let pinned = session.comparison.pins.clips().get(*n)?;
                Some(MonitorCommand::SwitchTo(PlaybackSource::Pinned(pinned.key.clone())).into())
            }
            // Generation ends first, then playback.
            Self::Escape if session.is_speaking() || session.waiting_takes() > 0 => Some(ComposerCommand::Stop.into()),
            Self::Escape => Some(MonitorCommand::Pause.into()),
        }
    }
}

/// The key that stands for another where keyboards lack that one: a MacBook's delete key is Backspace.
fn as_on_a_laptop(key: KeyboardShortcut) -> KeyboardShortcut {
    match key.logical_key {
        Key::Delete => KeyboardShortcut::new(key.modifiers, Key::Backspace),
        _ => key,
    }
}

/// The keyboard, as the window reads it: keys that are commands are taken before a text field sees them. Their commands run after the
/// frame, so that text typed before such a key is part of what is spoken; and what is typed after it waits until they have run and the
/// focus is where they put it. In a slow frame it would go to the field that had the focus before.
#[derive(Default)]
pub(super) struct Keyboard {
    /// What was typed after a command's key.
    waiting: Vec<Event>,
    /// Whether a command's key was taken in the frame before: its command has run, and panels move the focus in this frame.
    focus_moves: bool,
}

impl Keyboard {
    /// The keys of this frame that are commands, in order.
    pub(super) fn take_keys(&mut self, ctx: &Context, panels: &[Box<dyn Panel>], session: &Session) -> Vec<PressedKey> {
        if std::mem::take(&mut self.focus_moves) {
            self.waiting.extend(ctx.input_mut(|i| take_typed(&mut i.events, 0)));
            ctx.request_repaint();
            return Vec::new();
        }
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            ctx.input_mut(|i| drop(i.events.splice(0..0, waiting)));
        }
        if panels.iter().any(|panel| panel.takes_keys(session)) {
            return Vec::new();
        }
        let reader = KeyReader {
            something_open: egui::Popup::is_any_open(ctx) || panels.iter().any(|panel| panel.is_open()),
            typing: ctx.text_edit_focused(),
            focused: ctx.egui_wants_keyboard_input(),
        };
        let (pressed, rest) = ctx.input_mut(|i| reader.take(&mut i.events));
        if let Some(rest) = rest {
            (self.waiting, self.focus_moves) = (rest, true);
            ctx.request_repaint();
        }
        pressed
    }
}

/// What decides whether a key is a command.
struct KeyReader {
    /// Whether something is open, which Escape closes before it stops anything.
    something_open: bool,
    /// Whether a text field has the focus.
    typing: bool,
    /// Whether anything has it: a focused button or slider takes the keys that operate it, and no others.
    focused: bool,
}

impl KeyReader {
    /// Takes the keys that are commands from `events`, and all that was typed after one that works in text fields.
    fn take(&self, events: &mut Vec<Event>) -> (Vec<PressedKey>, Option<Vec<Event>>) {
        let (mut pressed, mut at) = (Vec::new(), 0);
        while at < events.len() {
            match self.command_of(&events[at]) {
                None => at += 1,
                // What is open may look for it too.
                Some((PressedKey::Escape, _)) => {
                    pressed.push(PressedKey::Escape);
                    at += 1;
                }
                Some((key, works_in_text)) => {
                    events.remove(at);
                    pressed.push(key);
                    if works_in_text {
                        return (pressed, Some(take_typed(events, at)));
                    }
                }
            }
        }
        (pressed, None)
    }

    /// The command of a key, and whether the key works in text fields.
    fn command_of(&self, event: &Event) -> Option<(PressedKey, bool)> {
        let Event::Key { key, pressed: true, modifiers, .. } = event else { return None };
        let fits = |k: KeyboardShortcut| k.logical_key == *key && modifiers.matches_logically(k.modifiers);
        let named = COMMANDS.iter().find(|named| {
            let allowed = if self.typing { named.works_in_text() } else { !self.focused || !named.operates_widgets() };
            allowed && named.key.is_some_and(|key| fits(key) || fits(as_on_a_laptop(key)))
        });
        if let Some(named) = named {
            return Some((PressedKey::Named(named.command), named.works_in_text()));
        }
        if *key == Key::Escape && !self.something_open {
            return Some((PressedKey::Escape, false));
        }
        let pin = PIN_KEYS.iter().position(|pin| pin == key && modifiers.matches_logically(Modifiers::NONE));
        pin.filter(|_| !self.typing).map(|n| (PressedKey::Pinned(n), false))
    }
}

/// Takes what comes from the keyboard, from the event at `from` on.
fn take_typed(events: &mut Vec<Event>, from: usize) -> Vec<Event> {
    let is_typed = |event: &Event| {
        use Event::{Copy, Cut, Ime, Key, Paste, Text};
        matches!(event, Copy | Cut | Paste(_) | Text(_) | Key { .. } | Ime(_))
    };
    let (typed, others) = events.split_off(from).into_iter().partition(is_typed);
    events.extend::<Vec<Event>>(others);
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_after_a_commands_key_waits() {
        let key = |key: Key, modifiers: Modifiers| Event::Key {
            key,
            physical_key: None,
            pressed: true,
            repeat: false,
            modifiers,
        };
        let reader = KeyReader { something_open: false, typing: true, focused: true };
        let enter = key(Key::Enter, Modifiers::NONE);
        let (typed, next) = (Event::Text("so".into()), Event::Text("next".into()));
        let mut events =
            vec![typed.clone(), key(Key::K, Modifiers::COMMAND), next.clone(), Event::PointerGone, enter.clone()];
        let (pressed, waiting) = reader.take(&mut events);
        assert_eq!((pressed.len(), events), (1, vec![typed.clone(), Event::PointerGone]));
        assert_eq!(waiting, Some(vec![next, enter]));
        // Keys without Ctrl are text here, and commands elsewhere, as often as they are pressed.
        let step = key(Key::ArrowRight, Modifiers::NONE);
        let (pressed, waiting) = reader.take(&mut vec![step.clone(), typed.clone()]);
        assert_eq!((pressed.len(), waiting), (0, None));
        let reader = KeyReader { typing: false, focused: false, ..reader };
        let (pressed, waiting) = reader.take(&mut vec![step.clone(), step, typed]);
        assert_eq!((pressed.len(), waiting), (2, None));
    }

    #[test]
    fn number_keys_belong_to_the_pinned_clips_alone() {
        for command in COMMANDS.iter().filter_map(|c| c.key).filter(|key| key.modifiers == Modifiers::NONE) {
            assert!(!PIN_KEYS.contains(&command.logical_key), "{command:?}");
        }
    }
}
