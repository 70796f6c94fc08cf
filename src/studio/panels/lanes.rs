//! Lanes: everything that is drawn over time, on one axis: ruler, waveform, statistics of the draws, token map and overview. A
//! selection in any of them is played.

use egui::{Align2, Color32, FontId, Mesh, Rect, Response, Sense, Ui, pos2, vec2};

use super::lane::{Lane, MARGIN};
use super::mixer::mixer_ui;
use super::sound_curves::{self, sound_curves_ui};
use super::spectrograms::Spectrograms;
use super::stacks::Stacks;
use super::statistics_lane::{Bands, statistics_ui};
use super::token_map::{TokenMap, token_map_ui};
use super::words_lane::words_ui;
use crate::audio::peaks::samples_per_peak;
use crate::data::{Clip, Edit, ModelInfo};
use crate::studio::command::Commands;
use crate::studio::comparison::PinnedClip;
use crate::studio::inspector::{CurrentClip, InspectorCommand, TimeAxis};
use crate::studio::monitor::{MonitorCommand, PlaybackSource};
use crate::studio::session::Session;
use crate::studio::theme::{Palette, icon};
use crate::text::expected_seconds;

/// Height of the ruler.
const RULER: f32 = 18.0;
/// Height of the lane of words.
const WORDS: f32 = 20.0;
/// Greatest and least height of a pinned clip.
const PINNED: (f32, f32) = (30.0, 12.0);
const OVERVIEW: f32 = 14.0;
const GAP: f32 = 3.0;
/// Least and greatest height of waveform and statistics, and their share of what is left.
const CURVES: (f32, f32, f32) = (34.0, 150.0, 0.15);
const LEAST_MAP: f32 = 60.0;
/// Tallest row of the map.
const TALLEST_ROW: f32 = 96.0;

/// A waveform to draw.
struct Wave<'a> {
    clip: &'a Clip,
    peaks: &'a [(f32, f32)],
}

impl<'a> Wave<'a> {
    fn of_current(current: &'a CurrentClip) -> Self {
        Self { clip: &current.clip, peaks: &current.peaks }
    }

    fn of_pinned(pinned: &'a PinnedClip) -> Self {
        Self { clip: &pinned.clip, peaks: &pinned.peaks }
    }

    /// The largest magnitude, at least 0.05: silence is not magnified.
    fn loudest(&self) -> f32 {
        self.peaks.iter().fold(0.05f32, |m, (low, high)| m.max(-low).max(*high))
    }
}

