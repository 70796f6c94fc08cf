//! A speech recogniser that the user names: a command that gets a WAV file and prints its transcript.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The placeholder of the file's path in a command.
const PLACEHOLDER: &str = "{wav}";
/// Time after which a command is stopped: recognisers load models of gigabytes, and clips are short.
const PATIENCE: Duration = Duration::from_secs(300);
/// Time between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(20);
/// Time that its own processes have to close its output after it has ended.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes that it may print on either output.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// A command that recognises speech.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recogniser {
    words: Vec<String>,
    program: PathBuf,
}

/// The program `name` on PATH, or in a folder where package managers put programs: what the Finder starts has the system's PATH alone.
fn find_program(name: &str) -> Result<PathBuf, which::Error> {
    let home = std::env::home_dir().unwrap_or_default();
    let further =
        ["/opt/homebrew/bin".into(), "/usr/local/bin".into(), "/opt/local/bin".into(), home.join(".local/bin")];
    which::which(name).or_else(|_| {
        let folders = std::env::join_paths(further).unwrap_or_default();
        which::which_in(name, Some(folders), ".")
    })
}

impl Recogniser {
    /// Reads a command line with quotes as a shell has them; no shell runs it. `{wav}` is replaced by the file's path, which follows the
    /// last word if it does not appear.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] for an empty line and an open quote; [`Error::Unavailable`] if there is no such program.
    pub fn parse(line: &str) -> Result<Self> {
        let words = shlex::split(line).filter(|words| !words.is_empty());
        let mut words = words.ok_or_else(|| Error::invalid("recogniser", "a command", format!("“{line}”")))?;
        if !words.iter().any(|word| word.contains(PLACEHOLDER)) {
            words.push(PLACEHOLDER.into());
        }
        let found = find_program(&words[0]);
        let recogniser = Self { words, program: PathBuf::new() };
        match found {
            Ok(program) => Ok(Self { program, ..recogniser }),
            Err(e) => Err(recogniser.failure("is not there", Some(e.into()))),
        }
    }

    /// Standard output of the command for the content of a WAV file. Ends early, with nothing, once `cancelled` says so.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the command cannot be started, fails, takes more than five minutes or prints no text.
    pub fn transcribe(&self, wav: &[u8], cancelled: impl Fn() -> bool) -> Result<String> {
        let failed = |source: std::io::Error| self.failure("cannot be run", Some(source.into()));
        let file = tempfile::Builder::new().suffix(".wav").tempfile().map_err(failed)?;
        std::fs::write(file.path(), wav).map_err(failed)?;
        let mut child = self.command(file.path()).spawn().map_err(failed)?;
        // Both pipes are read while the command runs: a full one would stop it.
        let (said, complaints) = (read_in_background(child.stdout.take()), read_in_background(child.stderr.take()));
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status;
            }
            if cancelled() || begun.elapsed() > PATIENCE {
                stop(&mut child);
                let late = || self.failure(&format!("did not end within {} s", PATIENCE.as_secs()), None);
                return Err(if cancelled() { Error::Cancelled } else { late() });
            }
            std::thread::sleep(LOOK);
        };
        // A child of the recogniser may outlive it and hold its output open.
        let ended = Instant::now();
        while !(said.is_finished() && complaints.is_finished()) {
            if ended.elapsed() > LINGER {
                stop(&mut child);
                return Err(self.failure("has ended, but something that it started still holds its output open", None));
            }
            std::thread::sleep(LOOK);
        }
        let (said, complaints) = (said.join().unwrap_or_default(), complaints.join().unwrap_or_default());
        if [&said, &complaints].iter().any(|bytes| bytes.len() as u64 > OUTPUT_LIMIT) {
            return Err(self.failure(&format!("printed more than {} MB", OUTPUT_LIMIT >> 20), None));
        }
        let text = String::from_utf8;
        if !status.success() {
            let complaint = text(complaints).unwrap_or_default();
            let last = complaint.trim().lines().last().unwrap_or_default().to_owned();
            return Err(self.failure(&format!("ended with {status}: {last}"), None));
        }
        text(said).map_err(|e| self.failure("printed something else than text", Some(e.into())))
    }

    fn command(&self, wav: &Path) -> Command {
        let path = wav.to_string_lossy();
        let words: Vec<String> = self.words.iter().map(|word| word.replace(PLACEHOLDER, &path)).collect();
        let mut command = Command::new(&self.program);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A separate process group, which can be killed as a whole.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    fn failure(&self, problem: &str, source: Option<crate::error::BoxError>) -> Error {
        Error::Unavailable {
            what: format!("the recogniser “{}” {problem}", self.words.join(" ")),
            hint: "give a command that takes the path of a WAV file and prints its transcript".into(),
            source,
        }
    }
}

fn read_in_background(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe
            && let Err(e) = pipe.by_ref().take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes)
        {
            tracing::warn!("the recogniser's output ends early: {e}");
        }
        bytes
    })
}

/// Ends the command and all that it has started.
fn stop(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(group) = i32::try_from(child.id()) {
        // That there is none left is no failure.
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL).ok();
    }
    if let Err(e) = child.kill().and_then(|()| child.wait().map(drop)) {
        tracing::warn!("the recogniser cannot be stopped: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> bool {
        false
    }

    #[test]
    fn a_command_gets_the_file_and_its_output_is_the_transcript() {
        let recogniser = Recogniser::parse("cat").unwrap();
        assert_eq!(recogniser.transcribe(b"hello", never).unwrap(), "hello");
        let quoted = Recogniser::parse("sh -c 'echo words; test -s \"$1\"' name {wav}").unwrap();
        assert_eq!(quoted.transcribe(b"RIFF", never).unwrap(), "words\n");
    }

    #[test]
    fn what_goes_wrong_is_told() {
        for line in ["", "  ", "say 'something"] {
            assert!(Recogniser::parse(line).is_err(), "{line}");
        }
        let message = |line: &str| Recogniser::parse(line).unwrap().transcribe(b"", never).unwrap_err().to_string();
        let missing = Recogniser::parse("no-such-recogniser {wav}").unwrap_err().to_string();
        assert!(missing.contains("no-such-recogniser") && missing.contains("is not there"), "{missing}");
        assert!(message("sh -c 'echo no model >&2; exit 3'").contains("no model"));
        // Neither takes all memory nor time without end.
        assert!(message("yes").contains("more than 1 MB"));
        assert!(message("sh -c 'yes >&2'").contains("more than 1 MB"));
        let begun = Instant::now();
        assert!(message("sh -c 'sleep 100 & echo hi'").contains("holds its output open"));
        assert!(begun.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_command_can_be_cancelled() {
        let begun = Instant::now();
        let stopped = Recogniser::parse("sh -c 'exec sleep 60' {wav}").unwrap().transcribe(b"", || true);
        assert!(matches!(stopped, Err(Error::Cancelled)) && begun.elapsed() < Duration::from_secs(20));
    }
}
