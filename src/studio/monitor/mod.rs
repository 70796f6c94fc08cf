//! The monitor: what is played, and from which source.

mod mixer;

pub use self::mixer::CodebookMixer;
use super::comparison::{Alignment, Comparison, PinKey};
use super::effects::Effects;
use super::inspector::{Inspector, InspectorCommand};
use super::models::Models;
use super::preferences::PreferencesCommand;
use super::session::{Owner, Session, StudioPaths};
use super::settings::Settings;
use super::tasks::{Key, QueuePosition, RECOMPUTE, SPEAK, Tasks};
use super::test_bench::TestBench;
use crate::analysis::alignment::same_place;
use crate::audio::player::{Player, Sink};
use crate::data::{CodebookMask, Codes, WordTime};
use crate::error::Result;
use crate::worker::CancelToken;

const AUDITION: Key = Key("audition");
const LIST_DEVICES: Key = Key("list devices");

/// Frames that are played before and after an auditioned token.
const AUDITION_BEFORE: usize = 4;
const AUDITION_AFTER: usize = 4;

/// The content of the player.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PlaybackSource {
    #[default]
    CurrentClip,
    /// Some codebooks of the current clip.
    MaskedClip,
    /// The current clip with another token in one place.
    Audition,
    /// The tokens that other settings would have drawn in the current clip.
    WhatIf,
    Pinned(PinKey),
    /// A sound that is not a clip: a recording, a conversation, a sound of a listening test.
    Sound,
}

pub struct Monitor {
    pub player: Player,
    /// The content of the player.
    pub source: PlaybackSource,
    /// Mute and solo of the current clip's codebooks.
    pub mixer: CodebookMixer,
    /// The sound of the current clip's codebooks that the mixer plays, if those are not all.
    partial_audio: Vec<f32>,
    /// Names of the output devices, while their list is open.
    pub devices: Option<Vec<String>>,
}

/// Commands of the monitor, and what other owners tell it.
#[derive(Clone, Debug)]
pub enum MonitorCommand {
    /// Play, from the start if the end is reached.
    Play,
    Pause,
    TogglePlay,
    /// Move the position, in seconds.
    Seek(f64),
    /// Move the position by a number of frames.
    StepFrames(i32),
    /// Select a part, in seconds.
    SelectRegion {
        from: f64,
        to: f64,
    },
    /// Select and play a part, in seconds.
    PlayRegion {
        from: f64,
        to: f64,
        looping: bool,
    },
    /// Play the selected part over and over, or once.
    ToggleLoop,
    ClearRegion,
    /// Gain of the player, 0 to 1.
    SetVolume(f32),
    /// Output device; `None` for the default one.
    SetDevice(Option<String>),
    /// List the output devices.
    ListDevices,
    /// Close the list of output devices.
    CloseDeviceList,
    /// Switch to another source at the same moment.
    SwitchTo(PlaybackSource),
    /// Play only some codebooks of the current clip.
    SetMixer(CodebookMixer),
    /// Play the current clip around a place with another token in it. Nothing is kept.
    Audition {
        /// Frame of the token.
        frame: usize,
        /// Codebook of the token.
        codebook: usize,
        token: u32,
    },
    /// Return from an audition or another sound to the current clip.
    EndAudition,
    /// Play the current clip from its start.
    PlayCurrentClip,
    /// Load the current clip, which is complete.
    LoadCurrentClip,
    /// A clip is being made, with an expected length in seconds.
    Begin {
        expected: f64,
    },
    /// Append to the clip that is being made.
    Append(Vec<f32>),
    /// The clip that was being made is complete.
    Finish,
    /// Play a sound that is not a clip, from its start.
    PlaySound {
        samples: Vec<f32>,
        rate: usize,
    },
    /// Play a sound that is not a clip at the same moment as the one before.
    SwitchSound {
        samples: Vec<f32>,
        rate: usize,
    },
    /// Play a part of a sound that is not a clip again and again.
    LoopSound {
        samples: Vec<f32>,
        rate: usize,
        /// The part, in seconds.
        part: (f64, f64),
    },
    /// Stop a sound that is not a clip.
    StopSound,
    PinsRemoved,
    /// Other tokens answer the question of other settings, or none.
    WhatIfChanged,
    /// The gains of the pinned clips have changed.
    GainsChanged,
}

