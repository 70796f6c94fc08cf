//! Speaking what was composed: turns wait in the queue, are cut into pieces, and become takes.

use super::queue::{PieceQueue, QueuedTurn, TurnText};
use super::{
    Composer, ComposerContext, GroupId, READ_CONTEXT, TakeOfTurn, TakePurpose, TakeRequest, TurnDraft, TurnId,
    voice_prompt,
};
use crate::checkpoint::Checkpoint;
use crate::data::{ClipSpec, FinishReason, ModelDims, Prompt, Turn, is_speakable, random_seed};
use crate::engine::{GenerationRequest, Narration};
use crate::error::{Error, Result};
use crate::studio::effects::Effects;
use crate::studio::inspector::InspectorCommand;
use crate::studio::library::{LibraryCommand, NewTakes, WRITE_TAKES};
use crate::studio::monitor::MonitorCommand;
use crate::studio::notifications::Cause;
use crate::studio::settings::Settings;
use crate::studio::tasks::{QueuePosition, RECOMPUTE, SPEAK};
use crate::text::{Pronunciations, Script, expected_seconds};
use crate::worker::{CancelToken, Event, GeneratedClip, Task};

/// A task that makes takes side by side.
type TakesTask = Task<Vec<GeneratedClip>, (usize, Event)>;

/// The text of a turn as the voice speaks it.
pub(super) fn script_of(turn: &TurnDraft, checkpoint: &Checkpoint, settings: &Settings) -> Result<Script> {
    checkpoint.script(&turn.text, turn.speaker, false, &Pronunciations::parse(&settings.pronunciations)?)
}

impl Composer {
    pub(super) fn speak(&mut self, id: TurnId, with_context: bool, variants: usize, cx: &mut ComposerContext<'_>) {
        let Some(turn) = self.conversation.turn(id) else { return };
        let something = match cx.models.checkpoint() {
            Some(checkpoint) => {
                let script = cx.effects.or_notify_of(Cause::Speaking, script_of(turn, checkpoint, cx.settings));
                let Some(script) = script else { return };
                // Why there is nothing to say is said here; else when it is spoken.
                if script.pieces.is_empty() {
                    script.messages.into_iter().for_each(|text| cx.effects.notify(text));
                }
                script.pieces.iter().any(|piece| is_speakable(&piece.text))
            }
            None if cx.models.is_loading() => is_speakable(&turn.text),
            None => return cx.effects.notify(cx.models.status().unwrap_or_default()),
        };
        if !something {
            let expected = "something to say (at least a letter or digit)";
            return cx.effects.notify_error_of(Cause::Speaking, Error::invalid("text", expected, "nothing"));
        }
        let unspoken = self.conversation.before(id).filter(|turn| with_context && turn.takes().is_none());
        let unspoken: Vec<TurnId> = unspoken.map(|turn| turn.id).filter(|id| !self.will_speak(*id)).collect();
        match unspoken.len() {
            0 => {}
            1 => cx.effects.notify("The turn before it is spoken first"),
            n => cx.effects.notify(format!("{n} turns before it are spoken first")),
        }
        self.queue.extend(unspoken.into_iter().map(|turn| QueuedTurn::new(turn, with_context)));
        self.queue.push_back(QueuedTurn { variants, ..QueuedTurn::new(id, with_context) });
        self.speak_next(cx);
    }

    pub(super) fn speak_conversation(&mut self, cx: &mut ComposerContext<'_>) {
        let unspoken: Vec<TurnId> = self.conversation.unspoken().collect();
        if unspoken.is_empty() {
            return cx.effects.notify("Every turn has been spoken");
        }
        self.queue.extend(unspoken.into_iter().map(|turn| QueuedTurn::new(turn, true)));
        self.speak_next(cx);
    }

    fn will_speak(&self, id: TurnId) -> bool {
        self.speaking == Some(id) || self.queue.iter().any(|queued| queued.turn == id)
    }

