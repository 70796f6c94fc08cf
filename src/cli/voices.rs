//! `csm voices`: who can speak.

use super::{Model, Outcome};
use crate::error::Result;

/// Flags of `csm voices`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: Model,
}

/// Lists the voices of a checkpoint.
///
/// # Errors
/// As opening the checkpoint.
pub fn run(args: &Args) -> Result<Outcome> {
    let checkpoint = args.model.open()?;
    if checkpoint.voices.is_empty() {
        println!("{} names no voices; any --speaker number can be tried.", checkpoint.name);
    }
    for voice in &checkpoint.voices {
        println!("{:10} speaker {}  {}", voice.name, voice.speaker, voice.description);
    }
    Ok(Outcome::Done)
}
