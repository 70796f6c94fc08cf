//! Listening to clips: transport and device. The stream owns nothing that matters, so that a lost device loses no position.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::device::{self, Stream};
use super::mixer::{Deck, Feeder, SHORTEST_LOOP, Sound, Transport};
use super::resample::{Streaming, resample};

/// How often a paced sink asks for samples.
const PACE: Duration = Duration::from_millis(10);

/// Where the sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// An output device by name; `None` is the default one.
    Device(Option<String>),
    /// Nowhere, at the pace of a device of this rate: for tests, and for machines without sound.
    Paced(usize),
}

enum Running {
    Device { _stream: Stream },
    Paced { stop: Arc<AtomicBool> },
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Paced { stop } = self {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// A clip that is still being made, at the device's rate.
struct Growing {
    resampler: Streaming,
    /// Samples at the start that are the resampler's delay.
    skip: usize,
}

/// The player of the window.
pub struct Output {
    sink: Sink,
    running: Option<(Running, Feeder)>,
    rate: usize,
    transport: Arc<Transport>,
    /// The clip at its own rate.
    source: Vec<f32>,
    source_rate: usize,
    capacity: usize,
    sound: Arc<Sound>,
    growing: Option<Growing>,
    volume: f32,
    region: Option<(f64, f64)>,
    failed: Arc<AtomicBool>,
}

impl Output {
    /// Silent until something is played; the device is opened then.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            running: None,
            rate: 24_000,
            transport: Arc::default(),
            source: Vec::new(),
            source_rate: 24_000,
            capacity: 0,
            sound: Arc::new(Sound::of(&[])),
            growing: None,
            volume: 1.0,
            region: None,
            failed: Arc::default(),
        }
    }

    /// Puts a finished clip on, stopped at its start.
    pub fn load(&mut self, samples: &[f32], rate: usize) {
        self.begin(rate, 0);
        self.source = samples.to_vec();
        self.capacity = samples.len();
        self.growing = None;
        self.lay_on();
    }

    /// Puts an empty clip on that will grow to at most `capacity` samples at `rate`.
    pub fn begin(&mut self, rate: usize, capacity: usize) {
        self.transport.play(false);
        self.transport.seek(0);
        self.set_loop(None);
        (self.source, self.source_rate, self.capacity) = (Vec::new(), rate, capacity);
        self.growing = Some(Growing { resampler: Streaming::new(rate, self.rate), skip: 0 });
        self.lay_on();
    }

    /// Adds to the growing clip.
    pub fn push(&mut self, samples: &[f32]) {
        self.source.extend_from_slice(samples);
        if let Some(growing) = &mut self.growing {
            let new = growing.resampler.push(samples);
            let skip = growing.skip.min(new.len());
            growing.skip -= skip;
            self.sound.push(&new[skip..]);
        }
    }

    /// The growing clip is complete.
    pub fn finish(&mut self) {
        if let Some(growing) = self.growing.take() {
            // The tail that is silence would only move the end.
            let whole = (self.source.len() * self.rate).div_ceil(self.source_rate);
            let rest = growing.resampler.finish();
            let rest = &rest[growing.skip.min(rest.len())..];
            self.sound.push(&rest[..rest.len().min(whole.saturating_sub(self.sound.len()))]);
            self.sound.close();
        }
    }

    /// Makes the clip at the device's rate from its source, and hands it to the deck.
    fn lay_on(&mut self) {
        let room = (self.capacity.max(self.source.len()) * self.rate).div_ceil(self.source_rate) + self.rate;
        if self.growing.is_some() {
            self.sound = Arc::new(Sound::new(room));
            let resampler = Streaming::new(self.source_rate, self.rate);
            let skip = resampler.delay();
            self.growing = Some(Growing { resampler, skip });
            let source = std::mem::take(&mut self.source);
            self.push(&source);
        } else {
            self.sound = Arc::new(Sound::of(&resample(&self.source, self.source_rate, self.rate)));
        }
        if let Some((_, feeder)) = &mut self.running {
            feeder.put(self.sound.clone());
        }
    }

    /// Starts, at the beginning where the clip is at its end; or stops. Gives a message where there is no sound.
    pub fn play(&mut self, playing: bool) -> Option<String> {
        if playing && self.position() + 1e-3 >= self.seconds() && self.growing.is_none() {
            self.seek(0.0);
        }
        self.transport.play(playing);
        if playing && self.running.is_none() { self.open_or_stop() } else { None }
    }

    /// Without a device nothing plays; the position stays.
    fn open_or_stop(&mut self) -> Option<String> {
        let problem = self.open();
        if problem.is_some() {
            self.transport.play(false);
        }
        problem
    }

    /// Whether it plays.
    pub fn is_playing(&self) -> bool {
        self.transport.is_playing()
    }

    /// Where it is, seconds.
    pub fn position(&self) -> f64 {
        self.transport.position() as f64 / self.rate as f64
    }

    /// Length of the clip so far, seconds.
    pub fn seconds(&self) -> f64 {
        self.source.len() as f64 / self.source_rate as f64
    }

