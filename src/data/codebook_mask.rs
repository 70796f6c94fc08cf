/// The codebooks of a clip that are decoded. The others add nothing to the residual vector quantiser's sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodebookMask(Vec<bool>);

impl CodebookMask {
    /// Decodes codebook k if `keeps[k]`.
    pub fn new(keeps: Vec<bool>) -> Self {
        Self(keeps)
    }

    /// Decodes all of `codebooks` codebooks.
    pub fn all(codebooks: usize) -> Self {
        Self(vec![true; codebooks])
    }

    /// Decodes the first `n` of `codebooks` codebooks, at least one.
    pub fn first(n: usize, codebooks: usize) -> Self {
        Self((0..codebooks).map(|k| k < n.max(1)).collect())
    }

    /// One entry per codebook: whether it is decoded.
    pub fn entries(&self) -> &[bool] {
        &self.0
    }

    /// Whether every codebook is decoded.
    pub fn is_all(&self) -> bool {
        self.0.iter().all(|keep| *keep)
    }

    /// The decoded codebooks in words.
    pub fn describe(&self) -> String {
        let kept: Vec<String> = (0..self.0.len()).filter(|k| self.0[*k]).map(|k| k.to_string()).collect();
        let leading = self.0.iter().take_while(|keep| **keep).count();
        match kept.len() {
            _ if self.is_all() => "all codebooks".into(),
            n if n == leading && n > 1 => format!("the first {n} codebooks"),
            1 => format!("codebook {}", kept[0]),
            _ => format!("codebooks {}", kept.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_says_what_it_keeps() {
        assert_eq!(CodebookMask::first(2, 4), CodebookMask::new(vec![true, true, false, false]));
        assert_eq!(
            (CodebookMask::first(4, 4), CodebookMask::first(0, 2)),
            (CodebookMask::all(4), CodebookMask::first(1, 2))
        );
        let described =
            [CodebookMask::all(3), CodebookMask::first(2, 3), CodebookMask::first(1, 3)].map(|m| m.describe());
        assert_eq!(described, ["all codebooks", "the first 2 codebooks", "codebook 0"]);
        assert_eq!(CodebookMask::new(vec![true, false, true]).describe(), "codebooks 0, 2");
    }
}