/// All lanes, within `height`.
pub(super) fn lanes_ui(
    ui: &mut Ui,
    session: &Session,
    map: &mut TokenMap,
    pictures: &mut Spectrograms,
    (stacks, bands): (&mut Stacks, &mut Bands),
    model: &ModelInfo,
    height: f32,
    commands: &mut Commands,
) {
    let (current, view) = (&session.inspector.current, &session.inspector.view);
    let pins = session.comparison.pins.in_lanes();
    let own = current.clip.seconds();
    let longest = pins.iter().map(|pinned| pinned.clip.seconds()).fold(own, f64::max);
    let codes = &current.clip.codes;
    let length = longest.max(model.dims.seconds(codes.len())).max(expected_length(session, own));
    let mut axis = view.axis;
    let (from, to) = axis.range(length);
    let lane = |ui: &mut Ui, height: f32, name: &str| {
        let (all, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name));
        let rect = all.with_min_x(all.left() + MARGIN);
        ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
        (Lane { rect, from, to }, response)
    };
    ui.spacing_mut().item_spacing.y = GAP;
    let rows = codes.codebooks().max(model.dims.codebooks);
    // Where there is little room, the other lanes have it.
    let has_words = (!current.words.is_empty() || current.tracks_words())
        && height >= least_height(pins.len(), view.curves) + WORDS + GAP;
    let height = if has_words { height - WORDS - GAP } else { height };
    let height = if view.curves { height - sound_curves::HEIGHT - GAP } else { height };
    let (pinned_height, curve_height, map_height) = heights(height, pins.len(), rows);
    let (ruler, ruler_response) = lane(ui, RULER, "Ruler");
    ruler_ui(ui, ruler, session, model, commands);
    if has_words {
        let (words, _) = lane(ui, WORDS, "Words");
        words_ui(ui, words, session, model, commands);
    }
    let (waveform, waveform_response) = lane(ui, curve_height, "Waveform");
    let wave = Wave::of_current(current);
    let loudest = wave.loudest();
    let colour = ui.visuals().widgets.active.fg_stroke.color.gamma_multiply(0.75);
    match current.spectrogram.as_ref().filter(|_| view.spectrograms) {
        Some(spectrogram) => pictures.draw(ui, waveform, "current", spectrogram, own),
        None => draw_wave(ui, waveform, &wave, loudest, colour),
    }
    waveform.name(ui, "sound", ui.visuals().text_color());
    let mut lanes = vec![(ruler, ruler_response, None), (waveform, waveform_response, None)];
    for (n, pinned) in pins.iter().enumerate() {
        let (place, response) = lane(ui, pinned_height, &format!("Pinned {}", n + 1));
        pinned_ui(ui, place, pinned, n, session, pictures, commands);
        lanes.push((place, response, None));
    }
    if view.curves {
        let (curves, response) = lane(ui, sound_curves::HEIGHT, "Pitch and level");
        sound_curves_ui(ui, curves, session);
        for (n, (name, colour)) in sound_curves::names(ui, session).iter().enumerate() {
            curves.nth_name(ui, (n, 2), name, *colour);
        }
        lanes.push((curves, response, None));
    }
    let codebook = view.codebook.min(model.dims.codebooks - 1);
    let (draws, draws_response) = lane(ui, curve_height, "Probabilities over time");
    stacks.draw(ui, draws, current, codebook, model);
    let weak = ui.visuals().weak_text_color();
    draws.nth_name(ui, (0, 2), "draws", ui.visuals().text_color());
    draws.nth_name(ui, (1, 2), &format!("codebook {codebook}"), weak);
    lanes.push((draws, draws_response, None));
    let (statistics, statistics_response) = lane(ui, curve_height, "Statistics over time");
    statistics_ui(ui, statistics, session, model, bands);
    lanes.push((statistics, statistics_response, None));
    let (place, response) = lane(ui, map_height, "Token map");
    token_map_ui(ui, place, session, map, model);
    mixer_ui(ui, place, session, commands);
    let last = place;
    lanes.push((place, response, Some(codes.codebooks())));
    let (overview, overview_response) = lane(ui, OVERVIEW, "Overview");
    overview_ui(ui, overview, current, &overview_response, &mut axis, length);

    let whole = Rect::from_min_max(ruler.rect.min, last.rect.max);
    let painter = ui.painter().with_clip_rect(whole);
    if let Some((a, b)) = session.monitor.player.region() {
        let part = Rect::from_x_y_ranges(ruler.x(a)..=ruler.x(b), whole.y_range());
        painter.rect_filled(part, 0.0, ui.visuals().selection.bg_fill.gamma_multiply(0.35));
    }
    if !current.clip.audio.is_empty() {
        let x = ruler.x(session.monitor.player.position());
        let [line, rim] = Palette::of(ui.visuals()).playhead;
        painter.vline(x, whole.y_range(), (3.0, rim.gamma_multiply(0.6)));
        painter.vline(x, whole.y_range(), (1.5, line));
    }
    for (lane, response, rows) in lanes {
        interact(ui, lane, rows, &response, session, &mut axis, model, length, commands);
    }
    if axis != view.axis {
        commands.push(InspectorCommand::SetAxis(axis));
    }
}

/// Length of the axis while a clip is made, in seconds; 0 if none is made.
fn expected_length(session: &Session, made: f64) -> f64 {
    if !session.is_speaking() {
        return 0.0;
    }
    let expected = session.inspector.current.clip.origin.text.as_deref().map_or(0.0, expected_seconds);
    axis_length(expected, made)
}

/// As long as the text lets expect, then longer by steps, so that nothing moves with every frame.
fn axis_length(expected: f64, made: f64) -> f64 {
    const STEP: f64 = 2.0;
    if made <= expected { expected } else { (made / STEP).ceil() * STEP }
}

/// Heights of each pinned clip, of waveform, probabilities and statistics each, and of the token map with `rows` rows, if all lanes have
/// `height`. The other lanes share what the map cannot use.
fn heights(height: f32, pins: usize, rows: usize) -> (f32, f32, f32) {
    let others = RULER + OVERVIEW + 6.0 * GAP;
    let for_pins = (height - others - 3.0 * CURVES.0 - LEAST_MAP) / pins.max(1) as f32 - GAP;
    let pinned = for_pins.clamp(PINNED.1, PINNED.0);
    let fixed = others + pins as f32 * (pinned + GAP);
    let left = height - fixed;
    let (least, most, share) = CURVES;
    let curve = (left * share).clamp(least, most);
    let tallest = TALLEST_ROW * rows as f32;
    let map = (left - 3.0 * curve).clamp(LEAST_MAP, tallest.max(LEAST_MAP));
    (pinned, ((left - map) / 3.0).clamp(curve, most), map)
}

