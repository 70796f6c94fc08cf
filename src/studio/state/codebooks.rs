//! Which codebooks are heard: all, those that are not muted, or those that are solo.

/// Codebooks of a clip that are decoded. A codebook that is not heard adds nothing to the residual vector quantiser's sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codebooks {
    muted: Vec<usize>,
    solo: Vec<usize>,
}

impl Codebooks {
    /// The first `n` codebooks of `all`.
    pub fn first(n: usize, all: usize) -> Self {
        Self { muted: (n.max(1)..all).collect(), solo: Vec::new() }
    }

    /// Which of `all` codebooks are heard, in words.
    pub fn describe(&self, all: usize) -> String {
        let heard: Vec<String> = (0..all).filter(|k| self.is_heard(*k)).map(|k| k.to_string()).collect();
        match (heard.len(), self.leading(all)) {
            (n, _) if n == all => "all codebooks".into(),
            (n, leading) if n == leading && n > 1 => format!("the first {n} codebooks"),
            (1, _) => format!("codebook {}", heard[0]),
            _ => format!("codebooks {}", heard.join(", ")),
        }
    }

    /// How many codebooks are heard from the first one on without a gap.
    pub fn leading(&self, all: usize) -> usize {
        (0..all).take_while(|k| self.is_heard(*k)).count()
    }

    /// Mutes a codebook, or no longer.
    pub fn toggle_mute(&mut self, codebook: usize) {
        toggle(&mut self.muted, codebook);
    }

    /// Hears only the codebooks that are solo, or no longer.
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

    /// Whether a codebook is heard.
    pub fn is_heard(&self, codebook: usize) -> bool {
        if self.solo.is_empty() { !self.is_muted(codebook) } else { self.is_solo(codebook) }
    }

    /// For each of `all` codebooks, whether it is heard; `None` where all are.
    pub fn heard(&self, all: usize) -> Option<Vec<bool>> {
        let heard: Vec<bool> = (0..all).map(|k| self.is_heard(k)).collect();
        heard.contains(&false).then_some(heard)
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
        let mut codebooks = Codebooks::default();
        assert_eq!(codebooks.heard(3), None);
        codebooks.toggle_mute(1);
        assert_eq!(codebooks.heard(3), Some(vec![true, false, true]));
        codebooks.toggle_solo(1);
        assert_eq!(codebooks.heard(3), Some(vec![false, true, false]), "solo is heard though muted");
        codebooks.toggle_solo(1);
        codebooks.toggle_mute(1);
        assert_eq!(codebooks, Codebooks::default());
        assert_eq!(Codebooks::first(2, 4).heard(4), Some(vec![true, true, false, false]));
        assert_eq!((Codebooks::first(2, 4).leading(4), Codebooks::default().leading(4)), (2, 4));
        assert_eq!((Codebooks::first(4, 4), Codebooks::first(0, 2)), (Codebooks::default(), Codebooks::first(1, 2)));
    }
}
