//! `csm listen new`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::audio::recording::{self, Length};
use crate::cli::output::{check_outputs, message, print_line};
use crate::cli::run_job::start_worker;
use crate::cli::{ModelArgs, Outcome, recording_bytes, warn_of_other_model};
use crate::data::{CodebookMask, TokenFile, random_seed};
use crate::error::{Error, Result};
use crate::files::{read_text, write_atomically};
use crate::listen::{
    Anchor, Choice, Condition, Language, ListeningTest, LoudnessMatch, MadeTest, PlannedSound, Question, Screening,
    Study, TakeSound, Template, TestKind, TestPlan, preregistration, test_page,
};
use crate::takes::read_take_words;
use crate::worker::CancelToken;

/// Flags of `csm listen new`.
#[derive(clap::Args, Debug)]
pub struct NewArgs {
    /// The question: which of two X is (abx), which is better (preference), how much better (comparison), how good each is (rating,
    /// opinion)
    #[arg(long, value_parser = kind_parser())]
    kind: TestKind,
    /// A condition: its name and its sounds, recordings or takes (folders). The n-th sound of every condition is of the same text
    #[arg(long = "condition", value_name = "NAME=FILE,…", required_unless_present = "by")]
    conditions: Vec<ConditionFiles>,
    /// Takes (folders), sorted into conditions by a setting; takes that are alike in everything else are compared with each other
    #[arg(value_name = "TAKE", requires = "by", conflicts_with = "conditions")]
    takes: Vec<PathBuf>,
    /// The conditions: takes, or the setting in which they differ. Codebook counts decode each take from an eighth, a quarter, half and
    /// all of its codebooks
    #[arg(long, value_name = "SETTING", value_parser = template_parser(), requires = "takes")]
    by: Option<Template>,
    #[command(flatten)]
    model: ModelArgs,
    /// File of the listening test
    #[arg(long, value_name = "FILE", default_value = "test.json")]
    output: PathBuf,
    /// Also write the test as a page, which works offline and saves its results as a file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Write a preregistration, before the first answer: hash, hypothesis, listeners, rules
    #[arg(long, value_name = "FILE")]
    preregistration: Option<PathBuf>,
    /// The question as listeners read it [default: the usual one of its kind]
    #[arg(long, default_value = "", hide_default_value = true)]
    question: String,
    /// Seed of the orders and button assignments [default: random, recorded in the test]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    design: DesignArgs,
    #[command(flatten)]
    sound: SoundArgs,
    #[command(flatten)]
    study: StudyArgs,
}

/// Which trials there are.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Design")]
struct DesignArgs {
    /// Trials of each text and pair of conditions (abx, preference, comparison) or each text (rating, opinion) [default: 1 of ratings and
    /// opinions; else enough for 16 of a pair, or 4 of a comparison]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    trials: Option<u16>,
    /// Texts per listener, if not all; every text gets equally many listeners
    #[arg(long, value_name = "N")]
    items_per_listener: Option<usize>,
    /// Listeners that are planned: each has their own order, and the power is theirs
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u16).range(..=1000))]
    listeners: u16,
    /// How much listeners and texts differ, for the power: standard deviation of the logit of a share, or in standard deviations of an
    /// answer
    #[arg(long, value_name = "SD", default_value_t = 0.5, value_parser = parse_spread)]
    spread: f64,
    /// Repeated trials, to measure the consistency of each listener
    #[arg(long, value_name = "N", default_value_t = 0)]
    repeats: usize,
    /// Repeat one sound of each rating under another letter: an attentive listener rates both alike
    #[arg(long)]
    hidden_repeat: bool,
    /// Show listeners the words of the text, of which they can loop one in every sound; takes whose words are known have them
    #[arg(long)]
    loop_words: bool,
    /// Practice trials, which do not count
    #[arg(long, value_name = "N", default_value_t = 0)]
    training: usize,
    /// Show this condition as an open reference in each rating, and hide it among the others
    #[arg(long, value_name = "NAME")]
    reference: Option<String>,
    /// An attention check: a sound, such as a spoken instruction, and the right opinion
    #[arg(long = "attention", value_name = "FILE=ANSWER")]
    attention: Vec<AttentionFile>,
}

/// Processing of the sounds.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Sounds")]
struct SoundArgs {
    /// Add a low anchor: the first condition, or the reference, low-passed at 3.5 kHz
    #[arg(long)]
    low_anchor: bool,
    /// Add a mid anchor, low-passed at 7 kHz
    #[arg(long)]
    mid_anchor: bool,
    /// Match the loudness within each text only, not over the whole test
    #[arg(long, conflicts_with = "own_loudness")]
    item_loudness: bool,
    /// Do not match loudness
    #[arg(long)]
    own_loudness: bool,
    /// End the shorter sounds of a text with silence, so that their length does not reveal the condition
    #[arg(long)]
    pad: bool,
}

