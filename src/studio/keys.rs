//! Keys that are commands.

use egui::{Context, Event, Key, KeyboardShortcut, Modifiers};

use super::command::{COMMANDS, Command};
use super::composer::ComposerCommand;
use super::monitor::{MonitorCommand, PlaybackSource};
use super::panels::Panel;
use super::session::Session;
use super::shell::{PanelRequest, ShellCommand};

/// Keys of the pinned clips, in their order.
const PIN_KEYS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// A key that was pressed and is a command.
pub(super) enum PressedKey {
    /// In the table of commands.
    Named(fn(&Session) -> Option<Command>),
    /// Shows the commands, with what was typed after the key in the same frame.
    Palette(String),
    /// Switches to this pinned clip.
    Pinned(usize),
    Escape,
}

impl PressedKey {
    /// The command of the key; `None` if there is nothing to do it with.
    pub(super) fn command(&self, session: &Session) -> Option<Command> {
        match self {
            Self::Named(command) => command(session),
            Self::Palette(text) => Some(ShellCommand::Request(PanelRequest::SearchCommands(text.clone())).into()),
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
    let palette_open = panels.iter().any(|panel| panel.title() == PALETTE && panel.is_open());
    ctx.input_mut(|i| {
        if !palette_open && let Some(text) = take_palette_text(&mut i.events) {
            pressed.push(PressedKey::Palette(text));
        }
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

/// Title of the palette, whose key is taken with what is typed after it.
const PALETTE: &str = "Commands";

/// If the palette's key was pressed: what was typed after it in the same frame, which is meant for the palette and taken from `events`. In
/// a slow frame it would go to the field that has the focus.
fn take_palette_text(events: &mut Vec<Event>) -> Option<String> {
    let key = COMMANDS.iter().find(|command| command.title == PALETTE)?.key?;
    let is_key = |event: &Event| {
        matches!(event, Event::Key { key: pressed, pressed: true, modifiers, .. }
            if *pressed == key.logical_key && modifiers.matches_logically(key.modifiers))
    };
    let at = events.iter().position(is_key)?;
    let after: Vec<Event> = events.drain(at..).collect();
    let mut text = String::new();
    for event in after {
        match event {
            Event::Text(typed) => text += &typed,
            Event::Key { pressed: true, .. } => {}
            other => events.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_after_the_palettes_key_is_the_palettes() {
        let key = |key: Key, modifiers: Modifiers| Event::Key {
            key,
            physical_key: None,
            pressed: true,
            repeat: false,
            modifiers,
        };
        let mut events = vec![
            Event::Text("so".into()),
            key(Key::K, Modifiers::COMMAND),
            key(Key::N, Modifiers::NONE),
            Event::Text("next".into()),
            key(Key::Enter, Modifiers::NONE),
            Event::PointerGone,
        ];
        assert_eq!(take_palette_text(&mut events).as_deref(), Some("next"));
        assert_eq!(events, [Event::Text("so".into()), Event::PointerGone]);
        assert_eq!(take_palette_text(&mut events), None);
    }

    #[test]
    fn number_keys_belong_to_the_pinned_clips_alone() {
        for command in COMMANDS.iter().filter_map(|c| c.key).filter(|key| key.modifiers == Modifiers::NONE) {
            assert!(!PIN_KEYS.contains(&command.logical_key), "{command:?}");
        }
    }
}
