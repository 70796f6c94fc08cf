//! What is heard: the clip on view, a pinned one, or something that is not kept.

use super::Session;
use super::clips::read_take_folder;
use crate::data::Codes;
use crate::error::Result;
use crate::studio::state::{Alignment, Audition, Codebooks, Heard, MapContent, PinnedClip, QueuedTask};

/// Frames that are heard before and after a token that is auditioned.
const AUDITION_BEFORE: usize = 4;
const AUDITION_AFTER: usize = 4;

impl Session {
    /// Has the inspected clip decoded with another token in one place and plays what is around it, without keeping it.
    pub fn audition(&mut self, frame: usize, codebook: usize, token: u32) {
        let Ok(dims) = self.dims() else { return self.notify(self.model.status().unwrap_or_default()) };
        let clip = &self.inspected.frames;
        let end = (frame + 1 + AUDITION_AFTER).min(clip.len());
        let mut frames = Codes::new(clip.codebooks());
        for (n, ids) in clip.frames().take(end).enumerate() {
            let mut ids = ids.to_vec();
            if n == frame {
                ids[codebook] = token;
            }
            frames.push(&ids);
        }
        let part = Some((dims.seconds(frame.saturating_sub(AUDITION_BEFORE)), dims.seconds(end)));
        self.queue_audition(Audition { frames, codebooks: self.codebooks.clone(), part });
    }

    /// Hears these codebooks of the inspected clip from now on.
    pub fn hear_codebooks(&mut self, codebooks: Codebooks) {
        if self.is_speaking() {
            return self.notify("A take is being made; stop it first");
        }
        self.codebooks = codebooks;
        self.generation.stop_auditions(); // what they would be heard for is not wanted any more
        if self.codebooks.heard(self.inspected.frames.codebooks()).is_none() {
            return self.hear_clip();
        }
        let (frames, codebooks) = (self.inspected.frames.clone(), self.codebooks.clone());
        self.queue_audition(Audition { frames, codebooks, part: None });
    }

    fn queue_audition(&mut self, audition: Audition) {
        if self.is_speaking() {
            return self.notify("A take is being made; stop it first");
        }
        // It is waited for by ear: what only the eye waits for begins again after it.
        if self.generation.is_recomputing() {
            self.generation.stop_recomputing();
            self.inspected.forget_draws();
            let take = self.inspected.take.clone();
            self.generation.queue.push_back(QueuedTask::TeacherForce { take });
        }
        self.generation.queue.push_front(QueuedTask::Audition(audition));
        self.dispatch_next();
    }

    pub(super) fn on_audition_decoded(&mut self, audition: &Audition, audio: Vec<f32>) {
        let rate = self.rate();
        match audition.part {
            Some((from, to)) => {
                self.player.load(&audio, rate);
                self.heard = Heard::OtherToken;
                let played = self.player.play_region(from, to, false);
                self.report(played);
            }
            None => {
                self.limited.clone_from(&audio);
                self.player.switch(audio, rate, false);
                self.heard = Heard::SomeCodebooks;
            }
        }
    }

    /// Hears the clip on view, at the same moment.
    pub fn hear_clip(&mut self) {
        if self.heard == Heard::Clip {
            return;
        }
        let length = self.inspected.audio.len() as f64 / self.inspected.rate.max(1) as f64;
        self.align_position(length);
        self.player.switch(self.inspected.audio.clone(), self.inspected.rate, self.is_speaking());
        self.heard = Heard::Clip;
        self.codebooks = Codebooks::default();
    }

    /// Hears the clip on view in the place of something that was played by the way; a pinned clip stays.
    pub fn end_audition(&mut self) {
        match self.heard {
            Heard::OtherToken | Heard::Recording => {
                let position = self.player.position();
                if self.is_speaking() {
                    // More of it is to come.
                    self.player.begin(self.inspected.rate);
                    self.player.push(&self.inspected.audio);
                } else {
                    self.player.load(&self.inspected.audio, self.inspected.rate);
                }
                self.player.seek(position);
                self.heard = Heard::Clip;
                if self.codebooks != Codebooks::default() {
                    self.hear_codebooks(self.codebooks.clone());
                }
            }
            Heard::Clip | Heard::SomeCodebooks | Heard::Pinned(_) => {}
        }
    }

