//! Models on this machine, and downloads of others.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::effects::Effects;
use super::preferences::Preferences;
use super::session::{Owner, Session};
use super::tasks::{CancelFlag, Key, Tasks};
use crate::checkpoint::{Installed, cached};
use crate::download::{DownloadSpec, Plan, Progress, download, plan};
use crate::error::{Error, Result};
use crate::machine::{Memory, memory};

const LIST: Key = Key("list models");
const LOOK_UP: Key = Key("look a model up");
const DOWNLOAD: Key = Key("download a model");
const DISCARD: Key = Key("discard a download");

/// The models that can be opened, and the download.
#[derive(Default)]
pub struct Catalogue {
    /// The demo voice, folders that were opened before, and Hugging Face's cache; `None` until they are listed.
    pub installed: Option<Vec<Installed>>,
    /// Memory of the machine when they were listed.
    pub memory: Option<Memory>,
    download: Option<Download>,
}

/// A download from Hugging Face.
pub struct Download {
    /// The repository that was typed.
    pub id: String,
    pub state: DownloadState,
}

/// The state of a download.
pub enum DownloadState {
    /// The server is asked what there is.
    LookingUp,
    /// The files are known.
    Planned(Plan),
    /// Files are being fetched.
    Fetching(Plan, Arc<Mutex<Fetched>>),
    /// It was paused, or has failed.
    Paused(Plan, Fetched, Option<String>),
    /// The server could not be asked, for this reason.
    Failed(String),
}

/// Progress of a download.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The repository whose files are being fetched: the one asked for, or one that it borrows from.
    pub repository: String,
    /// The file that is being fetched.
    pub file: String,
    /// Bytes of the repository that are on disk.
    pub done: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Why the last attempt has failed, while another is waited for.
    pub problem: Option<String>,
    /// When the first bytes came, and how many were on disk then.
    began: Option<(Instant, u64)>,
    /// Whether unfinished files are to be removed once the thread has ended.
    discard: bool,
}

impl Fetched {
    /// Bytes per second since the download began or was resumed.
    pub fn rate(&self) -> Option<f64> {
        let (began, before) = self.began?;
        let seconds = began.elapsed().as_secs_f64();
        (seconds > 0.5).then(|| self.done.saturating_sub(before) as f64 / seconds)
    }

