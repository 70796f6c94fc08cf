//! The crate's error type. A message is one line that says what is wrong, where, what was expected and what was found.
//!
//! The library names settings and fields by their key (`topk`, `depth_temperature`, as in token files). The command line and the
//! window translate a key into their own word for it (`--depth-temperature`, "Temperature, codebooks 1-5").

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// An error of any kind, kept as the cause of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A user-facing error. `Display` includes the cause; `source()` gives access to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or field is outside its range.
    #[error("{field}: expected {expected}, got {got}")]
    InvalidValue {
        /// Key of the setting or field.
        field: Cow<'static, str>,
        /// The range, in words.
        expected: String,
        /// The value that was given.
        got: String,
    },
    /// A file or folder cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file was read and its content is not usable.
    #[error("{}: {problem}{}", path.display(), cause(source))]
    InvalidFile {
        /// Path of the file or folder.
        path: PathBuf,
        /// The problem, and what was expected.
        problem: String,
        /// The parser's error, if one reported it.
        source: Option<BoxError>,
    },
    /// Weights and config disagree, or weights are damaged.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// The tensors concerned, with expected and found shapes.
        problem: String,
    },
    /// Prompt and speech do not fit the model's positions.
    #[error(
        "the context is too long: {used} frames of prompt ({}) and up to {wanted} of speech, but the model has {limit} positions, \
         so the prompt must stay below {}",
        segments.join(", "),
        limit.saturating_sub(*wanted)
    )]
    ContextTooLong {
        /// Positions taken by the whole prompt.
        used: usize,
        /// Frames that may be generated.
        wanted: usize,
        /// Positions of the model.
        limit: usize,
        /// One entry per segment: what it is and how many positions it takes.
        segments: Vec<String>,
    },
    /// The machine lacks something: a library, a device, memory.
    #[error("{what}{}; {hint}", cause(source))]
    Unavailable {
        /// The missing thing, and its purpose.
        what: String,
        /// The remedy.
        hint: String,
        /// The system's error, if there is one.
        source: Option<BoxError>,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {source}{}", path.display(), rescued_to(rescued))]
    Write {
        /// Path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: BoxError,
        /// Where audio went instead.
        rescued: Option<PathBuf>,
    },
    /// MLX or PyTorch reported an error.
    #[error("{backend}: {source}")]
    Engine {
        /// The backend: `MLX` or `PyTorch`.
        backend: &'static str,
        /// The error that the backend reports.
        source: BoxError,
    },
    /// A download failed; what arrived is kept.
    #[error("{what}: {problem}")]
    Download {
        /// The repository or file.
        what: String,
        /// The problem and the remedy.
        problem: String,
    },
    /// The user cancelled the task before it had a result.
    #[error("cancelled")]
    Cancelled,
    /// The worker thread died before it answered.
    #[error("the model's thread stopped unexpectedly ({reason}); it is restarted for the next task")]
    WorkerDied {
        /// The message of the panic.
        reason: String,
    },
}

fn cause(source: &Option<BoxError>) -> String {
    source.as_ref().map(|e| format!(": {e}")).unwrap_or_default()
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}

/// Bytes of a part of a message: a name in a file can be as long as the file.
const LONGEST: usize = 2_000;

/// `text` without its middle if it is longer than a message may be.
pub(crate) fn shortened(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let (start, end) = (text.floor_char_boundary(LONGEST / 2), text.ceil_char_boundary(text.len() - LONGEST / 4));
    format!("{} […] {}", &text[..start], &text[end..])
}

fn rescued_to(path: &Option<PathBuf>) -> String {
    path.as_ref().map(|p| format!("; the audio is in {}", p.display())).unwrap_or_default()
}

impl Error {
    /// Creates an [`Error::InvalidValue`] of `field`.
    pub fn invalid(field: impl Into<Cow<'static, str>>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::InvalidValue { field: field.into(), expected: expected.into(), got: shortened(got.to_string()) }
    }

    /// Creates an [`Error::Read`] of `path`.
    pub fn read(path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Read { path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::InvalidFile`] found by this crate's own checks.
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::InvalidFile { path: path.as_ref().to_owned(), problem: shortened(problem.into()), source: None }
    }

    /// An [`Error::InvalidFile`] found by a parser.
    pub fn parse(path: impl AsRef<Path>, problem: impl Into<String>, source: impl Into<BoxError>) -> Self {
        let (source, problem) = (source.into(), shortened(problem.into()));
        let words = source.to_string();
        let source = if words.len() > LONGEST { shortened(words).into() } else { source };
        Self::InvalidFile { path: path.as_ref().to_owned(), problem, source: Some(source) }
    }

    /// Creates an [`Error::Weights`] of `path`.
    pub fn weights(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Weights { path: path.as_ref().to_owned(), problem: shortened(problem.into()) }
    }

    /// Creates an [`Error::Write`] of `path`.
    pub fn write(path: impl AsRef<Path>, source: impl Into<BoxError>) -> Self {
        Self::Write { path: path.as_ref().to_owned(), source: source.into(), rescued: None }
    }

    /// An [`Error::Unavailable`] without a cause.
    pub fn unavailable(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), hint: hint.into(), source: None }
    }

    /// Replaces the field's key by a front end's word for it.
    pub fn with_field_name(self, name: impl FnOnce(&str) -> Cow<'static, str>) -> Self {
        match self {
            Self::InvalidValue { field, expected, got } => Self::InvalidValue { field: name(&field), expected, got },
            other => other,
        }
    }

    /// The process's exit code: 2 for bad input, 3 if the machine is at fault, 130 for a cancelled task.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::InvalidValue { .. }
            | Self::Read { .. }
            | Self::InvalidFile { .. }
            | Self::Weights { .. }
            | Self::ContextTooLong { .. } => 2,
            Self::Cancelled => 130,
            Self::Unavailable { .. }
            | Self::Write { .. }
            | Self::Download { .. }
            | Self::Engine { .. }
            | Self::WorkerDied { .. } => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_never_as_long_as_a_file() {
        let name = "\u{e9}".repeat(10_000_000);
        let message = Error::weights("model.safetensors", format!("{name}: missing")).to_string();
        assert!(message.len() < 2 * LONGEST && message.ends_with(": missing"), "{}", message.len());
        let parser = Error::parse("config.json", "expected a config", name.as_str());
        assert!(parser.to_string().len() < 2 * LONGEST);
    }
}
