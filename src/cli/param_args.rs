//! Flags for the sampling settings, made from [`PARAMS`].

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::data::command_line::flag;
use crate::data::{PARAMS, ParamKind, Sampling, Stage};

/// Settings given as flags: key and value.
#[derive(Clone, Debug, Default)]
pub struct ParamArgs(Vec<(String, f64)>);

impl ParamArgs {
    /// Changes the settings that were given. A flag for codebook 0 sets the other codebooks too, unless they have their own.
    pub(super) fn apply(&self, sampling: &mut Sampling) {
        let given = |key: &str| self.0.iter().find(|(k, _)| k == key).map(|(_, value)| *value);
        for param in PARAMS {
            let first = given(&param.key_of(Stage::Codebook0));
            let depth = given(&param.key_of(Stage::Depth)).or(first);
            for (stage, value) in [(Stage::Codebook0, first), (Stage::Depth, depth)] {
                if let Some(value) = value {
                    (param.set)(sampling.stage_mut(stage), value);
                }
            }
        }
    }
}

impl Args for ParamArgs {
    fn augment_args(mut command: Command) -> Command {
        for stage in Stage::ALL {
            for param in PARAMS {
                let key = param.key_of(stage);
                let help = match stage {
                    Stage::Codebook0 => format!("{} [default: the checkpoint's, else {}]", param.help, param.default),
                    Stage::Depth => {
                        format!(
                            "{}, for codebooks 1 and up [default: as {}]",
                            param.help,
                            flag(&param.key_of(Stage::Codebook0))
                        )
                    }
                };
                let arg = Arg::new(key.clone()).long(flag(&key).trim_start_matches('-').to_owned()).help(help);
                let arg = match param.kind {
                    ParamKind::Real => arg.value_name("X").value_parser(value_parser!(f64)),
                    ParamKind::Count => arg.value_name("N").value_parser(value_parser!(u64)),
                };
                command = command.arg(arg.allow_negative_numbers(true));
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ParamArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for stage in Stage::ALL {
            for param in PARAMS {
                let key = param.key_of(stage);
                let value = match param.kind {
                    ParamKind::Real => matches.get_one::<f64>(&key).copied(),
                    ParamKind::Count => matches.get_one::<u64>(&key).map(|n| *n as f64),
                };
                given.extend(value.map(|value| (key, value)));
            }
        }
        Ok(Self(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
