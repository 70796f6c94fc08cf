//! `csm listen`: listening tests without a window. See [`crate::listen`].

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::output::{check_outputs, message, print_line};
use super::run_job::start_worker;
use super::{ModelArgs, Outcome, read_recording, warn_of_other_model};
use crate::audio::player::{Player, Sink};
use crate::audio::recording::{self, Length, Recording};
use crate::data::{CodebookMask, MIMI_SAMPLE_RATE as RATE, TokenFile, random_seed};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::listen::{
    AnswerButton, AnswerForm, Choice, ListeningReport, ListeningTest, MadeTest, PlannedSound, Results, Run, TakeSound,
    Template, TestKind, TestKindInfo, TestPlan, html_report, test_page,
};
use crate::worker::CancelToken;

/// What to do with listening tests.
#[derive(clap::Subcommand, Debug)]
pub enum ListenCommand {
    /// Make a test: one file, and a page for listeners without this program
    New(NewArgs),
    /// Listen to a test in the terminal; an interrupted test is resumed
    Run(RunArgs),
    /// Pool the results of all listeners
    Report(ListenReportArgs),
}

/// Flags of `csm listen new`.
#[derive(clap::Args, Debug)]
pub struct NewArgs {
    /// What is asked: which of two X is (abx), which is better (preference), how good each is (rating, opinion)
    #[arg(long, value_parser = kind_parser())]
    kind: TestKind,
    /// A condition: its name and its sounds, WAV files or takes (folders). The n-th sound of every condition is of the same text
    #[arg(long = "condition", value_name = "NAME=FILE,…", required_unless_present = "by")]
    conditions: Vec<Condition>,
    /// Takes (folders), sorted into conditions by their settings; takes of the same text are compared with each other
    #[arg(value_name = "TAKE", requires = "by", conflicts_with = "conditions")]
    takes: Vec<PathBuf>,
    /// What the conditions are: takes, or what they differ in. Codebook counts decode each take from an eighth, a quarter, half and
    /// all of its codebooks
    #[arg(long, value_name = "SETTING", value_parser = template_parser(), requires = "takes")]
    by: Option<Template>,
    #[command(flatten)]
    model: ModelArgs,
    /// Add a low anchor (the first condition, low-passed at 3.5 kHz) to detect inattentive listeners
    #[arg(long)]
    low_anchor: bool,
    /// Repeat one sound of each rating under another letter: an attentive listener rates both alike
    #[arg(long)]
    hidden_repeat: bool,
    /// File of the listening test
    #[arg(long, value_name = "FILE", default_value = "test.json")]
    output: PathBuf,
    /// Write the test as a page, too: it plays and asks offline, and gives its results as a file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Trials of each text and pair of conditions (abx, preference) or each text (rating, opinion); fixed before the test
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    trials: u16,
    /// Trials that are asked once more, to see whether listeners agree with themselves
    #[arg(long, value_name = "N", default_value_t = 0)]
    repeats: usize,
    /// The question as listeners read it [default: the usual one of its kind]
    #[arg(long, default_value = "", hide_default_value = true)]
    question: String,
    /// Leave sounds as loud as they are
    #[arg(long)]
    own_loudness: bool,
    /// What order and places are drawn from [default: random, and recorded in the test]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// A condition on the command line.
#[derive(Clone, Debug)]
struct Condition {
    name: String,
    files: Vec<PathBuf>,
}

impl FromStr for Condition {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once('=') {
            Some((name, files)) if !name.is_empty() && !files.is_empty() => {
                Ok(Self { name: name.into(), files: split_files(files) })
            }
            _ => Err("expected NAME=FILE,FILE,…".into()),
        }
    }
}

/// The files of a list with commas, which may be part of a file's name: the longest part that is a file is one.
fn split_files(list: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = list.split(',').collect();
    let (mut files, mut at) = (Vec::new(), 0);
    while at < parts.len() {
        let joined = |end: usize| PathBuf::from(parts[at..end].join(","));
        let end = (at + 1..=parts.len()).rev().find(|end| joined(*end).exists()).unwrap_or(at + 1);
        files.push(joined(end));
        at = end;
    }
    files
}

/// Flags of `csm listen run`.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    /// File of the listening test
    #[arg(value_name = "TEST")]
    test: PathBuf,
    /// Where the answers are kept; a file that is there already is gone on with
    #[arg(long, value_name = "FILE", default_value = "results.json")]
    results: PathBuf,
    /// Name of the listener [default: anonymous, or whose results are resumed]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// What you listen with: headphones or loudspeakers
    #[arg(long, value_name = "TEXT", default_value = "")]
    device: String,
}

