//! What the window knows, in parts that need no window.

mod codebooks;
mod conversation;
mod draft;
mod families;
mod generation;
mod inspector;
mod library;
mod listening;
mod measured;
mod model;
mod notifications;
mod outlines;
mod pins;
mod test_in_making;
mod time_axis;
mod what_if;

pub use codebooks::Codebooks;
pub use conversation::{Conversation, SpokenTurn, TurnDraft, TurnId, VoicePrompt};
pub use draft::Draft;
pub use families::families;
pub use generation::{ActiveTask, Audition, ClipToSpeak, Generation, QueuedTask, TaskNews, TurnToSpeak};
pub use inspector::{ClipView, InspectedClip, MapContent, PEAK, Peaks};
pub use library::{ExportKind, Library};
pub use listening::{OpenTest, RATE as TEST_RATE};
pub use measured::{Measured, MeasuredSounds};
pub use model::{Model, ModelNews, Wake, describe_bytes};
pub use notifications::{Notification, Notifications};
pub use outlines::{Outline, Outlines, outline};
pub use pins::{Alignment, Heard, PinnedClip, Pins};
pub use test_in_making::{TestInMaking, TestRequest};
pub use time_axis::TimeAxis;
pub use what_if::WhatIfQuestion;
