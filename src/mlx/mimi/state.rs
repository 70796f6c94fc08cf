//! Streaming state: per-clip tensors carried between chunks. Layers are immutable and share one numbering of slots, so that a
//! clip's state is a value; a new state begins a new clip.

use mlx_rs::Array;

/// Place of one carried tensor.
#[derive(Clone, Copy)]
pub(super) struct StateSlot(usize);

/// Numbers the slots of a net while it is built.
#[derive(Default)]
pub(super) struct SlotAllocator(usize);

impl SlotAllocator {
    pub(super) fn allocate(&mut self) -> StateSlot {
        self.0 += 1;
        StateSlot(self.0 - 1)
    }

    /// The state before the first chunk.
    pub(super) fn initial_state(&self) -> StreamState {
        StreamState { arrays: vec![None; self.0], offset: 0 }
    }
}

/// The state of one clip.
#[derive(Clone)]
pub(super) struct StreamState {
    arrays: Vec<Option<Array>>,
    /// Steps that the transformer has processed.
    pub(super) offset: i32,
}

impl StreamState {
    pub(super) fn take(&mut self, slot: StateSlot) -> Option<Array> {
        self.arrays[slot.0].take()
    }

    pub(super) fn put(&mut self, slot: StateSlot, array: Array) {
        self.arrays[slot.0] = Some(array);
    }

    pub(super) fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.arrays.iter().flatten()
    }
}
