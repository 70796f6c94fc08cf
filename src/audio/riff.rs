//! WAV files as programs really write them, made regular for the decoder: sizes of 0 or 0xFFFFFFFF from streams, sizes past the end of
//! a cut download, RF64, chunks of odd size with and without a pad byte, chunks after the samples.

use crate::error::BoxError;

/// The decoder has a bit for each channel and one more.
const MOST_CHANNELS: u16 = 31;

/// A regular WAV file.
pub(super) struct RepairedWav {
    pub(super) bytes: Vec<u8>,
    /// Whether samples are missing at the end.
    pub(super) cut: bool,
}

/// The file with only its `fmt `, `fact` and `data` chunks and true sizes; `None` if it is not a WAV file.
pub(super) fn repair(bytes: &[u8]) -> Result<Option<RepairedWav>, BoxError> {
    let is_riff = bytes.starts_with(b"RIFF") || bytes.starts_with(b"RF64") || bytes.starts_with(b"BW64");
    if !is_riff || bytes.get(8..12) != Some(b"WAVE") {
        return Ok(None);
    }
    let (mut at, mut format, mut fact, mut long_size) = (12, None, None, None);
    while let Some(header) = bytes.get(at..at + 8) {
        let (id, size) = (&header[..4], u32_at(header, 4) as usize);
        let body = at + 8;
        let end = body.saturating_add(size).min(bytes.len());
        match id {
            b"data" => {
                let format: &[u8] = format.ok_or("it has no fmt chunk before its samples")?;
                let channels = format.get(2..4).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
                if channels > MOST_CHANNELS {
                    return Err(format!("it has {channels} channels, expected at most {MOST_CHANNELS}").into());
                }
                return Ok(Some(assemble(bytes, format, fact, body, size, long_size)));
            }
            b"fmt " => format = Some(&bytes[body..end]),
            b"fact" => fact = Some(&bytes[body..end]),
            b"ds64" if end - body >= 16 => {
                long_size = Some(u64::from(u32_at(bytes, body + 8)) | u64::from(u32_at(bytes, body + 12)) << 32);
            }
            _ => {}
        }
        // Chunks of odd size are followed by a pad byte, which some programs forget.
        let padded = end + size % 2;
        at = if size % 2 == 1 && !is_chunk_id(bytes, padded) && is_chunk_id(bytes, end) { end } else { padded };
    }
    Err("it has no data chunk".into())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte))
}

fn is_chunk_id(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 4).is_some_and(|id| id.iter().all(|c| c.is_ascii_alphanumeric() || *c == b' '))
}

fn assemble(
    bytes: &[u8],
    format: &[u8],
    fact: Option<&[u8]>,
    start: usize,
    size: usize,
    long_size: Option<u64>,
) -> RepairedWav {
    let available = bytes.len() - start;
    let unknown = size == 0 || size == u32::MAX as usize;
    let stated = if size == u32::MAX as usize { long_size.map(|n| n as usize) } else { None };
    let wanted = stated.unwrap_or(if unknown { available } else { size });
    let block = format.get(12..14).map_or(1, |b| usize::from(b[0]) | usize::from(b[1]) << 8).max(1);
    let length = wanted.min(available) / block * block;
    let mut out = Vec::with_capacity(length + 128);
    out.extend_from_slice(b"RIFF\0\0\0\0WAVE");
    let mut push = |id: &[u8; 4], body: &[u8]| {
        out.extend_from_slice(id);
        out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        out.extend_from_slice(body);
        if body.len() % 2 == 1 {
            out.push(0);
        }
    };
    let mut format = format.to_vec();
    // The places of the channels, which nothing here uses, and with which the decoder counts past its bits.
    if let (Some([0xfe, 0xff]), Some(mask)) = (format.first_chunk().copied(), format.get_mut(20..24)) {
        mask.fill(0);
    }
    push(b"fmt ", &format);
    if let Some(fact) = fact {
        push(b"fact", fact);
    }
    push(b"data", &bytes[start..start + length]);
    let total = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&total.to_le_bytes());
    RepairedWav { bytes: out, cut: wanted > available }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::recording::{Length, decode_native};

    fn chunk(id: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
        [&id[..], &size.to_le_bytes(), body].concat()
    }

    fn wav(chunks: &[Vec<u8>]) -> Vec<u8> {
        [b"RIFF\xff\xff\xff\xffWAVE".to_vec(), chunks.concat()].concat()
    }

    const FORMAT: [u8; 16] = [1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0];

    fn samples(file: &[u8]) -> (Vec<u8>, bool) {
        let wav = repair(file).unwrap().unwrap();
        let at = wav.bytes.windows(4).position(|w| w == b"data").unwrap();
        assert_eq!(u32_at(&wav.bytes, at + 4) as usize, wav.bytes.len() - at - 8);
        (wav.bytes[at + 8..].to_vec(), wav.cut)
    }

    #[test]
    fn sizes_are_those_of_the_samples_there_are() {
        let format = chunk(b"fmt ", 16, &FORMAT);
        let data = [1, 2, 3, 4];
        for size in [0, 4, u32::MAX] {
            assert_eq!(samples(&wav(&[format.clone(), chunk(b"data", size, &data)])), (data.to_vec(), false), "{size}");
        }
        assert_eq!(samples(&wav(&[format.clone(), chunk(b"data", 400, &data)])), (data.to_vec(), true));
        let trailing = wav(&[format, chunk(b"data", 4, &data), chunk(b"LIST", 4, b"INFO")]);
        assert_eq!(samples(&trailing), (data.to_vec(), false));
    }

    #[test]
    fn channels_are_as_many_as_the_decoder_can_count() {
        let file = |channels: u8, mask: u32| {
            let mut format = FORMAT.to_vec();
            format[..2].copy_from_slice(&[0xfe, 0xff]);
            format[2] = channels;
            format[12] = 2 * channels;
            format.extend([22, 0, 16, 0]);
            format.extend(mask.to_le_bytes());
            format.extend([1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
            wav(&[chunk(b"fmt ", 40, &format), chunk(b"data", 64 * 4, &[1; 64 * 4])])
        };
        for mask in [0, 1, 1 << 31, u32::MAX] {
            let decoded = decode_native("a.wav".as_ref(), &file(2, mask), Length::Whole).unwrap();
            assert_eq!((decoded.channels, decoded.samples.len()), (2, 128), "{mask:x}");
        }
        assert!(repair(&file(31, 0)).is_ok());
        assert!(repair(&file(32, 0)).err().unwrap().to_string().contains("32 channels"));
    }

    #[test]
    fn odd_chunks_may_lack_their_pad_byte() {
        let format = chunk(b"fmt ", 16, &FORMAT);
        let data = chunk(b"data", 4, &[1, 2, 3, 4]);
        for odd in [chunk(b"note", 3, b"abc"), chunk(b"note", 3, b"abc\0")] {
            assert_eq!(samples(&wav(&[format.clone(), odd, data.clone()])), (vec![1, 2, 3, 4], false));
        }
        assert!(repair(&wav(std::slice::from_ref(&data))).is_err());
        assert!(repair(b"fLaC").unwrap().is_none());
    }
}
