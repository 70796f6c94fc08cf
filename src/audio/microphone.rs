//! Recording from a microphone into a WAV file. Its thread owns the stream, so that nothing waits for a device, and writes what is
//! recorded as it comes: a crash loses at most the last moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::device::{self, InputStream};
use super::wav::WavInfo;
use super::wav_stream::WavStream;
use crate::error::{Error, Result};
use crate::files::create_private_folder;

/// How often the thread writes what has come.
const PERIOD: Duration = Duration::from_millis(20);
/// Seconds that may wait to be written: a disk may be busy for a while.
const WAITING: usize = 10;
/// Longest recording: a voice prompt needs seconds, and nobody means to record for hours.
const LONGEST: Duration = Duration::from_secs(600);

/// Where the sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MicrophoneSource {
    /// The system's default microphone.
    Microphone,
    /// A quiet tone of 440 Hz, at the pace of a device: for tests and for machines without sound.
    Tone {
        /// Sample rate in samples per second.
        rate: usize,
    },
}

/// A recording that is being made.
pub struct MicrophoneRecording {
    shared: Arc<Shared>,
    finished: Receiver<Result<PathBuf>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    samples: AtomicUsize,
    rate: AtomicUsize,
    /// Loudest sample of the last moment, as bits of a float.
    level: AtomicU32,
}

impl MicrophoneRecording {
    /// Begins to record into a new file at `path`. `wake` is called when it has ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if no thread can be started.
    pub fn start(source: MicrophoneSource, path: &Path, wake: impl Fn() + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (answer, finished) = channel();
        let (seen, path) = (shared.clone(), path.to_owned());
        let run = move || {
            answer.send(record(&source, &path, &seen)).ok(); // the window may be closed by now; the file is complete anyway
            wake();
        };
        std::thread::Builder::new().name("csm-microphone".into()).spawn(run).map_err(|e| Error::Unavailable {
            what: "no thread for the microphone".into(),
            hint: "close other programs and try again".into(),
            source: Some(e.into()),
        })?;
        Ok(Self { shared, finished })
    }

    /// Ends the recording; [`MicrophoneRecording::poll`] gives the file soon.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// The file, once the recording has ended, or what went wrong. Never waits.
    pub fn poll(&self) -> Option<Result<PathBuf>> {
        match self.finished.try_recv() {
            Ok(finished) => Some(finished),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                Some(Err(Error::unavailable("the recording ended unexpectedly", "the log has the details")))
            }
        }
    }

    /// Seconds recorded so far.
    pub fn seconds(&self) -> f64 {
        let rate = self.shared.rate.load(Ordering::Relaxed).max(1);
        self.shared.samples.load(Ordering::Relaxed) as f64 / rate as f64
    }

    /// Loudest sample of the last moment, 1 at full scale.
    pub fn level(&self) -> f32 {
        f32::from_bits(self.shared.level.load(Ordering::Relaxed))
    }
}

impl Drop for MicrophoneRecording {
    fn drop(&mut self) {
        self.stop();
    }
}

fn record(source: &MicrophoneSource, path: &Path, shared: &Shared) -> Result<PathBuf> {
    let (mut input, rate) = Input::open(source)?;
    shared.rate.store(rate, Ordering::Relaxed);
    if let Some(folder) = path.parent() {
        create_private_folder(folder).map_err(|e| Error::write(folder, e))?;
    }
    let mut file = WavStream::create(path, rate)?;
    let begun = Instant::now();
    let (mut lost, mut heard) = (None, false);
    while !shared.stop.load(Ordering::Relaxed) && begun.elapsed() < LONGEST && lost.is_none() {
        std::thread::sleep(PERIOD);
        let samples = input.take();
        if !samples.is_empty() {
            let loudest = samples.iter().fold(0f32, |peak, s| peak.max(s.abs()));
            heard |= loudest > 0.0;
            shared.level.store(loudest.to_bits(), Ordering::Relaxed);
            shared.samples.fetch_add(samples.len(), Ordering::Relaxed);
            file.push(&samples)?;
        }
        lost = input.failure();
    }
    file.finish(&WavInfo::default())?;
    match lost {
        // The recording up to that point is used.
        Some(reason) => tracing::warn!("the microphone stopped: {reason}"),
        None if shared.samples.load(Ordering::Relaxed) == 0 => {
            return Err(Error::unavailable("the microphone gave no sound", "check the system's permission for it"));
        }
        // Without the permission macOS gives zeros, and no error.
        None if !heard && shared.samples.load(Ordering::Relaxed) >= rate => {
            let hint = "check that it is not muted, and on macOS System Settings, Privacy & Security, Microphone: CSM Studio, or the terminal \
                        that started it, needs the permission";
            return Err(Error::unavailable("the microphone gives silence only", hint));
        }
        None => {}
    }
    Ok(path.to_owned())
}

