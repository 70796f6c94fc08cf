//! The compose panel: conversation, voice prompt, sampling settings.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use egui::containers::menu::{MenuButton, MenuConfig};
use egui::text::{LayoutJob, TextFormat};
use egui::{Button, ComboBox, DragValue, Id, PopupCloseBehavior, Rect, RichText, Sense, Slider, TextEdit, Ui, vec2};

use super::{Panel, Slot};
use crate::checkpoint::Checkpoint;
use crate::data::{Backend, Dtype, Mode, ModelInfo, PARAMS, Param, ParamKind, RangeGuard, Sampling, Stage};
use crate::studio::command::{Command, Commands, VARIANTS, key_of};
use crate::studio::composer::{Composer, ComposerCommand, TurnDraft, TurnId, VoicePrompt};
use crate::studio::library::Export;
use crate::studio::memo::Memo;
use crate::studio::preferences::PreferencesCommand;
use crate::studio::session::Session;
use crate::studio::settings::{Preset, Settings};
use crate::studio::shell::{Dialog, ShellCommand};
use crate::studio::theme::{Palette, heading, icon, semibold};
use crate::studio::voices::VoicesCommand;
use crate::text::{Pronunciations, expected_seconds, length_mismatch};
use crate::voices::StoredVoice;
use crate::worker::exact_check;

/// Least and most visible lines of a turn's text.
const ROWS: (usize, usize) = (3, 8);

#[derive(Default)]
pub(super) struct Compose {
    /// The name that is being typed for a preset.
    preset: String,
    /// The name that is being typed for a voice.
    voice: String,
    /// The turn whose text was focused last.
    focused: Option<TurnId>,
    /// Whether codebook 0 and the others have separate settings, as far as the user has said.
    separate: Option<bool>,
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
            sampling_ui(ui, session, &mut sampling, &mut settings, model, panel);
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

/// The user's voices: use, save, import and export.
fn voices_ui(ui: &mut Ui, session: &Session, name: &mut String, commands: &mut Commands) {
    let menu = MenuButton::new(format!("Voices {}", icon::MENU))
        .config(MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside));
    let (button, shown) = menu.ui(ui, |ui| {
        ui.set_min_width(240.0);
        let voices = session.voices.all().unwrap_or_default();
        if voices.is_empty() {
            ui.weak("No voices are saved yet");
        }
        for voice in voices {
            ui.horizontal(|ui| {
                let pick = ui.add(Button::new(&voice.name).truncate()).on_hover_text(&voice.notes.text);
                if pick.clicked() {
                    commands.push(ComposerCommand::SetVoicePrompt(voice.path.clone()));
                    ui.close();
                }
                ui.menu_button(icon::MORE, |ui| voice_menu_ui(ui, session, voice, commands))
                    .response
                    .accessible_name(format!("More about {}", voice.name));
            });
        }
        ui.separator();
        ui.add_enabled_ui(session.composer.conversation.prompt.is_some(), |ui| {
            ui.horizontal(|ui| {
                let field = TextEdit::singleline(name).hint_text("Name").desired_width(140.0);
                ui.add(field).accessible_name("Name of the voice");
                let save = ui.add_enabled(!name.trim().is_empty(), Button::new("Save"));
                if save.on_hover_text("The recording above with its text and the current settings").clicked() {
                    commands.push(VoicesCommand::Save(std::mem::take(name)));
                }
            });
        });
        if ui.button("Import…").on_hover_text("A recording, or a voice that was exported").clicked() {
            commands.push(ShellCommand::Ask(Dialog::ImportVoice));
            ui.close();
        }
    });
    if shown.is_some() && session.voices.all().is_none() {
        commands.push(VoicesCommand::List);
    }
    button.accessible_name("Voices");
}

fn voice_menu_ui(ui: &mut Ui, session: &Session, voice: &StoredVoice, commands: &mut Commands) {
    if let Some(sampling) = voice.notes.sampling {
        let own = Sampling { seed: session.composer.sampling.seed, ..sampling };
        let button = ui.button("Use its settings");
        if button.on_hover_text(own.summary()).clicked() {
            commands.push(ComposerCommand::SetSampling(own));
            ui.close();
        }
    }
    if ui.button("Export…").on_hover_text("One WAV file with text and settings in it").clicked() {
        commands.push(ShellCommand::Ask(Dialog::ExportVoice(voice.path.clone())));
        ui.close();
    }
    if ui.button("Remove").clicked() {
        commands.push(VoicesCommand::Remove(voice.path.clone()));
        ui.close();
    }
}

