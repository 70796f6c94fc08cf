//! `csm voices`.

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
        println!("{} names no voices; any speaker number can be tried.", model.name);
    }
    for voice in &model.voices {
        println!("{:10} speaker {}  {}", voice.name, voice.speaker, voice.description);
    }
    Ok(Outcome::Done)
}
