//! Output devices: which there are, and a mono stream on one of them.

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample, StreamConfig};

use crate::error::{Error, Result};

/// Samples rendered at once; a device that asks for more gets them in several goes.
const BLOCK: usize = 1024;

/// Names of the output devices.
pub fn names() -> Vec<String> {
    let devices = cpal::default_host().output_devices();
    let name = |d: cpal::Device| d.description().ok().map(|d| d.name().to_owned());
    devices.into_iter().flatten().filter_map(name).collect()
}

/// A running stream; sound stops when it is dropped.
pub struct Stream {
    /// Samples a second.
    pub rate: usize,
    _stream: cpal::Stream,
}

/// Opens the device called `name`, or the default one. `make` gets its rate and gives what fills mono blocks; `failed` hears of
/// errors that end the playing (an underrun is none).
///
/// # Errors
/// [`Error::Unavailable`] that says what is missing.
pub fn open<F: FnMut(&mut [f32]) + Send + 'static>(
    name: Option<&str>,
    make: impl FnOnce(usize) -> F,
    failed: impl Fn() + Send + 'static,
) -> Result<Stream> {
    let none = |what: String| Error::Unavailable {
        what: format!("no sound: {what}"),
        mend: "connect or choose an output device; what was made is kept all the same".into(),
    };
    let host = cpal::default_host();
    let device = match name {
        None => host.default_output_device().ok_or_else(|| none("there is no output device".into()))?,
        Some(name) => {
            let mut devices = host.output_devices().map_err(|e| none(e.to_string()))?;
            let called = |d: &cpal::Device| d.description().is_ok_and(|d| d.name() == name);
            devices.find(called).ok_or_else(|| none(format!("there is no output device {name:?} any more")))?
        }
    };
    let supported = device.default_output_config().map_err(|e| none(e.to_string()))?;
    let rate = supported.sample_rate() as usize;
    let (config, fill) = (supported.config(), make(rate));
    let stream = match supported.sample_format() {
        SampleFormat::F32 => start::<f32, F>(&device, config, fill, failed),
        SampleFormat::I16 => start::<i16, F>(&device, config, fill, failed),
        SampleFormat::U16 => start::<u16, F>(&device, config, fill, failed),
        SampleFormat::I32 => start::<i32, F>(&device, config, fill, failed),
        SampleFormat::U8 => start::<u8, F>(&device, config, fill, failed),
        other => return Err(none(format!("the device wants samples as {other}"))),
    };
    let stream = stream.map_err(|e| none(e.to_string()))?;
    stream.play().map_err(|e| none(e.to_string()))?;
    Ok(Stream { rate, _stream: stream })
}

fn start<T: SizedSample + FromSample<f32> + Send + 'static, F: FnMut(&mut [f32]) + Send + 'static>(
    device: &cpal::Device,
    config: StreamConfig,
    mut fill: F,
    failed: impl Fn() + Send + 'static,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let mut block = [0.0; BLOCK];
    device.build_output_stream(
        config,
        move |out: &mut [T], _: &cpal::OutputCallbackInfo| {
            for part in out.chunks_mut(BLOCK * channels) {
                let block = &mut block[..part.len().div_ceil(channels)];
                fill(block);
                for (frame, sample) in part.chunks_mut(channels).zip(block) {
                    frame.fill(T::from_sample(*sample));
                }
            }
        },
        move |e: cpal::Error| {
            if !matches!(e.kind(), cpal::ErrorKind::Xrun | cpal::ErrorKind::DeviceChanged) {
                failed();
            }
        },
        None,
    )
}
