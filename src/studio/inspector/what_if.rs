//! Tokens that other settings would have drawn.

use super::current_clip::CurrentClip;
use super::{Inspector, InspectorContext};
use crate::analysis::what_if::{WhatIf, what_if};
use crate::data::Sampling;
use crate::studio::monitor::MonitorCommand;
use crate::studio::tasks::Key;

const WHAT_IF: Key = Key("what if");

/// Settings in question, and what they would have drawn.
#[derive(Default)]
pub struct WhatIfQuestion {
    settings: Option<Sampling>,
    answer: Option<WhatIf>,
    version: u64,
    running: bool,
}

impl WhatIfQuestion {
    /// The settings in question.
    pub fn settings(&self) -> Option<Sampling> {
        self.settings
    }

    /// The answer; the one before until a new one is known.
    pub fn answer(&self) -> Option<&WhatIf> {
        self.answer.as_ref()
    }

    /// Whether an answer is being computed.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Incremented with every change.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl Inspector {
    /// Asks what `sampling` would have drawn of the current clip; `None` asks nothing. Its seed is not used: the noise is the clip's.
    pub(super) fn ask_what_if(&mut self, sampling: Option<Sampling>, cx: &mut InspectorContext<'_>) {
        cx.tasks.cancel_work(WHAT_IF);
        cx.effects.send(MonitorCommand::WhatIfChanged);
        self.what_if.version += 1;
        self.what_if.settings = sampling;
        self.what_if.running = sampling.is_some();
        let Some(settings) = sampling else {
            self.what_if.answer = None;
            return;
        };
        let CurrentClip { clip, steps, .. } = &self.current;
        let (clip, steps) = (clip.clone(), steps.clone());
        let compute = move |cancel: &crate::studio::tasks::CancelFlag| {
            let logits: Vec<_> = steps.iter().map(|step| &*step.logits).collect();
            let settings = |t: usize| Sampling { seed: steps[t].sampling.seed, ..settings };
            what_if(&clip.codes, &logits, settings, || cancel.is_set())
        };
        cx.tasks.run(WHAT_IF, compute, |inspector: &mut Self, _, answer| {
            inspector.what_if.answer = answer;
            inspector.what_if.running = false;
            inspector.what_if.version += 1;
        });
    }
}
