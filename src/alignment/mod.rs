//! When words are spoken: which heads of a checkpoint's backbone follow the text, and files of word times. The times themselves are
//! [`crate::analysis::alignment`].

mod formats;
mod word_check;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::formats::WordFormat;
pub use self::word_check::{WordProblem, WordProblemKind, check_words};
use crate::analysis::alignment::HeadScores;
use crate::checkpoint::Checkpoint;
use crate::data::{AttentionHead, ClipSpec, Codes, Mode, Prompt, WordTime, WordTracking};
use crate::engine::GenerationRequest;
use crate::error::Result;
use crate::files::{read_own_json, write_own_json};
use crate::worker::{CancelToken, Event, WorkerHandle};

/// Texts of the calibration: a dozen sentences of different lengths.
const SENTENCES: [&str; 12] = [
    "The children walked slowly along the river.",
    "Every window in the house was open.",
    "He carried a heavy box up the narrow stairs.",
    "Nobody answered when she knocked on the door.",
    "We planted tomatoes behind the old garage.",
    "The teacher wrote three questions on the board.",
    "A cold wind blew across the empty market.",
    "My brother never learned how to swim.",
    "They watched the clouds until the rain began.",
    "Her favourite song played on the radio again.",
    "The train stopped between two dark tunnels.",
    "Please remember to lock the kitchen door.",
];
/// Seed of the clips that calibration speaks.
const SEED: u64 = 1;
/// Longest clip that it speaks, in seconds.
const LONGEST: f64 = 8.0;

/// A calibration that is kept.
#[derive(Default, Serialize, Deserialize)]
struct Calibration {
    /// None if no head follows the text.
    heads: Vec<AttentionHead>,
}

/// Where the calibration of the checkpoint with this hash is kept; `None` without a home folder.
fn calibration_path(sha256: &str) -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "csm-studio")?;
    Some(folders.cache_dir().join("alignment").join(format!("{sha256}.json")))
}

/// The heads of `checkpoint` that follow the text, if the checkpoint names them or a calibration is kept; an empty list if none does.
///
/// # Errors
/// Where the weights cannot be read, whose hash the calibration is kept under.
pub fn known_heads(checkpoint: &Checkpoint) -> Result<Option<Vec<AttentionHead>>> {
    if let Some(own) = checkpoint.alignment_heads() {
        return Ok(Some(own.to_vec()));
    }
    let path = calibration_path(&checkpoint.id()?.sha256).filter(|path| path.exists());
    let (layers, of_layer) = checkpoint.backbone_heads();
    Ok(path.and_then(|path| {
        let (Calibration { heads }, problem) = read_own_json(&path, "a calibration of attention heads");
        let fits = heads.iter().all(|at| at.layer < layers && at.head < of_layer) && heads.is_sorted();
        (problem.is_none() && fits).then_some(heads)
    }))
}

/// Finds the heads of `checkpoint` that follow the text: it speaks a dozen sentences, and every head is judged by the share of its
/// attention that is on the text and by how steadily that moves through it. The result is kept for the next time. `progress` is called with
/// the sentences spoken and all of them.
///
/// # Errors
/// Returns the errors of speaking, and [`crate::error::Error::Cancelled`].
pub fn calibrate(
    checkpoint: &Checkpoint,
    worker: &WorkerHandle,
    cancel: &CancelToken,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<AttentionHead>> {
    let (layers, of_layer) = checkpoint.backbone_heads();
    let all: Vec<AttentionHead> =
        (0..layers).flat_map(|layer| (0..of_layer).map(move |head| AttentionHead { layer, head })).collect();
    let max_frames = checkpoint.dims().frames_in(LONGEST);
    let mut scores = HeadScores::default();
    for (n, text) in SENTENCES.iter().enumerate() {
        progress(n, SENTENCES.len());
        let spec = ClipSpec::new(*text, 0, checkpoint.suggested_sampling(Mode::Native, SEED));
        let prompt = checkpoint.prompt(&spec)?;
        let tracking = WordTracking { heads: all.clone(), prompt: checkpoint.prompt_words(&spec, &prompt)? };
        let request = GenerationRequest::new(&spec, prompt, max_frames).tracked(Some(tracking)).without_sound();
        let mut frames = Vec::new();
        worker.generate(request, cancel.clone())?.wait(|event| {
            if let Event::Frame(event) = event {
                frames.push(event.frame.attention);
            }
        })?;
        if cancel.is_cancelled() {
            return Err(crate::error::Error::Cancelled);
        }
        scores.add(&frames);
    }
    let heads = scores.best(&all);
    if let Some(path) = calibration_path(&checkpoint.id()?.sha256)
        && let Err(e) = write_own_json(&path, &Calibration { heads: heads.clone() })
    {
        tracing::warn!("the calibration is not kept: {e}");
    }
    Ok(heads)
}

/// When the words of a clip with `codes` are spoken, by computing its attention again; `None` if the attention does not follow the text.
///
/// # Errors
/// Returns the errors of [`tracking`] and of the worker, and [`crate::error::Error::Cancelled`].
pub fn word_times(
    checkpoint: &Checkpoint,
    worker: &WorkerHandle,
    heads: &[AttentionHead],
    spec: &ClipSpec,
    codes: &Codes,
    cancel: &CancelToken,
) -> Result<Option<Vec<WordTime>>> {
    let prompt = checkpoint.prompt(spec)?;
    let Some(tracking) = tracking(checkpoint, heads, spec, &prompt)? else { return Ok(None) };
    let request = GenerationRequest { observe: false, ..GenerationRequest::teacher_forced(spec, prompt, codes) };
    let request = request.tracked(Some(tracking)).without_sound();
    let made = worker.generate(request, cancel.clone())?.wait(|_| {})?;
    if cancel.is_cancelled() { Err(crate::error::Error::Cancelled) } else { Ok(made.words) }
}

/// The tracking of the words of `spec`, whose prompt is `prompt`; `None` if no head follows the text.
///
/// # Errors
/// Returns the errors of [`Checkpoint::prompt_words`].
pub fn tracking(
    checkpoint: &Checkpoint,
    heads: &[AttentionHead],
    spec: &ClipSpec,
    prompt: &Prompt,
) -> Result<Option<WordTracking>> {
    if heads.is_empty() {
        return Ok(None);
    }
    Ok(Some(WordTracking { heads: heads.to_vec(), prompt: checkpoint.prompt_words(spec, prompt)? }))
}
