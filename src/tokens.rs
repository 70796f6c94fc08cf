//! Token files: the codes of a clip with all that is needed to make it again (`csm-tokens`, version 1).

use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::prompt::{Frame, check_frames};
use crate::sampling::Sampling;

/// Value of the `format` field.
pub const FORMAT: &str = "csm-tokens";
/// Value of the `version` field.
pub const VERSION: u32 = 1;

/// Why a clip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// The model ended it: a frame of zeros.
    Eos,
    /// The longest length that was asked for.
    Cap,
    /// Somebody stopped it.
    Cancelled,
    /// The tokens that were to be taken ran out.
    Forced,
}

/// Which model a clip is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// The checkpoint's name.
    pub name: String,
    /// SHA-256 of its weights.
    pub sha256: String,
}

/// A turn before the clip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextTurn {
    /// Who spoke.
    pub speaker: u32,
    /// What was said.
    pub text: String,
    /// How, `[T][K]`.
    pub frames: Vec<Frame>,
}

/// A change in the course of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Edit {
    /// From this frame on, these settings.
    Sampling {
        /// First frame with them.
        frame: usize,
        /// The settings.
        sampling: Sampling,
    },
    /// This token instead of the drawn one.
    Token {
        /// Frame.
        frame: usize,
        /// Codebook.
        codebook: usize,
        /// The token.
        token: u32,
    },
}

/// A token file. Only `frames` has to be there when one is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenFile {
    /// [`FORMAT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// [`VERSION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Which model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Codes a frame, K.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebooks: Option<usize>,
    /// Ids a codebook's head gives, V.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    /// Frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// Settings at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// What was to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<u32>,
    /// Turns before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<ContextTurn>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Changes in its course.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// The codes, `[T][K]`, without the end frame.
    pub frames: Vec<Frame>,
}

impl TokenFile {
    /// Reads `.json`, `.npy` (integers) or `.safetensors` (one integer tensor, or one named `frames`). An array of shape
    /// `[T, K]` or `[K, T]` is told by K = `codebooks`.
    ///
    /// # Errors
    /// [`Error::File`] that says what shape or id was found.
    pub fn read(path: &Path, codebooks: usize, vocab: usize) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or("json");
        let file = match kind {
            "npy" => Self::of_array(npy(&bytes), codebooks),
            "safetensors" => Self::of_array(safetensor(&bytes), codebooks),
            _ => Self::parse(&bytes),
        };
        let file = file.map_err(|problem| Error::file(path, problem))?;
        check_frames("frames", &file.frames, codebooks, vocab).map_err(|e| Error::file(path, e.to_string()))?;
        Ok(file)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("is not a token file ({{\"frames\": [[…]]}}): {e}"))?;
        if let Some(format) = &file.format
            && format != FORMAT
        {
            return Err(format!("format: expected {FORMAT:?}, got {format:?}"));
        }
        if let Some(version) = file.version
            && version != VERSION
        {
            return Err(format!("version: expected {VERSION}, got {version}"));
        }
        if file.frames.is_empty() {
            return Err("frames: expected at least one".into());
        }
        Ok(file)
    }

    fn of_array(array: Result<(Vec<usize>, Vec<i64>), String>, k: usize) -> Result<Self, String> {
        let (shape, values) = array?;
        let &[rows, columns] = shape.as_slice() else {
            return Err(format!("expected an array [T, {k}] or [{k}, T], got shape {shape:?}"));
        };
        let by_frame = match (rows == k, columns == k) {
            (true, true) => {
                return Err(format!("shape {shape:?} could be [T, {k}] or [{k}, T]: write it as JSON, a row a frame"));
            }
            (false, true) => true,
            (true, false) => false,
            (false, false) => return Err(format!("expected an array [T, {k}] or [{k}, T], got shape {shape:?}")),
        };
        let frames = if by_frame { rows } else { columns };
        if frames == 0 {
            return Err("expected at least one frame".into());
        }
        let at = |t: usize, c: usize| if by_frame { values[t * columns + c] } else { values[c * columns + t] };
        let frame = |t: usize| (0..k).map(|c| u32::try_from(at(t, c)).map_err(|_| at(t, c))).collect();
        let frames: Result<Vec<Frame>, i64> = (0..frames).map(frame).collect();
        let frames = frames.map_err(|id| format!("expected ids from 0, got {id}"))?;
        Ok(Self { frames, ..Self::default() })
    }

    /// The file as JSON: a line a frame, so that it can be read and compared by line.
    pub fn to_json(&self) -> String {
        let head = Self { frames: Vec::new(), ..self.clone() };
        let head = serde_json::to_string_pretty(&head).expect("plain data");
        let head = head.strip_suffix("\"frames\": []\n}").expect("frames come last");
        let rows: Vec<String> = self.frames.iter().map(|f| format!("    {f:?}")).collect();
        format!("{head}\"frames\": [\n{}\n  ]\n}}\n", rows.join(",\n"))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_json()).map_err(|e| Error::write(path, e))
    }
}

