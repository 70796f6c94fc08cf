//! Input in the order in which it came, however slow the frames are.

use std::collections::VecDeque;

use egui::{Context, Event, Key, RawInput};

use super::command::is_function_key;

/// Gives egui the events of a frame in parts, where their order matters. egui handles all events of a frame at once: what was typed
/// before or after a key that moves the focus would go to a field that does not have it any more or does not have it yet. So such a key
/// comes in a frame without text, and nothing comes in the frame after it, in which panels move the focus.
#[derive(Default)]
pub(super) struct InputOrder {
    waiting: VecDeque<Event>,
    /// Whether the frame before had a key that may move the focus.
    focus_moves: bool,
}

impl InputOrder {
    /// The events for the next frame, when `new` ones have come.
    fn next_frame(&mut self, new: Vec<Event>) -> Vec<Event> {
        for event in new {
            // A key that is held down does not queue up.
            if !(may_move_focus(&event) && self.waiting.back() == Some(&event)) {
                self.waiting.push_back(event);
            }
        }
        if std::mem::take(&mut self.focus_moves) {
            return Vec::new();
        }
        let end = match self.waiting.iter().position(may_move_focus) {
            None => self.waiting.len(),
            Some(key) if self.waiting.iter().take(key).any(is_entered) => key,
            Some(key) => {
                self.focus_moves = true;
                key + 1
            }
        };
        self.waiting.drain(..end).collect()
    }
}

impl egui::Plugin for InputOrder {
    fn debug_name(&self) -> &'static str {
        "input order"
    }

    fn input_hook(&mut self, ctx: &Context, input: &mut RawInput) {
        input.events = self.next_frame(std::mem::take(&mut input.events));
        if !self.waiting.is_empty() {
            ctx.request_repaint();
        }
    }
}

/// Whether it is a key that may move the focus, itself or by the command that it runs.
fn may_move_focus(event: &Event) -> bool {
    let Event::Key { key, pressed: true, modifiers, .. } = event else { return false };
    let moves = matches!(key, Key::Tab | Key::Enter | Key::Escape) || is_function_key(*key);
    moves || modifiers.command || modifiers.ctrl
}

/// Whether it changes a text or presses something.
fn is_entered(event: &Event) -> bool {
    match event {
        Event::Key { pressed, .. } | Event::PointerButton { pressed, .. } => *pressed,
        Event::Text(_) | Event::Paste(_) | Event::Cut | Event::Copy | Event::Ime(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use egui::Modifiers;

    use super::*;

    fn key(key: Key, modifiers: Modifiers, pressed: bool) -> Event {
        Event::Key { key, physical_key: None, pressed, repeat: false, modifiers }
    }

    #[test]
    fn keys_that_move_the_focus_come_alone() {
        let (text, more) = (Event::Text("so".into()), Event::Text("next".into()));
        let palette = key(Key::K, Modifiers::COMMAND, true);
        let tab = key(Key::Tab, Modifiers::NONE, true);
        let mut order = InputOrder::default();
        let all = vec![text.clone(), palette.clone(), more.clone(), Event::PointerGone, tab.clone()];
        assert_eq!(order.next_frame(all), vec![text.clone()]);
        assert_eq!(order.next_frame(Vec::new()), vec![palette]);
        assert_eq!(order.next_frame(vec![text.clone()]), Vec::new());
        assert_eq!(order.next_frame(Vec::new()), vec![more.clone(), Event::PointerGone]);
        assert_eq!(order.next_frame(Vec::new()), vec![tab]);
        assert_eq!(order.next_frame(Vec::new()), Vec::new());
        assert_eq!(order.next_frame(Vec::new()), vec![text.clone()]);
        // Without such a key everything comes at once.
        let all = vec![text, key(Key::ArrowRight, Modifiers::NONE, true), Event::PointerGone, more];
        assert_eq!(order.next_frame(all.clone()), all);
    }

    #[test]
    fn a_key_that_is_held_down_does_not_queue_up() {
        let tab = key(Key::Tab, Modifiers::NONE, true);
        let up = key(Key::Tab, Modifiers::NONE, false);
        let mut order = InputOrder::default();
        let mut frames = vec![order.next_frame(vec![tab.clone(), tab.clone(), tab.clone(), up.clone(), tab.clone()])];
        while !order.waiting.is_empty() {
            frames.push(order.next_frame(Vec::new()));
        }
        assert_eq!(frames, [vec![tab.clone()], vec![], vec![up, tab]]);
    }
}