/// Data that [`Monitor`] may read.
pub struct MonitorContext<'a> {
    settings: &'a Settings,
    models: &'a Models,
    inspector: &'a Inspector,
    comparison: &'a Comparison,
    test_bench: &'a TestBench,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Monitor {
    type Command = MonitorCommand;
    type Context<'a> = MonitorContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, MonitorContext<'_>) {
        let Session { monitor, preferences, models, inspector, comparison, test_bench, tasks, effects, .. } = session;
        let settings = &preferences.settings;
        (monitor, MonitorContext { settings, models, inspector, comparison, test_bench, tasks, effects })
    }

    fn handle(&mut self, command: MonitorCommand, cx: &mut MonitorContext<'_>) {
        match command {
            MonitorCommand::Play => self.set_playing(true, cx),
            MonitorCommand::Pause => self.set_playing(false, cx),
            MonitorCommand::TogglePlay => self.set_playing(!self.player.is_playing(), cx),
            MonitorCommand::Seek(seconds) => self.seek(seconds, cx),
            MonitorCommand::StepFrames(frames) => {
                self.seek(self.player.position() + f64::from(frames) * cx.models.frame_seconds(), cx);
            }
            MonitorCommand::SelectRegion { from, to } => {
                self.end_audition(cx);
                let looping = self.player.is_looping();
                self.player.set_region(Some((from, to)), looping);
            }
            MonitorCommand::PlayRegion { from, to, looping } => {
                self.end_audition(cx);
                cx.effects.or_notify(self.player.play_region(from, to, looping));
            }
            MonitorCommand::ToggleLoop => self.toggle_loop(cx),
            MonitorCommand::ClearRegion => self.player.set_region(None, false),
            MonitorCommand::SetVolume(volume) => {
                self.player.set_volume(volume);
                cx.effects.send(PreferencesCommand::SetVolume(volume));
            }
            MonitorCommand::SetDevice(name) => {
                cx.effects.send(PreferencesCommand::SetDevice(name.clone()));
                cx.effects.or_notify(self.player.set_sink(Sink::Device(name)));
            }
            MonitorCommand::ListDevices => {
                self.devices.get_or_insert_default();
                let list = |_: &_| crate::audio::device::names();
                cx.tasks.run(LIST_DEVICES, list, |monitor: &mut Self, _, names| monitor.devices = Some(names));
            }
            MonitorCommand::CloseDeviceList => self.devices = None,
            MonitorCommand::SwitchTo(source) => self.switch_to(source, cx),
            MonitorCommand::SetMixer(mixer) => self.set_mixer(mixer, cx),
            MonitorCommand::Audition { frame, codebook, token } => self.audition(frame, codebook, token, cx),
            MonitorCommand::EndAudition => self.end_audition(cx),
            MonitorCommand::PlayCurrentClip => {
                self.switch_to_current(cx);
                self.player.seek(0.0);
                cx.effects.or_notify(self.player.play(true));
            }
            MonitorCommand::LoadCurrentClip => {
                cx.tasks.discard(AUDITION);
                let clip = &cx.inspector.current.clip;
                self.player.load(&clip.audio, clip.sample_rate);
                (self.source, self.mixer) = (PlaybackSource::CurrentClip, CodebookMixer::default());
            }
            MonitorCommand::Begin { expected } => self.begin(expected, cx),
            MonitorCommand::Append(samples) => {
                if self.source == PlaybackSource::CurrentClip {
                    self.player.push(&samples);
                }
            }
            MonitorCommand::Finish => {
                if self.source == PlaybackSource::CurrentClip {
                    self.player.finish();
                }
            }
            MonitorCommand::PlaySound { samples, rate } => {
                self.player.load(&samples, rate);
                self.source = PlaybackSource::Sound;
                cx.effects.or_notify(self.player.play(true));
            }
            MonitorCommand::SwitchSound { samples, rate } => {
                self.player.switch(samples, rate, false);
                self.source = PlaybackSource::Sound;
                cx.effects.or_notify(self.player.play(true));
            }
            MonitorCommand::LoopSound { samples, rate, part: (from, to) } => {
                self.player.load(&samples, rate);
                self.source = PlaybackSource::Sound;
                cx.effects.or_notify(self.player.play_region(from, to, true));
            }
            MonitorCommand::StopSound => {
                if self.source == PlaybackSource::Sound {
                    cx.effects.or_notify(self.player.play(false));
                }
            }
            MonitorCommand::PinsRemoved => {
                if matches!(&self.source, PlaybackSource::Pinned(key) if cx.comparison.pins.get(key).is_none()) {
                    self.switch_to_current(cx);
                }
            }
            MonitorCommand::WhatIfChanged => {
                if self.source == PlaybackSource::WhatIf {
                    self.switch_to_current(cx);
                }
            }
            MonitorCommand::GainsChanged => {
                if let PlaybackSource::Pinned(key) = self.source.clone() {
                    self.switch_to_pinned(key, cx);
                }
            }
        }
    }
}

