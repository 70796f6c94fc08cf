//! Small pictures of the takes' sounds for their cards.

use std::collections::HashMap;

/// Values of an outline.
const VALUES: usize = 48;

/// The loudest sample of each of equal parts of a sound, over the loudest of all: 0 to 1. Empty where there is no sound.
pub type Outline = Vec<f32>;

/// The outline of a sound.
pub fn outline(samples: &[f32]) -> Outline {
    let loudest = |part: &[f32]| part.iter().fold(0f32, |peak, s| peak.max(s.abs()));
    let all = loudest(samples);
    let part = samples.len().div_ceil(VALUES).max(1);
    samples.chunks(part).map(|part| if all > 0.0 { loudest(part) / all } else { 0.0 }).collect()
}

/// Outlines of takes, by their ids. They are read from the takes' sounds when they are first on view.
#[derive(Default)]
pub struct Outlines {
    known: HashMap<String, Option<Outline>>,
}

impl Outlines {
    /// The outline of a take, once it has been read.
    pub fn get(&self, id: &str) -> Option<&Outline> {
        self.known.get(id)?.as_ref()
    }

    /// Whether the outline of a take has to be asked for.
    pub fn is_missing(&self, id: &str) -> bool {
        !self.known.contains_key(id)
    }

    /// Those of `ids` that nobody has asked for yet; they are asked for now.
    pub fn ask(&mut self, ids: Vec<String>) -> Vec<String> {
        let missing: Vec<String> = ids.into_iter().filter(|id| self.is_missing(id)).collect();
        self.known.extend(missing.iter().map(|id| (id.clone(), None)));
        missing
    }

    /// An outline has been read.
    pub fn add(&mut self, id: String, outline: Outline) {
        self.known.insert(id, Some(outline));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_follows_the_sound_and_is_asked_for_once() {
        let sound: Vec<f32> = (0..4_800).map(|n| if n < 2_400 { 0.1 } else { -0.4 }).collect();
        let of_sound = outline(&sound);
        assert_eq!((of_sound.len(), of_sound[0], of_sound[47]), (48, 0.25, 1.0));
        assert!(outline(&[]).is_empty() && outline(&[0.0; 3]) == [0.0; 3]);
        let mut outlines = Outlines::default();
        assert_eq!(outlines.ask(vec!["a".into(), "b".into()]), ["a", "b"]);
        assert!(outlines.ask(vec!["a".into()]).is_empty() && outlines.get("a").is_none() && !outlines.is_missing("a"));
        outlines.add("a".into(), of_sound);
        assert!(outlines.ask(vec!["a".into()]).is_empty() && outlines.get("a").is_some());
    }
}
