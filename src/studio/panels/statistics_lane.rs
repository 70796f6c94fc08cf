//! The lane of statistics: entropy, surprisal, and the probability that the speech ends.

use egui::{Mesh, Rect, Ui, pos2};

use super::lane::Lane;
use crate::analysis::statistics::Stat;
use crate::data::{Logits, ModelInfo};
use crate::studio::inspector::CurrentClip;
use crate::studio::memo::ByAddress;
use crate::studio::session::Session;
use crate::studio::theme::Palette;

/// Entropy of the chosen codebook, with the range that most codebooks are in; the surprisal of its tokens as stems; the probability that
/// the speech ends, on its own scale.
pub(super) fn statistics_ui(ui: &Ui, lane: Lane, session: &Session, model: &ModelInfo, bands: &mut Bands) {
    const LEGIBLE: f32 = 10.0;
    let (current, view) = (&session.inspector.current, &session.inspector.view);
    let palette = Palette::of(ui.visuals());
    let steps = &current.steps;
    let codebook = view.codebook.min(model.dims.codebooks - 1);
    let painter = ui.painter().with_clip_rect(lane.rect);
    let visible = ((lane.from * model.dims.frame_rate) as usize).saturating_sub(1)
        ..((lane.to * model.dims.frame_rate) as usize + 2).min(steps.len());
    bands.update(current, codebook);
    let top = bands.top.max(1.0);
    let height = lane.rect.height() - 8.0;
    let y = |v: f64| lane.rect.bottom() - 3.0 - (v / top).min(1.0) as f32 * height;
    let middle = |t: usize| lane.x(model.dims.seconds(t) + 0.5 * model.dims.seconds(1));
    let mut mesh = Mesh::default();
    let band = palette.entropy.gamma_multiply(0.22);
    for t in visible.clone() {
        let (left, right) = (lane.x(model.dims.seconds(t)), lane.x(model.dims.seconds(t + 1)));
        let (low, high) = bands.of(t);
        mesh.add_colored_rect(Rect::from_x_y_ranges(left..=right, y(high)..=y(low) + 0.5), band);
    }
    painter.add(mesh);
    for t in visible.clone() {
        let surprisal = steps[t].stats[codebook][Stat::Surprisal];
        let surprisal = if surprisal.is_finite() { surprisal } else { top };
        if surprisal > 0.05 {
            let at = pos2(middle(t), y(surprisal));
            painter.vline(at.x, at.y..=y(0.0), (1.0, palette.chosen));
            painter.circle_filled(at, 2.5, palette.chosen);
        }
    }
    let points = visible.clone().map(|t| pos2(middle(t), y(steps[t].stats[codebook][Stat::Entropy])));
    painter.line(points.collect(), (1.6, palette.entropy));
    // The draw that ended the clip is drawn at its end.
    let frames = current.clip.codes.len();
    let x = |t: usize| if t < frames { middle(t) } else { lane.x(model.dims.seconds(t)) };
    let place = |p: f32| lane.rect.bottom() - 3.0 - p * height;
    let end = (visible.start..visible.end + 1).filter_map(|t| Some(pos2(x(t), place(steps.end_probability(t)?))));
    painter.line(end.collect::<Vec<_>>(), (1.2, palette.end));
    // The names have the values of the draw that is shown.
    let shown = session.draw().map(|(_, (t, k))| (&steps[t].stats[k], steps[t].end_probability));
    let value = |stat: Stat| shown.map_or(String::new(), |(stats, _)| format!(" {:.1}", stats[stat]));
    let end = shown.map_or(String::new(), |(_, end)| format!(" {:.0} %", 100.0 * end));
    let names = [
        (format!("0 to {top:.1} bits"), palette.tertiary),
        (format!("entropy{}", value(Stat::Entropy)), palette.entropy),
        (format!("surprisal{}", value(Stat::Surprisal)), palette.chosen),
        (format!("p(end){end}"), palette.end),
    ];
    // Where there is no room for all in a legible size, the scale is left out.
    let names = if lane.rect.height() < LEGIBLE * names.len() as f32 { &names[1..] } else { &names[..] };
    for (n, (name, colour)) in names.iter().enumerate() {
        lane.nth_name(ui, (n, names.len()), name, *colour);
    }
}

/// The range of entropies over the codebooks, frame by frame, and the scale of the lane; kept from frame to frame.
#[derive(Default)]
pub(super) struct Bands {
    /// The codebook whose values are drawn, and the clip's first logits.
    of: (usize, Option<ByAddress<Logits>>),
    /// The 10th and the 90th percentile over the codebooks, in bits.
    bands: Vec<(f64, f64)>,
    /// The largest value that is drawn, in bits.
    top: f64,
}

impl Bands {
    fn update(&mut self, current: &CurrentClip, codebook: usize) {
        let of = (codebook, current.steps.get(0).map(|step| ByAddress(step.logits.clone())));
        if self.of != of || self.bands.len() > current.steps.len() {
            *self = Self { of, ..Self::default() };
        }
        for step in current.steps.iter().skip(self.bands.len()) {
            let mut entropies: Vec<f64> = step.stats.iter().map(|stats| stats[Stat::Entropy]).collect();
            entropies.sort_by(f64::total_cmp);
            let at = |share: f64| entropies[(share * (entropies.len() - 1) as f64).round() as usize];
            let band = (at(0.1), at(0.9));
            let drawn = [band.1, step.stats[codebook][Stat::Surprisal], step.stats[codebook][Stat::Entropy]];
            self.top = drawn.into_iter().filter(|v| v.is_finite()).fold(self.top, f64::max);
            self.bands.push(band);
        }
    }

    fn of(&self, t: usize) -> (f64, f64) {
        self.bands.get(t).copied().unwrap_or_default()
    }
}
