//! WAV files of takes and results: 16-bit mono with INFO metadata.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};
use lofty::config::WriteOptions;
use lofty::iff::wav::RiffInfoList;
use lofty::tag::TagExt;

use crate::data::{ClipOrigin, ModelId};
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// A WAV's metadata (RIFF INFO).
#[derive(Clone, Debug, Default)]
pub struct WavInfo {
    /// The text: INAM.
    pub title: String,
    /// Model and speaker, in the IART field.
    pub artist: String,
    /// That it is synthetic, with model, seed and settings: ICMT.
    pub comment: String,
}

impl WavInfo {
    /// Metadata of a clip that `model` made; empty if its settings are not recorded.
    pub fn for_clip(model: &ModelId, origin: &ClipOrigin) -> Self {
        let Some(sampling) = origin.sampling else { return Self::default() };
        let settings = serde_json::to_string(&sampling).unwrap_or_default();
        let ModelId { name, sha256 } = model;
        Self {
            title: origin.text.clone().unwrap_or_default(),
            artist: format!("{name} speaker {}", origin.speaker.unwrap_or(0)),
            comment: format!("Synthetic speech. Model {name}, sha256 {sha256}. Settings {settings}"),
        }
    }

    /// As a RIFF INFO list.
    pub(super) fn tags(&self) -> RiffInfoList {
        let mut tags = RiffInfoList::new();
        for (key, value) in [
            ("INAM", self.title.as_str()),
            ("IART", &self.artist),
            ("ICMT", &self.comment),
            ("ISFT", concat!("CSM Studio ", env!("CARGO_PKG_VERSION"))),
            ("IGNR", "Speech"),
        ] {
            if !value.is_empty() {
                tags.insert(key.into(), value.into());
            }
        }
        tags
    }
}

/// The format that is written: 16 bits.
pub(super) fn wav_spec(rate: usize, channels: u16) -> WavSpec {
    WavSpec { channels, sample_rate: rate as u32, bits_per_sample: 16, sample_format: SampleFormat::Int }
}

/// A sample in 16 bits, and whether it was past full scale.
pub(super) fn quantise_sample(sample: f32) -> (i16, bool) {
    let value = (sample * 32_768.0).round();
    (value.clamp(-32_768.0, 32_767.0) as i16, !(-32_768.0..=32_767.0).contains(&value))
}

/// A WAV file's bytes, 16-bit mono, and how many samples were past full scale and are clipped.
///
/// # Errors
/// [`Error::Write`] if the metadata cannot be encoded.
pub fn encode(samples: &[f32], rate: usize, info: &WavInfo) -> Result<(Vec<u8>, usize)> {
    encode_channels(samples, 1, rate, info)
}

/// As [`encode`], of `channels` interleaved channels.
///
/// # Errors
/// [`Error::Write`] if the metadata cannot be encoded.
pub fn encode_channels(samples: &[f32], channels: u16, rate: usize, info: &WavInfo) -> Result<(Vec<u8>, usize)> {
    let failed = |e: &dyn std::fmt::Display| Error::write("(WAV in memory)", e.to_string());
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, wav_spec(rate, channels)).map_err(|e| failed(&e))?;
    let mut clipped = 0;
    for s in samples {
        let (value, past_full_scale) = quantise_sample(*s);
        clipped += usize::from(past_full_scale);
        writer.write_sample(value).map_err(|e| failed(&e))?;
    }
    writer.finalize().map_err(|e| failed(&e))?;
    bytes.set_position(0);
    info.tags().save_to(&mut bytes, WriteOptions::default()).map_err(|e| failed(&e))?;
    Ok((bytes.into_inner(), clipped))
}

/// Writes `bytes` to `path`, whole or not at all. Where that fails, they go to a new file in the temporary folder.
///
/// # Errors
/// [`Error::Write`] that names the file they went to.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, bytes).map_err(|e| match (e, rescue(path, bytes)) {
        (Error::Write { path, source, .. }, Ok(other)) => Error::Write { path, source, rescued: Some(other) },
        (e, Ok(_)) => e,
        (e, Err(again)) => {
            tracing::error!("the temporary folder cannot be written either: {again}");
            e
        }
    })
}

/// A new file in the temporary folder; nothing is left of it if it cannot be written whole.
fn rescue(path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    let name = path.file_stem().map_or_else(|| "audio".into(), |n| n.to_string_lossy().into_owned());
    let mut file = tempfile::Builder::new().prefix(&format!("{name}-")).suffix(".wav").tempfile()?;
    std::io::Write::write_all(&mut file, bytes)?;
    Ok(file.keep()?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::recording::{self, Length};

    #[test]
    fn a_written_clip_is_read_back() {
        let clip: Vec<f32> = (0..4_800).map(|i| (i as f32 * 0.1).sin() * 0.5).collect();
        let info = WavInfo { title: "héllo".into(), artist: "a".into(), comment: "synthetic".into() };
        let (bytes, clipped) = encode(&clip, 24_000, &info).unwrap();
        assert_eq!(clipped, 0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        save(&path, &bytes).unwrap();
        let back = recording::read(&path, 24_000, Length::Whole).unwrap().samples;
        let worst = clip.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(back.len() == clip.len() && worst <= 0.5 / 32_768.0, "{worst}");
    }

    #[test]
    fn clipping_is_counted() {
        assert_eq!(encode(&[0.0, 1.5, -1.0, -1.1], 24_000, &WavInfo::default()).unwrap().1, 2);
    }
}
