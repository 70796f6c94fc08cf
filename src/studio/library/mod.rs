//! The library: the takes, what is made from them, and the files that the user opens.

mod exports;
mod families;
mod open_file;
mod outlines;
mod unwritten;

use std::collections::VecDeque;
use std::path::PathBuf;

pub use self::exports::{Export, ExportKind};
pub use self::families::families;
pub use self::outlines::Outline;
use self::outlines::{Outlines, outline};
use self::unwritten::Unwritten;
pub(super) use self::unwritten::rescued_takes;
use super::comparison::{Comparison, ComparisonCommand};
use super::composer::{Composer, ComposerCommand, GroupId, TakePurpose, TakeRequest};
use super::effects::Effects;
use super::inspector::{Inspector, InspectorCommand};
use super::models::Models;
use super::preferences::PreferencesCommand;
use super::session::{Owner, Session, StudioPaths};
use super::shell::ShellCommand;
use super::tasks::{Key, SPEAK, Tasks};
use crate::audio::recording;
use crate::checkpoint::CheckpointSpec;
use crate::data::command_line::generate_line;
use crate::data::{ClipSpec, FinishReason, Mode, ModelDims, Sampling, random_seed};
use crate::error::Result;
use crate::takes::{FolderChanges, Store, Take, TakeFolder, TakeId};
use crate::worker::GeneratedClip;

/// Writes takes that were made.
pub(super) const WRITE_TAKES: Key = Key("write takes");
const CHANGE_TAKES: Key = Key("change takes");
const SCAN_TAKES: Key = Key("scan takes");
const READ_SPEC: Key = Key("read spec");
const COPY_COMMAND: Key = Key("copy command");
const READ_OUTLINES: Key = Key("read outlines");

pub struct Library {
    pub store: Store,
    outlines: Outlines,
    /// Files that wait to be opened.
    to_open: VecDeque<PathBuf>,
    unwritten: Unwritten,
    /// Whether the takes that were deleted last are to be restored once nothing is being deleted.
    restore: bool,
}

/// Takes that were made and are to be stored.
#[derive(Debug)]
pub struct NewTakes {
    /// The clips; the first one may be a turn's.
    pub made: Vec<GeneratedClip>,
    /// Their purpose.
    pub purpose: TakePurpose,
}

/// Which seed a take is regenerated with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegenerateSeed {
    Same,
    New,
}

/// Commands of the library, and what other owners tell it.
#[derive(Debug)]
pub enum LibraryCommand {
    /// Store takes that were made.
    Store(Box<NewTakes>),
    /// Write the takes that could not be written once more.
    WriteAgain,
    /// Write them into another folder.
    WriteElsewhere(PathBuf),
    /// Give a take a name.
    Rename {
        take: TakeId,
        name: String,
    },
    /// Mark a take as a favourite, or unmark it.
    ToggleFavourite(TakeId),
    Delete(Vec<TakeId>),
    /// Restore the takes that were deleted last.
    UndoDelete,
    /// Look for takes that other programs have added, changed or deleted.
    Refresh,
    /// Read the outlines of takes.
    ReadOutlines(Vec<TakeId>),
    /// Open a take's folder, a token file, a WAV file or a listening test.
    Open(PathBuf),
    Export {
        export: Export,
        to: PathBuf,
    },
    /// Copy a command line that makes a take again.
    CopyCommand(TakeId),
    /// Make a take again.
    Regenerate {
        take: TakeId,
        seed: RegenerateSeed,
    },
    /// Make several takes with new seeds and the settings of a take.
    RegenerateVariants {
        take: TakeId,
        takes: usize,
    },
    /// Make a take again in every mode.
    RegenerateInAllModes(TakeId),
    /// Use the settings of a take for the next one.
    UseSettings(TakeId),
}

