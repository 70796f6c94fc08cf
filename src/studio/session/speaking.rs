//! Speaking: turns and texts become clips, which wait for the worker.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Session;
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, Edit, FinishReason, Mode, Sampling, Turn, is_speakable};
use crate::engine::GenerationRequest;
use crate::error::{Error, Result};
use crate::studio::state::{ClipToSpeak, Heard, QueuedTask, SpokenTurn, TurnId, TurnToSpeak};
use crate::text::Script;
use crate::worker::GeneratedClip;

/// Which seed a take is made again with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegenerateSeed {
    /// The take's own.
    Same,
    /// A random one.
    New,
}

impl Session {
    /// Settings of the next take, with a new seed where random seeds are on.
    fn next_sampling(&mut self) -> Sampling {
        if self.settings.random_seed
            && let Some(seed) = self.random_seed()
        {
            self.sampling.seed = seed;
        }
        self.sampling
    }

    /// A random seed of 32 bits, which is easier to copy than one of 64.
    fn random_seed(&mut self) -> Option<u64> {
        let seed = self.random_number();
        self.report(seed)
    }

    /// A random number of 32 bits.
    pub(super) fn random_number(&self) -> Result<u64> {
        getrandom::u64().map(|seed| seed >> 32).map_err(|e| Error::Unavailable {
            what: "the system gives no random number".into(),
            hint: "choose a seed".into(),
            source: Some(Box::new(e)),
        })
    }

    /// Whether what is to be spoken is, now or as soon as the model is loaded.
    pub fn can_speak(&self) -> bool {
        self.is_ready() || self.model.is_loading()
    }

    /// Speaks turn `n`, after the turns before it where `with_context`; those of them that have not been spoken are spoken first. A
    /// longer text becomes several turns, a piece each, which are spoken one after another.
    pub fn speak_turn(&mut self, n: usize, with_context: bool) {
        self.speak_turn_often(n, with_context, 1);
    }

    /// The same, as so many takes with a seed each, side by side.
    pub fn speak_turn_often(&mut self, n: usize, with_context: bool, takes: usize) {
        let Some(turn) = self.conversation.turns().get(n) else { return };
        let something = match self.checkpoint() {
            Some(checkpoint) => {
                let script = Script::new(&turn.text, turn.speaker, false, &checkpoint.text_profile);
                script.pieces.iter().any(|piece| is_speakable(&piece.text))
            }
            None if self.model.is_loading() => is_speakable(&turn.text),
            None => return self.notify(self.model.status().unwrap_or_default()),
        };
        if !something {
            return self.notify_error(Error::invalid(
                "text",
                "something to say (at least a letter or digit)",
                "nothing",
            ));
        }
        let id = turn.id;
        let first: Vec<TurnId> = match with_context {
            true => self.conversation.before(n).filter(|turn| turn.take.is_none()).map(|turn| turn.id).collect(),
            false => Vec::new(),
        };
        let first: Vec<TurnId> = first.into_iter().filter(|id| !self.generation.will_speak(*id)).collect();
        if !first.is_empty() {
            self.notify(format!("{} of the turns before it are spoken first", first.len()));
        }
        for turn in first {
            self.generation.to_speak.push_back(TurnToSpeak::new(turn, with_context));
        }
        self.generation.to_speak.push_back(TurnToSpeak { takes, ..TurnToSpeak::new(id, with_context) });
        self.speak_next_turn();
    }

    /// Speaks all turns that have no take, or one that heard something else, in order.
    pub fn speak_conversation(&mut self) {
        let turns = self.conversation.turns().iter().enumerate();
        let wanted = turns.filter(|(n, turn)| {
            !turn.text.trim().is_empty() && (turn.take.is_none() || self.conversation.is_stale(*n))
        });
        let wanted: Vec<TurnId> = wanted.map(|(_, turn)| turn.id).collect();
        if wanted.is_empty() {
            return self.notify("every turn has been spoken");
        }
        for turn in wanted {
            self.generation.to_speak.push_back(TurnToSpeak::new(turn, true));
        }
        self.speak_next_turn();
    }

