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

/// Takes the keys of this frame that are commands, in order, before a text field sees them.
pub(super) fn take_keys(ctx: &Context, panels: &[Box<dyn Panel>], session: &Session) -> Vec<PressedKey> {
    if panels.iter().any(|panel| panel.takes_keys(session)) {
        return Vec::new();
    }
    let reader = KeyReader {
        something_open: egui::Popup::is_any_open(ctx) || panels.iter().any(|panel| panel.is_open()),
        typing: ctx.text_edit_focused(),
        focused: ctx.egui_wants_keyboard_input(),
    };
    ctx.input_mut(|i| reader.take(&mut i.events))
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
    /// Takes the keys that are commands from `events`.
    fn take(&self, events: &mut Vec<Event>) -> Vec<PressedKey> {
        let mut pressed = Vec::new();
        events.retain(|event| match self.command_of(event) {
            None => true,
            Some(key) => {
                // What is open may look for Escape too.
                let stays = matches!(key, PressedKey::Escape);
                pressed.push(key);
                stays
            }
        });
        pressed
    }

    fn command_of(&self, event: &Event) -> Option<PressedKey> {
        let Event::Key { key, pressed: true, modifiers, .. } = event else { return None };
        let fits = |k: KeyboardShortcut| k.logical_key == *key && modifiers.matches_logically(k.modifiers);
        let named = COMMANDS.iter().find(|named| {
            let allowed = if self.typing { named.works_in_text() } else { !self.focused || !named.operates_widgets() };
            allowed && named.key.is_some_and(|key| fits(key) || fits(as_on_a_laptop(key)))
        });
        if let Some(named) = named {
            return Some(PressedKey::Named(named.command));
        }
        if *key == Key::Escape && !self.something_open {
            return Some(PressedKey::Escape);
        }
        let pin = PIN_KEYS.iter().position(|pin| pin == key && modifiers.matches_logically(Modifiers::NONE));
        pin.filter(|_| !self.typing).map(PressedKey::Pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_keys_belong_to_the_pinned_clips_alone() {
        for command in COMMANDS.iter().filter_map(|c| c.key).filter(|key| key.modifiers == Modifiers::NONE) {
            assert!(!PIN_KEYS.contains(&command.logical_key), "{command:?}");
        }
    }
}
