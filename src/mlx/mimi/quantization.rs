//! Mimi's two residual vector quantisers, semantic and acoustic, side by side on one latent; their outputs are added.

use mlx_rs::Array;
use mlx_rs::ops::indexing::{TryIndexOp, argmin_axis};
use mlx_rs::ops::{maximum, stack, zeros};

use crate::checkpoint::weights::{CodebookWeights, QuantizerWeights, ResidualQuantizerWeights};
use crate::mlx::nn::Result;

/// Smallest usage by which a codebook's sums are divided.
const EPSILON: f32 = 1e-5;

struct ResidualVectorQuantizer {
    input: Array,  // (d, inner)
    output: Array, // (inner, d)
    codebooks: Vec<Codebook>,
}

struct Codebook {
    vectors: Array, // (ids, inner)
    norms: Array,   // (ids,): squared lengths
}

impl ResidualVectorQuantizer {
    fn new(w: ResidualQuantizerWeights<Array>) -> Result<Self> {
        let codebook = |w: CodebookWeights<Array>| {
            let usage = maximum(w.cluster_usage, Array::from_f32(EPSILON))?.expand_dims_axes(&[1])?;
            let vectors = w.embed_sum.divide(usage)?;
            let norms = vectors.square()?.sum_axis(1, false)?;
            Ok(Codebook { vectors, norms })
        };
        Ok(Self {
            input: w.input.squeeze_axes(&[2])?.t(),
            output: w.output.squeeze_axes(&[2])?.t(),
            codebooks: w.codebooks.into_iter().map(codebook).collect::<Result<_>>()?,
        })
    }

    /// `codes`: (n, T) of the first n codebooks; codebooks that `mask` excludes add nothing. Returns (T, d).
    fn decode(&self, codes: &Array, mask: &[bool]) -> Result<Array> {
        let mut sum: Option<Array> = None;
        for (n, codebook) in self.codebooks.iter().enumerate().take(codes.dim(0) as usize).filter(|(n, _)| mask[*n]) {
            let vectors = codebook.vectors.take_axis(codes.try_index(n as i32)?, 0)?; // (T, inner)
            sum = Some(match sum {
                None => vectors,
                Some(sum) => vectors.add(sum)?,
            });
        }
        match sum {
            Some(sum) => sum.matmul(&self.output),
            None => zeros::<f32>(&[codes.dim(1), self.output.dim(1)]),
        }
    }

    /// `x`: (T, d). Returns the codes of the first `n` codebooks, (T,) each: the vector nearest to the residual.
    fn encode(&self, x: &Array, n: usize) -> Result<Vec<Array>> {
        let mut residual = x.matmul(&self.input)?; // (T, inner)
        let mut codes = Vec::new();
        for codebook in self.codebooks.iter().take(n) {
            // |r - e|^2 without |r|^2, which is the same for every e.
            let cross = residual.matmul(codebook.vectors.t())?.multiply(Array::from_f32(2.0))?;
            let code = argmin_axis(codebook.norms.subtract(cross)?, 1, false)?; // (T,)
            residual = residual.subtract(codebook.vectors.take_axis(&code, 0)?)?;
            codes.push(code);
        }
        Ok(codes)
    }
}

pub(super) struct SplitQuantizer {
    semantic: ResidualVectorQuantizer,
    acoustic: ResidualVectorQuantizer,
}

impl SplitQuantizer {
    pub(super) fn new(w: QuantizerWeights<Array>) -> Result<Self> {
        Ok(Self {
            semantic: ResidualVectorQuantizer::new(w.semantic)?,
            acoustic: ResidualVectorQuantizer::new(w.acoustic)?,
        })
    }

    /// `codes`: (K, T), `mask`: whether each of the K is decoded. Returns the latent, (1, T, d).
    pub(super) fn decode(&self, codes: &Array, mask: &[bool]) -> Result<Array> {
        let semantic = self.semantic.codebooks.len();
        let mut latent = self.semantic.decode(codes, mask)?;
        if codes.dim(0) as usize > semantic {
            let rest = codes.try_index(semantic as i32..)?;
            latent = latent.add(self.acoustic.decode(&rest, &mask[semantic..])?)?;
        }
        latent.expand_dims_axes(&[0])
    }

    /// `latent`: (1, T, d). Returns the first `k` codebooks' codes, (K, T).
    pub(super) fn encode(&self, latent: &Array, k: usize) -> Result<Array> {
        let x = latent.squeeze_axes(&[0])?;
        let mut codes = self.semantic.encode(&x, k)?;
        let acoustic = k - codes.len();
        codes.extend(self.acoustic.encode(&x, acoustic)?);
        stack(&codes, 0)
    }
}
