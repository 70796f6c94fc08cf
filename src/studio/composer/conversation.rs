//! The conversation as it is edited: turns, and the voice prompt before them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::queue::{TakeOfTurn, TurnText};
use crate::audio::peaks::Peaks;
use crate::data::{Codes, Turn};
use crate::error::{Error, Result};
use crate::takes::TakeId;

/// Identifies a turn, wherever it is in the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(u64);

/// A turn of the conversation as it is edited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnDraft {
    /// Its id; [`Conversation::add`] chooses it.
    pub id: TurnId,
    pub speaker: u32,
    pub text: String,
    /// How it was spoken last.
    #[serde(default, alias = "take")]
    pub spoken: Option<SpokenTurn>,
}

impl TurnDraft {
    fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The takes of its pieces, in order, if all of them have been spoken.
    pub fn takes(&self) -> Option<&[TakeId]> {
        self.spoken.as_ref().filter(|spoken| !spoken.incomplete).map(|spoken| spoken.takes.as_slice())
    }
}

/// How a turn was spoken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpokenTurn {
    /// A take for each piece of its text, in order.
    #[serde(alias = "id", deserialize_with = "one_or_several")]
    pub takes: Vec<TakeId>,
    /// Whether pieces have not been spoken.
    #[serde(default)]
    pub incomplete: bool,
    /// The takes of the turns before it that were its context; `None` if it was spoken without them.
    pub after: Option<Vec<TakeId>>,
}

/// Earlier versions wrote the one take of a turn.
fn one_or_several<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<TakeId>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Takes {
        One(TakeId),
        Several(Vec<TakeId>),
    }
    Ok(match Takes::deserialize(deserializer)? {
        Takes::One(take) => vec![take],
        Takes::Several(takes) => takes,
    })
}

/// A voice prompt: a recording that is context for the whole conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VoicePrompt {
    pub path: PathBuf,
    /// The transcript of the recording.
    pub text: String,
    /// Speaker number of the recorded voice.
    pub speaker: u32,
    /// The part that is used, in seconds.
    pub part: (f64, f64),
    /// The recording at the model's rate.
    pub samples: Vec<f32>,
    /// Peaks of the recording.
    pub peaks: Peaks,
    /// Codes of the part; `None` until it is encoded.
    pub codes: Option<Codes>,
}

/// Shortest part of a recording that is used, in seconds.
const SHORTEST_PROMPT: f64 = 0.5;

impl VoicePrompt {
    /// The samples of the part, at `rate` samples per second.
    pub fn used(&self, rate: usize) -> &[f32] {
        let at = |seconds: f64| ((seconds * rate as f64).round() as usize).min(self.samples.len());
        self.samples.get(at(self.part.0)..at(self.part.1)).unwrap_or_default()
    }

    /// Uses only `from..to` seconds, at least half a second or the whole recording; whether that is a change.
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
    next: u64,
    /// The turn that is being edited.
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
    /// A conversation of these turns, or of an empty one.
    pub fn new(turns: Vec<TurnDraft>) -> Self {
        let next = turns.iter().map(|turn| turn.id.0 + 1).max().unwrap_or(0);
        let mut conversation = Self { turns, next, edited: None, prompt: None };
        if conversation.turns.is_empty() {
            conversation.add(0, "");
        }
        conversation
    }

    /// The turns in order.
    pub fn turns(&self) -> &[TurnDraft] {
        &self.turns
    }

    pub fn turn(&self, id: TurnId) -> Option<&TurnDraft> {
        self.turns.iter().find(|turn| turn.id == id)
    }

    fn index(&self, id: TurnId) -> Option<usize> {
        self.turns.iter().position(|turn| turn.id == id)
    }

    /// Makes `id` the turn that is being edited.
    pub fn focus(&mut self, id: TurnId) {
        self.edited = Some(id);
    }

    /// The turn that is being edited, or the last one.
    pub fn edited(&self) -> TurnId {
        let edited = self.edited.filter(|id| self.index(*id).is_some());
        edited.or(self.turns.last().map(|turn| turn.id)).unwrap_or_default()
    }

    /// Whether `id` is the first turn.
    pub fn is_first(&self, id: TurnId) -> bool {
        self.turns.first().is_some_and(|turn| turn.id == id)
    }

    /// The takes of all turns with text, in order; `None` if one of them has not been spoken.
    pub fn takes(&self) -> Option<Vec<TakeId>> {
        takes_of(self.turns.iter().filter(|turn| !turn.is_empty()))
    }