    /// Cuts the text of a turn into pieces, each a turn of its own; their ids.
    fn cut_turn(&mut self, id: TurnId) -> VecDeque<TurnId> {
        let (Some(n), Some(checkpoint)) = (self.conversation.place(id), self.checkpoint()) else {
            return VecDeque::new();
        };
        let turn = &self.conversation.turns()[n];
        let script = Script::new(&turn.text, turn.speaker, false, &checkpoint.text_profile);
        let messages = script.messages(&checkpoint.text_profile, &checkpoint.info.name);
        messages.into_iter().for_each(|text| self.notify(text));
        if (script.pieces.len() == 1 && script.tag.is_none()) || script.pieces.is_empty() {
            return [id].into();
        }
        if script.pieces.len() > 1 {
            self.notify(format!("the text is spoken in {} pieces, each a turn of its own", script.pieces.len()));
        }
        let mut ids = VecDeque::new();
        for (m, piece) in script.pieces.into_iter().enumerate() {
            if m > 0 {
                ids.push_back(self.conversation.insert(n + m, piece.speaker, &piece.text));
            } else {
                self.conversation.edit(n, piece.speaker, &piece.text);
                ids.push_back(id);
            }
        }
        ids
    }

    /// Begins the next turn, or the next piece of one, when its time has come.
    pub(super) fn speak_next_turn(&mut self) {
        // What is being written may be what the next one hears.
        let busy = !self.generation.is_idle() || !self.is_ready() || self.writing_takes.is();
        if busy || self.recording.is_some() || self.conversation.waits_for_prompt() {
            return;
        }
        let Some(mut next) = self.generation.to_speak.pop_front() else { return };
        let between_pieces = next.pieces.is_some();
        if between_pieces && self.settings.autoplay && self.heard == Heard::Clip && self.player.is_playing() {
            return self.generation.to_speak.push_front(next);
        }
        let mut pieces = next.pieces.take().unwrap_or_else(|| self.cut_turn(next.turn));
        let Some(piece) = pieces.pop_front() else { return };
        // The context of the first piece is the conversation's; each further piece hears that and the piece before it.
        let context = self.context_of(next.turn, next.with_context);
        let (place, turn) = (self.conversation.place(piece), self.conversation.turn(piece).cloned());
        let (Some(place), Some(turn)) = (place, turn) else {
            // This piece's turn was deleted while it waited; those after it are still wanted.
            if !pieces.is_empty() {
                self.generation.to_speak.push_front(TurnToSpeak { pieces: Some(pieces), ..next });
            }
            return self.speak_next_turn();
        };
        let context = match context {
            Ok(context) => context,
            Err(e) => return self.notify_error(e),
        };
        let sampling = self.next_sampling();
        let spec = |before: Option<Turn>| {
            let context = context.iter().cloned().chain(before).collect();
            ClipSpec { context, ..ClipSpec::new(turn.text.clone(), turn.speaker, sampling) }
        };
        let max_frames = self.longest_frames();
        let after = spec(next.before.take());
        // Where the piece before it leaves no room, it is spoken without it.
        let too_long = |checkpoint: &Arc<Checkpoint>| {
            matches!(request(&after, checkpoint, max_frames), Err(Error::ContextTooLong { .. }))
        };
        let spec = if self.checkpoint().is_some_and(too_long) { spec(None) } else { after };
        let heard = next.with_context.then(|| self.conversation.takes_before(place).unwrap_or_default());
        let (mut more_seeds, mut group) = (Vec::new(), None);
        if next.takes > 1 {
            if between_pieces || !pieces.is_empty() {
                self.notify("a text in several pieces is spoken with one seed a piece");
                next.takes = 1;
            } else {
                more_seeds.extend((1..next.takes).filter_map(|_| self.random_seed()));
                group = Some(self.next_group());
            }
        }
        if !pieces.is_empty() {
            self.generation.to_speak.push_front(TurnToSpeak { pieces: Some(pieces), ..next });
        }
        let turn = Some((piece, heard));
        self.queue_clip(ClipToSpeak { spec, turn, parent: None, max_frames, more_seeds, group });
    }

    /// What the turn `id` hears: the voice prompt and, where asked for, the turns before it.
    fn context_of(&self, id: TurnId, with_context: bool) -> Result<Vec<Turn>> {
        let dims = self.dims()?;
        let mut context: Vec<Turn> = self.conversation.prompt_turn().into_iter().collect();
        let n = self.conversation.place(id).filter(|_| with_context).unwrap_or(0);
        for turn in self.conversation.before(n) {
            let Some(take) = &turn.take else {
                let expected = format!("the turn {:?} to be spoken before the one that answers it", turn.text);
                return Err(Error::invalid("conversation", expected, "no take of it"));
            };
            let frames = self.library.read_tokens(&take.id, &dims)?.frames;
            context.push(Turn { speaker: turn.speaker, text: turn.text.clone(), frames });
        }
        Ok(context)
    }

