//! The player: a clip, finished or still being made, on an output device. The device's stream holds nothing that matters, so
//! that a lost device loses no position.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::buffering::Buffering;
use super::device::{self, OutputStream};
use super::playback::{ClipSender, Renderer, SHORTEST_LOOP, SharedAudio, Transport};
use super::resample::{StreamResampler, resample};
use crate::error::{Error, Result};

/// How often a null sink asks for samples.
const NULL_SINK_PERIOD: Duration = Duration::from_millis(10);
/// How long a device may ask for nothing before it counts as gone.
const STALLED: Duration = Duration::from_secs(5);
/// Time for the last samples to leave the device's own buffer.
const DRAIN: Duration = Duration::from_millis(200);

/// Where the sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// An output device by name, or the default one.
    Device(Option<String>),
    /// Nowhere, at the pace of a device: for tests and for machines without sound.
    Null {
        /// Samples per second.
        rate: usize,
    },
}

/// What asks for samples; dropping it stops that.
enum ActiveSink {
    Device { _stream: OutputStream },
    Null { stop: Arc<AtomicBool> },
}

impl Drop for ActiveSink {
    fn drop(&mut self) {
        if let Self::Null { stop } = self {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// A clip that is still being made, on its way to the device's rate.
struct StreamingSource {
    resampler: StreamResampler,
    /// Samples of the resampler's delay that are still to be dropped.
    delay: usize,
}

/// The player.
pub struct Player {
    sink: Sink,
    active: Option<(ActiveSink, ClipSender)>,
    rate: usize,
    transport: Arc<Transport>,
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
    region: Option<(f64, f64)>,
    failed: Arc<AtomicBool>,
}

impl Player {
    /// Opens no device yet: that happens when something is played.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            active: None,
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
            failed: Arc::default(),
        }
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
        self.set_loop(None);
        self.start_when_buffered = false;
        self.buffering = Buffering::default();
        self.interruptions = 0;
        (self.source, self.source_rate) = (Vec::new(), rate);
        self.streaming = Some(StreamingSource { resampler: StreamResampler::new(rate, self.rate), delay: 0 });
        self.reload();
    }

    /// Says how many seconds the growing clip will probably have, so that playing can start when it will not run dry.
    pub fn expect(&mut self, seconds: f64) {
        self.buffering = Buffering::new(seconds);
    }

    /// Starts playing the growing clip as soon as enough of it is there. The device is opened at once.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it cannot be opened.
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

    /// Starts playing, from the beginning where the clip is at its end, or stops.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no device can be opened; the position stays.
    pub fn play(&mut self, playing: bool) -> Result<()> {
        if playing && self.position() + 1e-3 >= self.seconds() && self.streaming.is_none() {
            self.seek(0.0);
        }
        self.start_when_buffered = false;
        if playing && self.active.is_none() {
            self.open()?;
        }
        self.transport.set_playing(playing);
        Ok(())
    }

    /// Whether it plays.
    pub fn is_playing(&self) -> bool {
        self.transport.is_playing()
    }

    /// The position, seconds.
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

    /// Loops `from..to` seconds, at least [`SHORTEST_LOOP`]; `None` ends the loop.
    pub fn set_loop(&mut self, region: Option<(f64, f64)>) {
        self.region = region.map(|(a, b)| (a.min(b).max(0.0), a.max(b).max(a.min(b) + SHORTEST_LOOP)));
        let at = |s: f64| (s * self.rate as f64) as usize;
        self.transport.set_loop(self.region.map(|(a, b)| (at(a), at(b))));
    }

    /// The loop, seconds.
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
    /// [`Error::Unavailable`] where it cannot be opened; playing stops then.
    pub fn set_sink(&mut self, sink: Sink) -> Result<()> {
        if sink == self.sink {
            return Ok(());
        }
        self.sink = sink;
        self.active = None;
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

    /// Reopens on the default device after a failure. To be called every frame.
    ///
    /// # Errors
    /// [`Error::Unavailable`] once per failure, whether or not playing goes on.
    pub fn recover_device(&mut self) -> Result<()> {
        if !self.failed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.active = None;
        self.sink = Sink::Device(None);
        let lost = "the sound device was lost";
        if !self.is_playing() {
            return Err(Error::unavailable(lost, "the default device is used from now on"));
        }
        match self.open() {
            Ok(()) => Err(Error::unavailable(lost, "playing continues on the default device")),
            Err(e) => Err(Error::Unavailable {
                what: lost.into(),
                hint: "connect or choose another output device".into(),
                source: Some(e.into()),
            }),
        }
    }

    /// Waits until the finished clip has been played.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the device stops asking for samples.
    pub fn wait_until_end(&mut self) -> Result<()> {
        let (mut last, mut since) = (0, Instant::now());
        while self.is_playing() {
            let calls = self.transport.calls.load(Ordering::Relaxed);
            if calls != last {
                (last, since) = (calls, Instant::now());
            }
            if self.failed.load(Ordering::Relaxed) || since.elapsed() > STALLED {
                return Err(Error::unavailable("the sound device stopped", "check the device; the file is complete"));
            }
            std::thread::sleep(NULL_SINK_PERIOD);
        }
        std::thread::sleep(DRAIN);
        Ok(())
    }

    /// Opens the sink. Without a device nothing plays, and the position stays.
    fn open(&mut self) -> Result<()> {
        let position = self.position();
        let transport = self.transport.clone();
        let mut sender = None;
        let mut renderer = |rate: usize| {
            transport.seek((position * rate as f64) as usize);
            let (renderer, ends) = Renderer::new(transport.clone(), rate);
            sender = Some(ends);
            renderer
        };
        let opened = match &self.sink {
            Sink::Device(name) => {
                let failed = self.failed.clone();
                let make_callback = |rate| {
                    let mut renderer = renderer(rate);
                    move |out: &mut [f32]| renderer.render(out)
                };
                let stream =
                    device::open(name.as_deref(), make_callback, move || failed.store(true, Ordering::Relaxed));
                stream.map(|s| (s.rate, ActiveSink::Device { _stream: s }))
            }
            Sink::Null { rate } => null_sink(renderer(*rate), *rate).map(|stop| (*rate, ActiveSink::Null { stop })),
        };
        let (rate, active) = opened.inspect_err(|_| self.transport.set_playing(false))?;
        self.active = sender.map(|sender| (active, sender));
        let region = self.region;
        self.rate = rate;
        self.reload();
        self.set_loop(region);
        Ok(())
    }
}

/// A thread that asks for samples as a device does.
fn null_sink(mut renderer: Renderer, rate: usize) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let run = move || {
        let mut block = vec![0.0; (rate as f64 * NULL_SINK_PERIOD.as_secs_f64()) as usize];
        while !stopped.load(Ordering::Relaxed) {
            renderer.render(&mut block);
            std::thread::sleep(NULL_SINK_PERIOD);
        }
    };
    std::thread::Builder::new().name("csm-null-sink".into()).spawn(run).map_err(|e| Error::Unavailable {
        what: "no thread for the null sink".into(),
        hint: "close other programs and try again".into(),
        source: Some(e.into()),
    })?;
    Ok(stop)
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
        assert_eq!(player.underruns(), 0, "a new clip counts anew");
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
