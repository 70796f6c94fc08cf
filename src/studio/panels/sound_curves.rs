//! The lane of pitch and level: the current clip's, and the pitch of pinned clips behind it.

use egui::{Align2, Color32, FontId, Ui, pos2};

use super::lane::Lane;
use crate::acoustics::curves::SoundCurves;
use crate::studio::session::Session;
use crate::studio::theme::Palette;

/// Height of the lane.
pub(super) const HEIGHT: f32 = 64.0;
/// Frequencies of the lane, Hz, if no clip has a pitch: those of speech.
const USUAL_PITCH: (f64, f64) = (80.0, 320.0);
/// Levels of the lane, dB of full scale.
const LEVELS: (f64, f64) = (-60.0, 0.0);
/// How far apart two values may be to be joined by a line, in octaves: a greater step is an error of one octave, or another sound.
const JOINED: f64 = 0.6;

/// Draws the curves. Pitch is on a logarithmic axis, so that equal intervals are equally high.
pub(super) fn sound_curves_ui(ui: &Ui, lane: Lane, session: &Session) {
    let palette = Palette::of(ui.visuals());
    let current = session.inspector.current.curves.as_deref();
    let pinned = session.comparison.pins.in_lanes();
    let all = || current.into_iter().chain(pinned.iter().map(|pinned| &*pinned.curves));
    let heard = || all().flat_map(|curves| curves.pitch.iter().flatten().copied());
    let (low, high) = match (heard().reduce(f64::min), heard().reduce(f64::max)) {
        (Some(low), Some(high)) => (low.min(USUAL_PITCH.0), high.max(USUAL_PITCH.1)),
        _ => USUAL_PITCH,
    };
    let share = |hertz: f64| (hertz / low).ln() / (high / low).ln();
    let y = |share: f64| lane.rect.bottom() - 3.0 - share.clamp(0.0, 1.0) as f32 * (lane.rect.height() - 6.0);
    let painter = ui.painter().with_clip_rect(lane.rect);
    for mark in [100.0, 200.0, 300.0, 400.0].into_iter().filter(|mark| (low..high).contains(mark)) {
        let at = y(share(mark));
        if at < lane.rect.top() + 6.0 || at > lane.rect.bottom() - 6.0 {
            continue; // its number would be cut
        }
        painter.hline(lane.rect.x_range(), at, (0.5, palette.line));
        let place = pos2(lane.rect.right() - 3.0, at);
        painter.text(place, Align2::RIGHT_CENTER, format!("{mark:.0} Hz"), FontId::proportional(9.0), palette.tertiary);
    }
    for pinned in pinned {
        let mode = pinned.clip.origin.sampling.map(|sampling| sampling.mode);
        let colour = mode.map_or(palette.before, |mode| palette.mode(mode));
        pitch_ui(&painter, lane, &pinned.curves, |hertz| y(share(hertz)), (1.0, colour.gamma_multiply(0.7)));
    }
    let Some(curves) = current else { return };
    let level = |decibels: f64| y((decibels - LEVELS.0) / (LEVELS.1 - LEVELS.0));
    let points = visible(lane, curves.level.len()).map(|t| pos2(x(lane, t), level(curves.level[t])));
    painter.line(points.collect(), (1.2, palette.tertiary));
    pitch_ui(&painter, lane, curves, |hertz| y(share(hertz)), (2.0, palette.accent));
}

/// The values of pitch and level at the playhead, for the margin.
pub(super) fn names(ui: &Ui, session: &Session) -> [(String, Color32); 2] {
    let palette = Palette::of(ui.visuals());
    let curves = session.inspector.current.curves.as_deref();
    let t = (session.monitor.player.position() / SoundCurves::HOP).max(0.0) as usize;
    let pitch = curves.and_then(|curves| curves.pitch.get(t).copied().flatten());
    let level = curves.and_then(|curves| curves.level.get(t).copied()).filter(|level| level.is_finite());
    [
        (pitch.map_or("pitch".into(), |hertz| format!("pitch {hertz:.0} Hz")), palette.accent),
        (level.map_or("level".into(), |level| format!("level {level:.0} dB")), palette.tertiary),
    ]
}

fn pitch_ui(painter: &egui::Painter, lane: Lane, curves: &SoundCurves, y: impl Fn(f64) -> f32, stroke: (f32, Color32)) {
    let mut line: Vec<egui::Pos2> = Vec::new();
    let mut last: Option<f64> = None;
    for t in visible(lane, curves.pitch.len()) {
        let hertz = curves.pitch[t];
        let continues = matches!((last, hertz), (Some(a), Some(b)) if (b / a).log2().abs() < JOINED);
        if !continues {
            painter.line(std::mem::take(&mut line), stroke);
        }
        line.extend(hertz.map(|hertz| pos2(x(lane, t), y(hertz))));
        last = hertz;
    }
    painter.line(line, stroke);
}

/// The x coordinate of value `t`.
fn x(lane: Lane, t: usize) -> f32 {
    lane.x(t as f64 * SoundCurves::HOP)
}

/// The values of `count` that the lane shows.
fn visible(lane: Lane, count: usize) -> std::ops::Range<usize> {
    let (from, to) = ((lane.from / SoundCurves::HOP) as usize, (lane.to / SoundCurves::HOP) as usize + 2);
    from.min(count)..to.min(count)
}