    /// Frames of the longest speech that the settings allow.
    fn longest_frames(&self) -> usize {
        self.checkpoint().map_or(1, |c| c.dims().frames_in(self.settings.max_seconds).max(1))
    }

    /// Queues a take that is made from the take `parent`, and as many takes more with these seeds. It may become as long as that one.
    fn speak_again(&mut self, spec: ClipSpec, parent: &str, more_seeds: Vec<u64>, group: Option<u64>) {
        // One frame more, so that a clip that ended by itself can end again.
        let frames = self.library.store.get(parent).map_or(0, |take| take.measures.frames + 1);
        let max_frames = self.longest_frames().max(frames);
        let parent = Some(parent.to_owned());
        self.queue_clip(ClipToSpeak { spec, turn: None, parent, max_frames, more_seeds, group });
    }

    /// A number for takes that are made to be compared.
    fn next_group(&mut self) -> u64 {
        self.groups += 1;
        self.groups
    }

    /// Queues a clip. What cannot be spoken is reported at once.
    fn queue_clip(&mut self, clip: ClipToSpeak) {
        match self.checkpoint().map(|checkpoint| request(&clip.spec, checkpoint, clip.max_frames)) {
            None => self.notify(self.model.status().unwrap_or_default()),
            Some(Ok(_)) => self.generation.queue.push_back(QueuedTask::Speak(Box::new(clip))),
            Some(Err(e)) => {
                self.generation.to_speak.clear();
                self.notify_error(e);
            }
        }
        self.dispatch_next();
    }

    /// Positions that the conversation up to turn `n` and the longest speech take, and those of the model.
    pub fn context_meter(&self, n: usize) -> Option<(usize, usize)> {
        let checkpoint = self.checkpoint()?;
        let dims = checkpoint.dims();
        let text = |speaker, text: &str| checkpoint.text_ids(speaker, text).map_or(0, |ids| ids.len());
        let mut used = dims.frames_in(self.settings.max_seconds);
        if let Some(prompt) = &self.conversation.prompt {
            used += text(prompt.speaker, &prompt.text) + prompt.frames.as_ref().map_or(0, |f| f.len() + 1);
        }
        for (m, turn) in self.conversation.turns().iter().enumerate().take(n + 1) {
            used += text(turn.speaker, &turn.text);
            if m < n {
                let take = turn.take.as_ref().and_then(|take| self.library.store.get(&take.id));
                used += take.map_or(0, |t| t.measures.frames + 1);
            }
        }
        Some((used, dims.max_positions))
    }

    /// What makes take `id` again; an error becomes a notification.
    fn spec_of(&mut self, id: &str) -> Option<ClipSpec> {
        let spec = self.dims().and_then(|dims| self.library.read_spec(id, &dims));
        self.report(spec)
    }

    /// Makes take `id` again, with its seed or a new one.
    pub fn regenerate(&mut self, id: &str, seed: RegenerateSeed) {
        let Some(mut spec) = self.spec_of(id) else { return };
        if seed == RegenerateSeed::New
            && let Some(seed) = self.random_seed()
        {
            spec.sampling.seed = seed;
        }
        self.speak_again(spec, id, Vec::new(), None);
    }

    /// Makes several takes of what take `id` says, with its settings and new seeds, side by side.
    pub fn regenerate_often(&mut self, id: &str, takes: usize) {
        let Some(mut spec) = self.spec_of(id) else { return };
        let mut seeds: Vec<u64> = (0..takes).filter_map(|_| self.random_seed()).collect();
        let Some(first) = seeds.pop() else { return };
        spec.sampling.seed = first;
        let group = Some(self.next_group());
        self.speak_again(spec, id, seeds, group);
    }

    /// Makes take `id` in every mode, with its seed.
    pub fn generate_in_all_modes(&mut self, id: &str) {
        let Some(spec) = self.spec_of(id) else { return };
        let Some(stored) = self.checkpoint().map(|c| c.tensors.dtype()) else { return };
        let group = Some(self.next_group());
        for info in Mode::all() {
            let precision = info.mode.default_precision(stored);
            let sampling = Sampling { mode: info.mode, precision, ..spec.sampling };
            self.speak_again(ClipSpec { sampling, ..spec.clone() }, id, Vec::new(), group);
        }
    }

