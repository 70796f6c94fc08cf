//! The session: the owners of the window's state, and how commands and effects travel between them.
//!
//! Each owner has its own data and commands. `Owner::split` borrows it mutably and hands it a context with what it may read of the
//! others; what it wants of them is an effect, which happens once it has returned.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use super::catalogue::Catalogue;
use super::command::Command;
use super::comparison::{Comparison, PinnedClip};
use super::composer::{Composer, Draft, DraftFile};
use super::effects::{Effect, Effects};
use super::inspector::{Followed, Inspector};
use super::library::{Library, rescued_takes};
use super::models::{Models, describe_bytes};
use super::monitor::Monitor;
use super::notifications::Notifications;
use super::preferences::Preferences;
use super::settings::Settings;
use super::shell::Shell;
use super::tasks::{RECOMPUTE, SPEAK, Tasks, Wake, WakeFn};
use super::test_bench::TestBench;
use super::voices::Voices;
use crate::audio::microphone::MicrophoneSource;
use crate::audio::player::Sink;
use crate::checkpoint::CheckpointSpec;
use crate::data::{ModelInfo, WordTime};
use crate::error::{Error, Result};
use crate::takes::Store;

/// Files of the window, and its audio devices.
pub struct StudioPaths {
    /// The folder of takes.
    pub takes: PathBuf,
    pub settings: PathBuf,
    /// The folder of what can be computed again.
    pub cache: PathBuf,
    /// The sink of the player; `None` for the device of the settings.
    pub sink: Option<Sink>,
    /// The source of recordings.
    pub source: MicrophoneSource,
    /// The checkpoint to open.
    pub model: CheckpointSpec,
    /// Files to open: folders of takes, token files, WAV files, listening tests.
    pub open: Vec<PathBuf>,
}

impl StudioPaths {
    /// The folder of recordings.
    pub(super) fn recordings(&self) -> PathBuf {
        self.takes.with_file_name("recordings")
    }

    /// The file of the draft.
    pub(super) fn draft(&self) -> PathBuf {
        self.settings.with_file_name("draft.json")
    }
}

/// Stored data of earlier sessions: takes, settings and the draft. Reading it takes time, so that another thread does it.
pub struct Stored {
    /// The takes.
    pub store: Store,
    settings: Settings,
    draft: Draft,
    draft_file: DraftFile,
    problems: Vec<Error>,
    /// The folder of takes that an earlier session could write nowhere else.
    rescued: Option<PathBuf>,
}

impl Stored {
    /// Reads the files of `paths`. Unreadable settings, drafts and takes are reported in the window.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn read(paths: &StudioPaths) -> Result<Self> {
        let mut store = Store::open(&paths.takes)?;
        let (settings, settings_problem) = Settings::read(&paths.settings);
        let draft_file = DraftFile::choose(&paths.draft());
        let (draft, draft_problem) = Draft::read(draft_file.path());
        let damaged = std::mem::take(&mut store.damaged);
        let problems = settings_problem.into_iter().chain(draft_problem).chain(damaged).collect();
        Ok(Self { store, settings, draft, draft_file, problems, rescued: rescued_takes() })
    }
}

