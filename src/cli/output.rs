//! Standard output, and files named by the user.

use std::borrow::Cow;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::audio::wav;
use crate::error::{Error, Result};
use crate::files::{Destination, destination};

/// The name of standard output in arguments.
const STANDARD_OUTPUT: &str = "-";

/// Writes to standard output. A closed pipe is not an error: its reader has seen enough.
fn write_stdout(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::write("(standard output)", e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line, or several, to standard output.
pub(super) fn print_line(text: &str) -> Result<()> {
    write_stdout(format!("{}\n", printable(text)).as_bytes())
}

/// Prints a line to standard error. Whether anybody reads it changes nothing.
pub(super) fn print_message(text: std::fmt::Arguments<'_>) {
    let line = format!("{}\n", printable(&text.to_string()));
    std::io::stderr().lock().write_all(line.as_bytes()).ok();
}

/// `eprintln!` that survives a closed standard error and shows foreign text as text.
macro_rules! message {
    ($($text:tt)*) => { $crate::cli::output::print_message(format_args!($($text)*)) };
}
pub(super) use message;

/// `text` with control and direction-changing characters spelled out: names and texts of files must not steer the terminal.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let spelled = |c: char| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(spelled).collect())
}

/// Whether `path` means standard output.
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

/// Checks that no output is an input or another output, by whatever path or link: it would be lost.
pub(super) fn check_apart<'a>(
    outputs: impl IntoIterator<Item = &'a Path>,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    // One file has one identity by whatever folder's name, links included, also before it exists.
    let identity = |path: &Path| match destination(path) {
        Ok(Destination::File { target, folder }) => Some(folder.canonicalize().ok()?.join(target.file_name()?)),
        Ok(Destination::Stream) | Err(_) => path.canonicalize().or_else(|_| std::path::absolute(path)).ok(),
    };
    let mut seen: Vec<_> = inputs.into_iter().filter_map(identity).collect();
    for path in outputs.into_iter().filter(|path| !is_stdout(path)) {
        let Some(id) = identity(path) else { continue };
        let is_file = !std::fs::metadata(path).is_ok_and(|found| !found.is_file()); // a device may serve twice
        if is_file && seen.contains(&id) {
            let expected = "a file that is neither an input nor another output";
            return Err(Error::invalid("output", expected, path.display()));
        }
        seen.push(id);
    }
    Ok(())
}

/// Checks that each output has a folder that it can be written to, before anything is computed.
pub(super) fn check_folders(outputs: &[PathBuf]) -> Result<()> {
    for path in outputs {
        let Destination::File { folder, .. } = destination(path).map_err(|e| Error::write(path, e))? else { continue };
        if !folder.is_dir() {
            return Err(Error::write(path, format!("there is no folder {}", folder.display())));
        }
    }
    Ok(())
}

/// Checks the outputs of a command before anything is read: each is (flag, file, the ending that its format has). None may be an input,
/// another output, or end like another format that this program knows.
pub(super) fn check_outputs<'a, const N: usize>(
    outputs: [(&'static str, &'a Option<PathBuf>, &str); N],
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    const KNOWN: [&str; 12] =
        ["csv", "html", "htm", "json", "md", "mp3", "npy", "pdf", "png", "safetensors", "txt", "wav"];
    for (flag, path, ending) in &outputs {
        let Some(path) = path else { continue };
        let found = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let fits = found == *ending || *ending == "html" && found == "htm" || *ending == "csv" && found == "txt";
        if KNOWN.contains(&found.as_str()) && !fits {
            return Err(Error::invalid(*flag, format!("a name that ends in .{ending}"), path.display()));
        }
    }
    check_apart(outputs.iter().filter_map(|(_, path, _)| path.as_deref()), inputs)
}

/// Writes a WAV file's bytes to `path` or standard output.
pub(super) fn save_wav(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_stdout(path) { write_stdout(bytes) } else { wav::save(path, bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn one_file_by_two_names_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        let [same, turned, linked] = ["real/a", "real/../real/a", "link/a"].map(|name| folder.path().join(name));
        for other in [&turned, &linked] {
            assert!(check_apart([same.as_path(), other.as_path()], []).is_err(), "{}", other.display());
            assert!(check_apart([same.as_path()], [other.as_path()]).is_err(), "{}", other.display());
        }
        assert!(check_apart([same.as_path(), folder.path().join("a").as_path()], []).is_ok());
        assert!(check_folders(&[folder.path().join("none/a")]).is_err() && check_folders(&[linked]).is_ok());
    }

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\n");
        assert!(matches!(printable("Grüße,\tå"), Cow::Borrowed(_)));
    }
}
