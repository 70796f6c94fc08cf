//! One binary, so that libtorch and MLX are linked once. nextest gives every test its own process, which MLX needs.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod acoustics;
mod analyze;
mod boundaries;
mod command_line;
mod docs;
mod download;
mod english;
mod examples;
#[cfg(target_os = "linux")]
mod faults;
mod field;
mod goldens;
mod layouts;
mod listen_page;
mod loader;
mod measures;
mod quantize;
mod speech;
mod studio;
mod support;
#[cfg(feature = "torch")]
mod verify;
mod words;