enum Input {
    Microphone { _stream: InputStream, samples: rtrb::Consumer<f32>, failed: Receiver<String> },
    Tone { rate: usize, given: usize, begun: Instant },
}

impl Input {
    fn open(source: &MicrophoneSource) -> Result<(Self, usize)> {
        match source {
            MicrophoneSource::Tone { rate } => Ok((Self::Tone { rate: *rate, given: 0, begun: Instant::now() }, *rate)),
            MicrophoneSource::Microphone => {
                #[cfg(target_os = "macos")]
                permission::check()?;
                let (failure, failed) = channel();
                let mut samples = None;
                let make_callback = |rate: usize| {
                    let (mut producer, consumer) = rtrb::RingBuffer::new(WAITING * rate);
                    samples = Some(consumer);
                    // Where the ring is full, the disk has been busy for too long.
                    move |sample: f32| producer.push(sample).unwrap_or_default()
                };
                let stream = device::open_input(make_callback, move |reason| failure.send(reason).unwrap_or_default())?;
                let rate = stream.rate;
                let nothing = || Error::unavailable("the microphone cannot be read", "choose another one");
                let samples = samples.ok_or_else(nothing)?;
                Ok((Self::Microphone { _stream: stream, samples, failed }, rate))
            }
        }
    }

    fn take(&mut self) -> Vec<f32> {
        match self {
            Self::Microphone { samples, .. } => std::iter::from_fn(|| samples.pop().ok()).collect(),
            Self::Tone { rate, given, begun } => {
                let until = (begun.elapsed().as_secs_f64() * *rate as f64) as usize;
                let tone = |n: usize| 0.1 * (std::f64::consts::TAU * 440.0 * n as f64 / *rate as f64).sin() as f32;
                let samples = (*given..until).map(tone).collect();
                *given = until;
                samples
            }
        }
    }

    fn failure(&self) -> Option<String> {
        match self {
            Self::Microphone { failed, .. } => failed.try_recv().ok(),
            Self::Tone { .. } => None,
        }
    }
}

/// macOS gives silence, and no error, to a program that may not record.
#[cfg(target_os = "macos")]
mod permission {
    use objc2::msg_send;
    use objc2::runtime::{AnyClass, Bool};
    use objc2_foundation::NSString;

    use crate::error::{Error, Result};

    #[link(name = "AVFoundation", kind = "framework")]
    unsafe extern "C" {}

    /// Asks the user if nobody has asked before.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the user has refused, or has to answer first.
    pub(super) fn check() -> Result<()> {
        // AVAuthorizationStatus
        const NOT_DETERMINED: isize = 0;
        const AUTHORISED: isize = 3;
        let Some(class) = AnyClass::get(c"AVCaptureDevice") else { return Ok(()) };
        let audio = NSString::from_str("soun"); // AVMediaTypeAudio
        // SAFETY: `+ (AVAuthorizationStatus)authorizationStatusForMediaType:(AVMediaType)`
        let status: isize = unsafe { msg_send![class, authorizationStatusForMediaType: &*audio] };
        let what = match status {
            AUTHORISED => return Ok(()),
            NOT_DETERMINED => {
                let answered = block2::RcBlock::new(|granted: Bool| {
                    tracing::info!("microphone: {}", if granted.as_bool() { "allowed" } else { "refused" });
                });
                // SAFETY: `+ (void)requestAccessForMediaType:(AVMediaType) completionHandler:(void (^)(BOOL))`; the block is copied.
                unsafe {
                    let _: () = msg_send![class, requestAccessForMediaType: &*audio, completionHandler: &*answered];
                }
                "macOS asks whether this program may use the microphone"
            }
            _ => "macOS does not let this program use the microphone",
        };
        Err(Error::unavailable(
            what,
            "allow it (System Settings, Privacy & Security, Microphone: CSM Studio, or the terminal that started it), then record again",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::recording;

    fn wait(recording: &MicrophoneRecording) -> Result<PathBuf> {
        let begun = Instant::now();
        loop {
            match recording.poll() {
                Some(finished) => return finished,
                None => assert!(begun.elapsed() < Duration::from_secs(20), "it does not end"),
            }
            std::thread::sleep(PERIOD);
        }
    }

    #[test]
    fn a_recording_is_written_as_it_comes_and_complete_when_it_is_stopped() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("voice.wav");
        let recording = MicrophoneRecording::start(MicrophoneSource::Tone { rate: 48_000 }, &path, || {}).unwrap();
        while recording.seconds() < 0.3 {
            std::thread::sleep(PERIOD);
        }
        assert!((recording.level() - 0.1).abs() < 0.01);
        recording.stop();
        assert_eq!(wait(&recording).unwrap(), path);
        let samples = recording::samples(&path, 48_000).unwrap();
        assert_eq!(samples.len(), (recording.seconds() * 48_000.0).round() as usize);
        assert!(samples.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01), "nothing is missing in between");
    }
}
