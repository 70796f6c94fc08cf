//! Codes as arrays of integers: NumPy's .npy and .npz, safetensors, `torch.save`, and lists in JSON. What a file is, its first bytes say.

use std::io::{Cursor, Read};

use bytemuck::{AnyBitPattern, pod_collect_to_vec};
use safetensors::SafeTensors;

use super::Codes;
use crate::error::BoxError;
use crate::pickle;

/// Largest entry of an archive that is read, bytes.
const ENTRY_LIMIT: u64 = 64 << 20;
/// Names of the array among several.
const NAMES: [&str; 2] = ["frames", "codes"];

/// An array of integers as stored.
#[derive(Debug)]
pub(super) struct IntArray {
    shape: Vec<usize>,
    values: Vec<i64>,
    fortran_order: bool,
}

impl IntArray {
    /// The array in a file of these bytes; `None` if it is none of the formats of arrays.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, BoxError> {
        let is_safetensors = bytes.get(8) == Some(&b'{');
        match bytes {
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npy(bytes).map(Some),
            [b'P', b'K', 3, 4, ..] => archive(bytes).map(Some),
            [0x80, ..] => Err(
                "is a pickle of PyTorch before 1.6 or of another program; save it with torch.save of today, or as .npy"
                    .into(),
            ),
            _ if is_safetensors => safetensor(bytes).map(Some),
            _ => Ok(None),
        }
    }

    /// The array that nested lists of numbers in JSON are; `None` for other JSON.
    pub(super) fn from_json(value: &serde_json::Value) -> Result<Option<Self>, BoxError> {
        let Some(rows) = value.as_array() else { return Ok(None) };
        let mut array = Self { shape: vec![rows.len()], values: Vec::new(), fortran_order: false };
        let mut level: Vec<&serde_json::Value> = rows.iter().collect();
        while level.iter().any(|value| value.is_array()) {
            let lists: Option<Vec<&Vec<_>>> = level.iter().map(|value| value.as_array()).collect();
            let lists = lists.ok_or("expected lists of numbers, one for each frame")?;
            let width = lists.first().map_or(0, |list| list.len());
            if lists.iter().any(|list| list.len() != width) {
                return Err("expected lists of one length".into());
            }
            array.shape.push(width);
            level = lists.into_iter().flatten().collect();
        }
        for value in level {
            array.values.push(value.as_i64().ok_or_else(|| format!("expected integers, got {value}"))?);
        }
        Ok(Some(array))
    }

    /// The codes of `k` codebooks. In a shape of `[T, K]` or `[K, T]` the axis of length K is the codebooks; where both are, `is_square`
    /// says whether a row is a frame.
    pub(super) fn codes(&self, k: usize, square_is_frames: bool) -> Result<Codes, BoxError> {
        let expected = || format!("expected an array [T, {k}] or [{k}, T], got shape {:?}", self.shape);
        let [rows, columns] = match self.shape.as_slice() {
            [1, rows, columns] => [*rows, *columns], // a batch of one
            [rows, columns] => [*rows, *columns],
            _ => return Err(expected().into()),
        };
        if rows.checked_mul(columns) != Some(self.values.len()) {
            let (shape, count) = (&self.shape, self.values.len());
            return Err(format!("shape {shape:?} does not match the {count} numbers in the file").into());
        }
        let frame_rows = match (rows == k, columns == k) {
            (true, true) if square_is_frames => true,
            (true, true) => {
                let hint = "write it as JSON, one list per frame";
                return Err(format!("shape {:?} could be [T, {k}] or [{k}, T]: {hint}", self.shape).into());
            }
            (false, true) => true,
            (true, false) => false,
            (false, false) => return Err(expected().into()),
        };
        let frames = if frame_rows { rows } else { columns };
        let at = |t: usize, codebook: usize| {
            let (row, column) = if frame_rows { (t, codebook) } else { (codebook, t) };
            self.values[if self.fortran_order { column * rows + row } else { row * columns + column }]
        };
        let id = |(t, codebook)| {
            let id = at(t, codebook);
            u32::try_from(id)
                .map_err(|e| format!("expected ids from 0, got {id} in frame {t}, codebook {codebook} ({e})"))
        };
        let places = (0..frames).flat_map(|t| (0..k).map(move |codebook| (t, codebook)));
        let ids: Vec<u32> = places.map(id).collect::<Result<_, _>>()?;
        Codes::from_ids(k, ids).map_err(|rest| format!("{rest} ids are left over").into())
    }
}

