//! `csm listen run`.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::audio::player::{Player, Sink};
use crate::cli::Outcome;
use crate::cli::output::{message, print_line};
use crate::data::{MIMI_SAMPLE_RATE as RATE, random_seed};
use crate::error::{Error, Result};
use crate::listen::{AnswerButton, AnswerForm, Choice, ListeningTest, Results, Run, TestKindInfo};

/// Flags of `csm listen run`.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    /// File of the listening test
    #[arg(value_name = "TEST")]
    test: PathBuf,
    /// File of the answers; an existing one is resumed
    #[arg(long, value_name = "FILE", default_value = "results.json")]
    results: PathBuf,
    /// Name of the listener [default: anonymous, or whose results are resumed]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Your headphones or loudspeakers
    #[arg(long, value_name = "TEXT", default_value = "")]
    device: String,
    /// Number of the listener, from 1, which gives their list of trials [default: random]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    number: Option<u32>,
}

pub(super) fn listen(args: &RunArgs) -> Result<Outcome> {
    let test = ListeningTest::read(&args.test)?;
    let results = match args.results.symlink_metadata().is_ok() {
        true => Results::read(&args.results, &test)?,
        false => {
            let number = args.number.map_or_else(random_seed, |n| Ok(u64::from(n) - 1))?;
            Results::new(&test, args.listener.as_deref().unwrap_or("anonymous"), &args.device, number as usize)
        }
    };
    if let Some(listener) = args.listener.as_ref().filter(|name| **name != results.listener) {
        let problem = format!(
            "these are the answers of {:?}, and those of {listener:?} cannot be added; choose another file with --results",
            results.listener
        );
        return Err(Error::file(&args.results, problem));
    }
    let sounds = test.mono_sounds(&args.test)?;
    let mut player = Player::new(Sink::Device(None));
    // A machine without a device says so before the first question.
    player.load(&[0.0; RATE / 100], RATE);
    player.play(true)?;
    player.play(false)?;
    let mut run = Run::new(&test, results);
    let clock = Instant::now();
    let now = || clock.elapsed().as_secs_f64();
    let mut begun = now();
    let mut lines = std::io::stdin().lock().lines();
    let info = test.kind.info();
    if run.progress().0 == 0 && !test.study.instructions.is_empty() {
        message!("{}", test.study.instructions);
    }
    while let Some(trial) = run.trial() {
        let names: Vec<String> = (0..trial.buttons().len()).map(|button| info.button_name(trial, button)).collect();
        let (values, practice) = (trial.stimuli.len(), if trial.training { " (practice)" } else { "" });
        let (answered, all) = run.progress();
        message!("\nTrial {} of {all}{practice}: {}", answered + 1, test.question);
        message!("{}", keys(info, &names));
        std::io::stderr().flush().ok(); // a prompt that is late is not a reason to stop
        let Some(line) = lines.next().transpose().map_err(|e| Error::read("(standard input)", e))? else { break };
        match parse(line.trim(), info, names.len()) {
            Some(Said::Play(button)) => {
                if let Some(stimulus) = run.play(button, 0.0, now()) {
                    let (samples, rate) = &sounds[stimulus];
                    player.load(samples, *rate);
                    player.play(true)?;
                }
            }
            Some(Said::Answer(Choice::Values(given))) if info.form_has_sliders() && given.len() != values => {
                message!("expected {values} values, got {}", given.len());
            }
            Some(Said::Answer(choice)) => {
                let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                match run.answer(choice, at, now() - begun, now()) {
                    Ok(()) => {
                        player.play(false)?;
                        begun = now();
                        run.results().write(&args.results)?;
                    }
                    Err(e) => message!("{e}"),
                }
            }
            Some(Said::Undo) => {
                run.undo();
                run.results().write(&args.results)?;
            }
            Some(Said::Quit) => break,
            None => message!("not understood: {line:?}"),
        }
    }
    let (answered, all) = run.progress();
    let rest = if answered < all { "; run it again to continue" } else { "" };
    print_line(&format!("{}: {answered} of {all} trials answered{rest}", args.results.display()))?;
    Ok(Outcome::Done)
}

/// The inputs of a trial.
fn keys(info: &TestKindInfo, names: &[String]) -> String {
    let play: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("{} plays {name}", n + 1)).collect();
    let answer = match info.form {
        AnswerForm::Buttons(buttons) => {
            buttons.iter().map(|b| format!("{}: {}", typed(b), b.label)).collect::<Vec<_>>().join(", ")
        }
        AnswerForm::Sliders { min, max, .. } => format!("v and a value for each of A, B, …, {min} to {max}"),
    };
    format!("{}; {answer}; u undoes the last answer, q stops", play.join(", "))
}

/// The input that presses a button. A digit alone plays a sound.
fn typed(button: &AnswerButton) -> String {
    if button.key.is_ascii_digit() { format!("v {}", button.key) } else { button.key.to_string() }
}

/// A line of the listener.
enum Said {
    Play(usize),
    Answer(Choice),
    Undo,
    Quit,
}

fn parse(line: &str, info: &TestKindInfo, buttons: usize) -> Option<Said> {
    let line = line.to_lowercase();
    match (line.as_str(), info.form) {
        ("u", _) => return Some(Said::Undo),
        ("q", _) => return Some(Said::Quit),
        (_, AnswerForm::Buttons(answers)) => {
            if let Some(answer) = answers.iter().find(|answer| typed(answer) == line) {
                return Some(Said::Answer(answer.choice()));
            }
        }
        (_, AnswerForm::Sliders { .. }) => {
            if let Some(values) = line.strip_prefix("v ") {
                let values = values.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
                return Some(Said::Answer(Choice::Values(values)));
            }
        }
    }
    line.parse().ok().filter(|n| (1..=buttons).contains(n)).map(|n: usize| Said::Play(n - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::TestKind;

    #[test]
    fn lines_are_understood() {
        assert!(matches!(parse("2", TestKind::Abx.info(), 3), Some(Said::Play(1))));
        assert!(parse("4", TestKind::Abx.info(), 3).is_none() && parse("=", TestKind::Abx.info(), 3).is_none());
        assert!(matches!(parse("=", TestKind::Preference.info(), 2), Some(Said::Answer(Choice::Tie))));
        assert!(matches!(parse("A", TestKind::Preference.info(), 2), Some(Said::Answer(Choice::First))));
        assert!(
            matches!(parse("v 7", TestKind::Comparison.info(), 2), Some(Said::Answer(Choice::Values(v))) if v == [3.0])
        );
        let values = |line| match parse(line, TestKind::Rating.info(), 2) {
            Some(Said::Answer(Choice::Values(values))) => values,
            _ => Vec::new(),
        };
        assert_eq!(values("v 70 40.5"), [70.0, 40.5]);
        assert!(values("v x").is_empty() && parse("a", TestKind::Rating.info(), 2).is_none());
    }
}
