//! The comparison: pinned clips, and what is measured of them and the current clip.

mod differences;
mod pins;

use std::collections::VecDeque;
use std::sync::Arc;

use self::differences::describe_differences;
pub(super) use self::differences::mode_tables;
pub use self::pins::{Alignment, PinKey, PinnedClip, Pins};
use super::composer::GroupId;
use super::effects::Effects;
use super::inspector::{CurrentClip, Inspector, InspectorCommand, Tables};
use super::library::Library;
use super::memo::Derived;
use super::models::Models;
use super::monitor::{Monitor, MonitorCommand, PlaybackSource};
use super::session::{Owner, Session};
use super::settings::Settings;
use super::tasks::{CancelFlag, Key, Tasks};
use crate::analysis::steps::Steps;
use crate::audio::wav::{self, WavInfo};
use crate::data::{Clip, WordTime, shortened};
use crate::error::Result;
use crate::recogniser::Recogniser;
use crate::report::{self, ClipReport, Report, StepsUnavailable};
use crate::takes::TakeId;

const PIN: Key = Key("pin");
const MEASURE: Key = Key("measure");
const DIFFERENCES: Key = Key("differences");

/// Characters of a clip's name in the rows of a table.
const NAME: usize = 24;

/// The sounds that measures are of: the current clip by the version of its sound, and the pinned clips.
pub type MeasuredSounds = (u64, Vec<PinKey>);

/// How the pinned clips differ.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// For each pinned clip, how it differs from the first, in a line.
    pub rows: Vec<String>,
    pub modes: Tables,
}

#[derive(Default)]
pub struct Comparison {
    pub pins: Pins,
    /// Clips that wait to be read and measured.
    waiting: VecDeque<PinRequest>,
    /// Acoustic measures and transcripts of the current clip and the pinned ones.
    pub measures: Derived<MeasuredSounds, Tables>,
    /// How the pinned clips differ.
    pub differences: Derived<Vec<PinKey>, Differences>,
}

/// A clip that is to be pinned.
struct PinRequest {
    key: PinKey,
    group: Option<GroupId>,
    /// Whether it is played once it is pinned.
    play: bool,
    content: PinContent,
}

enum PinContent {
    /// A take, to be read; with its steps, if they are known.
    Take(TakeId, Steps),
    /// A clip in memory, and its name.
    Clip(Arc<Clip>, String),
}

/// Commands of the comparison, and what other owners tell it.
#[derive(Clone, Debug, PartialEq)]
pub enum ComparisonCommand {
    /// Pin a take, or unpin it.
    TogglePin(TakeId),
    /// Pin the playback source, as far as it is of the current clip: the take, a file, or some codebooks; or unpin it.
    TogglePinCurrent,
    /// Pin a take and play it.
    PinAndPlay(TakeId),
    /// A take of a group is stored.
    PinMade {
        take: TakeId,
        group: GroupId,
    },
    Unpin(PinKey),
    /// Unpin takes that were deleted.
    TakesDeleted(Vec<TakeId>),
    UnpinAll,
    /// How a position in one clip is found in another one.
    SetAlignment(Alignment),
    /// Whether clips keep their own loudness.
    SetOwnLoudness(bool),
    /// Describe how the pinned clips differ.
    ComputeDifferences,
    /// Measure the current clip and the pinned ones.
    MeasureSounds,
    /// Measure them, and transcribe them with the recogniser of the settings.
    Transcribe,
    /// Stop measuring, the recogniser included.
    StopMeasuring,
}

/// Data that [`Comparison`] may read.
pub struct ComparisonContext<'a> {
    settings: &'a Settings,
    models: &'a Models,
    inspector: &'a Inspector,
    library: &'a Library,
    monitor: &'a Monitor,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Comparison {
    type Command = ComparisonCommand;
    type Context<'a> = ComparisonContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, ComparisonContext<'_>) {
        let Session { comparison, preferences, models, inspector, library, monitor, tasks, effects, .. } = session;
        let settings = &preferences.settings;
        (comparison, ComparisonContext { settings, models, inspector, library, monitor, tasks, effects })
    }

    fn handle(&mut self, command: ComparisonCommand, cx: &mut ComparisonContext<'_>) {
        match command {
            ComparisonCommand::TogglePin(take) => self.toggle_pin(take, cx),
            ComparisonCommand::TogglePinCurrent => self.toggle_pin_current(cx),
            ComparisonCommand::PinAndPlay(take) => match self.pins.take(&take) {
                Some(pinned) => play_pinned(pinned.key.clone(), cx.effects),
                None => self.pin_take(take, true, cx),
            },
            ComparisonCommand::PinMade { take, group } => {
                let current = &cx.inspector.current;
                let is_current = current.take.as_ref() == Some(&take) && current.is_analysed();
                let steps = if is_current { current.steps.clone() } else { Steps::default() };
                let (key, content) = (PinKey::Take(take.clone()), PinContent::Take(take, steps));
                self.queue(PinRequest { key, group: Some(group), play: false, content }, cx);
            }
            ComparisonCommand::Unpin(key) => self.unpin(&[key], cx),
            ComparisonCommand::TakesDeleted(takes) => {
                self.unpin(&takes.into_iter().map(PinKey::Take).collect::<Vec<_>>(), cx);
            }
            ComparisonCommand::UnpinAll => {
                self.waiting.clear();
                self.unpin(&self.pins.keys(), cx);
            }
            ComparisonCommand::SetAlignment(alignment) => self.pins.alignment = alignment,
            ComparisonCommand::SetOwnLoudness(own) => {
                self.pins.own_loudness = own;
                cx.effects.send(MonitorCommand::GainsChanged);
            }
            ComparisonCommand::ComputeDifferences => self.compute_differences(cx),
            ComparisonCommand::MeasureSounds => self.measure(None, cx),
            ComparisonCommand::Transcribe => {
                if let Some(recogniser) = cx.effects.or_notify(Recogniser::parse(&cx.settings.recogniser)) {
                    self.measure(Some(recogniser), cx);
                }
            }
            ComparisonCommand::StopMeasuring => cx.tasks.stop_work(MEASURE),
        }
    }
}

