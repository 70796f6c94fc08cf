//! Playing sound while it is still being made. The callback only moves samples out of a ring: no lock, no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

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
    _stream: cpal::Stream,
}

impl Player {
    /// Opens the default device for mono sound at `rate`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] that says what is missing.
    pub fn open(rate: usize) -> Result<Self> {
        let none = |what: String| Error::Unavailable {
            what: format!("no sound: {what}"),
            mend: "connect or choose an output device, or leave --play away; the file is written all the same".into(),
        };
        let device =
            cpal::default_host().default_output_device().ok_or_else(|| none("there is no output device".into()))?;
        let supported = device.default_output_config().map_err(|e| none(e.to_string()))?;
        let device_rate = supported.sample_rate() as usize;
        let (ring, taken) = RingBuffer::new(device_rate * RING_SECONDS);
        let shared = Arc::new(Shared::default());
        let config: StreamConfig = supported.config();
        let stream = match supported.sample_format() {
            SampleFormat::F32 => start::<f32>(&device, config, taken, &shared),
            SampleFormat::I16 => start::<i16>(&device, config, taken, &shared),
            SampleFormat::U16 => start::<u16>(&device, config, taken, &shared),
            SampleFormat::I32 => start::<i32>(&device, config, taken, &shared),
            SampleFormat::U8 => start::<u8>(&device, config, taken, &shared),
            other => return Err(none(format!("the device wants samples as {other}"))),
        }
        .map_err(|e| none(e.to_string()))?;
        stream.play().map_err(|e| none(e.to_string()))?;
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

fn start<T: SizedSample + FromSample<f32> + Send + 'static>(
    device: &cpal::Device,
    config: StreamConfig,
    mut ring: Consumer<f32>,
    shared: &Arc<Shared>,
) -> Result<cpal::Stream, cpal::Error> {
    let (heard, errors) = (shared.clone(), shared.clone());
    let channels = usize::from(config.channels);
    device.build_output_stream(
        config,
        move |out: &mut [T], _: &cpal::OutputCallbackInfo| {
            let started = heard.started.load(Ordering::Acquire);
            let (mut played, mut missing) = (0, 0);
            for frame in out.chunks_mut(channels) {
                let sample = if started { ring.pop().ok() } else { None };
                played += u64::from(sample.is_some());
                missing += u64::from(started && sample.is_none());
                frame.fill(T::from_sample(sample.unwrap_or(0.0)));
            }
            heard.played.fetch_add(played, Ordering::Relaxed);
            heard.missing.fetch_add(missing, Ordering::Relaxed);
        },
        // An underrun is counted by what was missing; all else ends the playing.
        move |e: cpal::Error| {
            if !matches!(e.kind(), cpal::ErrorKind::Xrun | cpal::ErrorKind::DeviceChanged) {
                errors.failed.store(true, Ordering::Relaxed);
            }
        },
        None,
    )
}