fn voice_prompt_ui(ui: &mut Ui, session: &Session, voice_name: &mut String, commands: &mut Commands) {
    ui.horizontal_wrapped(|ui| {
        ui.label(heading("VOICE"));
        if ui.button("Choose…").on_hover_text("Or drop a recording on the window").clicked() {
            commands.push(ShellCommand::Ask(Dialog::VoicePrompt));
        }
        voices_ui(ui, session, voice_name, commands);
        match &session.composer.microphone {
            None => {
                let record = ui.button(format!("{} Record", icon::RECORD)).on_hover_text("From the default microphone");
                if record.accessible_name("Record").clicked() {
                    commands.push(ComposerCommand::StartRecording);
                }
            }
            Some(recording) => {
                let stop = ui.button(format!("{} Stop {:.1} s", icon::STOP, recording.seconds()));
                if stop.accessible_name("Stop recording").clicked() {
                    commands.push(ComposerCommand::StopRecording);
                }
                let level = egui::ProgressBar::new(recording.level().sqrt()).desired_width(50.0);
                ui.add(level).on_hover_text("Level of the microphone");
            }
        }
        if session.composer.conversation.prompt.is_some()
            && ui.button(icon::CLOSE).accessible_name("Remove the voice prompt").clicked()
        {
            commands.push(ComposerCommand::RemoveVoicePrompt);
        }
    });
    if let Some(prompt) = &session.composer.conversation.prompt {
        let (mut text, mut speaker, mut part) = (prompt.text.clone(), prompt.speaker, prompt.part);
        let seconds = prompt.samples.len() as f64 / session.models.sample_rate() as f64;
        let state = if prompt.codes.is_some() { format!("{seconds:.1} s") } else { "encoding…".into() };
        let name = prompt.path.file_name().unwrap_or_default().to_string_lossy();
        ui.label(format!("{name} · {state}"));
        let edit = TextEdit::singleline(&mut text).hint_text("What the recording says");
        ui.add(edit).accessible_name("Text of the voice prompt");
        ui.horizontal(|ui| {
            ui.label("speaker");
            ui.add(DragValue::new(&mut speaker).range(0..=99)).accessible_name("Speaker of the voice prompt");
            let play = ui.button(icon::PLAY).on_hover_text("Play the part that is used");
            if play.accessible_name("Play the voice prompt").clicked() {
                commands.push(ComposerCommand::PlayVoicePrompt);
            }
        });
        ui.horizontal(|ui| {
            ui.label("from");
            let from = DragValue::new(&mut part.0).range(0.0..=part.1).speed(0.02).fixed_decimals(2).suffix(" s");
            ui.add(from).accessible_name("Start of the voice prompt");
            ui.label("to");
            let to = DragValue::new(&mut part.1).range(part.0..=f64::MAX).speed(0.02).fixed_decimals(2).suffix(" s");
            ui.add(to).accessible_name("End of the voice prompt");
        });
        part_ui(ui, prompt, session.models.sample_rate(), &mut part);
        if let Some(mismatch) = length_mismatch(&text, part.1 - part.0).filter(|_| !text.is_empty()) {
            ui.small(format!("⚠ The recording {mismatch}"));
        }
        if (&text, speaker) != (&prompt.text, prompt.speaker) {
            commands.push(ComposerCommand::EditVoicePrompt { text, speaker });
        }
        if part != prompt.part {
            commands.push(ComposerCommand::TrimVoicePrompt { from: part.0, to: part.1 });
        }
    }
}

