//! The draw as part of the graph: the tensor form of [`crate::sampling::reference`].

use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::{argmax, topk};
use mlx_rs::ops::{select, softmax};
use mlx_rs::{Array, random};

use crate::sampling::{Draw, Guard};

type Result<T> = std::result::Result<T, Exception>;

/// Where the randomness of one draw comes from.
pub enum Noise {
    /// MLX's own generator, with this key.
    Key(Array),
    /// PyTorch's exponential noise, (V,).
    Exponential(Array),
}

/// Key of MLX's generator for one draw: seed, frame and codebook mixed by SplitMix64's finaliser (Steele et al. 2014), so
/// that any frame can be made again without the ones before it.
pub fn native_key(seed: u64, frame: usize, codebook: usize) -> Result<Array> {
    let mix = |x: u64| {
        let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    random::key(mix(mix(mix(seed) ^ frame as u64) ^ codebook as u64))
}

/// One token from float32 logits (V,): (1,) uint32.
pub fn draw(logits: &Array, draw: Draw, guard: Option<Guard>, noise: &Noise) -> Result<Array> {
    let vocab = logits.dim(0);
    let minus_infinity = Array::from_f32(f32::NEG_INFINITY);
    let mut warped = logits.clone();
    if draw.temperature > 0.0 {
        warped = warped.divide(Array::from_f32(draw.temperature as f32))?;
    }
    if let Some(guard) = guard {
        let forbidden: Vec<bool> = (0..vocab as u32).map(|id| guard.forbids(id)).collect();
        warped = select(Array::from_slice(&forbidden, &[vocab]), &minus_infinity, warped)?;
    }
    if draw.temperature == 0.0 {
        return argmax(&warped, true);
    }
    if (draw.top_k as i32) < vocab {
        let kth = topk(&warped, draw.top_k as i32)?.min(None)?;
        warped = select(warped.lt(&kth)?, &minus_infinity, &warped)?;
    }
    match noise {
        Noise::Key(key) => random::categorical(&warped, None, None, key)?.reshape(&[1]),
        Noise::Exponential(q) => argmax(softmax(&warped, true)?.divide(q)?, true),
    }
}
