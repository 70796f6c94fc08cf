//! The reader of every sound that a user names: WAV with all its encodings, FLAC, MP3, M4A, Ogg (Vorbis, Opus), AIFF, Matroska.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::Cursor;
use std::path::Path;
use std::sync::LazyLock;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia_adapter_libopus::OpusDecoder;

use super::resample::resample;
use super::riff;
use crate::error::{Error, Result};
use crate::files::{MEDIA_LIMIT, read_file};

/// Endings of files that can be read, for file dialogs. What a file is, its content says.
pub const EXTENSIONS: &[&str] =
    &["wav", "flac", "mp3", "m4a", "mp4", "aac", "ogg", "oga", "opus", "aiff", "aif", "mka", "webm"];

/// Sample rates that are believed.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=768_000;
/// Peak below which a recording is so quiet that something may be wrong with it, -40 dB of full scale.
const QUIET: f32 = 1e-2;

/// Largest sample that is believed: integers of 32 bits stored as floats are smaller. The resampler's sums overflow far above it.
const LOUDEST: f32 = 1e10;

/// Decoders of symphonia, and libopus, as symphonia has none for Opus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// A recording as its file has it.
#[derive(Debug)]
pub struct NativeRecording {
    /// Samples, interleaved.
    pub samples: Vec<f32>,
    /// Channels, 1 or more.
    pub channels: usize,
    /// Frames per second.
    pub rate: usize,
    /// Its warnings, without the name of the file.
    warnings: Vec<String>,
}

/// A recording as mono samples.
#[derive(Debug)]
pub struct Recording {
    /// Samples at the rate that was asked for.
    pub samples: Vec<f32>,
    /// Whether every sample of the file is 0.
    pub silent: bool,
    /// Notes for the user, each with the file's name.
    pub warnings: Vec<String>,
}

impl Recording {
    /// The recording, if it is not silent: for uses that need speech.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] for `path`.
    pub fn of_speech(self, path: &Path) -> Result<Self> {
        if self.silent { Err(Error::file(path, "expected speech, it is silent (every sample is 0)")) } else { Ok(self) }
    }
}

/// Decoded channels at the file's rate.
struct Channels {
    rate: u32,
    count: usize,
    interleaved: Vec<f32>,
    damaged: bool,
}

/// How long a recording may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// As long as it is.
    Whole,
    /// At most this number of seconds: a longer recording is refused before it is resampled, and before it is decoded if its header says
    /// how long it is.
    AtMost(f64),
    /// Its first seconds are taken.
    First(f64),
}

impl Length {
    fn seconds(self) -> f64 {
        match self {
            Self::Whole => f64::INFINITY,
            Self::AtMost(seconds) | Self::First(seconds) => seconds,
        }
    }
}

/// Reads a recording as mono (the channels' mean) at `rate`.
///
/// # Errors
/// [`Error::Read`], and [`Error::InvalidFile`] for a file that is not a recording, is too long, has no samples, holds NaN or infinity,
/// or has an absurd sample rate.
pub fn read(path: &Path, rate: usize, length: Length) -> Result<Recording> {
    decode(path, &read_file(path, MEDIA_LIMIT)?, rate, length)
}

/// The samples of a whole recording, such as a take's, at `rate`.
///
/// # Errors
/// Returns the errors of [`read`].
pub fn samples(path: &Path, rate: usize) -> Result<Vec<f32>> {
    Ok(read(path, rate, Length::Whole)?.samples)
}

/// Decodes the content `bytes` of the recording `path`, as [`read`] does.
///
/// # Errors
/// [`Error::InvalidFile`], as [`read`].
pub fn decode(path: &Path, bytes: &[u8], rate: usize, length: Length) -> Result<Recording> {
    let native = decode_native(path, bytes, length)?;
    let silent = native.is_silent();
    let NativeRecording { samples, warnings, .. } = native.into_mono().at_rate(rate);
    let warnings = warnings.iter().map(|text| format!("{}: {text}", path.display())).collect();
    Ok(Recording { samples, silent, warnings })
}