impl Comparison {
    // --- Pinning ---

    fn toggle_pin(&mut self, take: TakeId, cx: &mut ComparisonContext<'_>) {
        let key = PinKey::Take(take.clone());
        if self.pins.get(&key).is_some() {
            return self.unpin(&[key], cx);
        }
        // It may be waiting to be pinned.
        let waiting = self.waiting.len();
        self.waiting.retain(|request| request.key != key || request.group.is_some());
        if waiting == self.waiting.len() {
            self.pin_take(take, false, cx);
        }
    }

    fn pin_take(&mut self, take: TakeId, play: bool, cx: &mut ComparisonContext<'_>) {
        let (key, content) = (PinKey::Take(take.clone()), PinContent::Take(take, Steps::default()));
        self.queue(PinRequest { key, group: None, play, content }, cx);
    }

    fn toggle_pin_current(&mut self, cx: &mut ComparisonContext<'_>) {
        let CurrentClip { clip, take, name, .. } = &cx.inspector.current;
        let partial = cx.monitor.partial_audio();
        if let (Some(take), None) = (take, partial) {
            return self.toggle_pin(take.clone(), cx);
        }
        let codebooks = partial.map_or(String::new(), |_| cx.monitor.mixer.mask(clip.codes.codebooks()).describe());
        let of = take.as_ref().map_or(name.clone(), ToString::to_string);
        let key = PinKey::Sound { of, codebooks: codebooks.clone() };
        if self.pins.get(&key).is_some() {
            return self.unpin(&[key], cx);
        }
        let take_name = take.as_ref().and_then(|take| cx.library.store.get(take)).map(|take| take.name.clone());
        let mut pin_name = take_name.unwrap_or_else(|| name.clone());
        if partial.is_some() {
            pin_name += &format!(", {codebooks}");
        }
        let clip = match partial {
            Some(audio) => Arc::new(Clip { audio: audio.to_vec(), ..(**clip).clone() }),
            None => clip.clone(),
        };
        if !clip.audio.is_empty() {
            let content = PinContent::Clip(clip, pin_name);
            self.queue(PinRequest { key, group: None, play: false, content }, cx);
        }
    }

    /// Clips are read and measured one after another, in the order in which they were requested.
    fn queue(&mut self, request: PinRequest, cx: &mut ComparisonContext<'_>) {
        self.waiting.push_back(request);
        self.pin_next(cx);
    }

    fn pin_next(&mut self, cx: &mut ComparisonContext<'_>) {
        if cx.tasks.is_running(PIN) {
            return;
        }
        let Some(PinRequest { key, group, play, content }) = self.waiting.pop_front() else { return };
        let (folder, rate) = (cx.library.store.folder().clone(), cx.models.sample_rate());
        let take_name = key
            .take()
            .map(|take| cx.library.store.get(take).map_or_else(|| take.to_string(), |take| take.name.clone()));
        let words = key.take().and_then(|take| cx.library.store.get(take)).map(|take| take.words.clone());
        let words = words.unwrap_or_default();
        let pinned_key = key.clone();
        let read = move |_: &CancelFlag| {
            let (clip, steps, name) = match content {
                PinContent::Take(take, steps) => (Arc::new(folder.read_clip(&take, rate)?), steps, None),
                PinContent::Clip(clip, name) => (clip, Steps::default(), Some(name)),
            };
            let name = name.or(take_name).unwrap_or_default();
            Ok(PinnedClip { steps, words, ..PinnedClip::new(pinned_key, name, clip) })
        };
        cx.tasks.run(PIN, read, move |comparison: &mut Self, cx, pinned: Result<PinnedClip>| {
            // The take may have been deleted meanwhile.
            let exists = key.take().is_none_or(|take| cx.library.store.get(take).is_some());
            if let Some(pinned) = cx.effects.or_notify(pinned).filter(|_| exists) {
                comparison.add(pinned, group, cx);
                if play {
                    play_pinned(key, cx.effects);
                }
            }
            comparison.pin_next(cx);
        });
    }

