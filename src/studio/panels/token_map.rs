//! The token map: codebooks over time, one texture with a pixel per token, and labels if there is room.

use egui::{Align2, Color32, ColorImage, ComboBox, FontId, Rect, TextureHandle, TextureOptions, Ui, pos2, vec2};

use super::lane::Lane;
use crate::analysis::alignment::same_place;
use crate::analysis::statistics::{STEP_STATISTICS, StepStatistic};
use crate::colours::{COMMON, shown_label, swatch};
use crate::data::{ModelInfo, WordTime};
use crate::studio::command::Commands;
use crate::studio::comparison::Alignment;
use crate::studio::inspector::{CurrentClip, InspectorCommand, MapContent};
use crate::studio::session::Session;
use crate::studio::theme::{Palette, contrast, contrasting};

/// Least size of a cell with a label.
const LABELLED: (f32, f32) = (30.0, 11.0);
/// Quantile of a statistic that has the brightest colour; larger values have it, too.
const BRIGHTEST: f64 = 0.99;

/// Frames of one texture: graphics cards take 8,192 pixels and more a side, some less.
const TEXTURE_FRAMES: usize = 2_048;

/// The token map with its textures.
#[derive(Default)]
pub(super) struct TokenMap {
    drawn: Option<DrawnMap>,
    /// One for each [`TEXTURE_FRAMES`] frames.
    textures: Vec<TextureHandle>,
    /// The value that has the brightest colour.
    brightest: f64,
    /// The most frequent token of each codebook.
    common: Vec<u32>,
    /// For each frame, the one that it is compared with.
    others: Vec<usize>,
}

/// Inputs of a texture.
#[derive(PartialEq)]
struct DrawnMap {
    clip: u64,
    content: MapContent,
    /// Versions of what it is compared with: pinned clips, and the answer to a question.
    compared: (usize, u64),
    /// Whether frames are compared with those at the same place in the same word.
    by_word: bool,
    dark: bool,
}

fn statistic(content: &MapContent) -> Option<&'static StepStatistic> {
    let MapContent::Statistic(key) = content else { return None };
    STEP_STATISTICS.iter().find(|s| s.key == *key)
}

fn title(content: &MapContent, session: &Session) -> String {
    match content {
        MapContent::Tokens => "tokens".into(),
        MapContent::Statistic(_) => statistic(content).map_or("", |s| s.title).into(),
        MapContent::Difference(key) => {
            format!("difference to {}", session.comparison.pins.index(key).map_or(0, |n| n + 1))
        }
        MapContent::WhatIf => "what if".into(),
    }
}

/// A menu of what the map shows, and a legend of its colours.
pub(super) fn content_ui(ui: &mut Ui, session: &Session, map: &TokenMap, commands: &mut Commands) {
    ui.horizontal(|ui| {
        let selected = &session.inspector.view.map;
        let combo = ComboBox::from_id_salt("map").width(110.0).selected_text(title(selected, session));
        let shown = combo.show_ui(ui, |ui| {
            let statistics = STEP_STATISTICS.iter().filter(|s| s.plotted).map(|s| MapContent::Statistic(s.key));
            let differences = session.comparison.pins.keys().into_iter().map(MapContent::Difference);
            let what_if = session.inspector.what_if.settings().map(|_| MapContent::WhatIf);
            for content in std::iter::once(MapContent::Tokens).chain(statistics).chain(differences).chain(what_if) {
                if ui.selectable_label(content == *selected, title(&content, session)).clicked() {
                    commands.push(InspectorCommand::ShowMap(content));
                }
            }
        });
        let mut spectrograms = session.inspector.view.spectrograms;
        let toggle = ui.toggle_value(&mut spectrograms, "Spectrogram");
        if toggle.on_hover_text("Mel spectrograms instead of waveforms (M)").clicked() {
            commands.push(InspectorCommand::ToggleSpectrograms);
        }
        let mut curves = session.inspector.view.curves;
        let toggle = ui.toggle_value(&mut curves, "Pitch");
        if toggle.on_hover_text("A lane of pitch and level (C)").accessible_name("Pitch and level").clicked() {
            commands.push(InspectorCommand::ToggleCurves);
        }
        shown.response.on_hover_text("What the map shows").accessible_name("What the map shows");
        /// Widths of the legend, and of the button after it.
        const LEGEND: f32 = 150.0;
        const FOLLOW: f32 = 70.0;
        let selected = session.inspector.view.cell.is_some();
        if ui.available_width() >= LEGEND + if selected { FOLLOW } else { 0.0 } {
            legend_ui(ui, session, map);
        }
        if selected
            && ui
                .button("Follow")
                .on_hover_text("Show the draw of the newest frame, or under the playhead (F)")
                .clicked()
        {
            commands.push(InspectorCommand::Select(None));
        }
    });
}

