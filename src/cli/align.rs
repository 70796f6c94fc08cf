//! `csm align`: when the words of a clip are spoken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::{check_apart, message, print_line};
use super::run_job::{cancel_on_signals, start_worker};
use super::{ModelArgs, Outcome, warn_of_other_model};
use crate::alignment::{WordFormat, WordProblem, calibrate, check_words, known_heads, word_times};
use crate::checkpoint::Checkpoint;
use crate::data::{AttentionHead, TokenFile};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::worker::{CancelToken, WorkerHandle};

/// Flags of `csm align`.
#[derive(clap::Args, Debug)]
pub struct AlignArgs {
    /// A take's folder, or a token file with its text
    #[arg(value_name = "TAKE|TOKENS.json")]
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// The file to write, in the format of its extension: .json, .srt, .vtt or .TextGrid (Praat) [default: JSON on standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Instead of word times, report words that are left out, repeated, swapped or cut off, by the text that fits the tokens best. Takes
    /// about four times as long per word as speaking the clip
    #[arg(long, conflicts_with = "output")]
    check: bool,
    /// With --check: print the problems as JSON
    #[arg(long, requires = "check")]
    json: bool,
}

/// Computes the attention of the clip's draws again, and reads the words' times from it.
pub(super) fn run(args: &AlignArgs) -> Result<Outcome> {
    let format = args.output.as_ref().map_or(Ok(WordFormat::Json), |path| format_of("output", path))?;
    let path = if args.file.is_dir() { args.file.join("tokens.json") } else { args.file.clone() };
    check_apart(args.output.as_deref(), [path.as_path()])?;
    let checkpoint = Arc::new(args.model.open()?);
    let file = TokenFile::read(&path, &checkpoint.dims())?;
    warn_of_other_model(&path, &file, &checkpoint)?;
    let clip = file.into_clip(Vec::new(), checkpoint.dims().sample_rate);
    let spec = clip.origin.spec_of_file(&path)?;
    let (worker, cancel) = (start_worker(&checkpoint)?, cancel_on_signals());
    if args.check {
        let problems = check_words(&checkpoint, &worker, &spec, &clip, &cancel, |_, _| {})?;
        return report_problems(args, &problems);
    }
    let heads = heads(&checkpoint, &worker, &cancel)?;
    if heads.is_empty() {
        return Err(no_heads(&checkpoint));
    }
    let Some(words) = word_times(&checkpoint, &worker, &heads, &spec, &clip.codes, &cancel)? else {
        message!("no alignment found: the attention does not follow the text of {}", path.display());
        return Ok(Outcome::CheckFailed);
    };
    let text = format.text(&words, checkpoint.dims().seconds(clip.codes.len()));
    match &args.output {
        None => print_line(text.trim_end())?,
        Some(output) => {
            write_atomically(output, text.as_bytes())?;
            print_line(&format!("{}: {} words", output.display(), words.len()))?;
        }
    }
    Ok(Outcome::Done)
}

fn report_problems(args: &AlignArgs, problems: &[WordProblem]) -> Result<Outcome> {
    if args.json {
        print_line(&serde_json::to_string(problems).map_err(|e| Error::write("(standard output)", e))?)?;
    } else if problems.is_empty() {
        print_line("every word is spoken once and in its place")?;
    }
    for problem in problems.iter().filter(|_| !args.json) {
        print_line(&format!("{} {} ({:.0} bits)", problem.word, problem.kind.describe(), problem.bits))?;
    }
    Ok(if problems.is_empty() { Outcome::Done } else { Outcome::CheckFailed })
}

/// The format of a file by its ending; `flag` is the setting that names it.
pub(super) fn format_of(flag: &'static str, path: &Path) -> Result<WordFormat> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    WordFormat::of_ending(&ending).ok_or_else(|| {
        let endings = WordFormat::ALL.map(|(_, ending)| format!(".{ending}")).join(", ");
        Error::invalid(flag, format!("a name that ends in {endings}"), path.display())
    })
}

/// The heads that follow the text; found by calibration if nobody knows them yet.
pub(super) fn heads(
    checkpoint: &Checkpoint,
    worker: &WorkerHandle,
    cancel: &CancelToken,
) -> Result<Vec<AttentionHead>> {
    if let Some(known) = known_heads(checkpoint)? {
        return Ok(known);
    }
    message!(
        "finding the attention heads of {} that follow the text, once for this checkpoint …",
        checkpoint.info.name
    );
    calibrate(checkpoint, worker, cancel, |done, all| tracing::debug!("calibration: {done} of {all} sentences"))
}

/// No head follows the text.
pub(super) fn no_heads(checkpoint: &Checkpoint) -> Error {
    Error::unavailable(
        format!("no attention head of {} follows the text, so its words have no known times", checkpoint.info.name),
        "use a recogniser with word times instead",
    )
}
