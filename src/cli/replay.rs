//! Jobs for the worker whose every draw is looked at.

use std::sync::Arc;

use super::show::Progress;
use crate::analysis::step::Step;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::pipeline::{Clip, Event, FrameEvent, Job};
use crate::worker::{Command, Report, Worker};

/// A started worker that has loaded its checkpoint.
pub(super) fn start(checkpoint: &Arc<Checkpoint>) -> Result<Worker> {
    let worker = Worker::start(checkpoint.clone(), || {});
    match worker.next()? {
        Report::Ready(loaded) => loaded?,
        _ => unreachable!("ready comes first"),
    }
    Ok(worker)
}

/// Runs `job`, showing progress, and gives each frame to `look`.
pub(super) fn run(worker: &Worker, job: Job, mut look: impl FnMut(FrameEvent)) -> Result<Clip> {
    let progress = Progress::new(job.max_frames);
    worker.send(Command::Generate(0, Box::new(job)))?;
    let clip = loop {
        match worker.next()? {
            Report::Event(_, event) => {
                progress.show(&event);
                if let Event::Frame(frame) = event {
                    look(frame);
                }
            }
            Report::Clip(_, clip) => break clip,
            _ => unreachable!("nothing else was asked for"),
        }
    };
    progress.finish();
    clip
}

/// Measures of every draw of an observed frame.
pub(super) fn steps(frame: &FrameEvent) -> Vec<Step> {
    let logits = frame.logits.as_deref().expect("observed");
    let rows = logits.chunks_exact(logits.len() / frame.codes.len());
    let s = &frame.sampling;
    rows.enumerate().map(|(k, row)| Step::of(row, frame.codes[k], s.draw(k), s.guard)).collect()
}
