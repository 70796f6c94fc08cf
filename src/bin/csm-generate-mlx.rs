//! `csm-generate-mlx`: the same as `csm generate`.

fn main() -> std::process::ExitCode {
    csm_studio::cli::csm_generate_mlx()
}
