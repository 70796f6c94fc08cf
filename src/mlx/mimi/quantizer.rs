//! Mimi's two residual quantisers: a semantic chain and an acoustic chain on the same latent, their outputs added.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::{TryIndexOp, argmin_axis};
use mlx_rs::ops::{maximum, stack};

use crate::config::MimiConfig;
use crate::mlx::weights::Weights;

type Result<T> = std::result::Result<T, Exception>;

/// Smallest usage that a codebook's sums are divided by.
const EPSILON: f32 = 1e-5;

struct Chain {
    input: Array,  // (d, inner)
    output: Array, // (inner, d)
    codebooks: Vec<Codebook>,
}

struct Codebook {
    vectors: Array, // (ids, inner)
    norms: Array,   // (ids,): squared lengths
}

impl Chain {
    fn load(w: &mut Weights<'_>, name: &str, layers: usize) -> Result<Self> {
        let book = |w: &mut Weights<'_>, n: usize| {
            let usage = w.get(&format!("{name}.layers.{n}.codebook.cluster_usage"))?;
            let sums = w.get(&format!("{name}.layers.{n}.codebook.embed_sum"))?;
            let vectors = sums.divide(maximum(usage, Array::from_f32(EPSILON))?.expand_dims_axes(&[1])?)?;
            let norms = vectors.square()?.sum_axis(1, false)?;
            Ok(Codebook { vectors, norms })
        };
        Ok(Self {
            input: w.get(&format!("{name}.input_proj.weight"))?.squeeze_axes(&[2])?.t(),
            output: w.get(&format!("{name}.output_proj.weight"))?.squeeze_axes(&[2])?.t(),
            codebooks: (0..layers).map(|n| book(w, n)).collect::<Result<_>>()?,
        })
    }

    /// `codes`: (n, T) for the first n codebooks. Gives (T, d).
    fn decode(&self, codes: &Array) -> Result<Array> {
        let mut sum = None;
        for (n, book) in self.codebooks.iter().take(codes.dim(0) as usize).enumerate() {
            let vectors = book.vectors.take_axis(codes.try_index(n as i32)?, 0)?; // (T, inner)
            sum = Some(match sum {
                None => vectors,
                Some(sum) => vectors.add(sum)?,
            });
        }
        sum.expect("a chain has a codebook").matmul(&self.output)
    }

    /// `x`: (T, d). Gives the codes of the first `n` codebooks, (T,) each: the nearest vector of what the ones before left.
    fn encode(&self, x: &Array, n: usize) -> Result<Vec<Array>> {
        let mut rest = x.matmul(&self.input)?; // (T, inner)
        let mut codes = Vec::new();
        for book in self.codebooks.iter().take(n) {
            // |r - e|^2 without |r|^2, which is the same for every e.
            let cross = rest.matmul(book.vectors.t())?.multiply(Array::from_f32(2.0))?;
            let code = argmin_axis(book.norms.subtract(cross)?, 1, false)?; // (T,)
            rest = rest.subtract(book.vectors.take_axis(&code, 0)?)?;
            codes.push(code);
        }
        Ok(codes)
    }
}

/// Both chains.
pub struct Quantizer {
    semantic: Chain,
    acoustic: Chain,
}

impl Quantizer {
    pub fn load(w: &mut Weights<'_>, prefix: &str, c: &MimiConfig) -> Result<Self> {
        let chain = |kind: &str| format!("{prefix}.{kind}_residual_vector_quantizer");
        let semantic = c.num_semantic_quantizers;
        Ok(Self {
            semantic: Chain::load(w, &chain("semantic"), semantic)?,
            acoustic: Chain::load(w, &chain("acoustic"), c.num_quantizers - semantic)?,
        })
    }

    /// `codes`: (K, T). Gives the latent, (1, T, d).
    pub fn decode(&self, codes: &Array) -> Result<Array> {
        let semantic = self.semantic.codebooks.len() as i32;
        let mut latent = self.semantic.decode(codes)?;
        if codes.dim(0) > semantic {
            latent = latent.add(self.acoustic.decode(&codes.try_index(semantic..)?)?)?;
        }
        latent.expand_dims_axes(&[0])
    }

    /// `latent`: (1, T, d). Gives the first `k` codebooks' codes, (K, T).
    pub fn encode(&self, latent: &Array, k: usize) -> Result<Array> {
        let x = latent.squeeze_axes(&[0])?;
        let mut codes = self.semantic.encode(&x, k)?;
        let rest = k - codes.len();
        codes.extend(self.acoustic.encode(&x, rest)?);
        stack(&codes, 0)
    }
}