/// Instructions, checks and rules.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Study")]
struct StudyArgs {
    /// A text file with instructions for listeners
    #[arg(long, value_name = "FILE")]
    instructions: Option<PathBuf>,
    /// Begin with a page for setting the volume
    #[arg(long)]
    volume_page: bool,
    /// Check that listeners wear headphones: which of three tones is the quietest, where one cancels out over loudspeakers (page)
    #[arg(long)]
    headphone_check: bool,
    /// A question about the listener, with answers to choose from if there are any (page)
    #[arg(long = "ask", value_name = "QUESTION=ANSWER|…")]
    questions: Vec<Question>,
    /// Offer a break after every N trials (page)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    break_every: usize,
    /// Language of the page: en, de
    #[arg(long, value_name = "CODE", default_value = "en")]
    language: Language,
    /// Have the page send the results there (HTTP POST of JSON); they are saved as a file if that fails
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    post: String,
    /// Text at the end of the page, such as a completion code or link
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    completion: String,
    /// The hypothesis of the test
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    hypothesis: String,
    /// A rule that leaves listeners out, of the shares of trials anchor, reference, alike and hasty, or of attention (failed checks):
    /// anchor=0.25. constant=keep and headphones=keep keep listeners with one answer to everything, or without headphones
    #[arg(long = "screen", value_name = "RULE=VALUE")]
    screening: Vec<ScreeningRule>,
}

/// A condition on the command line.
#[derive(Clone, Debug)]
struct ConditionFiles {
    name: String,
    files: Vec<PathBuf>,
}

impl FromStr for ConditionFiles {
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

/// A check of attention on the command line.
#[derive(Clone, Debug)]
struct AttentionFile {
    file: PathBuf,
    value: f64,
}

impl FromStr for AttentionFile {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text.rsplit_once('=').and_then(|(file, value)| Some((file, value.parse().ok()?)));
        let (file, value) = parsed.ok_or("expected FILE=ANSWER, such as press-four.wav=4")?;
        Ok(Self { file: file.into(), value })
    }
}

/// A screening rule on the command line.
#[derive(Clone, Debug)]
struct ScreeningRule {
    name: String,
    value: String,
}

impl FromStr for ScreeningRule {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected RULE=VALUE, such as anchor=0.25")?;
        let rule = Self { name: name.into(), value: value.into() };
        rule.apply(&mut Screening::default())?;
        Ok(rule)
    }
}

impl ScreeningRule {
    fn apply(&self, screening: &mut Screening) -> std::result::Result<(), String> {
        let share = || {
            let share = self.value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| format!("{}: expected a share from 0 to 1, got {:?}", self.name, self.value))
        };
        let keep = || match self.value.as_str() {
            "keep" => Ok(true),
            other => Err(format!("{}: expected keep, got {other:?}", self.name)),
        };
        match self.name.as_str() {
            "anchor" => screening.anchor_above = share()?,
            "reference" => screening.reference_below_90 = share()?,
            "alike" => screening.alike = share()?,
            "hasty" => screening.hasty = share()?,
            "attention" => {
                screening.attention_failed = self
                    .value
                    .parse()
                    .map_err(|e| format!("attention: expected a number, got {:?}: {e}", self.value))?;
            }
            "constant" => screening.constant = keep()?,
            "headphones" => screening.without_headphones = keep()?,
            other => {
                let known = "anchor, reference, alike, hasty, attention, constant, headphones";
                return Err(format!("expected one of {known}, got {other:?}"));
            }
        }
        Ok(())
    }
}

pub(super) fn new(args: &NewArgs) -> Result<Outcome> {
    let files = args.conditions.iter().flat_map(|condition| &condition.files).chain(&args.takes);
    let files = files.chain(args.design.attention.iter().map(|check| &check.file)).chain(&args.study.instructions);
    let output = Some(args.output.clone());
    check_outputs(
        [("output", &output, "json"), ("page", &args.page, "html"), ("preregistration", &args.preregistration, "md")],
        files.map(PathBuf::as_path),
    )?;
    if args.output.exists() {
        let problem = "it already exists, and replacing it would orphan its results; choose another name";
        return Err(Error::file(&args.output, problem));
    }
    let (conditions, notes) = match args.by {
        None => {
            let read = |condition| read_condition(condition, args.design.loop_words);
            (args.conditions.iter().map(read).collect::<Result<Vec<Condition>>>()?, Vec::new())
        }
        Some(template) => template.conditions(&read_takes(args, template)?)?,
    };
    let MadeTest { test, warnings } = ListeningTest::make(&plan(args, conditions)?)?;
    notes.iter().chain(&warnings).for_each(|text| message!("warning: {text}"));
    test.write(&args.output)?;
    if let Some(page) = &args.page {
        write_atomically(page, test_page(&test).as_bytes())?;
    }
    if let Some(path) = &args.preregistration {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        write_atomically(path, preregistration(&test, &date, args.design.spread).as_bytes())?;
    }
    let minutes = (test.expected_seconds() / 60.0).ceil();
    let trials = test.trials_per_listener();
    let file = args.output.display();
    print_line(&format!(
        "{file}: {trials} trials for each listener, about {minutes:.0} min; {} lists",
        test.lists.len()
    ))?;
    let power = test.power_plan(args.design.spread);
    if let Some(problem) = power.warning() {
        message!("warning: {problem}");
    }
    print_line(&power.describe())?;
    Ok(Outcome::Done)
}

