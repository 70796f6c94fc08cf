//! Takes on their way to the disk. Those that cannot be written are kept until they are written again or elsewhere.

use std::path::{Path, PathBuf};

use super::{Library, LibraryContext, NewTakes, WRITE_TAKES};
use crate::data::{ModelDims, ModelId};
use crate::error::{Error, Result};
use crate::studio::comparison::ComparisonCommand;
use crate::studio::composer::{ComposerCommand, TakePurpose};
use crate::studio::inspector::InspectorCommand;
use crate::studio::notifications::Cause;
use crate::takes::{Store, Take, TakeFolder};
use crate::worker::GeneratedClip;

/// A take to be written, with what its file says of the model that made it.
struct ToWrite {
    made: GeneratedClip,
    purpose: TakePurpose,
    model: ModelId,
    dims: ModelDims,
    /// The inspector's clip when it was made, if it is the first of its purpose.
    shown: Option<u64>,
}

impl ToWrite {
    fn write(&self, folder: &TakeFolder) -> Result<(Take, usize)> {
        folder.write_clip(&self.made.as_take(&self.model, &self.dims, self.purpose.parent.clone()))
    }
}

/// Takes that could not be written.
#[derive(Default)]
pub(super) struct Unwritten(Vec<ToWrite>);

/// A take after it was written, or an error with the take.
type Written = (ToWrite, Result<(Take, usize)>);

impl Library {
    /// How many takes could not be written.
    pub fn unwritten(&self) -> usize {
        self.unwritten.0.len()
    }

    /// Writes takes in order. A clip without frames is not stored.
    pub(super) fn store_takes(&self, takes: NewTakes, cx: &mut LibraryContext<'_>) {
        let NewTakes { made, purpose } = takes;
        let known = cx.models.checkpoint().map(|checkpoint| checkpoint.id().map(|model| (model, checkpoint.dims())));
        let known = known.unwrap_or_else(|| Err(Error::invalid("model", "a loaded model", "none")));
        let Some((model, dims)) = cx.effects.or_notify(known) else { return };
        let clip = cx.inspector.id();
        let to_write = |(n, made): (usize, GeneratedClip)| {
            let (mut purpose, model, dims, shown) = (purpose.clone(), model.clone(), dims, (n == 0).then_some(clip));
            if n > 0 {
                purpose.turn = None;
            }
            ToWrite { made, purpose, model, dims, shown }
        };
        let made = made.into_iter().enumerate().filter(|(_, made)| !made.clip.codes.is_empty());
        self.write(made.map(to_write).collect(), cx);
    }

    /// Writes the takes that could not be written, into this library.
    pub(super) fn write_again(&mut self, cx: &mut LibraryContext<'_>) {
        let takes = std::mem::take(&mut self.unwritten.0);
        self.write(takes, cx);
    }

    fn write(&self, takes: Vec<ToWrite>, cx: &mut LibraryContext<'_>) {
        let folder = self.store.folder().clone();
        let write = move || write_all(takes, &folder);
        cx.tasks.run_in_turn(WRITE_TAKES, write, |library: &mut Self, cx, written: Vec<Written>| {
            for (to_write, written) in written {
                let Some((take, to_write)) = library.keep_unwritten(written, to_write, cx) else { continue };
                let take = library.store.add_written(take);
                if let Some(clip) = to_write.shown {
                    cx.effects.send(InspectorCommand::TakeStored { clip, take: take.clone() });
                }
                if let Some(of) = to_write.purpose.turn {
                    cx.effects.send(ComposerCommand::TurnSpoken { of, take: take.clone() });
                }
                if let Some(group) = to_write.purpose.group {
                    cx.effects.send(ComparisonCommand::PinMade { take, group });
                }
            }
            library.resolve_unwritten(cx);
        });
    }

    /// The written take and where it belongs; a take that could not be written is kept, and the error is shown.
    fn keep_unwritten(
        &mut self,
        written: Result<(Take, usize)>,
        to_write: ToWrite,
        cx: &mut LibraryContext<'_>,
    ) -> Option<(Take, ToWrite)> {
        match written {
            Ok((take, clipped)) => {
                if clipped > 0 {
                    cx.effects.notify(format!("{clipped} samples were beyond full scale and are clipped"));
                }
                Some((take, to_write))
            }
            Err(e) => {
                cx.effects.notify_error_of(Cause::UnwrittenTakes, e);
                self.unwritten.0.push(to_write);
                None
            }
        }
    }

    fn resolve_unwritten(&self, cx: &mut LibraryContext<'_>) {
        if self.unwritten.0.is_empty() {
            cx.effects.resolve(Cause::UnwrittenTakes);
        }
    }

    /// Writes the takes that could not be written into another folder of takes.
    pub(super) fn write_elsewhere(&mut self, to: PathBuf, cx: &mut LibraryContext<'_>) {
        let takes = std::mem::take(&mut self.unwritten.0);
        let write = move || write_into(&to, takes);
        cx.tasks.run_in_turn(WRITE_TAKES, write, |library: &mut Self, cx, written: Vec<Written>| {
            let mut count = 0;
            for (to_write, written) in written {
                count += usize::from(library.keep_unwritten(written, to_write, cx).is_some());
            }
            match count {
                0 => {}
                1 => cx.effects.notify("The take is in the chosen folder; “Open files…” opens it"),
                n => cx.effects.notify(format!("{n} takes are in the chosen folder; “Open files…” opens them")),
            }
            library.resolve_unwritten(cx);
        });
    }

    /// Writes what could not be written into the system's temporary folder, as the window closes.
    pub(in crate::studio) fn rescue_unwritten(&mut self) {
        let takes = std::mem::take(&mut self.unwritten.0);
        if takes.is_empty() {
            return;
        }
        let folder = rescue_folder();
        for (_, written) in write_into(&folder, takes) {
            match written {
                Ok((take, _)) => {
                    tracing::warn!("a take that could not be written is in {}/{}", folder.display(), take.id);
                }
                Err(e) => tracing::error!("a take is lost: {e}"),
            }
        }
    }
}

/// Where takes go that nothing else could be done with as the window closed.
fn rescue_folder() -> PathBuf {
    std::env::temp_dir().join("csm-studio-takes")
}

/// The folder of rescued takes, if it has any.
pub(in crate::studio) fn rescued_takes() -> Option<PathBuf> {
    let folder = rescue_folder();
    let mut entries = std::fs::read_dir(&folder).ok()?.flatten();
    entries.any(|entry| entry.path().join("take.json").exists()).then_some(folder)
}

fn write_all(takes: Vec<ToWrite>, folder: &TakeFolder) -> Vec<Written> {
    let write = |take: ToWrite| {
        let written = take.write(folder);
        (take, written)
    };
    takes.into_iter().map(write).collect()
}

fn write_into(folder: &Path, takes: Vec<ToWrite>) -> Vec<Written> {
    match Store::open(folder) {
        Ok(store) => write_all(takes, store.folder()),
        Err(e) => {
            let again = e.to_string();
            takes.into_iter().map(|take| (take, Err(Error::write(folder, again.clone())))).collect()
        }
    }
}
