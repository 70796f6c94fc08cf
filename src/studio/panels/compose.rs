//! The compose panel: conversation, voice prompt, sampling settings.

use std::collections::HashMap;
use std::ops::Range;

use egui::containers::menu::MenuButton;
use egui::text::{LayoutJob, TextFormat};
use egui::{Button, ComboBox, DragValue, Id, RichText, TextEdit, Ui, vec2};

use super::sampling::{SamplingControls, sampling_ui};
use super::voice::voice_prompt_ui;
use super::{Panel, Slot};
use crate::studio::command::{Command, Commands, VARIANTS, key_of};
use crate::studio::composer::{Composer, ComposerCommand, TurnDraft, TurnId};
use crate::studio::library::Export;
use crate::studio::memo::Memo;
use crate::studio::preferences::PreferencesCommand;
use crate::studio::session::Session;
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::theme::{Palette, icon, semibold};
use crate::text::expected_seconds;

/// Least and most visible lines of a turn's text.
const ROWS: (usize, usize) = (3, 8);

#[derive(Default)]
pub(super) struct Compose {
    sampling: SamplingControls,
    /// The name that is being typed for a voice.
    voice: String,
    /// The turn whose text was focused last.
    focused: Option<TurnId>,
    /// Numbers of pieces of the turns' texts.
    pieces: HashMap<TurnId, Memo<(u32, String), usize>>,
}

impl Panel for Compose {
    fn title(&self) -> &'static str {
        "Compose"
    }

    fn slot(&self) -> Slot {
        Slot::Left
    }

    fn ui(&mut self, ui: &mut Ui, session: &Session, commands: &mut Commands) {
        compose_ui(ui, session, self, commands);
    }
}

fn compose_ui(ui: &mut Ui, session: &Session, panel: &mut Compose, commands: &mut Commands) {
    // Speak and Stop stay in their place, whatever is above.
    egui::Panel::bottom("speak").resizable(false).show(ui, |ui| speak_ui(ui, session, commands));
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.add_space(4.0);
        for (n, turn) in session.composer.conversation.turns().iter().enumerate() {
            turn_ui(ui, session, panel, n, turn, commands);
        }
        if ui.button(format!("{} Turn", icon::ADD)).accessible_name("Add turn").clicked() {
            commands.push(ComposerCommand::AddTurn);
        }
        ui.separator();
        voice_prompt_ui(ui, session, &mut panel.voice, commands);
        ui.separator();
        if let Some(model) = session.models.info() {
            let (mut sampling, mut settings) = (session.composer.sampling, session.preferences.settings.clone());
            sampling_ui(ui, session, &mut sampling, &mut settings, model, &mut panel.sampling);
            if sampling != session.composer.sampling {
                commands.push(ComposerCommand::SetSampling(sampling));
            }
            if settings != session.preferences.settings {
                commands.push(PreferencesCommand::Set(Box::new(settings)));
            }
        }
    });
}

fn speak_ui(ui: &mut Ui, session: &Session, commands: &mut Commands) {
    let conversation = &session.composer.conversation;
    let (turn, several) = (conversation.edited(), conversation.turns().len() > 1);
    ui.add_space(8.0);
    let ready = session.models.can_speak();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let wide = vec2(ui.available_width() - 34.0, 36.0);
        if session.is_speaking() || session.waiting_takes() > 0 {
            let button = Button::new(RichText::new(format!("{} {}", icon::STOP, progress(session))).family(semibold()));
            if ui.add_sized(wide, button).on_hover_text("Stop (Escape)").accessible_name("Stop").clicked() {
                commands.push(ComposerCommand::Stop);
            }
        } else {
            let text = RichText::new("Speak").family(semibold()).size(14.0).color(egui::Color32::WHITE);
            let button = Button::new(text).fill(Palette::of(ui.visuals()).primary);
            let speak = ui.add_enabled_ui(ready, |ui| ui.add_sized(wide, button)).inner;
            let tip = format!("Speak ({})", key_of("Speak", ui.ctx()));
            if speak.on_hover_text(tip).accessible_name("Speak").clicked() {
                commands.push(ComposerCommand::Speak { turn, with_context: false });
            }
        }
        let more = Button::new(icon::MENU).min_size(vec2(32.0, 36.0));
        let (more, _) = MenuButton::from_button(more).ui(ui, |ui| more_ways_ui(ui, session, turn, several, commands));
        more.on_hover_text("More ways to speak").accessible_name("More ways to speak");
    });
    match session.waiting_takes() {
        0 => {}
        1 => drop(ui.small("1 take waiting")),
        n => drop(ui.small(format!("{n} takes waiting"))),
    }
    context_meter_ui(ui, session, turn);
    ui.add_space(4.0);
}

