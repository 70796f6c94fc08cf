//! `csm manual`: manual pages and completions for shells, from the definition of the command line.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use super::Outcome;
use super::output::print_line;
use crate::error::{Error, Result};

/// Flags of `csm manual`.
#[derive(clap::Args, Debug)]
pub struct ManualArgs {
    /// A folder that is laid out like /usr/share, such as ~/.local/share
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Where each shell looks for completions, below a folder like /usr/share.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
    (Shell::Zsh, "zsh/site-functions"),
];

/// Writes the pages of `programs` into `man/man1` and their completions into the folders of the shells.
pub(super) fn run(args: &ManualArgs, programs: [clap::Command; 3]) -> Result<Outcome> {
    let pages = args.folder.join("man/man1");
    create(&pages)?;
    for program in programs {
        // `csm help generate` is `csm generate --help`: no separate pages.
        let mut program = without_help(program);
        let name = program.get_name().to_owned();
        for (shell, place) in SHELLS {
            let folder = args.folder.join(place);
            create(&folder)?;
            clap_complete::generate_to(shell, &mut program, &name, &folder).map_err(|e| Error::write(&folder, e))?;
        }
        clap_mangen::generate_to(program, &pages).map_err(|e| Error::write(&pages, e))?;
    }
    print_line(&format!(
        "{}: manual pages; completions for bash, fish and zsh in the folders of the shells",
        pages.display()
    ))?;
    Ok(Outcome::Done)
}

fn without_help(program: clap::Command) -> clap::Command {
    let program = program.disable_help_subcommand(true);
    let names: Vec<String> = program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.into_iter().fold(program, |program, name| program.mut_subcommand(name, without_help))
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))
}
