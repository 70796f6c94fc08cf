//! Jobs for the worker, with progress. `generate`, `analyze` and `compare` all run theirs here.

use std::sync::Arc;

use super::progress::Progress;
use crate::analysis::statistics::TokenStats;
use crate::checkpoint::Checkpoint;
use crate::cli::output::message;
use crate::data::Logits;
use crate::engine::GeneratedFrame;
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

/// Runs `job` with progress; `observer` sees every event.
pub(super) fn run_job(
    worker: &WorkerHandle,
    job: impl Into<GenerateJob>,
    cancel: CancelToken,
    mut observer: impl FnMut(Event, &Progress),
) -> Result<GeneratedClip> {
    let job = job.into();
    let progress = Progress::new(job.request.max_frames);
    let clip = worker.generate(job, cancel)?.wait(|event| {
        progress.show(&event);
        observer(event, &progress);
    });
    progress.finish();
    clip
}

/// Runs `job` once with each of `seeds`, with progress; `observer` sees every event and the number of its clip.
pub(super) fn run_batch(
    worker: &WorkerHandle,
    job: impl Into<GenerateJob>,
    seeds: &[u64],
    cancel: CancelToken,
    mut observer: impl FnMut(usize, Event),
) -> Result<Vec<GeneratedClip>> {
    let job = job.into();
    let progress = Progress::new(job.request.max_frames * seeds.len());
    let clips = worker.generate_batch(job, seeds.to_vec(), cancel)?.wait(|(clip, event)| {
        progress.show_one_of_many(&event);
        observer(clip, event);
    });
    progress.finish();
    clips
}

/// Statistics of an observed frame, if it is one, and its logits.
pub(super) fn observed(event: Event) -> Option<(Vec<TokenStats>, Logits)> {
    let Event::Frame(FrameEvent { mut frame, .. }) = event else { return None };
    let logits = frame.logits.take()?;
    Some((TokenStats::measure_frame(&logits, &frame.codes, &frame.sampling), logits))
}

/// Runs an observed job; `on_frame` sees every frame with the statistics of its draws and its logits.
pub(super) fn run_observed(
    worker: &WorkerHandle,
    job: impl Into<GenerateJob>,
    cancel: CancelToken,
    mut on_frame: impl FnMut(GeneratedFrame, Vec<TokenStats>, Logits),
) -> Result<GeneratedClip> {
    run_job(worker, job, cancel, |event, _| {
        if let Event::Frame(event) = event {
            let mut frame = event.frame;
            if let Some(logits) = frame.logits.take() {
                let stats = TokenStats::measure_frame(&logits, &frame.codes, &frame.sampling);
                on_frame(frame, stats, logits);
            }
        }
    })
}
