//! Listening tests of takes and pinned clips.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::{TEST_RATE, TestBench, TestBenchContext};
use crate::data::{Clip, CodebookMask, Codes, WordTime};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::listen::{
    Anchor, ListeningTest, LoudnessMatch, MadeTest, PlannedSound, Study, TakeSound, Template, TestKind, TestPlan,
    test_page,
};
use crate::studio::comparison::{Comparison, PinKey};
use crate::studio::library::Library;
use crate::studio::models::Models;
use crate::studio::tasks::{Key, QueuePosition};
use crate::worker::CancelToken;

const READ_SOUNDS: Key = Key("read sounds of a test");
const DECODE_SOUND: Key = Key("decode a sound of a test");
const WRITE_TEST: Key = Key("write test");

/// A listening test that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct TestRequest {
    pub kind: TestKind,
    /// Its conditions.
    pub template: Template,
    /// Takes and pinned clips.
    pub clips: Vec<PinKey>,
    /// Whether the first condition, low-passed at 3.5 kHz, is added as a condition.
    pub low_anchor: bool,
    /// Whether the first condition, low-passed at 7 kHz, is added as a condition.
    pub mid_anchor: bool,
    /// The condition that each rating also shows as an open reference, hidden among the others.
    pub reference: Option<String>,
    /// Whether each rating has one of its sounds twice.
    pub hidden_repeat: bool,
    /// Trials of each text, or each text and pair of conditions; `None` for the kind's usual number.
    pub repetitions: Option<usize>,
    /// Listeners that are planned; 0 if that is open.
    pub listeners: usize,
    /// Practice trials, which do not count.
    pub training: usize,
    /// Instructions that listeners read first; none if empty.
    pub instructions: String,
    /// Whether the page begins with a sound for setting the volume.
    pub volume_page: bool,
    /// Whether listeners see the words and can loop one.
    pub loop_words: bool,
}

impl TestRequest {
    /// A test of `clips` without checks.
    pub fn new(kind: TestKind, template: Template, clips: Vec<PinKey>) -> Self {
        Self {
            kind,
            template,
            clips,
            low_anchor: false,
            mid_anchor: false,
            reference: None,
            hidden_repeat: false,
            repetitions: None,
            listeners: 0,
            training: 0,
            instructions: String::new(),
            volume_page: false,
            loop_words: false,
        }
    }

    /// The anchors that are added.
    pub fn anchors(&self) -> Vec<Anchor> {
        let chosen = [(self.low_anchor, Anchor::Low), (self.mid_anchor, Anchor::Mid)];
        chosen.into_iter().filter(|(chosen, _)| *chosen).map(|(_, anchor)| anchor).collect()
    }
}

/// A test whose sounds are being decoded from some of their codebooks.
pub(super) struct PendingTest {
    request: TestRequest,
    path: PathBuf,
    waiting: VecDeque<(TakeSound, Codes)>,
    sounds: Vec<TakeSound>,
}

impl PendingTest {
    /// A test in which each clip is decoded from every one of the counts of codebooks.
    fn new(request: TestRequest, path: PathBuf, clips: &[(TakeSound, Codes)], counts: &[Option<usize>]) -> Self {
        let with_count = |count: Option<usize>| {
            clips.iter().map(move |(take, codes)| (TakeSound { codebooks: count, ..take.clone() }, codes.clone()))
        };
        Self {
            request,
            path,
            waiting: counts.iter().flat_map(|count| with_count(*count)).collect(),
            sounds: Vec::new(),
        }
    }
}

