use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ModelDims;
use crate::error::{Error, Result};

/// Codes of a clip, `[T][K]`: T frames of K codes. All frames have the same K; the end-of-speech frame is not part of a clip.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Codes {
    codebooks: usize,
    ids: Vec<u32>, // row-major
}

/// Whether `frame` is the end-of-speech frame: all codes 0.
pub fn is_end_frame(frame: &[u32]) -> bool {
    frame.iter().all(|id| *id == 0)
}

impl Codes {
    /// No frames yet, of `codebooks` codes each.
    pub fn new(codebooks: usize) -> Self {
        Self { codebooks, ids: Vec::new() }
    }

    /// Codes from row-major ids, `[T * K]`.
    ///
    /// # Errors
    /// The number of ids that do not fill a frame.
    pub fn from_ids(codebooks: usize, ids: Vec<u32>) -> Result<Self, usize> {
        match ids.len() % codebooks.max(1) {
            0 => Ok(Self { codebooks, ids }),
            rest => Err(rest),
        }
    }

    /// The frames of a range, as far as they exist.
    pub fn part(&self, frames: Range<usize>) -> Self {
        let end = frames.end.min(self.len());
        let ids = self.ids.get(frames.start.min(end) * self.codebooks..end * self.codebooks).unwrap_or_default();
        Self { codebooks: self.codebooks, ids: ids.to_vec() }
    }

    /// Appends frames of equally many codebooks.
    pub fn extend(&mut self, frames: &Self) {
        frames.frames().for_each(|frame| self.push(frame));
    }

    /// Frames one by one.
    ///
    /// # Errors
    /// The error for the first frame whose length is not that of frame 0.
    pub fn from_frames<F: AsRef<[u32]>>(frames: impl IntoIterator<Item = F>) -> Result<Self, String> {
        let mut codes: Option<Self> = None;
        for (t, frame) in frames.into_iter().enumerate() {
            let frame = frame.as_ref();
            let codes = codes.get_or_insert_with(|| Self::new(frame.len()));
            if frame.len() != codes.codebooks {
                return Err(format!(
                    "expected {} codes per frame as in frame 0, got {} in frame {t}",
                    codes.codebooks,
                    frame.len()
                ));
            }
            codes.push(frame);
        }
        Ok(codes.unwrap_or_default())
    }

    /// Codes per frame, K; 0 for an empty clip of unknown width.
    pub fn codebooks(&self) -> usize {
        self.codebooks
    }

    /// Number of frames, T.
    pub fn len(&self) -> usize {
        self.ids.len() / self.codebooks.max(1)
    }

    /// Whether there are no frames.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Codes of frame `t`, `[K]`.
    ///
    /// # Panics
    /// Where `t` is not below [`Codes::len`].
    pub fn frame(&self, t: usize) -> &[u32] {
        &self.ids[t * self.codebooks..(t + 1) * self.codebooks]
    }

    /// Per codebook, the tokens of up to `count` frames before frame `t`, the last one first.
    pub fn recent(&self, t: usize, count: usize) -> Vec<Vec<u32>> {
        let frames = t.saturating_sub(count)..t.min(self.len());
        (0..self.codebooks()).map(|k| frames.clone().rev().map(|frame| self.frame(frame)[k]).collect()).collect()
    }

    /// Codes of frame `t`, or `None` past the end.
    pub fn get(&self, t: usize) -> Option<&[u32]> {
        (t < self.len()).then(|| self.frame(t))
    }

