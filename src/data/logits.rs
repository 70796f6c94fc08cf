/// Raw logits of one frame, `[K][V]`, before temperature and masks.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    vocab: usize,
    values: Vec<f32>, // row-major
    /// Per codebook, its tokens in the frames before, the last one first; none if they are not known.
    recent: Vec<Vec<u32>>,
}

impl Logits {
    /// Row-major values of a whole number of codebooks.
    ///
    /// # Panics
    /// Where `values` does not fill whole rows.
    pub fn new(vocab: usize, values: Vec<f32>) -> Self {
        assert!(vocab > 0 && values.len().is_multiple_of(vocab), "{} values in rows of {vocab}", values.len());
        Self { vocab, values, recent: Vec::new() }
    }

    /// These logits with the tokens of the frames before, [`Codes::recent`](super::Codes::recent): a repetition penalty depends on them.
    pub fn with_recent(self, recent: Vec<Vec<u32>>) -> Self {
        Self { recent, ..self }
    }

    /// Tokens of `codebook` in the frames before, the last one first; none if they are not known.
    pub fn recent(&self, codebook: usize) -> &[u32] {
        self.recent.get(codebook).map_or(&[], Vec::as_slice)
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
