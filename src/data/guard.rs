use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Ids that are never drawn, in any codebook, as one range. 0 cannot be among them, or no clip could end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RangeGuard {
    first: u32,
    last: u32,
}

impl RangeGuard {
    /// The range that is offered first: the low ids, which some checkpoints draw too often.
    pub const DEFAULT: Self = Self { first: 1, last: 31 };

    /// [`RangeGuard::DEFAULT`], shortened to a vocabulary of `vocab` ids; `None` if nothing of it is left.
    pub fn default_for(vocab: usize) -> Option<Self> {
        Self::new(Self::DEFAULT.first, Self::DEFAULT.last.min((vocab as u32).saturating_sub(1))).ok()
    }

    /// A guard against the ids `first..=last`.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for an empty range or one that contains 0.
    pub fn new(first: u32, last: u32) -> Result<Self> {
        if first == 0 || last < first {
            let expected = "A-B with 1 <= A <= B (id 0 ends the speech and cannot be forbidden)";
            return Err(Error::invalid("guard_range", expected, format!("{first}-{last}")));
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

    /// One entry per id, true if the id is forbidden, `[vocab]`.
    pub fn mask(self, vocab: usize) -> Vec<bool> {
        (0..vocab as u32).map(|id| self.forbids(id)).collect()
    }
}

impl std::fmt::Display for RangeGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl std::str::FromStr for RangeGuard {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let ids = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
        let (first, last) = ids.ok_or_else(|| Error::invalid("guard_range", "A-B, two ids", format!("{text:?}")))?;
        Self::new(first, last)
    }
}

impl TryFrom<String> for RangeGuard {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RangeGuard> for String {
    fn from(guard: RangeGuard) -> Self {
        guard.to_string()
    }
}
