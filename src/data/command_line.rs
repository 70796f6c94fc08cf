//! The `csm generate` line that reproduces a clip. One of the two places that spell flags; the other is the command line itself.

use std::borrow::Cow;
use std::path::Path;

use super::{ClipSpec, PARAMS, Stage};

/// The flag of the setting called `key` in token files.
pub fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// `text` as one word of a POSIX shell.
fn quote(text: &str) -> Cow<'_, str> {
    // A control character could end a terminal's paste and run what follows it.
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        let spelled = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            '\0' => String::new(),
            c if c.is_ascii_control() => format!("\\x{:02x}", c as u32),
            c if c.is_control() => format!("\\u{:04x}", c as u32),
            c => c.into(),
        };
        return Cow::Owned(format!("$'{}'", text.chars().map(spelled).collect::<String>()));
    }
    // Only a NUL byte cannot be quoted, and no argument can contain one.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed("''"))
}

/// The line that makes a clip of `spec` again, at most `max_ms` long. What it cannot spell out (context, edits)
/// is taken from `token_file`.
pub fn generate_line(
    spec: &ClipSpec,
    max_ms: u64,
    token_file: &Path,
    model: Option<&Path>,
    adapter: Option<&str>,
) -> String {
    let mut line = String::from("csm generate");
    let mut add = |flag: &str, value: &str| line += &format!(" {flag} {}", quote(value));
    if spec.edits.is_empty() && spec.context.is_empty() {
        let sampling = &spec.sampling;
        add("--text", &spec.text);
        add("--speaker", &spec.speaker.to_string());
        add("--sampling", sampling.mode.name());
        for stage in Stage::ALL {
            for param in PARAMS {
                let value = (param.get)(sampling.stage(stage));
                if param.absent != Some(value) {
                    add(&flag(&param.key_of(stage)), &value.to_string());
                }
            }
        }
        add("--seed", &sampling.seed.to_string());
        add("--precision", sampling.precision.name());
        add("--max-audio-length-ms", &max_ms.to_string());
        if let Some(guard) = sampling.guard {
            add("--guard-range", &guard.to_string());
        }
    } else {
        add("--again", &token_file.to_string_lossy());
    }
    if let Some(model) = model {
        add("--model-path", &model.to_string_lossy());
    }
    if let Some(adapter) = adapter {
        add("--adapter", adapter);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_pasted_line_cannot_end_a_terminals_paste() {
        let hostile = "Hello\u{1b}[201~\nrm 'x'\u{9b}";
        let line = quote(hostile).into_owned();
        assert!(!line.contains('\u{1b}') && !line.contains('\u{9b}'), "{line:?}");
        let said = std::process::Command::new("bash").args(["-c", &format!("printf %s {line}")]).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), hostile);
    }
}
