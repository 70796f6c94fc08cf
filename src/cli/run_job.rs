//! Jobs for the worker, with progress. `generate`, `analyze` and `compare` all run theirs here.

use std::sync::Arc;

use super::progress::FrameProgress;
use crate::analysis::steps::Step;
use crate::checkpoint::Checkpoint;
use crate::cli::output::message;
use crate::error::{Error, Result};
use crate::worker::{CancelToken, Event, FrameEvent, GenerateJob, GeneratedClip, WorkerHandle};

/// A worker that has loaded the codec of `checkpoint`.
pub(super) fn start_worker(checkpoint: &Arc<Checkpoint>) -> Result<WorkerHandle> {
    let worker = WorkerHandle::start(checkpoint.clone(), || {})?;
    worker.load()?.wait(|_| {})?;
    Ok(worker)
}

/// A token that Ctrl-C and a request to terminate cancel. The second Ctrl-C ends the process at once.
pub(super) fn cancel_on_signals() -> CancelToken {
    let token = CancelToken::default();
    let handler_token = token.clone();
    #[expect(clippy::exit, reason = "the second Ctrl-C is to end the process whatever it is doing")]
    let handler = move || {
        if handler_token.is_cancelled() {
            std::process::exit(Error::Cancelled.exit_code().into());
        }
        handler_token.cancel();
    };
    if let Err(e) = ctrlc::set_handler(handler) {
        message!("warning: Ctrl-C will not keep what was made: {e}");
    }
    token
}

/// Runs `job` with progress; `observer` receives every event.
pub(super) fn run_job(
    worker: &WorkerHandle,
    job: impl Into<GenerateJob>,
    cancel: CancelToken,
    mut observer: impl FnMut(Event),
) -> Result<GeneratedClip> {
    let job = job.into();
    let progress = FrameProgress::new(job.request.max_frames);
    let clip = worker.generate(job, cancel)?.wait(|event| {
        progress.show(&event);
        observer(event);
    });
    progress.finish();
    clip
}

/// Runs `job` once with each of `seeds`, with progress; `observer` receives every event and the number of its clip.
pub(super) fn run_batch(
    worker: &WorkerHandle,
    job: impl Into<GenerateJob>,
    seeds: &[u64],
    cancel: CancelToken,
    mut observer: impl FnMut(usize, Event),
) -> Result<Vec<GeneratedClip>> {
    let job = job.into();
    let progress = FrameProgress::new(job.request.max_frames * seeds.len());
    let clips = worker.generate_batch(job, seeds.to_vec(), cancel)?.wait(|(clip, event)| {
        progress.show_one_of_many(&event);
        observer(clip, event);
    });
    progress.finish();
    clips
}

/// The step of an observed frame, if the event is one.
pub(super) fn observed_step(event: Event) -> Option<Step> {
    let Event::Frame(event) = event else { return None };
    let FrameEvent { frame, .. } = *event;
    let logits = frame.logits?;
    Some(Step::new(Arc::new(logits), frame.sampling, frame.guarded, &frame.codes))
}

/// Runs an observed job; `on_step` receives the step of every frame.
pub(super) fn run_observed(
    worker: &WorkerHandle,
    job: impl Into<GenerateJob>,
    cancel: CancelToken,
    mut on_step: impl FnMut(Step),
) -> Result<GeneratedClip> {
    run_job(worker, job, cancel, |event| observed_step(event).into_iter().for_each(&mut on_step))
}
