//! Notifications over the window's lower right corner: they move nothing.

use egui::{Align2, Area, Frame, Id, Label, RichText, ScrollArea, Ui, vec2};

use super::{Panel, Slot};
use crate::studio::command::{Command, Commands};
use crate::studio::library::LibraryCommand;
use crate::studio::notifications::Cause;
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::theme::{Palette, icon};

/// Width of a notification.
const WIDTH: f32 = 320.0;
/// Largest share of the window's height that they cover.
const HEIGHT: f32 = 0.5;

pub(super) struct NotificationList;

impl Panel for NotificationList {
    fn title(&self) -> &'static str {
        "Notifications"
    }

    fn slot(&self) -> Slot {
        Slot::Over
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        notifications_ui(ui, session, commands);
    }
}

fn notifications_ui(ui: &Ui, session: &Session, commands: &mut Commands) {
    // In place of the clip it says why there is no model.
    let is_elsewhere = |cause| cause == Some(Cause::Model) && session.models.failure().is_some();
    let shown = session.notifications.all().iter().enumerate().filter(|(_, shown)| !is_elsewhere(shown.cause));
    if shown.clone().next().is_none() {
        return;
    }
    let corner = ui.max_rect().right_bottom() - vec2(8.0, 8.0);
    let area = Area::new(Id::unique("notifications")).pivot(Align2::RIGHT_BOTTOM).fixed_pos(corner);
    area.order(egui::Order::Foreground).show(ui.ctx(), |ui| {
        ui.set_width(WIDTH);
        let height = ui.ctx().content_rect().height() * HEIGHT;
        ScrollArea::vertical().max_height(height).min_scrolled_height(height).stick_to_bottom(true).show(ui, |ui| {
            for (n, notification) in shown {
                Frame::popup(ui.style()).show(ui, |ui| {
                    ui.set_width(WIDTH - 24.0);
                    let palette = Palette::of(ui.visuals());
                    let (sign, colour) = match notification.error {
                        true => (icon::ERROR, palette.error),
                        false => (icon::INFO, palette.accent),
                    };
                    let times =
                        if notification.count > 1 { format!(" (×{})", notification.count) } else { String::new() };
                    ui.horizontal_top(|ui| {
                        ui.label(RichText::new(sign).size(16.0).color(colour));
                        ui.add(Label::new(format!("{}{times}", sentence(&notification.text))).wrap());
                    });
                    ui.horizontal(|ui| {
                        if notification.cause == Some(Cause::UnwrittenTakes) {
                            if ui.small_button("Write again").clicked() {
                                commands.push(LibraryCommand::WriteAgain);
                            }
                            if ui.small_button("Write elsewhere…").clicked() {
                                commands.push(ShellCommand::Ask(Dialog::FolderOfTakes));
                            }
                        }
                        let dismiss = ui.small_button("Dismiss");
                        if dismiss.accessible_name(format!("Dismiss notification {}", n + 1)).clicked() {
                            commands.push(Command::Dismiss(n));
                        }
                        let copy = ui.small_button("Copy");
                        if copy.accessible_name(format!("Copy notification {}", n + 1)).clicked() {
                            ui.ctx().copy_text(notification.text.clone());
                        }
                    });
                });
            }
        });
    });
}

/// `text` with a capital letter, unless it begins with the name of a file.
fn sentence(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_word = first.trim_end_matches([':', ',', '.']).chars().all(char::is_alphabetic);
    let mut characters = text.chars();
    match characters.next().filter(|_| is_word) {
        Some(letter) => letter.to_uppercase().chain(characters).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_begins_with_a_capital() {
        assert_eq!(sentence("no end within 12 frames"), "No end within 12 frames");
        for same in ["voice.wav: 3 s", "/a/b: no folder", "Done", "3 takes", ""] {
            assert_eq!(sentence(same), same);
        }
    }
}
