//! The window.

fn main() -> std::process::ExitCode {
    csm_studio::cli::csm_studio()
}
