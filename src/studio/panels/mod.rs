//! The panels of the window. Each draws plain data and returns commands; what only concerns how it looks is its own.

mod candidates;
mod clip;
mod compare;
mod compose;
mod keys;
mod lane;
mod lanes;
mod listening_test;
mod model_menu;
mod notifications;
mod palette;
mod problems;
mod sound;
mod spectrograms;
mod statistics;
mod take_menus;
mod takes;
mod token_map;
mod top_bar;
mod transport;
mod what_if;

use egui::{Context, Ui};

use super::command::{Ask, Command};
use super::session::Session;

/// Where a panel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// At the top.
    Top,
    /// At the bottom.
    Bottom,
    /// At the left.
    Left,
    /// At the right.
    Right,
    /// In the middle.
    Centre,
    /// Below the middle, one of several.
    Detail,
    /// Over everything, where there is something to show.
    Over,
}

/// A panel.
pub(super) trait Panel {
    /// Its name.
    fn title(&self) -> &'static str;

    /// Where it is.
    fn slot(&self) -> Slot;

    /// Draws it.
    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Vec<Command>);

    /// Does what is asked, if that is its concern.
    fn asked(&mut self, _ask: &Ask, _ctx: &Context, _session: &Session, _commands: &mut Vec<Command>) {}

    /// Whether all keys are its own for now.
    fn takes_keys(&self, _session: &Session) -> bool {
        false
    }

    /// Whether it has something open that Escape closes.
    fn is_open(&self) -> bool {
        false
    }
}

/// Height that the clip needs at least in the middle: its two lines of controls and its lanes.
pub(super) fn least_clip_height(session: &Session) -> f32 {
    const CONTROLS: f32 = 76.0;
    CONTROLS + lanes::least_height(session.pins.in_lanes().len())
}

/// All panels, in the order in which they are laid out. A new one is a file and a line here.
pub(super) fn panels() -> Vec<Box<dyn Panel>> {
    vec![
        Box::new(top_bar::TopBar),
        Box::new(transport::Transport::default()),
        Box::new(compose::Compose::default()),
        Box::new(takes::Takes::default()),
        Box::new(clip::Clip::default()),
        Box::new(candidates::Candidates),
        Box::new(statistics::Statistics::default()),
        Box::new(problems::Problems::default()),
        Box::new(sound::Sound::default()),
        Box::new(what_if::WhatIf),
        Box::new(compare::Compare::default()),
        Box::new(notifications::NotificationList),
        Box::new(keys::Keys::default()),
        Box::new(palette::Palette::default()),
        Box::new(listening_test::ListeningTestPanel::default()),
    ]
}