/// Decodes the content `bytes` of the recording `path` and changes nothing.
///
/// # Errors
/// [`Error::InvalidFile`], as [`read`].
pub fn decode_native(path: &Path, bytes: &[u8], length: Length) -> Result<NativeRecording> {
    let channels = decode_channels(path, bytes, length)?;
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(text);
    if channels.damaged {
        warn("is cut short or damaged; what can be decoded is used".into());
    }
    if channels.interleaved.is_empty() {
        return Err(Error::file(path, "expected a recording, it has no samples"));
    }
    if !channels.interleaved.iter().all(|s| s.is_finite()) {
        return Err(Error::file(path, "expected finite samples, got NaN or infinity"));
    }
    let loudest = peak(&channels.interleaved);
    if loudest > LOUDEST {
        let problem = format!("expected samples around full scale (1.0), got up to {loudest:.1e}");
        return Err(Error::file(path, problem));
    }
    if loudest == 0.0 {
        warn("is silent (every sample is 0)".into());
    } else if loudest < QUIET {
        warn(format!("is very quiet (peak {:.0} dB of full scale)", 20.0 * loudest.log10()));
    }
    if loudest > 1.0 {
        warn(format!("is louder than full scale (peak {loudest:.2})"));
    }
    let (rate, count) = (channels.rate as usize, channels.count.max(1));
    Ok(NativeRecording { samples: channels.interleaved, channels: count, rate, warnings })
}

impl NativeRecording {
    /// A recording that another part of the program made or read.
    pub fn new(samples: Vec<f32>, channels: usize, rate: usize) -> Self {
        Self { samples, channels, rate, warnings: Vec::new() }
    }

    /// Notes for the user about the recording and about changes to it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether every sample is 0.
    fn is_silent(&self) -> bool {
        self.samples.iter().all(|s| *s == 0.0)
    }

    /// The mean of the channels, or the first one if they cancel each other out.
    #[must_use]
    pub fn into_mono(mut self) -> Self {
        if self.channels == 1 {
            return self;
        }
        let mono = mix(&self.samples, self.channels);
        if !self.is_silent() && peak(&mono) < 0.05 * peak(&self.samples) {
            self.warnings.push("its channels cancel each other out; the first one is used".into());
            return Self { samples: self.samples.into_iter().step_by(self.channels).collect(), channels: 1, ..self };
        }
        if self.samples.chunks_exact(self.channels).any(|frame| frame.iter().any(|s| *s != frame[0])) {
            self.warnings.push(format!("its {} channels are mixed down to one", self.channels));
        }
        Self { samples: mono, channels: 1, ..self }
    }

    /// The recording at `rate` frames per second.
    #[must_use]
    pub fn at_rate(mut self, rate: usize) -> Self {
        let from = self.rate;
        match from.cmp(&rate) {
            Ordering::Equal => return self,
            Ordering::Greater => self
                .warnings
                .push(format!("is resampled from {from} to {rate} Hz; nothing above {} Hz is left", rate / 2)),
            Ordering::Less => self.warnings.push(format!("is resampled from {from} to {rate} Hz")),
        }
        Self { samples: self.each_channel(|channel| resample(channel, from, rate)), rate, ..self }
    }

    /// The channels, each changed by `change`, interleaved.
    pub fn each_channel(&self, change: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
        if self.channels == 1 {
            return change(&self.samples);
        }
        let channel = |n: usize| self.samples.iter().skip(n).step_by(self.channels).copied().collect::<Vec<f32>>();
        let changed: Vec<Vec<f32>> = (0..self.channels).map(|n| change(&channel(n))).collect();
        let frames = changed.iter().map(Vec::len).min().unwrap_or(0);
        (0..frames).flat_map(|t| changed.iter().map(move |channel| channel[t])).collect()
    }
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, s| peak.max(s.abs()))
}

fn mix(interleaved: &[f32], channels: usize) -> Vec<f32> {
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect()
}

