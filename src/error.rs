//! The library's one error type. Every variant says which file, field or value is wrong and what was expected.

use std::path::{Path, PathBuf};

/// What went wrong, in words for the person at the keyboard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value (flag, field, setting) is outside what it may be.
    #[error("{name}: expected {expected}, got {got}")]
    Value {
        /// Flag or field, as the user knows it.
        name: String,
        /// What would be right.
        expected: String,
        /// What was there.
        got: String,
    },
    /// A file that was handed in cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what was expected.
        problem: String,
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
    #[error("the context is too long: {used} frames of prompt ({}) and up to {wanted} of speech, but the model has {limit} positions, so the prompt must stay below {}", list.join(", "), limit.saturating_sub(*wanted))]
    ContextTooLong {
        /// Frames of the whole prompt.
        used: usize,
        /// Frames that may be generated.
        wanted: usize,
        /// Positions of the model.
        limit: usize,
        /// One entry a segment: what it is and how many frames it takes.
        list: Vec<String>,
    },
    /// Something of the machine is missing: a library, a device, memory.
    #[error("{what}: {mend}")]
    Unavailable {
        /// What is missing.
        what: String,
        /// How to get it.
        mend: String,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said, and where the data went instead.
        problem: String,
    },
    /// MLX reported an error.
    #[error("MLX: {0}")]
    Mlx(String),
    /// PyTorch (libtorch) reported an error.
    #[error("PyTorch: {0}")]
    Torch(String),
    /// The worker thread ended before it answered.
    #[error("the model's thread ended unexpectedly: {0}")]
    WorkerGone(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A [`Error::Value`].
    pub fn value(name: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Value { name: name.into(), expected: expected.into(), got: got.to_string() }
    }

    /// A [`Error::File`].
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// A [`Error::Weights`].
    pub fn weights(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Weights { path: path.as_ref().to_owned(), problem: problem.into() }
    }

    /// A [`Error::Write`].
    pub fn write(path: impl AsRef<Path>, problem: impl ToString) -> Self {
        Self::Write { path: path.as_ref().to_owned(), problem: problem.to_string() }
    }

    /// The process's exit code: 2 for bad input, 3 where the machine is at fault.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Value { .. } | Self::File { .. } | Self::Weights { .. } | Self::ContextTooLong { .. } => 2,
            Self::Unavailable { .. } | Self::Write { .. } | Self::Mlx(_) | Self::Torch(_) | Self::WorkerGone(_) => 3,
        }
    }
}
