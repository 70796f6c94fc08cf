//! Sampling modes as a table. A new mode is a variant and an entry; a new [`NoiseSource`] is also an arm in each engine's sampler,
//! which the compiler asks for.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Dtype;
use crate::error::Error;

/// How a clip is computed and sampled. Its properties are in [`Mode::info`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// MLX computes and draws.
    #[default]
    Native,
    /// MLX, reproducing PyTorch's tokens.
    Exact,
    /// PyTorch generates, MLX decodes.
    Hybrid,
}

/// The backend that computes the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The language model runs on MLX.
    Mlx,
    /// PyTorch through libtorch; needs the cargo feature `torch`.
    Torch,
}

/// Where the randomness of a draw comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoiseSource {
    /// MLX's categorical sampling, with a key derived from (seed, frame, codebook).
    MlxKey,
    /// PyTorch's mt19937 stream: one exponential value per id, 2 * V * K words per frame.
    TorchStream,
}

/// Precision of the language model if the user names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PrecisionRule {
    /// The type in which the weights are stored; float32 where MLX computes on the CPU, which is slow in 16 bits.
    Checkpoint,
    /// Float32, without which PyTorch's tokens cannot be expected.
    Float32,
}

/// Properties of a mode.
#[derive(Debug)]
pub struct ModeInfo {
    /// The mode that this entry describes.
    pub mode: Mode,
    /// Name on the command line, in files and in the window.
    pub name: &'static str,
    /// One line for help texts.
    pub summary: &'static str,
    /// How a token is drawn, for `--debug`.
    pub sampler: &'static str,
    /// The backend that computes the logits.
    pub backend: Backend,
    /// Where the randomness comes from.
    pub noise: NoiseSource,
    precision: PrecisionRule,
}

static MODES: [ModeInfo; 3] = [
    ModeInfo {
        mode: Mode::Native,
        name: "native",
        summary: "Fastest: MLX computes and samples",
        sampler: "MLX's categorical sampling",
        backend: Backend::Mlx,
        noise: NoiseSource::MlxKey,
        precision: PrecisionRule::Checkpoint,
    },
    ModeInfo {
        mode: Mode::Exact,
        name: "exact",
        summary: "The same tokens as PyTorch, computed by MLX",
        sampler: "argmax(p / q) in MLX with PyTorch's noise q",
        backend: Backend::Mlx,
        noise: NoiseSource::TorchStream,
        precision: PrecisionRule::Float32,
    },
    ModeInfo {
        mode: Mode::Hybrid,
        name: "hybrid",
        summary: "PyTorch computes and samples, MLX decodes",
        sampler: "PyTorch's multinomial",
        backend: Backend::Torch,
        noise: NoiseSource::TorchStream,
        precision: PrecisionRule::Float32,
    },
];

impl Mode {
    /// Every mode, in the order in which front ends list them.
    pub fn all() -> &'static [ModeInfo] {
        &MODES
    }

    /// Backend, noise, name and summary of the mode.
    pub fn info(self) -> &'static ModeInfo {
        &MODES[self as usize]
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Precision of the language model if the user names none; `stored` is the type of the checkpoint's weights. A GPU computes in 16
    /// bits, bfloat16 for weights that are stored in float32, as Sesame's own program does: half the bytes, and they bound a frame.
    /// The processor computes in float32, which reads weights as they are stored.
    pub fn default_precision(self, stored: Dtype, on_gpu: bool) -> Dtype {
        match self.info().precision {
            PrecisionRule::Checkpoint if on_gpu && stored == Dtype::Float32 => Dtype::Bfloat16,
            PrecisionRule::Checkpoint if on_gpu => stored,
            PrecisionRule::Checkpoint | PrecisionRule::Float32 => Dtype::Float32,
        }
    }
}

impl FromStr for Mode {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        let names = || MODES.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
        let found = MODES.iter().find(|m| m.name == name);
        found.map(|m| m.mode).ok_or_else(|| Error::invalid("sampling", names(), format!("{name:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_computes_in_sixteen_bits_where_the_mode_allows_it() {
        use Dtype::{Bfloat16, Float16, Float32};
        for (stored, on_gpu, expected) in [
            (Float32, true, Bfloat16),
            (Float16, true, Float16),
            (Bfloat16, true, Bfloat16),
            (Float32, false, Float32),
            (Bfloat16, false, Float32),
        ] {
            assert_eq!(Mode::Native.default_precision(stored, on_gpu), expected, "{stored:?} {on_gpu}");
            assert_eq!(Mode::Exact.default_precision(stored, on_gpu), Float32);
            assert_eq!(Mode::Hybrid.default_precision(stored, on_gpu), Float32);
        }
    }

    #[test]
    fn the_table_is_complete_and_in_order() {
        for (n, info) in MODES.iter().enumerate() {
            assert_eq!((info.mode as usize, info.mode.info().name), (n, info.name));
            assert_eq!(info.name.parse::<Mode>().unwrap(), info.mode);
            assert_eq!(serde_json::to_string(&info.mode).unwrap(), format!("{:?}", info.name));
        }
    }
}
