//! Token files: the codes of a clip with everything that reproduces it (`csm-tokens`, version 1).

use std::path::Path;

use bytemuck::{AnyBitPattern, pod_collect_to_vec};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::{Clip, ClipOrigin, ClipSpec, Codes, Edit, FinishReason, ModelDims, ModelId, PromptStyle, Sampling, Turn};
use crate::error::{BoxError, Error, Result};
use crate::files::{MEDIA_LIMIT, read_file, write_atomically};

/// Value of the `format` field.
pub const FORMAT: &str = "csm-tokens";
/// Value of the `version` field.
pub const VERSION: u32 = 1;

/// A token file. Only `frames` is required on reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the file format, which the README documents")]
pub struct TokenFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebooks: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Turn>,
    #[serde(default, skip_serializing_if = "PromptStyle::is_default")]
    pub prompt_style: PromptStyle,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<FinishReason>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    pub frames: Codes,
}

impl TokenFile {
    /// The file of `clip`, which a model of these sizes made.
    pub fn new(clip: &Clip, model: ModelId, dims: &ModelDims) -> Self {
        let origin = clip.origin.clone();
        Self {
            format: Some(FORMAT.into()),
            version: Some(VERSION),
            model: Some(model),
            codebooks: Some(dims.codebooks),
            vocab: Some(dims.vocab),
            frame_rate: Some(dims.frame_rate),
            sampling: origin.sampling,
            text: origin.text,
            speaker: origin.speaker,
            context: origin.context,
            prompt_style: origin.prompt_style,
            stop: clip.stop,
            edits: origin.edits,
            frames: clip.codes.clone(),
        }
    }

    /// The clip of the file, with the waveform `audio` at `sample_rate` samples per second.
    pub fn into_clip(self, audio: Vec<f32>, sample_rate: usize) -> Clip {
        let origin = ClipOrigin {
            text: self.text,
            speaker: self.speaker,
            context: self.context,
            prompt_style: self.prompt_style,
            sampling: self.sampling,
            edits: self.edits,
            model: self.model,
        };
        Clip { origin, codes: self.frames, audio, sample_rate, stop: self.stop }
    }

    /// How the clip was made. `path` is the file's, for the message.
    ///
    /// # Errors
    /// [`Error::InvalidFile`] if text, speaker or settings are missing.
    pub fn clip_spec(&self, path: &Path) -> Result<ClipSpec> {
        self.clone().into_clip(Vec::new(), 0).origin.spec_of_file(path)
    }

