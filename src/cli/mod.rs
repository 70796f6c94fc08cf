//! The command line: parse, build usable values, call the library.

pub mod analyze;
pub mod compare;
pub mod generate;
mod replay;
mod reports;
mod show;
#[cfg(feature = "torch")]
pub mod verify;
pub mod voices;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::tokens::TokenFile;

/// How a command ended, beside an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: exit code 0.
    Done,
    /// A check failed: exit code 1.
    Failed,
}

#[derive(Parser)]
#[command(name = "csm", version, about = "Conversational speech synthesis with Sesame's CSM on MLX")]
struct Csm {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Speak a text into a WAV file
    Generate(Box<generate::Args>),
    /// Look at tokens: what was drawn, how sure the model was, how far clips are apart
    Analyze(analyze::Args),
    /// Speak a text in several modes with several seeds, and compare the tokens
    Compare(compare::Args),
    /// Prove the sampling modes against each other and against PyTorch
    #[cfg(feature = "torch")]
    Verify(verify::Args),
    /// List the voices of a checkpoint
    Voices(voices::Args),
}

/// `csm`.
pub fn csm() -> ExitCode {
    exit(match Csm::parse().command {
        Command::Generate(args) => generate::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Compare(args) => compare::run(&args),
        #[cfg(feature = "torch")]
        Command::Verify(args) => verify::run(&args),
        Command::Voices(args) => voices::run(&args),
    })
}

/// `csm-generate-mlx`: the ancestor's name for `csm generate`.
pub fn csm_generate_mlx() -> ExitCode {
    #[derive(Parser)]
    #[command(name = "csm-generate-mlx", version, about = "Speak a text into a WAV file (the same as `csm generate`)")]
    struct Program {
        #[command(flatten)]
        args: generate::Args,
    }
    exit(generate::run(&Program::parse().args))
}

/// `csm-studio`.
pub fn csm_studio() -> ExitCode {
    #[derive(Parser)]
    #[command(name = "csm-studio", version, about = "The window: speak, listen, and see what sampling does")]
    struct Program {
        #[command(flatten)]
        model: Model,
    }
    exit(crate::studio::run(Program::parse().model.model_path).map(|()| Outcome::Done))
}

fn exit(outcome: Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

/// A checkpoint named on the command line.
#[derive(clap::Args, Clone, Debug)]
pub struct Model {
    /// A checkpoint's folder in transformers' format; `csm-1B` is sesame/csm-1b in Hugging Face's cache [default: the
    /// embedded demo voice]
    #[arg(long, value_name = "DIR")]
    pub model_path: Option<std::path::PathBuf>,
}

impl Model {
    fn open(&self) -> Result<Checkpoint> {
        Checkpoint::resolve(self.model_path.as_deref())
    }
}

/// Says so where the token file at `path` is from another model than `checkpoint`.
fn warn_of_other_model(path: &Path, file: &TokenFile, checkpoint: &Checkpoint) {
    if let Some(model) = &file.model
        && model.sha256 != checkpoint.sha256()
    {
        let path = path.display();
        eprintln!("warning: {path} was made by another model ({}): its clip will not be the same", model.name);
    }
}

/// Text from standard input.
fn read_stdin() -> Result<String> {
    std::io::read_to_string(std::io::stdin()).map_err(|e| Error::value("--stdin", "text in UTF-8", e))
}
