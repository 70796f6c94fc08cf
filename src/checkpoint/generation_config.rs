use serde_json::{Map, Value};

use crate::data::{ModelDims, PARAMS, ParamKind};
use crate::error::shortened;

/// Sampling that a checkpoint suggests (`generation_config.json`).
#[derive(Clone, Debug, Default)]
pub(super) struct GenerationConfig(Map<String, Value>);

/// Settings that change draws in transformers and that this program does not follow, with the values that have no effect.
const NOT_FOLLOWED: &[(&str, f64)] = &[
    ("typical_p", 1.0),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("repetition_penalty", 1.0),
    ("encoder_repetition_penalty", 1.0),
    ("no_repeat_ngram_size", 0.0),
    ("num_beams", 1.0),
    ("penalty_alpha", 0.0),
    ("guidance_scale", 1.0),
];
const LISTS_NOT_FOLLOWED: &[&str] =
    &["suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias", "forced_eos_token_id"];

impl GenerationConfig {
    /// The content of the file, if there is one.
    pub(super) fn new(fields: Option<Map<String, Value>>) -> Self {
        Self(fields.unwrap_or_default())
    }

    /// The value of a sampling setting by its key here. `do_sample: false` is temperature 0; a top_k of 0 or null keeps all.
    pub(super) fn suggestion(&self, key: &str) -> Option<f64> {
        let (prefix, name) = match key.strip_prefix("depth_decoder_") {
            Some(name) => ("depth_decoder_", name),
            None => ("", key),
        };
        match (name, self.0.get(key)) {
            ("temperature", _) if self.0.get(&format!("{prefix}do_sample")) == Some(&Value::Bool(false)) => Some(0.0),
            ("top_k", Some(Value::Null)) => Some(f64::MAX),
            ("top_k", Some(value)) if value.as_f64() == Some(0.0) => Some(f64::MAX),
            (_, value) => value.and_then(Value::as_f64),
        }
    }

    /// Settings in the file that would change draws in transformers and are not followed, one line each.
    pub(super) fn warnings(&self, dims: &ModelDims) -> Vec<String> {
        let (mut found, mut unsaid) = (Vec::new(), Vec::new());
        for prefix in ["", "depth_decoder_"] {
            let has = |name: &str| self.0.contains_key(&format!("{prefix}{name}"));
            if PARAMS.iter().filter_map(|p| p.generation_key).any(has) && !has("do_sample") {
                unsaid.push(format!("{prefix}do_sample"));
            }
            let numbers = NOT_FOLLOWED.iter().filter_map(|(name, neutral)| {
                let value = self.0.get(&format!("{prefix}{name}"))?.as_f64()?;
                (value != *neutral).then(|| format!("{prefix}{name} {value}"))
            });
            let lists = LISTS_NOT_FOLLOWED.iter().filter_map(|name| {
                let value = self.0.get(&format!("{prefix}{name}"))?;
                (!value.is_null()).then(|| format!("{prefix}{name}"))
            });
            found.extend(numbers.chain(lists));
        }
        let not_followed =
            |what| format!("generation_config.json: {what} is not followed; transformers would draw differently");
        let not_said = |what| {
            format!(
                "generation_config.json: no {what}; transformers would take the likeliest token, here it is drawn (temperature 0 \
                 takes the likeliest)"
            )
        };
        let said = found.into_iter().map(not_followed).chain(unsaid.into_iter().map(not_said));
        said.chain(self.wrong_values(dims)).collect()
    }

    /// Values of sampling settings that are not numbers or outside their range, one line each.
    fn wrong_values<'a>(&'a self, dims: &'a ModelDims) -> impl Iterator<Item = String> + 'a {
        let keys = PARAMS.iter().filter_map(|param| Some((param, param.generation_key?)));
        let keys = keys.flat_map(|(param, key)| [(param, key.to_owned()), (param, format!("depth_decoder_{key}"))]);
        keys.filter_map(|(param, key)| {
            let value = self.0.get(&key).filter(|value| !value.is_null())?;
            let got = shortened(value.to_string());
            if !value.is_number() {
                return Some(format!(
                    "generation_config.json: {key}: expected a number, got {got}; it is not followed"
                ));
            }
            // A top_k of 0, or of more ids than there are, keeps all.
            let (range, value) = ((param.range)(dims), self.suggestion(&key)?);
            let outside = value < *range.start() || value > *range.end() && param.kind != ParamKind::Count;
            let (from, to) = range.into_inner();
            let what = format!("{key}: expected {from} to {to}, got {got}");
            outside.then(|| format!("generation_config.json: {what}; the nearest is taken"))
        })
    }
}
