//! A WAV file that grows while sound is made: under a temporary name next to its destination, and complete after every piece.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hound::WavWriter;
use lofty::config::WriteOptions;
use lofty::tag::TagExt;
use tempfile::NamedTempFile;

use super::wav::{WavInfo, quantise_sample, wav_spec};
use crate::error::{Error, Result};
use crate::files::{Destination, PART, destination, leftovers, name_with_room, open_regular, persist, sync};

/// A WAV file being written, 16-bit mono.
pub struct WavStream {
    path: PathBuf,
    destination: Destination,
    rate: usize,
    part: PendingFile,
    samples: usize,
    clipped: usize,
    /// Why the sound goes to the temporary folder instead.
    failure: Option<io::Error>,
}

/// A WAV file that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavWritten {
    /// Number of samples that were written.
    pub samples: usize,
    /// Samples past full scale, which are clipped.
    pub clipped: usize,
}

struct PendingFile {
    file: NamedTempFile,
    writer: WavWriter<BufWriter<File>>,
}

impl PendingFile {
    fn new(file: NamedTempFile, rate: usize) -> io::Result<Self> {
        let writer = WavWriter::new(BufWriter::new(file.reopen()?), wav_spec(rate, 1)).map_err(io_error)?;
        Ok(Self { file, writer })
    }

    fn push(&mut self, samples: &[i16]) -> io::Result<()> {
        samples.iter().try_for_each(|s| self.writer.write_sample(*s).map_err(io_error))?;
        // The sizes in the header: whoever finds the file after a crash can play it.
        self.writer.flush().map_err(io_error)
    }
}

fn io_error(e: hound::Error) -> io::Error {
    match e {
        hound::Error::IoError(e) => e,
        other => io::Error::other(other),
    }
}

impl WavStream {
    /// Begins a file at `path`; `-` is standard output. What is at `path` stays until [`WavStream::finish`].
    ///
    /// # Errors
    /// [`Error::Write`] if no file can be made there.
    pub fn create(path: &Path, rate: usize) -> Result<Self> {
        let error = |e: io::Error| Error::write(path, e);
        let destination = destination(path).map_err(error)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = match &destination {
            Destination::File { folder, .. } => named_temporary(&name, Some(folder)),
            Destination::Stream => named_temporary("csm.wav", None),
        };
        let part = file.and_then(|file| PendingFile::new(file, rate)).map_err(error)?;
        // Held until the file is renamed or this process ends; a system without locks loses only the report of unfinished files.
        part.file.as_file().try_lock().ok();
        Ok(Self { path: path.to_owned(), destination, rate, part, samples: 0, clipped: 0, failure: None })
    }

    /// Appends `samples`. Where the disk is full, all of it goes to the temporary folder from now on.
    ///
    /// # Errors
    /// [`Error::Write`] if that fails too.
    pub fn push(&mut self, samples: &[f32]) -> Result<()> {
        let mut integers = Vec::with_capacity(samples.len());
        for s in samples {
            let (value, clipped) = quantise_sample(*s);
            integers.push(value);
            self.clipped += usize::from(clipped);
        }
        if let Err(e) = self.part.push(&integers) {
            if self.failure.is_some() {
                return Err(Error::write(&self.path, e));
            }
            match self.rescue(&integers) {
                Ok(()) => self.failure = Some(e),
                Err(again) => {
                    tracing::error!("the temporary folder cannot be written either: {again}");
                    return Err(Error::write(&self.path, e));
                }
            }
        }
        self.samples += samples.len();
        Ok(())
    }

    /// Continues in the temporary folder: the samples so far, then `samples`.
    fn rescue(&mut self, samples: &[i16]) -> io::Result<()> {
        let stem = self.path.file_stem().map_or_else(|| "audio".into(), |n| n.to_string_lossy().into_owned());
        let file = tempfile::Builder::new().prefix(&format!("{}-", name_with_room(&stem))).suffix(".wav").tempfile()?;
        let mut part = PendingFile::new(file, self.rate)?;
        const HEADER: u64 = 44;
        let mut written = self.part.file.reopen()?;
        written.seek(SeekFrom::Start(HEADER))?;
        let mut bytes = vec![0; 2 * self.samples];
        written.read_exact(&mut bytes)?;
        let before: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        part.push(&before)?;
        part.push(samples)?;
        self.part = part;
        Ok(())
    }

