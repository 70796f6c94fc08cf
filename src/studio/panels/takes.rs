//! The list of takes, as cards.

use std::collections::BTreeSet;
use std::rc::Rc;

use egui::{Align, Button, ComboBox, Context, Id, Key, Label, Layout, RichText, ScrollArea, Sense, TextEdit, Ui, vec2};

use super::take_menus::{again_menu_ui, export_menu_ui, test_menu_ui};
use super::{Panel, Slot};
use crate::data::{FinishReason, Mode};
use crate::studio::command::{Command, Commands};
use crate::studio::comparison::{ComparisonCommand, PinKey};
use crate::studio::inspector::InspectorCommand;
use crate::studio::library::{LibraryCommand, Outline, families};
use crate::studio::memo::Memo;
use crate::studio::session::Session;
use crate::studio::shell::{PanelRequest, ShellCommand};
use crate::studio::theme::{Palette, heading, icon, icon_button};
use crate::studio::voices::VoicesCommand;
use crate::takes::{Store, Take, TakeId};

/// Indentation per generation of takes that were made from others, and the most generations that are indented.
const INDENT: f32 = 14.0;
const DEEPEST: usize = 4;
/// Width of an outline.
const OUTLINE: f32 = 48.0;

/// The order of the takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// Newest first, and what was made from a take below it.
    #[default]
    Families,
    Newest,
    Oldest,
    Longest,
    Name,
}

impl Order {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Families, "Families"),
        (Self::Newest, "Newest"),
        (Self::Oldest, "Oldest"),
        (Self::Longest, "Longest"),
        (Self::Name, "Name"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which takes are shown, and how.
#[derive(Clone, Default, PartialEq)]
struct Query {
    search: String,
    favourites: bool,
    mode: Option<Mode>,
    order: Order,
}

/// Indices of takes in the store in the order of the list, with the generation of each.
type Rows = Rc<[(usize, usize)]>;

#[derive(Default)]
pub(super) struct Takes {
    query: Query,
    /// Matches of a query in a version of the store.
    found: Memo<(Query, u64), Rows>,
    /// Takes that are selected for a command on several.
    selected: BTreeSet<TakeId>,
    /// The take that was selected last: a range starts there.
    anchor: Option<TakeId>,
    renaming: Option<(TakeId, String)>,
    /// Whether the new name has yet to be focused and selected.
    rename_begins: bool,
    /// The take to scroll to.
    reveal: Option<TakeId>,
}

impl Panel for Takes {
    fn title(&self) -> &'static str {
        "Takes"
    }

    fn slot(&self) -> Slot {
        Slot::Right
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        ui.add_space(4.0);
        let found = self.found(session);
        self.header_ui(ui, session, found.len(), commands);
        let height = row_height(ui);
        let mut scroll = ScrollArea::vertical().auto_shrink(false);
        let row = |id: &TakeId| found.iter().position(|(n, _)| session.library.store.takes()[*n].id == *id);
        if let Some(row) = self.reveal.take().as_ref().and_then(row) {
            let pitch = height + ui.spacing().item_spacing.y;
            scroll = scroll.vertical_scroll_offset((row as f32 * pitch - ui.available_height() * 0.4).max(0.0));
        }
        scroll.show_rows(ui, height, found.len(), |ui, rows| {
            let takes = session.library.store.takes();
            let missing = session.library.without_outline(found[rows.clone()].iter().map(|(n, _)| &takes[*n].id));
            if !missing.is_empty() {
                commands.push(LibraryCommand::ReadOutlines(missing));
            }
            for (n, depth) in &found[rows] {
                let take = &takes[*n];
                // Exactly the height that rows are counted with, whatever is in it.
                let size = vec2(ui.available_width(), height);
                ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
                    ui.set_min_size(size);
                    ui.horizontal(|ui| {
                        ui.add_space(INDENT * (*depth).min(DEEPEST) as f32);
                        ui.vertical(|ui| self.card_ui(ui, take, &found, session, commands));
                    });
                });
            }
        });
    }

    fn on_request(&mut self, request: &PanelRequest, ctx: &Context, session: &Session, commands: &mut Commands) {
        match request {
            PanelRequest::SearchTakes => ctx.memory_mut(|m| m.request_focus(search_id())),
            PanelRequest::RenameTake => {
                let take = session.inspector.current.take.as_ref().and_then(|id| session.library.store.get(id));
                take.into_iter().for_each(|take| self.rename(take));
            }
            PanelRequest::DeleteTakes => {
                let takes: Vec<TakeId> = match self.selected.is_empty() {
                    true => session.inspector.current.take.iter().cloned().collect(),
                    false => std::mem::take(&mut self.selected).into_iter().collect(),
                };
                if !takes.is_empty() {
                    commands.push(LibraryCommand::Delete(takes));
                }
            }
            PanelRequest::NextTake => self.step(1, session, commands),
            PanelRequest::PreviousTake => self.step(-1, session, commands),
            PanelRequest::ShowTab(_)
            | PanelRequest::OpenTab(_)
            | PanelRequest::FocusPanel(_)
            | PanelRequest::ToggleKeys
            | PanelRequest::ToggleModels
            | PanelRequest::ToggleLicences
            | PanelRequest::ToggleSettings
            | PanelRequest::TogglePalette => {}
        }
    }

    fn is_open(&self) -> bool {
        self.renaming.is_some()
    }
}

