//! Listening tests that are to be made of takes.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::data::Codes;
use crate::listen::{PlannedSound, TakeSound, Template, TestKind};

/// A listening test that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct TestRequest {
    /// What is asked.
    pub kind: TestKind,
    /// What its conditions are.
    pub template: Template,
    /// The takes, pinned or not.
    pub takes: Vec<String>,
    /// Whether a condition is added that is surely worse.
    pub low_anchor: bool,
    /// Whether each rating has one of its sounds twice.
    pub hidden_repeat: bool,
}

/// A test whose sounds are decoded from some of their codebooks, one after another.
pub struct TestInMaking {
    /// What is asked for.
    pub request: TestRequest,
    /// Where it is written.
    pub path: PathBuf,
    waiting: VecDeque<(TakeSound, Codes)>,
    sounds: Vec<TakeSound>,
}

impl TestInMaking {
    /// A test of takes with their codes; each is decoded from every one of `counts` codebooks.
    pub fn new(request: TestRequest, path: PathBuf, takes: Vec<(TakeSound, Codes)>, counts: &[Option<usize>]) -> Self {
        let decoded = |count: &Option<usize>| {
            let with_count =
                |(take, codes): &(TakeSound, Codes)| (TakeSound { codebooks: *count, ..take.clone() }, codes.clone());
            takes.iter().map(with_count).collect::<Vec<_>>()
        };
        Self { request, path, waiting: counts.iter().flat_map(decoded).collect(), sounds: Vec::new() }
    }

    /// The next codes to decode, and which of their codebooks are heard; `None` where all have been.
    pub fn next(&self) -> Option<(Codes, Option<Vec<bool>>)> {
        let (take, codes) = self.waiting.front()?;
        let heard = take.codebooks.map(|count| (0..codes.codebooks()).map(|k| k < count).collect());
        Some((codes.clone(), heard))
    }

    /// Takes in what [`TestInMaking::next`] sounds like.
    pub fn decoded(&mut self, samples: Vec<f32>) {
        if let Some((take, _)) = self.waiting.pop_front() {
            let sound = PlannedSound { samples, ..take.sound.clone() };
            self.sounds.push(TakeSound { sound, ..take });
        }
    }

    /// The sounds.
    pub fn sounds(self) -> Vec<TakeSound> {
        self.sounds
    }
}