    /// Reads `.json`, `.npy` (integers) or `.safetensors` (one integer tensor, or one called `frames`). In an array of shape
    /// `[T, K]` or `[K, T]` the axis of length K is the model's codebooks.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::InvalidFile`] with the shape or id that was found.
    pub fn read(path: &Path, dims: &ModelDims) -> Result<Self> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("json").to_lowercase();
        let file = match extension.as_str() {
            "npy" => npy(&bytes).and_then(|array| Self::from_array(array, dims.codebooks)),
            "safetensors" => safetensor(&bytes).and_then(|array| Self::from_array(array, dims.codebooks)),
            _ => Self::from_json(&bytes),
        };
        let file = file.and_then(Self::without_padding);
        let file = file.map_err(|problem| Error::parse(path, "is not usable as tokens", problem))?;
        let checked = file
            .frames
            .check("frames", dims)
            .and_then(|()| file.context.iter().try_for_each(|turn| turn.frames.check("context_frames", dims)));
        checked.map_err(|e| Error::file(path, e.to_string()))?;
        Ok(file)
    }

    /// Reads a `.json` file of any model: a take's own, which is checked against no model's sizes.
    ///
    /// # Errors
    /// Returns the errors of [`TokenFile::read`].
    pub fn read_own(path: &Path) -> Result<Self> {
        let bytes = read_file(path, MEDIA_LIMIT)?;
        Self::from_json(&bytes).map_err(|problem| Error::parse(path, "is not usable as tokens", problem))
    }

    fn from_json(bytes: &[u8]) -> Result<Self, BoxError> {
        let file: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("expected a token file ({{\"frames\": [[…]]}}): {e}"))?;
        if let Some(format) = &file.format
            && format != FORMAT
        {
            return Err(format!("format: expected {FORMAT:?}, got {format:?}").into());
        }
        if let Some(version) = file.version
            && version != VERSION
        {
            return Err(format!("version: expected {VERSION}, got {version}").into());
        }
        if file.frames.is_empty() {
            return Err("frames: expected at least one".into());
        }
        Ok(file)
    }

    /// A clip of a batch is padded with end-of-speech frames: it ends before the first.
    fn without_padding(mut self) -> Result<Self, BoxError> {
        match self.frames.frames().position(super::is_end_frame) {
            Some(0) => return Err("frames: expected at least one before the end-of-speech frame".into()),
            Some(end) => self.frames = self.frames.prefix(end),
            None => {}
        }
        Ok(self)
    }

    fn from_array(array: IntArray, k: usize) -> Result<Self, BoxError> {
        let expected = || format!("expected an array [T, {k}] or [{k}, T], got shape {:?}", array.shape);
        let shape = match array.shape.as_slice() {
            [1, rows, columns] => [*rows, *columns], // a batch of one
            [rows, columns] => [*rows, *columns],
            _ => return Err(expected().into()),
        };
        let [rows, columns] = shape;
        if rows.checked_mul(columns) != Some(array.values.len()) {
            return Err(format!(
                "shape {:?} does not match the {} numbers in the file",
                array.shape,
                array.values.len()
            )
            .into());
        }
        let frame_rows = match (rows == k, columns == k) {
            (true, true) => {
                let hint = "write it as JSON, one list per frame";
                return Err(format!("shape {:?} could be [T, {k}] or [{k}, T]: {hint}", array.shape).into());
            }
            (false, true) => true,
            (true, false) => false,
            (false, false) => return Err(expected().into()),
        };
        let frames = if frame_rows { rows } else { columns };
        let at = |t: usize, codebook: usize| {
            let (row, column) = if frame_rows { (t, codebook) } else { (codebook, t) };
            array.values[if array.fortran_order { column * rows + row } else { row * columns + column }]
        };
        let ids = (0..frames).flat_map(|t| (0..k).map(move |codebook| (t, codebook)));
        let id = |(t, codebook)| {
            let id = at(t, codebook);
            u32::try_from(id)
                .map_err(|e| format!("expected ids from 0, got {id} in frame {t}, codebook {codebook} ({e})"))
        };
        let ids: Vec<u32> = ids.map(id).collect::<Result<_, _>>()?;
        let codes = Codes::from_ids(k, ids).map_err(|rest| format!("{rest} ids are left over"))?;
        Ok(Self { frames: codes, ..Self::default() })
    }

    /// The file as JSON with one line per frame, to be compared line by line.
    pub fn to_json(&self) -> String {
        let head = Self { frames: Codes::default(), ..self.clone() };
        let head = serde_json::to_string_pretty(&head).unwrap_or_default();
        let head = head.strip_suffix("\"frames\": []\n}").unwrap_or("{\n  ");
        let rows: Vec<String> = self.frames.frames().map(|f| format!("    {f:?}")).collect();
        format!("{head}\"frames\": [\n{}\n  ]\n}}\n", rows.join(",\n"))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.to_json().as_bytes())
    }
}

/// An array of integers as stored.
struct IntArray {
    shape: Vec<usize>,
    values: Vec<i64>,
    fortran_order: bool,
}

/// NumPy's format, versions 1 to 3.
fn npy(bytes: &[u8]) -> Result<IntArray, BoxError> {
    let array = npyz::NpyFile::new(bytes).map_err(|e| format!("expected an .npy file: {e}"))?;
    let shape: Vec<usize> = array.shape().iter().map(|n| usize::try_from(*n)).collect::<Result<_, _>>()?;
    let count = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
    if count.is_none_or(|n| n > bytes.len()) {
        return Err(format!("shape {shape:?} has more numbers than the file").into());
    }
    let fortran_order = array.order() == npyz::Order::Fortran;
    let dtype = array.dtype().descr();
    macro_rules! read {
        ($t:ty) => {
            array.into_vec::<$t>()?.into_iter().map(|x| x as i64).collect()
        };
    }
    let values: Vec<i64> = match dtype.trim_matches('\'').trim_start_matches(['<', '|', '>']) {
        "i1" => read!(i8),
        "u1" => read!(u8),
        "i2" => read!(i16),
        "u2" => read!(u16),
        "i4" => read!(i32),
        "u4" => read!(u32),
        "i8" => read!(i64),
        "u8" => array.into_vec::<u64>()?.into_iter().map(|x| i64::try_from(x).unwrap_or(i64::MAX)).collect(),
        other => return Err(format!("expected integers, got {other}").into()),
    };
    Ok(IntArray { shape, values, fortran_order })
}

