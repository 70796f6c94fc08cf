//! Measures of one clip's tokens.

use serde::Serialize;

use super::top;
use crate::prompt::Frame;

/// First ids of a codebook that are reported apart: 1 to 31, the range that the guard is most often asked for.
pub const LOW_IDS: std::ops::RangeInclusive<u32> = 1..=31;
/// Most common tokens that a report lists.
pub const MOST_COMMON: usize = 5;

/// How often each id occurs in one codebook, `[vocab]`; ids past `vocab` are not counted.
pub fn counts<'a>(frames: impl IntoIterator<Item = &'a Frame>, codebook: usize, vocab: usize) -> Vec<u64> {
    let mut counts = vec![0; vocab];
    for frame in frames {
        if let Some(count) = counts.get_mut(frame[codebook] as usize) {
            *count += 1;
        }
    }
    counts
}

/// One codebook of a clip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Codebook {
    /// Its number, from 0.
    pub codebook: usize,
    /// Different ids.
    pub used: usize,
    /// Different ids over the codec's size, 0 to 1. It grows with the clip's length.
    pub utilisation: f64,
    /// Entropy of the histogram, bits: 0 to log2 of the number of frames or ids, the smaller.
    pub entropy: f64,
    /// Frames with the same id as the frame before.
    pub repeats: usize,
    /// Frames with an id of [`LOW_IDS`].
    pub low_ids: usize,
    /// Frames with an id past the codec's size, decoded as 0.
    pub beyond_codec: usize,
    /// Most common ids and how often they occur, at most [`MOST_COMMON`].
    pub most_common: Vec<(u32, u64)>,
}

impl Codebook {
    /// Codebook `codebook` of `frames` `[T][K]`; `codec_size` ids have a sound, `vocab` ids can be drawn.
    pub fn of(frames: &[Frame], codebook: usize, codec_size: usize, vocab: usize) -> Self {
        let counts = counts(frames, codebook, vocab);
        let used = counts.iter().filter(|n| **n > 0).count();
        let shares: Vec<f32> = counts.iter().map(|n| *n as f32).collect();
        let common = top(&shares, MOST_COMMON).into_iter().filter(|id| counts[*id] > 0);
        let ids = || frames.iter().map(|f| f[codebook]);
        Self {
            codebook,
            used,
            utilisation: used as f64 / codec_size as f64,
            entropy: super::between::entropy_of(&counts),
            repeats: ids().zip(ids().skip(1)).filter(|(a, b)| a == b).count(),
            low_ids: ids().filter(|id| LOW_IDS.contains(id)).count(),
            beyond_codec: ids().filter(|id| *id as usize >= codec_size).count(),
            most_common: common.map(|id| (id as u32, counts[id])).collect(),
        }
    }
}

/// How a clip runs and ends, seen from its tokens and sound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Course {
    /// Frames, T.
    pub frames: usize,
    /// Frames of zeros within the clip (the end frame is not part of it).
    pub zero_frames: usize,
    /// Longest run of one frame repeated, in frames; 1 where nothing repeats.
    pub longest_repeat: usize,
    /// First frame of that run.
    pub longest_repeat_from: usize,
}

impl Course {
    /// Of `frames` `[T][K]`.
    pub fn of(frames: &[Frame]) -> Self {
        let mut longest = (0, 0);
        let mut from = 0;
        for run in frames.chunk_by(|a, b| a == b) {
            if run.len() > longest.0 {
                longest = (run.len(), from);
            }
            from += run.len();
        }
        Self {
            frames: frames.len(),
            zero_frames: frames.iter().filter(|f| f.iter().all(|id| *id == 0)).count(),
            longest_repeat: longest.0,
            longest_repeat_from: longest.1,
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

    #[test]
    fn a_clip_is_counted() {
        let frames = vec![vec![1, 9], vec![1, 9], vec![1, 9], vec![5, 40], vec![0, 0]];
        let book = Codebook::of(&frames, 0, 8, 11);
        assert_eq!((book.used, book.repeats, book.low_ids, book.beyond_codec), (3, 2, 4, 0));
        assert_eq!((book.utilisation, &book.most_common[..]), (3.0 / 8.0, &[(1, 3), (0, 1), (5, 1)][..]));
        assert_eq!(Codebook::of(&frames, 1, 8, 41).beyond_codec, 4);
        let course = Course::of(&frames);
        assert_eq!((course.zero_frames, course.longest_repeat, course.longest_repeat_from), (1, 3, 0));
        assert_eq!(Course::of(&[]).longest_repeat, 0);
        assert_eq!(trailing_silence(&[0.5, 0.0, -0.0005, 0.0009], 1e-3), 3);
    }
}