/// The recording's waveform, with a handle at each end of the part that is used.
fn part_ui(ui: &mut Ui, prompt: &VoicePrompt, rate: usize, part: &mut (f64, f64)) {
    const HEIGHT: f32 = 48.0;
    const HANDLE: f32 = 8.0;
    let length = prompt.samples.len() as f64 / rate as f64;
    if length == 0.0 {
        return;
    }
    let palette = Palette::of(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    let x = |seconds: f64| rect.left() + (seconds / length) as f32 * rect.width();
    ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    let columns = rect.width().max(1.0) as usize;
    let loudest = prompt.samples.iter().fold(0.05f32, |most, s| most.max(s.abs()));
    let mut mesh = egui::Mesh::default();
    for column in 0..columns {
        let at = |column: usize| column * prompt.samples.len() / columns;
        let level = prompt.samples[at(column)..at(column + 1)].iter().fold(0f32, |most, s| most.max(s.abs()));
        let left = rect.left() + column as f32;
        let seconds = f64::from(column as u32) / columns as f64 * length;
        let colour = if (part.0..=part.1).contains(&seconds) { palette.accent } else { palette.tertiary };
        let half = (level / loudest * 0.46 * HEIGHT).max(0.5);
        mesh.add_colored_rect(
            Rect::from_x_y_ranges(left..=left + 1.0, rect.center().y - half..=rect.center().y + half),
            colour,
        );
    }
    ui.painter().add(mesh);
    for (n, (name, seconds)) in [("Start", part.0), ("End", part.1)].into_iter().enumerate() {
        let handle = Rect::from_center_size(egui::pos2(x(seconds), rect.center().y), vec2(HANDLE, HEIGHT));
        let response = ui.interact(handle, ui.scope_id().with(("part", n)), Sense::drag());
        response.widget_info(|| egui::WidgetInfo::slider(true, seconds, format!("{name} of the part that is used")));
        let response = response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
        let strong = response.hovered() || response.dragged() || response.has_focus();
        ui.painter().vline(x(seconds), rect.y_range(), (if strong { 3.0 } else { 1.5 }, palette.text));
        if let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) {
            let to = f64::from(((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0)) * length;
            if n == 0 {
                part.0 = to.min(part.1);
            } else {
                part.1 = to.max(part.0);
            }
        }
    }
}

fn sampling_ui(
    ui: &mut Ui,
    session: &Session,
    s: &mut Sampling,
    settings: &mut Settings,
    model: &ModelInfo,
    panel: &mut Compose,
) {
    ui.label(heading("SAMPLING"));
    mode_ui(ui, s, session.models.checkpoint());
    let separate = panel.separate.unwrap_or(s.codebook0 != s.depth);
    egui::Grid::new("sampling").num_columns(2).spacing([8.0, 4.0]).show(ui, |ui| {
        for param in PARAMS.iter().filter(|param| !param.advanced) {
            ui.label(param.label);
            param_ui(ui, param, Stage::Codebook0, s, model);
            ui.end_row();
        }
        if separate {
            ui.small(format!("Codebooks 1–{}", model.dims.codebooks - 1));
            ui.end_row();
            for param in PARAMS.iter().filter(|param| !param.advanced) {
                ui.label(param.label);
                param_ui(ui, param, Stage::Depth, s, model);
                ui.end_row();
            }
        } else {
            s.depth = s.codebook0;
        }
        ui.label("Seed");
        ui.horizontal(|ui| {
            let dice = ui.add(Button::selectable(settings.random_seed, RichText::new(icon::DICE).size(16.0)));
            if dice.on_hover_text("A random seed for every take").accessible_name("Random seed").clicked() {
                settings.random_seed = !settings.random_seed;
            }
            let seed = DragValue::new(&mut s.seed);
            ui.add_enabled_ui(!settings.random_seed, |ui| {
                ui.add_sized(vec2(112.0, 24.0), seed).accessible_name("Seed")
            });
        });
        ui.end_row();
    });
    let mut linked = !separate;
    let tip = "The same settings for all codebooks";
    if ui.checkbox(&mut linked, "Link codebooks").on_hover_text(tip).changed() {
        panel.separate = Some(!linked);
    }
    let penalty = s.penalises_repetition();
    let changed = penalty || s.guard.is_some() || !settings.pronunciations.is_empty() || !settings.autoplay;
    let title = if changed { "Advanced ●" } else { "Advanced" };
    egui::CollapsingHeader::new(title).id_salt("advanced").show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label("Longest take");
            let length = DragValue::new(&mut settings.max_seconds).range(1.0..=160.0).speed(0.5).suffix(" s");
            ui.add(length).accessible_name("Maximum length");
        });
        ui.checkbox(&mut settings.autoplay, "Play while generating").accessible_name("Autoplay");
        advanced_params_ui(ui, s, separate, model);
        guard_ui(ui, &mut s.guard, model);
        precision_ui(ui, s);
        pronunciations_ui(ui, &mut settings.pronunciations);
        presets_ui(ui, s, settings, &mut panel.preset);
    });
}

/// The settings of draws that few users change.
fn advanced_params_ui(ui: &mut Ui, s: &mut Sampling, separate: bool, model: &ModelInfo) {
    let stages = if separate { &Stage::ALL[..] } else { &Stage::ALL[..1] };
    egui::Grid::new("advanced sampling").num_columns(2).spacing([8.0, 4.0]).show(ui, |ui| {
        for stage in stages {
            for param in PARAMS.iter().filter(|param| param.advanced) {
                ui.label(param.label);
                param_ui(ui, param, *stage, s, model);
                ui.end_row();
            }
        }
    });
    if !separate {
        s.depth = s.codebook0;
    }
}

/// The user's list of pronunciations.
fn pronunciations_ui(ui: &mut Ui, list: &mut String) {
    ui.collapsing("Pronunciations", |ui| {
        let field = TextEdit::multiline(list).desired_rows(3).hint_text("Nguyen = win").desired_width(f32::INFINITY);
        ui.add(field).accessible_name("Pronunciations").on_hover_text("A line for each word: written = spoken");
        if let Err(e) = Pronunciations::check(list) {
            ui.colored_label(ui.visuals().error_fg_color, e.to_string());
        }
    });
}

