//! `csm`: see `csm help`.

fn main() -> std::process::ExitCode {
    csm_studio::cli::csm()
}