    /// Completes the file and puts it in its place.
    ///
    /// # Errors
    /// [`Error::Write`] with the file in the temporary folder that the sound went to.
    pub fn finish(self, info: &WavInfo) -> Result<WavWritten> {
        let Self { path, destination, part, samples, clipped, failure, .. } = self;
        let PendingFile { file, writer } = part;
        let completed = writer.finalize().map_err(io_error).and_then(|()| {
            let mut reopened = File::options().read(true).write(true).open(file.path())?;
            info.tags().save_to(&mut reopened, WriteOptions::default()).map_err(io::Error::other)?;
            sync(&reopened)
        });
        let placed = match (failure, completed) {
            (None, Ok(())) => persist(file, &destination, &path).map_err(|(e, file)| (e, Some(file))),
            (Some(e), _) | (None, Err(e)) => Err((e, Some(file))),
        };
        match placed {
            Ok(()) => Ok(WavWritten { samples, clipped }),
            Err((e, file)) => {
                Err(Error::Write { path: path.clone(), source: e.into(), rescued: file.and_then(|f| keep(f, &path)) })
            }
        }
    }
}

/// Files that programs which ended early have left for the output `path`: the sound so far, which can be played. Sorted by name.
pub fn unfinished(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(Destination::File { folder, .. }) = destination(path) else { return Vec::new() };
    let prefix = format!("{}.", name_with_room(&name));
    leftovers(&folder, &prefix, |found| open_regular(found).is_ok_and(|file| file.try_lock().is_ok()))
}

/// Keeps the sound in the temporary folder.
fn keep(mut file: NamedTempFile, path: &Path) -> Option<PathBuf> {
    if file.path().starts_with(std::env::temp_dir()) && file.path().extension().is_some_and(|e| e == "wav") {
        return file.keep().ok().map(|(_, path)| path);
    }
    let stem = path.file_stem().map_or_else(|| "audio".into(), |n| n.to_string_lossy().into_owned());
    let mut rescued =
        tempfile::Builder::new().prefix(&format!("{}-", name_with_room(&stem))).suffix(".wav").tempfile().ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    io::copy(&mut file, &mut rescued).ok()?;
    rescued.flush().ok()?;
    rescued.keep().ok().map(|(_, path)| path)
}

/// A temporary file whose name says what it will be.
fn named_temporary(name: &str, folder: Option<&Path>) -> io::Result<NamedTempFile> {
    let prefix = format!("{}.", name_with_room(name));
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(PART);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // reduced by the umask
    match folder {
        Some(folder) => builder.tempfile_in(folder),
        None => builder.tempfile().or_else(|e| {
            // Sound for standard output has to be somewhere until it is complete.
            let others = ["/tmp", "/var/tmp", "/dev/shm", "."];
            others.iter().find_map(|folder| builder.tempfile_in(folder).ok()).ok_or(e)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{recording, wav};

    #[test]
    fn a_file_grows_and_then_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, "old").unwrap();
        let mut stream = WavStream::create(&path, 24_000).unwrap();
        stream.push(&[0.25; 1_000]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        // A crash would leave a playable file.
        let part = std::fs::read_dir(folder.path()).unwrap().flatten().find(|e| e.path() != path).unwrap().path();
        assert!(part.file_name().unwrap().to_string_lossy().starts_with("a.wav."));
        assert_eq!(recording::samples(&part, 24_000).unwrap().len(), 1_000);
        stream.push(&[2.0; 10]).unwrap();
        let info = WavInfo { title: "héllo".into(), artist: "a".into(), comment: "synthetic".into() };
        assert_eq!(stream.finish(&info).unwrap(), WavWritten { samples: 1_010, clipped: 10 });
        let samples = recording::samples(&path, 24_000).unwrap();
        assert_eq!((samples.len(), samples[0]), (1_010, 0.25));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        let clip: Vec<f32> = [vec![0.25; 1_000], vec![2.0; 10]].concat();
        assert_eq!(std::fs::read(&path).unwrap(), wav::encode(&clip, 24_000, &info).unwrap().0);
    }

    #[test]
    fn what_an_ended_program_left_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let left = folder.path().join("a.wav.x1.part");
        std::fs::write(&left, "RIFF").unwrap();
        std::fs::write(folder.path().join("b.wav.x1.part"), "RIFF").unwrap();
        let running = WavStream::create(&path, 24_000).unwrap();
        assert_eq!(unfinished(&path), [left], "neither another output's nor a running program's");
        drop(running);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(WavStream::create(&folder.path().join("none/a.wav"), 24_000).is_err());
    }

    #[test]
    fn a_dropped_stream_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut stream = WavStream::create(&folder.path().join("a.wav"), 24_000).unwrap();
        stream.push(&[0.0; 10]).unwrap();
        drop(stream);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
