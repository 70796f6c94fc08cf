//! The inspector: the current clip, its steps, what is selected, and what other settings would have drawn.

mod analysis;
mod clip_view;
mod current_clip;
mod remake;
mod time_axis;
mod what_if;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub(in crate::studio) use self::analysis::CHECK_WORDS;
use self::analysis::FIND_LOGITS;
pub use self::clip_view::{ClipView, Followed, MapContent};
pub use self::current_clip::CurrentClip;
pub use self::time_axis::TimeAxis;
pub use self::what_if::WhatIfQuestion;
use super::comparison::{Comparison, ComparisonCommand, PinKey};
use super::composer::Composer;
use super::effects::Effects;
use super::library::Library;
use super::memo::Derived;
use super::models::Models;
use super::monitor::{MonitorCommand, PlaybackSource};
use super::session::{Owner, Session};
use super::shell::{PanelRequest, ShellCommand};
use super::tasks::{Key, RECOMPUTE, SPEAK, Tasks};
use crate::analysis::alignment::WordTracker;
use crate::data::{Clip, ClipSpec, Edit, FinishReason, Issue, Sampling, WordTime, WordTracking};
use crate::engine::GeneratedFrame;
use crate::error::Result;
use crate::report::Table;
use crate::takes::{LogitsCache, TakeId};
use crate::worker::FrameEvent;

pub(super) const READ_TAKE: Key = Key("read take");

/// Bytes of logits that are kept on disk: some five minutes of CSM-1B, hours of the demo voice.
const CACHE_BOUND: u64 = 1 << 30;
/// Frames that are played before and after an issue.
const MARGIN: usize = 3;
/// Longest part of a silence that is played, in frames: its start is enough.
const LONGEST_SILENCE: usize = 12;

pub type Tables = Vec<(String, Table)>;
/// The current clip by its version, and the pinned clips.
pub type StatisticsKey = (u64, Vec<PinKey>);

pub struct Inspector {
    pub current: CurrentClip,
    /// Its selection and visible range.
    pub view: ClipView,
    /// Tokens that other settings would have drawn.
    pub what_if: WhatIfQuestion,
    /// Statistics of the clip's tokens, and of the pinned modes.
    pub statistics: Derived<StatisticsKey, Tables>,
    /// Identifies the current clip, whatever becomes of it.
    id: u64,
    cache: LogitsCache,
    /// The take whose logits are known to be in the cache.
    cached: Option<TakeId>,
    /// The sound whose spectrogram was requested last.
    spectrogram_of: Option<u64>,
    /// The sound whose pitch and level were requested last.
    curves_of: Option<u64>,
}

