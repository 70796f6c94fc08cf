//! Tables of the answers.

use serde::Serialize;
use serde_json::{Value, json};

use super::findings::{pair_votes, value_votes};
use super::{ListenerSummary, ListeningReport};
use crate::data::csv_cell;
use crate::error::BoxError;
use crate::listen::run::Answer;
use crate::listen::{AnswerForm, Choice, ListeningTest, Results};

/// Columns and values of a row, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<(String, Value)>);

impl Row {
    /// The value in a column; nothing if this row has no such column.
    pub(super) fn get(&self, column: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl ListeningReport {
    /// The answers as CSV: a row per trial and listener.
    ///
    /// # Errors
    /// Where the table cannot be made.
    pub fn csv(&self) -> Result<Vec<u8>, BoxError> {
        table(&self.answers)
    }

    /// The answers as CSV with a row per value, as mixed models want them: a rating or an opinion each, a vote on two conditions each.
    ///
    /// # Errors
    /// Where the table cannot be made.
    pub fn long_csv(&self) -> Result<Vec<u8>, BoxError> {
        table(&self.long)
    }
}

fn table(rows: &[Row]) -> Result<Vec<u8>, BoxError> {
    // Trials with more buttons have more columns.
    let longest = rows.iter().max_by_key(|row| row.0.len());
    let columns: Vec<&String> = longest.into_iter().flat_map(|row| &row.0).map(|(name, _)| name).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns)?;
    for row in rows {
        writer.write_record(columns.iter().map(|column| match row.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => csv_cell(text),
            Some(other) => other.to_string(),
        }))?;
    }
    Ok(writer.into_inner()?)
}

/// An answered trial with everything known of it; for each button its sound, in columns that start with the button's name.
pub(super) fn row(test: &ListeningTest, results: &Results, answer: &Answer) -> Row {
    let (info, trial) = (test.kind.info(), answer.presented(test));
    let condition = |place: usize| test.conditions[test.stimuli[trial.stimuli[place]].condition].clone();
    let x = trial.x.filter(|_| info.has_x);
    let said = match (info.form, &answer.choice) {
        (AnswerForm::Buttons(buttons), choice) => {
            buttons.iter().find(|button| button.choice() == *choice).map_or(Value::Null, |button| json!(button.label))
        }
        (AnswerForm::Sliders { .. }, _) => Value::Null,
    };
    let chosen = match (&answer.choice, x) {
        (Choice::First, None) => json!(condition(0)),
        (Choice::Second, None) => json!(condition(1)),
        _ => Value::Null,
    };
    let right = x.map(|x| matches!((&answer.choice, x), (Choice::First, 0) | (Choice::Second, 1)));
    let common = [
        ("listener", json!(results.listener)),
        ("device", json!(results.device)),
        ("list", json!(results.list.map(|list| list + 1))),
        ("version", json!(results.version)),
        ("test_version", json!(test.version)),
        ("test_seed", json!(test.seed)),
        ("kind", json!(test.kind)),
        ("trial", json!(answer.trial + 1)),
        ("order", json!(order(results, answer))),
        ("repeats", json!(test.trials[answer.trial].repeats.map(|n| n + 1))),
        ("counts", json!(test.trials[answer.trial].counts())),
        ("item", json!(test.stimuli[trial.stimuli[0]].item + 1)),
        ("x", json!(x.map(|x| info.button_name(&trial, x)))),
        ("answer", said),
        ("chosen", chosen),
        ("right", json!(right)),
        ("at", json!(answer.at)),
        ("seconds", json!(answer.seconds)),
    ];
    let mut row: Vec<_> = common.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (place, n) in trial.stimuli.iter().enumerate() {
        let stimulus = &test.stimuli[*n];
        let value = match &answer.choice {
            Choice::Values(values) => json!(values.get(place)),
            Choice::First | Choice::Second | Choice::Tie => Value::Null,
        };
        let button = info.button_name(&trial, place);
        for (name, value) in [
            ("condition", json!(condition(place))),
            ("repeats", json!(trial.first_place(place).map(|first| info.button_name(&trial, first)))),
            ("value", value),
            ("heard", json!(answer.heard.get(place))),
            ("source", json!(stimulus.source)),
            ("sha256", json!(stimulus.sha256)),
            ("gain_db", json!(stimulus.gain_db)),
            ("loudness", json!(stimulus.loudness)),
            ("seed", json!(stimulus.sampling.map(|sampling| sampling.seed))),
            ("settings", json!(stimulus.sampling)),
        ] {
            row.push((format!("{button}_{name}"), value));
        }
    }
    Row(row)
}

/// The place of an answer among the listener's answers, from 1.
fn order(results: &Results, answer: &Answer) -> usize {
    results.answers.iter().position(|other| other.trial == answer.trial).map_or(0, |n| n + 1)
}

/// The counted values of a listener, a row each.
pub(super) fn long(test: &ListeningTest, results: &Results, listener: &ListenerSummary) -> Vec<Row> {
    let counted = results.answers.iter().filter(|answer| test.trials[answer.trial].counts());
    let rows = counted.flat_map(|answer| {
        let trial = answer.presented(test);
        let values = value_votes(test, 0, answer);
        let place = |condition: usize| {
            trial.stimuli.iter().position(|n| test.stimuli[*n].condition == condition).map(|place| place + 1)
        };
        let row = |condition: usize, other: Option<usize>, item: usize, value: f64| {
            let heard: f64 = answer.heard.iter().sum();
            let columns = [
                ("listener", json!(results.listener)),
                ("list", json!(results.list.map(|list| list + 1))),
                ("item", json!(item + 1)),
                ("condition", json!(test.conditions[condition])),
                ("other", json!(other.map(|other| &test.conditions[other]))),
                ("value", json!(value)),
                ("place", json!(place(condition))),
                ("order", json!(order(results, answer))),
                ("seconds", json!(answer.seconds)),
                ("heard", json!((!answer.heard.is_empty()).then_some(heard))),
                ("finished", json!(listener.is_finished())),
                ("screened_out", json!(!listener.screened_out.is_empty())),
            ];
            Row(columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        };
        if values.is_empty() {
            let alone = Results { answers: vec![answer.clone()], ..results.clone() };
            let votes = pair_votes(test, 0, &alone);
            // A vote of -1, 0 or 1 becomes 0, 0.5 or 1; a comparison stays the difference that it is.
            let value = |value: f64| if test.kind.info().scale().is_none() { (1.0 + value) / 2.0 } else { value };
            votes.iter().map(|v| row(v.pair.0, Some(v.pair.1), v.item, value(v.value))).collect::<Vec<_>>()
        } else {
            values.iter().map(|(condition, vote)| row(*condition, None, vote.item, vote.value)).collect()
        }
    });
    rows.collect()
}
