//! The lane of distributions: for every frame the probabilities that its token was drawn from, as a stack, the drawn one lit.

use std::sync::Arc;

use egui::{Mesh, Rect, Ui};

use super::lane::Lane;
use crate::analysis::draw::{ProbabilityStack, probability_stack};
use crate::data::{Logits, ModelInfo};
use crate::studio::inspector::CurrentClip;
use crate::studio::memo::ByAddress;
use crate::studio::theme::Palette;

/// Probabilities of a stack that are drawn apart; the rest is the ground above them.
const SHARES: usize = 12;
/// Height from which a share has a line above it.
const SEPARATED: f32 = 3.0;

/// Stacks of the draws of one codebook, kept from frame to frame.
#[derive(Default)]
pub(super) struct Stacks {
    codebook: usize,
    /// Each with the logits it was computed from.
    stacks: Vec<(ByAddress<Logits>, ProbabilityStack)>,
}

impl Stacks {
    fn update(&mut self, current: &CurrentClip, codebook: usize) {
        if self.codebook != codebook {
            self.stacks.clear();
            self.codebook = codebook;
        }
        let known = self.stacks.iter().zip(current.steps.iter());
        let known = known.take_while(|((logits, _), step)| Arc::ptr_eq(&logits.0, &step.logits)).count();
        self.stacks.truncate(known);
        for (step, tokens) in current.steps.iter().zip(current.clip.codes.frames()).skip(known) {
            let stack = probability_stack(&step.logits, codebook, &step.sampling, tokens[codebook], SHARES);
            self.stacks.push((ByAddress(step.logits.clone()), stack));
        }
    }

    /// Draws the stacks that are visible.
    pub(super) fn draw(&mut self, ui: &Ui, lane: Lane, current: &CurrentClip, codebook: usize, model: &ModelInfo) {
        self.update(current, codebook);
        let palette = Palette::of(ui.visuals());
        let rate = model.dims.frame_rate;
        let visible = (lane.from * rate) as usize..((lane.to * rate).ceil() as usize).min(self.stacks.len());
        let inner = lane.rect.shrink2(egui::vec2(0.0, 2.0));
        let y = |share: f32| inner.bottom() - share * inner.height();
        let mut mesh = Mesh::default();
        for t in visible {
            let left = lane.x(model.dims.seconds(t));
            let right = lane.x(model.dims.seconds(t + 1));
            // A gap between frames where there is room for one.
            let right = if right - left > 4.0 { right - 1.0 } else { right };
            let (_, stack) = &self.stacks[t];
            let mut below = 0.0;
            for (rank, share) in stack.shares.iter().enumerate() {
                let (bottom, top) = (y(below), y(below + share));
                let top = if bottom - top > SEPARATED { top + 1.0 } else { top };
                let strength = 0.75 - 0.5 * (rank as f32 / SHARES as f32);
                let colour = palette.ground.lerp_to_gamma(palette.accent, strength);
                mesh.add_colored_rect(Rect::from_x_y_ranges(left..=right, top..=bottom), colour);
                below += share;
            }
            // A draw that was certain recedes; an improbable token is seen anyway.
            let (from, share) = stack.taken;
            let lit = palette.ground.lerp_to_gamma(palette.chosen, 1.0 - 0.78 * share.powi(3));
            let (bottom, top) = (y(from), y(from + share));
            let top = top.min(bottom - 2.0).max(inner.top());
            mesh.add_colored_rect(Rect::from_x_y_ranges(left..=right, top..=bottom.max(top + 2.0)), lit);
        }
        ui.painter().with_clip_rect(lane.rect).add(mesh);
    }
}