impl Monitor {
    /// The monitor with the sink of the settings, unless `paths` have one.
    pub(super) fn new(paths: &StudioPaths, settings: &Settings) -> Self {
        let sink = paths.sink.clone().unwrap_or(Sink::Device(settings.device.clone()));
        let mut player = Player::new(sink).in_background();
        player.set_volume(settings.volume);
        let (source, mixer) = (PlaybackSource::default(), CodebookMixer::default());
        Self { player, source, mixer, partial_audio: Vec::new(), devices: None }
    }

    /// Reports what happened to the device.
    pub(super) fn poll(&mut self, cx: &mut MonitorContext<'_>) {
        cx.effects.or_notify(self.player.poll_device());
    }

    /// Whether the current clip is playing.
    pub(super) fn is_playing_current_clip(&self) -> bool {
        self.source == PlaybackSource::CurrentClip && self.player.is_playing()
    }

    /// The sound of the current clip's codebooks that the mixer plays, if those are not all.
    pub(super) fn partial_audio(&self) -> Option<&[f32]> {
        (self.source == PlaybackSource::MaskedClip).then_some(&self.partial_audio)
    }

    fn set_playing(&mut self, playing: bool, cx: &mut MonitorContext<'_>) {
        self.end_audition(cx);
        cx.effects.or_notify(self.player.play(playing));
    }

    fn seek(&mut self, seconds: f64, cx: &mut MonitorContext<'_>) {
        self.end_audition(cx);
        self.player.seek(seconds);
    }

    fn toggle_loop(&mut self, cx: &mut MonitorContext<'_>) {
        let Some((from, to)) = self.player.region() else { return };
        let looping = !self.player.is_looping();
        self.player.set_region(Some((from, to)), looping);
        if looping {
            cx.effects.or_notify(self.player.play(true));
        }
    }

    /// Plays the clip that is being made, unless pinned clips or a listening test are being played.
    fn begin(&mut self, expected: f64, cx: &mut MonitorContext<'_>) {
        if cx.test_bench.is_open() {
            self.source = PlaybackSource::Sound; // closing the test returns to the clip
            return;
        }
        if matches!(self.source, PlaybackSource::Pinned(_)) && self.player.is_playing() {
            return;
        }
        (self.source, self.mixer) = (PlaybackSource::CurrentClip, CodebookMixer::default());
        self.player.begin(cx.models.sample_rate());
        self.player.expect(expected);
        if cx.settings.autoplay {
            cx.effects.or_notify(self.player.play_when_buffered());
        }
    }

