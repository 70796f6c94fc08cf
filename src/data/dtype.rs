use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Number type of weights and of the computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision, 32 bits.
    Float32,
    /// IEEE half precision, 16 bits.
    Float16,
    /// The upper half of a float32.
    Bfloat16,
}

impl Dtype {
    /// Every type, widest first.
    pub const ALL: [Self; 3] = [Self::Float32, Self::Float16, Self::Bfloat16];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
        }
    }

    /// Size of a number in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 | Self::Bfloat16 => 2,
        }
    }
}

impl FromStr for Dtype {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|d| d.name() == name);
        found.ok_or_else(|| Error::invalid("precision", Self::ALL.map(Self::name).join(", "), format!("{name:?}")))
    }
}
