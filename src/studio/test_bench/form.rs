//! The form in which a listening test is planned.

use std::path::PathBuf;

use super::{TestBench, TestBenchContext, TestRequest, templates_for};
use crate::analysis::simulate::StudyDesign;
use crate::listen::PowerPlan;
use crate::studio::tasks::Key;
use crate::studio::test_bench::TemplateChoice;

const POWER: Key = Key("power of a test");

/// How much listeners and texts differ, for the power.
const USUAL_SPREAD: f64 = 0.5;

/// A test that is being planned.
#[derive(Clone, Debug)]
pub struct TestForm {
    /// The entries so far.
    pub request: TestRequest,
    /// Ways to sort the clips into conditions.
    pub templates: Vec<TemplateChoice>,
    /// Power and limits of the test, once computed.
    pub power: Option<(String, Option<String>)>,
    /// The file of the test, once it is made.
    pub made: Option<PathBuf>,
}

impl TestForm {
    /// The chosen way to sort the clips.
    pub fn template(&self) -> Option<&TemplateChoice> {
        self.templates.iter().find(|choice| choice.template == self.request.template)
    }

    /// Trials of each text, or each text and pair of conditions.
    pub fn repetitions(&self) -> usize {
        let items = self.template().map_or(1, |choice| choice.items);
        self.request.repetitions.unwrap_or_else(|| self.request.kind.info().usual_repetitions(items))
    }

    /// Trials of a listener.
    pub fn trials(&self) -> usize {
        let (info, Some(choice)) = (self.request.kind.info(), self.template()) else { return 0 };
        let conditions = choice.conditions.len() + self.request.anchors().len();
        let of_item = match (info.in_pairs, *info.sounds.end()) {
            (true, _) => conditions * (conditions - 1) / 2,
            (false, 1) => conditions,
            (false, _) => 1,
        };
        choice.items * of_item * self.repetitions()
    }

    fn plan(&self) -> PowerPlan {
        let items = self.template().map_or(1, |choice| choice.items);
        let design = StudyDesign {
            listeners: self.request.listeners.max(1),
            items,
            repetitions: self.repetitions(),
            items_per_listener: items,
        };
        PowerPlan {
            kind: self.request.kind,
            design,
            listeners_planned: self.request.listeners > 0,
            spread: USUAL_SPREAD,
        }
    }
}

impl TestBench {
    /// Opens the form, or changes what it asks for.
    pub(super) fn plan(&mut self, request: TestRequest, cx: &mut TestBenchContext<'_>) {
        let templates = templates_for(&request.clips, cx.library, cx.comparison, cx.models);
        let form = TestForm { request, templates, power: None, made: None };
        let plan = form.plan();
        let before = self.form.replace(form).and_then(|form| form.power);
        // The old power stays until the new one is computed, so that nothing flickers.
        if let Some(form) = &mut self.form {
            form.power = before;
        }
        cx.tasks.run(
            POWER,
            move |_| (plan.describe(), plan.warning()),
            |bench: &mut Self, _: &mut TestBenchContext<'_>, power| {
                if let Some(form) = &mut bench.form {
                    form.power = Some(power);
                }
            },
        );
    }
}