    /// The takes of all turns, in order.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if a turn has not been spoken.
    pub fn all_takes(&self) -> Result<Vec<TakeId>> {
        self.takes().filter(|takes| !takes.is_empty()).ok_or_else(|| {
            Error::invalid("conversation", "every turn to be spoken (“Speak all” does that)", "a turn without a take")
        })
    }

    pub fn add(&mut self, speaker: u32, text: &str) -> TurnId {
        self.insert(self.turns.len(), speaker, text)
    }

    /// Inserts a turn after `id`, or at the end if there is no such turn.
    pub fn insert_after(&mut self, id: TurnId, speaker: u32, text: &str) -> TurnId {
        let at = self.index(id).map_or(self.turns.len(), |at| at + 1);
        self.insert(at, speaker, text)
    }

    fn insert(&mut self, at: usize, speaker: u32, text: &str) -> TurnId {
        let id = TurnId(self.next);
        self.next += 1;
        self.turns.insert(at, TurnDraft { id, speaker, text: text.into(), spoken: None });
        id
    }

    pub fn remove(&mut self, id: TurnId) {
        self.turns.retain(|turn| turn.id != id);
        if self.turns.is_empty() {
            self.add(0, "");
        }
    }

    /// Swaps a turn with the one before it.
    pub fn move_up(&mut self, id: TurnId) {
        if let Some(at) = self.index(id).filter(|at| *at > 0) {
            self.turns.swap(at - 1, at);
        }
    }

    /// Changes speaker and text of a turn; it has not been spoken then.
    pub fn edit(&mut self, id: TurnId, speaker: u32, text: &str) {
        if let Some(turn) = self.turns.iter_mut().find(|turn| turn.id == id)
            && (turn.speaker, turn.text.as_str()) != (speaker, text)
        {
            (turn.speaker, turn.text, turn.spoken) = (speaker, text.into(), None);
        }
    }

    /// Whether the turn of a piece is as it was when its text was cut.
    pub(super) fn is_current(&self, of: &TurnText) -> bool {
        self.turn(of.turn).is_some_and(|turn| (turn.speaker, &turn.text) == (of.speaker, &of.text))
    }

    /// Records the take of a piece, unless its turn has been edited since.
    pub fn add_take(&mut self, of: &TakeOfTurn, take: TakeId) {
        if !self.is_current(&of.turn) {
            return;
        }
        let Some(turn) = self.turns.iter_mut().find(|turn| turn.id == of.turn.turn) else { return };
        let before = turn.spoken.take().filter(|_| of.piece > 0).map(|spoken| spoken.takes).unwrap_or_default();
        let takes = before.into_iter().take(of.piece).chain([take]).collect();
        turn.spoken = Some(SpokenTurn { takes, incomplete: !of.is_last, after: of.after.clone() });
    }

    /// The turns with text before `id`.
    pub fn before(&self, id: TurnId) -> impl Iterator<Item = &TurnDraft> {
        self.turns.iter().take_while(move |turn| turn.id != id).filter(|turn| !turn.is_empty())
    }

    /// The takes of the turns before `id`; `None` if one of them has not been spoken.
    pub fn takes_before(&self, id: TurnId) -> Option<Vec<TakeId>> {
        takes_of(self.before(id))
    }

    /// Whether a turn was spoken after other takes than those before it now.
    pub fn is_stale(&self, id: TurnId) -> bool {
        let spoken = self.turn(id).and_then(|turn| turn.spoken.as_ref());
        spoken.is_some_and(|take| take.after.is_some() && take.after != self.takes_before(id))
    }

    /// The turns with text that have no take, or a stale one.
    pub fn unspoken(&self) -> impl Iterator<Item = TurnId> {
        let unspoken = |turn: &&TurnDraft| !turn.is_empty() && (turn.takes().is_none() || self.is_stale(turn.id));
        self.turns.iter().filter(unspoken).map(|turn| turn.id)
    }

    /// The voice prompt as a turn of context; `None` if there is none or it is not encoded.
    pub fn prompt_turn(&self) -> Option<Turn> {
        let prompt = self.prompt.as_ref()?;
        Some(Turn { speaker: prompt.speaker, text: prompt.text.clone(), frames: prompt.codes.clone()? })
    }

    /// Whether the voice prompt is not encoded yet.
    pub fn waits_for_prompt(&self) -> bool {
        self.prompt.as_ref().is_some_and(|prompt| prompt.codes.is_none())
    }
}