impl TestBench {
    /// Reads the clips of a test and writes the test; first decodes them if its conditions are counts of codebooks.
    pub(super) fn make(&self, request: TestRequest, path: PathBuf, cx: &mut TestBenchContext<'_>) {
        let folder = cx.library.store.folder().clone();
        let clips = request.clips.iter().map(|key| {
            let pinned = cx.comparison.pins.get(key).map(|pinned| pinned.clip.clone());
            let mut known = describe_clip(key, cx.library, cx.comparison);
            if request.loop_words {
                known.sound.words = words_of(key, cx.library, cx.comparison);
            }
            (key.clone(), known, pinned)
        });
        let clips: Vec<(PinKey, TakeSound, Option<Arc<Clip>>)> = clips.collect();
        let read = move |_: &_| {
            let read = |(key, known, pinned): (PinKey, TakeSound, Option<Arc<Clip>>)| {
                let clip = match (pinned, key) {
                    (Some(clip), _) => clip,
                    (None, PinKey::Take(take)) => Arc::new(folder.read_clip(&take, TEST_RATE)?),
                    (None, PinKey::Sound { of, .. }) => {
                        return Err(Error::invalid("test", "clips that are pinned", format!("{of:?}, which is not")));
                    }
                };
                let (source, sampling) = (known.sound.source.clone(), known.sound.sampling);
                let words = known.sound.words.clone();
                let sound = PlannedSound::mono(source, clip.audio.clone(), clip.sample_rate, sampling);
                Ok((TakeSound { sound: PlannedSound { words, ..sound }, ..known }, clip.codes.clone()))
            };
            clips.into_iter().map(read).collect::<Result<Vec<_>>>()
        };
        cx.tasks.run(READ_SOUNDS, read, move |bench: &mut Self, cx, clips: Result<Vec<(TakeSound, Codes)>>| {
            if let Some(clips) = cx.effects.or_notify(clips) {
                bench.on_clips(request, path, clips, cx);
            }
        });
    }

    fn on_clips(
        &mut self,
        request: TestRequest,
        path: PathBuf,
        clips: Vec<(TakeSound, Codes)>,
        cx: &mut TestBenchContext<'_>,
    ) {
        if request.template != Template::Codebooks {
            let sounds = clips.into_iter().map(|(sound, _)| sound).collect();
            return self.write_test(request, path, sounds, cx);
        }
        let codebooks = cx.models.dims().map_or(0, |dims| dims.codebooks);
        if clips.iter().any(|(_, codes)| codes.codebooks() != codebooks || codes.is_empty()) {
            return cx.effects.notify_error("Only takes of the open model can be decoded from some of their codebooks");
        }
        self.pending = Some(PendingTest::new(request, path, &clips, &Template::codebook_counts(codebooks)));
        cx.tasks.discard(DECODE_SOUND);
        self.decode_next(cx);
    }

    /// Decodes the next sound of the pending test, or writes the test if all are decoded.
    fn decode_next(&mut self, cx: &mut TestBenchContext<'_>) {
        let next = self.pending.as_mut().and_then(|test| test.waiting.pop_front());
        let Some((take, codes)) = next else {
            if let Some(PendingTest { request, path, sounds, .. }) = self.pending.take() {
                self.write_test(request, path, sounds, cx);
            }
            return;
        };
        let all = codes.codebooks();
        let mask = take.codebooks.map_or(CodebookMask::all(all), |count| CodebookMask::first(count, all));
        let start = |_: &mut Self, cx: &mut TestBenchContext<'_>, cancel: CancelToken| {
            cx.models.worker().map(|worker| worker.decode_codebooks(codes, mask, cancel)).transpose()
        };
        let no_events = |_: &mut Self, _: &mut TestBenchContext<'_>, _| {};
        let then = move |bench: &mut Self, cx: &mut TestBenchContext<'_>, samples: Result<Vec<f32>>| {
            let (Some(samples), Some(test)) = (cx.effects.or_notify(samples), &mut bench.pending) else {
                bench.pending = None;
                return;
            };
            let sound = PlannedSound { samples, ..take.sound.clone() };
            test.sounds.push(TakeSound { sound, ..take });
            bench.decode_next(cx);
        };
        cx.tasks.ask(DECODE_SOUND, QueuePosition::Last, start, no_events, then);
    }

    /// Writes a test, and next to it a page for listeners without this program.
    fn write_test(&self, request: TestRequest, path: PathBuf, sounds: Vec<TakeSound>, cx: &mut TestBenchContext<'_>) {
        let Some(seed) = cx.effects.or_notify(crate::data::random_seed()) else { return };
        let match_loudness = !cx.comparison.pins.own_loudness;
        let test_file = path.clone();
        let write = move || {
            if sounds.iter().any(|take| take.sound.rate != TEST_RATE) {
                return Err(Error::invalid("takes", format!("sounds at {TEST_RATE} Hz"), "another rate"));
            }
            let (conditions, notes) = request.template.conditions(&sounds)?;
            let MadeTest { test, warnings } = ListeningTest::make(&TestPlan {
                anchors: request.anchors(),
                reference: request.reference.clone().filter(|_| request.kind.info().can_have_reference()),
                training: request.training,
                hidden_repeat: request.hidden_repeat && request.kind.info().can_repeat_sounds,
                loudness: if match_loudness { LoudnessMatch::Test } else { LoudnessMatch::Off },
                repetitions: request.repetitions,
                study: Study {
                    listeners: request.listeners,
                    instructions: request.instructions.trim().to_owned(),
                    volume_page: request.volume_page,
                    ..Study::default()
                },
                ..TestPlan::new(request.kind, conditions, seed)
            })?;
            test.write(&path)?;
            let page = path.with_extension("page.html");
            write_atomically(&page, test_page(&test).as_bytes())?;
            let trials = test.trials_per_listener();
            let made = format!("{} and {}: {trials} trials", path.display(), page.display());
            Ok([vec![made], notes, warnings].concat())
        };
        cx.tasks.run_in_turn(WRITE_TEST, write, move |bench: &mut Self, cx, made: Result<Vec<String>>| {
            let Some(notes) = cx.effects.or_notify(made) else { return };
            notes.into_iter().for_each(|text| cx.effects.notify(text));
            // The form that it was made in now offers to run it.
            if let Some(form) = &mut bench.form {
                form.made = Some(test_file);
            }
        });
    }
}