fn search_id() -> Id {
    Id::unique("search takes")
}

/// Height of a card: a line of widgets and a line of small text.
fn row_height(ui: &Ui) -> f32 {
    let small = ui.text_style_height(&egui::TextStyle::Small);
    ui.spacing().interact_size.y + ui.spacing().item_spacing.y + small + 4.0
}

impl Query {
    /// The takes that it finds, in order.
    fn rows(&self, store: &Store) -> Rows {
        let takes = store.takes();
        let mut found = store.search(&self.search);
        found.retain(|n| {
            let take = &takes[*n];
            (!self.favourites || take.favourite) && self.mode.is_none_or(|m| take.sampling.is_some_and(|s| s.mode == m))
        });
        match self.order {
            Order::Families => return families(takes, &found).into(),
            Order::Newest => {}
            Order::Oldest => found.reverse(),
            Order::Longest => found.sort_by(|a, b| takes[*b].measures.seconds.total_cmp(&takes[*a].measures.seconds)),
            Order::Name => found.sort_by(|a, b| takes[*a].name.to_lowercase().cmp(&takes[*b].name.to_lowercase())),
        }
        found.into_iter().map(|n| (n, 0)).collect()
    }
}

impl Takes {
    /// The takes in the list.
    fn found(&mut self, session: &Session) -> Rows {
        let store = &session.library.store;
        self.found.get((self.query.clone(), store.version()), || self.query.rows(store)).clone()
    }

    /// Shows the take that is `by` rows further down.
    fn step(&mut self, by: isize, session: &Session, commands: &mut Commands) {
        let found = self.found(session);
        let id = |n: usize| session.library.store.takes()[found[n].0].id.clone();
        let current = session.inspector.current.take.as_ref();
        let row = current.and_then(|take| (0..found.len()).find(|n| id(*n) == *take));
        let next = row.map_or(0, |row| row.saturating_add_signed(by)).min(found.len().saturating_sub(1));
        if !found.is_empty() {
            self.reveal = Some(id(next));
            commands.push(InspectorCommand::View(id(next)));
        }
    }

    fn rename(&mut self, take: &Take) {
        self.renaming = Some((take.id.clone(), take.name.clone()));
        self.rename_begins = true;
    }

