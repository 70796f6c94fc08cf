//! Keys that are commands.

use egui::{Context, Key, KeyboardShortcut, Modifiers};

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
            // What is made ends first, then what is played.
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

/// Takes the keys that are commands, before a text field sees them. Their commands run after the frame: text that was typed before
/// such a key may come in the same frame, and is part of what is spoken.
pub(super) fn take_keys(ctx: &Context, panels: &[Box<dyn Panel>], session: &Session) -> Vec<PressedKey> {
    let mut pressed = Vec::new();
    if panels.iter().any(|panel| panel.takes_keys(session)) {
        return pressed;
    }
    // Escape closes what is open before it stops anything.
    let something_open = egui::Popup::is_any_open(ctx) || panels.iter().any(|panel| panel.is_open());
    let typing = ctx.text_edit_focused();
    // A focused button or slider takes the keys that operate it, and no others.
    let focused = ctx.egui_wants_keyboard_input();
    ctx.input_mut(|i| {
        for named in COMMANDS {
            if let Some(key) = named.key
                && if typing { named.works_in_text() } else { !focused || !named.operates_widgets() }
                && (i.consume_shortcut(&key) || i.consume_shortcut(&as_on_a_laptop(key)))
            {
                pressed.push(PressedKey::Named(named.command));
            }
        }
        if i.key_pressed(Key::Escape) && !something_open {
            pressed.push(PressedKey::Escape);
        }
        for (n, key) in PIN_KEYS.into_iter().enumerate() {
            if !typing && i.consume_key(Modifiers::NONE, key) {
                pressed.push(PressedKey::Pinned(n));
            }
        }
    });
    pressed
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
