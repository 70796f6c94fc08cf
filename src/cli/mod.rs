//! The command line: parse, make usable values, call the library.

mod align;
mod analyze;
mod bench;
mod compare;
mod doctor;
mod download;
mod generate;
mod keep_takes;
mod listen;
mod manual;
mod output;
mod param_args;
mod progress;
mod quantize;
mod report_args;
mod run_job;
mod values;
#[cfg(feature = "torch")]
mod verify;
mod voices;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::audio::recording::{self, Length, Recording};
use crate::checkpoint::{AdapterSpec, Checkpoint, CheckpointSpec};
use crate::cli::output::message;
use crate::data::TokenFile;
use crate::diagnostics;
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, read_file, read_stream};

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything worked: exit code 0.
    Done,
    /// A check failed: exit code 1.
    CheckFailed,
    /// The user stopped it and what was made is kept: exit code 130.
    Cancelled,
}

#[derive(Parser)]
#[command(name = "csm", version, about = "Conversational speech synthesis with Sesame's CSM on MLX")]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Speak a text into a WAV file
    Generate(Box<generate::GenerateArgs>),
    /// Align a clip with its text: when each word is spoken
    Align(align::AlignArgs),
    /// Inspect tokens: counts, entropy, surprisal, and distances between clips
    Analyze(analyze::AnalyzeArgs),
    /// Speak a text in several modes with several seeds and compare the tokens
    Compare(compare::CompareArgs),
    /// Check the sampling modes against each other and against PyTorch
    #[cfg(feature = "torch")]
    Verify(verify::VerifyArgs),
    /// Measure the speed on this machine, and the time of each part of a frame
    Bench(bench::BenchArgs),
    /// Examine a checkpoint: format, sizes, problems, and the memory that it needs
    Doctor(doctor::DoctorArgs),
    /// Download a checkpoint from Hugging Face into its cache, without the files that are not needed
    Download(download::DownloadArgs),
    /// Quantise a checkpoint in mlx-audio's form, and measure the loss
    Quantize(quantize::QuantizeArgs),
    /// Make listening tests, run them, and report the results
    #[command(subcommand)]
    Listen(listen::ListenCommand),
    /// List the voices of a checkpoint
    Voices(voices::VoicesArgs),
    /// Write manual pages and completions for bash, fish and zsh
    Manual(manual::ManualArgs),
    /// Print the licences of all that the programs contain
    Licences,
}

/// The program `csm-generate-mlx`.
#[derive(Parser)]
#[command(name = "csm-generate-mlx", version, about = "Speak a text into a WAV file (the same as `csm generate`)")]
struct GenerateProgram {
    #[command(flatten)]
    args: generate::GenerateArgs,
}

