//! `csm-generate-mlx`: the same as `csm generate`.

// SAFETY: the dynamic linker calls the functions of this section once, before the libraries' constructors.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".preinit_array")]
static FIRST: extern "C" fn() = csm_studio::machine::before_libraries;

fn main() -> std::process::ExitCode {
    csm_studio::cli::csm_generate_mlx()
}