    fn add(&mut self, pinned: PinnedClip, group: Option<GroupId>, cx: &mut ComparisonContext<'_>) {
        match group {
            Some(group) => {
                let replaces = self.pins.is_new_group(group);
                self.pins.pin_in_group(pinned, group);
                if replaces {
                    cx.effects.send(InspectorCommand::ForgetDifference);
                    cx.effects.send(MonitorCommand::PinsRemoved);
                }
            }
            None => {
                if !self.pins.pin(pinned) {
                    cx.effects.notify("A hundred sounds are pinned; unpin one first");
                }
            }
        }
    }

    fn unpin(&mut self, keys: &[PinKey], cx: &mut ComparisonContext<'_>) {
        let before = self.pins.clips().len();
        keys.iter().for_each(|key| self.pins.unpin(key));
        if self.pins.clips().len() < before {
            cx.effects.send(InspectorCommand::ForgetDifference);
            cx.effects.send(MonitorCommand::PinsRemoved);
        }
    }

    // --- Measures ---

    /// The sounds that measures are of.
    pub fn measured_sounds(&self, inspector: &Inspector) -> MeasuredSounds {
        (inspector.current.sound_version, self.pins.keys())
    }

    /// Whether sounds are being measured.
    pub(super) fn is_measuring(&self, tasks: &Tasks) -> bool {
        tasks.is_running(MEASURE)
    }

    /// Measures the current clip and the pinned ones, and transcribes them if there is a recogniser.
    fn measure(&mut self, recogniser: Option<Recogniser>, cx: &mut ComparisonContext<'_>) {
        let Some(info) = cx.models.info().cloned() else { return };
        let sounds = self.measured_sounds(cx.inspector);
        self.measures.request(sounds.clone());
        let mut clips = Vec::new();
        let current = &cx.inspector.current;
        let is_pinned = current.take.as_ref().is_some_and(|take| self.pins.take(take).is_some());
        if !current.clip.audio.is_empty() && !is_pinned {
            clips.push(("current".to_owned(), current.clip.clone(), current.words.clone()));
        }
        for (n, pinned) in self.pins.clips().iter().enumerate() {
            let (settings, name) = (pinned.clip.origin.describe_sampling(), shortened(&pinned.name, NAME));
            let space = if settings.is_empty() { "" } else { " " };
            clips.push((format!("{}{space}{settings}: {name}", n + 1), pinned.clip.clone(), pinned.words.clone()));
        }
        let measure = move |cancel: &CancelFlag| {
            let measure = |(name, clip, words): (String, Arc<Clip>, Vec<WordTime>)| {
                let recogniser = recogniser.as_ref().filter(|_| clip.origin.text.is_some());
                let transcript = recogniser.map(|recogniser| {
                    let (wav, _) = wav::encode(&clip.audio, clip.sample_rate, &WavInfo::default())?;
                    recogniser.transcribe(&wav, || cancel.is_set())
                });
                let report = ClipReport::new(name, &clip, Err(StepsUnavailable::NotRequested), &info);
                let report = report.with_acoustics(&clip.audio, clip.sample_rate);
                let report = report.with_words(&words, info.dims.seconds(1));
                match transcript {
                    Some(transcript) => {
                        report.with_transcript(transcript.map_err(|e: crate::error::Error| e.to_string()))
                    }
                    None => report,
                }
            };
            report::sound_tables(&Report::new((*info).clone(), clips.into_iter().map(measure).collect()))
        };
        cx.tasks
            .run(MEASURE, measure, move |comparison: &mut Self, _, tables| comparison.measures.set(&sounds, tables));
    }

    fn compute_differences(&mut self, cx: &mut ComparisonContext<'_>) {
        let Some(info) = cx.models.info().cloned() else { return };
        let (keys, pinned) = (self.pins.keys(), self.pins.clips().to_vec());
        self.differences.request(keys.clone());
        let compute = move |_: &CancelFlag| Differences {
            rows: describe_differences(&pinned, &info),
            modes: mode_tables(&pinned, &info),
        };
        cx.tasks.run(DIFFERENCES, compute, move |comparison: &mut Self, _, differences| {
            comparison.differences.set(&keys, differences);
        });
    }
}

fn play_pinned(key: PinKey, effects: &mut Effects) {
    effects.send(MonitorCommand::SwitchTo(PlaybackSource::Pinned(key)));
    effects.send(MonitorCommand::Play);
}