    /// What made the inspected take, and the take.
    fn inspected_spec(&self) -> Option<(ClipSpec, String)> {
        Some((self.inspected.spec.clone()?, self.inspected.take.clone()?))
    }

    /// Makes the inspected take again with the current settings from `frame` on: an edited take whose frames before that stay
    /// unchanged. The seed is the take's.
    pub fn resume(&mut self, frame: usize) {
        self.resume_with(frame, self.sampling);
    }

    /// The same with these settings.
    pub fn resume_with(&mut self, frame: usize, sampling: Sampling) {
        let Some((mut spec, parent)) = self.inspected_spec() else { return };
        spec.edits.retain(|edit| edit.frame() < frame);
        let sampling = Sampling { seed: spec.sampling.seed, ..sampling };
        spec.edits.push(Edit::Sampling { frame, sampling });
        self.speak_again(spec, &parent, Vec::new(), None);
    }

    /// Makes the inspected take again with another seed from `frame` on: what comes before stays.
    pub fn reseed(&mut self, frame: usize) {
        let Some((mut spec, parent)) = self.inspected_spec() else { return };
        let Some(seed) = self.random_seed() else { return };
        spec.edits.retain(|edit| match edit {
            Edit::Token { frame: at, .. } => *at < frame,
            Edit::Sampling { frame: at, .. } => *at <= frame,
            Edit::Seed { frame: at, .. } => *at < frame,
        });
        spec.edits.push(Edit::Seed { frame, seed });
        self.speak_again(spec, &parent, Vec::new(), None);
    }

    /// Makes the inspected take again with `token` in this place, and its own seed: what was before stays, what comes after is
    /// drawn anew with the same noise.
    pub fn use_token(&mut self, frame: usize, codebook: usize, token: u32) {
        let Some((mut spec, parent)) = self.inspected_spec() else { return };
        let before = |edit: &Edit| match edit {
            Edit::Token { frame: at, codebook: k, .. } => (*at, *k) < (frame, codebook),
            Edit::Sampling { frame: at, .. } | Edit::Seed { frame: at, .. } => *at <= frame,
        };
        spec.edits.retain(before);
        spec.edits.push(Edit::Token { frame, codebook, token });
        self.speak_again(spec, &parent, Vec::new(), None);
    }

    /// Takes are made: the first is the turn's and on view, the others stand beside it in the list.
    pub(super) fn on_clips_finished(&mut self, made_for: ClipToSpeak, made: Vec<GeneratedClip>) {
        self.finish_sound();
        for (n, clip) in made.iter().enumerate() {
            if n == 0 {
                self.inspected.stop = Some(clip.stop);
                self.inspected.push_end(clip.end_frame.as_ref());
            }
            clip.findings.iter().for_each(|finding| self.notify(finding));
        }
        let ClipToSpeak { spec, mut turn, parent, group, .. } = made_for;
        // Of a clip without a frame there is nothing to keep, and it cannot be context.
        let kept: Vec<_> = made.into_iter().enumerate().filter(|(_, clip)| !clip.frames.is_empty()).collect();
        // Only a piece is what the next piece hears; a take may have been made again between two of them.
        if let Some((0, first)) = kept.first()
            && turn.is_some()
            && first.stop != FinishReason::Cancelled
        {
            let frames = first.frames.clone();
            self.generation.piece_was_spoken(Turn { speaker: spec.speaker, text: spec.text.clone(), frames });
        }
        let (speaker, text, on_view) = (spec.speaker, spec.text.clone(), self.asked_to_view);
        self.store_takes(spec, parent, kept, move |session, n, id| {
            if n == 0 {
                // Another clip may be on view by now.
                if session.asked_to_view == on_view {
                    session.inspected.take = Some(id.to_owned());
                }
                if let Some((turn, after)) = turn.take() {
                    session.conversation.spoken(turn, speaker, &text, SpokenTurn { id: id.to_owned(), after });
                }
            }
            session.pin_made(group, id);
        });
    }
}

/// The request for `spec`, with everything checked that can be checked before it runs.
pub(super) fn request(spec: &ClipSpec, checkpoint: &Checkpoint, max_frames: usize) -> Result<GenerationRequest> {
    let dims = checkpoint.dims();
    spec.sampling.check(&dims)?;
    checkpoint.info.check_speaker("speaker", spec.speaker)?;
    let request = GenerationRequest::new(spec, checkpoint.prompt_of(spec)?, max_frames);
    request.prompt.check_fits(max_frames, &dims)?;
    Ok(GenerationRequest { observe: true, ..request })
}