/// When the words of a clip are spoken, if that is known.
fn words_of(key: &PinKey, library: &Library, comparison: &Comparison) -> Vec<WordTime> {
    let pinned = comparison.pins.get(key).map(|pinned| pinned.words.clone());
    pinned.or_else(|| Some(library.store.get(key.take()?)?.words.clone())).unwrap_or_default()
}

/// Metadata of a clip without its waveform.
fn describe_clip(key: &PinKey, library: &Library, comparison: &Comparison) -> TakeSound {
    let take = key.take().and_then(|take| library.store.get(take));
    let pinned = comparison.pins.get(key);
    let origin = pinned.map(|pinned| &pinned.clip.origin);
    let source = match key {
        PinKey::Take(take) => take.to_string(),
        PinKey::Sound { of, codebooks } if codebooks.is_empty() => of.clone(),
        PinKey::Sound { of, codebooks } => format!("{of}, {codebooks}"),
    };
    let sampling = take.map_or(origin.and_then(|origin| origin.sampling), |take| take.sampling);
    TakeSound {
        name: take
            .map(|take| &take.name)
            .or(pinned.map(|pinned| &pinned.name))
            .cloned()
            .unwrap_or_else(|| source.clone()),
        text: take.map(|take| take.text.clone()).or(origin.and_then(|origin| origin.text.clone())),
        speaker: take.map(|take| take.speaker).or(origin.and_then(|origin| origin.speaker)),
        model: take.and_then(|take| take.model.as_ref()).map(|model| model.name.clone()),
        codebooks: None,
        sound: PlannedSound::mono(source, Vec::new(), TEST_RATE, sampling),
    }
}

/// A template that fits some clips.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateChoice {
    pub template: Template,
    /// Its title in menus.
    pub title: &'static str,
    /// Names of the conditions that it finds; at least two.
    pub conditions: Vec<String>,
    /// Items that each condition has.
    pub items: usize,
}

/// The templates that find two or more conditions among these clips.
pub fn templates_for(
    clips: &[PinKey],
    library: &Library,
    comparison: &Comparison,
    models: &Models,
) -> Vec<TemplateChoice> {
    let takes: Vec<TakeSound> = clips.iter().map(|key| describe_clip(key, library, comparison)).collect();
    let counts = models.dims().map_or(Vec::new(), |dims| Template::codebook_counts(dims.codebooks));
    let counts: Vec<String> = counts.into_iter().map(Template::codebook_condition).collect();
    let found = |template: Template| match template {
        Template::Codebooks => (counts.clone(), takes.len()),
        Template::Takes
        | Template::Modes
        | Template::Seeds
        | Template::Temperatures
        | Template::Models
        | Template::Voices => template.conditions(&takes).map_or((Vec::new(), 0), |(conditions, _)| {
            let items = conditions.first().map_or(0, |(_, sounds)| sounds.len());
            (conditions.into_iter().map(|(name, _)| name).collect(), items)
        }),
    };
    let all = Template::ALL.into_iter();
    let all = all.map(|(template, _, title)| {
        let (conditions, items) = found(template);
        TemplateChoice { template, title, conditions, items }
    });
    all.filter(|choice| choice.conditions.len() > 1).collect()
}
