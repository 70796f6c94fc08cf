//! The next-token distribution of the selected draw.

use egui::{Color32, ComboBox, Ui};
use egui_plot::{AxisHints, Bar, BarChart, GridMark, Legend, Plot};

use super::model::no_model_ui;
use super::session::Session;
use super::{Action, View, selected_draw, timeline};
use crate::analysis::statistics::{STEP_STATISTICS, distributions};
use crate::analysis::top_ids;
use crate::data::{FinishReason, ModelInfo};

/// Candidates shown.
const CANDIDATES: usize = 9;
/// Bars of the token that was chosen, and of the others.
const CHOSEN: Color32 = Color32::from_rgb(205, 60, 60);
const OTHER: Color32 = Color32::from_rgb(50, 110, 190);

pub(super) fn draws_ui(ui: &mut Ui, session: &Session, view: &mut View, actions: &mut Vec<Action>) {
    let Some(model) = session.model_info() else {
        match session.model_failure() {
            Some(why) => no_model_ui(ui, session, why, actions),
            None => drop(ui.centered_and_justified(|ui| ui.label(session.model_status().unwrap_or_default()))),
        }
        return;
    };
    header_ui(ui, session, view, &model, actions);
    let height = (ui.available_height() * 0.42).clamp(110.0, 300.0);
    ui.columns(2, |columns| {
        candidates_ui(&mut columns[0], session, view, &model, height);
        timeline::timeline_ui(&mut columns[1], session, view, &model, height);
    });
}

fn header_ui(ui: &mut Ui, session: &Session, view: &mut View, model: &ModelInfo, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        let combo = ComboBox::from_id_salt("codebook").width(60.0).selected_text(format!("codebook {}", view.codebook));
        let shown = combo.show_ui(ui, |ui| {
            for k in 0..model.dims.codebooks {
                ui.selectable_value(&mut view.codebook, k, format!("codebook {k}"));
            }
        });
        shown.response.accessible_name("Codebook of the plots");
        if view.cell.is_some() && ui.button("Follow live").clicked() {
            actions.push(Action::Select(None));
        }
        if let Some((frame, _)) = view.cell.filter(|_| session.inspected.take.is_some()) {
            let button = ui
                .button("Resume here")
                .on_hover_text("A new take: unchanged up to here, then with the settings on the left");
            if button.clicked() {
                actions.push(Action::Resume(frame));
            }
        }
        let s = &session.inspected;
        if !s.frames.is_empty() {
            let seconds = model.dims.seconds(s.frames.len());
            ui.label(format!("{} frames · {seconds:.2} s", s.frames.len()));
            if s.real_time_factor > 0.0 {
                let rate = model.dims.frame_rate / s.real_time_factor;
                ui.label(format!("{rate:.1} frames/s · real-time factor {:.2}", s.real_time_factor));
            }
            ui.label(s.stop.map_or("", FinishReason::describe));
        }
        if let Some((t, k)) = selected_draw(session, view, model) {
            let token = model.describe_token(k, s.frames.frame(t)[k]);
            let shown = STEP_STATISTICS.iter().filter(|x| x.in_tables);
            let values = shown.map(|x| format!(" · {} {:.*} {}", x.title, x.digits, s.steps[t][k][x.stat], x.unit));
            ui.label(format!("frame {t}: {token}{}", values.collect::<String>()));
        }
    });
}

fn candidates_ui(ui: &mut Ui, session: &Session, view: &View, model: &ModelInfo, height: f32) {
    let (mut in_model, mut in_sampler, mut of_chosen) = (Vec::new(), Vec::new(), Vec::new());
    let mut names = Vec::new();
    if let Some((t, k)) = selected_draw(session, view, model) {
        let clip = &session.inspected;
        let sampling = &clip.samplings[t];
        let (p, q) = distributions(clip.logits[t].row(k), sampling.params_for(k), sampling.guard);
        let chosen = clip.frames.frame(t)[k] as usize;
        let mut ids = top_ids(&p, CANDIDATES.min(model.dims.vocab));
        if !ids.contains(&chosen) {
            ids.pop();
            ids.push(chosen);
        }
        for (n, id) in ids.iter().enumerate() {
            let name = model.describe_token(k, *id as u32);
            let bar = |at: f64, p: f32, colour| Bar::new(at, f64::from(p)).width(0.38).fill(colour).name(&name);
            let bars =
                |colour: Color32| [bar(n as f64 - 0.2, p[*id], pale(colour)), bar(n as f64 + 0.2, q[*id], colour)];
            if *id == chosen {
                of_chosen.extend(bars(CHOSEN));
            } else {
                let [model_bar, sampler_bar] = bars(OTHER);
                in_model.push(model_bar);
                in_sampler.push(sampler_bar);
            }
            names.push(id.to_string());
        }
    }
    let plot = Plot::new("candidates")
        .height(height)
        .legend(Legend::default())
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
        plot.bar_chart(BarChart::new("model", in_model).color(pale(OTHER)));
        plot.bar_chart(BarChart::new("sampler", in_sampler).color(OTHER));
        plot.bar_chart(BarChart::new("chosen token", of_chosen).color(CHOSEN));
    });
}

/// The model's bars are paler than the sampler's.
fn pale(colour: Color32) -> Color32 {
    colour.gamma_multiply(0.45)
}
