//! What the window knows, in parts that need no window.

mod conversation;
mod draft;
mod notifications;
mod time_axis;

pub use conversation::{Conversation, SpokenTurn, TurnDraft, TurnId, VoicePrompt};
pub use draft::Draft;
pub use notifications::{Notification, Notifications};
pub use time_axis::TimeAxis;
