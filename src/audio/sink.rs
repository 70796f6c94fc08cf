//! Where sound goes: an output device or a null sink, opened on a thread, watched, and its failures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::device;
use super::playback::{ClipSender, PlaybackControl, Renderer};
use crate::error::{Error, Result};

/// How often a null sink asks for samples.
pub(super) const NULL_SINK_PERIOD: Duration = Duration::from_millis(10);
/// How long a device may ask for nothing before it counts as gone.
pub(super) const STALLED: Duration = Duration::from_secs(5);
/// Where the sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// An output device by name, or the default one.
    Device(Option<String>),
    /// Nowhere, at the pace of a device: for tests and for machines without sound.
    Null {
        /// Sample rate in samples per second.
        rate: usize,
    },
}

/// The stream that asks for samples; dropping it ends the stream.
pub(super) enum ActiveSink {
    /// Its thread ends the stream once this is dropped.
    Device {
        _keep: Sender<()>,
    },
    Null {
        stop: Arc<AtomicBool>,
    },
}

impl Drop for ActiveSink {
    fn drop(&mut self) {
        if let Self::Null { stop } = self {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// A sink that asks for samples.
pub(super) struct OpenedSink {
    pub(super) rate: usize,
    pub(super) active: ActiveSink,
    pub(super) sender: ClipSender,
}

/// Notices a device that no longer asks for samples and says nothing.
pub(super) struct Watchdog {
    /// Requests so far, and when the last one was noticed.
    calls: usize,
    since: Instant,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { calls: 0, since: Instant::now() }
    }
}

impl Watchdog {
    pub(super) fn is_stalled(&mut self, calls: usize, now: Instant) -> bool {
        if calls != self.calls {
            *self = Self { calls, since: now };
        }
        now.saturating_duration_since(self.since) > STALLED
    }
}

/// The error of a device that was removed.
#[derive(Default)]
pub(super) struct DeviceFailure {
    reason: Mutex<Option<String>>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl DeviceFailure {
    pub(super) fn report(&self, reason: String) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.wake();
    }

    /// Calls `wake` when there is news of the device.
    pub(super) fn on_news(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.wake.set(Box::new(wake)).ok(); // once is enough
    }

    fn wake(&self) {
        self.wake.get().into_iter().for_each(|wake| wake());
    }

    pub(super) fn take(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn is_reported(&self) -> bool {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

pub(super) fn opener_died() -> Error {
    Error::unavailable("the sound device cannot be opened", "choose another output device; the log has the details")
}

/// Opens a device on its own thread, which keeps the stream until what it answers is dropped: it may take long, and on some systems
/// a stream belongs to its thread.
pub(super) fn open_device(
    name: Option<String>,
    transport: Arc<PlaybackControl>,
    failed: Arc<DeviceFailure>,
) -> Result<Receiver<Result<OpenedSink>>> {
    let (answer, result) = channel();
    let run = move || {
        let mut sender = None;
        let make_callback = |rate| {
            let (mut renderer, ends) = Renderer::new(transport, rate);
            sender = Some(ends);
            move |out: &mut [f32]| renderer.render(out)
        };
        let news = failed.clone();
        let stream = device::open(name.as_deref(), make_callback, move |reason| failed.report(reason));
        let (keep, kept) = channel::<()>();
        let (opened, stream) = match (stream, sender) {
            (Ok(stream), Some(sender)) => {
                let active = ActiveSink::Device { _keep: keep };
                (Ok(OpenedSink { rate: stream.rate, active, sender }), Some(stream))
            }
            (Ok(_), None) => (Err(opener_died()), None),
            (Err(e), _) => (Err(e), None),
        };
        if answer.send(opened).is_ok() {
            news.wake();
            if stream.is_some() {
                kept.recv().ok(); // ends when the other end is dropped, and the stream with it
            }
        }
    };
    std::thread::Builder::new().name("csm-sound".into()).spawn(run).map_err(|e| Error::Unavailable {
        what: "no thread for the sound device".into(),
        hint: "close other programs and try again".into(),
        source: Some(e.into()),
    })?;
    Ok(result)
}

/// A thread that asks for samples as a device does.
pub(super) fn null_sink(mut renderer: Renderer, rate: usize) -> Result<Arc<AtomicBool>> {
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

    #[test]
    fn a_device_that_asks_for_nothing_for_five_seconds_is_stalled() {
        let mut watchdog = Watchdog::default();
        let begin = watchdog.since;
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(!watchdog.is_stalled(3, after(4)));
        assert!(!watchdog.is_stalled(3, after(9)), "it has asked 5 s ago");
        assert!(!watchdog.is_stalled(4, after(60)), "it has just asked");
        assert!(watchdog.is_stalled(4, after(66)));
    }
}
