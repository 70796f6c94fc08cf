//! One binary, so that libtorch and MLX are linked once. nextest gives every test a process of its own, which MLX needs.

mod goldens;
mod support;
