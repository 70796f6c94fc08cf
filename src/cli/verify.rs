//! `csm verify`: see [`crate::verify`].

use std::path::PathBuf;
use std::sync::Arc;

use super::{Model, Outcome};
use crate::error::{Error, Result};
use crate::sampling::Mode;
use crate::verify::{Plan, run as verify};

/// Flags of `csm verify`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: Model,
    /// Only what concerns this mode [default: everything]
    #[arg(long, visible_alias = "sampling", value_enum, value_name = "MODE")]
    test_sampling: Option<Mode>,
    /// The same as --test-sampling exact
    #[arg(long, visible_alias = "use-exact-sampling")]
    use_exact: bool,
    /// Speak this text in the whole-clip checks [default: the fixed list]
    #[arg(long)]
    text: Option<String>,
    /// Whole clips
    #[arg(long, value_name = "N")]
    clips: Option<usize>,
    /// A hundredth of the material: a look, no proof
    #[arg(long)]
    quick: bool,
    /// Write table, numbers and plots into this folder
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Verifies.
///
/// # Errors
/// Whatever is wrong with flags, files or machine; a failed check is [`Outcome::Failed`].
pub fn run(args: &Args) -> Result<Outcome> {
    let mut plan = if args.quick { Plan::quick() } else { Plan::full() };
    plan.mode = match (args.test_sampling, args.use_exact) {
        (Some(mode), true) if mode != Mode::Exact => {
            let got = format!("{} and exact", mode.name());
            return Err(Error::value("--test-sampling", "one mode", got));
        }
        (mode, exact) => mode.or(exact.then_some(Mode::Exact)),
    };
    if let Some(text) = &args.text {
        plan.texts = vec![text.clone()];
    }
    plan.clips = args.clips.unwrap_or(plan.clips);
    if plan.clips == 0 {
        return Err(Error::value("--clips", "at least 1", 0));
    }
    let checkpoint = Arc::new(args.model.open()?);
    let results = verify(&checkpoint, &plan, &mut |line| {
        eprintln!("{} {}: {} ({})", if line.passed { "ok    " } else { "FAILED" }, line.check, line.result, line.what);
    })?;
    println!("{}", results.table());
    if let Some(folder) = &args.output {
        results.write(folder)?;
    }
    Ok(if results.passed() { Outcome::Done } else { Outcome::Failed })
}
