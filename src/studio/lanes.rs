//! Everything that is drawn over time, on one axis: ruler, waveform, statistics of the draws, token map, and an overview. What is
//! selected in any of them is what is heard.

use egui::{Align2, Color32, FontId, Pos2, Rect, Response, Sense, Stroke, Ui, pos2, vec2};

use super::lane::Lane;
use super::session::{InspectedClip, PEAK, Session};
use super::{Action, View, token_map};
use crate::analysis::statistics::{STEP_STATISTICS, StepStatistic};
use crate::data::ModelInfo;

/// Room at the left for names and numbers of the lanes.
const MARGIN: f32 = 64.0;
/// Heights.
const RULER: f32 = 18.0;
const WAVEFORM: f32 = 84.0;
const STATISTICS: f32 = 84.0;
const OVERVIEW: f32 = 14.0;
const LEAST_MAP: f32 = 60.0;
/// Tallest row of the map.
const TALLEST_ROW: f32 = 56.0;
/// Unit of the statistics that share a lane.
const UNIT: &str = "bits";
/// Colours of their lines, in the table's order.
const COLOURS: [Color32; 3] =
    [Color32::from_rgb(70, 130, 210), Color32::from_rgb(225, 130, 40), Color32::from_rgb(60, 150, 80)];
const PLAYHEAD: Color32 = Color32::from_rgb(230, 60, 60);

/// All lanes, in `height`.
pub(super) fn lanes_ui(
    ui: &mut Ui,
    session: &Session,
    view: &mut View,
    model: &ModelInfo,
    height: f32,
    actions: &mut Vec<Action>,
) {
    let clip = &session.inspected;
    let length = session.player.seconds().max(model.dims.seconds(clip.frames.len()));
    if let Some((frame, _)) = view.cell.filter(|_| view.reveal) {
        view.axis.reveal(model.dims.seconds(frame), length);
    }
    view.reveal = false;
    let (from, to) = view.axis.range(length);
    let lane = |ui: &mut Ui, height: f32, name: &str| {
        let (all, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click_and_drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, name));
        let rect = all.with_min_x(all.left() + MARGIN);
        ui.painter().rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
        (Lane { rect, from, to }, response)
    };
    ui.spacing_mut().item_spacing.y = 3.0;
    let (ruler, ruler_response) = lane(ui, RULER, "Ruler");
    ruler_ui(ui, ruler, clip, model);
    let (waveform, waveform_response) = lane(ui, WAVEFORM, "Waveform");
    waveform_ui(ui, waveform, clip);
    name_ui(ui, waveform, 0.5, "sound", ui.visuals().text_color());
    let (statistics, statistics_response) = lane(ui, STATISTICS, "Statistics");
    statistics_ui(ui, statistics, clip, view, model);
    let fixed = RULER + WAVEFORM + STATISTICS + OVERVIEW + 5.0 * 3.0;
    let rows = clip.frames.codebooks().max(model.dims.codebooks);
    let (map, map_response) = lane(ui, (height - fixed).clamp(LEAST_MAP, TALLEST_ROW * rows as f32), "Token map");
    token_map::token_map_ui(ui, map, session, view, model);
    let (overview, overview_response) = lane(ui, OVERVIEW, "Overview");
    overview_ui(ui, overview, clip, &overview_response, view, length);

    let whole = Rect::from_min_max(ruler.rect.min, map.rect.max);
    let painter = ui.painter().with_clip_rect(whole);
    if let Some((a, b)) = session.player.region() {
        let part = Rect::from_x_y_ranges(ruler.x(a)..=ruler.x(b), whole.y_range());
        painter.rect_filled(part, 0.0, ui.visuals().selection.bg_fill.gamma_multiply(0.35));
    }
    if !clip.audio.is_empty() {
        painter.vline(ruler.x(session.player.position()), whole.y_range(), (1.5, PLAYHEAD));
    }
    for (lane, response) in
        [(ruler, ruler_response), (waveform, waveform_response), (statistics, statistics_response), (map, map_response)]
    {
        let rows = (lane.rect == map.rect).then_some(clip.frames.codebooks());
        interact(ui, lane, rows, &response, session, view, model, length, actions);
    }
}

