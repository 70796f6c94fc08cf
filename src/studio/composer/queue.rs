//! Turns and takes that wait to be spoken.

use std::sync::atomic::{AtomicU64, Ordering};

use super::conversation::TurnId;
use crate::data::{ClipSpec, WordRetake};
use crate::engine::Narration;
use crate::takes::TakeId;

/// Identifies takes that are made to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupId(u64);

impl GroupId {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A turn with its text when that was cut into pieces.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnText {
    pub turn: TurnId,
    pub speaker: u32,
    pub text: String,
}

/// The piece of a turn that a take is.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeOfTurn {
    pub turn: TurnText,
    /// Number of the piece, from 0.
    pub piece: usize,
    /// Whether it is the turn's last piece.
    pub is_last: bool,
    /// The takes that are its context; `None` if it is spoken without the turns before it.
    pub after: Option<Vec<TakeId>>,
}

/// Takes to be made from another take.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeRequest {
    pub spec: ClipSpec,
    /// Seeds of further takes of the same, generated side by side with it.
    pub more_seeds: Vec<u64>,
    /// The word that they speak again, if everything else is to stay; seeds are then those of the word.
    pub retake: Option<WordRetake>,
    /// The take that they are made from.
    pub parent: TakeId,
    /// The group in which they are compared.
    pub group: Option<GroupId>,
}

/// The purpose of a take.
#[derive(Clone, Debug, Default)]
pub struct TakePurpose {
    /// The turn of the first take.
    pub turn: Option<TakeOfTurn>,
    /// The take that they are made from.
    pub parent: Option<TakeId>,
    /// The group in which they are compared.
    pub group: Option<GroupId>,
}

/// A turn that waits to be spoken, as one clip or in pieces.
pub(super) struct QueuedTurn {
    pub(super) turn: TurnId,
    /// Whether the turns before it are context.
    pub(super) with_context: bool,
    /// Takes to be made of each piece, each with its own seed.
    pub(super) variants: usize,
    /// Its pieces, once its text has been cut.
    pub(super) pieces: Option<PieceQueue>,
}

/// The pieces of a turn's text.
pub(super) struct PieceQueue {
    pub(super) narration: Narration,
    pub(super) turn: TurnText,
    /// Pieces that have been spoken.
    pub(super) spoken: usize,
}

impl QueuedTurn {
    pub(super) fn new(turn: TurnId, with_context: bool) -> Self {
        Self { turn, with_context, variants: 1, pieces: None }
    }

    /// Takes that it still becomes, variants not counted.
    pub(super) fn remaining(&self) -> usize {
        self.pieces.as_ref().map_or(1, |pieces| pieces.narration.remaining())
    }
}
