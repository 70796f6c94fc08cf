//! Which codebooks are played: mute, solo and the first ones, in the margin of the token map.

use egui::{Align2, FontId, Rect, Sense, Ui, pos2, vec2};

use super::lane::{Lane, MARGIN};
use crate::studio::command::Commands;
use crate::studio::monitor::{CodebookMixer, MonitorCommand};
use crate::studio::session::Session;

/// The bar between the margin and the map: as long as the leading codebooks that are played; dragging changes their number.
fn first_codebooks_ui(ui: &Ui, lane: Lane, session: &Session, all: usize) -> Option<CodebookMixer> {
    let right = lane.rect.left() - MARGIN + 42.0;
    let bar = Rect::from_x_y_ranges(right - 4.0..=right, lane.rect.y_range());
    let response =
        ui.interact(bar.expand2(vec2(1.0, 0.0)), ui.scope_id().with("first codebooks"), Sense::click_and_drag());
    let played = session.monitor.mixer.leading(all);
    response.widget_info(|| egui::WidgetInfo::slider(true, played as f64, "First codebooks that are played"));
    let response = response
        .on_hover_text("Drag to play only the first codebooks")
        .on_hover_cursor(egui::CursorIcon::ResizeVertical);
    ui.painter().rect_filled(bar, 1.0, ui.visuals().extreme_bg_color);
    let length = bar.height() * played as f32 / all as f32;
    let visuals = ui.style().interact(&response);
    ui.painter().rect_filled(
        Rect::from_min_size(bar.min, vec2(bar.width(), length)),
        1.0,
        visuals.fg_stroke.color.gamma_multiply(0.6),
    );
    let keys = |key| response.has_focus() && ui.input(|i| i.key_pressed(key));
    let wanted = match response.interact_pointer_pos() {
        Some(p) if response.clicked() || response.dragged() => {
            ((p.y - bar.top()) / bar.height() * all as f32).ceil().clamp(1.0, all as f32) as usize
        }
        _ if keys(egui::Key::Minus) => played.saturating_sub(1).max(1),
        _ if keys(egui::Key::Plus) => (played + 1).min(all),
        _ => played,
    };
    (wanted != played).then(|| CodebookMixer::first(wanted, all))
}

/// Mute and solo of every codebook, in the margin of the map; a menu where the rows are too low for buttons.
pub(super) fn mixer_ui(ui: &mut Ui, lane: Lane, session: &Session, commands: &mut Commands) {
    /// Height of a row below which it has no buttons.
    const LEAST_ROW: f32 = 14.0;
    let all = session.inspector.current.clip.codes.codebooks();
    if all == 0 {
        return;
    }
    let row = lane.rect.height() / all as f32;
    let mut mixer = session.monitor.mixer.clone();
    if row < LEAST_ROW {
        let at = Rect::from_min_size(pos2(lane.rect.left() - MARGIN + 2.0, lane.rect.top()), vec2(34.0, 22.0));
        let menu = egui::containers::menu::MenuButton::from_button(
            egui::Button::new(egui::RichText::new("M/S").small()).wrap_mode(egui::TextWrapMode::Extend),
        );
        let menu = menu.config(
            egui::containers::menu::MenuConfig::new().close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside),
        );
        // A separate child takes no room from the lanes below.
        let mut child = ui.new_child(egui::UiBuilder::new().max_rect(at));
        let (button, _) = menu.ui(&mut child, |ui| mixer_menu_ui(ui, &mut mixer, all));
        button.on_hover_text("Mute and solo codebooks").accessible_name("Mute and solo codebooks");
    } else {
        for codebook in 0..all {
            let middle = lane.rect.top() + (codebook as f32 + 0.5) * row;
            let left = lane.rect.left() - MARGIN + 11.5;
            let size = vec2(15.0, row.min(18.0) - 1.0);
            let rects = [0.0, 17.0].map(|at| Rect::from_center_size(pos2(left + at, middle), size));
            switches_ui(ui, &mut mixer, codebook, rects);
        }
    }
    let changed = first_codebooks_ui(ui, lane, session, all).or((mixer != session.monitor.mixer).then_some(mixer));
    changed.into_iter().for_each(|mixer| commands.push(MonitorCommand::SetMixer(mixer)));
}

/// Switches of all codebooks.
fn mixer_menu_ui(ui: &mut Ui, mixer: &mut CodebookMixer, all: usize) {
    const COLUMNS: usize = 4;
    ui.horizontal(|ui| {
        if ui.button("All").clicked() {
            *mixer = CodebookMixer::default();
        }
        for first in [1, 4, 8, 16].into_iter().filter(|first| *first < all) {
            if ui.button(format!("First {first}")).clicked() {
                *mixer = CodebookMixer::first(first, all);
            }
        }
    });
    let rows = all.div_ceil(COLUMNS);
    egui::Grid::new("codebook switches").spacing([14.0, 4.0]).show(ui, |ui| {
        for row in 0..rows {
            for codebook in (row..all).step_by(rows) {
                ui.horizontal(|ui| {
                    let (number, _) = ui.allocate_exact_size(vec2(22.0, 24.0), Sense::hover());
                    let colour = ui.visuals().text_color();
                    ui.painter().text(
                        number.right_center(),
                        Align2::RIGHT_CENTER,
                        codebook,
                        FontId::proportional(12.0),
                        colour,
                    );
                    let rects = [(); 2].map(|()| ui.allocate_exact_size(vec2(24.0, 24.0), Sense::hover()).0);
                    switches_ui(ui, mixer, codebook, rects);
                });
            }
            ui.end_row();
        }
    });
}

/// Mute and solo of a codebook, in these two places.
fn switches_ui(ui: &Ui, mixer: &mut CodebookMixer, codebook: usize, rects: [Rect; 2]) {
    for (rect, (letter, what)) in rects.into_iter().zip([("M", "Mute"), ("S", "Solo")]) {
        let is_mute = letter == "M";
        let on = if is_mute { mixer.is_muted(codebook) } else { mixer.is_solo(codebook) };
        let response = ui.interact(rect, ui.scope_id().with((letter, codebook)), Sense::click());
        let name = format!("{what} codebook {codebook}");
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, on, &name));
        let visuals = ui.style().interact_selectable(&response, on);
        if on || response.hovered() || response.has_focus() {
            ui.painter().rect_filled(rect, 2.0, visuals.bg_fill);
        }
        let colour = if on { visuals.text_color() } else { ui.visuals().weak_text_color() };
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, letter, FontId::proportional(10.0), colour);
        if response.on_hover_text(name).clicked() {
            if is_mute {
                mixer.toggle_mute(codebook);
            } else {
                mixer.toggle_solo(codebook);
            }
        }
    }
}