/// NumPy's format, versions 1 to 3.
fn npy(bytes: &[u8]) -> Result<IntArray, BoxError> {
    // The reader would make room for a header of any length that the file claims.
    let header = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => 10 + usize::from(u16::from_le_bytes([*a, *b])),
        [_, _, _, _, _, _, _, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize).saturating_add(12),
        _ => usize::MAX,
    };
    if header > bytes.len() {
        return Err("expected an .npy file, its header is longer than the file".into());
    }
    // A dictionary and the tuple of the shape. The reader's time doubles with each bracket in another.
    const BRACKETS: usize = 8;
    if bytes[..header].iter().filter(|byte| matches!(byte, b'(' | b'[' | b'{')).count() > BRACKETS {
        return Err("expected an .npy file of plain integers, its header describes something else".into());
    }
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
    let found = tensors.iter().find(|(name, _)| NAMES.contains(&name.as_str())).or(match tensors.as_slice() {
        [one] => Some(one),
        _ => None,
    });
    let (_, view) = found.ok_or("expected one tensor, or one called \"frames\"")?;
    let number_type = match view.dtype() {
        safetensors::Dtype::U8 => "u1",
        safetensors::Dtype::I16 => "i2",
        safetensors::Dtype::U16 => "u2",
        safetensors::Dtype::I32 => "i4",
        safetensors::Dtype::U32 => "u4",
        safetensors::Dtype::I64 => "i8",
        other => return Err(format!("expected integers, got {other:?}").into()),
    };
    Ok(IntArray { shape: view.shape().to_vec(), values: integers(view.data(), number_type), fortran_order: false })
}

/// Integers of `number_type` (NumPy's code), little-endian like every machine that this program runs on.
fn integers(data: &[u8], number_type: &str) -> Vec<i64> {
    fn widen<T: AnyBitPattern + bytemuck::NoUninit + Into<i64>>(data: &[u8]) -> Vec<i64> {
        let whole = data.len() / size_of::<T>() * size_of::<T>();
        pod_collect_to_vec::<u8, T>(&data[..whole]).into_iter().map(Into::into).collect()
    }
    match number_type {
        "u1" => widen::<u8>(data),
        "i1" => widen::<i8>(data),
        "i2" => widen::<i16>(data),
        "u2" => widen::<u16>(data),
        "i4" => widen::<i32>(data),
        "u4" => widen::<u32>(data),
        _ => widen::<i64>(data),
    }
}

/// A zip archive: `torch.save`'s, or NumPy's .npz.
fn archive(bytes: &[u8]) -> Result<IntArray, BoxError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("is a damaged zip archive: {e}"))?;
    let names: Vec<String> = archive.file_names().map_while(Result::ok).map(|name| name.into_owned()).collect();
    let mut entry = |name: &str| -> Result<Vec<u8>, BoxError> {
        let mut bytes = Vec::new();
        let file = archive.by_name(name).map_err(|e| format!("{name}: {e}"))?;
        file.take(ENTRY_LIMIT).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
        Ok(bytes)
    };
    if let Some(pickle_name) = names.iter().find(|name| name.ends_with("/data.pkl")) {
        let tensor = pickle::tensor_of(&entry(pickle_name)?).map_err(|e| format!("is a torch.save file that {e}"))?;
        let storage = entry(&format!("{}data/{}", pickle_name.trim_end_matches("data.pkl"), tensor.storage))?;
        return torch_tensor(&tensor, &storage);
    }
    let arrays: Vec<&String> = names.iter().filter(|name| name.ends_with(".npy")).collect();
    let named = arrays.iter().find(|name| NAMES.contains(&name.trim_end_matches(".npy")));
    match (named, arrays.as_slice()) {
        (Some(name), _) | (None, [name]) => npy(&entry(name)?),
        (None, []) => Err("is a zip archive without codes, expected what torch.save or numpy.savez writes".into()),
        (None, _) => Err("holds several arrays, expected one, or one called \"frames\"".into()),
    }
}