/// Data that [`Library`] may read.
pub struct LibraryContext<'a> {
    models: &'a Models,
    composer: &'a Composer,
    inspector: &'a Inspector,
    comparison: &'a Comparison,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Library {
    type Command = LibraryCommand;
    type Context<'a> = LibraryContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, LibraryContext<'_>) {
        let Session { library, models, composer, inspector, comparison, tasks, effects, .. } = session;
        (library, LibraryContext { models, composer, inspector, comparison, tasks, effects })
    }

    fn handle(&mut self, command: LibraryCommand, cx: &mut LibraryContext<'_>) {
        match command {
            LibraryCommand::Store(takes) => self.store_takes(*takes, cx),
            LibraryCommand::WriteAgain => self.write_again(cx),
            LibraryCommand::WriteElsewhere(to) => self.write_elsewhere(to, cx),
            LibraryCommand::Rename { take, name } => self.update(take, |take| take.name = name, cx),
            LibraryCommand::ToggleFavourite(take) => self.update(take, |take| take.favourite = !take.favourite, cx),
            LibraryCommand::Delete(takes) => self.delete(takes, cx),
            LibraryCommand::UndoDelete => {
                self.restore = true;
                self.restore_deleted(cx);
            }
            LibraryCommand::Refresh => self.refresh(cx),
            LibraryCommand::ReadOutlines(takes) => self.read_outlines(takes, cx),
            LibraryCommand::Open(path) => {
                self.to_open.push_back(path);
                self.open_next(cx);
            }
            LibraryCommand::Export { export, to } => self.write_export(&export, to, cx),
            LibraryCommand::CopyCommand(take) => self.copy_command(take, cx),
            LibraryCommand::Regenerate { take, seed } => self.with_spec(take, cx, move |parent, mut spec, effects| {
                if seed == RegenerateSeed::New {
                    spec.sampling.seed = random_seed()?;
                }
                make_takes(TakeRequest { spec, more_seeds: Vec::new(), retake: None, parent, group: None }, effects);
                Ok(())
            }),
            LibraryCommand::RegenerateVariants { take, takes } => {
                self.with_spec(take, cx, move |parent, mut spec, effects| {
                    spec.sampling.seed = random_seed()?;
                    let more_seeds = (1..takes).map(|_| random_seed()).collect::<Result<_>>()?;
                    make_takes(
                        TakeRequest { spec, more_seeds, retake: None, parent, group: Some(GroupId::new()) },
                        effects,
                    );
                    Ok(())
                });
            }
            LibraryCommand::RegenerateInAllModes(take) => self.regenerate_in_all_modes(take, cx),
            LibraryCommand::UseSettings(take) => self.use_settings(&take, cx),
        }
    }
}

impl Library {
    /// The library of `store`; opens the files of the command line as soon as it is known whether there is a model.
    pub(super) fn new(store: Store, paths: &StudioPaths) -> Self {
        let to_open = paths.open.iter().cloned().collect();
        Self { store, outlines: Outlines::default(), to_open, unwritten: Unwritten::default(), restore: false }
    }

    /// Opens files that wait, and restores takes.
    pub(super) fn poll(&mut self, cx: &mut LibraryContext<'_>) {
        self.restore_deleted(cx);
        self.open_next(cx);
    }

    /// The outline of a take, once it has been read.
    pub fn outline(&self, take: &TakeId) -> Option<&Outline> {
        self.outlines.get(take)
    }

