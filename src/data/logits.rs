/// Raw logits of one frame, `[K][V]`, before temperature and masks.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    vocab: usize,
    values: Vec<f32>, // row-major
}

impl Logits {
    /// Row-major values of a whole number of codebooks.
    ///
    /// # Panics
    /// Where `values` does not fill whole rows.
    pub fn new(vocab: usize, values: Vec<f32>) -> Self {
        assert!(vocab > 0 && values.len().is_multiple_of(vocab), "{} values in rows of {vocab}", values.len());
        Self { vocab, values }
    }

    /// Logits of `codebook`, `[V]`.
    ///
    /// # Panics
    /// Where there is no such codebook.
    pub fn row(&self, codebook: usize) -> &[f32] {
        &self.values[codebook * self.vocab..(codebook + 1) * self.vocab]
    }

    /// Logits of every codebook in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.vocab)
    }

    /// All values in row-major order, `[K * V]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
