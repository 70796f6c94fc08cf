//! What is computed of the current clip: logits, spectrogram, curves, statistics, and words that are not said as written.

use std::sync::Arc;

use super::{CurrentClip, Inspector, InspectorContext, StatisticsKey};
use crate::acoustics::curves::SoundCurves;
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::alignment::{WordProblem, check_words};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::report::{self, ClipReport, Report, StepsUnavailable};
use crate::studio::comparison::{Comparison, mode_tables};
use crate::studio::tasks::{CancelFlag, Key, QueuePosition, RECOMPUTE, SPEAK};
use crate::takes::LogitsCache;
use crate::worker::{CancelToken, Event, GeneratedClip};

pub(super) const FIND_LOGITS: Key = Key("find logits");
const STORE_LOGITS: Key = Key("store logits");
const SPECTROGRAM: Key = Key("spectrogram");
const CURVES: Key = Key("pitch and level");
const STATISTICS: Key = Key("statistics");
/// Checks the words of the current clip.
pub(in crate::studio) const CHECK_WORDS: Key = Key("check words");

impl Inspector {
    /// Looks in the cache for the logits of the current take, and computes them if they are not there.
    pub(super) fn find_logits(&self, cx: &mut InspectorContext<'_>) {
        let (Some(take), Some(checkpoint)) = (self.current.take.clone(), cx.models.checkpoint().cloned()) else {
            return self.recompute_logits(cx);
        };
        let (cache, codes) = (self.cache.clone(), self.current.clip.codes.clone());
        let tokens = cx.library.store.folder().tokens_path(&take);
        let find = move |_: &_| {
            let key = LogitsCache::key(&checkpoint.id().ok()?.sha256, &std::fs::read(tokens).ok()?);
            cache.contains(&key).then(|| cache.read(&key, &codes)).flatten()
        };
        cx.tasks.run(FIND_LOGITS, find, move |inspector: &mut Self, cx, found| match found {
            Some(steps) => {
                inspector.current.set_steps(steps);
                inspector.cached = Some(take);
            }
            None => inspector.recompute_logits(cx),
        });
    }

