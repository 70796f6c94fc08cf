//! How tokens are drawn: settings, and pure functions on plain data. Engines hold the tensor forms of the same formulas.

pub mod ahead;
pub mod noise;
pub mod reference;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Dtype;
use crate::config::GenerationConfig;
use crate::error::{Error, Result};

/// Who computes and who draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// MLX computes, and MLX's own categorical sampling draws.
    #[default]
    Native,
    /// MLX computes; the draw is PyTorch's, from PyTorch's noise.
    Exact,
    /// PyTorch computes and draws; MLX decodes.
    Hybrid,
}

impl Mode {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Exact => "exact",
            Self::Hybrid => "hybrid",
        }
    }

    /// Number type to compute in where the user names none: `stored`, the checkpoint's own, for *native*; float32 where tokens
    /// have to be PyTorch's.
    pub fn precision(self, stored: Dtype) -> Dtype {
        if self == Self::Native { stored } else { Dtype::Float32 }
    }
}

/// Temperature and top-k of one kind of codebook.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Divides the logits; 0 takes the most likely token.
    pub temperature: f64,
    /// Tokens below the k-th most likely are never drawn; ties stay. At least 1; at the vocabulary's size nothing is cut.
    pub top_k: usize,
}

/// Ids that are never drawn, in any codebook. 0 is not among them, or nothing could end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guard {
    first: u32,
    last: u32,
}

impl Guard {
    /// Ids `first..=last`.
    ///
    /// # Errors
    /// [`Error::Value`] for an empty range or one with 0 in it.
    pub fn new(first: u32, last: u32) -> Result<Self> {
        if first == 0 || last < first {
            let expected = "A-B with 1 <= A <= B (0 ends the speech and cannot be forbidden)";
            return Err(Error::value("--guard-range", expected, format!("{first}-{last}")));
        }
        Ok(Self { first, last })
    }

    /// Whether `id` is forbidden.
    pub fn forbids(self, id: u32) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// First and last forbidden id.
    pub fn range(self) -> (u32, u32) {
        (self.first, self.last)
    }
}

impl std::fmt::Display for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl std::str::FromStr for Guard {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let wrong = || Error::value("--guard-range", "A-B, two ids", format!("{s:?}"));
        let (a, b) = s.split_once('-').ok_or_else(wrong)?;
        let id = |t: &str| t.trim().parse().map_err(|_| wrong());
        Self::new(id(a)?, id(b)?)
    }
}

impl TryFrom<String> for Guard {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Guard> for String {
    fn from(g: Guard) -> Self {
        g.to_string()
    }
}

/// All that decides which tokens come out, beside the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Who computes and who draws.
    pub mode: Mode,
    /// Temperature of codebook 0.
    pub temperature: f64,
    /// Top-k of codebook 0.
    pub topk: usize,
    /// Temperature of the other codebooks.
    pub depth_temperature: f64,
    /// Top-k of the other codebooks.
    pub depth_topk: usize,
    /// Seed of the random stream.
    pub seed: u64,
    /// Ids never drawn.
    #[serde(default)]
    pub guard: Option<Guard>,
    /// Number type of the computation.
    pub precision: Dtype,
}

/// Temperature where neither the user nor the checkpoint says one.
pub const DEFAULT_TEMPERATURE: f64 = 0.9;
/// Top-k where neither the user nor the checkpoint says one.
pub const DEFAULT_TOP_K: usize = 50;

impl Sampling {
    /// What a checkpoint suggests; where it says nothing, 0.9 and 50. `vocab` bounds top-k.
    pub fn suggested(from: &GenerationConfig, mode: Mode, seed: u64, precision: Dtype, vocab: usize) -> Self {
        let temperature = from.temperature.unwrap_or(DEFAULT_TEMPERATURE);
        let top_k = from.top_k.unwrap_or(DEFAULT_TOP_K).min(vocab);
        Self {
            mode,
            temperature,
            topk: top_k,
            depth_temperature: from.depth_decoder_temperature.unwrap_or(temperature),
            depth_topk: from.depth_decoder_top_k.unwrap_or(top_k).min(vocab),
            seed,
            guard: None,
            precision,
        }
    }

    /// How codebook `codebook` is drawn.
    pub fn draw(&self, codebook: usize) -> Draw {
        if codebook == 0 {
            Draw { temperature: self.temperature, top_k: self.topk }
        } else {
            Draw { temperature: self.depth_temperature, top_k: self.depth_topk }
        }
    }

    /// Checks every value against the vocabulary.
    ///
    /// # Errors
    /// [`Error::Value`] that names the flag.
    pub fn check(&self, vocab: usize) -> Result<()> {
        for (name, t) in [("--temperature", self.temperature), ("--depth-temperature", self.depth_temperature)] {
            if !(t.is_finite() && t >= 0.0) {
                return Err(Error::value(name, "0 (greedy) or a positive number", t));
            }
        }
        for (name, k) in [("--topk", self.topk), ("--depth-topk", self.depth_topk)] {
            if !(1..=vocab).contains(&k) {
                return Err(Error::value(name, format!("1 to {vocab} (the vocabulary)"), k));
            }
        }
        if let Some(guard) = self.guard
            && guard.last as usize >= vocab
        {
            return Err(Error::value("--guard-range", format!("ids up to {}", vocab - 1), guard));
        }
        Ok(())
    }
}
