//! The conversation as it is edited: turns, and the recording before them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{Codes, Turn};

/// Identifies a turn, whatever happens to its place in the conversation.
pub type TurnId = u64;

/// A turn of the conversation as it is edited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnDraft {
    /// Identifies it; [`Conversation::add`] chooses it.
    pub id: TurnId,
    /// Who speaks.
    pub speaker: u32,
    /// What is said.
    pub text: String,
    /// The take that was made of it, if there is one.
    #[serde(default)]
    pub take: Option<SpokenTurn>,
}

/// A turn that was spoken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpokenTurn {
    /// The take.
    pub id: String,
    /// The takes of the turns before it that it heard; `None` where it was spoken by itself.
    pub after: Option<Vec<String>>,
}

/// A voice prompt: a recording that stands before the conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoicePrompt {
    /// The file.
    pub path: PathBuf,
    /// What is said in it.
    pub text: String,
    /// Who says it.
    pub speaker: u32,
    /// The part that is used, seconds.
    pub part: (f64, f64),
    /// The recording at the model's rate.
    pub samples: Vec<f32>,
    /// Codes of the part; `None` until it is encoded.
    pub frames: Option<Codes>,
}

/// Shortest part of a recording that is used, seconds.
const SHORTEST_PROMPT: f64 = 0.5;

impl VoicePrompt {
    /// The samples that are used, at `rate` samples a second.
    pub fn used(&self, rate: usize) -> &[f32] {
        let at = |seconds: f64| ((seconds * rate as f64).round() as usize).min(self.samples.len());
        self.samples.get(at(self.part.0)..at(self.part.1)).unwrap_or_default()
    }

    /// Uses only `from..to` seconds; whether that is a change. Half a second or all of the recording stays.
    pub fn trim(&mut self, from: f64, to: f64, rate: usize) -> bool {
        let length = self.samples.len() as f64 / rate as f64;
        let shortest = SHORTEST_PROMPT.min(length);
        let from = from.clamp(0.0, length - shortest);
        let part = (from, to.clamp(from + shortest, length));
        std::mem::replace(&mut self.part, part) != part
    }
}

