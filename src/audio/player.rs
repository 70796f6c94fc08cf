//! The player: a clip, finished or still being made, on an output device. The device's stream holds nothing that matters, so
//! that a lost device loses no position.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::buffering::Buffering;
use super::playback::{ClipSender, PlaybackControl, Renderer, SHORTEST_REGION, SharedAudio};
use super::resample::{StreamResampler, resample};
pub use super::sink::Sink;
use super::sink::{
    ActiveSink, DeviceFailure, NULL_SINK_PERIOD, OpenedSink, STALLED, Watchdog, null_sink, open_device, opener_died,
};
use crate::error::{Error, Result};

/// Time for the last samples to leave the device's own buffer.
const DRAIN: Duration = Duration::from_millis(200);

/// A device that is being opened.
struct Opening {
    result: Receiver<Result<OpenedSink>>,
    recovery: Option<Recovery>,
}

/// Why a device is opened again.
struct Recovery {
    lost: String,
    /// Whether it is the default device instead of the chosen one.
    on_default: bool,
}

/// A clip that is still being made, on its way to the device's rate.
struct StreamingSource {
    resampler: StreamResampler,
    /// Samples of the resampler's delay that are still to be dropped.
    delay: usize,
}

/// Plays one waveform at a time.
pub struct Player {
    sink: Sink,
    active: Option<(ActiveSink, ClipSender)>,
    opening: Option<Opening>,
    /// Whether devices are opened without waiting for them.
    in_background: bool,
    rate: usize,
    transport: Arc<PlaybackControl>,
    /// The clip at its own rate.
    source: Vec<f32>,
    source_rate: usize,
    audio: Arc<SharedAudio>,
    streaming: Option<StreamingSource>,
    start_when_buffered: bool,
    buffering: Buffering,
    /// Underruns that playing has been stopped for.
    interruptions: usize,
    /// Samples that had been asked for in vain when it was last looked.
    known_underrun: usize,
    /// The selected part, seconds, and whether it is played over and over.
    region: Option<(f64, f64)>,
    looping: bool,
    failed: Arc<DeviceFailure>,
    watchdog: Watchdog,
}

