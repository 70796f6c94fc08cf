//! WAV files: any that hound reads comes in as mono floats; ours go out as 16-bit mono with INFO metadata.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use lofty::config::WriteOptions;
use lofty::iff::wav::RiffInfoList;
use lofty::tag::TagExt;

use super::resample::resample;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::sampling::Sampling;

/// Loudest sample of a recording that counts as silent: -60 dB below full scale.
const SILENT: f32 = 1e-3;

/// Reads a recording of any rate, depth and number of channels: mono (the channels' mean) at `rate`.
///
/// # Errors
/// [`Error::File`] for what is no WAV, has no samples, holds NaN or nothing but silence.
pub fn read(path: &Path, rate: usize) -> Result<Vec<f32>> {
    let wrong = |problem: String| Error::file(path, problem);
    let bytes = std::fs::read(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let reader = WavReader::new(Cursor::new(bytes))
        .map_err(|e| wrong(format!("expected a WAV file (PCM of 8 to 32 bits or 32-bit float): {e}")))?;
    let spec = reader.spec();
    if spec.channels == 0 || spec.sample_rate == 0 {
        return Err(wrong(format!(
            "expected channels and a sample rate, got {} and {}",
            spec.channels, spec.sample_rate
        )));
    }
    let samples = samples(reader).map_err(|e| wrong(format!("is damaged: {e}")))?;
    let channels = usize::from(spec.channels);
    let mono: Vec<f32> = samples.chunks_exact(channels).map(|f| f.iter().sum::<f32>() / channels as f32).collect();
    if mono.is_empty() {
        return Err(wrong("expected a recording, it has no samples".into()));
    }
    if !mono.iter().all(|s| s.is_finite()) {
        return Err(wrong("expected finite samples, got NaN or infinity".into()));
    }
    if mono.iter().all(|s| s.abs() < SILENT) {
        return Err(wrong("expected speech, it is silent (nothing above -60 dB)".into()));
    }
    Ok(resample(&mono, spec.sample_rate as usize, rate))
}

fn samples(mut reader: WavReader<Cursor<Vec<u8>>>) -> Result<Vec<f32>, hound::Error> {
    let spec = reader.spec();
    match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect(),
        SampleFormat::Int => {
            let full = (1i64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|s| Ok(s? as f32 / full)).collect()
        }
    }
}

/// What a WAV says about itself (RIFF INFO).
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// What is said: INAM.
    pub title: String,
    /// Who speaks: IART.
    pub artist: String,
    /// That it is synthetic, with model, seed and settings: ICMT.
    pub comment: String,
}

impl Info {
    /// What a clip of `checkpoint` says: who speaks what, and with which settings.
    pub fn of(checkpoint: &Checkpoint, text: &str, speaker: u32, sampling: &Sampling) -> Self {
        let settings = serde_json::to_string(sampling).expect("plain data");
        let (name, sha256) = (&checkpoint.name, checkpoint.sha256());
        Self {
            title: text.into(),
            artist: format!("{name} speaker {speaker}"),
            comment: format!("Synthetic speech. Model {name}, sha256 {sha256}. Settings {settings}"),
        }
    }
}

/// A WAV file's bytes: 16-bit mono. Samples past full scale are clipped; how many comes back too.
///
/// # Errors
/// [`Error::Write`] where the metadata cannot be encoded.
pub fn encode(samples: &[f32], rate: usize, info: &Info) -> Result<(Vec<u8>, usize)> {
    let spec = WavSpec { channels: 1, sample_rate: rate as u32, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let failed = |e: &dyn std::fmt::Display| Error::write("(WAV in memory)", e);
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).map_err(|e| failed(&e))?;
    let mut clipped = 0;
    for s in samples {
        let value = (s * 32_768.0).round();
        clipped += usize::from(!(-32_768.0..=32_767.0).contains(&value));
        writer.write_sample(value.clamp(-32_768.0, 32_767.0) as i16).map_err(|e| failed(&e))?;
    }
    writer.finalize().map_err(|e| failed(&e))?;
    let mut tags = RiffInfoList::new();
    for (key, value) in [
        ("INAM", info.title.as_str()),
        ("IART", &info.artist),
        ("ICMT", &info.comment),
        ("ISFT", concat!("CSM Studio ", env!("CARGO_PKG_VERSION"))),
        ("IGNR", "Speech"),
    ] {
        if !value.is_empty() {
            tags.insert(key.into(), value.into());
        }
    }
    bytes.set_position(0);
    tags.save_to(&mut bytes, WriteOptions::default()).map_err(|e| failed(&e))?;
    Ok((bytes.into_inner(), clipped))
}

/// Writes `bytes` to `path`. Where that fails, they go to a file of the same name in the folder for temporary files.
///
/// # Errors
/// [`Error::Write`] that names the file they went to.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let Err(e) = std::fs::write(path, bytes) else {
        return Ok(());
    };
    let kept = rescue(path, bytes);
    Err(Error::write(
        path,
        match kept {
            Ok(other) => format!("{e}; the audio is in {}", other.display()),
            Err(again) => format!("{e}; nor can the folder for temporary files: {again}"),
        },
    ))
}

/// A new file in the folder for temporary files, never one that is there.
fn rescue(path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let name = path.file_stem().map_or_else(|| "audio".into(), |n| n.to_string_lossy().into_owned());
    for n in 0..1_000 {
        let other = std::env::temp_dir().join(format!("{name}-{}-{n}.wav", std::process::id()));
        match std::fs::File::create_new(&other) {
            Ok(mut file) => {
                std::io::Write::write_all(&mut file, bytes)?;
                return Ok(other);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(std::io::Error::other("a thousand files of that name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let clip: Vec<f32> = (0..4_800).map(|i| (i as f32 * 0.1).sin() * 0.5).collect();
        let info = Info { title: "héllo".into(), artist: "a".into(), comment: "synthetic".into() };
        let (bytes, clipped) = encode(&clip, 24_000, &info).unwrap();
        assert_eq!(clipped, 0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        save(&path, &bytes).unwrap();
        let back = read(&path, 24_000).unwrap();
        let worst = clip.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(back.len() == clip.len() && worst <= 0.5 / 32_768.0, "{worst}");
    }

    #[test]
    fn clipping_is_counted() {
        assert_eq!(encode(&[0.0, 1.5, -1.0, -1.1], 24_000, &Info::default()).unwrap().1, 2);
    }
}
