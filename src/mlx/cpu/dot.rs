//! Dot products of stored numbers with float32 activations, in the widest instructions that the processor has. However many
//! activations share a row of weights, each sum is added up in the same order: a clip's tokens do not depend on what is computed
//! next to it. NEON adds in the order of AVX-512, so that Apple's processors give its sums to the bit.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::{bf16, f16};

/// A number as a checkpoint stores it.
pub(super) trait Stored: Copy + Send + Sync {
    /// This number in float32, exactly.
    fn widen(self) -> f32;

    /// A whole register of numbers at once.
    ///
    /// # Safety
    /// As many numbers have to lie at `from`, and the processor needs the register's instructions.
    unsafe fn load<R: Register>(from: *const Self) -> R;
}

impl Stored for f32 {
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    unsafe fn load<R: Register>(from: *const Self) -> R {
        // SAFETY: as the caller promises; so for all of these.
        unsafe { R::load(from) }
    }
}

impl Stored for bf16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    unsafe fn load<R: Register>(from: *const Self) -> R {
        // SAFETY: as above.
        unsafe { R::load_bf16(from) }
    }
}

impl Stored for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    unsafe fn load<R: Register>(from: *const Self) -> R {
        // SAFETY: as above.
        unsafe { R::load_f16(from) }
    }
}

/// Several float32 numbers that are computed at once.
///
/// # Safety
/// For all functions: the processor has the instructions, and [`Register::WIDTH`] numbers lie at a pointer.
pub(super) trait Register: Copy {
    const WIDTH: usize;
    /// Whether a tile of two rows and four activations fits into the processor's registers.
    const WIDE_TILES: bool = true;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn load_bf16(from: *const bf16) -> Self;
    unsafe fn load_f16(from: *const f16) -> Self;
    /// Whole numbers of a byte each.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// Whole numbers of half a byte each, the lower half first; `from` is the byte of number `place`.
    unsafe fn load_nibbles(from: *const u8, place: usize) -> Self;
    unsafe fn all(value: f32) -> Self;
    /// `self + a * b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn sum(self) -> f32;
}

#[cfg(target_arch = "x86_64")]
impl Register for __m512 {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: as the trait says; so for all of these.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, _place: usize) -> Self {
        // SAFETY: as above.
        unsafe {
            let words = _mm_cvtepu8_epi16(_mm_loadl_epi64(from.cast())); // 8 bytes as 8 words
            let halves = _mm_and_si128(_mm_or_si128(words, _mm_slli_epi16::<4>(words)), _mm_set1_epi8(15));
            _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(halves))
        }
    }

    #[inline(always)]
    unsafe fn all(value: f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, self) }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe { _mm512_reduce_add_ps(self) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Register for __m256 {
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: as above.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())))) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, _place: usize) -> Self {
        // SAFETY: as above.
        unsafe {
            let words = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(from.cast::<i32>().read_unaligned())); // 4 bytes as words
            let halves = _mm_and_si128(_mm_or_si128(words, _mm_slli_epi16::<4>(words)), _mm_set1_epi8(15));
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(halves))
        }
    }

    #[inline(always)]
    unsafe fn all(value: f32) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(a, b, self) }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}

/// Sixteen numbers in four of NEON's registers.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
struct Neon([float32x4_t; 4]);

#[cfg(target_arch = "aarch64")]
impl Neon {
    /// Eight 16-bit words in each half, as 32-bit words in order.
    #[inline(always)]
    unsafe fn widen_words(words: [uint16x8_t; 2]) -> [uint32x4_t; 4] {
        // SAFETY: as the trait says; so for all of these.
        unsafe {
            [
                vmovl_u16(vget_low_u16(words[0])),
                vmovl_high_u16(words[0]),
                vmovl_u16(vget_low_u16(words[1])),
                vmovl_high_u16(words[1]),
            ]
        }
    }

