//! What streaming remembers between two pieces. Layers are immutable and share one numbering of slots, so that a clip's state
//! is a value of its own: a new one begins a new clip.

use mlx_rs::Array;

/// Place of one remembered array.
#[derive(Clone, Copy)]
pub struct Slot(usize);

/// Numbers the slots of a net while it is built.
#[derive(Default)]
pub struct Slots(usize);

impl Slots {
    pub fn next(&mut self) -> Slot {
        self.0 += 1;
        Slot(self.0 - 1)
    }

    /// The state before the first piece.
    pub fn state(&self) -> State {
        State { arrays: vec![None; self.0], steps: 0 }
    }
}

/// The memory of one clip.
#[derive(Clone)]
pub struct State {
    arrays: Vec<Option<Array>>,
    /// Steps that the transformer has seen.
    pub steps: i32,
}

impl State {
    pub fn take(&mut self, slot: Slot) -> Option<Array> {
        self.arrays[slot.0].take()
    }

    pub fn put(&mut self, slot: Slot, array: Array) {
        self.arrays[slot.0] = Some(array);
    }

    /// All that is remembered.
    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.arrays.iter().flatten()
    }
}