    /// Those of `takes` whose outlines have not been requested.
    pub fn without_outline<'a>(&self, takes: impl Iterator<Item = &'a TakeId>) -> Vec<TakeId> {
        takes.filter(|take| self.outlines.is_missing(take)).cloned().collect()
    }

    // --- Storing and changing takes ---

    fn update(&self, id: TakeId, change: impl FnOnce(&mut Take) + Send + 'static, cx: &mut LibraryContext<'_>) {
        let folder = self.store.folder().clone();
        let write = move || folder.update(&id, change);
        cx.tasks.run_in_turn(CHANGE_TAKES, write, |library: &mut Self, cx, updated: Result<Take>| {
            if let Some(take) = cx.effects.or_notify(updated) {
                library.store.replace_updated(take);
            }
        });
    }

    /// Deletes takes; one undo restores all of them.
    fn delete(&self, takes: Vec<TakeId>, cx: &mut LibraryContext<'_>) {
        let folder = self.store.folder().clone();
        let delete = move || takes.into_iter().map(|id| folder.delete(&id).map(|()| id)).collect::<Vec<_>>();
        cx.tasks.run_in_turn(CHANGE_TAKES, delete, |library: &mut Self, cx, results: Vec<Result<TakeId>>| {
            let deleted: Vec<TakeId> =
                results.into_iter().filter_map(|deleted| cx.effects.or_notify(deleted)).collect();
            let name = |id: &TakeId| library.store.get(id).map_or(String::new(), |take| take.name.clone());
            let named = deleted.iter().map(|id| (id.clone(), name(id))).collect();
            library.store.remove_deleted(&deleted);
            cx.effects.send(ComparisonCommand::TakesDeleted(deleted.clone()));
            cx.effects.send(InspectorCommand::TakesDeleted(named));
            match deleted.len() {
                0 => {}
                1 => cx.effects.notify("Take deleted; “Undo delete” restores it"),
                n => cx.effects.notify(format!("{n} takes deleted; “Undo delete” restores them")),
            }
        });
    }

    /// Restores the takes that were deleted last, if that was requested; a single one is shown if no take is.
    fn restore_deleted(&mut self, cx: &mut LibraryContext<'_>) {
        if !self.restore || cx.tasks.is_running(CHANGE_TAKES) {
            return;
        }
        self.restore = false;
        let (folder, takes) = (self.store.folder().clone(), self.store.last_deleted());
        let restore = move || takes.into_iter().map(|id| folder.restore(&id).map(|()| id)).collect::<Vec<_>>();
        cx.tasks.run_in_turn(CHANGE_TAKES, restore, |library: &mut Self, cx, results: Vec<Result<TakeId>>| {
            let restored: Vec<TakeId> = results.into_iter().filter_map(|id| cx.effects.or_notify(id)).collect();
            library.store.insert_restored(&restored);
            if let [id] = restored.as_slice()
                && cx.inspector.current.take.is_none()
                && !cx.tasks.is_active(SPEAK)
            {
                cx.effects.send(InspectorCommand::View(id.clone()));
            }
        });
    }

    fn refresh(&self, cx: &mut LibraryContext<'_>) {
        let scan = self.store.start_scan();
        cx.tasks.run(
            SCAN_TAKES,
            move |_| scan.changes(),
            |library: &mut Self, cx, changes: Result<FolderChanges>| {
                if let Some(changes) = cx.effects.or_notify(changes) {
                    library.store.apply(changes);
                }
            },
        );
    }

    /// A take that cannot be read has no outline; playing it reports why.
    fn read_outlines(&mut self, takes: Vec<TakeId>, cx: &mut LibraryContext<'_>) {
        if cx.tasks.is_running(READ_OUTLINES) {
            return; // the panel requests them again
        }
        let missing = self.outlines.request(takes);
        let (folder, rate) = (self.store.folder().clone(), cx.models.sample_rate());
        let read = move |_: &_| {
            let outline_of = |id: TakeId| {
                let audio = recording::samples(&folder.audio_path(&id), rate);
                let outline = audio.map_or(Outline::new(), |audio| outline(&audio));
                (id, outline)
            };
            missing.into_iter().map(outline_of).collect::<Vec<_>>()
        };
        cx.tasks.run(READ_OUTLINES, read, |library: &mut Self, _, read| {
            read.into_iter().for_each(|(id, outline)| library.outlines.add(id, outline));
        });
    }

    // --- Takes from takes ---

    /// Reads what makes a take again and hands it to `then`.
    fn with_spec(
        &self,
        take: TakeId,
        cx: &mut LibraryContext<'_>,
        then: impl FnOnce(TakeId, ClipSpec, &mut Effects) -> Result<()> + Send + 'static,
    ) {
        let Some(dims) = cx.effects.or_notify(cx.models.dims()) else { return };
        let (folder, id) = (self.store.folder().clone(), take.clone());
        let read = move || folder.read_tokens(&id, &dims)?.clip_spec(&folder.tokens_path(&id));
        cx.tasks.run_in_turn(READ_SPEC, read, move |_: &mut Self, cx, spec: Result<ClipSpec>| {
            if let Some(spec) = cx.effects.or_notify(spec) {
                let done = then(take, spec, cx.effects);
                cx.effects.or_notify(done);
            }
        });
    }

    fn regenerate_in_all_modes(&self, take: TakeId, cx: &mut LibraryContext<'_>) {
        let Some(checkpoint) = cx.models.checkpoint().cloned() else { return };
        self.with_spec(take, cx, move |parent, spec, effects| {
            let group = Some(GroupId::new());
            for info in Mode::all() {
                let precision = checkpoint.default_precision(info.mode);
                let sampling = Sampling { mode: info.mode, precision, ..spec.sampling };
                let spec = ClipSpec { sampling, ..spec.clone() };
                make_takes(
                    TakeRequest { spec, more_seeds: Vec::new(), retake: None, parent: parent.clone(), group },
                    effects,
                );
            }
            Ok(())
        });
    }

    fn use_settings(&self, take: &TakeId, cx: &mut LibraryContext<'_>) {
        let Some(sampling) = self.store.get(take).and_then(|take| take.sampling) else {
            return cx.effects.notify_error("The settings of this take were not recorded");
        };
        let fits = cx.models.dims().and_then(|dims| sampling.check(&dims));
        if cx.effects.or_notify(fits).is_some() {
            cx.effects.send(ComposerCommand::SetSampling(sampling));
            cx.effects.send(PreferencesCommand::SetRandomSeed(false));
            cx.effects.notify("The next take has these settings and this seed");
        }
    }

    fn copy_command(&self, take: TakeId, cx: &mut LibraryContext<'_>) {
        let Some(dims) = cx.effects.or_notify(cx.models.dims()) else { return };
        let seconds = self.store.get(&take).map_or(0.0, |take| take.measures.seconds);
        let (folder, model) = (self.store.folder().clone(), cx.models.spec().clone());
        let read = move |_: &_| command_line(&folder, &take, seconds, &model, &dims);
        cx.tasks.run(COPY_COMMAND, read, |_: &mut Self, cx, line: Result<String>| {
            if let Some(line) = cx.effects.or_notify(line) {
                let message = "Copied a command that makes this take again".into();
                cx.effects.send(ShellCommand::Copy { text: line, message });
            }
        });
    }
}

fn make_takes(request: TakeRequest, effects: &mut Effects) {
    effects.send(ComposerCommand::MakeTakes(Box::new(request)));
}

/// A command line that makes a take of `seconds` seconds again.
fn command_line(
    folder: &TakeFolder,
    take: &TakeId,
    seconds: f64,
    model: &CheckpointSpec,
    dims: &ModelDims,
) -> Result<String> {
    let (path, file) = (folder.tokens_path(take), folder.read_tokens(take, dims)?);
    let spec = file.clip_spec(&path)?;
    // A clip that the model ended needs room for its end-of-speech frame.
    let margin = if file.stop == Some(FinishReason::Eos) { 1.0 } else { 0.0 };
    let max_ms = ((seconds + margin) * 1_000.0).round() as u64;
    let adapter = model.adapter.as_ref().map(ToString::to_string);
    Ok(generate_line(&spec, max_ms, &path, model.path.as_deref(), adapter.as_deref()))
}
