//! Output devices and a mono stream on one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample, StreamConfig};

use crate::error::{Error, Result};

/// Samples rendered at once; a device that asks for more gets several blocks.
const BLOCK: usize = 1024;

/// Names of the output devices.
pub fn names() -> Vec<String> {
    let devices = cpal::default_host().output_devices();
    let name = |d: cpal::Device| d.description().ok().map(|d| d.name().to_owned());
    devices.into_iter().flatten().filter_map(name).collect()
}

/// A running stream; dropping it stops the sound.
pub struct OutputStream {
    /// Sample rate in samples per second.
    pub rate: usize,
    _stream: cpal::Stream,
}

/// Opens the device called `name`, or the default one. `make_callback(rate)` returns the render callback, which fills mono
/// blocks; `on_end` is called with the reason when the stream has ended.
///
/// # Errors
/// [`Error::Unavailable`] that says what is missing.
pub fn open<F: FnMut(&mut [f32]) + Send + 'static>(
    name: Option<&str>,
    make_callback: impl FnOnce(usize) -> F,
    on_end: impl Fn(String) + Send + 'static,
) -> Result<OutputStream> {
    let unavailable = |what: String| {
        Error::unavailable(
            format!("no sound: {}", what.trim_end_matches('.')),
            "connect or choose another output device; the audio itself is kept",
        )
    };
    let host = cpal::default_host();
    let device = match name {
        None => host.default_output_device().ok_or_else(|| unavailable("there is no output device".into()))?,
        Some(name) => {
            let mut devices = host.output_devices().map_err(|e| unavailable(e.to_string()))?;
            let called = |d: &cpal::Device| d.description().is_ok_and(|d| d.name() == name);
            devices.find(called).ok_or_else(|| unavailable(format!("there is no output device {name:?}")))?
        }
    };
    let supported = device.default_output_config().map_err(|e| unavailable(e.to_string()))?;
    let rate = supported.sample_rate() as usize;
    let (config, fill) = (supported.config(), make_callback(rate));
    let stream = match supported.sample_format() {
        SampleFormat::F32 => start::<f32, F>(&device, config, fill, on_end),
        SampleFormat::I16 => start::<i16, F>(&device, config, fill, on_end),
        SampleFormat::U16 => start::<u16, F>(&device, config, fill, on_end),
        SampleFormat::I32 => start::<i32, F>(&device, config, fill, on_end),
        SampleFormat::U8 => start::<u8, F>(&device, config, fill, on_end),
        other => return Err(unavailable(format!("the device asks for samples as {other}, which is not supported"))),
    };
    let stream = stream.map_err(|e| unavailable(e.to_string()))?;
    stream.play().map_err(|e| unavailable(e.to_string()))?;
    Ok(OutputStream { rate, _stream: stream })
}

fn start<T: SizedSample + FromSample<f32> + Send + 'static, F: FnMut(&mut [f32]) + Send + 'static>(
    device: &cpal::Device,
    config: StreamConfig,
    mut fill: F,
    on_end: impl Fn(String) + Send + 'static,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let mut block = [0.0; BLOCK];
    let (errors, on_error) = on_error(on_end);
    device.build_output_stream(
        config,
        move |out: &mut [T], _: &cpal::OutputCallbackInfo| {
            errors.store(0, Ordering::Relaxed);
            for part in out.chunks_mut(BLOCK * channels) {
                let block = &mut block[..part.len().div_ceil(channels)];
                fill(block);
                for (frame, sample) in part.chunks_mut(channels).zip(block) {
                    frame.fill(T::from_sample(*sample));
                }
            }
        },
        on_error,
        None,
    )
}

/// A running stream from a microphone; dropping it ends the recording.
pub struct InputStream {
    /// Sample rate in samples per second.
    pub rate: usize,
    _stream: cpal::Stream,
}