/// Shape and values of an integer `.npy` (NumPy's format, versions 1 to 3).
fn npy(bytes: &[u8]) -> Result<(Vec<usize>, Vec<i64>), String> {
    let array = npyz::NpyFile::new(bytes).map_err(|e| format!("is not an .npy file: {e}"))?;
    let shape: Vec<usize> = array.shape().iter().map(|n| *n as usize).collect();
    if array.order() == npyz::Order::Fortran {
        return Err("expected row-major order, got Fortran order".into());
    }
    let dtype = array.dtype().descr();
    macro_rules! read {
        ($t:ty) => {
            array.into_vec::<$t>().map(|v| v.into_iter().map(|x| x as i64).collect()).map_err(|e| e.to_string())
        };
    }
    let values: Result<Vec<i64>, String> = match dtype.trim_matches('\'').trim_start_matches(['<', '|', '>']) {
        "i1" => read!(i8),
        "u1" => read!(u8),
        "i2" => read!(i16),
        "u2" => read!(u16),
        "i4" => read!(i32),
        "u4" => read!(u32),
        "i8" => read!(i64),
        other => Err(format!("expected integers, got {other}")),
    };
    Ok((shape, values?))
}

fn safetensor(bytes: &[u8]) -> Result<(Vec<usize>, Vec<i64>), String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("is not a safetensors file: {e}"))?;
    let tensors = file.tensors();
    let found = tensors.iter().find(|(name, _)| name == "frames").or(match tensors.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let Some((_, view)) = found else {
        return Err("expected one tensor, or one named \"frames\"".into());
    };
    let data = view.data();
    let values = match view.dtype() {
        safetensors::Dtype::U8 => data.iter().map(|b| i64::from(*b)).collect(),
        safetensors::Dtype::I16 => data.chunks_exact(2).map(|b| i64::from(i16::from_le_bytes([b[0], b[1]]))).collect(),
        safetensors::Dtype::U16 => data.chunks_exact(2).map(|b| i64::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
        safetensors::Dtype::I32 => {
            data.chunks_exact(4).map(|b| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        safetensors::Dtype::U32 => {
            data.chunks_exact(4).map(|b| i64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        safetensors::Dtype::I64 => {
            data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes"))).collect()
        }
        other => return Err(format!("expected integers, got {other:?}")),
    };
    Ok((view.shape().to_vec(), values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Dtype;
    use crate::sampling::{Guard, Mode};

    #[test]
    fn what_is_written_is_read() {
        let sampling = Sampling {
            mode: Mode::Exact,
            temperature: 0.9,
            topk: 50,
            depth_temperature: 0.7,
            depth_topk: 3,
            seed: u64::MAX,
            guard: Some(Guard::new(1, 31).unwrap()),
            precision: Dtype::Float32,
        };
        let file = TokenFile {
            format: Some(FORMAT.into()),
            version: Some(VERSION),
            sampling: Some(sampling),
            stop: Some(Stop::Eos),
            edits: vec![Edit::Token { frame: 1, codebook: 0, token: 4 }, Edit::Sampling { frame: 2, sampling }],
            frames: vec![vec![1, 2], vec![3, 4]],
            ..TokenFile::default()
        };
        assert_eq!(TokenFile::parse(file.to_json().as_bytes()).unwrap(), file);
        assert_eq!(TokenFile::parse(br#"{"frames": [[1, 2]]}"#).unwrap().frames, [[1, 2]]);
    }

    #[test]
    fn an_array_is_turned_by_the_number_of_codebooks() {
        let read =
            |shape: &[usize], k| TokenFile::of_array(Ok((shape.to_vec(), (0..6).collect())), k).map(|f| f.frames);
        assert_eq!(read(&[3, 2], 2).unwrap(), [[0, 1], [2, 3], [4, 5]]);
        assert_eq!(read(&[2, 3], 2).unwrap(), [[0, 3], [1, 4], [2, 5]]);
        assert!(read(&[3, 2], 5).unwrap_err().contains("[3, 2]"));
        assert!(TokenFile::of_array(Ok((vec![2, 2], vec![0; 4])), 2).unwrap_err().contains("could be"));
    }
}