/// The current task, for the button that stops it.
fn progress(session: &Session) -> String {
    if !session.is_speaking() {
        return "Stop".into();
    }
    let clip = &session.inspector.current.clip;
    let expected = clip.origin.text.as_deref().map_or(0.0, expected_seconds);
    let made = clip.seconds();
    match session.load_progress() {
        Some(loaded) => format!("Loading {loaded}"),
        None => format!("Stop · {made:.1} of about {:.1} s", expected.max(made)),
    }
}

/// Several takes, the turns as a conversation.
fn more_ways_ui(ui: &mut Ui, session: &Session, turn: TurnId, several: bool, commands: &mut Commands) {
    let ready = session.models.can_speak();
    let first = session.composer.conversation.is_first(turn);
    let key = key_of("Speak as a reply to the turns before", ui.ctx());
    let entries = [
        (
            true,
            ready && !session.is_speaking(),
            "3 takes",
            "Three takes of the text, each with a random seed, side by side".to_owned(),
            Command::from(ComposerCommand::SpeakVariants { turn, takes: VARIANTS }),
        ),
        (
            several,
            ready && !first,
            "Speak as reply",
            format!("With the turns before it as context ({key})"),
            ComposerCommand::Speak { turn, with_context: true }.into(),
        ),
        (
            several,
            ready,
            "Speak all turns",
            "Every turn that has no take, or whose context has changed".to_owned(),
            ComposerCommand::SpeakConversation.into(),
        ),
        (
            several,
            true,
            "Play all turns",
            "The takes of all turns one after another".to_owned(),
            ComposerCommand::PlayConversation.into(),
        ),
        (
            several,
            true,
            "Export the turns as WAV…",
            "The takes of all turns in one file".to_owned(),
            ShellCommand::Ask(Dialog::Export(Export::Conversation)).into(),
        ),
    ];
    for (_, enabled, text, tip, command) in entries.into_iter().filter(|entry| entry.0) {
        if ui.add_enabled(enabled, Button::new(text)).on_hover_text(tip).clicked() {
            commands.push(command);
            ui.close();
        }
    }
}

fn turn_ui(ui: &mut Ui, session: &Session, panel: &mut Compose, n: usize, turn: &TurnDraft, commands: &mut Commands) {
    let voices = session.models.info().map_or(&[][..], |model| &model.voices);
    let conversation = &session.composer.conversation;
    let several = conversation.turns().len() > 1;
    let (mut speaker, mut text) = (turn.speaker, turn.text.clone());
    ui.horizontal(|ui| {
        let name = format!("Speaker of turn {}", n + 1);
        if voices.is_empty() {
            ui.label("speaker");
            ui.add(DragValue::new(&mut speaker).range(0..=99)).accessible_name(name);
        } else {
            let label =
                |s: u32| voices.iter().find(|v| v.speaker == s).map_or(s.to_string(), |v| format!("{s} {}", v.name));
            let combo = ComboBox::from_id_salt(("speaker", turn.id)).selected_text(label(speaker));
            let shown = combo.show_ui(ui, |ui| {
                for voice in voices {
                    ui.selectable_value(&mut speaker, voice.speaker, label(voice.speaker));
                }
            });
            shown.response.accessible_name(name);
        }
        if several {
            let small = |ui: &mut Ui, text: &str, name: String, enabled| {
                ui.add_enabled(enabled, Button::new(text).small()).accessible_name(name).clicked()
            };
            if small(ui, icon::UP, format!("Move turn {} up", n + 1), n > 0) {
                commands.push(ComposerCommand::MoveTurnUp(turn.id));
            }
            if small(ui, icon::CLOSE, format!("Delete turn {}", n + 1), true) {
                commands.push(ComposerCommand::RemoveTurn(turn.id));
            }
            if small(ui, "Speak", format!("Speak turn {}", n + 1), session.models.can_speak()) {
                commands.push(ComposerCommand::Speak { turn: turn.id, with_context: n > 0 });
            }
        }
        if turn.takes().is_some()
            && several
            && ui.small_button(icon::PLAY).accessible_name(format!("Play turn {}", n + 1)).clicked()
        {
            commands.push(ComposerCommand::PlayTurn(turn.id));
        }
        if conversation.is_stale(turn.id) {
            let stale = ui.small("⚠ context changed");
            stale.on_hover_text("It was spoken after other takes than those before it now");
        }
    });
    let rows = if several { (2, 4) } else { ROWS };
    let line = ui.text_style_height(&egui::TextStyle::Body);
    let scroll = egui::ScrollArea::vertical().id_salt(("text", turn.id)).max_height(rows.1 as f32 * line + 8.0);
    let spoken = spoken_part(session, &turn.text);
    let mut layouter = |ui: &Ui, text: &dyn egui::TextBuffer, width: f32| {
        let job = layout_spoken(ui, text.as_str(), width, spoken.as_ref());
        ui.ctx().fonts_mut(|fonts| fonts.layout_job(job))
    };
    // A fixed id: the focus stays while turns above come and go.
    let edit = TextEdit::multiline(&mut text)
        .layouter(&mut layouter)
        .id(Id::unique(("text of turn", turn.id)))
        .desired_rows(rows.0)
        .desired_width(f32::INFINITY);
    let edit = edit.hint_text("Text to speak, for example: The little boat sailed across the lake.");
    let response = scroll.show(ui, |ui| ui.add(edit)).inner;
    let response = response.accessible_name(format!("Text of turn {}", n + 1));
    // The text of a new turn can be typed at once.
    if turn.id == conversation.edited() && panel.focused.replace(turn.id) != Some(turn.id) {
        response.request_focus();
    }
    if response.gained_focus() {
        commands.push(ComposerCommand::FocusTurn(turn.id));
    }
    text_size_ui(ui, session, turn, panel.pieces.entry(turn.id).or_default());
    if (speaker, &text) != (turn.speaker, &turn.text) {
        commands.push(ComposerCommand::EditTurn { turn: turn.id, speaker, text });
    }
}

