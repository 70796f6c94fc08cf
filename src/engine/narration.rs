//! Speaking a text piece by piece. Command line and window both drive a [`Narration`], so that they speak alike.

use std::collections::VecDeque;

use super::GenerationRequest;
use crate::data::{ClipSpec, Codes, ModelDims, Prompt, Sampling, Turn};
use crate::error::{Error, Result};
use crate::text::{Piece, halve};

/// A text that is spoken in pieces, each a clip with the context of the text and the piece before it.
///
/// - Piece n has the seed of the text plus n.
/// - A piece that does not fit into the model's positions after the piece before it is spoken without that piece; one that still
///   does not fit is split in two, and each half is tried again.
/// - A piece without frames is not used as context.
#[derive(Clone, Debug)]
pub struct Narration {
    /// Context, prompt style, settings and edits of every piece; text and speaker are the piece's.
    spec: ClipSpec,
    pieces: VecDeque<Piece>,
    /// The piece before the next one.
    previous: Option<Turn>,
    /// The piece that is being spoken.
    current: Option<Piece>,
    /// Number of the next piece.
    next: u64,
    max_frames: usize,
    can_split: bool,
}

impl Narration {
    /// Speaks `pieces`, each at most `max_frames` long, with context, prompt style, settings and edits of `spec`. `can_split` allows
    /// a piece that does not fit to be split.
    pub fn new(spec: ClipSpec, pieces: Vec<Piece>, max_frames: usize, can_split: bool) -> Self {
        let pieces = pieces.into();
        Self { spec, pieces, previous: None, current: None, next: 0, max_frames, can_split }
    }

    /// Pieces that have not been spoken.
    pub fn remaining(&self) -> usize {
        self.pieces.len()
    }

    /// The clip of the next piece; `None` after the last. `prompt` tokenises a spec for a model of these sizes.
    ///
    /// # Errors
    /// Errors of `prompt`; [`Error::ContextTooLong`] for a piece that does not fit and cannot be split.
    pub fn next(
        &mut self,
        dims: &ModelDims,
        prompt: impl Fn(&ClipSpec) -> Result<Prompt>,
    ) -> Result<Option<GenerationRequest>> {
        let mut previous = self.previous.take();
        let Some(mut piece) = self.pieces.pop_front() else { return Ok(None) };
        loop {
            let spec = self.spec_of(&piece, previous.as_ref());
            let fitting = prompt(&spec).and_then(|prompt| prompt.check_fits(self.max_frames, dims).map(|()| prompt));
            match fitting {
                Ok(prompt) => {
                    self.current = Some(piece);
                    self.next += 1;
                    return Ok(Some(GenerationRequest::new(&spec, prompt, self.max_frames)));
                }
                Err(Error::ContextTooLong { .. }) if previous.is_some() => previous = None,
                Err(e @ Error::ContextTooLong { .. }) => match halve(&piece.text).filter(|_| self.can_split) {
                    Some((first, second)) => {
                        self.pieces.push_front(Piece { speaker: piece.speaker, text: second });
                        piece.text = first;
                    }
                    None => return Err(e),
                },
                Err(e) => return Err(e),
            }
        }
    }

    /// The piece from [`Narration::next`] was spoken as `codes`: it is the context of the piece after it.
    pub fn spoken(&mut self, codes: &Codes) {
        let piece = self.current.take().filter(|_| !codes.is_empty());
        self.previous = piece.map(|piece| Turn { speaker: piece.speaker, text: piece.text, frames: codes.clone() });
    }

    fn spec_of(&self, piece: &Piece, previous: Option<&Turn>) -> ClipSpec {
        let seed = self.spec.sampling.seed.wrapping_add(self.next);
        ClipSpec {
            text: piece.text.clone(),
            speaker: piece.speaker,
            context: self.spec.context.iter().chain(previous).cloned().collect(),
            prompt_style: self.spec.prompt_style,
            sampling: Sampling { seed, ..self.spec.sampling },
            edits: self.spec.edits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype, Mode, Position, SamplingParams};

    const DIMS: ModelDims =
        ModelDims { codebooks: 1, vocab: 9, codec_size: 9, frame_rate: 12.5, sample_rate: 24_000, max_positions: 30 };

    /// A position per character and per frame of context.
    fn prompt(spec: &ClipSpec) -> Result<Prompt> {
        let context: usize = spec.context.iter().map(|turn| turn.text.len() + turn.frames.len()).sum();
        let mut prompt = Prompt::default();
        prompt.push_segment(vec![Position::Text(1); context + spec.text.len()]);
        Ok(prompt)
    }

    fn narration(texts: &[&str], can_split: bool) -> Narration {
        let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 5), 7, Dtype::Float32);
        let pieces = texts.iter().map(|text| Piece { speaker: 1, text: (*text).to_owned() }).collect();
        Narration::new(ClipSpec::new("", 0, sampling), pieces, 10, can_split)
    }

    #[test]
    fn a_piece_has_the_one_before_it_as_context_while_there_is_room() {
        let mut narration = narration(&["one two.", "three", "and a long fourth"], true);
        let first = narration.next(&DIMS, prompt).unwrap().unwrap();
        assert_eq!((first.spec.text.as_str(), first.spec.sampling.seed, first.spec.context.len()), ("one two.", 7, 0));
        narration.spoken(&Codes::from_frames([[1], [2], [3]]).unwrap());
        let second = narration.next(&DIMS, prompt).unwrap().unwrap();
        assert_eq!((second.spec.context[0].text.as_str(), second.spec.sampling.seed), ("one two.", 8));
        narration.spoken(&Codes::from_frames([[1]]).unwrap());
        let third = narration.next(&DIMS, prompt).unwrap().unwrap();
        assert!(third.spec.context.is_empty(), "there is no room for it");
        narration.spoken(&Codes::default());
        assert!(narration.next(&DIMS, prompt).unwrap().is_none());
    }

    #[test]
    fn a_piece_that_does_not_fit_is_split_if_that_is_allowed() {
        let long = "one two three four five six";
        let mut split = narration(&[long, "seven"], true);
        let first = split.next(&DIMS, prompt).unwrap().unwrap();
        assert_eq!((first.spec.text.as_str(), split.remaining()), ("one two three", 2));
        assert_eq!(split.next(&DIMS, prompt).unwrap().unwrap().spec.text, "four five six");
        assert!(matches!(narration(&[long], false).next(&DIMS, prompt), Err(Error::ContextTooLong { .. })));
    }
}