    /// Goes to `seconds`.
    pub fn seek(&mut self, seconds: f64) {
        let seconds = seconds.clamp(0.0, self.seconds());
        self.transport.seek((seconds * self.rate as f64) as usize);
    }

    /// Plays `from..to` seconds over and over, [`SHORTEST_LOOP`] at least; `None` ends that.
    pub fn set_loop(&mut self, region: Option<(f64, f64)>) {
        self.region = region.map(|(a, b)| (a.min(b).max(0.0), a.max(b).max(a.min(b) + SHORTEST_LOOP)));
        let at = |s: f64| (s * self.rate as f64) as usize;
        self.transport.set_loop(self.region.map(|(a, b)| (at(a), at(b))));
    }

    /// The loop, seconds.
    pub fn region(&self) -> Option<(f64, f64)> {
        self.region
    }

    /// Gain, 0 to 1.
    pub fn set_volume(&mut self, volume: f32) {
        self.volume = volume;
        self.transport.set_volume(volume);
    }

    /// Another device from now on. Position and playing stay.
    pub fn set_sink(&mut self, sink: Sink) -> Option<String> {
        if sink == self.sink {
            return None;
        }
        self.sink = sink;
        self.running = None;
        if self.is_playing() { self.open_or_stop() } else { None }
    }

    /// Samples that came too late so far.
    pub fn missing(&self) -> usize {
        self.transport.missing.load(Ordering::Relaxed)
    }

    /// Looks after a device that failed: to be called now and then. Gives a message once a failure.
    pub fn tend(&mut self) -> Option<String> {
        if !self.failed.swap(false, Ordering::Relaxed) {
            return None;
        }
        self.running = None;
        self.sink = Sink::Device(None);
        let lost = "the sound device is gone";
        if !self.is_playing() {
            return Some(lost.into());
        }
        Some(match self.open_or_stop() {
            None => format!("{lost}; going on with the default one"),
            Some(problem) => format!("{lost}, and {problem}"),
        })
    }

    fn open(&mut self) -> Option<String> {
        let position = self.position();
        let transport = self.transport.clone();
        let mut feeder = None;
        let mut deck = |rate: usize| {
            transport.seek((position * rate as f64) as usize);
            let (deck, ends) = Deck::new(transport.clone(), rate);
            feeder = Some(ends);
            deck
        };
        let opened = match &self.sink {
            Sink::Device(name) => {
                let failed = self.failed.clone();
                let make = |rate| {
                    let mut deck = deck(rate);
                    move |out: &mut [f32]| deck.render(out)
                };
                let stream = device::open(name.as_deref(), make, move || failed.store(true, Ordering::Relaxed));
                stream.map(|s| (s.rate, Running::Device { _stream: s }))
            }
            Sink::Paced(rate) => Ok((*rate, Running::Paced { stop: pace(deck(*rate), *rate) })),
        };
        let (rate, running) = match opened {
            Ok(opened) => opened,
            Err(e) => return Some(e.to_string()),
        };
        self.running = Some((running, feeder.expect("made with the stream")));
        let region = self.region;
        self.rate = rate;
        self.lay_on();
        self.set_loop(region);
        None
    }
}

/// A thread that asks for samples as a device does.
fn pace(mut deck: Deck, rate: usize) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    std::thread::Builder::new()
        .name("csm-paced-sink".into())
        .spawn(move || {
            let mut block = vec![0.0; (rate as f64 * PACE.as_secs_f64()) as usize];
            while !stopped.load(Ordering::Relaxed) {
                deck.render(&mut block);
                std::thread::sleep(PACE);
            }
        })
        .expect("a thread can be started");
    stop
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn wait(until: impl Fn() -> bool) {
        let begun = Instant::now();
        while !until() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it did not come to pass");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_growing_clip_plays_to_its_end_at_another_rate() {
        let mut output = Output::new(Sink::Paced(48_000));
        output.begin(24_000, 24_000);
        assert_eq!(output.play(true), None);
        for _ in 0..6 {
            output.push(&[0.5; 1_920]);
        }
        output.finish();
        wait(|| !output.is_playing());
        assert!((output.position() - 0.48).abs() < 1e-3, "{}", output.position());
        assert!((output.seconds() - 0.48).abs() < 1e-9);
    }

    #[test]
    fn another_sink_loses_no_position_and_a_missing_device_is_a_message() {
        let mut output = Output::new(Sink::Paced(48_000));
        output.load(&[0.5; 240_000], 24_000);
        output.seek(3.0);
        output.play(true);
        wait(|| output.position() > 3.1);
        let before = output.position();
        assert_eq!(output.set_sink(Sink::Paced(44_100)), None);
        assert!(output.position() >= before - 0.01 && output.position() < before + 2.0);
        wait(|| output.position() > before + 0.1);
        let at = output.position();
        let message = output.set_sink(Sink::Device(Some("no such device".into())));
        assert!(message.unwrap().contains("no sound"));
        assert!((output.position() - at).abs() < 0.5);
    }
}
