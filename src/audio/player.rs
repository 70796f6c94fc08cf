//! Playing sound while it is still being made. The callback only moves samples out of a ring: no lock, no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::device::{self, Stream};
use super::resample::Streaming;
use crate::error::{Error, Result};

/// Sound that the ring holds.
const RING_SECONDS: usize = 30;
/// Sound gathered before the first sample is played, so that a slow start does not stutter.
const START_SECONDS: f64 = 0.25;
/// How long the device may take nothing before it counts as gone.
const STALLED: Duration = Duration::from_secs(5);

/// What callback and player share.
#[derive(Default)]
struct Shared {
    started: AtomicBool,
    played: AtomicU64,
    missing: AtomicU64,
    failed: AtomicBool,
}

/// The loudspeaker.
pub struct Player {
    ring: Producer<f32>,
    resampler: Option<Streaming>,
    shared: Arc<Shared>,
    rate: usize,
    _stream: Stream,
}

impl Player {
    /// Opens the default device for mono sound at `rate`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] that says what is missing.
    pub fn open(rate: usize) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (heard, errors) = (shared.clone(), shared.clone());
        let mut ring = None;
        let make = |rate| {
            let (producer, consumer) = RingBuffer::new(rate * RING_SECONDS);
            ring = Some(producer);
            fill(consumer, heard)
        };
        let stream = device::open(None, make, move || errors.failed.store(true, Ordering::Relaxed))?;
        let ring = ring.expect("made with the stream");
        let device_rate = stream.rate;
        Ok(Self {
            ring,
            resampler: Some(Streaming::new(rate, device_rate)),
            shared,
            rate: device_rate,
            _stream: stream,
        })
    }

    /// Adds sound. Waits only where more than half a minute lies ahead.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the device stops taking any.
    pub fn push(&mut self, samples: &[f32]) -> Result<()> {
        let samples = self.resampler.as_mut().expect("not finished").push(samples);
        self.put(&samples)
    }

    fn put(&mut self, mut samples: &[f32]) -> Result<()> {
        let gathered = (self.rate as f64 * START_SECONDS) as usize;
        while !samples.is_empty() {
            let n = samples.len().min(self.ring.slots());
            for s in &samples[..n] {
                self.ring.push(*s).expect("there are slots");
            }
            samples = &samples[n..];
            if self.ring.buffer().capacity() - self.ring.slots() >= gathered {
                self.shared.started.store(true, Ordering::Release);
            }
            if !samples.is_empty() {
                self.wait_for(|slots, _| slots > 0)?;
            }
        }
        Ok(())
    }

    /// Plays the rest and waits until it is out. Gives how many samples the device asked for in vain meanwhile.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the device stops taking any.
    pub fn finish(mut self) -> Result<u64> {
        let rest = self.resampler.take().expect("not finished").finish();
        self.put(&rest)?;
        self.shared.started.store(true, Ordering::Release);
        self.wait_for(|slots, capacity| slots == capacity)?;
        // What the callback has taken still has to leave the device's own buffer.
        std::thread::sleep(Duration::from_millis(200));
        Ok(self.shared.missing.load(Ordering::Relaxed))
    }

    fn wait_for(&self, reached: impl Fn(usize, usize) -> bool) -> Result<()> {
        let (mut last, mut since) = (u64::MAX, Instant::now());
        while !reached(self.ring.slots(), self.ring.buffer().capacity()) {
            let played = self.shared.played.load(Ordering::Relaxed);
            if played != last {
                (last, since) = (played, Instant::now());
            }
            if self.shared.failed.load(Ordering::Relaxed) || since.elapsed() > STALLED {
                return Err(Error::Unavailable {
                    what: "the sound device stopped".into(),
                    mend: "check it; the file is written all the same".into(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// The callback: moves samples out of the ring.
fn fill(mut ring: Consumer<f32>, shared: Arc<Shared>) -> impl FnMut(&mut [f32]) + Send + 'static {
    move |out| {
        let started = shared.started.load(Ordering::Acquire);
        let (mut played, mut missing) = (0, 0);
        for sample in out {
            let next = if started { ring.pop().ok() } else { None };
            played += u64::from(next.is_some());
            missing += u64::from(started && next.is_none());
            *sample = next.unwrap_or(0.0);
        }
        shared.played.fetch_add(played, Ordering::Relaxed);
        shared.missing.fetch_add(missing, Ordering::Relaxed);
    }
}
