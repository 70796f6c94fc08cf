//! The goldens' numbers: `tests/goldens/formula.py` in Rust.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// `count` numbers in [-1, 1).
pub fn uniform(name: &str, seed: u64, count: usize) -> impl Iterator<Item = f32> {
    let state = fnv1a(name) ^ seed.wrapping_mul(GOLDEN);
    (1..=count as u64).map(move |i| {
        let z = state.wrapping_add(i.wrapping_mul(GOLDEN));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 * (1.0 / (1 << 23) as f32) - 1.0
    })
}

/// Values of a tensor: `offset + scale * u`.
pub fn values(name: &str, seed: u64, count: usize, offset: f32, scale: f32) -> Vec<f32> {
    uniform(name, seed, count).map(|u| offset + scale * u).collect()
}

/// Noise whose loudness changes from frame to frame.
pub fn wave(name: &str, seed: u64, samples: usize) -> Vec<f32> {
    let loudness = values(&format!("{name}.loudness"), seed, samples.div_ceil(1920), 0.3125, 0.25);
    uniform(name, seed, samples).enumerate().map(|(i, u)| loudness[i / 1920] * u).collect()
}
