//! What the worker does for the window, and what waits for it.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::{Codebooks, TurnId};
use crate::data::{ClipSpec, Codes, TokenFile, Turn};
use crate::engine::GeneratedFrame;
use crate::error::Error;
use crate::worker::{ClipEvent, Event, FrameEvent, GeneratedClip, Task, Update};

/// A task that waits for the worker.
pub enum QueuedTask {
    /// Speak.
    Speak(Box<ClipToSpeak>),
    /// Compute the draws of the inspected take again.
    TeacherForce {
        /// The take.
        take: Option<String>,
    },
    /// Encode the voice prompt.
    Encode {
        /// The recording's file.
        path: PathBuf,
        /// The recording.
        samples: Vec<f32>,
    },
    /// Decode a token file and show it.
    Decode {
        /// The file.
        path: PathBuf,
        /// Its content.
        file: Box<TokenFile>,
    },
    /// Decode these codebooks of some codes for a listening test.
    DecodeForTest {
        /// The codes.
        frames: Codes,
        /// Whether each codebook is heard; `None` for all.
        heard: Option<Vec<bool>>,
    },
    /// Decode codes to be heard in the place of the inspected clip.
    Audition(Audition),
}

/// Codes to be heard that are not kept.
#[derive(Clone)]
pub struct Audition {
    /// The codes.
    pub frames: Codes,
    /// Codebooks that are heard.
    pub codebooks: Codebooks,
    /// The part that is played, seconds; `None` goes on where the sound is.
    pub part: Option<(f64, f64)>,
}

/// A clip to speak, and what it is for.
pub struct ClipToSpeak {
    /// The clip.
    pub spec: ClipSpec,
    /// The turn it belongs to, and the takes that it hears.
    pub turn: Option<(TurnId, Option<Vec<String>>)>,
    /// The take it is made from.
    pub parent: Option<String>,
    /// Longest speech.
    pub max_frames: usize,
    /// Seeds of further takes of the same, made beside it.
    pub more_seeds: Vec<u64>,
    /// Takes that are made to be compared have the same number here.
    pub group: Option<u64>,
}

/// A turn to be spoken, as one clip or in pieces. What it hears is looked up when its time has come.
pub struct TurnToSpeak {
    /// The turn.
    pub turn: TurnId,
    /// Whether it hears the turns before it.
    pub with_context: bool,
    /// Takes that are made of it, each with a seed of its own.
    pub takes: usize,
    /// The pieces that are still to be spoken, once the turn has been cut: turns of their own.
    pub pieces: Option<VecDeque<TurnId>>,
    /// The piece before the next one, once it is made. It may still be heard: the next one begins after that.
    pub before: Option<Turn>,
}

impl TurnToSpeak {
    /// A turn, once.
    pub fn new(turn: TurnId, with_context: bool) -> Self {
        Self { turn, with_context, takes: 1, pieces: None, before: None }
    }
}

/// The task that the worker runs.
pub enum ActiveTask {
    /// A take is made.
    Speak {
        /// What for.
        clip: Box<ClipToSpeak>,
        /// The task.
        task: Task<GeneratedClip>,
    },
    /// Several takes are made side by side.
    SpeakSeeds {
        /// What for.
        clip: Box<ClipToSpeak>,
        /// The task.
        task: Task<Vec<GeneratedClip>, ClipEvent>,
    },
    /// Draws are computed again.
    TeacherForce {
        /// The task.
        task: Task<GeneratedClip>,
    },
    /// A voice prompt is encoded.
    Encode {
        /// The recording's file.
        path: PathBuf,
        /// The task.
        task: Task<Codes>,
    },
    /// Codes are decoded to be heard.
    Audition {
        /// What is heard of them.
        audition: Audition,
        /// The task.
        task: Task<Vec<f32>>,
    },
    /// Codes are decoded for a listening test.
    DecodeForTest {
        /// The task.
        task: Task<Vec<f32>>,
    },
    /// A token file is decoded.
    Decode {
        /// The file.
        path: PathBuf,
        /// Its content.
        file: Box<TokenFile>,
        /// The task.
        task: Task<Vec<f32>>,
    },
}

