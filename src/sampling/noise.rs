//! PyTorch's noise on the CPU, to the bit: the stream that `Tensor.exponential_` and `multinomial` draw from.
//!
//! PyTorch's CPU generator is the 32-bit Mersenne Twister (Matsumoto and Nishimura 1998). `exponential_` takes two outputs an
//! element, whatever the tensor's type: `x = hi << 32 | lo`, `u = (x mod 2^53) / 2^53`, value `-ln(1 - u)` in float64,
//! then rounded to the tensor's type (ATen's `uniform_real_distribution<double>` and `exponential_distribution`; checked
//! against libtorch 2.13 in `csm verify`).

const N: usize = 624;
const M: usize = 397;

/// The 32-bit Mersenne Twister, seeded as `torch.manual_seed` seeds it.
#[derive(Clone)]
pub struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    /// Only the low 32 bits of `seed` count, as in PyTorch.
    pub fn new(seed: u64) -> Self {
        let mut state = [0u32; N];
        state[0] = seed as u32;
        for i in 1..N {
            let last = state[i - 1];
            state[i] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    /// The next 32-bit output.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Skips `n` outputs of the generator.
    pub fn skip(&mut self, mut n: u64) {
        while n > 0 {
            if self.next == N {
                self.twist();
            }
            let step = n.min((N - self.next) as u64);
            self.next += step as usize;
            n -= step;
        }
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// PyTorch's exponential noise (rate 1), element after element.
#[derive(Clone)]
pub struct TorchNoise {
    generator: Mt19937,
}

impl TorchNoise {
    /// The stream after `torch.manual_seed(seed)`.
    pub fn new(seed: u64) -> Self {
        Self { generator: Mt19937::new(seed) }
    }

    /// The stream at the start of frame `frame` of a take: every frame before it took one value per codebook and id, which is
    /// two 32-bit outputs each.
    pub fn at_frame(seed: u64, frame: usize, codebooks: usize, vocab: usize) -> Self {
        let mut noise = Self::new(seed);
        noise.generator.skip(2 * (frame * codebooks * vocab) as u64);
        noise
    }

    /// The noise `[vocab]` of one draw: `codebook` of frame `frame`.
    pub fn for_draw(seed: u64, frame: usize, codebook: usize, codebooks: usize, vocab: usize) -> Vec<f32> {
        let mut noise = Self::new(seed);
        noise.generator.skip(2 * ((frame * codebooks + codebook) * vocab) as u64);
        let mut values = vec![0.0; vocab];
        noise.fill(&mut values);
        values
    }

    /// The next value, in `(0, 36.8)`, or 0 if u is 0.
    pub fn next_f64(&mut self) -> f64 {
        let hi = u64::from(self.generator.next_u32());
        let lo = u64::from(self.generator.next_u32());
        let u = (((hi << 32) | lo) & ((1 << 53) - 1)) as f64 * (1.0 / (1u64 << 53) as f64);
        -(-u).ln_1p()
    }

    /// The next value of a float32 tensor.
    pub fn next_f32(&mut self) -> f32 {
        self.next_f64() as f32
    }

    /// Fills `out` as `exponential_` fills a float32 tensor.
    pub fn fill(&mut self, out: &mut [f32]) {
        out.fill_with(|| self.next_f32());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twister_gives_the_published_outputs() {
        // Matsumoto and Nishimura's mt19937ar.c, init_genrand(5489): the 10,000th output (also in the C++ standard).
        let mut mt = Mt19937::new(5489);
        mt.skip(9_999);
        assert_eq!(mt.next_u32(), 4_123_659_995);
    }

    #[test]
    fn skipping_equals_drawing() {
        for n in [0, 1, 5, 623, 624, 625, 10_007] {
            let (mut a, mut b) = (Mt19937::new(1 << 32 | 7), Mt19937::new(7));
            for _ in 0..n {
                a.next_u32();
            }
            b.skip(n);
            assert_eq!(a.next_u32(), b.next_u32(), "{n}");
        }
    }

    #[test]
    fn a_frame_begins_where_the_last_one_ended() {
        let (k, v) = (3, 17);
        let mut whole = TorchNoise::new(9);
        let mut row = vec![0.0; k * v];
        for frame in 0..4 {
            whole.fill(&mut row);
            let mut own = vec![0.0; k * v];
            TorchNoise::at_frame(9, frame, k, v).fill(&mut own);
            assert_eq!(row, own, "{frame}");
        }
    }
}
