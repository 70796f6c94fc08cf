//! Outlines: small pictures of takes in their list.

use std::collections::HashMap;

use crate::takes::TakeId;

/// Values of an outline.
const VALUES: usize = 48;

/// The peak of each of equal parts of a waveform, over the peak of all: 0 to 1. Empty for an empty waveform.
pub type Outline = Vec<f32>;

/// The outline of a waveform.
pub(super) fn outline(samples: &[f32]) -> Outline {
    let peak = |part: &[f32]| part.iter().fold(0f32, |peak, s| peak.max(s.abs()));
    let all = peak(samples);
    let part = samples.len().div_ceil(VALUES).max(1);
    samples.chunks(part).map(|part| if all > 0.0 { peak(part) / all } else { 0.0 }).collect()
}

/// Outlines of takes. They are read when their takes are first visible.
#[derive(Default)]
pub(super) struct Outlines {
    /// `None` while an outline is being read.
    known: HashMap<TakeId, Option<Outline>>,
}

impl Outlines {
    /// The outline of a take, once it has been read.
    pub(super) fn get(&self, take: &TakeId) -> Option<&Outline> {
        self.known.get(take)?.as_ref()
    }

    /// Whether the outline of a take has not been requested.
    pub(super) fn is_missing(&self, take: &TakeId) -> bool {
        !self.known.contains_key(take)
    }

    /// Records that outlines are being read; returns the new ones.
    pub(super) fn request(&mut self, takes: Vec<TakeId>) -> Vec<TakeId> {
        let missing: Vec<TakeId> = takes.into_iter().filter(|take| self.is_missing(take)).collect();
        self.known.extend(missing.iter().map(|take| (take.clone(), None)));
        missing
    }

    /// Adds an outline that has been read.
    pub(super) fn add(&mut self, take: TakeId, outline: Outline) {
        self.known.insert(take, Some(outline));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_follows_the_waveform_and_is_requested_once() {
        let sound: Vec<f32> = (0..4_800).map(|n| if n < 2_400 { 0.1 } else { -0.4 }).collect();
        let of_sound = outline(&sound);
        assert_eq!((of_sound.len(), of_sound[0], of_sound[47]), (48, 0.25, 1.0));
        assert!(outline(&[]).is_empty() && outline(&[0.0; 3]) == [0.0; 3]);
        let (a, b) = (TakeId::from("a"), TakeId::from("b"));
        let mut outlines = Outlines::default();
        assert_eq!(outlines.request(vec![a.clone(), b.clone()]), [a.clone(), b]);
        assert!(outlines.request(vec![a.clone()]).is_empty() && outlines.get(&a).is_none() && !outlines.is_missing(&a));
        outlines.add(a.clone(), of_sound);
        assert!(outlines.request(vec![a.clone()]).is_empty() && outlines.get(&a).is_some());
    }
}
