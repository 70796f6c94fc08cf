use crate::error::{Error, Result};

/// A random seed of 32 bits, which is easier to copy than one of 64.
///
/// # Errors
/// [`Error::Unavailable`] if the system has no random bytes.
pub fn random_seed() -> Result<u64> {
    getrandom::u64().map(|seed| seed >> 32).map_err(|e| Error::Unavailable {
        what: "cannot get random bytes from the system".into(),
        hint: "choose a seed".into(),
        source: Some(Box::new(e)),
    })
}

/// A small generator for orders that have to be repeatable: SplitMix64 (Steele, Lea, Flood 2014). Not for sampling tokens.
#[derive(Clone, Debug)]
pub struct RepeatableRandom(u64);

impl RepeatableRandom {
    /// A sequence that `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to n - 1.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) as u128 * n as u128) >> 64) as usize
    }

    /// Puts a list into a drawn order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        (1..list.len()).rev().for_each(|i| list.swap(i, self.below(i + 1)));
    }
}