/// Least height of all lanes with `pins` pinned clips, and with pitch and level or without.
pub(super) fn least_height(pins: usize, curves: bool) -> f32 {
    let curves = if curves { sound_curves::HEIGHT + GAP } else { 0.0 };
    RULER + OVERVIEW + 6.0 * GAP + 3.0 * CURVES.0 + LEAST_MAP + pins as f32 * (PINNED.1 + GAP) + curves
}

/// Clicks, drags and scrolling; the same in every lane. `rows` is the number of codebooks if the lane is the token map.
fn interact(
    ui: &Ui,
    lane: Lane,
    rows: Option<usize>,
    response: &Response,
    session: &Session,
    axis: &mut TimeAxis,
    model: &ModelInfo,
    length: f64,
    commands: &mut Commands,
) {
    let pointer = response.hover_pos();
    if let Some(p) = pointer {
        let (scroll, zoom) = ui.input(|i| (i.smooth_scroll_delta(), i.zoom_delta()));
        let factor = f64::from(zoom) * f64::from(scroll.y / 250.0).exp();
        if (factor - 1.0).abs() > 1e-6 {
            axis.zoom(lane.seconds(p.x), factor, length);
        }
        if scroll.x != 0.0 {
            axis.pan(f64::from(-scroll.x / lane.rect.width()) * (lane.to - lane.from), length);
        }
    }
    if response.double_clicked() {
        axis.fit();
        return;
    }
    let frames = session.inspector.current.clip.codes.len();
    // The margin belongs to the lane's own buttons.
    let begun = ui.input(|i| i.pointer.press_origin());
    let in_margin = begun.or(pointer).is_some_and(|p| p.x < lane.rect.left());
    let position = response.interact_pointer_pos().or(pointer).filter(|_| frames > 0 && !in_margin);
    let Some(p) = position else { return };
    let frame = |x: f32| ((lane.seconds(x) * model.dims.frame_rate + 1e-9) as usize).min(frames - 1);
    if response.clicked() {
        let n = frame(p.x);
        let row = |rows: usize| {
            (((p.y - lane.rect.top()) / lane.rect.height() * rows as f32).max(0.0) as usize).min(rows - 1)
        };
        commands.push(InspectorCommand::Select(Some((n, rows.map_or(session.inspector.view.codebook, row)))));
        let (from, to) = (model.dims.seconds(n), model.dims.seconds(n + 1));
        commands.push(MonitorCommand::PlayRegion { from, to, looping: false });
    } else if response.dragged()
        && let Some(from) = begun
    {
        commands.push(MonitorCommand::SelectRegion { from: lane.seconds(from.x), to: lane.seconds(p.x) });
    } else if response.drag_stopped()
        && let Some((from, to)) = session.monitor.player.region()
    {
        commands.push(MonitorCommand::PlayRegion { from, to, looping: session.monitor.player.is_looping() });
    }
}

/// A pinned clip: a button that switches to it, and its waveform on the common axis.
fn pinned_ui(
    ui: &mut Ui,
    lane: Lane,
    pinned: &PinnedClip,
    n: usize,
    session: &Session,
    pictures: &mut Spectrograms,
    commands: &mut Commands,
) {
    let source = PlaybackSource::Pinned(pinned.key.clone());
    let is_source = session.monitor.source == source;
    let loudest =
        session.comparison.pins.clips().iter().map(|pinned| Wave::of_pinned(pinned).loudest()).fold(0.05, f32::max);
    let sampling = pinned.clip.origin.sampling;
    let colour = sampling.map_or(ui.visuals().weak_text_color(), |s| Palette::of(ui.visuals()).mode(s.mode));
    if session.inspector.view.spectrograms {
        pictures.draw(ui, lane, &format!("{:?}", pinned.key), &pinned.spectrogram, pinned.clip.seconds());
    } else {
        let colour = if is_source { colour } else { colour.gamma_multiply(0.6) };
        draw_wave(ui, lane, &Wave::of_pinned(pinned), loudest, colour);
    }
    let margin = Rect::from_min_max(pos2(lane.rect.left() - MARGIN, lane.rect.top()), lane.rect.left_bottom());
    let number = egui::Button::selectable(is_source, egui::RichText::new((n + 1).to_string()).color(colour)).small();
    let place = margin.shrink2(vec2(2.0, 5.0));
    // A separate child takes no room from the lanes below.
    let number = ui.new_child(egui::UiBuilder::new().max_rect(place)).put(place, number);
    let settings = sampling.map_or(String::new(), |s| format!(", {}", s.summary()));
    let tip = format!("Switch to “{}” at the same moment (key {}){settings}", pinned.name, n + 1);
    if number.on_hover_text(tip).accessible_name(format!("Switch to pinned {}", n + 1)).clicked() {
        commands.push(MonitorCommand::SwitchTo(source));
    }
    if is_source {
        let accent = Palette::of(ui.visuals()).accent;
        ui.painter().rect_stroke(lane.rect, 2.0, (1.5, accent), egui::StrokeKind::Inside);
    }
}