/// How long a turn's text is, and in how many pieces it will be spoken.
fn text_size_ui(ui: &mut Ui, session: &Session, turn: &TurnDraft, pieces: &mut Memo<(u32, String), usize>) {
    if turn.text.trim().is_empty() {
        return;
    }
    /// Characters up to which a text is cut with every key that is typed.
    const SHORT: usize = 4_000;
    let characters = turn.text.chars().count();
    let count = || Composer::pieces_of(turn, &session.models, &session.preferences.settings);
    let pieces = if characters > SHORT { 0 } else { *pieces.get((turn.speaker, turn.text.clone()), count) };
    let seconds = expected_seconds(&turn.text).round();
    let mut size = format!("{characters} characters · about {seconds} s");
    if pieces > 1 {
        size += &format!(" · {pieces} pieces");
    }
    ui.small(RichText::new(size).color(Palette::of(ui.visuals()).tertiary));
}

/// The bytes of a turn's text that are being spoken: of the current clip, while it is made or played.
fn spoken_part(session: &Session, text: &str) -> Option<Range<usize>> {
    let (current, player) = (&session.inspector.current, &session.monitor.player);
    if !session.is_speaking() && !session.monitor.is_playing_current_clip() {
        return None;
    }
    let start = text.find(current.clip.origin.text.as_deref().filter(|text| !text.is_empty())?)?;
    let part = current.spoken_part(player.position())?;
    Some(start + part.start..start + part.end)
}

/// The text of a field, with the part that is being spoken marked.
fn layout_spoken(ui: &Ui, text: &str, width: f32, spoken: Option<&Range<usize>>) -> LayoutJob {
    let font = egui::TextStyle::Body.resolve(ui.style());
    let colour = ui.visuals().override_text_color.unwrap_or(ui.visuals().widgets.inactive.text_color());
    let mut job = LayoutJob::default();
    job.wrap.max_width = width;
    let plain = TextFormat::simple(font, colour);
    let fits = |part: &&Range<usize>| text.is_char_boundary(part.start) && text.is_char_boundary(part.end);
    let part = spoken.filter(fits).cloned().unwrap_or(text.len()..text.len());
    let marked = TextFormat { background: ui.visuals().selection.bg_fill, ..plain.clone() };
    job.append(&text[..part.start], 0.0, plain.clone());
    job.append(&text[part.clone()], 0.0, marked);
    job.append(&text[part.end..], 0.0, plain);
    job
}

fn context_meter_ui(ui: &mut Ui, session: &Session, turn: TurnId) {
    let Session { composer, models, library, preferences, .. } = session;
    if let Some((used, of)) = composer.context_meter(turn, models, library, &preferences.settings) {
        let text = format!("Context {:.0} %", 100.0 * used as f32 / of as f32);
        let tip = format!("Turns before, text and the longest speech take {used} of the model's {of} positions");
        ui.small(RichText::new(text).color(Palette::of(ui.visuals()).tertiary)).on_hover_text(tip);
    }
}