/// Click, drag and wheel; the same in every lane. `rows`: codebooks of the map.
fn interact(
    ui: &Ui,
    lane: Lane,
    rows: Option<usize>,
    response: &Response,
    session: &Session,
    view: &mut View,
    model: &ModelInfo,
    length: f64,
    actions: &mut Vec<Action>,
) {
    let pointer = response.hover_pos();
    if let Some(p) = pointer {
        let (scroll, zoom) = ui.input(|i| (i.smooth_scroll_delta(), i.zoom_delta()));
        let factor = f64::from(zoom) * f64::from(scroll.y / 250.0).exp();
        if (factor - 1.0).abs() > 1e-6 {
            view.axis.zoom(lane.seconds(p.x), factor, length);
        }
        if scroll.x != 0.0 {
            view.axis.pan(f64::from(-scroll.x / lane.rect.width()) * (lane.to - lane.from), length);
        }
    }
    if response.double_clicked() {
        view.axis.fit();
        return;
    }
    let frames = session.inspected.frames.len();
    let Some(p) = response.interact_pointer_pos().or(pointer).filter(|_| frames > 0) else { return };
    let frame = |x: f32| ((lane.seconds(x) * model.dims.frame_rate + 1e-9) as usize).min(frames - 1);
    if response.clicked() {
        let n = frame(p.x);
        let row = |rows: usize| {
            (((p.y - lane.rect.top()) / lane.rect.height() * rows as f32).max(0.0) as usize).min(rows - 1)
        };
        actions.push(Action::Select(Some((n, rows.map_or(view.codebook, row)))));
        actions.push(Action::PlayRegion(model.dims.seconds(n), model.dims.seconds(n + 1), false));
    } else if response.dragged()
        && let Some(from) = ui.input(|i| i.pointer.press_origin())
    {
        actions.push(Action::SelectRegion(lane.seconds(from.x), lane.seconds(p.x)));
    } else if response.drag_stopped()
        && let Some((from, to)) = session.player.region()
    {
        actions.push(Action::PlayRegion(from, to, session.player.is_looping()));
    }
}

/// A lane's name in the margin.
fn name_ui(ui: &Ui, lane: Lane, share: f32, name: &str, colour: Color32) {
    let at = pos2(lane.rect.left() - 6.0, lane.rect.top() + share * lane.rect.height());
    ui.painter().text(at, Align2::RIGHT_CENTER, name, FontId::proportional(11.0), colour);
}

fn ruler_ui(ui: &Ui, lane: Lane, clip: &InspectedClip, model: &ModelInfo) {
    let painter = ui.painter().with_clip_rect(lane.rect);
    let colour = ui.visuals().weak_text_color();
    let step = super::state::TimeAxis::ruler_step(lane.to - lane.from, f64::from(lane.rect.width()));
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
    // A flag where the take was edited.
    for edit in clip.spec.iter().flat_map(|spec| &spec.edits) {
        let x = lane.x(model.dims.seconds(edit.frame()));
        painter.text(pos2(x, lane.rect.top() + 7.0), Align2::CENTER_CENTER, "▼", FontId::proportional(10.0), PLAYHEAD);
    }
    name_ui(ui, lane, 0.5, "seconds", colour);
}

fn waveform_ui(ui: &Ui, lane: Lane, clip: &InspectedClip) {
    let painter = ui.painter().with_clip_rect(lane.rect);
    let loudest = clip.peaks.iter().fold(0.05f32, |m, (low, high)| m.max(-low).max(*high));
    let colour = ui.visuals().widgets.active.fg_stroke.color.gamma_multiply(0.75);
    draw_peaks(&painter, lane, clip, loudest, colour, ui.pixels_per_point());
}