    fn header_ui(&mut self, ui: &mut Ui, session: &Session, found: usize, commands: &mut Commands) {
        let all = session.library.store.takes().len();
        self.selected.retain(|id| session.library.store.get(id).is_some());
        ui.horizontal(|ui| {
            ui.label(heading("TAKES"));
            let shown = if found == all { String::new() } else { format!("{found} of ") };
            ui.weak(format!("{shown}{all}"));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let undo = ui.add_enabled(session.library.store.can_undo(), Button::new("Undo delete").small());
                if undo.clicked() {
                    commands.push(LibraryCommand::UndoDelete);
                }
                ui.toggle_value(&mut self.query.favourites, icon::STAR)
                    .on_hover_text("Favourites only")
                    .accessible_name("Favourites only");
            });
        });
        let edit = TextEdit::singleline(&mut self.query.search)
            .id(search_id())
            .hint_text("Search")
            .desired_width(f32::INFINITY);
        ui.add(edit).accessible_name("Search takes");
        ui.horizontal(|ui| {
            let order = ComboBox::from_id_salt("order").width(80.0).selected_text(self.query.order.name());
            let shown = order.show_ui(ui, |ui| {
                for (order, name) in Order::ALL {
                    ui.selectable_value(&mut self.query.order, order, name);
                }
            });
            shown.response.accessible_name("Order of the takes");
            let mode = ComboBox::from_id_salt("mode")
                .width(80.0)
                .selected_text(self.query.mode.map_or("All modes", Mode::name));
            let shown = mode.show_ui(ui, |ui| {
                ui.selectable_value(&mut self.query.mode, None, "All modes");
                for info in Mode::all() {
                    ui.selectable_value(&mut self.query.mode, Some(info.mode), info.name);
                }
            });
            shown.response.accessible_name("Mode of the takes");
        });
        if self.selected.len() > 1 {
            ui.horizontal(|ui| {
                ui.label(format!("{} selected", self.selected.len()));
                if ui.button("Pin").on_hover_text("Compare them").clicked() {
                    let unpinned = self.selected.iter().filter(|id| session.comparison.pins.take(id).is_none());
                    unpinned.for_each(|id| commands.push(ComparisonCommand::TogglePin(id.clone())));
                }
                let clips: Vec<PinKey> = self.selected.iter().cloned().map(PinKey::Take).collect();
                ui.menu_button("Test ▼", |ui| test_menu_ui(ui, session, &clips, commands));
                if ui.button("Delete").on_hover_text("“Undo delete” restores them").clicked() {
                    commands.push(LibraryCommand::Delete(std::mem::take(&mut self.selected).into_iter().collect()));
                }
                if ui.button("✕").on_hover_text("Select none").accessible_name("Select none").clicked() {
                    self.selected.clear();
                }
            });
        }
    }

    fn card_ui(
        &mut self,
        ui: &mut Ui,
        take: &Take,
        found: &[(usize, usize)],
        session: &Session,
        commands: &mut Commands,
    ) {
        let is_current = session.inspector.current.take.as_ref() == Some(&take.id);
        ui.horizontal(|ui| {
            let play = ui.add(icon_button(icon::PLAY)).on_hover_text("Play");
            if play.accessible_name(format!("Play {}", take.name)).clicked() {
                commands.push(InspectorCommand::PlayTake(take.id.clone()));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let menu = ui
                    .menu_button(RichText::new(icon::MORE).size(16.0), |ui| self.menu_ui(ui, take, session, commands));
                menu.response.accessible_name(format!("Menu of {}", take.name));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    if self.renaming.as_ref().is_some_and(|(id, _)| *id == take.id) {
                        return self.rename_ui(ui, commands);
                    }
                    let name = if take.name.is_empty() { "(no name)" } else { &take.name };
                    let title = difference_from_parent(take, session).unwrap_or_else(|| name.to_owned());
                    let selected = is_current || self.selected.contains(&take.id);
                    let button = Button::selectable(selected, title)
                        .truncate()
                        .right_text("")
                        .min_size(vec2(ui.available_width(), 0.0));
                    let button = ui.add(button).on_hover_ui(|ui| details_ui(ui, take, session)).accessible_name(name);
                    if button.double_clicked() {
                        commands.push(InspectorCommand::PlayTake(take.id.clone()));
                    } else if button.clicked() {
                        let modifiers = ui.input(|i| i.modifiers);
                        self.select(take, found, session, modifiers, commands);
                    }
                    button.context_menu(|ui| self.menu_ui(ui, take, session, commands));
                });
            });
        });
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            let parent = take.parent.as_ref().filter(|id| session.library.store.get(id).is_some());
            if let Some(parent) = parent {
                let link = ui.link(RichText::new(icon::CHILD).small()).on_hover_text("The take it was made from");
                if link.accessible_name(format!("Parent of {}", take.name)).clicked() {
                    self.reveal = Some(parent.clone());
                    commands.push(InspectorCommand::View(parent.clone()));
                }
            }
            if let Some(sampling) = take.sampling {
                ui.label(RichText::new("●").small().color(Palette::of(ui.visuals()).mode(sampling.mode)));
            }
            let mut parts: Vec<String> = take.sampling.map(|s| s.mode.name().to_owned()).into_iter().collect();
            parts.push(format!("{:.1} s", take.measures.seconds));
            parts.extend((take.created > 0).then(|| time_of_day(take.created)));
            parts.push(voice_name(take, session));
            parts.extend(take.edited.then(|| "edited".to_owned()));
            let other = take.stop.filter(|stop| *stop != FinishReason::Eos);
            parts.extend(other.map(|stop| stop.badge().to_owned()));
            parts.extend(
                (!take.measures.issues.is_empty()).then(|| format!("{} {}", icon::WARNING, take.measures.issues.len())),
            );
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let palette = Palette::of(ui.visuals());
                let colour = if take.favourite { palette.warning } else { palette.before };
                let star = RichText::new(icon::STAR).size(14.0).color(colour);
                let star = ui.add(Button::new(star).frame_when_inactive(false)).on_hover_text("Favourite");
                if star.accessible_name(format!("Favourite {}", take.name)).clicked() {
                    commands.push(LibraryCommand::ToggleFavourite(take.id.clone()));
                }
                outline_ui(ui, session.library.outline(&take.id));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(RichText::new(parts.join(" · ")).small()).truncate());
                });
            });
        });
    }

    /// Selects a card: with Ctrl or Cmd one more, with Shift all up to it, otherwise only this one, which is shown.
    fn select(
        &mut self,
        take: &Take,
        found: &[(usize, usize)],
        session: &Session,
        modifiers: egui::Modifiers,
        commands: &mut Commands,
    ) {
        let id = |(n, _): &(usize, usize)| &session.library.store.takes()[*n].id;
        let row = |wanted: &TakeId| found.iter().position(|n| id(n) == wanted);
        if modifiers.shift
            && let Some(from) = self.anchor.as_ref().and_then(row)
            && let Some(to) = row(&take.id)
        {
            self.selected.extend(found[from.min(to)..=from.max(to)].iter().map(|n| id(n).clone()));
            return;
        }
        // A selection of several starts with the current take.
        if modifiers.command && self.selected.is_empty() {
            self.selected.extend(session.inspector.current.take.clone());
        }
        self.anchor = Some(take.id.clone());
        if modifiers.command {
            if !self.selected.remove(&take.id) {
                self.selected.insert(take.id.clone());
            }
        } else {
            self.selected.clear();
            commands.push(InspectorCommand::View(take.id.clone()));
        }
    }

    fn rename_ui(&mut self, ui: &mut Ui, commands: &mut Commands) {
        let Some((id, name)) = &mut self.renaming else { return };
        let mut edit = TextEdit::singleline(name).show(ui);
        let response = edit.response.response.clone().accessible_name("New name");
        if self.rename_begins {
            response.request_focus();
            let end = egui::text::CCursor::new(name.chars().count());
            edit.state.cursor.set_char_range(Some(egui::text::CCursorRange::two(egui::text::CCursor::new(0), end)));
            edit.state.store(ui.ctx(), response.id);
            self.rename_begins = false;
        } else if ui.input(|i| i.key_pressed(Key::Escape)) {
            self.renaming = None;
        } else if response.lost_focus() {
            commands.push(LibraryCommand::Rename { take: id.clone(), name: name.clone() });
            self.renaming = None;
        }
    }

    fn menu_ui(&mut self, ui: &mut Ui, take: &Take, session: &Session, commands: &mut Commands) {
        let id = || take.id.clone();
        let pinned = session.comparison.pins.take(&take.id).is_some();
        let mut entry = |ui: &mut Ui, text: &str, command: Command| {
            if ui.button(text).clicked() {
                commands.push(command);
                ui.close();
            }
        };
        entry(ui, if pinned { "Unpin" } else { "Pin to compare" }, ComparisonCommand::TogglePin(id()).into());
        if let Some(sampling) = take.sampling {
            entry(ui, "Copy the seed", ShellCommand::copy_seed(sampling.seed).into());
        }
        entry(ui, "Save as a voice", VoicesCommand::SaveTake(id()).into());
        entry(ui, "Show in folder", ShellCommand::Reveal(session.library.store.path(&take.id)).into());
        ui.menu_button("Again", |ui| again_menu_ui(ui, &take.id, commands));
        ui.menu_button("Export", |ui| export_menu_ui(ui, &take.id, commands));
        ui.separator();
        if ui.button("Rename").clicked() {
            self.rename(take);
            ui.close();
        }
        if ui.button("Delete").clicked() {
            commands.push(LibraryCommand::Delete(vec![id()]));
            ui.close();
        }
    }
}

