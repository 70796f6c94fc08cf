//! The panels of the window. Each reads the session and gives commands; what only concerns its appearance is its own.

mod clip;
mod compare;
mod compose;
mod draw;
mod keys;
mod lane;
mod lanes;
mod licences;
mod listening_test;
mod mixer;
mod model_menu;
mod models;
mod notifications;
mod palette;
mod problems;
mod sampling;
mod sound;
mod sound_curves;
mod spectrograms;
mod stacks;
mod statistics;
mod statistics_lane;
mod take_menus;
mod takes;
mod test_form;
mod token_map;
mod top_bar;
mod transport;
mod voice;
mod what_if;
mod words_lane;

use egui::{Align2, Context, Key, Ui, Vec2, Window};

use super::command::Commands;
use super::session::Session;
use super::shell::PanelRequest;

/// The place of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Top of the window.
    Top,
    /// Bottom of the window.
    Bottom,
    /// Left of the clip.
    Left,
    /// Right of the clip.
    Right,
    Centre,
    /// Below the clip, one of several tabs.
    Detail,
    /// Over everything, if there is something to show.
    Over,
}

pub(super) trait Panel {
    /// Its title, which identifies it.
    fn title(&self) -> &'static str;

    fn slot(&self) -> Slot;

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands);

    /// Does what is requested, if it is this panel's concern.
    fn on_request(&mut self, _request: &PanelRequest, _ctx: &Context, _session: &Session, _commands: &mut Commands) {}

    /// Whether it handles all keys for now.
    fn takes_keys(&self, _session: &Session) -> bool {
        false
    }

    /// Whether something of it is open that Escape closes.
    fn is_open(&self) -> bool {
        false
    }
}

/// A window in the middle, of at most `width` points; Escape closes it, unless a text field has the keyboard.
fn window_ui(ui: &Ui, title: &str, width: f32, open: &mut bool, add: impl FnOnce(&mut Ui)) {
    let ctx = ui.ctx().clone();
    if *open && !ctx.egui_wants_keyboard_input() && ui.input(|i| i.key_pressed(Key::Escape)) {
        *open = false;
    }
    let width = width.min(ctx.content_rect().width() - 64.0);
    let window = Window::new(title).open(open).collapsible(false).resizable(false);
    let window = window.anchor(Align2::CENTER_CENTER, Vec2::ZERO).default_size([width, window_height(ui)]);
    let shown = window.show(&ctx, |ui| {
        ui.set_width(width);
        add(ui);
    });
    // A window is placed by its size in the frame before.
    if shown.is_some_and(|shown| (shown.response.rect.center().x - ctx.content_rect().center().x).abs() > 1.0) {
        ctx.request_repaint();
    }
}

/// Greatest height of what a window scrolls.
fn window_height(ui: &Ui) -> f32 {
    ui.ctx().content_rect().height() * 0.8
}

/// Least height of the clip: its two lines of controls and its lanes.
pub(super) fn least_clip_height(session: &Session) -> f32 {
    const CONTROLS: f32 = 96.0;
    CONTROLS + lanes::least_height(session.comparison.pins.in_lanes().len(), session.inspector.view.curves)
}

/// All panels, in layout order. A new one is a file and a line here.
pub(super) fn panels() -> Vec<Box<dyn Panel>> {
    vec![
        Box::new(top_bar::TopBar::default()),
        Box::new(transport::Transport),
        Box::new(compose::Compose::default()),
        Box::new(takes::Takes::default()),
        Box::new(clip::ClipPanel::default()),
        Box::new(draw::DrawPanel::default()),
        Box::new(statistics::Statistics::default()),
        Box::new(problems::Problems::default()),
        Box::new(sound::SoundPanel::default()),
        Box::new(what_if::WhatIfPanel),
        Box::new(compare::Compare),
        Box::new(notifications::NotificationList),
        Box::new(keys::Keys::default()),
        Box::new(licences::Licences::default()),
        Box::new(models::ModelsPanel::default()),
        Box::new(palette::Palette::default()),
        Box::new(test_form::TestFormPanel),
        Box::new(listening_test::ListeningTestPanel::default()),
    ]
}