/// The program `csm-studio`.
#[derive(Parser)]
#[command(name = "csm-studio", version, about = "Speak, listen, and see what sampling does")]
struct StudioProgram {
    #[command(flatten)]
    model: ModelArgs,
    /// What to open: folders of takes, token files, WAV files
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Process-wide settings, made before anything else runs in every program.
fn prepare_process() {
    crate::machine::after_libraries();
    // Past a file size limit a write is to fail like one on a full disk, which loses nothing; by default the signal ends the program.
    #[cfg(unix)]
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
    // By default MLX rounds the factors of float32 products on a GPU to 10 bits of mantissa (TF32), and *exact* is no longer exact:
    // measured on an H200, logits differ by up to 2e-2 and clips from the first frame on. MLX reads the variable once.
    // SAFETY: no other thread runs yet.
    unsafe {
        std::env::set_var("MLX_ENABLE_TF32", "0");
        crate::machine::enlarge_command_buffers();
    }
}

/// Asks MLX what it computes on. A machine whose GPU cannot be asked says so again when the model is loaded.
fn find_device() {
    if let Err(e) = crate::mlx::find_device() {
        tracing::warn!("{e}");
    }
}

/// Runs the program `csm`.
pub fn csm() -> ExitCode {
    prepare_process();
    let command = Cli::parse().command;
    diagnostics::start(matches!(&command, CliCommand::Generate(args) if args.debug()));
    find_device();
    exit(match command {
        CliCommand::Generate(args) => generate::run(&args),
        CliCommand::Align(args) => align::run(&args),
        CliCommand::Analyze(args) => analyze::run(&args),
        CliCommand::Compare(args) => compare::run(&args),
        #[cfg(feature = "torch")]
        CliCommand::Verify(args) => verify::run(&args),
        CliCommand::Bench(args) => bench::run(&args),
        CliCommand::Doctor(args) => doctor::run(&args),
        CliCommand::Download(args) => download::run(&args),
        CliCommand::Quantize(args) => quantize::run(&args),
        CliCommand::Listen(command) => listen::run(&command),
        CliCommand::Voices(args) => voices::run(&args),
        CliCommand::Licences => output::print_line(crate::licences::LICENCES.trim_end()).map(|()| Outcome::Done),
        CliCommand::Manual(args) => {
            manual::run(&args, [Cli::command(), GenerateProgram::command(), StudioProgram::command()])
        }
    })
}

/// `csm-generate-mlx`: the ancestor's name for `csm generate`.
pub fn csm_generate_mlx() -> ExitCode {
    prepare_process();
    let args = GenerateProgram::parse().args;
    diagnostics::start(args.debug());
    find_device();
    exit(generate::run(&args))
}

/// Runs the program `csm-studio`.
pub fn csm_studio() -> ExitCode {
    prepare_process();
    let args = StudioProgram::parse();
    diagnostics::start(false);
    find_device();
    exit(crate::studio::run(args.model.spec(), args.files).map(|()| Outcome::Done))
}

fn exit(outcome: Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed) => ExitCode::from(1),
        Ok(Outcome::Cancelled) => ExitCode::from(Error::Cancelled.exit_code()),
        Err(e) => {
            tracing::error!("{e}");
            let code = e.exit_code();
            message!("error: {}", e.with_field_name(values::flag_name));
            ExitCode::from(code)
        }
    }
}

/// A checkpoint named on the command line.
#[derive(clap::Args, Clone, Debug)]
struct ModelArgs {
    /// A checkpoint: a folder, a weight file, a LoRA adapter that names its base, or the id of a repository in Hugging Face's
    /// cache such as `sesame/csm-1b` [default: the embedded demo voice]
    #[arg(long, value_name = "PATH|ID")]
    model_path: Option<PathBuf>,
    /// A LoRA adapter for the checkpoint, and its strength [default: 1]
    #[arg(long, value_name = "DIR[:STRENGTH]")]
    adapter: Option<AdapterSpec>,
    /// Load the checkpoint even if memory seems too small for it
    #[arg(long)]
    load_anyway: bool,
}

impl ModelArgs {
    fn spec(&self) -> CheckpointSpec {
        CheckpointSpec { path: self.model_path.clone(), adapter: self.adapter.clone(), load_anyway: self.load_anyway }
    }

    fn open(&self) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::resolve(&self.spec())?;
        checkpoint.notes.iter().for_each(|n| message!("note: {n}"));
        checkpoint.warnings.iter().for_each(|w| message!("warning: {w}"));
        Ok(checkpoint)
    }
}

/// Warns where the token file at `path` was made by another model than `checkpoint`.
fn warn_of_other_model(path: &Path, file: &TokenFile, checkpoint: &Checkpoint) -> Result<()> {
    if let Some(model) = &file.model
        && model.sha256 != checkpoint.id()?.sha256
    {
        let path = path.display();
        message!("warning: {path} was made by another model ({}): the clip will not be the same", model.name);
    }
    Ok(())
}

/// A recording that the user names, also a pipe such as `/dev/stdin`.
fn read_recording(path: &Path, rate: usize, length: Length) -> Result<Recording> {
    recording::decode(path, &recording_bytes(path)?, rate, length)
}

/// The content of a recording that the user names, also of a pipe.
fn recording_bytes(path: &Path) -> Result<Vec<u8>> {
    /// Largest recording that comes through a pipe, as all of it is kept in memory.
    const PIPE_LIMIT: u64 = 256 << 20;
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => read_stream(path, PIPE_LIMIT),
        _ => read_file(path, MEDIA_LIMIT),
    }
}

/// Text from standard input.
fn read_stdin() -> Result<String> {
    const LIMIT: u64 = 64 << 20;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes).map_err(|e| Error::read("(standard input)", e))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::invalid("stdin", format!("at most {} MB of text", LIMIT >> 20), "more"));
    }
    String::from_utf8(bytes).map_err(|e| Error::invalid("stdin", "text in UTF-8", e))
}