fn safetensor(bytes: &[u8]) -> Result<IntArray, BoxError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("expected a safetensors file: {e}"))?;
    let tensors = file.tensors();
    let found = tensors.iter().find(|(name, _)| name == "frames").or(match tensors.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let (_, view) = found.ok_or("expected one tensor, or one called \"frames\"")?;
    fn widen<T: AnyBitPattern + bytemuck::NoUninit + Into<i64>>(data: &[u8]) -> Vec<i64> {
        pod_collect_to_vec::<u8, T>(data).into_iter().map(Into::into).collect()
    }
    // Little-endian, like every machine that this program runs on.
    let values = match view.dtype() {
        safetensors::Dtype::U8 => widen::<u8>(view.data()),
        safetensors::Dtype::I16 => widen::<i16>(view.data()),
        safetensors::Dtype::U16 => widen::<u16>(view.data()),
        safetensors::Dtype::I32 => widen::<i32>(view.data()),
        safetensors::Dtype::U32 => widen::<u32>(view.data()),
        safetensors::Dtype::I64 => widen::<i64>(view.data()),
        other => return Err(format!("expected integers, got {other:?}").into()),
    };
    Ok(IntArray { shape: view.shape().to_vec(), values, fortran_order: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dtype, Mode, RangeGuard, SamplingParams};

    #[test]
    fn a_written_file_is_read_back() {
        let mut sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), u64::MAX, Dtype::Float32);
        sampling.depth = SamplingParams::new(0.7, 3);
        sampling.guard = Some(RangeGuard::new(1, 31).unwrap());
        let file = TokenFile {
            format: Some(FORMAT.into()),
            version: Some(VERSION),
            sampling: Some(sampling),
            stop: Some(FinishReason::Eos),
            edits: vec![Edit::Token { frame: 1, codebook: 0, token: 4 }, Edit::Sampling { frame: 2, sampling }],
            frames: Codes::from_frames([[1, 2], [3, 4]]).unwrap(),
            ..TokenFile::default()
        };
        assert_eq!(TokenFile::from_json(file.to_json().as_bytes()).unwrap(), file);
        let bare = TokenFile::from_json(br#"{"frames": [[1, 2]]}"#).unwrap();
        assert_eq!(bare.frames, Codes::from_frames([[1, 2]]).unwrap());
    }

    fn frames(shape: &[usize], k: usize, fortran_order: bool) -> Result<Vec<Vec<u32>>, String> {
        let values = (1..=shape.iter().product::<usize>() as i64).collect();
        let array = IntArray { shape: shape.to_vec(), values, fortran_order };
        let file = TokenFile::from_array(array, k).map_err(|e| e.to_string())?;
        Ok(file.frames.frames().map(<[u32]>::to_vec).collect())
    }

    #[test]
    fn arrays_are_oriented_by_the_number_of_codebooks() {
        assert_eq!(frames(&[3, 2], 2, false).unwrap(), [[1, 2], [3, 4], [5, 6]]);
        assert_eq!(frames(&[2, 3], 2, false).unwrap(), [[1, 4], [2, 5], [3, 6]]);
        assert_eq!(frames(&[1, 2, 3], 2, false).unwrap(), [[1, 4], [2, 5], [3, 6]]);
        assert_eq!(frames(&[3, 2], 2, true).unwrap(), [[1, 4], [2, 5], [3, 6]]);
        assert!(frames(&[3, 2], 5, false).unwrap_err().contains("[3, 2]"));
        assert!(frames(&[2, 2], 2, false).unwrap_err().contains("could be"));
        assert!(frames(&[2, 3, 1], 2, false).is_err());
    }

    #[test]
    fn padding_after_the_end_frame_is_dropped() {
        let array = |values: Vec<i64>| IntArray { shape: vec![3, 2], values, fortran_order: false };
        let read = |values| TokenFile::from_array(array(values), 2).and_then(TokenFile::without_padding);
        assert_eq!(read(vec![1, 2, 0, 0, 7, 7]).unwrap().frames, Codes::from_frames([[1, 2]]).unwrap());
        assert!(read(vec![0; 6]).is_err());
        let short = IntArray { shape: vec![1 << 63, 6], values: vec![], fortran_order: false };
        assert!(TokenFile::from_array(short, 6).is_err());
    }
}