fn legend_ui(ui: &mut Ui, session: &Session, map: &TokenMap) {
    let palette = Palette::of(ui.visuals());
    match &session.inspector.view.map {
        MapContent::Tokens => drop(ui.weak("Colour = token")),
        content @ MapContent::Statistic(_) => {
            let Some(statistic) = statistic(content) else { return };
            let (rect, _) = ui.allocate_exact_size(vec2(60.0, 8.0), egui::Sense::hover());
            for n in 0..30 {
                let colour = palette.ramp(f64::from(n) / 29.0);
                let left = rect.left() + n as f32 * 2.0;
                let part = Rect::from_x_y_ranges(left..=left + 2.0, rect.y_range());
                ui.painter().rect_filled(part, 0.0, colour);
            }
            ui.small(format!("0 to {:.*} {}", statistic.digits, map.brightest, statistic.unit));
        }
        MapContent::Difference(_) | MapContent::WhatIf => {
            let (rect, _) = ui.allocate_exact_size(vec2(10.0, 10.0), egui::Sense::hover());
            ui.painter().rect_filled(rect, 1.0, palette.warning);
            ui.small("differs");
        }
    }
}

/// The tokens that the map compares with.
fn other_tokens(session: &Session) -> Option<&crate::data::Codes> {
    match &session.inspector.view.map {
        MapContent::Difference(key) => session.comparison.pins.get(key).map(|pinned| &pinned.clip.codes),
        MapContent::WhatIf => session.inspector.what_if.answer().map(|answer| &answer.tokens),
        MapContent::Tokens | MapContent::Statistic(_) => None,
    }
}

/// The words of the current clip and of the clip that the map compares with, if takes switch at the same word.
fn words_of_both(session: &Session) -> Option<(&[WordTime], &[WordTime])> {
    let MapContent::Difference(key) = &session.inspector.view.map else { return None };
    let pins = &session.comparison.pins;
    let (here, there) = (&session.inspector.current.words, &pins.get(key)?.words);
    let known = pins.alignment == Alignment::Word && !here.is_empty() && !there.is_empty();
    known.then_some((here.as_ref(), there.as_slice()))
}

/// The frame that `frame` is compared with: as far into the same word, or at the same time.
fn other_frame(session: &Session, frame: usize) -> usize {
    let place = || {
        let (here, there) = words_of_both(session)?;
        let dims = session.models.info()?.dims;
        let seconds = same_place(here, there, dims.seconds(frame) + dims.seconds(1) / 2.0)?;
        Some((seconds * dims.frame_rate) as usize)
    };
    place().unwrap_or(frame)
}