    /// The loudest sample that was played in the last tenth of a second; `None` for a source whose samples are the player's alone.
    pub fn level(&self, inspector: &Inspector, comparison: &Comparison) -> Option<f32> {
        const SPAN: f64 = 0.1;
        let clip = match &self.source {
            PlaybackSource::CurrentClip => &inspector.current.clip,
            PlaybackSource::Pinned(key) => &comparison.pins.get(key)?.clip,
            PlaybackSource::MaskedClip | PlaybackSource::Audition | PlaybackSource::WhatIf | PlaybackSource::Sound => {
                return None;
            }
        };
        let at = |seconds: f64| ((seconds.max(0.0) * clip.sample_rate as f64) as usize).min(clip.audio.len());
        let played = &clip.audio[at(self.player.position() - SPAN)..at(self.player.position())];
        Some(played.iter().fold(0.0, |level, sample| level.max(sample.abs())))
    }

    // --- Sources ---

    fn switch_to(&mut self, source: PlaybackSource, cx: &mut MonitorContext<'_>) {
        match source {
            PlaybackSource::CurrentClip => self.switch_to_current(cx),
            PlaybackSource::Pinned(key) => self.switch_to_pinned(key, cx),
            PlaybackSource::WhatIf => self.play_what_if(cx),
            // These are made of the current clip, or have to be given.
            PlaybackSource::MaskedClip | PlaybackSource::Audition | PlaybackSource::Sound => {}
        }
    }

    fn switch_to_current(&mut self, cx: &MonitorContext<'_>) {
        if self.source == PlaybackSource::CurrentClip {
            return;
        }
        let clip = &cx.inspector.current.clip;
        self.align(clip.seconds(), &cx.inspector.current.words, cx);
        self.player.switch(clip.audio.clone(), clip.sample_rate, cx.tasks.is_active(SPEAK));
        (self.source, self.mixer) = (PlaybackSource::CurrentClip, CodebookMixer::default());
    }

    fn switch_to_pinned(&mut self, key: PinKey, cx: &MonitorContext<'_>) {
        let Some((samples, rate)) = cx.comparison.pins.audio(&key) else { return };
        let words = cx.comparison.pins.get(&key).map_or(&[][..], |pinned| &pinned.words);
        self.align(samples.len() as f64 / rate.max(1) as f64, words, cx);
        self.player.switch(samples, rate, false);
        self.source = PlaybackSource::Pinned(key);
    }

    /// Moves the position to the same place in a clip of `length` seconds with `words`.
    fn align(&mut self, length: f64, words: &[WordTime], cx: &MonitorContext<'_>) {
        let (position, before) = (self.player.position(), self.player.seconds());
        let here = match &self.source {
            PlaybackSource::Pinned(key) => cx.comparison.pins.get(key).map_or(&[][..], |pinned| &pinned.words),
            _ => &cx.inspector.current.words,
        };
        let to = match cx.comparison.pins.alignment {
            Alignment::Time => None,
            Alignment::Percentage => (before > 0.0).then(|| position / before * length),
            Alignment::Word => same_place(here, words, position),
        };
        to.into_iter().for_each(|to| self.player.jump(to));
    }

    fn end_audition(&mut self, cx: &mut MonitorContext<'_>) {
        match self.source {
            PlaybackSource::CurrentClip
            | PlaybackSource::MaskedClip
            | PlaybackSource::WhatIf
            | PlaybackSource::Pinned(_) => {}
            PlaybackSource::Audition | PlaybackSource::Sound => {
                let position = self.player.position();
                let clip = &cx.inspector.current.clip;
                if cx.tasks.is_active(SPEAK) {
                    self.player.begin(clip.sample_rate); // more of it will come
                    self.player.push(&clip.audio);
                } else {
                    self.player.load(&clip.audio, clip.sample_rate);
                }
                self.player.seek(position);
                self.source = PlaybackSource::CurrentClip;
                if self.mixer != CodebookMixer::default() {
                    self.set_mixer(self.mixer.clone(), cx);
                }
            }
        }
    }