fn takes_of<'a>(mut turns: impl Iterator<Item = &'a TurnDraft>) -> Option<Vec<TakeId>> {
    turns.try_fold(Vec::new(), |mut takes, turn| {
        takes.extend_from_slice(turn.takes()?);
        Some(takes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only piece of a turn, or one of several.
    fn piece(
        turn: TurnId,
        (speaker, text): (u32, &str),
        (piece, is_last): (usize, bool),
        after: Option<&[&str]>,
    ) -> TakeOfTurn {
        let after = after.map(|ids| ids.iter().map(|id| TakeId::from(*id)).collect());
        TakeOfTurn { turn: TurnText { turn, speaker, text: text.into() }, piece, is_last, after }
    }

    #[test]
    fn a_take_belongs_to_the_turn_with_its_text() {
        let mut conversation = Conversation::default();
        let first = conversation.turns()[0].id;
        conversation.edit(first, 0, "Hello.");
        let second = conversation.add(1, "Hello to you.");
        conversation.move_up(second);
        conversation.add_take(&piece(second, (1, "Hello to you."), (0, true), Some(&[])), "a".into());
        assert_eq!(conversation.turns()[0].takes().unwrap(), ["a".into()], "wherever it has moved");
        // Spoken while the text or the speaker was changed: the take is of another text.
        conversation.edit(first, 0, "No.");
        conversation.add_take(&piece(first, (0, "Hello."), (0, true), None), "b".into());
        assert_eq!(conversation.turn(first).unwrap().spoken, None);
        conversation.edit(second, 0, "Hello to you.");
        assert_eq!(conversation.turns()[0].spoken, None, "the take was the other speaker's");
        conversation.remove(first);
        conversation.remove(second);
        assert_eq!(conversation.turns().len(), 1, "there is always a turn");
        assert_ne!(conversation.turns()[0].id, first, "ids are not used twice");
    }

    #[test]
    fn a_turn_has_a_take_for_each_piece() {
        let mut conversation = Conversation::default();
        let (turn, text) = (conversation.turns()[0].id, "One. Two.");
        conversation.edit(turn, 0, text);
        conversation.add_take(&piece(turn, (0, text), (0, false), None), "a".into());
        assert_eq!((conversation.takes(), conversation.unspoken().count()), (None, 1), "a piece is missing");
        conversation.add_take(&piece(turn, (0, text), (1, true), None), "b".into());
        assert_eq!(conversation.takes(), Some(vec!["a".into(), "b".into()]));
        conversation.add_take(&piece(turn, (0, text), (0, false), None), "c".into());
        assert_eq!(conversation.turn(turn).unwrap().spoken.as_ref().unwrap().takes, ["c".into()], "spoken again");
    }

    #[test]
    fn a_draft_of_an_earlier_version_has_one_take() {
        let turn = r#"{"id": 3, "speaker": 1, "text": "Hello.", "take": {"id": "17-000", "after": null}}"#;
        let turn: TurnDraft = serde_json::from_str(turn).unwrap();
        assert_eq!(turn.takes().unwrap(), ["17-000".into()]);
        let again: TurnDraft = serde_json::from_str(&serde_json::to_string(&turn).unwrap()).unwrap();
        assert_eq!(again, turn);
    }

    #[test]
    fn a_turn_is_stale_after_other_takes() {
        let mut conversation = Conversation::default();
        let first = conversation.turns()[0].id;
        conversation.edit(first, 0, "One.");
        let second = conversation.add(1, "Two.");
        assert_eq!(conversation.takes_before(second), None, "the first has not been spoken");
        conversation.add_take(&piece(first, (0, "One."), (0, true), None), "a".into());
        conversation.add_take(&piece(second, (1, "Two."), (0, true), Some(&["a"])), "b".into());
        assert!(!conversation.is_stale(first) && !conversation.is_stale(second));
        conversation.add_take(&piece(first, (0, "One."), (0, true), None), "c".into());
        assert!(conversation.is_stale(second));
        conversation.edit(first, 0, "Another.");
        assert!(conversation.is_stale(second));
        assert_eq!(conversation.unspoken().collect::<Vec<_>>(), [first, second]);
        conversation.remove(first);
        assert!(conversation.is_stale(second));
    }

    #[test]
    fn a_prompt_is_waited_for_until_it_is_encoded() {
        let mut conversation = Conversation { prompt: Some(VoicePrompt::default()), ..Conversation::default() };
        assert!(conversation.waits_for_prompt() && conversation.prompt_turn().is_none());
        conversation.prompt.iter_mut().for_each(|p| p.codes = Some(Codes::from_frames([[1, 2]]).unwrap()));
        assert!(!conversation.waits_for_prompt() && conversation.prompt_turn().is_some());
    }
}