/// The envelope, a line for each pixel: the same at every scale of the window.
fn draw_peaks(painter: &egui::Painter, lane: Lane, clip: &InspectedClip, loudest: f32, colour: Color32, scale: f32) {
    if clip.audio.is_empty() {
        return;
    }
    let rate = clip.rate.max(1) as f64;
    let columns = (lane.rect.width() * scale) as usize;
    let y = |v: f32| lane.rect.center().y - v / loudest * lane.rect.height() * 0.48;
    for column in 0..columns {
        let at = |column: usize| lane.from + column as f64 / columns as f64 * (lane.to - lane.from);
        let (first, last) = (at(column) * rate, at(column + 1) * rate);
        // From the peaks where a pixel has many samples, else from the samples themselves.
        let (low, high) = if last - first > 2.0 * PEAK as f64 {
            let (first, last) = ((first / PEAK as f64) as usize, (last / PEAK as f64).ceil() as usize);
            let Some(peaks) = clip.peaks.get(first..last.min(clip.peaks.len()).max(first)) else { break };
            peaks.iter().fold((0f32, 0f32), |(l, h), p| (l.min(p.0), h.max(p.1)))
        } else {
            let (first, last) = (first as usize, (last.ceil() as usize).max(first as usize + 1));
            let Some(samples) = clip.audio.get(first..last.min(clip.audio.len()).max(first)) else { break };
            samples.iter().fold((f32::MAX, f32::MIN), |(l, h), s| (l.min(*s), h.max(*s)))
        };
        if low <= high {
            let x = lane.rect.left() + (column as f32 + 0.5) / scale;
            painter.vline(x, y(high)..=y(low) + 0.5, Stroke::new(1.0 / scale, colour));
        }
    }
}

fn statistics_ui(ui: &Ui, lane: Lane, clip: &InspectedClip, view: &View, model: &ModelInfo) {
    let codebook = view.codebook.min(model.dims.codebooks - 1);
    let painter = ui.painter().with_clip_rect(lane.rect);
    let shown = || STEP_STATISTICS.iter().filter(|s| s.plotted && s.unit == UNIT).zip(COLOURS);
    let value = |t: usize, statistic: &StepStatistic| clip.steps[t][codebook][statistic.stat];
    let visible = ((lane.from * model.dims.frame_rate) as usize).saturating_sub(1)
        ..((lane.to * model.dims.frame_rate) as usize + 2).min(clip.steps.len());
    // Scaled to the take: most of the range that the vocabulary allows is never used.
    let all = (0..clip.steps.len()).flat_map(|t| shown().map(move |(s, _)| value(t, s)));
    let top = all.filter(|v| v.is_finite()).fold(1.0, f64::max);
    let y = |v: f64| lane.rect.bottom() - 3.0 - (v / top) as f32 * (lane.rect.height() - 8.0);
    for (n, (statistic, colour)) in shown().enumerate() {
        let middle = |t: usize| lane.x(model.dims.seconds(t) + 0.5 * model.dims.seconds(1));
        let points = visible.clone().map(|t| (middle(t), value(t, statistic))).filter(|(_, v)| v.is_finite());
        let points: Vec<Pos2> = points.map(|(x, v)| pos2(x, y(v))).collect();
        painter.line(points, (1.6, colour));
        name_ui(ui, lane, 0.3 + 0.25 * n as f32, statistic.title, colour);
    }
    let weak = ui.visuals().weak_text_color();
    name_ui(ui, lane, 0.1, &format!("{top:.1} bits"), weak);
}

/// The whole clip in small; the visible part of it can be dragged.
fn overview_ui(ui: &Ui, lane: Lane, clip: &InspectedClip, response: &Response, view: &mut View, length: f64) {
    let whole = Lane { from: 0.0, to: length.max(1e-3), ..lane };
    let painter = ui.painter().with_clip_rect(lane.rect);
    let loudest = clip.peaks.iter().fold(0.05f32, |m, (low, high)| m.max(-low).max(*high));
    draw_peaks(&painter, whole, clip, loudest, ui.visuals().weak_text_color(), 1.0);
    if (lane.from, lane.to) != (0.0, length) {
        let part = Rect::from_x_y_ranges(whole.x(lane.from)..=whole.x(lane.to), lane.rect.y_range());
        painter.rect_stroke(part, 1.0, (1.5, ui.visuals().selection.bg_fill), egui::StrokeKind::Inside);
    }
    if response.double_clicked() {
        view.axis.fit();
    } else if let Some(p) = response.interact_pointer_pos() {
        let (middle, at) = ((lane.from + lane.to) / 2.0, whole.seconds(p.x));
        view.axis.pan(at - middle, length);
    }
    name_ui(ui, lane, 0.5, "overview", ui.visuals().weak_text_color());
}