    /// All frames in order.
    pub fn frames(&self) -> std::slice::ChunksExact<'_, u32> {
        self.ids.chunks_exact(self.codebooks.max(1))
    }

    /// Codes of one codebook over time.
    pub fn column(&self, codebook: usize) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().skip(codebook).step_by(self.codebooks.max(1)).copied()
    }

    /// The most frequent id of each codebook, the smallest of several; 0 if there are no frames.
    pub fn most_common(&self) -> Vec<u32> {
        let of_codebook = |k| {
            let mut counts = HashMap::new();
            self.column(k).for_each(|id| *counts.entry(id).or_insert(0) += 1);
            counts.into_iter().max_by_key(|(id, n)| (*n, Reverse(*id))).map_or(0, |(id, _)| id)
        };
        (0..self.codebooks).map(of_codebook).collect()
    }

    /// All ids in row-major order, `[T * K]`.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The first `frames` frames, or all if there are fewer.
    pub fn prefix(&self, frames: usize) -> Self {
        self.part(0..frames)
    }

    /// Appends a frame of K codes.
    ///
    /// # Panics
    /// Where the frame has another length.
    pub fn push(&mut self, frame: &[u32]) {
        assert_eq!(frame.len(), self.codebooks, "codes per frame");
        self.ids.extend_from_slice(frame);
    }

    /// Ids that the codec cannot decode; it decodes code 0 in their place.
    pub fn beyond_codec(&self, codec_size: usize) -> usize {
        self.ids.iter().filter(|id| **id as usize >= codec_size).count()
    }

    /// Checks width and vocabulary. `field` names the codes in the message.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] with frame and codebook.
    pub fn check(&self, field: &'static str, dims: &ModelDims) -> Result<()> {
        let (k, v) = (dims.codebooks, dims.vocab);
        if !self.is_empty() && self.codebooks != k {
            let got = format!("{} in frame 0", self.codebooks);
            return Err(Error::invalid(field, format!("{k} codes per frame (the model's codebooks)"), got));
        }
        if let Some(at) = self.ids.iter().position(|id| *id as usize >= v) {
            let got = format!("{} in frame {}, codebook {}", self.ids[at], at / k, at % k);
            return Err(Error::invalid(field, format!("ids from 0 to {}", v - 1), got));
        }
        Ok(())
    }
}

impl TryFrom<Vec<Vec<u32>>> for Codes {
    type Error = String;
    fn try_from(frames: Vec<Vec<u32>>) -> Result<Self, String> {
        Self::from_frames(frames)
    }
}

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for frame in self.frames() {
            list.serialize_element(frame)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FramesVisitor;
        impl<'de> Visitor<'de> for FramesVisitor {
            type Value = Codes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of frames, each a list of codes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Codes, A::Error> {
                let mut frames: Vec<Vec<u32>> = Vec::new();
                while let Some(frame) = list.next_element()? {
                    frames.push(frame);
                }
                Codes::from_frames(frames).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_seq(FramesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMS: ModelDims =
        ModelDims { codebooks: 2, vocab: 5, codec_size: 3, frame_rate: 12.5, sample_rate: 24_000, max_positions: 9 };

    #[test]
    fn frames_columns_and_prefixes() {
        let codes = Codes::from_frames([[1, 2], [3, 4], [0, 0]]).unwrap();
        assert_eq!((codes.len(), codes.frame(1), codes.get(3)), (3, &[3, 4][..], None));
        assert_eq!(codes.column(1).collect::<Vec<_>>(), [2, 4, 0]);
        assert_eq!(codes.prefix(1), Codes::from_frames([[1, 2]]).unwrap());
        assert_eq!((codes.prefix(9), codes.beyond_codec(3)), (codes.clone(), 2));
        assert!(is_end_frame(codes.frame(2)) && !is_end_frame(codes.frame(0)));
    }

    #[test]
    fn ragged_and_foreign_codes_are_refused_where_they_are() {
        let ragged = Codes::from_frames([&[1, 2][..], &[3]]).unwrap_err();
        assert!(ragged.contains("2 codes per frame") && ragged.contains("1 in frame 1"), "{ragged}");
        let beyond = Codes::from_frames([[1, 2], [3, 5]]).unwrap().check("frames", &DIMS).unwrap_err().to_string();
        assert!(beyond.contains("ids from 0 to 4") && beyond.contains("5 in frame 1, codebook 1"), "{beyond}");
        assert!(Codes::from_frames([[1]]).unwrap().check("frames", &DIMS).is_err());
        Codes::default().check("frames", &DIMS).unwrap();
    }
}