fn torch_tensor(tensor: &pickle::SavedTensor, storage: &[u8]) -> Result<IntArray, BoxError> {
    let number_type = match tensor.storage_type.as_str() {
        "LongStorage" => "i8",
        "IntStorage" => "i4",
        "ShortStorage" => "i2",
        "CharStorage" => "i1",
        "ByteStorage" => "u1",
        other => return Err(format!("expected a tensor of integers, got {other}").into()),
    };
    let stored = integers(storage, number_type);
    let count = tensor.shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side)).unwrap_or(usize::MAX);
    if count > stored.len() || tensor.strides.len() != tensor.shape.len() {
        return Err(format!("shape {:?} does not fit the {} numbers in the file", tensor.shape, stored.len()).into());
    }
    let value = |n: usize| {
        let (mut rest, mut at) = (n, tensor.offset);
        for (size, stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
            at = at.checked_add((rest % size).checked_mul(*stride)?)?;
            rest /= size;
        }
        stored.get(at).copied()
    };
    let values: Option<Vec<i64>> = (0..count).map(value).collect();
    let values = values.ok_or("its numbers lie outside the file")?;
    Ok(IntArray { shape: tensor.shape.clone(), values, fortran_order: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(shape: &[usize], k: usize, fortran_order: bool) -> Result<Vec<Vec<u32>>, String> {
        let values = (1..=shape.iter().product::<usize>() as i64).collect();
        let array = IntArray { shape: shape.to_vec(), values, fortran_order };
        let codes = array.codes(k, false).map_err(|e| e.to_string())?;
        Ok(codes.frames().map(<[u32]>::to_vec).collect())
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
        let short = IntArray { shape: vec![1 << 63, 6], values: vec![], fortran_order: false };
        assert!(short.codes(6, false).is_err());
    }

    #[test]
    fn lists_in_json_are_arrays() {
        let read = |text: &str| IntArray::from_json(&serde_json::from_str(text).unwrap());
        let codes = |text: &str, k| read(text).unwrap().unwrap().codes(k, true).unwrap();
        assert_eq!(codes("[[1,2],[3,4],[5,6]]", 2), Codes::from_frames([[1, 2], [3, 4], [5, 6]]).unwrap());
        assert_eq!(codes("[[1,3,5],[2,4,6]]", 2), Codes::from_frames([[1, 2], [3, 4], [5, 6]]).unwrap());
        assert_eq!(codes("[[[1,2],[3,4]]]", 2), Codes::from_frames([[1, 2], [3, 4]]).unwrap());
        assert!(read("{\"frames\": []}").unwrap().is_none());
        for wrong in ["[[1,2],[3]]", "[[1,2],3]", "[[1.5,2]]", "[[\"a\"]]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_archive_of_numpys_is_read() {
        use std::io::Write;
        let header = |shape: &str| {
            let text = format!("{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}");
            let text = format!("{text:<117}\n");
            [b"\x93NUMPY\x01\x00".to_vec(), (text.len() as u16).to_le_bytes().to_vec(), text.into_bytes()].concat()
        };
        let array = |ids: [i32; 6]| [header("(3, 2)"), ids.iter().flat_map(|id| id.to_le_bytes()).collect()].concat();
        let archive = |arrays: &[(&str, [i32; 6])]| {
            let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for (n, (name, ids)) in arrays.iter().enumerate() {
                let method = if n == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
                zip.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
                zip.write_all(&array(*ids)).unwrap();
            }
            zip.finish().unwrap().into_inner()
        };
        let read = |bytes: &[u8]| IntArray::read(bytes).map(|array| array.unwrap().codes(2, false).unwrap());
        let expected = Codes::from_frames([[1, 2], [3, 4], [5, 6]]).unwrap();
        assert_eq!(read(&archive(&[("arr_0.npy", [1, 2, 3, 4, 5, 6])])).unwrap(), expected);
        let nested = IntArray::read(&header(&"[".repeat(70))).unwrap_err().to_string();
        assert!(nested.contains("something else"), "{nested}");
        assert_eq!(read(&archive(&[("other.npy", [0; 6]), ("codes.npy", [1, 2, 3, 4, 5, 6])])).unwrap(), expected);
        assert!(read(&archive(&[("a.npy", [0; 6]), ("b.npy", [0; 6])])).unwrap_err().to_string().contains("several"));
        assert!(read(&archive(&[("a.txt", [0; 6])])).unwrap_err().to_string().contains("without codes"));
    }

    #[test]
    fn a_transposed_tensor_is_read_by_its_strides() {
        let tensor = pickle::SavedTensor {
            name: String::new(),
            storage_type: "LongStorage".into(),
            storage: "0".into(),
            offset: 1,
            shape: vec![3, 2],
            strides: vec![1, 3],
        };
        let storage: Vec<u8> = (0..7i64).flat_map(i64::to_le_bytes).collect();
        let array = torch_tensor(&tensor, &storage).unwrap();
        assert_eq!(array.values, [1, 4, 2, 5, 3, 6]);
        assert!(torch_tensor(&pickle::SavedTensor { offset: 5, ..tensor }, &storage).is_err());
    }
}