/// Opens the default microphone. `make_callback(rate)` returns what gets its samples one by one, as the mean of its channels; `on_end` is
/// called with the reason when the stream has ended.
///
/// # Errors
/// [`Error::Unavailable`] that says what is missing.
pub fn open_input<F: FnMut(f32) + Send + 'static>(
    make_callback: impl FnOnce(usize) -> F,
    on_end: impl Fn(String) + Send + 'static,
) -> Result<InputStream> {
    let unavailable = |what: String| {
        Error::unavailable(
            format!("no microphone: {}", what.trim_end_matches('.')),
            "connect one, allow its use in the system's settings, or choose a recording instead",
        )
    };
    let device = cpal::default_host().default_input_device();
    let device = device.ok_or_else(|| unavailable("there is no input device".into()))?;
    let supported = device.default_input_config().map_err(|e| unavailable(e.to_string()))?;
    let rate = supported.sample_rate() as usize;
    let (config, take) = (supported.config(), make_callback(rate));
    let stream = match supported.sample_format() {
        SampleFormat::F32 => listen::<f32, F>(&device, config, take, on_end),
        SampleFormat::I16 => listen::<i16, F>(&device, config, take, on_end),
        SampleFormat::U16 => listen::<u16, F>(&device, config, take, on_end),
        SampleFormat::I32 => listen::<i32, F>(&device, config, take, on_end),
        other => return Err(unavailable(format!("the device gives samples as {other}, which is not supported"))),
    };
    let stream = stream.map_err(|e| unavailable(e.to_string()))?;
    stream.play().map_err(|e| unavailable(e.to_string()))?;
    Ok(InputStream { rate, _stream: stream })
}

fn listen<T: SizedSample, F: FnMut(f32) + Send + 'static>(
    device: &cpal::Device,
    config: StreamConfig,
    mut take: F,
    on_end: impl Fn(String) + Send + 'static,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels).max(1);
    let (errors, on_error) = on_error(on_end);
    device.build_input_stream(
        config,
        move |samples: &[T], _: &cpal::InputCallbackInfo| {
            errors.store(0, Ordering::Relaxed);
            for frame in samples.chunks(channels) {
                let sum: f32 = frame.iter().map(|sample| f32::from_sample_(*sample)).sum();
                take(sum / channels as f32);
            }
        },
        on_error,
        None,
    )
}

/// The handler of a stream's errors, and the number of errors since the stream last moved samples, which its callback sets to 0.
fn on_error(on_end: impl Fn(String) + Send + 'static) -> (Arc<AtomicU32>, impl FnMut(cpal::Error) + Send + 'static) {
    /// So many errors in a row are the end: ALSA's plugin for PulseAudio reports a removed sink as an unknown error, over and over.
    const LAST: u32 = 8;
    let errors = Arc::<AtomicU32>::default();
    let counted = errors.clone();
    let handler = move |e: cpal::Error| {
        use cpal::ErrorKind::{DeviceNotAvailable, HostUnavailable, PermissionDenied, StreamInvalidated};
        let ends = matches!(e.kind(), DeviceNotAvailable | HostUnavailable | PermissionDenied | StreamInvalidated);
        let before =
            counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_add(1)).unwrap_or(u32::MAX);
        if ends || before == LAST {
            on_end(e.to_string());
        } else if before == 0 {
            tracing::warn!("sound: {e}");
        }
    };
    (errors, handler)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn errors_in_a_row_end_a_stream_once_and_one_now_and_then_does_not() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let heard = ended.clone();
        let (errors, mut handler) = on_error(move |reason| heard.lock().unwrap().push(reason));
        let error = || cpal::Error::new(cpal::ErrorKind::BackendError);
        for _ in 0..100 {
            handler(error());
            errors.store(0, Ordering::Relaxed); // samples moved
        }
        assert_eq!(ended.lock().unwrap().len(), 0);
        (0..1_000).for_each(|_| handler(error()));
        assert_eq!(ended.lock().unwrap().len(), 1);
        handler(cpal::Error::new(cpal::ErrorKind::DeviceNotAvailable));
        assert_eq!(ended.lock().unwrap().len(), 2, "this kind is the end at once");
    }
}
