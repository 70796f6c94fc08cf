//! MLX's noise, without MLX: what `random::categorical` draws with for a key. For questions about draws that were made; the engine draws
//! with MLX itself.
//!
//! MLX's generator is Threefry-2x32 with 20 rounds (Salmon et al. 2011), counting from 0 in two halves. `uniform` divides its words by
//! `2^32 - 1` and stays below 1, `categorical` is `argmax(logits - ln(-ln u))`. That is `argmax(p / q)` with `q = -ln u`, which is
//! exponential: PyTorch's form of the same draw. A logarithm may differ from MLX's in its last bit, and so may a draw that is that close.

const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/// Source of MLX's key of a draw: seed, frame and codebook mixed by SplitMix64's finaliser (Steele et al. 2014), so that any frame can
/// be made again without the ones before it.
pub fn native_seed(seed: u64, frame: usize, codebook: usize) -> u64 {
    let mix = |x: u64| {
        let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    mix(mix(mix(seed) ^ frame as u64) ^ codebook as u64)
}

/// Fills `out` with the exponential noise of the draw whose key is `random::key(seed)`.
pub fn fill_mlx_noise(seed: u64, out: &mut [f32]) {
    let key = [(seed >> 32) as u32, seed as u32];
    let half = out.len() / 2;
    let odd = out.len() % 2;
    for n in 0..half {
        let [first, second] = threefry(key, [n as u32, (half + odd + n) as u32]);
        (out[n], out[half + odd + n]) = (exponential(first), exponential(second));
    }
    if odd == 1 {
        out[half] = exponential(threefry(key, [half as u32, 0])[0]);
    }
}

fn exponential(word: u32) -> f32 {
    let uniform = (word as f32 / u32::MAX as f32).min(1.0f32.next_down());
    -uniform.ln()
}

fn threefry(key: [u32; 2], mut count: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1bd1_1bda];
    count = [count[0].wrapping_add(keys[0]), count[1].wrapping_add(keys[1])];
    for n in 0..5 {
        for rotation in ROTATIONS[n % 2] {
            count[0] = count[0].wrapping_add(count[1]);
            count[1] = count[1].rotate_left(rotation) ^ count[0];
        }
        count[0] = count[0].wrapping_add(keys[(n + 1) % 3]);
        count[1] = count[1].wrapping_add(keys[(n + 2) % 3]).wrapping_add(n as u32 + 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random123's known answers (kat_vectors, threefry2x32 with 20 rounds).
    #[test]
    fn threefry_gives_the_published_words() {
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]), [0xc492_3a9c, 0x483d_f7a0]);
    }
}