/// The precision of the language model.
fn precision_ui(ui: &mut Ui, sampling: &mut Sampling) {
    ui.horizontal(|ui| {
        ui.label("Precision");
        let combo = ComboBox::from_id_salt("precision").selected_text(sampling.precision.name());
        let shown = combo.show_ui(ui, |ui| {
            for dtype in Dtype::ALL {
                ui.selectable_value(&mut sampling.precision, dtype, dtype.name());
            }
        });
        shown.response.accessible_name("Precision");
        let in_float32 = Sampling { precision: Dtype::Float32, ..*sampling };
        if in_float32.reproduces_torch() && !sampling.reproduces_torch() {
            let note = ui.small("⚠ not PyTorch's tokens");
            note.on_hover_text("Tokens equal PyTorch's only in float32");
        }
    });
}

fn mode_ui(ui: &mut Ui, sampling: &mut Sampling, checkpoint: Option<&Arc<Checkpoint>>) {
    ui.horizontal(|ui| {
        for info in Mode::all() {
            let enabled = info.backend != Backend::Torch || crate::torch::AVAILABLE;
            let name = RichText::new(capitalised(info.name));
            let button = ui.add_enabled(enabled, Button::selectable(sampling.mode == info.mode, name));
            let button = button.accessible_name(info.name);
            if button.on_disabled_hover_text("This program was built without PyTorch").clicked() {
                sampling.mode = info.mode;
                sampling.precision = checkpoint.map_or(sampling.precision, |c| c.default_precision(info.mode));
            }
        }
    });
    let summary = sampling.mode.info().summary;
    match exact_check().filter(|_| sampling.mode == Mode::Exact) {
        Some(check) => ui.small(format!("{summary}; {}", check.summary())),
        None => ui.small(summary),
    };
}

/// A name as it begins a sentence.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn param_ui(ui: &mut Ui, param: &Param, stage: Stage, sampling: &mut Sampling, model: &ModelInfo) {
    let name = match stage {
        Stage::Codebook0 => param.label.to_owned(),
        Stage::Depth => format!("Depth {}", param.label.to_lowercase()),
    };
    let params = sampling.stage_mut(stage);
    let mut value = (param.get)(params);
    let range = *(param.range)(&model.dims).start()..=(param.slider_max)(&model.dims);
    ui.spacing_mut().slider_width = 116.0;
    let slider = match param.kind {
        ParamKind::Real => Slider::new(&mut value, range).fixed_decimals(2).step_by(0.01),
        ParamKind::Count => Slider::new(&mut value, range).fixed_decimals(0).logarithmic(true),
    };
    if ui.add(slider).on_hover_text(param.help).accessible_name(name).changed() {
        (param.set)(params, value);
    }
}

fn guard_ui(ui: &mut Ui, guard: &mut Option<RangeGuard>, model: &ModelInfo) {
    ui.horizontal(|ui| {
        let mut on = guard.is_some();
        if ui.checkbox(&mut on, "Range guard").on_hover_text("Never draw these ids in any codebook").changed() {
            *guard = RangeGuard::default_for(model.dims.vocab).filter(|_| on);
        }
        if let Some((mut first, mut last)) = guard.map(RangeGuard::range) {
            let top = model.dims.vocab as u32 - 1;
            let a = ui.add(DragValue::new(&mut first).range(1..=last)).accessible_name("First guarded id");
            let b = ui.add(DragValue::new(&mut last).range(first..=top)).accessible_name("Last guarded id");
            if a.changed() || b.changed() {
                *guard = RangeGuard::new(first, last).ok().or(*guard);
            }
        }
    });
}

fn presets_ui(ui: &mut Ui, sampling: &mut Sampling, settings: &mut Settings, preset: &mut String) {
    ui.horizontal_wrapped(|ui| {
        let (mut chosen, mut removed) = (None, None);
        ui.menu_button("Presets", |ui| {
            if settings.presets.is_empty() {
                ui.label("none yet");
            }
            for (n, preset) in settings.presets.iter().enumerate() {
                ui.horizontal(|ui| {
                    if ui.button(&preset.name).clicked() {
                        chosen = Some(preset.sampling);
                    }
                    if ui.small_button(icon::CLOSE).accessible_name(format!("Delete preset {}", preset.name)).clicked()
                    {
                        removed = Some(n);
                    }
                });
            }
        });
        let edit = TextEdit::singleline(preset).desired_width(90.0).hint_text("name");
        ui.add(edit).accessible_name("Name of the preset");
        let name = preset.trim().to_owned();
        if ui.add_enabled(!name.is_empty(), Button::new("Save")).accessible_name("Save as preset").clicked() {
            settings.presets.retain(|p| p.name != name);
            settings.presets.push(Preset { name, sampling: *sampling });
            preset.clear();
        }
        if let Some(chosen) = chosen {
            *sampling = Sampling { seed: sampling.seed, ..chosen };
        }
        if let Some(n) = removed {
            settings.presets.remove(n);
        }
    });
}