    /// Computes the logits of the current clip by teacher forcing.
    pub(super) fn recompute_logits(&self, cx: &mut InspectorContext<'_>) {
        let start = |inspector: &mut Self, cx: &mut InspectorContext<'_>, cancel: CancelToken| {
            let clip = &inspector.current.clip;
            let (Ok(spec), Some(checkpoint), Some(worker)) =
                (clip.origin.spec(), cx.models.checkpoint(), cx.models.worker())
            else {
                return Ok(None);
            };
            let prompt = checkpoint.prompt(&spec)?;
            let tracking = cx.models.tracking(&spec, &prompt);
            let request = GenerationRequest::teacher_forced_clip(&spec, prompt, clip);
            worker.generate(request.tracked(tracking), cancel).map(Some)
        };
        let on_event = |inspector: &mut Self, _: &mut InspectorContext<'_>, event: Event| {
            if let Event::Frame(event) = event {
                inspector.current.push_step(event.frame);
            }
        };
        let then = |inspector: &mut Self, cx: &mut InspectorContext<'_>, computed: Result<GeneratedClip>| {
            if let Some(computed) = cx.effects.or_notify(computed) {
                inspector.current.set_end(computed.end_frame.as_ref());
                inspector.current.words = computed.words.unwrap_or_default();
            }
        };
        cx.tasks.ask(RECOMPUTE, QueuePosition::Replace, start, on_event, then);
    }

    /// Stores the logits of the current take once all of them are known.
    pub(super) fn store_logits(&mut self, cx: &mut InspectorContext<'_>) {
        let take = &self.current.take;
        if take.is_none() || *take == self.cached || !self.current.is_analysed() || !cx.tasks.is_idle() {
            return;
        }
        let (Some(take), Some(checkpoint)) = (take.clone(), cx.models.checkpoint().cloned()) else { return };
        let tokens = cx.library.store.folder().tokens_path(&take);
        self.cached = Some(take);
        let (cache, steps) = (self.cache.clone(), self.current.steps.clone());
        let store = move |_: &_| {
            let tokens = std::fs::read(&tokens).map_err(|e| Error::read(&tokens, e))?;
            cache.write(&LogitsCache::key(&checkpoint.id()?.sha256, &tokens), &steps)
        };
        // They can be computed again; nobody has to know.
        let log = |_: &mut Self, _: &mut InspectorContext<'_>, stored: Result<()>| {
            stored.unwrap_or_else(|e| tracing::warn!("logits are not stored: {e}"));
        };
        cx.tasks.run(STORE_LOGITS, store, log);
    }

    pub(super) fn compute_spectrogram(&mut self, cx: &mut InspectorContext<'_>) {
        let current = &self.current;
        let wanted = self.view.spectrograms && current.spectrogram.is_none() && !current.clip.audio.is_empty();
        if !wanted || cx.tasks.is_active(SPEAK) || self.spectrogram_of == Some(current.sound_version) {
            return;
        }
        self.spectrogram_of = Some(current.sound_version);
        let (version, clip) = (current.sound_version, current.clip.clone());
        let compute = move |_: &_| Arc::new(MelSpectrogram::measure(&clip.audio, clip.sample_rate));
        cx.tasks.run(SPECTROGRAM, compute, move |inspector: &mut Self, _, spectrogram| {
            if inspector.current.sound_version == version {
                inspector.current.spectrogram = Some(spectrogram);
            }
        });
    }

    pub(super) fn compute_curves(&mut self, cx: &mut InspectorContext<'_>) {
        let current = &self.current;
        let wanted = self.view.curves && current.curves.is_none() && !current.clip.audio.is_empty();
        if !wanted || cx.tasks.is_active(SPEAK) || self.curves_of == Some(current.sound_version) {
            return;
        }
        self.curves_of = Some(current.sound_version);
        let (version, clip) = (current.sound_version, current.clip.clone());
        let compute = move |_: &_| Arc::new(SoundCurves::measure(&clip.audio, clip.sample_rate));
        cx.tasks.run(CURVES, compute, move |inspector: &mut Self, _, curves| {
            if inspector.current.sound_version == version {
                inspector.current.curves = Some(curves);
            }
        });
    }

    /// Compares the text with others that the clip may say instead; every one is a pass of the model.
    pub(super) fn check_words(&self, cx: &mut InspectorContext<'_>) {
        let clip = self.current.clip.clone();
        let (Some(checkpoint), Some(worker)) = (cx.models.checkpoint().cloned(), cx.models.worker().cloned()) else {
            return cx.effects.notify(cx.models.status().unwrap_or_default());
        };
        let spec = match clip.origin.spec() {
            Ok(spec) => spec,
            Err(e) => return cx.effects.notify_error(e),
        };
        let id = self.id;
        let check = move |cancelled: &CancelFlag| {
            let cancel = CancelToken::default();
            let stop = cancel.clone();
            let progress = |_, _| {
                if cancelled.is_set() {
                    stop.cancel();
                }
            };
            check_words(&checkpoint, &worker, &spec, &clip, &cancel, progress)
        };
        cx.tasks.run(CHECK_WORDS, check, move |inspector: &mut Self, cx, problems: Result<Vec<WordProblem>>| {
            if let Some(problems) = cx.effects.or_notify(problems)
                && inspector.id == id
            {
                inspector.current.word_problems = Some(problems);
            }
        });
    }

    /// Inputs of the statistics.
    pub fn statistics_key(&self, comparison: &Comparison) -> StatisticsKey {
        (self.current.version, comparison.pins.keys())
    }

    pub(super) fn compute_statistics(&mut self, cx: &mut InspectorContext<'_>) {
        // While the clip grows, the next statistics are computed after these.
        let Some(info) = cx.models.info().cloned().filter(|_| !cx.tasks.is_running(STATISTICS)) else { return };
        let key = self.statistics_key(cx.comparison);
        self.statistics.request(key.clone());
        let CurrentClip { clip, steps, words, .. } = &self.current;
        let (clip, steps, words) = (clip.clone(), steps.clone(), words.clone());
        let pinned = cx.comparison.pins.clips().to_vec();
        let compute = move |_: &_| {
            let stats = if steps.cover(&clip.codes) { Ok(steps.stats()) } else { Err(StepsUnavailable::NotComputed) };
            let report = ClipReport::new("The current clip".into(), &clip, stats, &info);
            let report = report.with_words(&words, info.dims.seconds(1));
            let mut tables = report::tables(&Report::new((*info).clone(), vec![report]));
            tables.extend(mode_tables(&pinned, &info));
            tables
        };
        cx.tasks
            .run(STATISTICS, compute, move |inspector: &mut Self, _, tables| inspector.statistics.set(&key, tables));
    }
}