/// Commands of the inspector, and what other owners tell it.
#[derive(Debug)]
pub enum InspectorCommand {
    View(TakeId),
    /// Show a take and play it. While a take is being made, it is pinned and played.
    PlayTake(TakeId),
    /// Show a clip that has been read; its file's name if it is not a take.
    Show {
        clip: Box<Clip>,
        /// The name of its file.
        name: String,
    },
    /// Show a clip that is being made.
    BeginClip {
        spec: Box<ClipSpec>,
        /// The words that its frames are about, if they are known.
        tracking: Option<Box<WordTracking>>,
    },
    /// Append a frame to it.
    AppendFrame(Box<FrameEvent>),
    /// Append to its waveform.
    AppendAudio(Vec<f32>),
    FinishClip {
        stop: Option<FinishReason>,
        /// The end-of-speech frame, if the model ended it.
        end_frame: Option<Box<GeneratedFrame>>,
        /// When its words are spoken; empty if that is not known.
        words: Vec<WordTime>,
        /// Changes in its course: those of a word that was said again are known at the end only.
        edits: Vec<Edit>,
    },
    /// A clip is stored as a take.
    TakeStored {
        /// The clip: the id of the inspector when it was finished.
        clip: u64,
        take: TakeId,
    },
    /// Takes were deleted, with their names.
    TakesDeleted(Vec<(TakeId, String)>),
    /// Select frame and codebook; `None` follows the newest frame or the playhead.
    Select(Option<(usize, usize)>),
    /// Select the token this many frames and codebooks away from the one whose draw is shown.
    MoveSelection {
        frames: i32,
        codebooks: i32,
        /// The frame and codebook of the draw that is shown.
        from: (usize, usize),
    },
    /// Codebook of the plots.
    SelectCodebook(usize),
    /// The visible part of the clip.
    SetAxis(TimeAxis),
    /// The statistic that the token map shows.
    ShowMap(MapContent),
    /// Show the token map without differences.
    ForgetDifference,
    /// Show mel spectrograms instead of waveforms, or waveforms again.
    ToggleSpectrograms,
    /// Show or hide the lane of pitch and level.
    ToggleCurves,
    /// Ask what these settings would have drawn; `None` asks nothing.
    AskWhatIf(Option<Sampling>),
    /// Select and play the next issue after the selected frame.
    NextIssue,
    /// Select and play the issue before the selected frame.
    PreviousIssue,
    /// Select and play an issue.
    PlayIssue(Issue),
    /// Make a take that is unchanged before this frame and has the current settings from it on.
    Resume(usize),
    /// Make a take that is unchanged before this frame and has these settings from it on.
    ResumeWith {
        frame: usize,
        sampling: Sampling,
    },
    /// Make a take that is unchanged before this frame and has another seed from it on.
    Reseed(usize),
    /// Make takes that speak a word again, each with another seed; everything around it stays.
    RetakeWord {
        /// Number of the word in the clip.
        word: usize,
        takes: usize,
    },
    /// A take in which these words are those of a pinned take of the same text.
    TakeWords {
        /// Numbers of the words.
        words: Range<usize>,
        from: PinKey,
    },
    /// Make a take with this token, which is unchanged before it and has the same noise after it.
    UseToken {
        /// Frame of the token.
        frame: usize,
        /// Codebook of the token.
        codebook: usize,
        token: u32,
    },
    /// Find the words that the current clip does not say as its text has them.
    CheckWords,
    /// Compute the statistics of the current clip and the pinned modes.
    ComputeStatistics,
    /// Compute the logits again that an audition has interrupted.
    RecomputeLogits,
}

/// Data that [`Inspector`] may read.
pub struct InspectorContext<'a> {
    composer: &'a Composer,
    models: &'a Models,
    library: &'a Library,
    comparison: &'a Comparison,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Inspector {
    type Command = InspectorCommand;
    type Context<'a> = InspectorContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, InspectorContext<'_>) {
        let Session { inspector, composer, models, library, comparison, tasks, effects, .. } = session;
        (inspector, InspectorContext { composer, models, library, comparison, tasks, effects })
    }

    fn handle(&mut self, command: InspectorCommand, cx: &mut InspectorContext<'_>) {
        match command {
            InspectorCommand::View(take) => self.view_take(take, false, cx),
            InspectorCommand::PlayTake(take) => self.play_take(take, cx),
            InspectorCommand::Show { clip, name } => self.show(*clip, None, name, cx),
            InspectorCommand::BeginClip { spec, tracking } => {
                self.begin_clip(*spec, cx);
                self.current.tracking = tracking.map(|tracking| (WordTracker::new(&tracking), tracking.prompt));
            }
            InspectorCommand::AppendFrame(event) => self.current.push_frame(*event),
            InspectorCommand::AppendAudio(samples) => self.current.push_audio(&samples),
            InspectorCommand::FinishClip { stop, end_frame, words, edits } => {
                let clip = Arc::make_mut(&mut self.current.clip);
                (clip.stop, clip.origin.edits) = (stop, edits);
                (self.current.words, self.current.tracking) = (words, None);
                self.current.set_end(end_frame.as_deref());
            }
            InspectorCommand::TakeStored { clip, take } => {
                if self.id == clip {
                    self.current.take = Some(take);
                }
            }
            InspectorCommand::TakesDeleted(deleted) => {
                // The clip can still be played.
                if let Some((_, name)) = deleted.iter().find(|(take, _)| self.current.take.as_ref() == Some(take)) {
                    (self.current.take, self.current.name) = (None, format!("{name} (deleted)"));
                }
            }
            InspectorCommand::Select(cell) => self.select(cell, cx),
            InspectorCommand::MoveSelection { frames, codebooks, from } => {
                let codes = &self.current.clip.codes;
                let moved =
                    |at: usize, by: i32, end: usize| at.saturating_add_signed(by as isize).min(end.saturating_sub(1));
                let cell = (moved(from.0, frames, codes.len()), moved(from.1, codebooks, codes.codebooks()));
                self.select(Some(cell), cx);
            }
            InspectorCommand::SelectCodebook(codebook) => self.view.codebook = codebook,
            InspectorCommand::SetAxis(axis) => self.view.axis = axis,
            InspectorCommand::ShowMap(content) => self.view.map = content,
            InspectorCommand::ForgetDifference => {
                if matches!(self.view.map, MapContent::Difference(_)) {
                    self.view.map = MapContent::Tokens;
                }
            }
            InspectorCommand::ToggleSpectrograms => self.view.spectrograms = !self.view.spectrograms,
            InspectorCommand::ToggleCurves => self.view.curves = !self.view.curves,
            InspectorCommand::AskWhatIf(sampling) => self.ask_what_if(sampling, cx),
            InspectorCommand::NextIssue => self.step_issue(true, cx),
            InspectorCommand::PreviousIssue => self.step_issue(false, cx),
            InspectorCommand::PlayIssue(issue) => self.play_issue(&issue, cx),
            InspectorCommand::Resume(frame) => self.resume(frame, cx.composer.sampling, cx),
            InspectorCommand::ResumeWith { frame, sampling } => self.resume(frame, sampling, cx),
            InspectorCommand::Reseed(frame) => self.reseed(frame, cx),
            InspectorCommand::CheckWords => self.check_words(cx),
            InspectorCommand::RetakeWord { word, takes } => self.retake_word(word, takes, cx),
            InspectorCommand::TakeWords { words, from } => self.take_words(words, &from, cx),
            InspectorCommand::UseToken { frame, codebook, token } => self.use_token(frame, codebook, token, cx),
            InspectorCommand::ComputeStatistics => self.compute_statistics(cx),
            InspectorCommand::RecomputeLogits => {
                self.current.set_steps(crate::analysis::steps::Steps::default());
                self.recompute_logits(cx);
            }
        }
    }
}