    fn set_mixer(&mut self, mixer: CodebookMixer, cx: &mut MonitorContext<'_>) {
        if cx.tasks.is_active(SPEAK) {
            return cx.effects.notify("A take is being made; stop it first");
        }
        cx.tasks.discard(AUDITION); // what it would have played is no longer wanted
        let codes = &cx.inspector.current.clip.codes;
        let mask = mixer.mask(codes.codebooks());
        self.mixer = mixer;
        if mask.is_all() {
            return self.switch_to_current(cx);
        }
        let codes = codes.clone();
        self.decode(codes, mask, cx, |monitor, cx, audio| {
            monitor.partial_audio.clone_from(&audio);
            monitor.player.switch(audio, cx.inspector.current.clip.sample_rate, false);
            monitor.source = PlaybackSource::MaskedClip;
        });
    }

    /// Plays the tokens of the other settings, at the same moment.
    fn play_what_if(&self, cx: &mut MonitorContext<'_>) {
        let Some(answer) = cx.inspector.what_if.answer() else { return };
        let codes = answer.tokens.clone();
        let mask = CodebookMask::all(codes.codebooks());
        self.decode(codes, mask, cx, |monitor, cx, audio| {
            monitor.player.switch(audio, cx.models.sample_rate(), false);
            monitor.source = PlaybackSource::WhatIf;
            cx.effects.or_notify(monitor.player.play(true));
        });
    }

    fn audition(&self, frame: usize, codebook: usize, token: u32, cx: &mut MonitorContext<'_>) {
        let Ok(dims) = cx.models.dims() else { return cx.effects.notify(cx.models.status().unwrap_or_default()) };
        let codes = &cx.inspector.current.clip.codes;
        let end = (frame + 1 + AUDITION_AFTER).min(codes.len());
        let mut changed = Codes::new(codes.codebooks());
        for (t, ids) in codes.frames().take(end).enumerate() {
            let mut ids = ids.to_vec();
            if t == frame
                && let Some(id) = ids.get_mut(codebook)
            {
                *id = token;
            }
            changed.push(&ids);
        }
        let (from, to) = (dims.seconds(frame.saturating_sub(AUDITION_BEFORE)), dims.seconds(end));
        let mask = self.mixer.mask(codes.codebooks());
        self.decode(changed, mask, cx, move |monitor, cx, audio| {
            monitor.player.load(&audio, cx.models.sample_rate());
            monitor.source = PlaybackSource::Audition;
            cx.effects.or_notify(monitor.player.play_region(from, to, false));
        });
    }

    /// Decodes codes before anything else and hands the waveform to `play`.
    fn decode(
        &self,
        codes: Codes,
        mask: CodebookMask,
        cx: &mut MonitorContext<'_>,
        play: impl FnOnce(&mut Self, &mut MonitorContext<'_>, Vec<f32>) + 'static,
    ) {
        if cx.tasks.is_active(SPEAK) {
            return cx.effects.notify("A take is being made; stop it first");
        }
        // Audition has priority; the logits are computed after it.
        if cx.tasks.is_active(RECOMPUTE) {
            cx.tasks.discard(RECOMPUTE);
            cx.effects.send(InspectorCommand::RecomputeLogits);
        }
        let start = move |_: &mut Self, cx: &mut MonitorContext<'_>, cancel: CancelToken| {
            let decode =
                |worker: &std::sync::Arc<crate::worker::WorkerHandle>| worker.decode_codebooks(codes, mask, cancel);
            cx.models.worker().map(decode).transpose()
        };
        let no_events = |_: &mut Self, _: &mut MonitorContext<'_>, _| {};
        let then = move |monitor: &mut Self, cx: &mut MonitorContext<'_>, audio: Result<Vec<f32>>| {
            if let Some(audio) = cx.effects.or_notify(audio) {
                play(monitor, cx, audio);
            }
        };
        cx.tasks.ask(AUDITION, QueuePosition::First, start, no_events, then);
    }
}
