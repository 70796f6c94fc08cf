//! `csm verify`: see [`crate::verify`].

use std::path::{Path, PathBuf};

use super::output::print_line;
use super::run_job::cancel_on_signals;
use super::values::mode_parser;
use super::{ModelArgs, Outcome};
use crate::cli::output::message;
use crate::data::Mode;
use crate::error::{Error, Result};
use crate::verify::{VerifyConfig, run as verify};

/// Flags of `csm verify`.
#[derive(clap::Args, Debug)]
pub struct VerifyArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Run only the checks of this mode [default: all checks]
    #[arg(long, visible_alias = "sampling", value_parser = mode_parser(), value_name = "MODE", num_args = 0..=1)]
    test_sampling: Option<Option<Mode>>,
    /// Shorthand for --test-sampling exact
    #[arg(long, visible_alias = "use-exact-sampling")]
    use_exact: bool,
    /// Text of the whole-clip checks [default: a fixed list]
    #[arg(long)]
    text: Option<String>,
    /// Number of whole clips
    #[arg(long, value_name = "N")]
    clips: Option<usize>,
    /// A smoke test: 1 % of the samples
    #[arg(long)]
    quick: bool,
    /// Write table, numbers and plots into this folder
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the checks; a failed check is [`Outcome::CheckFailed`].
pub(super) fn run(args: &VerifyArgs) -> Result<Outcome> {
    let mut config = if args.quick { VerifyConfig::quick() } else { VerifyConfig::full() };
    config.mode = match (args.test_sampling.flatten(), args.use_exact) {
        (Some(mode), true) if mode != Mode::Exact => {
            let got = format!("{} and {}", mode.name(), Mode::Exact.name());
            return Err(Error::invalid("test_sampling", "one mode", got));
        }
        (mode, exact) => mode.or(exact.then_some(Mode::Exact)),
    };
    if let Some(text) = &args.text {
        config.texts = vec![text.clone()];
    }
    config.clips = args.clips.unwrap_or(config.clips);
    if config.clips == 0 {
        return Err(Error::invalid("clips", "at least 1", 0));
    }
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
    }
    let checkpoint = args.model.open()?;
    if let Some(folder) = args.output.as_ref().and_then(|folder| folder.canonicalize().ok()) {
        let is_input = |path: &Path| path.canonicalize().ok().as_deref().and_then(Path::parent) == Some(&*folder);
        if checkpoint.tensors.paths().any(is_input) {
            return Err(Error::invalid("output", "another folder than the checkpoint's", folder.display()));
        }
    }
    let cancel = cancel_on_signals();
    config.cancelled = cancel.flag();
    let results = verify(&checkpoint, &config, &mut |line| {
        message!("{} {}: {} ({})", if line.passed { "ok    " } else { "FAILED" }, line.check, line.result, line.what);
    })?;
    print_line(&results.table())?;
    if let Some(folder) = &args.output {
        results.write(folder)?;
    }
    if cancel.is_cancelled() {
        message!("cancelled; the table has the checks and clips that were made until then");
        return Ok(Outcome::Cancelled);
    }
    Ok(if results.passed() { Outcome::Done } else { Outcome::CheckFailed })
}