fn ruler_ui(ui: &Ui, lane: Lane, session: &Session, model: &ModelInfo, commands: &mut Commands) {
    let current = &session.inspector.current;
    let painter = ui.painter().with_clip_rect(lane.rect);
    let palette = Palette::of(ui.visuals());
    let colour = ui.visuals().weak_text_color();
    let step = TimeAxis::ruler_step(lane.to - lane.from, f64::from(lane.rect.width()));
    let mut mark = (lane.from / step).floor() * step;
    while mark <= lane.to {
        let x = lane.x(mark);
        painter.vline(x, lane.rect.bottom() - 5.0..=lane.rect.bottom(), (1.0, colour));
        let text = if step < 0.1 { format!("{mark:.2}") } else { format!("{mark:.1}") };
        painter.text(
            pos2(x + 3.0, lane.rect.center().y),
            Align2::LEFT_CENTER,
            text,
            FontId::proportional(10.0),
            colour,
        );
        mark += step;
    }
    // A flag at each edit shows the take that was edited.
    let parent = current.take.as_ref().and_then(|id| session.library.store.get(id)?.parent.clone());
    let seam = current.take.as_ref().and_then(|id| session.library.store.get(id)?.measures.seam);
    for (n, edit) in current.clip.origin.edits.iter().enumerate() {
        let at = pos2(lane.x(model.dims.seconds(edit.frame())), lane.rect.top() + 7.0);
        if !lane.rect.contains(at) {
            continue;
        }
        painter.text(at, Align2::CENTER_CENTER, icon::FLAG, FontId::proportional(11.0), palette.chosen);
        if let Some(seam) = seam.filter(|seam| seam.frame == edit.frame()) {
            let bits = format!("{:+.1} bits", seam.bits);
            // The number of the ruler is behind it.
            let text = painter.layout_no_wrap(bits, FontId::proportional(9.0), palette.chosen);
            let place = Align2::LEFT_CENTER.anchor_size(at + vec2(8.0, 0.0), text.size());
            painter.rect_filled(place.expand(1.0), 2.0, ui.visuals().extreme_bg_color);
            painter.galley(place.min, text, palette.chosen);
        }
        let flag =
            ui.interact(Rect::from_center_size(at, vec2(14.0, 14.0)), ui.scope_id().with(("edit", n)), Sense::click());
        let name = describe_edit(edit, model);
        flag.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, parent.is_some(), &name));
        let tip = if parent.is_some() { format!("{name}. Click to show the take that was edited") } else { name };
        if flag.on_hover_text(tip).clicked() {
            parent.clone().into_iter().for_each(|take| commands.push(InspectorCommand::View(take)));
        }
    }
    lane.name(ui, "seconds", colour);
}

pub(super) fn describe_edit(edit: &Edit, model: &ModelInfo) -> String {
    let at = format!("at {:.2} s", model.dims.seconds(edit.frame()));
    match edit {
        Edit::Token { codebook, token, .. } => {
            format!("codebook {codebook}: {} {at}", model.describe_token(*codebook, *token))
        }
        Edit::Sampling { sampling, .. } => format!("{} from here, {at}", sampling.summary()),
        Edit::Seed { seed, .. } => format!("seed {seed} from here, {at}"),
        Edit::Frames { source, .. } if source.is_empty() => format!("frames of the parent take from here, {at}"),
        Edit::Frames { source, .. } => format!("frames of {source} from here, {at}"),
    }
}

