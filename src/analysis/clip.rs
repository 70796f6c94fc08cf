//! Statistics of one clip's tokens.

use serde::Serialize;

use super::histogram::{counts, histogram_entropy};
use super::top_ids;
use crate::data::{Codes, ModelDims, RangeGuard, is_end_frame};

/// Most common tokens that are listed.
pub const MOST_COMMON: usize = 5;

/// One codebook of a clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CodebookStats {
    /// The codebook, from 0.
    pub codebook: usize,
    /// Number of distinct ids in the clip.
    pub used: usize,
    /// Distinct ids over the codec's size, 0 to 1. It grows with the clip's length.
    pub utilisation: f64,
    /// Entropy of the histogram, bits: 0 to log2 of the number of frames or ids, the smaller.
    pub entropy: f64,
    /// Frames with the same id as the frame before.
    pub repeats: usize,
    /// Frames with an id of [`RangeGuard::DEFAULT`].
    pub low_ids: usize,
    /// Frames with an id past the codec's size, decoded as 0.
    pub beyond_codec: usize,
    /// Most common ids and their counts, at most [`MOST_COMMON`].
    pub most_common: Vec<(u32, u64)>,
}

impl CodebookStats {
    /// Measures `codebook` of `codes`.
    pub fn measure(codes: &Codes, codebook: usize, dims: &ModelDims) -> Self {
        let counts = counts(codes, codebook, dims.vocab);
        let used = counts.iter().filter(|n| **n > 0).count();
        let shares: Vec<f32> = counts.iter().map(|n| *n as f32).collect();
        let common = top_ids(&shares, MOST_COMMON).into_iter().filter(|id| counts[*id] > 0);
        let ids = || codes.column(codebook);
        Self {
            codebook,
            used,
            utilisation: used as f64 / dims.codec_size as f64,
            entropy: histogram_entropy(&counts),
            repeats: ids().zip(ids().skip(1)).filter(|(a, b)| a == b).count(),
            low_ids: ids().filter(|id| RangeGuard::DEFAULT.forbids(*id)).count(),
            beyond_codec: ids().filter(|id| *id as usize >= dims.codec_size).count(),
            most_common: common.map(|id| (id as u32, counts[id])).collect(),
        }
    }
}

/// A column of the table of codebooks.
pub struct CodebookStatistic {
    /// Heading of its column in tables.
    pub title: &'static str,
    /// The value as text.
    pub value: fn(&CodebookStats) -> String,
}

/// Columns of the table of codebooks, in order. The most common ids are not among them: their labels are the model's.
pub static CODEBOOK_STATISTICS: &[CodebookStatistic] = &[
    CodebookStatistic { title: "codebook", value: |c| c.codebook.to_string() },
    CodebookStatistic { title: "ids used", value: |c| c.used.to_string() },
    CodebookStatistic { title: "utilisation, %", value: |c| format!("{:.1}", 100.0 * c.utilisation) },
    CodebookStatistic { title: "repeats", value: |c| c.repeats.to_string() },
    CodebookStatistic { title: "ids 1-31", value: |c| c.low_ids.to_string() },
    CodebookStatistic { title: "beyond codec", value: |c| c.beyond_codec.to_string() },
    CodebookStatistic { title: "histogram entropy, bits", value: |c| format!("{:.2}", c.entropy) },
];

/// Repetitions in a clip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RepetitionStats {
    /// All-zero frames within the clip; the end frame is not part of it.
    pub zero_frames: usize,
    /// Longest run of one frame, in frames; 1 if nothing repeats.
    pub longest_run: usize,
    /// First frame of that run.
    pub longest_run_from: usize,
}

impl RepetitionStats {
    /// Counts the repetitions of `codes`.
    pub fn measure(codes: &Codes) -> Self {
        let (mut longest, mut run) = ((0, 0), (0, 0)); // (length, first frame)
        for (t, frame) in codes.frames().enumerate() {
            run = if t > 0 && frame == codes.frame(t - 1) { (run.0 + 1, run.1) } else { (1, t) };
            if run.0 > longest.0 {
                longest = run;
            }
        }
        Self {
            zero_frames: codes.frames().filter(|f| is_end_frame(f)).count(),
            longest_run: longest.0,
            longest_run_from: longest.1,
        }
    }
}

/// Samples at the end that stay below `level` (full scale 1).
pub fn trailing_silence(samples: &[f32], level: f32) -> usize {
    samples.iter().rev().take_while(|s| s.abs() < level).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(codec_size: usize, vocab: usize) -> ModelDims {
        ModelDims { codebooks: 2, vocab, codec_size, frame_rate: 12.5, sample_rate: 24_000, max_positions: 99 }
    }

    #[test]
    fn a_clip_is_counted() {
        let codes = Codes::from_frames([[1, 9], [1, 9], [1, 9], [5, 40], [0, 0]]).unwrap();
        let first = CodebookStats::measure(&codes, 0, &dims(8, 11));
        assert_eq!((first.used, first.repeats, first.low_ids, first.beyond_codec), (3, 2, 4, 0));
        assert_eq!((first.utilisation, &first.most_common[..]), (3.0 / 8.0, &[(1, 3), (0, 1), (5, 1)][..]));
        assert_eq!(CodebookStats::measure(&codes, 1, &dims(8, 41)).beyond_codec, 4);
        let repetition = RepetitionStats::measure(&codes);
        assert_eq!((repetition.zero_frames, repetition.longest_run, repetition.longest_run_from), (1, 3, 0));
        assert_eq!(RepetitionStats::measure(&Codes::default()).longest_run, 0);
        assert_eq!(trailing_silence(&[0.5, 0.0, -0.0005, 0.0009], 1e-3), 3);
    }
}
