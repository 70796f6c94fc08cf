//! The layout of the window: which panels are visible, and where.

use egui::containers::menu::MenuButton;
use egui::{Button, TextStyle, TextWrapMode, Ui, WidgetText};

use super::command::Commands;
use super::panels::{Panel, Slot, least_clip_height};
use super::session::Session;
use super::theme::icon;

/// Height of the panel below the clip.
const DETAIL: f32 = 264.0;
/// Its share of a low window, and its least height; without room for that it alternates with the clip.
const DETAIL_SHARE: f32 = 0.36;
const LEAST_DETAIL: f32 = 150.0;
/// Width of the window below which only one panel stands next to the clip.
const NARROW: f32 = 860.0;

/// Tab of the clip in a low window.
const CLIP: &str = "Clip";

pub(super) struct Layout {
    /// Title of the panel below the clip.
    detail: &'static str,
    /// Whether a low window shows it instead of the clip.
    detail_alone: bool,
    /// Whether a narrow window shows the takes instead of the composer.
    takes_at_left: bool,
    /// The place that was focused last.
    focused: usize,
    /// Whether the first widget of that place is to be focused.
    focus: bool,
}

/// Places that can be focused, in their order.
const PLACES: [Slot; 6] = [Slot::Top, Slot::Left, Slot::Centre, Slot::Detail, Slot::Right, Slot::Bottom];

/// Panels to draw, and the commands they return.
pub(super) struct Frame<'a> {
    pub(super) panels: &'a mut [Box<dyn Panel>],
    pub(super) session: &'a Session,
    pub(super) commands: &'a mut Commands,
}

impl Frame<'_> {
    fn slot_ui(&mut self, slot: Slot, ui: &mut Ui) {
        for panel in self.panels.iter_mut().filter(|panel| panel.slot() == slot) {
            panel.ui(ui, self.session, self.commands);
        }
    }
}

impl Layout {
    /// The first layout of these panels.
    pub(super) fn new(panels: &[Box<dyn Panel>]) -> Self {
        let detail = panels.iter().find(|panel| panel.slot() == Slot::Detail).map_or("", |panel| panel.title());
        Self { detail, detail_alone: false, takes_at_left: false, focused: 0, focus: false }
    }

    /// Shows a panel in its tab; in a low window instead of the clip, if `alone`.
    pub(super) fn show_tab(&mut self, title: &'static str, alone: bool) {
        self.detail = title;
        self.detail_alone |= alone;
    }

    /// Focuses the next place of the window, or the one before.
    pub(super) fn focus_place(&mut self, by: i32) {
        self.focused = (self.focused as i32 + by).rem_euclid(PLACES.len() as i32) as usize;
        self.focus = true;
    }

    /// Draws what is in `slot`, and focuses its first widget if that was asked for: egui focuses the next widget that is drawn.
    fn place_ui(&mut self, slot: Slot, ui: &mut Ui, draw: impl FnOnce(&mut Self, &mut Ui)) {
        if self.focus && PLACES[self.focused] == slot {
            self.focus = false;
            ui.memory_mut(|memory| {
                memory.focused().into_iter().for_each(|id| memory.surrender_focus(id));
                memory.move_focus(egui::FocusDirection::Next);
            });
        }
        draw(self, ui);
    }

    pub(super) fn ui(&mut self, ui: &mut Ui, frame: &mut Frame<'_>) {
        egui::Panel::top("bar").show(ui, |ui| self.place_ui(Slot::Top, ui, |_, ui| frame.slot_ui(Slot::Top, ui)));
        egui::Panel::bottom("transport")
            .show(ui, |ui| self.place_ui(Slot::Bottom, ui, |_, ui| frame.slot_ui(Slot::Bottom, ui)));
        let above_transport = ui.available_rect_before_wrap();
        self.sides_ui(ui, frame);
        egui::CentralPanel::no_frame().show(ui, |ui| self.centre_ui(ui, frame));
        let over = egui::UiBuilder::new().max_rect(above_transport);
        ui.scope_builder(over, |ui| frame.slot_ui(Slot::Over, ui));
    }

    /// The panels next to the clip: composer and takes, or one of them in a narrow window.
    fn sides_ui(&mut self, ui: &mut Ui, frame: &mut Frame<'_>) {
        let width = ui.ctx().content_rect().width();
        let narrow = width < NARROW;
        let left = egui::Panel::left("compose").default_size(312.0).max_size(width * 0.45);
        left.show(ui, |ui| {
            if narrow {
                ui.horizontal(|ui| {
                    ui.selectable_value(&mut self.takes_at_left, false, "Compose");
                    ui.selectable_value(&mut self.takes_at_left, true, "Takes");
                });
            }
            let slot = if narrow && self.takes_at_left { Slot::Right } else { Slot::Left };
            self.place_ui(slot, ui, |_, ui| frame.slot_ui(slot, ui));
        });
        if !narrow {
            let right = egui::Panel::right("takes").default_size(280.0).max_size(width * 0.4);
            right.show(ui, |ui| self.place_ui(Slot::Right, ui, |_, ui| frame.slot_ui(Slot::Right, ui)));
        }
    }