    /// Plays a sound that is not the clip on view.
    pub(super) fn hear_other(&mut self, samples: &[f32], rate: usize) {
        self.player.load(samples, rate);
        self.heard = Heard::Recording;
        let played = self.player.play(true);
        self.report(played);
    }

    /// Hears pinned clip `n`, at the same moment, and goes on playing if something played.
    pub fn hear_pinned(&mut self, n: usize) {
        let Some((samples, rate)) = self.pins.heard(n) else { return };
        self.align_position(samples.len() as f64 / rate.max(1) as f64);
        self.player.switch(samples, rate, false);
        self.heard = Heard::Pinned(n);
    }

    /// Moves the position to where it is in a clip of `length` seconds, where positions are shares of the clip.
    fn align_position(&mut self, length: f64) {
        let before = self.player.seconds();
        if self.pins.alignment == Alignment::Fraction && before > 0.0 {
            self.player.jump(self.player.position() / before * length);
        }
    }

    /// Pins a take, or no longer.
    pub fn toggle_pin(&mut self, id: &str) {
        if self.pins.place(id).is_some() {
            return self.unpin(id);
        }
        // It may be on its way.
        let waiting = self.to_pin.len();
        self.to_pin.retain(|pin| pin.id != id || pin.group.is_some());
        if waiting == self.to_pin.len() {
            self.pin_take(id, false);
        }
    }

    /// Pins a take; where `hear`, it is heard then.
    pub(super) fn pin_take(&mut self, id: &str, hear: bool) {
        self.queue_pin(ClipToPin { hear, ..ClipToPin::new(id.to_owned(), self.read_pinned(id)) });
    }

    /// Clips are measured in the background and pinned in the order in which that was asked for.
    fn queue_pin(&mut self, pin: ClipToPin) {
        self.to_pin.push_back(pin);
        self.pin_next();
    }

    fn pin_next(&mut self) {
        if self.pinning.is() {
            return;
        }
        let Some(ClipToPin { id, group, hear, read }) = self.to_pin.pop_front() else { return };
        let pinning = self.pinning.begin();
        self.in_background(read, move |session, read| {
            drop(pinning);
            // It may have been deleted meanwhile.
            let wanted = |clip: &PinnedClip| !clip.is_take || session.library.store.get(&id).is_some();
            if let Some(clip) =
                read.map(|clip| Some(clip).filter(wanted)).map_err(|e| session.notify_error(e)).ok().flatten()
            {
                match group {
                    Some(group) => session.pin_in_group(clip, group),
                    None if !session.pins.pin(clip) => {
                        session.notify("A hundred sounds are pinned; unpin one first");
                    }
                    None => {}
                }
                if hear && let Some(n) = session.pins.place(&id) {
                    session.hear_pinned(n);
                    let played = session.player.play(true);
                    session.report(played);
                }
            }
            session.pin_next();
        });
    }

    /// Pins what is heard of the clip on view, or no longer: the take, the file where it is no take, or some of its codebooks.
    pub fn pin_heard(&mut self) {
        let take = self.inspected.take.clone();
        let limited = (self.heard == Heard::SomeCodebooks).then(|| self.codebooks.clone());
        match (take, limited) {
            (Some(id), None) => self.toggle_pin(&id),
            (take, limited) => {
                let all = self.inspected.frames.codebooks();
                let part = limited.as_ref().map_or(String::new(), |codebooks| format!(", {}", codebooks.describe(all)));
                let whole = take.as_ref().and_then(|id| self.library.store.get(id)).map(|take| take.name.clone());
                let name = format!("{}{part}", whole.unwrap_or_else(|| self.inspected.name.clone()));
                // Not a take's id: those have no comma and no folder.
                let id = format!("{}{part}", take.unwrap_or_else(|| format!("file/{}", self.inspected.name)));
                if self.pins.place(&id).is_some() {
                    return self.unpin(&id);
                }
                let audio = if limited.is_some() { self.limited.clone() } else { self.inspected.audio.clone() };
                if audio.is_empty() {
                    return;
                }
                let (frames, rate, stop) = (self.inspected.frames.clone(), self.inspected.rate, self.inspected.stop);
                let (text, sampling) = match &self.inspected.spec {
                    Some(spec) => (Some(spec.text.clone()), Some(spec.sampling)),
                    None => (None, None),
                };
                let place = id.clone();
                self.queue_pin(ClipToPin::new(place, move || {
                    let pinned = PinnedClip::new(id, name, frames, audio, rate);
                    Ok(PinnedClip { text, sampling, stop, is_take: false, ..pinned })
                }));
            }
        }
    }