    pub(super) fn clear_queue(&mut self, cx: &mut ComposerContext<'_>) {
        self.queue.clear();
        cx.tasks.cancel_work(READ_CONTEXT);
    }

    pub(super) fn stop(&mut self, cx: &mut ComposerContext<'_>) {
        self.clear_queue(cx);
        cx.tasks.cancel_task(SPEAK);
        cx.tasks.cancel_task(RECOMPUTE);
    }

    /// Starts the next turn, or the next piece of one, if nothing has to be waited for.
    pub(super) fn speak_next(&mut self, cx: &mut ComposerContext<'_>) {
        // A take that is being written may be context of the next turn.
        let waits = !cx.tasks.is_idle()
            || !cx.models.is_ready()
            || [WRITE_TAKES, READ_CONTEXT, voice_prompt::READ_RECORDING].iter().any(|key| cx.tasks.is_running(*key))
            || self.conversation.waits_for_prompt();
        if waits {
            return;
        }
        let Some(mut next) = self.queue.pop_front() else { return };
        match next.pieces.take() {
            None => self.prepare(next, cx),
            // The piece before it is still playing.
            Some(pieces) if pieces.spoken > 0 && cx.settings.autoplay && cx.monitor.is_playing_current_clip() => {
                self.queue.push_front(QueuedTurn { pieces: Some(pieces), ..next });
            }
            Some(pieces) => self.speak_piece(next, pieces, cx),
        }
    }

    /// Cuts the text of a turn into pieces and reads its context.
    fn prepare(&mut self, mut queued: QueuedTurn, cx: &mut ComposerContext<'_>) {
        let (Some(turn), Some(checkpoint)) = (self.conversation.turn(queued.turn).cloned(), cx.models.checkpoint())
        else {
            return;
        };
        let dims = checkpoint.dims();
        let script = cx.effects.or_notify_of(Cause::Speaking, script_of(&turn, checkpoint, cx.settings));
        let Some(mut script) = script else { return };
        std::mem::take(&mut script.messages).into_iter().for_each(|text| cx.effects.notify(text));
        if script.pieces.len() > 1 {
            cx.effects.notify(format!("Long text: spoken in {} pieces", script.pieces.len()));
        }
        let mut context: Vec<Option<Turn>> = self.conversation.prompt_turn().map(Some).into_iter().collect();
        let mut to_read = Vec::new();
        for before in self.conversation.before(queued.turn).filter(|_| queued.with_context) {
            let Some(takes) = before.takes() else {
                let expected = format!("the turn {:?} to be spoken before the one that answers it", before.text);
                return cx
                    .effects
                    .notify_error_of(Cause::Speaking, Error::invalid("conversation", expected, "no take of it"));
            };
            for id in takes {
                let take = cx.library.store.get(id);
                let (speaker, text) = take.map_or((before.speaker, &before.text), |take| (take.speaker, &take.text));
                to_read.push((context.len(), speaker, text.clone(), id.clone()));
                context.push(None);
            }
        }
        if cx.settings.random_seed
            && let Some(seed) = cx.effects.or_notify(random_seed())
        {
            self.sampling.seed = seed;
        }
        let (sampling, max_frames) = (self.sampling, longest_frames(cx.settings, &dims));
        let spec = move |context| ClipSpec { context, ..ClipSpec::new("", 0, sampling) };
        let folder = cx.library.store.folder().clone();
        let read = move |_: &_| {
            for (at, speaker, text, take) in to_read {
                let frames = folder.read_tokens(&take, &dims)?.frames;
                context[at] = Some(Turn { speaker, text, frames });
            }
            Ok(context.into_iter().flatten().collect())
        };
        cx.tasks.run(READ_CONTEXT, read, move |composer: &mut Self, cx, context: Result<Vec<Turn>>| {
            let Some(context) = cx.effects.or_notify(context) else { return };
            let narration = Narration::new(spec(context), script.pieces, max_frames, true);
            let turn = TurnText { turn: turn.id, speaker: turn.speaker, text: turn.text };
            queued.pieces = Some(PieceQueue { narration, turn, spoken: 0 });
            composer.queue.push_front(queued);
            composer.speak_next(cx);
        });
    }

