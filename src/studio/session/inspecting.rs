//! Looking at clips: what is selected, what stands out, what other settings would have drawn, how clips differ.

use std::sync::Arc;

use super::Session;
use crate::analysis::divergence::{Divergence, DivergenceCause, explain};
use crate::analysis::histogram::{Distances, joint_counts};
use crate::analysis::problems::{Problem, ProblemKind};
use crate::data::{Sampling, TokenFile};
use crate::report::{self, ClipReport, Report, StepsUnavailable, Table};
use crate::studio::state::{MapContent, PinnedClip};

/// Frames that are heard before and after a problem.
const AROUND: usize = 3;

impl Session {
    /// Selects frame and codebook of the clip on view; `None` follows the newest frame.
    pub fn select(&mut self, cell: Option<(usize, usize)>) {
        let frame = self.model_info().map_or(0.0, |m| m.dims.seconds(1));
        let seconds = cell.map_or(0.0, |(t, _)| t as f64 * frame);
        let length = self.player.seconds().max(self.inspected.frames.len() as f64 * frame);
        self.view.select(cell, seconds, length);
    }

    /// Selects and plays the next problem after the selected frame, or the one before it; from the ends it goes round.
    pub fn next_problem(&mut self, forward: bool) {
        let Ok(dims) = self.dims() else { return };
        let found = self.inspected.problems(dims.frame_samples());
        let here = self.view.cell.map(|(t, _)| t);
        let next = match (forward, here) {
            (true, None) => found.first(),
            (true, Some(t)) => found.iter().find(|p| p.frame > t).or(found.first()),
            (false, None) => found.last(),
            (false, Some(t)) => found.iter().rev().find(|p| p.frame < t).or(found.last()),
        };
        let Some(problem) = next.copied() else { return self.notify("Nothing stands out in this clip") };
        self.select(Some((problem.frame, problem.codebook)));
        let (from, to) = self.around(&problem);
        self.hear_clip();
        let played = self.player.play_region(from, to, false);
        self.report(played);
    }

    /// The seconds in which a problem is heard.
    pub fn around(&self, problem: &Problem) -> (f64, f64) {
        let frame = self.model_info().map_or(0.0, |m| m.dims.seconds(1));
        // Of a silence its ends are worth hearing, but not all of it.
        let frames =
            if matches!(problem.kind, ProblemKind::Silent(_)) { problem.frames.min(12) } else { problem.frames };
        let end = (problem.frame + frames + AROUND).min(self.inspected.frames.len());
        (problem.frame.saturating_sub(AROUND) as f64 * frame, end as f64 * frame)
    }

    /// Asks what `sampling` would have drawn of the clip on view; `None` asks nothing.
    pub fn ask_what_if(&mut self, sampling: Option<Sampling>) {
        self.what_if.ask(sampling, &self.inspected, self.wake.clone());
    }

    /// Another clip is on view: nothing is asked of it yet.
    pub(super) fn forget_what_if(&mut self) {
        self.ask_what_if(None);
        if self.view.map == MapContent::WhatIf {
            self.view.map = MapContent::Tokens;
        }
    }

    /// The tables of the analysis of the clip on view and of the pinned ones, with their captions.
    pub fn statistics(&self) -> Vec<(String, Table)> {
        let Some(info) = self.model_info() else { return Vec::new() };
        let clip = &self.inspected;
        let mut file = TokenFile { frames: clip.frames.clone(), stop: clip.stop, ..TokenFile::default() };
        if let Some(spec) = &clip.spec {
            (file.text, file.speaker, file.sampling) =
                (Some(spec.text.clone()), Some(spec.speaker), Some(spec.sampling));
        }
        let steps = if clip.is_analysed() { Ok(clip.steps.clone()) } else { Err(StepsUnavailable::NotComputed) };
        let report = ClipReport::new("The clip on view".into(), file, steps, Some(&clip.audio), &info);
        let mut tables = report::tables(&Report::new((*info).clone(), vec![report]));
        tables.extend(self.compare_pinned_modes());
        tables
    }

    /// The pinned clips' modes against each other, with their captions; none unless there are two modes.
    pub fn compare_pinned_modes(&self) -> Vec<(String, Table)> {
        let Some(info) = self.model_info() else { return Vec::new() };
        let clip = |clip: &Arc<PinnedClip>| {
            ClipReport::new(clip.name.clone(), clip.token_file(), Err(StepsUnavailable::NotRequested), None, &info)
        };
        let clips = self.pins.with_tokens(info.dims.codebooks).map(clip).collect();
        // The clips have tables of their own.
        let report = Report { clips: Vec::new(), ranking: Vec::new(), ..Report::new((*info).clone(), clips) };
        report::tables(&report)
    }

    /// How pinned clip `n` differs from the first one, in a line.
    pub fn describe_difference(&self, n: usize) -> String {
        let (Some(info), [first, ..]) = (self.model_info(), self.pins.clips()) else { return String::new() };
        if n == 0 {
            return "the others are compared with this one".into();
        }
        let clip = &self.pins.clips()[n];
        if first.frames.codebooks() != clip.frames.codebooks() {
            return "another model's: only its sound can be compared".into();
        }
        let at = |d: Divergence| {
            let codebook = d.codebook.map_or("one of them ends".into(), |k| format!("codebook {k}"));
            format!("first difference at {:.2} s, {codebook}", info.dims.seconds(d.frame))
        };
        let Some(divergence) = Divergence::between(&first.frames, &clip.frames) else {
            return "the same tokens".into();
        };
        let cause = cause_of(first, clip, divergence).map_or(String::new(), |c| {
            let verdict = if c.is_explained() { "explained" } else { "not explained" };
            format!(" (margin {:.1e}, change {:.1e}: {verdict})", c.margin, c.change)
        });
        let vocab = info.dims.vocab;
        let d = Distances::measure(&joint_counts(&first.frames, vocab), &joint_counts(&clip.frames, vocab));
        let tokens = (first.frames.ids().len(), clip.frames.ids().len());
        format!(
            "{}{cause}; overlap {:.2}, TV {:.2}, JSD {:.3} bits (n = {} and {} tokens)",
            at(divergence),
            d.overlap,
            d.total_variation,
            d.jensen_shannon,
            tokens.0,
            tokens.1
        )
    }

    /// Takes over the settings of take `id` for the next one, its seed too.
    pub fn use_settings(&mut self, id: &str) {
        let Some(sampling) = self.library.store.get(id).and_then(|take| take.sampling) else {
            return self.notify_error("this take does not say what made it");
        };
        let fits = self.dims().and_then(|dims| sampling.check(&dims));
        if self.report(fits).is_some() {
            (self.sampling, self.settings.random_seed) = (sampling, false);
            self.notify("The next take has these settings and this seed");
        }
    }
}

/// Why two clips of the same noise diverge, where the draws of both were seen.
fn cause_of(first: &PinnedClip, other: &PinnedClip, divergence: Divergence) -> Option<DivergenceCause> {
    let (a, b) = (first.sampling?, other.sampling?);
    let (t, k) = (divergence.frame, divergence.codebook?);
    let (reference, ours) = (first.logits.get(t)?, other.logits.get(t)?);
    let tokens = (other.frames.frame(t)[k], first.frames.frame(t)[k]);
    a.shares_noise_with(&b).then(|| explain(&a, (t, k), reference, ours, tokens))
}