/// What the running task reports.
pub enum TaskNews {
    /// Of the take that is being made.
    Speaking(Event),
    /// Takes are made.
    Spoken(Box<ClipToSpeak>, Vec<GeneratedClip>),
    /// Draws of the inspected take.
    Draws(FrameEvent),
    /// All draws of the inspected take were computed again; the frame with which the model ended it, where it did.
    Recomputed(Option<GeneratedFrame>),
    /// A voice prompt is encoded.
    Encoded(PathBuf, Codes),
    /// Codes are to be heard.
    Auditioned(Audition, Vec<f32>),
    /// A token file is decoded.
    Decoded(PathBuf, Box<TokenFile>, Vec<f32>),
    /// Codes of a listening test are decoded.
    DecodedForTest(Vec<f32>),
    /// No take was made.
    NotSpoken(Error),
    /// A voice prompt was not encoded.
    NotEncoded(Error),
    /// Something else failed.
    Failed(Error),
}

/// The running task and those that wait.
#[derive(Default)]
pub struct Generation {
    /// Tasks that wait, the next one first.
    pub queue: VecDeque<QueuedTask>,
    /// Turns that are still to be spoken, the next one first.
    pub to_speak: VecDeque<TurnToSpeak>,
    /// The running task.
    pub active: Option<ActiveTask>,
}

