//! The header of a `torch.save` file (`ckpt.pt`): a zip archive with a pickle that describes the tensors and one stored entry for
//! each storage.

use std::io::{self, Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::{HeaderEntry, Numbers, WeightFile};
use crate::data::Dtype;
use crate::error::{Error, Result};
use crate::pickle::{self, SavedTensor};

const PICKLE_LIMIT: u64 = 64 << 20;
/// Most entries of the archive.
const ENTRIES: usize = 100_000;

/// Name and place of every tensor.
pub(super) fn header(file: &WeightFile) -> Result<Vec<HeaderEntry>> {
    let incomplete = |e| {
        let problem =
            format!("is a zip archive (torch.save) that cannot be read: {e}; it may be an incomplete download");
        Error::weights(file.path(), problem)
    };
    let mut archive = ZipArchive::new(Reader { file, position: 0 }).map_err(|e| incomplete(e.to_string()))?;
    if archive.len() > ENTRIES {
        return Err(file.damaged(format!("its archive has {} entries", archive.len())));
    }
    let names = archive.file_names().map_while(Result::ok);
    let pickle_name = names.map(|n| n.into_owned()).find(|n| n.ends_with("/data.pkl"));
    let Some(pickle_name) = pickle_name else {
        return Err(file.damaged("it is a zip archive without data.pkl, expected what torch.save writes"));
    };
    let prefix = pickle_name.trim_end_matches("data.pkl").to_owned();
    let mut bytes = Vec::new();
    let entry = archive.by_name(&pickle_name).map_err(|e| incomplete(e.to_string()))?;
    entry.take(PICKLE_LIMIT).read_to_end(&mut bytes).map_err(|e| incomplete(e.to_string()))?;
    let tensors = pickle::state_dict(&bytes).map_err(|problem| {
        Error::weights(file.path(), format!("data.pkl: {problem}; expected a dictionary of tensors (a state_dict)"))
    })?;
    tensors.into_iter().map(|tensor| locate(file, &mut archive, &prefix, tensor)).collect()
}

fn locate(
    file: &WeightFile,
    archive: &mut ZipArchive<Reader<'_>>,
    prefix: &str,
    tensor: SavedTensor,
) -> Result<HeaderEntry> {
    let damaged = |problem: String| file.damaged(format!("{}: {problem}", tensor.name));
    let entry = archive.by_name(&format!("{prefix}data/{}", tensor.storage)).map_err(|e| damaged(e.to_string()))?;
    if entry.compression() != zip::CompressionMethod::Stored {
        return Err(damaged("its storage is compressed, expected it stored as torch.save does".into()));
    }
    let Some(data_start) = entry.data_start() else {
        return Err(damaged("its storage has no place in the file".into()));
    };
    // The archive's directory may promise more than the file holds.
    if data_start.checked_add(entry.size()).is_none_or(|end| end > file.length()) {
        let size = entry.size();
        return Err(damaged(format!(
            "its storage of {size} bytes is longer than the file; it may be an incomplete download"
        )));
    }
    let (numbers, size) = number_type(&tensor.storage_type);
    if !tensor.is_contiguous() {
        return Err(damaged(format!("expected contiguous numbers, got strides {:?}", tensor.strides)));
    }
    let count = tensor.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let length = count.and_then(|n| n.checked_mul(size));
    let offset = tensor.offset.checked_mul(size);
    match (length, offset) {
        (Some(length), Some(offset)) if offset.checked_add(length).is_some_and(|end| end as u64 <= entry.size()) => {
            Ok(HeaderEntry {
                name: tensor.name,
                numbers,
                shape: tensor.shape,
                start: data_start + offset as u64,
                length,
            })
        }
        _ => Err(damaged(format!("shape {:?} does not fit its storage of {} bytes", tensor.shape, entry.size()))),
    }
}

/// Number type and bytes per number of PyTorch's storage classes.
fn number_type(storage_type: &str) -> (Numbers, usize) {
    match storage_type {
        "FloatStorage" => (Numbers::Float(Dtype::Float32), 4),
        "HalfStorage" => (Numbers::Float(Dtype::Float16), 2),
        "BFloat16Storage" => (Numbers::Float(Dtype::Bfloat16), 2),
        "DoubleStorage" | "LongStorage" => (Numbers::Other(storage_type.into()), 8),
        "IntStorage" => (Numbers::Other(storage_type.into()), 4),
        "ShortStorage" => (Numbers::Other(storage_type.into()), 2),
        other => (Numbers::Other(other.into()), 1),
    }
}

/// A weight file as the zip reader wants it.
struct Reader<'a> {
    file: &'a WeightFile,
    position: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.length().saturating_sub(self.position);
        let length = (buffer.len() as u64).min(left) as usize;
        let bytes = self.file.read_at(self.position, length).map_err(io::Error::other)?;
        buffer[..length].copy_from_slice(&bytes);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.file.length().checked_add_signed(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