/// A part of the window's state with its own commands.
pub(super) trait Owner: Sized + 'static {
    /// Its commands.
    type Command;
    /// Read access to other owners, and where work and effects go.
    type Context<'a>;

    /// Borrows the owner and its context.
    fn split(session: &mut Session) -> (&mut Self, Self::Context<'_>);

    fn handle(&mut self, command: Self::Command, cx: &mut Self::Context<'_>);
}

/// The state of the window.
pub struct Session {
    pub preferences: Preferences,
    pub models: Models,
    /// Models on this machine, and downloads.
    pub catalogue: Catalogue,
    /// Voices of the user.
    pub voices: Voices,
    /// The conversation and the settings of the next take.
    pub composer: Composer,
    pub inspector: Inspector,
    pub monitor: Monitor,
    pub comparison: Comparison,
    pub library: Library,
    pub test_bench: TestBench,
    /// Dialogs, clipboard and requests to the panels.
    pub shell: Shell,
    /// Messages to the user.
    pub notifications: Notifications,
    pub(super) tasks: Tasks,
    pub(super) effects: Effects,
}

impl Session {
    /// Starts to load the model in the background.
    pub fn new(paths: &StudioPaths, stored: Stored, wake: Wake) -> Self {
        let mut session = Self::with_models(paths, stored, Models::new(paths.model.clone()), wake);
        session.with(|models: &mut Models, cx| models.start(cx));
        session.apply_effects();
        session
    }

    /// A session without weights, in which nothing can be generated: for pictures of panels.
    pub fn described(paths: &StudioPaths, stored: Stored, info: Option<ModelInfo>) -> Self {
        let nobody: WakeFn = std::sync::Arc::new(|| {});
        let wake = Wake { now: nobody.clone(), paced: nobody };
        Self::with_models(paths, stored, Models::described(info), wake)
    }

    fn with_models(paths: &StudioPaths, stored: Stored, models: Models, wake: Wake) -> Self {
        let Stored { store, settings, draft, draft_file, problems, rescued } = stored;
        let preferences = Preferences::new(settings, paths.settings.clone());
        let (settings, ended_early) = (&preferences.settings, store.ended_early);
        let mut session = Self {
            models,
            composer: Composer::new(paths, settings, draft, draft_file),
            inspector: Inspector::new(&paths.cache.join("draws")),
            monitor: Monitor::new(paths, settings),
            comparison: Comparison::default(),
            library: Library::new(store, paths),
            test_bench: TestBench::default(),
            catalogue: Catalogue::default(),
            voices: Voices::new(paths),
            shell: Shell::default(),
            notifications: Notifications::default(),
            tasks: Tasks::new(wake),
            effects: Effects::default(),
            preferences,
        };
        problems.into_iter().for_each(|e| session.notify_error(e));
        if let Some(folder) = rescued {
            session.notify_error(format!(
                "Takes that could not be written are in {}: “Open files…” opens them. Delete the folder when they are no longer needed",
                folder.display()
            ));
        }
        if ended_early {
            session.notify_error(
                "The last run was killed, or a fault ended it. Its finished takes are here, and the log may say why: “Show the folder of \
                 the log file”",
            );
        }
        session
    }

    /// Calls `f` with an owner and its context.
    pub(super) fn with<O: Owner, R>(&mut self, f: impl FnOnce(&mut O, &mut O::Context<'_>) -> R) -> R {
        let (owner, mut cx) = O::split(self);
        f(owner, &mut cx)
    }

    fn handle<O: Owner>(&mut self, command: O::Command) {
        self.with(|owner: &mut O, cx| owner.handle(command, cx));
    }

    /// Runs a command and what follows from it.
    pub fn run(&mut self, command: impl Into<Command>) {
        self.run_alone(command.into());
        self.apply_effects();
    }

    fn run_alone(&mut self, command: Command) {
        match command {
            Command::Composer(command) => self.handle::<Composer>(command),
            Command::Inspector(command) => self.handle::<Inspector>(command),
            Command::Monitor(command) => self.handle::<Monitor>(command),
            Command::Comparison(command) => self.handle::<Comparison>(command),
            Command::Library(command) => self.handle::<Library>(command),
            Command::TestBench(command) => self.handle::<TestBench>(command),
            Command::Catalogue(command) => self.handle::<Catalogue>(command),
            Command::Voices(command) => self.handle::<Voices>(command),
            Command::Models(command) => self.handle::<Models>(command),
            Command::Preferences(command) => self.handle::<Preferences>(command),
            Command::Shell(command) => self.handle::<Shell>(command),
            Command::Dismiss(n) => self.notifications.dismiss(n),
        }
    }

    /// Runs effects until there are none.
    pub(super) fn apply_effects(&mut self) {
        while let Some(effect) = self.effects.pop() {
            match effect {
                Effect::Notify(text) => self.notify(text),
                Effect::NotifyError(text) => self.notify_error(text),
                Effect::NotifyErrorOf(cause, text) => {
                    tracing::warn!("{text}");
                    self.notifications.add_error_of(cause, text, Instant::now());
                }
                Effect::Resolve(cause) => self.notifications.resolve(cause),
                Effect::Run(command) => self.run_alone(*command),
            }
        }
    }

    pub fn notify(&mut self, text: impl ToString) {
        self.notifications.add(text.to_string(), false, Instant::now());
    }

    /// Shows that something failed.
    pub fn notify_error(&mut self, error: impl ToString) {
        let text = error.to_string();
        tracing::warn!("{text}");
        self.notifications.add(text, true, Instant::now());
    }

    /// Takes in what has happened in the background, and starts what can be started. Never waits.
    pub fn poll(&mut self) {
        self.poll_tasks();
        self.with(|models: &mut Models, cx| models.poll(cx));
        self.apply_effects();
        self.with(|composer: &mut Composer, cx| composer.poll(cx));
        self.apply_effects();
        self.with(|inspector: &mut Inspector, cx| inspector.poll(cx));
        self.with(|library: &mut Library, cx| library.poll(cx));
        self.with(|preferences: &mut Preferences, cx| preferences.poll(cx));
        self.with(|monitor: &mut Monitor, cx| monitor.poll(cx));
        self.apply_effects();
        self.poll_tasks();
    }

    /// Saves draft and settings and waits until every file is written.
    pub fn close(&mut self) {
        self.finish_writing();
        self.with(|composer: &mut Composer, cx| composer.save_draft(cx));
        self.with(|preferences: &mut Preferences, cx| preferences.poll(cx));
        self.finish_writing();
        self.library.rescue_unwritten();
    }

    /// Whether a take is being made.
    pub fn is_speaking(&self) -> bool {
        self.tasks.is_active(SPEAK)
    }

    /// Whether words of the current clip can be spoken again: it is a take of this model with known settings and word times.
    pub fn can_retake_words(&self) -> bool {
        let current = &self.inspector.current;
        self.models.knows_heads() && current.reproducible().is_some() && !current.words.is_empty()
    }

    /// Numbers of the selected words if `word` is one of them, else only `word`.
    pub fn words_with(&self, word: usize) -> Range<usize> {
        let words = &self.inspector.current.words;
        let selected = self.monitor.player.region().map(|(from, to)| {
            let is_inside = |word: &WordTime| (from..to).contains(&(0.5 * (word.start + word.end)));
            let first = words.iter().position(is_inside).unwrap_or_default();
            first..first + words.iter().filter(|word| is_inside(word)).count()
        });
        selected.filter(|selected| selected.contains(&word)).unwrap_or(word..word + 1)
    }

    /// Pinned clips whose words can be taken for the current one, with their numbers from 1: other clips of this text and model.
    pub fn word_sources(&self) -> Vec<(usize, &PinnedClip)> {
        let current = &self.inspector.current;
        let says_the_same = |pinned: &PinnedClip| {
            let texts = |words: &[WordTime]| words.iter().map(|word| word.word.clone()).collect::<Vec<_>>();
            pinned.clip.codes.codebooks() == current.clip.codes.codebooks()
                && texts(&pinned.words) == texts(&current.words)
        };
        let pinned = self.comparison.pins.clips().iter().enumerate().filter(|_| self.can_retake_words());
        let other = pinned.filter(|(_, pinned)| pinned.clip.codes != current.clip.codes && says_the_same(pinned));
        other.map(|(n, pinned)| (n + 1, &**pinned)).collect()
    }

    /// The draw that is shown, and what it follows; `None` if no draw is known.
    pub fn draw(&self) -> Option<(Followed, (usize, usize))> {
        let (inspector, player) = (&self.inspector, &self.monitor.player);
        let frame_rate = self.models.info()?.dims.frame_rate;
        let newest = self.is_speaking() || self.is_recomputing();
        inspector.view.draw(&inspector.current, newest, player.position(), frame_rate)
    }

    /// Whether the logits of the current clip are being computed.
    pub fn is_recomputing(&self) -> bool {
        self.tasks.is_active(RECOMPUTE)
    }

    /// Whether the model has nothing to do.
    pub fn is_idle(&self) -> bool {
        self.tasks.is_idle()
    }

    /// Whether sounds are being measured.
    pub fn is_measuring(&self) -> bool {
        self.comparison.is_measuring(&self.tasks)
    }

    /// Takes that wait to be made.
    pub fn waiting_takes(&self) -> usize {
        self.composer.waiting_takes(self.tasks.queued(SPEAK))
    }

    /// How much of the language model has been loaded for the take that is being made; `None` from its first frame on.
    pub fn load_progress(&self) -> Option<String> {
        let is_loading = self.is_speaking() && self.inspector.current.clip.codes.is_empty();
        let tensors = &self.models.checkpoint().filter(|_| is_loading)?.tensors;
        let read = tensors.bytes_read() - self.composer.bytes_read_before();
        let all = (tensors.stored_size("") - tensors.stored_size("codec_model.")) as u64;
        // A prompt reads a few tensors, too; loading a model reads many.
        (read > all / 100).then(|| describe_bytes(read.min(all), all))
    }

    /// Whether something is loading whose progress is shown, although no event reports it.
    pub(super) fn is_loading(&self) -> bool {
        self.models.is_loading() || (self.is_speaking() && self.inspector.current.clip.codes.is_empty())
    }
}
