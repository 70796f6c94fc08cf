//! Work that would hold the window up, on threads of its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use super::Session;
use crate::acoustics::spectrogram::MelSpectrogram;
use crate::data::TokenFile;
use crate::error::Error;
use crate::recogniser::Recogniser;
use crate::report::{self, ClipReport, Report, StepsUnavailable};
use crate::studio::state::{InspectedClip, MeasuredSounds, QueuedTask};
use crate::takes::DrawCache;

type Then = Box<dyn FnOnce(&mut Session) + Send>;
type Work = Box<dyn FnOnce() + Send>;

/// Whether something is under way: from its beginning until what was given then is dropped, which it is also where that panics.
#[derive(Default)]
pub(super) struct UnderWay(Weak<()>);

impl UnderWay {
    /// It begins.
    pub(super) fn begin(&mut self) -> Arc<()> {
        let until_dropped = Arc::new(());
        self.0 = Arc::downgrade(&until_dropped);
        until_dropped
    }

    /// Whether it is.
    pub(super) fn is(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// What threads have finished and the window has not taken in yet.
pub(super) struct Finished {
    sender: Sender<Then>,
    receiver: Receiver<Then>,
    /// Threads whose results have not been taken in.
    running: usize,
    /// Threads that write files: they are waited for at the end.
    writers: Vec<JoinHandle<()>>,
}

impl Default for Finished {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver, running: 0, writers: Vec::new() }
    }
}