/// Flags of `csm listen report`.
#[derive(clap::Args, Debug)]
pub struct ListenReportArgs {
    /// File of the listening test
    #[arg(value_name = "TEST")]
    test: PathBuf,
    /// Results of its listeners
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Print the report as JSON instead of text
    #[arg(long)]
    json: bool,
    /// Write a table with a row per trial and listener
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Also write the report as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(command: &ListenCommand) -> Result<Outcome> {
    match command {
        ListenCommand::New(args) => new(args),
        ListenCommand::Run(args) => listen(args),
        ListenCommand::Report(args) => report(args),
    }
}

fn new(args: &NewArgs) -> Result<Outcome> {
    let inputs = args.conditions.iter().flat_map(|condition| &condition.files).chain(&args.takes).map(PathBuf::as_path);
    let output = Some(args.output.clone());
    check_outputs([("output", &output, "json"), ("page", &args.page, "html")], inputs)?;
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let conditions = match args.by {
        None => args.conditions.iter().map(read_condition).collect::<Result<_>>()?,
        Some(template) => template.conditions(&read_takes(args, template)?)?,
    };
    let plan = TestPlan {
        kind: args.kind,
        question: args.question.clone(),
        conditions,
        repetitions: args.trials.into(),
        repeats: args.repeats,
        low_anchor: args.low_anchor,
        hidden_repeat: args.hidden_repeat,
        match_loudness: !args.own_loudness,
        seed,
    };
    let MadeTest { test, warnings } = ListeningTest::make(&plan)?;
    warnings.iter().for_each(|text| message!("warning: {text}"));
    if args.output.exists() {
        let problem = "it is there already, and results of it could no longer be read; choose another name";
        return Err(Error::file(&args.output, problem));
    }
    test.write(&args.output)?;
    if let Some(page) = &args.page {
        write_atomically(page, test_page(&test).as_bytes())?;
    }
    print_line(&format!("{}: {} trials", args.output.display(), test.trials.len()))?;
    print_line(&test.describe_power())?;
    Ok(Outcome::Done)
}

fn read_condition(condition: &Condition) -> Result<(String, Vec<PlannedSound>)> {
    let sounds = condition.files.iter().map(|path| Ok(read_sound(path)?.sound)).collect::<Result<Vec<_>>>()?;
    Ok((condition.name.clone(), sounds))
}

/// A WAV file, or a take's folder with what made it.
fn read_sound(path: &Path) -> Result<TakeSound> {
    let (file, tokens) = match path.is_dir() {
        true => (path.join("audio.wav"), TokenFile::read_own(&path.join("tokens.json"))?),
        false => (path.to_owned(), TokenFile::default()),
    };
    let Recording { samples, warnings, .. } = read_recording(&file, RATE, Length::Whole)?;
    warnings.iter().for_each(|text| message!("warning: {text}"));
    let source = path.display().to_string();
    let sound = PlannedSound { source: source.clone(), samples, rate: RATE, sampling: tokens.sampling };
    let model = tokens.model.map(|model| model.name);
    Ok(TakeSound { name: source, text: tokens.text, speaker: tokens.speaker, model, codebooks: None, sound })
}

/// The takes of the command line; for codebook counts, each as often as there are counts.
fn read_takes(args: &NewArgs, template: Template) -> Result<Vec<TakeSound>> {
    let takes = args.takes.iter().map(|path| read_sound(path)).collect::<Result<Vec<_>>>()?;
    if template != Template::Codebooks {
        return Ok(takes);
    }
    let checkpoint = Arc::new(args.model.open()?);
    let worker = start_worker(&checkpoint)?;
    let codebooks = checkpoint.dims().codebooks;
    let mut decoded = Vec::new();
    for count in Template::codebook_counts(codebooks) {
        for (take, path) in takes.iter().zip(&args.takes) {
            let tokens = TokenFile::read(&path.join("tokens.json"), &checkpoint.dims())?;
            warn_of_other_model(path, &tokens, &checkpoint)?;
            let mask = count.map_or(CodebookMask::all(codebooks), |count| CodebookMask::first(count, codebooks));
            let samples = worker.decode_codebooks(tokens.frames, mask, CancelToken::default())?.wait(|_| {})?;
            let sound = PlannedSound { samples, rate: checkpoint.dims().sample_rate, ..take.sound.clone() };
            decoded.push(TakeSound { codebooks: count, sound, ..take.clone() });
        }
    }
    Ok(decoded)
}

/// Parses a kind of test.
fn kind_parser() -> impl TypedValueParser<Value = TestKind> {
    PossibleValuesParser::new(TestKind::all().iter().map(|info| info.name)).try_map(|name| name.parse::<TestKind>())
}

/// Parses the setting by which takes are sorted into conditions.
fn template_parser() -> impl TypedValueParser<Value = Template> {
    let find = |name: &str| Template::ALL.iter().find(|(_, known, _)| *known == name).map(|(template, ..)| *template);
    let values = PossibleValuesParser::new(Template::ALL.map(|(_, name, _)| name));
    values.try_map(move |name| find(&name).ok_or("no such setting"))
}

fn listen(args: &RunArgs) -> Result<Outcome> {
    let test = ListeningTest::read(&args.test)?;
    let results = match args.results.exists() {
        true => Results::read(&args.results, &test)?,
        false => Results::new(&test, args.listener.as_deref().unwrap_or("anonymous"), &args.device),
    };
    if let Some(listener) = args.listener.as_ref().filter(|name| **name != results.listener) {
        let problem = format!(
            "these are the answers of {:?}, and those of {listener:?} cannot be added; choose another file with --results",
            results.listener
        );
        return Err(Error::file(&args.results, problem));
    }
    let sounds = (0..test.stimuli.len()).map(|n| decode(&test, n, &args.test)).collect::<Result<Vec<_>>>()?;
    let mut player = Player::new(Sink::Device(None));
    let mut run = Run::new(&test, results);
    let mut begun = Instant::now();
    let mut lines = std::io::stdin().lock().lines();
    let info = test.kind.info();
    while let Some((n, trial)) = run.trial() {
        let names: Vec<String> = (0..trial.buttons().len()).map(|button| trial.button_name(button)).collect();
        message!("\nTrial {} of {}: {}", n + 1, test.trials.len(), test.question);
        message!("{}", keys(info, &names));
        std::io::stderr().flush().ok(); // a prompt that is late is not a reason to stop
        let Some(line) = lines.next().transpose().map_err(|e| Error::read("(standard input)", e))? else { break };
        match parse(line.trim(), info, names.len()) {
            Some(Said::Play(button)) => {
                if let Some(stimulus) = run.hear(button) {
                    player.load(&sounds[stimulus], RATE);
                    player.play(true)?;
                }
            }
            Some(Said::Answer(choice)) => {
                let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                match run.answer(choice, at, begun.elapsed().as_secs_f64()) {
                    Ok(()) => {
                        player.play(false)?;
                        begun = Instant::now();
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
    let (answered, all) = (run.results().answers.len(), test.trials.len());
    let rest = if answered < all { "; run it again to continue" } else { "" };
    print_line(&format!("{}: {answered} of {all} trials answered{rest}", args.results.display()))?;
    Ok(Outcome::Done)
}

fn decode(test: &ListeningTest, stimulus: usize, path: &Path) -> Result<Vec<f32>> {
    let damaged = |e: String| Error::file(path, format!("sound {stimulus} cannot be decoded: {e}"));
    let bytes = test.wav(stimulus).map_err(|e| damaged(e.to_string()))?;
    let sound = recording::decode(path, &bytes, RATE, Length::Whole).map_err(|e| damaged(e.to_string()))?;
    Ok(sound.samples)
}

/// The inputs of a trial.
fn keys(info: &TestKindInfo, names: &[String]) -> String {
    let play: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("{} plays {name}", n + 1)).collect();
    let answer = match info.form {
        AnswerForm::Buttons(buttons) => {
            buttons.iter().map(|b| format!("{}: {}", typed(b), b.label)).collect::<Vec<_>>().join(", ")
        }
        AnswerForm::Sliders { min, max, .. } => format!("v and a value per sound, {min} to {max}"),
    };
    format!("{}; {answer}; u takes the last answer back, q stops", play.join(", "))
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
    match (line, info.form) {
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

fn report(args: &ListenReportArgs) -> Result<Outcome> {
    let test = ListeningTest::read(&args.test)?;
    check_outputs(
        [("csv", &args.csv, "csv"), ("html", &args.html, "html")],
        args.results.iter().chain([&args.test]).map(PathBuf::as_path),
    )?;
    let read = |path: &PathBuf| Ok((path.clone(), Results::read(path, &test)?));
    let (results, notes) = Results::pooled(args.results.iter().map(read).collect::<Result<Vec<_>>>()?);
    notes.iter().for_each(|text| message!("warning: {text}"));
    let report = ListeningReport::new(&test, &results);
    if let Some(path) = &args.csv {
        write_atomically(path, &report.csv().map_err(|e| Error::write(path, e))?)?;
    }
    if let Some(path) = &args.html {
        write_atomically(path, html_report(&report).as_bytes())?;
    }
    print_line(&if args.json { report.json() } else { report.text() })?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        assert!(matches!(parse("2", TestKind::Abx.info(), 3), Some(Said::Play(1))));
        assert!(parse("4", TestKind::Abx.info(), 3).is_none() && parse("=", TestKind::Abx.info(), 3).is_none());
        assert!(matches!(parse("=", TestKind::Preference.info(), 2), Some(Said::Answer(Choice::Tie))));
        let values = |line| match parse(line, TestKind::Rating.info(), 2) {
            Some(Said::Answer(Choice::Values(values))) => values,
            _ => Vec::new(),
        };
        assert_eq!(values("v 70 40.5"), [70.0, 40.5]);
        assert!(values("v x").is_empty() && parse("a", TestKind::Rating.info(), 2).is_none());
        assert!("exact=a.wav,b.wav".parse::<Condition>().is_ok_and(|c| c.files.len() == 2));
        assert!("exact".parse::<Condition>().is_err());
    }
}