fn plan(args: &NewArgs, conditions: Vec<Condition>) -> Result<TestPlan> {
    let (design, sound, study) = (&args.design, &args.sound, &args.study);
    let mut screening = Screening::default();
    for rule in &study.screening {
        rule.apply(&mut screening).map_err(|problem| Error::invalid("screen", "a rule", problem))?;
    }
    let attention = design
        .attention
        .iter()
        .map(|check| Ok((read_sound(&check.file, false)?.sound, Choice::Values(vec![check.value]))));
    let anchors = [(sound.low_anchor, Anchor::Low), (sound.mid_anchor, Anchor::Mid)];
    Ok(TestPlan {
        question: args.question.clone(),
        repetitions: design.trials.map(usize::from),
        repeats: design.repeats,
        training: design.training,
        anchors: anchors.into_iter().filter(|(wanted, _)| *wanted).map(|(_, anchor)| anchor).collect(),
        reference: design.reference.clone(),
        hidden_repeat: design.hidden_repeat,
        attention: attention.collect::<Result<_>>()?,
        loudness: match (sound.own_loudness, sound.item_loudness) {
            (true, _) => LoudnessMatch::Off,
            (false, true) => LoudnessMatch::Item,
            (false, false) => LoudnessMatch::Test,
        },
        pad: sound.pad,
        items_per_listener: design.items_per_listener,
        study: Study {
            instructions: study.instructions.as_ref().map_or(Ok(String::new()), |path| read_text(path))?,
            volume_page: study.volume_page,
            headphone_check: study.headphone_check,
            questionnaire: study.questions.clone(),
            break_every: study.break_every,
            language: study.language.clone(),
            post: study.post.clone(),
            completion: study.completion.clone(),
            hypothesis: study.hypothesis.clone(),
            listeners: design.listeners.into(),
            screening,
        },
        ..TestPlan::new(args.kind, conditions, args.seed.map_or_else(random_seed, Ok)?)
    })
}

fn read_condition(condition: &ConditionFiles, words: bool) -> Result<Condition> {
    let sounds = condition.files.iter().map(|path| Ok(read_sound(path, words)?.sound)).collect::<Result<Vec<_>>>()?;
    Ok((condition.name.clone(), sounds))
}

/// A recording, or a take's folder with what made it and, if wanted, when its words are spoken.
fn read_sound(path: &Path, words: bool) -> Result<TakeSound> {
    let (file, tokens) = match path.is_dir() {
        true => (path.join("audio.wav"), TokenFile::read_own(&path.join("tokens.json"))?),
        false => (path.to_owned(), TokenFile::default()),
    };
    let native = recording::decode_native(&file, &recording_bytes(&file)?, Length::Whole)?;
    native.warnings().iter().for_each(|text| message!("warning: {}: {text}", file.display()));
    let source = path.display().to_string();
    let sound = PlannedSound {
        source: source.clone(),
        samples: native.samples,
        channels: native.channels,
        rate: native.rate,
        sampling: tokens.sampling,
        words: if words && path.is_dir() { read_take_words(path)? } else { Vec::new() },
    };
    let model = tokens.model.map(|model| model.name);
    Ok(TakeSound { name: source, text: tokens.text, speaker: tokens.speaker, model, codebooks: None, sound })
}

/// The takes of the command line; for codebook counts, each as often as there are counts.
fn read_takes(args: &NewArgs, template: Template) -> Result<Vec<TakeSound>> {
    let takes = args.takes.iter().map(|path| read_sound(path, args.design.loop_words)).collect::<Result<Vec<_>>>()?;
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
            let (source, rate) = (take.sound.source.clone(), checkpoint.dims().sample_rate);
            let sound = PlannedSound::mono(source, samples, rate, take.sound.sampling);
            let sound = PlannedSound { words: take.sound.words.clone(), ..sound };
            decoded.push(TakeSound { codebooks: count, sound, ..take.clone() });
        }
    }
    Ok(decoded)
}

fn parse_spread(text: &str) -> std::result::Result<f64, String> {
    let spread = text.parse().ok().filter(|spread| (0.0..=10.0).contains(spread));
    spread.ok_or_else(|| "expected a number from 0 to 10".into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_flags_are_understood() {
        assert!("exact=a.wav,b.wav".parse::<ConditionFiles>().is_ok_and(|c| c.files.len() == 2));
        assert!("exact".parse::<ConditionFiles>().is_err());
        assert!("a=b.wav=4".parse::<AttentionFile>().is_ok_and(|a| a.file == Path::new("a=b.wav") && a.value == 4.0));
        assert!("a.wav".parse::<AttentionFile>().is_err());
        assert!("anchor=0.1".parse::<ScreeningRule>().is_ok() && "constant=keep".parse::<ScreeningRule>().is_ok());
        for wrong in ["anchor=2", "anchor", "constant=no", "attention=x", "other=1"] {
            assert!(wrong.parse::<ScreeningRule>().is_err(), "{wrong}");
        }
    }
}