/// The outline of a take, or its space until it is read.
fn outline_ui(ui: &mut Ui, outline: Option<&Outline>) {
    let (rect, _) =
        ui.allocate_exact_size(vec2(OUTLINE, ui.text_style_height(&egui::TextStyle::Small)), Sense::hover());
    let Some(outline) = outline else { return };
    let colour = ui.visuals().weak_text_color();
    let width = rect.width() / outline.len().max(1) as f32;
    let mut mesh = egui::Mesh::default();
    for (n, value) in outline.iter().enumerate() {
        let half = (value * rect.height() * 0.5).max(0.5);
        let left = rect.left() + n as f32 * width;
        let y = rect.center().y - half..=rect.center().y + half;
        mesh.add_colored_rect(egui::Rect::from_x_y_ranges(left..=left + width, y), colour);
    }
    ui.painter().add(mesh);
}

/// The difference between a take and its parent, if their names do not say it.
fn difference_from_parent(take: &Take, session: &Session) -> Option<String> {
    let parent = session.library.store.get(take.parent.as_ref()?).filter(|parent| parent.name == take.name)?;
    if let Some(seam) = take.measures.seam {
        return Some(format!("word {:+.1} bits", seam.bits));
    }
    let (own, its) = (take.sampling?, parent.sampling?);
    if own.mode != its.mode {
        Some(own.mode.name().to_owned())
    } else if (own.codebook0, own.depth, own.guard) != (its.codebook0, its.depth, its.guard) {
        Some(own.summary())
    } else if own.seed != its.seed {
        Some(format!("seed {}", own.seed))
    } else {
        take.edited.then(|| "edited".to_owned())
    }
}

