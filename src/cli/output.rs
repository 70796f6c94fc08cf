//! Standard output, and files named by the user.

use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::audio::wav;
use crate::error::{Error, Result};

/// The name that stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Writes to standard output. A closed pipe is no error: whoever read it has seen enough.
fn write_stdout(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::write("(standard output)", e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line to standard output.
pub(super) fn print_line(text: &str) -> Result<()> {
    write_stdout(format!("{text}\n").as_bytes())
}

/// Whether `path` stands for standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new(STANDARD_OUTPUT)
}

/// Checks the name of a WAV file before anything is computed.
pub(super) fn check_wav_name(path: &Path) -> Result<()> {
    match path.extension().map(|e| e.to_string_lossy().to_lowercase()) {
        Some(extension) if extension != "wav" => {
            let expected = "a name that ends in .wav (no other format is written), or - for standard output";
            Err(Error::invalid("output", expected, path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a WAV file's bytes to `path` or standard output.
pub(super) fn save_wav(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdout(path) { write_stdout(bytes) } else { wav::save(path, bytes) }
}