/// Draws the envelope of a waveform, a line per pixel: the same at every scale of the window.
fn draw_wave(ui: &Ui, lane: Lane, wave: &Wave<'_>, loudest: f32, colour: Color32) {
    let Clip { audio, sample_rate, .. } = wave.clip;
    if audio.is_empty() {
        return;
    }
    let scale = ui.pixels_per_point();
    // One mesh: a shape per pixel would cost more than everything else in the window.
    let mut mesh = Mesh::default();
    let (rate, per_peak) = ((*sample_rate).max(1) as f64, samples_per_peak(*sample_rate));
    let columns = (lane.rect.width() * scale) as usize;
    let y = |v: f32| lane.rect.center().y - v / loudest * lane.rect.height() * 0.48;
    for column in 0..columns {
        let at = |column: usize| lane.from + column as f64 / columns as f64 * (lane.to - lane.from);
        let (first, last) = (at(column) * rate, at(column + 1) * rate);
        // From the peaks if a pixel has many samples, otherwise from the samples.
        let (low, high) = if last - first > 2.0 * per_peak as f64 {
            let (first, last) = ((first / per_peak as f64) as usize, (last / per_peak as f64).ceil() as usize);
            let Some(peaks) = wave.peaks.get(first..last.min(wave.peaks.len()).max(first)) else { break };
            peaks.iter().fold((0f32, 0f32), |(l, h), p| (l.min(p.0), h.max(p.1)))
        } else {
            let (first, last) = (first as usize, (last.ceil() as usize).max(first as usize + 1));
            let Some(samples) = audio.get(first..last.min(audio.len()).max(first)) else { break };
            samples.iter().fold((f32::MAX, f32::MIN), |(l, h), s| (l.min(*s), h.max(*s)))
        };
        if low <= high {
            let left = lane.rect.left() + column as f32 / scale;
            mesh.add_colored_rect(Rect::from_x_y_ranges(left..=left + 1.0 / scale, y(high)..=y(low) + 0.5), colour);
        }
    }
    ui.painter().with_clip_rect(lane.rect).add(mesh);
}

/// The overview: the whole clip, and the visible part, which can be dragged.
fn overview_ui(ui: &Ui, lane: Lane, current: &CurrentClip, response: &Response, axis: &mut TimeAxis, length: f64) {
    let whole = Lane { from: 0.0, to: length.max(1e-3), ..lane };
    let painter = ui.painter().with_clip_rect(lane.rect);
    let wave = Wave::of_current(current);
    draw_wave(ui, whole, &wave, wave.loudest(), ui.visuals().weak_text_color());
    if (lane.from, lane.to) != (0.0, length) {
        let part = Rect::from_x_y_ranges(whole.x(lane.from)..=whole.x(lane.to), lane.rect.y_range());
        painter.rect_stroke(part, 1.0, (1.5, ui.visuals().selection.bg_fill), egui::StrokeKind::Inside);
    }
    if response.double_clicked() {
        axis.fit();
    } else if let Some(p) = response.interact_pointer_pos() {
        let (middle, at) = ((lane.from + lane.to) / 2.0, whole.seconds(p.x));
        axis.pan(at - middle, length);
    }
    lane.name(ui, "overview", ui.visuals().weak_text_color());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_stays_while_a_clip_grows() {
        let lengths: Vec<f64> = (1..100).map(|frame| axis_length(5.1, f64::from(frame) * 0.08)).collect();
        assert!(lengths.iter().zip(1..).all(|(length, frame)| *length >= f64::from(frame) * 0.08));
        let changes = lengths.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 2, "to 6 and to 8 seconds: {lengths:?}");
    }

    #[test]
    fn lanes_use_the_height_there_is() {
        for (height, pins, rows) in
            [(1_000.0, 0, 6), (480.0, 3, 32), (700.0, 0, 32), (420.0, 9, 6), (least_height(4, false), 4, 32)]
        {
            let (pinned, curve, map) = heights(height, pins, rows);
            let used = RULER + OVERVIEW + 6.0 * GAP + pins as f32 * (pinned + GAP) + 3.0 * curve + map;
            assert!(used <= height + 0.1 && (used > height - 1.0 || curve >= CURVES.1), "{height}: {used}");
            assert!(height >= least_height(pins, false));
            assert!(map <= TALLEST_ROW * rows as f32 && map >= LEAST_MAP);
        }
    }
}
