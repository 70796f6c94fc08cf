//! The header of a safetensors file.

use ::safetensors::tensor::{Dtype as StoredDtype, Metadata, TensorInfo};

use super::{HeaderEntry, Numbers, WeightFile};
use crate::data::Dtype;
use crate::error::{Error, Result};

const HEADER_LIMIT: u64 = 100 << 20;

/// Name and place of every tensor, checked to lie within the file without gap or overlap.
pub(super) fn header(file: &WeightFile) -> Result<Vec<HeaderEntry>> {
    let length = file.length();
    if length < 8 {
        return Err(file.damaged(format!("it has {length} bytes")));
    }
    let size = file.read_at(0, 8)?.iter().rev().fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
    if size > HEADER_LIMIT || size + 8 > length {
        return Err(file.damaged(format!("its header would take {size} bytes of {length}")));
    }
    let header: Metadata = serde_json::from_slice(&file.read_at(8, size as usize)?)
        .map_err(|e| file.damaged(format!("its header: {e}")))?;
    let found = header.tensors();
    let mut tensors: Vec<(String, TensorInfo)> = found.into_iter().map(|(name, info)| (name, info.clone())).collect();
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let data_end = tensors.last().map_or(0, |(_, info)| info.data_offsets.1) as u64;
    let end = data_end.saturating_add(size + 8);
    Metadata::new(None, tensors.clone()).map_err(|e| file.damaged(e))?;
    if length < end {
        let problem = format!("has {length} of {end} bytes: the download or copy is not complete; fetch it again");
        return Err(Error::weights(file.path(), problem));
    }
    if length > end {
        return Err(file.damaged(format!("its tensors end at byte {end}, the file at {length}")));
    }
    let entry = |(name, info): (String, TensorInfo)| HeaderEntry {
        name,
        numbers: numbers(info.dtype),
        shape: info.shape,
        start: size + 8 + info.data_offsets.0 as u64,
        length: info.data_offsets.1 - info.data_offsets.0,
    };
    Ok(tensors.into_iter().map(entry).collect())
}

fn numbers(dtype: StoredDtype) -> Numbers {
    match dtype {
        StoredDtype::F32 => Numbers::Float(Dtype::Float32),
        StoredDtype::F16 => Numbers::Float(Dtype::Float16),
        StoredDtype::BF16 => Numbers::Float(Dtype::Bfloat16),
        StoredDtype::U32 => Numbers::Word,
        other => Numbers::Other(format!("{other:?}")),
    }
}