impl Inspector {
    /// Keeps logits in `cache`.
    pub(super) fn new(cache: &Path) -> Self {
        Self {
            current: CurrentClip::default(),
            view: ClipView::default(),
            what_if: WhatIfQuestion::default(),
            statistics: Derived::default(),
            id: 0,
            cache: LogitsCache::new(cache, CACHE_BOUND),
            cached: None,
            spectrogram_of: None,
            curves_of: None,
        }
    }

    /// Identifies the current clip.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Computes the spectrogram if it is wanted, and stores the logits once all are known.
    pub(super) fn poll(&mut self, cx: &mut InspectorContext<'_>) {
        self.compute_spectrogram(cx);
        self.compute_curves(cx);
        self.store_logits(cx);
    }

    // --- Showing clips ---

    fn view_take(&self, take: TakeId, play: bool, cx: &mut InspectorContext<'_>) {
        if cx.tasks.is_active(SPEAK) {
            return cx.effects.notify("A take is being made; pin this one to play it meanwhile, or stop with Escape");
        }
        // A take of another model can be played, whatever its sizes.
        let (rate, folder) = (cx.models.sample_rate(), cx.library.store.folder().clone());
        let id = take.clone();
        let read = move |_: &_| folder.read_clip(&id, rate);
        cx.tasks.run(READ_TAKE, read, move |inspector: &mut Self, cx, clip: Result<Clip>| {
            if let Some(clip) = cx.effects.or_notify(clip) {
                inspector.show(clip, Some(take), String::new(), cx);
                if play {
                    cx.effects.send(MonitorCommand::PlayCurrentClip);
                }
            }
        });
    }

    fn play_take(&self, take: TakeId, cx: &mut InspectorContext<'_>) {
        if cx.tasks.is_active(SPEAK) {
            cx.effects.send(ComparisonCommand::PinAndPlay(take));
        } else if self.current.take.as_ref() == Some(&take) {
            cx.effects.send(MonitorCommand::PlayCurrentClip);
        } else {
            self.view_take(take, true, cx);
        }
    }