pub(super) fn token_map_ui(ui: &Ui, lane: Lane, session: &Session, map: &mut TokenMap, model: &ModelInfo) {
    let codes = &session.inspector.current.clip.codes;
    let (t, k) = (codes.len(), codes.codebooks());
    if t == 0 {
        return;
    }
    update_textures(ui, session, map);
    let painter = ui.painter().with_clip_rect(lane.rect);
    let image = Rect::from_x_y_ranges(lane.x(0.0)..=lane.x(model.dims.seconds(t)), lane.rect.y_range());
    for (n, texture) in map.textures.iter().enumerate() {
        let frames = n * TEXTURE_FRAMES..((n + 1) * TEXTURE_FRAMES).min(t);
        let x = |frame: usize| lane.x(model.dims.seconds(frame));
        let part = Rect::from_x_y_ranges(x(frames.start)..=x(frames.end), lane.rect.y_range());
        painter.image(texture.id(), part, Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)), Color32::WHITE);
    }
    let size = vec2(image.width() / t as f32, image.height() / k as f32);
    let cell = |frame: usize, codebook: usize| {
        Rect::from_min_size(image.min + vec2(frame as f32 * size.x, codebook as f32 * size.y), size)
    };
    if size.x >= LABELLED.0 && size.y >= LABELLED.1 {
        labels_ui(ui, lane, session, map, model, &cell);
    }
    let every = (14.0 / size.y).ceil().max(1.0) as usize;
    for codebook in (0..k).step_by(every) {
        let at = pos2(lane.rect.left() - 6.0, cell(0, codebook).center().y);
        let chosen = codebook == session.inspector.view.codebook;
        let colour = if chosen { ui.visuals().strong_text_color() } else { ui.visuals().weak_text_color() };
        ui.painter().text(at, Align2::RIGHT_CENTER, codebook.to_string(), FontId::proportional(10.0), colour);
    }
    // Codebooks that are not played are dimmed.
    for codebook in (0..k).filter(|codebook| !session.monitor.mixer.plays(*codebook)) {
        let row = Rect::from_x_y_ranges(image.x_range(), cell(0, codebook).y_range());
        painter.rect_filled(row, 0.0, ui.visuals().extreme_bg_color.gamma_multiply(0.8));
    }
    if let Some((frame, codebook)) = session.inspector.view.cell.filter(|(frame, codebook)| *frame < t && *codebook < k)
    {
        let [line, rim] = Palette::of(ui.visuals()).playhead;
        let cell = cell(frame, codebook);
        painter.rect_stroke(cell.expand(2.0), 2.0, (1.0, rim), egui::StrokeKind::Outside);
        painter.rect_stroke(cell, 1.0, (2.0, line), egui::StrokeKind::Outside);
    }
    if let Some(p) =
        ui.ctx().pointer_hover_pos().filter(|p| lane.rect.contains(*p) && ui.rect_contains_pointer(lane.rect))
    {
        let frame = (((p.x - image.left()) / size.x).max(0.0) as usize).min(t - 1);
        let codebook = (((p.y - image.top()) / size.y).max(0.0) as usize).min(k - 1);
        tooltip_ui(ui, session, model, frame, codebook);
    }
}

/// Labels of the tokens, in their cells.
fn labels_ui(
    ui: &Ui,
    lane: Lane,
    session: &Session,
    map: &TokenMap,
    model: &ModelInfo,
    cell: &dyn Fn(usize, usize) -> Rect,
) {
    /// Contrast with the ground below which a cell looks empty.
    const NOTHING: f32 = 1.2;
    let codes = &session.inspector.current.clip.codes;
    let palette = Palette::of(ui.visuals());
    let painter = ui.painter().with_clip_rect(lane.rect);
    for frame in (0..codes.len()).filter(|frame| cell(*frame, 0).intersects(lane.rect)) {
        for (codebook, id) in codes.frame(frame).iter().enumerate() {
            let rect = cell(frame, codebook);
            let label = match model.label(codebook, *id) {
                "" => id.to_string(),
                label => shown_label(label).to_owned(),
            };
            let background = pixel(session, map, palette, frame, codebook);
            // Cells without anything to see have labels that recede.
            let colour = if contrast(background, palette.ramp(0.0)) < NOTHING {
                palette.tertiary
            } else {
                contrasting(background)
            };
            let text = ui.painter().layout_no_wrap(label, FontId::proportional(10.0), colour);
            // A label that does not fit is left out rather than cut.
            if text.size().x + 4.0 <= rect.width() {
                painter.galley(rect.left_center() + vec2(3.0, -0.5 * text.size().y), text, Color32::BLACK);
            }
        }
    }
}

fn tooltip_ui(ui: &Ui, session: &Session, model: &ModelInfo, frame: usize, codebook: usize) {
    let CurrentClip { clip, steps, .. } = &session.inspector.current;
    let (ctx, layer, id) = (ui.ctx().clone(), ui.layer_id(), ui.scope_id().with("cell"));
    egui::Tooltip::always_open(ctx, layer, id, egui::PopupAnchor::Pointer).show(|ui| {
        let id = clip.codes.frame(frame)[codebook];
        ui.label(format!("frame {frame}, codebook {codebook}: {}", model.describe_token(codebook, id)));
        if let Some(word) = session.inspector.current.word_at(model.dims.seconds(frame)) {
            ui.label(format!("word “{}”", word.word));
        }
        if let Some(other) = other_tokens(session).and_then(|other| other.get(frame)) {
            let text = model.describe_token(codebook, other[codebook]);
            ui.label(if other[codebook] == id {
                "the same in the other clip".into()
            } else {
                format!("in the other clip {text}")
            });
        }
        if let Some(stats) = steps.get(frame).map(|step| &step.stats[codebook]) {
            for s in STEP_STATISTICS.iter().filter(|s| s.plotted) {
                ui.label(format!("{} {}", s.title, s.describe(stats[s.stat])));
            }
        }
        if let Some(p) = steps.end_probability(frame) {
            ui.label(format!("p(end) {p:.3}"));
        }
    });
}