/// The conversation. It always has a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    turns: Vec<TurnDraft>,
    next: TurnId,
    /// The turn whose text is being edited.
    edited: Option<TurnId>,
    /// The recording before it.
    pub prompt: Option<VoicePrompt>,
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Conversation {
    /// A conversation of these turns.
    pub fn new(turns: Vec<TurnDraft>) -> Self {
        let next = turns.iter().map(|turn| turn.id + 1).max().unwrap_or(0);
        let mut conversation = Self { turns, next, edited: None, prompt: None };
        if conversation.turns.is_empty() {
            conversation.add(0, "");
        }
        conversation
    }

    /// The turns.
    pub fn turns(&self) -> &[TurnDraft] {
        &self.turns
    }

    /// The turn `id`.
    pub fn turn(&self, id: TurnId) -> Option<&TurnDraft> {
        self.turns.iter().find(|turn| turn.id == id)
    }

    /// The place of the turn `id`.
    pub fn place(&self, id: TurnId) -> Option<usize> {
        self.turns.iter().position(|turn| turn.id == id)
    }

    /// The text of this turn is being edited.
    pub fn focus(&mut self, id: TurnId) {
        self.edited = Some(id);
    }

    /// The place of the turn that is being edited, else of the last one.
    pub fn edited(&self) -> usize {
        self.edited.and_then(|id| self.place(id)).unwrap_or(self.turns.len() - 1)
    }

    /// The takes of all turns that say something, in order; `None` where one of them has not been spoken.
    pub fn takes(&self) -> Option<Vec<String>> {
        self.takes_before(self.turns.len())
    }

    /// Appends a turn.
    pub fn add(&mut self, speaker: u32, text: &str) -> TurnId {
        self.insert(self.turns.len(), speaker, text)
    }

    /// Puts a turn into place `n`.
    pub fn insert(&mut self, n: usize, speaker: u32, text: &str) -> TurnId {
        let id = self.next;
        self.next += 1;
        self.turns.insert(n.min(self.turns.len()), TurnDraft { id, speaker, text: text.into(), take: None });
        id
    }

    /// Removes the turn in place `n`.
    pub fn remove(&mut self, n: usize) {
        if n < self.turns.len() {
            self.turns.remove(n);
        }
        if self.turns.is_empty() {
            self.add(0, "");
        }
    }

    /// Exchanges the turn in place `n` with the one before it.
    pub fn move_up(&mut self, n: usize) {
        if n > 0 && n < self.turns.len() {
            self.turns.swap(n - 1, n);
        }
    }

    /// Changes who says what in place `n`; a take that says something else, or somebody else's, is no longer the turn's.
    pub fn edit(&mut self, n: usize, speaker: u32, text: &str) {
        if let Some(turn) = self.turns.get_mut(n)
            && (turn.speaker, turn.text.as_str()) != (speaker, text)
        {
            (turn.speaker, turn.text, turn.take) = (speaker, text.into(), None);
        }
    }

    /// The turn `id` was spoken: `take` is its take unless it has been edited meanwhile.
    pub fn spoken(&mut self, id: TurnId, speaker: u32, text: &str, take: SpokenTurn) {
        let same = |turn: &&mut TurnDraft| turn.id == id && (turn.speaker, turn.text.as_str()) == (speaker, text);
        if let Some(turn) = self.turns.iter_mut().find(same) {
            turn.take = Some(take);
        }
    }

    /// Turns before place `n` that say something.
    pub fn before(&self, n: usize) -> impl Iterator<Item = &TurnDraft> {
        self.turns.iter().take(n).filter(|turn| !turn.text.trim().is_empty())
    }

    /// The takes of the turns before place `n`; `None` where one of them has not been spoken.
    pub fn takes_before(&self, n: usize) -> Option<Vec<String>> {
        self.before(n).map(|turn| turn.take.as_ref().map(|take| take.id.clone())).collect()
    }

    /// Whether the turn in place `n` was spoken after other takes than those that stand before it now.
    pub fn is_stale(&self, n: usize) -> bool {
        let take = self.turns.get(n).and_then(|turn| turn.take.as_ref());
        take.is_some_and(|take| take.after.is_some() && take.after != self.takes_before(n))
    }

    /// The voice prompt as a turn; `None` where there is none. It has to be encoded.
    pub fn prompt_turn(&self) -> Option<Turn> {
        let prompt = self.prompt.as_ref()?;
        Some(Turn { speaker: prompt.speaker, text: prompt.text.clone(), frames: prompt.frames.clone()? })
    }

    /// Whether the voice prompt is still being encoded.
    pub fn waits_for_prompt(&self) -> bool {
        self.prompt.as_ref().is_some_and(|prompt| prompt.frames.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(id: &str, after: &[&str]) -> SpokenTurn {
        SpokenTurn { id: id.into(), after: Some(after.iter().map(ToString::to_string).collect()) }
    }

    #[test]
    fn a_take_belongs_to_the_turn_that_says_it() {
        let mut conversation = Conversation::default();
        let first = conversation.turns()[0].id;
        conversation.edit(0, 0, "Hello.");
        let second = conversation.add(1, "Hello to you.");
        conversation.move_up(1);
        conversation.spoken(second, 1, "Hello to you.", spoken("a", &[]));
        assert_eq!(conversation.turns()[0].take.as_ref().unwrap().id, "a", "wherever it has moved");
        // Spoken while the text, or the speaker, was changed: the take says something else.
        conversation.edit(1, 0, "No.");
        conversation.spoken(first, 0, "Hello.", spoken("b", &[]));
        assert_eq!(conversation.turn(first).unwrap().take, None);
        conversation.edit(0, 0, "Hello to you.");
        assert_eq!(conversation.turns()[0].take, None, "the take was the other speaker's");
        conversation.remove(0);
        conversation.remove(0);
        assert_eq!(conversation.turns().len(), 1, "there is always a turn");
        assert_ne!(conversation.turns()[0].id, first, "and ids are not used twice");
    }

    #[test]
    fn a_turn_is_stale_when_it_heard_something_else() {
        let mut conversation = Conversation::default();
        conversation.edit(0, 0, "One.");
        let (first, second) = (conversation.turns()[0].id, conversation.add(1, "Two."));
        assert_eq!(conversation.takes_before(1), None, "the first has not been spoken");
        conversation.spoken(first, 0, "One.", SpokenTurn { id: "a".into(), after: None });
        conversation.spoken(second, 1, "Two.", spoken("b", &["a"]));
        assert!(!conversation.is_stale(0) && !conversation.is_stale(1));
        conversation.spoken(first, 0, "One.", SpokenTurn { id: "c".into(), after: None });
        assert!(conversation.is_stale(1));
        conversation.edit(0, 0, "Another.");
        assert!(conversation.is_stale(1));
        conversation.remove(0);
        assert!(conversation.is_stale(0));
    }

    #[test]
    fn a_prompt_is_waited_for() {
        let mut conversation = Conversation { prompt: Some(VoicePrompt::default()), ..Conversation::default() };
        assert!(conversation.waits_for_prompt() && conversation.prompt_turn().is_none());
        conversation.prompt.iter_mut().for_each(|p| p.frames = Some(Codes::from_frames([[1, 2]]).unwrap()));
        assert!(!conversation.waits_for_prompt() && conversation.prompt_turn().is_some());
    }
}