    /// Replaces the current clip.
    fn replace(&mut self, clip: Clip, take: Option<TakeId>, name: String, cx: &mut InspectorContext<'_>) {
        self.id += 1;
        cx.tasks.cancel_work(CHECK_WORDS);
        let (version, sound_version) = (self.current.version + 1, self.current.sound_version + 1);
        let stored = take.as_ref().and_then(|id| cx.library.store.get(id));
        let real_time_factor = stored.map_or(0.0, |take| take.measures.real_time_factor);
        let words = stored.map(|take| take.words.clone()).unwrap_or_default();
        let peaks = crate::audio::peaks::peaks(&clip.audio, clip.sample_rate);
        let clip = Arc::new(clip);
        self.current = CurrentClip {
            clip,
            take,
            name,
            peaks,
            words,
            real_time_factor,
            version,
            sound_version,
            ..CurrentClip::default()
        };
        self.view.cell = None;
        cx.tasks.cancel_work(READ_TAKE);
        cx.tasks.cancel_work(FIND_LOGITS);
        cx.tasks.discard(RECOMPUTE);
        self.ask_what_if(None, cx);
        if self.view.map == MapContent::WhatIf {
            self.view.map = MapContent::Tokens;
        }
    }

    fn begin_clip(&mut self, spec: ClipSpec, cx: &mut InspectorContext<'_>) {
        let clip = Clip { origin: spec.into(), sample_rate: cx.models.sample_rate(), ..Clip::default() };
        self.replace(clip, None, String::new(), cx);
    }

    /// Shows a clip that is complete, and finds or computes its logits if this model made it.
    fn show(&mut self, clip: Clip, take: Option<TakeId>, name: String, cx: &mut InspectorContext<'_>) {
        let own = cx.models.checkpoint().map(|checkpoint| checkpoint.id()).transpose();
        let Some(own) = cx.effects.or_notify(own) else { return };
        let same_model = own.is_some_and(|own| clip.origin.model.as_ref().is_none_or(|m| m.sha256 == own.sha256));
        self.replace(clip, take, name, cx);
        self.view.axis.fit();
        cx.effects.send(MonitorCommand::LoadCurrentClip);
        let clip = &self.current.clip;
        if clip.codes.is_empty() {
            return;
        }
        if same_model && clip.origin.is_complete() {
            self.find_logits(cx);
        } else {
            cx.effects
                .notify("Cannot analyse this clip: it was made by another model, or its settings were not recorded");
        }
    }

    // --- Selection and issues ---

    fn select(&mut self, cell: Option<(usize, usize)>, cx: &InspectorContext<'_>) {
        let frame = cx.models.frame_seconds();
        let seconds = cell.map_or(0.0, |(t, _)| t as f64 * frame);
        let pinned = cx.comparison.pins.clips().iter().map(|pinned| pinned.clip.seconds()).fold(0.0, f64::max);
        let clip = &self.current.clip;
        self.view.select(cell, seconds, pinned.max(clip.seconds()).max(clip.codes.len() as f64 * frame));
    }

    /// Selects and plays the issue after the selected frame, or the one before it; after the last comes the first.
    fn step_issue(&mut self, forward: bool, cx: &mut InspectorContext<'_>) {
        let Ok(dims) = cx.models.dims() else { return };
        let found = self.current.issues(dims.frame_samples());
        let start = |issue: &Issue| issue.frames().start;
        let selected = self.view.cell.map(|(t, _)| t);
        let next = match (forward, selected) {
            (true, None) => found.first(),
            (true, Some(t)) => found.iter().find(|issue| start(issue) > t).or(found.first()),
            (false, None) => found.last(),
            (false, Some(t)) => found.iter().rev().find(|issue| start(issue) < t).or(found.last()),
        };
        let Some(issue) = next.copied() else { return cx.effects.notify("This clip has no problems") };
        self.play_issue(&issue, cx);
        cx.effects.send(ShellCommand::Request(PanelRequest::ShowTab("Problems")));
    }

    fn play_issue(&mut self, issue: &Issue, cx: &mut InspectorContext<'_>) {
        self.select(Some((issue.frames().start, issue.codebook())), cx);
        let frame = cx.models.frame_seconds();
        let mut frames = issue.frames();
        if matches!(issue, Issue::Silence { .. }) {
            frames.end = frames.end.min(frames.start + LONGEST_SILENCE);
        }
        let from = frames.start.saturating_sub(MARGIN) as f64 * frame;
        let to = (frames.end + MARGIN).min(self.current.clip.codes.len()) as f64 * frame;
        cx.effects.send(MonitorCommand::SwitchTo(PlaybackSource::CurrentClip));
        cx.effects.send(MonitorCommand::PlayRegion { from, to, looping: false });
    }
}