impl Generation {
    /// What the running task reports next, if it does. Never waits.
    pub fn poll(&mut self) -> Option<TaskNews> {
        while let Some(active) = self.active.take() {
            let (still, news) = match active {
                ActiveTask::Speak { clip, task } => match task.try_next() {
                    Some(Update::Done(Ok(made))) => return Some(TaskNews::Spoken(clip, vec![made])),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::NotSpoken(e)),
                    Some(Update::Event(e)) => (ActiveTask::Speak { clip, task }, Some(TaskNews::Speaking(e))),
                    None => (ActiveTask::Speak { clip, task }, None),
                },
                ActiveTask::SpeakSeeds { clip, task } => match task.try_next() {
                    Some(Update::Done(Ok(made))) => return Some(TaskNews::Spoken(clip, made)),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::NotSpoken(e)),
                    // The first is on view; the others only have to be taken from the queue.
                    Some(Update::Event((0, e))) => (ActiveTask::SpeakSeeds { clip, task }, Some(TaskNews::Speaking(e))),
                    Some(Update::Event(_)) => {
                        self.active = Some(ActiveTask::SpeakSeeds { clip, task });
                        continue;
                    }
                    None => (ActiveTask::SpeakSeeds { clip, task }, None),
                },
                ActiveTask::TeacherForce { task } => match task.try_next() {
                    Some(Update::Done(Ok(clip))) => return Some(TaskNews::Recomputed(clip.end_frame)),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::Failed(e)),
                    Some(Update::Event(Event::Frame(e))) => {
                        (ActiveTask::TeacherForce { task }, Some(TaskNews::Draws(e)))
                    }
                    Some(Update::Event(_)) => {
                        self.active = Some(ActiveTask::TeacherForce { task });
                        continue;
                    }
                    None => (ActiveTask::TeacherForce { task }, None),
                },
                ActiveTask::Encode { path, task } => match task.try_next() {
                    Some(Update::Done(Ok(codes))) => return Some(TaskNews::Encoded(path, codes)),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::NotEncoded(e)),
                    Some(Update::Event(_)) | None => (ActiveTask::Encode { path, task }, None),
                },
                ActiveTask::Audition { audition, task } => match task.try_next() {
                    Some(Update::Done(Ok(audio))) => return Some(TaskNews::Auditioned(audition, audio)),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::Failed(e)),
                    Some(Update::Event(_)) | None => (ActiveTask::Audition { audition, task }, None),
                },
                ActiveTask::DecodeForTest { task } => match task.try_next() {
                    Some(Update::Done(Ok(audio))) => return Some(TaskNews::DecodedForTest(audio)),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::Failed(e)),
                    Some(Update::Event(_)) | None => (ActiveTask::DecodeForTest { task }, None),
                },
                ActiveTask::Decode { path, file, task } => match task.try_next() {
                    Some(Update::Done(Ok(audio))) => return Some(TaskNews::Decoded(path, file, audio)),
                    Some(Update::Done(Err(e))) => return Some(TaskNews::Failed(e)),
                    Some(Update::Event(_)) | None => (ActiveTask::Decode { path, file, task }, None),
                },
            };
            self.active = Some(still);
            return news;
        }
        None
    }

    /// Whether a take is being made.
    pub fn is_speaking(&self) -> bool {
        matches!(self.active, Some(ActiveTask::Speak { .. } | ActiveTask::SpeakSeeds { .. }))
    }

    /// Whether draws of the inspected take are being computed again.
    pub fn is_recomputing(&self) -> bool {
        matches!(self.active, Some(ActiveTask::TeacherForce { .. }))
    }

    /// Whether a voice prompt is being encoded.
    pub fn is_encoding(&self) -> bool {
        matches!(self.active, Some(ActiveTask::Encode { .. }))
    }

    /// Whether nothing runs and nothing waits for the worker.
    pub fn is_idle(&self) -> bool {
        self.active.is_none() && self.queue.is_empty()
    }

    /// Takes that wait to be made.
    pub fn queued_takes(&self) -> usize {
        let takes = self.queue.iter().filter(|t| matches!(t, QueuedTask::Speak(_))).count();
        takes + self.to_speak.iter().map(|turn| turn.pieces.as_ref().map_or(1, VecDeque::len)).sum::<usize>()
    }

    /// Whether the turn `id` is being spoken or waits for it.
    pub fn will_speak(&self, id: TurnId) -> bool {
        let of = |clip: &ClipToSpeak| clip.turn.as_ref().is_some_and(|(turn, _)| *turn == id);
        let running = match &self.active {
            Some(ActiveTask::Speak { clip, .. } | ActiveTask::SpeakSeeds { clip, .. }) => of(clip),
            _ => false,
        };
        running || self.to_speak.iter().any(|turn| turn.turn == id)
    }

    /// Stops the running take before its next frame, and takes that wait. A voice prompt is encoded all the same.
    pub fn stop(&mut self) {
        self.queue.retain(|task| matches!(task, QueuedTask::Encode { .. }));
        self.to_speak.clear();
        match &self.active {
            Some(ActiveTask::Speak { task, .. } | ActiveTask::TeacherForce { task }) => task.cancel(),
            Some(ActiveTask::SpeakSeeds { task, .. }) => task.cancel(),
            _ => {}
        }
    }

    /// Drops the computing of draws: another clip is on view.
    pub fn stop_recomputing(&mut self) {
        self.queue.retain(|t| !matches!(t, QueuedTask::TeacherForce { .. }));
        if self.is_recomputing() {
            self.active = None; // dropping the task cancels it
        }
    }

    /// Drops what was to be heard of a clip: another one is on view, or something else of it is wanted.
    pub fn stop_auditions(&mut self) {
        self.queue.retain(|task| !matches!(task, QueuedTask::Audition(_)));
        if matches!(self.active, Some(ActiveTask::Audition { .. })) {
            self.active = None; // dropping the task cancels it
        }
    }

    /// The take that is being made belongs to this turn of a text in pieces; what the next piece hears.
    pub fn piece_was_spoken(&mut self, turn: Turn) {
        if let Some(next) = self.to_speak.front_mut().filter(|next| next.pieces.is_some()) {
            next.before = Some(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_and_stopped_and_a_prompt_is_encoded_all_the_same() {
        let mut generation = Generation::default();
        assert!(generation.is_idle());
        generation.to_speak.push_back(TurnToSpeak::new(3, true));
        generation.to_speak.push_back(TurnToSpeak { pieces: Some([4, 5].into()), ..TurnToSpeak::new(4, false) });
        generation.queue.push_back(QueuedTask::Encode { path: "a.wav".into(), samples: Vec::new() });
        generation.queue.push_back(QueuedTask::TeacherForce { take: None });
        assert_eq!((generation.queued_takes(), generation.will_speak(3), generation.will_speak(9)), (3, true, false));
        generation.stop();
        assert_eq!((generation.queued_takes(), generation.queue.len()), (0, 1));
    }
}
