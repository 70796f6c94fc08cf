//! Mute and solo of codebooks, as on a mixing desk.

use crate::data::CodebookMask;

/// Which codebooks are muted and which are solo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodebookMixer {
    muted: Vec<usize>,
    solo: Vec<usize>,
}

impl CodebookMixer {
    /// Plays the first `n` of `all` codebooks.
    pub fn first(n: usize, all: usize) -> Self {
        Self { muted: (n.max(1)..all).collect(), solo: Vec::new() }
    }

    /// Number of codebooks that are played from the first one on without a gap.
    pub fn leading(&self, all: usize) -> usize {
        (0..all).take_while(|k| self.plays(*k)).count()
    }

    /// Mutes a codebook or unmutes it.
    pub fn toggle_mute(&mut self, codebook: usize) {
        toggle(&mut self.muted, codebook);
    }

    /// Plays only solo codebooks, this one among them or no longer.
    pub fn toggle_solo(&mut self, codebook: usize) {
        toggle(&mut self.solo, codebook);
    }

    /// Whether a codebook is muted.
    pub fn is_muted(&self, codebook: usize) -> bool {
        self.muted.contains(&codebook)
    }

    /// Whether a codebook is solo.
    pub fn is_solo(&self, codebook: usize) -> bool {
        self.solo.contains(&codebook)
    }

    /// Whether a codebook is played.
    pub fn plays(&self, codebook: usize) -> bool {
        if self.solo.is_empty() { !self.is_muted(codebook) } else { self.is_solo(codebook) }
    }

    /// The mask of `all` codebooks.
    pub fn mask(&self, all: usize) -> CodebookMask {
        CodebookMask::new((0..all).map(|k| self.plays(k)).collect())
    }
}

fn toggle(list: &mut Vec<usize>, codebook: usize) {
    match list.iter().position(|k| *k == codebook) {
        Some(at) => drop(list.remove(at)),
        None => list.push(codebook),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mute_and_solo_are_those_of_a_mixing_desk() {
        let mut mixer = CodebookMixer::default();
        assert!(mixer.mask(3).is_all());
        mixer.toggle_mute(1);
        assert_eq!(mixer.mask(3).entries(), [true, false, true]);
        mixer.toggle_solo(1);
        assert_eq!(mixer.mask(3).entries(), [false, true, false], "a solo codebook is played although it is muted");
        mixer.toggle_solo(1);
        mixer.toggle_mute(1);
        assert_eq!(mixer, CodebookMixer::default());
        assert_eq!(CodebookMixer::first(2, 4).mask(4), CodebookMask::first(2, 4));
        assert_eq!((CodebookMixer::first(2, 4).leading(4), CodebookMixer::default().leading(4)), (2, 4));
        assert_eq!(CodebookMixer::first(4, 4), CodebookMixer::default());
    }
}