    /// The clip, and one of the panels about it below.
    fn centre_ui(&mut self, ui: &mut Ui, frame: &mut Frame<'_>) {
        if frame.session.models.info().is_none() {
            egui::CentralPanel::default().show(ui, |ui| frame.slot_ui(Slot::Centre, ui));
            return;
        }
        let room = ui.available_height() - least_clip_height(frame.session);
        if room < LEAST_DETAIL {
            egui::CentralPanel::default().show(ui, |ui| self.low_centre_ui(ui, frame));
            return;
        }
        let height = DETAIL.max(0.28 * ui.available_height()).min(ui.available_height() * DETAIL_SHARE);
        let detail = egui::Panel::bottom("detail").resizable(true).default_size(height);
        // However large it was made in a higher window, the clip keeps the room that its lanes need.
        detail.min_size(LEAST_DETAIL).max_size(room).show(ui, |ui| {
            self.place_ui(Slot::Detail, ui, |layout, ui| {
                let tabs = detail_titles(frame);
                if let Some(title) = ui.horizontal(|ui| tabs_ui(ui, &tabs, layout.detail)).inner {
                    layout.detail = title;
                }
                layout.detail_ui(ui, frame);
            });
        });
        egui::CentralPanel::default()
            .show(ui, |ui| self.place_ui(Slot::Centre, ui, |_, ui| frame.slot_ui(Slot::Centre, ui)));
    }

    /// In a low window the clip and the panels about it take turns.
    fn low_centre_ui(&mut self, ui: &mut Ui, frame: &mut Frame<'_>) {
        let mut tabs = detail_titles(frame);
        tabs.insert(0, CLIP);
        let shown = if self.detail_alone { self.detail } else { CLIP };
        if let Some(title) = ui.horizontal(|ui| tabs_ui(ui, &tabs, shown)).inner {
            self.detail_alone = title != CLIP;
            if self.detail_alone {
                self.detail = title;
            }
        }
        if self.detail_alone { self.detail_ui(ui, frame) } else { frame.slot_ui(Slot::Centre, ui) }
    }

    fn detail_ui(&self, ui: &mut Ui, frame: &mut Frame<'_>) {
        let shown = frame.panels.iter_mut().find(|panel| panel.title() == self.detail);
        shown.into_iter().for_each(|panel| panel.ui(ui, frame.session, frame.commands));
        ui.take_available_space();
    }
}

/// Titles of the panels about the clip.
fn detail_titles(frame: &Frame<'_>) -> Vec<&'static str> {
    frame.panels.iter().filter(|panel| panel.slot() == Slot::Detail).map(|panel| panel.title()).collect()
}

/// A row of tabs, of which `shown` is selected; those without room are in a menu at its end. Returns the one that was clicked.
fn tabs_ui(ui: &mut Ui, titles: &[&'static str], shown: &str) -> Option<&'static str> {
    let (padding, gap) = (ui.spacing().button_padding.x, ui.spacing().item_spacing.x);
    let width = |ui: &Ui, text: &str| {
        let galley =
            WidgetText::from(text).into_galley(ui, Some(TextWrapMode::Extend), f32::INFINITY, TextStyle::Button);
        galley.size().x + 2.0 * padding + gap
    };
    let menu_title = |title: &str| format!("{title} {}", icon::MENU);
    let widths: Vec<f32> = titles.iter().map(|title| width(ui, title)).collect();
    let available = ui.available_width() + gap;
    let mut visible = titles.len();
    if widths.iter().sum::<f32>() > available {
        let menu = titles.iter().chain(&["More"]).map(|title| width(ui, &menu_title(title))).fold(0.0, f32::max);
        let ends = widths.iter().scan(menu, |end, width| {
            *end += width;
            Some(*end)
        });
        visible = ends.take_while(|end| *end <= available).count();
    }
    let mut clicked = None;
    let mut tab = |ui: &mut Ui, title: &'static str| {
        if ui.selectable_label(title == shown, title).clicked() {
            clicked = Some(title);
            ui.close();
        }
    };
    titles[..visible].iter().for_each(|title| tab(ui, title));
    if visible < titles.len() {
        let hidden = &titles[visible..];
        let selected = hidden.iter().find(|title| **title == shown);
        let button = Button::new(menu_title(selected.unwrap_or(&"More"))).selected(selected.is_some());
        let (response, _) = MenuButton::from_button(button).ui(ui, |ui| hidden.iter().for_each(|title| tab(ui, title)));
        response.accessible_name("More panels");
    }
    clicked
}