impl Player {
    /// Opens no device yet: that happens when something is played.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            active: None,
            opening: None,
            in_background: false,
            rate: 24_000,
            transport: Arc::default(),
            source: Vec::new(),
            source_rate: 24_000,
            audio: Arc::new(SharedAudio::finished(&[])),
            streaming: None,
            start_when_buffered: false,
            buffering: Buffering::default(),
            interruptions: 0,
            known_underrun: 0,
            region: None,
            looping: false,
            failed: Arc::default(),
            watchdog: Watchdog::default(),
        }
    }

    /// Opens devices in the background: playing starts when they are ready, and [`Player::poll_device`]
    /// reports what goes wrong.
    pub fn in_background(self) -> Self {
        Self { in_background: true, ..self }
    }

    /// Calls `wake` when there is news of the device, so that [`Player::poll_device`] is asked soon.
    pub fn on_device_news(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.failed.on_news(wake);
    }

    /// Loads a finished clip, stopped at its start.
    pub fn load(&mut self, samples: &[f32], rate: usize) {
        self.begin(rate);
        self.source = samples.to_vec();
        self.streaming = None;
        self.reload();
    }

    /// Loads an empty clip that grows by [`Player::push`].
    pub fn begin(&mut self, rate: usize) {
        self.transport.set_playing(false);
        self.transport.seek(0);
        self.set_region(None, false);
        self.start_when_buffered = false;
        self.buffering = Buffering::default();
        self.interruptions = 0;
        (self.source, self.source_rate) = (Vec::new(), rate);
        self.streaming = Some(StreamingSource { resampler: StreamResampler::new(rate, self.rate), delay: 0 });
        self.reload();
    }

    /// Plays another clip from now on, at the same moment, and continues if it was playing; the selected part stays. `growing`: more of
    /// it comes by [`Player::push`].
    pub fn switch(&mut self, samples: Vec<f32>, rate: usize, growing: bool) {
        self.start_when_buffered &= growing;
        (self.source, self.source_rate) = (samples, rate);
        self.streaming =
            growing.then(|| StreamingSource { resampler: StreamResampler::new(rate, self.rate), delay: 0 });
        self.reload();
    }

    /// Says how many seconds the growing clip will probably have, so that playing can start when it will not run dry.
    pub fn expect(&mut self, seconds: f64) {
        self.buffering = Buffering::new(seconds);
    }

    /// Starts playing the growing clip as soon as enough of it has arrived. The device is opened at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be opened.
    pub fn play_when_buffered(&mut self) -> Result<()> {
        if self.active.is_none() {
            self.open()?;
        }
        self.start_when_buffered = true;
        Ok(())
    }

    /// Appends to the growing clip.
    pub fn push(&mut self, samples: &[f32]) {
        self.source.extend_from_slice(samples);
        if let Some(streaming) = &mut self.streaming {
            let new = streaming.resampler.push(samples);
            let skip = streaming.delay.min(new.len());
            streaming.delay -= skip;
            self.audio.push(&new[skip..]);
        }
        self.gather_after_underrun();
        let enough = self.buffering.is_enough(self.seconds() - self.position(), Instant::now());
        if self.start_when_buffered && enough {
            self.start_when_buffered = false;
            self.transport.set_playing(true);
        }
    }

    /// Stops a growing clip that has run dry until there is enough again: one pause is easier to listen to than a gap a frame.
    fn gather_after_underrun(&mut self) {
        let underrun = self.transport.underrun_samples.load(Ordering::Relaxed);
        let ran_dry = underrun != std::mem::replace(&mut self.known_underrun, underrun);
        if ran_dry && self.streaming.is_some() && self.is_playing() {
            self.interruptions += 1;
            self.transport.set_playing(false);
            self.start_when_buffered = true;
            self.buffering = Buffering::new((self.buffering.expected_seconds() - self.position()).max(0.0));
        }
    }

    /// Marks the growing clip as complete.
    pub fn finish(&mut self) {
        if let Some(streaming) = self.streaming.take() {
            let whole = (self.source.len() * self.rate).div_ceil(self.source_rate);
            let rest = streaming.resampler.finish();
            let rest = &rest[streaming.delay.min(rest.len())..];
            self.audio.push(&rest[..rest.len().min(whole.saturating_sub(self.audio.len()))]);
            self.audio.close();
        }
        if std::mem::take(&mut self.start_when_buffered) {
            self.transport.set_playing(true);
        }
    }

    /// Converts the clip to the device's rate again and sends it to the callback.
    fn reload(&mut self) {
        if self.streaming.is_some() {
            self.audio = Arc::new(SharedAudio::default());
            let resampler = StreamResampler::new(self.source_rate, self.rate);
            let delay = resampler.delay();
            self.streaming = Some(StreamingSource { resampler, delay });
            let source = std::mem::take(&mut self.source);
            self.push(&source);
        } else {
            self.audio = Arc::new(SharedAudio::finished(&resample(&self.source, self.source_rate, self.rate)));
        }
        if let Some((_, sender)) = &mut self.active {
            sender.send(self.audio.clone());
        }
    }

    /// Starts playing, from the beginning if the clip is at its end, or stops. A part that is played over and over is kept to;
    /// after a part that was played once, playback continues.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if no device can be opened; the position stays.
    pub fn play(&mut self, playing: bool) -> Result<()> {
        if playing && self.position() + 1e-3 >= self.seconds() && self.streaming.is_none() {
            self.seek(0.0);
        }
        self.start_when_buffered = false;
        match self.region {
            Some((from, to)) if playing && self.looping && !(from..to).contains(&self.position()) => self.seek(from),
            Some(_) if playing && !self.looping => self.set_region(None, false),
            _ => {}
        }
        if playing && self.active.is_none() {
            self.open()?;
        }
        self.transport.set_playing(playing);
        Ok(())
    }

    /// Whether the position is moving.
    pub fn is_playing(&self) -> bool {
        self.transport.is_playing()
    }

    /// The position in the waveform, in seconds.
    pub fn position(&self) -> f64 {
        self.transport.position() as f64 / self.rate as f64
    }

    /// Length of the clip so far, seconds.
    pub fn seconds(&self) -> f64 {
        self.source.len() as f64 / self.source_rate as f64
    }

    /// Moves the position to `seconds`.
    pub fn seek(&mut self, seconds: f64) {
        let seconds = seconds.clamp(0.0, self.seconds());
        self.transport.seek((seconds * self.rate as f64) as usize);
    }

    /// Moves the position to `seconds`, which another clip may have that takes over.
    pub fn jump(&mut self, seconds: f64) {
        self.transport.seek((seconds.max(0.0) * self.rate as f64) as usize);
    }

    /// Selects `from..to` seconds, which playing then keeps to: over and over, or once from its start. At least
    /// [`SHORTEST_REGION`], within the clip. `None` ends that.
    pub fn set_region(&mut self, region: Option<(f64, f64)>, looping: bool) {
        let end = self.seconds().max(SHORTEST_REGION);
        self.region = region.map(|(a, b)| {
            let from = a.min(b).clamp(0.0, end - SHORTEST_REGION);
            (from, a.max(b).clamp(from + SHORTEST_REGION, end))
        });
        self.looping = looping && self.region.is_some();
        self.send_region();
    }

    fn send_region(&self) {
        let at = |s: f64| (s * self.rate as f64).round() as usize;
        self.transport.set_region(self.region.map(|(a, b)| (at(a), at(b))), !self.looping);
    }

    /// Plays `from..to` seconds and nothing else, once or over and over.
    ///
    /// # Errors
    /// Returns the errors of [`Player::play`].
    pub fn play_region(&mut self, from: f64, to: f64, looping: bool) -> Result<()> {
        self.set_region(Some((from, to)), looping);
        self.seek(self.region.map_or(0.0, |(from, _)| from));
        self.start_when_buffered = false;
        if self.active.is_none() {
            self.open()?;
        }
        self.transport.set_playing(true);
        Ok(())
    }

    /// Whether the selected part is played over and over.
    pub fn is_looping(&self) -> bool {
        self.looping
    }

    /// The selected part, seconds.
    pub fn region(&self) -> Option<(f64, f64)> {
        self.region
    }

    /// Sets the gain, 0 to 1.
    pub fn set_volume(&mut self, volume: f32) {
        self.transport.set_volume(volume);
    }

    /// Plays on another device from now on. The position stays.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot be opened; playing stops then.
    pub fn set_sink(&mut self, sink: Sink) -> Result<()> {
        if sink == self.sink {
            return Ok(());
        }
        self.sink = sink;
        (self.active, self.opening) = (None, None);
        if self.is_playing() { self.open() } else { Ok(()) }
    }

    /// Whether it waits for more of the growing clip before it plays.
    pub fn is_buffering(&self) -> bool {
        self.start_when_buffered
    }

    /// Underruns of this clip: how often playing had to stop because the next samples were not there yet.
    pub fn underruns(&self) -> usize {
        self.interruptions
    }

    /// Takes in what a device has said since the last time. One that has failed is opened again, or the default one if it is gone; the
    /// chosen device stays the chosen one. To be called every frame.
    ///
    /// # Errors
    /// [`Error::Unavailable`] once per failure, whether or not playback continues.
    pub fn poll_device(&mut self) -> Result<()> {
        if let Some(Opening { result, recovery }) = self.opening.take() {
            match result.try_recv() {
                Ok(opened) => return self.finish_opening(opened, recovery),
                Err(TryRecvError::Empty) => self.opening = Some(Opening { result, recovery }),
                Err(TryRecvError::Disconnected) => return self.finish_opening(Err(opener_died()), recovery),
            }
        }
        if !self.is_playing() || self.active.is_none() {
            self.watchdog = Watchdog::default();
        } else if self.watchdog.is_stalled(self.transport.calls.load(Ordering::Relaxed), Instant::now()) {
            self.watchdog = Watchdog::default();
            self.failed.report(format!("it has asked for no samples for {} seconds", STALLED.as_secs()));
        }
        let Some(reason) = self.failed.take() else { return Ok(()) };
        self.active = None;
        let lost = format!("the sound device stopped: {reason}");
        if !self.is_playing() {
            // The next play opens it again.
            tracing::warn!("{lost}");
            return Ok(());
        }
        self.open_sink(&self.sink.clone(), Some(Recovery { lost, on_default: false }))
    }

    /// Waits until the finished clip has been played.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the device stops asking for samples.
    pub fn wait_until_end(&mut self) -> Result<()> {
        let mut watchdog = Watchdog::default();
        while self.is_playing() {
            if self.failed.is_reported()
                || watchdog.is_stalled(self.transport.calls.load(Ordering::Relaxed), Instant::now())
            {
                return Err(Error::unavailable("the sound device stopped", "check the device; the file is complete"));
            }
            std::thread::sleep(NULL_SINK_PERIOD);
        }
        std::thread::sleep(DRAIN);
        Ok(())
    }

    /// Opens the sink, now or in the background. Without a device nothing plays, and the position stays.
    fn open(&mut self) -> Result<()> {
        match self.opening {
            Some(_) => Ok(()),
            None => self.open_sink(&self.sink.clone(), None),
        }
    }

    fn open_sink(&mut self, sink: &Sink, recovery: Option<Recovery>) -> Result<()> {
        match sink {
            Sink::Null { rate } => {
                let (renderer, sender) = Renderer::new(self.transport.clone(), *rate);
                let opened = null_sink(renderer, *rate).map(|stop| OpenedSink {
                    rate: *rate,
                    active: ActiveSink::Null { stop },
                    sender,
                });
                self.finish_opening(opened, recovery)
            }
            Sink::Device(name) => {
                let result = open_device(name.clone(), self.transport.clone(), self.failed.clone())?;
                if self.in_background {
                    self.opening = Some(Opening { result, recovery });
                    return Ok(());
                }
                let opened = result.recv().unwrap_or_else(|_| Err(opener_died()));
                self.finish_opening(opened, recovery)
            }
        }
    }

    fn finish_opening(&mut self, opened: Result<OpenedSink>, recovery: Option<Recovery>) -> Result<()> {
        let opened = match (opened, recovery) {
            (Ok(opened), recovery) => {
                let position = self.position();
                self.rate = opened.rate;
                self.transport.seek((position * self.rate as f64) as usize);
                self.active = Some((opened.active, opened.sender));
                // Requests before the device has a clip are not underruns.
                self.known_underrun = self.transport.underrun_samples.load(Ordering::Relaxed);
                self.reload();
                self.send_region();
                return match recovery {
                    Some(Recovery { lost, on_default: true }) => {
                        Err(Error::unavailable(lost, "playing continues on the default device"))
                    }
                    Some(Recovery { lost, .. }) => {
                        tracing::warn!("{lost}; opened again");
                        Ok(())
                    }
                    None => Ok(()),
                };
            }
            (Err(_), Some(Recovery { lost, on_default: false })) => {
                return self.open_sink(&Sink::Device(None), Some(Recovery { lost, on_default: true }));
            }
            (Err(e), recovery) => (e, recovery),
        };
        self.transport.set_playing(false);
        self.start_when_buffered = false;
        match opened {
            (e, Some(Recovery { lost, .. })) => Err(Error::Unavailable {
                what: lost,
                hint: "connect or choose another output device".into(),
                source: Some(e.into()),
            }),
            (e, None) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NULL: Sink = Sink::Null { rate: 48_000 };

    fn wait(until: impl Fn() -> bool) {
        let started = Instant::now();
        while !until() {
            assert!(started.elapsed() < Duration::from_secs(20), "it did not happen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_growing_clip_starts_by_itself_and_plays_to_its_end_at_another_rate() {
        let mut player = Player::new(NULL);
        player.begin(24_000);
        player.play_when_buffered().unwrap();
        player.push(&[0.5; 1_920]);
        assert!(!player.is_playing(), "80 ms are not enough to start");
        for _ in 0..5 {
            player.push(&[0.5; 1_920]);
        }
        assert!(player.is_playing());
        player.finish();
        player.wait_until_end().unwrap();
        assert!((player.position() - 0.48).abs() < 1e-3, "{}", player.position());
        assert!((player.seconds() - 0.48).abs() < 1e-9);
        assert_eq!(player.underruns(), 0);
    }

    #[test]
    fn a_clip_that_runs_dry_stops_gathers_and_counts_it() {
        let mut player = Player::new(NULL);
        player.begin(24_000);
        player.play_when_buffered().unwrap();
        (0..5).for_each(|_| player.push(&[0.5; 1_920]));
        assert!(player.is_playing());
        wait(|| player.transport.underrun_samples.load(Ordering::Relaxed) > 0);
        player.push(&[0.5; 1_920]);
        assert!(!player.is_playing() && player.is_buffering() && player.underruns() == 1);
        (0..5).for_each(|_| player.push(&[0.5; 1_920]));
        assert!(player.is_playing());
        player.finish();
        player.wait_until_end().unwrap();
        assert!((player.position() - 0.88).abs() < 1e-3, "{}", player.position());
        player.begin(24_000);
        assert_eq!(player.underruns(), 0, "a new clip starts from zero");
    }

    #[test]
    fn one_frame_is_heard_by_itself_and_playing_goes_on_after_it() {
        let mut player = Player::new(NULL);
        player.load(&[0.5; 48_000], 24_000);
        player.play_region(1.92, 2.0, false).unwrap();
        assert_eq!(player.region(), Some((1.92, 2.0)), "the last frame, not one byte more or less");
        wait(|| !player.is_playing());
        assert!((player.position() - 1.92).abs() < 1e-3, "{}", player.position());
        player.play(true).unwrap();
        assert_eq!(player.region(), None);
        wait(|| !player.is_playing());
        assert!((player.position() - 2.0).abs() < 1e-3);
        player.play_region(0.4, 0.48, true).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert!(player.is_playing() && (0.39..0.49).contains(&player.position()), "{}", player.position());
        player.seek(1.0);
        player.play(true).unwrap();
        assert!((player.position() - 0.4).abs() < 0.09, "a loop is kept to");
        player.set_region(Some((3.0, 9.0)), false);
        let (from, to) = player.region().unwrap();
        assert!(from < to && to <= 2.0, "within the clip: {from}, {to}");
    }

    #[test]
    fn a_failed_device_is_opened_again_and_stays_the_chosen_one() {
        let mut player = Player::new(NULL);
        player.load(&[0.5; 48_000], 24_000);
        player.play(true).unwrap();
        player.failed.report("unplugged".into());
        player.poll_device().unwrap();
        assert!(player.is_playing() && player.sink == NULL && player.active.is_some());
        player.play(false).unwrap();
        player.failed.report("unplugged".into());
        player.poll_device().unwrap();
        assert!(player.active.is_none() && player.sink == NULL, "nothing was playing: it is opened when it is needed");
    }

    #[test]
    fn a_device_is_opened_in_the_background_and_a_failure_is_told_later() {
        let mut player = Player::new(Sink::Device(Some("no such device".into()))).in_background();
        player.load(&[0.5; 48_000], 24_000);
        player.seek(1.0);
        player.play(true).unwrap();
        let begun = Instant::now();
        let error = loop {
            match player.poll_device() {
                Err(e) => break e,
                Ok(()) => assert!(begun.elapsed() < Duration::from_secs(20), "no failure is reported"),
            }
        };
        assert!(error.to_string().contains("no sound"), "{error}");
        assert!(!player.is_playing() && (player.position() - 1.0).abs() < 1e-3);
        player.set_sink(NULL).unwrap();
        player.play(true).unwrap();
        wait(|| player.position() > 1.1);
    }

    #[test]
    fn another_sink_keeps_the_position_and_a_missing_device_is_an_error() {
        let mut player = Player::new(NULL);
        player.load(&[0.5; 240_000], 24_000);
        player.seek(3.0);
        player.play(true).unwrap();
        wait(|| player.position() > 3.1);
        let before = player.position();
        player.set_sink(Sink::Null { rate: 44_100 }).unwrap();
        assert!(player.position() >= before - 0.01 && player.position() < before + 2.0);
        wait(|| player.position() > before + 0.1);
        let at = player.position();
        let error = player.set_sink(Sink::Device(Some("no such device".into()))).unwrap_err();
        assert!(error.to_string().contains("no sound"));
        assert!((player.position() - at).abs() < 0.5);
    }
}