    fn take_in(&mut self, progress: Progress) {
        match progress {
            Progress::Planned { repository, bytes, .. } => {
                *self = Self { repository, bytes, discard: self.discard, ..Self::default() };
            }
            Progress::Bytes { file, done } => {
                self.began.get_or_insert((Instant::now(), done));
                (self.file, self.done, self.problem) = (file, done, None);
            }
            Progress::Retry { problem, .. } => self.problem = Some(problem),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogueCommand {
    /// List the models on this machine.
    List,
    /// Ask the server what there is of a repository.
    LookUp(String),
    /// Fetch what was looked up, or resume that.
    Download,
    /// Stop fetching and keep what is there.
    Pause,
    /// End the download and remove its unfinished files.
    Cancel,
}

/// Data that [`Catalogue`] may read.
pub struct CatalogueContext<'a> {
    preferences: &'a Preferences,
    tasks: &'a mut Tasks,
    effects: &'a mut Effects,
}

impl Owner for Catalogue {
    type Command = CatalogueCommand;
    type Context<'a> = CatalogueContext<'a>;

    fn split(session: &mut Session) -> (&mut Self, CatalogueContext<'_>) {
        let Session { catalogue, preferences, tasks, effects, .. } = session;
        (catalogue, CatalogueContext { preferences, tasks, effects })
    }

    fn handle(&mut self, command: CatalogueCommand, cx: &mut CatalogueContext<'_>) {
        match command {
            CatalogueCommand::List => list(cx),
            CatalogueCommand::LookUp(id) => self.look_up(id, cx),
            CatalogueCommand::Download => self.fetch(cx),
            CatalogueCommand::Pause => cx.tasks.stop_work(DOWNLOAD),
            CatalogueCommand::Cancel => self.cancel(cx),
        }
    }
}

impl Catalogue {
    /// The download, if one was asked for.
    pub fn download(&self) -> Option<&Download> {
        self.download.as_ref()
    }

    /// Progress of the files that are being fetched; `None` if none are.
    pub fn fetched(&self) -> Option<Fetched> {
        match &self.download.as_ref()?.state {
            DownloadState::Fetching(_, fetched) => Some(fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            _ => None,
        }
    }

    fn look_up(&mut self, id: String, cx: &mut CatalogueContext<'_>) {
        cx.tasks.stop_work(DOWNLOAD);
        self.download = Some(Download { id: id.clone(), state: DownloadState::LookingUp });
        let look_up = move |cancel: &CancelFlag| {
            let spec = DownloadSpec::from_environment(id.trim());
            plan(&spec, &|| cancel.is_set())
        };
        cx.tasks.run(LOOK_UP, look_up, |catalogue: &mut Self, _, planned: Result<Plan>| {
            let Some(download) = &mut catalogue.download else { return };
            download.state = match planned {
                Ok(plan) => DownloadState::Planned(plan),
                Err(e) => DownloadState::Failed(e.to_string()),
            };
        });
    }

    fn fetch(&mut self, cx: &mut CatalogueContext<'_>) {
        let Some(Download { id, state }) = &mut self.download else { return };
        let (DownloadState::Planned(plan) | DownloadState::Paused(plan, ..)) = state else { return };
        let (plan, spec) = (plan.clone(), DownloadSpec::from_environment(id.trim()));
        let first = Fetched {
            repository: plan.repository.clone(),
            done: plan.present,
            bytes: plan.bytes,
            ..Fetched::default()
        };
        let fetched = Arc::new(Mutex::new(first));
        *state = DownloadState::Fetching(plan.clone(), fetched.clone());
        let wake = cx.tasks.paced_wake();
        let fetch = move |cancel: &CancelFlag| {
            let mut report = |progress| {
                fetched.lock().unwrap_or_else(PoisonError::into_inner).take_in(progress);
                wake();
            };
            let result = download(&spec, &|| cancel.is_set(), &mut report).map(drop);
            // Here, because another download may have begun by now.
            if fetched.lock().unwrap_or_else(PoisonError::into_inner).discard {
                plan.discard_unfinished()?;
            }
            result
        };
        cx.tasks.run(DOWNLOAD, fetch, |catalogue: &mut Self, cx, result| catalogue.on_fetched(result, cx));
    }

    fn on_fetched(&mut self, result: Result<()>, cx: &mut CatalogueContext<'_>) {
        let Some(Download { state: state @ DownloadState::Fetching(..), .. }) = &mut self.download else {
            // It was cancelled, or another repository is looked up.
            return match result {
                Ok(()) | Err(Error::Cancelled) => {}
                Err(e) => cx.effects.notify_error(e),
            };
        };
        let problem = match result {
            Ok(()) => {
                let id = self.download.take().map_or_else(String::new, |download| download.id);
                cx.effects.notify(format!("{id} is downloaded"));
                return list(cx);
            }
            Err(Error::Cancelled) => None,
            Err(e) => Some(e.to_string()),
        };
        if let DownloadState::Fetching(plan, fetched) = state {
            let fetched = fetched.lock().unwrap_or_else(PoisonError::into_inner).clone();
            *state = DownloadState::Paused(plan.clone(), fetched, problem);
        }
    }

    fn cancel(&mut self, cx: &mut CatalogueContext<'_>) {
        cx.tasks.cancel_work(LOOK_UP);
        match self.download.take().map(|download| download.state) {
            Some(DownloadState::Planned(plan) | DownloadState::Paused(plan, ..)) => discard(plan, cx),
            Some(DownloadState::Fetching(_, fetched)) => {
                fetched.lock().unwrap_or_else(PoisonError::into_inner).discard = true;
                cx.tasks.stop_work(DOWNLOAD);
            }
            Some(DownloadState::LookingUp | DownloadState::Failed(_)) | None => {}
        }
    }
}

fn discard(plan: Plan, cx: &mut CatalogueContext<'_>) {
    cx.tasks.run_in_turn(
        DISCARD,
        move || plan.discard_unfinished(),
        |_: &mut Catalogue, cx, removed| {
            cx.effects.or_notify(removed);
        },
    );
}

fn list(cx: &mut CatalogueContext<'_>) {
    let recent = cx.preferences.settings.recent_models.clone();
    let list = move |_: &_| (installed(recent), memory());
    cx.tasks.run(LIST, list, |catalogue: &mut Catalogue, _, (installed, memory)| {
        (catalogue.installed, catalogue.memory) = (Some(installed), memory);
    });
}

/// The demo voice, the models that were opened before, and those of the cache, each once.
fn installed(recent: Vec<PathBuf>) -> Vec<Installed> {
    let named = std::iter::once(None).chain(recent.into_iter().map(Some));
    let mut all: Vec<Installed> = Vec::new();
    for model in named.filter_map(|path| Installed::describe(path).ok()).chain(cached()) {
        if !all.iter().any(|known| known.path == model.path) {
            all.push(model);
        }
    }
    all
}