    fn speak_piece(&mut self, mut queued: QueuedTurn, mut pieces: PieceQueue, cx: &mut ComposerContext<'_>) {
        let Some(checkpoint) = cx.models.checkpoint() else { return };
        if !self.conversation.is_current(&pieces.turn) {
            if pieces.spoken > 0 && self.conversation.turn(queued.turn).is_some() {
                cx.effects.notify("The text was changed; the rest of it as it was is not spoken");
            }
            return;
        }
        let dims = checkpoint.dims();
        let request = match pieces.narration.next(&dims, |spec| checked_prompt(spec, checkpoint)) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(e) => {
                self.queue.clear();
                return cx.effects.notify_error(e);
            }
        };
        let is_last = pieces.narration.remaining() == 0;
        let after = queued.with_context.then(|| self.conversation.takes_before(queued.turn).unwrap_or_default());
        let mut purpose = TakePurpose {
            turn: Some(TakeOfTurn { turn: pieces.turn.clone(), piece: pieces.spoken, is_last, after }),
            ..TakePurpose::default()
        };
        let mut seeds = vec![request.spec.sampling.seed];
        if queued.variants > 1 {
            seeds.extend((1..queued.variants).filter_map(|_| cx.effects.or_notify(random_seed())));
            purpose.group = Some(GroupId::new());
        }
        pieces.spoken += 1;
        if !is_last {
            queued.pieces = Some(pieces);
            self.queue.push_front(queued);
        }
        self.generate(request, seeds, purpose, cx);
    }

    /// Makes takes from another take. They may become as long as that one.
    pub(super) fn make_takes(&mut self, request: TakeRequest, cx: &mut ComposerContext<'_>) {
        let TakeRequest { spec, more_seeds, retake, parent, group } = request;
        let Some(checkpoint) = cx.models.checkpoint() else {
            return cx.effects.notify(cx.models.status().unwrap_or_default());
        };
        let dims = checkpoint.dims();
        // One frame more, so that a clip that the model ended can end again.
        let frames = cx.library.store.get(&parent).map_or(0, |take| take.measures.frames + 1);
        let frames = if retake.is_some() { 2 * frames } else { frames };
        let max_frames = longest_frames(cx.settings, &dims).max(frames);
        let prompt =
            checked_prompt(&spec, checkpoint).and_then(|prompt| prompt.check_fits(max_frames, &dims).map(|()| prompt));
        let Some(prompt) = cx.effects.or_notify_of(Cause::Speaking, prompt) else { return self.queue.clear() };
        cx.effects.resolve(Cause::Speaking);
        let seed = retake.as_ref().map_or(spec.sampling.seed, |retake| retake.seed);
        let seeds = std::iter::once(seed).chain(more_seeds).collect();
        let purpose = TakePurpose { turn: None, parent: Some(parent), group };
        let request = GenerationRequest { retake, ..GenerationRequest::new(&spec, prompt, max_frames) };
        self.generate(request, seeds, purpose, cx);
    }

    /// Queues takes of one request, one for each of `seeds`.
    fn generate(
        &self,
        request: GenerationRequest,
        seeds: Vec<u64>,
        purpose: TakePurpose,
        cx: &mut ComposerContext<'_>,
    ) {
        let turn = purpose.turn.as_ref().map(|of| of.turn.turn);
        let start = move |composer: &mut Self, cx: &mut ComposerContext<'_>, cancel: CancelToken| {
            composer.start_takes(request, seeds, turn, cx, cancel)
        };
        let on_event = |_: &mut Self, cx: &mut ComposerContext<'_>, (clip, event): (usize, Event)| {
            // The first clip is shown while it is made; the others are stored with it.
            if clip == 0 {
                show_event(event, cx.effects);
            }
        };
        let then = move |composer: &mut Self, cx: &mut ComposerContext<'_>, made: Result<Vec<GeneratedClip>>| {
            composer.speaking = None;
            cx.effects.send(MonitorCommand::Finish);
            match made {
                Ok(made) => composer.on_takes_made(made, purpose, cx),
                Err(e) => {
                    composer.clear_queue(cx);
                    cx.effects.notify_error(e);
                }
            }
        };
        cx.tasks.ask(SPEAK, QueuePosition::Last, start, on_event, then);
    }

    fn start_takes(
        &mut self,
        request: GenerationRequest,
        seeds: Vec<u64>,
        turn: Option<TurnId>,
        cx: &mut ComposerContext<'_>,
        cancel: CancelToken,
    ) -> Result<Option<TakesTask>> {
        let (Some(worker), Some(checkpoint)) = (cx.models.worker(), cx.models.checkpoint()) else { return Ok(None) };
        self.bytes_read_before = checkpoint.tensors.bytes_read();
        let spec = request.spec.clone();
        let tracking = cx.models.tracking(&spec, &request.prompt);
        let task = worker.generate_batch(request.observed().tracked(tracking.clone()), seeds, cancel)?;
        self.speaking = turn;
        let expected = expected_seconds(&spec.text).min(cx.settings.max_seconds);
        cx.effects.send(InspectorCommand::BeginClip { spec: Box::new(spec), tracking: tracking.map(Box::new) });
        cx.effects.send(MonitorCommand::Begin { expected });
        Ok(Some(task))
    }

    /// The first take belongs to the turn and is shown; the others are stored with it.
    fn on_takes_made(&mut self, made: Vec<GeneratedClip>, purpose: TakePurpose, cx: &mut ComposerContext<'_>) {
        for (n, generated) in made.iter().enumerate() {
            if n == 0 {
                let end_frame = generated.end_frame.clone().map(Box::new);
                let words = generated.words.clone().unwrap_or_default();
                let (stop, edits) = (generated.clip.stop, generated.clip.origin.edits.clone());
                cx.effects.send(InspectorCommand::FinishClip { stop, end_frame, words, edits });
            }
            generated.issues.iter().for_each(|issue| cx.effects.notify(issue.describe()));
        }
        // Only pieces are context of the next piece; a take may have been regenerated between two of them.
        if let Some(first) = made.first().filter(|made| made.clip.stop != Some(FinishReason::Cancelled))
            && purpose.turn.is_some()
            && let Some(pieces) = self.queue.front_mut().and_then(|queued| queued.pieces.as_mut())
        {
            pieces.narration.spoken(&first.clip.codes);
        }
        cx.effects.send(LibraryCommand::Store(Box::new(NewTakes { made, purpose })));
    }
}

/// Shows an event of the clip that is being made.
fn show_event(event: Event, effects: &mut Effects) {
    match event {
        Event::Frame(frame) => effects.send(InspectorCommand::AppendFrame(frame)),
        Event::Audio(samples) => {
            effects.send(InspectorCommand::AppendAudio(samples.clone()));
            effects.send(MonitorCommand::Append(samples));
        }
        Event::Retry { .. } => {} // the window's jobs have no retries
    }
}

/// The prompt of `spec`, with everything checked that can be checked before it is generated.
fn checked_prompt(spec: &ClipSpec, checkpoint: &Checkpoint) -> Result<Prompt> {
    spec.sampling.check(&checkpoint.dims())?;
    checkpoint.info.check_speaker("speaker", spec.speaker)?;
    checkpoint.prompt(spec)
}

/// Frames of the longest take that the settings allow.
fn longest_frames(settings: &Settings, dims: &ModelDims) -> usize {
    dims.frames_in(settings.max_seconds).max(1)
}