fn pixel(session: &Session, map: &TokenMap, palette: &Palette, frame: usize, codebook: usize) -> Color32 {
    let CurrentClip { clip, steps, .. } = &session.inspector.current;
    let id = clip.codes.frame(frame)[codebook];
    let token = || {
        if map.common.get(codebook) == Some(&id) {
            return palette.swatch(COMMON);
        }
        let label = session.models.info().map_or("", |model| model.label(codebook, id));
        palette.swatch(swatch(label, id))
    };
    match &session.inspector.view.map {
        MapContent::Tokens => token(),
        content @ MapContent::Statistic(_) => {
            let stats = steps.get(frame).map(|step| &step.stats[codebook]);
            let (Some(stats), Some(statistic)) = (stats, statistic(content)) else {
                return token().gamma_multiply(0.5);
            };
            let value = stats[statistic.stat];
            palette.ramp(if value.is_finite() { value / map.brightest.max(1e-9) } else { 1.0 })
        }
        MapContent::Difference(_) | MapContent::WhatIf => {
            let other = other_tokens(session).and_then(|other| other.get(*map.others.get(frame)?));
            let other = other.and_then(|ids| ids.get(codebook));
            if other == Some(&id) { palette.ground.lerp_to_gamma(token(), 0.35) } else { palette.warning }
        }
    }
}

/// The value of a statistic that has the brightest colour.
fn brightest(current: &CurrentClip, statistic: &StepStatistic) -> f64 {
    let values =
        current.steps.iter().flat_map(|step| &step.stats).map(|stats| stats[statistic.stat]).filter(|v| v.is_finite());
    let mut values: Vec<f64> = values.collect();
    if values.is_empty() {
        return 1.0;
    }
    let place = (values.len() - 1) as f64 * BRIGHTEST;
    // Not sorted: that takes a quarter of a frame's time for 60 s of 32 codebooks.
    let (_, value, _) = values.select_nth_unstable_by(place.round() as usize, f64::total_cmp);
    value.max(1e-9)
}

fn update_textures(ui: &Ui, session: &Session, map: &mut TokenMap) {
    let current = &session.inspector.current;
    let content = session.inspector.view.map.clone();
    let compared = (session.comparison.pins.clips().len(), session.inspector.what_if.version());
    let dark = ui.visuals().dark_mode;
    let palette = Palette::of(ui.visuals());
    let by_word = words_of_both(session).is_some();
    let now = DrawnMap { clip: current.version, content, compared, by_word, dark };
    if map.drawn.as_ref() == Some(&now) {
        return;
    }
    if let Some(statistic) = statistic(&now.content) {
        map.brightest = brightest(current, statistic);
    }
    map.common = current.clip.codes.most_common();
    map.others = (0..current.clip.codes.len()).map(|frame| other_frame(session, frame)).collect();
    map.drawn = Some(now);
    let (t, k) = (current.clip.codes.len(), current.clip.codes.codebooks());
    let starts: Vec<usize> = (0..t).step_by(TEXTURE_FRAMES).collect();
    map.textures.truncate(starts.len());
    for (n, start) in starts.into_iter().enumerate() {
        let frames = start..(start + TEXTURE_FRAMES).min(t);
        let size = [frames.len(), k];
        let pixels = (0..k).flat_map(|codebook| frames.clone().map(move |frame| (frame, codebook)));
        let pixels = pixels.map(|(frame, codebook)| pixel(session, map, palette, frame, codebook)).collect();
        let image = ColorImage::new(size, pixels);
        match map.textures.get_mut(n) {
            Some(texture) => texture.set(image, TextureOptions::NEAREST),
            None => map.textures.push(ui.ctx().load_texture(format!("tokens {n}"), image, TextureOptions::NEAREST)),
        }
    }
}
