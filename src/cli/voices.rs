//! `csm voices`.

use super::output::print_line;
use super::{ModelArgs, Outcome};
use crate::error::Result;

/// Flags of `csm voices`.
#[derive(clap::Args, Debug)]
pub struct VoicesArgs {
    #[command(flatten)]
    model: ModelArgs,
}

/// Lists the voices of a checkpoint.
pub(super) fn run(args: &VoicesArgs) -> Result<Outcome> {
    let model = &args.model.open()?.info;
    if model.voices.is_empty() {
        print_line(&format!("{} names no voices; any speaker number can be tried.", model.name))?;
    }
    for voice in &model.voices {
        print_line(&format!("{:10} speaker {}  {}", voice.name, voice.speaker, voice.description))?;
    }
    Ok(Outcome::Done)
}
