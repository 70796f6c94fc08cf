//! Plots of the draws: one distribution, and entropy and surprisal over time.

use egui::{Color32, ComboBox, Ui};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, Line, Plot, PlotPoints, VLine};

use super::session::Session;
use super::{Action, View, cell};
use crate::analysis::step::distributions;
use crate::analysis::top;
use crate::report::Model;

/// Candidates that are shown.
const CANDIDATES: usize = 9;

pub(super) fn show(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    let Some(model) = session.model.clone() else {
        ui.centered_and_justified(|ui| ui.label("reading the model…"));
        return;
    };
    header(ui, session, view, &model, actions);
    let height = (ui.available_height() * 0.42).clamp(110.0, 300.0);
    ui.columns(2, |columns| {
        candidates(&mut columns[0], session, view, &model, height);
        over_time(&mut columns[1], session, view, &model, height);
    });
}

fn header(ui: &mut Ui, session: &Session, view: &mut View, model: &Model, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        let combo = ComboBox::from_id_salt("codebook").width(60.0).selected_text(format!("codebook {}", view.codebook));
        let shown = combo.show_ui(ui, |ui| {
            for k in 0..model.codebooks {
                ui.selectable_value(&mut view.codebook, k, format!("codebook {k}"));
            }
        });
        shown.response.accessible_name("Codebook of the plots");
        if view.cell.is_some() && ui.button("Newest frame").clicked() {
            actions.push(Action::Select(None));
        }
        if let Some((frame, _)) = view.cell.filter(|_| session.shown.take.is_some()) {
            let button = ui
                .button("Resume here")
                .on_hover_text("a new take: the same up to here, then the settings at the left");
            if button.clicked() {
                actions.push(Action::Resume(frame));
            }
        }
        let s = &session.shown;
        if !s.frames.is_empty() {
            let seconds = s.frames.len() as f64 / model.frame_rate;
            ui.label(format!("{} frames · {seconds:.2} s", s.frames.len()));
            if s.real_time_factor > 0.0 {
                let rate = model.frame_rate / s.real_time_factor;
                ui.label(format!("{rate:.1} frames/s · real-time factor {:.2}", s.real_time_factor));
            }
            if let Some(stop) = s.stop {
                ui.label(match stop {
                    crate::tokens::Stop::Eos => "ended by itself",
                    crate::tokens::Stop::Cap => "stopped at the longest length",
                    crate::tokens::Stop::Cancelled => "cancelled",
                    crate::tokens::Stop::Forced => "made from given tokens",
                });
            }
        }
        if let Some((t, k)) = cell(session, view, model) {
            let (step, token) = (&s.steps[t][k], s.frames[t][k]);
            ui.label(format!(
                "frame {t}: {} · p {:.3} → {:.3} · rank {} · entropy {:.2} bits · kept {:.3} in {}",
                model.label(k, token),
                step.raw.probability,
                step.sampled.probability,
                step.raw.rank,
                step.raw.entropy,
                step.kept_mass,
                step.survivors
            ));
        }
    });
}

fn candidates(ui: &mut Ui, session: &Session, view: &View, model: &Model, height: f32) {
    ui.small("candidates: model (pale), sampler (strong), taken (red)");
    let (mut raw, mut sampled) = (Vec::new(), Vec::new());
    let mut names = Vec::new();
    if let Some((t, k)) = cell(session, view, model) {
        let s = &session.shown;
        let logits = &s.logits[t][k * model.vocab..(k + 1) * model.vocab];
        let (p, q) = distributions(logits, s.samplings[t].draw(k), s.samplings[t].guard);
        let taken = s.frames[t][k] as usize;
        let mut ids = top(&p, CANDIDATES.min(model.vocab));
        if !ids.contains(&taken) {
            *ids.last_mut().expect("there are ids") = taken;
        }
        for (n, id) in ids.iter().enumerate() {
            let red = Color32::from_rgb(205, 60, 60);
            let colour = if *id == taken { red } else { Color32::from_rgb(50, 110, 190) };
            let name = model.label(k, *id as u32);
            let bar = |at: f64, p: f32, colour| Bar::new(at, f64::from(p)).width(0.38).fill(colour).name(&name);
            raw.push(bar(n as f64 - 0.2, p[*id], colour.gamma_multiply(0.45)));
            sampled.push(bar(n as f64 + 0.2, q[*id], colour));
            names.push(id.to_string());
        }
    }
    let plot = Plot::new("candidates")
        .height(height)
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .x_grid_spacer(|_| (0..CANDIDATES).map(|n| GridMark { value: n as f64, step_size: 1.5 }).collect())
        .include_x(-0.6)
        .include_x(CANDIDATES as f64 - 0.4)
        .include_y(0.0)
        .include_y(1.0)
        .custom_x_axes(vec![AxisHints::new_x().label_spacing(16.0..=30.0).formatter(move |mark, _| {
            let at = mark.value.round();
            let name = if (mark.value - at).abs() < 0.01 && at >= 0.0 { names.get(at as usize) } else { None };
            name.cloned().unwrap_or_default()
        })]);
    plot.show(ui, |plot| {
        plot.bar_chart(BarChart::new("model", raw));
        plot.bar_chart(BarChart::new("sampler", sampled));
    });
}

fn over_time(ui: &mut Ui, session: &Session, view: &View, model: &Model, height: f32) {
    ui.small("entropy (blue) and surprisal (orange) here, bits");
    let codebook = view.codebook.min(model.codebooks - 1);
    let steps = &session.shown.steps;
    let line = |f: fn(&crate::analysis::step::Step) -> f64| {
        let points = steps.iter().enumerate().map(|(t, s)| [t as f64, f(&s[codebook])]);
        PlotPoints::from(points.filter(|p| p[1].is_finite()).collect::<Vec<_>>())
    };
    let (entropy, surprisal) = (line(|s| s.raw.entropy), line(|s| s.raw.surprisal));
    let at = cell(session, view, model).map(|(t, _)| t as f64);
    Plot::new("bits").height(height).allow_scroll(false).include_y(0.0).include_y(1.0).show(ui, |plot| {
        plot.line(Line::new("entropy", entropy).color(Color32::from_rgb(50, 110, 190)).width(1.6));
        plot.line(Line::new("surprisal", surprisal).color(Color32::from_rgb(215, 120, 30)).width(1.6));
        if let Some(t) = at {
            plot.vline(VLine::new("selected", t).color(Color32::GRAY));
        }
    });
}