    /// Sixteen bytes as numbers.
    #[inline(always)]
    unsafe fn from_bytes(bytes: uint8x16_t) -> Self {
        // SAFETY: as above.
        unsafe {
            let words = [vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes)];
            Self(Self::widen_words(words).map(|x| vcvtq_f32_u32(x)))
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl Register for Neon {
    const WIDTH: usize = 16;
    const WIDE_TILES: bool = false;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: as above.
        unsafe { Self([vdupq_n_f32(0.0); 4]) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { Self([0, 4, 8, 12].map(|n| vld1q_f32(from.add(n)))) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: as above.
        unsafe {
            let words = [vld1q_u16(from.cast()), vld1q_u16(from.cast::<u16>().add(8))];
            Self(Self::widen_words(words).map(|x| vreinterpretq_f32_u32(vshlq_n_u32::<16>(x))))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        /// Four float16 numbers as float32. The standard library's own function for this is not stable yet.
        #[inline(always)]
        unsafe fn widen(numbers: uint16x4_t) -> float32x4_t {
            let wide: float32x4_t;
            // SAFETY: every aarch64 processor with NEON has `fcvtl`, which reads and writes these two registers alone.
            unsafe {
                std::arch::asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) numbers, options(pure, nomem, nostack, preserves_flags));
            }
            wide
        }
        // SAFETY: as above.
        unsafe { Self([0, 4, 8, 12].map(|n| widen(vld1_u16(from.cast::<u16>().add(n))))) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { Self::from_bytes(vld1q_u8(from)) }
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, _place: usize) -> Self {
        // SAFETY: as above.
        unsafe {
            let bytes = vld1_u8(from);
            let halves = vzip1q_u8(
                vcombine_u8(vand_u8(bytes, vdup_n_u8(15)), vdup_n_u8(0)),
                vcombine_u8(vshr_n_u8::<4>(bytes), vdup_n_u8(0)),
            );
            Self::from_bytes(halves)
        }
    }

    #[inline(always)]
    unsafe fn all(value: f32) -> Self {
        // SAFETY: as above.
        unsafe { Self([vdupq_n_f32(value); 4]) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self([0, 1, 2, 3].map(|n| vfmaq_f32(self.0[n], a.0[n], b.0[n]))) }
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self([0, 1, 2, 3].map(|n| vaddq_f32(self.0[n], other.0[n]))) }
    }

    /// Halves are added until one number is left, as AVX-512's reduction does.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as above.
        unsafe {
            let [a, b, c, d] = self.0;
            let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }
}

/// For processors without the above.
impl Register for f32 {
    const WIDTH: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> Self {
        0.0
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as above.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self {
        // SAFETY: as above.
        unsafe { (*from).widen() }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self {
        // SAFETY: as above.
        unsafe { (*from).widen() }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: as above.
        unsafe { f32::from(*from) }
    }

    #[inline(always)]
    unsafe fn load_nibbles(from: *const u8, place: usize) -> Self {
        // SAFETY: as above.
        let byte = unsafe { *from };
        f32::from(if place.is_multiple_of(2) { byte & 15 } else { byte >> 4 })
    }

    #[inline(always)]
    unsafe fn all(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self
    }
}

/// Sums that are added up side by side, so that one need not wait for the other.
const SIDE_BY_SIDE: usize = 2;

/// Products of each of `rows` with each of `x`, all of the same length.
///
/// # Safety
/// The processor has the instructions of `R`.
#[inline(always)]
unsafe fn dots<R: Register, W: Stored, const M: usize, const N: usize>(
    rows: [&[W]; M],
    x: [&[f32]; N],
) -> [[f32; N]; M] {
    let step = SIDE_BY_SIDE * R::WIDTH;
    let length = x.first().map_or(0, |x| x.len());
    assert!(rows.iter().all(|row| row.len() == length) && x.iter().all(|x| x.len() == length));
    let whole = length / step * step;
    // SAFETY: the caller has the instructions, and `at + step` stays within all rows and all of `x`.
    let mut sums = unsafe {
        let mut sums = [[[R::zero(); SIDE_BY_SIDE]; N]; M];
        for at in (0..whole).step_by(step) {
            for (side, place) in (at..at + step).step_by(R::WIDTH).enumerate() {
                let weights = rows.map(|row| W::load::<R>(row.as_ptr().add(place)));
                for (n, x) in x.iter().enumerate() {
                    let x = R::load(x.as_ptr().add(place));
                    for (sums, weights) in sums.iter_mut().zip(weights) {
                        sums[n][side] = sums[n][side].add_product(weights, x);
                    }
                }
            }
        }
        sums.map(|sums| sums.map(|[a, b]| a.plus(b).sum()))
    };
    for (sums, row) in sums.iter_mut().zip(rows) {
        for (sum, x) in sums.iter_mut().zip(x) {
            for (weight, x) in row[whole..].iter().zip(&x[whole..]) {
                *sum += weight.widen() * x;
            }
        }
    }
    sums
}

/// A row of whole numbers `q` in groups, each standing for `scale * q + bias`.
#[derive(Clone, Copy)]
pub(super) struct QuantisedRow<'a> {
    /// The numbers, little-endian in whole bytes or halves of bytes.
    pub(super) packed: &'a [u8],
    /// One scale per group.
    pub(super) scales: &'a [f32],
    /// One bias per group.
    pub(super) biases: &'a [f32],
    /// Bits a number: 8 or 4.
    pub(super) bits: usize,
    /// Numbers a group: a multiple of 32.
    pub(super) group: usize,
}

/// Products of a row with each of `x`, all of the same length: scales times the group.
///
/// # Safety
/// Returns the errors of [`dots`].
#[inline(always)]
unsafe fn quantised_dots<R: Register, const N: usize>(row: QuantisedRow<'_>, x: [&[f32]; N]) -> [f32; N] {
    let step = SIDE_BY_SIDE * R::WIDTH;
    assert!(row.group.is_multiple_of(step) && x.iter().all(|x| x.len() == row.scales.len() * row.group));
    assert!(row.packed.len() * 8 == row.scales.len() * row.group * row.bits && row.biases.len() == row.scales.len());
    // SAFETY: the caller has the instructions; lengths are checked above.
    unsafe {
        let mut sums = [[R::zero(); SIDE_BY_SIDE]; N];
        for (group, (scale, bias)) in row.scales.iter().zip(row.biases).enumerate() {
            let (scale, bias) = (R::all(*scale), R::all(*bias));
            let first = group * row.group;
            for at in (first..first + row.group).step_by(step) {
                for (side, place) in (at..at + step).step_by(R::WIDTH).enumerate() {
                    let from = row.packed.as_ptr().add(place * row.bits / 8);
                    let q = if row.bits == 8 { R::load_bytes(from) } else { R::load_nibbles(from, place) };
                    let weights = bias.add_product(q, scale);
                    for (sums, x) in sums.iter_mut().zip(x) {
                        sums[side] = sums[side].add_product(weights, R::load(x.as_ptr().add(place)));
                    }
                }
            }
        }
        sums.map(|[a, b]| a.plus(b).sum())
    }
}

/// Products of one quantised row with each of `x` `[n][…]`.
///
/// # Safety
/// Returns the errors of [`dots`].
#[inline(always)]
unsafe fn quantised_row_in<R: Register>(row: QuantisedRow<'_>, x: &[f32], y: &mut [f32]) {
    let width = x.len() / y.len();
    let mut four_x = x.chunks_exact(4 * width);
    let mut four_y = y.chunks_exact_mut(4);
    for (x, y) in (&mut four_x).zip(&mut four_y) {
        let (ab, cd) = x.split_at(2 * width);
        let ((a, b), (c, d)) = (ab.split_at(width), cd.split_at(width));
        // SAFETY: as the caller promises.
        y.copy_from_slice(&unsafe { quantised_dots::<R, 4>(row, [a, b, c, d]) });
    }
    for (x, y) in four_x.remainder().chunks_exact(width).zip(four_y.into_remainder()) {
        // SAFETY: as the caller promises.
        [*y] = unsafe { quantised_dots::<R, 1>(row, [x]) };
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
fn quantised_row_avx512(row: QuantisedRow<'_>, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instructions are enabled here.
    unsafe { quantised_row_in::<__m512>(row, x, y) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn quantised_row_avx2(row: QuantisedRow<'_>, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instructions are enabled here.
    unsafe { quantised_row_in::<__m256>(row, x, y) }
}

/// Products of a quantised row with activations `x` `[n][in]`: `y` `[n]`.
pub(super) fn multiply_quantised_row(row: QuantisedRow<'_>, x: &[f32], y: &mut [f32]) {
    match Instructions::detect() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this processor has the instructions.
        Instructions::Avx512 => unsafe { quantised_row_avx512(row, x, y) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this processor has the instructions.
        Instructions::Avx2 => unsafe { quantised_row_avx2(row, x, y) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: every processor of this architecture has NEON.
        Instructions::Neon => unsafe { quantised_row_in::<Neon>(row, x, y) },
        #[cfg(not(target_arch = "aarch64"))]
        // SAFETY: plain Rust.
        Instructions::Any => unsafe { quantised_row_in::<f32>(row, x, y) },
    }
}

/// The widest instructions of this processor.
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(not(target_arch = "aarch64"))]
    Any,
}

impl Instructions {
    #[inline(always)]
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
            return if is_x86_feature_detected!("avx512f") { Self::Avx512 } else { Self::Avx2 };
        }
        #[cfg(target_arch = "aarch64")]
        return Self::Neon;
        #[cfg(not(target_arch = "aarch64"))]
        Self::Any
    }
}

/// `y[r][n] = rows[r] . x[n]` for rows of `x.len() / n` numbers, `y` row-major `[rows][n]`.
///
/// # Safety
/// Returns the errors of [`dots`].
#[inline(always)]
unsafe fn rows_in<R: Register, W: Stored>(rows: &[W], x: &[f32], n: usize, y: &mut [f32]) {
    let width = x.len() / n;
    let activation = |n: usize| &x[n * width..(n + 1) * width];
    // Four activations at a time stay in the innermost cache while all rows pass by, two at a time.
    let mut first = 0;
    while R::WIDE_TILES && first + 4 <= n {
        let four = [activation(first), activation(first + 1), activation(first + 2), activation(first + 3)];
        for (pair, y) in rows.chunks(2 * width).zip(y.chunks_mut(2 * n)) {
            if y.len() == 2 * n {
                let (a, b) = pair.split_at(width);
                // SAFETY: as the caller promises.
                let [sums_a, sums_b] = unsafe { dots::<R, W, 2, 4>([a, b], four) };
                y[first..first + 4].copy_from_slice(&sums_a);
                y[n + first..n + first + 4].copy_from_slice(&sums_b);
            } else {
                // SAFETY: as the caller promises.
                let [sums] = unsafe { dots::<R, W, 1, 4>([&pair[..width]], four) };
                y[first..first + 4].copy_from_slice(&sums);
            }
        }
        first += 4;
    }
    // A row meets two activations where the registers hold no more.
    while !R::WIDE_TILES && first + 2 <= n {
        let two = [activation(first), activation(first + 1)];
        for (row, y) in rows.chunks_exact(width).zip(y.chunks_exact_mut(n)) {
            // SAFETY: as the caller promises.
            let [sums] = unsafe { dots::<R, W, 1, 2>([row], two) };
            y[first..first + 2].copy_from_slice(&sums);
        }
        first += 2;
    }
    for first in first..n {
        for (row, y) in rows.chunks_exact(width).zip(y.chunks_exact_mut(n)) {
            // SAFETY: as the caller promises.
            [[y[first]]] = unsafe { dots::<R, W, 1, 1>([row], [activation(first)]) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
fn rows_avx512<W: Stored>(rows: &[W], x: &[f32], n: usize, y: &mut [f32]) {
    // SAFETY: the instructions are enabled here.
    unsafe { rows_in::<__m512, W>(rows, x, n, y) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn rows_avx2<W: Stored>(rows: &[W], x: &[f32], n: usize, y: &mut [f32]) {
    // SAFETY: the instructions are enabled here.
    unsafe { rows_in::<__m256, W>(rows, x, n, y) }
}

/// Products of `rows`, row-major `[y.len() / n][x.len() / n]` or longer, with `n` activations `x` `[n][…]`: `y` `[…][n]`.
pub(super) fn multiply_rows<W: Stored>(rows: &[W], x: &[f32], n: usize, y: &mut [f32]) {
    match Instructions::detect() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this processor has the instructions.
        Instructions::Avx512 => unsafe { rows_avx512(rows, x, n, y) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: this processor has the instructions.
        Instructions::Avx2 => unsafe { rows_avx2(rows, x, n, y) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: every processor of this architecture has NEON.
        Instructions::Neon => unsafe { rows_in::<Neon, W>(rows, x, n, y) },
        #[cfg(not(target_arch = "aarch64"))]
        // SAFETY: plain Rust.
        Instructions::Any => unsafe { rows_in::<f32, W>(rows, x, n, y) },
    }
}

/// `sum += scale * values`.
pub(super) fn add_scaled(sum: &mut [f32], values: &[f32], scale: f32) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += scale * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8e6) - 1.0)
            .collect()
    }

    /// Against sums in float64, for lengths that are not a multiple of the lanes; alone and among others to the bit.
    #[test]
    fn products_are_right_and_independent_of_their_neighbours() {
        // Miri takes minutes for the longer ones.
        let widths: &[usize] = if cfg!(miri) { &[1, 31, 64] } else { &[1, 31, 64, 200, 2_048] };
        for &width in widths {
            let (rows, n) = (5, 7);
            let weights: Vec<bf16> = numbers(rows * width, 1).iter().map(|x| bf16::from_f32(*x)).collect();
            let x = numbers(n * width, 2);
            let mut together = vec![0.0; rows * n];
            multiply_rows(&weights, &x, n, &mut together);
            for (i, x) in x.chunks_exact(width).enumerate() {
                let mut alone = vec![0.0; rows];
                multiply_rows(&weights, x, 1, &mut alone);
                let mut portable = vec![0.0; rows];
                // SAFETY: plain Rust.
                unsafe { rows_in::<f32, bf16>(&weights, x, 1, &mut portable) };
                for (r, row) in weights.chunks_exact(width).enumerate() {
                    let products = || row.iter().zip(x).map(|(w, x)| f64::from(w.to_f32()) * f64::from(*x));
                    let (exact, scale) = (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                    assert_eq!(alone[r].to_bits(), together[r * n + i].to_bits());
                    assert!((f64::from(alone[r]) - exact).abs() < 1e-6 * scale, "{} {exact}", alone[r]);
                    assert!((f64::from(portable[r]) - exact).abs() < 1e-5 * scale);
                }
            }
        }
    }

    /// Sums of AVX-512, whose order NEON keeps: the digest of a thousand of them, made on x86-64.
    #[test]
    fn neon_and_avx512_add_in_the_same_order() {
        #[cfg(target_arch = "x86_64")]
        if !is_x86_feature_detected!("avx512f") {
            return; // AVX2 has registers of eight numbers and adds in another order.
        }
        let (rows, width) = (24, 512);
        let weights = numbers(rows * width, 1);
        let bfloat: Vec<bf16> = weights.iter().map(|x| bf16::from_f32(*x)).collect();
        let half: Vec<f16> = weights.iter().map(|x| f16::from_f32(*x)).collect();
        let mut sums = Vec::new();
        for n in 1..=7 {
            let x = numbers(n * width, 2);
            let mut y = vec![0.0; rows * n];
            multiply_rows(&weights, &x, n, &mut y);
            sums.extend_from_slice(&y);
            multiply_rows(&bfloat, &x, n, &mut y);
            sums.extend_from_slice(&y);
            multiply_rows(&half, &x, n, &mut y);
            sums.extend_from_slice(&y);
            for bits in [8, 4] {
                let packed: Vec<u8> = (0..width * bits / 8).map(|i| (i * 37 + 11) as u8).collect();
                let (scales, biases) = (numbers(8, 3), numbers(8, 4));
                let row = QuantisedRow { packed: &packed, scales: &scales, biases: &biases, bits, group: 64 };
                multiply_quantised_row(row, &x, &mut y[..n]);
                sums.extend_from_slice(&y[..n]);
            }
        }
        let digest = sums.iter().fold(0xcbf2_9ce4_8422_2325_u64, |digest, sum| {
            (digest ^ u64::from(sum.to_bits())).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!((sums.len(), digest), (2_072, 0x998d_75cc_b3ba_b41f), "{digest:#x}");
    }

    /// Quantised rows against their dequantised numbers, in all instructions that this processor has.
    #[test]
    fn quantised_products_are_those_of_the_numbers() {
        for (bits, group) in [(8, 64), (8, 32), (4, 64), (4, 128)] {
            let (width, n) = (512, 6);
            let packed: Vec<u8> = (0..width * bits / 8).map(|i| (i * 37 + 11) as u8).collect();
            let (scales, biases) = (numbers(width / group, 3), numbers(width / group, 4));
            let x = numbers(n * width, 5);
            let q = |i: usize| if bits == 8 { packed[i] } else { packed[i / 2] >> (i % 2 * 4) & 15 };
            let weight = |i: usize| f64::from(scales[i / group]) * f64::from(q(i)) + f64::from(biases[i / group]);
            let row = QuantisedRow { packed: &packed, scales: &scales, biases: &biases, bits, group };
            let mut y = [vec![0.0; n], vec![0.0; n]];
            multiply_quantised_row(row, &x, &mut y[0]);
            // SAFETY: plain Rust.
            unsafe { quantised_row_in::<f32>(row, &x, &mut y[1]) };
            for (i, x) in x.chunks_exact(width).enumerate() {
                let products = || x.iter().enumerate().map(|(i, x)| weight(i) * f64::from(*x));
                let (exact, scale) = (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                y.iter().for_each(|y| assert!((f64::from(y[i]) - exact).abs() < 1e-5 * scale, "{} {exact}", y[i]));
            }
        }
    }
}