/// The name of the voice of a take.
fn voice_name(take: &Take, session: &Session) -> String {
    let voice = session.models.info().and_then(|m| m.voices.iter().find(|v| v.speaker == take.speaker).cloned());
    voice.map_or_else(|| format!("speaker {}", take.speaker), |voice| voice.name)
}

/// Details of a take that its card has no room for.
fn details_ui(ui: &mut Ui, take: &Take, session: &Session) {
    ui.set_max_width(360.0);
    ui.label(&take.text);
    let mut lines = Vec::new();
    lines.extend(take.sampling.map(|s| format!("{}, {}", s.summary(), s.precision.name())));
    let stop = take.stop.map_or("unknown end", FinishReason::describe);
    let measures = &take.measures;
    lines.push(format!("{} frames, {:.2} s, {stop}", measures.frames, measures.seconds));
    lines.extend(
        (measures.real_time_factor > 0.0).then(|| format!("real-time factor {:.2}", measures.real_time_factor)),
    );
    lines.extend(
        measures
            .seam
            .map(|seam| format!("a word changed; its joints cost {:+.1} bits more than the originals", seam.bits)),
    );
    lines.extend(measures.issues.iter().map(|issue| format!("⚠ {}", issue.describe())));
    let voice = session.models.info().and_then(|m| m.voices.iter().find(|v| v.speaker == take.speaker).cloned());
    lines.push(voice.map_or(format!("speaker {}", take.speaker), |v| format!("speaker {} ({})", take.speaker, v.name)));
    lines.extend(take.model.as_ref().map(|model| format!("made by {}", model.name)));
    let parent = take.parent.as_ref().and_then(|id| session.library.store.get(id));
    lines.extend(parent.map(|parent| format!("made from “{}”", parent.name)));
    lines.push(date(take.created));
    lines.into_iter().for_each(|line| drop(ui.small(line)));
}

/// Hours and minutes in the user's time zone.
fn time_of_day(seconds: u64) -> String {
    local(seconds, "%H:%M")
}

/// Date and time in the user's time zone.
fn date(seconds: u64) -> String {
    local(seconds, "%Y-%m-%d %H:%M")
}

fn local(seconds: u64, format: &str) -> String {
    let time = jiff::Timestamp::from_second(seconds.try_into().unwrap_or(i64::MAX));
    time.map_or(String::new(), |time| time.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime(format).to_string())
}