fn decode_channels(path: &Path, bytes: &[u8], length: Length) -> Result<Channels> {
    let repaired = riff::repair(bytes).map_err(|e| Error::parse(path, "is not usable as a WAV file", e))?;
    let (bytes, cut) = match repaired {
        Some(wav) => (Cow::Owned(wav.bytes), wav.cut),
        None => (Cow::Borrowed(bytes), false),
    };
    // symphonia wants an owned source.
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes.into_owned())), Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
        hint.with_extension(extension);
    }
    let expected = "expected a recording (WAV, FLAC, MP3, M4A, Ogg or AIFF)";
    let invalid = |e: SymphoniaError| Error::parse(path, expected, e);
    let mut format = symphonia::default::get_probe()
        .probe(&hint, source, FormatOptions::default(), MetadataOptions::default())
        .map_err(invalid)?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| Error::file(path, expected))?;
    let (id, frames) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio()).ok_or_else(|| Error::file(path, expected))?;
    if let Some(rate) = parameters.sample_rate {
        check_rate(path, rate)?;
        if let Some(frames) = frames {
            check_length(path, frames as f64 / f64::from(rate), length)?;
        }
    }
    let mut decoder = CODECS.make_audio_decoder(parameters, &AudioDecoderOptions::default()).map_err(invalid)?;
    let mut channels = Channels { rate: 0, count: 1, interleaved: Vec::new(), damaged: cut };
    let mut packet_samples: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) if packet.track_id == id => packet,
            Ok(Some(_)) => continue,
            Ok(None) => break,
            Err(_) if channels.rate > 0 => {
                channels.damaged = true;
                break;
            }
            Err(e) => return Err(invalid(e)),
        };
        let Ok(decoded) = decoder.decode(&packet) else {
            channels.damaged = true;
            continue;
        };
        let (rate, count) = (decoded.spec().rate(), decoded.spec().channels().count());
        if channels.rate == 0 {
            check_rate(path, rate)?;
            (channels.rate, channels.count) = (rate, count.max(1));
        }
        if (rate, count) != (channels.rate, channels.count) {
            return Err(Error::file(path, "expected one sample rate and channel layout, it changes in its course"));
        }
        decoded.copy_to_vec_interleaved(&mut packet_samples);
        channels.interleaved.extend_from_slice(&packet_samples);
        let seconds = channels.interleaved.len() as f64 / (f64::from(rate) * channels.count as f64);
        check_length(path, seconds, length)?;
        if seconds >= length.seconds() {
            let kept = (length.seconds() * f64::from(rate)) as usize * channels.count;
            channels.interleaved.truncate(kept);
            break;
        }
    }
    Ok(channels)
}

fn check_rate(path: &Path, rate: u32) -> Result<()> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    let problem = format!("expected a sample rate of {} to {} Hz, got {rate}", RATES.start(), RATES.end());
    Err(Error::file(path, problem))
}

fn check_length(path: &Path, seconds: f64, length: Length) -> Result<()> {
    let max_seconds = length.seconds();
    if !matches!(length, Length::AtMost(_)) || seconds <= max_seconds {
        return Ok(());
    }
    let problem =
        format!("is too long: {seconds:.1} s, and the model has room for {max_seconds:.1} s at most; cut it shorter");
    Err(Error::file(path, problem))
}

#[cfg(test)]
mod tests {
    use super::read as read_recording;
    use super::*;

    fn write(samples: &[f32], channels: u16) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(".wav").tempfile().unwrap();
        let spec = hound::WavSpec {
            channels,
            sample_rate: 24_000,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::create(file.path(), spec).unwrap();
        samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
        writer.finalize().unwrap();
        file
    }

    #[test]
    fn levels_and_channels_are_judged() {
        let read =
            |samples: &[f32], channels| read_recording(write(samples, channels).path(), 24_000, Length::AtMost(10.0));
        let quiet = read(&[0.001; 100], 1).unwrap();
        assert!(quiet.warnings[0].contains("very quiet (peak -60 dB"), "{:?}", quiet.warnings);
        let opposed = read(&[0.5, -0.5].repeat(100), 2).unwrap();
        assert!(opposed.warnings[0].contains("cancel each other") && opposed.samples[0] == 0.5);
        let stereo = read(&[0.2, 0.4].repeat(100), 2).unwrap();
        assert_eq!((stereo.samples, stereo.warnings.len()), (vec![0.3; 100], 1));
        assert!(stereo.warnings[0].contains("2 channels are mixed down"), "{:?}", stereo.warnings);
        let silent = read(&[0.0; 100], 1).unwrap();
        assert!(silent.silent && silent.warnings[0].contains("silent"));
        assert!(silent.of_speech(Path::new("a.wav")).unwrap_err().to_string().contains("silent"));
        let halved = read_recording(write(&[0.5; 2_400], 1).path(), 12_000, Length::Whole).unwrap();
        assert!(halved.warnings[0].contains("from 24000 to 12000 Hz"), "{:?}", halved.warnings);
        assert!(read(&[f32::NAN; 100], 1).unwrap_err().to_string().contains("finite"));
        assert!(read(&[3e38; 100], 1).unwrap_err().to_string().contains("around full scale"));
        assert!(read(&[], 1).unwrap_err().to_string().contains("no samples"));
        assert!(read(&vec![0.5; 24_000 * 11], 1).unwrap_err().to_string().contains("too long: 11.0 s"));
        let long = write(&vec![0.5; 24_000 * 11], 1);
        assert_eq!(read_recording(long.path(), 24_000, Length::First(1.5)).unwrap().samples.len(), 36_000);
    }
}