    /// Takes a pinned take away.
    pub fn unpin(&mut self, id: &str) {
        if let Some(n) = self.pins.place(id)
            && let Heard::Pinned(heard) = self.heard
        {
            if heard == n {
                self.hear_clip();
            } else if heard > n {
                self.heard = Heard::Pinned(heard - 1);
            }
        }
        self.pins.unpin(id);
        self.forget_difference();
    }

    /// Other clips are pinned: the map no longer shows the difference to what was in a place before.
    fn forget_difference(&mut self) {
        if matches!(self.view.map, MapContent::Difference(_)) {
            self.view.map = MapContent::Tokens;
        }
    }

    /// Whether pinned clips are heard as loud as they are; what is heard changes at once.
    pub fn set_own_loudness(&mut self, own: bool) {
        self.pins.own_loudness = own;
        if let Heard::Pinned(n) = self.heard {
            self.hear_pinned(n);
        }
    }

    /// Takes all pinned takes away.
    pub fn unpin_all(&mut self) {
        if matches!(self.heard, Heard::Pinned(_)) {
            self.hear_clip();
        }
        self.to_pin.clear();
        self.pins.clear();
        self.forget_difference();
    }

    /// What reads a take to be pinned.
    fn read_pinned(&self, id: &str) -> impl FnOnce() -> Result<PinnedClip> + Send + use<> {
        let (rate, id, folder) = (self.rate(), id.to_owned(), self.library.store.path(id));
        let name = self.library.store.get(&id).map_or(id.clone(), |take| take.name.clone());
        move || {
            let (file, audio) = read_take_folder(&folder, rate)?;
            let pinned = PinnedClip::new(id, name, file.frames, audio, rate);
            Ok(PinnedClip { text: file.text, sampling: file.sampling, stop: file.stop, ..pinned })
        }
    }

    /// Pins a take that was made to be compared, with the draws that were seen.
    pub(super) fn pin_made(&mut self, group: Option<u64>, id: &str) {
        if group.is_none() {
            return;
        }
        let read = self.read_pinned(id);
        let seen = self.inspected.take.as_deref() == Some(id) && self.inspected.is_analysed();
        let (logits, samplings) = match seen {
            true => (self.inspected.logits.clone(), self.inspected.samplings.clone()),
            false => (Vec::new(), Vec::new()),
        };
        let pin = ClipToPin::new(id.to_owned(), move || Ok(PinnedClip { logits, samplings, ..read()? }));
        self.queue_pin(ClipToPin { group, ..pin });
    }

    fn pin_in_group(&mut self, clip: PinnedClip, group: u64) {
        if self.pins.is_new_group(group) {
            // What was pinned gives way.
            self.forget_difference();
            if matches!(self.heard, Heard::Pinned(_)) {
                self.hear_clip();
            }
        }
        self.pins.pin_in_group(clip, group);
    }
}

/// A clip that waits to be read, measured and pinned.
pub(super) struct ClipToPin {
    /// What it will be found by.
    id: String,
    /// The request that it was made for.
    group: Option<u64>,
    /// Whether it is heard as soon as it is pinned.
    hear: bool,
    read: Box<dyn FnOnce() -> Result<PinnedClip> + Send>,
}

impl ClipToPin {
    fn new(id: String, read: impl FnOnce() -> Result<PinnedClip> + Send + 'static) -> Self {
        Self { id, group: None, hear: false, read: Box::new(read) }
    }
}