impl Session {
    /// Computes something on a thread of its own and then does something with it here. A computation that panics has no result and is
    /// told.
    pub(super) fn in_background<T: Send + 'static>(
        &mut self,
        compute: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T) + Send + 'static,
    ) {
        drop(self.begin(compute, then)); // it runs on by itself
    }

    /// The same for what writes files: the program does not end before that is done.
    pub(super) fn write_in_background<T: Send + 'static>(
        &mut self,
        write: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T) + Send + 'static,
    ) {
        self.finished.writers.retain(|writer| !writer.is_finished());
        let writer = self.begin(write, then);
        self.finished.writers.extend(writer);
    }

    fn begin<T: Send + 'static>(
        &mut self,
        compute: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T) + Send + 'static,
    ) -> Option<JoinHandle<()>> {
        let (sender, wake) = (self.finished.sender.clone(), self.wake.clone());
        let work: Work = Box::new(move || {
            let computed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(compute));
            let finish: Then = Box::new(move |session: &mut Self| match computed {
                Ok(value) => then(session, value),
                Err(_) => session.notify_error("something failed in the background; the log has the details"),
            });
            sender.send(finish).ok(); // the window may be closed by now
            wake();
        });
        self.finished.running += 1;
        // Where the system gives no thread it is done here: what was made is not lost for that.
        let work = Arc::new(Mutex::new(Some(work)));
        let run = |work: &Mutex<Option<_>>| {
            let work: Option<_> = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            work.into_iter().for_each(|work: Work| work());
        };
        let on_thread = work.clone();
        let started = std::thread::Builder::new().name("csm-background".into()).spawn(move || run(&on_thread));
        started.map_err(|e| (tracing::warn!("the system gives no thread: {e}"), run(&work))).ok()
    }

    /// Waits until everything is written that is being written, and takes it in.
    pub fn finish_writing(&mut self) {
        while let Some(writer) = self.finished.writers.pop() {
            if writer.join().is_err() {
                tracing::error!("a thread that wrote a file has panicked"); // its panic is in the log
            }
            self.poll_background(); // what comes next may write, too
        }
    }

    /// Takes in what threads have finished.
    pub(super) fn poll_background(&mut self) {
        while let Ok(then) = self.finished.receiver.try_recv() {
            self.finished.running -= 1;
            then(self);
        }
    }

    /// Whether something is being read, computed or written in the background.
    pub fn works_in_background(&self) -> bool {
        self.finished.running > 0
    }

    /// Looks for the draws of the take on view, which were computed before, and has them computed where they are not found.
    pub(super) fn find_draws(&mut self, take: Option<String>) {
        let (Some(id), Some(key)) = (take.clone(), self.draws_key(take.as_deref())) else {
            return self.compute_draws(take);
        };
        if !self.draw_cache.has(&key) {
            return self.compute_draws(take);
        }
        let (cache, frames) = (self.draw_cache.clone(), self.inspected.frames.clone());
        let version = self.inspected.sound_version;
        let read = move || {
            let draws = cache.read(&key).filter(|draws| draws.logits.len() == frames.len())?;
            Some(InspectedClip::known_draws(&frames, draws))
        };
        self.in_background(read, move |session, found| {
            if session.inspected.sound_version != version {
                return; // another clip is on view
            }
            match found {
                Some(draws) => {
                    session.inspected.set_draws(draws);
                    session.draws_kept = Some(id);
                }
                None => session.compute_draws(Some(id)),
            }
        });
    }

    fn compute_draws(&mut self, take: Option<String>) {
        self.generation.queue.push_back(QueuedTask::TeacherForce { take });
        self.dispatch_next();
    }

    /// What the draws of a take are found by on disk.
    fn draws_key(&self, take: Option<&str>) -> Option<String> {
        let tokens = std::fs::read(self.library.tokens_path(take?)).ok()?;
        Some(DrawCache::key(&self.checkpoint()?.id().ok()?.sha256, &tokens))
    }

    /// Keeps the draws of the take on view, once all of them are known.
    pub(super) fn keep_draws(&mut self) {
        let take = &self.inspected.take;
        if take.is_none() || *take == self.draws_kept || !self.inspected.is_analysed() || !self.generation.is_idle() {
            return;
        }
        self.draws_kept.clone_from(take);
        let Some(key) = self.draws_key(self.draws_kept.as_deref()) else { return };
        let (cache, draws) = (self.draw_cache.clone(), self.inspected.draws());
        self.in_background(
            move || cache.write(&key, &draws),
            // They can be computed again; nobody has to be told.
            |_, written| written.unwrap_or_else(|e: Error| tracing::warn!("draws are not kept: {e}")),
        );
    }

    /// Has the spectrogram of the clip on view computed, where it is wanted and the clip is whole.
    pub(super) fn poll_spectrogram(&mut self) {
        let clip = &self.inspected;
        let wanted = self.view.spectrograms && clip.spectrogram.is_none() && !clip.audio.is_empty();
        if !wanted || self.is_speaking() || self.spectrogram_asked == Some(clip.sound_version) {
            return;
        }
        let (version, audio, rate) = (clip.sound_version, clip.audio.clone(), clip.rate);
        self.spectrogram_asked = Some(version);
        self.in_background(
            move || Arc::new(MelSpectrogram::measure(&audio, rate)),
            move |session, spectrogram| {
                if session.inspected.sound_version == version {
                    session.inspected.spectrogram = Some(spectrogram);
                }
            },
        );
    }

    /// Which sounds the measures are to be of.
    pub fn sounds_on_view(&self) -> MeasuredSounds {
        (self.inspected.sound_version, self.pins.clips().iter().map(|clip| clip.take.clone()).collect())
    }

    /// Measures the sounds on view.
    pub fn measure_sounds(&mut self) {
        self.measure_with(None);
    }

    /// Measures the sounds on view and asks the recogniser of the settings what it hears in them.
    pub fn recognise_sounds(&mut self) {
        let recogniser = Recogniser::parse(&self.settings.recogniser);
        if let Some(recogniser) = self.report(recogniser) {
            self.measure_with(Some(recogniser));
        }
    }

    fn measure_with(&mut self, recogniser: Option<Recogniser>) {
        let Some(info) = self.model_info() else { return };
        let sounds = self.sounds_on_view();
        let mut clips = Vec::new();
        let on_view = &self.inspected;
        let pinned = on_view.take.as_ref().is_some_and(|take| self.pins.place(take).is_some());
        if !on_view.audio.is_empty() && !pinned {
            let text = on_view.spec.as_ref().map(|spec| spec.text.clone());
            let sampling = on_view.spec.as_ref().map(|spec| spec.sampling);
            let frames = on_view.frames.clone();
            let file = TokenFile { frames, text, sampling, stop: on_view.stop, ..TokenFile::default() };
            clips.push(("on view".to_owned(), file, on_view.audio.clone(), on_view.rate));
        }
        for (n, clip) in self.pins.clips().iter().enumerate() {
            let (settings, name): (_, String) = (clip.made_with(), clip.name.chars().take(24).collect());
            let name = format!("{}{}{settings}: {name}", n + 1, if settings.is_empty() { "" } else { " " });
            clips.push((name, clip.token_file(), clip.audio.clone(), clip.rate));
        }
        let measuring = self.measured.begin(sounds.clone());
        let stop = measuring.clone();
        let compute = move || {
            let measure = |(name, file, audio, rate): (String, TokenFile, Vec<f32>, usize)| {
                let asked = recogniser.as_ref().filter(|_| file.text.is_some());
                let heard = asked.map(|recogniser| {
                    let (wav, _) = crate::audio::wav::encode(&audio, rate, &crate::audio::wav::WavInfo::default())?;
                    recogniser.transcribe(&wav, || stop.is_stopped())
                });
                let clip = ClipReport::new(name, file, Err(StepsUnavailable::NotRequested), Some(&audio), &info);
                let clip = clip.with_acoustics(&audio, rate);
                match heard {
                    Some(heard) => clip.with_transcript(heard.map_err(|e| e.to_string())),
                    None => clip,
                }
            };
            report::sound_tables(&Report::new((*info).clone(), clips.into_iter().map(measure).collect()))
        };
        self.in_background(compute, move |session, tables| {
            session.measured.finish(&sounds, tables);
            drop(measuring);
        });
    }
}
